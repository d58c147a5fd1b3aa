#pragma once
// The commands on a data directory: backup, restore, verify; and verify of a running node, which
// is a client of it. Each prints what was done or found (with --json one object), and gives the
// exit status: verify's is 1 if anything differs.

#include <string>

#include "api/cli.h"

namespace holdfast::api {

struct StoreOptions {
  std::string data_dir, to, from;
  std::string url;  // verify
  bool json = false;
};

int run_backup(const StoreOptions& options, const CliHooks& hooks);
int run_restore(const StoreOptions& options, const CliHooks& hooks);
int run_verify(const StoreOptions& options, const CliHooks& hooks);

// Every SKU and reservation of a node, over HTTP; what its figures and its lists do not agree on.
node::StoreReport verify_node(const std::string& url, const CliProgress& show);

}  // namespace holdfast::api
