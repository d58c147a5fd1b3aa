// What a state drops: keys by age, and holds whose end everybody has known for long enough.

#include <algorithm>

#include "crdt/check.h"
#include "crdt/state.h"

namespace holdfast::crdt {

namespace {

// Takes one copy out of the chain of those with its name. Names live in the rows, the map's in that
// of the first.
template <typename Map, typename Row>
std::unique_ptr<Row> take_out(Map& rows, std::string_view name, std::string Row::*name_of,
                              const Row& row) {
  const auto at = rows.find(name);
  HOLDFAST_CHECK(at != rows.end());
  std::unique_ptr<Row> owned;
  if (at->second.get() == &row) {
    owned = std::move(at->second);
    std::unique_ptr<Row> rest = std::move(owned->next_copy);
    rows.erase(at);
    if (rest) {
      const std::string_view next = (*rest).*name_of;
      rows.emplace(next, std::move(rest));
    }
    return owned;
  }
  Row* before = at->second.get();
  while (before->next_copy.get() != &row) before = before->next_copy.get();
  owned = std::move(before->next_copy);
  before->next_copy = std::move(owned->next_copy);
  return owned;
}

bool finished(const Hold& hold) { return hold.row.state != HoldState::held; }

}  // namespace

void State::drop(Key& key) {
  origin(key.origin).feed.remove(key);
  key.gone = true;
  gone_.push_back(take_out(keys_, key.key, &Key::key, key));
}

void State::drop(Hold& hold) {
  HOLDFAST_CHECK(!hold.dirty);
  count_open(hold, !finished(hold), false);
  unlist(hold, hold.row.number);
  digest_ ^= row_digest(hold, hold.sequence);
  origin(hold.origin).feed.remove(hold);
  hold.gone = true;
  hold.row = {};  // its name alone is still needed
  ++purged_;
  gone_.push_back(take_out(holds_, hold.id, &Hold::id, hold));
}

void State::unlist(const Hold& hold, std::uint64_t number) {
  const auto at = holds_by_number_.find({hold.origin, number});
  if (at != holds_by_number_.end() && at->second == &hold) holds_by_number_.erase(at);
}

// Written anew since it was dropped: the store has the later row in its place, or will have.
bool State::is_back(const FeedItem& dropped) const {
  return dropped.kind == RowKind::key
             ? key_of(static_cast<const Key&>(dropped).key, dropped.origin) != nullptr
             : hold_of(static_cast<const Hold&>(dropped).id, dropped.origin) != nullptr;
}

void State::drop_keys_before(std::int64_t wall_ms, std::size_t count_max) {
  for (; count_max > 0 && !keys_by_age_.empty(); --count_max) {
    const auto oldest = keys_by_age_.begin();
    Key* key = oldest->second;
    if (oldest->first >= wall_ms || key->dirty) return;
    keys_by_age_.erase(oldest);
    drop(*key);
  }
}

void State::purge(ReplicaId from, const std::vector<Hold*>& holds, Sequence floor) {
  Origin& entry = origin(from);
  HOLDFAST_CHECK(floor > entry.floor && floor <= entry.head);
  for (Hold* hold : holds) {
    HOLDFAST_CHECK(hold->origin == from && finished(*hold) && hold->sequence <= floor);
    drop(*hold);
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
  for (Hold* hold : holds) drop(*hold);
  entry.floor = floor;
}

std::vector<HoldVersion> State::drop_absent(ReplicaId from, Sequence to, const HoldIds& present) {
  Origin& entry = origin(from);
  const Sequence upto = std::min(to, entry.floor);
  std::vector<Hold*> absent;
  for (auto at = entry.feed.begin_after(0); at != entry.feed.end() && at->first <= upto; ++at) {
    if (at->second->kind != RowKind::hold) continue;
    auto* hold = static_cast<Hold*>(at->second);
    if (!present.contains(hold->id)) absent.push_back(hold);
  }
  std::vector<HoldVersion> dropped;
  for (Hold* hold : absent) {
    dropped.push_back({hold->id, hold->sequence});
    drop(*hold);
  }
  return dropped;
}

void State::drop_version(ReplicaId from, const HoldVersion& version) {
  Hold* hold = hold_of(version.id, from);
  if (hold != nullptr && hold->sequence <= version.sequence) drop(*hold);
}

}  // namespace holdfast::crdt
