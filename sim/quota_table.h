#pragma once
// The bounded counter's set-up (Balegas et al., SRDS 2015, arXiv:1503.09052), as its prototype has
// it (SyncFree/proto-boundedcounter): regions US-EAST, US-WEST and EU-WEST, one key of 6,000 units,
// 1 to 80 clients a region, each of which thinks 67 – 99 ms, takes one unit, and sleeps 500 ms when
// it is refused; until all units are sold.
//
//   weak    a PN-counter that is checked, then lowered. Regions hear of one another with a lag;
//   what
//           is sold meanwhile is oversold. Expected: (N − 1) · rate of a region · mean lag.
//   escrow  the product: engine and driver of three nodes (rig.h). A client reserves one unit and
//           commits it. Oversold is 0, and the cost is printed instead: refusals while another
//           region has units, and the latency of a reservation. The units are split evenly, as in
//           the prototype, or all received in one region, from which the others fetch their rights.
//   worst   replicas that don't hear of one another at all, for 2 to 10 of them: a plain limit is
//           overshot by (N − 1) · limit, escrow by 0.
//
// Pure and deterministic. The paper's own figures are not quoted: only its set-up is known here.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

namespace holdfast::sim {

struct WeakCell {
  std::string lag;            // which
  double lag_ms = 0;          // its mean, one way
  std::uint32_t clients = 0;  // a region
  double oversold = 0;        // mean of QuotaOptions::weak_runs runs
  double expected = 0;
};

struct EscrowCell {
  std::string split;          // of the units: even, or all in one region
  std::uint32_t clients = 0;  // a region
  std::int64_t sold = 0;      // acknowledged reservations of one unit
  std::int64_t oversold = 0;
  std::int64_t refused = 0;                    // while any unit was left
  std::int64_t refused_elsewhere = 0;          // of them: while another region had a unit to spare
  double p50_ms = 0, p99_ms = 0, most_ms = 0;  // of reservations that were made
  double seconds = 0;                          // until all was sold
};

struct WorstCell {
  std::uint32_t replicas = 0;
  std::int64_t limit = 0;
  std::int64_t weak = 0, weak_bound = 0;  // overshoot; (N − 1) · limit
  std::int64_t escrow = 0;
};

struct QuotaTable {
  std::vector<WeakCell> weak;
  std::vector<EscrowCell> escrow;
  std::vector<WorstCell> worst;
};

struct QuotaOptions {
  std::uint64_t seed = 1;
  std::int64_t units = 6'000;
  std::uint32_t weak_runs = 20;  // > 0; each with a seed of its own
  std::vector<std::uint32_t> clients = {1, 10, 20, 30, 40, 80};
  std::vector<std::uint32_t> replicas = {2, 3, 5, 10};  // of the worst case
  std::function<void(std::size_t done, std::size_t total)> progress = [](auto, auto) {};
};

QuotaTable quota_table(const QuotaOptions& options = {});
// Nothing oversold by escrow, everything sold, no limit overshot beyond its bound.
bool holds(const QuotaTable& table);

std::string text(const QuotaTable& table, bool colour);
boost::json::value json(const QuotaTable& table);

}  // namespace holdfast::sim
