#pragma once
// What heirs that are gone have ended twice, and nobody takes back. Pure.
//
// A retired replica and its heir may both end one hold before they hear of each other; the heir
// takes its end back then (node/estate.h), or, if it is retired itself, its own heir does it. One
// whose disk was lost does nothing any more, and until an operator retires it nobody else may.
// Until then its end is in every sum beside the other one: `held` has the hold's units once, and
// less them twice. Said here from the rows alone, and of no more than such heirs wrote.

#include <map>
#include <set>
#include <string>

#include "crdt/state.h"

namespace holdfast::sim {

struct EndedTwice {
  crdt::Units held = 0;                // fewer are held, by the sums, than are
  crdt::Units sold = 0, returned = 0;  // in the sums, of sales beside another of the same hold
};

// By SKU; where there is any. `alive`: the replicas that some machine is. Cost O(holds and copies).
std::map<std::string, EndedTwice> ended_twice(const crdt::State& here,
                                              const std::set<crdt::ReplicaId>& alive);

}  // namespace holdfast::sim
