#pragma once
// Purge: which finished holds this replica lets go, and when. Pure.
//
// A finished hold is kept for `keep` (wall time, from its end), and longer: until the vectors in
// the member rows of all replicas that are not retired cover its last write, and while any copy of
// its id is held; one that stands, while any other copy is here; an heir's, while the retired
// replica's copy that it ended is held, or all rows of that replica are being taken anew
// (State::drop_origin); for ever, if copies of retired replicas say that a hold was ended twice
// (estate.h). Then its home drops it, and says so by the purge floor in its member row: what others
// have of it they drop when that row comes (State::advance). Nobody writes a retired replica's rows
// any more: each replica drops them by itself, under the same conditions.
//
// The floor covers all finished holds up to it. One that has to stay although those after it may go
// (as above, or because it ended by a clock that was ahead) is written again, unchanged, which
// moves it to the end of the feed: once in `keep` at most.
//
// Cost  a look: at most kLooksAtOnce rows, and a drop O(log rows).

#include <map>
#include <vector>

#include "crdt/state.h"
#include "crdt/time.h"
#include "node/codec.h"
#include "node/ledger.h"

namespace holdfast::node {

class Purge {
 public:
  Purge(crdt::State& state, crdt::Millis keep) : state_(state), keep_(keep) {}

  void tick(crdt::Instant now, Times times);
  crdt::Instant wake_at() const { return due_; }
  // Floors that were raised and that no row tells: for the journal.
  std::vector<JournalDrop> take_untold() { return std::exchange(untold_, {}); }
  // State::drop_origin was called.
  void forget(ReplicaId origin);

 private:
  enum class Verdict { pass, drop, stay, move };

  bool look(ReplicaId origin, std::size_t& looks, crdt::Instant now, Times times);
  crdt::Sequence acknowledged(ReplicaId origin) const;
  Verdict judge(const crdt::FeedItem& item, crdt::Sequence acknowledged, Times times) const;
  bool may_move(const crdt::Hold& hold, crdt::Instant now) const;

  crdt::State& state_;
  crdt::Millis keep_;
  crdt::Instant due_{};
  std::map<ReplicaId, crdt::Sequence> looked_;    // up to here nothing is left to drop
  std::map<std::uint64_t, crdt::Instant> moved_;  // own holds that stay, by number: when
  std::vector<JournalDrop> untold_;
};

}  // namespace holdfast::node
