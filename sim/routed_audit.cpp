#include "sim/routed_audit.h"

#include <algorithm>
#include <map>

namespace holdfast::sim {

using node::Code;
using node::Outcome;
using node::ReservationView;

namespace {

std::string told(const UnitsBySku& units) {
  std::string text;
  for (const auto& [sku, count] : units) text += " " + sku + "=" + std::to_string(count);
  return text.empty() ? " nothing" : text;
}

bool names(const ReservationView& record, const std::string& part) {
  return record.metadata.find('"' + part + '"') != std::string::npos;
}

void add(UnitsBySku& to, const UnitsBySku& units) {
  for (const auto& [sku, count] : units) to[sku] += count;
}

}  // namespace

void RoutedAudit::run() {
  for (std::size_t shard = 0; shard < world_.shards(); ++shard) read_shard(shard);
  check_parts();
  for (const CartAccount& account : shoppers_.carts())
    if (world_.going() && !world_.calls().may_be_twice(account.cart.id)) check_cart(account);
  for (const std::string& sku : world_.plan().skus)
    if (world_.going()) check_stock(sku);
  if (const std::string left = not_moved(); !left.empty()) world_.fail("not-moved", left);
  for (const CartAccount& account : shoppers_.carts())
    if (world_.going()) check_answers(account);
}

std::string RoutedAudit::not_moved() const {
  for (const std::string& sku : world_.plan().skus) {
    node::Units on_the_way = 0;
    for (std::size_t shard = 0; shard < world_.shards(); ++shard) {
      World& nodes = world_.shard(shard);
      std::map<crdt::ReplicaId, node::Units> by_origin;  // as it says itself, if it is there
      for (const std::size_t i : world_.nodes_of(shard)) {
        if (!nodes.node(i).lives()) return "a node is down";
        const crdt::State& state = nodes.node(i).engine().state();
        const crdt::Product* product = state.product(sku);
        if (product == nullptr) continue;
        if (shard != world_.map().shard_of(sku) && product->stock.on_hand() != 0)
          return "units of " + sku + " are left in shard " + std::to_string(shard);
        for (const auto& cell : product->stock.cells()) {
          node::Units units = 0;
          for (const crdt::Move& move : cell->row.moves) units += move.out - move.in;
          if (cell->origin == state.self()) by_origin[cell->origin] = units;
          by_origin.try_emplace(cell->origin, units);
        }
      }
      for (const auto& [origin, units] : by_origin) on_the_way += units;
    }
    if (on_the_way != 0) return std::to_string(on_the_way) + " of " + sku + " are on the way";
  }
  return "";
}

void RoutedAudit::read_shard(std::size_t shard) {
  node::ListReservations list{.limit = 1'000};
  do {
    Outcome outcome = world_.ask(shard, world_.nodes_of(shard).front(), list);
    auto* page = std::get_if<node::ReservationPage>(&outcome.view);
    if (page == nullptr) return world_.fail("no-clear-answer", "a node does not list its rows");
    for (ReservationView& view : page->items) {
      const std::string id = view.id;
      if (view.state == crdt::HoldState::held)
        world_.fail("held-too-long", "'" + id + "' is held, by its rows");
      add(sold_, RoutedShoppers::units_sold(view));
      if (!rows_.emplace(id, std::move(view)).second && !world_.calls().may_be_twice(id))
        world_.fail("in-two-shards", "'" + id + "' is in two shards");
    }
    list.cursor = page->next;
  } while (!list.cursor.empty() && world_.going());
}

void RoutedAudit::check_parts() {
  for (const auto& [id, view] : rows_) {
    const std::string* const cart = world_.calls().cart_of_part(id);
    if (cart == nullptr || RoutedShoppers::units_sold(view).empty()) continue;
    if (world_.calls().may_be_twice(*cart)) continue;
    const auto record = rows_.find(*cart);
    if (record == rows_.end() || !names(record->second, id))
      world_.fail("part-without-a-record", "'" + id + "' of " + *cart + " is sold");
  }
}

RoutedAudit::Whole RoutedAudit::whole_of(const std::string& cart) const {
  Whole whole;
  const auto record = rows_.find(cart);
  if (record == rows_.end()) return whole;
  whole.there = true;
  const auto take = [&](const ReservationView& view) {
    for (const crdt::HoldLine& line : view.lines)
      if (line.held > 0) whole.held[line.sku] += line.held;
    add(whole.sold, RoutedShoppers::units_sold(view));
  };
  take(record->second);
  for (const auto& [id, view] : rows_)
    if (const std::string* of = world_.calls().cart_of_part(id);
        of != nullptr && *of == cart && names(record->second, id))
      take(view);
  return whole;
}

void RoutedAudit::check_cart(const CartAccount& account) {
  const Whole whole = whole_of(account.cart.id);
  if (account.held && !whole.there)
    return world_.fail("acknowledged-and-unknown", account.cart.id + " is in no shard");
  if (!whole.there) return;
  switch (account.commit) {
    case CartAccount::Commit::told:
      return check_sold(account, whole);
    case CartAccount::Commit::asked: {
      UnitsBySku all;
      if (account.lines) {
        for (const node::Line& line : *account.lines) all[line.sku] += line.quantity;
      } else {
        all = whole.held;
      }
      if (!whole.sold.empty() && whole.sold != all)
        world_.fail("half-sold",
                    account.cart.id + " was to be" + told(all) + ", and is" + told(whole.sold));
      return;
    }
    default:
      if (!whole.sold.empty())
        world_.fail("sold-and-not-told", account.cart.id + ":" + told(whole.sold));
  }
}

void RoutedAudit::check_sold(const CartAccount& account, const Whole& whole) {
  const auto of = [](const UnitsBySku& units, const std::string& sku) {
    const auto at = units.find(sku);
    return at == units.end() ? 0 : at->second;
  };
  for (const node::Line& line : account.cart.lines) {
    const node::Units is = of(whole.sold, line.sku), sold = of(account.sold, line.sku);
    if (is > sold - of(account.told_back, line.sku) || is < sold - of(account.asked_back, line.sku))
      world_.fail("told-and-not-sold", account.cart.id + " was told" + told(account.sold) +
                                           " and back" + told(account.told_back) + ", and is" +
                                           told(whole.sold));
  }
}

void RoutedAudit::check_stock(const std::string& sku) {
  node::Units on_hand = 0, held = 0, available = 0;
  for (std::size_t shard = 0; shard < world_.shards(); ++shard) {
    const Outcome outcome = world_.ask(shard, world_.nodes_of(shard).front(), node::GetStock{sku});
    if (const auto* stock = std::get_if<node::StockView>(&outcome.view)) {
      on_hand += stock->on_hand;
      held += stock->held;
      available += stock->available;
    } else if (outcome.code != Code::unknown_sku) {
      world_.fail("no-clear-answer", "a node does not tell its stock of " + sku);
    }
  }
  const auto received = shoppers_.received().find(sku);
  const node::Units should =
      (received == shoppers_.received().end() ? 0 : received->second) - sold_[sku];
  if (on_hand != should || held != 0 || available != should)
    world_.fail("stock-unlike-account",
                sku + ": " + std::to_string(should) + " by the account; on hand are " +
                    std::to_string(on_hand) + ", held " + std::to_string(held) + ", available " +
                    std::to_string(available));
}

std::optional<Outcome> RoutedAudit::ask_router(const node::Command& command) {
  std::optional<Outcome> found;
  bool answered = false;
  shoppers_.ask(command, [&](std::optional<Outcome>&& outcome) {
    found = std::move(outcome);
    answered = true;
  });
  world_.run_until([&] { return answered; }, world_.now() + 30 * kSecond);
  return found;
}

void RoutedAudit::check_answers(const CartAccount& account) {
  if (!account.held || world_.calls().may_be_twice(account.cart.id)) return;
  const std::optional<Outcome> outcome = ask_router(node::GetReservation{account.cart.id});
  const auto* view =
      outcome ? std::get_if<std::unique_ptr<ReservationView>>(&outcome->view) : nullptr;
  if (view == nullptr || *view == nullptr)
    return world_.fail("answer-unlike-rows",
                       "no router shows " + account.cart.id +
                           (outcome ? ": " + outcome->detail : ", or answers at all"));
  const Whole whole = whole_of(account.cart.id);
  if (RoutedShoppers::units_sold(**view) != whole.sold)
    world_.fail("answer-unlike-rows", account.cart.id + " is sold" + told(whole.sold) +
                                          ", a router shows" +
                                          told(RoutedShoppers::units_sold(**view)));
}

}  // namespace holdfast::sim
