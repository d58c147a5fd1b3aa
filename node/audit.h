#pragma once
// Audit: every total of a state, computed again from what it stands for. Pure.
//
//   of each SKU     sums over origins, from their stock rows; conservation (Σ rights = available +
//                   allowance)
//   of each origin  its stock row, from its holds and key rows:
//     held − released − sold   units of its open holds, less those of estates that it has ended
//     sold, returned           of its holds that were committed
//     voided                   of its committed holds that were overruled
//     received, withdrawn, granted   at least what its key rows say
//   of the state    counts and the digest
// Where finished holds have been purged, or totals were written again after a fork, the holds give
// no more than a least figure.
//
// Cost  O(rows).

#include <string>
#include <vector>

#include "crdt/state.h"

namespace holdfast::node {

struct Difference {
  std::string what;         // "sold", "on_hand", "digest" …
  std::string sku;          // empty: of the whole state
  crdt::ReplicaId replica;  // nobody: over all
  crdt::Units is = 0;
  crdt::Units should = 0;
  bool at_least = false;  // `is` should be `should` or more
  bool operator==(const Difference&) const = default;
};

std::vector<Difference> audit(const crdt::State& state);

}  // namespace holdfast::node
