#pragma once
// Copies: what exists twice, because two replicas could not see each other. Pure.
//
// One reservation id has one copy at each replica that made or adopted it; reads show the one that
// stands (stands_before). Whoever has one that must give way returns its units, in the batch in
// which it learns of the other: released if it was held, voided if it was committed. Who gives way
// (`gives_way`) is decided by ends, which are final, or between two that are held by who they are:
// so never both. Copies with unequal requests both stand, and so does a commit over a release that
// somebody was told of: these are conflicts, which people must resolve.
//
// One idempotency key may have taken effect at two replicas: all but the lowest replica undo
// receipts, adjustments and allowances, once. A shortfall is debt. Grants stand (they move rights,
// and make none), and so do returns, but for one that a fork writes again (reissue.h). What a
// retired replica has not undone its heir undoes in its own totals, under a key of its own that
// names the replica and its key. That one exists once as well, by the same rule: of two heirs the
// lowest keeps it, and it is undone in turn if the retired one proves to have undone its own.
//
// Adoption: under an open decree of the origin of the copy that stands, a reservation is committed,
// extended or released here: with units of this replica, or, lacking them, seized from that origin.
// Only the decree's issuer seizes, and only for holds that its dry run counted: so adoptions never
// add up to more than the `open_holds` that it showed. A home that returns takes over an adopter's
// extension, and the adopter gives way.
//
// A conflict is told once, as long as the own row is here that has it: what is remembered of it
// goes with that row. An id that is new again can be in conflict again.
//
// Cost  a merged hold or key: one lookup, and the copies of one id. A tick: kLooksAtOnce lookups.
//       A start, and an heir's beginning: the rows of that origin.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "crdt/state.h"
#include "node/ledger.h"

namespace holdfast::node {

class Copies {
 public:
  struct Around {
    std::function<void(const crdt::Hold& own)> freed;  // its units have come back
    std::function<void(crdt::Product&)> owes;          // units were undone, which may be debt
    std::function<void(std::string conflict)> tell;    // in words
    // Units of that hold may be seized, to adopt it.
    std::function<bool(const crdt::Hold&)> may_seize;
  };
  Copies(crdt::State& state, Ledger& ledger, Around around)
      : state_(state), ledger_(ledger), around_(std::move(around)) {}

  // After recovery: nothing is left undone.
  void start(Times now);
  // A copy of this id was merged, or the own one has changed.
  void settle(std::string_view id, Times now);
  // Two commits of this id, of which one is voided: a conflict if they are unequal.
  void sold_twice(const crdt::Hold& own, const crdt::HoldRow& one, const crdt::HoldRow& other);
  // A copy of this key was merged.
  void settle_key(const std::string& key, Times now);
  // Keys of that origin that others have, too.
  std::vector<std::string> shared_keys(ReplicaId origin) const;
  // A copy of this key was void, and its origin's rows have come anew: what was undone for its sake
  // alone, here or at a retired replica, stands after all. Once; a restart in between forgets it.
  void reconsider_key(const std::string& key, Times now);
  // This replica may be the heir of that one now.
  void heir_changed(ReplicaId retired, Times now);
  // Forgets conflicts of rows that are gone. Often enough: once a second.
  void tick();

  // Commit, Release or Extend of a reservation whose standing copy is of a lost origin. None: this
  // replica lacks the rights, and may not seize them.
  std::optional<Outcome> adopt(const crdt::Hold& standing, const ReservationCommand& command,
                               Times now);

  std::uint64_t adoptions() const { return adoptions_; }
  std::uint64_t overruled() const { return overruled_; }
  std::uint64_t conflicts() const { return conflicts_; }
  std::uint64_t keys_undone() const { return keys_undone_; }
  std::size_t remembered() const { return told_.size(); }

 private:
  bool gives_way(const crdt::Hold& own, const crdt::Hold& other);
  bool is_surplus(const crdt::Key& copy) const;
  void redo(const std::string& key, Times now);
  void undo(crdt::Key& own);
  void settle_keys(ReplicaId origin, Times now);
  void keep_promises(crdt::Hold& own, Times now);
  void conflict(std::string_view of, std::uint64_t row, std::string what);
  std::optional<std::uint64_t> own_row(const std::string& of) const;

  crdt::State& state_;
  Ledger& ledger_;
  Around around_;
  // Of which a conflict was told: the id or key, and which own row of that name it is.
  std::map<std::string, std::uint64_t, std::less<>> told_;
  std::string looked_;  // up to here tick() has looked
  // Own keys that were undone for the sake of a void one, it may be, and that nobody else's stands
  // for.
  std::set<std::string, std::less<>> reconsidered_;
  std::uint64_t adoptions_ = 0, overruled_ = 0, conflicts_ = 0, keys_undone_ = 0;
};

}  // namespace holdfast::node
