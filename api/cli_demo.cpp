// A real trading day on three regions, one of them cut off in the middle of it; then every figure
// of every node is compared with what the shop itself knows.

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_dev.h"

namespace holdfast::api {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kConvergeLimit{30};
constexpr std::size_t kDisagreementsShown = 10;

void step(const std::string& text) { print_error("── " + text); }

std::vector<HttpClient> clients_of(const LocalCluster& cluster) {
  std::vector<HttpClient> clients;
  for (const auto& node : cluster.nodes()) {
    clients.emplace_back(HttpUrl{.host = "127.0.0.1", .port = node.http_port});
  }
  return clients;
}

absl::Status wait_converged(const LocalCluster& cluster, std::vector<HttpClient>& nodes,
                            StopSignals& signals) {
  const auto begin = steady_clock::now();
  while (!converged(nodes, cluster.names())) {
    if (steady_clock::now() - begin > kConvergeLimit) {
      return absl::DeadlineExceededError(
          "the nodes do not agree after " + std::to_string(kConvergeLimit.count()) +
          " s (`holdfast cluster --url " + nodes.front().url() + "` shows which one lags)");
    }
    if (signals.wait(milliseconds(100))) return absl::CancelledError("interrupted");
  }
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  step("all nodes agree (same digest, nothing unacknowledged) after " + short_number(took.count()) +
       " s");
  return absl::OkStatus();
}

absl::StatusOr<std::map<std::string, StockAnswer>> stock_of(HttpClient& client,
                                                            const Orders& orders,
                                                            StopSignals& signals) {
  std::map<std::string, StockAnswer> answers;
  for (const auto& [sku, name] : orders.names) {
    if (signals.wait(milliseconds(0))) return absl::CancelledError("interrupted");
    const auto answer = client.send({.target = "/v1/skus/" + percent_encoded(sku) + "/stock"});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return absl::InternalError(client.url() + ": " + problem_text(*answer));
    const auto object = object_of(*answer, client.url());
    if (!object.ok()) return object.status();
    answers[sku] = stock_answer_of(*object);
  }
  return answers;
}

struct Verdict {
  std::size_t skus = 0, nodes = 0;
  std::uint64_t disagreements = 0;
  std::vector<std::string> shown;
  std::map<std::string, SkuTotals> expected;
  std::vector<std::pair<std::string, std::map<std::string, StockAnswer>>> answers;  // by node
};

absl::StatusOr<Verdict> compare(const LocalCluster& cluster, std::vector<HttpClient>& clients,
                                const ReplayPlan& plan, const std::vector<RegionAccount>& accounts,
                                StopSignals& signals) {
  Verdict verdict{.skus = plan.orders.names.size(), .nodes = clients.size()};
  verdict.expected = total_of(accounts);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    auto answers = stock_of(clients[i], plan.orders, signals);
    if (!answers.ok()) return answers.status();
    for (const auto& [sku, answer] : *answers) {
      const auto why = disagreement(verdict.expected[sku], answer);
      if (why.empty()) continue;
      ++verdict.disagreements;
      if (verdict.shown.size() < kDisagreementsShown) {
        verdict.shown.push_back(cluster.nodes()[i].name + ", SKU " + sku + ": " + why);
      }
    }
    verdict.answers.emplace_back(cluster.nodes()[i].name, *std::move(answers));
  }
  return verdict;
}

Table moved_table(const Verdict& verdict, const std::vector<RegionAccount>& accounts) {
  Table table({{"region"},
               {"stock received", Align::right},
               {"sold here", Align::right},
               {"rights moved in", Align::right},
               {"moved out", Align::right}});
  for (const auto& account : accounts) {
    SkuTotals sum;
    for (const auto& [sku, totals] : account.skus) sum += totals;
    const auto moved = rights_moved(account, verdict.answers.front().second);
    table.add({account.region, grouped(sum.received), grouped(sum.sold), grouped(moved.in),
               grouped(moved.out)});
  }
  return table;
}

Table totals_table(const Verdict& verdict) {
  Table table({{"units, all SKUs"},
               {"on hand", Align::right},
               {"held", Align::right},
               {"sold", Align::right},
               {"returned", Align::right},
               {"available", Align::right},
               {"least of a SKU", Align::right}});
  SkuTotals sum;
  crdt::Units least = crdt::kUnitsMax;
  for (const auto& [sku, totals] : verdict.expected) {
    sum += totals;
    least = std::min(least, totals.available());
  }
  table.add({"orders and answers", grouped(sum.on_hand()), grouped(sum.held), grouped(sum.sold),
             grouped(sum.returned), grouped(sum.available()), grouped(least)});
  for (const auto& [node, answers] : verdict.answers) {
    StockAnswer all;
    crdt::Units least_here = crdt::kUnitsMax;
    for (const auto& [sku, a] : answers) {
      all.on_hand += a.on_hand;
      all.held += a.held;
      all.sold += a.sold;
      all.returned += a.returned;
      all.available += a.available;
      least_here = std::min(least_here, a.available);
    }
    table.add({"node " + node, grouped(all.on_hand), grouped(all.held), grouped(all.sold),
               grouped(all.returned), grouped(all.available), grouped(least_here)});
  }
  return table;
}

