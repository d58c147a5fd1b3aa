#include "tests/node/support/clients.h"

#include <algorithm>

namespace holdfast::tests {

using namespace node;

using crdt::HoldLine;
using crdt::HoldState;

namespace {

// Answers after which the client knows what has happened. The others: ask again.
bool is_clear(Code code) {
  return code != Code::home_unreachable && code != Code::outcome_unknown &&
         code != Code::overloaded && code != Code::stopping && code != Code::storage_full;
}

}  // namespace

Clients::Clients(Cluster& cluster, int skus) : cluster_(cluster), skus_(skus) {
  for (int i = 0; i < skus; ++i) cluster.call(0, PutSku{.sku = sku(i)});
  cluster.converge();
}

Command Clients::make(int kind, int x, int y) {
  const Units few = 1 + y % 6;
  switch (kind % 12) {
    case 0:
    case 1:
      return Receive{.sku = sku(x), .quantity = 1 + y % 20, .key = new_key()};
    case 2:
      return Adjust{
          .sku = sku(x), .delta = y % 2 == 0 ? -few : few, .reason = "recount", .key = new_key()};
    case 3:
      return Allow{.sku = sku(x), .delta = y % 4 == 0 ? -few : few, .key = new_key()};
    case 4:
      return GrantTo{.sku = sku(x),
                     .to = "node-" + std::to_string(y % cluster_.size()),
                     .quantity = few,
                     .key = new_key()};
    case 5:
    case 6:
    case 7: {
      Reserve cart{.id = "r" + std::to_string(carts_made_++), .lines = {{sku(x), few}}};
      if (y % 3 == 0) cart.lines.push_back({sku(x + 1), 1 + x % 4});
      cart.ttl_seconds = 5 + static_cast<std::uint32_t>(y % 7) * 20;
      cart.wait_ms = y % 4 == 0 ? 0 : 150;
      cart.partial = y % 5 == 0;
      return cart;
    }
    case 8:
    case 9: {
      Commit commit{.id = known_id(x)};
      if (y % 3 == 0) commit.lines = {{sku(y), 1}};
      return commit;
    }
    case 10:
      return y % 2 == 0 ? Command(Release{known_id(x)}) : Command(Extend{known_id(x), 30});
    default:
      return Return{.id = known_id(x), .lines = {{sku(y), 1}}, .key = new_key()};
  }
}

void Clients::ask(std::size_t node, int kind, int x, int y) {
  Command command = make(kind, x, y);
  const std::uint64_t token = cluster_.submit(node, command);
  asked_.push_back({std::move(command), node, token});
}

void Clients::collect() {
  for (Asked& asked : asked_)
    if (!asked.clear && cluster_.answered(asked.token)) note(asked, cluster_.take(asked.token));
}

void Clients::resolve() {
  collect();
  for (Asked& asked : asked_) {
    for (int again = 0; !asked.clear && again < 5; ++again) {
      asked.token = cluster_.submit(asked.node, asked.command);
      cluster_.run_until([&] { return cluster_.answered(asked.token); }, 10'000);
      collect();
    }
    if (!asked.clear) wrong("no clear answer to request " + std::to_string(asked.token));
  }
}

void Clients::note_lines(std::optional<std::vector<Units>>& known, const ReservationView& view,
                         std::uint32_t HoldLine::*field, const std::string& what) {
  std::vector<Units> units;
  for (const HoldLine& line : view.lines) units.push_back(line.*field);
  if (known && *known != units) wrong(view.id + ": what was " + what + " has changed");
  known = std::move(units);
}

void Clients::note(Asked& asked, Outcome outcome) {
  if (!is_clear(outcome.code)) return;  // asked again at the end
  asked.clear = true;
  if (!outcome.succeeded()) return;
  if (const auto* receive = std::get_if<Receive>(&asked.command)) {
    figures_[receive->sku].received += receive->quantity;
  } else if (const auto* adjust = std::get_if<Adjust>(&asked.command)) {
    figures_[adjust->sku].received += adjust->delta;
  } else if (const auto* allow = std::get_if<Allow>(&asked.command)) {
    figures_[allow->sku].allowance += allow->delta;
  }
  const auto* shown = std::get_if<std::unique_ptr<ReservationView>>(&outcome.view);
  if (shown == nullptr) return;
  Cart& cart = carts_[(*shown)->id];
  note_lines(cart.held, **shown, &HoldLine::held, "held");
  if (std::holds_alternative<Commit>(asked.command))
    note_lines(cart.committed, **shown, &HoldLine::committed, "committed");
  if (std::holds_alternative<Release>(asked.command)) cart.released = true;
  if (const auto* giving_back = std::get_if<Return>(&asked.command))
    for (const Line& line : giving_back->lines) cart.returned[line.sku] += line.quantity;
}

// What every reservation must be, and what they add up to.
std::string Clients::check_carts(std::map<std::string, Figures>& figures) {
  for (int number = 0; number < carts_made_; ++number) {
    const std::string id = "r" + std::to_string(number);
    const Outcome outcome = cluster_.call(number % cluster_.size(), GetReservation{id});
    const auto at = carts_.find(id);
    if (at == carts_.end()) {
      if (outcome.code != Code::unknown_reservation) wrong(id + " was refused, and is there");
      continue;
    }
    if (outcome.code != Code::ok) {
      wrong(id + " is gone");
      continue;
    }
    const Cart& cart = at->second;
    const ReservationView& view = reservation(outcome);
    if (cart.committed && cart.released) wrong(id + " was committed and released");
    if (cart.committed && view.state != HoldState::committed)
      wrong(id + " is not committed any more");
    if (cart.released && view.state != HoldState::released) wrong(id + " is not released any more");
    if (!cart.committed && !cart.released && view.state != HoldState::held &&
        view.state != HoldState::expired)
      wrong(id + " ended in a way that nobody was told of");
    if (view.state == HoldState::expired && view.ended_at < view.expires_at)
      wrong(id + " expired early");
    for (std::size_t i = 0; i < view.lines.size(); ++i) {
      const HoldLine& line = view.lines[i];
      Figures& sums = figures[line.sku];
      if (line.held != (*cart.held)[i]) wrong(id + " holds something else");
      if (view.state == HoldState::held) sums.held += line.held;
      if (view.state != HoldState::committed) continue;
      if (line.committed != (*cart.committed)[i]) wrong(id + " sold something else");
      sums.sold += line.committed;
      const auto returned = cart.returned.find(line.sku);
      const Units back = returned == cart.returned.end() ? 0 : returned->second;
      if (line.returned != back) wrong(id + " has other returns");
      sums.returned += back;
    }
  }
  return wrong_;
}

std::string Clients::verdict() {
  // A hold that expires while it is looked at would be counted twice or not at all.
  const auto expiries = [&] {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < cluster_.size(); ++i) sum += cluster_.stats(i).expiries;
    return sum;
  };
  std::map<std::string, Figures> figures;
  std::uint64_t before = 0;
  do {
    figures = figures_;
    cluster_.converge();
    before = expiries();
    if (!check_carts(figures).empty()) return wrong_;
  } while (expiries() != before);
  if (!cluster_.converge()) wrong("the nodes do not converge");
  for (const auto& [sku, sums] : figures) {
    for (std::size_t node = 0; node < cluster_.size(); ++node) {
      const Outcome outcome = cluster_.call(node, GetStock{sku});
      const StockView& view = stock(outcome);
      const std::string where = sku + " at node " + std::to_string(node) + ": ";
      const auto compare = [&](const char* what, Units is, Units must) {
        if (is != must)
          wrong(where + what + " is " + std::to_string(is) + ", must be " + std::to_string(must));
      };
      compare("on_hand", view.on_hand, sums.received - sums.sold + sums.returned);
      compare("held", view.held, sums.held);
      compare("sold", view.sold, sums.sold);
      compare("returned", view.returned, sums.returned);
      compare("allowance", view.allowance, sums.allowance);
      compare("available", view.available, view.on_hand - view.held);
      if (view.available < -view.allowance) wrong(where + "oversold beyond its allowance");
    }
  }
  return wrong_;
}

}  // namespace holdfast::tests
