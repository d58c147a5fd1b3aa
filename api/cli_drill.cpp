// drill region-loss

#include "api/cli_drill.h"

#include <algorithm>
#include <functional>

#include <boost/json/serialize.hpp>

#include "api/cli_drill_account.h"
#include "api/cli_drill_cluster.h"
#include "api/cli_drill_decree.h"
#include "api/cli_drill_stock.h"
#include "api/cli_region_seller.h"
#include "api/cli_threads.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::chrono::seconds kConvergeLimit{60}, kCloseLimit{60};
constexpr std::size_t kTravellersMax = 20, kNotesShown = 10;

void step(const std::string& text) { print_error("── " + text); }

std::string reservation_target(const std::string& id) {
  return "/v1/reservations/" + percent_encoded(id);
}

// One drill, from its stock to its verdict.
class RegionLoss {
 public:
  RegionLoss(const DrillOptions& options, const std::string& lost, DrillCluster& cluster,
             StopSignals& signals)
      : options_(options), cluster_(cluster), signals_(signals), issuer_(cluster.issuer(lost).url) {
    report_.lost = lost;
    report_.killed = options.kill;
    report_.regions = cluster.regions();
    report_.skus = options.skus;
    report_.nodes = cluster.nodes().size();
    catalogue_.prefix = "drill-" + random_key().substr(0, 8) + "-";
    for (unsigned i = 0; i < options.skus; ++i)
      catalogue_.skus.push_back(catalogue_.prefix + "s" + std::to_string(i));
    received_.resize(options.skus);
    sold_.resize(options.skus);
    for (const auto& node : cluster.nodes()) clients_.emplace_back(node.url);
  }

  absl::Status run();
  const DrillReport& report() const { return report_; }

 private:
  absl::Status sell(BoundWatch& watch);
  void follow_plan(BoundWatch& watch, double elapsed);
  absl::Status declare_lost(BoundWatch& watch);
  absl::Status book_travellers();
  void commit_travellers(const DrillNode& node, std::size_t first);
  absl::Status settle_carts();
  absl::Status wait_until(const std::string& what, std::chrono::seconds limit, BoundWatch& watch,
                          const std::function<bool()>& done);
  absl::Status replenish();
  absl::Status compare();
  void note(std::string text) {
    if (report_.notes.size() < kNotesShown) report_.notes.push_back(std::move(text));
  }
  bool all_agree() { return converged(clients_, cluster_.names()); }
  const DrillNode& lost_node() const {
    return *std::find_if(cluster_.nodes().begin(), cluster_.nodes().end(),
                         [&](const DrillNode& n) { return n.region == report_.lost; });
  }

  const DrillOptions& options_;
  DrillCluster& cluster_;
  StopSignals& signals_;
  DrillCatalogue catalogue_;
  DrillReport report_;
  std::vector<crdt::Units> received_, sold_;  // by SKU
  std::vector<HttpClient> clients_;           // of all nodes
  HttpClient issuer_;
  std::vector<std::string> travellers_;  // carts that the lost region holds
  DrillState state_;
  absl::Status status_;  // the first failure while selling
  bool decreed_ = false;
};

absl::Status RegionLoss::run() {
  BoundWatch watch(cluster_.nodes(), catalogue_);
  if (auto s = load_drill_stock(cluster_, catalogue_, options_, received_, signals_); !s.ok())
    return s;
  if (auto s = book_travellers(); !s.ok()) return s;
  if (auto s = wait_until("all nodes agree", kConvergeLimit, watch, [&] { return all_agree(); });
      !s.ok())
    return s;
  if (auto s = sell(watch); !s.ok()) return s;
  if (auto s = settle_carts(); !s.ok()) return s;
  commit_travellers(lost_node(), 1);
  if (auto s = wait_until("the lost region has seen what was seized", kConvergeLimit, watch,
                          [&] {
                            return all_agree() && read_accounts(issuer_, report_.decree) &&
                                   report_.decree.unseen == 0;
                          });
      !s.ok())
    return s;
  if (auto s = replenish(); !s.ok()) return s;
  // Whether it closes is one of the findings.
  const auto closed = wait_until("the decree is closed", kCloseLimit, watch, [&] {
    return read_accounts(issuer_, report_.decree) &&
           report_.decree.closed == report_.decree.accounts;
  });
  if (absl::IsCancelled(closed)) return closed;
  if (auto s = wait_until("all nodes agree", kConvergeLimit, watch, [&] { return all_agree(); });
      !s.ok())
    return s;
  if (auto s = compare(); !s.ok()) return s;
  report_.looks = watch.looks();
  report_.least_available = watch.least();
  report_.violations = watch.violations().size();
  for (const auto& violation : watch.violations()) note(violation);
  judge(report_);
  return absl::OkStatus();
}

