#include "api/cli_replay.h"

#include <algorithm>
#include <chrono>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_orders_file.h"
#include "api/cli_threads.h"
#include "api/country_map.h"

namespace holdfast::api {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

absl::StatusOr<std::vector<ReplayEndpoint>> given_endpoints(const std::vector<std::string>& texts) {
  std::vector<ReplayEndpoint> endpoints;
  for (const auto& text : texts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError("--endpoint '" + text + "' is not REGION=URL");
    }
    const std::string region = text.substr(0, equals);
    const auto url = parse_http_url(text.substr(equals + 1));
    if (!url.ok()) return url.status();
    for (const auto& other : endpoints) {
      if (other.region != region) continue;
      return absl::InvalidArgumentError("--endpoint names region '" + region + "' twice");
    }
    endpoints.push_back({region, *url});
  }
  return endpoints;
}

absl::StatusOr<std::vector<ReplayEndpoint>> found_endpoints(const std::vector<SeenNode>& nodes) {
  std::vector<ReplayEndpoint> endpoints;
  for (const auto& node : nodes) {
    const auto url = parse_http_url(node.http_url);
    const bool has_region = std::any_of(endpoints.begin(), endpoints.end(),
                                        [&](const auto& e) { return e.region == node.region; });
    if (url.ok() && !has_region && (node.self || node.reachable)) {
      endpoints.push_back({node.region, *url});
    }
  }
  if (!endpoints.empty()) return endpoints;
  return absl::NotFoundError("the node knows no HTTP address; name --endpoint REGION=URL");
}

absl::StatusOr<std::vector<SeenNode>> nodes_seen_from(const HttpUrl& url) {
  HttpClient client(url);
  auto cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  return std::move(cluster->nodes);
}

absl::StatusOr<Orders> read_orders(const ReplayOptions& options) {
  const auto text = read_orders_file(options.orders_path);
  if (!text.ok()) return text.status();
  auto orders = parse_orders(*text, options.day);
  if (!orders.ok()) {
    return absl::InvalidArgumentError(options.orders_path + ": " +
                                      std::string(orders.status().message()));
  }
  if (orders->broken_count > 0 && !options.skip_broken) {
    std::string why = options.orders_path + ": " +
                      grouped(static_cast<std::int64_t>(orders->broken_count)) +
                      " lines cannot be read (--skip-broken leaves them out):";
    for (const auto& broken : orders->broken) {
      why += "\n  line " + std::to_string(broken.line) + ": " + printable(broken.reason);
    }
    return absl::InvalidArgumentError(why);
  }
  if (orders->invoices.empty()) {
    return absl::InvalidArgumentError(options.orders_path + " has no orders" +
                                      (options.day.empty() ? "" : " on " + options.day));
  }
  return orders;
}

class CutSchedule {
 public:
  explicit CutSchedule(const ReplayPlan& plan)
      : plan_(plan), states_(plan.cuts.size(), State::waiting) {}

  // Returns what there is to tell of it; empty: nothing changed.
  std::string at(double done) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const Cut& cut = plan_.cuts[i];
      if (states_[i] == State::waiting && done >= cut.from) return begin(i);
      if (states_[i] == State::cut && done >= cut.to) return end(i);
    }
    return {};
  }
  bool any_open() const { return std::count(states_.begin(), states_.end(), State::cut) > 0; }
  void heal_all() {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      if (states_[i] == State::cut) end(i);
    }
  }
  const absl::Status& status() const { return status_; }

 private:
  enum class State { waiting, cut, healed };

  std::string begin(std::size_t i) {
    states_[i] = State::cut;
    note(set_links(plan_.nodes, plan_.cuts[i].region, LinkState::dropped));
    return "region " + plan_.cuts[i].region + " is cut off from the others";
  }
  std::string end(std::size_t i) {
    states_[i] = State::healed;
    note(set_links(plan_.nodes, plan_.cuts[i].region, LinkState::restored));
    return "region " + plan_.cuts[i].region + " is connected again";
  }
  void note(absl::Status status) {
    if (status_.ok()) status_ = std::move(status);
  }

  const ReplayPlan& plan_;
  std::vector<State> states_;
  absl::Status status_;
};

std::string selling_line(const std::vector<RegionAccount>& accounts,
                         const std::vector<SellingProgress>& progress, std::uint64_t done,
                         std::uint64_t total, bool cut) {
  std::string line =
      bar(done, total) + " " + std::to_string(total == 0 ? 100 : done * 100 / total) + "% ";
  line += std::to_string(done) + "/" + std::to_string(total) + " invoices";
  for (std::size_t i = 0; i < accounts.size(); ++i) {
    line += "  " + accounts[i].region + " " + std::to_string(progress[i].accepted) + " sold";
    if (const auto refused = progress[i].refused.load())
      line += " " + std::to_string(refused) + " refused";
  }
  return cut ? line + "  (partition)" : line;
}

}  // namespace

