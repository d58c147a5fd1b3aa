#include "api/cli_cut.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

namespace holdfast::api {
namespace {

bool fraction(const std::string& text, double& value) {
  char* end = nullptr;
  value = std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && value >= 0 && value <= 1;
}

absl::Status set_link(const SeenNode& node, const std::string& target, LinkState state) {
  const auto url = parse_http_url(node.http_url);
  if (!url.ok()) return absl::InternalError(node.node + " tells no HTTP address");
  HttpClient client(*url);
  HttpCall call{.method = "PUT",
                .target = "/v1/faults/links/" + percent_encoded(target),
                .body = R"({"drop":true})"};
  if (state == LinkState::restored) {
    call.method = "DELETE";
    call.body.clear();
  }
  const auto answer = client.send(call);
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return absl::InternalError(node.node + ": " + problem_text(*answer));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Cut> parse_cut(std::string_view text) {
  const auto at = text.rfind('@');
  const auto dots = text.find("..", at == std::string_view::npos ? 0 : at);
  Cut cut;
  if (at == std::string_view::npos || at == 0 || dots == std::string_view::npos ||
      !fraction(std::string(text.substr(at + 1, dots - at - 1)), cut.from) ||
      !fraction(std::string(text.substr(dots + 2)), cut.to) || cut.from >= cut.to) {
    return absl::InvalidArgumentError("--cut '" + std::string(text) +
                                      "' is not REGION@FROM..TO with 0 ≤ FROM < TO ≤ 1, like "
                                      "us@0.5..0.75");
  }
  cut.region = text.substr(0, at);
  return cut;
}

absl::Status set_links(const std::vector<SeenNode>& nodes, const std::string& region,
                       LinkState state) {
  std::set<std::string> regions;
  for (const auto& node : nodes) regions.insert(node.region);
  if (regions.erase(region) == 0 || regions.empty()) {
    return absl::FailedPreconditionError("region '" + region +
                                         "' cannot be cut off: the cluster has " +
                                         (regions.empty() ? "no other" : "no such region"));
  }
  absl::Status first;
  for (const auto& node : nodes) {
    if (!node.self && !node.reachable && state == LinkState::dropped) continue;
    const auto targets = node.region == region ? regions : std::set<std::string>{region};
    for (const auto& target : targets) {
      auto status = set_link(node, target, state);
      if (first.ok()) first = std::move(status);
    }
  }
  return first;
}

}  // namespace holdfast::api
