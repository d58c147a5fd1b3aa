#include "node/debts.h"

#include <algorithm>

namespace holdfast::node {

using crdt::Instant;
using crdt::Millis;
using crdt::PeerTotals;
using crdt::Product;

namespace {
constexpr Millis kForgetFirst{200}, kForgetLast{10'000};
}  // namespace

bool Debts::owes(Product& product) {
  if (product.stock.rights(state_.self()) >= 0) return false;
  const auto [at, fresh] = debts_.try_emplace(product.sku, Debt{.product = &product});
  if (fresh) due_.emplace(at->second.at, at->first);
  return true;
}

void Debts::merged(const Product& product) {
  if (debts_.empty()) return;
  const auto at = debts_.find(product.sku);
  if (at != debts_.end() && at->second.call == 0) look_at(at->first, at->second, Instant{});
}

void Debts::look_at(std::string_view sku, Debt& debt, Instant at) {
  due_.erase({debt.at, sku});
  debt.at = at;
  due_.emplace(at, sku);
}

Instant Debts::wake_at() const { return due_.empty() ? Instant::max() : due_.begin()->first; }

// One that was out of reach may have what is owed.
void Debts::note_peers() {
  std::vector<ReplicaId> reach = peers_();
  std::sort(reach.begin(), reach.end());
  const bool more = !std::includes(reach_.begin(), reach_.end(), reach.begin(), reach.end());
  reach_ = std::move(reach);
  if (!more) return;
  for (auto& [sku, debt] : debts_)
    if (debt.call == 0) look_at(sku, debt, Instant{});
}

void Debts::tick(Instant now) {
  if (debts_.empty()) return;
  note_peers();
  for (std::size_t looks = kLooksAtOnce; looks > 0 && wake_at() <= now; --looks) {
    const std::string_view sku = due_.begin()->second;
    due_.erase(due_.begin());
    const auto at = debts_.find(sku);
    if (at->second.product->stock.rights(state_.self()) >= 0) {
      debts_.erase(at);
    } else {
      look(sku, at->second, now);
    }
  }
}

Units Debts::granted_by(const Product& product, ReplicaId peer) const {
  const crdt::StockCell* cell = product.stock.find(peer);
  const PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(state_.self());
  return entry == nullptr ? 0 : entry->granted;
}

// Requires: it is not in due_, and no request is in flight.
void Debts::look(std::string_view sku, Debt& debt, Instant now) {
  const Product& product = *debt.product;
  if (now >= debt.forget_at) {
    debt.asked.clear();
    debt.wait = std::clamp(debt.wait * 2, kForgetFirst, kForgetLast);
    debt.forget_at = now + debt.wait;
  }
  Units owed = -product.stock.rights(state_.self());
  const auto on_its_way = [&](ReplicaId peer, const Asked& asked) {
    return std::max<Units>(0, asked.promised - granted_by(product, peer));
  };
  for (const auto& [peer, asked] : debt.asked) owed -= on_its_way(peer, asked);
  while (owed > 0) {
    ReplicaId richest;
    Units most = 0;
    for (const ReplicaId peer : peers_()) {
      const Units has = product.stock.rights(peer);
      const auto at = debt.asked.find(peer);
      const bool again =
          at == debt.asked.end() ||
          (on_its_way(peer, at->second) == 0 && (!at->second.gave_less || has > at->second.had));
      if (!again || has <= most) continue;
      richest = peer;
      most = has;
    }
    if (most == 0) break;
    Asked& asked = debt.asked[richest];
    asked.had = most;
    asked.gave_less = true;  // until it answers otherwise
    debt.amount = std::min(owed, most);
    debt.seen = granted_by(product, richest);
    debt.call = ask_(
        richest, {.sku = product.sku, .need = debt.amount, .ahead = 0, .granted_seen = debt.seen});
    if (debt.call == 0) continue;
    debt.peer = richest;
    calls_[debt.call] = sku;
    return;
  }
  debt.at = debt.forget_at;
  due_.emplace(debt.at, sku);
}

void Debts::ended(std::uint64_t call, const Granted* granted, Instant now) {
  const auto at = calls_.find(call);
  if (at == calls_.end()) return;
  const std::string_view sku = at->second;
  calls_.erase(at);
  Debt& debt = debts_.at(sku);
  debt.call = 0;
  debt.at = now;
  due_.emplace(now, sku);
  if (granted == nullptr) return;
  Asked& asked = debt.asked[debt.peer];
  // It had granted more than the request knew of: it is asked again, once the rows are here.
  const bool stale = granted->given == 0 && granted->total > debt.seen;
  asked.promised = std::max(asked.promised, granted->total);
  asked.gave_less = granted->given < debt.amount && !stale;
  if (granted->given == 0 && !stale) return;
  debt.wait = kForgetFirst;
  debt.forget_at = now + debt.wait;  // by then the rows are here
}

}  // namespace holdfast::node
