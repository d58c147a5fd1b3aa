#pragma once
// Edge: the swarm. Seeds in processes (workers.h), their verdicts told, the first failure shrunk.
//
// The lowest seed that fails is the same with any number of processes: when one fails, those below
// it are finished.

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "sim/seed_numbers.h"
#include "sim/seed_run.h"
#include "sim/shrink.h"
#include "sim/summary.h"

namespace holdfast::sim {

// What is run for a seed; seed_run.h, unless a test brings its own.
struct Subject {
  std::function<Verdict(std::uint64_t seed, const Omissions&)> run;
  std::function<PlanSize(std::uint64_t seed)> size;
  std::function<std::string(std::uint64_t seed, const Omissions&)> describe;
  std::string replayed_by = kReplay;  // the command that runs one seed again
};
Subject the_product();
Subject the_routers();  // shards with routers before them; routed_run.h

struct FuzzOptions {
  // From so many seeds up, every situation that is watched for must have occurred.
  static constexpr std::uint64_t kSometimesFrom = 500;

  SeedRange seeds{1, 500};
  unsigned jobs = 1;
  bool keep_going = false;  // after a failure
  bool twice = false;       // each seed a second time: its hash must be the same
  std::chrono::seconds seed_limit{120};
  std::optional<bool> require_sometimes;  // not set: from kSometimesFrom seeds up
  bool shrink = true;                     // the failure with the lowest seed
  std::chrono::seconds shrink_limit{120};
  bool json = false;
  std::string commit = "unknown";  // what was built, for the report
};

// Called with each verdict as it comes, and what it all came to so far; about ten times a second
// without a verdict.
using FuzzProgress = std::function<void(const Verdict* verdict, const Summary& so_far)>;

// Runs the seeds. One that crashed has the invariant "crash", one beyond the limit "hang", one that
// ran differently the second time "not-deterministic". A signal ends it early (interrupted).
// Errors: kResourceExhausted (no process to be had).
absl::StatusOr<Summary> fuzz(const std::vector<SeedRange>& seeds, const FuzzOptions& options,
                             const Subject& subject, const FuzzProgress& progress);

// Whether the situations that never occurred are a failure of this batch.
bool sometimes_required(const FuzzOptions& options, const Summary& summary);

// The commands, with all that they print; their exit status.
int run_fuzz(const FuzzOptions& options, const Subject& subject);
// Every seed of the list must pass; `options.seeds` is not used.
int run_regressions(const std::vector<Regression>& regressions, const FuzzOptions& options,
                    const Subject& subject);

}  // namespace holdfast::sim
