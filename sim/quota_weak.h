#pragma once
// A PN-counter that regions check and then lower, without rights: what it oversells.

#include <cstdint>

#include "sim/random.h"

#include <vector>

namespace holdfast::sim {

// The client loop of the bounded counter's prototype.
inline constexpr std::int64_t kThinkUsMin = 67'000, kThinkUsMax = 99'000;
inline constexpr std::int64_t kRefusedUs = 500'000;
inline constexpr std::int64_t kOperationUs = 3'000;
// How many operations a second one client asks for.
inline constexpr double kClientRate = 1e6 / ((kThinkUsMin + kThinkUsMax) / 2.0 + kOperationUs);

struct WeakRun {
  std::vector<std::vector<std::int64_t>> one_way_us;
  std::int64_t units = 0;
  std::uint32_t clients = 0;     // a region
  std::int64_t gossip_us = 0;    // a region tells of its sales this often; 0: of each at once
  std::int64_t more_lag_us = 0;  // on top of the way
};

// Units sold beyond those that there were, once no region believes that any is left.
std::int64_t run_weak(const WeakRun& run, std::uint64_t seed);

}  // namespace holdfast::sim
