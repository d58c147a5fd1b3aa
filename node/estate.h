#pragma once
// Estate: a retired replica's open holds, ended by its heir (crdt/state.h). Pure.
//
// The heir takes each of them over by a copy of its own (`estate_of`), with a deadline in its own
// life. From then on it is an own hold like others: it is committed, released, extended and expires
// here, in this replica's totals. Only that its units are in the retired one's `held`, not in this
// one's. An heir that has a copy of that id already (its own, or of another retired replica)
// releases the units beside it (`freed`); so it does if that copy has another body, with a line of
// nothing for each SKU that only the retired one's has.
//
// If another end of the same copy becomes visible later (the retired one's own, or an earlier
// heir's), this one is taken back: its units are held here after all (`held` grows by them, which
// may be debt), the copy counts as adopted, and the ranks of copies decide which end stands
// (stands_before). An heir that turns out to be none (two retirements of one id) does the same.
//
// An heir that is retired itself can take nothing back. Its own heir does that for it (`undone`, in
// its copy of that id, or in one of no units that it makes), so that over all rows that are here
//   of several ends of one copy by retired replicas one stands: the home's own, else that of the
//   lowest replica id; each other one's units are held at the heir of who wrote it. Of a copy that
//   is not here any more (it had ended itself, and was purged; or its history is void) none stands;
//   of several commits by retired replicas one stands (stands_before); each other one is voided at
//   the heir of who wrote it.
// What is to be undone follows from these rows alone, and what retired heirs have undone already
// counts: so it is undone once however many heirs there were, one after another or at once, and if
// rows that come later say otherwise, `again` says how much had to be done again.
//
// What own totals say of one own copy, in units of a line:
//     held − released − sold = (estate_of ? 0 : held) while it is held,
//                              (estate_of ? −held : 0) when it has ended,  less all `freed`,
//                              and what is `undone` of ends, less `again`.
//     voided, sold           = of a commit, and what is `undone`, and `again`, of sales.
//
// Cost  taking over: one walk over the retired replica's holds. A merged hold: one lookup, and the
// square of its copies.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/state.h"
#include "node/copies.h"
#include "node/ledger.h"

namespace holdfast::node {

// See above: of one line of an own copy, held − released − sold.
crdt::Units told_of(const crdt::HoldRow& row, std::size_t line);
// The retired replicas whose copies it has ended, or stands in for.
std::vector<ReplicaId> roots_of(const crdt::HoldRow& row);
// Units of the root's copy that it has ended; of nobody's: what it has sold, and not voided.
crdt::Units ended_of(const crdt::HoldRow& row, std::size_t line, ReplicaId root);

class Estate {
 public:
  // `owes`: units of this product were taken back, which may be debt.
  using Owes = std::function<void(crdt::Product&)>;
  Estate(crdt::State& state, Ledger& ledger, Copies& copies, Owes owes)
      : state_(state), ledger_(ledger), copies_(copies), owes_(std::move(owes)) {}

  // Takes over what this replica is the heir of, and gives back what it is no longer.
  void heir_changed(ReplicaId retired, Times now);
  // All rows of that replica were void, and have come anew: what was ended of those that have not
  // come is taken back. One walk over the own holds.
  void came_anew(ReplicaId retired, Times now);
  // A copy of a hold was merged.
  void merged(const crdt::Hold& copy, Times now);
  // A copy of this hold was purged by all who saw its end, and is not here any more either.
  void gone(std::string_view id, Times now);

 private:
  void reconcile(std::string_view id, Times now);
  bool ended_before(std::string_view id, ReplicaId root) const;
  void take_over(const crdt::Hold& copy, Times now);
  void stand_in(const crdt::Hold& copy, crdt::HoldRow& row, Times now) const;
  void free_beside(const crdt::Hold& copy, crdt::Hold& own);
  void take_back(crdt::Hold& own, ReplicaId root, Times now);
  // By SKU.
  using Amounts = std::map<std::string, crdt::Units, std::less<>>;
  void undo(std::string_view id, Times now);
  bool ended_besides(const crdt::Hold& copy, ReplicaId root) const;
  const crdt::Hold* sold_besides(const crdt::Hold& sale) const;
  bool is_gone(std::string_view id, ReplicaId root) const;
  crdt::Hold& change_undone(const crdt::Hold& copy, ReplicaId of, ReplicaId root,
                            const Amounts& more, Times now);

  crdt::State& state_;
  Ledger& ledger_;
  Copies& copies_;
  Owes owes_;
};

}  // namespace holdfast::node
