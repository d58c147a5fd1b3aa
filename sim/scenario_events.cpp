// The timeline of a scenario: [[event]].

#include <algorithm>
#include <numeric>

#include "sim/scenario_sections.h"
#include "sim/time_span.h"

namespace holdfast::sim {
namespace {

constexpr std::size_t kEventsMax = 1'000;

using Nodes = std::vector<std::size_t>;

Nodes all_nodes(const Scenario& scenario) {
  Nodes nodes(scenario.node_count());
  std::iota(nodes.begin(), nodes.end(), std::size_t{0});
  return nodes;
}

Nodes without(const Nodes& nodes, const Nodes& less) {
  Nodes rest;
  std::set_difference(nodes.begin(), nodes.end(), less.begin(), less.end(),
                      std::back_inserter(rest));
  return rest;
}

// The nodes that `name` means: those of a region, or one, in every shard ("us", "us-1") or in one
// ("s2.us", "s2.us-1"); or a whole shard ("s2").
Nodes nodes_called(const std::string& name, const Scenario& scenario) {
  Nodes nodes;
  for (std::size_t node = 0; node < scenario.node_count(); ++node) {
    const std::string region = scenario.regions[scenario.region_of_node(node)].name;
    const std::string one = scenario.node_name(node);
    bool meant = name == region || name == one;
    if (scenario.shards.count() > 1) {
      const std::string shard = shard_name(scenario.shard_of_node(node));
      meant = meant || name == shard || name == shard + "." + region || shard + "." + name == one;
    }
    if (meant) nodes.push_back(node);
  }
  return nodes;
}

// The nodes that a key names; `label` gets the names as they are written, after `before`.
Nodes read_nodes_of(TableReader& table, const std::string& key, const Scenario& scenario,
                    const std::string& before, std::string& label) {
  Nodes all;
  const auto names = table.texts(key);
  if (!names.empty()) label += before + joined(names);
  for (const std::string& name : names) {
    const Nodes found = nodes_called(name, scenario);
    if (found.empty() && !scenario.regions.empty()) {
      const auto regions = region_names(scenario);
      const bool sharded = scenario.shards.count() > 1;
      table.note(key, std::string("there is no region") + (sharded ? ", shard" : "") +
                          " or node \"" + name + "\"; the regions are " + joined(regions) +
                          ", nodes are called like " + regions[0] + "-1" +
                          (sharded ? ", or s1." + regions[0] + "-1 in one shard alone" : ""));
    }
    all.insert(all.end(), found.begin(), found.end());
  }
  std::sort(all.begin(), all.end());
  if (std::adjacent_find(all.begin(), all.end()) != all.end()) {
    table.note(key, "names a node twice");
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  return all;
}

// ── the keys of each kind ───────────────────────────────────────────────────────────────────────

class EventReader {
 public:
  EventReader(TableReader& table, const Scenario& scenario) : table_(table), scenario_(scenario) {}

  // None: a fault in it is noted, and it is not held against the others.
  std::optional<ScenarioEvent> read() {
    const std::size_t noted = table_.problems().count();
    event_.line = table_.line();
    std::string kind;
    table_.require("kind");
    table_.one_of("kind", kind, known_event_kinds());
    if (kind.empty()) return std::nullopt;
    kind_known_ = true;
    const auto& kinds = known_event_kinds();
    event_.kind =
        static_cast<EventKind>(std::find(kinds.begin(), kinds.end(), kind) - kinds.begin());
    event_.at = event_.end = read_moment(table_, "at", scenario_).value_or(0);
    event_.label = kind;
    read_keys();
    table_.text("label", event_.label);
    table_.finish();
    if (table_.problems().count() > noted) return std::nullopt;
    return std::move(event_);
  }
  // Of what has been read; kept also if that was faulty.
  bool may_restart() const { return !kind_known_ || event_.kind == EventKind::restart; }

 private:
  void read_keys() {
    switch (event_.kind) {
      case EventKind::cut:
      case EventKind::clog:
        table_.require("from");
        return links();
      case EventKind::slow:
        links();
        return slowness();
      case EventKind::loss:
        links();
        if (!event_.from.empty() && !event_.to.empty() && !meet_in_a_shard())
          table_.note("from", "is a whole shard: frames pass only between its own nodes");
        return loss();
      case EventKind::crash:
      case EventKind::pause:
      case EventKind::disk_lost:
      case EventKind::disk_full:
        nodes();
        return lasts();
      case EventKind::disk_put_back:
        nodes();
        lasts();
        table_.require("copied");
        event_.copied = read_moment(table_, "copied", scenario_).value_or(0);
        if (event_.copied >= event_.at && table_.has("copied"))
          table_.note("copied", "must be before at: yesterday's copy is put back today");
        return;
      case EventKind::disk_slow:
        nodes();
        lasts();
        table_.require("factor");
        return table_.number("factor", event_.factor, {1, 100'000});
      case EventKind::restart:
        return nodes();
      case EventKind::clock_step:
        nodes();
        table_.require("step");
        table_.span("step", event_.step, {-3'660 * kDay, 3'660 * kDay});
        return;
      case EventKind::receive:
        return command({1, crdt::kLineUnitsMax});
      case EventKind::adjust:
      case EventKind::allow:
        return command({-crdt::kLineUnitsMax, crdt::kLineUnitsMax});
      case EventKind::grant:
        command({1, crdt::kLineUnitsMax});
        event_.to_region = region("to").value_or(0);
        if (event_.to_region == event_.region && table_.has("to")) {
          table_.note("to", "must be another region than region");
        }
        return;
      case EventKind::failover:
        return failover();
      case EventKind::retire:
        return retire();
      case EventKind::join:
        return nodes();
      case EventKind::drain:
        nodes();
        table_.span("wait", event_.extra, {0, kDay});
        return;
      case EventKind::router_crash:
        routers();
        return lasts();
      case EventKind::reshard:
        return reshard();
    }
  }

  void needs_shards() {
    if (!scenario_.routed())
      table_.note("kind", "\"" + to_string(event_.kind) + "\" needs [shards]");
  }

  // Of regions: all of theirs.
  void routers() {
    needs_shards();
    table_.require("regions");
    const auto names = table_.texts("regions");
    event_.label += " " + joined(names);
    for (const std::string& name : names) {
      const auto region = region_called(table_, "regions", name, scenario_);
      for (std::size_t i = 0; region && i < scenario_.shards.routers; ++i)
        event_.routers.push_back(*region * scenario_.shards.routers + i);
    }
    std::sort(event_.routers.begin(), event_.routers.end());
    if (std::adjacent_find(event_.routers.begin(), event_.routers.end()) != event_.routers.end())
      table_.note("regions", "names a region twice");
  }

  void reshard() {
    needs_shards();
    table_.require("weights");
    event_.weights = read_weights(table_, scenario_.shards.count());
    if (scenario_.stock.allowance_units > 0 || scenario_.stock.allowance_share > 0)
      table_.note("kind",
                  "\"reshard\" moves no SKU that has an allowance: leave stock.allowance_* out");
    for (const std::uint32_t weight : event_.weights) event_.label += " " + std::to_string(weight);
  }

  void lasts() {
    const auto end = read_end(table_, "for", event_.at, scenario_);
    event_.open_ended = !end;
    event_.end = end.value_or(scenario_.duration);
  }

  Nodes named(const std::string& key, const std::string& before) {
    return read_nodes_of(table_, key, scenario_, before, event_.label);
  }

  void links() {
    const bool from = table_.has("from"), to = table_.has("to");
    table_.flag("both_ways", event_.both_ways);
    const Nodes all = all_nodes(scenario_);
    event_.from = from ? named("from", " ") : all;
    event_.to = to     ? named("to", event_.both_ways ? " <> " : " > ")
                : from ? without(all, event_.from)
                       : all;
    event_.to_others = from && !to;
    lasts();
    if (to && !from) table_.require("from");
    if (from && to && !meet_in_a_shard())
      table_.note("to", "names nodes of other shards than from: these never speak to each other");
    if (from && without(event_.to, event_.from).size() != event_.to.size()) {
      table_.note("to", "names a node that from names too");
    }
    if (!event_.from.empty() && event_.to.empty() && !to) {
      table_.note("from", "names every node: nothing is left on the other side");
    }
  }

  bool meet_in_a_shard() const {
    return std::any_of(event_.from.begin(), event_.from.end(), [&](std::size_t a) {
      return std::any_of(event_.to.begin(), event_.to.end(), [&](std::size_t b) {
        return scenario_.shard_of_node(a) == scenario_.shard_of_node(b);
      });
    });
  }

  void slowness() {
    table_.number("factor", event_.factor, {1, 100'000});
    table_.millis("extra_ms", event_.extra, {0, 600'000});
    if (!table_.has("factor") && !table_.has("extra_ms")) {
      table_.note("must have factor or extra_ms, or both");
    }
  }

  void loss() {
    table_.require("percent");
    double percent = 0;
    table_.number("percent", percent, {0, 99.9});
    event_.share = percent / 100;
  }

  void nodes() {
    table_.require("nodes");
    event_.nodes = named("nodes", " ");
  }

  std::optional<std::size_t> region(const std::string& key) {
    std::string name;
    table_.require(key);
    table_.text(key, name);
    return name.empty() ? std::nullopt : region_called(table_, key, name, scenario_);
  }

  void failover() {
    const auto lost = region("region"), by = region("by");
    event_.region = lost.value_or(0);
    event_.by = by.value_or(0);
    if (lost && lost == by)
      table_.note("by", "must be another region than region: nobody declares its own lost");
    table_.number("fraction", event_.fraction, {0, 1});
    if (!(event_.fraction > 0)) table_.note("fraction", "must be above 0, up to 1");
    event_.label += " of " + scenario_name(event_.region) + " by " + scenario_name(event_.by);
  }

  // Exactly one node.
  std::size_t node(const std::string& key, const std::string& before) {
    table_.require(key);
    const std::size_t noted = table_.problems().count();
    const Nodes nodes = named(key, before);
    if (nodes.size() == 1) return nodes.front();
    if (nodes.size() > 1 && table_.problems().count() == noted)
      table_.note(key, "must be one node, such as " + scenario_.node_name(nodes.front()));
    return 0;
  }

  void retire() {
    event_.nodes = {node("node", " ")};
    event_.successor = node("successor", ", successor ");
    event_.by = region("by").value_or(0);
    if (table_.has("node") && table_.has("successor") && event_.successor == event_.nodes.front())
      table_.note("successor", "must be another node than node");
    else if (scenario_.node_count() > 0 && scenario_.shard_of_node(event_.successor) !=
                                               scenario_.shard_of_node(event_.nodes.front()))
      table_.note("successor", "must be a node of the same shard as node");
  }

  std::string scenario_name(std::size_t region) const {
    return region < scenario_.regions.size() ? scenario_.regions[region].name : "";
  }

  void command(Range<std::int64_t> allowed) {
    event_.region = region("region").value_or(0);
    table_.require("sku");
    table_.text("sku", event_.sku);
    const auto& skus = scenario_.skus;
    if (!skus.empty() && !event_.sku.empty() && event_.sku != "*" &&
        std::find(skus.begin(), skus.end(), event_.sku) == skus.end()) {
      table_.note("sku", "there is no SKU \"" + event_.sku + "\": they are sku-1 to " +
                             skus.back() + ", and \"*\" stands for all");
    }
    table_.require("units");
    table_.integer("units", event_.units, allowed);
    if (event_.units == 0 && table_.has("units") && allowed.low < 0) {
      table_.note("units", "must not be 0");
    }
    event_.label += " " + event_.sku + " " + std::to_string(event_.units);
  }

  TableReader& table_;
  const Scenario& scenario_;
  ScenarioEvent event_;
  bool kind_known_ = false;
};

// ── what cannot be at the same time ─────────────────────────────────────────────────────────────

// Faults that exclude one another on one target.
int group_of(EventKind kind) {
  switch (kind) {
    case EventKind::crash:
    case EventKind::pause:
    case EventKind::disk_lost:
    case EventKind::disk_put_back:
      return 0;
    case EventKind::cut:
    case EventKind::slow:
    case EventKind::loss:
    case EventKind::clog:
    case EventKind::disk_slow:
    case EventKind::disk_full:
      return 1 + static_cast<int>(kind);
    default:
      return -1;
  }
}

bool contains(const Nodes& nodes, std::size_t node) {
  return std::binary_search(nodes.begin(), nodes.end(), node);
}

// A node that crashed without an end is down until it is restarted.
Time end_on(const ScenarioEvent& fault, std::size_t node, const Scenario& scenario) {
  if (!fault.open_ended) return fault.end;
  Time end = fault.end;
  for (const ScenarioEvent& event : scenario.events) {
    const bool ends_it = event.kind == EventKind::restart && event.at > fault.at;
    if (ends_it && contains(event.nodes, node)) end = std::min(end, event.at);
  }
  return end;
}

bool same_pair(const ScenarioEvent& a, const ScenarioEvent& b) {
  const auto meet = [](const Nodes& x, const Nodes& y) { return without(x, y).size() != x.size(); };
  const bool along = meet(a.from, b.from) && meet(a.to, b.to);
  const bool across = meet(a.from, b.to) && meet(a.to, b.from);
  return along || (across && (a.both_ways || b.both_ways));
}

// `first` begins no later than `second`.
bool collide(const ScenarioEvent& first, const ScenarioEvent& second, const Scenario& scenario) {
  if (first.kind == EventKind::router_crash && second.kind == first.kind)
    return second.at < first.end && without(first.routers, second.routers) != first.routers;
  if (group_of(first.kind) < 0 || group_of(first.kind) != group_of(second.kind)) return false;
  if (first.nodes.empty()) return second.at < first.end && same_pair(first, second);
  return std::any_of(first.nodes.begin(), first.nodes.end(), [&](std::size_t node) {
    return contains(second.nodes, node) && second.at < end_on(first, node, scenario);
  });
}

void check_overlaps(Problems& problems, const Scenario& scenario) {
  for (std::size_t i = 0; i < scenario.events.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const ScenarioEvent &first = scenario.events[j], &second = scenario.events[i];
      if (!collide(first, second, scenario)) continue;
      problems.add(second.line, "event.at",
                   "\"" + second.label + "\" begins while \"" + first.label + "\" (line " +
                       std::to_string(first.line) +
                       ") still lasts there: let one end before the other begins");
    }
  }
}

// Who opens the shop must be there; and nobody joins twice, or is disturbed before.
void check_joins(Problems& problems, const Scenario& scenario) {
  for (const ScenarioEvent& join : scenario.events) {
    if (join.kind != EventKind::join) continue;
    for (const std::size_t node : join.nodes) {
      const std::size_t region = scenario.region_of_node(node);
      const std::size_t first =
          scenario.shard_of_node(node) * scenario.nodes_of_shard() + scenario.first_node(region);
      bool opens = false;
      for (std::size_t i = 0; i < scenario.regions[region].nodes; ++i)
        opens = opens || !scenario.joins_later(first + i);
      if (!opens)
        problems.add(join.line, "event.nodes",
                     "every node of \"" + scenario.regions[region].name +
                         "\" joins later: one of them must run from the start");
      for (const ScenarioEvent& other : scenario.events)
        if (&other != &join && contains(other.nodes, node) &&
            (other.at < join.at || other.kind == EventKind::join))
          problems.add(join.line, "event.nodes",
                       "\"" + other.label + "\" (line " + std::to_string(other.line) +
                           ") is about " + scenario.node_name(node) +
                           " too, which runs only from this join on, and joins once");
    }
  }
}

}  // namespace

void read_events(TableReader& root, Scenario& scenario) {
  auto tables = root.tables("event");
  if (tables.size() > kEventsMax) {
    return root.note("event", "has " + std::to_string(tables.size()) + " entries; at most 1000");
  }
  bool restart_missing = false;
  for (TableReader& table : tables) {
    EventReader reader(table, scenario);
    if (auto event = reader.read()) {
      scenario.events.push_back(*std::move(event));
    } else {
      restart_missing = restart_missing || reader.may_restart();
    }
  }
  std::stable_sort(scenario.events.begin(), scenario.events.end(),
                   [](const ScenarioEvent& a, const ScenarioEvent& b) { return a.at < b.at; });
  // A restart ends crashes: without it they seem to overlap.
  if (!restart_missing) check_overlaps(root.problems(), scenario);
  check_joins(root.problems(), scenario);
}

}  // namespace holdfast::sim
