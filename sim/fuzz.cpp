#include "sim/fuzz.h"

#include <algorithm>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "api/cli_console.h"
#include "api/cli_threads.h"
#include "sim/routed_run.h"
#include "sim/workers.h"

namespace holdfast::sim {
namespace json = boost::json;

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kToldInFull = 20;
constexpr std::uint32_t kPlanLinesShown = 60;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a child sends to its parent.
std::string run_and_encode(const Subject& subject, std::uint64_t seed, const Omissions& omissions,
                           bool twice) {
  Verdict verdict = subject.run(seed, omissions);
  if (twice && verdict.passed) {
    const Verdict again = subject.run(seed, omissions);
    verdict.simulated_ms += again.simulated_ms;
    if (again.hash != verdict.hash || again.event != verdict.event) {
      verdict.passed = false;
      verdict.invariant = "not-deterministic";
      verdict.detail = "a second run of the seed took " + std::to_string(again.event) +
                       " events with the hash " + hex(again.hash) + ", the first " +
                       std::to_string(verdict.event) + " with " + hex(verdict.hash);
    }
  }
  return json::serialize(to_json(verdict));
}

Verdict broken(std::uint64_t seed, std::string invariant, std::string detail) {
  return {.seed = seed, .invariant = std::move(invariant), .detail = std::move(detail)};
}

Verdict verdict_of(std::uint64_t seed, JobEnd&& end, std::chrono::seconds limit) {
  switch (end.how) {
    case JobEnd::How::hung:
      return broken(seed, "hang",
                    "no verdict after " + std::to_string(limit.count()) +
                        " s of real time (--seed-limit)\n" + end.last_words);
    case JobEnd::How::crashed:
      return broken(seed, "crash", std::move(end.last_words));
    default:
      auto verdict = verdict_from_json(end.bytes);
      return verdict.ok() ? *std::move(verdict)
                          : broken(seed, "crash", std::string(verdict.status().message()));
  }
}

std::uint64_t seed_at(const std::vector<SeedRange>& ranges, std::uint64_t place) {
  for (const SeedRange& range : ranges) {
    if (place < range.count()) return range.first + place;
    place -= range.count();
  }
  return 0;
}

std::uint64_t count_of(const std::vector<SeedRange>& ranges) {
  std::uint64_t count = 0;
  for (const SeedRange& range : ranges) count += range.count();
  return count;
}

// ── shrinking ───────────────────────────────────────────────────────────────────────────────────

// A hang would take the whole limit at each trial, and what is not deterministic has no less of it.
bool can_shrink(const Verdict& verdict) {
  return verdict.invariant != "hang" && verdict.invariant != "not-deterministic";
}

// Nothing: it does not fail again.
std::optional<Shrunk> shrink_failure(const Verdict& failure, const FuzzOptions& options,
                                     const Subject& subject) {
  using namespace std::chrono_literals;
  api::StopSignals signals;
  const auto deadline = Clock::now() + options.shrink_limit;
  const auto over = [&] { return Clock::now() >= deadline || signals.wait(0ms); };
  const PlanSize size = subject.size(failure.seed);
  api::Progress progress;
  const ShrinkTrial trial = [&](const Omissions& omissions) -> std::optional<std::string> {
    std::optional<std::string> invariant;
    const auto run = [&](std::uint64_t) {
      return run_and_encode(subject, failure.seed, omissions, false);
    };
    const auto ended = [&](JobEnd&& end) {
      Verdict verdict = verdict_of(failure.seed, std::move(end), options.seed_limit);
      if (!verdict.passed) invariant = std::move(verdict.invariant);
      return Next::go_on;
    };
    // Without an answer, for lack of time or processes, nothing is known to fail.
    (void)run_jobs({.processes = 1, .job_limit = options.seed_limit}, 1, run, ended, over);
    return invariant;
  };
  if (!trial({}).has_value() && !over()) {
    progress.finish(
        "seed " + std::to_string(failure.seed) +
        " passes when it is run again: what failed was not decided by the seed (memory, "
        "a signal, the machine)");
    return std::nullopt;
  }
  const ShrinkLimits limits{
      .out_of_time = over, .progress = [&](const PlanSize& left, std::uint32_t trials) {
        progress.show("shrinking seed " + std::to_string(failure.seed) + ": " +
                      std::to_string(left.faults) + " of " + std::to_string(size.faults) +
                      " faults, " + std::to_string(left.operations) + " of " +
                      std::to_string(size.operations) + " operations, " + std::to_string(trials) +
                      " trials");
      }};
  Shrunk shrunk = shrink(size, failure.invariant, failure.at_ms, trial, limits);
  progress.finish("shrunk seed " + std::to_string(failure.seed) + " in " +
                  std::to_string(shrunk.trials) + " trials" +
                  (shrunk.minimal ? "" : "; not further, for lack of time (--shrink-seconds)"));
  return shrunk;
}

std::string first_lines(const std::string& text, std::uint32_t lines_max) {
  std::size_t end = 0;
  std::uint32_t lines = 0;
  for (; lines < lines_max && end < text.size(); ++lines) {
    const auto newline = text.find('\n', end);
    end = newline == text.npos ? text.size() : newline + 1;
  }
  std::string first = text.substr(0, end);
  if (!first.empty() && first.back() != '\n') first += '\n';
  if (end < text.size()) first += "…\n";
  return first;
}

std::string shrunk_text(const Verdict& failure, const Shrunk& shrunk, const Subject& subject) {
  return "  shrunk to " + std::to_string(shrunk.left.faults) + " faults and " +
         std::to_string(shrunk.left.operations) + " operations\n" +
         first_lines(subject.describe(failure.seed, shrunk.omissions), kPlanLinesShown) +
         "  replay  " + replay_command(failure.seed, shrunk.omissions, subject.replayed_by) +
         " --trace\n";
}

json::object shrunk_json(const Verdict& failure, const Shrunk& shrunk, const Subject& subject) {
  return {{"seed", failure.seed},
          {"invariant", failure.invariant},
          {"faults", shrunk.left.faults},
          {"operations", shrunk.left.operations},
          {"end_ms", shrunk.left.end_ms},
          {"trials", shrunk.trials},
          {"minimal", shrunk.minimal},
          {"plan", subject.describe(failure.seed, shrunk.omissions)},
          {"replay", replay_command(failure.seed, shrunk.omissions, subject.replayed_by)}};
}

// ── telling ─────────────────────────────────────────────────────────────────────────────────────

std::string progress_line(const Summary& so_far, std::uint64_t total) {
  return api::bar(so_far.seeds, total) + " " +
         api::grouped(static_cast<std::int64_t>(so_far.seeds)) + "/" +
         api::grouped(static_cast<std::int64_t>(total)) + " seeds  " +
         api::grouped(static_cast<std::int64_t>(so_far.failures)) + " failed  " +
         api::short_number(so_far.seeds_per_second()) + " seeds/s  " +
         api::short_number(so_far.cluster_hours()) + " cluster-hours";
}

void tell_failures(const Summary& summary, const std::string& commit, const Subject& subject) {
  for (std::size_t i = 0; i < summary.failed.size() && i < kToldInFull; ++i)
    api::print(failure_text(summary.failed[i], commit, {}, subject.replayed_by));
  if (summary.failures > kToldInFull)
    api::print_line("… and " + std::to_string(summary.failures - kToldInFull) +
                    " more; --json names up to " + std::to_string(Summary::kFailuresKept));
}

absl::StatusOr<Summary> fuzz_with_bar(const std::vector<SeedRange>& seeds,
                                      const FuzzOptions& options, const Subject& subject) {
  api::Progress progress;
  const std::uint64_t total = count_of(seeds);
  auto summary = fuzz(seeds, options, subject, [&](const Verdict*, const Summary& so_far) {
    progress.show(progress_line(so_far, total));
  });
  if (summary.ok()) progress.finish(progress_line(*summary, total));
  return summary;
}

}  // namespace