// Carts that are held in the region when it is lost, and paid for afterwards: half of them
// elsewhere (adopted), half there.
absl::Status RegionLoss::book_travellers() {
  HttpClient client(lost_node().url);
  for (std::size_t i = 0; i < std::min<std::size_t>(kTravellersMax, catalogue_.skus.size()); ++i) {
    const std::string id = catalogue_.prefix + "traveller-" + std::to_string(i);
    HttpCall put = json_post(
        reservation_target(id),
        {{"lines", json::array{json::object{{"sku", catalogue_.skus[i]}, {"quantity", 1}}}},
         {"ttl_seconds", options_.seconds + 3'600}});
    put.method = "PUT";
    if (const auto held = json_answer(client, put); !held.ok()) return held.status();
    travellers_.push_back(id);
  }
  report_.travellers = travellers_.size() - travellers_.size() / 2;
  return absl::OkStatus();
}

// Every second one, from the first on.
void RegionLoss::commit_travellers(const DrillNode& node, std::size_t first) {
  HttpClient client(node.url);
  for (std::size_t i = first; i < travellers_.size() && !signals_.stopped(); i += 2) {
    const auto done = insistent_answer(
        client, json_post(reservation_target(travellers_[i]) + "/commit", {}), signals_);
    if (!done.ok()) {
      note("cart " + travellers_[i] +
           " of the lost region: " + std::string(done.status().message()));
      continue;
    }
    for (const auto& [sku, units] : committed_lines(*done)) sold_[i] += units;
    report_.adopted += node.region != report_.lost;
  }
}

absl::Status RegionLoss::sell(BoundWatch& watch) {
  const unsigned per_region = std::clamp(options_.rate / 50, 4u, 32u);
  std::vector<DrillSeller> sellers;
  const auto begin = steady_clock::now();
  for (const auto& region : report_.regions) {
    std::vector<HttpUrl> urls;
    for (const auto& node : cluster_.nodes())
      if (node.region == region) urls.push_back(node.url);
    for (unsigned i = 0; i < per_region; ++i) {
      sellers.push_back({.region = region,
                         .url = urls[i % urls.size()],
                         .first = i,
                         .step = per_region,
                         .rate = static_cast<double>(options_.rate),
                         .begin = begin});
    }
  }
  std::vector<SellerAccount> accounts(sellers.size());
  for (auto& account : accounts) account.sold.resize(catalogue_.skus.size());
  Progress shown;
  run_threads(
      sellers.size() + 1,
      [&](std::size_t i) {
        if (i < sellers.size())
          return sell_drill_carts(sellers[i], catalogue_, state_, accounts[i]);
        while (!state_.stop) {
          watch.look();
          sleep_until(steady_clock::now() + milliseconds(20), state_.stop);
        }
      },
      [&] {
        if (signals_.wait(milliseconds(20))) state_.stop = true;
        const std::chrono::duration<double> elapsed = steady_clock::now() - begin;
        follow_plan(watch, elapsed.count());
        const auto at = static_cast<std::uint64_t>(elapsed.count() * 1'000);
        const std::uint64_t end = std::uint64_t{options_.seconds} * 1'000;
        shown.show(bar(std::min(at, end), end) + " " +
                   kDrillPhaseNames[static_cast<std::size_t>(state_.phase.load())] + "  " +
                   grouped(static_cast<std::int64_t>(state_.done)) + " carts");
      });
  shown.finish("── " + grouped(static_cast<std::int64_t>(state_.done)) +
               " carts were sold or refused");
  for (std::size_t i = 0; i < sellers.size(); ++i) report_.sales[sellers[i].region] += accounts[i];
  for (const auto& [region, account] : report_.sales) {
    for (std::size_t i = 0; i < sold_.size(); ++i) sold_[i] += account.sold[i];
    for (const auto& problem : account.problems) note(region + ": " + problem);
  }
  if (state_.phase == DrillPhase::outage) {  // interrupted, or failed
    const auto back = cluster_.bring_back(report_.lost, options_.kill, signals_);
    if (status_.ok()) status_ = back;
  }
  if (signals_.stopped()) return absl::CancelledError("interrupted");
  return status_;
}

// A third undisturbed; then the region is lost, and declared lost a quarter of the outage later;
// for the last third it is back.
void RegionLoss::follow_plan(BoundWatch& watch, double elapsed) {
  if (state_.stop) return;
  const double third = options_.seconds / 3.0;
  absl::Status status;
  switch (state_.phase.load()) {
    case DrillPhase::warming:
      if (elapsed >= std::min(2.0, third / 2)) state_.phase = DrillPhase::undisturbed;
      break;
    case DrillPhase::undisturbed:
      if (elapsed < third) break;
      step(options_.kill ? "killing the nodes of " + report_.lost
                         : "cutting " + report_.lost + " off; it sells on");
      state_.phase = DrillPhase::outage;
      status = cluster_.lose(report_.lost, options_.kill);
      break;
    case DrillPhase::outage:
      if (!decreed_ && elapsed >= third * 1.25) {
        decreed_ = true;
        status = declare_lost(watch);
      }
      if (!status.ok() || elapsed < third * 2) break;
      step("bringing " + report_.lost + " back");
      status = cluster_.bring_back(report_.lost, options_.kill, signals_);
      if (status.ok()) state_.phase = DrillPhase::healed;
      break;
    case DrillPhase::healed:
      if (elapsed >= options_.seconds) state_.stop = true;
      break;
  }
  if (status.ok()) return;
  status_ = status;
  state_.stop = true;
}

absl::Status RegionLoss::declare_lost(BoundWatch& watch) {
  auto decree = fail_over(issuer_, report_.lost, options_.fraction, watch);
  if (!decree.ok()) return decree.status();
  report_.decree = *std::move(decree);
  step("failed over: " + grouped(report_.decree.seize) + " units seized, " +
       grouped(report_.decree.open_holds) + " in open holds");
  commit_travellers(cluster_.issuer(report_.lost), 0);
  return absl::OkStatus();
}

absl::Status RegionLoss::settle_carts() {
  for (const auto& [region, account] : report_.sales) {
    for (const auto& cart : account.unsettled) {
      const auto lines = settle(cart);
      if (!lines.ok()) return lines.status();
      for (const auto& [sku, units] : *lines) {
        const auto at = std::find(catalogue_.skus.begin(), catalogue_.skus.end(), sku);
        if (at != catalogue_.skus.end())
          sold_[static_cast<std::size_t>(at - catalogue_.skus.begin())] += units;
      }
    }
  }
  return absl::OkStatus();
}

absl::Status RegionLoss::wait_until(const std::string& what, std::chrono::seconds limit,
                                    BoundWatch& watch, const std::function<bool()>& done) {
  const auto begin = steady_clock::now();
  while (!done()) {
    if (steady_clock::now() - begin > limit) {
      return absl::DeadlineExceededError("after " + std::to_string(limit.count()) +
                                         " s it is still not so that " + what);
    }
    watch.look();
    if (signals_.wait(milliseconds(100))) return absl::CancelledError("interrupted");
  }
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  step(what + " (after " + short_number(took.count()) + " s)");
  return absl::OkStatus();
}

// What was oversold is bought again: without it the lost region's debt cannot be repaid.
absl::Status RegionLoss::replenish() {
  const auto stock = drill_stock(issuer_, catalogue_);
  if (!stock.ok()) return stock.status();
  for (std::size_t i = 0; i < stock->size(); ++i) {
    const crdt::Units missing = -(*stock)[i].available;
    if (missing <= 0) continue;
    const auto status =
        receive_units(issuer_, catalogue_.skus[i], missing, catalogue_.prefix + "replenish");
    if (!status.ok()) return status;
    received_[i] += missing;
    report_.replenished += missing;
  }
  if (report_.replenished > 0)
    step(grouped(report_.replenished) + " units were oversold; as many were received");
  return absl::OkStatus();
}

absl::Status RegionLoss::compare() {
  for (std::size_t node = 0; node < clients_.size(); ++node) {
    const auto stock = drill_stock(clients_[node], catalogue_);
    if (!stock.ok()) return stock.status();
    for (std::size_t i = 0; i < stock->size(); ++i) {
      const auto why = difference({.received = received_[i], .sold = sold_[i]}, (*stock)[i]);
      if (why.empty()) continue;
      ++report_.differences;
      note(cluster_.nodes()[node].name + ", " + catalogue_.skus[i] + ": " + why);
    }
  }
  return absl::OkStatus();
}

int tell(const DrillReport& report, bool as_json) {
  as_json ? print_line(json::serialize(report_json(report)))
          : print(report_text(report, stdout_style()));
  return report.ok() ? kExitOk : kExitFailed;
}

int drill(const DrillOptions& options, DrillCluster& cluster, StopSignals& signals) {
  const auto regions = cluster.regions();
  if (!options.lost.empty() &&
      std::find(regions.begin(), regions.end(), options.lost) == regions.end()) {
    return usage_error(absl::InvalidArgumentError("--lost '" + options.lost +
                                                  "' is not a region of this cluster"));
  }
  RegionLoss loss(options, region_to_lose(options, regions), cluster, signals);
  if (const auto status = loss.run(); !status.ok()) {
    for (const auto& note : loss.report().notes) print_error(printable(note));
    return failed(status);
  }
  return tell(loss.report(), options.json);
}

}  // namespace

std::string region_to_lose(const DrillOptions& options, const std::vector<std::string>& regions) {
  if (!options.lost.empty()) return options.lost;
  return options.url.empty() ? options.cluster.regions.back() : regions.back();
}

int run_region_loss(const DrillOptions& options) {
  StopSignals signals;
  DrillCluster cluster;
  const auto status = cluster.open(options, signals);
  int result = kExitFailed;
  if (status.ok()) {
    result = drill(options, cluster, signals);
  } else {
    result = absl::IsInvalidArgument(status) ? usage_error(status) : failed(status);
  }
  const bool tidy = !options.keep && (result != kExitFailed || signals.stopped());
  if (!cluster.close(tidy) && result == kExitOk) {
    print_error("error: a node did not end cleanly; see its log");
    result = kExitFailed;
  }
  if (const auto& kept = cluster.kept(); !kept.empty())
    print_error("the nodes' data and logs are kept in " + kept);
  return result;
}

}  // namespace holdfast::api
