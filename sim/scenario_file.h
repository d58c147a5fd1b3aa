#pragma once
// Edge: a scenario from its file, with the orders that it names.

#include <string>

#include "absl/status/statusor.h"
#include "sim/scenario.h"

namespace holdfast::sim {

// Complete and checked; ready to run. The orders' file is found relative to the scenario's folder.
// Errors: kNotFound (no such file) and kInvalidArgument; each says file, line and key, or file and
// reason. All of them are the user's to mend (exit status 2).
absl::StatusOr<Scenario> load_scenario(const std::string& path);

}  // namespace holdfast::sim
