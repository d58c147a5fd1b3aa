#include "sim/quota_table.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/table.h"
#include "crdt/check.h"
#include "sim/quota_weak.h"
#include "sim/rig.h"

namespace holdfast::sim {
namespace {

using Ways = std::vector<std::vector<std::int64_t>>;

// One way between US-EAST, US-WEST and EU-WEST.
const Ways kRegions = {{0, 40'000, 48'000}, {40'000, 0, 80'000}, {48'000, 80'000, 0}};
constexpr double kMeanWayMs = (40.0 + 48.0 + 80.0) / 3;

struct Lag {
  const char* name;
  std::int64_t gossip_us, more_lag_us;
  double mean_more_ms;
};
constexpr Lag kLags[] = {{"push", 0, 0, 0},
                         {"gossip every 1 s", 1'000'000, 0, 500},
                         {"5 s behind", 0, 5'000'000, 5'000}};

const std::string kSku = "the-key";

enum class Split { even, one };

// The product's regions and their clients, until all is sold.
class Escrow {
 public:
  Escrow(const Ways& ways, std::int64_t units, Split split, std::uint32_t clients,
         std::uint64_t seed)
      : rig_({.one_way_us = ways, .seed = seed}),
        random_(seed, "escrow-clients", clients),
        units_(units) {
    cell_.clients = clients;
    cell_.split = split == Split::even ? "even" : "all in one";
    HOLDFAST_CHECK(rig_.settle());
    const auto regions = static_cast<std::int64_t>(rig_.size());
    for (std::size_t i = 0; i < rig_.size(); ++i) {
      HOLDFAST_CHECK(rig_.call(i, node::PutSku{.sku = kSku}).succeeded());
      const std::int64_t even = units / regions + (i == 0 ? units % regions : 0);
      const std::int64_t share = split == Split::even ? even : i == 0 ? units : 0;
      if (share == 0) continue;
      HOLDFAST_CHECK(rig_.call(i, node::Receive{.sku = kSku, .quantity = share}).succeeded());
    }
    begun_us_ = rig_.time().now_us();
    for (std::size_t i = 0; i < rig_.size(); ++i)
      for (std::uint32_t client = 0; client < clients; ++client)
        rig_.time().after(random_.between(0, kThinkUsMax), [this, i] { buy(i); });
  }

  EscrowCell run() {
    // What is held is never given back here, so that none left stays so.
    HOLDFAST_CHECK(rig_.run_until([&] { return rig_.available(kSku) <= 0; }, kLimitUs));
    cell_.seconds = static_cast<double>(rig_.time().now_us() - begun_us_) / 1e6;
    rig_.run_until([] { return false; }, kAfterUs);  // whoever still tries is refused
    cell_.oversold = std::max(cell_.sold - units_, -rig_.available(kSku));
    std::sort(latencies_us_.begin(), latencies_us_.end());
    cell_.p50_ms = percentile(50);
    cell_.p99_ms = percentile(99);
    cell_.most_ms = percentile(100);
    return cell_;
  }

 private:
  static constexpr std::int64_t kLimitUs = 3'600'000'000;
  static constexpr std::int64_t kAfterUs = 3'000'000;

  void buy(std::size_t at) {
    const std::int64_t asked_us = rig_.time().now_us();
    const std::string id = "r-" + std::to_string(++reservations_);
    rig_.submit(
        at, node::Reserve{.id = id, .lines = {{kSku, 1}}},
        [this, at, id, asked_us](node::Outcome&& outcome) { answered(at, id, asked_us, outcome); });
  }
  void answered(std::size_t at, const std::string& id, std::int64_t asked_us,
                const node::Outcome& outcome) {
    std::int64_t pause = kRefusedUs;
    if (outcome.succeeded()) {
      ++cell_.sold;
      latencies_us_.push_back(rig_.time().now_us() - asked_us);
      rig_.submit(at, node::Commit{.id = id},
                  [](node::Outcome&& done) { HOLDFAST_CHECK(done.succeeded()); });
      pause = random_.between(kThinkUsMin, kThinkUsMax);
    } else {
      HOLDFAST_CHECK(outcome.code == node::Code::insufficient_stock);
      if (rig_.available(kSku) > 0) ++cell_.refused;
      if (elsewhere(at)) ++cell_.refused_elsewhere;
    }
    rig_.time().after(pause, [this, at] { buy(at); });
  }
  bool elsewhere(std::size_t at) const {
    for (std::size_t i = 0; i < rig_.size(); ++i) {
      const crdt::Product* product = rig_.state(i).product(kSku);
      if (i != at && product != nullptr && product->stock.rights(rig_.state(i).self()) > 0)
        return true;
    }
    return false;
  }
  double percentile(std::size_t percent) const {
    if (latencies_us_.empty()) return 0;
    return static_cast<double>(latencies_us_[(latencies_us_.size() - 1) * percent / 100]) / 1e3;
  }

  Rig rig_;
  Random random_;
  std::int64_t units_, begun_us_ = 0;
  std::uint64_t reservations_ = 0;
  std::vector<std::int64_t> latencies_us_;
  EscrowCell cell_;
};

Ways same_ways(std::uint32_t replicas, std::int64_t us) {
  Ways ways(replicas, std::vector<std::int64_t>(replicas, us));
  for (std::uint32_t i = 0; i < replicas; ++i) ways[i][i] = 0;
  return ways;
}

WeakCell weak_cell(const Lag& lag, std::uint32_t clients, const QuotaOptions& options) {
  const double lag_ms = kMeanWayMs + lag.mean_more_ms;
  const auto others = static_cast<double>(kRegions.size() - 1);
  const WeakRun run{.one_way_us = kRegions,
                    .units = options.units,
                    .clients = clients,
                    .gossip_us = lag.gossip_us,
                    .more_lag_us = lag.more_lag_us};
  double oversold = 0;
  for (std::uint32_t i = 0; i < options.weak_runs; ++i)
    oversold += static_cast<double>(run_weak(run, options.seed + i));
  return {.lag = lag.name,
          .lag_ms = lag_ms,
          .clients = clients,
          .oversold = oversold / options.weak_runs,
          .expected = others * clients * kClientRate * lag_ms / 1e3};
}

WorstCell worst_cell(std::uint32_t replicas, std::uint64_t seed) {
  constexpr std::int64_t kLimit = 200;
  constexpr std::int64_t kForEver = std::int64_t{1} << 50;
  constexpr std::uint32_t kClients = 5;
  return {
      .replicas = replicas,
      .limit = kLimit,
      .weak = run_weak(
          {.one_way_us = same_ways(replicas, kForEver), .units = kLimit, .clients = kClients},
          seed),
      .weak_bound = (replicas - 1) * kLimit,
      .escrow =
          Escrow(same_ways(replicas, 40'000), kLimit, Split::even, kClients, seed).run().oversold};
}

std::string number(double value) { return api::short_number(value); }

}  // namespace

QuotaTable quota_table(const QuotaOptions& options) {
  QuotaTable table;
  const std::size_t total =
      options.clients.size() * (std::size(kLags) + 2) + options.replicas.size();
  std::size_t done = 0;
  const auto step = [&] { options.progress(++done, total); };
  for (const Lag& lag : kLags)
    for (const std::uint32_t clients : options.clients) {
      table.weak.push_back(weak_cell(lag, clients, options));
      step();
    }
  for (const Split split : {Split::even, Split::one})
    for (const std::uint32_t clients : options.clients) {
      table.escrow.push_back(Escrow(kRegions, options.units, split, clients, options.seed).run());
      step();
    }
  for (const std::uint32_t replicas : options.replicas) {
    table.worst.push_back(worst_cell(replicas, options.seed));
    step();
  }
  return table;
}

bool holds(const QuotaTable& table) {
  return std::all_of(table.escrow.begin(), table.escrow.end(),
                     [](const EscrowCell& cell) { return cell.oversold == 0; }) &&
         std::all_of(table.worst.begin(), table.worst.end(), [](const WorstCell& cell) {
           return cell.escrow == 0 && cell.weak <= cell.weak_bound;
         });
}

std::string text(const QuotaTable& table, bool colour) {
  using enum api::Align;
  const api::Style style = colour ? api::Style::colour : api::Style::plain;
  std::string out = "Weak counter: units oversold, and (N - 1) x rate x lag\n\n";
  api::Table weak({{"lag"},
                   {"mean ms", right},
                   {"clients/region", right},
                   {"oversold", right},
                   {"expected", right}});
  for (const WeakCell& cell : table.weak)
    weak.add({cell.lag, number(cell.lag_ms), std::to_string(cell.clients), number(cell.oversold),
              number(cell.expected)});
  out += weak.text(style) + "\nEscrow (Holdfast): units oversold, and what it costs\n\n";
  api::Table escrow({{"units"},
                     {"clients/region", right},
                     {"sold", right},
                     {"oversold", right},
                     {"refused before the end", right},
                     {"with units elsewhere", right},
                     {"p50 ms", right},
                     {"p99 ms", right},
                     {"most ms", right},
                     {"sold out after s", right}});
  for (const EscrowCell& cell : table.escrow)
    escrow.add({cell.split, std::to_string(cell.clients), api::grouped(cell.sold),
                api::grouped(cell.oversold), api::grouped(cell.refused),
                api::grouped(cell.refused_elsewhere), number(cell.p50_ms), number(cell.p99_ms),
                number(cell.most_ms), number(cell.seconds)});
  out += escrow.text(style) + "\nReplicas that don't hear of one another\n\n";
  api::Table worst({{"replicas", right},
                    {"limit", right},
                    {"weak overshoot", right},
                    {"(N - 1) x limit", right},
                    {"escrow", right}});
  for (const WorstCell& cell : table.worst)
    worst.add({std::to_string(cell.replicas), api::grouped(cell.limit), api::grouped(cell.weak),
               api::grouped(cell.weak_bound), api::grouped(cell.escrow)});
  return out + worst.text(style);
}

boost::json::value json(const QuotaTable& table) {
  boost::json::array weak, escrow, worst;
  for (const WeakCell& cell : table.weak)
    weak.push_back({{"lag", cell.lag},
                    {"lag_ms", cell.lag_ms},
                    {"clients_per_region", cell.clients},
                    {"oversold", cell.oversold},
                    {"expected", cell.expected}});
  for (const EscrowCell& cell : table.escrow)
    escrow.push_back({{"split", cell.split},
                      {"clients_per_region", cell.clients},
                      {"sold", cell.sold},
                      {"oversold", cell.oversold},
                      {"refused", cell.refused},
                      {"refused_with_units_elsewhere", cell.refused_elsewhere},
                      {"p50_ms", cell.p50_ms},
                      {"p99_ms", cell.p99_ms},
                      {"most_ms", cell.most_ms},
                      {"sold_out_after_s", cell.seconds}});
  for (const WorstCell& cell : table.worst)
    worst.push_back({{"replicas", cell.replicas},
                     {"limit", cell.limit},
                     {"weak_overshoot", cell.weak},
                     {"weak_bound", cell.weak_bound},
                     {"escrow_overshoot", cell.escrow}});
  return boost::json::object{{"weak", std::move(weak)},
                             {"escrow", std::move(escrow)},
                             {"worst", std::move(worst)},
                             {"holds", holds(table)}};
}

}  // namespace holdfast::sim