absl::StatusOr<ReplayPlan> plan_replay(const ReplayOptions& options) {
  ReplayPlan plan;
  auto endpoints = given_endpoints(options.endpoints);
  if (!endpoints.ok()) return endpoints.status();
  plan.endpoints = *std::move(endpoints);
  for (const auto& text : options.cuts) {
    auto cut = parse_cut(text);
    if (!cut.ok()) return cut.status();
    plan.cuts.push_back(*std::move(cut));
  }
  auto orders = read_orders(options);
  if (!orders.ok()) return orders.status();
  plan.orders = *std::move(orders);
  if (plan.endpoints.empty() || !plan.cuts.empty()) {
    auto url = plan.endpoints.empty() ? parse_http_url(options.url)
                                      : absl::StatusOr<HttpUrl>(plan.endpoints.front().url);
    if (!url.ok()) return url.status();
    auto nodes = nodes_seen_from(*url);
    if (!nodes.ok()) return nodes.status();
    plan.nodes = *std::move(nodes);
  }
  if (plan.endpoints.empty()) {
    auto found = found_endpoints(plan.nodes);
    if (!found.ok()) return found.status();
    plan.endpoints = *std::move(found);
  }
  std::vector<std::string> regions;
  for (const auto& endpoint : plan.endpoints) regions.push_back(endpoint.region);
  const auto map = CountryMap::make(regions, options.map);
  if (!map.ok()) return map.status();
  plan.invoices.resize(plan.endpoints.size());
  for (const auto& invoice : plan.orders.invoices) {
    plan.invoices[map->region_of(invoice.country)].push_back(&invoice);
  }
  return plan;
}

std::vector<RegionAccount> empty_accounts(const ReplayPlan& plan) {
  std::vector<RegionAccount> accounts(plan.endpoints.size());
  for (std::size_t i = 0; i < accounts.size(); ++i) accounts[i].region = plan.endpoints[i].region;
  return accounts;
}

absl::Status sell_orders(const ReplayPlan& plan, const ReplayOptions& options,
                         std::vector<RegionAccount>& accounts, StopSignals& signals) {
  const std::size_t count = plan.endpoints.size();
  const std::uint64_t total = plan.orders.invoices.size();
  const std::int64_t first_s = plan.orders.invoices.front().time_s;
  std::vector<SellingProgress> progress(count);
  CutSchedule cuts(plan);
  Progress shown;
  const auto done = [&] {
    std::uint64_t sum = 0;
    for (const auto& p : progress) sum += p.done;
    return sum;
  };
  const auto begin = steady_clock::now();
  run_threads(
      count,
      [&](std::size_t i) {
        RegionSeller seller(plan.endpoints[i].url, options.seller, accounts[i], progress[i]);
        for (const Invoice* invoice : plan.invoices[i]) {
          if (options.speed > 0) {
            const std::chrono::duration<double> offset(
                static_cast<double>(invoice->time_s - first_s) / options.speed);
            sleep_until(begin + std::chrono::duration_cast<steady_clock::duration>(offset),
                        progress[i].stop);
          }
          if (progress[i].stop) return;
          seller.sell(*invoice);
        }
      },
      [&] {
        if (signals.wait(milliseconds(20))) {
          for (auto& p : progress) p.stop = true;
        }
        const auto sold = done();
        const auto event = cuts.at(static_cast<double>(sold) / static_cast<double>(total));
        const auto line = selling_line(accounts, progress, sold, total, cuts.any_open());
        event.empty() ? shown.show(line) : shown.finish(line + "\n" + event);
      });
  shown.finish(selling_line(accounts, progress, done(), total, false));
  if (cuts.any_open()) print_error("healing the partition");
  cuts.heal_all();
  if (signals.stopped()) return absl::CancelledError("interrupted");
  return cuts.status();
}

bool anything_failed(const std::vector<RegionAccount>& accounts) {
  return std::any_of(accounts.begin(), accounts.end(), [](const RegionAccount& account) {
    return account.carts_failed > 0 || account.failed_calls > 0;
  });
}

int run_replay(const ReplayOptions& options) {
  const auto plan = plan_replay(options);
  if (!plan.ok()) {
    const bool usage = absl::IsInvalidArgument(plan.status()) &&
                       plan.status().message().substr(0, 2) == absl::string_view("--");
    return usage ? usage_error(plan.status()) : failed(plan.status());
  }
  StopSignals signals;
  auto accounts = empty_accounts(*plan);
  if (options.receive) {
    if (auto status = load_stock(*plan, options, accounts, signals); !status.ok())
      return failed(status);
  }
  const auto status = sell_orders(*plan, options, accounts, signals);
  if (options.json) {
    print_line(boost::json::serialize(account_json(*plan, accounts)));
  } else {
    print_account(*plan, accounts, options.per_sku);
  }
  if (!status.ok()) return failed(status);
  return anything_failed(accounts) ? kExitFailed : kExitOk;
}

}  // namespace holdfast::api
