#pragma once
// Consistency, availability or performance? One scenario, the same customers and the same faults,
// through Holdfast and through its alternatives, side by side.

#include <string>
#include <vector>

#include "sim/scenario_run.h"

namespace holdfast::sim {

struct Alternative {
  std::string name, note;
  std::string policy;  // one of known_policies()
  bool with_allowance = false;
};
// What is compared, in the order of the table.
const std::vector<Alternative>& alternatives();
// Of an alternative that may oversell: share of each SKU's units.
inline constexpr double kAllowanceShare = 0.05;

// The scenario as the alternative has it.
Scenario with(Scenario scenario, const Alternative& alternative);

using OnAlternative = std::function<void(std::size_t number, Time done, Time of)>;
// Errors: as run().
absl::StatusOr<Comparison> compare(const Scenario& scenario, const OnAlternative& on_progress);

}  // namespace holdfast::sim
