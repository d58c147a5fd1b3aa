#include "sim/lost_heirs.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace holdfast::sim {

using crdt::Hold;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::ReplicaId;
using crdt::State;
using crdt::Units;

namespace {

// By SKU, what of one retired replica's copy has come back, or was sold, by heirs' ends.
struct Ends {
  Units all = 0;   // less what was undone
  Units lost = 0;  // of these, by heirs that nobody speaks for
};
using EndsOf = std::map<std::string, Ends>;

template <typename Each>
void each_copy(const State& here, const Hold& of, Each&& each) {
  for (const Hold* copy = here.first_copy(of.id); copy != nullptr; copy = copy->next_copy.get())
    each(*copy);
}

// What its row says that it ended of `root`'s copy, in units of a line.
Units ended(const HoldRow& row, std::size_t line, ReplicaId root) {
  Units units = row.estate_of == root && row.state != HoldState::held ? row.lines[line].held : 0;
  for (const crdt::FreedHold& freed : row.freed)
    if (freed.of == root) units += freed.units[line];
  return units;
}

EndsOf ends_of(const State& here, const Hold& any, ReplicaId root,
               const std::function<bool(ReplicaId)>& is_lost) {
  EndsOf ends;
  each_copy(here, any, [&](const Hold& copy) {
    for (std::size_t i = 0; i < copy.row.lines.size(); ++i) {
      Ends& of = ends[copy.row.lines[i].sku];
      const Units units = ended(copy.row, i, root);
      of.all += units;
      if (is_lost(copy.origin)) of.lost += units;
      for (const crdt::UndoneEnd& undone : copy.row.undone) {
        if (undone.root != root) continue;
        of.all -= undone.units[i] - undone.again[i];
        if (is_lost(undone.of)) of.lost -= undone.units[i] - undone.again[i];
      }
    }
  });
  return ends;
}

bool is_sale(const HoldRow& row) { return row.state == HoldState::committed && !row.overruled; }

}  // namespace

std::map<std::string, EndedTwice> ended_twice(const State& here, const std::set<ReplicaId>& alive) {
  const auto is_lost = [&](ReplicaId replica) { return !alive.contains(here.heir(replica)); };
  std::map<std::string, EndedTwice> twice;
  if (here.retired().empty()) return twice;
  std::set<std::pair<std::string, ReplicaId>> roots;  // of holds that such an heir has ended
  for (const auto& [number, hold] : here.holds()) {
    if (!is_lost(hold->origin)) continue;
    if (hold->row.estate_of) roots.emplace(hold->id, hold->row.estate_of);
    for (const crdt::FreedHold& freed : hold->row.freed) roots.emplace(hold->id, freed.of);
    if (!hold->row.estate_of || !is_sale(hold->row)) continue;
    bool sold_besides = false;
    each_copy(here, *hold, [&](const Hold& copy) {
      sold_besides = sold_besides || (&copy != hold && is_sale(copy.row));
    });
    if (!sold_besides) continue;
    for (const crdt::HoldLine& line : hold->row.lines) {
      twice[line.sku].sold += line.committed;
      twice[line.sku].returned += line.returned;
    }
  }
  for (const auto& [id, root] : roots) {
    // Whose copy is not here has ended it, and it was purged; or its history is void: what it held
    // is in no sum.
    const Hold* copy = here.hold_of(id, root);
    const bool by_itself =
        copy == nullptr || copy->row.state != HoldState::held || copy->row.estate_of;
    for (const auto& [sku, ends] : ends_of(here, *here.first_copy(id), root, is_lost)) {
      const crdt::HoldLine* line = by_itself ? nullptr : copy->row.find(sku);
      const Units due = line == nullptr ? 0 : line->held;
      const Units besides = std::min(ends.all - due, ends.lost);
      if (besides > 0) twice[sku].held += besides;
    }
  }
  return twice;
}

}  // namespace holdfast::sim
