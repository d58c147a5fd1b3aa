// What a state drops: keys by age, holds whose end everybody has known for long enough, and all
// rows of an origin whose history is not the one that is here.

#include <algorithm>

#include "crdt/check.h"
#include "crdt/state.h"

namespace holdfast::crdt {

namespace {

// Takes `item` out of the chain of copies that `index` has under its name. Names live in the rows,
// the index's in that of the first.
template <typename Item>
std::unique_ptr<Item> unchain(ByName<Item>& index, std::string_view name, Item& item) {
  Item* before = index.find(name);
  HOLDFAST_CHECK(before != nullptr);
  if (before != &item) {
    while (before->next_copy.get() != &item) before = before->next_copy.get();
    std::unique_ptr<Item> owned = std::move(before->next_copy);
    before->next_copy = std::move(owned->next_copy);
    return owned;
  }
  std::unique_ptr<Item> owned = index.take(name);
  if (std::unique_ptr<Item> rest = std::move(owned->next_copy)) {
    std::unique_ptr<Item>& first = index.owner(row_key(*rest));
    first = std::move(rest);
  }
  return owned;
}

bool finished(const Hold& hold) { return hold.row.state != HoldState::held; }

}  // namespace

void State::drop(FeedItem& item) {
  HOLDFAST_CHECK(!item.dirty);
  if (counts_in_digest(item.kind)) digest_ ^= row_digest(item, item.sequence);
  if (item.kind != RowKind::key) ++rows_dropped_;
  origin(item.origin).feed.remove(item);
  item.gone = true;
  gone_.push_back({take_out(item)});
}

void State::purge(Hold& hold) {
  ++purged_;
  drop(hold);
}

// Out of all indexes. It lives on as long as a list of the next checkpoint names it.
std::shared_ptr<FeedItem> State::take_out(FeedItem& item) {
  switch (item.kind) {
    case RowKind::stock:
      return static_cast<StockCell&>(item).product->stock.drop(item.origin);
    case RowKind::hold:
      return take_out(static_cast<Hold&>(item));
    case RowKind::key:
      return take_out(static_cast<Key&>(item));
    case RowKind::sku: {
      auto& cells = static_cast<SkuCell&>(item).product->descriptions;
      const auto at = std::find_if(cells.begin(), cells.end(),
                                   [&](const auto& cell) { return cell.get() == &item; });
      HOLDFAST_CHECK(at != cells.end());
      std::shared_ptr<FeedItem> owned = std::move(*at);
      cells.erase(at);
      return owned;
    }
    case RowKind::member:
      return std::move(members_.extract(item.origin).mapped());
    case RowKind::decree: {
      const DecreeRow& row = static_cast<Decree&>(item).row;
      return std::move(decrees_.extract({row.target, row.generation, item.origin}).mapped());
    }
    default: {
      const auto key = std::pair(item.kind, static_cast<Opaque&>(item).key);
      return std::move(origin(item.origin).opaque.extract(key).mapped());
    }
  }
}

std::shared_ptr<FeedItem> State::take_out(Hold& hold) {
  count_open(hold, false);
  unlist(hold, hold.row.number);
  hold.row = {};  // its name alone is still needed
  std::shared_ptr<FeedItem> owned = unchain(holds_, hold.id, hold);
  if (Hold* other = first_copy(hold.id)) recount(*other);
  return owned;
}

void State::unlist(const Key& key) {
  auto [at, end] = keys_by_age_.equal_range(key.row.created_at);
  while (at != end && at->second != &key) ++at;
  HOLDFAST_CHECK(at != end);
  keys_by_age_.erase(at);
}

std::shared_ptr<FeedItem> State::take_out(Key& key) {
  unlist(key);
  return unchain(keys_, key.key, key);
}

void State::unlist(const Hold& hold, std::uint64_t number) {
  const auto at = holds_by_number_.find({hold.origin, number});
  if (at != holds_by_number_.end() && at->second == &hold) holds_by_number_.erase(at);
}

// A row in the place of one that was dropped.
bool State::is_here(const FeedItem& dropped) const {
  switch (dropped.kind) {
    case RowKind::stock:
      return static_cast<const StockCell&>(dropped).product->stock.find(dropped.origin) != nullptr;
    case RowKind::hold:
      return hold_of(static_cast<const Hold&>(dropped).id, dropped.origin) != nullptr;
    case RowKind::key:
      return key_of(static_cast<const Key&>(dropped).key, dropped.origin) != nullptr;
    case RowKind::sku: {
      const auto& cells = static_cast<const SkuCell&>(dropped).product->descriptions;
      return std::any_of(cells.begin(), cells.end(),
                         [&](const auto& cell) { return cell->origin == dropped.origin; });
    }
    case RowKind::member:
      return members_.contains(dropped.origin);
    case RowKind::decree: {
      const DecreeRow& row = static_cast<const Decree&>(dropped).row;
      return decrees_.contains({row.target, row.generation, dropped.origin});
    }
    default: {
      const auto entry = origins_.find(dropped.origin);
      const auto key = std::pair(dropped.kind, static_cast<const Opaque&>(dropped).key);
      return entry != origins_.end() && entry->second->opaque.contains(key);
    }
  }
}

void State::drop_keys_before(std::int64_t wall_ms, std::size_t count_max) {
  for (; count_max > 0 && !keys_by_age_.empty(); --count_max) {
    const auto oldest = keys_by_age_.begin();
    Key* key = oldest->second;
    if (oldest->first >= wall_ms || key->dirty) return;
    drop(*key);
  }
}

void State::purge(ReplicaId from, const std::vector<Hold*>& holds, Sequence floor) {
  Origin& entry = origin(from);
  HOLDFAST_CHECK(floor > entry.floor && floor <= entry.head);
  for (Hold* hold : holds) {
    HOLDFAST_CHECK(hold->origin == from && finished(*hold) && hold->sequence <= floor);
    purge(*hold);
  }
  entry.floor = floor;
  if (from != self_) return;
  const Member* about = member(self_);
  MemberRow row = about == nullptr ? MemberRow{} : about->row;
  row.purge_floor = floor;
  put_member(std::move(row));
}

void State::raise_floor(ReplicaId from, Sequence floor) {
  Origin& entry = origin(from);
  if (floor <= entry.floor) return;
  HOLDFAST_CHECK(floor <= entry.head);
  std::vector<Hold*> holds;
  for (auto at = entry.feed.begin_after(entry.floor); at != entry.feed.end() && at->first <= floor;
       ++at) {
    if (at->second->kind != RowKind::hold || at->second->dirty) continue;
    auto* hold = static_cast<Hold*>(at->second);
    if (finished(*hold)) holds.push_back(hold);
  }
  for (Hold* hold : holds) purge(*hold);
  entry.floor = floor;
}

std::vector<HoldVersion> State::drop_absent(ReplicaId from, Sequence to, const HoldIds& present) {
  Origin& entry = origin(from);
  std::vector<Hold*> absent;
  for (auto at = entry.feed.begin_after(0); at != entry.feed.end() && at->first <= to; ++at) {
    if (at->second->kind != RowKind::hold) continue;
    auto* hold = static_cast<Hold*>(at->second);
    if (!present.contains(hold->id)) absent.push_back(hold);
  }
  std::vector<HoldVersion> dropped;
  for (Hold* hold : absent) {
    dropped.push_back({hold->id, hold->sequence});
    purge(*hold);
  }
  return dropped;
}

void State::drop_version(ReplicaId from, const HoldVersion& version) {
  Hold* hold = hold_of(version.id, from);
  if (hold != nullptr && hold->sequence <= version.sequence) purge(*hold);
}

void State::drop_origin(ReplicaId id) {
  HOLDFAST_CHECK(id != self_);
  const auto entry = origins_.find(id);
  if (entry == origins_.end()) return;
  Sequence stands = 0;  // up to here, in both histories
  for (const Boot& boot : boots(id)) {
    if (!voided(boot.nonce)) continue;
    stands = std::min(entry->second->head, boot.sequence - 1);
    break;
  }
  std::vector<FeedItem*> items;
  const Feed& feed = entry->second->feed;
  for (auto at = feed.begin_after(0); at != feed.end(); ++at) items.push_back(at->second);
  bool decreed = false;
  for (FeedItem* item : items) {
    decreed = decreed || item->kind == RowKind::decree;
    drop(*item);
  }
  origins_.erase(id);
  vector_.drop(id);
  if (decreed) index_decrees();
  await_rows(id, stands);
}

void State::await_rows(ReplicaId origin, Sequence upto) {
  if (origin == self_ || upto <= head(origin)) return;
  Sequence& due = awaited_[origin];
  due = std::max(due, upto);
}

Units State::withheld(const Product& product) const {
  if (awaited_.empty()) return 0;
  const StockCell* own = product.stock.find(self_);
  if (own == nullptr) return 0;
  Units units = 0;
  for (const auto& [origin, upto] : awaited_) {
    const PeerTotals* mine = own->row.find(origin);
    if (mine == nullptr) continue;
    const StockCell* cell = product.stock.find(origin);
    const PeerTotals* theirs = cell == nullptr ? nullptr : cell->row.find(self_);
    units += std::max<Units>(0, mine->seen - (theirs == nullptr ? 0 : theirs->seized));
  }
  return units;
}

}  // namespace holdfast::crdt
