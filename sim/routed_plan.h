#pragma once
// What a seed of shards and routers draws before anything runs: some small clusters and who routes
// to them, what customers do, and what breaks. About half of the kinds of faults are left out of
// each (as in plan.h).

#include <cstdint>
#include <string>
#include <vector>

#include "api/router.h"
#include "sim/seed_run.h"
#include "sim/world.h"

namespace holdfast::sim {

enum class RoutedFault : std::uint8_t {
  router_ends,        // with all that it had in memory; another one starts after the time
  router_ends_soon,   // after `calls` calls more that are no reads: between any two of them
  node_ends,          // a node's process
  power_loss,         // likewise, and nobody is told
  node_stands_still,  // and goes on with what it was asked meanwhile
  shard_away,         // no router reaches any of its nodes
  cut,                // between a router and a node; `one_way`: answers alone
  lossy,              // calls of a router are not sent, or lost, or their answers are
  slow,               // calls and answers of a router take long, and arrive after it gave them up
  nodes_apart,        // two nodes of a shard do not hear of one another
  slow_disk,          // a node's
  new_map,            // a map of a higher version comes, to one router after the other
  shards_move,        // the same, and some SKUs are in other shards from then on
  node_leaves,        // it is drained, and leaves for good; its peers have what it had
};
inline constexpr std::size_t kRoutedFaultKinds = 14;

struct PlannedRoutedFault {
  std::int64_t at_ms = 0, for_ms = 0;
  RoutedFault kind = RoutedFault::router_ends;
  std::size_t router = 0, shard = 0, node = 0, other = 0;
  std::uint32_t calls = 0;
  double amount = 0;  // 0 … 1, how bad it is
  bool one_way = false;
};

enum class RoutedOperationKind : std::uint8_t { cart, receipt, read };
enum class CartEnd : std::uint8_t { commit, commit_lines, release, leave };

// A cart with all that its customer will do to it, a receipt, or a read.
struct RoutedOperation {
  std::int64_t at_ms = 0;
  RoutedOperationKind kind = RoutedOperationKind::cart;
  std::string id;                 // of the cart; the key of a receipt
  std::vector<node::Line> lines;  // likewise what is received: one
  std::uint32_t ttl_seconds = 60, wait_ms = 0;
  CartEnd end = CartEnd::commit;
  bool partial = false, extends = false, returns = false;
  bool twice = false;  // each call is sent to two routers at once
  std::uint32_t patience =
      0;                   // so many calls without a clear answer, and the customer goes; 0: none
  std::uint64_t seed = 0;  // of what is drawn on the way
};

struct RoutedPlan {
  std::uint64_t seed = 0;
  std::vector<WorldOptions> shards;
  std::vector<api::RouterConfig> routers;
  api::ShardMap map;
  std::vector<std::string> skus;
  std::uint32_t opening_units = 10;         // of each SKU
  std::vector<PlannedRoutedFault> faults;   // ascending by time
  std::vector<RoutedOperation> operations;  // likewise
  std::int64_t end_ms = 0;                  // of faults, and of new operations
};

inline constexpr std::uint32_t kRoutedTtlSecondsMax = 150;

RoutedPlan draw_routed_plan(std::uint64_t seed);
void omit(RoutedPlan& plan, const Omissions& omissions);
std::string describe(const RoutedPlan& plan);  // a line for the whole, and one for each part of it

}  // namespace holdfast::sim
