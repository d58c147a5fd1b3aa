#include "node/ledger.h"

#include <algorithm>

#include "crdt/check.h"
#include "node/moves.h"
#include "node/undo_keys.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldLine;
using crdt::HoldState;
using crdt::Product;
using crdt::StockRow;

Outcome refused(Code code, std::string detail) {
  Outcome outcome;
  outcome.code = code;
  outcome.detail = std::move(detail);
  return outcome;
}

namespace {

Outcome unknown_sku(const std::string& sku) {
  return refused(Code::unknown_sku, "no SKU '" + sku +
                                        "' is known here; create it with PUT /v1/skus/" + sku +
                                        ", or wait until it has arrived from its region");
}

Outcome no_room(const std::string& sku) {
  return refused(Code::out_of_range, "a total of '" + sku + "' would pass 2^53-1");
}

Outcome succeeded(Code code, StockChange change) {
  Outcome outcome;
  outcome.code = code;
  outcome.view = std::move(change);
  return outcome;
}

}  // namespace

std::vector<Line> summed(std::vector<Line> lines) {
  if (lines.size() < 2) return lines;
  std::sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.sku < b.sku; });
  std::vector<Line> sums;
  sums.reserve(lines.size());
  for (Line& line : lines) {
    if (!sums.empty() && sums.back().sku == line.sku) {
      sums.back().quantity += line.quantity;
    } else {
      sums.push_back(std::move(line));
    }
  }
  return sums;
}

Units Ledger::free(const Product& product) const {
  const Units rights = product.stock.rights(state_.self()) - state_.withheld(product);
  return std::max<Units>(0, rights - aside_(product));
}

Product* Ledger::known(std::string_view sku) const {
  Product* product = state_.product(sku);
  return product != nullptr && !product->descriptions.empty() ? product : nullptr;
}

Units Ledger::granted_to(const Product& product, ReplicaId to) const {
  const crdt::StockCell* own = product.stock.find(state_.self());
  const crdt::PeerTotals* entry = own == nullptr ? nullptr : own->row.find(to);
  return entry == nullptr ? 0 : entry->granted;
}

StockChange Ledger::change(const Product& product, Units delta) const {
  return {.sku = product.sku,
          .delta = delta,
          .on_hand = product.stock.on_hand(),
          .available = product.stock.view_available(),
          .local_available = free(product),
          .allowance = product.stock.allowance()};
}

// ── idempotency keys ────────────────────────────────────────────────────────────────────────────

std::optional<Outcome> Ledger::answered(const IdempotencyKey& key, std::uint64_t digest) const {
  if (key.text.empty()) return std::nullopt;
  const crdt::Key* row = state_.key(key.scope + "\n" + key.text);
  if (row == nullptr) return std::nullopt;
  if (row->row.digest != digest)
    return refused(Code::idempotency_key_reused,
                   "this Idempotency-Key was used for another request on this path; use a new key");
  auto answer = decode_outcome(row->row.answer);
  if (answer.ok()) return *std::move(answer);
  // A later version wrote it in a form that this one cannot read: the effect stands, and is not
  // repeated.
  Outcome outcome;
  return outcome;
}

void Ledger::remember(const IdempotencyKey& key, std::uint64_t digest, const Outcome& outcome,
                      RowEffect effect, const std::string& sku, Units units, Times now) {
  if (key.text.empty()) return;
  crdt::KeyRow row;
  row.digest = digest;
  row.answer = encode_outcome(outcome);
  row.sku = sku;
  row.effect = static_cast<std::uint8_t>(effect);
  row.units = units;
  row.created_at = now.wall_ms;
  state_.put_key(key.scope + "\n" + key.text, std::move(row));
}

// ── catalogue and stock ─────────────────────────────────────────────────────────────────────────

