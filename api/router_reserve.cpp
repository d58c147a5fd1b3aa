// Carts are made: in one shard as it stands, over several part by part, the record last.

#include <algorithm>
#include <set>

#include "api/cart_rows.h"
#include "api/router.h"

namespace holdfast::api {

using node::Code;
using node::Command;
using node::Line;
using node::Outcome;
using node::ReservationView;

namespace {

constexpr int kFetchesMax = 6;  // of what a cart lacks while its SKUs move

}  // namespace

Task<Outcome> Router::reserve(node::Reserve cart) {
  if (cart.metadata.starts_with(kRowPrefix))
    co_return refused(
        Code::out_of_range,
        "metadata whose first name is 'holdfast' is the router's own: choose another");
  if (cart.id.starts_with(kPartPrefix))
    co_return refused(Code::out_of_range,
                      "ids that begin with 'part:' are the router's own: choose another");
  if (!moving_of(cart).empty()) {  // it may have been made before
    std::optional<Outcome> before = co_await standing_where_it_may_be(cart);
    if (before) co_return *std::move(before);
  }
  if (cart.partial) co_await bring_for(moving_of(cart), now_.instant);
  // Followed to where its SKUs are, and once more when what it lacks has been fetched.
  int fetched = 0;
  for (std::size_t tries = 0; tries < cart.lines.size() + kFetchesMax; ++tries) {
    const crdt::Instant since = now_.instant;
    Outcome outcome = co_await reserve_where_it_is(cart);
    if (outcome.code == Code::moved && follow(outcome)) {
      // Another router may have made it meanwhile, where its SKUs were or are.
      std::optional<Outcome> made = co_await standing_where_it_may_be(cart);
      if (made) co_return *std::move(made);
      continue;
    }
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

Task<std::optional<Outcome>> Router::standing_where_it_may_be(const node::Reserve& cart) {
  std::set<std::size_t> places;
  for (const Line& line : cart.lines) {
    places.insert(was_at(line.sku));
    places.insert(home_of(line.sku));
    places.insert(place_of(line.sku));
  }
  std::vector<std::size_t> all(places.begin(), places.end());
  co_return co_await standing(cart, std::move(all));
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

// The cart as its record stands, if there is one: the answer to a repetition. 503 if a node that
// cannot be reached may know of one that no other has heard of.
Task<std::optional<Outcome>> Router::standing(const node::Reserve& cart,
                                              std::vector<std::size_t> shards) {
  for (const std::size_t shard : shards) {
    Hint hint;  // where it would have been made
    for (const Line& line : cart.lines)
      if (hint.sku.empty() && place_of(line.sku) == shard) hint.sku = line.sku;
    Outcome read = co_await at_shard(shard, reading(cart.id), std::move(hint));
    const ReservationView* record = view_of(read);
    if (record == nullptr) {
      if (read.code == Code::unknown_reservation) continue;
      co_return std::optional<Outcome>(std::move(read));
    }
    const auto row = cart_row(record->metadata);
    const bool others = std::any_of(cart.lines.begin(), cart.lines.end(), [&](const Line& line) {
      return std::none_of(record->lines.begin(), record->lines.end(),
                          [&](const auto& held) { return held.sku == line.sku; });
    });
    if (!row && !others) {  // all of it is there: that shard knows whether it is the same
      Hint hint(record->home);
      co_return std::optional<Outcome>(co_await at_shard(shard, cart, std::move(hint)));
    }
    if (!row || row->digest != cart_digest(cart))
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
    part.metadata = part_metadata(cart.id, groups_[record_at]->name);
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
  std::vector<std::pair<std::string, std::string>> parts;
  for (const Part& part : others) parts.emplace_back(groups_[part.shard]->name, part.id);
  record.metadata = record_metadata(cart, parts);
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
    // Nodes refuse what they lack, whatever one that is away may know, and so do routers: else each
    // refusal would be a 503 for as long as a node is down. Nothing is made.
    const bool perhaps = known && known->code == Code::home_unreachable &&
                         outcome.code == Code::insufficient_stock && !carts_.contains(cart.id);
    if (known && !perhaps) co_return *std::move(known);
    if (outcome.code == Code::reservation_conflict)  // a moment ago, and cannot be read yet
      co_return refused(Code::outcome_unknown,
                        "reservation '" + cart.id +
                            "' was made through another router just now: repeat the same call to "
                            "learn whether it is the same");
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
  Cart made{.shard = record_at, .home = record.home, .others = held.parts};
  remember(cart.id, made);
  if (take_parts(made, record)) {  // another router was first
    co_await release_all(held.parts);
    co_return co_await show(cart.id, std::move(made), Code::ok);
  }
  held.views.insert(held.views.begin(), record);
  co_return shown(joined(held.views), outcome.code);
}

}  // namespace holdfast::api
