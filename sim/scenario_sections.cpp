#include "sim/scenario_sections.h"

#include <algorithm>
#include <numeric>

#include "sim/time_span.h"

namespace holdfast::sim {
// ── what the sections share ─────────────────────────────────────────────────────────────────────

std::vector<std::string> region_names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const ScenarioRegion& region : scenario.regions) names.push_back(region.name);
  return names;
}

std::optional<std::size_t> region_called(TableReader& table, const std::string& key,
                                         const std::string& name, const Scenario& scenario) {
  const auto names = region_names(scenario);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  if (!names.empty())
    table.note(key, "there is no region \"" + name + "\"; the regions are " + joined(names));
  return std::nullopt;
}

std::optional<Time> read_moment(TableReader& table, const std::string& key,
                                const Scenario& scenario) {
  const TomlMember* member = table.find(key);
  if (!member) {
    table.require(key);
    return std::nullopt;
  }
  const auto* text = member->value.as<std::string>();
  std::optional<Time> at;
  if (text) {
    at = parse_span(*text);
    if (const auto hour = parse_time_of_day(*text)) {
      at = (*hour - scenario.start_of_day + kDay) % kDay;
    }
  }
  if (!at || *at < 0) {
    table.note(*member,
               "must be a span from the start, such as \"90s\" or \"1h30m\", or a time of day, "
               "\"14:30\", is " +
                   to_string(member->value));
    return std::nullopt;
  }
  if (*at >= scenario.duration) {
    table.note(*member, "lies at " + span_text(*at) + ", but the scenario is over after " +
                            span_text(scenario.duration) + " (duration)");
    return std::nullopt;
  }
  return at;
}

std::optional<Time> read_end(TableReader& table, const std::string& key, Time at,
                             const Scenario& scenario) {
  if (!table.has(key)) return std::nullopt;
  Time length = 0;
  table.span(key, length, {kMillisecond, 366 * kDay});
  if (length == 0) return std::nullopt;  // noted
  if (at + length > scenario.duration) {
    table.note(key, "ends at " + span_text(at + length) + ", but the scenario is over after " +
                        span_text(scenario.duration) +
                        "; shorten it, or leave it out: it then lasts until the end");
  }
  return at + length;
}

void read_percent(TableReader& table, const std::string& key, double& share,
                  Range<double> allowed) {
  double value = share * 100;
  table.number(key, value, allowed);
  share = value / 100;
}

std::vector<double> read_by_region(TableReader table, const Scenario& scenario,
                                   Range<double> allowed) {
  std::vector<double> values;
  for (const ScenarioRegion& region : scenario.regions) {
    double value = 0;
    table.number(region.name, value, allowed);
    values.push_back(value);
  }
  for (const TomlMember* member : table.members()) {
    region_called(table, member->key, member->key, scenario);
  }
  return values;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// ── regions ─────────────────────────────────────────────────────────────────────────────────────

namespace {

ScenarioRegion read_region(TableReader& table) {
  ScenarioRegion region;
  table.require("name");
  table.text("name", region.name);
  if (!region.name.empty() && (region.name.size() > 62 || !crdt::valid_name(region.name) ||
                               region.name.find(':') != std::string::npos)) {
    table.note("name", "must be 1 to 62 of A-Z a-z 0-9 . _ -");
  }
  std::int64_t nodes = 1;
  table.integer("nodes", nodes, {1, 100});
  region.nodes = static_cast<std::size_t>(nodes);
  table.number("capacity", region.capacity, {1, kRateMax});
  table.number("utc_offset", region.utc_offset_hours, {-14, 14});
  table.span("clock_offset", region.clock_offset, {-kDay, kDay});
  table.number("clock_drift_ppm", region.clock_drift_ppm, {-10'000, 10'000});
  table.finish();
  return region;
}

}  // namespace

void read_regions(TableReader& root, Scenario& scenario) {
  if (!root.has("region")) {
    return root.note("region", "is missing: describe at least one region as [[region]]");
  }
  std::size_t nodes = 0;
  for (TableReader& table : root.tables("region")) {
    ScenarioRegion region = read_region(table);
    const auto names = region_names(scenario);
    if (std::find(names.begin(), names.end(), region.name) != names.end()) {
      table.note("name", "\"" + region.name + "\" is the name of another region: names are unique");
    }
    nodes += region.nodes;
    scenario.regions.push_back(std::move(region));
  }
  const auto* list = root.find("region")->value.as<TomlValue::Array>();
  if (list && list->empty()) root.note("region", "must describe at least one region");
  const auto names = region_names(scenario);
  for (std::size_t node = 0; node < nodes; ++node) {
    const std::string name = scenario.node_name(node);
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      root.note("region", "\"" + name + "\" would be a region and a node: rename the region");
    }
  }
  if (nodes > 100) {  // of one shard
    root.note("region", "describes " + std::to_string(nodes) + " nodes; at most 100 are simulated");
  }
}

