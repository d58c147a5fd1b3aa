#pragma once
// One origin's rows in the order of their sequence numbers: a change feed in which a row that is
// written again moves to the end. So what a peer lacks above n is every row whose *latest* write is
// above n: distinct rows, not operations (Scuttlebutt's reconciliation, van Renesse et al. 2008).
//
// Most rows that are written again were written not long ago. So the latest sequence numbers have
// each a slot of their own in a ring, and a row moves by two stores; what falls out of the ring is
// in a tree. The ring grows where rows are dense, and shrinks where they are sparse.
//
// Invariants  A row whose sequence is at least start_ is in the ring, at slot sequence & mask; any
//             other one is in the tree. last_ − start_ < slots.
// Cost        of a row in the ring: place and remove O(1); else O(log rows). Walking O(rows
//             walked), and a look at each slot of the ring on the way. Room: of a ring that is full
//             of rows 8 bytes each, of one as sparse as it gets 64; at most kSlotsMost slots.

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "crdt/prefetch.h"
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
  static constexpr std::size_t kSlotsLeast = 64;
  static constexpr std::size_t kSlotsMost = 1u << 18;  // 2 MiB

  // Gives `item` its new place. False, and nothing done, if another row has that sequence: a feed
  // that says so is not one writer's.
  bool place(FeedItem& item, Sequence sequence);
  // The row whose latest write is `sequence`; nullptr: none.
  const FeedItem* at(Sequence sequence) const;
  void remove(FeedItem& item);

  // No row is behind it: the highest sequence that any was ever given.
  Sequence last() const { return last_; }
  std::size_t size() const { return in_ring_ + tree_.size(); }

  // Rows in ascending order, as pairs (sequence, row). Valid until the feed changes.
  class Iterator;
  Iterator begin_after(Sequence sequence) const;
  Iterator end() const;

  // Into the cache: the slot of a row that will be placed anew or removed.
  void expect(const FeedItem& item) const { prefetch(&ring_[item.sequence & mask()], 1); }

 private:
  using Tree = absl::btree_map<Sequence, FeedItem*>;
  std::size_t mask() const { return ring_.size() - 1; }
  FeedItem*& slot(Sequence sequence) { return ring_[sequence & mask()]; }
  FeedItem* slot(Sequence sequence) const { return ring_[sequence & mask()]; }
  bool put(FeedItem& item, Sequence sequence);
  void reach(Sequence sequence);
  void start_at(Sequence sequence);
  void resize(std::size_t slots);

  Tree tree_;
  std::vector<FeedItem*> ring_ = std::vector<FeedItem*>(kSlotsLeast);
  std::size_t in_ring_ = 0;  // rows
  Sequence start_ = 1, last_ = 0;
};

class Feed::Iterator {
 public:
  using Entry = std::pair<Sequence, FeedItem*>;
  const Entry& operator*() const { return entry_; }
  const Entry* operator->() const { return &entry_; }
  Iterator& operator++() {
    if (entry_.first < feed_->start_) {
      ++in_tree_;
      settle(feed_->start_);
    } else {
      settle(entry_.first + 1);
    }
    return *this;
  }
  bool operator==(const Iterator& other) const { return entry_.first == other.entry_.first; }

 private:
  friend class Feed;
  Iterator(const Feed* feed, Tree::const_iterator in_tree, Sequence in_ring)
      : feed_(feed), in_tree_(in_tree) {
    settle(in_ring);
  }
  // On what the tree has left, else the first row in the ring from `sequence` on, else behind all.
  void settle(Sequence sequence) {
    if (in_tree_ != feed_->tree_.end()) {
      entry_ = *in_tree_;
      return;
    }
    while (sequence <= feed_->last_ && feed_->slot(sequence) == nullptr) ++sequence;
    const bool ends = sequence > feed_->last_;
    entry_ = {ends ? feed_->last_ + 1 : sequence, ends ? nullptr : feed_->slot(sequence)};
  }

  const Feed* feed_;
  Tree::const_iterator in_tree_;
  Entry entry_;
};

inline Feed::Iterator Feed::begin_after(Sequence sequence) const {
  return {this, tree_.upper_bound(sequence), std::max(start_, sequence + 1)};
}
inline Feed::Iterator Feed::end() const { return {this, tree_.end(), last_ + 1}; }

}  // namespace holdfast::crdt
