#pragma once
// Remains: rights that retired replicas have, and that nobody can sell. Pure.
//
// A retirement seizes what its issuer knows of. More may come to light afterwards: what the retired
// one received or got back before it learned of it, a grant by a replica that did not know. Once
// its last row is here (MemberRow::ended, the vector there) it never writes again, and what it has
// left is its heir's (State::heir), which seizes it in its own rows. Nobody can spend those units
// any more, so this exposes nothing: it is no part of any decree, and of no dry run.
//
// But another heir may have seized them, too. So one waits until of every successor on the way to
// it, and beside it, that is retired itself the last row is here: then it has all that those
// seized. Of heirs that do not know of each other's retirements both may; what is then missing is a
// debt of the retired one, which its heir repays (decrees.h).
//
// Of one whose last row never comes (its disk is lost) all this stays as it is, and is shown, until
// an operator retires it once more: that seizes, with a dry run and exposure as always.
//
// Threads  none of its own. Cost  find: the catalogue, for each of the replicas. A merged row: its
//          peers. take: what there is to take. Nothing if no replica is retired.

#include <functional>
#include <map>
#include <set>
#include <string_view>

#include "crdt/state.h"
#include "node/command.h"

namespace holdfast::node {

class Remains {
 public:
  using Taken = std::function<void(crdt::Product&)>;  // rights came to this replica
  Remains(crdt::State& state, Taken taken) : state_(state), taken_(std::move(taken)) {}

  // They were retired just now, or rows of others were dropped.
  template <typename Replicas>
  void find(const Replicas& retired) {
    if (retired.begin() == retired.end()) return;
    for (const auto& [sku, product] : state_.catalogue())
      for (const ReplicaId replica : retired) note(*product, replica);
  }
  // Another replica's row of this product was merged.
  void merged(crdt::Product& product, ReplicaId origin);

  Units of(ReplicaId retired) const;  // over all products
  Units all() const;                  // of all retired replicas

  // Seizes what `estates`, whose heir this replica is, have for good; of at most `most` products.
  // False: there is more.
  bool take(const std::set<ReplicaId>& estates, std::size_t most);

 private:
  void note(crdt::Product& product, ReplicaId retired);
  bool has_ended(ReplicaId replica) const;
  bool is_final(ReplicaId retired) const;

  crdt::State& state_;
  Taken taken_;
  // At least the products of which a retired replica has rights; by SKU.
  std::map<ReplicaId, absl::btree_map<std::string_view, crdt::Product*>> left_;
};

}  // namespace holdfast::node
