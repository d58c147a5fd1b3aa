#pragma once
// One seed of the swarm, from its plan to its verdict. Pure: the same arguments give the same
// verdict and the same hash, in any process.
//
// Threads  none of its own. A broken HOLDFAST_CHECK of the product ends the process, as it does in
// production: whoever runs many seeds runs them in processes of their own (workers.h).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace holdfast::sim {

// What is left out of a seed's plan; empty: nothing. Numbers are places in the plan's lists.
struct Omissions {
  std::vector<std::uint32_t> faults;      // ascending
  std::vector<std::uint32_t> operations;  // ascending
  std::optional<std::int64_t> end_ms;     // the faulty phase ends here, if that is earlier
};

// How much there is to leave out.
struct PlanSize {
  std::uint32_t faults = 0;
  std::uint32_t operations = 0;
  std::int64_t end_ms = 0;  // virtual, of the faulty phase
};
PlanSize plan_size(std::uint64_t seed);

struct Verdict {
  std::uint64_t seed = 0;
  bool passed = false;
  std::string invariant;    // short name of what was broken, e.g. "rights-below-truth"; else empty
  std::string detail;       // for people
  std::int64_t at_ms = 0;   // virtual time of the violation, or of the end
  std::uint64_t event = 0;  // number of the event after which it was found, or of all events
  std::uint64_t hash = 0;   // over all events: equal runs have equal hashes
  std::int64_t simulated_ms = 0;
  // How often each rare situation occurred; every situation that is watched for is named, with 0.
  std::map<std::string, std::uint64_t> sometimes;
};

// Receives one line per event (no newline).
using Trace = std::function<void(const std::string& line)>;

Verdict run_seed(std::uint64_t seed, const Omissions& omissions = {}, const Trace& trace = {});

// The plan in words: one line for the topology, then each fault and operation with its number.
std::string describe_plan(std::uint64_t seed, const Omissions& omissions = {});

}  // namespace holdfast::sim
