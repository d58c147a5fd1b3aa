#pragma once
// A scenario's regions, network and timeline of faults, as a World has them.

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "sim/command_answers.h"
#include "sim/report.h"
#include "sim/scenario.h"
#include "sim/world.h"

namespace holdfast::sim {

bool puts_disks_back(const Scenario& scenario);
bool is_of_ways(EventKind kind);
// Every directed pair of an event's two sides, each once; the sides may overlap.
std::set<std::pair<Place, Place>> pairs_of(const std::vector<Place>& from,
                                           const std::vector<Place>& to, bool both_ways);
// Begins or ends an event of ways on one directed way; `healthy`: how it is else.
void change_way(Network& network, const ScenarioEvent& event, const ScenarioLink& healthy,
                Place from, Place to, bool begins, Time now);
WorldOptions world_of(const Scenario& scenario);
// Latencies, jitter, loss and bandwidth of every pair of places.
void set_links(World& world, const Scenario& scenario);

// Begins and ends the scenario's faults; commands of operators are the runner's.
class FaultTimeline {
 public:
  FaultTimeline(World& world, const Scenario& scenario) : world_(world), scenario_(scenario) {}

  void schedule(Time begin);
  // Every fault ends now, also those without an end.
  void mend_all();

 private:
  void apply(const ScenarioEvent& event, bool begins);
  void restart_forks();
  void change_ways(const ScenarioEvent& event, bool begins);
  void change_nodes(const ScenarioEvent& event, bool begins);
  // The places of an event's side: its nodes, and the customers of regions that it has whole.
  std::vector<Place> places(const std::vector<std::size_t>& nodes) const;

  World& world_;
  const Scenario& scenario_;
  std::vector<const ScenarioEvent*> open_;
  std::map<std::pair<const ScenarioEvent*, std::size_t>, Directory> copies_;  // by node
};

// Faults, commands and bursts, for people.
std::vector<FaultSpan> fault_spans(const Scenario& scenario, const CommandAnswers& answers);

}  // namespace holdfast::sim
