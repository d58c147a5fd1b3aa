#pragma once
// How commands and their options are declared: what the files that do so share.

#include <functional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "api/cli_bench.h"
#include "api/cli_commands.h"
#include "api/cli_console.h"
#include "api/cli_dev.h"
#include "api/cli_drill.h"
#include "api/cli_plan.h"
#include "api/cli_replay.h"
#include "api/cli_store.h"
#include "api/cli_shards.h"
#include "api/router_process.h"

namespace holdfast::api {

// What the command line asks for; run once everything has been parsed.
using Action = std::function<int()>;

// Where the options of every command live until the action has run.
struct Arguments {
  NodeOptions node;
  PageOptions page;
  DevOptions dev;
  ReplayOptions replay;
  DemoOptions demo;
  SkuPut sku_put;
  UnitsCall units;
  ReservationPut reservation_put;
  ReservationVerb reservation;
  FaultSet fault;
  DrainCall drain;
  DecreeCall decree;
  DrillOptions drill;
  BenchOptions bench;
  PlanOptions plan;
  RouteOptions route;
  ShardsCall shards;
  StoreOptions store;
  std::string serve_config;
  std::vector<std::string> serve_set;
  std::string name, prefix, state, sku;
  std::vector<std::string> skus;
  Action action;
};

CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what,
                  const std::string& example);
void add_url(CLI::App* app, Arguments& a);
// A command that asks one node.
CLI::App* node_command(CLI::App& parent, Arguments& a, const std::string& name,
                       const std::string& what, const std::string& example, Action action);
// Regions, nodes, ports and settings of a cluster on this machine.
void add_local_cluster(CLI::App* app, LocalClusterOptions& cluster);

// An option that may be given several times, with one value each.
template <typename Values>
CLI::Option* repeated(CLI::App* app, const std::string& name, Values& values,
                      const std::string& what) {
  return app->add_option(name, values, what)->allow_extra_args(false);
}

// cluster, region, replica, drill.
void add_operating(CLI::App& root, Arguments& a);
void add_bench(CLI::App& root, Arguments& a);
void add_plan(CLI::App& root, Arguments& a);
// backup, restore, verify.
void add_store_commands(CLI::App& root, Arguments& a, const CliHooks& hooks);

}  // namespace holdfast::api