Outcome Ledger::put_sku(const PutSku& command, Times now) {
  Product& product = state_.make_product(command.sku);
  const crdt::SkuCell* before = product.description();
  if (before != nullptr)
    if (auto elsewhere = moved_away(product)) return *std::move(elsewhere);
  crdt::SkuRow row;
  if (before != nullptr) row = before->row;
  row.extra.clear();
  if (before == nullptr) row.created_at = now.wall_ms;
  if (command.name) row.name = *command.name;
  if (command.attributes) row.attributes = *command.attributes;
  if (command.low_stock_threshold) row.low_stock_threshold = *command.low_stock_threshold;
  const bool same = before != nullptr && row.name == before->row.name &&
                    row.attributes == before->row.attributes &&
                    row.low_stock_threshold == before->row.low_stock_threshold;
  if (!same) {  // hybrid logical clock: above every time seen, and not behind the wall
    const std::uint64_t wall = static_cast<std::uint64_t>(now.wall_ms) << 16;
    row.time = std::max(wall, before == nullptr ? 0 : before->row.time + 1);
    state_.put_sku(product, std::move(row));
  }
  const crdt::SkuRow& shown = product.description()->row;
  Outcome outcome;
  outcome.code = before == nullptr ? Code::created : Code::ok;
  outcome.view = SkuView{.sku = product.sku,
                         .name = shown.name,
                         .attributes = shown.attributes,
                         .low_stock_threshold = shown.low_stock_threshold,
                         .created_at = shown.created_at,
                         .updated_at = static_cast<std::int64_t>(shown.time >> 16)};
  return outcome;
}

Outcome Ledger::receive(const Receive& command, Times now) {
  const std::uint64_t digest = digest_of(command);
  if (auto answer = answered(command.key, digest)) return *std::move(answer);
  Product* product = known(command.sku);
  if (product == nullptr) return unknown_sku(command.sku);
  if (auto elsewhere = moved_away(*product)) return *std::move(elsewhere);
  if (!product->stock.has_room(command.quantity)) return no_room(command.sku);
  state_.change_stock(*product, [&](StockRow& row) { row.received += command.quantity; });
  Outcome outcome = succeeded(Code::created, change(*product, command.quantity));
  remember(command.key, digest, outcome, RowEffect::received, command.sku, command.quantity, now);
  return outcome;
}

Outcome Ledger::adjust(const Adjust& command, Times now) {
  const std::uint64_t digest = digest_of(command);
  if (auto answer = answered(command.key, digest)) return *std::move(answer);
  Product* product = known(command.sku);
  if (product == nullptr) return unknown_sku(command.sku);
  if (auto elsewhere = moved_away(*product)) return *std::move(elsewhere);
  if (!product->stock.has_room(std::abs(command.delta))) return no_room(command.sku);
  if (command.delta < 0) {
    // Rights of this node less its own part of the allowance: what may be oversold is not stock.
    const crdt::StockCell* own = product->stock.find(state_.self());
    const Units allowance =
        own == nullptr ? 0 : own->row.allowance_added - own->row.allowance_removed;
    const Units most = std::max<Units>(0, free(*product) - std::max<Units>(0, allowance));
    if (-command.delta > most)
      return refused(Code::insufficient_rights,
                     "this node may take at most " + std::to_string(most) + " units of '" +
                         command.sku +
                         "' away; the rest is held, or other nodes have the rights to "
                         "it: adjust there, or grant them here first");
  }
  state_.change_stock(*product, [&](StockRow& row) {
    (command.delta > 0 ? row.received : row.withdrawn) += std::abs(command.delta);
  });
  Outcome outcome = succeeded(Code::created, change(*product, command.delta));
  remember(command.key, digest, outcome, RowEffect::adjusted, command.sku, command.delta, now);
  return outcome;
}

