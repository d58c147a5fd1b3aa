#pragma once
// The command line of the one binary, `holdfast`. Everything but `serve` is a client of running
// nodes, or
// (`dev`, the demo) starts them as processes of their own.

#include <functional>
#include <string>
#include <vector>

#include "node/command.h"

namespace CLI {
class App;
}

namespace holdfast::api {

// Shows how far something is that takes a while.
using CliProgress = std::function<void(const std::string&)>;

struct CliHooks {
  // Runs a node until it is told to stop; its result is the exit status.
  std::function<int(const std::string& config_path, const std::vector<std::string>& overrides)>
      serve;
  // What needs a data directory, not a node (node/store_commands.h).
  std::function<node::StoreReport(const std::string& data_dir, const std::string& to,
                                  const CliProgress&)>
      backup;
  std::function<node::StoreReport(const std::string& from, const std::string& data_dir,
                                  const CliProgress&)>
      restore;
  std::function<node::StoreReport(const std::string& data_dir, const CliProgress&)> verify;
  // Adds commands that api/ does not know: when one of them has been parsed, it sets the action.
  std::function<void(CLI::App& root, std::function<int()>& action)> add_commands;
  std::string version;  // as `holdfast --version` prints it
};

// Exit status: 0 done, 1 refused or failed (the reason is on stderr), 2 the command line is wrong.
int run_cli(int argc, char** argv, const CliHooks& hooks);

}  // namespace holdfast::api
