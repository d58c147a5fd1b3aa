#pragma once
// Timeline: what happens when, in virtual microseconds. Of two things at one instant that which was
// put in first happens first. No threads, no real clock.

#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

namespace holdfast::sim {

class Timeline {
 public:
  std::int64_t now_us() const { return now_us_; }
  bool empty() const { return events_.empty(); }
  void after(std::int64_t us, std::function<void()> action) {
    events_.push({now_us_ + us, ++made_, std::move(action)});
  }
  // Requires: not empty.
  void step() {
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_us_ = event.at;
    event.action();
  }

 private:
  struct Event {
    std::int64_t at = 0;
    std::uint64_t order = 0;
    std::function<void()> action;
    bool operator<(const Event& other) const {  // the queue's top is its largest
      return std::pair(at, order) > std::pair(other.at, other.order);
    }
  };
  std::priority_queue<Event> events_;
  std::int64_t now_us_ = 0;
  std::uint64_t made_ = 0;
};

}  // namespace holdfast::sim
