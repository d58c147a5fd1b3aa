#include <chrono>
#include <filesystem>
#include <fstream>

#include <boost/json/serialize.hpp>

#include "api/cli_console.h"
#include "sim/builtin_scenario.h"
#include "sim/cli_commands.h"
#include "sim/compare.h"
#include "sim/feed_table.h"
#include "sim/progress_bar.h"
#include "sim/quota_table.h"
#include "sim/scale.h"
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

// Before the work, so that nothing is simulated for a report that cannot be written.
absl::Status check_writable(const std::string& path, const std::string& scenario) {
  std::error_code error;
  if (!path.empty() && std::filesystem::equivalent(path, scenario, error))
    return absl::InvalidArgumentError("--report: '" + path +
                                      "' is the scenario itself; name another file");
  if (path.empty() || std::ofstream(path, std::ios::app)) return absl::OkStatus();
  return absl::InvalidArgumentError("--report: cannot write '" + path +
                                    "'; name a file in a folder that you may write to");
}

template <typename Result>
int show(const Result& result, bool json, const std::string& report_path) {
  const std::string text = json_of(result);
  if (!report_path.empty()) {
    std::ofstream page(report_path, std::ios::binary | std::ios::trunc);
    page << html_of(text);
    page.flush();
    if (!page)
      return api::failed(
          absl::UnavailableError("could not write '" + report_path + "': is there space left?"));
  }
  if (json) {
    api::print(text);
  } else {
    api::print(text_of(result, api::stdout_style()));
    if (!report_path.empty()) api::print_line("report: " + report_path);
  }
  return result.passed() ? api::kExitOk : api::kExitFailed;
}

absl::Status apply(Scenario& scenario, const std::string& policy,
                   std::optional<std::uint64_t> seed) {
  if (seed) scenario.seed = *seed;
  if (policy.empty()) return absl::OkStatus();
  std::string known;
  for (const std::string& name : known_policies()) {
    if (name == policy) {
      scenario.policy.name = policy;
      return absl::OkStatus();
    }
    known += (known.empty() ? "" : ", ") + name;
  }
  return absl::InvalidArgumentError("--policy: '" + policy + "' is none of " + known);
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
  if (const auto status = check_writable(options.report_path, options.scenario_path); !status.ok())
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
  if (const auto status = apply(*scenario, "", options.seed); !status.ok())
    return api::usage_error(status);
  if (const auto status = check_writable(options.report_path, options.scenario_path); !status.ok())
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
  return show(study, options.json, "");
}

}  // namespace holdfast::sim
