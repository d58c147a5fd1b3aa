// Reports as text for a terminal.

#include <algorithm>
#include <cmath>
#include <string_view>

#include "sim/report.h"

namespace holdfast::sim {
namespace {

using api::Align;
using api::grouped;
using api::printable;

// A share as a percentage; nothing short of all is shown as 100 %, and nothing above none as 0 %.
std::string percent(const std::optional<double>& share) {
  if (!share) return "-";
  const auto hundredths = std::llround(*share * 10'000);
  if (*share < 1 && hundredths == 10'000) return "99.99 %";
  if (*share > 0 && hundredths == 0) return "0.01 %";
  std::string text = std::to_string(hundredths / 100) + ".";
  if (hundredths % 100 < 10) text += "0";
  return text + std::to_string(hundredths % 100) + " %";
}

std::string scaled(double value, double step, const std::vector<std::string>& units) {
  std::size_t unit = 0;
  while (std::abs(value) >= step && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  const bool whole = unit == 0 && std::trunc(value) == value;
  return (whole ? grouped(static_cast<std::int64_t>(value)) : api::short_number(value)) + " " +
         units[unit];
}

std::string bytes(double value) { return scaled(value, 1000, {"B", "kB", "MB", "GB", "TB"}); }

std::string milliseconds(double value) {
  if (std::abs(value) < 1000) return api::short_number(value) + " ms";
  return scaled(value / 1000, 60, {"s", "min", "h"});
}

std::string clock_time(std::int64_t ms) {
  const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
  const std::int64_t s = ms / 1000;
  const auto day = s / 86'400;
  return (day > 0 ? "day " + std::to_string(day + 1) + " " : std::string()) + two(s / 3600 % 24) +
         ":" + two(s / 60 % 60) + ":" + two(s % 60);
}

std::string count(std::uint64_t value) { return grouped(static_cast<std::int64_t>(value)); }
std::string count(const std::optional<crdt::Units>& value) { return value ? grouped(*value) : "-"; }

api::Table totals_table(std::string_view first_title) {
  return api::Table({{std::string(first_title), Align::left},
                     {"carts", Align::right},
                     {"accepted", Align::right},
                     {"refused", Align::right},
                     {"stock elsewhere", Align::right},
                     {"fetched", Align::right},
                     {"failed", Align::right},
                     {"answered", Align::right},
                     {"oversold", Align::right},
                     {"bound", Align::right},
                     {"p50", Align::right},
                     {"p99", Align::right},
                     {"WAN", Align::right},
                     {"per cart", Align::right}});
}

void add_totals(api::Table& table, const std::string& name, const Totals& totals) {
  const auto per_cart = totals.wan_bytes_per_reservation();
  const auto& latency = totals.latency;
  table.add({name, count(totals.carts), count(totals.carts_accepted), count(totals.carts_refused()),
             count(totals.refused_with_stock_elsewhere), count(totals.carts_fetched),
             count(totals.carts_failed), percent(totals.availability()), count(totals.oversold),
             count(totals.oversold_bound), latency ? milliseconds(latency->p50_ms) : "-",
             latency ? milliseconds(latency->p99_ms) : "-",
             bytes(static_cast<double>(totals.wan_bytes)), per_cart ? bytes(*per_cart) : "-"});
}

// What the titles of the table mean.
std::string legend(api::Style style) {
  const std::string text =
      "stock elsewhere: refused although all regions together had the units. fetched: waited for\n"
      "rights of other nodes. failed: no answer in time, or a 5xx. answered: yes or no, in time.\n"
      "oversold, bound: units sold beyond the stock, and how many may be. p50, p99: of answered\n"
      "carts, at the customer. WAN: bytes between regions, in all and per accepted cart.\n";
  return style == api::Style::colour ? "\x1b[2m" + text + "\x1b[0m" : text;
}

std::string heading_text(const Heading& heading) {
  std::string text = printable(heading.title) + "\n";
  if (!heading.teaches.empty()) text += printable(heading.teaches) + "\n";
  if (const auto lines = heading.order_lines_left_out.value_or(0); lines > 0)
    text += "Left out: " + count(lines) + (lines == 1 ? " broken line" : " broken lines") +
            " of the file of orders\n";
  return text + "\n";
}

std::string faults_text(const std::vector<FaultSpan>& faults, std::int64_t end_ms,
                        api::Style style) {
  if (faults.empty()) return "";
  std::vector<api::Column> columns{{"after"}, {"until"}, {"fault"}, {"kind"}, {"regions"}};
  // Faults answer nothing: the column is there for operators' commands.
  if (std::any_of(faults.begin(), faults.end(),
                  [](const FaultSpan& fault) { return !fault.answer.empty(); }))
    columns.push_back({"answer"});
  api::Table table(columns);
  for (const auto& fault : faults) {
    std::string regions;
    for (const auto& region : fault.regions) regions += (regions.empty() ? "" : ", ") + region;
    const bool instant = fault.to_ms == fault.from_ms;
    const bool open = fault.to_ms >= end_ms;
    table.add({clock_time(fault.from_ms),
               instant ? ""
               : open  ? "end"
                       : clock_time(fault.to_ms),
               fault.label, fault.kind, regions, fault.answer});
  }
  return table.text(style) + "\n";
}

std::string curve_value(double value, std::string_view label) {
  if (!std::isfinite(value)) return "-";
  if (label == "ms") return milliseconds(value);
  if (label == "bytes") return bytes(value);
  return std::trunc(value) == value && std::abs(value) < 1e15
             ? grouped(static_cast<std::int64_t>(value))
             : api::short_number(value);
}

std::string curves_text(const std::vector<Curves>& all, api::Style style) {
  std::string text;
  for (const auto& curves : all) {
    std::vector<api::Column> columns{{printable(curves.x_label), Align::right}};
    for (const auto& line : curves.lines) columns.push_back({printable(line.name), Align::right});
    api::Table table(columns);
    for (std::size_t i = 0; i < curves.x.size(); ++i) {
      std::vector<std::string> cells{curve_value(curves.x[i], "")};
      for (const auto& line : curves.lines) cells.push_back(curve_value(line.y[i], curves.y_label));
      table.add(std::move(cells));
    }
    text += printable(curves.title) + " (" + printable(curves.y_label) + ")\n";
    text += table.text(style) + "\n";
  }
  return text;
}

std::string decrees_text(const std::optional<DecreeTotals>& decrees, api::Style style) {
  if (!decrees) return "";
  api::Table table({{"decrees, units of all SKUs"}, {"", Align::right}});
  const auto units = [&](const char* name, crdt::Units value) {
    table.add({name, grouped(value)});
  };
  units("dry runs: to be seized", decrees->seize);
  units("… and in open holds", decrees->open_holds);
  units("seized", decrees->seized);
  units("oversold beyond the allowance, at most", decrees->beyond_allowance);
  units("… of one SKU, beyond what dry runs said", decrees->beyond_bound);
  units("sold by the lost before it knew", decrees->spent_unseen);
  units("… of that, beyond stock and allowance", decrees->realized);
  units("… of that, repaid", decrees->repaid);
  if (decrees->issued > 0)
    table.add({"decrees open at the end", count(decrees->open) + " of " + count(decrees->issued)});
  return table.text(style) + "\n";
}

std::string verdict_text(const Heading& heading) {
  std::string text;
  for (const auto& check : heading.checks) {
    text += (check.passed ? "  ok      " : "  FAILED  ") + printable(check.name);
    if (!check.detail.empty()) text += ": " + printable(check.detail);
    text += "\n";
  }
  if (!heading.checks.empty()) text += heading.passed() ? "passed" : "FAILED";
  if (heading.checks.empty()) text += "done";
  text += ": seed " + std::to_string(heading.seed) + ", " +
          milliseconds(static_cast<double>(heading.virtual_ms)) + " simulated in " +
          milliseconds(static_cast<double>(heading.real_ms));
  return text + "\n";
}

}  // namespace

std::string text_of(const Report& report, api::Style style) {
  auto table = totals_table("region");
  for (const auto& region : report.regions) add_totals(table, region.name, region.totals);
  add_totals(table, "all", report.totals);
  return heading_text(report) + faults_text(report.faults, report.virtual_ms, style) +
         table.text(style) + "\n" + legend(style) + "\n" + decrees_text(report.decrees, style) +
         curves_text(report.curves, style) + verdict_text(report);
}

std::string text_of(const Comparison& comparison, api::Style style) {
  auto table = totals_table("alternative");
  for (const auto& column : comparison.columns) add_totals(table, column.name, column.totals);
  return heading_text(comparison) + faults_text(comparison.faults, comparison.virtual_ms, style) +
         table.text(style) + "\n" + legend(style) + "\n" + curves_text(comparison.curves, style) +
         verdict_text(comparison);
}

std::string text_of(const Study& study, api::Style style) {
  return heading_text(study) + curves_text(study.curves, style) + verdict_text(study);
}

}  // namespace holdfast::sim
