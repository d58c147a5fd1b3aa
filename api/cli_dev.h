#pragma once
// `holdfast dev`: a whole cluster on loopback until Ctrl-C; and the demo that sells a real day on
// one.

#include <string>

#include "api/cli_local_cluster.h"
#include "api/cli_replay.h"

namespace holdfast::api {

struct DevOptions {
  LocalClusterOptions cluster;
  bool json = false;  // one object a line instead of the text
};

int run_dev(const DevOptions& options);

struct DemoOptions {
  ReplayOptions replay;
  LocalClusterOptions cluster;  // ports: the first free ones from these on
  bool stay = false;            // leave the cluster running until Ctrl-C
};

// Exit status 0 only if every node agrees with the account for every SKU and nothing was oversold.
int run_demo(const DemoOptions& options);

}  // namespace holdfast::api
