#include "sim/cli_scenarios.h"

#include <memory>
#include <string>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "api/cli_console.h"
#include "sim/cli_commands.h"
#include "sim/seed_numbers.h"

namespace holdfast::sim {
namespace {

using Action = std::function<int()>;

CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what,
                  const std::string& example) {
  CLI::App* app = parent.add_subcommand(name, what);
  app->footer("\nExample:\n  " + example);
  return app;
}

void add_json(CLI::App* app, bool& json) {
  app->add_flag("--json", json, "Print the result as JSON");
}

void add_run(CLI::App& sim, Action& action) {
  CLI::App* app =
      command(sim, "run", "Run a scenario: what happens to this shop if …",
              "holdfast sim run sim/scenarios/region-outage-at-peak.toml --report out.html");
  auto o = std::make_shared<RunOptions>();
  app->add_option("SCENARIO", o->scenario_path, "The scenario (TOML); sim/scenarios/ has some")
      ->required();
  app->add_option("--report", o->report_path, "Also write one HTML page with plots to this file");
  app->add_option("--policy", o->policy, "Another policy than the scenario's");
  app->add_option("--seed", o->seed, "Another seed than the scenario's")->check(check_seed);
  add_json(app, o->json);
  app->callback([o, &action] { action = [o] { return run_scenario(*o); }; });
}

void add_compare(CLI::App& sim, Action& action) {
  CLI::App* app =
      command(sim, "compare",
              "The same demand and faults through Holdfast and its alternatives: availability, "
              "oversell, latency, bytes",
              "holdfast sim compare");
  auto o = std::make_shared<CompareOptions>();
  app->add_option("SCENARIO", o->scenario_path, "The scenario (TOML); without: a built-in one");
  app->add_option("--report", o->report_path, "Also write one HTML page with plots to this file");
  app->add_option("--seed", o->seed, "Another seed than the scenario's")->check(check_seed);
  add_json(app, o->json);
  app->callback([o, &action] { action = [o] { return run_compare(*o); }; });
}

void add_papers(CLI::App& sim, Action& action) {
  CLI::App* app =
      command(sim, "papers", "Tables of papers, run again here beside the published figures",
              "holdfast sim papers feeds");
  auto o = std::make_shared<PapersOptions>();
  auto which = std::make_shared<std::string>();
  app->add_option("TABLE", *which,
                  "feeds (Enes et al., ICDE 2019) or quotas (Balegas et al., SRDS 2015); without: "
                  "both")
      ->check(CLI::IsMember({"feeds", "quotas"}));
  app->add_option("--seed", o->seed, "Of the workloads")->check(check_seed)->capture_default_str();
  add_json(app, o->json);
  app->callback([o, which, &action] {
    o->feeds = *which != "quotas";
    o->quotas = *which != "feeds";
    action = [o] { return run_papers(*o); };
  });
}

void add_scale(CLI::App& sim, Action& action) {
  CLI::App* app =
      command(sim, "scale", "Bytes per update and time to converge against the number of replicas",
              "holdfast sim scale --replicas 3,10,50");
  auto o = std::make_shared<ScaleOptions>();
  auto counts = std::make_shared<std::string>("3,5,10,20,50");
  app->add_option("--replicas", *counts, "How many, one run each: 2 to 200, like 3,10")
      ->capture_default_str();
  app->add_option("--seed", o->seed, "Of the workload")->check(check_seed)->capture_default_str();
  add_json(app, o->json);
  app->callback([o, counts, &action] {
    action = [o, counts] {
      auto replicas = parse_counts(*counts, 2, 200);
      if (!replicas.ok())
        return api::usage_error(
            absl::InvalidArgumentError("--replicas: " + std::string(replicas.status().message())));
      o->replicas = *std::move(replicas);
      return run_scale(*o);
    };
  });
}

void add_groups(CLI::App& sim, Action& action) {
  CLI::App* app = command(sim, "groups",
                          "Bytes gossiped and CPU per reservation against the nodes of a group and "
                          "the number of shards",
                          "holdfast sim groups --skus 1000000");
  auto o = std::make_shared<GroupsOptions>();
  auto nodes = std::make_shared<std::string>("1,2,3,5,10");
  auto shards = std::make_shared<std::string>("1,4,16");
  app->add_option("--nodes", *nodes, "Nodes of one group, one run each: 1 to 50")
      ->capture_default_str();
  app->add_option("--shards", *shards,
                  "Shards of three nodes, one run each: 1 to 64 (16: 50 nodes in all)")
      ->capture_default_str();
  app->add_option("--skus", o->skus, "With the most shards; fewer shards have as many in each")
      ->check(CLI::Range(1'000, 10'000'000))
      ->capture_default_str();
  app->add_option("--seed", o->seed, "Of the workload")->check(check_seed)->capture_default_str();
  add_json(app, o->json);
  app->callback([o, nodes, shards, &action] {
    action = [o, nodes, shards] {
      auto of_group = parse_counts(*nodes, 1, 50);
      if (!of_group.ok())
        return api::usage_error(
            absl::InvalidArgumentError("--nodes: " + std::string(of_group.status().message())));
      auto of_shards = parse_counts(*shards, 1, 64);
      if (!of_shards.ok())
        return api::usage_error(
            absl::InvalidArgumentError("--shards: " + std::string(of_shards.status().message())));
      o->nodes = *std::move(of_group);
      o->shards = *std::move(of_shards);
      return run_groups(*o);
    };
  });
}

}  // namespace

void add_scenarios(CLI::App& sim, std::function<int()>& action) {
  add_run(sim, action);
  add_compare(sim, action);
  add_papers(sim, action);
  add_scale(sim, action);
  add_groups(sim, action);
}

}  // namespace holdfast::sim
