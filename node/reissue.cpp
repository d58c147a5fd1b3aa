#include "node/reissue.h"

#include <algorithm>
#include <map>

#include "crdt/check.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::PeerTotals;
using crdt::RowKind;
using crdt::State;
using crdt::StockRow;

namespace {

StockRow difference(const StockRow& before, const StockRow& after) {
  StockRow row;
  using Total = crdt::Units StockRow::*;
  for (const Total total : {&StockRow::received, &StockRow::withdrawn, &StockRow::allowance_added,
                            &StockRow::allowance_removed, &StockRow::held, &StockRow::released,
                            &StockRow::sold, &StockRow::returned, &StockRow::voided})
    row.*total = after.*total - before.*total;
  for (const PeerTotals& now : after.peers) {
    const PeerTotals* then = before.find(now.peer);
    const PeerTotals made{.peer = now.peer,
                          .granted = now.granted - (then == nullptr ? 0 : then->granted),
                          .seized = now.seized - (then == nullptr ? 0 : then->seized)};
    if (made.granted > 0 || made.seized > 0) row.peers.push_back(made);
  }
  return row;
}

const StockRow& own_stock(const State& state, std::string_view sku) {
  static const StockRow kNone;
  const crdt::Product* product = state.product(sku);
  const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(state.self());
  return cell == nullptr ? kNone : cell->row;
}

// What the new replica writes of a hold that the fork has written since.
class HoldsSince {
 public:
  HoldsSince(const State& base, std::map<std::string, StockRow>& stock)
      : base_(base), stock_(stock) {}

  void take(const Hold& hold) {
    const Hold* before = base_.own_hold(hold.id);
    HoldRow row = hold.row;
    row.extra.clear();
    if (before == nullptr) {
      // An estate that was taken over is the heir's again by the retirement of this one.
      if (!row.estate || row.state != HoldState::held) rows_.emplace_back(&hold, std::move(row));
      return;
    }
    if (before->row.state != HoldState::held || row.state == HoldState::held) return;
    if (!row.estate) {  // units of its own, as an adopter has them
      for (const crdt::HoldLine& line : row.lines)
        if (line.held > 0) stock_[line.sku].held += line.held;
      row.adopted_from = hold.origin;
    }
    rows_.emplace_back(&hold, std::move(row));
  }

  std::vector<std::pair<std::string, HoldRow>> in_order() {
    std::sort(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
      return a.first->row.number < b.first->row.number;
    });
    std::vector<std::pair<std::string, HoldRow>> holds;
    for (auto& [hold, row] : rows_) holds.emplace_back(hold->id, std::move(row));
    return holds;
  }

 private:
  const State& base_;
  std::map<std::string, StockRow>& stock_;
  std::vector<std::pair<const Hold*, HoldRow>> rows_;
};

}  // namespace

Reissue reissue(const State& base, const State& now) {
  HOLDFAST_CHECK(base.self() == now.self());
  HOLDFAST_CHECK(base.head(base.self()) <= now.head(now.self()));
  Reissue rows;
  std::map<std::string, StockRow> stock;
  HoldsSince holds(base, stock);
  const crdt::Feed& feed = *now.feed(now.self());
  for (auto at = feed.begin_after(base.head(base.self())); at != feed.end(); ++at) {
    const crdt::FeedItem& item = *at->second;
    const std::string key(crdt::row_key(item));
    switch (item.kind) {
      case RowKind::stock: {
        StockRow& sum = stock[key];
        const crdt::Units held = sum.held;  // of older holds that were met before
        sum = difference(own_stock(base, key), static_cast<const crdt::StockCell&>(item).row);
        sum.held += held;
        break;
      }
      case RowKind::hold:
        holds.take(static_cast<const Hold&>(item));
        break;
      case RowKind::key:
        if (base.own_key(key) == nullptr)
          rows.keys.emplace_back(key, static_cast<const crdt::Key&>(item).row);
        break;
      case RowKind::sku:
        rows.skus.emplace_back(key, static_cast<const crdt::SkuCell&>(item).row);
        break;
      case RowKind::decree:
        rows.decrees.push_back(static_cast<const crdt::Decree&>(item).row);
        break;
      default:
        break;  // its member row is about the old identity
    }
  }
  rows.holds = holds.in_order();
  for (auto& [sku, row] : stock)
    if (row != StockRow{}) rows.stock.emplace_back(sku, std::move(row));
  return rows;
}

void put(State& fresh, Reissue&& rows) {
  HOLDFAST_CHECK(fresh.head(fresh.self()) == 0);
  for (auto& [sku, row] : rows.skus) fresh.put_sku(fresh.make_product(sku), std::move(row));
  for (auto& [sku, row] : rows.stock)
    fresh.change_stock(fresh.make_product(sku), [&](StockRow& own) { own = std::move(row); });
  for (auto& [id, row] : rows.holds) fresh.add_hold(id, std::move(row));
  for (auto& [key, row] : rows.keys) fresh.put_key(key, std::move(row));
  for (crdt::DecreeRow& row : rows.decrees) fresh.put_decree(std::move(row));
}

namespace {

absl::Status copy_rows(const crdt::State& from, crdt::ReplicaId origin, crdt::State& to) {
  const crdt::Feed* feed = from.feed(origin);
  if (feed == nullptr) return absl::OkStatus();
  std::string bytes;
  for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
    bytes.clear();
    crdt::append_item(*at->second, bytes);
    auto row = crdt::decode_row(bytes);
    if (!row.ok()) return row.status();
    if (auto merged = to.merge(origin, *std::move(row)); !merged.ok()) return merged.status();
  }
  to.advance(origin, from.head(origin));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<crdt::State>> successor(const crdt::State& now,
                                                       const crdt::State* base,
                                                       const ForkMark& mark, crdt::ReplicaId fresh,
                                                       std::uint64_t boot) {
  auto state = std::make_unique<crdt::State>(fresh);
  for (const auto& [origin, head] : now.vector())
    if (origin != now.self())
      if (auto s = copy_rows(now, origin, *state); !s.ok()) return s;
  if (base != nullptr)
    if (auto s = copy_rows(*base, now.self(), *state); !s.ok()) return s;
  crdt::MemberRow member;
  if (const crdt::Member* old = now.member(now.self())) {
    member.region = old->row.region;
    member.node = old->row.node;
    member.http_address = old->row.http_address;
    member.gossip_address = old->row.gossip_address;
  }
  member.wire_version = crdt::kWireVersion;
  member.boots = {{1, boot}};
  member.forked_from = now.self();
  for (const crdt::Boot& void_boot : mark.boots) member.voided_boots.push_back(void_boot.nonce);
  state->put_member(std::move(member));
  if (base != nullptr) put(*state, reissue(*base, now));
  std::string rows;
  state->seal(rows);
  return state;
}

}  // namespace holdfast::node
