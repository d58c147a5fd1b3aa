#include "sim/cli.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <boost/json/serialize.hpp>

#include "api/cli_console.h"
#include "sim/cli_scenarios.h"
#include "sim/fuzz.h"
#include "sim/routed_run.h"
#include "sim/seed_numbers.h"
#include "sim/seed_run.h"
#include "sim/summary.h"

#ifndef HOLDFAST_COMMIT
#define HOLDFAST_COMMIT ""
#endif

namespace holdfast::sim {
namespace {

using Action = std::function<int()>;

constexpr std::uint64_t kSeedsMax = 1'000'000'000;  // in one run: months of a machine

CLI::App* command(CLI::App& parent, const std::string& name, const std::string& what,
                  const std::string& example) {
  CLI::App* app = parent.add_subcommand(name, what);
  app->footer("\nExample:\n  " + example);
  return app;
}

// What was built; outside a checkout nobody knows.
std::string commit() {
  const std::string known = HOLDFAST_COMMIT;
  return known.empty() ? "unknown" : known;
}

unsigned cores() { return std::max(1u, std::thread::hardware_concurrency()); }

// ── many seeds ──────────────────────────────────────────────────────────────────────────────────

struct SwarmArguments {
  std::string seeds = "1..500", file;
  unsigned jobs = cores();
  std::uint32_t seed_limit_s = 120, shrink_limit_s = 120;
  bool sometimes = false, routers = false;
  FuzzOptions fuzz;
};

const char* const kRoutersWhat =
    "Seeds of another kind: shards, with routers before them and carts over several of them";

Subject subject_of(const SwarmArguments& a) { return a.routers ? the_routers() : the_product(); }

void add_swarm(CLI::App* app, SwarmArguments& a) {
  app->add_option("--jobs", a.jobs, "Processes (as many as this machine has cores)")
      ->check(CLI::Range(1u, 1'024u));
  app->add_option("--seed-limit", a.seed_limit_s,
                  "Seconds of real time after which a seed is a failure ('hang')")
      ->check(CLI::Range(1u, 86'400u))
      ->capture_default_str();
  app->add_flag("--routers", a.routers, kRoutersWhat);
  app->add_flag("--twice", a.fuzz.twice, "Run each seed twice: both runs must be the same");
  app->add_flag("--json", a.fuzz.json, "Print the result as JSON");
}

FuzzOptions options_of(const SwarmArguments& a) {
  FuzzOptions options = a.fuzz;
  options.jobs = a.jobs;
  options.seed_limit = std::chrono::seconds(a.seed_limit_s);
  options.shrink_limit = std::chrono::seconds(a.shrink_limit_s);
  options.commit = commit();
  return options;
}

int fuzz_command(const SwarmArguments& a) {
  const auto seeds = parse_seeds(a.seeds);
  if (!seeds.ok()) return api::usage_error(seeds.status());
  if (seeds->count() > kSeedsMax)
    return api::usage_error(absl::InvalidArgumentError("seeds '" + a.seeds + "': at most " +
                                                       std::to_string(kSeedsMax) + " at once"));
  FuzzOptions options = options_of(a);
  options.seeds = *seeds;
  return run_fuzz(options, subject_of(a));
}

void add_fuzz(CLI::App& sim, Action& action) {
  CLI::App* app =
      command(sim, "fuzz", "Run many small worlds, each drawn from its seed, and check them",
              "holdfast sim fuzz --seeds 1..10000 --keep-going");
  auto a = std::make_shared<SwarmArguments>();
  app->add_option("--seeds", a->seeds, "A..B, both included, or one seed")->capture_default_str();
  add_swarm(app, *a);
  app->add_flag("--keep-going", a->fuzz.keep_going, "Do not stop at the first failure");
  app->add_flag("--shrink,!--no-shrink", a->fuzz.shrink,
                "Look for the fewest faults and operations with which the first failing seed "
                "still fails (the default)");
  app->add_option("--shrink-seconds", a->shrink_limit_s, "At most so long")
      ->check(CLI::Range(1u, 86'400u))
      ->capture_default_str();
  CLI::Option* sometimes =
      app->add_flag("--require-sometimes,!--no-require-sometimes", a->sometimes,
                    "Fail if a rare situation that is watched for never occurred (the default "
                    "from 500 seeds up)");
  app->callback([a, sometimes, &action] {
    if (sometimes->count() > 0) a->fuzz.require_sometimes = a->sometimes;
    action = [a] { return fuzz_command(*a); };
  });
}

int regress_command(const SwarmArguments& a) {
  std::error_code error;
  std::ifstream in(a.file, std::ios::binary);
  if (!in || std::filesystem::is_directory(a.file, error))
    return api::usage_error(absl::InvalidArgumentError(
        "cannot read '" + a.file + "': name a file with one `SEED  # what broke` a line"));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const auto regressions = parse_regressions(text);
  if (!regressions.ok())
    return api::usage_error(
        absl::InvalidArgumentError(a.file + ": " + std::string(regressions.status().message())));
  if (regressions->empty())
    return api::usage_error(absl::InvalidArgumentError(a.file + ": no seed in it"));
  return run_regressions(*regressions, options_of(a), subject_of(a));
}

void add_regress(CLI::App& sim, Action& action) {
  CLI::App* app = command(sim, "regress", "Run the seeds that once failed; each must pass",
                          "holdfast sim regress sim/regressions.txt");
  auto a = std::make_shared<SwarmArguments>();
  app->add_option("FILE", a->file, "One `SEED  # what broke` a line")->required();
  add_swarm(app, *a);
  app->callback([a, &action] { action = [a] { return regress_command(*a); }; });
}

// ── one seed ────────────────────────────────────────────────────────────────────────────────────

struct ReplayArguments {
  std::uint64_t seed = 0;
  std::string without_faults, without_operations;
  std::optional<std::int64_t> end_ms;
  bool trace = false, plan = false, json = false, routers = false;
};

absl::Status naming(const std::string& option, const absl::Status& status) {
  return absl::InvalidArgumentError(option + ": " + std::string(status.message()));
}

absl::StatusOr<Omissions> omissions_of(const ReplayArguments& a) {
  const PlanSize size = a.routers ? routed_plan_size(a.seed) : plan_size(a.seed);
  auto faults = parse_numbers(a.without_faults, size.faults);
  if (!faults.ok()) return naming("--without-faults", faults.status());
  auto operations = parse_numbers(a.without_operations, size.operations);
  if (!operations.ok()) return naming("--without-operations", operations.status());
  return Omissions{*std::move(faults), *std::move(operations), a.end_ms};
}

// CLI11's own check would print a range of 300 digits.
std::string check_end(const std::string& text) {
  constexpr std::int64_t kYear = 366ll * 86'400'000;
  std::int64_t ms = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && ms >= 0 && ms <= kYear
             ? ""
             : "must be a whole number from 0 to " + std::to_string(kYear) + ", is '" + text + "'";
}

int run_replay(const ReplayArguments& a) {
  const auto omissions = omissions_of(a);
  if (!omissions.ok()) return api::usage_error(omissions.status());
  if (a.plan) {
    const std::string plan =
        a.routers ? describe_routed_plan(a.seed, *omissions) : describe_plan(a.seed, *omissions);
    api::print(plan.ends_with('\n') ? plan : plan + "\n");
    return api::kExitOk;
  }
  Trace trace;
  // Each line at once: a crash must not take the last ones with it.
  if (a.trace) trace = [](const std::string& line) { api::print_line(line); };
  const Verdict verdict =
      a.routers ? run_routed_seed(a.seed, *omissions, trace) : run_seed(a.seed, *omissions, trace);
  if (a.json) {
    api::print_line(boost::json::serialize(to_json(verdict)));
    return verdict.passed ? api::kExitOk : api::kExitFailed;
  }
  if (verdict.passed) {
    api::print_line("passed  seed " + std::to_string(a.seed) + "  " +
                    std::to_string(verdict.event) + " events in " +
                    std::to_string(verdict.simulated_ms) + " ms of virtual time");
  } else {
    api::print(failure_text(verdict, commit(), *omissions,
                            a.routers ? the_routers().replayed_by : kReplay));
  }
  api::print_line("hash " + hex(verdict.hash));
  return verdict.passed ? api::kExitOk : api::kExitFailed;
}

void add_replay(CLI::App& sim, Action& action) {
  CLI::App* app = sim.add_subcommand("replay", "Run one seed again, event by event the same");
  auto a = std::make_shared<ReplayArguments>();
  app->add_option("--seed", a->seed, "The seed")->required()->check(check_seed);
  app->add_flag("--routers", a->routers, kRoutersWhat);
  app->add_flag("--trace", a->trace, "Print a line per event");
  CLI::Option* plan =
      app->add_flag("--plan", a->plan, "Print what the seed has in store, and run nothing");
  app->add_option("--without-faults", a->without_faults, "Leave these faults out, like 1,4-9");
  app->add_option("--without-operations", a->without_operations,
                  "Leave these operations of the clients out, like 3-200");
  app->add_option("--end-ms", a->end_ms, "End the faults and the operations at this virtual time")
      ->check([](const std::string& text) { return check_end(text); });
  app->add_flag("--json", a->json, "Print the verdict as JSON (a trace stays text)")
      ->excludes(plan);
  app->footer(
      "\nThe last line is `hash HEX`: runs with equal hashes were the same, event by event. It "
      "runs in\nthis process, so that a debugger can hold it: gdb --args holdfast sim replay "
      "--seed 7\n\nExample:\n  holdfast sim replay --seed 7 --trace | less");
  app->callback([a, &action] { action = [a] { return run_replay(*a); }; });
}

}  // namespace

void add_sim(CLI::App& root, std::function<int()>& action) {
  CLI::App* sim = command(root, "sim",
                          "Simulate whole clusters in virtual time: find bugs by seed, replay them",
                          "holdfast sim fuzz --seeds 1..500");
  sim->require_subcommand(1);
  add_fuzz(*sim, action);
  add_replay(*sim, action);
  add_regress(*sim, action);
  add_scenarios(*sim, action);
}

}  // namespace holdfast::sim
