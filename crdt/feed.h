#pragma once
// One origin's rows in the order of their sequence numbers: a change feed in which a row that is
// written again moves to the end. So what a peer lacks above n is every row whose *latest* write is
// above n: distinct rows, not operations (Scuttlebutt's reconciliation, van Renesse et al. 2008).
//
// Cost: append, move and remove O(log rows); walking O(rows walked).

#include "absl/container/btree_map.h"
#include "crdt/rows.h"

namespace holdfast::crdt {

// What every row in memory begins with. It stays where it is for as long as a feed names it.
struct FeedItem {
  Sequence sequence = 0;  // of its latest stamped write; 0: none yet
  ReplicaId origin;
  RowKind kind = RowKind::stock;
  std::uint8_t format = kRowFormat;
  bool dirty = false;    // changed by this replica and not stamped yet
  bool unsaved = false;  // listed for the next checkpoint
  bool gone = false;     // dropped here, and still to be dropped from the store
};

class Feed {
 public:
  // Gives `item` its new place. False, and nothing done, if another row has that sequence: a feed
  // that says so is not one writer's.
  bool place(FeedItem& item, Sequence sequence) {
    const auto at = items_.emplace_hint(items_.end(), sequence, &item);
    if (at->second != &item) return false;
    if (item.sequence != 0 && item.sequence != sequence) items_.erase(item.sequence);
    item.sequence = sequence;
    return true;
  }
  // The row whose latest write is `sequence`; nullptr: none.
  const FeedItem* at(Sequence sequence) const {
    const auto found = items_.find(sequence);
    return found == items_.end() ? nullptr : found->second;
  }
  void remove(FeedItem& item) { items_.erase(item.sequence); }

  Sequence last() const { return items_.empty() ? 0 : std::prev(items_.end())->first; }
  std::size_t size() const { return items_.size(); }
  auto begin_after(Sequence sequence) const { return items_.upper_bound(sequence); }
  auto end() const { return items_.end(); }

 private:
  absl::btree_map<Sequence, FeedItem*> items_;
};

}  // namespace holdfast::crdt
