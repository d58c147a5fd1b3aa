// What a replay sells must be there first: the SKUs of the orders, and their stock.

#include <algorithm>
#include <chrono>
#include <thread>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_replay.h"
#include "api/cli_threads.h"

namespace holdfast::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

HttpCall receive_call(const std::vector<OrderLine>& lines, const std::string& key) {
  HttpCall call{.method = "POST",
                .target = "/v1/batch",
                .content_type = "application/x-ndjson",
                .repeatable = true};
  for (const auto& line : lines) {
    call.body += boost::json::serialize(boost::json::object{
        {"op", "receive"}, {"sku", line.sku}, {"quantity", line.quantity}, {"key", key}});
    call.body += '\n';
  }
  return call;
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// Receives what can be; leaves in `lines` what is to be tried again: another node's SKU may not
// have arrived yet, or the node may be busy.
absl::Status receive_once(HttpClient& client, const std::string& key, std::vector<OrderLine>& lines,
                          RegionAccount& account) {
  const auto answer = client.send(receive_call(lines, key));
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return absl::InternalError(client.url() + ": " + problem_text(*answer));
  const auto results = split_lines(answer->body);
  if (results.size() != lines.size()) {
    return absl::InternalError(client.url() + " answered a batch of " +
                               std::to_string(lines.size()) + " operations with " +
                               std::to_string(results.size()) + " results");
  }
  std::vector<OrderLine> again;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto result = object_of({.status = answer->status, .body = results[i]}, client.url());
    if (!result.ok()) return result.status();
    const auto status = static_cast<unsigned>(number_at(*result, "status"));
    if (status >= 200 && status < 300) {
      account.skus[lines[i].sku].received += lines[i].quantity;
    } else if (status == 404 || status == 503 || status == 504) {
      again.push_back(lines[i]);
    } else {
      return absl::InternalError(client.url() + ": receipt of " + lines[i].sku + ": " +
                                 problem_text({.status = status, .body = results[i]}));
    }
  }
  lines = std::move(again);
  return absl::OkStatus();
}

absl::Status put_skus(HttpClient& client,
                      const std::vector<std::pair<std::string, std::string>>& skus,
                      SellingProgress& progress) {
  for (const auto& [sku, name] : skus) {
    if (progress.stop) return absl::CancelledError("interrupted");
    boost::json::object body;
    if (!name.empty()) body["name"] = name;
    const auto answer = client.send({.method = "PUT",
                                     .target = "/v1/skus/" + percent_encoded(sku),
                                     .body = boost::json::serialize(body)});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return absl::InternalError(client.url() + ": " + problem_text(*answer));
    ++progress.done;
  }
  return absl::OkStatus();
}

struct StockShare {
  std::vector<std::pair<std::string, std::string>> skus;  // to make at this endpoint, with names
  std::vector<OrderLine> receipts;
};

std::vector<StockShare> stock_shares(const Orders& orders, unsigned margin_percent,
                                     std::size_t count) {
  std::vector<StockShare> shares(count);
  const auto demand = demand_of(orders);
  std::size_t turn = 0;
  for (const auto& [sku, name] : orders.names) {
    shares[turn++ % count].skus.emplace_back(sku, name);
    const auto found = demand.find(sku);
    const crdt::Units wanted = found == demand.end() ? 0 : found->second;
    const crdt::Units units = (wanted * (100 + crdt::Units{margin_percent}) + 99) / 100;
    for (std::size_t i = 0; i < count; ++i) {
      const auto share =
          units / static_cast<crdt::Units>(count) +
          (i < static_cast<std::size_t>(units % static_cast<crdt::Units>(count)) ? 1 : 0);
      if (share > 0) shares[i].receipts.push_back({sku, std::min(share, crdt::kLineUnitsMax)});
    }
  }
  return shares;
}

absl::Status load_share(const ReplayEndpoint& endpoint, const StockShare& share,
                        const std::string& key, RegionAccount& account, SellingProgress& progress) {
  constexpr std::size_t kBatch = 1'000;
  HttpClient client(endpoint.url, {.answer = std::chrono::seconds(30)});
  if (auto status = put_skus(client, share.skus, progress); !status.ok()) return status;
  const auto deadline = steady_clock::now() + std::chrono::seconds(30);
  for (std::size_t at = 0; at < share.receipts.size(); at += kBatch) {
    std::vector<OrderLine> lines(share.receipts.begin() + static_cast<std::ptrdiff_t>(at),
                                 share.receipts.begin() + static_cast<std::ptrdiff_t>(std::min(
                                                              at + kBatch, share.receipts.size())));
    for (;;) {
      if (progress.stop) return absl::CancelledError("interrupted");
      if (auto status = receive_once(client, key, lines, account); !status.ok()) return status;
      if (lines.empty()) break;
      if (steady_clock::now() > deadline) {
        return absl::DeadlineExceededError(
            client.url() + " does not know SKU " + lines[0].sku +
            " after 30 s; does it see the other nodes (holdfast cluster)?");
      }
      std::this_thread::sleep_for(milliseconds(100));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status load_stock(const ReplayPlan& plan, const ReplayOptions& options,
                        std::vector<RegionAccount>& accounts, StopSignals& signals) {
  const auto shares = stock_shares(plan.orders, options.margin_percent, plan.endpoints.size());
  std::vector<absl::Status> results(shares.size());
  SellingProgress progress;
  Progress shown;
  const auto total = plan.orders.names.size();
  run_threads(
      shares.size(),
      [&](std::size_t i) {
        results[i] = load_share(plan.endpoints[i], shares[i],
                                options.seller.prefix + "stock-" + plan.endpoints[i].region,
                                accounts[i], progress);
        if (!results[i].ok()) progress.stop = true;
      },
      [&] {
        if (signals.wait(milliseconds(20))) progress.stop = true;
        shown.show(bar(progress.done, total) + " " + std::to_string(progress.done) + "/" +
                   std::to_string(total) + " SKUs");
      });
  crdt::Units units = 0;
  for (const auto& [sku, totals] : total_of(accounts)) units += totals.received;
  for (const auto& result : results) {
    if (!result.ok() && !absl::IsCancelled(result)) return result;
  }
  if (signals.stopped()) return absl::CancelledError("interrupted");
  shown.finish("loaded " + grouped(static_cast<std::int64_t>(total)) + " SKUs, " + grouped(units) +
               " units, spread evenly over " + std::to_string(shares.size()) + " regions");
  return absl::OkStatus();
}

}  // namespace holdfast::api
