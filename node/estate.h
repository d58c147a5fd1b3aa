#pragma once
// Estate: a retired replica's open holds, ended by its heir (crdt/state.h). Pure.
//
// The heir takes each of them over by a copy of its own (`estate`, adopted_from the copy that it
// stands in for), with a deadline in its own life. From then on it is an own hold like others: it
// is committed, released, extended and expires here, in this replica's totals. Only that its units
// are in the retired home's `held`, not in this one's. An heir that has a copy with units of its
// own already (it adopted the reservation before) releases the home's units beside it (`freed`).
//
// If another end of the same hold becomes visible later (the home's own, or an earlier heir's), the
// copy here becomes an adopted one: its units are held here after all (`held` grows by them, which
// may be debt), and the ranks of copies decide which end stands (stands_before). An heir that turns
// out to be none (two retirements of one id) does the same.
//
// What this replica's totals owe to one own copy, in units of a line:
//     held − released − sold = (estate ? 0 : held) while it is open, (estate ? −held : 0) when it
//     has ended, and − freed.
//
// Cost  taking over: one walk over the retired replica's holds. A merged hold: one lookup.

#include <functional>
#include <string_view>

#include "crdt/state.h"
#include "node/copies.h"
#include "node/ledger.h"

namespace holdfast::node {

class Estate {
 public:
  // `owes`: units of this product were taken back, which may be debt.
  using Owes = std::function<void(crdt::Product&)>;
  Estate(crdt::State& state, Ledger& ledger, Copies& copies, Owes owes)
      : state_(state), ledger_(ledger), copies_(copies), owes_(std::move(owes)) {}

  // Takes over what this replica is the heir of, and gives back what it is no longer.
  void heir_changed(ReplicaId retired, Times now);
  // A copy of a hold was merged.
  void merged(const crdt::Hold& copy, Times now);

 private:
  void take_over(const crdt::Hold& copy, Times now);
  void take_up(const crdt::Hold& copy, crdt::Hold& own, Times now);
  void free_beside(const crdt::Hold& copy, crdt::Hold& own);
  void take_back(crdt::Hold& own, Times now);
  bool ended_before(const crdt::Hold& copy) const;
  bool ended_elsewhere(std::string_view id) const;

  crdt::State& state_;
  Ledger& ledger_;
  Copies& copies_;
  Owes owes_;
};

}  // namespace holdfast::node
