#pragma once
// What a scenario file says: regions, network, stock, demand, policy, a timeline of faults and
// commands, and what is expected. Plain data; README.md in sim/scenarios explains every key.
//
// Units  times are virtual microseconds (events.h) from the start of the scenario; shares and
//        losses are 0 … 1 here, percent in the file.
// Nodes are numbered from 0: the nodes of the first region, then those of the second, …; then those
// of the second shard, and so on. Routers likewise: those of the first region, then …

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crdt/ids.h"
#include "sim/events.h"
#include "sim/table_reader.h"

namespace holdfast::sim {

struct ScenarioRegion {
  std::string name;
  std::size_t nodes = 1;
  double capacity = 50'000;  // requests per second that one node's engine serves
  double utc_offset_hours = 0;
  Time clock_offset = 0;       // its nodes' wall clocks are ahead by so much
  double clock_drift_ppm = 0;  // and gain so many µs a second
};

// Every directed pair of nodes of two regions (or of one).
struct ScenarioLink {
  Time one_way = 0;
  Time jitter = 0;                              // mean of an exponential delay beside it
  double loss = 0, duplicate = 0, reorder = 0;  // share of frames
  double bytes_per_second = 0;                  // 0: no limit
};

// Independent groups, each of all regions and nodes, and routers before them.
struct ScenarioShards {
  std::vector<std::uint32_t> weights{100};  // by shard: how much of the SKUs each gets
  std::size_t routers = 0;                  // in every region; 0: customers ask nodes themselves

