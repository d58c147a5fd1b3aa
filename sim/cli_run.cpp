#include <chrono>
#include <ctime>
#include <optional>

#include <boost/json/serialize.hpp>

#include "api/cli_console.h"
#include "sim/builtin_scenario.h"
#include "sim/cli_commands.h"
#include "sim/cli_report_file.h"
#include "sim/compare.h"
#include "sim/feed_table.h"
#include "sim/progress_bar.h"
#include "sim/quota_table.h"
#include "sim/scale.h"
#include "sim/scale_groups.h"
#include "sim/scenario_file.h"
#include "sim/scenario_run.h"

namespace holdfast::sim {

namespace {

class Stopwatch {
 public:
  std::int64_t ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                                 began_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

void stamp(Heading& heading, const Stopwatch& watch) {
  heading.real_ms = watch.ms();
  heading.version = HOLDFAST_VERSION;
  heading.commit = HOLDFAST_COMMIT;
}

// What a scenario was read from, which no report may overwrite.
std::vector<std::string> inputs_of(const Scenario& scenario, const std::string& path) {
  std::vector<std::string> inputs{path};
  if (scenario.demand.source) inputs.push_back(scenario.demand.source->path);
  return inputs;
}

absl::Status check_report(const std::optional<std::string>& path, const Scenario& scenario,
                          const std::string& scenario_path) {
  return path ? check_report_path(*path, inputs_of(scenario, scenario_path)) : absl::OkStatus();
}

template <typename Result>
int show(const Result& result, bool json, const std::optional<std::string>& report_path) {
  const std::string text = json_of(result);
  if (report_path) {
    const absl::Status written = write_report(*report_path, html_of(text));
    if (!written.ok()) return api::failed(written);
  }
  if (json) {
    api::print(text);
  } else {
    api::print(text_of(result, api::stdout_style()));
    if (report_path) api::print_line("report: " + api::printable(*report_path));
  }
  return result.passed() ? api::kExitOk : api::kExitFailed;
}

absl::Status apply(Scenario& scenario, const std::optional<std::string>& policy,
                   std::optional<std::uint64_t> seed) {
  if (seed) scenario.seed = *seed;
  if (!policy) return absl::OkStatus();
  std::string known;
  for (const std::string& name : known_policies()) {
    if (name == *policy) {
      scenario.policy.name = name;
      if (scenario.routed() && !policy_has_shards(name))
        return absl::InvalidArgumentError("--policy: '" + name +
                                          "' has no shards, and the scenario has [shards]");
      return absl::OkStatus();
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  return absl::InvalidArgumentError("--policy: '" + *policy + "' is none of " + known);
}

double share_of(Time done, Time of) {
  return static_cast<double>(done) / static_cast<double>(std::max<Time>(of, 1));
}

}  // namespace

int run_scenario(const RunOptions& options) {
  auto scenario = load_scenario(options.scenario_path);
  if (!scenario.ok()) return api::usage_error(scenario.status());
  if (const auto status = apply(*scenario, options.policy, options.seed); !status.ok())
    return api::usage_error(status);
  if (const auto status = check_report(options.report_path, *scenario, options.scenario_path);
      !status.ok())
    return api::usage_error(status);
  const Stopwatch watch;
  api::Progress progress;
  auto report = run(*scenario, [&](Time done, Time of) {
    progress.show(scenario->title + "  " + progress_bar(share_of(done, of), watch.ms()));
  });
  progress.finish("");
  if (!report.ok()) return api::failed(report.status());
  stamp(*report, watch);
  return show(*report, options.json, options.report_path);
}

int run_compare(const CompareOptions& options) {
  auto scenario = options.scenario_path.empty()
                      ? parse_scenario(builtin_scenario(), kBuiltinScenarioName)
                      : load_scenario(options.scenario_path);
  if (!scenario.ok()) return api::usage_error(scenario.status());
  if (const auto status = apply(*scenario, std::nullopt, options.seed); !status.ok())
    return api::usage_error(status);
  if (scenario->routed())
    return api::usage_error(absl::InvalidArgumentError(
        scenario->file + ": has [shards], which not all alternatives have: it can only be run"));
  if (const auto status = check_report(options.report_path, *scenario, options.scenario_path);
      !status.ok())
    return api::usage_error(status);
  const Stopwatch watch;
  api::Progress progress;
  auto comparison = compare(*scenario, [&](std::size_t number, Time done, Time of) {
    const double share = (static_cast<double>(number) + share_of(done, of)) /
                         static_cast<double>(alternatives().size());
    progress.show(alternatives()[number].name + "  " + progress_bar(share, watch.ms()));
  });
  progress.finish("");
  if (!comparison.ok()) return api::failed(comparison.status());
  stamp(*comparison, watch);
  return show(*comparison, options.json, options.report_path);
}

int run_papers(const PapersOptions& options) {
  const Stopwatch watch;
  api::Progress progress;
  const auto tell = [&](const char* what) {
    return [&, what](std::size_t done, std::size_t total) {
      progress.show(
          std::string(what) + "  " +
          progress_bar(static_cast<double>(done) / static_cast<double>(total), watch.ms()));
    };
  };
  bool all_hold = true;
  boost::json::object found;
  const bool colour = api::stdout_style() == api::Style::colour;
  if (options.feeds) {
    const FeedTable table = feed_table({.seed = options.seed, .progress = tell("feeds")});
    all_hold = all_hold && holds(table);
    progress.finish("");
    if (options.json) {
      found["feeds"] = json(table);
    } else {
      api::print(text(table, colour));
    }
  }
  if (options.quotas) {
    const QuotaTable table = quota_table({.seed = options.seed, .progress = tell("quotas")});
    all_hold = all_hold && holds(table);
    progress.finish("");
    if (options.json) {
      found["quotas"] = json(table);
    } else {
      api::print((options.feeds ? "\n" : "") + text(table, colour));
    }
  }
  if (options.json) api::print_line(boost::json::serialize(found));
  return all_hold ? api::kExitOk : api::kExitFailed;
}

int run_scale(const ScaleOptions& options) {
  const Stopwatch watch;
  api::Progress progress;
  const auto points = scale(options.replicas, options.seed, [&](std::size_t done) {
    progress.show("replicas  " + progress_bar(static_cast<double>(done) /
                                                  static_cast<double>(options.replicas.size()),
                                              watch.ms()));
  });
  progress.finish("");
  Study study = study_of(points, options.seed);
  stamp(study, watch);
  return show(study, options.json, std::nullopt);
}

// The clock of this process's CPU time is at this edge; what is measured is pure.
int run_groups(const GroupsOptions& options) {
  const Stopwatch watch;
  api::Progress progress;
  const GroupScaleOptions scale_options{
      .nodes = options.nodes,
      .shards = options.shards,
      .skus = options.skus,
      .seed = options.seed,
      .cpu_seconds = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }};
  const GroupScale scale = scale_groups(scale_options, [&](std::size_t done, std::size_t of) {
    progress.show("sizes  " +
                  progress_bar(static_cast<double>(done) / static_cast<double>(of), watch.ms()));
  });
  progress.finish("");
  Study study = study_of(scale, scale_options);
  stamp(study, watch);
  return show(study, options.json, std::nullopt);
}

}  // namespace holdfast::sim
