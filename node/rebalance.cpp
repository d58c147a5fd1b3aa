#include "node/rebalance.h"

#include <algorithm>
#include <array>

#include "node/rebalance_targets.h"

namespace holdfast::node {

using crdt::ReplicaId;
using crdt::Units;

namespace {

constexpr std::size_t kPullsAtOnce = 3;

class Static final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "static"; }
  bool moves_for_customers() const override { return false; }
  bool moves_ahead() const override { return false; }
  Units target(const Outlook&) const override { return 0; }
  Units enough(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

class OnDemand final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "on-demand"; }
  bool moves_for_customers() const override { return true; }
  bool moves_ahead() const override { return false; }
  Units target(const Outlook&) const override { return 0; }
  Units enough(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

class ByDemand final : public RebalancePolicy {
 public:
  ByDemand(std::string_view name, double exponent) : name_(name), exponent_(exponent) {}
  std::string_view name() const override { return name_; }
  bool moves_for_customers() const override { return true; }
  bool moves_ahead() const override { return true; }

  Units target(const Outlook& outlook) const override {
    return Targets(outlook, exponent_).of(outlook.self.replica);
  }
  Units enough(const Outlook& outlook) const override {
    return Targets(outlook, exponent_).enough(outlook.self.replica);
  }

  std::vector<Pull> pulls(const Outlook& outlook) const override {
    const Targets targets(outlook, exponent_);
    if (outlook.self.rights >= targets.enough(outlook.self.replica)) return {};
    std::vector<Pull> surplus;
    for (const Share& peer : outlook.peers)
      if (peer.reachable && peer.rights > targets.of(peer.replica))
        surplus.push_back({peer.replica, peer.rights - targets.of(peer.replica)});
    std::stable_sort(surplus.begin(), surplus.end(),
                     [](const Pull& a, const Pull& b) { return a.units > b.units; });
    std::vector<Pull> pulls;
    Units lacking = targets.of(outlook.self.replica) - outlook.self.rights;
    for (const Pull& one : surplus) {
      if (lacking <= 0 || pulls.size() == kPullsAtOnce) break;
      pulls.push_back({one.from, std::min(one.units, lacking)});
      lacking -= pulls.back().units;
    }
    return pulls;
  }

  Units spare(const Outlook& outlook, ReplicaId to) const override {
    const Targets targets(outlook, exponent_);
    for (const Share& peer : outlook.peers)
      if (peer.replica == to && targets.of(to) == 0) return 0;
    return std::max<Units>(0, outlook.self.rights - targets.of(outlook.self.replica));
  }

 private:
  std::string_view name_;
  double exponent_;
};

}  // namespace

const RebalancePolicy* find_policy(std::string_view name) {
  static const Static rigid;
  static const OnDemand on_demand;
  static const ByDemand proportional("proportional", 1), square_root("square-root", 0.5);
  static const std::array<const RebalancePolicy*, 4> all = {&rigid, &on_demand, &proportional,
                                                            &square_root};
  const auto at = std::find_if(all.begin(), all.end(), [&](const RebalancePolicy* policy) {
    return policy->name() == name;
  });
  return at == all.end() ? nullptr : *at;
}

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names = {"static", "on-demand", "proportional",
                                                 "square-root"};
  return names;
}

}  // namespace holdfast::node
