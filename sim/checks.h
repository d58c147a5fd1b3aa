#pragma once
// The invariants, checked after every event that can break them, by one who sees everything: the
// ghost joins every row that ever became durable anywhere, also of disks that were lost since.
//
//   rights-below-zero      a replica's rights, over the ghost, are ≥ 0, where nothing was ever
//                          seized, undone or taken back
//   budget                 else Σ (unseen + debt) ≤ D + A + K + E + H: what decrees seized, what
//                          adoptions seized, what was undone as a duplicate, what heirs took back,
//                          what two heirs seized of one retired replica's remains
//   view-above-truth       no replica believes in more rights of its own than it has, and what was
//                          seized from it that it has not seen
//   conservation           Σ rights = available + allowance
//   oversold               available ≥ −allowance − Σ (unseen + debt)
//   seized-unlike-plan     a decree seizes what its dry run said
//   seized-without-decree  whatever else is seized is units of holds that are adopted in that
//                          batch, and no more of them than the dry runs counted; or what a retired
//                          replica has left that has written its last row, and no more of that than
//                          there is, but for what others seized, too
//   stranded               at the end no such replica has rights, if its heir lives
//   debt-unaccounted       a debt was written down when its seizure was seen, undone or taken back
//   lost-was-granted       who was declared lost is granted what it owes, and no more until it has
//                          seen what was seized
//   decree-closed-early    a decree is closed when all that it seized was seen, and owed for by
//                          nobody
//   copy-kept              a copy gives way in the batch in which its replica learns of the other
//   no-copy-stands         of copies of one request that gave way one other stands
//   not-monotone           one origin's totals only grow; its batches, sequences and life go on
//   totals-unlike-holds    what is held, sold, returned and voided by a stock row are the sums over
//                          the same origin's holds (node/estate.h)
//   hold-ended-twice       an ended hold stays as it ended
//   expired-early          a hold expires when its home's life has reached its deadline
//   exported-before-durable  what another node has of an origin is durable at the origin
//   copies-differ          one (origin, sequence) is one content, wherever it is
//   row-lost-below-vector  V[o] ≥ n at a node means that it has all of o's rows up to n
//   decree-not-closed, debt-not-repaid
//                          in the end, if anybody can close and repay
//   fork-without-cause, fork-not-reissued, fork-spent-too-much, reissued-too-much
//                          see check_forks.cpp
//   durable-row-lost       a node that starts again has all of its own durable rows
//   life-too-fast          a life goes on as its node's own clock does
//   early-reply            what shows or depends on a change leaves when that is durable
//
// With disks lost, the ghost keeps what they held: its rights are nobody's any more, and no check
// here needs an exception for it.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "crdt/state.h"
#include "node/codec.h"
#include "sim/history.h"
#include "sim/world.h"

namespace holdfast::sim {

struct Violation {
  std::string invariant;
  std::string detail;
  Time at = 0;
  std::uint64_t event = 0;
};

class Checks final : public Watcher {
 public:
  Checks() : ghost_(crdt::ReplicaId{1}) {}
  void attach(World& world) { world_ = &world; }

  // Told of the stock of a SKU, over all rows, whenever some origin's changed.
  using OnStock = std::function<void(const crdt::Product& product)>;
  void also_look(OnStock on_stock) { on_stock_ = std::move(on_stock); }

  void fail(const std::string& invariant, const std::string& detail);
  const std::optional<Violation>& violation() const { return violation_; }
  const crdt::State& ghost() const { return ghost_; }
  // The standing copy of a reservation, as it is durable somewhere; nullptr: none.
  const crdt::Hold* hold(const std::string& id) const;
  bool has_key(const std::string& key) const;
  // A reservation of this id was durable somewhere, ever; it may have been purged since.
  bool was_held(const std::string& id) const { return held_ever_.contains(id); }

  // What an operator was told: by a dry run, before it is confirmed.
  void told_plan(const node::DecreePlan& plan);
  // Some reservation of this replica may have been decided elsewhere: it was declared lost or
  // retired.
  bool contested(crdt::ReplicaId home) const { return contested_.contains(home); }
  // Units of this SKU that were undone, or taken back by heirs, ever.
  crdt::Units undone(const std::string& sku) const {
    const auto at = budget_.find(sku);
    return at == budget_.end() ? 0 : at->second.undone + at->second.taken_back;
  }

