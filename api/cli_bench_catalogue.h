#pragma once
// The SKUs of a benchmark: made if they are missing, stocked up if they run low. Edge: HTTP.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cli_console.h"
#include "api/http_client.h"

namespace holdfast::api {

struct BenchCatalogue {
  std::string prefix;
  std::uint32_t skus = 0;
  std::uint64_t stock_each = 0;  // that every node can sell by itself, at least
};

// Every SKU is known to every node, and stocked. Idempotent: what is there already is left. Errors:
// kUnavailable (a node was not reached), kFailedPrecondition (a node refuses), kCancelled (a
// signal).
absl::Status prepare(const BenchCatalogue& catalogue, const std::vector<HttpUrl>& urls,
                     Progress& progress, StopSignals& signals);

}  // namespace holdfast::api
