#pragma once
// The ways between routers and nodes in a scenario: latencies as between their regions, and the
// faults of ways. A router is cut off, slowed down or clogged as its region is, if that is so in
// every shard; else it is one of the others, from which a node or shard may be cut off. Losses of
// frames are the network's below HTTP.

#include <cstdint>
#include <vector>

#include "sim/router_calls.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class RouterWays {
 public:
  RouterWays(Events& events, RouterCalls& calls, const Scenario& scenario);

  void schedule(Time begin);
  void mend_all();
  std::uint64_t wan_bytes(std::size_t region) const;  // from there to elsewhere, so far

 private:
  void apply(const ScenarioEvent& event, bool begins);
  bool is_a_router(Place place) const { return place < routers_; }
  std::size_t region_of(Place place) const;
  // Of an event's side: its nodes, and the routers of regions that it has whole.
  std::vector<Place> places(const std::vector<std::size_t>& nodes) const;
  std::vector<Place> places_to(const ScenarioEvent& event) const;

  Events& events_;
  RouterCalls& calls_;
  const Scenario& scenario_;
  std::size_t routers_ = 0;
  std::vector<const ScenarioEvent*> open_;
};

}  // namespace holdfast::sim
