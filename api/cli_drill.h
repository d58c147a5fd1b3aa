#pragma once
// `holdfast drill region-loss`: loses a region under load, fails over, sells on, brings it back,
// and checks every node's figures against what the clients were told.

#include <string>
#include <vector>

#include "api/cli_local_cluster.h"

namespace holdfast::api {

struct DrillOptions {
  LocalClusterOptions cluster;  // ports: the first free ones from these on; dir empty: temporary
  std::string url;              // a node of a running cluster; empty: one is started
  unsigned skus = 50;           // every fifth of them scarce: it sells out while the region is lost
  unsigned seconds = 30;        // of selling
  unsigned rate = 100;          // carts a second and region
  std::string lost;             // empty: the last of `cluster`; of a running one, by name
  double fraction = 1;
  bool kill = false;  // kill -9 instead of link faults
  bool keep = false;  // the data and the logs
  bool json = false;
};

// `lost`, or the last as they were given; `regions` are those of the cluster, by name. None is
// empty.
std::string region_to_lose(const DrillOptions& options, const std::vector<std::string>& regions);

// Exit status 0 only if the bound held whenever it was looked at, the decree closed with an account
// that adds up, all nodes' figures are what the clients were told, and the other regions sold on.
int run_region_loss(const DrillOptions& options);

}  // namespace holdfast::api
