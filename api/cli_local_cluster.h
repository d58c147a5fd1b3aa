#pragma once
// A whole cluster on loopback: one process per node, each `holdfast serve --config
// DIR/<region>-<n>/node.toml` with its output in DIR/<region>-<n>/log. The nodes belong to the
// process group of this one and end with it, also when it is killed. Edge: processes, files,
// sockets.

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli_console.h"

namespace holdfast::api {

struct LocalClusterOptions {
  std::vector<std::string> regions{"us", "eu", "ap"};
  unsigned nodes_per_region = 1;     // 1 … 32; at most kLocalNodesMax in all
  std::uint16_t http_port = 8080;    // node k (regions in order) listens at http_port + k
  std::uint16_t gossip_port = 7940;  // and gossips at gossip_port + k
  std::string dir = "dev-data";
  std::vector<std::string> overrides;  // section.key=value, for every node
};
inline constexpr unsigned kLocalNodesMax = 64;

struct LocalNode {
  std::string name, region, dir;
  std::uint16_t http_port = 0, gossip_port = 0;
  pid_t pid = -1;  // -1: has ended
  std::string http_url() const { return "http://127.0.0.1:" + std::to_string(http_port); }
};

// Errors: kInvalidArgument, saying which option is wrong and what it may be.
absl::StatusOr<std::vector<LocalNode>> plan_local_nodes(const LocalClusterOptions& options);

// The first of `count` ports in a row, from `first` on, on which nobody listens at 127.0.0.1.
// Errors: kResourceExhausted.
absl::StatusOr<std::uint16_t> free_ports(std::uint16_t first, unsigned count);

// Moves `http_port` and `gossip_port` to the first rows of ports that are free. Errors:
// kResourceExhausted.
absl::Status choose_ports(LocalClusterOptions& options);
// That `dir` is absent or an empty directory. Errors: kInvalidArgument, saying so of --data.
absl::Status check_fresh(const std::string& dir);
// A directory of its own below the system's temporary one, NAME.XXXXXX. Errors: kInternal.
absl::StatusOr<std::string> temporary_directory(const std::string& name);

class LocalCluster {
 public:
  // Writes what is missing in the directory, then starts the nodes. Call it from the main thread:
  // the nodes end with the thread that started them. Errors: kInvalidArgument (options),
  // kFailedPrecondition (a port is taken; the directory is in use), kInternal (the system's
  // reason).
  absl::Status start(const LocalClusterOptions& options, const StopSignals& signals);
  ~LocalCluster() { stop(); }
  LocalCluster() = default;
  LocalCluster(const LocalCluster&) = delete;
  LocalCluster& operator=(const LocalCluster&) = delete;

  // Until every node says that it is ready and sees all others. Errors: kUnavailable (a node ended:
  // with the last lines of its log), kDeadlineExceeded (likewise, of those that are not ready),
  // kCancelled (a signal).
  absl::Status wait_ready(std::chrono::seconds limit, StopSignals& signals);

  // kill -9 to the region's nodes; none is left when it returns.
  void kill_region(const std::string& region);
  // Starts those of the region's nodes that have ended, on their data. Main thread, as start().
  absl::Status start_region(const std::string& region, const StopSignals& signals);

  // Names the nodes that have ended since the last call, with the way they did, one text each.
  std::vector<std::string> ended();

  // SIGTERM to each node; after 15 s, SIGKILL. No node is left when it returns. True: all ended by
  // themselves, with status 0.
  bool stop();

  const std::vector<LocalNode>& nodes() const { return nodes_; }
  std::vector<std::string> names() const;

 private:
  std::vector<LocalNode> nodes_;
  std::vector<std::string> overrides_;
  int lock_ = -1;
};

}  // namespace holdfast::api
