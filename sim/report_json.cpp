// The JSON form of reports; report.h documents it.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "absl/strings/str_cat.h"
#include "crdt/check.h"
#include "sim/report.h"

namespace holdfast::sim {
namespace {

namespace json = boost::json;

constexpr int kFormat = 1;

// Bytes of the well-formed UTF-8 character that `text` begins with; 0: there is none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  const unsigned second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && second < 0xA0;
    const bool surrogate = first == 0xED && second >= 0xA0;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool overlong = first == 0xF0 && second < 0x90;
    const bool too_large = first == 0xF4 && second >= 0x90;
    return continues(1) && continues(2) && continues(3) && !overlong && !too_large ? 4 : 0;
  }
  return 0;
}

json::string text_of_utf8(std::string_view text) {
  json::string out;
  while (!text.empty()) {
    const auto bytes = character_bytes(text);
    if (bytes == 0) {
      out += "\uFFFD";
    } else {
      out += json::string_view(text.data(), bytes);
    }
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

// Whole numbers without fraction or exponent, for those who read the file.
json::value number(double value) {
  if (!std::isfinite(value)) return nullptr;
  if (std::trunc(value) == value && std::abs(value) <= static_cast<double>(crdt::kUnitsMax)) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}
json::value number(const std::optional<double>& value) {
  return value ? number(*value) : json::value(nullptr);
}
json::value number(const std::optional<crdt::Units>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

std::string hexadecimal(std::uint64_t value) {
  return absl::StrCat(absl::Hex(value, absl::kZeroPad16));
}

json::array array_of(const Series& series) {
  json::array out;
  out.reserve(series.size());
  for (const double value : series) out.push_back(number(value));
  return out;
}

json::array array_of(const std::vector<std::int64_t>& times) {
  return json::array(times.begin(), times.end());
}

json::array array_of(const std::vector<std::string>& texts) {
  json::array out;
  for (const auto& text : texts) out.push_back(text_of_utf8(text));
  return out;
}

json::array array_of(const std::vector<CheckResult>& checks) {
  json::array out;
  for (const auto& check : checks) {
    out.push_back(json::object{{"name", text_of_utf8(check.name)},
                               {"passed", check.passed},
                               {"detail", text_of_utf8(check.detail)}});
  }
  return out;
}

json::array array_of(const std::vector<FaultSpan>& faults) {
  json::array out;
  std::int64_t before = 0;
  for (const auto& fault : faults) {
    HOLDFAST_CHECK(fault.from_ms >= before && fault.to_ms >= fault.from_ms);
    before = fault.from_ms;
    out.push_back(
        json::object{{"label", text_of_utf8(fault.label)},
                     {"kind", text_of_utf8(fault.kind)},
                     {"from_ms", fault.from_ms},
                     {"to_ms", fault.to_ms},
                     {"regions", array_of(fault.regions)},
                     {"answer", fault.answer.empty() ? json::value()
                                                     : json::value(text_of_utf8(fault.answer))}});
  }
  return out;
}

json::array array_of(const std::vector<Curves>& all) {
  json::array out;
  for (const auto& curves : all) {
    HOLDFAST_CHECK(std::is_sorted(curves.x.begin(), curves.x.end()));
    json::array lines;
    for (const auto& line : curves.lines) {
      HOLDFAST_CHECK(line.y.size() == curves.x.size());
      lines.push_back(json::object{{"name", text_of_utf8(line.name)}, {"y", array_of(line.y)}});
    }
    out.push_back(json::object{{"title", text_of_utf8(curves.title)},
                               {"x_label", text_of_utf8(curves.x_label)},
                               {"y_label", text_of_utf8(curves.y_label)},
                               {"x", array_of(curves.x)},
                               {"lines", std::move(lines)}});
  }
  return out;
}

json::value value_of(const std::optional<Latency>& latency) {
  if (!latency) return nullptr;
  return json::object{{"p50_ms", number(latency->p50_ms)},
                      {"p99_ms", number(latency->p99_ms)},
                      {"max_ms", number(latency->max_ms)}};
}

json::object object_of(const Totals& totals) {
  HOLDFAST_CHECK(totals.carts ==
                 totals.carts_accepted + totals.carts_refused() + totals.carts_failed);
  json::object refused;
  for (const auto& [reason, count] : totals.refused) refused[text_of_utf8(reason)] = count;
  return {{"carts", totals.carts},
          {"lines", totals.lines},
          {"carts_accepted", totals.carts_accepted},
          {"carts_refused", totals.carts_refused()},
          {"refused", std::move(refused)},
          {"carts_failed", totals.carts_failed},
          {"refused_with_stock_elsewhere", totals.refused_with_stock_elsewhere},
          {"carts_fetched", totals.carts_fetched},
          {"availability", number(totals.availability())},
          {"units_reserved", totals.units_reserved},
          {"units_committed", totals.units_committed},
          {"units_released", totals.units_released},
          {"units_expired", totals.units_expired},
          {"oversold", number(totals.oversold)},
          {"oversold_bound", number(totals.oversold_bound)},
          {"latency", value_of(totals.latency)},
          {"wan_bytes", totals.wan_bytes},
          {"wan_bytes_per_reservation", number(totals.wan_bytes_per_reservation())}};
}

json::value value_of(const std::optional<DecreeTotals>& decrees) {
  if (!decrees) return nullptr;
  return json::object{{"issued", decrees->issued},
                      {"retirements", decrees->retirements},
                      {"open", decrees->open},
                      {"seize", decrees->seize},
                      {"open_holds", decrees->open_holds},
                      {"seized", decrees->seized},
                      {"beyond_allowance", decrees->beyond_allowance},
                      {"beyond_bound", decrees->beyond_bound},
                      {"spent_unseen", decrees->spent_unseen},
                      {"realized", decrees->realized},
                      {"repaid", decrees->repaid},
                      {"unseen", decrees->unseen},
                      {"debt", decrees->debt}};
}

// The series of one region, or of the whole, by name.
class SeriesWriter {
 public:
  explicit SeriesWriter(std::size_t length) : length_(length) {}
  SeriesWriter& add(json::string_view name, const Series& series) {
    HOLDFAST_CHECK(series.empty() || series.size() == length_);
    out_[name] = array_of(series);
    return *this;
  }
  json::object take() { return std::move(out_); }

 private:
  std::size_t length_;
  json::object out_;
};

json::object object_of(const RegionSeries& series, std::size_t length) {
  return SeriesWriter(length)
      .add("rights", series.rights)
      .add("units_sold", series.units_sold)
      .add("carts_accepted", series.carts_accepted)
      .add("carts_refused", series.carts_refused)
      .add("refused_with_stock_elsewhere", series.refused_with_stock_elsewhere)
      .add("lag_ms", series.lag_ms)
      .add("wan_bytes", series.wan_bytes)
      .add("p50_ms", series.p50_ms)
      .add("p99_ms", series.p99_ms)
      .take();
}

json::object object_of(const GlobalSeries& series, std::size_t length) {
  return SeriesWriter(length)
      .add("on_hand", series.on_hand)
      .add("available", series.available)
      .add("oversold", series.oversold)
      .add("oversold_bound", series.oversold_bound)
      .take();
}

json::object object_of(const Heading& heading, json::string_view kind) {
  return {
      {"format", kFormat},
      {"kind", kind},
      {"title", text_of_utf8(heading.title)},
      {"teaches", text_of_utf8(heading.teaches)},
      {"policy", text_of_utf8(heading.policy)},
      {"passed", heading.passed()},
      {"checks", array_of(heading.checks)},
      {"seed", std::to_string(heading.seed)},
      {"hash", hexadecimal(heading.hash)},
      {"virtual_ms", heading.virtual_ms},
      {"real_ms", heading.real_ms},
      {"version", text_of_utf8(heading.version)},
      {"commit", text_of_utf8(heading.commit)},
      {"order_lines_left_out",
       heading.order_lines_left_out ? json::value(*heading.order_lines_left_out) : json::value()}};
}

std::string line_of(const json::object& object) { return json::serialize(object) + "\n"; }

}  // namespace

std::string json_of(const Report& report) {
  const auto& times = report.times_ms;
  HOLDFAST_CHECK(times.empty() || times.front() > 0);
  HOLDFAST_CHECK(std::adjacent_find(times.begin(), times.end(), std::greater_equal<>()) ==
                 times.end());
  json::array regions;
  for (const auto& region : report.regions) {
    regions.push_back(json::object{{"name", text_of_utf8(region.name)},
                                   {"totals", object_of(region.totals)},
                                   {"series", object_of(region.series, times.size())}});
  }
  auto out = object_of(report, "run");
  out["totals"] = object_of(report.totals);
  out["decrees"] = value_of(report.decrees);
  out["faults"] = array_of(report.faults);
  out["times_ms"] = array_of(times);
  out["regions"] = std::move(regions);
  out["global"] = object_of(report.global, times.size());
  out["curves"] = array_of(report.curves);
  return line_of(out);
}

std::string json_of(const Comparison& comparison) {
  json::array columns;
  for (const auto& column : comparison.columns) {
    columns.push_back(json::object{{"name", text_of_utf8(column.name)},
                                   {"note", text_of_utf8(column.note)},
                                   {"totals", object_of(column.totals)}});
  }
  auto out = object_of(comparison, "comparison");
  out["columns"] = std::move(columns);
  out["faults"] = array_of(comparison.faults);
  out["curves"] = array_of(comparison.curves);
  return line_of(out);
}

std::string json_of(const Study& study) {
  auto out = object_of(study, "study");
  out["curves"] = array_of(study.curves);
  return line_of(out);
}

}  // namespace holdfast::sim