// ── shards ──────────────────────────────────────────────────────────────────────────────────────

std::vector<std::uint32_t> read_weights(TableReader& table, std::size_t shards) {
  std::vector<std::uint32_t> weights;
  for (const std::int64_t weight : table.integer_list("weights", {0, 1'000'000}))
    weights.push_back(static_cast<std::uint32_t>(weight));
  if (!table.has("weights") || weights.empty()) return std::vector<std::uint32_t>(shards, 100);
  if (weights.size() != shards)
    table.note("weights", "must be a weight for each of the " + std::to_string(shards) +
                              " shards, 0 for one that has no SKU");
  if (std::all_of(weights.begin(), weights.end(), [](auto weight) { return weight == 0; }))
    table.note("weights", "are all 0: then no SKU would be anywhere");
  weights.resize(shards, 100);
  return weights;
}

void read_shards(TableReader& root, Scenario& scenario) {
  auto table = root.table("shards");
  if (!table) return;
  std::int64_t count = 1, routers = 1;
  table->integer("count", count, {1, 32});
  table->integer("routers", routers, {1, 16});
  scenario.shards = {read_weights(*table, static_cast<std::size_t>(count)),
                     static_cast<std::size_t>(routers)};
  for (std::size_t shard = 0; count > 1 && shard < scenario.shards.count(); ++shard)
    for (const std::string& region : region_names(scenario))
      if (region == shard_name(shard) || region.starts_with(shard_name(shard) + "."))
        table->note("count", "\"" + region + "\" would be a region and in the shard " +
                                 shard_name(shard) + ": rename the region");
  if (scenario.regions.size() > 0 && scenario.node_count() > 100)
    table->note("count", "makes " + std::to_string(scenario.node_count()) +
                             " nodes of all shards; at most 100 are simulated");
  table->finish();
}

// ── network ─────────────────────────────────────────────────────────────────────────────────────

