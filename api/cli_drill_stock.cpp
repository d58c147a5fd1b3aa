#include "api/cli_drill_stock.h"

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "api/cli_threads.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kSkusAtOnce = 100;  // in one question; a target has at most 8 KiB
constexpr std::size_t kViolationsShown = 5;

absl::Status refusal(const HttpClient& client, const HttpAnswer& answer) {
  return absl::InternalError(client.url() + ": " + problem_text(answer));
}

// What a region receives of a SKU. A cart has two units on average.
crdt::Units share_of(const DrillCatalogue& catalogue, const DrillOptions& options,
                     std::size_t sku) {
  const crdt::Units wanted = crdt::Units{2} * options.rate * options.seconds / options.skus;
  return catalogue.scarce(sku) ? std::max<crdt::Units>(4, wanted / 2) : 3 * wanted + 50;
}

}  // namespace

absl::Status receive_units(HttpClient& client, const std::string& sku, crdt::Units units,
                           const std::string& key) {
  HttpCall call{.method = "POST",
                .target = "/v1/skus/" + percent_encoded(sku) + "/receipts",
                .body = json::serialize(json::object{{"quantity", units}}),
                .repeatable = true};
  call.headers.emplace_back("Idempotency-Key", key);
  const auto answer = client.send(call);
  if (!answer.ok()) return answer.status();
  if (answer->status == 404) return absl::NotFoundError(sku + " is not known there yet");
  return answer->ok() ? absl::OkStatus() : refusal(client, *answer);
}

absl::Status load_drill_stock(const DrillCluster& cluster, const DrillCatalogue& catalogue,
                              const DrillOptions& options, std::vector<crdt::Units>& received,
                              StopSignals& signals) {
  HttpClient first(cluster.nodes().front().url);
  Progress shown;
  const std::size_t total = catalogue.skus.size() * (1 + cluster.regions().size());
  std::size_t done = 0;
  const auto tick = [&] {
    shown.show(bar(++done, total) + " loading stock");
    return signals.wait(milliseconds(0));
  };
  for (const auto& sku : catalogue.skus) {
    const auto answer =
        first.send({.method = "PUT", .target = "/v1/skus/" + percent_encoded(sku), .body = "{}"});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return refusal(first, *answer);
    if (tick()) return absl::CancelledError("interrupted");
  }
  for (const auto& region : cluster.regions()) {
    const auto node = std::find_if(cluster.nodes().begin(), cluster.nodes().end(),
                                   [&](const DrillNode& n) { return n.region == region; });
    HttpClient client(node->url);
    const auto deadline = steady_clock::now() + std::chrono::seconds(30);
    for (std::size_t i = 0; i < catalogue.skus.size(); ++i) {
      const crdt::Units units = share_of(catalogue, options, i);
      for (;;) {
        const auto status =
            receive_units(client, catalogue.skus[i], units, catalogue.prefix + "stock-" + region);
        if (status.ok()) break;
        if (!absl::IsNotFound(status) || steady_clock::now() > deadline) return status;
        if (signals.wait(milliseconds(50))) return absl::CancelledError("interrupted");
      }
      received[i] += units;
      if (tick()) return absl::CancelledError("interrupted");
    }
  }
  shown.finish("── " + grouped(static_cast<std::int64_t>(catalogue.skus.size())) +
               " SKUs, every fifth of them scarce");
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StockAnswer>> drill_stock(HttpClient& client,
                                                     const DrillCatalogue& catalogue) {
  std::vector<StockAnswer> answers;
  for (const auto& sku : catalogue.skus) {
    const auto answer = client.send({.target = "/v1/skus/" + percent_encoded(sku) + "/stock"});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return refusal(client, *answer);
    const auto object = object_of(*answer, client.url());
    if (!object.ok()) return object.status();
    answers.push_back(stock_answer_of(*object));
  }
  return answers;
}

BoundWatch::BoundWatch(const std::vector<DrillNode>& nodes, const DrillCatalogue& catalogue)
    : catalogue_(catalogue), allowed_(catalogue.skus.size()) {
  for (const auto& node : nodes) {
    names_.push_back(node.name);
    clients_.emplace_back(
        node.url, HttpTimeouts{.connect = milliseconds(500), .answer = milliseconds(3'000)});
  }
  for (std::size_t i = 0; i < catalogue.skus.size(); ++i) index_[catalogue.skus[i]] = i;
}

void BoundWatch::allow(const std::map<std::string, crdt::Units>& most) {
  for (const auto& [sku, units] : most) {
    if (const auto at = index_.find(sku); at != index_.end()) allowed_[at->second] = units;
  }
}

void BoundWatch::look() {
  for (std::size_t node = 0; node < clients_.size(); ++node) {
    for (std::size_t from = 0; from < catalogue_.skus.size(); from += kSkusAtOnce) {
      look_at(node, from, std::min(from + kSkusAtOnce, catalogue_.skus.size()));
    }
  }
}

void BoundWatch::look_at(std::size_t node, std::size_t from, std::size_t to) {
  std::string target = "/v1/availability";
  for (std::size_t i = from; i < to; ++i) {
    target += (i == from ? "?sku=" : "&sku=") + percent_encoded(catalogue_.skus[i]);
  }
  const auto answer = clients_[node].send({.target = target});
  if (!answer.ok() || !answer->ok()) return;
  const auto body = object_of(*answer, clients_[node].url());
  if (!body.ok()) return;
  for (const auto& value : array_at(*body, "items")) {
    if (!value.is_object() || !flag_at(value.get_object(), "known")) continue;
    const std::string sku = text_at(value.get_object(), "sku");
    const auto at = index_.find(sku);
    if (at == index_.end()) continue;
    const crdt::Units available = number_at(value.get_object(), "available");
    const crdt::Units allowed = allowed_[at->second];
    ++looks_;
    least_ = std::min(least_, available);
    if (available >= -allowed || violations_.size() == kViolationsShown) continue;
    violations_.push_back(sku + " on " + names_[node] + ": available " + std::to_string(available) +
                          ", though at most " + std::to_string(allowed) + " may be oversold");
  }
}

}  // namespace holdfast::api
