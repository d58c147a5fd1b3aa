#include "node/rebalance.h"

#include <algorithm>
#include <cmath>

namespace holdfast::node {

using crdt::ReplicaId;
using crdt::Units;

namespace {

// A replica without demand keeps a part as if it had this share of the greatest demand: its first
// customer finds something.
constexpr double kLeastWeight = 0.01;
// Whoever has most of the last units keeps them, unless demand elsewhere is that many times its
// own.
constexpr double kWorthMoving = 1.5;
constexpr std::size_t kPullsAtOnce = 3;

class Static final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "static"; }
  bool moves_for_customers() const override { return false; }
  Units target(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

class OnDemand final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "on-demand"; }
  bool moves_for_customers() const override { return true; }
  Units target(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

// The targets of all, by demand; or everything at one place, if little is left.
class Targets {
 public:
  explicit Targets(const Outlook& outlook) : outlook_(outlook) {
    double most = outlook.self.demand;
    total_ = outlook.self.rights;
    for (const Share& peer : outlook.peers) {
      most = std::max(most, peer.demand);
      total_ += peer.rights;
    }
    least_ = most > 0 ? most * kLeastWeight : 1;
    weights_ = outlook.self.demand + least_;
    for (const Share& peer : outlook.peers) weights_ += peer.demand + least_;
    if (total_ <= outlook.gather_below) gather_at_ = gatherer();
  }
  bool gathers() const { return static_cast<bool>(gather_at_); }
  Units of(const Share& share) const {
    if (gathers()) return share.replica == gather_at_ ? total_ : 0;
    return static_cast<Units>(static_cast<double>(total_) * (share.demand + least_) / weights_);
  }

 private:
  ReplicaId gatherer() const {
    const Share *richest = &outlook_.self, *busiest = &outlook_.self;
    for (const Share& peer : outlook_.peers) {
      const auto before = [&](const Share& other, auto peers, auto others) {
        return peers != others ? peers > others : peer.replica < other.replica;
      };
      if (before(*richest, peer.rights, richest->rights)) richest = &peer;
      if (before(*busiest, peer.demand, busiest->demand)) busiest = &peer;
    }
    return busiest->demand > kWorthMoving * richest->demand ? busiest->replica : richest->replica;
  }

  const Outlook& outlook_;
  Units total_ = 0;
  double least_ = 0, weights_ = 0;
  ReplicaId gather_at_;
};

class Proportional final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "proportional"; }
  bool moves_for_customers() const override { return true; }

  Units target(const Outlook& outlook) const override { return Targets(outlook).of(outlook.self); }

  std::vector<Pull> pulls(const Outlook& outlook) const override {
    const Targets targets(outlook);
    const Units target = targets.of(outlook.self);
    const bool lacks =
        targets.gathers() ? outlook.self.rights < target : outlook.self.rights < (target + 1) / 2;
    if (!lacks) return {};
    std::vector<Pull> surplus;
    for (const Share& peer : outlook.peers)
      if (peer.reachable && peer.rights > targets.of(peer))
        surplus.push_back({peer.replica, peer.rights - targets.of(peer)});
    std::stable_sort(surplus.begin(), surplus.end(),
                     [](const Pull& a, const Pull& b) { return a.units > b.units; });
    std::vector<Pull> pulls;
    Units lacking = target - outlook.self.rights;
    for (const Pull& one : surplus) {
      if (lacking <= 0 || pulls.size() == kPullsAtOnce) break;
      pulls.push_back({one.from, std::min(one.units, lacking)});
      lacking -= pulls.back().units;
    }
    return pulls;
  }

  Units spare(const Outlook& outlook, ReplicaId to) const override {
    const Targets targets(outlook);
    if (targets.gathers())
      for (const Share& peer : outlook.peers)
        if (peer.replica == to && targets.of(peer) == 0) return 0;
    return std::max<Units>(0, outlook.self.rights - targets.of(outlook.self));
  }
};

}  // namespace

const RebalancePolicy* find_policy(std::string_view name) {
  static const Static rigid;
  static const OnDemand on_demand;
  static const Proportional proportional;
  for (const RebalancePolicy* policy : {static_cast<const RebalancePolicy*>(&rigid),
                                        static_cast<const RebalancePolicy*>(&on_demand),
                                        static_cast<const RebalancePolicy*>(&proportional)})
    if (policy->name() == name) return policy;
  return nullptr;
}

const std::vector<std::string>& policy_names() {
  static const std::vector<std::string> names = {"static", "on-demand", "proportional"};
  return names;
}

}  // namespace holdfast::node
