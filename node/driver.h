#pragma once
// Driver: the only loop body. It joins the engine to its ports (Store, Clock, Transport); the
// product runs it on a thread (runtime.h), the simulator in virtual time.
//
// Order contract: what a batch shows or sends is released by the store, when the batch is durable.
// While a batch is being written the engine goes on; the next batch is what has gathered meanwhile
// (group commit that adapts to the disk).
//
// Threads  turn() and stop(): one owner. The release of a batch runs on the store's thread; it
// calls
//          only the transport and the sinks below, which allow any thread.

#include <functional>
#include <vector>

#include "gossip/transport.h"
#include "node/command.h"
#include "node/engine.h"
#include "node/ports.h"

namespace holdfast::node {

struct DriverPorts {
  Store& store;
  Clock& clock;
  gossip::Transport& transport;
  Deliver deliver;                                // replies, any thread
  std::function<void(const gossip::Note&)> note;  // for the log, any thread
  std::function<void()> released;                 // a batch became durable: turn() may seal again
};

struct DriverOptions {
  crdt::Millis inbox_delay_max{1000};  // reservations that waited longer for their turn are refused
  std::uint64_t min_free_bytes = 0;    // less space than this: new work is refused
};

struct Arrived {
  Request request;
  crdt::Instant at;
};

// A new reservation is among them.
bool sells(const std::vector<Request>& requests);
// Whether so many more may join those that wait for their turn. If they sell they may fill half of
// the inbox; the rest is for what ends reservations, and for reads.
bool inbox_takes(std::size_t inbox_max, std::size_t waiting, std::size_t more, bool sell);

class Driver {
 public:
  // Batches that the store may have in hand. One more, ready to follow at once, made each half as
  // large, and the fsyncs of a request twice as many (12 % fewer requests a second).
  static constexpr std::size_t kBatchesInHand = 1;

  Driver(Engine& engine, DriverPorts ports, DriverOptions options)
      : engine_(engine), ports_(std::move(ports)), options_(options) {}

  // Carries out one turn. `submits`: it may end with a batch for the store; else what it has for
  // one waits for a later turn. The instant by which the next one is due.
  crdt::Instant turn(std::vector<Arrived>&& requests, std::vector<gossip::NetEvent>&& events,
                     bool submits = true);

  // A turn may end with a batch for the store. Else what arrives may wait for the one that is being
  // written.
  bool takes_batch() const { return ports_.store.pending() < kBatchesInHand; }
  // A turn did not submit, or found the store busy: there may be something to seal.
  bool owes_batch() const { return owes_batch_; }
  // That the store was given so far.
  std::uint64_t batches() const { return batches_; }

 private:
  void expect_first(const std::vector<Arrived>& requests) const;
  void expect_after(const std::vector<Arrived>& requests, std::size_t i) const;
  void submit(crdt::Now now);

  Engine& engine_;
  DriverPorts ports_;
  DriverOptions options_;
  bool owes_batch_ = false;
  std::uint64_t batches_ = 0;
};

}  // namespace holdfast::node