  // ── forks (check_forks.cpp) ──
  // What was written and acknowledged, and is nowhere any more: a machine's disk was put back
  // before anybody had it. Keys of key rows, ids of reservations.
  using OnLost = std::function<void(std::size_t node, const std::set<std::string>& keys,
                                    const std::set<std::string>& holds)>;
  void when_lost(OnLost on_lost) { on_lost_ = std::move(on_lost); }
  // Units of this SKU that forks wrote again, ever, as a debt.
  crdt::Units forked(const std::string& sku) const {
    const auto at = budget_.find(sku);
    return at == budget_.end() ? 0 : at->second.forked;
  }
  bool any_forks() const { return !histories_.empty(); }
  // Two histories of this machine's replica are written, or were, and nobody has found out yet.
  bool is_forked(const Machine& machine) const;
  bool is_asked_for(const Machine& machine) const;
  // Origins of which these nodes have rows of different histories, and none of them can ever tell
  // which is void: neither writer is among them, and nobody has heard of a successor.
  std::set<crdt::ReplicaId> undecided(const std::vector<std::size_t>& nodes) const;
  // In the end, when all agree: what nobody found out is how it was.
  void settle_forks();

  // Rare situations, and how often they occurred.
  void saw(const std::string& situation) { ++sometimes_[situation]; }
  const std::map<std::string, std::uint64_t>& sometimes() const { return sometimes_; }
  // In the end, with all nodes there: every decree that can be closed is closed, and every debt
  // that somebody can repay is repaid.
  void check_settled();
  // A grant from one to the other that the other does not know of yet.
  bool grant_in_flight(std::size_t from, std::size_t to) const;

  void on_started(Machine& machine, bool torn) override;
  void on_turn(Machine& machine) override;
  void on_durable(Machine& machine, const node::Batch& batch) override;
  void on_put_back(Machine& machine, const crdt::State& copy, bool fits) override;
  void on_rejoined(Machine& machine, const node::ForkMark& mark, const crdt::State* base,
                   const crdt::State& fresh) override;
  void on_reply(Machine& machine, const node::Outcome& outcome, bool released,
                bool may_be_early) override;
  void on_ended(Machine& machine, const std::string& why) override;

 private:
  struct HoldSums {  // over one origin's holds of one SKU
    crdt::Units open = 0, sold = 0, returned = 0, voided = 0;
    crdt::Units held = 0, released = 0;
    bool estates = false;  // with them `held` and `released` are no sums over holds, `open` is
  };
  struct Budget {  // of one SKU, in units, ever
    crdt::Units decreed = 0, adopted = 0, undone = 0, taken_back = 0, forked = 0;
    crdt::Units inherited = 0;  // by two heirs
    crdt::Units sum() const { return decreed + adopted + undone + taken_back + forked + inherited; }
  };
  struct Seizing {  // what one batch of one origin does, by (target, SKU)
    using By = std::pair<crdt::ReplicaId, std::string>;
    std::map<By, crdt::Units> seized, adoptable;
    std::vector<crdt::DecreeRow> decrees, closed;  // new ones; closed ones
  };
  struct Granted {  // by a node to a peer, as it was after its last turn
    crdt::Units granted = 0, seized = 0;
    std::uint64_t others = 0;  // which rows of others it knew, in one number
  };
  struct Known {  // of a node, between events
    crdt::ReplicaId replica;
    std::uint64_t batch = 0;
    std::int64_t life_ms = 0, life_at_start_ms = 0;
    crdt::VersionVector durable;  // by its journal
    crdt::VersionVector checked;  // up to where its rows have been compared with the ghost's
    std::map<std::pair<std::string, crdt::ReplicaId>, Granted> granted;  // to lost peers, by SKU
  };

