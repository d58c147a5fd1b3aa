#include "sim/builtin_scenario.h"

#include <cstdint>

// Found on the include path, as headers are: its root is the repository's.
asm(R"(
  .pushsection .rodata
  .balign 8
  .hidden holdfast_scenario_size
  .globl holdfast_scenario_size
holdfast_scenario_size:
  .quad 2f - 1f
  .hidden holdfast_scenario
  .globl holdfast_scenario
holdfast_scenario:
1:
  .incbin "sim/scenarios/atlantic-cable.toml"
2:
  .popsection
)");

extern "C" {
extern const std::uint64_t holdfast_scenario_size;
extern const char holdfast_scenario[];
}

namespace holdfast::sim {

std::string_view builtin_scenario() { return {holdfast_scenario, holdfast_scenario_size}; }

}  // namespace holdfast::sim