Outcome Ledger::allow(const Allow& command, Times now) {
  const std::uint64_t digest = digest_of(command);
  if (auto answer = answered(command.key, digest)) return *std::move(answer);
  Product* product = known(command.sku);
  if (product == nullptr) return unknown_sku(command.sku);
  if (auto elsewhere = moved_away(*product)) return *std::move(elsewhere);
  if (!product->stock.has_room(std::abs(command.delta))) return no_room(command.sku);
  if (command.delta < 0) {
    const Units most = std::min(free(*product), std::max<Units>(0, product->stock.allowance()));
    if (-command.delta > most)
      return refused(Code::insufficient_rights,
                     "this node may take back at most " + std::to_string(most) +
                         " units of the allowance of '" + command.sku + "' now");
  }
  state_.change_stock(*product, [&](StockRow& row) {
    (command.delta > 0 ? row.allowance_added : row.allowance_removed) += std::abs(command.delta);
  });
  Outcome outcome = succeeded(Code::created, change(*product, command.delta));
  remember(command.key, digest, outcome, RowEffect::allowed, command.sku, command.delta, now);
  return outcome;
}

Outcome Ledger::grant(const GrantTo& command, ReplicaId to, Times now) {
  HOLDFAST_CHECK(to != state_.self());
  const std::uint64_t digest = digest_of(command);
  if (auto answer = answered(command.key, digest)) return *std::move(answer);
  Product* product = known(command.sku);
  if (product == nullptr) return unknown_sku(command.sku);
  const Units most = free(*product);
  if (command.quantity > most)
    return refused(Code::insufficient_rights, "this node has rights to " + std::to_string(most) +
                                                  " units of '" + command.sku + "' to give");
  if (command.quantity > crdt::kUnitsMax - granted_to(*product, to)) return no_room(command.sku);
  state_.change_stock(*product, [&](StockRow& row) { row.at(to).granted += command.quantity; });
  StockChange shown = change(*product, command.quantity);
  shown.to = crdt::to_string(to);
  Outcome outcome = succeeded(Code::created, std::move(shown));
  remember(command.key, digest, outcome, RowEffect::granted, command.sku, command.quantity, now);
  return outcome;
}

Granted Ledger::grant_on_request(const AskRights& ask, Units spare, ReplicaId to) {
  Product* product = state_.product(ask.sku);
  if (product == nullptr) return {};
  const Units total = granted_to(*product, to);
  const Units needed = std::min(free(*product), std::max<Units>(0, ask.need));
  const Units give = needed + std::clamp<Units>(spare - needed, 0, std::max<Units>(0, ask.ahead));
  if (total != ask.granted_seen || give == 0 || give > crdt::kUnitsMax - total)
    return {.given = 0, .total = total};
  state_.change_stock(*product, [&](StockRow& row) { row.at(to).granted += give; });
  return {.given = give, .total = total + give};
}

// ── reservations ────────────────────────────────────────────────────────────────────────────────

std::variant<Cart, Outcome> Ledger::check(Reserve&& request) const {
  Cart cart;
  request.lines = summed(std::move(request.lines));
  for (const Line& line : request.lines) {
    if (line.quantity > crdt::kLineUnitsMax)
      return refused(Code::out_of_range,
                     "the lines of '" + line.sku + "' add up to more than 10^9");
    Product* product = known(line.sku);
    if (product == nullptr) return unknown_sku(line.sku);
    if (!product->stock.has_room(line.quantity)) return no_room(line.sku);
    cart.products.push_back(product);
  }
  cart.digest = digest_of(request);
  cart.request = std::move(request);
  return cart;
}

Outcome Ledger::shown(const Hold& hold, Code code) const {
  auto view = std::make_unique<ReservationView>();
  view->id = hold.id;
  view->state = hold.row.state;
  view->final = hold.row.state != HoldState::held;
  view->home = hold.origin;
  if (const crdt::Member* member = state_.member(hold.origin)) {
    view->home_node = member->row.node;
    view->home_region = member->row.region;
  }
  for (const HoldLine& line : hold.row.lines)
    if (line.requested > 0) view->lines.push_back(line);  // others say what was freed (estate.h)
  view->created_at = hold.row.created_at;
  view->expires_at = hold.row.expires_at;
  view->ended_at = hold.row.ended_at;
  view->metadata = hold.row.metadata;
  Outcome outcome;
  outcome.code = code;
  outcome.view = std::move(view);
  return outcome;
}

