#pragma once
// The scenario that is compared when none is named: sim/scenarios/atlantic-cable.toml.

#include <string_view>

namespace holdfast::sim {

inline constexpr const char* kBuiltinScenarioName = "atlantic-cable.toml";
std::string_view builtin_scenario();  // lives as long as the program

}  // namespace holdfast::sim
