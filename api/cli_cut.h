#pragma once
// Cuts a region off from the others, and heals it, over the nodes' fault drills.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cli_calls.h"

namespace holdfast::api {

// While the share of orders that have been dealt with is in [from, to).
struct Cut {
  std::string region;
  double from = 0, to = 0;
};
// "REGION@FRACTION..FRACTION", e.g. "us@0.5..0.75". Errors: kInvalidArgument.
absl::StatusOr<Cut> parse_cut(std::string_view text);

enum class LinkState { dropped, restored };

// On the region's nodes against every other region, and on all other nodes against it. Every node
// is tried. Errors: kFailedPrecondition (the region is the only one, or unknown), or the first
// node's that refused or could not be reached.
absl::Status set_links(const std::vector<SeenNode>& nodes, const std::string& region,
                       LinkState state);

}  // namespace holdfast::api
