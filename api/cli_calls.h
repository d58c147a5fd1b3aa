#pragma once
// What the commands share when they talk to a node: calls, and answers as values.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "api/http_client.h"
#include "api/json_object.h"
#include "api/sales_account.h"

namespace holdfast::api {

// Parses an answer's body. Errors: kDataLoss (not JSON, or not an object), naming the URL.
absl::StatusOr<boost::json::object> object_of(const HttpAnswer& answer, const std::string& url);

// "error (code): detail" and a line per shortage, from a problem document; else the status and the
// beginning of the body.
std::string problem_text(const HttpAnswer& answer);

StockAnswer stock_answer_of(const boost::json::object& stock);

// ── the cluster as a node sees it ──
struct SeenNode {
  std::string replica, node, region, http_url, gossip_address, state, warning;
  bool self = false, reachable = false;
  std::int64_t last_heard_ms = 0, lag_ms = 0, behind = 0, sequence = 0;
};
struct SeenCluster {
  std::string cluster, digest;
  std::int64_t skus = 0, open_holds = 0, reservations = 0;
  std::int64_t exposure = 0, debt = 0, oversold = 0, stranded = 0, open_decrees = 0;
  std::vector<SeenNode> nodes;
  std::vector<std::string> faults;  // "eu: drop", …
};
SeenCluster cluster_of(const boost::json::object& answer);
absl::StatusOr<SeenCluster> get_cluster(HttpClient& client);

// Whether each named node is there and reachable.
bool sees_all(const SeenCluster& cluster, const std::vector<std::string>& nodes);
// Each sees all `names`, has the same digest, and nothing that a reachable peer has not
// acknowledged. One question to each node; false also if one does not answer.
bool converged(std::vector<HttpClient>& nodes, const std::vector<std::string>& names);

// A random key for calls that must take effect once: 32 hexadecimal digits.
std::string random_key();

}  // namespace holdfast::api
