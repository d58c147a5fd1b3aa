#pragma once
// `holdfast bench`: a load on running nodes, and what it measured.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/bench_report.h"

namespace holdfast::api {

struct BenchOptions {
  std::vector<std::string> urls;  // empty: the one of --url's default
  std::string mix = "reserve=100";
  std::string distribution = "uniform";
  std::string rate_steps;         // "1x,3x,10x"; empty: no steps
  double rate = 0;                // requests a second; 0: closed loop
  std::uint32_t connections = 0;  // 0: 64 in the closed loop, 1,024 in the open one
  double think_ms = 0;
  std::uint32_t batch_lines = 0;  // 0: single calls
  std::uint32_t skus = 10'000;
  std::uint64_t stock_each = 1'000'000;
  std::uint64_t quantity = 1;
  std::uint32_t ttl_seconds = 900;
  std::string prefix = "bench";
  double duration = 10, warmup = 2;  // seconds
  std::uint64_t seed = 1;
  std::vector<int> pids;
  bool no_setup = false;  // the SKUs are not looked at
  bool json = false;
  std::string calibrate;  // a file: --calibrate (cli_plan.h)
};

// Exit status 0 if anything was accepted; 1 if a node was not reached or everything failed; 2 for
// options that make no sense.
int run_bench(const BenchOptions& options);
// The same, for those that print it in another way. Errors: as usage (kInvalidArgument, kNotFound),
// or what came between.
absl::StatusOr<BenchReport> measure_bench(const BenchOptions& options);

}  // namespace holdfast::api
