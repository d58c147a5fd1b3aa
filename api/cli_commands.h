#pragma once
// The commands that ask one node: sku, stock, reservation, cluster,
// region, replica. Each prints the answer (a
// table, or with --json the node's own JSON) and gives the exit status; problems go to stderr.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "crdt/ids.h"

namespace holdfast::api {

struct NodeOptions {
  std::string url = "http://127.0.0.1:8080";
  bool json = false;
};

struct PageOptions {
  std::uint32_t limit = 100;
  std::string cursor;
};

struct SkuPut {
  std::string sku;
  std::optional<std::string> name;
  std::optional<std::string> attributes;  // JSON text
  std::optional<crdt::Units> low_stock_threshold;
};

// receive, adjust, allow and grant: one signed number of units, once per key.
struct UnitsCall {
  std::string sku;
  crdt::Units units = 0;
  std::string reason;  // adjust
  std::string to;      // grant
  std::string key;     // empty: a random one
};

struct ReservationPut {
  std::string id;
  std::vector<std::string> lines;  // "SKU=QUANTITY"
  std::optional<std::uint32_t> ttl_seconds, wait_ms;
  std::optional<std::string> durability, metadata;
  bool partial = false;
};

struct ReservationVerb {
  std::string id;
  std::vector<std::string> lines;  // "SKU=QUANTITY"
  std::optional<std::uint32_t> ttl_seconds;
  std::string key;
};

struct DrainCall {
  std::string successor;  // empty: the nearest of the region
  std::uint32_t wait_seconds = 0;
  bool cancel = false;
};

struct FaultSet {
  std::string target;
  bool drop = false;
  std::uint32_t delay_ms = 0;
  double loss = 0;
};

// A failover or retirement. Without `dry_run` and `yes` it is shown, and confirmed on the terminal.
struct DecreeCall {
  std::string target;  // a region; or a replica id, or a node's name
  std::optional<double> fraction;
  std::string successor;  // retirements: a node's name or a replica id
  std::string plan;       // empty: whatever the amounts are
  bool dry_run = false, yes = false;
};

int sku_put(const NodeOptions& node, const SkuPut& command);
int sku_get(const NodeOptions& node, const std::string& sku);
int sku_list(const NodeOptions& node, const std::string& prefix, const PageOptions& page);
int sku_receive(const NodeOptions& node, const UnitsCall& command);
int sku_adjust(const NodeOptions& node, const UnitsCall& command);
int sku_allow(const NodeOptions& node, const UnitsCall& command);
int sku_grant(const NodeOptions& node, const UnitsCall& command);
int stock(const NodeOptions& node, const std::vector<std::string>& skus);

int reservation_put(const NodeOptions& node, const ReservationPut& command);
int reservation_get(const NodeOptions& node, const std::string& id);
int reservation_list(const NodeOptions& node, const std::string& state, const std::string& sku,
                     const PageOptions& page);
int reservation_commit(const NodeOptions& node, const ReservationVerb& command);
int reservation_release(const NodeOptions& node, const ReservationVerb& command);
int reservation_extend(const NodeOptions& node, const ReservationVerb& command);
int reservation_return(const NodeOptions& node, const ReservationVerb& command);

int cluster_show(const NodeOptions& node);
// Returns once the node has left; 1 if it has not.
int cluster_drain(const NodeOptions& node, const DrainCall& call);
int faults_set(const NodeOptions& node, const FaultSet& fault);
int faults_clear(const NodeOptions& node, const std::string& target);
int faults_list(const NodeOptions& node);

int region_failover(const NodeOptions& node, const DecreeCall& call);
int region_accounts(const NodeOptions& node);
int replica_failover(const NodeOptions& node, const DecreeCall& call);
int replica_retire(const NodeOptions& node, const DecreeCall& call);

}  // namespace holdfast::api
