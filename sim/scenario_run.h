#pragma once
// Runs a scenario from its opening to its account. Pure: equal scenarios give equal reports, but
// for the real time that the caller puts in.

#include <functional>

#include "absl/status/statusor.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace holdfast::sim {

// What a failed check says of a run without a cart.
inline constexpr const char* kNobodyCame = "nobody came, so nothing was shown";

// Told now and then, with the virtual time that has been simulated.
using OnProgress = std::function<void(Time done, Time of)>;

// Requires: complete (scenario_orders.h). The invariants (checks.h) are checked all the time; one
// that breaks is a failed check of the report.
// Errors: kFailedPrecondition: the shop could not be opened under the scenario's conditions.
absl::StatusOr<Report> run(const Scenario& scenario, const OnProgress& on_progress = {});

}  // namespace holdfast::sim
