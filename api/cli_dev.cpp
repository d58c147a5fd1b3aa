#include "api/cli_dev.h"

#include <boost/json/serialize.hpp>

namespace holdfast::api {
namespace {

constexpr std::chrono::seconds kReadyLimit{60};

void tell_node(const LocalNode& node, bool json) {
  const std::string gossip = "127.0.0.1:" + std::to_string(node.gossip_port);
  if (json) {
    print_line(boost::json::serialize(boost::json::object{{"node", node.name},
                                                          {"region", node.region},
                                                          {"http", node.http_url()},
                                                          {"gossip", gossip},
                                                          {"pid", node.pid}}));
  } else {
    print_line(node.name + " region=" + node.region + " http=" + node.http_url() +
               " gossip=" + gossip + " pid=" + std::to_string(node.pid));
  }
}

}  // namespace

int run_dev(const DevOptions& options) {
  StopSignals signals;
  LocalCluster cluster;
  if (auto status = cluster.start(options.cluster, signals); !status.ok()) {
    return absl::IsInvalidArgument(status) ? usage_error(status) : failed(status);
  }
  for (const auto& node : cluster.nodes()) tell_node(node, options.json);
  if (auto status = cluster.wait_ready(kReadyLimit, signals); !status.ok()) {
    cluster.stop();
    return failed(status);
  }
  print_line(options.json ? R"({"ready":true})" : "ready");
  while (!signals.wait(std::chrono::milliseconds(200))) {
    for (const auto& text : cluster.ended()) print_error(text + "; it is not restarted");
  }
  return cluster.stop() ? kExitOk : kExitFailed;
}

}  // namespace holdfast::api
