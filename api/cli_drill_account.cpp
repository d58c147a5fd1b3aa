#include "api/cli_drill_account.h"

#include <algorithm>
#include <cmath>

namespace holdfast::api {
namespace {

namespace json = boost::json;

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f %%", share * 100);
  return text;
}

std::string count(std::uint64_t value) { return grouped(static_cast<std::int64_t>(value)); }

Table sales_table(const DrillReport& report) {
  Table table({{"region"},
               {"phase"},
               {"carts", Align::right},
               {"sold", Align::right},
               {"units", Align::right},
               {"out of stock", Align::right},
               {"not reached", Align::right},
               {"unanswered", Align::right},
               {"failed", Align::right}});
  for (const auto& region : report.regions) {
    const auto found = report.sales.find(region);
    if (found == report.sales.end()) continue;
    for (std::size_t i = 0; i < kDrillPhases; ++i) {
      const PhaseSales& sales = found->second.phases[i];
      table.add({i == 0 ? region + (region == report.lost ? " (lost)" : "") : "",
                 kDrillPhaseNames[i], count(sales.carts), count(sales.sold), grouped(sales.units),
                 count(sales.refused), count(sales.unreached), count(sales.unanswered),
                 count(sales.failed)});
    }
  }
  return table;
}

Table decree_table(const DecreeFigures& decree) {
  Table table({{"units, all SKUs"}, {"", Align::right}});
  table.add({"dry run: at most", grouped(decree.seize)});
  table.add({"… and in open holds", grouped(decree.open_holds)});
  table.add({"seized", grouped(decree.seized)});
  table.add({"of that, the lost region had sold unseen", grouped(decree.spent_unseen)});
  table.add({"of that, beyond the stock", grouped(decree.realized)});
  table.add({"repaid", grouped(decree.repaid)});
  return table;
}

Table latency_table(const DrillReport& report) {
  Table table({{"other regions, a reservation"},
               {"count", Align::right},
               {"p50 ms", Align::right},
               {"p99 ms", Align::right},
               {"sold", Align::right}});
  for (const auto phase : {DrillPhase::undisturbed, DrillPhase::outage, DrillPhase::healed}) {
    const PhaseSales sales = report.others(phase);
    const Latency latency = latency_of(sales.reserve_ms);
    table.add({kDrillPhaseNames[static_cast<std::size_t>(phase)], count(latency.count),
               short_number(latency.p50_ms), short_number(latency.p99_ms),
               percent(share_sold(sales))});
  }
  return table;
}

json::object latency_json(const PhaseSales& sales) {
  const Latency latency = latency_of(sales.reserve_ms);
  return {{"count", latency.count},
          {"p50_ms", latency.p50_ms},
          {"p99_ms", latency.p99_ms},
          {"max_ms", latency.max_ms},
          {"share_sold", share_sold(sales)}};
}

json::array regions_json(const DrillReport& report) {
  json::array regions;
  for (const auto& [region, account] : report.sales) {
    json::object phases;
    for (std::size_t i = 0; i < kDrillPhases; ++i) {
      const PhaseSales& sales = account.phases[i];
      phases[kDrillPhaseNames[i]] =
          json::object{{"carts", sales.carts},           {"sold", sales.sold},
                       {"units", sales.units},           {"out_of_stock", sales.refused},
                       {"not_reached", sales.unreached}, {"unanswered", sales.unanswered},
                       {"failed", sales.failed}};
    }
    regions.push_back(json::object{
        {"region", region}, {"lost", region == report.lost}, {"phases", std::move(phases)}});
  }
  return regions;
}

}  // namespace

bool DrillReport::ok() const {
  return !checks.empty() &&
         std::all_of(checks.begin(), checks.end(), [](const DrillCheck& c) { return c.ok; });
}

PhaseSales DrillReport::others(DrillPhase phase) const {
  PhaseSales sum;
  for (const auto& [region, account] : sales) {
    if (region != lost) sum += account.phases[static_cast<std::size_t>(phase)];
  }
  return sum;
}

double share_sold(const PhaseSales& sales) {
  return sales.plenty_carts == 0
             ? 1
             : static_cast<double>(sales.plenty_sold) / static_cast<double>(sales.plenty_carts);
}

double p99_ratio(const DrillReport& report) {
  const double before = latency_of(report.others(DrillPhase::undisturbed).reserve_ms).p99_ms;
  const double during = latency_of(report.others(DrillPhase::outage).reserve_ms).p99_ms;
  return before > 0 ? during / before : 0;
}

