// Reservations through the router: where they are, and what is done with all parts of one.

#include <algorithm>

#include "api/cart_rows.h"
#include "api/router.h"

namespace holdfast::api {

using crdt::HoldState;
using node::Code;
using node::Command;
using node::Line;
using node::Outcome;
using node::ReservationView;

std::optional<std::size_t> Router::shard_named(const std::string& name) const {
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (groups_[i]->name == name) return i;
  return std::nullopt;
}

// Nothing: it is a part of another.
std::optional<Router::Cart> Router::cart_of(const ReservationView& view, std::size_t shard) const {
  Cart cart{.shard = shard, .home = view.home};
  const auto row = cart_row(view.metadata);
  if (!row) return cart;
  if (!row->part_of.empty()) return std::nullopt;
  for (const auto& [name, id] : row->parts)
    cart.others.push_back({shard_named(name).value_or(SIZE_MAX), id});
  return cart;
}

const ReservationView* Router::view_of(const Outcome& outcome) {
  const auto* view = std::get_if<std::unique_ptr<ReservationView>>(&outcome.view);
  return view == nullptr ? nullptr : view->get();
}

bool Router::sold(const ReservationView& view) { return !sold_lines(view).empty(); }

Command Router::reading(std::string id) { return node::GetReservation{std::move(id)}; }
Command Router::committing(std::string id) { return node::Commit{std::move(id), {}}; }
Command Router::releasing(std::string id) { return node::Release{std::move(id)}; }

bool Router::some_expired(const Whole& whole) {
  return std::any_of(whole.views.begin() + 1, whole.views.end(),
                     [](const ReservationView& view) { return view.state == HoldState::expired; });
}

// A map that lacks the record's shard says nothing about whether there is a record.
bool Router::knows_record_of(const ReservationView& part) const {
  const auto row = cart_row(part.metadata);
  return row && shard_named(row->of_shard).has_value();
}

std::string Router::part_of(const ReservationView& view) {
  const auto row = cart_row(view.metadata);
  return row ? row->part_of : "";
}

void Router::remember(const std::string& id, Cart cart) {
  if (!carts_.insert_or_assign(id, std::move(cart)).second) return;
  remembered_.push_back(id);
  if (remembered_.size() <= kRememberedMax) return;
  carts_.erase(remembered_.front());
  remembered_.pop_front();
}

// ── finding one ─────────────────────────────────────────────────────────────────────────────────

Task<std::variant<Router::Cart, Outcome>> Router::locate(std::string id) {
  using Found = std::variant<Cart, Outcome>;
  if (const auto known = carts_.find(id); known != carts_.end()) co_return Found(known->second);
  if (id.starts_with(kPartPrefix))
    co_return Found(refused(Code::unknown_reservation, "no node knows a reservation '" + id + "'"));
  if (groups_.size() == 1) {
    Cart only;
    co_return Found(std::move(only));
  }
  std::vector<Task<Outcome>> asked;
  for (std::size_t shard = 0; shard < groups_.size(); ++shard)
    asked.push_back(at_shard(shard, reading(id), Hint()));
  std::optional<Outcome> missing;
  std::optional<Cart> found;
  for (std::size_t shard = 0; shard < asked.size(); ++shard) {
    Outcome outcome = co_await asked[shard];
    if (const ReservationView* view = view_of(outcome)) {
      if (found) continue;
      Cart part{.shard = shard, .home = view->home};  // should it be one
      found = cart_of(*view, shard).value_or(std::move(part));
    } else if (!missing || missing->code == Code::unknown_reservation) {
      missing = std::move(outcome);
    }
  }
  if (!found) co_return Found(*std::move(missing));
  remember(id, *found);
  co_return Found(*std::move(found));
}

// A verb, or a read.
Task<Outcome> Router::verb(Command command, std::string id) {
  for (const bool again : {false, true}) {
    std::variant<Cart, Outcome> found = co_await locate(id);
    if (auto* missing = std::get_if<Outcome>(&found)) co_return std::move(*missing);
    const Cart cart = std::get<Cart>(found);
    Outcome outcome;
    if (cart.others.empty()) {
      Hint hint(cart.home);
      outcome = co_await at_shard(cart.shard, command, std::move(hint));
    } else if (auto* c = std::get_if<node::Commit>(&command)) {
      if (c->lines) {
        outcome = co_await commit_lines(*c, cart);
      } else {
        outcome = co_await commit(*c, cart);
      }
    } else if (auto* r = std::get_if<node::Release>(&command)) {
      outcome = co_await release(*r, cart);
    } else if (auto* e = std::get_if<node::Extend>(&command)) {
      outcome = co_await extend(*e, cart);
    } else if (auto* b = std::get_if<node::Return>(&command)) {
      outcome = co_await give_back(*b, cart);
    } else {
      outcome = co_await show(id, cart, Code::ok);
    }
    // It was purged, and an id may be used again elsewhere.
    if (outcome.code != Code::unknown_reservation || !carts_.contains(id) || again)
      co_return outcome;
    carts_.erase(id);
  }
  co_return refused(Code::unknown_reservation, "");  // not reached
}

// ── all parts ───────────────────────────────────────────────────────────────────────────────────

// commands[i] at parts[i], all at once.
Task<std::vector<Outcome>> Router::at_parts(std::vector<Part> parts,
                                            std::vector<Command> commands) {
  std::vector<Task<Outcome>> asked;
  for (std::size_t i = 0; i < parts.size(); ++i)
    asked.push_back(at_shard(parts[i].shard, std::move(commands[i]), Hint()));
  std::vector<Outcome> outcomes;
  for (Task<Outcome>& one : asked) {
    Outcome outcome = co_await one;
    outcomes.push_back(std::move(outcome));
  }
  co_return outcomes;
}

// The parts are those that the record names. Two routers can make a cart at once at two nodes: one
// of the two records stands.
bool Router::take_parts(Cart& cart, const ReservationView& record) {
  std::optional<Cart> named = cart_of(record, cart.shard);
  if (!named ||
      std::equal(named->others.begin(), named->others.end(), cart.others.begin(), cart.others.end(),
                 [](const Part& a, const Part& b) { return a.id == b.id; }))
    return false;
  cart = *std::move(named);
  remember(record.id, cart);
  return true;
}

Task<Router::Wholes> Router::read_all(std::string id, Cart cart) {
  Whole whole;
  std::vector<Part> parts;
  std::vector<Outcome> outcomes;
  for (const bool again : {false, true}) {
    parts.assign({{cart.shard, id}});
    parts.insert(parts.end(), cart.others.begin(), cart.others.end());
    std::vector<Command> reads;
    for (const Part& part : parts) reads.push_back(reading(part.id));
    outcomes = co_await at_parts(parts, std::move(reads));
    const ReservationView* record = view_of(outcomes.front());
    if (again || record == nullptr || !take_parts(cart, *record)) break;
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const ReservationView* view = view_of(outcomes[i]);
    if (view == nullptr) co_return Wholes(std::move(outcomes[i]));
    whole.parts.push_back(parts[i]);
    whole.views.push_back(*view);
  }
  co_return Wholes(std::move(whole));
}

Task<Outcome> Router::show(std::string id, Cart cart, Code code) {
  Wholes all = co_await read_all(std::move(id), std::move(cart));
  if (auto* missing = std::get_if<Outcome>(&all)) co_return std::move(*missing);
  co_return shown(joined(std::get<Whole>(all).views), code);
}

// What was sold comes back, what is held is released: as if it had never been made.
Task<bool> Router::undo(Whole whole) {
  ++counts_[Count::settled];
  std::vector<Part> parts;
  std::vector<Command> commands;
  for (std::size_t i = 0; i < whole.parts.size(); ++i) {
    const ReservationView& view = whole.views[i];
    const std::string& id = whole.parts[i].id;
    if (view.state == HoldState::held) {
      commands.push_back(releasing(id));
    } else if (std::vector<Line> lines = sold_lines(view); !lines.empty()) {
      node::Return back{.id = id, .lines = std::move(lines)};
      back.key.text = "undo:" + whole.parts.front().id;
      if (back.key.text.size() > 128) back.key.text.resize(128);
      commands.emplace_back(std::move(back));
    } else {
      continue;
    }
    parts.push_back(whole.parts[i]);
  }
  std::vector<Outcome> outcomes = co_await at_parts(std::move(parts), std::move(commands));
  co_return std::all_of(outcomes.begin(), outcomes.end(),
                        [](const Outcome& outcome) { return outcome.succeeded(); });
}

// The record is committed: so are the others, or, if one has ended otherwise, all is undone.
Task<Outcome> Router::finish_commit(Cart cart, ReservationView record) {
  const std::string id = record.id;
  std::vector<ReservationView> views{std::move(record)};
  std::vector<Command> commands;
  for (const Part& part : cart.others) commands.push_back(committing(part.id));
  std::vector<Outcome> outcomes = co_await at_parts(cart.others, std::move(commands));
  for (Outcome& outcome : outcomes) {
    if (const ReservationView* view = view_of(outcome)) {
      views.push_back(*view);
      continue;
    }
    if (outcome.code != Code::reservation_closed && outcome.code != Code::unknown_reservation) {
      finish_later(id, cart);
      co_return refused(Code::outcome_unknown,
                        "a part of reservation '" + id +
                            "' could not be committed yet; repeat the same call to learn the "
                            "outcome: " +
                            outcome.detail);
    }
    Wholes all = co_await read_all(id, cart);
    auto* whole = std::get_if<Whole>(&all);
    if (whole == nullptr) co_return std::get<Outcome>(std::move(all));
    // Released, not expired: a commit of some lines had ended it, and stands.
    if (!some_expired(*whole)) co_return shown(joined(whole->views), Code::ok);
    const bool undone = co_await undo(std::move(*whole));
    if (!undone) finish_later(id, cart);
    co_return refused(Code::reservation_closed,
                      "a part of reservation '" + id +
                          "' had ended before it was committed: nothing of it is sold");
  }
  co_return shown(joined(views), Code::ok);
}

Task<Outcome> Router::commit(node::Commit command, Cart cart) {
  std::string id = command.id;
  Hint hint(cart.home);
  Outcome outcome = co_await at_shard(cart.shard, std::move(command), std::move(hint));
  const ReservationView* record = view_of(outcome);
  if (record != nullptr) take_parts(cart, *record);
  if (record != nullptr && sold(*record))
    co_return co_await finish_commit(std::move(cart), *record);
  if (record == nullptr && outcome.code != Code::reservation_closed) {
    if (outcome.code != Code::unknown_reservation) finish_later(id, std::move(cart));  // perhaps
    co_return outcome;
  }
  // It has ended: by a commit of lines that are in other parts alone, or all has come back since,
  // by a customer or because a part had expired.
  Wholes all = co_await read_all(id, std::move(cart));
  if (auto* missing = std::get_if<Outcome>(&all)) co_return std::move(*missing);
  const Whole& whole = std::get<Whole>(all);
  if (some_expired(whole) || joined(whole.views).state != HoldState::committed) {
    if (!outcome.succeeded()) co_return outcome;
    co_return refused(Code::reservation_closed,
                      "a part of reservation '" + id +
                          "' had ended before it was committed: nothing of it is sold");
  }
  co_return shown(joined(whole.views), Code::ok);
}

// The record last: while it is held, nothing is decided.
Task<Outcome> Router::commit_lines(node::Commit command, Cart cart) {
  Wholes all = co_await read_all(command.id, cart);
  if (auto* missing = std::get_if<Outcome>(&all)) co_return std::move(*missing);
  Whole whole = std::get<Whole>(std::move(all));
  std::vector<Command> commands;
  std::size_t placed = 0;
  for (std::size_t i = 0; i < whole.parts.size(); ++i) {
    std::vector<Line> lines;
    for (const Line& line : *command.lines)
      if (std::any_of(whole.views[i].lines.begin(), whole.views[i].lines.end(),
                      [&](const crdt::HoldLine& held) {
                        return held.sku == line.sku && line.quantity <= held.held;
                      }))
        lines.push_back(line);
    placed += lines.size();
    if (lines.empty()) {
      commands.push_back(releasing(whole.parts[i].id));
    } else {
      commands.emplace_back(node::Commit{whole.parts[i].id, std::move(lines)});
    }
  }
  if (placed != command.lines->size())
    co_return refused(Code::out_of_range, "a line names a SKU that reservation '" + command.id +
                                              "' does not hold, or more of it than it holds");
  Command record = std::move(commands.front());
  commands.erase(commands.begin());
  whole.parts.erase(whole.parts.begin());
  std::vector<Outcome> outcomes = co_await at_parts(whole.parts, std::move(commands));
  for (Outcome& outcome : outcomes)
    if (!outcome.succeeded())
      co_return co_await settle_lines(std::move(command), std::move(cart), std::move(outcome));
  Outcome outcome = co_await at_shard(cart.shard, std::move(record), Hint());
  if (!outcome.succeeded())
    co_return co_await settle_lines(std::move(command), std::move(cart), std::move(outcome));
  co_return co_await show(command.id, std::move(cart), Code::ok);
}

// A commit of lines did not come to its end, which is the record's. If that is committed, another
// call was first, and its sale stands; if not, what was sold of the others comes back.
Task<Outcome> Router::settle_lines(node::Commit command, Cart cart, Outcome why) {
  if (why.code != Code::reservation_closed && why.code != Code::unknown_reservation) {
    finish_later(command.id, cart);
    co_return why;
  }
  Wholes all = co_await read_all(command.id, cart);
  auto* whole = std::get_if<Whole>(&all);
  if (whole == nullptr) co_return why;
  if (sold(whole->views.front())) co_return why;
  const bool undone = co_await undo(std::move(*whole));
  if (!undone) finish_later(command.id, std::move(cart));
  co_return why;
}

Task<Outcome> Router::release(node::Release command, Cart cart) {
  std::string id = command.id;
  Outcome outcome = co_await at_shard(cart.shard, std::move(command), Hint());
  if (!outcome.succeeded()) co_return outcome;
  if (const ReservationView* record = view_of(outcome)) take_parts(cart, *record);
  std::vector<Command> commands;
  for (const Part& part : cart.others) commands.push_back(releasing(part.id));
  std::vector<Outcome> outcomes = co_await at_parts(cart.others, std::move(commands));
  for (Outcome& one : outcomes)
    if (!one.succeeded() && one.code != Code::reservation_closed &&
        one.code != Code::unknown_reservation)
      co_return std::move(one);
  Outcome whole = co_await show(id, std::move(cart), Code::ok);
  const ReservationView* view = view_of(whole);
  if (view != nullptr && view->state == HoldState::committed)  // lines of other parts alone
    co_return refused(Code::reservation_closed,
                      "reservation '" + id + "' is committed; it cannot be released");
  co_return whole;
}

Task<Outcome> Router::extend(node::Extend command, Cart cart) {
  Hint hint(cart.home);
  Outcome first = co_await at_shard(cart.shard, command, std::move(hint));
  if (!first.succeeded()) co_return first;
  if (const ReservationView* record = view_of(first)) take_parts(cart, *record);
  std::vector<Command> commands;
  for (const Part& part : cart.others)
    commands.emplace_back(node::Extend{part.id, command.ttl_seconds});
  std::vector<Outcome> outcomes = co_await at_parts(cart.others, std::move(commands));
  for (Outcome& outcome : outcomes)
    if (!outcome.succeeded()) co_return std::move(outcome);
  co_return co_await show(command.id, std::move(cart), Code::ok);
}

// What its homes say: another node may not have heard yet of what was sold.
Task<bool> Router::read_at_homes(Whole& whole) {
  std::vector<Task<Outcome>> asked;
  for (std::size_t i = 0; i < whole.parts.size(); ++i) {
    Hint hint(whole.views[i].home);
    asked.push_back(at_shard(whole.parts[i].shard, reading(whole.parts[i].id), std::move(hint)));
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    Outcome outcome = co_await asked[i];
    if (const ReservationView* view = view_of(outcome)) whole.views[i] = *view;
  }
  co_return true;
}

bool Router::have_sold(const Whole& whole, const std::vector<Line>& lines) {
  return std::all_of(lines.begin(), lines.end(), [&](const Line& line) {
    return std::any_of(whole.views.begin(), whole.views.end(), [&](const auto& view) {
      return std::any_of(view.lines.begin(), view.lines.end(), [&](const auto& sold) {
        return sold.sku == line.sku && line.quantity <= sold.committed;
      });
    });
  });
}

bool Router::has_left(std::size_t shard, crdt::ReplicaId replica) const {
  const auto& nodes = groups_[shard]->nodes;
  return std::none_of(nodes.begin(), nodes.end(), [&](const auto& entry) {
    return entry.second->known && !entry.second->retired && entry.second->replica == replica;
  });
}

namespace {

void add_to(std::string& list, const std::string& sku) {
  list += (list.empty() ? "'" : ", '") + sku + "'";
}

}  // namespace

Task<std::vector<Outcome>> Router::take_back(const std::vector<Share>& shares) {
  std::vector<Part> parts;
  std::vector<Command> commands;
  for (const Share& share : shares) {
    parts.push_back(share.part);
    commands.emplace_back(share.back);
  }
  co_return co_await at_parts(std::move(parts), std::move(commands));
}

// The first answer that is no success, in words about the whole cart if a part takes nothing back
// any more: who asked books those lines otherwise, and must not book the others. None: all took.
std::optional<Outcome> Router::refusal(const std::string& cart, const std::vector<Share>& shares,
                                       const std::vector<Outcome>& answers, Returned& returned) {
  std::string gone;
  for (std::size_t i = 0; i < shares.size(); ++i)
    for (const Line& line : shares[i].back.lines) {
      if (answers[i].code == Code::replica_retired) add_to(gone, line.sku);
      if (answers[i].succeeded()) add_to(returned.now, line.sku);
    }
  // What is not clear first: who repeats the call learns the rest.
  for (const Outcome& one : answers)
    if (!one.succeeded() && one.code != Code::replica_retired) return refused(one.code, one.detail);
  if (gone.empty()) return std::nullopt;
  std::string detail = "of reservation '" + cart + "' the units of " + gone +
                       " were sold by a node that has left for good, and nobody takes them back: "
                       "book them as a receipt where they have come in";
  if (!returned.now.empty()) detail += "; what this call has returned is " + returned.now;
  if (!returned.before.empty())
    detail += "; earlier calls, perhaps with this key, have returned as many of " + returned.before;
  if (returned.now.empty() && returned.before.empty())
    detail += "; nothing has been returned: return the others without them";
  return refused(Code::replica_retired, std::move(detail));
}

Task<Outcome> Router::give_back(node::Return command, Cart cart) {
  Wholes all = co_await read_all(command.id, cart);
  if (auto* missing = std::get_if<Outcome>(&all)) co_return std::move(*missing);
  Whole whole = std::get<Whole>(std::move(all));
  if (!have_sold(whole, command.lines)) co_await read_at_homes(whole);
  // Those first that may refuse, or can only be a repetition: if one is not done, nothing is.
  std::vector<Share> doubtful, sure;
  Returned returned;
  std::size_t placed = 0;
  for (std::size_t i = 0; i < whole.parts.size(); ++i) {
    Share share{whole.parts[i], node::Return{.id = whole.parts[i].id, .key = command.key}};
    const bool left = has_left(whole.parts[i].shard, whole.views[i].home);
    bool fits = !left;
    for (const Line& line : command.lines)
      for (const crdt::HoldLine& sold : whole.views[i].lines) {
        if (sold.sku != line.sku || line.quantity > sold.committed) continue;
        fits = fits && line.quantity <= sold.committed - sold.returned;
        if (!left && line.quantity <= sold.returned) add_to(returned.before, line.sku);
        share.back.lines.push_back(line);
      }
    placed += share.back.lines.size();
    if (!share.back.lines.empty()) (fits ? sure : doubtful).push_back(std::move(share));
  }
  if (placed != command.lines.size())
    co_return refused(Code::out_of_range, "a line names a SKU of which reservation '" + command.id +
                                              "' has not sold so much");
  std::vector<Outcome> answers = co_await take_back(doubtful);
  if (auto no = refusal(command.id, doubtful, answers, returned)) co_return *std::move(no);
  answers = co_await take_back(sure);
  if (auto no = refusal(command.id, sure, answers, returned)) co_return *std::move(no);
  co_return co_await show(command.id, std::move(cart), Code::ok);
}

}  // namespace holdfast::api
