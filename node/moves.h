#pragma once
// Moves: a SKU leaves for another shard, an independent group of nodes, and its units follow, under
// load and whoever stops when.
//
// Whoever drives a move (api/router_moves.cpp) calls move_out() at each node of the old shard and
// move_in() at a node of the new one, again and again until nothing is left. The first call marks
// the SKU as moved (its catalogue row): new reservations, receipts and the like are refused with
// the new place from then on (Code::moved), while those that are there go on to their ends; what
// they free moves with a later call.
//
// Both rows keep one growing total for each pair of replicas (StockRow::moves): what has gone to a
// replica, what has come from one. move_in() takes the total, not a difference, so that a call that
// is lost, repeated or late moves nothing twice, and one that never came is made up for by the
// next. On the way units are in neither shard.
//
// A mark, and its end, bear the version of the map that wanted it: of two the higher one counts,
// whatever the order in which they come.
//
// Threads  none of its own. Cost  as that of an adjustment.

#include "absl/types/span.h"
#include "node/ledger.h"

namespace holdfast::node {

// The new place of the first of them that has one, and of the others that are there, too; then new
// work on these is refused here.
std::optional<Outcome> moved_away(absl::Span<crdt::Product* const> products);
std::optional<Outcome> moved_away(crdt::Product& product);

// Errors: unknown_sku; out_of_range: it has an allowance, or a decree has seized of it, and what
// may be oversold stays where it was stated; unknown_target: `to` is nobody; plan_changed: a newer
// map wants it here.
Outcome move_out(crdt::State& state, const Ledger& ledger, const MoveOut& command, Times now);
// Errors: unknown_sku: describe it here first; plan_changed: meant for another replica;
// out_of_range: a total, or more replicas than a row may name (move_out: likewise).
Outcome move_in(crdt::State& state, const Ledger& ledger, const MoveIn& command, Times now);

}  // namespace holdfast::node
