#pragma once
// Runtime (edge): the engine's thread and its bounded inbox.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "node/crowd.h"
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
  // False: full (inbox_takes), or stopping; nothing was taken, nor moved.
  bool submit(std::vector<Request>&& requests);
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

  void run(Driver& driver);

  Engine& engine_;
  Clock& clock_;
  const std::size_t inbox_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Arrived> requests_;
  std::vector<gossip::NetEvent> events_;
  Crowd crowd_;
  bool waiting_ = false;
  bool stopping_ = false, stops_soon_ = false;
  std::atomic<bool> failed_ = false, confirmed_ = false, may_leave_ = false, has_left_ = false;
  std::thread thread_;
};

}  // namespace holdfast::node
