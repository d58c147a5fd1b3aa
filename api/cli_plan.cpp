#include "api/cli_plan.h"

#include <cmath>
#include <fstream>
#include <sstream>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/capacity.h"
#include "api/cli_console.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

absl::StatusOr<CapacityFigures> read_figures(const std::string& file) {
  if (file.empty()) return CapacityFigures{};
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return absl::NotFoundError("cannot read " + file);
  boost::system::error_code ec;
  const json::value value = json::parse(text.str(), ec);
  if (ec || !value.is_object())
    return absl::InvalidArgumentError(file + " is not what `holdfast bench --calibrate` writes");
  return figures_of(value.get_object());
}

absl::StatusOr<CapacityAsk> ask_of(const PlanOptions& options) {
  CapacityAsk ask = options.ask;
  const auto users = parse_count(options.users), skus = parse_count(options.skus);
  const auto mix = parse_mix(options.mix);
  auto regions = parse_regions(options.regions);
  for (const absl::Status& status : {users.status(), skus.status(), mix.status(), regions.status()})
    if (!status.ok()) return status;
  ask.users = *users;
  ask.skus = *skus;
  ask.mix = *mix;
  ask.regions = *std::move(regions);
  return ask;
}

std::string rounded(double value) {
  return grouped(static_cast<std::int64_t>(std::llround(value)));
}
std::string gigabytes(double bytes) { return short_number(bytes / 1e9) + " GB"; }
std::string megabits(double bytes) { return short_number(bytes * 8 / 1e6) + " Mbit/s"; }

std::string text_of(const CapacityPlan& plan, const CapacityAsk& ask, Style style) {
  std::string text = rounded(plan.requests_mean) + " requests a second on average, " +
                     rounded(plan.requests_peak) + " at peak: " + rounded(plan.shards) +
                     (plan.shards == 1 ? " shard" : " shards") + "; of one node " +
                     gigabytes(plan.memory_bytes) + " of memory and " + gigabytes(plan.disk_bytes) +
                     " of disk\n\n";
  Table table({{"region"},
               {"nodes", Align::right},
               {"requests/s", Align::right},
               {"writes/s", Align::right},
               {"cores busy of " + short_number(ask.cores), Align::right},
               {"fsyncs/s and node", Align::right},
               {"WAN out", Align::right},
               {"WAN in", Align::right}});
  for (const RegionCapacity& region : plan.regions)
    table.add({region.name, rounded(region.nodes), rounded(region.requests), rounded(region.writes),
               short_number(region.cores_used), rounded(region.fsyncs), megabits(region.wan_out),
               megabits(region.wan_in)});
  text += table.text(style) + "\n";
  Table drivers({{"what it is needed for"}, {"nodes that it fills", Align::right}});
  for (const auto& [what, nodes] : plan.drivers) drivers.add({what, short_number(nodes)});
  return text + drivers.text(style);
}

json::object json_of(const CapacityPlan& plan, double times) {
  json::object object{{"times", times},
                      {"requests_mean", plan.requests_mean},
                      {"requests_peak", plan.requests_peak},
                      {"shards", plan.shards},
                      {"memory_bytes_per_node", plan.memory_bytes},
                      {"disk_bytes_per_node", plan.disk_bytes}};
  json::array regions, drivers;
  for (const RegionCapacity& region : plan.regions)
    regions.push_back(json::object{{"region", region.name},
                                   {"nodes", region.nodes},
                                   {"requests", region.requests},
                                   {"reads", region.reads},
                                   {"writes", region.writes},
                                   {"cores_busy_per_node", region.cores_used},
                                   {"fsyncs_per_node", region.fsyncs},
                                   {"wan_out_bytes", region.wan_out},
                                   {"wan_in_bytes", region.wan_in}});
  for (const auto& [what, nodes] : plan.drivers)
    drivers.push_back(json::object{{"what", what}, {"nodes", nodes}});
  object["regions"] = std::move(regions);
  object["drivers"] = std::move(drivers);
  return object;
}

absl::StatusOr<std::vector<double>> parse_times(std::string_view text) {
  std::vector<double> times;
  for (const std::string_view part : split_at_commas(text)) {
    const auto one = parse_count(part);
    if (!one.ok()) return one.status();
    times.push_back(*one);
  }
  return times;
}

}  // namespace

int run_plan(const PlanOptions& options) {
  const auto figures = read_figures(options.figures);
  const auto ask = ask_of(options);
  const auto times = parse_times(options.times);
  for (const absl::Status& status : {figures.status(), ask.status(), times.status()})
    if (!status.ok()) return usage_error(status);
  json::array all;
  std::string text = "by what one node does on " + printable(figures->of) +
                     " (`holdfast bench --calibrate` measures yours)\n";
  for (const double n : *times) {
    CapacityAsk more = *ask;
    more.users *= n;
    const auto plan = plan_capacity(more, *figures);
    if (!plan.ok()) return usage_error(plan.status());
    all.push_back(json_of(*plan, n));
    text += "\n" + rounded(more.users) + " users, " + short_number(more.actions) +
            " requests of each a day\n" + text_of(*plan, more, stdout_style());
  }
  if (options.json) {
    print_line(
        json::serialize(json::object{{"figures", to_json(*figures)}, {"plans", std::move(all)}}));
  } else {
    print(text);
  }
  return kExitOk;
}

}  // namespace holdfast::api