  void take_own(Machine& machine, const node::JournalValue& value, const node::JournalPart& part);
  struct Copy {  // of a hold, as another replica's row says
    crdt::ReplicaId origin;
    std::string id;
    crdt::HoldRow row;
  };
  void take_others(Machine& machine, const node::JournalPart& part, std::vector<Copy>& copies);
  void check_row(Machine& machine, const crdt::DecodedRow& row, std::int64_t life_ms);
  void check_stock_row(const crdt::StockRow& before, const crdt::StockRow& after,
                       const std::string& where);
  void check_hold_row(const crdt::HoldRow& before, const crdt::HoldRow& after, std::int64_t life_ms,
                      const std::string& where);
  void check_undone(const crdt::UndoneEnd& was, const crdt::HoldRow& before,
                    const crdt::HoldRow& after, const std::string& where);
  void count_hold(crdt::ReplicaId origin, const crdt::HoldRow* before, const crdt::HoldRow& after);
  void check_sums(crdt::ReplicaId origin, const std::string& sku);
  static HoldSums counted(const crdt::HoldRow& row, std::size_t line);
  void note_changes(crdt::ReplicaId origin, const crdt::DecodedRow& row, Seizing& seizing);
  void note_undone(const crdt::Hold* before, const crdt::HoldRow& row);
  void note_hold(crdt::ReplicaId origin, const std::string& id, const crdt::HoldRow& row,
                 Seizing& seizing);
  void check_seizures(Machine& machine, const Seizing& seizing);
  bool has_ended(crdt::ReplicaId replica) const;
  bool all_know_its_end(crdt::ReplicaId retired) const;
  void take_inherited(const std::string& where, crdt::ReplicaId heir, crdt::ReplicaId retired,
                      const std::string& sku, crdt::Units units);
  bool is_final(crdt::ReplicaId retired) const;
  void check_stranded(crdt::ReplicaId retired);
  void check_closed(const std::string& where, crdt::ReplicaId issuer,
                    const crdt::DecreeRow& decree);
  void check_debt(const crdt::Product& product, crdt::ReplicaId debtor);
  void check_grants(Machine& machine, const crdt::Product& product);
  void check_gave_way(const std::string& where, const crdt::Hold& own);
  void check_gives_way(const std::string& where, crdt::ReplicaId self, Copy&& copy);
  bool is_known_to_all(const std::string& sku, crdt::ReplicaId debtor) const;
  void check_repaid(const crdt::Product& product, crdt::ReplicaId debtor);
  std::set<crdt::ReplicaId> live_replicas() const;
  void check_plans(const std::string& where, const Seizing& seizing);
  void check_product(const std::string& sku);
  void check_own_rights(Machine& machine, const crdt::Product& product);
  void check_rows_up_to_vector(Machine& machine);
  void check_has(Machine& machine, const crdt::FeedItem& item);
  static HoldSums told_by(const crdt::StockRow& row);

  // forks
  History* history_at(const Machine& machine) const;  // nullptr: it writes the ghost's
  const crdt::State& rows_of(const Machine& machine) const;
  static std::uint64_t content_of(const crdt::DecodedRow& row);
  void take_own_apart(Machine& machine, const node::JournalValue& value,
                      const node::JournalPart& part, History& history);
  void take_forked(Machine& machine, const node::JournalPart& part);
  const crdt::State* rows_at(crdt::ReplicaId origin, crdt::Sequence sequence,
                             std::uint64_t boot) const;
  crdt::Units granted_apart(const std::string& sku, crdt::ReplicaId to) const;
  crdt::Units granted_in_vain(const Machine& machine, const std::string& sku) const;
  bool somebody_has(const History& history) const;
  crdt::Sequence has_of_ghost(std::size_t place, crdt::ReplicaId origin) const;
  bool stands_in(const Machine& machine, const History& history) const;
  bool somebody_stands_in(const History& history) const;
  void exchange(History& history);
  std::unique_ptr<History> history_from(const crdt::State& copy);
  void check_spent(const History& history, const std::string& sku);
  void take_unparted(Machine& machine, History* own, const crdt::State& fresh);
  void know_successor(Machine& machine, const crdt::State& fresh);
  void check_reissued(const History& history, const crdt::State& fresh);
  void take_reissued(const History& history, const crdt::State& fresh, bool whole);
  void note_lost(std::size_t node, const crdt::State& rows, crdt::ReplicaId origin,
                 crdt::Sequence after);
  void note_lost_of_others(const Machine& put_back);

  World* world_ = nullptr;
  OnStock on_stock_;
  crdt::State ghost_;
  std::map<std::size_t, Known> known_;  // by place
  absl::flat_hash_map<std::pair<crdt::ReplicaId, crdt::Sequence>, std::uint64_t> contents_;
  absl::flat_hash_map<std::pair<crdt::ReplicaId, std::string>, HoldSums> sums_;  // in no order
  absl::flat_hash_map<std::string, Budget> budget_;                              // likewise; by SKU
  std::map<std::string, node::DecreePlan> plans_;  // by digest, as dry runs said
  std::map<std::pair<crdt::ReplicaId, crdt::ReplicaId>, crdt::Units>
      adoptions_left_;  // by (issuer, target): open_holds of its decrees, less what was seized
  std::set<crdt::ReplicaId> contested_;
  absl::flat_hash_set<std::string> held_ever_;                                  // by id
  std::map<crdt::ReplicaId, std::vector<std::unique_ptr<History>>> histories_;  // but the ghost's
  std::map<crdt::ReplicaId, std::map<crdt::Sequence, std::uint64_t>> boots_;    // the ghost's
  std::set<std::size_t> refused_;  // places whose store was put back under its mark
  OnLost on_lost_;
  std::map<std::string, std::uint64_t> sometimes_;
  std::optional<Violation> violation_;
};

}  // namespace holdfast::sim
