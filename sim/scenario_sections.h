#pragma once
// The sections of a scenario file, one function each. Each reads its table into the scenario and
// notes what is wrong. They are called in this order: what names a region or a node comes after the
// regions.

#include "sim/scenario.h"
#include "sim/table_reader.h"

namespace holdfast::sim {

void read_regions(TableReader& root, Scenario& scenario);
void read_shards(TableReader& root, Scenario& scenario);
void read_network(TableReader& root, Scenario& scenario);
void read_stock(TableReader& root, Scenario& scenario);
void read_demand(TableReader& root, Scenario& scenario);  // scenario_demand.cpp
void read_policy(TableReader& root, Scenario& scenario);
void read_nodes(TableReader& root, Scenario& scenario);
void read_events(TableReader& root, Scenario& scenario);  // scenario_events.cpp
void read_expectations(TableReader& root, Scenario& scenario);

std::vector<std::string> region_names(const Scenario& scenario);
// Index of the region; none: noted at `key`.
std::optional<std::size_t> region_called(TableReader& table, const std::string& key,
                                         const std::string& name, const Scenario& scenario);
// A moment of the scenario: a span from its start, or "HH:MM" by its clock. Noted if it is missing
// or lies at or after the end.
std::optional<Time> read_moment(TableReader& table, const std::string& key,
                                const Scenario& scenario);
// From `at`, as long as `key` says; none if it is not given. Noted if it is over after the end.
std::optional<Time> read_end(TableReader& table, const std::string& key, Time at,
                             const Scenario& scenario);

// One for each shard, not all 0; equal ones if the key is absent or wrong.
std::vector<std::uint32_t> read_weights(TableReader& table, std::size_t shards);
// A percentage, kept as a share.
void read_percent(TableReader& table, const std::string& key, double& share,
                  Range<double> allowed = {0, 100});
// A number for every region, { us = 3, eu = 2 }; those that are left out have 0.
std::vector<double> read_by_region(TableReader table, const Scenario& scenario,
                                   Range<double> allowed);
double sum(const std::vector<double>& values);

inline constexpr double kRateMax = 1e6;
inline constexpr std::int64_t kSkusMax = 1'000'000;
inline constexpr double kCartsMax = 50e6;

}  // namespace holdfast::sim
