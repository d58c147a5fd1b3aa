#pragma once
// `holdfast plan`: what a load costs; and `holdfast bench --calibrate`: what one node can do.

#include <string>

#include "api/cli_bench.h"

namespace holdfast::api {

struct PlanOptions {
  std::string users = "100M", skus = "1M";
  double actions = 10, peak = 3;
  std::string mix = "availability=60,stock=20,reserve=8,commit=6,release=2,receive=4";
  std::string regions = "us=40,eu=35,ap=25";
  double keep_hours = 24, cores = 8, memory_gb = 64, utilization = 0.5, spare = 1;
  std::string figures;       // a file of --calibrate; empty: those that are built in
  std::string times = "1,10";  // the same load so many times
  bool json = false;
};
// Exit status 2 for options that make no sense.
int run_plan(const PlanOptions& options);

// Measures the node of `options` by itself, a few seconds each, and writes the figures to the file.
int run_calibrate(const BenchOptions& options, const std::string& file);

}  // namespace holdfast::api
