#include "node/estate.h"

#include <vector>

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldState;

namespace {

// A home's copy, or an heir's of it: not one that was adopted with units of its own.
bool in_line(const Hold& copy) { return copy.row.estate || !bool(copy.row.adopted_from); }

}  // namespace

void Estate::heir_changed(ReplicaId retired, Times now) {
  std::vector<Hold*> holds;
  const auto& all = state_.holds();
  for (auto at = all.lower_bound({retired, 0}); at != all.end() && at->first.first == retired; ++at)
    holds.push_back(at->second);
  const bool mine = state_.heir(retired) == state_.self();
  for (Hold* copy : holds) {
    if (mine) {
      take_over(*copy, now);
    } else if (Hold* own = state_.own_hold(copy->id);
               own != nullptr && own->row.estate && own->row.adopted_from == retired) {
      take_back(*own, now);
    }
  }
}

void Estate::merged(const Hold& copy, Times now) {
  if (copy.origin == state_.self()) return;
  Hold* own = state_.own_hold(copy.id);
  if (own != nullptr && own->row.estate) {
    if (in_line(copy) && copy.row.state != HoldState::held) take_back(*own, now);
    return;
  }
  if (state_.retired(copy.origin) && state_.heir(copy.origin) == state_.self())
    take_over(copy, now);
}

bool Estate::ended_elsewhere(std::string_view id) const {
  const Hold* copy = state_.first_copy(id);
  for (; copy != nullptr; copy = copy->next_copy.get())
    if (in_line(*copy) && copy->row.state != HoldState::held) return true;
  return false;
}

void Estate::take_over(const Hold& copy, Times now) {
  if (copy.row.state != HoldState::held || copy.row.overruled || !in_line(copy)) return;
  if (ended_elsewhere(copy.id)) return;
  if (Hold* own = state_.own_hold(copy.id); own != nullptr) return take_over_beside(copy, *own);
  crdt::HoldRow row = copy.row;
  row.adopted_from = copy.origin;
  row.estate = true;
  row.deadline = now.life_ms + std::max<std::int64_t>(0, copy.row.expires_at - now.wall_ms);
  row.extra.clear();
  ledger_.watch(state_.add_hold(copy.id, std::move(row)));
  copies_.settle(copy.id, now);
}

// This replica had adopted the hold before: the home's units come back here, whatever became of it.
void Estate::take_over_beside(const Hold& copy, Hold& own) {
  if (own.row.estate || own.row.digest != copy.row.digest || own.row.state == HoldState::held)
    return;
  for (const crdt::HoldLine& line : copy.row.lines) {
    if (line.held == 0) continue;
    state_.change_stock(*state_.product(line.sku),
                        [&](crdt::StockRow& row) { row.released += line.held; });
  }
  state_.change_hold(own, [&](crdt::HoldRow& row) {
    row.estate = true;
    for (std::size_t i = 0; i < row.lines.size(); ++i) row.lines[i].held = copy.row.lines[i].held;
  });
}

void Estate::take_back(Hold& own, Times now) {
  for (const crdt::HoldLine& line : own.row.lines) {
    if (line.held == 0) continue;
    state_.change_stock(*state_.product(line.sku),
                        [&](crdt::StockRow& row) { row.held += line.held; });
  }
  state_.change_hold(own, [](crdt::HoldRow& row) { row.estate = false; });
  copies_.settle(own.id, now);
}

}  // namespace holdfast::node
