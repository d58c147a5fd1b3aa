#pragma once
// Runtime (edge): the engine's thread and its bounded inbox.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "node/driver.h"

namespace holdfast::node {

class Runtime {
 public:
  Runtime(Engine& engine, Clock& clock, std::size_t inbox_max)
      : engine_(engine), clock_(clock), inbox_max_(inbox_max) {}
  ~Runtime() { stop(); }

  void start(Driver& driver);
  // Turns until a last checkpoint has been handed to the store, then ends the thread.
  void stop();

  // Any thread; none blocks for longer than it takes to append.
  bool submit(std::vector<Request>&& requests);  // false: full, or stopping
  void on_net(std::vector<gossip::NetEvent>&& events);
  void released();
  // From the next turn on the node says that it is not ready.
  void stop_soon();
  // Set once the engine says that the process must end.
  bool failed() const { return failed_; }
  // Set once every other member has confirmed this process (Engine::confirmed_by_all).
  bool confirmed() const { return confirmed_; }
  // Set while the node was told to leave, and may (Engine::may_leave).
  bool may_leave() const { return may_leave_; }
  bool has_left() const { return has_left_; }  // Engine::has_left

 private:
  using Steady = std::chrono::steady_clock;
  // While the store writes a batch no other can follow, so that fewer writes than this, or bytes
  // from peers, are not worth a wake-up: they wait for it to be durable, some 0.1 ms.
  static constexpr std::size_t kWorthATurn = 16;
  static constexpr std::size_t kBytesWorthATurn = 64u << 10;
  // A batch costs as much as some ten writes. Once so many came for the last one, the next waits
  // for as many, and peers' frames with it, but not for long. Who writes alone, or beside two
  // others, waits for nobody, and a read never does.
  static constexpr std::size_t kCrowd = 4;
  static constexpr std::chrono::milliseconds kCrowdPace{2};

  bool worth_a_turn() const;
  void run(Driver& driver);

  Engine& engine_;
  Clock& clock_;
  const std::size_t inbox_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Arrived> requests_;
  std::vector<gossip::NetEvent> events_;
  std::size_t writes_ = 0;       // of the requests
  bool reads_ = false;           // some of the others are there: they wait for nothing
  std::size_t event_bytes_ = 0;  // in frames
  bool busy_ = false;            // the store writes a batch
  bool released_ = false;        // it has come to the end of one
  bool owes_batch_ = false;      // Driver's
  std::size_t crowd_ = 1;        // a batch waits for so many writes
  Steady::time_point pace_at_;   // till then
  bool waiting_ = false;
  bool stopping_ = false, stops_soon_ = false;
  std::atomic<bool> failed_ = false, confirmed_ = false, may_leave_ = false, has_left_ = false;
  std::thread thread_;
};

}  // namespace holdfast::node
