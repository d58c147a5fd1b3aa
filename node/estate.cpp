#include "node/estate.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

namespace holdfast::node {

using crdt::FreedHold;
using crdt::Hold;
using crdt::HoldState;
using crdt::UndoneEnd;

namespace {

// A line of nothing, if it has none of that SKU: so that it can say what was freed of it.
void make_line(crdt::HoldRow& row, const std::string& sku) {
  if (row.find(sku) != nullptr) return;
  const auto at = std::find_if(row.lines.begin(), row.lines.end(),
                               [&](const crdt::HoldLine& line) { return line.sku > sku; });
  const auto index = at - row.lines.begin();
  row.lines.insert(at, crdt::HoldLine{.sku = sku});
  for (FreedHold& freed : row.freed.edit()) freed.units.insert(freed.units.begin() + index, 0);
  for (UndoneEnd& undone : row.undone.edit()) {
    undone.units.insert(undone.units.begin() + index, 0);
    undone.again.insert(undone.again.begin() + index, 0);
  }
}

// The end of a home's copy, by itself. That row may stand in for another's since.
bool has_ended(const crdt::HoldRow& home) {
  return home.state != HoldState::held || home.estate_of;
}

bool has_ended(const crdt::HoldRow& row, ReplicaId root) {
  return crdt::stands_for(row, root) && (row.estate_of != root || row.state != HoldState::held);
}

}  // namespace

std::vector<ReplicaId> roots_of(const crdt::HoldRow& row) {
  std::vector<ReplicaId> of;
  if (row.estate_of) of.push_back(row.estate_of);
  for (const FreedHold& freed : row.freed) of.push_back(freed.of);
  return of;
}

Units ended_of(const crdt::HoldRow& row, std::size_t line, ReplicaId root) {
  const crdt::HoldLine& of = row.lines[line];
  if (!root)
    return row.state == HoldState::committed && !row.overruled ? of.committed - of.returned : 0;
  Units units = row.estate_of == root && row.state != HoldState::held ? of.held : 0;
  for (const FreedHold& freed : row.freed)
    if (freed.of == root) units += freed.units[line];
  return units;
}

Units told_of(const crdt::HoldRow& row, std::size_t line) {
  const Units held = row.lines[line].held;
  Units told =
      row.state == HoldState::held ? (row.estate_of ? 0 : held) : (row.estate_of ? -held : 0);
  for (const FreedHold& freed : row.freed) told -= freed.units[line];
  for (const UndoneEnd& undone : row.undone)
    if (undone.root) told += undone.units[line] - undone.again[line];
  return told;
}

void Estate::heir_changed(ReplicaId retired, Times now) {
  std::vector<std::string> ids;
  const auto& all = state_.holds();
  for (auto at = all.lower_bound({retired, 0}); at != all.end() && at->first.first == retired; ++at)
    ids.push_back(at->second->id);
  for (const std::string& id : ids) reconcile(id, now);
}

void Estate::came_anew(ReplicaId retired, Times now) {
  std::vector<std::string> ids;
  const auto& all = state_.holds();
  for (auto at = all.lower_bound({state_.self(), 0});
       at != all.end() && at->first.first == state_.self(); ++at)
    if (crdt::stands_for(at->second->row, retired)) ids.push_back(at->second->id);
  for (const std::string& id : ids) reconcile(id, now);
}

void Estate::merged(const Hold& copy, Times now) {
  if (!state_.retired().empty() && copy.origin != state_.self()) reconcile(copy.id, now);
}

void Estate::gone(std::string_view id, Times now) {
  if (!state_.retired().empty()) reconcile(id, now);
}

void Estate::reconcile(std::string_view id, Times now) {
  if (state_.retired(state_.self())) return;  // what it has is its own heir's to end
  if (Hold* own = state_.own_hold(id)) {
    for (const ReplicaId root : roots_of(own->row))
      if (state_.heir(root) != state_.self() || ended_before(id, root)) take_back(*own, root, now);
  }
  undo(id, now);
  for (const Hold* copy = state_.first_copy(id); copy != nullptr; copy = copy->next_copy.get())
    if (state_.retired(copy->origin) && state_.heir(copy->origin) == state_.self())
      take_over(*copy, now);
}

// The retired replica's own end of its copy stands, and so does that of an heir before this one,
// which is retired by now. One that turns out to be no heir takes its own back itself.
bool Estate::ended_before(std::string_view id, ReplicaId root) const {
  if (is_gone(id, root)) return true;
  for (const Hold* copy = state_.first_copy(id); copy != nullptr; copy = copy->next_copy.get()) {
    const crdt::HoldRow& row = copy->row;
    if (copy->origin == root && has_ended(row)) return true;
    if (copy->origin == state_.self() || !state_.retired(copy->origin)) continue;
    if (has_ended(row, root)) return true;
  }
  return false;
}

void Estate::take_over(const Hold& copy, Times now) {
  // What a retired heir stood in for is taken from its root, whose heir this replica is too.
  if (copy.row.state != HoldState::held || copy.row.estate_of || ended_before(copy.id, copy.origin))
    return;
  Hold* own = state_.own_hold(copy.id);
  if (own == nullptr) {
    crdt::HoldRow row = copy.row;
    row.freed.clear();
    row.undone.clear();
    row.extra.clear();
    stand_in(copy, row, now);
    ledger_.watch(state_.add_hold(copy.id, std::move(row)));
    return copies_.settle(copy.id, now);
  }
  if (crdt::stands_for(own->row, copy.origin)) {
    // Extended, before its home knew that it was retired.
    if (own->row.estate_of == copy.origin && own->row.state == HoldState::held &&
        copy.row.expires_at > own->row.expires_at)
      ledger_.prolong(*own, copy.row, now);
    return;
  }
  // With another body both stand (copies.h), but nobody else could end the retired one's.
  const bool same_body =
      own->row.digest == copy.row.digest &&
      std::equal(own->row.lines.begin(), own->row.lines.end(), copy.row.lines.begin(),
                 copy.row.lines.end(), [](const auto& a, const auto& b) { return a.sku == b.sku; });
  const bool gave_way = own->row.overruled && own->row.state == HoldState::released;
  if (!same_body || !gave_way || own->row.estate_of) return free_beside(copy, *own);
  state_.change_hold(*own, [&](crdt::HoldRow& row) { stand_in(copy, row, now); });
  ledger_.watch(*own);
  copies_.settle(own->id, now);
}

void Estate::stand_in(const Hold& copy, crdt::HoldRow& row, Times now) const {
  row.lines = copy.row.lines;
  row.state = HoldState::held;
  row.overruled = false;
  row.estate_of = row.adopted_from = copy.origin;
  row.ended_at = 0;
  row.expires_at = copy.row.expires_at;
  row.deadline = now.life_ms + Ledger::left_of(copy.row, now);
}

// This replica has a copy already: the retired one's units come back, whatever becomes of its own.
void Estate::free_beside(const Hold& copy, Hold& own) {
  for (const crdt::HoldLine& line : copy.row.lines)
    if (line.held > 0)
      state_.change_stock(*state_.product(line.sku),
                          [&](crdt::StockRow& row) { row.released += line.held; });
  state_.change_hold(own, [&](crdt::HoldRow& row) {
    for (const crdt::HoldLine& line : copy.row.lines)
      if (line.held > 0) make_line(row, line.sku);
    FreedHold freed{.of = copy.origin};
    for (const crdt::HoldLine& line : row.lines) {
      const crdt::HoldLine* there = copy.row.find(line.sku);
      freed.units.push_back(there == nullptr ? 0 : there->held);
    }
    std::vector<FreedHold>& all = row.freed.edit();
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const FreedHold& one) { return one.of > freed.of; });
    all.insert(at, std::move(freed));
  });
}