  std::size_t count() const { return weights.size(); }
};

struct ScenarioStock {
  enum class Amount { per_sku, total, of_demand };
  enum class Spread { even, weights, demand };
  Amount amount = Amount::of_demand;
  crdt::Units units = 0;  // per_sku: of each; total: of all together, spread evenly over the SKUs
  double times = 1;       // of_demand: what the carts will ask for, times this, rounded up
  Spread spread = Spread::even;
  std::vector<double> weights;      // by region, if spread by weights
  crdt::Units allowance_units = 0;  // per SKU, spread like the stock
  double allowance_share = 0;       // of the SKU's units, beside it; rounded down
};

// More carts than usual for a while.
struct ScenarioBurst {
  Time at = 0, end = 0;
  double factor = 1;                 // times the usual rate
  std::vector<std::size_t> regions;  // ascending
  std::size_t skus = 0;  // the additional carts ask for the first so many SKUs only; 0: for all
  std::uint32_t skus_line = 0;  // where the file says so
};

struct OrdersSource {
  std::string file;               // as written in the scenario
  std::string path;               // where that is; filled by load_scenario
  std::uint32_t line = 0;         // where
  std::vector<std::string> days;  // YYYY-MM-DD; empty: all
  std::uint32_t days_line = 0;
  std::vector<std::string> map;  // "COUNTRY=REGION", as api/country_map.h takes them
  std::vector<double> shares;    // by region: in place of countries, drawn; empty: by country
  bool cart_of_line = false;     // every line of an order is a cart of its own
  double speed = 1;              // so much order time passes in one unit of virtual time
  std::int64_t repeat = 1;       // every order is sold so many times
  bool skip_broken = false;
};

struct OrderLineOfSku {
  std::uint32_t sku = 0;  // index into Scenario::skus
  crdt::Units quantity = 0;
};
// One order of a file, ready to be sold.
struct OrderCart {
  Time at = 0;
  std::uint32_t region = 0;
  std::string id;
  std::vector<OrderLineOfSku> lines;  // ascending by sku, each once
};

struct ScenarioDemand {
  enum class Skus { zipf, uniform, orders };
  Skus kind = Skus::zipf;
  double zipf_exponent = 1;
  bool own_bestsellers = false;  // every region has an order of popularity of its own
  std::vector<double> rates;     // carts per second, by region: the mean of a day
  bool diurnal = false;
  double amplitude = 0.5;  // the rate swings by this share around its mean
  double peak_hour = 20;   // local time of each region
  std::vector<ScenarioBurst> bursts;
  Range<std::int64_t> lines{1, 1};               // per cart
  Range<std::int64_t> units{1, 1};               // per line
  double release_share = 0, abandon_share = 0;   // of carts; the others are committed
  Range<Time> think{2 * kSecond, 20 * kSecond};  // from the hold to its commit or release
  Time ttl = 900 * kSecond;                      // whole seconds
  Time timeout = 5 * kSecond;                    // a customer who has no answer by then has gone
  // kind == orders
  std::optional<OrdersSource> source;
  // Ascending by time; filled by add_orders. There may be millions: copies share them.
  std::shared_ptr<const std::vector<OrderCart>> orders;
  std::size_t orders_outside = 0;   // of the days asked for, but not between start and end
  std::size_t orders_not_sold = 0;  // cancellations and losses: they take nothing from stock
  std::size_t orders_broken = 0;    // lines of the file that are left out: skip_broken
};

struct ScenarioPolicy {
  std::string name = "proportional";  // one of known_policies()
  std::int64_t wait_ms = 250;
  std::size_t central_region = 0;  // where all is decided under "central"
};
const std::vector<std::string>& known_policies();
bool policy_has_shards(const std::string& name);

struct ScenarioNodes {
  std::int64_t heartbeat_ms = 500, suspect_after_ms = 2500;
  std::int64_t push_ms = 20, relay_after_ms = 500;
  std::int64_t inbox_delay_ms = 1000;
  Time fsync = 300;  // mean of one batch's write
};

enum class EventKind : std::uint8_t {
  cut,        // nothing passes between `from` and `to`
  slow,       // latency × factor + extra
  loss,       // share of frames
  clog,       // what is sent waits until the end
  crash,      // processes end; they start again at the end
  pause,      // processes stand still until the end
  restart,    // processes end (if they run) and start at once
  disk_lost,  // processes end and their disks are emptied; they start at the end, as new replicas
  disk_slow,  // writes take `factor` times as long
  disk_full,  // no space is left
  disk_put_back,  // processes end, and their directories are put back as they were at `copied`
  clock_step,     // wall clocks jump by `step`
  receive,        // `units` of `sku` arrive at `region`
  adjust,         // `units` (may be negative) are counted in or out at `region`
  allow,          // `units` (may be negative) more may be oversold, asked at `region`
  grant,          // `region` gives `units` of its rights to `to_region`
  failover,       // `region` is declared lost by `by`, and `fraction` of its rights are seized
  retire,         // a node's replica will never return, says `by`: `successor` ends its holds
  join,           // nodes that did not run before: their first start
  drain,          // nodes leave in good order; they wait so long (`extra`) for open holds
  router_crash,   // `routers` end, with all that they had in memory; they start again at the end
  reshard,        // SKUs move to where `weights` say, while customers buy
};
const std::vector<std::string>& known_event_kinds();  // in the order of EventKind
std::string shard_name(std::size_t shard);            // "s1", "s2", …
const std::string& to_string(EventKind kind);

struct ScenarioEvent {
  EventKind kind = EventKind::cut;
  std::uint32_t line = 0;  // in the file
  std::string label;       // for people: the file's own, or e.g. "cut us"
  Time at = 0;
  Time end = 0;             // of a fault; without an end: the scenario's; a moment's own time
  bool open_ended = false;  // the file gives it no end (a crash lasts until a restart)
  std::vector<std::size_t> from, to;  // nodes, ascending: cut, slow, loss, clog
  bool to_others = false;             // `to` is all that `from` is not, routers as well
  bool both_ways = true;
  std::vector<std::size_t> nodes;      // ascending: faults of nodes
  std::vector<std::size_t> routers;    // ascending: router_crash
  std::vector<std::uint32_t> weights;  // by shard: reshard
  Time copied = 0;                     // disk_put_back
  double factor = 1;
  Time extra = 0;  // slow, drain
  double share = 0;
  Time step = 0;
  std::size_t region = 0, to_region = 0;
  std::string sku;  // "*": every SKU
  crdt::Units units = 0;
  std::size_t by = 0;         // failover, retire: the region that issues it
  double fraction = 1;        // failover
  std::size_t successor = 0;  // retire: a node
};

// What must hold for the run to pass. None: not asked.
struct Expectations {
  std::optional<crdt::Units> oversold_max;  // units beyond stock and allowance, of all SKUs
  std::optional<double> availability_min;   // share of carts answered in time and not by 5xx
  std::map<std::size_t, double> availability_min_by_region;
  std::optional<double> sold_min;                          // share of the units asked for
  std::optional<double> refused_max;                       // share of carts
  std::optional<double> refused_with_stock_elsewhere_max;  // share of carts
  std::optional<double> refused_with_stock_elsewhere_min;  // of a scenario that shows this price
  std::optional<double> p50_ms_max, p99_ms_max;  // of reservations, as the customer sees them
  std::optional<double> fetched_max;             // share of carts that waited for rights
  bool within_bound = false;    // no SKU ever oversold beyond allowance and dry runs
  bool decrees_closed = false;  // there were failovers, and each has its account
  std::optional<crdt::Units> spent_unseen_min;  // of a scenario that shows what decrees cost
  std::optional<Time> converged_within;  // after the end, with every fault ended, digests are equal
  std::optional<Time> moved_within;      // of a reshard: until nothing of a SKU is where it was
};

struct Scenario {
  std::string file;  // as messages name it
  std::string title, teaches;
  std::uint64_t seed = 1;
  Time duration = 0;
  Time warm_up = 0;       // what happens before is not counted in the figures
  Time sample_every = 0;  // of the curves in the report
  Time start_of_day = 0;  // UTC time of day when the scenario begins
  std::vector<ScenarioRegion> regions;
  ScenarioShards shards;
  std::vector<ScenarioLink> links;        // by from × regions + to
  Time customers_one_way = kMillisecond;  // between a customer and the nodes of the own region
  std::vector<std::string> skus;          // most wanted first, if drawn; else ascending
  ScenarioStock stock;
  ScenarioDemand demand;
  ScenarioPolicy policy;
  ScenarioNodes nodes;
  std::vector<ScenarioEvent> events;  // ascending by time, then as in the file
  Expectations expect;

