#pragma once
// Fewer faults, fewer operations, an earlier end: what is left of a failing plan when everything
// is gone that the failure does not need. Pure; the trials are the caller's.
//
// Delta debugging: ddmin of Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
// Input" (IEEE TSE 28(2), 2002, section 3), over the faults, then over the operations; then the
// end, by bisection; and again from the start as long as that helps. A result that is `minimal` is
// 1-minimal: with any single remaining fault or operation left out the failure is gone.
// Deviations from the paper: a trial that fails in another way counts as passed, so that the bug
// that was found is the bug that is shown; parts are left out one after the other in one sweep,
// not each time from the first one on; no trial is repeated.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "sim/seed_run.h"

namespace holdfast::sim {

// Runs the plan less these; the invariant that was broken, if any.
using ShrinkTrial = std::function<std::optional<std::string>(const Omissions&)>;

struct ShrinkLimits {
  std::uint32_t trials_max = 5'000;
  std::function<bool()> out_of_time;  // asked before each trial
  std::function<void(const PlanSize& left, std::uint32_t trials)>
      progress;  // after each; may be empty
};

struct Shrunk {
  Omissions omissions;
  PlanSize left;  // what remains of the plan
  std::uint32_t trials = 0;
  bool minimal = false;  // false: a limit was reached first
};

// Requires: the whole plan breaks `invariant`. `at_ms`: when it did, a hint for the end; 0:
// unknown.
Shrunk shrink(const PlanSize& size, const std::string& invariant, std::int64_t at_ms,
              const ShrinkTrial& trial, const ShrinkLimits& limits);

}  // namespace holdfast::sim
