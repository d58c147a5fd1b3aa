#include "node/runtime.h"

#include <pthread.h>

#include <algorithm>

namespace holdfast::node {

void Runtime::start(Driver& driver) {
  thread_ = std::thread([this, &driver] { run(driver); });
  pthread_setname_np(thread_.native_handle(), "engine");
}

void Runtime::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool Runtime::submit(std::vector<Request>&& requests) {
  const crdt::Instant at = clock_.now().instant;
  const auto reads = std::count_if(requests.begin(), requests.end(), [](const Request& request) {
    return std::holds_alternative<GetStock>(request.command) ||
           std::holds_alternative<GetAvailability>(request.command);
  });
  const bool sell = sells(requests);
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || !inbox_takes(inbox_max_, requests_.size(), requests.size(), sell))
      return false;
    const Steady::time_point now = Steady::now();
    const bool was_worth = crowd_.worth_a_turn(now);
    for (Request& request : requests) requests_.push_back({std::move(request), at});
    crowd_.came(requests.size() - static_cast<std::size_t>(reads), reads > 0);
    wake = waiting_ && !was_worth && crowd_.worth_a_turn(now);
  }
  if (wake) changed_.notify_one();
  return true;
}

void Runtime::on_net(std::vector<gossip::NetEvent>&& events) {
  std::size_t bytes = 0;
  for (const gossip::NetEvent& event : events)
    if (const auto* frame = std::get_if<gossip::FrameIn>(&event)) bytes += frame->bytes.size();
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const Steady::time_point now = Steady::now();
    const bool was_worth = crowd_.worth_a_turn(now);
    crowd_.came_from_peers(bytes);
    if (events_.empty()) {
      events_ = std::move(events);
    } else {
      std::move(events.begin(), events.end(), std::back_inserter(events_));
    }
    wake = waiting_ && !was_worth && crowd_.worth_a_turn(now);
  }
  if (wake) changed_.notify_one();
}

void Runtime::released() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    const Steady::time_point now = Steady::now();
    crowd_.store_is_free(now);
    wake = waiting_ && crowd_.worth_a_turn(now);
  }
  if (wake) changed_.notify_one();
}

void Runtime::stop_soon() {
  {
    const std::lock_guard lock(mutex_);
    stops_soon_ = true;
  }
  changed_.notify_one();
}

void Runtime::run(Driver& driver) {
  crdt::Instant wake_at = clock_.now().instant;
  bool checkpointing = false;
  Crowd::Turn last;
  for (;;) {
    std::vector<Arrived> requests;
    std::vector<gossip::NetEvent> events;
    bool stopping = false, submits = false;
    {
      std::unique_lock lock(mutex_);
      last.busy = !driver.takes_batch();
      crowd_.end_turn(last);
      const auto due = Steady::now() + std::min(wake_at - clock_.now().instant, crdt::Millis(1000));
      waiting_ = true;
      auto now = Steady::now();
      const auto ready = [&] {
        return (stopping_ && !checkpointing) || crowd_.worth_a_turn(now) || now >= due;
      };
      for (; !ready(); now = Steady::now())
        changed_.wait_until(lock, std::min(due, crowd_.look_again_at(now)));
      waiting_ = false;
      requests.swap(requests_);
      events.swap(events_);
      stopping = stopping_;
      submits = crowd_.begin_turn(now) || stopping;
      if (stops_soon_) engine_.set_stopping();
    }
    if (stopping && !checkpointing) {
      engine_.checkpoint_all();
      checkpointing = true;
    }
    const std::uint64_t batches = driver.batches();
    wake_at = driver.turn(std::move(requests), std::move(events), submits);
    last = {.submitted = driver.batches() != batches, .owes = driver.owes_batch()};
    confirmed_ = engine_.confirmed_by_all();
    has_left_ = engine_.has_left();
    may_leave_ = engine_.may_leave(clock_.now().instant);
    if (engine_.fatal()) {
      failed_ = true;
      return;
    }
    if (stopping && !engine_.checkpoint_active()) return;
  }
}

}  // namespace holdfast::node
