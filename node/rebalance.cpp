#include "node/rebalance.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace holdfast::node {

using crdt::ReplicaId;
using crdt::Units;

namespace {

// A replica without demand keeps this part: its first customer finds something.
constexpr double kLeastPart = 0.01;
// Whoever has most of the last units keeps them, unless demand elsewhere is that many times its
// own.
constexpr double kWorthMoving = 1.5;
constexpr std::size_t kPullsAtOnce = 3;

class Static final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "static"; }
  bool moves_for_customers() const override { return false; }
  bool moves_ahead() const override { return false; }
  Units target(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

class OnDemand final : public RebalancePolicy {
 public:
  std::string_view name() const override { return "on-demand"; }
  bool moves_for_customers() const override { return true; }
  bool moves_ahead() const override { return false; }
  Units target(const Outlook&) const override { return 0; }
  std::vector<Pull> pulls(const Outlook&) const override { return {}; }
  Units spare(const Outlook&, ReplicaId) const override { return 0; }
};

// The targets of all, by demand; or everything at one place, if little is left.
class Targets {
 public:
  Targets(const Outlook& outlook, double exponent) : outlook_(outlook), exponent_(exponent) {
    const auto count = [&](const Share& share) {
      total_ += share.rights;
      demand_ += share.demand;
      overall_ += share.overall;
    };
    count(outlook.self);
    for (const Share& peer : outlook.peers) count(peer);
    weights_ = weight(outlook.self);
    for (const Share& peer : outlook.peers) weights_ += weight(peer);
    if (total_ <= outlook.gather_below) gather_at_ = gatherer();
  }
  bool gathers() const { return static_cast<bool>(gather_at_); }
  Units of(const Share& share) const {
    if (gathers()) return share.replica == gather_at_ ? total_ : 0;
    return static_cast<Units>(static_cast<double>(total_) * weight(share) / weights_);
  }

 private:
  // Its part of the demand.
  double part(const Share& share) const {
    const double of_all = overall_ > 0 ? share.overall / overall_ : 0;
    const double all = demand_ + outlook_.prior;
    return all > 0 ? (share.demand + outlook_.prior * of_all) / all : 0;
  }
  double weight(const Share& share) const { return std::pow(part(share) + kLeastPart, exponent_); }
  ReplicaId gatherer() const {
    const Share *richest = &outlook_.self, *busiest = &outlook_.self;
    for (const Share& peer : outlook_.peers) {
      const auto before = [&](const Share& other, auto peers, auto others) {
        return peers != others ? peers > others : peer.replica < other.replica;
      };
      if (before(*richest, peer.rights, richest->rights)) richest = &peer;
      if (before(*busiest, part(peer), part(*busiest))) busiest = &peer;
    }
    return part(*busiest) > kWorthMoving * part(*richest) ? busiest->replica : richest->replica;
  }

  const Outlook& outlook_;
  double exponent_;
  Units total_ = 0;
  double demand_ = 0, overall_ = 0, weights_ = 0;
  ReplicaId gather_at_;
};

class ByDemand final : public RebalancePolicy {
 public:
  ByDemand(std::string_view name, double exponent) : name_(name), exponent_(exponent) {}
  std::string_view name() const override { return name_; }
  bool moves_for_customers() const override { return true; }
  bool moves_ahead() const override { return true; }

  Units target(const Outlook& outlook) const override {
    return Targets(outlook, exponent_).of(outlook.self);
  }

  std::vector<Pull> pulls(const Outlook& outlook) const override {
    const Targets targets(outlook, exponent_);
    const Units target = targets.of(outlook.self);
    const Units enough = targets.gathers() ? target : (target + 1) / 2;
    if (outlook.self.rights >= enough) return {};
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
    const Targets targets(outlook, exponent_);
    if (targets.gathers())
      for (const Share& peer : outlook.peers)
        if (peer.replica == to && targets.of(peer) == 0) return 0;
    return std::max<Units>(0, outlook.self.rights - targets.of(outlook.self));
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
