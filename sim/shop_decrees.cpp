#include "sim/shop_decrees.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <set>

#include "api/table.h"
#include "sim/shop_holdfast.h"

namespace holdfast::sim {

using crdt::ReplicaId;
using crdt::Units;

namespace {

constexpr int kPlansTried = 20;

}  // namespace

ShopDecrees::ShopDecrees(World& world, Checks& checks)
    : world_(world), checks_(checks), replicas_(world.nodes()) {
  checks_.also_look([this](const crdt::Product& product) { watch_.look(product); });
}

void ShopDecrees::on_durable(const Machine& machine) {
  std::vector<ReplicaId>& known = replicas_[machine.place()];
  if (known.empty() || known.back() != machine.replica()) known.push_back(machine.replica());
}

ReplicaId ShopDecrees::retirable(std::size_t node) const {
  for (const ReplicaId replica : replicas_[node])
    if (!checks_.ghost().retired(replica)) return replica;
  return world_.node(node).replica();
}

bool ShopDecrees::issue(const Scenario& scenario, const ScenarioEvent& event, OnDecree done) {
  const auto& nodes = world_.nodes_of(event.by);
  const auto node = std::find_if(nodes.begin(), nodes.end(), [&](std::size_t at) {
    return world_.node(at).lives() && !world_.node(at).paused();
  });
  if (node == nodes.end()) return false;
  auto issue =
      std::make_shared<Issue>(Issue{.region = event.by, .node = *node, .done = std::move(done)});
  if (event.kind == EventKind::failover) {
    char fraction[32];
    std::snprintf(fraction, sizeof fraction, "%.6f", event.fraction);
    issue->target = "/v1/regions/" + scenario.regions[event.region].name + "/failover";
    issue->arguments = R"("fraction":)" + std::string(fraction);
  } else {
    issue->target = "/v1/replicas/" + crdt::to_string(retirable(event.nodes.front())) + "/retire";
    issue->arguments =
        R"("successor":")" + crdt::to_string(world_.node(event.successor).replica()) + "\"";
  }
  dry_run(issue);
  return true;
}

void ShopDecrees::dry_run(const std::shared_ptr<Issue>& issue) {
  ++issue->tries;
  world_.http(issue->region, issue->node,
              {"POST", issue->target, "{" + issue->arguments + R"(,"dry_run":true})", ""},
              [this, issue](const api::Response& response) {
                if (response.status >= 300) return issue->done(code_of(response), "");
                if (const auto plan = plan_of(response.body)) return confirm(issue, *plan);
                issue->done("unreadable_plan", "");
              });
}

void ShopDecrees::confirm(const std::shared_ptr<Issue>& issue, const Plan& plan) {
  allow(plan, 1);  // it takes effect before its answer is here, which may also be lost
  world_.http(
      issue->region, issue->node,
      {"POST", issue->target, "{" + issue->arguments + R"(,"plan":")" + plan.digest + "\"}", ""},
      [this, issue, plan](const api::Response& response) {
        if (response.status < 300)
          return issue->done("", "seized " + api::grouped(plan.seize) + ", open holds " +
                                     api::grouped(plan.open_holds));
        allow(plan, -1);
        const std::string code = code_of(response);
        if (code == "plan_changed" && issue->tries < kPlansTried) return dry_run(issue);
        issue->done(code, "");
      });
}

void ShopDecrees::allow(const Plan& plan, int sign) {
  seize_ += sign * plan.seize;
  open_holds_ += sign * plan.open_holds;
  for (const auto& [sku, units] : plan.skus) watch_.allow(sku, sign * units);
}

std::optional<ShopDecrees::Plan> ShopDecrees::plan_of(const std::string& body) {
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(body, error);
  if (error || !json.is_object()) return std::nullopt;
  Plan plan{.digest = std::string(json.at("plan").as_string()),
            .seize = json.at("seize").as_int64(),
            .open_holds = json.at("open_holds").as_int64()};
  for (const boost::json::value& sku : json.at("skus").as_array())
    plan.skus.emplace_back(sku.at("sku").as_string(),
                           sku.at("seize").as_int64() + sku.at("open_holds").as_int64());
  return plan;
}

bool ShopDecrees::any_open() const {
  const auto& decrees = checks_.ghost().decrees();
  return std::any_of(decrees.begin(), decrees.end(),
                     [&](const auto& entry) { return checks_.ghost().is_open(*entry.second); });
}

std::optional<DecreeTotals> ShopDecrees::totals() const {
  const crdt::State& truth = checks_.ghost();
  if (truth.decrees().empty()) return std::nullopt;
  DecreeTotals totals{.seize = seize_,
                      .open_holds = open_holds_,
                      .beyond_allowance = watch_.beyond_allowance(),
                      .beyond_bound = watch_.beyond_bound()};
  std::set<ReplicaId> targets;  // several decrees of one have one debt
  for (const auto& [key, decree] : truth.decrees()) {
    const crdt::DecreeRow& row = decree->row;
    totals.issued += row.kind == crdt::DecreeKind::failover;
    totals.retirements += row.kind == crdt::DecreeKind::retirement;
    totals.open += truth.is_open(*decree);
    totals.seized += row.seized;
    totals.realized += row.realized;
    const bool first = targets.insert(row.target).second;
    Units spent = 0, debt = 0;
    for (const auto& [sku, product] : truth.seized()) {
      debt += product->stock.debt(row.target, truth.retired());
      const crdt::StockCell* cell = product->stock.find(row.target);
      const crdt::PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(decree->origin);
      if (entry != nullptr) spent += entry->debt_at_seen;
      if (first) totals.unseen += product->stock.unseen(row.target, truth.retired());
    }
    if (first) totals.debt += debt;
    const bool closed = row.closed_at != 0;
    spent = closed ? row.spent_unseen : std::max<Units>(0, spent - row.spent_before);
    totals.spent_unseen += spent;
    totals.repaid += closed ? row.repaid : std::max<Units>(0, spent - debt);
  }
  return totals;
}

}  // namespace holdfast::sim