Subject the_product() {
  return {.run = [](std::uint64_t seed,
                    const Omissions& omissions) { return run_seed(seed, omissions); },
          .size = plan_size,
          .describe = describe_plan};
}

Subject the_routers() {
  return {.run = [](std::uint64_t seed,
                    const Omissions& omissions) { return run_routed_seed(seed, omissions); },
          .size = routed_plan_size,
          .describe = describe_routed_plan,
          .replayed_by = std::string(kReplay) + " --routers"};
}

absl::StatusOr<Summary> fuzz(const std::vector<SeedRange>& seeds, const FuzzOptions& options,
                             const Subject& subject, const FuzzProgress& progress) {
  using namespace std::chrono_literals;
  api::StopSignals signals;
  const auto start = Clock::now();
  Summary summary;
  const auto run = [&](std::uint64_t job) {
    return run_and_encode(subject, seed_at(seeds, job), {}, options.twice);
  };
  const auto ended = [&](JobEnd&& end) {
    const std::uint64_t seed = seed_at(seeds, end.job);
    const Verdict verdict = verdict_of(seed, std::move(end), options.seed_limit);
    summary.seconds = seconds_since(start);
    summary.add(verdict);
    progress(&verdict, summary);
    return verdict.passed || options.keep_going ? Next::go_on : Next::stop_above;
  };
  const auto stopped = [&] {
    summary.seconds = seconds_since(start);
    progress(nullptr, summary);
    return signals.wait(0ms);
  };
  const absl::Status status = run_jobs(
      {.processes = options.jobs,
       .job_limit = std::chrono::milliseconds(options.seed_limit) * (options.twice ? 2 : 1)},
      count_of(seeds), run, ended, stopped);
  summary.interrupted = absl::IsCancelled(status);
  if (!status.ok() && !summary.interrupted) return status;
  return summary;
}

