#pragma once
// Time as a value. The clocks have no now(): pure code that asks for the time does not compile.
// The edges (a real clock, the simulator) make these values; everything else is handed them.

#include <chrono>
#include <cstdint>

namespace holdfast::crdt {

using Millis = std::chrono::milliseconds;

template <typename Tag>
struct ClockWithoutNow {
  using duration = Millis;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<ClockWithoutNow>;
};

// Steady: never goes back while the process lives. Means nothing in another process.
using Instant = ClockWithoutNow<struct Steady>::time_point;
// Milliseconds since 1970, UTC. May jump. For people, and for ordering descriptions, not for stock.
using WallTime = ClockWithoutNow<struct Wall>::time_point;

struct Now {
  Instant instant;
  WallTime wall;
};

}  // namespace holdfast::crdt
