#include "node/purge.h"

#include <algorithm>

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldState;
using crdt::Instant;
using crdt::Millis;
using crdt::Sequence;

namespace {

constexpr std::size_t kLooksAtOnce = 2'000;
constexpr Millis kEvery{5'000};  // as often as member rows are written anyway
constexpr Millis kGoOn{10};      // when there is more

bool held_elsewhere(const crdt::State& state, const Hold& hold) {
  for (const Hold* copy = state.first_copy(hold.id); copy != nullptr; copy = copy->next_copy.get())
    if (copy != &hold && copy->row.state == HoldState::held) return true;
  return false;
}

// It ended, or stands in for, a retired replica's copy, of which nothing is here: that origin was
// dropped, and is being taken anew. Its heir would end that copy once more if it forgot this.
bool root_is_away(const crdt::State& state, const crdt::HoldRow& row) {
  const auto away = [&](ReplicaId root) { return root && state.head(root) == 0; };
  return away(row.estate_of) ||
         std::any_of(row.freed.begin(), row.freed.end(),
                     [&](const crdt::FreedHold& freed) { return away(freed.of); });
}

// Another copy of it is here, and this one stands: it goes last, else the other would show its end.
bool outlives_others(const crdt::State& state, const Hold& hold) {
  const Hold* first = state.first_copy(hold.id);
  return (first != &hold || hold.next_copy != nullptr) && state.hold(hold.id) == &hold;
}

// More than one has ended one of these copies, or sold it. What an heir has undone of that, or has
// still to undo, only the rows tell (estate.h).
bool ended_twice(const crdt::State& state, const Hold& hold) {
  for (const Hold* copy = state.first_copy(hold.id); copy != nullptr; copy = copy->next_copy.get())
    if (!copy->row.undone.empty() || crdt::stands_for(copy->row, hold.origin) ||
        crdt::stands_for(hold.row, copy->origin))
      return true;
  return false;
}

}  // namespace

void Purge::tick(Instant now, Times times) {
  if (now < due_) return;
  std::size_t looks = kLooksAtOnce;
  bool more = false;
  for (const auto& [origin, head] : state_.vector())
    if (origin == state_.self() || state_.retired(origin))
      more = look(origin, looks, now, times) || more;
  due_ = now + (more ? kGoOn : kEvery);
}

// True: there are rows that have not been looked at.
bool Purge::look(ReplicaId origin, std::size_t& looks, Instant now, Times times) {
  const crdt::Feed* feed = state_.feed(origin);
  if (feed == nullptr) return false;
  const bool own = origin == state_.self();
  const Sequence known = acknowledged(origin);
  Sequence& looked = looked_[origin];
  looked = std::max(looked, state_.floor(origin));
  std::vector<Hold*> drops, moves;
  Sequence floor = 0;
  bool more = false;
  for (auto at = feed->begin_after(looked); at != feed->end(); ++at) {
    more = looks == 0;
    if (more) break;
    --looks;
    const Verdict verdict = judge(*at->second, known, times);
    if (verdict == Verdict::stay) break;
    if (verdict == Verdict::drop) {
      drops.push_back(static_cast<Hold*>(at->second));
      floor = at->first;
    } else if (verdict == Verdict::move) {
      auto* hold = static_cast<Hold*>(at->second);
      if (!own || !may_move(*hold, now)) break;
      moves.push_back(hold);
    }
    looked = at->first;
  }
  for (Hold* hold : moves) {
    moved_[hold->row.number] = now;
    state_.change_hold(*hold, [](crdt::HoldRow&) {});
  }
  if (drops.empty()) return more;
  if (own)
    for (const Hold* hold : drops) moved_.erase(hold->row.number);
  state_.purge(origin, drops, floor);
  if (!own) untold_.push_back({.origin = origin, .floor = floor});
  return more;
}

void Purge::forget(ReplicaId origin) {
  looked_.erase(origin);
  std::erase_if(untold_, [&](const JournalDrop& drop) { return drop.origin == origin; });
}

// How far all that may ever come back have this origin's rows, as their member rows say. Not by
// what was acknowledged on links: a member row is written after what its applying caused.
Sequence Purge::acknowledged(ReplicaId origin) const {
  Sequence least = state_.head(origin);
  for (const auto& [replica, member] : state_.members()) {
    if (replica == origin || replica == state_.self() || state_.retired(replica)) continue;
    const auto& known = member->row.acknowledged;
    const auto at = std::lower_bound(
        known.begin(), known.end(), origin,
        [](const crdt::VectorEntry& entry, ReplicaId wanted) { return entry.origin < wanted; });
    least = std::min(least, at == known.end() || at->origin != origin ? 0 : at->sequence);
  }
  return least;
}

Purge::Verdict Purge::judge(const crdt::FeedItem& item, Sequence acknowledged, Times times) const {
  if (item.kind != crdt::RowKind::hold) return Verdict::pass;
  const auto& hold = static_cast<const Hold&>(item);
  if (hold.row.state == HoldState::held) return Verdict::pass;  // its end moves it on
  if (hold.dirty || hold.sequence > acknowledged) return Verdict::stay;
  if (hold.row.ended_at > times.wall_ms) return Verdict::move;
  if (hold.row.ended_at > times.wall_ms - keep_.count()) return Verdict::stay;
  const bool stays = held_elsewhere(state_, hold) || outlives_others(state_, hold) ||
                     root_is_away(state_, hold.row) || ended_twice(state_, hold);
  return stays ? Verdict::move : Verdict::drop;
}

bool Purge::may_move(const Hold& hold, Instant now) const {
  const auto at = moved_.find(hold.row.number);
  return at == moved_.end() || now - at->second >= keep_;
}

}  // namespace holdfast::node
