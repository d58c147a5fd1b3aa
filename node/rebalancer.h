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
// SKUs are looked at also when nobody asks for them here, so that rights are where customers are
// before the first of them comes: those of which some replica's row has changed, by the feeds, once
// a second; and the whole catalogue where that says nothing: when a peer can be reached again, and
// when the replicas' parts of the demand for all SKUs have shifted.
//
// Cost  one hash lookup a line of a reservation; O(replicas) a look; a walk over the rows that have
//       changed; at most kLooksAtOnce and kPassedAtOnce of them a tick.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
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
  // Into the cache: it will be asked for soon.
  void expect(const crdt::Product& product) const { demands_.prefetch(&product); }
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
  static constexpr std::size_t kLooksAtOnce = 200, kPassedAtOnce = 1'000;

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
    bool fading = false;  // in fades_
    bool again = false;   // this look was made because the one before brought less than asked
  };
  Demand& demand_of(crdt::Product& product, crdt::Instant now);
  void publish(crdt::Product& product, Demand& demand, crdt::Instant now);
  void fade_later(crdt::Product& product, Demand& demand, crdt::Instant now);
  void queue(crdt::Product& product, Demand& demand);
  Outlook outlook(const crdt::Product& product) const;
  void look(crdt::Product& product, crdt::Instant now);
  void pull(crdt::Product& product, const Outlook& here);
  void fade(crdt::Instant now);
  void pass(crdt::Instant now);
  std::size_t pass_feed(crdt::ReplicaId origin, std::size_t most, crdt::Instant now);
  void pass_catalogue(std::size_t most);
  void pass_product(crdt::Product& product);
  bool unread() const;
  bool shifted();

  crdt::State& state_;
  const Ledger& ledger_;
  RebalanceOptions options_;
  Ask ask_;
  Reachable reachable_;
  absl::flat_hash_map<const crdt::Product*, Demand> demands_;  // found, never walked
  std::multimap<crdt::Instant, crdt::Product*> fades_;         // when to look whether it has faded
  Rate overall_;                                               // of all SKUs
  std::map<ReplicaId, crdt::Sequence> read_;                   // of each origin's feed, up to here
  crdt::Instant fade_at_{}, pass_at_{}, all_at_{};
  std::map<ReplicaId, double> parts_;  // of the demand for all SKUs, at the last look at all
  std::optional<std::string> passed_;  // of a look at all that is under way: up to this SKU
  std::vector<ReplicaId> reach_;       // which peers could be reached at the last pass
  std::vector<crdt::Product*> looks_;
  std::multimap<crdt::Instant, crdt::Product*> later_;  // looks that wait for the cooldown
  std::map<std::uint64_t, std::pair<crdt::Product*, ReplicaId>> calls_;
  std::set<std::pair<std::string_view, ReplicaId>> asking_;  // SKU and peer, in flight
  crdt::Instant wake_at_ = crdt::Instant::max();
};

}  // namespace holdfast::node
