#include "sim/routed_shoppers.h"

#include <algorithm>

namespace holdfast::sim {

using node::Code;
using node::Outcome;
using node::ReservationView;

namespace {

constexpr Time kAnsweredWithin = 20 * kSecond;  // else it is asked for again
constexpr double kAnswersLost = 0.02;

const ReservationView* view_of(const Outcome& outcome) {
  const auto* view = std::get_if<std::unique_ptr<ReservationView>>(&outcome.view);
  return view == nullptr ? nullptr : view->get();
}

std::string code_of(const Outcome& outcome) {
  return "code " + std::to_string(static_cast<int>(outcome.code)) + ": " + outcome.detail;
}

}  // namespace

UnitsBySku RoutedShoppers::units_sold(const ReservationView& view) {
  UnitsBySku units;
  for (const crdt::HoldLine& line : view.lines)
    if (line.committed > line.returned) units[line.sku] += line.committed - line.returned;
  return units;
}

RoutedShoppers::RoutedShoppers(RoutedWorld& world)
    : world_(world), random_(world.plan().seed, "routed shoppers") {}

void RoutedShoppers::open_shop() {
  for (const std::string& sku : world_.plan().skus) {
    repeat(node::PutSku{.sku = sku}, [](Outcome&&) {});
    receive({.sku = sku,
             .quantity = world_.plan().opening_units,
             .key = {.scope = "", .text = "opening-" + sku}});
  }
}

void RoutedShoppers::schedule(Time begin) {
  mended_ = false;
  for (const RoutedOperation& one : world_.plan().operations) {
    ++under_way_;
    world_.events().at(begin + one.at_ms * kMillisecond, [this, &one] {
      --under_way_;
      switch (one.kind) {
        case RoutedOperationKind::cart:
          ++under_way_;
          carts_.emplace_back(one);
          return reserve(carts_.back());
        case RoutedOperationKind::receipt:
          return receive({.sku = one.lines.front().sku,
                          .quantity = one.lines.front().quantity,
                          .key = {.scope = "", .text = one.id}});
        case RoutedOperationKind::read:
          return read(Random(one.seed));
      }
    });
  }
}

// ── asking ──────────────────────────────────────────────────────────────────────────────────────

void RoutedShoppers::ask(const node::Command& command, OnReply done) {
  const auto open = std::make_shared<OnReply>(std::move(done));
  const auto finish = [open](std::optional<Outcome>&& outcome) {
    if (const OnReply told = std::exchange(*open, nullptr)) told(std::move(outcome));
  };
  Events& events = world_.events();
  const std::size_t router = random_.below(world_.routers());
  const bool lost = !mended_ && random_.chance(kAnswersLost);
  events.after(kAnsweredWithin, [finish] { finish(std::nullopt); });
  events.after(kMillisecond, [this, finish, command, router, lost, &events] {
    if (!world_.router(router).lives())
      return events.after(kMillisecond, [finish] { finish(std::nullopt); });
    world_.router(router).request(command, [finish, lost, &events](auto&& outcome) {
      if (lost) return;
      const auto kept = std::make_shared<std::optional<Outcome>>(std::move(outcome));
      events.after(kMillisecond, [finish, kept] { finish(std::move(*kept)); });
    });
  });
}

bool RoutedShoppers::is_clear(const Outcome& outcome) const {
  switch (outcome.code) {
    case Code::outcome_unknown:
    case Code::overloaded:
    case Code::storage_full:
    case Code::home_unreachable:
    case Code::stopping:
    case Code::awaiting_peer:
    case Code::elsewhere:
      return false;
    case Code::shard_unreachable:
      world_.saw("a shard could not be reached");
      return false;
    // Another router is making the same cart just now, or a customer's earlier call does.
    case Code::reservation_conflict:
      world_.saw("a cart was being made elsewhere");
      return false;
    case Code::unknown_sku:
      return false;  // a node need not have heard of it yet
    case Code::unknown_reservation:
    case Code::out_of_range:  // routers read what was sold at any node, and one may be behind
      return mended_;
    default:
      return true;
  }
}

void RoutedShoppers::repeat(const node::Command& command, OnOutcome then) {
  ++under_way_;
  ask(command, [this, command, then = std::move(then)](std::optional<Outcome>&& outcome) {
    --under_way_;
    if (outcome && is_clear(*outcome)) return then(*std::move(outcome));
    ++under_way_;
    world_.events().after(random_.between(200, 3'000) * kMillisecond, [this, command, then] {
      --under_way_;
      repeat(command, then);
    });
  });
}

// Both of two equal commits at two routers are done, or refused.
void RoutedShoppers::compare(CartAccount& account, std::shared_ptr<std::optional<bool>> first,
                             bool ok) {
  if (first->value_or(ok) != ok && !world_.calls().contested(account.cart.id))
    world_.fail("answers-differ", "of two equal calls about " + account.cart.id +
                                      " one was told that it is done, one that it is refused");
  *first = ok;
}

void RoutedShoppers::repeat(CartAccount& account, const node::Command& command, OnOutcome then) {
  const bool commits = std::holds_alternative<node::Commit>(command);
  const bool reserves = std::holds_alternative<node::Reserve>(command);
  const auto first = std::make_shared<std::optional<bool>>();
  const auto judge = [this, &account, first, commits](const std::optional<Outcome>& outcome) {
    if (commits && outcome && is_clear(*outcome)) compare(account, first, outcome->succeeded());
  };
  if (account.cart.twice && (!reserves || account.random.chance(0.25))) {
    world_.saw("two calls about one cart were sent at once");
    ask(command, [judge](std::optional<Outcome>&& outcome) { judge(outcome); });
  }
  ask(command,
      [this, &account, command, judge, then = std::move(then)](std::optional<Outcome>&& outcome) {
        judge(outcome);
        if (outcome && is_clear(*outcome)) {
          if (account.unclear > 0) world_.saw("a call was repeated until its answer was clear");
          return then(*std::move(outcome));
        }
        ++account.unclear;
        if (account.cart.patience > 0 && account.unclear >= account.cart.patience) {
          world_.saw("a customer went without a clear answer");
          return leave(account);
        }
        world_.events().after(account.random.between(200, 5'000) * kMillisecond,
                              [this, &account, command, then] { repeat(account, command, then); });
      });
}

void RoutedShoppers::after_a_while(CartAccount& account, std::function<void()> then) {
  const auto think = static_cast<Time>(account.random.log_between(20, 20'000)) * kMillisecond;
  world_.events().after(think, std::move(then));
}

// ── a cart ──────────────────────────────────────────────────────────────────────────────────────

void RoutedShoppers::leave(CartAccount& account) {
  account.done = true;
  --under_way_;
}

void RoutedShoppers::reserve(CartAccount& account) {
  const RoutedOperation& cart = account.cart;
  node::Reserve command{.id = cart.id,
                        .lines = cart.lines,
                        .ttl_seconds = cart.ttl_seconds,
                        .wait_ms = cart.wait_ms,
                        .partial = cart.partial};
  if (account.random.chance(0.3)) command.metadata = R"({"who":"me"})";
  repeat(account, command, [this, &account](Outcome&& outcome) {
    if (!outcome.succeeded()) {
      if (outcome.code != Code::insufficient_stock)
        world_.fail("refused-a-valid-call", account.cart.id + ": " + code_of(outcome));
      world_.saw("a cart was refused for want of stock");
      return leave(account);
    }
    account.held = true;
    account.held_before_move = !world_.map().moving();
    if (world_.calls().spread(account.cart.id)) world_.saw("a cart over several shards was held");
    after_a_while(account,
                  [this, &account] { account.cart.extends ? extend(account) : end(account); });
  });
}

void RoutedShoppers::extend(CartAccount& account) {
  repeat(
      account, node::Extend{account.cart.id, account.cart.ttl_seconds},
      [this, &account](Outcome&&) { after_a_while(account, [this, &account] { end(account); }); });
}

void RoutedShoppers::end(CartAccount& account) {
  switch (account.cart.end) {
    case CartEnd::leave:
      return leave(account);
    case CartEnd::release:
      return repeat(account, node::Release{account.cart.id},
                    [this, &account](Outcome&&) { leave(account); });
    case CartEnd::commit_lines:
      account.lines.emplace();
      for (const node::Line& line : account.cart.lines)
        if (account.lines->empty() || account.random.chance(0.5))
          account.lines->push_back({line.sku, account.random.between(1, line.quantity)});
      if (!account.cart.partial) return commit(account);
      account.lines.reset();  // nobody knows how much of a line is held
      return commit(account);
    case CartEnd::commit:
      return commit(account);
  }
}

void RoutedShoppers::commit(CartAccount& account) {
  account.commit = CartAccount::Commit::asked;
  repeat(account, node::Commit{account.cart.id, account.lines},
         [this, &account](Outcome&& outcome) {
           const bool spread = world_.calls().spread(account.cart.id);
           if (!outcome.succeeded()) {
             if (outcome.code != Code::reservation_closed)
               world_.fail("refused-a-valid-call",
                           "commit of " + account.cart.id + ": " + code_of(outcome));
             if (spread) world_.saw("a commit over several shards came too late");
             account.commit = CartAccount::Commit::refused;
             return leave(account);
           }
           account.commit = CartAccount::Commit::told;
           if (account.held_before_move && moves(account.cart.lines.front().sku))
             world_.saw("a cart was made before a move and sold after it");
           UnitsBySku wanted, shown;
           for (const crdt::HoldLine& line : view_of(outcome)->lines)
             if (line.committed > 0) shown[line.sku] += line.committed;
           for (const node::Line& line : account.lines.value_or(account.cart.lines))
             wanted[line.sku] += line.quantity;
           // After a commit of lines routers read the cart again, and another node may be behind.
           if (!account.cart.partial && !account.lines && shown != wanted)
             world_.fail("sold-something-else", "of " + account.cart.id);
           account.sold = account.cart.partial ? shown : wanted;
           if (spread)
             world_.saw(account.lines ? "lines of a cart over several shards were sold"
                                      : "a cart over several shards was sold");
           if (!account.cart.returns || account.sold.empty()) return leave(account);
           after_a_while(account, [this, &account] { give_back(account); });
         });
}

void RoutedShoppers::give_back(CartAccount& account) {
  node::Return back{.id = account.cart.id, .key = {.scope = "", .text = "back"}};
  for (const auto& [sku, units] : account.sold)
    if (back.lines.empty() || account.random.chance(0.5))
      back.lines.push_back({sku, account.random.between(1, units)});
  for (const node::Line& line : back.lines) account.asked_back[line.sku] += line.quantity;
  repeat(account, back, [this, &account](Outcome&& outcome) {
    // Nobody writes the rows of a node that has left; what others took is said.
    if (outcome.code == Code::replica_retired && home_has_left(account)) {
      world_.saw("a return was refused, as its node had left");
      if (outcome.detail.find("nothing has been returned") != std::string::npos)
        account.asked_back.clear();
      return leave(account);
    }
    if (!outcome.succeeded() && !world_.calls().contested(account.cart.id))
      world_.fail("refused-a-valid-call", "return of " + account.cart.id + ": " + code_of(outcome));
    if (world_.calls().spread(account.cart.id)) world_.saw("lines of a spread cart came back");
    account.told_back = account.asked_back;
    leave(account);
  });
}

bool RoutedShoppers::home_has_left(const CartAccount& account) {
  for (std::size_t shard = 0; shard < world_.shards(); ++shard)
    for (const std::size_t node : world_.nodes_of(shard)) {
      if (!world_.shard(shard).node(node).lives()) continue;
      const crdt::State& state = world_.shard(shard).node(node).engine().state();
      for (const auto& [key, hold] : state.holds()) {
        const std::string* const cart = world_.calls().cart_of_part(hold->id);
        if ((hold->id == account.cart.id || (cart != nullptr && *cart == account.cart.id)) &&
            state.retired(hold->origin))
          return true;
      }
    }
  return false;
}

// ── the rest ────────────────────────────────────────────────────────────────────────────────────

void RoutedShoppers::receive(const node::Receive& receipt) {
  const bool before = !world_.map().moving();
  repeat(receipt, [this, receipt, before](Outcome&& outcome) {
    if (before && moves(receipt.sku))
      world_.saw("a receipt was asked for before a move and told after it");
    if (!outcome.succeeded() && outcome.code != Code::elsewhere)
      return world_.fail("refused-a-valid-call",
                         "receipt of " + receipt.sku + ": " + code_of(outcome));
    received_[receipt.sku] += receipt.quantity;
  });
}

bool RoutedShoppers::moves(const std::string& sku) const {
  return world_.map().shard_of(sku) != world_.map().shard_before(sku);
}

void RoutedShoppers::read(Random random) {
  const std::string& sku = random.pick(world_.plan().skus);
  const auto any = [](std::optional<Outcome>&&) {};
  switch (random.below(6)) {
    case 0:
      return ask(node::GetStock{sku}, any);
    case 1:
      return ask(node::GetAvailability{world_.plan().skus}, any);
    case 2:
      return ask(node::ListReservations{.limit = 5}, any);
    case 3:
      return ask(node::ListReservations{.sku = sku, .limit = 5}, any);
    case 4:
      return ask(node::ListSkus{.prefix = "", .limit = 5, .cursor = ""}, any);
    default:
      return ask(node::GetReservation{carts_.empty()
                                          ? "none"
                                          : random.pick(std::vector<std::string>{
                                                carts_.front().cart.id, carts_.back().cart.id})},
                 any);
  }
}

}  // namespace holdfast::sim
