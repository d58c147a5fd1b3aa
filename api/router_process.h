#pragma once
// route: puts one router together from its parts, runs it until SIGINT or SIGTERM. Edge.

#include <string>
#include <vector>

namespace holdfast::api {

struct RouteOptions {
  std::string map;  // a file (shard_map_file.h) or a key (shard_map_etcd.h); followed as it changes
  std::string listen = "127.0.0.1:8090";
  std::string region;
  std::vector<std::string> fallback;
  std::uint32_t threads = 1;
  std::uint32_t hedge_ms = 50;
  std::uint32_t sweep_s = 30;
  std::uint32_t settle_s = 20;
};

// Exit status: 0 stopped as asked, 1 could not start.
int route(const RouteOptions& options);

}  // namespace holdfast::api
