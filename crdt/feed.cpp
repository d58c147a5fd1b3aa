#include "crdt/feed.h"

#include <algorithm>

namespace holdfast::crdt {

bool Feed::place(FeedItem& item, Sequence sequence) {
  if (sequence > last_) reach(sequence);
  if (!put(item, sequence)) return false;
  if (item.sequence != 0 && item.sequence != sequence) remove(item);
  item.sequence = sequence;
  return true;
}

bool Feed::put(FeedItem& item, Sequence sequence) {
  if (sequence < start_) return tree_.emplace(sequence, &item).first->second == &item;
  FeedItem*& there = slot(sequence);
  if (there == &item) return true;
  if (there != nullptr) return false;
  there = &item;
  ++in_ring_;
  return true;
}

const FeedItem* Feed::at(Sequence sequence) const {
  if (sequence > last_) return nullptr;
  if (sequence >= start_) return slot(sequence);
  const auto found = tree_.find(sequence);
  return found == tree_.end() ? nullptr : found->second;
}

void Feed::remove(FeedItem& item) {
  if (at(item.sequence) != &item) return;
  if (item.sequence < start_) {
    tree_.erase(item.sequence);
  } else {
    slot(item.sequence) = nullptr;
    --in_ring_;
    if (in_ring_ == 0 && ring_.size() > kSlotsLeast) {  // as of an origin whose rows are dropped
      start_ = last_ + 1;
      resize(kSlotsLeast);
    }
  }
}

// Makes room for a sequence behind all others: in a ring twice as large, if rows are dense in this
// one; else the oldest ones leave it.
void Feed::reach(Sequence sequence) {
  while (sequence - start_ >= ring_.size() && ring_.size() < kSlotsMost &&
         in_ring_ * 4 > ring_.size() && sequence - last_ < ring_.size())
    resize(ring_.size() * 2);
  if (sequence - start_ >= ring_.size()) {
    start_at(sequence - ring_.size() + 1);
    if (in_ring_ * 8 < ring_.size() && ring_.size() > kSlotsLeast) {
      start_at(std::max(start_, sequence - ring_.size() / 2 + 1));
      last_ = std::max(last_, start_ - 1);
      resize(ring_.size() / 2);
    }
  }
  last_ = sequence;
}

void Feed::start_at(Sequence sequence) {
  for (; start_ < sequence && in_ring_ > 0; ++start_) {
    FeedItem*& leaves = slot(start_);
    if (leaves == nullptr) continue;
    tree_.emplace_hint(tree_.end(), start_, leaves);
    leaves = nullptr;
    --in_ring_;
  }
  start_ = sequence;
}

void Feed::resize(std::size_t slots) {
  const std::vector<FeedItem*> before = std::exchange(ring_, std::vector<FeedItem*>(slots));
  for (Sequence sequence = start_; sequence <= last_; ++sequence)
    slot(sequence) = before[sequence & (before.size() - 1)];
}

}  // namespace holdfast::crdt
