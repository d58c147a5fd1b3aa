#pragma once
// What the rows of one origin say, in any state: for what looks at several histories of it at once.

#include <cstdint>
#include <map>
#include <string>

#include "crdt/state.h"

namespace holdfast::sim {

// Of no row: all zeros.
const crdt::StockRow& stock_of(const crdt::State& rows, crdt::ReplicaId origin,
                               const std::string& sku);
// What a row does to its origin's rights.
crdt::Units own_rights(const crdt::StockRow& row);
// By all rows that are here.
crdt::Units granted_to(const crdt::State& rows, const std::string& sku, crdt::ReplicaId to);
crdt::DecodedRow decoded(const crdt::FeedItem& item);
void copy_rows(const crdt::State& from, crdt::ReplicaId origin, crdt::State& to);
// Whether the boot that wrote `sequence` is this one, by the boots of a history. boot 0: perhaps.
bool was_at(const std::map<crdt::Sequence, std::uint64_t>& boots, crdt::Sequence sequence,
            std::uint64_t boot);

}  // namespace holdfast::sim
