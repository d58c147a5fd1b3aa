#include "api/cli_drill_cluster.h"

#include <algorithm>
#include <filesystem>

#include "api/cli_cut.h"

namespace holdfast::api {
namespace {

// Before anything is started.
absl::Status check_own_cluster(const DrillOptions& options) {
  const auto& regions = options.cluster.regions;
  if (!options.cluster.dir.empty())
    if (auto status = check_fresh(options.cluster.dir); !status.ok()) return status;
  if (regions.size() < 2)
    return absl::InvalidArgumentError(
        "--regions: a region can be lost only where there are two or more");
  if (options.lost.empty() ||
      std::find(regions.begin(), regions.end(), options.lost) != regions.end())
    return absl::OkStatus();
  std::string known;
  for (const auto& region : regions) known += (known.empty() ? "" : ", ") + region;
  return absl::InvalidArgumentError("--lost '" + options.lost +
                                    "' is none of the regions: " + known);
}

}  // namespace

absl::Status DrillCluster::open(const DrillOptions& options, StopSignals& signals) {
  if (!options.url.empty()) {
    if (options.kill) {
      return absl::InvalidArgumentError(
          "--kill needs a cluster that the drill has started: leave "
          "--url out, or cut the links");
    }
    const auto url = parse_http_url(options.url);
    if (!url.ok()) return url.status();
    HttpClient client(*url);
    return look(client);
  }
  if (auto status = check_own_cluster(options); !status.ok()) return status;
  LocalClusterOptions cluster = options.cluster;
  if (cluster.dir.empty()) cluster.dir = ".";
  if (auto planned = plan_local_nodes(cluster); !planned.ok()) return planned.status();
  if (auto status = choose_ports(cluster); !status.ok()) return status;
  if (options.cluster.dir.empty()) {
    auto dir = temporary_directory("holdfast-drill");
    if (!dir.ok()) return dir.status();
    cluster.dir = temporary_ = *std::move(dir);
  }
  print_error("── starting " + std::to_string(cluster.regions.size()) + " regions, data in " +
              cluster.dir);
  own_ = true;
  kept_ = cluster.dir;
  if (auto status = local_.start(cluster, signals); !status.ok()) return status;
  if (auto status = local_.wait_ready(std::chrono::seconds(60), signals); !status.ok())
    return status;
  HttpClient client({.host = "127.0.0.1", .port = local_.nodes().front().http_port});
  return look(client);
}

absl::Status DrillCluster::look(HttpClient& client) {
  const auto cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  for (const auto& node : cluster->nodes) {
    if (node.state != "live") continue;
    const auto url = parse_http_url(node.http_url);
    if (!url.ok()) return absl::InternalError(node.node + " tells no HTTP address");
    nodes_.push_back(
        {.name = node.node, .region = node.region, .replica = node.replica, .url = *url});
    seen_.push_back(node);
  }
  if (regions().size() < 2) {
    return absl::InvalidArgumentError(
        "a region can be lost only where there are two or more; this "
        "cluster has " +
        std::to_string(regions().size()));
  }
  return absl::OkStatus();
}

bool DrillCluster::close(bool tidy) {
  if (!own_) return true;
  const bool clean = local_.stop();
  std::error_code ignored;
  if (!temporary_.empty() && tidy && clean) {
    std::filesystem::remove_all(temporary_, ignored);
    kept_.clear();
  }
  return clean;
}

std::vector<std::string> DrillCluster::regions() const {
  std::vector<std::string> regions;
  for (const auto& node : nodes_) {
    if (std::find(regions.begin(), regions.end(), node.region) == regions.end())
      regions.push_back(node.region);
  }
  return regions;
}

const DrillNode& DrillCluster::issuer(const std::string& lost) const {
  return *std::find_if(nodes_.begin(), nodes_.end(),
                       [&](const DrillNode& node) { return node.region != lost; });
}

std::vector<std::string> DrillCluster::names() const {
  std::vector<std::string> names;
  for (const auto& node : nodes_) names.push_back(node.name);
  return names;
}

absl::Status DrillCluster::lose(const std::string& region, bool kill) {
  if (!kill) return set_links(seen_, region, LinkState::dropped);
  local_.kill_region(region);
  return absl::OkStatus();
}

absl::Status DrillCluster::bring_back(const std::string& region, bool kill,
                                      const StopSignals& signals) {
  if (!kill) return set_links(seen_, region, LinkState::restored);
  return local_.start_region(region, signals);
}

}  // namespace holdfast::api
