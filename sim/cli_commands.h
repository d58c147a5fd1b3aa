#pragma once
// Edge: the commands of `holdfast sim` that run a planner's worlds and the papers' tables. Each
// prints to stdout, shows its progress on stderr, and returns the exit status: 0 what was promised
// held, 1 it did not, 2 the options or the file are wrong (the key or the line is named on stderr).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::sim {

struct RunOptions {
  std::string scenario_path;
  std::optional<std::string> report_path;  // none: no HTML page is written
  std::optional<std::string> policy;       // none: the scenario's own, as are the following
  std::optional<std::uint64_t> seed;
  bool json = false;
};
int run_scenario(const RunOptions& options);

struct CompareOptions {
  std::string scenario_path;  // empty: the one that is built in
  std::optional<std::string> report_path;
  std::optional<std::uint64_t> seed;
  bool json = false;
};
int run_compare(const CompareOptions& options);

struct PapersOptions {
  bool feeds = true, quotas = true;  // which tables
  std::uint64_t seed = 1;
  bool json = false;
};
int run_papers(const PapersOptions& options);

struct ScaleOptions {
  std::vector<std::uint32_t> replicas = {3, 5, 10, 20, 50};  // 2 … 200 each, ascending
  std::uint64_t seed = 1;
  bool json = false;
};
int run_scale(const ScaleOptions& options);

struct GroupsOptions {
  std::vector<std::uint32_t> nodes = {1, 2, 3, 5, 10};  // of a group, 1 … 50 each, ascending
  std::vector<std::uint32_t> shards = {1, 4, 16};       // 1 … 64 each, ascending
  std::uint64_t skus = 160'000;                         // with the most shards
  std::uint64_t seed = 1;
  bool json = false;
};
int run_groups(const GroupsOptions& options);

}  // namespace holdfast::sim