void Estate::take_back(Hold& own, ReplicaId root, Times now) {
  for (std::size_t i = 0; i < own.row.lines.size(); ++i) {
    const crdt::HoldLine& line = own.row.lines[i];
    Units units = own.row.estate_of == root ? line.held : 0;
    for (const FreedHold& freed : own.row.freed)
      if (freed.of == root) units += freed.units[i];
    if (units == 0) continue;
    crdt::Product& product = *state_.product(line.sku);
    state_.change_stock(product, [&](crdt::StockRow& row) { row.held += units; });
    owes_(product);
  }
  state_.change_hold(own, [&](crdt::HoldRow& row) {
    if (row.estate_of == root) row.estate_of = {};
    std::erase_if(row.freed.edit(), [&](const FreedHold& freed) { return freed.of == root; });
  });
  copies_.settle(own.id, now);
}

// The own entries become what they should be: what does not stand of those whose heir this replica
// is, less what other retired heirs of theirs have undone of it.
void Estate::undo(std::string_view id, Times now) {
  const Hold* first = state_.first_copy(id);
  struct Due {
    Amounts more;
    const Hold* copy = nullptr;  // what it says does not stand
    const Hold* standing = nullptr;
  };
  std::map<std::pair<ReplicaId, ReplicaId>, Due> all;  // by (of, root)
  for (const Hold* copy = first; copy != nullptr; copy = copy->next_copy.get()) {
    const bool own = copy->origin == state_.self();
    if (!own && !state_.retired(copy->origin)) continue;
    for (const UndoneEnd& undone : copy->row.undone) {
      if (!own && state_.heir(undone.of) != state_.self()) continue;
      Due& due = all[{undone.of, undone.root}];
      for (std::size_t i = 0; i < undone.units.size(); ++i)
        due.more[copy->row.lines[i].sku] -= undone.units[i] - undone.again[i];
    }
    if (own || state_.heir(copy->origin) != state_.self()) continue;
    const auto is_due = [&](ReplicaId root) -> Due& {
      Due& due = all[{copy->origin, root}];
      due.copy = copy;
      for (std::size_t i = 0; i < copy->row.lines.size(); ++i)
        due.more[copy->row.lines[i].sku] += ended_of(copy->row, i, root);
      return due;
    };
    for (const ReplicaId root : roots_of(copy->row))
      if (has_ended(copy->row, root) && ended_besides(*copy, root)) is_due(root);
    const bool sold = copy->row.state == HoldState::committed && !copy->row.overruled;
    if (const Hold* standing = sold ? sold_besides(*copy) : nullptr) is_due({}).standing = standing;
  }
  for (auto& [which, due] : all) {
    const auto& [of, root] = which;
    std::erase_if(due.more, [](const auto& entry) { return entry.second == 0; });
    if (due.more.empty()) continue;
    const Hold& copy = due.copy == nullptr ? *first : *due.copy;
    const Hold& own = change_undone(copy, of, root, due.more, now);
    if (!root && due.copy != nullptr) copies_.sold_twice(own, copy.row, due.standing->row);
  }
}

