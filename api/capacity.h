#pragma once
// What a load costs: nodes, memory, disk, fsyncs and WAN bandwidth, from what one node was measured
// to use (`holdfast bench --calibrate`). Pure arithmetic; node/README.md has it in words.
//
// The model. A shard is one group: each of its nodes, in every region, has all its SKUs and
// reservations, and merges the rows that the others write. So requests divide among the nodes of a
// region, memory and merging do not: these divide by shards. The plan has the fewest shards with
// which a node's rows fit into its memory, and merging takes at most half of the CPU that may be
// used; then as many nodes in each region as the requests need at peak, and spare ones.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>

#include "absl/status/statusor.h"
#include "api/bench_plan.h"

namespace holdfast::api {

// Of one node. CPU in µs, of all its threads; sizes in bytes.
struct CapacityFigures {
  std::string of = "2 vCPUs of an AMD EPYC, 29 November 2026";  // the machine, and when
  double write_us = 22.7;        // a reservation, commit or release, as a single call over HTTP
  double batch_us = 95;          // beside that, an fsync that serves one write alone
  double read_us = 9.4;          // an availability or stock read
  double merge_us = 3.75;        // a row of another node
  double hold_bytes = 580;       // resident: a reservation, open or finished
  double sku_bytes = 600;        // resident: a SKU
  double stock_row_bytes = 200;  // resident: one node's row of its stock
  double journal_bytes = 184;    // on disk, a write
  double wire_bytes = 90;        // sent, a row and peer
  double batches_per_s = 1'110;  // fsyncs a second with many connections
};
boost::json::object to_json(const CapacityFigures& figures);
// Errors: kInvalidArgument, naming a field that lacks, is no number, or is not above 0.
absl::StatusOr<CapacityFigures> figures_of(const boost::json::object& object);

struct CapacityAsk {
  double users = 100e6;
  double actions = 10;  // a user's requests a day
  double peak = 3;      // times the average
  BenchMix mix;         // of the requests
  double skus = 1e6;
  double keep_hours = 24;  // finished reservations (node.keep_finished_s)
  // Name and share of the requests; shares are relative.
  std::vector<std::pair<std::string, double>> regions{{"us", 40}, {"eu", 35}, {"ap", 25}};
  double cores = 8, memory_gb = 64;  // of one node
  double utilization = 0.5;          // of its CPU, and of its memory, at peak
  double spare = 1;                  // nodes in each region and shard, beyond what is needed
};

struct RegionCapacity {
  std::string name;
  double requests = 0, reads = 0, writes = 0;  // a second, at peak
  double nodes = 0;                            // of all shards
  double cores_used = 0;                       // of one node, at peak, with the spare ones working
  double fsyncs = 0;                           // a second and node
  double wan_out = 0, wan_in = 0;              // bytes a second, at peak
};
struct CapacityPlan {
  double requests_mean = 0, requests_peak = 0;
  double shards = 0;
  double memory_bytes = 0;  // resident, of one node
  double disk_bytes = 0;    // likewise
  std::vector<RegionCapacity> regions;
  // What the nodes are needed for: words, and how many nodes it would fill by itself.
  std::vector<std::pair<std::string, double>> drivers;
};
// Errors: kInvalidArgument: no size of a cluster carries that (a node is too small).
absl::StatusOr<CapacityPlan> plan_capacity(const CapacityAsk& ask, const CapacityFigures& figures);

// "us=40,eu=35": shares above 0; a name alone counts as 1. Errors: kInvalidArgument.
absl::StatusOr<std::vector<std::pair<std::string, double>>> parse_regions(std::string_view text);
// "100M", "36k", "2.5G": a number above 0. Errors: kInvalidArgument.
absl::StatusOr<double> parse_count(std::string_view text);

}  // namespace holdfast::api
