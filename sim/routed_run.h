#pragma once
// One seed of shards and routers, from its plan to its verdict; pure, as seed_run.h.

#include "sim/seed_run.h"

namespace holdfast::sim {

PlanSize routed_plan_size(std::uint64_t seed);
Verdict run_routed_seed(std::uint64_t seed, const Omissions& omissions = {},
                        const Trace& trace = {});
std::string describe_routed_plan(std::uint64_t seed, const Omissions& omissions = {});

}  // namespace holdfast::sim
