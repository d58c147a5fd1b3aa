// The customers of a scenario: [demand].

#include <algorithm>
#include <charconv>
#include <chrono>

#include "sim/scenario_sections.h"
#include "sim/time_span.h"

namespace holdfast::sim {

namespace {

void read_rates(TableReader& table, Scenario& scenario) {
  ScenarioDemand& demand = scenario.demand;
  const std::size_t n = scenario.regions.size();
  table.require("rate");
  const TomlMember* rate = table.find("rate");
  const TomlMember* shares = table.find("shares");
  demand.rates.assign(n, 0);
  if (!rate) return;
  if (rate->value.as<TomlTable>()) {
    auto by = *table.table("rate");
    if (by.members().empty()) {
      table.note(*rate, "must say of at least one region how many carts come in a second");
    }
    demand.rates = read_by_region(by, scenario, {0, kRateMax});
    if (shares) table.note(*shares, "cannot be set: rate says already how much each region wants");
    return;
  }
  double total = 0;
  table.number("rate", total, {0, kRateMax});
  std::vector<double> weights(n, 1);
  if (shares) {
    if (auto by = table.table("shares")) weights = read_by_region(*by, scenario, {0, 1e9});
    if (!(sum(weights) > 0)) return table.note(*shares, "must give a share to at least one region");
  }
  for (std::size_t r = 0; r < n; ++r) demand.rates[r] = total * weights[r] / sum(weights);
}

// None: a fault in it is noted, and it is not held against the others.
std::optional<ScenarioBurst> read_burst(TableReader& table, const Scenario& scenario) {
  const std::size_t noted = table.problems().count();
  ScenarioBurst burst;
  burst.at = read_moment(table, "at", scenario).value_or(0);
  table.require("factor");
  table.number("factor", burst.factor, {0, 10'000});
  burst.end = read_end(table, "for", burst.at, scenario).value_or(scenario.duration);
  for (const std::string& name : table.texts("regions")) {
    if (const auto region = region_called(table, "regions", name, scenario)) {
      burst.regions.push_back(*region);
    }
  }
  if (!table.has("regions")) {
    for (std::size_t r = 0; r < scenario.regions.size(); ++r) burst.regions.push_back(r);
  }
  std::sort(burst.regions.begin(), burst.regions.end());
  if (std::adjacent_find(burst.regions.begin(), burst.regions.end()) != burst.regions.end()) {
    table.note("regions", "names a region twice");
  }
  std::int64_t skus = 0;
  table.integer("skus", skus, {1, kSkusMax});
  burst.skus = static_cast<std::size_t>(skus);
  if (const TomlMember* member = table.find("skus")) burst.skus_line = member->line;
  if (skus > 0 && burst.factor <= 1) {
    table.note("skus", "needs a factor above 1: only the additional carts ask for these SKUs");
  }
  table.finish();
  if (table.problems().count() > noted) return std::nullopt;
  return burst;
}

// "YYYY-MM-DD", and a day of the calendar.
bool is_date(const std::string& text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  const auto part = [&](std::size_t at, std::size_t digits) {
    int value = -1;
    const char* end = text.data() + at + digits;
    return std::from_chars(text.data() + at, end, value).ptr == end ? value : -1;
  };
  const int year = part(0, 4), month = part(5, 2), day = part(8, 2);
  return year >= 0 && month > 0 && day > 0 &&
         std::chrono::year_month_day(std::chrono::year(year),
                                     std::chrono::month(static_cast<unsigned>(month)),
                                     std::chrono::day(static_cast<unsigned>(day)))
             .ok();
}

OrdersSource read_source(TableReader& table, const Scenario& scenario) {
  OrdersSource source;
  source.line = table.line();
  table.require("file");
  table.text("file", source.file);
  if (const TomlMember* file = table.find("file")) source.line = file->line;
  source.days = table.texts("days");
  for (const std::string& day : source.days) {
    if (!is_date(day)) table.note("days", "must be dates, \"YYYY-MM-DD\", is \"" + day + "\"");
  }
  if (const TomlMember* days = table.find("days")) source.days_line = days->line;
  if (auto map = table.table("map")) {
    for (const TomlMember* member : map->members()) {
      std::string region;
      map->text(member->key, region);
      if (region.empty() || !region_called(*map, member->key, region, scenario)) continue;
      source.map.push_back(member->key + "=" + region);
    }
  }
  if (auto shares = table.table("shares")) {
    source.shares = read_by_region(*shares, scenario, {0, 1e9});
    if (!(sum(source.shares) > 0)) table.note("shares", "must give a share to at least one region");
    if (!source.map.empty()) table.note("shares", "cannot be set beside map");
  }
  std::string cart = "invoice";
  table.one_of("cart", cart, {"invoice", "line"});
  source.cart_of_line = cart == "line";
  table.number("speed", source.speed, {0.01, 10'000});
  table.integer("repeat", source.repeat, {1, 10'000});
  table.flag("skip_broken", source.skip_broken);
  table.finish();
  return source;
}

// What is drawn cannot be set beside real orders.
void read_drawn(TableReader& table, Scenario& scenario) {
  ScenarioDemand& demand = scenario.demand;
  std::string skus = "zipf", shape = "constant", bestsellers = "same";
  table.one_of("skus", skus, {"zipf", "uniform"});
  demand.kind = skus == "zipf" ? ScenarioDemand::Skus::zipf : ScenarioDemand::Skus::uniform;
  table.number("zipf_exponent", demand.zipf_exponent, {0, 10});
  table.one_of("bestsellers", bestsellers, {"same", "own"});
  demand.own_bestsellers = bestsellers == "own";
  for (const char* key : {"zipf_exponent", "bestsellers"}) {
    if (skus == "uniform" && table.has(key)) table.note(key, "needs skus = \"zipf\"");
  }
  read_rates(table, scenario);
  table.one_of("shape", shape, {"constant", "diurnal"});
  demand.diurnal = shape == "diurnal";
  read_percent(table, "amplitude_percent", demand.amplitude);
  table.number("peak_hour", demand.peak_hour, {0, 24});
  for (const char* key : {"amplitude_percent", "peak_hour"}) {
    if (!demand.diurnal && table.has(key)) table.note(key, "needs shape = \"diurnal\"");
  }
  table.integers("lines", demand.lines, {1, 1'000});
  table.integers("units", demand.units, {1, 1'000'000});
  for (TableReader& burst : table.tables("burst")) {
    if (auto read = read_burst(burst, scenario)) demand.bursts.push_back(*std::move(read));
  }
}

constexpr const char* kDrawnKeys[] = {
    "skus",      "zipf_exponent", "bestsellers", "rate", "shares", "shape", "amplitude_percent",
    "peak_hour", "lines",         "units",       "burst"};

void check_cart_count(TableReader& table, const Scenario& scenario) {
  const ScenarioDemand& demand = scenario.demand;
  const double seconds = static_cast<double>(scenario.duration) / static_cast<double>(kSecond);
  double carts = sum(demand.rates) * seconds;
  for (const ScenarioBurst& burst : demand.bursts) {
    const double burst_s = static_cast<double>(burst.end - burst.at) / static_cast<double>(kSecond);
    for (const std::size_t r : burst.regions) {
      carts += std::max(0.0, burst.factor - 1) * demand.rates[r] * burst_s;
    }
  }
  if (!(carts <= kCartsMax)) {
    table.note("rate", "makes more than 50 million carts: lower it, or shorten duration");
  }
}

// Bursts multiply where they overlap, which is hardly meant.
void check_bursts(TableReader& table, const ScenarioDemand& demand) {
  for (std::size_t i = 0; i < demand.bursts.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const ScenarioBurst &a = demand.bursts[i], &b = demand.bursts[j];
      const bool shared = std::any_of(a.regions.begin(), a.regions.end(), [&](std::size_t r) {
        return std::binary_search(b.regions.begin(), b.regions.end(), r);
      });
      if (shared && a.at < b.end && b.at < a.end) {
        return table.note("burst", "number " + std::to_string(j + 1) + " and number " +
                                       std::to_string(i + 1) +
                                       " overlap in one region: let one end before the other "
                                       "begins");
      }
    }
  }
}

}  // namespace

void read_demand(TableReader& root, Scenario& scenario) {
  root.require("demand");
  auto table = root.table("demand");
  if (!table) return;
  ScenarioDemand& demand = scenario.demand;
  if (auto orders = table->table("orders")) {
    demand.kind = ScenarioDemand::Skus::orders;
    demand.source = read_source(*orders, scenario);
    for (const char* key : kDrawnKeys) {
      if (table->has(key)) table->note(key, "cannot be set beside [demand.orders]: remove one");
    }
  } else {
    read_drawn(*table, scenario);
    check_bursts(*table, demand);
    check_cart_count(*table, scenario);
  }
  read_percent(*table, "release_percent", demand.release_share);
  read_percent(*table, "abandon_percent", demand.abandon_share);
  if (demand.release_share + demand.abandon_share > 1 + 1e-9) {
    table->note("abandon_percent", "and release_percent are more than 100 together");
  }
  table->spans("think", demand.think, {0, kDay});
  table->span("ttl", demand.ttl, {kSecond, 30 * kDay});
  if (demand.ttl % kSecond != 0) table->note("ttl", "must be whole seconds");
  table->span("timeout", demand.timeout, {kMillisecond, kHour});
  table->finish();
}

}  // namespace holdfast::sim
