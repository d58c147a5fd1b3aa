#include "sim/scenario_world.h"

#include <algorithm>

#include "api/table.h"

namespace holdfast::sim {

namespace {

// The product's inbox of 131,072 requests is 2.6 s of work for a node that serves 50,000 in one;
// that of a smaller one is as long in time.
constexpr double kInboxSeconds = 131'072.0 / 50'000;
constexpr std::uint64_t kInboxMin = 32;
constexpr Time kLateIsCheaper =
    16;  // what is refused unread costs so much less than what is served

Time more_latency(const ScenarioEvent& event, Time healthy) {
  return static_cast<Time>(static_cast<double>(healthy) * (event.factor - 1)) + event.extra;
}

}  // namespace

bool is_of_ways(EventKind kind) {
  return kind == EventKind::cut || kind == EventKind::slow || kind == EventKind::loss ||
         kind == EventKind::clog;
}

std::set<std::pair<Place, Place>> pairs_of(const std::vector<Place>& from,
                                           const std::vector<Place>& to, bool both_ways) {
  std::set<std::pair<Place, Place>> pairs;
  for (const Place a : from)
    for (const Place b : to) {
      if (a == b) continue;
      pairs.emplace(a, b);
      if (both_ways) pairs.emplace(b, a);
    }
  return pairs;
}

void change_way(Network& network, const ScenarioEvent& event, const ScenarioLink& healthy,
                Place from, Place to, bool begins, Time now) {
  Pair& pair = network.pair(from, to);
  switch (event.kind) {
    case EventKind::cut:
      return begins ? network.cut(from, to) : network.mend(from, to);
    case EventKind::slow: {
      const Time more = more_latency(event, healthy.one_way);
      pair.latency = std::max<Time>(1, pair.latency + (begins ? more : -more));
      return;
    }
    case EventKind::loss:
      pair.loss = begins ? event.share : healthy.loss;
      return;
    default:
      if (begins) network.clog(from, to, now + event.end - event.at);
  }
}

bool puts_disks_back(const Scenario& scenario) {
  return std::any_of(
      scenario.events.begin(), scenario.events.end(),
      [](const ScenarioEvent& event) { return event.kind == EventKind::disk_put_back; });
}

WorldOptions world_of(const Scenario& scenario) {
  WorldOptions world{.seed = scenario.seed,
                     .client_latency = scenario.customers_one_way,
                     .heartbeat = crdt::Millis(scenario.nodes.heartbeat_ms),
                     .suspect_after = crdt::Millis(scenario.nodes.suspect_after_ms),
                     .push = crdt::Millis(scenario.nodes.push_ms),
                     .relay_after = crdt::Millis(scenario.nodes.relay_after_ms),
                     .inbox_delay_max = crdt::Millis(scenario.nodes.inbox_delay_ms)};
  // The alternatives that are no policies of the product don't move rights by themselves.
  const node::RebalancePolicy* policy = node::find_policy(scenario.policy.name);
  world.rebalance.policy = policy != nullptr ? policy : node::find_policy("proportional");
  world.keeps_bases = puts_disks_back(scenario);
  for (const ScenarioRegion& region : scenario.regions) {
    world.regions.push_back(region.name);
    for (std::size_t i = 0; i < region.nodes; ++i) {
      NodePlan node{.region = region.name, .spare = scenario.joins_later(world.nodes.size())};
      node.costs.request = std::max<Time>(1, static_cast<Time>(kSecond / region.capacity));
      node.costs.late = std::max<Time>(1, node.costs.request / kLateIsCheaper);
      node.inbox_max =
          std::max(kInboxMin, static_cast<std::uint64_t>(region.capacity * kInboxSeconds));
      node.clock.rate = 1 + region.clock_drift_ppm * 1e-6;
      node.clock.wall_ms = region.clock_offset / kMillisecond;
      node.disk.write = scenario.nodes.fsync;
      world.nodes.push_back(node);
    }
  }
  return world;
}

void set_links(World& world, const Scenario& scenario) {
  for (std::size_t a = 0; a < scenario.regions.size(); ++a) {
    for (std::size_t b = 0; b < scenario.regions.size(); ++b) {
      const ScenarioLink& link = scenario.link(a, b);
      world.for_each_pair(a, b, [&](Place from, Place to) {
        Pair& pair = world.network().pair(from, to);
        const bool customer = std::max(from, to) >= world.nodes();
        pair.latency = customer && a == b ? scenario.customers_one_way
                       : customer         ? link.one_way + scenario.customers_one_way
                                          : link.one_way;
        pair.jitter = link.jitter;
        if (customer) return;  // HTTP hides what TCP repeats
        pair.loss = link.loss;
        pair.duplicate = link.duplicate;
        pair.reorder = link.reorder;
        pair.bytes_per_second = link.bytes_per_second;
      });
    }
  }
}

// ── faults ──────────────────────────────────────────────────────────────────────────────────────

void FaultTimeline::schedule(Time begin) {
  if (world_.options().keeps_bases) restart_forks();
  for (const ScenarioEvent& event : scenario_.events) {
    if (is_a_command(event.kind) || event.kind == EventKind::router_crash) continue;
    world_.events().at(begin + event.at, [this, &event] { apply(event, true); });
    for (const std::size_t node : event.nodes)
      if (event.kind == EventKind::disk_put_back)
        world_.events().at(begin + event.copied, [this, &event, node] {
          copies_[{&event, node}] = world_.node(node).directory();
        });
    const bool ends = !event.open_ended && event.end > event.at;
    if (ends) world_.events().at(begin + event.end, [this, &event] { apply(event, false); });
  }
}

// A process that ended as a fork is started once more by whoever watches over it.
void FaultTimeline::restart_forks() {
  for (std::size_t node = 0; node < world_.nodes(); ++node)
    if (Machine& machine = world_.node(node); !machine.directory().fork.boots.empty())
      machine.start();
  world_.events().after(kSecond, [this] { restart_forks(); });
}

void FaultTimeline::apply(const ScenarioEvent& event, bool begins) {
  const auto open = std::find(open_.begin(), open_.end(), &event);
  if (begins) {
    open_.push_back(&event);
  } else if (open == open_.end()) {
    return;  // mended already
  } else {
    open_.erase(open);
  }
  if (is_of_ways(event.kind)) {
    change_ways(event, begins);
  } else {
    change_nodes(event, begins);
  }
}

void FaultTimeline::mend_all() {
  for (const ScenarioEvent* event : std::vector(open_)) apply(*event, false);
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    world_.node(i).resume();
    world_.node(i).start();
  }
}

