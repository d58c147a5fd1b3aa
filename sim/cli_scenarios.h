#pragma once
// Edge: options of `sim run`, `sim compare`, `sim papers` and `sim scale`, see cli_commands.h.

#include <functional>

namespace CLI {
class App;
}

namespace holdfast::sim {

// As add_sim() (cli.h), below the command `sim`.
void add_scenarios(CLI::App& sim, std::function<int()>& action);

}  // namespace holdfast::sim
