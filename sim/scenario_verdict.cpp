#include "sim/scenario_verdict.h"

#include <algorithm>
#include <cstdio>

#include "api/table.h"
#include "sim/scenario_run.h"

namespace holdfast::sim {

std::string in_words(const char* format, double a, double b) {
  char line[160];
  std::snprintf(line, sizeof line, format, a, b);
  return line;
}

void check(Report& report, const std::string& name, bool passed, const std::string& detail) {
  report.checks.push_back({name, passed, detail});
}

namespace {

void judge_decrees(const Expectations& expect, const Facts& facts, Report& report) {
  const DecreeTotals decrees = report.decrees.value_or(DecreeTotals{});
  const auto units = [](crdt::Units count) { return api::grouped(count); };
  if (expect.within_bound && facts.beyond_bound)
    check(report, "oversold within its bound", *facts.beyond_bound == 0,
          *facts.beyond_bound > 0
              ? facts.worst_sku + ": " + units(*facts.beyond_bound) +
                    " units beyond allowance and dry runs"
              : units(decrees.beyond_allowance) + " units beyond the allowance; dry runs said " +
                    units(decrees.seize) + " and " + units(decrees.open_holds) + " in open holds");
  if (expect.decrees_closed)
    check(report, "decrees are closed", decrees.issued > 0 && decrees.open == 0,
          decrees.issued == 0 ? "there were none, so nothing was shown"
                              : std::to_string(decrees.open) + " of " +
                                    std::to_string(decrees.issued) + " are open; not seen " +
                                    units(decrees.unseen) + ", owed " + units(decrees.debt));
  if (expect.spent_unseen_min)
    check(report, "what was to be shown: sold by the lost before it knew",
          decrees.spent_unseen >= *expect.spent_unseen_min,
          units(decrees.spent_unseen) + " units, at least " + units(*expect.spent_unseen_min));
}

void judge_moves(const Scenario& scenario, const Facts& facts, Report& report) {
  const auto asked = static_cast<std::size_t>(
      std::count_if(scenario.events.begin(), scenario.events.end(),
                    [](const auto& event) { return event.kind == EventKind::reshard; }));
  const Time most = *scenario.expect.moved_within;
  const bool ended = facts.moves_ended == asked;
  check(report, "SKUs have moved", ended && facts.longest_move <= most,
        (ended ? ""
               : std::to_string(facts.moves_ended) + " of " + std::to_string(asked) +
                     " moves began and ended: ") +
            std::to_string(facts.skus_moved) +
            in_words(" SKUs, after %.1f s, at most %.1f s",
                     static_cast<double>(facts.longest_move) / kSecond,
                     static_cast<double>(most) / kSecond));
}

void judge_latency(const Expectations& expect, Report& report) {
  const Latency latency = report.totals.latency.value_or(Latency{});
  if (expect.p50_ms_max)
    check(report, "p50 latency", latency.p50_ms <= *expect.p50_ms_max,
          in_words("%.1f ms, at most %.1f ms", latency.p50_ms, *expect.p50_ms_max));
  if (expect.p99_ms_max)
    check(report, "p99 latency", latency.p99_ms <= *expect.p99_ms_max,
          in_words("%.1f ms, at most %.1f ms", latency.p99_ms, *expect.p99_ms_max));
}

}  // namespace

void judge(const Scenario& scenario, const Facts& facts, Report& report) {
  const Expectations& expect = scenario.expect;
  const Totals& totals = report.totals;
  const auto percent = [](double share) { return share * 100; };
  const double carts = std::max<double>(1, static_cast<double>(totals.carts));
  if (totals.carts == 0) check(report, "carts", false, kNobodyCame);
  if (expect.oversold_max)
    check(report, "oversold", *totals.oversold <= *expect.oversold_max,
          in_words("%.0f units, at most %.0f", static_cast<double>(*totals.oversold),
                   static_cast<double>(*expect.oversold_max)));
  const auto available = [&](const std::string& name, const Totals& of, double wanted) {
    const double share = of.availability().value_or(1);
    check(report, name, share >= wanted,
          in_words("%.3f %% of carts, at least %.3f %%", percent(share), percent(wanted)));
  };
  if (expect.availability_min) available("availability", totals, *expect.availability_min);
  for (const auto& [region, wanted] : expect.availability_min_by_region)
    available("availability of " + scenario.regions[region].name, report.regions[region].totals,
              wanted);
  if (expect.sold_min) {
    const auto asked = static_cast<double>(facts.units_asked);
    const double share = asked == 0 ? 1 : static_cast<double>(totals.units_committed) / asked;
    check(report, "sold", share >= *expect.sold_min,
          in_words("%.3f %%, at least %.3f %%", percent(share), percent(*expect.sold_min)));
  }
  const auto at_most = [&](const char* name, std::uint64_t count, double limit) {
    const double share = static_cast<double>(count) / carts;
    check(report, name, share <= limit,
          in_words("%.3f %% of carts, at most %.3f %%", percent(share), percent(limit)));
  };
  if (expect.refused_max) at_most("refused", totals.carts_refused(), *expect.refused_max);
  if (expect.refused_with_stock_elsewhere_max)
    at_most("refused although there was stock", totals.refused_with_stock_elsewhere,
            *expect.refused_with_stock_elsewhere_max);
  if (expect.refused_with_stock_elsewhere_min) {
    const double share = static_cast<double>(totals.refused_with_stock_elsewhere) / carts,
                 least = *expect.refused_with_stock_elsewhere_min;
    check(report, "what was to be shown: refused although there was stock", share >= least,
          in_words("%.3f %% of carts, at least %.3f %%", percent(share), percent(least)));
  }
  if (expect.fetched_max) at_most("waited for rights", totals.carts_fetched, *expect.fetched_max);
  judge_decrees(expect, facts, report);
  judge_latency(expect, report);
  if (expect.moved_within) judge_moves(scenario, facts, report);
  if (expect.converged_within)
    check(report, "all nodes agree after the end",
          facts.converged_after && *facts.converged_after <= *expect.converged_within,
          facts.converged_after ? in_words("after %.1f s, at most %.1f s",
                                           static_cast<double>(*facts.converged_after) / kSecond,
                                           static_cast<double>(*expect.converged_within) / kSecond)
                                : "they do not");
}

}  // namespace holdfast::sim
