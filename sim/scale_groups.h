#pragma once
// What a reservation costs as a shop grows in two ways: with more nodes in one group (a shard), and
// with more shards of the same size. Routers, one in each region, spread carts of one line evenly
// over all SKUs; every cart is committed.
//
// Bytes are what nodes gossip beside their heartbeats. CPU is that of this process (its clock is
// handed in), less what the same idle time takes: nodes, routers, HTTP in words, and the simulation
// of disks and networks, some of it. It differs from run to run, as nothing else does.

#include <cstdint>
#include <functional>
#include <vector>

#include "sim/report.h"

namespace holdfast::sim {

struct GroupScaleOptions {
  std::vector<std::uint32_t> nodes{1, 2, 3, 5, 10};  // of a group, ascending: one shard each
  std::vector<std::uint32_t> shards{1, 4, 16};       // ascending; of 3 nodes, and 50 for 16
  std::uint64_t skus = 160'000;                      // with the most shards: as many in each
  std::uint32_t regions = 5;
  std::uint64_t seed = 1;
  std::function<double()> cpu_seconds;  // that this process has used so far
};

struct GroupPoint {
  std::uint32_t shards = 0, nodes = 0;  // nodes of all shards
  std::uint64_t skus = 0, reservations = 0;
  double bytes_per_reservation = 0;
  double cpu_us_per_reservation = 0;
  std::string problem;  // why these figures are none; empty: they are
  std::int64_t virtual_ms = 0;
  std::uint64_t events = 0;
};

struct GroupScale {
  std::vector<GroupPoint> by_nodes, by_shards;
};

GroupScale scale_groups(const GroupScaleOptions& options,
                        const std::function<void(std::size_t done, std::size_t of)>& on_progress);
// Its checks: bytes grow no faster than the peers of a node, and not with the shards. CPU is shown
// and not judged: a busy machine would fail it.
Study study_of(const GroupScale& scale, const GroupScaleOptions& options);

}  // namespace holdfast::sim