  const ScenarioLink& link(std::size_t from_region, std::size_t to_region) const {
    return links[from_region * regions.size() + to_region];
  }
  bool routed() const { return shards.routers > 0; }
  bool joins_later(std::size_t node) const;
  std::size_t nodes_of_shard() const;
  std::size_t node_count() const;                    // of all shards
  std::size_t first_node(std::size_t region) const;  // of the first shard
  std::size_t region_of_node(std::size_t node) const;
  std::size_t shard_of_node(std::size_t node) const { return node / nodes_of_shard(); }
  // "us-1", counted from 1 in each region; with shards "s2.us-1".
  std::string node_name(std::size_t node) const;
  // What one shard sees of an event: the nodes are its own, numbered as if it were alone. None:
  // nothing, as of what routers or several shards do.
  std::optional<ScenarioEvent> part_of(const ScenarioEvent& event, std::size_t shard) const;
  // One shard alone, without customers' orders.
  Scenario of_shard(std::size_t shard) const;
};

// Reads and checks a whole scenario. `file` is what messages call it. A scenario with orders is not
// complete before add_orders (scenario_orders.h); nothing is read from disk here.
// Errors: kInvalidArgument, a line for each fault: "file:line: key: what is wrong, and what is
// wanted".
absl::StatusOr<Scenario> parse_scenario(std::string_view text, const std::string& file);

}  // namespace holdfast::sim
