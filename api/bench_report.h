#pragma once
// What a benchmark found, for people and for machines. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "api/bench_load.h"
#include "api/table.h"

namespace holdfast::api {

struct BenchFigures {
  BenchTally tally;
  Nanos server_cpu = -1;  // of all nodes, while the phase lasted; negative: unknown
  Nanos client_cpu = 0;
};

struct BenchReport {
  std::vector<std::string> urls;
  BenchDraw draw;
  std::string spread;  // as it was said
  std::string run;     // the ids' prefix
  std::uint32_t connections = 0;
  // One, or in the order in which they were run: capacity, unloaded, a step each, recovery.
  std::vector<BenchFigures> phases;
  bool steps = false;
};

// The parts of `report.phases` if `steps`.
inline constexpr std::size_t kStepsBegin = 2;
// From the end of the last step until it was back to normal; negative: never within the phase.
Nanos back_to_normal(const BenchReport& report);

std::string bench_text(const BenchReport& report, Style style);
boost::json::object bench_json(const BenchReport& report);

// "[####....] measured: 61,204/s, p99 1.31 ms" is made of this.
std::string bench_pulse(const BenchTally& tally, Nanos now);

}  // namespace holdfast::api
