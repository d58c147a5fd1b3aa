// Where a reservation is decided: here, at its home, or nowhere that can be reached.

#include <algorithm>

#include "crdt/check.h"
#include "node/engine.h"
#include "node/moves.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::Millis;
using crdt::Now;

namespace {

constexpr Millis kAnswerWithin{2000};
constexpr Millis kHomeAnswersWithin{500};  // of a SKU, beside what the client waits

const std::string& id_of(const ReservationCommand& command) {
  return std::visit([](const auto& c) -> const std::string& { return c.id; }, command);
}

bool is_read(const ReservationCommand& command) {
  return std::holds_alternative<GetReservation>(command);
}

Command widened(ReservationCommand&& command) {
  return std::visit([](auto&& c) { return Command(std::move(c)); }, std::move(command));
}

Outcome unreachable(const std::string& id, const std::string& node) {
  return refused(Code::home_unreachable, "the home of reservation '" + id + "'" +
                                             (node.empty() ? "" : " (" + node + ")") +
                                             " cannot be reached now; try again later");
}

Outcome unknown(const std::string& id) {
  return refused(Code::unknown_reservation, "no node knows a reservation '" + id + "'");
}

}  // namespace

void Engine::on(Now now, const Caller& caller, Reserve&& command) {
  Caller asking = caller;
  asking.durability = command.durability;
  on_reservation(now, asking, ReservationCommand(std::move(command)));
}

void Engine::on_reservation(Now now, const Caller& caller, ReservationCommand&& command) {
  const std::string& id = id_of(command);
  if (rights_.waiting(id)) {  // its outcome is being decided here
    if (auto* again = std::get_if<Reserve>(&command)) {
      auto checked = ledger_.check(std::move(*again));
      if (auto* refusal = std::get_if<Outcome>(&checked))
        return finish(caller, std::move(*refusal));
      const Cart& cart = std::get<Cart>(checked);
      return rights_.join(cart.request.id, cart.digest, hold_token(caller));
    }
    const std::string waited_for = id;
    return rights_.follow(waited_for, {hold_token(caller), widened(std::move(command))});
  }
  if (state_.first_copy(id) == nullptr) {
    if (auto* made = std::get_if<Reserve>(&command)) return reserve(now, caller, std::move(*made));
    return search(now, caller, std::move(command));
  }
  if (Hold* here = decided_here(id, std::holds_alternative<Reserve>(command)))
    return apply(now, caller, *here, std::move(command));
  Hold& standing = *state_.hold(id);
  const ReplicaId home = state_.heir(standing.origin);
  if (const auto* back = std::get_if<Return>(&command);
      back != nullptr && home != standing.origin &&
      (home == state_.self() || standing.row.state != crdt::HoldState::held))
    return finish(caller, ledger_.give_back(standing, *back, times(now)));  // refused, or repeated
  const bool lost = state_.decreed(home) && !mesh_.reachable(home);
  if (home == state_.self() || (lost && !std::holds_alternative<Return>(command)))
    return without_home(now, caller, standing, std::move(command));
  const bool ended = standing.row.state != crdt::HoldState::held;
  if (is_read(command) && (ended || caller.link != 0 || !mesh_.reachable(home)))
    return finish(caller, read_hold(readers(now), standing, Code::ok));
  forward(now, caller, home, std::move(command));
}

// The own copy, if it is for this replica to decide on it: it stands, or stands in for that of a
// retired home, or (`made_here`) the request was one to make it.
Hold* Engine::decided_here(const std::string& id, bool made_here) const {
  Hold* own = state_.own_hold(id);
  if (own == nullptr) return nullptr;
  const Hold* standing = state_.hold(id);
  if (standing == own) return own;
  const bool heir = standing->row.state == crdt::HoldState::held &&
                    state_.retired(standing->origin) &&
                    state_.heir(standing->origin) == state_.self();
  return !own->row.overruled && (made_here || heir) ? own : nullptr;
}

