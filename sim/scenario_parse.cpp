// A scenario file from its text.

#include <algorithm>

#include "sim/scenario.h"
#include "sim/scenario_sections.h"
#include "sim/time_span.h"

namespace holdfast::sim {
namespace {

void read_top(TableReader& root, Scenario& scenario) {
  root.require("title");
  root.text("title", scenario.title);
  root.text("teaches", scenario.teaches);
  std::int64_t seed = 1;
  root.integer("seed", seed, {0, INT64_MAX});
  scenario.seed = static_cast<std::uint64_t>(seed);
  root.require("duration");
  scenario.duration = kHour;
  root.span("duration", scenario.duration, {kSecond, 366 * kDay});
  root.span("warm_up", scenario.warm_up, {0, 366 * kDay});
  if (scenario.warm_up >= scenario.duration) {
    root.note("warm_up", "must be shorter than duration, " + span_text(scenario.duration));
  }
  scenario.sample_every = std::max(kSecond, scenario.duration / 300);
  root.span("sample_every", scenario.sample_every, {kMillisecond, kDay});
  if (scenario.duration / scenario.sample_every > 100'000) {
    root.note("sample_every", "makes more than 100,000 points: make it longer");
  }
  if (const TomlMember* start = root.find("start")) {
    const auto* text = start->value.as<std::string>();
    const auto time = text ? parse_time_of_day(*text) : std::nullopt;
    if (!time) {
      root.note(*start, "must be a time of day in quotes, such as \"08:00\", is " +
                            to_string(start->value));
    }
    scenario.start_of_day = time.value_or(0);
  }
}

void read_all(TableReader& root, Scenario& scenario) {
  read_top(root, scenario);
  read_regions(root, scenario);
  read_shards(root, scenario);
  read_network(root, scenario);
  read_demand(root, scenario);
  read_stock(root, scenario);
  read_policy(root, scenario);
  read_nodes(root, scenario);
  read_events(root, scenario);
  read_expectations(root, scenario);
  root.finish();
}

}  // namespace

absl::StatusOr<Scenario> parse_scenario(std::string_view text, const std::string& file) {
  const auto tree = parse_toml(text, file);
  if (!tree.ok()) return tree.status();
  Problems problems(file);
  TableReader root(problems, *tree, "", 0);
  Scenario scenario;
  scenario.file = file;
  read_all(root, scenario);
  if (!problems.none()) return problems.status();
  return scenario;
}

}  // namespace holdfast::sim
