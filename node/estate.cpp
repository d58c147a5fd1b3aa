#include "node/estate.h"

#include <algorithm>
#include <vector>

namespace holdfast::node {

using crdt::FreedHold;
using crdt::Hold;
using crdt::HoldState;

namespace {

// The retired replicas whose copies this one has ended, or stands in for.
std::vector<ReplicaId> roots(const crdt::HoldRow& row) {
  std::vector<ReplicaId> of;
  if (row.estate_of) of.push_back(row.estate_of);
  for (const FreedHold& freed : row.freed) of.push_back(freed.of);
  return of;
}

const crdt::HoldLine* line_of(const crdt::HoldRow& row, const std::string& sku) {
  for (const crdt::HoldLine& line : row.lines)
    if (line.sku == sku) return &line;
  return nullptr;
}

// A line of nothing, if it has none of that SKU: so that it can say what was freed of it.
void make_line(crdt::HoldRow& row, const std::string& sku) {
  if (line_of(row, sku) != nullptr) return;
  const auto at = std::find_if(row.lines.begin(), row.lines.end(),
                               [&](const crdt::HoldLine& line) { return line.sku > sku; });
  const auto index = at - row.lines.begin();
  row.lines.insert(at, crdt::HoldLine{.sku = sku});
  for (FreedHold& freed : row.freed) freed.units.insert(freed.units.begin() + index, 0);
}

}  // namespace

Units told_of(const crdt::HoldRow& row, std::size_t line) {
  const Units held = row.lines[line].held;
  Units told =
      row.state == HoldState::held ? (row.estate_of ? 0 : held) : (row.estate_of ? -held : 0);
  for (const FreedHold& freed : row.freed) told -= freed.units[line];
  return told;
}

void Estate::heir_changed(ReplicaId retired, Times now) {
  std::vector<std::string> ids;
  const auto& all = state_.holds();
  for (auto at = all.lower_bound({retired, 0}); at != all.end() && at->first.first == retired; ++at)
    ids.push_back(at->second->id);
  for (const std::string& id : ids) reconcile(id, now);
}

void Estate::merged(const Hold& copy, Times now) {
  if (!state_.retired().empty() && copy.origin != state_.self()) reconcile(copy.id, now);
}

void Estate::reconcile(std::string_view id, Times now) {
  if (state_.retired(state_.self())) return;  // what it has is its own heir's to end
  if (Hold* own = state_.own_hold(id)) {
    for (const ReplicaId root : roots(own->row))
      if (state_.heir(root) != state_.self() || ended_before(id, root)) take_back(*own, root, now);
  }
  for (const Hold* copy = state_.first_copy(id); copy != nullptr; copy = copy->next_copy.get())
    if (state_.retired(copy->origin) && state_.heir(copy->origin) == state_.self())
      take_over(*copy, now);
}

// The retired replica's own end of its copy stands, and so does that of an heir before this one,
// which is retired by now. One that turns out to be no heir takes its own back itself.
bool Estate::ended_before(std::string_view id, ReplicaId root) const {
  for (const Hold* copy = state_.first_copy(id); copy != nullptr; copy = copy->next_copy.get()) {
    const crdt::HoldRow& row = copy->row;
    if (copy->origin == root && row.state != HoldState::held) return true;
    if (copy->origin == state_.self() || !state_.retired(copy->origin)) continue;
    const bool ended = row.estate_of != root || row.state != HoldState::held;
    if (crdt::stands_for(row, root) && ended) return true;
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
      own->row.digest == copy.row.digest && own->row.lines.size() == copy.row.lines.size();
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
      const crdt::HoldLine* there = line_of(copy.row, line.sku);
      freed.units.push_back(there == nullptr ? 0 : there->held);
    }
    const auto at = std::find_if(row.freed.begin(), row.freed.end(),
                                 [&](const FreedHold& one) { return one.of > freed.of; });
    row.freed.insert(at, std::move(freed));
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
    std::erase_if(row.freed, [&](const FreedHold& freed) { return freed.of == root; });
  });
  copies_.settle(own.id, now);
}

}  // namespace holdfast::node
