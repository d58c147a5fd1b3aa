// cluster, region, replica, drill: their options; and what all files of options share.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "api/cli_options.h"

namespace holdfast::api {

CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what,
                  const std::string& example) {
  CLI::App* app = parent.add_subcommand(name, what);
  app->footer("\nExample:\n  " + example);
  return app;
}

void add_url(CLI::App* app, Arguments& a) {
  app->add_option("--url", a.node.url, "A node of the cluster (environment: HOLDFAST_URL)")
      ->capture_default_str();
}

// A command that asks one node.
CLI::App* node_command(CLI::App& parent, Arguments& a, const std::string& name,
                       const std::string& what, const std::string& example, Action action) {
  CLI::App* app = command(parent, name, what, example);
  add_url(app, a);
  app->add_flag("--json", a.node.json, "Print the node's answer as JSON");
  // `cluster` has commands of its own: theirs are called first, and stand.
  app->callback([&a, action] {
    if (!a.action) a.action = action;
  });
  return app;
}

void add_local_cluster(CLI::App* app, LocalClusterOptions& cluster) {
  app->add_option("--regions", cluster.regions, "Names of the regions")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  app->add_option("--nodes", cluster.nodes_per_region, "Nodes per region")->capture_default_str();
  app->add_option("--http-port", cluster.http_port, "Node k (from 0) answers HTTP at this port + k")
      ->capture_default_str();
  app->add_option("--gossip-port", cluster.gossip_port, "… and gossips at this port + k")
      ->capture_default_str();
  repeated(app, "--set", cluster.overrides, "section.key=value, for every node; may be repeated");
}

