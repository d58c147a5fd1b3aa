#pragma once
// Decrees: replicas declared lost by an operator, and what follows from it, at the issuer, at the
// target and at everybody else. Pure.
//
// The issuer alone seizes, once, in its own stock rows: of each SKU the asked fraction of what it
// believes the target to have left. Decree and seizures are one batch. It passes shares on by
// ordinary grants. The target, when it sees that, writes `seen` and what it had spent of it
// already (`debt_at_seen`); it sells again when its debt is repaid, and asks for that itself. The
// issuer closes the decree when everything was seen and no debt is left.
//
// Its account says what is `realized`: of each SKU, when the issuer learns of debt_at_seen, the
// part of that which is beyond stock and allowance in the issuer's view: min(spent, −(available +
// allowance)). So 0 ≤ realized ≤ spent_unseen. It is exact if the issuer has all sales and receipts
// of others then, and only one decree counts that shortfall. Sales that it has not heard of are
// lacking from it. Of two issuers that decreed one target at once each counts by its own view:
// their sum may be too low (neither saw the other's sales), or count one shortfall twice. Nothing
// rests on it: spent_unseen and repaid are exact.
//
// A retirement seizes everything that is left in the same way, and stands for ever; estate.h ends
// the retired replica's holds, and remains.h is about what comes to light of it afterwards.
//
// Bound (crdt/bounded_counter.h): available ≥ −allowance − Σ (unseen + debt), and that sum is at
// most what decrees seized, which a dry run says beforehand.
//
// Cost  a dry run or decree: one walk over the catalogue and over the targets' holds. A merged row:
//       a look at what it says of this replica. A tick: at most kLooksAtOnce products.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "crdt/state.h"
#include "crdt/time.h"
#include "node/debts.h"
#include "node/ledger.h"
#include "node/remains.h"

namespace holdfast::node {

class Decrees {
 public:
  struct Around {
    std::function<bool(ReplicaId peer)> reachable;
    std::function<std::vector<ReplicaId>()> peers;  // that can be reached, nearest first
    // Sends AskRights; 0: the peer cannot be reached. Else ended() follows.
    std::function<std::uint64_t(ReplicaId peer, const AskRights&)> ask;
    std::function<void(crdt::Product&)> gained;  // rights came to this replica
    std::function<void(crdt::Product&)> lost;    // rights of this replica were seized
    std::function<void(ReplicaId)> retired;      // it was retired, or its heir has changed
  };
  Decrees(crdt::State& state, const Ledger& ledger, std::string own_region, Around around)
      : state_(state),
        ledger_(ledger),
        region_(std::move(own_region)),
        around_(std::move(around)),
        debts_(state, around_.ask, around_.peers),
        remains_(state, [this](crdt::Product& product) {
          repay_from(product);
          around_.gained(product);
        }) {}

  // After recovery: what a crash interrupted.
  void start(crdt::Instant now);

  Outcome failover(const Failover& command, Times now);
  Outcome retire(const Retire& command, Times now);
  // This replica retires itself: nothing is seized, and the successor, which is live, has the rest.
  void leave(ReplicaId successor, Times now);
  Outcome accounts() const;

  // Rights may have changed otherwise than by what this replica sees here: those of a former fork,
  // or rows were dropped. What it owes is asked for. One walk over the catalogue.
  void rights_changed();

  // Another replica's stock row was merged; `before`: what its last version said of this replica.
  void merged(crdt::Product& product, ReplicaId origin, const crdt::PeerTotals& before);
  void merged_decree() { around_decrees_changed(); }
  void merged_member() { wake_at_ = crdt::Instant{}; }  // it may be a replica's last row

  // This replica may seize the units of that hold, to adopt it: it has an open decree of its own
  // that counted it (`open_holds`). Else adoptions could add up beyond what a dry run said.
  bool may_seize_for(const crdt::Hold& hold) const;
  // Who else may, of those that can be reached. None: nobody.
  ReplicaId who_may_seize_for(const crdt::Hold& hold) const;
  // Rights came to this replica: what retired ones owe, whose heir it is, can be repaid.
  void stock_came(crdt::Product& product);
  // Rights of this replica may have fallen below 0: it asks for what it owes.
  void owes(crdt::Product& product);

  // The most that may be granted to a peer that asks for `need` units; kUnitsMax: no limit.
  Units grantable(const crdt::Product& product, ReplicaId to) const;

  void tick(crdt::Instant now, Times times);
  crdt::Instant wake_at() const { return wake_at_; }
  bool owns(std::uint64_t call) const { return debts_.owns(call); }
  // `granted`: what the peer answered; nullptr: nothing.
  void ended(std::uint64_t call, const Granted* granted, crdt::Instant now);

  std::uint64_t issued() const { return issued_; }
  std::uint64_t open() const;
  // Over all products of which rights were seized, or that have an allowance.
  struct Sums {
    Units exposure = 0, debt = 0, oversold = 0;
  };
  Sums sums() const;
  // Rights of retired replicas, which nobody can sell, over all products.
  Units stranded() const { return remains_.all(); }

 private:
  static constexpr std::size_t kLooksAtOnce = 1'000;

  struct Amounts {
    DecreePlan plan;
    // By product: (target, units), in the order of the plan's targets.
    std::vector<std::pair<crdt::Product*, std::vector<Units>>> seize;
    std::vector<Units> open_holds;  // by target
    std::vector<std::uint32_t> generations;
    std::vector<std::uint64_t> holds_upto;
  };
  // successor: of a retirement; nobody: a failover.
  Amounts amounts_of(std::vector<ReplicaId> targets, std::uint32_t fraction_ppm,
                     ReplicaId successor) const;
  Outcome carry_out(Amounts&& amounts, std::uint32_t fraction_ppm, ReplicaId successor,
                    const std::string& confirmed, Times now);
  void seize(const Amounts& amounts);
  void share_out(crdt::Product& product, Units units, const std::vector<ReplicaId>& targets);
  template <typename Fits>
  ReplicaId seizer_of(const crdt::Hold& hold, Fits&& fits) const;
  Units debts_to_me(ReplicaId target) const;
  std::uint32_t next_generation(ReplicaId target) const;
  void see(crdt::Product& product, ReplicaId seizer);
  void around_decrees_changed();
  void find_unsettled();
  bool settled(const crdt::Product& product, ReplicaId target) const;
  void look_at_unsettled(crdt::Instant now, Times times);
  void close(ReplicaId target, Times times);
  void repay_retired();
  void repay_from(crdt::Product& product);

  crdt::State& state_;
  const Ledger& ledger_;
  std::string region_;
  Around around_;

  // Of own open decrees, by target: products that are not settled yet, by SKU.
  std::map<ReplicaId, absl::btree_map<std::string_view, crdt::Product*>> unsettled_;
  std::pair<ReplicaId, std::string> looked_;  // up to this SKU of this target
  bool look_ = false;
  crdt::Instant look_at_{};
  Debts debts_;  // own ones
  Remains remains_;
  absl::btree_map<std::string_view, crdt::Product*> estates_in_debt_;  // to be looked at
  std::map<ReplicaId, ReplicaId> heirs_;  // of the retired, as last told
  std::set<ReplicaId> estates_;           // retired replicas whose estate is this one's
  crdt::Instant wake_at_ = crdt::Instant::max();
  std::uint64_t issued_ = 0;
};

}  // namespace holdfast::node