bool sometimes_required(const FuzzOptions& options, const Summary& summary) {
  if (summary.seeds < options.seeds.count()) return false;  // it ended before it had its chance
  return options.require_sometimes.value_or(options.seeds.count() >= FuzzOptions::kSometimesFrom);
}

int run_fuzz(const FuzzOptions& options, const Subject& subject) {
  const auto summary = fuzz_with_bar({options.seeds}, options, subject);
  if (!summary.ok()) return api::failed(summary.status());
  const std::vector<std::string> missing =
      sometimes_required(options, *summary) ? summary->missing() : std::vector<std::string>();
  if (!options.json) tell_failures(*summary, options.commit, subject);

  std::optional<Shrunk> shrunk;
  if (options.shrink && !summary->interrupted && !summary->failed.empty() &&
      can_shrink(summary->failed.front()))
    shrunk = shrink_failure(summary->failed.front(), options, subject);
  if (options.json) {
    json::object told = to_json(*summary, subject.replayed_by);
    told["commit"] = options.commit;
    told["first"] = options.seeds.first;
    told["last"] = options.seeds.last;
    told["never"] = json::array(missing.begin(), missing.end());
    if (shrunk) told["shrunk"] = shrunk_json(summary->failed.front(), *shrunk, subject);
    api::print_line(json::serialize(told));
  } else {
    if (shrunk) api::print(shrunk_text(summary->failed.front(), *shrunk, subject));
    api::print(summary_text(*summary, api::stdout_style()));
    for (const std::string& situation : missing)
      api::print_line("FAILED  '" + situation + "' never occurred: the seeds do not reach it");
  }
  const bool passed = summary->failures == 0 && missing.empty() && !summary->interrupted;
  return passed ? api::kExitOk : api::kExitFailed;
}

int run_regressions(const std::vector<Regression>& regressions, const FuzzOptions& options,
                    const Subject& subject) {
  std::vector<SeedRange> seeds;
  for (const Regression& regression : regressions)
    seeds.push_back({regression.seed, regression.seed});
  FuzzOptions all = options;
  all.keep_going = true;
  const auto summary = fuzz_with_bar(seeds, all, subject);
  if (!summary.ok()) return api::failed(summary.status());
  if (options.json) {
    json::object told = to_json(*summary, subject.replayed_by);
    told["commit"] = options.commit;
    api::print_line(json::serialize(told));
  } else {
    tell_failures(*summary, options.commit, subject);
    for (const Verdict& verdict : summary->failed)
      for (const Regression& regression : regressions)
        if (regression.seed == verdict.seed)
          api::print_line("seed " + std::to_string(verdict.seed) +
                          " once showed: " + api::printable(regression.what));
    api::print_line(std::to_string(summary->seeds - summary->failures) + " of " +
                    std::to_string(regressions.size()) + " seeds passed" +
                    (summary->interrupted ? " (interrupted)" : ""));
  }
  return summary->failures == 0 && !summary->interrupted ? api::kExitOk : api::kExitFailed;
}

}  // namespace holdfast::sim
