#include "sim/routed_plan.h"

#include <algorithm>
#include <array>

namespace holdfast::sim {

namespace {

constexpr const char* kFaultNames[] = {
    "a router ends",       "a router ends soon", "a node ends", "a node loses power",
    "a node stands still", "a shard is away",    "a cut",       "a lossy way",
    "a slow way",          "nodes apart",        "a slow disk", "a new map",
    "shards move",         "a node leaves"};
static_assert(std::size(kFaultNames) == kRoutedFaultKinds);

std::string name_of_shard(std::size_t shard) { return "s" + std::to_string(shard); }

void draw_shards(RoutedPlan& plan, Random& random) {
  const std::size_t count = 2 + random.below(3);
  plan.map.version = 1;
  for (std::size_t shard = 0; shard < count; ++shard) {
    const std::string name = name_of_shard(shard);
    WorldOptions options{.seed = Random(plan.seed, "shard", shard).next(),
                         .regions = {"a"},
                         .between_regions = random.between(5, 60) * kMillisecond,
                         .http_prefix = name + "-"};
    const std::size_t nodes = 1 + random.below(3);
    if (nodes > 1 && random.chance(0.5)) options.regions.emplace_back("b");
    for (std::size_t node = 0; node < nodes; ++node) {
      NodePlan one{.region = options.regions[node % options.regions.size()]};
      one.clock.rate = 1 + static_cast<double>(random.between(-50, 50)) * 1e-6;
      one.clock.wall_ms = random.between(-500, 500);
      options.nodes.push_back(std::move(one));
    }
    api::Shard entry{.name = name};  // all its nodes: the first may leave
    for (std::size_t node = 0; node < nodes; ++node)
      entry.nodes.push_back("http://" + name + "-http-" + std::to_string(node));
    plan.map.shards.push_back(std::move(entry));
    plan.shards.push_back(std::move(options));
  }
}

void draw_routers(RoutedPlan& plan, Random& random) {
  const std::size_t count = 1 + random.below(2);
  for (std::size_t i = 0; i < count; ++i) {
    api::RouterConfig config{.sweep_every = crdt::Millis(random.between(5'000, 30'000)),
                             .left_over_after = crdt::Millis(90'000)};
    if (random.chance(0.5)) {
      config.region = "a";
      config.fallback = {"b"};
    }
    plan.routers.push_back(std::move(config));
  }
}

void draw_skus(RoutedPlan& plan, Random& random) {
  const std::size_t count = 4 + random.below(12);
  for (std::size_t i = 0; i < count; ++i) plan.skus.push_back({'k', static_cast<char>('a' + i)});
  plan.opening_units = static_cast<std::uint32_t>(5 + random.below(30));
  if (random.chance(0.5)) return;
  const std::size_t from = random.below(count - 1);
  plan.map.ranges.push_back({.from = plan.skus[from],
                             .to = plan.skus[from + 1 + random.below(count - from - 1)],
                             .shard = random.below(plan.map.shards.size())});
}

RoutedOperation draw_cart(const RoutedPlan& plan, Random& random) {
  RoutedOperation cart{.ttl_seconds = static_cast<std::uint32_t>(
                           random.between(10, std::int64_t{kRoutedTtlSecondsMax})),
                       .wait_ms = random.chance(0.5) ? 250u : 0u};
  std::vector<std::string> skus = plan.skus;
  const std::size_t count = 1 + random.below(std::min<std::size_t>(5, skus.size()));
  for (std::size_t i = 0; i < count; ++i) {
    std::swap(skus[i], skus[i + random.below(skus.size() - i)]);
    cart.lines.push_back({skus[i], random.between(1, 4)});
  }
  const double end = random.unit();
  cart.end = end < 0.5   ? CartEnd::commit
             : end < 0.7 ? CartEnd::commit_lines
             : end < 0.9 ? CartEnd::release
                         : CartEnd::leave;
  cart.partial = random.chance(0.15);
  cart.extends = random.chance(0.15);
  cart.returns = random.chance(0.3);
  cart.twice = random.chance(0.15);
  cart.patience = random.chance(0.2) ? static_cast<std::uint32_t>(random.between(1, 3)) : 0;
  return cart;
}

void draw_operations(RoutedPlan& plan, Random& random) {
  const std::size_t count = 20 + random.below(50);
  for (std::size_t i = 0; i < count; ++i) {
    const double kind = random.unit();
    RoutedOperation operation;
    if (kind < 0.75) {
      operation = draw_cart(plan, random);
    } else if (kind < 0.85) {
      operation.kind = RoutedOperationKind::receipt;
      operation.lines = {{random.pick(plan.skus), random.between(1, 20)}};
    } else {
      operation.kind = RoutedOperationKind::read;
    }
    operation.id = "op-" + std::to_string(i);
    operation.at_ms = random.between(0, plan.end_ms);
    operation.seed = random.next();
    plan.operations.push_back(std::move(operation));
  }
}

void draw_faults(RoutedPlan& plan, Random& random) {
  constexpr std::size_t kKinds = kRoutedFaultKinds - 2;  // moves and leaves are drawn by themselves
  std::array<bool, kKinds> kept{};
  for (std::size_t kind = 0; kind < kKinds; ++kind) kept[kind] = random.chance(0.5);
  const std::size_t count = random.below(24);
  for (std::size_t i = 0; i < count; ++i) {
    // Every fourth is what nothing but routers can do: to end half-way.
    const std::size_t kind = random.chance(0.25)
                                 ? static_cast<std::size_t>(RoutedFault::router_ends_soon)
                                 : random.below(kKinds);
    PlannedRoutedFault fault{.at_ms = random.between(0, plan.end_ms),
                             .for_ms = static_cast<std::int64_t>(random.log_between(200, 25'000)),
                             .kind = static_cast<RoutedFault>(kind),
                             .router = random.below(plan.routers.size()),
                             .shard = random.below(plan.shards.size())};
    const std::size_t nodes = plan.shards[fault.shard].nodes.size();
    fault.node = random.below(nodes);
    fault.other = random.below(nodes);
    fault.calls = static_cast<std::uint32_t>(1 + random.below(12));
    fault.amount = random.unit();
    fault.one_way = random.chance(0.5);
    if (kept[kind]) plan.faults.push_back(fault);
  }
}

// Who hands units over ends meanwhile, and what was asked for just before is answered after it.
void draw_around_move(RoutedPlan& plan, std::int64_t at_ms, Random& random) {
  for (std::size_t i = random.below(3); i > 0; --i) {
    const std::size_t shard = random.below(plan.shards.size());
    plan.faults.push_back({.at_ms = at_ms + random.between(0, 1'000),
                           .for_ms = static_cast<std::int64_t>(random.log_between(200, 25'000)),
                           .kind = random.pick(std::vector<RoutedFault>{
                               RoutedFault::router_ends_soon, RoutedFault::node_ends,
                               RoutedFault::power_loss, RoutedFault::slow_disk}),
                           .router = random.below(plan.routers.size()),
                           .shard = shard,
                           .node = random.below(plan.shards[shard].nodes.size()),
                           .calls = static_cast<std::uint32_t>(1 + random.below(30)),
                           .amount = random.unit()});
  }
  for (std::size_t i = random.below(4); i > 0; --i)
    plan.operations.push_back({.at_ms = std::max<std::int64_t>(0, at_ms - random.between(0, 50)),
                               .kind = RoutedOperationKind::receipt,
                               .id = "receipt-" + std::to_string(i),
                               .lines = {{random.pick(plan.skus), random.between(1, 20)}},
                               .seed = random.next()});
}

// At most one: a call that is repeated once its SKUs' move has ended may be done twice.
void draw_move(RoutedPlan& plan, Random& random) {
  if (!random.chance(0.4)) return;
  const std::int64_t at_ms = random.between(0, plan.end_ms * 2 / 3);
  plan.faults.push_back({.at_ms = at_ms,
                         .for_ms = static_cast<std::int64_t>(random.log_between(200, 15'000)),
                         .kind = RoutedFault::shards_move,
                         .shard = random.below(plan.shards.size()),
                         .amount = random.unit()});
  draw_around_move(plan, at_ms, random);
}

// One node of some shards that have another; often while SKUs move, or soon before it dies.
void draw_leaves(RoutedPlan& plan, Random& random) {
  if (!random.chance(0.25)) return;
  for (std::size_t shard = 0; shard < plan.shards.size(); ++shard) {
    const std::size_t nodes = plan.shards[shard].nodes.size();
    if (nodes < 2 || random.chance(0.3)) continue;
    std::int64_t at_ms = random.between(0, plan.end_ms);
    for (const PlannedRoutedFault& fault : plan.faults)
      if (fault.kind == RoutedFault::shards_move && random.chance(0.5))
        at_ms =
            std::clamp<std::int64_t>(fault.at_ms + random.between(-2'000, 5'000), 0, plan.end_ms);
    const PlannedRoutedFault leaves{.at_ms = at_ms,
                                    .for_ms = random.between(0, 20'000),
                                    .kind = RoutedFault::node_leaves,
                                    .shard = shard,
                                    .node = random.below(nodes)};
    plan.faults.push_back(leaves);
    if (random.chance(0.7)) continue;
    PlannedRoutedFault dies = leaves;
    dies.kind = random.chance(0.5) ? RoutedFault::node_ends : RoutedFault::power_loss;
    dies.at_ms += random.between(1, 3'000);
    plan.faults.push_back(dies);
  }
}

void sort_by_time(RoutedPlan& plan) {
  const auto earlier = [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; };
  std::stable_sort(plan.faults.begin(), plan.faults.end(), earlier);
  std::stable_sort(plan.operations.begin(), plan.operations.end(), earlier);
}

template <typename Part>
void leave_out(std::vector<Part>& parts, const std::vector<std::uint32_t>& places) {
  std::uint32_t at = 0;
  std::erase_if(
      parts, [&](const Part&) { return std::binary_search(places.begin(), places.end(), at++); });
}

}  // namespace

RoutedPlan draw_routed_plan(std::uint64_t seed) {
  RoutedPlan plan{.seed = seed};
  Random world(seed, "routed world"), operations(seed, "routed operations"),
      faults(seed, "routed faults"), moves(seed, "routed moves"), leaves(seed, "routed leaves");
  draw_shards(plan, world);
  draw_routers(plan, world);
  draw_skus(plan, world);
  plan.end_ms = world.between(10'000, 60'000);
  draw_operations(plan, operations);
  draw_faults(plan, faults);
  draw_move(plan, moves);
  draw_leaves(plan, leaves);
  sort_by_time(plan);
  return plan;
}

void omit(RoutedPlan& plan, const Omissions& omissions) {
  leave_out(plan.faults, omissions.faults);
  leave_out(plan.operations, omissions.operations);
  if (omissions.end_ms) plan.end_ms = std::min(plan.end_ms, *omissions.end_ms);
  std::erase_if(plan.faults, [&](const auto& fault) { return fault.at_ms > plan.end_ms; });
  std::erase_if(plan.operations, [&](const auto& one) { return one.at_ms > plan.end_ms; });
  for (PlannedRoutedFault& fault : plan.faults)
    fault.for_ms = std::min(fault.for_ms, plan.end_ms - fault.at_ms);
}

std::string describe(const RoutedPlan& plan) {
  std::string text = std::to_string(plan.shards.size()) + " shards with";
  for (const WorldOptions& shard : plan.shards)
    text += " " + std::to_string(shard.nodes.size()) + "/" + std::to_string(shard.regions.size());
  text += " nodes/regions, " + std::to_string(plan.routers.size()) + " routers, " +
          std::to_string(plan.skus.size()) + " SKUs of " + std::to_string(plan.opening_units) +
          ", " + std::to_string(plan.end_ms) + " ms\n";
  for (const PlannedRoutedFault& fault : plan.faults)
    text += "fault at " + std::to_string(fault.at_ms) + " ms for " + std::to_string(fault.for_ms) +
            " ms: " + kFaultNames[static_cast<std::size_t>(fault.kind)] + ", router " +
            std::to_string(fault.router) + ", shard " + std::to_string(fault.shard) + ", node " +
            std::to_string(fault.node) + "\n";
  static constexpr const char* kEnds[] = {"committed", "committed by lines", "released", "left"};
  static constexpr const char* kKinds[] = {"cart", "receipt", "read"};
  for (const RoutedOperation& one : plan.operations) {
    text += "operation at " + std::to_string(one.at_ms) +
            " ms: " + kKinds[static_cast<std::size_t>(one.kind)] + " " + one.id;
    for (const node::Line& line : one.lines)
      text += " " + line.sku + "=" + std::to_string(line.quantity);
    if (one.kind == RoutedOperationKind::cart)
      text += std::string(", to be ") + kEnds[static_cast<std::size_t>(one.end)] +
              (one.twice ? ", each call twice" : "") + (one.partial ? ", in part if need be" : "");
    text += "\n";
  }
  return text;
}

}  // namespace holdfast::sim
