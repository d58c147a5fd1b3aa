#include "crdt/bounded_counter.h"

#include <set>

namespace holdfast::crdt {

namespace {

bool peer_less(const PeerTotals& entry, ReplicaId peer) { return entry.peer < peer; }
bool cell_less(const std::unique_ptr<StockCell>& cell, ReplicaId origin) {
  return cell->origin < origin;
}

}  // namespace

const PeerTotals* StockRow::find(ReplicaId peer) const {
  const auto at = std::lower_bound(peers.begin(), peers.end(), peer, peer_less);
  return at != peers.end() && at->peer == peer ? &*at : nullptr;
}

PeerTotals& StockRow::at(ReplicaId peer) {
  const auto at = std::lower_bound(peers.begin(), peers.end(), peer, peer_less);
  if (at != peers.end() && at->peer == peer) return *at;
  return *peers.insert(at, PeerTotals{.peer = peer});
}

const StockCell* BoundedCounter::find(ReplicaId origin) const {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  return at != cells_.end() && (*at)->origin == origin ? at->get() : nullptr;
}

StockCell& BoundedCounter::at(ReplicaId origin) {
  auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  if (at == cells_.end() || (*at)->origin != origin) {
    at = cells_.insert(at, std::make_unique<StockCell>());
    (*at)->origin = origin;
    (*at)->kind = RowKind::stock;
  }
  return **at;
}

BoundedCounter::Sums BoundedCounter::sums(const StockRow& row) {
  return {.on_hand = {row.received + row.returned + row.voided, row.withdrawn + row.sold},
          .held = {row.held, row.released + row.sold},
          .allowance = {row.allowance_added, row.allowance_removed},
          .sold = row.sold,
          .returned = row.returned};
}

void BoundedCounter::grow(const Sums& before, const Sums& after) {
  on_hand_.grow(before.on_hand, after.on_hand);
  held_.grow(before.held, after.held);
  allowance_.grow(before.allowance, after.allowance);
  sold_ += after.sold - before.sold;
  returned_ += after.returned - before.returned;
}

void BoundedCounter::drop(ReplicaId origin) {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  if (at == cells_.end() || (*at)->origin != origin) return;
  const Sums gone = sums((*at)->row);
  on_hand_.leave(gone.on_hand);
  held_.leave(gone.held);
  allowance_.leave(gone.allowance);
  sold_ -= gone.sold;
  returned_ -= gone.returned;
  cells_.erase(at);
}

Units BoundedCounter::rights(ReplicaId replica) const {
  Units rights = 0;
  for (const auto& cell : cells_) {
    const StockRow& row = cell->row;
    if (cell->origin == replica) {
      rights += row.received - row.withdrawn + row.allowance_added - row.allowance_removed -
                (row.held - row.released) + row.returned + row.voided;
      for (const PeerTotals& peer : row.peers) rights += peer.seized - peer.granted;
    }
    if (row.peers.empty()) continue;
    if (const PeerTotals* mine = row.find(replica)) rights += mine->granted - mine->seized;
  }
  return rights;
}

Units BoundedCounter::unseen(ReplicaId target, const ReplicaSet& retired) const {
  if (retired.contains(target)) return 0;
  const StockCell* own = find(target);
  Units unseen = 0;
  for (const auto& cell : cells_) {
    const PeerTotals* entry = cell->row.find(target);
    if (entry == nullptr || entry->seized == 0) continue;
    const PeerTotals* seen = own == nullptr ? nullptr : own->row.find(cell->origin);
    unseen += std::max<Units>(0, entry->seized - (seen == nullptr ? 0 : seen->seen));
  }
  return unseen;
}

Units BoundedCounter::debt(ReplicaId target, const ReplicaSet& retired) const {
  return std::max<Units>(0, -(rights(target) + unseen(target, retired)));
}

bool BoundedCounter::ever_seized(ReplicaId target) const {
  return std::any_of(cells_.begin(), cells_.end(), [&](const auto& cell) {
    const PeerTotals* entry = cell->row.find(target);
    return entry != nullptr && entry->seized > 0;
  });
}

template <typename Sum>
Units BoundedCounter::over_targets(Sum&& sum, const ReplicaSet& owing) const {
  std::set<ReplicaId> targets(owing.begin(), owing.end());
  for (const auto& cell : cells_)
    for (const PeerTotals& entry : cell->row.peers)
      if (entry.seized > 0) targets.insert(entry.peer);
  Units total = 0;
  for (const ReplicaId target : targets) total += sum(target);
  return total;
}

Units BoundedCounter::exposure(const ReplicaSet& retired) const {
  return over_targets([&](ReplicaId target) { return unseen(target, retired); });
}

Units BoundedCounter::total_debt(const ReplicaSet& retired, const ReplicaSet& owing) const {
  return over_targets([&](ReplicaId target) { return debt(target, retired); }, owing);
}

Units BoundedCounter::view_available(const ReplicaSet& owing) const {
  std::set<ReplicaId> replicas;
  for (const auto& cell : cells_) {
    replicas.insert(cell->origin);
    for (const PeerTotals& entry : cell->row.peers) replicas.insert(entry.peer);
  }
  Units sum = 0;
  for (const ReplicaId replica : replicas) {
    const Units seen = rights(replica);
    sum += seen < 0 && !ever_seized(replica) && !owing.contains(replica) ? 0 : seen;
  }
  return sum - allowance();
}

bool BoundedCounter::has_room(Units units) const {
  Units received = 0, held = 0, returned = 0, allowed = 0;
  for (const auto& cell : cells_) {
    received += cell->row.received + cell->row.voided;
    held += cell->row.held;
    returned += cell->row.returned;
    allowed += cell->row.allowance_added + cell->row.allowance_removed + cell->row.withdrawn;
  }
  return std::max({received, held, returned, allowed}) <= kUnitsMax - units;
}

}  // namespace holdfast::crdt
