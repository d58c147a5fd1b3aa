#include "node/copies.h"

#include <algorithm>
#include <vector>

#include "node/undo_keys.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldLine;
using crdt::HoldState;

namespace {

bool same_sale(const crdt::HoldRow& a, const crdt::HoldRow& b) {
  return std::equal(
      a.lines.begin(), a.lines.end(), b.lines.begin(), b.lines.end(),
      [](const HoldLine& x, const HoldLine& y) { return x.committed == y.committed; });
}

bool is_record(const Hold& hold) { return hold.row.metadata->starts_with(kRecordPrefix); }

constexpr std::size_t kLooksAtOnce = 1'000;
constexpr std::size_t kKeyBytesMax = 1'024;  // of a key row: peers take no longer one

// Which of all rows that ever had this name: ids and keys may be used again when they are gone.
std::uint64_t which(const Hold& hold) { return hold.row.number; }
std::uint64_t which(const crdt::Key& key) { return static_cast<std::uint64_t>(key.row.created_at); }

}  // namespace

void Copies::start(Times now) {
  std::vector<std::string> ids;
  for (const auto& [key, hold] : state_.holds())
    if (hold->origin == state_.self() && state_.first_copy(hold->id)->next_copy)
      ids.push_back(hold->id);
  for (const std::string& id : ids) settle(id, now);
  settle_keys(state_.self(), now);  // a fork's successor has copies that were never merged here
}

void Copies::settle(std::string_view id, Times now) {
  Hold* own = state_.own_hold(id);
  if (own == nullptr || own->row.overruled || state_.retired(state_.self())) return;
  keep_promises(*own, now);
  for (const Hold* other = state_.first_copy(id); other != nullptr; other = other->next_copy.get())
    if (other != own && !other->row.overruled && gives_way(*own, *other)) {
      if (ledger_.overrule(*own, *other, now))
        conflict(id, which(*own),
                 "reservation '" + std::string(id) +
                     "' was released here and committed elsewhere; the commit stands");
      ++overruled_;
      return around_.freed(*own);
    }
}

bool Copies::gives_way(const Hold& own, const Hold& other) {
  if (own.row.digest != other.row.digest) {
    conflict(
        own.id, which(own),
        "reservation '" + own.id + "' was made in two places with unequal requests; both stand");
    return false;
  }
  if (stands_for(other.row, own.origin)) return false;  // it ends this very hold (estate.h)
  const bool there_ended =
      other.row.state == HoldState::committed || other.row.state == HoldState::released;
  switch (own.row.state) {
    case HoldState::held:
      if (there_ended) return true;
      // The place of a retired home's is its heir's to take (estate.h).
      if (other.row.state != HoldState::held || own.row.estate_of || state_.retired(other.origin))
        return false;
      // An adopter's promise to a customer is kept until its home has taken it over.
      if (in_line(own.row) != in_line(other.row))
        return in_line(other.row) && other.row.expires_at >= own.row.expires_at;
      return other.origin < own.origin;
    case HoldState::committed:
      if (other.row.state != HoldState::committed) return false;
      sold_twice(own, own.row, other.row);
      return stands_before(other, own);
    case HoldState::released:
      // Of two records of a router neither may have sold anything itself, and their parts have.
      return other.row.state == HoldState::committed ||
             (other.row.state == HoldState::released && is_record(own) &&
              stands_before(other, own));
    case HoldState::expired:
      return false;  // its units are back
  }
  return false;
}

void Copies::sold_twice(const Hold& own, const crdt::HoldRow& one, const crdt::HoldRow& other) {
  if (!same_sale(one, other))
    conflict(own.id, which(own),
             "reservation '" + own.id +
                 "' was committed in two places with unequal lines; one of them stands");
}

// An own hold lives as long as whoever adopted it has said, whether that copy still stands or not.
void Copies::keep_promises(Hold& own, Times now) {
  if (own.row.state != HoldState::held || !in_line(own.row)) return;
  for (const Hold* copy = state_.first_copy(own.id); copy != nullptr;
       copy = copy->next_copy.get()) {
    const bool was_held = copy->row.state == HoldState::held ||
                          (copy->row.state == HoldState::released && copy->row.overruled);
    const bool of_mine = copy->row.adopted_from == state_.self() ||
                         (own.row.estate_of && copy->row.adopted_from == own.row.estate_of);
    if (copy != &own && was_held && of_mine && copy->row.digest == own.row.digest &&
        copy->row.expires_at > own.row.expires_at)
      ledger_.prolong(own, copy->row, now);
  }
}

