#include "api/cli_calls.h"

#include <algorithm>
#include <random>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/table.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

SeenNode node_of(const json::object& node, const std::string& region) {
  const std::string address = text_at(node, "http_address");
  const std::string own = text_at(node, "region");
  return {
      .replica = text_at(node, "replica"),
      .node = text_at(node, "node"),
      .region = own.empty() ? region : own,
      .http_url = address.empty() || address.starts_with("http") ? address : "http://" + address,
      .gossip_address = text_at(node, "gossip_address"),
      .state = text_at(node, "state"),
      .warning = text_at(node, "warning"),
      .self = flag_at(node, "self"),
      .reachable = flag_at(node, "reachable"),
      .last_heard_ms = number_at(node, "last_heard_ms"),
      .lag_ms = number_at(node, "lag_ms"),
      .behind = number_at(node, "behind"),
      .sequence = number_at(node, "sequence")};
}

std::string fault_of(const json::object& fault) {
  std::string text = text_at(fault, "target") + ":";
  if (flag_at(fault, "drop")) text += " drop";
  if (const auto delay = number_at(fault, "delay_ms"))
    text += " delay " + std::to_string(delay) + " ms";
  if (const double loss = share_at(fault, "loss"); loss > 0) {
    text += " loss " + short_number(loss * 100) + " %";
  }
  return text;
}

}  // namespace

absl::StatusOr<json::object> object_of(const HttpAnswer& answer, const std::string& url) {
  boost::system::error_code error;
  json::value value = json::parse(answer.body, error);
  if (error || !value.is_object()) {
    return absl::DataLossError(url + " answered " + std::to_string(answer.status) +
                               " with something that is no JSON object; is it a Holdfast node?");
  }
  return std::move(value.get_object());
}

std::string problem_text(const HttpAnswer& answer) {
  boost::system::error_code error;
  const json::value value = json::parse(answer.body, error);
  if (error || !value.is_object() || text_at(value.get_object(), "code").empty()) {
    return "error: HTTP status " + std::to_string(answer.status) + ": " +
           printable(answer.body.substr(0, 300));
  }
  const json::object& problem = value.get_object();
  std::string detail = text_at(problem, "detail");
  if (detail.empty()) detail = text_at(problem, "title");
  std::string text = "error (" + printable(text_at(problem, "code")) + "): " + printable(detail);
  for (const auto& shortage : array_at(problem, "shortages")) {
    if (!shortage.is_object()) continue;
    const auto& s = shortage.get_object();
    text += "\n  " + printable(text_at(s, "sku")) + ": " + grouped(number_at(s, "requested")) +
            " requested, " + grouped(number_at(s, "available")) + " available";
  }
  return text;
}

StockAnswer stock_answer_of(const json::object& stock) {
  StockAnswer answer{.on_hand = number_at(stock, "on_hand"),
                     .held = number_at(stock, "held"),
                     .sold = number_at(stock, "sold"),
                     .returned = number_at(stock, "returned"),
                     .available = number_at(stock, "available"),
                     .oversold = number_at(stock, "oversold")};
  for (const auto& region : array_at(stock, "by_region")) {
    if (!region.is_object()) continue;
    answer.rights[text_at(region.get_object(), "region")] =
        number_at(region.get_object(), "rights");
  }
  return answer;
}

SeenCluster cluster_of(const json::object& answer) {
  SeenCluster cluster{.cluster = text_at(answer, "cluster"),
                      .digest = text_at(answer, "digest"),
                      .skus = number_at(answer, "skus"),
                      .open_holds = number_at(answer, "open_holds"),
                      .reservations = number_at(answer, "reservations"),
                      .exposure = number_at(answer, "exposure"),
                      .debt = number_at(answer, "debt"),
                      .oversold = number_at(answer, "oversold"),
                      .stranded = number_at(answer, "stranded"),
                      .open_decrees = number_at(answer, "open_decrees")};
  for (const auto& region : array_at(answer, "regions")) {
    if (!region.is_object()) continue;
    for (const auto& node : array_at(region.get_object(), "nodes")) {
      if (!node.is_object()) continue;
      cluster.nodes.push_back(node_of(node.get_object(), text_at(region.get_object(), "region")));
    }
  }
  for (const auto& fault : array_at(answer, "faults")) {
    if (fault.is_object()) cluster.faults.push_back(fault_of(fault.get_object()));
  }
  return cluster;
}

absl::StatusOr<SeenCluster> get_cluster(HttpClient& client) {
  const auto answer = client.send({.target = "/v1/cluster"});
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return absl::InternalError(client.url() + ": " + problem_text(*answer));
  const auto object = object_of(*answer, client.url());
  if (!object.ok()) return object.status();
  return cluster_of(*object);
}

bool sees_all(const SeenCluster& cluster, const std::vector<std::string>& nodes) {
  return std::all_of(nodes.begin(), nodes.end(), [&](const std::string& name) {
    return std::any_of(cluster.nodes.begin(), cluster.nodes.end(), [&](const SeenNode& node) {
      return node.node == name && (node.self || node.reachable);
    });
  });
}

bool converged(std::vector<HttpClient>& nodes, const std::vector<std::string>& names) {
  std::string digest;
  for (auto& client : nodes) {
    const auto cluster = get_cluster(client);
    if (!cluster.ok() || cluster->digest.empty() || !sees_all(*cluster, names)) return false;
    if (digest.empty()) digest = cluster->digest;
    if (cluster->digest != digest) return false;
    for (const auto& node : cluster->nodes) {
      if (!node.self && node.reachable && node.behind != 0) return false;
    }
  }
  return true;
}

std::string random_key() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device device;
  std::string key;
  for (int i = 0; i < 4; ++i) {
    std::uint32_t bits = device();
    for (int j = 0; j < 8; ++j, bits >>= 4) key += kHex[bits & 15];
  }
  return key;
}

}  // namespace holdfast::api
