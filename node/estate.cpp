#include "node/estate.h"

#include <vector>

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldState;

namespace {

bool stands_in(const crdt::HoldRow& row) { return row.estate || !row.freed.empty(); }

}  // namespace

void Estate::heir_changed(ReplicaId retired, Times now) {
  if (state_.retired(state_.self())) return;
  std::vector<Hold*> holds;
  const auto& all = state_.holds();
  for (auto at = all.lower_bound({retired, 0}); at != all.end() && at->first.first == retired; ++at)
    holds.push_back(at->second);
  const bool mine = state_.heir(retired) == state_.self();
  for (Hold* copy : holds) {
    Hold* own = state_.own_hold(copy->id);
    if (!mine && own != nullptr && stands_in(own->row) &&
        (own->row.adopted_from == retired || !own->row.freed.empty())) {
      take_back(*own, now);
    } else {
      merged(*copy, now);
    }
  }
}

void Estate::merged(const Hold& copy, Times now) {
  if (copy.origin == state_.self() || state_.retired(state_.self())) return;
  if (Hold* own = state_.own_hold(copy.id); own != nullptr && stands_in(own->row)) {
    if (ended_before(copy)) {
      take_back(*own, now);
    } else if (own->row.estate && own->row.state == HoldState::held && crdt::in_line(copy.row) &&
               copy.row.state == HoldState::held && copy.row.expires_at > own->row.expires_at) {
      ledger_.prolong(*own, copy.row.expires_at, now);  // extended before its home knew
    }
  }
  for (const Hold* one = state_.first_copy(copy.id); one != nullptr; one = one->next_copy.get())
    if (state_.retired(one->origin) && state_.heir(one->origin) == state_.self())
      return take_over(*one, now);
}

// The home's own end, or that of an heir before this one, stands. One that was no heir takes its
// own back itself.
bool Estate::ended_before(const Hold& copy) const {
  return copy.origin != state_.self() && crdt::in_line(copy.row) &&
         copy.row.state != HoldState::held && (!copy.row.estate || state_.retired(copy.origin));
}

bool Estate::ended_elsewhere(std::string_view id) const {
  const Hold* copy = state_.first_copy(id);
  for (; copy != nullptr; copy = copy->next_copy.get())
    if (ended_before(*copy)) return true;
  return false;
}

void Estate::take_over(const Hold& copy, Times now) {
  if (copy.row.state != HoldState::held || copy.row.overruled || !crdt::in_line(copy.row) ||
      ended_elsewhere(copy.id))
    return;
  Hold* own = state_.own_hold(copy.id);
  if (own == nullptr) {
    crdt::HoldRow row = copy.row;
    row.adopted_from = copy.origin;
    row.estate = true;
    row.deadline = now.life_ms + std::max<std::int64_t>(0, copy.row.expires_at - now.wall_ms);
    row.extra.clear();
    ledger_.watch(state_.add_hold(copy.id, std::move(row)));
    return copies_.settle(copy.id, now);
  }
  if (stands_in(own->row)) return;
  const bool gave_way = own->row.overruled && own->row.state == HoldState::released &&
                        own->row.digest == copy.row.digest;
  if (gave_way) return take_up(copy, *own, now);
  if (own->row.digest == copy.row.digest)
    free_beside(copy, *own);  // else: a conflict, see copies.h
}

// The copy here had given way to the one whose home is retired now: it takes its place.
void Estate::take_up(const Hold& copy, Hold& own, Times now) {
  state_.change_hold(own, [&](crdt::HoldRow& row) {
    row.lines = copy.row.lines;
    row.state = HoldState::held;
    row.overruled = false;
    row.estate = true;
    row.adopted_from = copy.origin;
    row.ended_at = 0;
    row.expires_at = copy.row.expires_at;
    row.deadline = now.life_ms + std::max<std::int64_t>(0, copy.row.expires_at - now.wall_ms);
  });
  ledger_.watch(own);
  copies_.settle(own.id, now);
}

// This replica has a copy with units of its own: the home's come back, whatever becomes of it.
void Estate::free_beside(const Hold& copy, Hold& own) {
  std::vector<std::uint32_t> freed;
  for (const crdt::HoldLine& line : copy.row.lines) {
    freed.push_back(line.held);
    if (line.held > 0)
      state_.change_stock(*state_.product(line.sku),
                          [&](crdt::StockRow& row) { row.released += line.held; });
  }
  state_.change_hold(own, [&](crdt::HoldRow& row) { row.freed = std::move(freed); });
}

void Estate::take_back(Hold& own, Times now) {
  for (std::size_t i = 0; i < own.row.lines.size(); ++i) {
    const crdt::HoldLine& line = own.row.lines[i];
    const Units units =
        (own.row.estate ? line.held : 0) + (own.row.freed.empty() ? 0 : Units{own.row.freed[i]});
    if (units == 0) continue;
    crdt::Product& product = *state_.product(line.sku);
    state_.change_stock(product, [&](crdt::StockRow& row) { row.held += units; });
    owes_(product);
  }
  state_.change_hold(own, [](crdt::HoldRow& row) {
    row.estate = false;
    row.freed.clear();
  });
  copies_.settle(own.id, now);
}

}  // namespace holdfast::node
