// Rows that leave: keys by their age, and all rows of an origin whose history is not the one here.

#include <algorithm>

#include "crdt/check.h"
#include "crdt/state.h"

namespace holdfast::crdt {

namespace {

// Takes `item` out of the chain of copies that `index` has under its name.
template <typename Index, typename Item>
std::unique_ptr<Item> unchain(Index& index, std::string_view name, Item& item) {
  const auto at = index.find(name);
  HOLDFAST_CHECK(at != index.end());
  std::unique_ptr<Item> owned;
  if (at->second.get() != &item) {
    Item* before = at->second.get();
    while (before->next_copy.get() != &item) before = before->next_copy.get();
    owned = std::move(before->next_copy);
    before->next_copy = std::move(owned->next_copy);
    return owned;
  }
  owned = std::move(at->second);
  std::unique_ptr<Item> rest = std::move(owned->next_copy);
  index.erase(at);  // its name lives in the row that goes
  if (rest) {
    const std::string_view other = row_key(*rest);
    index.emplace(other, std::move(rest));
  }
  return owned;
}

}  // namespace

std::unique_ptr<Key> State::unlink(Key& key) {
  auto [at, end] = keys_by_age_.equal_range(key.row.created_at);
  while (at != end && at->second != &key) ++at;
  HOLDFAST_CHECK(at != end);
  keys_by_age_.erase(at);
  return unchain(keys_, key.key, key);
}

void State::unlink(Hold& hold) {
  count_open(hold, hold.row.state == HoldState::held, false);
  holds_by_number_.erase({hold.origin, hold.row.number});
  unchain(holds_, hold.id, hold);
}

void State::drop_keys_before(std::int64_t wall_ms, std::size_t count_max) {
  for (; count_max > 0 && !keys_by_age_.empty(); --count_max) {
    const auto oldest = keys_by_age_.begin();
    Key* key = oldest->second;
    if (oldest->first >= wall_ms || key->dirty) return;
    origin(key->origin).feed.remove(*key);
    std::unique_ptr<Key> owned = unlink(*key);
    owned->gone = true;
    gone_.push_back(std::move(owned));
  }
}

void State::unlink(FeedItem& item) {
  switch (item.kind) {
    case RowKind::stock:
      return static_cast<StockCell&>(item).product->stock.drop(item.origin);
    case RowKind::hold:
      return unlink(static_cast<Hold&>(item));
    case RowKind::key:
      unlink(static_cast<Key&>(item));
      return;
    case RowKind::sku: {
      auto& cells = static_cast<SkuCell&>(item).product->descriptions;
      std::erase_if(cells, [&](const auto& cell) { return cell.get() == &item; });
      return;
    }
    case RowKind::member:
      members_.erase(item.origin);
      return;
    case RowKind::decree: {
      const DecreeRow& row = static_cast<Decree&>(item).row;
      decrees_.erase({row.target, row.generation, item.origin});
      return;
    }
    default:
      return;  // lives in the origin's own entry
  }
}

std::size_t State::drop_origin(ReplicaId id) {
  HOLDFAST_CHECK(id != self_);
  const auto entry = origins_.find(id);
  if (entry == origins_.end()) return 0;
  for (auto* list : {&unsaved_, &saving_})
    std::erase_if(*list, [&](FeedItem* item) {
      if (item->origin != id) return false;
      item->unsaved = false;
      return true;
    });
  std::vector<FeedItem*> items;
  const Feed& feed = entry->second->feed;
  for (auto at = feed.begin_after(0); at != feed.end(); ++at) items.push_back(at->second);
  std::size_t lasting = 0;
  bool decreed = false;
  for (FeedItem* item : items) {
    dropped_.push_back({id, item->kind, std::string(row_key(*item))});
    digest_ ^= counts_in_digest(item->kind) ? row_digest(*item, item->sequence) : 0;
    lasting += item->kind != RowKind::key;
    decreed = decreed || item->kind == RowKind::decree;
    unlink(*item);
  }
  origins_.erase(entry);
  vector_.drop(id);
  if (decreed) index_decrees();
  return lasting;
}

bool State::is_here(const Dropped& row) const {
  switch (row.kind) {
    case RowKind::stock: {
      const Product* known = product(row.key);
      return known != nullptr && known->stock.find(row.origin) != nullptr;
    }
    case RowKind::hold:
      return hold_of(row.key, row.origin) != nullptr;
    case RowKind::key:
      return key_of(row.key, row.origin) != nullptr;
    case RowKind::sku: {
      const Product* known = product(row.key);
      return known != nullptr &&
             std::any_of(known->descriptions.begin(), known->descriptions.end(),
                         [&](const auto& cell) { return cell->origin == row.origin; });
    }
    case RowKind::member:
      return members_.contains(row.origin);
    case RowKind::decree:
      return std::any_of(decrees_.begin(), decrees_.end(), [&](const auto& entry) {
        return entry.second->origin == row.origin && entry.second->key == row.key;
      });
    default: {
      const auto entry = origins_.find(row.origin);
      return entry != origins_.end() && entry->second->opaque.contains({row.kind, row.key});
    }
  }
}

}  // namespace holdfast::crdt
