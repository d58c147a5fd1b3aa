#pragma once
// Copies: what exists twice, because two replicas could not see each other. Pure.
//
// One reservation id has one copy at each replica that made or adopted it, and one of them stands
// (stands_before). Whoever has another one gives its units back, in the batch in which it learns of
// that: released if it was held, voided if it was committed. Copies with unequal requests both
// stand, and so does a commit over a release that somebody was told of: these are conflicts, which
// people must resolve.
//
// One idempotency key may have taken effect at two replicas: all but the lowest replica undo
// receipts, adjustments and allowances, once. A shortfall is debt. Grants stand (they move rights,
// and make none), and so do returns.
//
// Adoption: under an open decree of the origin of the copy that stands, a reservation is committed,
// extended or released here: with units of this replica, or, lacking them, seized from that origin.
//
// Cost  a merged hold or key: one lookup.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/state.h"
#include "node/ledger.h"

namespace holdfast::node {

class Copies {
 public:
  // `freed`: units of this own hold have come back. `tell`: a conflict, in words.
  using Freed = std::function<void(const crdt::Hold& own)>;
  using Tell = std::function<void(std::string conflict)>;
  Copies(crdt::State& state, Ledger& ledger, Freed freed, Tell tell)
      : state_(state), ledger_(ledger), freed_(std::move(freed)), tell_(std::move(tell)) {}

  // After recovery: nothing is left undone.
  void start(Times now);
  // A copy of this id was merged, or the own one has changed.
  void settle(std::string_view id, Times now);
  // A key row was merged.
  void merged(const crdt::Key& other);

  // Commit, Release or Extend of a reservation whose standing copy is of a lost origin.
  Outcome adopt(const crdt::Hold& standing, const ReservationCommand& command, Times now);

  std::uint64_t adoptions() const { return adoptions_; }
  std::uint64_t overruled() const { return overruled_; }
  std::uint64_t conflicts() const { return conflicts_; }
  std::uint64_t keys_undone() const { return keys_undone_; }

 private:
  void conflict(std::string what);

  crdt::State& state_;
  Ledger& ledger_;
  Freed freed_;
  Tell tell_;
  std::uint64_t adoptions_ = 0, overruled_ = 0, conflicts_ = 0, keys_undone_ = 0;
};

}  // namespace holdfast::node
