#include "sim/router_ways.h"

#include <algorithm>
#include <utility>

#include "sim/scenario_world.h"

namespace holdfast::sim {

RouterWays::RouterWays(Events& events, RouterCalls& calls, const Scenario& scenario)
    : events_(events),
      calls_(calls),
      scenario_(scenario),
      routers_(scenario.shards.routers * scenario.regions.size()) {
  for (Place router = 0; router < routers_; ++router)
    for (std::size_t node = 0; node < scenario.node_count(); ++node)
      for (const auto& [from, to] :
           {std::pair{router, routers_ + node}, std::pair{routers_ + node, router}}) {
        const ScenarioLink& link = scenario.link(region_of(from), region_of(to));
        Pair& pair = calls.ways().pair(from, to);
        pair.latency = link.one_way;
        pair.jitter = link.jitter;
      }
}

std::size_t RouterWays::region_of(Place place) const {
  return is_a_router(place) ? place / scenario_.shards.routers
                            : scenario_.region_of_node(place - routers_);
}

std::vector<Place> RouterWays::places(const std::vector<std::size_t>& nodes) const {
  std::vector<Place> all;
  for (Place router = 0; router < routers_; ++router) {
    bool whole = true;
    for (std::size_t node = 0; node < scenario_.node_count(); ++node)
      whole = whole && (scenario_.region_of_node(node) != region_of(router) ||
                        std::binary_search(nodes.begin(), nodes.end(), node));
    if (whole) all.push_back(router);
  }
  for (const std::size_t node : nodes) all.push_back(routers_ + node);
  return all;
}

std::vector<Place> RouterWays::places_to(const ScenarioEvent& event) const {
  std::vector<Place> to = places(event.to);
  if (!event.to_others) return to;
  std::erase_if(to, [&](Place place) { return is_a_router(place); });
  const std::vector<Place> from = places(event.from);
  for (Place router = 0; router < routers_; ++router)
    if (std::find(from.begin(), from.end(), router) == from.end()) to.push_back(router);
  return to;
}

void RouterWays::schedule(Time begin) {
  for (const ScenarioEvent& event : scenario_.events) {
    if (!is_of_ways(event.kind) || event.kind == EventKind::loss) continue;
    events_.at(begin + event.at, [this, &event] {
      open_.push_back(&event);
      apply(event, true);
    });
    if (!event.open_ended)
      events_.at(begin + event.end, [this, &event] {
        if (std::erase(open_, &event) > 0) apply(event, false);
      });
  }
}

void RouterWays::mend_all() {
  for (const ScenarioEvent* event : std::exchange(open_, {})) apply(*event, false);
}

void RouterWays::apply(const ScenarioEvent& event, bool begins) {
  for (const auto& [from, to] : pairs_of(places(event.from), places_to(event), event.both_ways))
    if (is_a_router(from) != is_a_router(to))
      change_way(calls_.ways(), event, scenario_.link(region_of(from), region_of(to)), from, to,
                 begins, events_.now());
}

std::uint64_t RouterWays::wan_bytes(std::size_t region) const {
  const std::size_t all = routers_ + scenario_.node_count();
  std::uint64_t bytes = 0;
  for (Place from = 0; from < all; ++from) {
    if (region_of(from) != region) continue;
    for (Place to = 0; to < all; ++to)
      if (region_of(to) != region) bytes += calls_.ways().bytes_sent(from, to);
  }
  return bytes;
}

}  // namespace holdfast::sim
