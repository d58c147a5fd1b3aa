#include "api/capacity.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "absl/status/status.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

constexpr double kSecondsADay = 86'400;
constexpr double kRowsAWrite = 2;  // one of the stock, one of the reservation
constexpr double kShardsMax = 4'096;
constexpr double kCompaction = 2;                    // disk beside what the rows need
constexpr double kJournalBytesMax = 2 * (64 << 20);  // two checkpoints' worth

struct Field {
  const char* name;
  double CapacityFigures::*value;
};
constexpr Field kFields[] = {{"write_us", &CapacityFigures::write_us},
                             {"batch_us", &CapacityFigures::batch_us},
                             {"read_us", &CapacityFigures::read_us},
                             {"merge_us", &CapacityFigures::merge_us},
                             {"hold_bytes", &CapacityFigures::hold_bytes},
                             {"sku_bytes", &CapacityFigures::sku_bytes},
                             {"stock_row_bytes", &CapacityFigures::stock_row_bytes},
                             {"journal_bytes", &CapacityFigures::journal_bytes},
                             {"wire_bytes", &CapacityFigures::wire_bytes},
                             {"batches_per_s", &CapacityFigures::batches_per_s}};

// Everything that is asked for, a second and in all.
struct Load {
  double mean = 0, peak = 0;               // requests a second
  double read_share = 0, write_share = 0;  // of the requests
  double reservations_kept = 0;            // at one time
  double shares = 0;                       // sum over the regions
};

Load load_of(const CapacityAsk& ask) {
  Load load;
  load.mean = ask.users * ask.actions / kSecondsADay;
  load.peak = load.mean * ask.peak;
  const double all = ask.mix.total();
  load.read_share = (ask.mix.share(BenchOp::availability) + ask.mix.share(BenchOp::stock)) / all;
  load.write_share = 1 - load.read_share;
  load.reservations_kept =
      load.mean * ask.mix.share(BenchOp::reserve) / all * ask.keep_hours * 3'600;
  for (const auto& [name, share] : ask.regions) load.shares += share;
  return load;
}

// One number of shards, tried.
struct Trial {
  std::vector<double> nodes;  // of one shard, by region
  double merging = 0;         // µs a second, of one node at peak
  double memory = 0, holds = 0, catalogue = 0;
};

Trial trial(const CapacityAsk& ask, const CapacityFigures& figures, const Load& load,
            double shards) {
  Trial it;
  const double usable = ask.utilization * ask.cores * 1e6;
  it.merging = load.peak * load.write_share / shards * kRowsAWrite * figures.merge_us;
  double replicas = 0;
  for (const auto& [name, share] : ask.regions) {
    const double requests = load.peak * share / load.shares / shards;
    const double used =
        requests * (load.read_share * figures.read_us + load.write_share * figures.write_us);
    it.nodes.push_back(std::ceil(used / std::max(1.0, usable - it.merging)) + ask.spare);
    replicas += it.nodes.back();
  }
  it.holds = load.reservations_kept / shards * figures.hold_bytes;
  it.catalogue = ask.skus / shards * (figures.sku_bytes + replicas * figures.stock_row_bytes);
  it.memory = it.holds + it.catalogue;
  return it;
}

void find_drivers(CapacityPlan& plan, const CapacityAsk& ask, const CapacityFigures& figures,
                  const Load& load, const Trial& it) {
  const double cpu = ask.utilization * ask.cores * 1e6;
  const double memory = ask.utilization * ask.memory_gb * 1e9;
  double nodes = 0;
  for (const RegionCapacity& region : plan.regions) nodes += region.nodes;
  plan.drivers = {
      {"CPU of reads", load.peak * load.read_share * figures.read_us / cpu},
      {"CPU of reservations, commits and releases",
       load.peak * load.write_share * figures.write_us / cpu},
      {"CPU of merging what the others wrote", it.merging * nodes / cpu},
      {"memory of reservations, open and kept", it.holds * nodes / memory},
      {"memory of the catalogue", it.catalogue * nodes / memory},
      {"spare nodes", ask.spare * static_cast<double>(plan.regions.size()) * plan.shards}};
  std::stable_sort(plan.drivers.begin(), plan.drivers.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
}

}  // namespace

