#pragma once
// An operator's decrees in a scenario: over HTTP a dry run, then the confirmation of its plan, with
// the plan of the moment if the amounts have changed meanwhile. And what became of them.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/checks.h"
#include "sim/oversell.h"
#include "sim/report.h"
#include "sim/scenario.h"

namespace holdfast::sim {

class ShopDecrees {
 public:
  ShopDecrees(World& world, Checks& checks);

  // `code`: the problem's, and then `told` is empty; else it is done, and `told` says what it
  // seized. Never heard of, if an answer is lost.
  using OnDecree = std::function<void(const std::string& code, const std::string& told)>;
  // A failover or retirement, at the first node of the issuing region that runs; false: none does.
  bool issue(const Scenario& scenario, const ScenarioEvent& event, OnDecree done);
  // Told of every durable batch: which replicas a node's disks held, one after the other.
  void on_durable(const Machine& machine);

  // What decrees may have oversold by now, all SKUs: as their dry runs said, open holds included.
  crdt::Units may_cost() const { return watch_.allowed(); }
  bool any_open() const;
  // None: there was no decree.
  std::optional<DecreeTotals> totals() const;
  const OversellWatch& watch() const { return watch_; }

 private:
  struct Issue {
    std::size_t region = 0, node = 0;  // that issues it
    std::string target;                // path
    std::string arguments;             // JSON members
    OnDecree done;
    int tries = 0;
  };
  struct Plan {
    std::string digest;
    crdt::Units seize = 0, open_holds = 0;
    std::vector<std::pair<std::string, crdt::Units>> skus;  // what it may cost
  };
  static std::optional<Plan> plan_of(const std::string& body);
  void dry_run(const std::shared_ptr<Issue>& issue);
  void confirm(const std::shared_ptr<Issue>& issue, const Plan& plan);
  void allow(const Plan& plan, int sign);
  // The oldest replica of the node that nobody has retired: after a lost disk, the lost one.
  crdt::ReplicaId retirable(std::size_t node) const;

  World& world_;
  Checks& checks_;
  OversellWatch watch_;
  crdt::Units seize_ = 0, open_holds_ = 0;              // of confirmed ones
  std::vector<std::vector<crdt::ReplicaId>> replicas_;  // by node, in the order of their birth
};

}  // namespace holdfast::sim
