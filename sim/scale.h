#pragma once
// How gossip grows with the number of replicas: one node in each of N regions, all of them writing;
// what an update costs in bytes, and how long after the last one all agree.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sim/report.h"

namespace holdfast::sim {

struct ScalePoint {
  std::uint32_t replicas = 0;
  std::uint64_t updates = 0;
  double gossip_bytes_per_update = 0;  // that nodes send: rows, acknowledgements
  double idle_bytes_per_second = 0;    // beside it, of one node: heartbeats
  double converged_ms = 0;             // after the last update was acknowledged
  std::string problem;                 // why these figures are none; empty: they are
  std::int64_t virtual_ms = 0;         // of the whole measurement
  std::uint64_t hash = 0;              // of all its events
};

// `replicas`: at least 2 each, ascending.
std::vector<ScalePoint> scale(const std::vector<std::uint32_t>& replicas, std::uint64_t seed,
                              const std::function<void(std::size_t done)>& on_progress);
Study study_of(const std::vector<ScalePoint>& points, std::uint64_t seed);

}  // namespace holdfast::sim
