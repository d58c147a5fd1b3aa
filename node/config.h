#pragma once
// A node's configuration: TOML, read once, checked, never changed afterwards.
//
// Every key can be set on the command line as `--set section.key=value`. An unknown key, a wrong
// type or a value out of range is an error that names the key, and the place in the file.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::node {

struct Config {
  // [node]
  // Unique in the cluster; 1–64 of A–Z a–z 0–9 . _ -; default: this machine's hostname.
  std::string name;
  std::string region;    // likewise
  std::string data_dir;  // made if absent
  // No writes until a peer has confirmed that this node's data is the latest. Off for the first
  // node of a cluster.
  bool start_requires_peer = false;
  // Told to stop, it serves so long on, and says that it is not ready.
  std::uint32_t stop_after_ms = 0;
  std::uint32_t weight = 100;  // of the region's SKUs this node is home to so large a part
  // [http]
  std::string http_listen = "127.0.0.1:8080";  // loopback only, until [auth] exists
  std::string http_advertise;                  // where routers find it; default: http_listen
  std::uint32_t http_threads = 1;              // 1 … 64
  std::uint32_t http_connections_max = 10'000;
  // [gossip]
  std::string gossip_listen = "127.0.0.1:7940";
  std::string gossip_advertise;      // what peers dial; default: gossip_listen
  std::vector<std::string> peers;    // host:port of other nodes; one is enough to join
  std::string cluster = "holdfast";  // a node of another cluster is refused
  std::string secret;                // at least 16 bytes; or secret_file; shared by all nodes
  std::uint32_t heartbeat_ms = 500;  // 50 … 60,000
  std::uint32_t suspect_after_ms =
      2500;                    // unreachable after this long without an echo; ≥ 3 heartbeats
  std::uint32_t push_ms = 20;  // own rows are coalesced this long before they are pushed
  std::uint32_t relay_after_ms =
      500;  // others' rows are relayed to a peer that lacks them this long
  // [store]
  std::uint64_t min_free_bytes = 256ull << 20;   // less free space than this: writes get 507
  std::uint64_t checkpoint_bytes = 64ull << 20;  // journal written since the last checkpoint
  // [engine]
  std::uint32_t inbox_max = 131'072;  // requests waiting for the engine (inbox_takes); beyond: 503
  std::uint32_t inbox_delay_ms_max = 1'000;  // and in time
  std::uint32_t open_holds_max = 5'000'000;
  std::uint32_t durability_wait_ms = 1'000;  // for other nodes' disks; then 202
  std::uint32_t keep_finished_s = 86'400;    // reservations, from their end; 3,600 … 31,536,000
  // [rebalance]
  std::string rebalance_policy = "proportional";  // static, on-demand or proportional
  std::uint32_t rebalance_window_s = 600;         // over which demand is weighted
  std::uint32_t rebalance_cooldown_ms = 500;      // between two looks at one SKU
  std::uint32_t rebalance_gather_below = 10;      // so few units of a SKU are kept in one place
  // [faults]
  bool faults_enabled = false;
  // [log]
  std::string log_level = "info";  // trace, debug, info, warn, error
};

// Reads `path` (TOML), then applies `overrides` ("section.key=value", value as TOML or a bare
// string). Errors: kNotFound (no such file), kInvalidArgument (syntax, unknown key, type, range,
// missing name, region, data_dir or secret), each saying file, line and key.
absl::StatusOr<Config> load_config(const std::string& path,
                                   const std::vector<std::string>& overrides);

// The host of this host:port is a name: it may stand for several nodes, and for others later.
bool is_name(const std::string& peer);

}  // namespace holdfast::node