namespace {

// CLI::Range lets "nan" pass.
CLI::Validator share(double least) {
  return CLI::Validator(
      [least](std::string& text) {
        double value = 0;
        if (CLI::detail::lexical_cast(text, value) && value >= least && value <= 1) return "";
        return least == 0 ? "must be a number from 0 to 1" : "must be a number above 0, at most 1";
      },
      least == 0 ? "FLOAT in [0 - 1]" : "FLOAT in (0 - 1]");
}

void add_cluster(CLI::App& root, Arguments& a) {
  auto* cluster = node_command(root, a, "cluster", "Show the nodes as one of them sees them",
                               "holdfast cluster --url http://127.0.0.1:8081",
                               [&a] { return cluster_show(a.node); });
  auto* drain = node_command(
      *cluster, a, "drain",
      "Let a node leave in good order: its rights, its open holds and new requests go to another "
      "of its region, and its process ends",
      "holdfast cluster drain --url http://127.0.0.1:8083 --wait 900",
      [&a] { return cluster_drain(a.node, a.drain); });
  drain->add_option("--successor", a.drain.successor,
                    "Who goes on with what it has: a node's name, or a replica id (the nearest)");
  drain->add_option("--wait", a.drain.wait_seconds,
                    "Seconds for its open holds to end; those that are left are handed over (0)")
      ->check(CLI::Range(0, 7 * 24 * 3600));
  drain->add_flag("--cancel", a.drain.cancel, "It stays; what it has given is not taken back")
      ->excludes("--successor")
      ->excludes("--wait");
  CLI::App* faults =
      command(*cluster, "faults", "Link faults of a node, for drills (needs [faults] enabled)",
              "holdfast cluster faults list");
  faults->require_subcommand(1);
  auto* set = node_command(*faults, a, "set", "Disturb this node's links to a region or node",
                           "holdfast cluster faults set eu --drop",
                           [&a] { return faults_set(a.node, a.fault); });
  set->add_option("TARGET", a.fault.target, "A region, or a node's name")->required();
  set->add_flag("--drop", a.fault.drop, "Discard every frame, both ways");
  set->add_option("--delay-ms", a.fault.delay_ms, "Delay every frame");
  set->add_option("--loss", a.fault.loss, "Discard this share of frames, 0 to 1")->check(share(0));
  auto* clear = node_command(*faults, a, "clear", "Mend the links to a region or node",
                             "holdfast cluster faults clear eu",
                             [&a] { return faults_clear(a.node, a.fault.target); });
  clear->add_option("TARGET", a.fault.target, "A region, or a node's name")->required();
  node_command(*faults, a, "list", "Show the link faults of this node",
               "holdfast cluster faults list", [&a] { return faults_list(a.node); });
}

std::string plan_digest(const std::string& text) {
  const bool good =
      text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return good ? "" : "a plan is what a dry run printed: 16 hexadecimal digits";
}

void add_confirmation(CLI::App* app, DecreeCall& call) {
  app->add_flag("--dry-run", call.dry_run, "Only show what would be seized");
  app->add_option(
         "--plan", call.plan,
         "Only if all is still as that dry run said, which had the same options (16 hexadecimal "
         "digits)")
      ->check(plan_digest);
  app->add_flag("--yes", call.yes, "Don't ask");
}

void add_fraction(CLI::App* app, DecreeCall& call) {
  app->add_option("--fraction", call.fraction, "Seize this share of what is left there (1)")
      ->check(share(0.000001));
}

constexpr const char* kBound =
    "\n\nIt is never done by itself: the lost nodes may be alive and selling. What the dry run "
    "says is the\nmost that can be oversold by it. Ask a node of another region. Exit status 1 if "
    "it was not confirmed.\n";

void add_region(CLI::App& root, Arguments& a) {
  CLI::App* region = command(root, "region", "Declare regions lost, and see what became of it",
                             "holdfast region failover eu --dry-run");
  region->require_subcommand(1);
  auto* failover =
      node_command(*region, a, "failover", "Declare a region lost: sell here what it has left",
                   "holdfast region failover eu --url http://127.0.0.1:8080",
                   [&a] { return region_failover(a.node, a.decree); });
  failover->add_option("REGION", a.decree.target, "The region that is lost")->required();
  add_fraction(failover, a.decree);
  add_confirmation(failover, a.decree);
  failover->footer(kBound + failover->get_footer());
  node_command(*region, a, "accounts", "Show all failovers and retirements with their accounts",
               "holdfast region accounts", [&a] { return region_accounts(a.node); });
}

void add_replica(CLI::App& root, Arguments& a) {
  CLI::App* replica =
      command(root, "replica", "Declare one replica lost, or retire it for ever",
              "holdfast replica retire 6f1d2c3b4a596877 --successor eu-2 --dry-run");
  replica->require_subcommand(1);
  auto* failover =
      node_command(*replica, a, "failover", "Declare a replica lost: sell here what it has left",
                   "holdfast replica failover 6f1d2c3b4a596877 --dry-run",
                   [&a] { return replica_failover(a.node, a.decree); });
  add_fraction(failover, a.decree);
  auto* retire = node_command(
      *replica, a, "retire", "Declare that a replica never comes back, and who ends its open holds",
      "holdfast replica retire 6f1d2c3b4a596877 --successor eu-2",
      [&a] { return replica_retire(a.node, a.decree); });
  for (CLI::App* app : {failover, retire}) {
    app->add_option("REPLICA", a.decree.target,
                    "Its id (`holdfast cluster` shows ids), or its node's name if no other "
                    "replica has it")
        ->required();
    add_confirmation(app, a.decree);
    app->footer(kBound + app->get_footer());
  }
  retire->add_option("--successor", a.decree.successor, "A live node's name, or a replica id")
      ->required();
}

void add_drill(CLI::App& root, Arguments& a) {
  CLI::App* drill = command(root, "drill", "Rehearse what is feared, and check every figure of it",
                            "holdfast drill region-loss");
  drill->require_subcommand(1);
  CLI::App* app = command(*drill, "region-loss",
                          "Lose a region under load, fail over, sell on, bring it back, and check "
                          "the account against what clients were told",
                          "holdfast drill region-loss --seconds 60 --lost eu --kill");
  DrillOptions& d = a.drill;
  d.cluster.http_port = 18'080;
  d.cluster.gossip_port = 17'940;
  d.cluster.dir.clear();
  add_local_cluster(app, d.cluster);
  app->add_option("--data", d.cluster.dir, "Fresh directory (a temporary one, removed at the end)");
  app->add_option("--url", d.url,
                  "Use the running cluster of this node, which must allow link faults, instead of "
                  "starting one; the failover seizes its other SKUs, too");
  app->add_option("--skus", d.skus, "SKUs, one in five of them scarce")
      ->check(CLI::Range(1, 5'000))
      ->capture_default_str();
  app->add_option("--seconds", d.seconds, "Of selling: a third undisturbed, one without the region")
      ->check(CLI::Range(6, 86'400))
      ->capture_default_str();
  app->add_option("--rate", d.rate, "Carts a second and region")
      ->check(CLI::Range(1, 20'000))
      ->capture_default_str();
  app->add_option("--lost", d.lost,
                  "The region that is lost (the last of --regions; with --url the last by name)");
  app->add_option("--fraction", d.fraction, "Seize this share of what it has left")
      ->check(share(0.000001))
      ->capture_default_str();
  app->add_flag("--kill", d.kill, "kill -9 its nodes instead of cutting their links");
  app->add_flag("--keep", d.keep, "Keep the data and the logs");
  app->add_flag("--json", d.json, "Print the account as JSON");
  app->callback([&a] { a.action = [&a] { return run_region_loss(a.drill); }; });
}

}  // namespace

void add_operating(CLI::App& root, Arguments& a) {
  add_cluster(root, a);
  add_region(root, a);
  add_replica(root, a);
  add_drill(root, a);
}

}  // namespace holdfast::api
