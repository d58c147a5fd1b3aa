#pragma once
// What a batch of seeds came to, and how it is told to people and to programs. Pure.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "absl/status/statusor.h"
#include "api/table.h"
#include "sim/seed_run.h"

namespace holdfast::sim {

struct Occurrences {
  std::uint64_t seeds = 0;  // in which it occurred
  std::uint64_t times = 0;
};

struct Summary {
  static constexpr std::size_t kFailuresKept = 100;

  std::uint64_t seeds = 0;  // that ran to a verdict
  std::uint64_t failures = 0;
  std::vector<Verdict> failed;  // ascending by seed; of many, those that came first
  std::int64_t simulated_ms = 0;
  double seconds = 0;  // real
  std::map<std::string, Occurrences> sometimes;
  bool interrupted = false;

  void add(Verdict verdict);
  double cluster_hours() const;
  double seeds_per_second() const;           // 0 before any time has passed
  double simulated_per_real() const;         // likewise
  std::vector<std::string> missing() const;  // situations that never occurred, ascending
};

inline constexpr const char* kReplay = "holdfast sim replay";

// The command that repeats it, e.g. "holdfast sim replay --seed 7 --without-faults 1,4-9".
std::string replay_command(std::uint64_t seed, const Omissions& omissions,
                           const std::string& replayed_by = kReplay);

// Seed, commit, what was broken and when, and the command that replays it; several lines.
std::string failure_text(const Verdict& verdict, const std::string& commit,
                         const Omissions& omissions = {}, const std::string& replayed_by = kReplay);
std::string summary_text(const Summary& summary, api::Style style);

// Hashes are text in hexadecimal: JSON's numbers are too small for them.
boost::json::object to_json(const Verdict& verdict);
boost::json::object to_json(const Summary& summary, const std::string& replayed_by = kReplay);
absl::StatusOr<Verdict> verdict_from_json(std::string_view text);  // errors: kInvalidArgument
std::string hex(std::uint64_t value);                              // 16 digits

}  // namespace holdfast::sim
