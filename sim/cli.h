#pragma once
// Edge: `holdfast sim …`, the simulator's part of the command line.

#include <functional>

namespace CLI {
class App;
}

namespace holdfast::sim {

// Adds `sim` and its commands to `root`. When one of them has been parsed, `action` is what it asks
// for; its result is the exit status: 0 passed, 1 a violation (or nothing could be run), 2 wrong
// usage.
void add_sim(CLI::App& root, std::function<int()>& action);

}  // namespace holdfast::sim
