#include "sim/scenario.h"

#include <algorithm>

namespace holdfast::sim {

const std::vector<std::string>& known_policies() {
  static const std::vector<std::string> names = {"proportional", "square-root", "on-demand",
                                                 "static",       "central",     "weak"};
  return names;
}

bool policy_has_shards(const std::string& name) { return name != "central" && name != "weak"; }

const std::vector<std::string>& known_event_kinds() {
  static const std::vector<std::string> names = {
      "cut",     "slow",      "loss",         "clog",      "crash",         "pause",
      "restart", "disk_lost", "disk_slow",    "disk_full", "disk_put_back", "clock_step",
      "receive", "adjust",    "allow",        "grant",     "failover",      "retire",
      "join",    "drain",     "router_crash", "reshard"};
  return names;
}

const std::string& to_string(EventKind kind) {
  return known_event_kinds()[static_cast<std::size_t>(kind)];
}

bool Scenario::joins_later(std::size_t node) const {
  return std::any_of(events.begin(), events.end(), [&](const ScenarioEvent& event) {
    return event.kind == EventKind::join &&
           std::binary_search(event.nodes.begin(), event.nodes.end(), node);
  });
}

std::size_t Scenario::nodes_of_shard() const { return first_node(regions.size()); }

std::size_t Scenario::node_count() const { return nodes_of_shard() * shards.count(); }

std::size_t Scenario::first_node(std::size_t region) const {
  std::size_t count = 0;
  for (std::size_t r = 0; r < region; ++r) count += regions[r].nodes;
  return count;
}

std::size_t Scenario::region_of_node(std::size_t node) const {
  node %= nodes_of_shard();
  std::size_t region = 0;
  for (; node >= regions[region].nodes; ++region) node -= regions[region].nodes;
  return region;
}

std::string shard_name(std::size_t shard) { return "s" + std::to_string(shard + 1); }

std::string Scenario::node_name(std::size_t node) const {
  const std::size_t region = region_of_node(node);
  const std::string name =
      regions[region].name + "-" + std::to_string(node % nodes_of_shard() - first_node(region) + 1);
  return shards.count() == 1 ? name : shard_name(shard_of_node(node)) + "." + name;
}

// ── one shard of several ────────────────────────────────────────────────────────────────────────

std::optional<ScenarioEvent> Scenario::part_of(const ScenarioEvent& event,
                                               std::size_t shard) const {
  if (shards.count() == 1 && !routed()) return event;
  switch (event.kind) {
    case EventKind::receive:
    case EventKind::adjust:
    case EventKind::allow:
    case EventKind::grant:
    case EventKind::router_crash:
    case EventKind::reshard:
      return std::nullopt;
    case EventKind::failover:
      return event;
    default:
      break;
  }
  ScenarioEvent part = event;
  for (std::vector<std::size_t>* nodes : {&part.from, &part.to, &part.nodes}) {
    std::erase_if(*nodes, [&](std::size_t node) { return shard_of_node(node) != shard; });
    for (std::size_t& node : *nodes) node %= nodes_of_shard();
  }
  part.successor %= nodes_of_shard();
  const bool of_ways = !event.from.empty();
  if (of_ways ? part.from.empty() || part.to.empty() : part.nodes.empty()) return std::nullopt;
  return part;
}

Scenario Scenario::of_shard(std::size_t shard) const {
  Scenario one = *this;
  one.demand.orders.reset();
  one.shards = {};
  one.events.clear();
  for (const ScenarioEvent& event : events)
    if (auto part = part_of(event, shard)) one.events.push_back(*std::move(part));
  return one;
}

}  // namespace holdfast::sim
