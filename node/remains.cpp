#include "node/remains.h"

#include <algorithm>
#include <vector>

namespace holdfast::node {

using crdt::PeerTotals;
using crdt::Product;
using crdt::StockRow;

void Remains::note(Product& product, ReplicaId retired) {
  if (product.stock.rights(retired) > 0) left_[retired].emplace(product.sku, &product);
}

void Remains::merged(Product& product, ReplicaId origin) {
  if (state_.retired().empty()) return;
  if (state_.retired(origin)) note(product, origin);
  for (const PeerTotals& entry : product.stock.find(origin)->row.peers)
    if (state_.retired(entry.peer)) note(product, entry.peer);
}

Units Remains::of(ReplicaId retired) const {
  Units sum = 0;
  if (const auto at = left_.find(retired); at != left_.end())
    for (const auto& [sku, product] : at->second)
      sum += std::max<Units>(0, product->stock.rights(retired));
  return sum;
}

Units Remains::all() const {
  Units sum = 0;
  for (const auto& [replica, products] : left_)
    if (state_.retired(replica)) sum += of(replica);
  return sum;
}

bool Remains::has_ended(ReplicaId replica) const {
  const crdt::Member* member = state_.member(replica);
  return member != nullptr && member->row.ended && state_.head(replica) >= member->sequence;
}

// Neither it nor anyone who may have been its heir before this replica has anything to say.
bool Remains::is_final(ReplicaId retired) const {
  std::vector<ReplicaId> line{retired};
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (!state_.retired(line[i])) continue;
    if (!has_ended(line[i])) return false;
    for (auto at = state_.decrees().lower_bound({line[i], 0, {}});
         at != state_.decrees().end() && std::get<0>(at->first) == line[i]; ++at) {
      const crdt::DecreeRow& row = at->second->row;
      if (row.kind == crdt::DecreeKind::retirement &&
          std::find(line.begin(), line.end(), row.successor) == line.end())
        line.push_back(row.successor);
    }
  }
  return true;
}

bool Remains::take(const std::set<ReplicaId>& estates, std::size_t most) {
  for (auto of = left_.begin(); of != left_.end();) {
    const ReplicaId retired = of->first;
    auto& products = of->second;
    if (estates.contains(retired) && is_final(retired)) {
      for (; most > 0 && !products.empty(); --most) {
        Product& product = *products.begin()->second;
        products.erase(products.begin());
        const Units units = product.stock.rights(retired);
        if (units <= 0) continue;
        state_.change_stock(product, [&](StockRow& row) { row.at(retired).seized += units; });
        taken_(product);
      }
      if (!products.empty()) return false;
    }
    of = products.empty() ? left_.erase(of) : std::next(of);
  }
  return true;
}

}  // namespace holdfast::node