// Another replica did it, too, and that stands (one that is undone itself does not): a return
// before all others, as it cannot be undone. Or it undoes what proves to be undone already.
bool Copies::is_surplus(const crdt::Key& copy) const {
  const auto order = [](const crdt::Key& key) {
    return std::pair(key.row.effect != static_cast<std::uint8_t>(RowEffect::returned), key.origin);
  };
  for (const crdt::Key* other = state_.first_key(copy.key); other != nullptr;
       other = other->next_copy.get())
    if (order(*other) < order(copy) && other->row.state == 0 &&
        other->row.digest == copy.row.digest)
      return true;
  const auto of = undone_by(copy.key);
  const crdt::Key* undone = of ? state_.key_of(of->key, of->replica) : nullptr;
  return undone != nullptr && undone->row.state != 0;
}

void Copies::undo(crdt::Key& own) {
  if (!ledger_.undo(own)) return;
  ++keys_undone_;
  around_.owes(*state_.product(own.row.sku));
}

void Copies::settle_key(const std::string& key, Times now) {
  if (state_.retired(state_.self())) return;
  crdt::Key* own = state_.own_key(key);
  std::vector<std::string> more;  // that this decides
  for (crdt::Key* copy = state_.first_key(key); copy != nullptr; copy = copy->next_copy.get()) {
    if (own != nullptr && copy != own && own->row.digest != copy->row.digest)
      conflict(key, which(*own),
               "an Idempotency-Key was used for two requests: " + key.substr(0, key.find('\n')));
    if (copy == own || !state_.retired(copy->origin)) continue;
    const std::string name = undo_name(copy->origin, copy->key);
    if (copy->row.state != 0) {
      more.push_back(name);
    } else if (state_.heir(copy->origin) == state_.self() && is_surplus(*copy) &&
               name.size() <= kKeyBytesMax && state_.first_key(name) == nullptr &&
               ledger_.undo_for(copy->row, name, now)) {
      ++keys_undone_;
      around_.owes(*state_.product(copy->row.sku));
      more.push_back(name);
    }
  }
  if (own != nullptr && is_surplus(*own)) undo(*own);
  for (const std::string& name : more)
    if (state_.first_key(name) != nullptr) settle_key(name, now);
  redo(key, now);
}

std::vector<std::string> Copies::shared_keys(ReplicaId origin) const {
  std::vector<std::string> keys;
  const crdt::Feed* rows = state_.feed(origin);
  if (rows == nullptr) return keys;
  for (auto at = rows->begin_after(0); at != rows->end(); ++at) {
    if (at->second->kind != crdt::RowKind::key) continue;
    const std::string& key = static_cast<const crdt::Key&>(*at->second).key;
    if (state_.first_key(key)->next_copy) keys.push_back(key);
  }
  return keys;
}

// Not whenever no reason is seen: the lower one's row may have been forgotten with its age.
void Copies::reconsider_key(const std::string& key, Times now) {
  for (crdt::Key* copy = state_.first_key(key); copy != nullptr; copy = copy->next_copy.get())
    if (crdt::Key* own = state_.own_key(undo_name(copy->origin, key));
        own != nullptr && !is_surplus(*copy))
      undo(*own);
  reconsidered_.insert(key);
  redo(key, now);
}

// If nobody's stands, the lowest replica does it again, under a key of its own.
void Copies::redo(const std::string& key, Times now) {
  const auto due = reconsidered_.find(key);
  if (due == reconsidered_.end() || state_.retired(state_.self())) return;
  const crdt::Key* own = state_.own_key(key);
  const std::string undone = undo_name(state_.self(), key), name = undo_name(state_.self(), undone);
  const bool done = own == nullptr || own->row.state == 0 || state_.own_key(name) != nullptr;
  if (done || name.size() > kKeyBytesMax) {
    reconsidered_.erase(due);
    return;
  }
  for (const crdt::Key* copy = state_.first_key(key); copy != nullptr; copy = copy->next_copy.get())
    if (copy->row.digest == own->row.digest &&
        (copy->row.state == 0 || copy->origin < state_.self()))
      return;
  if (ledger_.undo_for(undo_row(own->row, now.wall_ms), name, now))
    around_.owes(*state_.product(own->row.sku));
}

void Copies::heir_changed(ReplicaId retired, Times now) {
  if (state_.heir(retired) == state_.self()) settle_keys(retired, now);
}