int tell(const Verdict& verdict, const ReplayPlan& plan, const std::vector<RegionAccount>& accounts,
         const ReplayOptions& options) {
  const bool good = verdict.disagreements == 0 && !anything_failed(accounts);
  if (options.json) {
    auto json = account_json(plan, accounts);
    json["verified"] = {{"skus", verdict.skus},
                        {"nodes", verdict.nodes},
                        {"disagreements", verdict.disagreements},
                        {"ok", good}};
    print_line(boost::json::serialize(json));
    return good ? kExitOk : kExitFailed;
  }
  const Style style = stdout_style();
  print_account(plan, accounts, options.per_sku);
  print("\n" + moved_table(verdict, accounts).text(style));
  print("\n" + totals_table(verdict).text(style) + "\n");
  for (const auto& text : verdict.shown) print_line("DIFFERS: " + text);
  const std::string scope =
      std::to_string(verdict.skus) + " SKUs on " + std::to_string(verdict.nodes) + " nodes";
  if (verdict.disagreements > 0) {
    print_line("FAILED: " + std::to_string(verdict.disagreements) + " answers of " + scope +
               " differ from what the shop's own orders and receipts say");
  } else {
    print_line("checked: " + scope +
               " answer exactly what the orders and the shop's answers add up to; "
               "nothing was oversold");
  }
  if (anything_failed(accounts))
    print_line("FAILED: some calls were not answered as they should (above)");
  return good ? kExitOk : kExitFailed;
}

void tell_what_next(const LocalCluster& cluster, const Orders& orders) {
  const auto& nodes = cluster.nodes();
  const std::string sku = orders.names.begin()->first;
  const std::string first = nodes.front().http_url();
  print_line("\nThe cluster runs until Ctrl-C. Each node has its console at its address. Try:\n");
  for (const auto& node : nodes) print_line("  # " + node.name + "  " + node.http_url());
  print_line("  curl -s " + first + "/v1/skus/" + sku +
             "/stock\n"
             "  curl -s -X PUT " +
             first +
             "/v1/reservations/cart-1 -H 'Content-Type: application/json' \\\n"
             "       -d '{\"lines\":[{\"sku\":\"" +
             sku +
             "\",\"quantity\":1}]}'\n"
             "  curl -s -X POST " +
             nodes.back().http_url() +
             "/v1/reservations/cart-1/commit\n"
             "  curl -s -X PUT " +
             first + "/v1/faults/links/" + nodes.back().region +
             " -H 'Content-Type: application/json' -d '{\"drop\":true}'\n"
             "  curl -s " +
             first +
             "/v1/cluster\n"
             "  curl -s -X DELETE " +
             first + "/v1/faults/links/" + nodes.back().region + "\n");
}

int sell_a_day(LocalCluster& cluster, const DemoOptions& options, StopSignals& signals) {
  auto clients = clients_of(cluster);
  ReplayOptions replay = options.replay;
  for (const auto& node : cluster.nodes()) {
    const bool known = std::any_of(replay.endpoints.begin(), replay.endpoints.end(),
                                   [&](const auto& e) { return e.starts_with(node.region + "="); });
    if (!known) replay.endpoints.push_back(node.region + "=" + node.http_url());
  }
  const auto plan = plan_replay(replay);
  if (!plan.ok()) return failed(plan.status());
  auto accounts = empty_accounts(*plan);
  step("loading the catalogue and its stock");
  if (auto status = load_stock(*plan, replay, accounts, signals); !status.ok())
    return failed(status);
  if (auto status = wait_converged(cluster, clients, signals); !status.ok()) return failed(status);
  step("selling " + grouped(static_cast<std::int64_t>(plan->orders.invoices.size())) +
       " invoices of a real day");
  if (auto status = sell_orders(*plan, replay, accounts, signals); !status.ok())
    return failed(status);
  if (auto status = wait_converged(cluster, clients, signals); !status.ok()) return failed(status);
  const auto verdict = compare(cluster, clients, *plan, accounts, signals);
  if (!verdict.ok()) return failed(verdict.status());
  const int result = tell(*verdict, *plan, accounts, replay);
  if (!options.stay) return result;
  tell_what_next(cluster, plan->orders);
  while (!signals.wait(milliseconds(200))) {
    for (const auto& text : cluster.ended()) print_error(text);
  }
  return result;
}

}  // namespace

int run_demo(const DemoOptions& given) {
  DemoOptions options = given;
  if (!options.cluster.dir.empty())
    if (auto status = check_fresh(options.cluster.dir); !status.ok()) return usage_error(status);
  if (auto status = choose_ports(options.cluster); !status.ok()) return failed(status);
  const bool temporary = options.cluster.dir.empty();
  if (temporary) {
    auto dir = temporary_directory("holdfast-demo");
    if (!dir.ok()) return failed(dir.status());
    options.cluster.dir = *std::move(dir);
  }
  StopSignals signals;
  LocalCluster cluster;
  step("starting " + std::to_string(options.cluster.regions.size()) + " regions, data in " +
       options.cluster.dir);
  auto status = cluster.start(options.cluster, signals);
  if (status.ok()) status = cluster.wait_ready(seconds(60), signals);
  int result = status.ok() ? sell_a_day(cluster, options, signals) : failed(status);
  if (!cluster.stop() && result == kExitOk) {
    print_error("error: a node did not end cleanly; see the logs in " + options.cluster.dir);
    result = kExitFailed;
  }
  std::error_code ignored;
  if (temporary && (result == kExitOk || signals.stopped())) {
    fs::remove_all(options.cluster.dir, ignored);
  } else {
    print_error("the nodes' data and logs are kept in " + options.cluster.dir);
  }
  return result;
}

}  // namespace holdfast::api