// Nobody else can be asked: the standing copy's home is lost by decree, or was retired and this
// replica is its heir. So this node decides.
void Engine::without_home(Now now, const Caller& caller, const Hold& standing,
                          ReservationCommand&& command) {
  if (is_read(command)) return finish(caller, read_hold(readers(now), standing, Code::ok));
  if (auto* again = std::get_if<Reserve>(&command)) {
    auto checked = ledger_.check(std::move(*again));
    if (auto* refusal = std::get_if<Outcome>(&checked)) return finish(caller, std::move(*refusal));
    return finish(caller, ledger_.repeat(standing, std::get<Cart>(checked).digest));
  }
  if (auto outcome = copies_.adopt(standing, command, times(now)))
    return finish(caller, *std::move(outcome));
  const ReplicaId issuer = decrees_.who_may_seize_for(standing);
  if (issuer && caller.link == 0) return forward(now, caller, issuer, std::move(command));
  finish(caller,
         refused(Code::home_unreachable,
                 "the home of reservation '" + standing.id +
                     "' is lost, this node has no rights to its units, and no node can be reached "
                     "whose decree covers it: grant this node rights, or try again later"));
}

void Engine::apply(Now now, const Caller& caller, Hold& hold, ReservationCommand&& command) {
  const Times at = times(now);
  if (auto* again = std::get_if<Reserve>(&command)) {
    auto checked = ledger_.check(std::move(*again));
    if (auto* refusal = std::get_if<Outcome>(&checked)) return finish(caller, std::move(*refusal));
    return finish(caller, ledger_.repeat(hold, std::get<Cart>(checked).digest));
  }
  if (is_read(command)) return finish(caller, read_hold(readers(now), hold, Code::ok));
  const crdt::HoldState before = hold.row.state;
  if (auto* commit = std::get_if<Commit>(&command)) {
    Outcome outcome = ledger_.commit(hold, *commit, at);
    if (outcome.succeeded() && before == crdt::HoldState::held) ++counted_.commits;
    finish(caller, std::move(outcome));
  } else if (std::holds_alternative<Release>(command)) {
    Outcome outcome = ledger_.release(hold, at);
    if (outcome.succeeded() && before == crdt::HoldState::held) ++counted_.releases;
    finish(caller, std::move(outcome));
  } else if (auto* extend = std::get_if<Extend>(&command)) {
    Outcome outcome = ledger_.extend(hold, extend->ttl_seconds, at);
    if (outcome.succeeded()) ++counted_.extensions;
    finish(caller, std::move(outcome));
  } else {
    Outcome outcome = ledger_.give_back(hold, std::get<Return>(command), at);
    if (outcome.succeeded()) ++counted_.returns;
    finish(caller, std::move(outcome));
  }
  offer_freed(hold, at);
}

// Units of this hold may have come free: for the carts that wait, before anyone who comes later.
void Engine::offer_freed(const Hold& hold, Times now) {
  for (const crdt::HoldLine& line : hold.row.lines) {
    crdt::Product& product = *state_.product(line.sku);
    decrees_.stock_came(product);
    if (rights_.size() > 0) rights_.gained(product, now);
  }
}

void Engine::reserve(Now now, const Caller& caller, Reserve&& command, bool ask_home) {
  if (drain_.passes_on() && caller.link == 0)
    return forward(now, caller, drain_.successor(), ReservationCommand(std::move(command)));
  if (state_.own_open_holds() >= config_.open_holds_max)
    return finish(caller, refused(Code::overloaded, "this node has as many open holds as it may"));
  auto checked = ledger_.check(std::move(command));
  if (auto* refusal = std::get_if<Outcome>(&checked)) return finish(caller, std::move(*refusal));
  Cart& cart = std::get<Cart>(checked);
  if (auto elsewhere = moved_away(cart.products)) return finish(caller, *std::move(elsewhere));
  if (caller.link == 0 && ask_home)
    if (const ReplicaId home = home_of_what_lacks(cart, now.instant); home != state_.self())
      return ask_home_of_sku(now, caller, home, std::move(cart.request));
  absl::InlinedVector<std::pair<crdt::Product*, Units>, 4> asked;
  for (std::size_t i = 0; i < cart.products.size(); ++i)
    asked.emplace_back(cart.products[i], cart.request.lines[i].quantity);
  decide(now, caller, std::move(cart));
  for (const auto& [product, units] : asked) rebalancer_.asked(*product, units, now.instant);
}

