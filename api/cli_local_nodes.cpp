// Which nodes a cluster on this machine has, and where they may listen and write.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "api/cli_local_cluster.h"

namespace holdfast::api {
namespace {

namespace fs = std::filesystem;

bool valid_region(const std::string& name) {
  return !name.empty() && name.size() <= 56 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  }) && name.front() != '.';
}

}  // namespace

absl::StatusOr<std::vector<LocalNode>> plan_local_nodes(const LocalClusterOptions& options) {
  const std::set<std::string> unique(options.regions.begin(), options.regions.end());
  if (options.regions.empty() || unique.size() != options.regions.size()) {
    return absl::InvalidArgumentError("--regions needs names that differ, like us,eu,ap");
  }
  for (const auto& region : options.regions) {
    if (!valid_region(region)) {
      return absl::InvalidArgumentError("region '" + region + "' is not 1–56 of A–Z a–z 0–9 . _ -");
    }
  }
  const std::size_t count = options.regions.size() * options.nodes_per_region;
  if (options.nodes_per_region < 1 || count > kLocalNodesMax) {
    return absl::InvalidArgumentError("--nodes and --regions make " + std::to_string(count) +
                                      " nodes; 1 to 64 can be had");
  }
  const unsigned last = static_cast<unsigned>(count) - 1;
  if (options.http_port == 0 || options.gossip_port == 0 || options.http_port + last > 65'535 ||
      options.gossip_port + last > 65'535) {
    return absl::InvalidArgumentError("--http-port and --gossip-port must leave room for " +
                                      std::to_string(count) + " ports each below 65536");
  }
  if (options.http_port <= options.gossip_port + last &&
      options.gossip_port <= options.http_port + last) {
    return absl::InvalidArgumentError("--http-port and --gossip-port overlap: each needs " +
                                      std::to_string(count) + " ports in a row");
  }
  std::vector<LocalNode> nodes;
  for (const auto& region : options.regions) {
    for (unsigned n = 1; n <= options.nodes_per_region; ++n) {
      const auto k = static_cast<std::uint16_t>(nodes.size());
      const std::string name = region + "-" + std::to_string(n);
      nodes.push_back({.name = name,
                       .region = region,
                       .dir = (fs::absolute(options.dir) / name).lexically_normal().string(),
                       .http_port = static_cast<std::uint16_t>(options.http_port + k),
                       .gossip_port = static_cast<std::uint16_t>(options.gossip_port + k)});
    }
  }
  return nodes;
}

absl::Status choose_ports(LocalClusterOptions& options) {
  const unsigned count = static_cast<unsigned>(options.regions.size()) * options.nodes_per_region;
  const auto gossip = free_ports(options.gossip_port, count);
  const auto http = free_ports(options.http_port, count);
  if (!gossip.ok()) return gossip.status();
  if (!http.ok()) return http.status();
  options.gossip_port = *gossip;
  options.http_port = *http;
  return absl::OkStatus();
}

absl::Status check_fresh(const std::string& dir) {
  std::error_code error;
  const auto status = fs::symlink_status(dir, error);
  if (!fs::exists(status)) return absl::OkStatus();
  const bool fresh = fs::is_directory(status) && fs::is_empty(dir, error) && !error;
  if (fresh) return absl::OkStatus();
  return absl::InvalidArgumentError("--data " + dir +
                                    " exists and is not an empty directory: it may be a cluster's, "
                                    "and what is sold here must not be sold there; name a "
                                    "directory that does not exist. Nothing was started");
}

absl::StatusOr<std::string> temporary_directory(const std::string& name) {
  std::error_code error;
  std::string path = (fs::temp_directory_path(error) / (name + ".XXXXXX")).string();
  if (error || mkdtemp(path.data()) == nullptr) {
    return absl::InternalError(
        "cannot make a temporary directory for the data; name one with "
        "--data");
  }
  return path;
}

}  // namespace holdfast::api
