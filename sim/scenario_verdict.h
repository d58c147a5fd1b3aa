#pragma once
// What a scenario expects, held against what came of it: a check of the report for each. Pure.

#include <optional>
#include <string>

#include "sim/report.h"
#include "sim/scenario.h"

namespace holdfast::sim {

// What a report does not say.
struct Facts {
  crdt::Units units_asked = 0;              // by all carts
  std::optional<Time> converged_after;      // the end; none: the nodes never agreed
  std::optional<crdt::Units> beyond_bound;  // of one SKU, at its worst; none: nobody watched
  std::string worst_sku;
  std::size_t moves_ended = 0, skus_moved = 0;
  Time longest_move = 0;
};

void check(Report& report, const std::string& name, bool passed, const std::string& detail);
std::string in_words(const char* format, double a, double b);  // printf, of two numbers

// Requires: the report is complete but for these checks.
void judge(const Scenario& scenario, const Facts& facts, Report& report);

}  // namespace holdfast::sim
