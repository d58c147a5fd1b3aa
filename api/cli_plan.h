#pragma once
// `holdfast plan`: what a load costs; and `holdfast bench --calibrate`: what one node can do.

#include <string>

#include "api/capacity.h"
#include "api/cli_bench.h"

namespace holdfast::api {

struct PlanOptions {
  // As texts, which ask_of() reads into `ask`; its other fields are options themselves.
  std::string users = "100M", skus = "1M";
  std::string mix = "availability=60,stock=20,reserve=8,commit=6,release=2,receive=4";
  std::string regions = "us=40,eu=35,ap=25";
  CapacityAsk ask;
  std::string figures;         // a file of --calibrate; empty: those that are built in
  std::string times = "1,10";  // the same load so many times
  bool json = false;
};
// Exit status 2 for options that make no sense.
int run_plan(const PlanOptions& options);

// Measures the node of `options` by itself, a few seconds each, and writes the figures to the file.
int run_calibrate(const BenchOptions& options, const std::string& file);

}  // namespace holdfast::api
