#include "node/moves.h"

#include <algorithm>

namespace holdfast::node {

using crdt::Product;
using crdt::StockRow;
using crdt::Units;

namespace {

Outcome no_such(const std::string& sku) {
  return refused(Code::unknown_sku, "no SKU '" + sku + "' is known here");
}

// A row names no more replicas than a cluster may have: peers refuse one that does.
bool has_room_for(const crdt::StockCell* own, ReplicaId peer) {
  return own == nullptr || own->row.move_with(peer) != nullptr ||
         own->row.moves.size() < crdt::kOriginsMax;
}

Outcome too_many(const std::string& sku) {
  return refused(Code::out_of_range,
                 "SKU '" + sku + "' has moved to and from " + std::to_string(crdt::kOriginsMax) +
                     " replicas of other shards already, and no row names more");
}

Outcome shown(const crdt::State& state, const Ledger& ledger, const Product& product,
              ReplicaId peer, Units total) {
  Outcome outcome;
  outcome.view = MoveView{.sku = product.sku,
                          .self = state.self(),
                          .peer = peer,
                          .total = total,
                          .left = ledger.free(product),
                          .on_hand = product.stock.on_hand(),
                          .held = product.stock.held()};
  return outcome;
}

void mark(crdt::State& state, Product& product, std::uint64_t version, const std::string& shard,
          const std::string& url, Times now) {
  crdt::SkuRow row = product.description()->row;
  row.extra.clear();
  row.time = std::max(static_cast<std::uint64_t>(now.wall_ms) << 16, row.time + 1);
  row.moved = {.version = version, .shard = shard, .url = url};
  state.put_sku(product, std::move(row));
}

}  // namespace

std::optional<Outcome> moved_away(absl::Span<Product* const> products) {
  Place place;
  for (const Product* product : products) {
    const crdt::MovedTo& moved = product->moved();
    if (moved.shard.empty() || (!place.skus.empty() && moved.shard != place.shard)) continue;
    place.skus.push_back(product->sku);
    place.shard = moved.shard;
    place.url = moved.url;
  }
  if (place.skus.empty()) return std::nullopt;
  Outcome outcome =
      refused(Code::moved, "SKU '" + place.skus.front() + "' is in shard '" + place.shard +
                               "' now" + (place.url.empty() ? "" : ": ask ") + place.url);
  outcome.view = std::move(place);
  return outcome;
}

std::optional<Outcome> moved_away(Product& product) {
  Product* const one[] = {&product};
  return moved_away(one);
}

Outcome move_out(crdt::State& state, const Ledger& ledger, const MoveOut& command, Times now) {
  Product* const product = ledger.known(command.sku);
  if (product == nullptr) return no_such(command.sku);
  if (!command.to) return refused(Code::unknown_target, "units cannot be handed to nobody");
  const crdt::MovedTo& moved = product->moved();
  if (command.version < moved.version)
    return refused(Code::plan_changed, "version " + std::to_string(moved.version) +
                                           " of the shard map has decided where SKU '" +
                                           command.sku + "' is: version " +
                                           std::to_string(command.version) + " is outdated");
  if (moved.shard.empty()) {
    const auto& retired = state.retired();
    if (product->stock.allowance() != 0)
      return refused(Code::out_of_range,
                     "SKU '" + command.sku + "' has an allowance of " +
                         std::to_string(product->stock.allowance()) +
                         ", which cannot move: set it to 0 here, and again in its new shard");
    if (product->stock.exposure(retired) + product->stock.total_debt(retired) != 0)
      return refused(Code::out_of_range,
                     "units of SKU '" + command.sku +
                         "' were seized by a decree and are not accounted for yet: it moves once "
                         "the decree is closed; see GET /v1/failovers");
  }
  const crdt::StockCell* own = product->stock.find(state.self());
  if (!has_room_for(own, command.to)) return too_many(command.sku);
  if (moved.shard != command.shard || moved.version != command.version)
    mark(state, *product, command.version, command.shard, command.url, now);
  const crdt::Move* before = own == nullptr ? nullptr : own->row.move_with(command.to);
  Units total = before == nullptr ? 0 : before->out;
  const Units units = std::min(ledger.free(*product), crdt::kUnitsMax - total);
  if (units > 0 && product->stock.has_room(units)) {
    total += units;
    state.change_stock(*product, [&](StockRow& row) {
      row.withdrawn += units;
      row.move_at(command.to).out = total;
    });
  }
  return shown(state, ledger, *product, command.to, total);
}

Outcome move_in(crdt::State& state, const Ledger& ledger, const MoveIn& command, Times now) {
  Product* const product = ledger.known(command.sku);
  if (product == nullptr) return no_such(command.sku);
  if (command.to ? command.to != state.self() : command.total != 0)
    return refused(Code::plan_changed, "these units are on their way to replica " +
                                           crdt::to_string(command.to) + ", and this one is " +
                                           crdt::to_string(state.self()));
  const crdt::MovedTo& moved = product->moved();
  const crdt::StockCell* own = product->stock.find(state.self());
  const crdt::Move* before = own == nullptr ? nullptr : own->row.move_with(command.from);
  const Units had = before == nullptr ? 0 : before->in;
  if (!has_room_for(own, command.from)) return too_many(command.sku);
  const Units units = std::max<Units>(0, command.total - had);
  if (!product->stock.has_room(units))
    return refused(Code::out_of_range, "a total of '" + command.sku + "' would pass 2^53-1");
  if (command.version > moved.version) mark(state, *product, command.version, "", "", now);
  if (units > 0)
    state.change_stock(*product, [&](StockRow& row) {
      row.received += units;
      row.move_at(command.from).in = command.total;
    });
  return shown(state, ledger, *product, command.from, had + units);
}

}  // namespace holdfast::node