std::vector<Place> FaultTimeline::places(const std::vector<std::size_t>& nodes) const {
  std::vector<Place> all(nodes.begin(), nodes.end());
  for (std::size_t region = 0; region < world_.options().regions.size(); ++region) {
    const auto& of = world_.nodes_of(region);
    const bool whole = std::all_of(of.begin(), of.end(), [&](std::size_t node) {
      return std::binary_search(nodes.begin(), nodes.end(), node);
    });
    if (whole) all.push_back(world_.customers(region));
  }
  return all;
}

void FaultTimeline::change_ways(const ScenarioEvent& event, bool begins) {
  const auto region_of = [&](Place place) {
    return place < world_.nodes() ? world_.region_of(place) : place - world_.nodes();
  };
  for (const auto& [from, to] : pairs_of(places(event.from), places(event.to), event.both_ways))
    change_way(world_.network(), event, scenario_.link(region_of(from), region_of(to)), from, to,
               begins, world_.now());
}

void FaultTimeline::change_nodes(const ScenarioEvent& event, bool begins) {
  for (const std::size_t node : event.nodes) {
    Machine& machine = world_.node(node);
    switch (event.kind) {
      case EventKind::crash:
      case EventKind::disk_lost:
        if (begins) machine.crash(PowerLoss::forgets, false);
        if (begins && event.kind == EventKind::disk_lost) machine.lose_disk();
        if (!begins) machine.start();
        break;
      case EventKind::disk_put_back:
        if (begins) machine.crash(PowerLoss::forgets, false);
        if (begins) machine.put_back(copies_.at({&event, node}));
        if (!begins) machine.start();
        break;
      case EventKind::pause:
        begins ? machine.pause() : machine.resume();
        break;
      case EventKind::restart:
        if (begins) machine.crash(PowerLoss::forgets, false);
        if (begins) machine.start();
        break;
      case EventKind::disk_slow:
        machine.disk().slow = begins ? event.factor : 1;
        break;
      case EventKind::disk_full:
        machine.disk().full = begins;
        break;
      default:  // a clock's jump is not undone
        if (begins) machine.step_wall_clock(event.step / kMillisecond);
    }
  }
}

std::vector<FaultSpan> fault_spans(const Scenario& scenario, const CommandAnswers& answers) {
  std::vector<FaultSpan> spans;
  for (const ScenarioEvent& event : scenario.events) {
    FaultSpan span{.label = event.label,
                   .kind = to_string(event.kind),
                   .from_ms = event.at / kMillisecond,
                   .to_ms = std::max(event.at, event.open_ended ? scenario.duration : event.end) /
                            kMillisecond,
                   .answer = answers.text(event)};
    std::vector<bool> in(scenario.regions.size());
    for (const auto* nodes : {&event.from, &event.nodes})
      for (const std::size_t node : *nodes) in[scenario.region_of_node(node)] = true;
    for (const std::size_t router : event.routers) in[router / scenario.shards.routers] = true;
    if (event.kind == EventKind::reshard)
      in.assign(in.size(), true);
    else if (is_a_command(event.kind) && event.nodes.empty())
      in[event.region] = true;
    for (std::size_t region = 0; region < in.size(); ++region)
      if (in[region]) span.regions.push_back(scenario.regions[region].name);
    spans.push_back(std::move(span));
  }
  // Not a fault, and yet what a reader looks for in the curves.
  for (const ScenarioBurst& burst : scenario.demand.bursts) {
    FaultSpan span{.label = api::short_number(burst.factor) + " times the carts",
                   .kind = "burst",
                   .from_ms = burst.at / kMillisecond,
                   .to_ms = burst.end / kMillisecond};
    for (const std::size_t region : burst.regions)
      span.regions.push_back(scenario.regions[region].name);
    spans.push_back(std::move(span));
  }
  std::stable_sort(spans.begin(), spans.end(),
                   [](const FaultSpan& a, const FaultSpan& b) { return a.from_ms < b.from_ms; });
  return spans;
}

}  // namespace holdfast::sim
