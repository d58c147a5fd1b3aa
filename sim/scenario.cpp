#include "sim/scenario.h"

#include <algorithm>

namespace holdfast::sim {

const std::vector<std::string>& known_policies() {
  static const std::vector<std::string> names = {"proportional", "square-root", "on-demand",
                                                 "static",       "central",     "weak"};
  return names;
}

const std::vector<std::string>& known_event_kinds() {
  static const std::vector<std::string> names = {
      "cut",       "slow",      "loss",      "clog",          "crash",      "pause",   "restart",
      "disk_lost", "disk_slow", "disk_full", "disk_put_back", "clock_step", "receive", "adjust",
      "allow",     "grant",     "failover",  "retire",        "join",       "drain"};
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

std::size_t Scenario::node_count() const { return first_node(regions.size()); }

std::size_t Scenario::first_node(std::size_t region) const {
  std::size_t count = 0;
  for (std::size_t r = 0; r < region; ++r) count += regions[r].nodes;
  return count;
}

std::size_t Scenario::region_of_node(std::size_t node) const {
  std::size_t region = 0;
  for (; node >= regions[region].nodes; ++region) node -= regions[region].nodes;
  return region;
}

std::string Scenario::node_name(std::size_t node) const {
  const std::size_t region = region_of_node(node);
  return regions[region].name + "-" + std::to_string(node - first_node(region) + 1);
}

}  // namespace holdfast::sim