namespace {

constexpr Range<double> kFrames{0, 99.9};  // percent that a fault takes: some must pass

void read_link_keys(TableReader& table, ScenarioLink& link) {
  table.millis("one_way_ms", link.one_way, {0, 60'000});
  table.millis("jitter_ms", link.jitter, {0, 60'000});
  read_percent(table, "loss_percent", link.loss, kFrames);
  read_percent(table, "duplicate_percent", link.duplicate, kFrames);
  read_percent(table, "reorder_percent", link.reorder, kFrames);
  if (table.has("bandwidth_mbit")) {
    double mbit = link.bytes_per_second / 125'000;
    table.number("bandwidth_mbit", mbit, {0.001, 1e6});
    link.bytes_per_second = mbit * 125'000;
  }
}

struct RegionPair {
  std::size_t from = 0, to = 0;
  bool both_ways = false;
};

// "us-eu", or "us>eu" for one direction. Names may hold '-', so every place to split is tried.
std::vector<RegionPair> pairs_called(const std::string& key, const Scenario& scenario) {
  std::vector<RegionPair> found;
  for (std::size_t at = 0; at < key.size(); ++at) {
    if (key[at] != '-' && key[at] != '>') continue;
    RegionPair pair{.from = scenario.regions.size(),
                    .to = scenario.regions.size(),
                    .both_ways = key[at] == '-'};
    for (std::size_t r = 0; r < scenario.regions.size(); ++r) {
      if (scenario.regions[r].name == key.substr(0, at)) pair.from = r;
      if (scenario.regions[r].name == key.substr(at + 1)) pair.to = r;
    }
    if (std::max(pair.from, pair.to) < scenario.regions.size()) found.push_back(pair);
  }
  return found;
}

class LinkOverrides {
 public:
  LinkOverrides(TableReader table, Scenario& scenario)
      : table_(std::move(table)), scenario_(scenario), said_(scenario.links.size()) {}

  void read() {
    // What is said of one direction stands above what is said of both.
    for (const bool both_ways : {true, false}) {
      for (const TomlMember* member : table_.members()) {
        const auto pairs = pairs_called(member->key, scenario_);
        if (pairs.size() == 1 && pairs[0].both_ways == both_ways) read(*member, pairs[0]);
      }
    }
    for (const TomlMember* member : table_.members()) {
      const auto pairs = pairs_called(member->key, scenario_);
      if (pairs.size() == 1) continue;
      table_.note(*member, pairs.empty()
                               ? "must name two regions, \"a-b\", or \"a>b\" for one direction; "
                                 "the regions are " +
                                     joined(region_names(scenario_))
                               : "can be read as more than one pair of regions: rename one");
    }
  }

 private:
  void read(const TomlMember& member, const RegionPair& pair) {
    if (pair.from == pair.to) {
      return table_.note(member,
                         "names one region twice: between the nodes of one region it is "
                         "network.within_region_ms");
    }
    const std::size_t n = scenario_.regions.size();
    const std::size_t there = pair.from * n + pair.to, back = pair.to * n + pair.from;
    int& said = said_[there];
    if (said == (pair.both_ways ? 1 : 2) || (pair.both_ways && said_[back] == 1)) {
      return table_.note(member, "says again what another key says of this pair: remove one");
    }
    ScenarioLink link = scenario_.links[there];
    if (const auto section = member.value.as<TomlTable>()) {
      auto keys = table_.table(member.key);
      read_link_keys(*keys, link);
      keys->finish();
      (void)section;
    } else {
      table_.millis(member.key, link.one_way, {0, 60'000});
    }
    said = pair.both_ways ? 1 : 2;
    scenario_.links[there] = link;
    if (pair.both_ways) {
      said_[back] = 1;
      scenario_.links[back] = link;
    }
  }

  TableReader table_;
  Scenario& scenario_;
  std::vector<int> said_;  // 0: nothing, 1: of both directions, 2: of this one
};

}  // namespace

void read_network(TableReader& root, Scenario& scenario) {
  ScenarioLink between{.one_way = 40 * kMillisecond, .jitter = 2 * kMillisecond};
  const std::size_t n = scenario.regions.size();
  Time within = kMillisecond / 2;
  auto table = root.table("network");
  if (table) {
    read_link_keys(*table, between);
    table->millis("within_region_ms", within, {0, 60'000});
    table->millis("customers_ms", scenario.customers_one_way, {0, 60'000});
  }
  scenario.links.assign(n * n, between);
  for (std::size_t r = 0; r < n; ++r) scenario.links[r * n + r] = {.one_way = within};
  if (!table) return;
  if (auto links = table->table("links")) LinkOverrides(*links, scenario).read();
  table->finish();
}

// ── stock ───────────────────────────────────────────────────────────────────────────────────────

namespace {

void read_spread(TableReader& table, Scenario& scenario) {
  const TomlMember* member = table.find("spread");
  if (!member) return;
  ScenarioStock& stock = scenario.stock;
  if (auto* weights = member->value.as<TomlTable>(); weights) {
    stock.spread = ScenarioStock::Spread::weights;
    stock.weights = read_by_region(*table.table("spread"), scenario, {0, 1e9});
    if (!(sum(stock.weights) > 0)) table.note(*member, "must give a weight to at least one region");
    return;
  }
  std::string where;
  table.text("spread", where);
  if (where == "even") return;
  stock.spread = ScenarioStock::Spread::demand;
  if (where == "demand" || where.empty()) return;
  stock.spread = ScenarioStock::Spread::weights;
  stock.weights.assign(scenario.regions.size(), 0);
  const auto names = region_names(scenario);
  const auto found = std::find(names.begin(), names.end(), where);
  if (found != names.end()) {
    stock.weights[static_cast<std::size_t>(found - names.begin())] = 1;
  } else {
    table.note(*member,
               "must be \"even\", \"demand\", the name of one region, or weights such as { " +
                   (names.empty() ? "us" : names[0]) + " = 2 }, is " + to_string(member->value));
  }
}

// The bursts are read before the catalogue is known.
void check_burst_skus(Problems& problems, const Scenario& scenario) {
  for (const ScenarioBurst& burst : scenario.demand.bursts) {
    if (burst.skus <= scenario.skus.size()) continue;
    problems.add(burst.skus_line, "demand.burst.skus",
                 "must be at most " + std::to_string(scenario.skus.size()) +
                     ", as many as there are (stock.skus), is " + std::to_string(burst.skus));
  }
}

}  // namespace

void read_stock(TableReader& root, Scenario& scenario) {
  root.require("stock");
  auto table = root.table("stock");
  if (!table) return;
  ScenarioStock& stock = scenario.stock;
  std::int64_t skus = 100;
  const std::size_t noted = table->problems().count();
  table->integer("skus", skus, {1, kSkusMax});
  const bool known = table->problems().count() == noted;
  if (scenario.demand.kind == ScenarioDemand::Skus::orders) {
    if (table->has("skus"))
      table->note("skus", "cannot be set: the orders say which SKUs there are");
  } else {
    scenario.skus.clear();
    for (std::int64_t i = 1; i <= skus; ++i) scenario.skus.push_back("sku-" + std::to_string(i));
    if (known) check_burst_skus(table->problems(), scenario);
  }
  const bool total = table->has("units_total"), each = table->has("units_per_sku"),
             times = table->has("times_demand");
  if (int{total} + int{each} + int{times} != 1) {
    table->note("must have exactly one of units_total, units_per_sku, times_demand");
  }
  stock.amount = total  ? ScenarioStock::Amount::total
                 : each ? ScenarioStock::Amount::per_sku
                        : ScenarioStock::Amount::of_demand;
  table->integer("units_total", stock.units, {0, 1'000'000'000'000});
  table->integer("units_per_sku", stock.units, {0, crdt::kLineUnitsMax});
  table->number("times_demand", stock.times, {0, 1'000});
  read_spread(*table, scenario);
  table->integer("allowance_units", stock.allowance_units, {0, crdt::kLineUnitsMax});
  read_percent(*table, "allowance_percent", stock.allowance_share);
  table->finish();
}

// ── policy, nodes, expectations ─────────────────────────────────────────────────────────────────

void read_policy(TableReader& root, Scenario& scenario) {
  auto table = root.table("policy");
  if (!table) return;
  table->one_of("name", scenario.policy.name, known_policies());
  table->integer("wait_ms", scenario.policy.wait_ms, {0, 60'000});
  std::string central;
  table->text("central_region", central);
  if (!central.empty()) {
    scenario.policy.central_region =
        region_called(*table, "central_region", central, scenario).value_or(0);
  }
  const std::string& name = scenario.policy.name;
  if (scenario.routed() && !policy_has_shards(name))
    table->note("name",
                "\"" + name + "\" has no shards: leave [shards] out, or take another policy");
  table->finish();
}

void read_nodes(TableReader& root, Scenario& scenario) {
  auto table = root.table("node");
  if (!table) return;
  ScenarioNodes& nodes = scenario.nodes;
  table->integer("heartbeat_ms", nodes.heartbeat_ms, {50, 60'000});
  table->integer("suspect_after_ms", nodes.suspect_after_ms, {150, 600'000});
  table->integer("push_ms", nodes.push_ms, {0, 1'000});
  table->integer("relay_after_ms", nodes.relay_after_ms, {0, 60'000});
  table->integer("inbox_delay_ms", nodes.inbox_delay_ms, {1, 60'000});
  table->millis("fsync_ms", nodes.fsync, {0.01, 60'000});
  if (nodes.suspect_after_ms < 3 * nodes.heartbeat_ms) {
    table->note("suspect_after_ms", "must be at least 3 × heartbeat_ms, that is " +
                                        std::to_string(3 * nodes.heartbeat_ms));
  }
  table->finish();
}

namespace {

void percent(TableReader& table, const std::string& key, std::optional<double>& share) {
  if (!table.has(key)) return;
  share = 0;
  read_percent(table, key, *share);
}

// One number for all regions, or a table of them.
void read_availability(TableReader& table, Scenario& scenario) {
  const TomlMember* member = table.find("availability_min");
  if (!member) return;
  if (!member->value.as<TomlTable>()) {
    return percent(table, "availability_min", scenario.expect.availability_min);
  }
  TableReader by = *table.table("availability_min");
  for (const TomlMember* entry : by.members()) {
    double least = 0;
    read_percent(by, entry->key, least);
    if (const auto region = region_called(by, entry->key, entry->key, scenario)) {
      scenario.expect.availability_min_by_region[*region] = least;
    }
  }
}

void milliseconds(TableReader& table, const char* key, std::optional<double>& most) {
  if (!table.has(key)) return;
  double value = 0;
  table.number(key, value, {0, 1e6});
  most = value;
}

}  // namespace

void read_expectations(TableReader& root, Scenario& scenario) {
  auto table = root.table("expect");
  if (!table) return;
  Expectations& expect = scenario.expect;
  if (table->has("oversold_max")) {
    expect.oversold_max = 0;
    table->integer("oversold_max", *expect.oversold_max, {0, crdt::kUnitsMax});
  }
  read_availability(*table, scenario);
  percent(*table, "sold_min_percent", expect.sold_min);
  percent(*table, "refused_max_percent", expect.refused_max);
  percent(*table, "refused_with_stock_elsewhere_max_percent",
          expect.refused_with_stock_elsewhere_max);
  percent(*table, "refused_with_stock_elsewhere_min_percent",
          expect.refused_with_stock_elsewhere_min);
  milliseconds(*table, "p50_ms_max", expect.p50_ms_max);
  milliseconds(*table, "p99_ms_max", expect.p99_ms_max);
  percent(*table, "fetched_max_percent", expect.fetched_max);
  if (expect.fetched_max && scenario.shards.count() > 1)
    table->note("fetched_max_percent",
                "is of carts, and of several shards their parts are counted: leave it out");
  table->flag("within_bound", expect.within_bound);
  table->flag("decrees_closed", expect.decrees_closed);
  if (table->has("spent_unseen_min")) {
    expect.spent_unseen_min = 0;
    table->integer("spent_unseen_min", *expect.spent_unseen_min, {0, crdt::kUnitsMax});
  }
  if (table->has("converged_within")) {
    expect.converged_within = 0;
    table->span("converged_within", *expect.converged_within, {0, kDay});
  }
  if (table->has("moved_within")) {
    expect.moved_within = 0;
    table->span("moved_within", *expect.moved_within, {0, kDay});
    if (std::none_of(scenario.events.begin(), scenario.events.end(),
                     [](const auto& event) { return event.kind == EventKind::reshard; }))
      table->note("moved_within", "needs an event of kind \"reshard\"");
  }
  table->finish();
}

}  // namespace holdfast::sim
