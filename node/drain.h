#pragma once
// Drain: a node that leaves in good order, so that nothing of it is lost, owed, or refused. Pure.
//
// Its successor, a live node of its region, is given by ordinary grants whatever rights are free
// here, again as more come free; new reservations are forwarded there. It is ready to leave when it
// has been through its catalogue, the successor has all that this wrote, and no hold is open here
// or the time for that is over. Then the process stops listening, and the replica retires itself
// (Decrees::leave): that seizes nothing, since nobody sells here any more, and exposes nothing. The
// successor is its heir: it ends what is still open (estate.h), and has what comes back since
// (remains.h).
//
// While the successor cannot be reached, nothing moves, and this node sells what it has. In memory
// only: a process that is started again is not being drained.
//
// Cost  a tick: at most kLooksAtOnce products.

#include <cstdint>
#include <functional>
#include <string>

#include "crdt/state.h"
#include "crdt/time.h"
#include "node/command.h"
#include "node/ledger.h"

namespace holdfast::node {

class Drain {
 public:
  struct Around {
    std::function<bool(ReplicaId peer)> live;  // it can be reached, and is neither lost nor retired
    std::function<crdt::Sequence(ReplicaId peer)> acknowledged;  // of own rows
    std::function<Units(const crdt::Product&, ReplicaId to)> grantable;
    std::function<void(Units)> granted;
  };
  Drain(crdt::State& state, const Ledger& ledger, Around around)
      : state_(state), ledger_(ledger), around_(std::move(around)) {}

  // To that successor, or, if it runs already, with this much time from now on.
  void begin(ReplicaId successor, std::uint32_t wait_seconds, crdt::Instant now);
  // To another one, from now on; the time that is left stays.
  void give_to(ReplicaId successor, crdt::Instant now);
  void cancel();
  // The replica has retired itself.
  void left() { left_ = true; }

  bool running() const { return bool(successor_); }
  bool has_left() const { return left_; }
  ReplicaId successor() const { return successor_; }
  // New reservations are the successor's.
  bool passes_on() const { return running() && around_.live(successor_); }
  bool ready(crdt::Instant now) const;
  DrainView view(crdt::Instant now) const;

  void tick(crdt::Instant now);
  crdt::Instant wake_at() const { return running() ? due_ : crdt::Instant::max(); }

 private:
  static constexpr std::size_t kLooksAtOnce = 1'000;
  static constexpr crdt::Millis kGoOn{1};     // when there is more of the catalogue
  static constexpr crdt::Millis kEvery{200};  // from one walk over it to the next

  void give(crdt::Product& product);

  crdt::State& state_;
  const Ledger& ledger_;
  Around around_;
  ReplicaId successor_;  // none: it is not running
  crdt::Instant until_{}, due_{};
  std::string looked_;  // up to this SKU in this walk
  std::uint64_t walks_ = 0;
  crdt::Sequence written_ = 0;  // own rows at the end of the last one
  Units units_ = 0;
  bool left_ = false;
};

}  // namespace holdfast::node