// The node of this region that is home to most of the lines of which too little is here. This one,
// if nothing is lacking or nobody else is to be asked.
ReplicaId Engine::home_of_what_lacks(const Cart& cart, crdt::Instant now) const {
  const ReplicaId self = state_.self();
  std::vector<Seat> seats;
  std::vector<std::pair<ReplicaId, int>> homes{{self, 0}};  // and of how many lines
  for (std::size_t i = 0; i < cart.products.size(); ++i) {
    if (ledger_.free(*cart.products[i]) >= cart.request.lines[i].quantity) continue;
    if (seats.empty()) seats = seats_of_region(now);
    if (seats.size() == 1) return self;
    const ReplicaId home = home_of(cart.products[i]->sku, seats);
    if (!home) return self;
    const auto at = std::find_if(homes.begin(), homes.end(),
                                 [&](const auto& entry) { return entry.first == home; });
    if (at == homes.end()) {
      homes.emplace_back(home, 1);
    } else {
      ++at->second;
    }
  }
  return std::max_element(homes.begin(), homes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

// Of this node's region: this one, and those that it reaches, that answer and do not leave.
std::vector<Seat> Engine::seats_of_region(crdt::Instant now) const {
  std::vector<Seat> seats{{state_.self(), drain_.running() ? 0 : config_.weight}};
  for (const ReplicaId peer : mesh_.reachable_peers()) {
    if (!is_live(peer) || state_.member(peer)->row.region != config_.mesh.region) continue;
    if (const auto silent = silent_until_.find(peer);
        silent != silent_until_.end() && now < silent->second)
      continue;
    seats.push_back({peer, state_.member(peer)->row.weight});
  }
  return seats;
}

void Engine::decide(Now now, const Caller& caller, Cart&& cart) {
  std::vector<Units> units;
  Units had = 0;
  bool whole = true;
  for (std::size_t i = 0; i < cart.products.size(); ++i) {
    const Units wanted = cart.request.lines[i].quantity;
    units.push_back(std::min(wanted, ledger_.free(*cart.products[i])));
    had += units.back();
    whole = whole && units.back() == wanted;
  }
  if (whole) {
    ++counted_.reservations_created;
    return finish(caller, ledger_.hold(std::move(cart), units, times(now)));
  }
  if (cart.request.wait_ms == 0 || !rebalancer_.policy().moves_for_customers() ||
      mesh_.reachable_peers().empty()) {
    Outcome outcome = rights_.settle_for_less(std::move(cart), times(now));
    ++(outcome.succeeded() ? counted_.reservations_created : counted_.reservations_refused);
    return finish(caller, std::move(outcome));
  }
  ++counted_.reservations_waited;  // for the others' rights, for as long as the client waits
  const crdt::Instant until = now.instant + Millis(cart.request.wait_ms);
  rights_.wait(std::move(cart), hold_token(caller), until, times(now));
  wake(rights_.wake_at());
}

std::uint64_t Engine::hold_token(const Caller& caller) {
  waiting_callers_[++last_waiting_] = caller;
  return last_waiting_;
}

// While the cart waited another node may have told of a copy that it made.
void Engine::give_way_to_what_came(Outcome& outcome, Now now) {
  const std::string id = std::get<std::unique_ptr<ReservationView>>(outcome.view)->id;
  copies_.settle(id, times(now));
  if (state_.own_hold(id)->row.overruled)
    outcome = read_hold(readers(now), *state_.hold(id), outcome.code);
}

// Outcomes of carts that waited, and the verbs that waited for them.
void Engine::deliver_served(Now now) {
  for (std::vector<Served> served = rights_.take_served(); !served.empty();
       served = rights_.take_served()) {
    for (Served& one : served) {
      ++(one.outcome.succeeded() ? counted_.reservations_created : counted_.reservations_refused);
      if (one.outcome.succeeded()) give_way_to_what_came(one.outcome, now);
      std::vector<Caller> callers;
      for (const std::uint64_t token : one.tokens) {
        callers.push_back(waiting_callers_.at(token));
        waiting_callers_.erase(token);
      }
      for (std::size_t i = 1; i < callers.size(); ++i) {
        auto copy = decode_outcome(encode_outcome(one.outcome));
        HOLDFAST_CHECK(copy.ok());
        if (copy->code == Code::created) copy->code = Code::ok;
        finish(callers[i], *std::move(copy));
      }
      finish(callers.front(), std::move(one.outcome));
      for (Request& follower : one.followers) {
        const Caller caller = waiting_callers_.at(follower.token);
        waiting_callers_.erase(follower.token);
        run(now, caller, std::move(follower.command));
      }
    }
  }
}

// What waited for other nodes' disks.
void Engine::check_durability(Now now) {
  if (durability_waits_.empty()) return;
  DurabilityWaits::Reach reach;
  for (const ReplicaId peer : other_members(state_)) {
    const bool near = state_.member(peer)->row.region == config_.mesh.region;
    (near ? reach.region_has_others : reach.other_regions) = true;
    crdt::Sequence& most = near ? reach.in_region : reach.elsewhere;
    most = std::max(most, mesh_.view(now, peer).acknowledged);
  }
  durability_waits_.tick(now.instant, reach);
  for (DurabilityWaits::Done& done : durability_waits_.take_done()) {
    const auto caller = waiting_callers_.find(done.token);
    answer(caller->second, std::move(done.outcome));
    waiting_callers_.erase(caller);
  }
  wake(durability_waits_.wake_at());
}

// ── elsewhere ───────────────────────────────────────────────────────────────────────────────────

void Engine::forward(Now now, const Caller& caller, ReplicaId to, ReservationCommand&& command) {
  const crdt::Member* member = state_.member(to);
  const std::string node = member == nullptr ? "" : member->row.node;
  if (caller.link != 0 && !is_over())  // one hop at most, and one more to an heir
    return finish(caller, unreachable(id_of(command), node));
  Millis within = kAnswerWithin;
  if (const auto* made = std::get_if<Reserve>(&command)) within += Millis(made->wait_ms);
  if (caller.durability != Durability::node) within += config_.durability_wait;
  const std::uint64_t call = mesh_.call(to, encode_call(Forward{command}));
  if (call == 0) return finish(caller, unreachable(id_of(command), node));
  ++counted_.forwards;
  // Its home waits for the others' disks.
  const Caller told{.token = caller.token, .link = caller.link};
  away_.emplace(call, Away{told, std::move(command), to, now.instant + within});
  wake(now.instant + within);
}

// As forward(), but to a node that is to be asked only because it may have more rights.
void Engine::ask_home_of_sku(Now now, const Caller& caller, ReplicaId to, Reserve&& command) {
  const Millis within =
      kHomeAnswersWithin + Millis(command.wait_ms) +
      (caller.durability != Durability::node ? config_.durability_wait : Millis(0));
  ReservationCommand asked(std::move(command));
  const std::uint64_t call = mesh_.call(to, encode_call(Forward{asked}));
  if (call == 0) return reserve(now, caller, std::get<Reserve>(std::move(asked)), false);
  ++counted_.forwards;
  away_.emplace(
      call, Away{{caller.token}, std::move(asked), to, now.instant + within, true, now.instant});
  wake(now.instant + within);
}

namespace {
// What is left of the time that the client waits for rights.
Millis wait_left(const Reserve& made, crdt::Instant asked, crdt::Instant now) {
  return std::max(Millis(0), Millis(made.wait_ms) - (now - asked));
}
}  // namespace

// Refused by the home for want of rights, but this node may reach some that the home does not.
bool Engine::may_get_more(Now now, const Away& away) const {
  const Reserve& made = std::get<Reserve>(away.command);
  if (wait_left(made, away.asked, now.instant) <= Millis(0)) return false;
  const std::vector<ReplicaId> peers = mesh_.reachable_peers();
  return std::all_of(made.lines.begin(), made.lines.end(), [&](const Line& line) {
    const crdt::Product* product = state_.product(line.sku);
    if (product == nullptr) return false;
    Units units = ledger_.free(*product);
    for (const ReplicaId peer : peers)
      if (peer != away.to) units += std::max<Units>(0, product->stock.rights(peer));
    return units >= line.quantity;
  });
}

// The home of its SKU does not decide it. Should it have done so all the same, and only its answer
// be lost, one of the two copies gives way (copies.h).
void Engine::make_here(Now now, Away&& away, bool said_no) {
  Reserve& made = std::get<Reserve>(away.command);
  if (said_no)
    made.wait_ms = static_cast<std::uint32_t>(wait_left(made, away.asked, now.instant).count());
  const Caller caller{
      .token = away.caller.token, .durability = made.durability, .perhaps_made = !said_no};
  const bool known = state_.hold(made.id) != nullptr || rights_.waiting(made.id);
  Command command(std::move(made));
  if (known || is_over()) return run(now, caller, std::move(command));
  if (auto refusal = refuse_write(command)) return finish(caller, *std::move(refusal));
  reserve(now, caller, std::get<Reserve>(std::move(command)), false);
}

// No answer will come for a forwarded command.
void Engine::lost_away(Now now, Away&& away, bool sent) {
  const std::string& id = id_of(away.command);
  if (away.can_be_made_here) {
    silent_until_[away.to] = now.instant + config_.mesh.suspect_after;
    return make_here(now, std::move(away), false);
  }
  if (is_read(away.command)) {
    // What is known here is an answer too, and says that it is not final.
    if (const Hold* copy = state_.hold(id))
      return finish(away.caller, read_hold(readers(now), *copy, Code::ok));
    return finish(away.caller, unreachable(id, ""));
  }
  finish(away.caller, sent ? not_known_yet() : unreachable(id, ""));
}

void Engine::search(Now now, const Caller& caller, ReservationCommand&& command) {
  if (caller.link != 0) return finish(caller, unknown(id_of(command)));
  // Who knows what those know that were never reached, or of whom nothing has come yet.
  Search search{.caller = caller,
                .some_missing = mesh_.never_reached() > 0 || mesh_.unheard_of(state_),
                .until = now.instant + kAnswerWithin};
  const std::string body = encode_call(Find{id_of(command)});
  search.command = std::move(command);
  const std::uint64_t number = ++last_search_;
  for (const ReplicaId peer : other_members(state_)) {
    const std::uint64_t call = mesh_.call(peer, body);
    if (call == 0) {
      search.some_missing = true;
      continue;
    }
    search.calls.push_back(call);
    search_calls_[call] = number;
  }
  if (search.calls.empty()) return end_search(std::move(search));
  wake(search.until);
  searches_.emplace(number, std::move(search));
}

// Nobody who was asked knows it.
void Engine::end_search(Search&& search) {
  for (const std::uint64_t call : search.calls) search_calls_.erase(call);
  const std::string& id = id_of(search.command);
  finish(search.caller, search.some_missing ? unreachable(id, "") : unknown(id));
}

}  // namespace holdfast::node