Outcome Ledger::repeat(const Hold& hold, std::uint64_t digest) const {
  if (hold.row.digest == digest) return shown(hold, Code::ok);
  return refused(Code::reservation_conflict,
                 "reservation '" + hold.id + "' exists with another body; use a new id");
}

Outcome Ledger::hold(Cart&& cart, const std::vector<Units>& units, Times now) {
  HOLDFAST_CHECK(units.size() == cart.products.size());
  crdt::HoldRow row;
  row.lines.reserve(units.size());
  for (std::size_t i = 0; i < units.size(); ++i) {
    HOLDFAST_CHECK(units[i] >= 0 && units[i] <= cart.request.lines[i].quantity);
    HOLDFAST_CHECK(units[i] == 0 || units[i] <= free(*cart.products[i]));
    if (units[i] > 0)
      state_.change_stock(*cart.products[i], [&](StockRow& stock) { stock.held += units[i]; });
    row.lines.push_back({.sku = cart.request.lines[i].sku,
                         .requested = static_cast<std::uint32_t>(cart.request.lines[i].quantity),
                         .held = static_cast<std::uint32_t>(units[i])});
  }
  const std::int64_t ttl_ms = std::int64_t{1000} * cart.request.ttl_seconds;
  row.digest = cart.digest;
  row.deadline = now.life_ms + ttl_ms;
  row.expires_at = now.wall_ms + ttl_ms;
  row.created_at = now.wall_ms;
  row.metadata = std::move(cart.request.metadata);
  Hold& hold = state_.add_hold(std::move(cart.request.id), std::move(row));
  watch(hold);
  return shown(hold, Code::created);
}

void Ledger::watch(Hold& hold) { due_.push({hold.row.deadline, hold.row.number}); }

void Ledger::end(Hold& hold, HoldState state, Times now) {
  HOLDFAST_CHECK(hold.row.state == HoldState::held && hold.origin == state_.self());
  for (const HoldLine& line : hold.row.lines) {
    if (line.held == 0) continue;
    state_.change_stock(*state_.product(line.sku), [&](StockRow& row) {
      row.sold += line.committed;
      row.released += line.held - line.committed;
    });
  }
  state_.change_hold(hold, [&](crdt::HoldRow& row) {
    row.state = state;
    row.ended_at = now.wall_ms;
  });
}

Outcome Ledger::closed(const Hold& hold, const char* wanted) const {
  static constexpr const char* kNames[] = {"held", "committed", "released", "expired"};
  return refused(Code::reservation_closed, "reservation '" + hold.id + "' is " +
                                               kNames[static_cast<int>(hold.row.state)] +
                                               "; it cannot be " + wanted);
}

Outcome Ledger::commit(Hold& hold, const Commit& command, Times now) {
  std::vector<std::uint32_t> units;
  for (const HoldLine& line : hold.row.lines) units.push_back(command.lines ? 0 : line.held);
  if (command.lines) {
    for (const Line& line : summed(*command.lines)) {
      const HoldLine* at = hold.row.find(line.sku);
      if (at == nullptr || line.quantity > at->held)
        return refused(Code::out_of_range,
                       "reservation '" + hold.id + "' holds " +
                           std::to_string(at == nullptr ? 0 : at->held) + " of '" + line.sku +
                           "'; " + std::to_string(line.quantity) + " cannot be committed");
      units[at - hold.row.lines.data()] = static_cast<std::uint32_t>(line.quantity);
    }
  }
  if (hold.row.state == HoldState::committed) {
    const bool same =
        !command.lines ||
        std::equal(units.begin(), units.end(), hold.row.lines.begin(),
                   [](std::uint32_t n, const HoldLine& l) { return n == l.committed; });
    return same ? shown(hold, Code::ok) : closed(hold, "committed with other lines");
  }
  if (hold.row.state != HoldState::held) return closed(hold, "committed");
  state_.change_hold(hold, [&](crdt::HoldRow& row) {
    for (std::size_t i = 0; i < units.size(); ++i) row.lines[i].committed = units[i];
  });
  end(hold, HoldState::committed, now);
  return shown(hold, Code::ok);
}

