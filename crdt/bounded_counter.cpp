#include "crdt/bounded_counter.h"

#include <utility>

#include "crdt/prefetch.h"

namespace holdfast::crdt {

namespace {

bool peer_less(const PeerTotals& entry, ReplicaId peer) { return entry.peer < peer; }
bool cell_less(const CellOf& cell, ReplicaId origin) { return cell.origin < origin; }

}  // namespace

const PeerTotals* StockRow::find(ReplicaId peer) const {
  const auto at = std::lower_bound(peers.begin(), peers.end(), peer, peer_less);
  return at != peers.end() && at->peer == peer ? &*at : nullptr;
}

const Move* StockRow::move_with(ReplicaId peer) const {
  for (const Move& move : moves)
    if (move.peer == peer) return &move;
  return nullptr;
}

Move& StockRow::move_at(ReplicaId peer) {
  const auto at =
      std::find_if(moves.begin(), moves.end(), [&](const Move& move) { return move.peer >= peer; });
  if (at != moves.end() && at->peer == peer) return *at;
  return *moves.insert(at, {.peer = peer});
}

PeerTotals& StockRow::at(ReplicaId peer) {
  const auto at = std::lower_bound(peers.begin(), peers.end(), peer, peer_less);
  if (at != peers.end() && at->peer == peer) return *at;
  return *peers.insert(at, PeerTotals{.peer = peer});
}

void BoundedCounter::expect_arrays() const {
  if (!cells_.empty()) prefetch(cells_.data(), sizeof(CellOf));
  if (!standings_.empty()) prefetch(standings_.data(), sizeof(Standing));
}

void BoundedCounter::expect_cell(ReplicaId origin) const {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  if (at != cells_.end()) prefetch(at->get(), sizeof(StockCell));
}

const StockCell* BoundedCounter::find(ReplicaId origin) const {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  return at != cells_.end() && at->origin == origin ? at->get() : nullptr;
}

StockCell* BoundedCounter::find(ReplicaId origin) {
  return const_cast<StockCell*>(std::as_const(*this).find(origin));
}

StockCell& BoundedCounter::at(ReplicaId origin) {
  auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  if (at == cells_.end() || at->origin != origin) {
    at = cells_.insert(at, {origin, std::make_unique<StockCell>()});
    (*at)->origin = origin;
    (*at)->kind = RowKind::stock;
  }
  return **at;
}

BoundedCounter::Sums BoundedCounter::sums(const StockRow& row) {
  return {.on_hand = {row.received + row.returned + row.voided, row.withdrawn + row.sold},
          .held = {row.held, row.released + row.sold},
          .allowance = {row.allowance_added, row.allowance_removed},
          .sold = row.sold - row.voided,
          .returned = row.returned,
          .came = row.received + row.voided,
          .went = row.allowance_added + row.allowance_removed + row.withdrawn};
}

void BoundedCounter::grow(const Sums& before, const Sums& after) {
  on_hand_.grow(before.on_hand, after.on_hand);
  held_.grow(before.held, after.held);
  allowance_.grow(before.allowance, after.allowance);
  sold_ += after.sold - before.sold;
  returned_ += after.returned - before.returned;
  came_ += after.came - before.came;
  ever_held_ += after.held.up - before.held.up;
  went_ += after.went - before.went;
}

void BoundedCounter::move_rights(const StockCell& cell, const Sums& before,
                                 const Peers& peers_before) {
  Units own = sums(cell.row).own_rights() - before.own_rights();
  const std::vector<PeerTotals>& peers = cell.row.peers;
  if (!std::equal(peers.begin(), peers.end(), peers_before.begin(), peers_before.end())) {
    for (const PeerTotals& peer : peers_before) {
      own -= peer.seized - peer.granted;
      move(peer.peer, peer.seized - peer.granted);
    }
    for (const PeerTotals& peer : peers) {
      own += peer.seized - peer.granted;
      move(peer.peer, peer.granted - peer.seized, peer.seized > 0);
    }
  }
  move(cell.origin, own);
}

void BoundedCounter::move(ReplicaId replica, Units rights, bool seized) {
  Standing& entry = make_standing(replica);
  view_rights_ -= entry.shown();
  entry.rights += rights;
  entry.seized = entry.seized || seized;
  view_rights_ += entry.shown();
}

void BoundedCounter::may_owe(ReplicaId replica) {
  Standing& entry = make_standing(replica);
  view_rights_ -= entry.shown();
  entry.may_owe = true;
  view_rights_ += entry.shown();
}

BoundedCounter::Standing& BoundedCounter::make_standing(ReplicaId replica) {
  const auto at = std::lower_bound(standings_.begin(), standings_.end(), replica, standing_less);
  if (at != standings_.end() && at->replica == replica) return *at;
  return *standings_.insert(at, Standing{.replica = replica});
}

const BoundedCounter::Standing* BoundedCounter::standing(ReplicaId replica) const {
  const auto at = std::lower_bound(standings_.begin(), standings_.end(), replica, standing_less);
  return at == standings_.end() || at->replica != replica ? nullptr : &*at;
}

std::unique_ptr<StockCell> BoundedCounter::drop(ReplicaId origin) {
  const auto at = std::lower_bound(cells_.begin(), cells_.end(), origin, cell_less);
  HOLDFAST_CHECK(at != cells_.end() && at->origin == origin);
  BoundedCounter rest;  // everything is counted again: what was seized may not be any more
  for (const Standing& known : standings_)
    if (known.may_owe && known.replica != origin) rest.may_owe(known.replica);
  std::unique_ptr<StockCell> gone = std::move(at->cell);
  cells_.erase(at);
  for (const auto& cell : cells_) {
    rest.grow(Sums(), sums(cell->row));
    rest.move_rights(*cell, Sums(), Peers());
  }
  rest.cells_ = std::move(cells_);
  *this = std::move(rest);
  return gone;
}

Units BoundedCounter::rights(ReplicaId replica) const {
  const Standing* found = standing(replica);
  return found == nullptr ? 0 : found->rights;
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
  const Standing* found = standing(target);
  return found != nullptr && found->seized;
}

Units BoundedCounter::shown_rights(ReplicaId replica) const {
  const Standing* found = standing(replica);
  return found == nullptr ? 0 : found->shown();
}

template <typename Sum>
Units BoundedCounter::over_targets(Sum&& sum) const {
  Units total = 0;
  for (const Standing& target : standings_)
    if (target.seized || target.may_owe) total += sum(target.replica);
  return total;
}

Units BoundedCounter::exposure(const ReplicaSet& retired) const {
  return over_targets([&](ReplicaId target) { return unseen(target, retired); });
}

Units BoundedCounter::total_debt(const ReplicaSet& retired) const {
  return over_targets([&](ReplicaId target) { return debt(target, retired); });
}

bool BoundedCounter::has_room(Units units) const {
  return std::max({came_, ever_held_, returned_, went_}) <= kUnitsMax - units;
}

}  // namespace holdfast::crdt
