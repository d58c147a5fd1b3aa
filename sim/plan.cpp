#include "sim/plan.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace holdfast::sim {

namespace {

constexpr std::int64_t kHour = 3'600'000;

std::vector<bool> draw_some(Random& random, std::size_t count) {
  std::vector<bool> some(count);
  for (std::size_t i = 0; i < count; ++i) some[i] = random.chance(0.5);
  return some;
}

void draw_world(Plan& plan) {
  Random random(plan.seed, "world");
  WorldOptions& world = plan.world;
  world.seed = Random(plan.seed, "run").next();
  const std::size_t regions = 1 + random.below(random.chance(0.2) ? 5 : 3);
  for (std::size_t r = 0; r < regions; ++r) {
    world.regions.push_back("r" + std::to_string(r));
    const std::size_t nodes = regions == 1 ? 1 + random.below(3) : 1 + random.below(2);
    for (std::size_t n = 0; n < nodes && world.nodes.size() < 6; ++n) {
      NodePlan node{.region = world.regions.back()};
      if (random.chance(0.5)) node.clock.rate = 1 + (random.unit() - 0.5) * 2e-3;
      if (random.chance(0.5)) node.clock.wall_ms = random.between(-5'000, 5'000);
      node.disk.write = static_cast<Time>(random.log_between(50, 20'000));
      world.nodes.push_back(node);
    }
  }
  world.within_region = static_cast<Time>(random.log_between(50, 2'000));
  world.between_regions = static_cast<Time>(random.log_between(500, 150'000));
  world.client_latency = static_cast<Time>(random.log_between(50, 5'000));
  world.heartbeat = crdt::Millis(random.pick(std::vector<int>{500, 1000, 2000}));
  world.suspect_after = world.heartbeat * random.between(3, 6);
  world.push = crdt::Millis(random.between(0, 50));
  world.relay_after = crdt::Millis(random.chance(0.3) ? 0 : random.between(1, 2'000));
  world.checkpoint_bytes =
      random.chance(0.7) ? static_cast<std::uint64_t>(random.log_between(200, 20'000)) : 64u << 20;
  // Streams of their own: what a seed drew before stays as it was.
  Random sizes(plan.seed, "sizes");
  if (sizes.chance(0.6)) {
    world.piece_bytes = static_cast<std::size_t>(sizes.log_between(100, 256 << 10));
    world.window_bytes = static_cast<std::size_t>(
        sizes.log_between(static_cast<double>(world.piece_bytes), 1 << 20));
  }
  Random policies(plan.seed, "policy");
  world.rebalance.policy = node::find_policy(policies.pick(node::policy_names()));
  world.rebalance.cooldown = crdt::Millis(policies.between(100, 5'000));
  world.rebalance.gather_below = policies.between(0, 20);
  world.rebalance.window =
      crdt::Millis(static_cast<std::int64_t>(policies.log_between(10'000, 600'000)));
  Random purges(plan.seed, "purge");
  if (purges.chance(0.3))
    world.keep_finished =
        crdt::Millis(static_cast<std::int64_t>(purges.log_between(30'000, 600'000)));
  world.open_holds_max = random.chance(0.1) ? 3 : 5'000'000;
}

// Times come in bursts: things that happen close together are what breaks.
class Bursts {
 public:
  Bursts(Random& random, std::int64_t end_ms) : random_(random), end_ms_(end_ms) {
    const auto count = static_cast<std::size_t>(random.log_between(3, 40));
    for (std::size_t i = 0; i < count; ++i) centers_.push_back(random.between(0, end_ms));
    width_ms_ = random.log_between(5, 20'000);
  }
  std::int64_t draw(double spread = 1) {
    if (random_.chance(0.1)) return random_.between(0, end_ms_);
    const double away = random_.exponential(width_ms_ * spread);
    return std::clamp<std::int64_t>(random_.pick(centers_) + static_cast<std::int64_t>(away), 0,
                                    end_ms_);
  }

 private:
  Random& random_;
  std::int64_t end_ms_;
  double width_ms_;
  std::vector<std::int64_t> centers_;
};

void draw_operations(Plan& plan, Random& random, Bursts& bursts) {
  const std::vector<bool> some = draw_some(random, kOperationKinds);
  static constexpr std::array<int, kOperationKinds> kWeights = {4, 2, 2, 3, 10, 4, 6,
                                                                3, 2, 3, 2, 3,  4};
  std::vector<OperationKind> menu;
  for (std::size_t kind = 0; kind < kOperationKinds; ++kind) {
    const auto as_kind = static_cast<OperationKind>(kind);
    const bool always = as_kind == OperationKind::receive || as_kind == OperationKind::reserve;
    if (always || some[kind]) menu.insert(menu.end(), kWeights[kind], as_kind);
  }
  const auto count = static_cast<std::size_t>(random.log_between(30, 800));
  const bool one_node = random.chance(0.1);
  for (std::size_t i = 0; i < count; ++i)
    plan.operations.push_back({.at_ms = bursts.draw(),
                               .kind = random.pick(menu),
                               .node = one_node ? 0 : random.below(plan.world.nodes.size()),
                               .x = static_cast<std::uint32_t>(random.below(1'000'000)),
                               .y = static_cast<std::uint32_t>(random.below(1'000'000))});
  // Something to sell from the beginning.
  for (std::size_t sku = 0; sku < plan.skus; ++sku)
    plan.operations.push_back({.kind = OperationKind::receive,
                               .node = random.below(plan.world.nodes.size()),
                               .x = static_cast<std::uint32_t>(sku),
                               .y = static_cast<std::uint32_t>(random.below(60))});
  std::stable_sort(plan.operations.begin(), plan.operations.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

void draw_faults(Plan& plan, Random& random, Bursts& bursts) {
  std::vector<FaultKind> menu;
  const std::vector<bool> some = draw_some(random, kFaultKinds);
  for (std::size_t kind = 0; kind < kFaultKinds; ++kind)
    if (some[kind]) menu.push_back(static_cast<FaultKind>(kind));
  const bool none = menu.empty() || random.chance(0.05);
  const auto count = none ? 0 : static_cast<std::size_t>(random.log_between(1, 40));
  for (std::size_t i = 0; i < count; ++i) {
    PlannedFault fault{.at_ms = bursts.draw(0.5),
                       .for_ms = static_cast<std::int64_t>(random.log_between(5, 300'000)),
                       .kind = random.pick(menu),
                       .a = random.below(plan.world.nodes.size()),
                       .b = random.below(plan.world.nodes.size()),
                       .amount = random.unit(),
                       .one_way = random.chance(0.4)};
    fault.for_ms = std::min(fault.for_ms, plan.end_ms - fault.at_ms);
    plan.faults.push_back(fault);
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

// What decrees are for: a node falls silent with holds of its own, is declared lost or retired by
// another, and its customers go on elsewhere; it may be alive all the time, and comes back.
void draw_outage(Plan& plan, Random& random, std::vector<PlannedFault>& drawn) {
  const std::size_t nodes = plan.world.nodes.size();
  const std::size_t lost = random.below(nodes);
  const std::size_t issuer = (lost + 1 + random.below(nodes - 1)) % nodes;
  const std::int64_t from = random.between(0, std::max<std::int64_t>(0, plan.end_ms - 60'000));
  const auto takes = static_cast<std::int64_t>(random.log_between(15'000, 240'000));
  const std::int64_t until = std::min(plan.end_ms, from + takes);
  const auto number = [&] { return static_cast<std::uint32_t>(random.below(1'000'000)); };
  static constexpr std::array<FaultKind, 3> kSilences = {FaultKind::isolate, FaultKind::power_loss,
                                                         FaultKind::cut};
  const FaultKind silence = kSilences[random.below(3)];
  for (std::size_t other = 0; other < nodes; ++other)
    if (other != lost && (silence == FaultKind::cut || other == issuer))
      drawn.push_back({.at_ms = from,
                       .for_ms = until - from,
                       .kind = silence,
                       .a = lost,
                       .b = other,
                       .amount = 0.6});
  drawn.push_back({.at_ms = random.between(from, std::min(until, from + 30'000)),
                   .kind = random.chance(0.75) ? FaultKind::failover : FaultKind::retire,
                   .a = lost,
                   .b = issuer,
                   .c = (lost + 1 + random.below(nodes - 1)) % nodes,
                   .amount = random.unit(),
                   .one_way = random.chance(0.7)});
  const std::uint64_t carts = 1 + random.below(8);
  for (std::uint64_t i = 0; i < carts; ++i)
    plan.operations.push_back(
        {.at_ms = std::max<std::int64_t>(0, from - random.between(0, 3'000)),
         .kind = random.chance(0.7) ? OperationKind::reserve : OperationKind::reserve_cart,
         .node = lost,
         .x = number(),
         .y = number()});
  static constexpr std::array<OperationKind, 6> kVerbs = {
      OperationKind::commit, OperationKind::commit,  OperationKind::commit_part,
      OperationKind::extend, OperationKind::release, OperationKind::give_back};
  const std::uint64_t verbs = 2 + random.below(25);
  for (std::uint64_t i = 0; i < verbs; ++i)
    plan.operations.push_back({.at_ms = random.between(from, until),
                               .kind = kVerbs[random.below(kVerbs.size())],
                               .node = random.below(nodes),
                               .x = number(),
                               .y = number()});
  if (random.chance(0.7)) plan.ttl_seconds_max = std::max<std::uint32_t>(plan.ttl_seconds_max, 120);
}

// Decrees, and the same request at two nodes: in a third of the seeds, from a stream of its own.
// They come soon after something broke, as operators do, or a customer's second try.
void draw_decrees(Plan& plan) {
  Random random(plan.seed, "decrees");
  if (plan.world.nodes.size() < 2 || !random.chance(0.4)) return;
  const std::vector<bool> some = draw_some(random, kOperatorKinds);
  const auto near_a_fault = [&] {
    if (plan.faults.empty() || random.chance(0.2)) return random.between(0, plan.end_ms);
    const std::int64_t away = static_cast<std::int64_t>(random.log_between(10, 60'000));
    return std::min(plan.end_ms, random.pick(plan.faults).at_ms + away);
  };
  std::vector<PlannedFault> drawn;
  const auto count = static_cast<std::size_t>(random.log_between(1, 9));
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t kind = random.below(kOperatorKinds);
    PlannedFault fault{.at_ms = near_a_fault(),
                       .kind = static_cast<FaultKind>(kFaultKinds + kind),
                       .a = random.below(plan.world.nodes.size()),
                       .b = random.below(plan.world.nodes.size()),
                       .c = random.below(plan.world.nodes.size()),
                       .amount = random.unit(),
                       .one_way = random.chance(0.5)};
    if (some[kind]) drawn.push_back(fault);
  }
  if (random.chance(0.6)) draw_outage(plan, random, drawn);
  plan.faults.insert(plan.faults.end(), drawn.begin(), drawn.end());
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
  const bool keys = random.chance(0.5), ids = random.chance(0.5);
  const auto twice = static_cast<std::size_t>(random.log_between(1, 30));
  for (std::size_t i = 0; i < twice; ++i) {
    const bool is_key = random.chance(0.5);
    PlannedOperation one{
        .at_ms = near_a_fault(),
        .kind = is_key ? OperationKind::receive_twice : OperationKind::reserve_twice,
        .node = random.below(plan.world.nodes.size()),
        .x = static_cast<std::uint32_t>(random.below(1'000'000)),
        .y = static_cast<std::uint32_t>(random.below(1'000'000))};
    if (is_key ? keys : ids) plan.operations.push_back(one);
  }
  std::stable_sort(plan.operations.begin(), plan.operations.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

// Two that cannot reach each other are each told that the other is gone for good; from a stream of
// its own.
void draw_ring(Plan& plan) {
  Random random(plan.seed, "rings");
  const std::size_t nodes = plan.world.nodes.size();
  if (nodes < 2 || !random.chance(0.05)) return;
  const std::size_t one = random.below(nodes);
  const std::size_t other = (one + 1 + random.below(nodes - 1)) % nodes;
  const std::int64_t from = random.between(0, std::max<std::int64_t>(0, plan.end_ms - 60'000));
  const std::int64_t takes =
      std::min(plan.end_ms - from, static_cast<std::int64_t>(random.log_between(15'000, 240'000)));
  plan.faults.push_back(
      {.at_ms = from, .for_ms = takes, .kind = FaultKind::cut, .a = one, .b = other});
  for (const auto& [a, b] : {std::pair(one, other), std::pair(other, one)})
    plan.faults.push_back({.at_ms = random.between(from, from + takes),
                           .kind = FaultKind::retire,
                           .a = a,
                           .b = b,
                           .c = b,
                           .amount = random.unit(),
                           .one_way = random.chance(0.7)});
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

// A data directory that is put back, or copied and used twice: in a third of the seeds, from a
// stream of its own. Mostly it is cut off for a while then, and its customers go on.
void draw_copies(Plan& plan) {
  Random random(plan.seed, "copies");
  const std::size_t nodes = plan.nodes;
  if (nodes < 2 || !random.chance(0.35)) return;
  plan.world.keeps_bases = true;
  for (std::size_t node = 1; node < nodes; ++node)
    plan.world.nodes[node].requires_peer = random.chance(0.25);
  const bool clones = random.chance(0.5);
  const std::uint64_t count = 1 + random.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    const bool clone = clones && i == 0;
    const std::int64_t at = random.between(1'000, std::max<std::int64_t>(1'000, plan.end_ms));
    const auto age = static_cast<std::int64_t>(random.log_between(1, 600'000));
    PlannedFault fault{.at_ms = at,
                       .for_ms = static_cast<std::int64_t>(random.log_between(100, 60'000)),
                       .kind = clone ? FaultKind::clone : FaultKind::rollback,
                       .a = random.below(nodes),
                       .b = clone ? nodes : random.below(nodes),
                       .amount = random.unit(),
                       .one_way = random.chance(clone ? 0.5 : 0.2),
                       .copied_ms = std::max<std::int64_t>(0, at - age)};
    // A machine that stands still is copied, as by a snapshot of it: the original has written
    // nothing since when it goes on.
    if (Random still(plan.seed, "copied while it stands still"); clone && still.chance(0.3)) {
      fault.copied_ms = at;
      plan.faults.push_back(
          {.at_ms = std::max<std::int64_t>(0, at - 1),
           .for_ms = std::min(static_cast<std::int64_t>(still.log_between(1'000, 60'000)),
                              plan.end_ms - at),
           .kind = FaultKind::pause,
           .a = fault.a});
    }
    fault.for_ms = std::min(fault.for_ms, plan.end_ms - fault.at_ms);
    plan.faults.push_back(fault);
    const std::size_t alone = clone && random.chance(0.5) ? nodes : fault.a;
    const auto cut_for = static_cast<std::int64_t>(random.log_between(5'000, 120'000));
    if (random.chance(0.7))
      for (std::size_t other = 0; other < nodes; ++other)
        if (other != alone && random.chance(0.8))
          plan.faults.push_back({.at_ms = std::max<std::int64_t>(0, at - random.between(0, 2'000)),
                                 .for_ms = std::min(cut_for, plan.end_ms - at),
                                 .kind = FaultKind::cut,
                                 .a = alone,
                                 .b = other});
    static constexpr std::array<OperationKind, 9> kActs = {
        OperationKind::reserve,     OperationKind::reserve, OperationKind::reserve_cart,
        OperationKind::commit,      OperationKind::commit,  OperationKind::release,
        OperationKind::commit_part, OperationKind::receive, OperationKind::grant};
    const std::uint64_t acts = 5 + random.below(40);
    const std::int64_t from = fault.copied_ms - 5'000, until = at + fault.for_ms + cut_for;
    for (std::uint64_t n = 0; n < acts; ++n)
      plan.operations.push_back(
          {.at_ms = std::clamp<std::int64_t>(random.between(from, until), 0, plan.end_ms),
           .kind = kActs[random.below(kActs.size())],
           .node = clone && random.chance(0.5) ? nodes : fault.a,
           .x = static_cast<std::uint32_t>(random.below(1'000'000)),
           .y = static_cast<std::uint32_t>(random.below(1'000'000))});
  }
  if (clones) {
    NodePlan spare = plan.world.nodes[random.below(nodes)];
    spare.spare = true;
    spare.requires_peer = random.chance(0.2);
    plan.world.nodes.push_back(spare);
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
  std::stable_sort(plan.operations.begin(), plan.operations.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

// Nodes that leave in good order, and are replaced; from a stream of its own.
void draw_drains(Plan& plan) {
  Random random(plan.seed, "drains");
  if (plan.nodes < 2 || !random.chance(0.12)) return;
  const std::uint64_t count = 1 + random.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::int64_t near = !plan.faults.empty() && random.chance(0.5)
                                  ? random.pick(plan.faults).at_ms - random.between(0, 3'000)
                                  : random.between(0, plan.end_ms);
    plan.faults.push_back({.at_ms = std::max<std::int64_t>(0, near),
                           .kind = FaultKind::drain,
                           .a = random.below(plan.nodes),
                           .amount = random.chance(0.5) ? 0 : random.unit()});
  }
  std::stable_sort(plan.faults.begin(), plan.faults.end(),
                   [](const auto& a, const auto& b) { return a.at_ms < b.at_ms; });
}

template <typename T>
void leave_out(std::vector<T>& items, const std::vector<std::uint32_t>& omitted) {
  std::vector<T> kept;
  for (std::size_t i = 0; i < items.size(); ++i)
    if (!std::binary_search(omitted.begin(), omitted.end(), static_cast<std::uint32_t>(i)))
      kept.push_back(items[i]);
  items = std::move(kept);
}

}  // namespace

Plan draw_plan(std::uint64_t seed) {
  Plan plan{.seed = seed};
  draw_world(plan);
  plan.nodes = plan.world.nodes.size();
  Random random(seed, "plan");
  plan.skus = 1 + random.below(random.chance(0.3) ? 5 : 2);
  plan.ttl_seconds_max = static_cast<std::uint32_t>(random.log_between(2, 300));
  // A few minutes to two hours; half an hour in the mean.
  plan.end_ms = static_cast<std::int64_t>(random.log_between(kHour / 30, 2 * kHour));
  Bursts bursts(random, plan.end_ms);
  draw_operations(plan, random, bursts);
  draw_faults(plan, random, bursts);
  draw_decrees(plan);
  draw_ring(plan);
  for (std::size_t i = 0; i < plan.world.nodes.size(); ++i)
    if (random.chance(0.6)) plan.core.push_back(i);
  if (plan.core.empty()) plan.core.push_back(random.below(plan.world.nodes.size()));
  draw_copies(plan);
  draw_drains(plan);
  return plan;
}

void omit(Plan& plan, const Omissions& omissions) {
  leave_out(plan.faults, omissions.faults);
  leave_out(plan.operations, omissions.operations);
  if (!omissions.end_ms || *omissions.end_ms >= plan.end_ms) return;
  plan.end_ms = *omissions.end_ms;
  std::erase_if(plan.faults, [&](const auto& fault) { return fault.at_ms > plan.end_ms; });
  std::erase_if(plan.operations, [&](const auto& one) { return one.at_ms > plan.end_ms; });
  for (PlannedFault& fault : plan.faults)
    fault.for_ms = std::min(fault.for_ms, plan.end_ms - fault.at_ms);
}

PlanSize plan_size(std::uint64_t seed) {
  const Plan plan = draw_plan(seed);
  return {.faults = static_cast<std::uint32_t>(plan.faults.size()),
          .operations = static_cast<std::uint32_t>(plan.operations.size()),
          .end_ms = plan.end_ms};
}

const char* name_of(FaultKind kind) {
  static constexpr std::array<const char*, kAllFaultKinds> kNames = {
      "crash",          "power loss",
      "pause",          "cut",
      "isolate region", "swizzle",
      "lossy",          "slow link",
      "narrow link",    "clog",
      "reset links",    "slow disk",
      "failing disk",   "full disk",
      "lost disk",      "wall clock step",
      "failover",       "failover of a region",
      "retire",         "rollback",
      "clone",          "drain"};
  return kNames[static_cast<std::size_t>(kind)];
}

const char* name_of(OperationKind kind) {
  static constexpr std::array<const char*, kOperationKinds + kTwiceKinds> kNames = {
      "receive", "adjust",        "allow",
      "grant",   "reserve",       "reserve cart",
      "commit",  "commit part",   "commit at deadline",
      "release", "extend",        "give back",
      "read",    "receive twice", "reserve twice"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string describe_plan(std::uint64_t seed, const Omissions& omissions) {
  const Plan plan = draw_plan(seed);
  const auto left_out = [](const std::vector<std::uint32_t>& omitted, std::size_t number) {
    return std::binary_search(omitted.begin(), omitted.end(), static_cast<std::uint32_t>(number));
  };
  char line[256];
  std::snprintf(line, sizeof line,
                "%zu nodes in %zu regions, %zu SKUs, %.1f ms between regions, %.1f min\n",
                plan.world.nodes.size(), plan.world.regions.size(), plan.skus,
                static_cast<double>(plan.world.between_regions) / 1000,
                static_cast<double>(omissions.end_ms.value_or(plan.end_ms)) / 60'000);
  std::string text = line;
  const std::int64_t end_ms = omissions.end_ms.value_or(plan.end_ms);
  for (std::size_t i = 0; i < plan.faults.size(); ++i) {
    const PlannedFault& fault = plan.faults[i];
    if (left_out(omissions.faults, i) || fault.at_ms > end_ms) continue;
    std::snprintf(line, sizeof line,
                  "fault %zu: at %.3f s for %.3f s: %s, nodes %zu and %zu%s, amount %.2f\n", i,
                  static_cast<double>(fault.at_ms) / 1000, static_cast<double>(fault.for_ms) / 1000,
                  name_of(fault.kind), fault.a, fault.b, fault.one_way ? ", one way" : "",
                  fault.amount);
    text += line;
    if (fault.kind != FaultKind::rollback && fault.kind != FaultKind::clone) continue;
    text.pop_back();
    std::snprintf(line, sizeof line, ", copied at %.3f s\n",
                  static_cast<double>(fault.copied_ms) / 1000);
    text += line;
  }
  for (std::size_t i = 0; i < plan.operations.size(); ++i) {
    const PlannedOperation& one = plan.operations[i];
    if (left_out(omissions.operations, i) || one.at_ms > end_ms) continue;
    std::snprintf(line, sizeof line, "operation %zu: at %.3f s: %s at node %zu (%u, %u)\n", i,
                  static_cast<double>(one.at_ms) / 1000, name_of(one.kind), one.node, one.x, one.y);
    text += line;
  }
  return text;
}

}  // namespace holdfast::sim
