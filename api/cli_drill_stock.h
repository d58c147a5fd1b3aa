#pragma once
// A drill's stock: put there before, watched throughout, compared at the end.

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli_drill_cluster.h"
#include "api/cli_drill_load.h"

namespace holdfast::api {

// Makes the SKUs and receives units of each in every region: of the scarce ones half of what the
// region will be asked for, else three times as much. Adds to `received`, by SKU. Errors: the first
// call's that failed; kCancelled (a signal).
absl::Status load_drill_stock(const DrillCluster& cluster, const DrillCatalogue& catalogue,
                              const DrillOptions& options, std::vector<crdt::Units>& received,
                              StopSignals& signals);

// Receives units of one SKU at a node, once per key (in the whole cluster: equal keys on two nodes
// are one receipt).
absl::Status receive_units(HttpClient& client, const std::string& sku, crdt::Units units,
                           const std::string& key);

// What the node says of each SKU, in the order of the catalogue.
absl::StatusOr<std::vector<StockAnswer>> drill_stock(HttpClient& client,
                                                     const DrillCatalogue& catalogue);

// Looks at all SKUs on all nodes, again and again: none may be sold further than is allowed.
class BoundWatch {
 public:
  BoundWatch(const std::vector<DrillNode>& nodes, const DrillCatalogue& catalogue);

  // From now on a SKU may be sold so many units beyond its stock. Any thread.
  void allow(const std::map<std::string, crdt::Units>& most);
  // One pass; nodes that don't answer are left out. One thread at a time.
  void look();

  std::uint64_t looks() const { return looks_; }
  crdt::Units least() const { return least_; }  // available, of all looks
  const std::vector<std::string>& violations() const { return violations_; }  // the first few

 private:
  void look_at(std::size_t node, std::size_t from, std::size_t to);

  const DrillCatalogue& catalogue_;
  std::vector<std::string> names_;
  std::vector<HttpClient> clients_;
  std::vector<std::atomic<crdt::Units>> allowed_;  // by SKU
  std::map<std::string, std::size_t> index_;
  std::uint64_t looks_ = 0;
  crdt::Units least_ = crdt::kUnitsMax;
  std::vector<std::string> violations_;
};

}  // namespace holdfast::api