Outcome Ledger::release(Hold& hold, Times now) {
  if (hold.row.state == HoldState::released) return shown(hold, Code::ok);
  if (hold.row.state != HoldState::held) return closed(hold, "released");
  end(hold, HoldState::released, now);
  return shown(hold, Code::ok);
}

Outcome Ledger::extend(Hold& hold, std::uint32_t ttl_seconds, Times now) {
  if (hold.row.state != HoldState::held) return closed(hold, "extended");
  const std::int64_t ttl_ms = std::int64_t{1000} * ttl_seconds;
  state_.change_hold(hold, [&](crdt::HoldRow& row) {
    row.deadline = now.life_ms + ttl_ms;
    row.expires_at = now.wall_ms + ttl_ms;
  });
  watch(hold);
  return shown(hold, Code::ok);
}

Outcome Ledger::give_back(Hold& hold, const Return& command, Times now) {
  Return canonical = command;
  canonical.lines = summed(std::move(canonical.lines));
  const std::uint64_t digest = digest_of(canonical);
  if (auto answer = answered(command.key, digest)) return *std::move(answer);
  if (hold.row.state != HoldState::committed) return closed(hold, "returned");
  if (state_.retired(hold.origin))  // nobody writes its row any more
    return refused(Code::replica_retired,
                   "reservation '" + hold.id +
                       "' was sold by a replica that was retired since, which takes nothing back: "
                       "book the units as a receipt where they have come in");
  HOLDFAST_CHECK(hold.origin == state_.self());
  std::vector<std::size_t> positions;
  for (const Line& line : canonical.lines) {
    const HoldLine* at = hold.row.find(line.sku);
    const Units most = at == nullptr ? 0 : at->committed - at->returned;
    if (line.quantity > most)
      return refused(Code::out_of_range, "of '" + line.sku + "' reservation '" + hold.id +
                                             "' has " + std::to_string(most) +
                                             " units that can be returned");
    positions.push_back(at - hold.row.lines.data());
  }
  Units units = 0;
  for (const Line& line : canonical.lines) {
    units += line.quantity;
    state_.change_stock(*state_.product(line.sku),
                        [&](StockRow& row) { row.returned += line.quantity; });
  }
  state_.change_hold(hold, [&](crdt::HoldRow& row) {
    for (std::size_t i = 0; i < positions.size(); ++i)
      row.lines[positions[i]].returned += static_cast<std::uint32_t>(canonical.lines[i].quantity);
  });
  Outcome outcome = shown(hold, Code::ok);
  remember(command.key, digest, outcome, RowEffect::returned, hold.id, units, now);
  return outcome;
}

bool Ledger::overrule(Hold& hold, const Hold& standing, Times now) {
  HOLDFAST_CHECK(hold.origin == state_.self() && !hold.row.overruled);
  const HoldState before = hold.row.state;
  if (before == HoldState::held) end(hold, HoldState::released, now);
  if (before == HoldState::committed)
    for (const HoldLine& line : hold.row.lines)
      if (line.committed > line.returned)
        state_.change_stock(*state_.product(line.sku),
                            [&](StockRow& row) { row.voided += line.committed - line.returned; });
  state_.change_hold(hold, [](crdt::HoldRow& row) { row.overruled = true; });
  return before == HoldState::released && standing.row.state == HoldState::committed;
}

Units Ledger::lacking(const Hold& copy, const std::vector<Units>& needed) const {
  Units sum = 0;
  for (std::size_t i = 0; i < needed.size(); ++i)
    sum += std::max<Units>(0, needed[i] - free(*state_.product(copy.row.lines[i].sku)));
  return sum;
}

