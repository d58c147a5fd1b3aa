#include "sim/routed_breaker.h"

#include <algorithm>

namespace holdfast::sim {

namespace {

Time until_of(const PlannedRoutedFault& fault, const RoutedWorld& world) {
  return world.now() + fault.for_ms * kMillisecond;
}

// Where SKUs belong from now on: some of them to another shard, by a range or by weights.
api::ShardMap moved_map(const RoutedWorld& world, const PlannedRoutedFault& fault, Random& random) {
  api::ShardMap next = world.map();
  if (fault.amount < 0.5) {
    next.shards[fault.shard].weight = random.chance(0.5) ? 0 : 300;
    if (random.chance(0.5)) next.ranges.clear();
    return next;
  }
  const std::vector<std::string>& skus = world.plan().skus;
  const std::size_t from = random.below(skus.size());
  next.ranges = {{.from = skus[from], .to = "", .shard = fault.shard}};
  if (from + 1 < skus.size() && random.chance(0.5))
    next.ranges[0].to = skus[from + 1 + random.below(skus.size() - from - 1)];
  return next;
}

bool has_to_move(const RoutedWorld& world, std::size_t shard, Machine& node) {
  if (!world.map().moving() || !node.lives()) return false;
  const auto& skus = world.plan().skus;
  return std::any_of(skus.begin(), skus.end(), [&](const std::string& sku) {
    const crdt::Product* product = node.engine().state().product(sku);
    return world.map().shard_of(sku) != shard && product != nullptr && product->stock.on_hand() > 0;
  });
}

}  // namespace

RoutedBreaker::RoutedBreaker(RoutedWorld& world)
    : world_(world), random_(world.plan().seed, "routed breaker") {
  world_.when_ended([this](std::size_t router) {
    world_.events().after(random_.between(1, 5'000) * kMillisecond,
                          [this, router] { world_.start_router(router); });
  });
}

void RoutedBreaker::schedule(Time begin) {
  for (const PlannedRoutedFault& fault : world_.plan().faults)
    world_.events().at(begin + fault.at_ms * kMillisecond, [this, &fault] { apply(fault); });
}

void RoutedBreaker::mend_all() {
  for (std::size_t i = 0; i < world_.routers(); ++i) {
    world_.tell(i);
    world_.router(i).end_as_it_likes();
    world_.start_router(i);
  }
  for (std::size_t shard = 0; shard < world_.shards(); ++shard)
    for (const std::size_t node : world_.nodes_of(shard)) {
      world_.shard(shard).node(node).resume();
      world_.shard(shard).node(node).start();
    }
}

void RoutedBreaker::apply(const PlannedRoutedFault& fault) {
  Machine& node = world_.shard(fault.shard).node(fault.node);
  const Time until = until_of(fault, world_);
  switch (fault.kind) {
    case RoutedFault::router_ends:
      return end_router(fault);
    case RoutedFault::router_ends_soon:
      return world_.router(fault.router).end_after(fault.calls);
    case RoutedFault::node_ends:
    case RoutedFault::power_loss:
      return end_node(fault);
    case RoutedFault::node_stands_still:
      node.pause();
      return world_.events().at(until, [&node] { node.resume(); });
    case RoutedFault::shard_away:
      return cut_shard(fault);
    case RoutedFault::cut:
      return cut(fault.router, fault.shard, fault.node, fault.one_way, until);
    case RoutedFault::lossy:
      return lose(fault);
    case RoutedFault::slow:
      return slow_down(fault);
    case RoutedFault::nodes_apart:
      return part_nodes(fault);
    case RoutedFault::slow_disk:
      node.disk().slow = 10 + 1000 * fault.amount;
      return world_.events().at(until, [&node] { node.disk().slow = 1; });
    case RoutedFault::new_map:
      return new_map();
    case RoutedFault::shards_move:
      return move_skus(fault);
    case RoutedFault::node_leaves:
      return leave(fault);
  }
}

void RoutedBreaker::end_router(const PlannedRoutedFault& fault) {
  world_.router(fault.router).end();
  world_.events().at(until_of(fault, world_),
                     [this, router = fault.router] { world_.start_router(router); });
}

void RoutedBreaker::end_node(const PlannedRoutedFault& fault) {
  Machine& node = world_.shard(fault.shard).node(fault.node);
  if (has_to_move(world_, fault.shard, node))
    world_.saw("a node ended with units that were to move");
  const bool silently = fault.kind == RoutedFault::power_loss;
  static constexpr PowerLoss kLosses[] = {PowerLoss::forgets, PowerLoss::tears, PowerLoss::keeps};
  node.crash(kLosses[random_.below(3)], silently);
  if (!silently) world_.calls().reset(fault.shard, fault.node);
  world_.events().at(until_of(fault, world_), [&node] {
    if (!node.was_retired()) node.start();
  });
}

// It waits for its open holds as long as the fault lasts, then hands them over, and ends by itself.
void RoutedBreaker::leave(const PlannedRoutedFault& fault) {
  World& shard = world_.shard(fault.shard);
  Machine& node = shard.node(fault.node);
  if (!node.lives() || node.paused() || world_.nodes_of(fault.shard).size() < 2) return;
  const bool has_units = has_to_move(world_, fault.shard, node);
  shard.http(shard.region_of(fault.node), fault.node,
             {"POST", "/v1/cluster/drain",
              R"({"wait_seconds":)" + std::to_string(fault.for_ms / 1'000) + "}", ""},
             [this, has_units](const api::Response& response) {
               if (response.status >= 300) return;
               world_.saw("a node left its shard");
               if (has_units) world_.saw("a node left while it had units to move");
             });
}

void RoutedBreaker::cut(std::size_t router, std::size_t shard, std::size_t node, bool one_way,
                        Time until) {
  Network& ways = world_.calls().ways();
  const Place here = world_.calls().place_of_router(router);
  const Place there = world_.calls().place_of_node(shard, node);
  ways.cut(there, here);
  if (!one_way) ways.cut(here, there);
  world_.events().at(until, [&ways, here, there, one_way] {
    ways.mend(there, here);
    if (!one_way) ways.mend(here, there);
  });
}

void RoutedBreaker::cut_shard(const PlannedRoutedFault& fault) {
  for (std::size_t router = 0; router < world_.routers(); ++router)
    for (std::size_t node = 0; node < world_.shard(fault.shard).nodes(); ++node)
      cut(router, fault.shard, node, fault.one_way, until_of(fault, world_));
}

void RoutedBreaker::lose(const PlannedRoutedFault& fault) {
  Lossy& lossy = world_.calls().lossy(fault.router);
  lossy = {0.2 * fault.amount, 0.2 * random_.unit(), 0.3 * random_.unit()};
  world_.events().at(until_of(fault, world_), [&lossy] { lossy = {}; });
}

void RoutedBreaker::slow_down(const PlannedRoutedFault& fault) {
  Network& ways = world_.calls().ways();
  const Place here = world_.calls().place_of_router(fault.router);
  const auto jitter = static_cast<Time>(fault.amount * fault.amount * 8 * kSecond);
  for (std::size_t node = 0; node < world_.shard(fault.shard).nodes(); ++node) {
    const Place there = world_.calls().place_of_node(fault.shard, node);
    for (Pair* pair : {&ways.pair(here, there), &ways.pair(there, here)}) {
      pair->jitter = jitter;
      world_.events().at(until_of(fault, world_), [pair] { pair->jitter = 0; });
    }
  }
}

void RoutedBreaker::part_nodes(const PlannedRoutedFault& fault) {
  if (fault.node == fault.other) return;
  Network& network = world_.shard(fault.shard).network();
  network.cut(fault.node, fault.other);
  network.cut(fault.other, fault.node);
  world_.events().at(until_of(fault, world_), [&network, a = fault.node, b = fault.other] {
    network.mend(a, b);
    network.mend(b, a);
  });
}

// The same shards and ranges under a higher version: what is under way goes on through it.
void RoutedBreaker::new_map() {
  api::ShardMap map = world_.map();
  ++map.version;
  world_.saw("a new version of the map came");
  world_.use(std::move(map));
}

// One router after the other hears of it; until then the others sell by the old map.
void RoutedBreaker::move_skus(const PlannedRoutedFault& fault) {
  if (world_.map().moving()) return;
  const absl::StatusOr<api::ShardMap> moving =
      api::begin_move(world_.map(), moved_map(world_, fault, random_));
  if (!moving.ok()) return world_.fail("map-refused", std::string(moving.status().message()));
  const auto& skus = world_.plan().skus;
  if (std::none_of(skus.begin(), skus.end(), [&](const std::string& sku) {
        return moving->shard_of(sku) != moving->shard_before(sku);
      }))
    return;
  world_.saw("SKUs moved to another shard");
  world_.set_map(*moving);
  for (std::size_t router = 0; router < world_.routers(); ++router)
    world_.events().after(random_.between(0, fault.for_ms) * kMillisecond,
                          [this, router] { world_.tell(router); });
}

}  // namespace holdfast::sim
