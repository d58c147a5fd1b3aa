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

bool Runtime::worth_a_turn() const {
  if (reads_) return true;
  if (busy_)
    return writes_ >= kWorthATurn || (!events_.empty() && event_bytes_ >= kBytesWorthATurn);
  if ((released_ && owes_batch_) || writes_ >= crowd_) return true;
  return (writes_ > 0 || !events_.empty()) && (crowd_ == 1 || Steady::now() >= pace_at_);
}

bool Runtime::submit(std::vector<Request>&& requests) {
  const crdt::Instant at = clock_.now().instant;
  const auto reads = std::count_if(requests.begin(), requests.end(), [](const Request& request) {
    return std::holds_alternative<GetStock>(request.command) ||
           std::holds_alternative<GetAvailability>(request.command);
  });
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || requests_.size() + requests.size() > inbox_max_) return false;
    const bool was_worth = worth_a_turn();
    for (Request& request : requests) requests_.push_back({std::move(request), at});
    writes_ += requests.size() - static_cast<std::size_t>(reads);
    reads_ = reads_ || reads > 0;
    wake = waiting_ && !was_worth && worth_a_turn();
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
    const bool was_worth = worth_a_turn();
    event_bytes_ += bytes;
    if (events_.empty()) {
      events_ = std::move(events);
    } else {
      std::move(events.begin(), events.end(), std::back_inserter(events_));
    }
    wake = waiting_ && !was_worth && worth_a_turn();
  }
  if (wake) changed_.notify_one();
}

void Runtime::released() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    released_ = true;
    busy_ = false;
    pace_at_ = Steady::now() + kCrowdPace;
    wake = waiting_ && worth_a_turn();
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
  std::size_t gathered = 0;  // writes, for the next batch
  for (;;) {
    std::vector<Arrived> requests;
    std::vector<gossip::NetEvent> events;
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      const auto ready = [&] { return (stopping_ && !checkpointing) || worth_a_turn(); };
      busy_ = !driver.takes_batch();
      owes_batch_ = driver.owes_batch();
      const auto due = Steady::now() + std::min(wake_at - clock_.now().instant, crdt::Millis(1000));
      waiting_ = true;
      for (auto now = Steady::now(); !ready() && now < due; now = Steady::now()) {
        if (!busy_ && now >= pace_at_) crowd_ = 1;  // nobody came
        const auto pace = busy_ ? now + kCrowdPace : pace_at_;
        changed_.wait_until(lock, crowd_ > 1 ? std::min(due, pace) : due);
      }
      waiting_ = false;
      requests.swap(requests_);
      events.swap(events_);
      gathered += writes_;
      writes_ = event_bytes_ = 0;
      released_ = reads_ = false;
      stopping = stopping_;
      if (stops_soon_) engine_.set_stopping();
    }
    if (stopping && !checkpointing) {
      engine_.checkpoint_all();
      checkpointing = true;
    }
    const std::uint64_t batches = driver.batches();
    wake_at = driver.turn(std::move(requests), std::move(events));
    if (driver.batches() != batches) {
      const std::lock_guard lock(mutex_);
      crowd_ = gathered >= kCrowd ? gathered : 1;
      gathered = 0;
    }
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
