#include "node/copies.h"

#include <algorithm>
#include <vector>

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldLine;
using crdt::HoldState;

void Copies::start(Times now) {
  std::vector<std::string> ids;
  for (const auto& [key, hold] : state_.holds())
    if (hold->origin == state_.self() && state_.first_copy(hold->id)->next_copy)
      ids.push_back(hold->id);
  for (const std::string& id : ids) settle(id, now);
}

void Copies::settle(std::string_view id, Times now) {
  Hold* own = state_.own_hold(id);
  if (own == nullptr || own->row.overruled) return;
  const Hold* standing = state_.hold(id);
  if (standing == own) return;
  if (own->row.digest != standing->row.digest)
    return conflict("reservation '" + std::string(id) +
                    "' was made in two places with unequal requests; both stand");
  if (own->row.state == HoldState::expired) return;                  // its units are back
  if (own->row.estate && own->row.state != HoldState::held) return;  // see estate.h
  if (ledger_.overrule(*own, *standing, now))
    conflict("reservation '" + std::string(id) +
             "' was released here and committed elsewhere; the commit stands");
  ++overruled_;
  freed_(*own);
}

void Copies::merged(const crdt::Key& other) {
  crdt::Key* own = state_.own_key(other.key);
  if (own == nullptr || own->origin == other.origin) return;
  if (own->row.digest != other.row.digest)
    return conflict("an Idempotency-Key was used for two requests: " +
                    other.key.substr(0, other.key.find('\n')));
  if (other.origin < own->origin && ledger_.undo(*own)) ++keys_undone_;
}

void Copies::conflict(std::string what) {
  ++conflicts_;
  tell_(std::move(what));
}

Outcome Copies::adopt(const Hold& standing, const ReservationCommand& command, Times now) {
  // What has ended is only shown, or refused.
  Hold& there = *state_.hold_of(standing.id, standing.origin);
  const auto* commit = std::get_if<Commit>(&command);
  const auto* extend = std::get_if<Extend>(&command);
  if (there.row.state != HoldState::held || state_.own_hold(standing.id) != nullptr) {
    if (there.row.state == HoldState::held)
      return refused(Code::home_unreachable,
                     "reservation '" + standing.id +
                         "' stands at a replica that cannot be reached, and its copy here gave "
                         "way; try again later");
    return commit != nullptr   ? ledger_.commit(there, *commit, now)
           : extend != nullptr ? ledger_.extend(there, extend->ttl_seconds, now)
                               : ledger_.release(there, now);
  }
  std::vector<std::uint32_t> units;
  for (const HoldLine& line : there.row.lines)
    units.push_back(extend != nullptr || (commit != nullptr && !commit->lines) ? line.held : 0);
  if (commit != nullptr && commit->lines)
    for (const Line& line : summed(*commit->lines)) {
      const auto at = std::find_if(there.row.lines.begin(), there.row.lines.end(),
                                   [&](const HoldLine& held) { return held.sku == line.sku; });
      if (at == there.row.lines.end() || line.quantity > at->held)
        return refused(Code::out_of_range, "reservation '" + standing.id + "' does not hold " +
                                               std::to_string(line.quantity) + " of '" + line.sku +
                                               "'");
      units[at - there.row.lines.begin()] = static_cast<std::uint32_t>(line.quantity);
    }
  ledger_.adopt(there, units, now);
  ++adoptions_;
  Hold& own = *state_.own_hold(standing.id);
  return commit != nullptr   ? ledger_.commit(own, *commit, now)
         : extend != nullptr ? ledger_.extend(own, extend->ttl_seconds, now)
                             : ledger_.release(own, now);
}

}  // namespace holdfast::node
