#pragma once
// Virtual time: what is to happen, in the order of its time; at the same time in the order in which
// it was asked for. Nothing else makes time go on.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

namespace holdfast::sim {

using Time = std::int64_t;  // virtual microseconds since the run began
inline constexpr Time kMillisecond = 1'000;
inline constexpr Time kSecond = 1'000'000;
inline constexpr Time kNever = INT64_MAX;

class Events {
 public:
  using Action = std::function<void()>;

  Time now() const { return now_; }
  std::uint64_t done() const { return done_; }  // events carried out
  Time next_at() const { return heap_.empty() ? kNever : heap_.front().at; }

  // A time that has gone by means now.
  void at(Time when, Action action) {
    heap_.push_back({std::max(when, now_), ++made_, std::move(action)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Time delay, Action action) { at(now_ + delay, std::move(action)); }

  // The next event, if it is due by `limit`. False: none is, and it is `limit` now.
  bool step(Time limit) {
    if (next_at() > limit) {
      now_ = std::max(now_, limit);
      return false;
    }
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const Entry entry = std::move(heap_.back());
    heap_.pop_back();
    now_ = entry.at;
    ++done_;
    entry.action();
    return true;
  }

 private:
  struct Entry {
    Time at = 0;
    std::uint64_t number = 0;
    Action action;
  };
  static bool later(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at > b.at : a.number > b.number;
  }

  Time now_ = 0;
  std::uint64_t made_ = 0, done_ = 0;
  std::vector<Entry> heap_;
};

}  // namespace holdfast::sim