// Another end of the root's copy stands in place of that one.
bool Estate::ended_besides(const Hold& copy, ReplicaId root) const {
  if (is_gone(copy.id, root)) return true;
  for (const Hold* other = state_.first_copy(copy.id); other != nullptr;
       other = other->next_copy.get()) {
    if (other->origin == root && has_ended(other->row)) return true;
    if (state_.retired(other->origin) && other->origin < copy.origin && has_ended(other->row, root))
      return true;
  }
  return false;
}

// The sale that stands in place of that one. nullptr: none.
const Hold* Estate::sold_besides(const Hold& sale) const {
  for (const Hold* other = state_.first_copy(sale.id); other != nullptr;
       other = other->next_copy.get())
    if (other->row.state == HoldState::committed && !other->row.overruled &&
        other->row.digest == sale.row.digest && crdt::stands_before(*other, sale))
      return other;
  return nullptr;
}

// That copy was known to whoever ended it, and is not here: it has ended itself and was purged, or
// was of a history that is void. Where all rows of that replica are being taken anew: not yet.
bool Estate::is_gone(std::string_view id, ReplicaId root) const {
  return state_.head(root) > 0 && !state_.awaits(root) && state_.hold_of(id, root) == nullptr;
}

// `more`: what is to be undone besides; less than 0: what is to be done again.
Hold& Estate::change_undone(const Hold& copy, ReplicaId of, ReplicaId root, const Amounts& more,
                            Times now) {
  Hold* own = state_.own_hold(copy.id);
  if (own == nullptr) {  // of no units, and never to be shown
    crdt::HoldRow row{.digest = copy.row.digest,
                      .state = HoldState::released,
                      .overruled = true,
                      .expires_at = copy.row.expires_at,
                      .created_at = copy.row.created_at,
                      .ended_at = now.wall_ms};
    for (const crdt::HoldLine& line : copy.row.lines) row.lines.push_back({.sku = line.sku});
    own = &state_.add_hold(copy.id, std::move(row));
  }
  for (const auto& [sku, units] : more) {
    crdt::Product& product = state_.make_product(sku);
    state_.change_stock(product, [&, units = units](crdt::StockRow& row) {
      if (units > 0) {
        (root ? row.held : row.voided) += units;
      } else if (root) {
        row.released -= units;
      } else {  // sold once more
        row.held -= units;
        row.sold -= units;
      }
    });
    if (bool(root) == (units > 0)) owes_(product);
  }
  state_.change_hold(*own, [&](crdt::HoldRow& row) {
    for (const auto& [sku, units] : more) make_line(row, sku);
    std::vector<UndoneEnd>& all = row.undone.edit();
    auto at = std::find_if(all.begin(), all.end(), [&](const UndoneEnd& one) {
      return std::pair(one.of, one.root) >= std::pair(of, root);
    });
    if (at == all.end() || at->of != of || at->root != root) {
      const std::vector<Units> none(row.lines.size());
      at = all.insert(at, {.of = of, .root = root, .units = none, .again = none});
    }
    for (std::size_t i = 0; i < row.lines.size(); ++i) {
      const auto change = more.find(row.lines[i].sku);
      if (change == more.end()) continue;
      (change->second > 0 ? at->units : at->again)[i] += std::abs(change->second);
    }
  });
  return *own;
}

}  // namespace holdfast::node