void judge(DrillReport& report) {
  const DecreeFigures& decree = report.decree;
  const auto check = [&](std::string name, bool ok, std::string detail) {
    report.checks.push_back({std::move(name), ok, std::move(detail)});
  };
  check("bound", report.violations == 0 && report.looks > 0,
        (report.violations == 0 ? "never" : "not always") +
            std::string(" below what the dry run said, in ") + count(report.looks) +
            " looks at a SKU on a node; the least that was available was " +
            grouped(report.least_available));
  check("account",
        decree.accounts > 0 && decree.closed == decree.accounts && decree.seized == decree.seize &&
            decree.unseen == 0 && decree.debt == 0 && decree.repaid == decree.spent_unseen &&
            decree.realized <= decree.spent_unseen && decree.spent_unseen <= decree.seized,
        count(decree.closed) + " of " + count(decree.accounts) + " decrees are closed; seized " +
            grouped(decree.seized) + ", spent unseen " + grouped(decree.spent_unseen) +
            ", realized " + grouped(decree.realized) + ", repaid " + grouped(decree.repaid));
  check("ground truth", report.differences == 0,
        count(report.differences) + " of " + count(report.skus * report.nodes) +
            " figures differ from what clients were told");
  const PhaseSales others = report.others(DrillPhase::outage);
  check("others sold on",
        share_sold(others) >= 0.9999 && others.failed == 0 && others.unreached == 0,
        count(others.plenty_sold) + " of " + count(others.plenty_carts) +
            " carts within the rights of the other regions were sold during the outage");
  check("adoption", report.adopted == report.travellers,
        count(report.adopted) + " of " + count(report.travellers) +
            " carts of the lost region were committed elsewhere");
}

std::string report_text(const DrillReport& report, Style style) {
  std::string text = sales_table(report).text(style) + "\n" +
                     decree_table(report.decree).text(style) + "\n" +
                     latency_table(report).text(style) + "\n";
  text += "p99 during the outage is " + short_number(p99_ratio(report)) +
          " times the undisturbed one; latencies and shares are of SKUs of which every region has "
          "plenty\n";
  text += count(report.adopted) + " of " + count(report.travellers) +
          " carts that the lost region held were committed elsewhere\n";
  if (report.replenished > 0) {
    text += grouped(report.replenished) +
            " units were oversold when the region was back, and "
            "bought again so that it could be repaid\n";
  }
  text += "\n";
  for (const auto& check : report.checks) {
    text += (check.ok ? "ok      " : "FAILED  ") + check.name + ": " + check.detail + "\n";
  }
  for (const auto& note : report.notes) text += "        " + printable(note) + "\n";
  return text;
}

json::object report_json(const DrillReport& report) {
  json::array checks, notes;
  for (const auto& check : report.checks) {
    checks.push_back(
        json::object{{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}});
  }
  for (const auto& note : report.notes) notes.push_back(json::string(note));
  const DecreeFigures& decree = report.decree;
  return {{"lost", report.lost},
          {"how", report.killed ? "kill" : "cut"},
          {"skus", report.skus},
          {"nodes", report.nodes},
          {"regions", regions_json(report)},
          {"decree", json::object{{"plan", decree.plan},
                                  {"seize", decree.seize},
                                  {"open_holds", decree.open_holds},
                                  {"seized", decree.seized},
                                  {"spent_unseen", decree.spent_unseen},
                                  {"realized", decree.realized},
                                  {"repaid", decree.repaid},
                                  {"unseen", decree.unseen},
                                  {"debt", decree.debt},
                                  {"state", decree.accounts > 0 && decree.closed == decree.accounts
                                                ? "closed"
                                                : "open"}}},
          {"latency",
           json::object{{"undisturbed", latency_json(report.others(DrillPhase::undisturbed))},
                        {"outage", latency_json(report.others(DrillPhase::outage))},
                        {"healed", latency_json(report.others(DrillPhase::healed))},
                        {"p99_ratio", p99_ratio(report)}}},
          {"travellers", report.travellers},
          {"adopted", report.adopted},
          {"replenished", report.replenished},
          {"looks", report.looks},
          {"least_available", report.least_available},
          {"differences", report.differences},
          {"checks", std::move(checks)},
          {"notes", std::move(notes)},
          {"ok", report.ok()}};
}

}  // namespace holdfast::api
