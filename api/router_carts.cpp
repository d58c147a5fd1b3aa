// Reservations through the router: where they are, and carts over several shards.

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "api/json.h"
#include "api/router.h"
#include "crdt/digest.h"

namespace holdfast::api {

namespace json = boost::json;
using crdt::HoldState;
using node::Code;
using node::Command;
using node::Line;
using node::Outcome;
using node::ReservationView;

namespace {

constexpr std::string_view kPartPrefix = "part:";
constexpr int kFetchesMax = 6;  // of what a cart lacks while its SKUs move

Outcome refused(Code code, std::string detail) {
  return {.code = code, .detail = std::move(detail)};
}

// Of what a client asks for: told again, it is the same cart.
std::uint64_t digest_of(const node::Reserve& cart) {
  std::map<std::string, node::Units> lines;
  for (const Line& line : cart.lines) lines[line.sku] += line.quantity;
  std::string text = std::to_string(cart.ttl_seconds) + (cart.partial ? " partial " : " whole ");
  for (const auto& [sku, quantity] : lines) text += sku + ' ' + std::to_string(quantity) + '\n';
  return crdt::digest(text + cart.metadata);
}

// ── what the metadata of records and parts says ──
//   record  {"holdfast": {"digest": …, "parts": {SHARD: ID, …}}, "metadata": the client's}
//   part    {"holdfast": {"part_of": ID, "shard": that of the record, at first}}

struct Note {
  std::string digest;
  std::vector<std::pair<std::string, std::string>> parts;  // shard, id
  std::string part_of, of_shard;
  std::string metadata;  // the client's
};

std::optional<Note> note_in(const std::string& metadata) {
  if (!metadata.starts_with("{\"holdfast\":{")) return std::nullopt;
  boost::system::error_code error;
  const json::value value = json::parse(metadata, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::value* own = value.get_object().if_contains("holdfast");
  if (own == nullptr || !own->is_object()) return std::nullopt;
  const auto text = [&](std::string_view key) {
    const json::value* found = own->get_object().if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  Note note{.digest = text("digest"), .part_of = text("part_of"), .of_shard = text("shard")};
  if (const json::value* parts = own->get_object().if_contains("parts");
      parts != nullptr && parts->is_object())
    for (const auto& [shard, id] : parts->get_object())
      if (id.is_string()) note.parts.emplace_back(std::string(shard), std::string(id.get_string()));
  if (note.digest.empty() && note.part_of.empty()) return std::nullopt;
  if (const json::value* rest = value.get_object().if_contains("metadata"))
    note.metadata = json::serialize(*rest);
  return note;
}

// One reservation of all parts, as a client sees it.
ReservationView joined(const std::vector<ReservationView>& views) {
  ReservationView whole = views.front();
  for (std::size_t i = 1; i < views.size(); ++i) {
    whole.lines.insert(whole.lines.end(), views[i].lines.begin(), views[i].lines.end());
    whole.final = whole.final && views[i].final;
    if (views[i].state == HoldState::committed) whole.state = HoldState::committed;
    whole.reached = std::min(whole.reached, views[i].reached);
    whole.expires_at = std::min(whole.expires_at, views[i].expires_at);
  }
  std::sort(whole.lines.begin(), whole.lines.end(),
            [](const auto& a, const auto& b) { return a.sku < b.sku; });
  if (const auto note = note_in(whole.metadata)) whole.metadata = note->metadata;
  return whole;
}

Outcome shown(ReservationView view, Code code) {
  Outcome outcome{.code = code};
  outcome.view = std::make_unique<ReservationView>(std::move(view));
  return outcome;
}

std::vector<Line> sold_lines(const ReservationView& view) {
  std::vector<Line> lines;
  for (const crdt::HoldLine& line : view.lines)
    if (line.committed > line.returned) lines.push_back({line.sku, line.committed - line.returned});
  return lines;
}

}  // namespace

std::optional<std::size_t> Router::shard_named(const std::string& name) const {
  for (std::size_t i = 0; i < groups_.size(); ++i)
    if (groups_[i]->name == name) return i;
  return std::nullopt;
}

// Nothing: it is a part of another.
std::optional<Router::Cart> Router::cart_of(const ReservationView& view, std::size_t shard) const {
  Cart cart{.shard = shard, .home = view.home};
  const auto note = note_in(view.metadata);
  if (!note) return cart;
  if (!note->part_of.empty()) return std::nullopt;
  for (const auto& [name, id] : note->parts)
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
  const auto note = note_in(part.metadata);
  return note && shard_named(note->of_shard).has_value();
}

std::string Router::part_of(const ReservationView& view) {
  const auto note = note_in(view.metadata);
  return note ? note->part_of : "";
}

void Router::remember(const std::string& id, Cart cart) {
  if (!carts_.insert_or_assign(id, std::move(cart)).second) return;
  remembered_.push_back(id);
  if (remembered_.size() <= kRememberedMax) return;
  carts_.erase(remembered_.front());
  remembered_.pop_front();
}

// ── making one ──────────────────────────────────────────────────────────────────────────────────

Task<Outcome> Router::reserve(node::Reserve cart) {
  if (cart.metadata.starts_with("{\"holdfast\":"))
    co_return refused(
        Code::out_of_range,
        "metadata whose first name is 'holdfast' is the router's own: choose another");
  if (cart.id.starts_with(kPartPrefix))
    co_return refused(Code::out_of_range,
                      "ids that begin with 'part:' are the router's own: choose another");
  if (!moving_of(cart).empty()) {  // it may have been made before
    std::set<std::size_t> places;
    for (const Line& line : cart.lines) {
      places.insert(was_at(line.sku));
      places.insert(home_of(line.sku));
    }
    const std::vector<std::size_t> all(places.begin(), places.end());
    std::optional<Outcome> before = co_await standing(cart, all);
    if (before) co_return *std::move(before);
  }
  if (cart.partial) co_await bring_for(moving_of(cart), now_.instant);
  // Followed to where its SKUs are, and once more when what it lacks has been fetched.
  int fetched = 0;
  for (std::size_t tries = 0; tries < cart.lines.size() + kFetchesMax; ++tries) {
    const crdt::Instant since = now_.instant;
    Outcome outcome = co_await reserve_where_it_is(cart);
    if (outcome.code == Code::moved && follow(outcome)) continue;
    const bool lacks =
        outcome.code == Code::insufficient_stock || outcome.code == Code::unknown_sku;
    const std::vector<std::string> moving = moving_of(cart);  // a map may have come meanwhile
    if (!lacks || moving.empty() || fetched == kFetchesMax) co_return outcome;
    ++fetched;
    const bool more = co_await bring_for(moving, since);
    if (!more) co_return outcome;
  }
  co_return refused(Code::outcome_unknown,
                    "the SKUs of reservation '" + cart.id +
                        "' move between shards: repeat the same call to learn the outcome");
}

Task<Outcome> Router::reserve_where_it_is(node::Reserve cart) {
  std::vector<std::size_t> shards;  // by name: the order that all routers keep to
  Split lines;
  for (const Line& line : cart.lines) {
    const std::size_t place = place_of(line.sku);
    if (lines[place].empty()) shards.push_back(place);
    lines[place].push_back(line);
  }
  std::sort(shards.begin(), shards.end(),
            [&](std::size_t a, std::size_t b) { return groups_[a]->name < groups_[b]->name; });
  // Another body may lead to other shards: as far as this router knows, there it is the same id.
  const auto known = carts_.find(cart.id);
  if (known != carts_.end() &&
      std::find(shards.begin(), shards.end(), known->second.shard) == shards.end()) {
    const std::vector<std::size_t> elsewhere{known->second.shard};
    std::optional<Outcome> conflict = co_await standing(cart, elsewhere);
    if (conflict) co_return *std::move(conflict);
  }
  if (shards.size() > 1)
    co_return co_await reserve_in_parts(std::move(cart), shards, std::move(lines));
  const std::string id = cart.id;
  Hint hint(cart.lines.front().sku);
  Outcome outcome = co_await at_shard(shards.front(), std::move(cart), std::move(hint));
  if (const ReservationView* view = view_of(outcome)) {
    Cart known{.shard = shards.front(), .home = view->home};
    remember(id, std::move(known));
  }
  co_return outcome;
}

// The cart as its record stands, if there is one: the answer to a repetition.
Task<std::optional<Outcome>> Router::standing(const node::Reserve& cart,
                                              std::vector<std::size_t> shards) {
  for (const std::size_t shard : shards) {
    Outcome read = co_await at_shard(shard, reading(cart.id), Hint());
    const ReservationView* record = view_of(read);
    if (record == nullptr) {
      if (read.code == Code::unknown_reservation) continue;
      co_return std::optional<Outcome>(std::move(read));
    }
    const auto note = note_in(record->metadata);
    const bool others = std::any_of(cart.lines.begin(), cart.lines.end(), [&](const Line& line) {
      return std::none_of(record->lines.begin(), record->lines.end(),
                          [&](const auto& held) { return held.sku == line.sku; });
    });
    if (!note && !others) {  // all of it is there: that shard knows whether it is the same
      Hint hint(record->home);
      co_return std::optional<Outcome>(co_await at_shard(shard, cart, std::move(hint)));
    }
    if (!note || note->digest != hexadecimal(digest_of(cart)))
      co_return std::optional<Outcome>(refused(
          Code::reservation_conflict, "reservation '" + cart.id + "' exists with another body"));
    const std::optional<Cart> known = cart_of(*record, shard);
    co_return std::optional<Outcome>(co_await show(cart.id, *known, Code::ok));
  }
  co_return std::nullopt;
}

// Holds the cart's lines at each of the shards but under ids of their own. An answer: refused, and
// what is held is in `held`.
Task<std::optional<Outcome>> Router::hold_parts(const node::Reserve& cart, const Split& lines,
                                                const std::vector<std::size_t>& shards, Whole& held,
                                                bool in_order, std::size_t record_at) {
  std::optional<Outcome> refusal;
  std::vector<Task<Outcome>> asked;
  std::vector<Part> parts;
  const auto take = [&](Outcome&& outcome, Part part) {
    if (const ReservationView* view = view_of(outcome)) {
      held.parts.push_back(std::move(part));
      held.views.push_back(*view);
    } else if (outcome.code == Code::insufficient_stock && cart.partial) {
      // Nothing of this part can be had.
    } else if (refusal && refusal->code == Code::insufficient_stock &&
               outcome.code == Code::insufficient_stock) {
      std::move(outcome.shortages.begin(), outcome.shortages.end(),
                std::back_inserter(refusal->shortages));
    } else if (!refusal || refusal->code == Code::insufficient_stock) {
      if (outcome.code == Code::outcome_unknown) held.parts.push_back(std::move(part));  // perhaps
      refusal = std::move(outcome);
    }
  };
  for (const std::size_t shard : shards) {
    node::Reserve part = cart;
    part.id = std::string(kPartPrefix) + fresh();
    part.lines = lines.at(shard);
    part.metadata = "{\"holdfast\":{\"part_of\":\"" + cart.id + "\",\"shard\":\"" +
                    groups_[record_at]->name + "\"}}";
    Hint hint(part.lines.front().sku);
    parts.push_back({shard, part.id});
    ++counts_[Count::parts];
    asked.push_back(at_shard(shard, std::move(part), std::move(hint)));
    if (!in_order) continue;
    Outcome outcome = co_await asked.back();
    take(std::move(outcome), parts.back());
    if (refusal) co_return refusal;
  }
  for (std::size_t i = 0; i < asked.size() && !in_order; ++i) {
    Outcome outcome = co_await asked[i];
    take(std::move(outcome), parts[i]);
  }
  co_return refusal;
}

Task<bool> Router::release_all(std::vector<Part> parts) {
  std::vector<Command> commands;
  for (const Part& part : parts) commands.push_back(releasing(part.id));
  std::vector<Outcome> outcomes = co_await at_parts(std::move(parts), std::move(commands));
  co_return true;
}

Task<Outcome> Router::make_record(const node::Reserve& cart, std::vector<Line> lines,
                                  std::size_t shard, std::vector<Part> others) {
  node::Reserve record = cart;
  record.lines = std::move(lines);
  std::string parts;
  for (const Part& part : others)
    parts += (parts.empty() ? "\"" : ",\"") + groups_[part.shard]->name + "\":\"" + part.id + "\"";
  record.metadata = "{\"holdfast\":{\"digest\":\"" + hexadecimal(digest_of(cart)) +
                    "\",\"parts\":{" + parts + "}}" +
                    (cart.metadata.empty() ? "" : ",\"metadata\":" + cart.metadata) + "}";
  Hint hint(record.lines.front().sku);
  ++counts_[Count::parts];
  Outcome outcome = co_await at_shard(shard, std::move(record), std::move(hint));
  co_return outcome;
}

Task<Outcome> Router::reserve_in_parts(node::Reserve cart, std::vector<std::size_t> shards,
                                       Split lines) {
  if (cart.partial) {  // its record is at the first shard that has any of it, whichever that was
    std::optional<Outcome> known = co_await standing(cart, shards);
    if (known) co_return *std::move(known);
  }
  const std::size_t first = shards.front();
  const std::vector<std::size_t> others(shards.begin() + 1, shards.end());
  const std::vector<std::size_t> only_first{first};
  Whole held;
  Outcome outcome;
  for (const bool in_order : {false, true}) {
    held = {};
    std::optional<Outcome> refusal =
        co_await hold_parts(cart, lines, others, held, in_order, first);
    if (!refusal) {
      outcome = co_await make_record(cart, lines.at(first), first, held.parts);
      if (outcome.succeeded()) break;
      // Perhaps it is there, and then names the parts: a sweep will see.
      if (outcome.code == Code::outcome_unknown) co_return outcome;
    } else {
      outcome = *std::move(refusal);
    }
    if (cart.partial && outcome.code == Code::insufficient_stock && !held.parts.empty()) break;
    co_await release_all(held.parts);
    std::optional<Outcome> known = co_await standing(cart, only_first);
    if (known) co_return *std::move(known);
    if (outcome.code != Code::insufficient_stock || outcome.shortages.empty()) co_return outcome;
    // Should none of what lacks be there at all, nobody competes for it.
    const bool competed =
        std::all_of(outcome.shortages.begin(), outcome.shortages.end(),
                    [](const node::Shortage& lack) { return lack.available >= lack.requested; });
    if (in_order || !competed) co_return outcome;
  }
  std::size_t record_at = first;
  while (!outcome.succeeded()) {  // in part, and nothing of it is where the record should be
    if (held.parts.empty()) co_return outcome;
    const std::vector<Part> freed{held.parts.front()};
    held.parts.erase(held.parts.begin());
    held.views.erase(held.views.begin());
    co_await release_all(freed);
    record_at = freed.front().shard;
    outcome = co_await make_record(cart, lines.at(record_at), record_at, held.parts);
    if (outcome.code == Code::outcome_unknown) co_return outcome;
  }
  const ReservationView record = *view_of(outcome);
  remember(cart.id, Cart{.shard = record_at, .home = record.home, .others = held.parts});
  held.views.insert(held.views.begin(), record);
  co_return shown(joined(held.views), outcome.code);
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

Task<Router::Wholes> Router::read_all(std::string id, Cart cart) {
  std::vector<Part> parts{{cart.shard, id}};
  parts.insert(parts.end(), cart.others.begin(), cart.others.end());
  std::vector<Command> reads;
  for (const Part& part : parts) reads.push_back(reading(part.id));
  std::vector<Outcome> outcomes = co_await at_parts(parts, std::move(reads));
  Whole whole;
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
  std::vector<Outcome> outcomes = co_await at_parts(cart.others, std::move(commands));
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
  std::vector<Part> parts = cart.others;
  parts.push_back({cart.shard, command.id});
  std::vector<Command> commands;
  for (const Part& part : parts) commands.emplace_back(node::Extend{part.id, command.ttl_seconds});
  std::vector<Outcome> outcomes = co_await at_parts(std::move(parts), std::move(commands));
  for (Outcome& outcome : outcomes)
    if (!outcome.succeeded()) co_return std::move(outcome);
  co_return co_await show(command.id, std::move(cart), Code::ok);
}

Task<Outcome> Router::give_back(node::Return command, Cart cart) {
  Wholes all = co_await read_all(command.id, cart);
  if (auto* missing = std::get_if<Outcome>(&all)) co_return std::move(*missing);
  const Whole whole = std::get<Whole>(std::move(all));
  // Those first that can only be a repetition: if they are none, nothing is done.
  std::vector<Part> parts, doubtful;
  std::vector<Command> commands, doubtful_commands;
  std::size_t placed = 0;
  for (std::size_t i = 0; i < whole.parts.size(); ++i) {
    node::Return back{.id = whole.parts[i].id, .key = command.key};
    bool fits = true;
    for (const Line& line : command.lines)
      for (const crdt::HoldLine& sold : whole.views[i].lines) {
        if (sold.sku != line.sku || line.quantity > sold.committed) continue;
        fits = fits && line.quantity <= sold.committed - sold.returned;
        back.lines.push_back(line);
      }
    if (back.lines.empty()) continue;
    placed += back.lines.size();
    (fits ? parts : doubtful).push_back(whole.parts[i]);
    (fits ? commands : doubtful_commands).emplace_back(std::move(back));
  }
  if (placed != command.lines.size())
    co_return refused(Code::out_of_range, "a line names a SKU of which reservation '" + command.id +
                                              "' has not sold so much");
  std::vector<Outcome> first = co_await at_parts(std::move(doubtful), std::move(doubtful_commands));
  for (Outcome& outcome : first)
    if (!outcome.succeeded()) co_return std::move(outcome);
  std::vector<Outcome> outcomes = co_await at_parts(std::move(parts), std::move(commands));
  for (Outcome& outcome : outcomes)
    if (!outcome.succeeded()) co_return std::move(outcome);
  co_return co_await show(command.id, std::move(cart), Code::ok);
}

}  // namespace holdfast::api
