#include "node/drain.h"

#include <algorithm>

namespace holdfast::node {

using crdt::Instant;
using crdt::Product;
using crdt::StockRow;

void Drain::begin(ReplicaId successor, std::uint32_t wait_seconds, Instant now) {
  if (!running()) units_ = 0;
  give_to(successor, now);
  until_ = now + std::chrono::seconds(wait_seconds);
}

void Drain::give_to(ReplicaId successor, Instant now) {
  if (successor == successor_) return;
  successor_ = successor;
  looked_.clear();
  walks_ = 0;
  due_ = now;
}

void Drain::cancel() { successor_ = {}; }

void Drain::give(Product& product) {
  const Units units = std::min(ledger_.free(product), around_.grantable(product, successor_));
  if (units <= 0) return;
  state_.change_stock(product, [&](StockRow& row) { row.at(successor_).granted += units; });
  units_ += units;
  around_.granted(units);
}

void Drain::tick(Instant now) {
  if (now < due_ || !running()) return;
  due_ = now + kEvery;
  if (!around_.live(successor_)) return;
  const auto end = state_.catalogue().end();
  auto at = state_.catalogue().upper_bound(looked_);  // no SKU is empty
  for (std::size_t looks = kLooksAtOnce; at != end && looks > 0; --looks, ++at) {
    looked_ = at->first;
    give(*at->second);
  }
  if (at != end) {
    due_ = now + kGoOn;
    return;
  }
  looked_.clear();
  ++walks_;
  // What this one gave is stamped with the batch: the next walk's mark has it.
  written_ = state_.head(state_.self());
}

bool Drain::ready(Instant now) const {
  return passes_on() && walks_ > 1 && around_.acknowledged(successor_) >= written_ &&
         (now >= until_ || state_.own_open_holds() == 0);
}

DrainView Drain::view(Instant now) const {
  DrainView view;
  view.state = !running()                  ? "none"
               : !around_.live(successor_) ? "waiting_for_successor"
               : walks_ == 0               ? "handing_over"
               : ready(now)                ? "leaving"
                                           : "waiting_for_holds";
  view.successor = successor_;
  if (const crdt::Member* member = state_.member(successor_)) view.node = member->row.node;
  view.open_holds = state_.own_open_holds();
  view.units = units_;
  if (running()) view.wait_ms = std::max<std::int64_t>(0, (until_ - now).count());
  return view;
}

}  // namespace holdfast::node