// All keys of that origin about which anything may be left to decide.
void Copies::settle_keys(ReplicaId origin, Times now) {
  const crdt::Feed* rows = state_.feed(origin);
  if (rows == nullptr) return;
  std::vector<std::string> keys;
  for (auto at = rows->begin_after(0); at != rows->end(); ++at) {
    if (at->second->kind != crdt::RowKind::key) continue;
    const auto& copy = static_cast<const crdt::Key&>(*at->second);
    if (state_.first_key(copy.key)->next_copy || copy.row.state != 0 || undone_by(copy.key))
      keys.push_back(copy.key);
  }
  for (const std::string& key : keys) settle_key(key, now);
}

// Of the own row of that name; none: it is gone. A key has a line feed in it, an id has none.
std::optional<std::uint64_t> Copies::own_row(const std::string& of) const {
  if (const Hold* hold = state_.own_hold(of)) return which(*hold);
  if (const crdt::Key* key = state_.own_key(of)) return which(*key);
  return std::nullopt;
}

void Copies::tick() {
  auto at = told_.upper_bound(looked_);
  for (std::size_t looks = 0; at != told_.end() && looks < kLooksAtOnce; ++looks) {
    looked_ = at->first;
    at = own_row(at->first) == at->second ? std::next(at) : told_.erase(at);
  }
  if (at == told_.end()) looked_.clear();
  std::erase_if(reconsidered_,
                [&](const std::string& key) { return state_.own_key(key) == nullptr; });
}

void Copies::conflict(std::string_view of, std::uint64_t row, std::string what) {
  const auto [at, fresh] = told_.try_emplace(std::string(of), row);
  if (!fresh && at->second == row) return;
  at->second = row;
  ++conflicts_;
  around_.tell(std::move(what));
}

namespace {

// What of each line is to stay held or sold; by SKU it is what `lines` ask for, or everything.
std::variant<std::vector<Units>, Outcome> wanted_of(const Hold& hold, const Commit& commit) {
  std::vector<Units> units;
  for (const HoldLine& line : hold.row.lines) units.push_back(commit.lines ? 0 : line.held);
  if (!commit.lines) return units;
  for (const Line& line : summed(*commit.lines)) {
    const HoldLine* at = hold.row.find(line.sku);
    if (at == nullptr || line.quantity > at->held)
      return refused(Code::out_of_range, "reservation '" + hold.id + "' does not hold " +
                                             std::to_string(line.quantity) + " of '" + line.sku +
                                             "'");
    units[at - hold.row.lines.data()] = line.quantity;
  }
  return units;
}

}  // namespace

std::optional<Outcome> Copies::adopt(const Hold& standing, const ReservationCommand& command,
                                     Times now) {
  Hold& there = *state_.hold_of(standing.id, standing.origin);
  const auto* commit = std::get_if<Commit>(&command);
  const auto* extend = std::get_if<Extend>(&command);
  if (there.row.state != HoldState::held)  // it is only shown, or refused
    return commit != nullptr   ? ledger_.commit(there, *commit, now)
           : extend != nullptr ? ledger_.extend(there, extend->ttl_seconds, now)
                               : ledger_.release(there, now);
  if (state_.own_hold(there.id) != nullptr)
    return refused(Code::home_unreachable,
                   "reservation '" + there.id +
                       "' stands at a replica that cannot be reached, and its copy here gave way; "
                       "try again at another node, or later");
  std::vector<Units> needed(there.row.lines.size());
  if (extend != nullptr)
    for (std::size_t i = 0; i < needed.size(); ++i) needed[i] = there.row.lines[i].held;
  if (commit != nullptr) {
    auto wanted = wanted_of(there, *commit);
    if (auto* refusal = std::get_if<Outcome>(&wanted)) return std::move(*refusal);
    needed = std::get<std::vector<Units>>(std::move(wanted));
  }
  if (ledger_.lacking(there, needed) > 0 && !around_.may_seize(there)) return std::nullopt;
  // Beyond the home's own promise, so that the home knows whose is the later one.
  const std::int64_t until = extend == nullptr
                                 ? there.row.expires_at
                                 : std::max(there.row.expires_at + 1,
                                            now.wall_ms + std::int64_t{1000} * extend->ttl_seconds);
  ledger_.adopt(there, needed, until, now);
  ++adoptions_;
  Hold& own = *state_.own_hold(there.id);
  return commit != nullptr   ? ledger_.commit(own, *commit, now)
         : extend != nullptr ? ledger_.shown(own, Code::ok)
                             : ledger_.release(own, now);
}

}  // namespace holdfast::node