json::object to_json(const CapacityFigures& figures) {
  json::object object{{"of", figures.of}};
  for (const Field& field : kFields) object[field.name] = figures.*field.value;
  return object;
}

absl::StatusOr<CapacityFigures> figures_of(const json::object& object) {
  CapacityFigures figures;
  if (const auto* of = object.if_contains("of"); of != nullptr && of->is_string())
    figures.of = of->as_string().c_str();
  for (const Field& field : kFields) {
    const auto* value = object.if_contains(field.name);
    if (value == nullptr || !value->is_number() || !(value->to_number<double>() > 0))
      return absl::InvalidArgumentError("the figures need a number above 0 as \"" +
                                        std::string(field.name) +
                                        "\": make them by `holdfast bench --calibrate`");
    figures.*field.value = value->to_number<double>();
  }
  return figures;
}

absl::StatusOr<CapacityPlan> plan_capacity(const CapacityAsk& ask, const CapacityFigures& figures) {
  const Load load = load_of(ask);
  const double usable = ask.utilization * ask.cores * 1e6;
  const double memory = ask.utilization * ask.memory_gb * 1e9;
  double shards = 1;
  Trial it = trial(ask, figures, load, shards);
  while ((it.memory > memory || it.merging > usable / 2) && shards < kShardsMax)
    it = trial(ask, figures, load, ++shards);
  if (it.memory > memory || it.merging > usable / 2)
    return absl::InvalidArgumentError(
        "not even " + std::to_string(static_cast<int>(kShardsMax)) +
        " shards carry that: give a node more memory or cores, or keep reservations for less long");

  CapacityPlan plan{.requests_mean = load.mean, .requests_peak = load.peak, .shards = shards};
  plan.memory_bytes = it.memory;
  plan.disk_bytes =
      (load.reservations_kept + ask.skus) / shards * figures.journal_bytes * kCompaction +
      kJournalBytesMax;
  double replicas = 0;
  for (const double nodes : it.nodes) replicas += nodes;
  for (std::size_t i = 0; i < ask.regions.size(); ++i) {
    RegionCapacity region{.name = ask.regions[i].first};
    region.requests = load.peak * ask.regions[i].second / load.shares;
    region.reads = region.requests * load.read_share;
    region.writes = region.requests * load.write_share;
    region.nodes = it.nodes[i] * shards;
    const double cpu = region.reads * figures.read_us + region.writes * figures.write_us;
    region.fsyncs = std::min(region.writes / region.nodes, figures.batches_per_s);
    region.cores_used = (cpu / region.nodes + it.merging + region.fsyncs * figures.batch_us) / 1e6;
    const double bytes = kRowsAWrite * figures.wire_bytes;
    region.wan_out = region.writes * bytes * (replicas - it.nodes[i]);
    region.wan_in = (load.peak * load.write_share - region.writes) * bytes * it.nodes[i];
    plan.regions.push_back(std::move(region));
  }
  find_drivers(plan, ask, figures, load, it);
  return plan;
}

absl::StatusOr<double> parse_count(std::string_view text) {
  static const std::map<char, double> kUnits{{'k', 1e3}, {'M', 1e6}, {'G', 1e9}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const auto unit = rest.size() == 1 ? kUnits.find(rest.front()) : kUnits.end();
  if (error == std::errc() && unit != kUnits.end()) value *= unit->second;
  const bool whole = rest.empty() || unit != kUnits.end();
  if (error == std::errc() && whole && value > 0 && value <= 1e15) return value;
  return absl::InvalidArgumentError("\"" + std::string(text) +
                                    "\" is no number above 0, like 100M, 36k or 2.5G");
}

absl::StatusOr<std::vector<std::pair<std::string, double>>> parse_regions(std::string_view text) {
  std::vector<std::pair<std::string, double>> regions;
  for (const std::string_view part : split_at_commas(text)) {
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string name(part.substr(0, equals));
    const auto share = equals < part.size() ? parse_count(part.substr(equals + 1)) : 1.0;
    const auto same = [&](const auto& region) { return region.first == name; };
    if (name.empty() || !share.ok() || std::any_of(regions.begin(), regions.end(), same))
      return absl::InvalidArgumentError(
          "regions are said like us=40,eu=35,ap=25: each name once, shares above 0");
    regions.emplace_back(name, *share);
  }
  return regions;
}

}  // namespace holdfast::api
