#include "sim/compare.h"

#include <algorithm>

namespace holdfast::sim {

namespace {

// What the alternatives answered to one command.
class Together {
 public:
  void add(const std::string& alternative, const std::string& answer) {
    all_same_ = all_same_ && (listed_.empty() || answer == first_);
    if (listed_.empty()) first_ = answer;
    listed_ += (listed_.empty() ? "" : "; ") + alternative + ": " + answer;
  }
  std::string text() const { return all_same_ ? first_ : listed_; }

 private:
  std::string first_, listed_;
  bool all_same_ = true;
};

}  // namespace

const std::vector<Alternative>& alternatives() {
  static const std::vector<Alternative> all = {
      {"central", "one strongly consistent region decides; every other asks it over the WAN",
       "central"},
      {"plain counters", "PN-counters without rights: everyone sells what they see", "weak"},
      {"static quotas", "escrow that never moves: a region sells its share", "static"},
      {"on-demand escrow", "Holdfast: rights come from other regions when they are lacking",
       "on-demand"},
      {"proportional", "the same, and rights move ahead of demand: Holdfast's default",
       "proportional"},
      {"square-root", "likewise, by the square roots of demand: quiet regions keep more",
       "square-root"},
      {"with allowance", "the default, and 5 % of the units may be oversold", "proportional", true},
  };
  return all;
}

Scenario with(Scenario scenario, const Alternative& alternative) {
  scenario.policy.name = alternative.policy;
  scenario.stock.allowance_units = 0;
  scenario.stock.allowance_share = alternative.with_allowance ? kAllowanceShare : 0;
  return scenario;
}

absl::StatusOr<Comparison> compare(const Scenario& scenario, const OnAlternative& on_progress) {
  Comparison comparison;
  comparison.title = scenario.title;
  comparison.teaches = scenario.teaches;
  comparison.seed = scenario.seed;
  comparison.policy = "all";
  std::vector<Together> answers;
  for (std::size_t i = 0; i < alternatives().size(); ++i) {
    const Alternative& alternative = alternatives()[i];
    auto report = run(with(scenario, alternative), [&](Time done, Time of) {
      if (on_progress) on_progress(i, done, of);
    });
    if (!report.ok()) return report.status();
    comparison.virtual_ms = report->virtual_ms;  // of each: they all live through the same hours
    comparison.hash = comparison.hash * 31 + report->hash;
    comparison.order_lines_left_out = report->order_lines_left_out;
    comparison.faults = report->faults;
    answers.resize(report->faults.size());
    for (std::size_t f = 0; f < answers.size(); ++f)
      answers[f].add(alternative.name, report->faults[f].answer);
    comparison.columns.push_back({alternative.name, alternative.note, report->totals});
    // What escrow promises, whatever the scenario expects of the one that it was written for.
    if (alternative.policy == "weak") continue;
    for (const CheckResult& check : report->checks)
      if (check.name == "invariants")
        comparison.checks.push_back(
            {alternative.name + ": invariants", check.passed, check.detail});
    const bool bounded = *report->totals.oversold <= *report->totals.oversold_bound;
    comparison.checks.push_back({alternative.name + ": oversold within its bound", bounded,
                                 std::to_string(*report->totals.oversold) + " of " +
                                     std::to_string(*report->totals.oversold_bound) + " units"});
  }
  for (std::size_t f = 0; f < answers.size(); ++f) comparison.faults[f].answer = answers[f].text();
  const auto nobody_came = [](const auto& column) { return column.totals.carts == 0; };
  if (std::all_of(comparison.columns.begin(), comparison.columns.end(), nobody_came))
    comparison.checks.push_back({"carts", false, kNobodyCame});
  return comparison;
}

}  // namespace holdfast::sim
