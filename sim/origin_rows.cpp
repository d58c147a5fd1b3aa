#include "sim/origin_rows.h"

#include <iterator>

namespace holdfast::sim {

using crdt::DecodedRow;
using crdt::ReplicaId;
using crdt::Sequence;
using crdt::State;
using crdt::StockRow;
using crdt::Units;

const StockRow& stock_of(const State& rows, ReplicaId origin, const std::string& sku) {
  static const StockRow kNone;
  const crdt::Product* product = rows.product(sku);
  const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(origin);
  return cell == nullptr ? kNone : cell->row;
}

Units own_rights(const StockRow& row) {
  Units rights = row.received - row.withdrawn + row.allowance_added - row.allowance_removed -
                 (row.held - row.released) + row.returned + row.voided;
  for (const crdt::PeerTotals& entry : row.peers) rights += entry.seized - entry.granted;
  return rights;
}

Units granted_to(const State& rows, const std::string& sku, ReplicaId to) {
  const crdt::Product* product = rows.product(sku);
  if (product == nullptr) return 0;
  Units granted = 0;
  for (const auto& cell : product->stock.cells())
    if (const crdt::PeerTotals* entry = cell->row.find(to)) granted += entry->granted;
  return granted;
}

DecodedRow decoded(const crdt::FeedItem& item) {
  std::string bytes;
  crdt::append_item(item, bytes);
  return *crdt::decode_row(bytes);
}

void copy_rows(const State& from, ReplicaId origin, State& to) {
  if (const crdt::Feed* feed = from.feed(origin))
    for (auto at = feed->begin_after(0); at != feed->end(); ++at)
      (void)to.merge(origin, decoded(*at->second));
  to.advance(origin, from.head(origin));
}

bool was_at(const std::map<Sequence, std::uint64_t>& boots, Sequence sequence, std::uint64_t boot) {
  const auto after = boots.upper_bound(sequence);
  return boot == 0 || (after != boots.begin() && std::prev(after)->second == boot);
}

}  // namespace holdfast::sim
