#pragma once
// Rebalancer: keeps the demand of each SKU at this node, and pulls rights ahead of it as the policy
// (rebalance.h) says. A state machine without clock or random source; the engine feeds it.
//
// Demand is an exponentially weighted rate of the units that customers ask for here, refused ones
// too. It travels in the own stock row (a hint: nothing about stock depends on it).
//
// What one customer asks for travels likewise: so others know what to keep for the next one there.
//
// One request in flight per SKU and peer; after a look at a SKU none for `cooldown`. A look that a
// peer refused is repeated once: it may not have heard yet of what was sold here.
//
// SKUs that nobody has asked for here yet are looked at in turn, a few each second, for as long as
// anything changes: so rights are where customers are before the first of them comes.
//
// Cost  one hash lookup a line of a reservation; O(replicas) a look, at most kLooksAtOnce a tick.

#include <functional>
#include <map>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "crdt/time.h"
#include "node/ledger.h"
#include "node/rebalance.h"

namespace holdfast::node {

struct RebalanceOptions {
  const RebalancePolicy* policy = find_policy("proportional");
  crdt::Millis window{600'000};  // of the weighted rate
  crdt::Millis cooldown{500};
  Units gather_below = 10;
};

class Rebalancer {
 public:
  // Sends AskRights; 0: the peer is not reachable. Else answered() or lost() follows.
  using Ask = std::function<std::uint64_t(ReplicaId peer, const AskRights&)>;
  using Reachable = std::function<bool(ReplicaId peer)>;
  Rebalancer(crdt::State& state, const Ledger& ledger, RebalanceOptions options, Ask ask,
             Reachable reachable)
      : state_(state),
        ledger_(ledger),
        options_(options),
        ask_(std::move(ask)),
        reachable_(std::move(reachable)) {}

  const RebalancePolicy& policy() const { return *options_.policy; }

  // Customers asked for units here; after the outcome, whatever it was.
  void asked(crdt::Product& product, Units units, crdt::Instant now);
  // Rights came, here or elsewhere.
  void changed(crdt::Product& product);
  // What a request for a waiting customer should bring beyond what is lacking.
  Units ahead(const crdt::Product& product, Units lacking) const;
  // The most that may go to a peer beyond what its customers wait for.
  Units spare(const crdt::Product& product, ReplicaId to) const;

  void tick(crdt::Instant now);
  crdt::Instant wake_at() const { return wake_at_; }
  bool owns(std::uint64_t call) const { return calls_.contains(call); }
  void ended(std::uint64_t call, bool refused);  // answered, or lost
  // Units per 1,000 s that customers ask for here, of all SKUs: for the member row.
  std::uint64_t overall_milli(crdt::Instant now) const;

 private:
  static constexpr std::size_t kLooksAtOnce = 200, kSweptAtOnce = 1'000;
  // A sweep passes over what is settled and has not changed since; but one in sixteen looks at all:
  // how busy the replicas are as a whole is in no product's rows.
  static constexpr std::uint64_t kSweepOfAllEvery = 16;

  struct Rate {
    double value = 0;  // units a millisecond, at `since`
    crdt::Instant since{};
    double at(crdt::Instant now, crdt::Millis window) const;
    void add(Units units, crdt::Instant now, crdt::Millis window);
  };
  struct Demand {
    Rate rate;
    double cart = 0;                     // units that one customer asks for; 0: not known
    Units look_below = crdt::kUnitsMax;  // own rights at which it is worth a look
    crdt::Instant not_before{};
    bool queued = false;
    bool again = false;  // this look was made because the one before brought less than asked
  };
  Demand& demand_of(crdt::Product& product, crdt::Instant now);
  void publish(crdt::Product& product, const Demand& demand, crdt::Instant now);
  void queue(crdt::Product& product, Demand& demand);
  Outlook outlook(const crdt::Product& product) const;
  void look(crdt::Product& product, crdt::Instant now);
  void pull(crdt::Product& product, const Outlook& here);
  void fade(crdt::Instant now);
  std::uint64_t seen_of(const crdt::Product& product) const;
  void sweep(crdt::Instant now);

  crdt::State& state_;
  const Ledger& ledger_;
  RebalanceOptions options_;
  Ask ask_;
  Reachable reachable_;
  absl::flat_hash_map<const crdt::Product*, Demand> demands_;  // found, never walked
  std::vector<crdt::Product*> known_;                          // of demands_, in order of arrival
  std::size_t faded_ = 0;                                      // how far fade() has come in known_
  crdt::Instant fade_at_{};
  Rate overall_;       // of all SKUs
  bool moved_ = true;  // something may have changed since the sweep began
  std::string swept_;  // up to this SKU, in the sweep that is under way
  crdt::Instant sweep_at_{}, sweep_began_{};
  std::uint64_t sweeps_ = 0;
  std::uint64_t reach_ = 0;  // which peers could be reached at the last sweep, in one number
  // Products of which a look wanted nothing, and what it saw, in one number.
  absl::flat_hash_map<const crdt::Product*, std::uint64_t> settled_;
  std::vector<crdt::Product*> looks_;
  std::multimap<crdt::Instant, crdt::Product*> later_;  // looks that wait for the cooldown
  std::map<std::uint64_t, std::pair<crdt::Product*, ReplicaId>> calls_;
  std::set<std::pair<std::string_view, ReplicaId>> asking_;  // SKU and peer, in flight
  crdt::Instant wake_at_ = crdt::Instant::max();
};

}  // namespace holdfast::node
