// Copies of one reservation: who gives way does so at once, and never all of them.

#include "sim/checks.h"

namespace holdfast::sim {

using crdt::Hold;
using crdt::HoldState;
using crdt::ReplicaId;

namespace {

// What heirs do is judged by the totals (node/estate.h).
bool of_an_estate(const Hold& copy) {
  return copy.row.estate_of || !copy.row.freed.empty() || !copy.row.undone.empty();
}

}  // namespace

// An own copy was merged into the ghost, and is overruled.
void Checks::check_gave_way(const std::string& where, const Hold& own) {
  const auto stands = [&](const crdt::State& rows) {
    for (const Hold* copy = rows.first_copy(own.id); copy != nullptr; copy = copy->next_copy.get())
      if (of_an_estate(*copy) ||
          (copy != &own && !copy->row.overruled && copy->row.digest == own.row.digest))
        return true;
    return false;
  };
  if (stands(ghost_)) return;
  for (const auto& [origin, all] : histories_)  // nobody has found out that it is one of two
    for (const auto& history : all)
      if (!history->reissued && stands(*history->rows)) return;
  fail("no-copy-stands", where + own.id + " gave way, and no copy stands");
}

// A copy of another was merged by this replica, whose batch is durable.
void Checks::check_gives_way(const std::string& where, ReplicaId self, Copy&& copy) {
  const Hold* own = ghost_.hold_of(copy.id, self);
  if (own == nullptr) return;
  Hold other;
  other.origin = copy.origin;
  other.row = std::move(copy.row);
  if (own->row.overruled || other.row.overruled || own->row.digest != other.row.digest ||
      ghost_.retired(self) || of_an_estate(*own) || of_an_estate(other))
    return;
  const bool committed = other.row.state == HoldState::committed;
  const bool ended = committed || other.row.state == HoldState::released;
  const bool must =
      (own->row.state == HoldState::held && ended) ||
      (own->row.state == HoldState::released && committed) ||
      (own->row.state == HoldState::committed && committed && crdt::stands_before(other, *own));
  if (must)
    fail("copy-kept", where + own->id + " stands, though it knows of the copy of " +
                          crdt::to_string(other.origin));
}

}  // namespace holdfast::sim
