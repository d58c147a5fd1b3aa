#include "node/system_clock.h"

#include <chrono>

namespace holdfast::node {
namespace {

template <typename TimePoint>
crdt::Millis since_epoch(TimePoint time) {
  return std::chrono::duration_cast<crdt::Millis>(time.time_since_epoch());
}

}  // namespace

crdt::Now SystemClock::now() {
  return {.instant = crdt::Instant(since_epoch(std::chrono::steady_clock::now())),
          .wall = crdt::WallTime(since_epoch(std::chrono::system_clock::now()))};
}

}  // namespace holdfast::node