Units Ledger::adopt(const Hold& copy, const std::vector<Units>& needed, std::int64_t expires_at,
                    Times now) {
  crdt::HoldRow row = copy.row;
  row.state = HoldState::held;
  row.adopted_from = copy.origin;
  row.overruled = false;
  row.estate_of = {};
  row.freed.clear();
  row.undone.clear();
  row.expires_at = expires_at;
  row.deadline = now.life_ms + left_of(row, now);
  row.extra.clear();
  Units seized = 0;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    HoldLine& line = row.lines[i];
    line.committed = line.returned = 0;
    if (line.held == 0) continue;
    Product& product = *state_.product(line.sku);
    const Units lacking = std::max<Units>(0, needed[i] - free(product));
    state_.change_stock(product, [&](StockRow& stock) {
      if (lacking > 0) stock.at(copy.origin).seized += lacking;
      stock.held += line.held;
    });
    seized += lacking;
  }
  watch(state_.add_hold(copy.id, std::move(row)));
  return seized;
}

std::int64_t Ledger::left_of(const crdt::HoldRow& row, Times now) {
  const std::int64_t longest = std::max<std::int64_t>(0, row.expires_at - row.created_at);
  return std::clamp<std::int64_t>(row.expires_at - now.wall_ms, 0, longest);
}

void Ledger::prolong(Hold& hold, const crdt::HoldRow& promised, Times now) {
  HOLDFAST_CHECK(hold.row.state == HoldState::held && hold.origin == state_.self());
  const std::int64_t deadline = now.life_ms + left_of(promised, now);
  state_.change_hold(hold, [&](crdt::HoldRow& row) {
    row.expires_at = std::max(row.expires_at, promised.expires_at);
    row.deadline = std::max(row.deadline, deadline);
  });
  watch(hold);
}

bool Ledger::take_back(const crdt::KeyRow& key) {
  const auto effect = static_cast<RowEffect>(key.effect);
  if (key.state != 0 || (effect != RowEffect::received && effect != RowEffect::adjusted &&
                         effect != RowEffect::allowed && effect != RowEffect::returned_apart))
    return false;
  Product* product = state_.product(key.sku);
  if (product == nullptr) return false;  // a peer's row may say anything
  const bool allows = effect == RowEffect::allowed, more = key.units > 0;
  const auto total = allows ? (more ? &StockRow::allowance_removed : &StockRow::allowance_added)
                            : (more ? &StockRow::withdrawn : &StockRow::received);
  const crdt::StockCell* own = product->stock.find(state_.self());
  const Units units = std::abs(key.units);
  if (units > crdt::kUnitsMax - (own == nullptr ? 0 : own->row.*total)) return false;
  state_.change_stock(*product, [&](StockRow& row) { row.*total += units; });
  return true;
}

bool Ledger::undo(crdt::Key& key) {
  if (!take_back(key.row)) return false;
  state_.undo_key(key);
  return true;
}

bool Ledger::undo_for(const crdt::KeyRow& retired, std::string name, Times now) {
  if (!take_back(retired)) return false;
  state_.put_key(std::move(name), undo_row(retired, now.wall_ms));
  return true;
}

std::size_t Ledger::expire(Times now, std::size_t count_max, const Ended& told) {
  std::size_t ended = 0;
  while (ended < count_max && !due_.empty() && due_.top().deadline <= now.life_ms) {
    const auto [deadline, number] = due_.top();
    due_.pop();
    const auto at = state_.holds().find({state_.self(), number});
    if (at == state_.holds().end()) continue;  // ended, and purged since
    crdt::Hold* hold = at->second;
    if (hold->row.state != HoldState::held || hold->row.deadline != deadline) continue;
    end(*hold, HoldState::expired, now);
    ++ended;
    told(*hold);
  }
  return ended;
}

std::int64_t Ledger::next_deadline() const {
  return due_.empty() ? INT64_MAX : due_.top().deadline;
}

}  // namespace holdfast::node
