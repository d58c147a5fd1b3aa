#pragma once
// Homes: of the nodes of a region one is a SKU's home, where the region's rights to it should be
// together. A request that lands elsewhere and finds too few there is passed on to it.
//
// A hint, by what a node sees of the others just now (rendezvous.h over the region's live members,
// each with its weight): nodes may differ about it, and nothing rests on it. With a home gone,
// another is the home, and rights come to it by grants.
//
// Cost  one hash a member.

#include <string_view>
#include <vector>

#include "node/rebalance.h"
#include "node/rendezvous.h"

namespace holdfast::node {

// What customers ask for anywhere in a region is asked for at its home: the others' demand is
// added to that one's, and they are no places for rights. A region of which no node can be reached
// is left as it is.
void gather_at_homes(std::string_view sku, Outlook& outlook);

}  // namespace holdfast::node
