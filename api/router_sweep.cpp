// What routers that ended have left half done, found by the nodes' own rows and brought to one end.
//
//   a part is held, its record is not there, or names others      released
//   a part is held, its record has ended without a sale           released
//   a part is held, its record is committed                       committed
//   a record is committed, a part of it has expired              what was sold comes back
//   a record is held or has expired, a part of it is sold         likewise: a commit of some lines
//                                                                 that never came to its own end
//   a record has given way to another, which names other parts   what was sold of its own comes
//                                                                 back
//
// Only what has been so for `settle_after` (a part without a record: `left_over_after`), so that no
// router is still at it. Those that are committed or have expired are looked at when a router
// starts: later ones are driven by routers that live, look again at what they have committed, and
// remember those of which they could not reach a part. What a router that ended has left there
// waits for one to start, itself or another.

#include <algorithm>

#include "api/cart_rows.h"
#include "api/router.h"

namespace holdfast::api {

using crdt::HoldState;
using node::Code;
using node::Outcome;
using node::ReservationView;

namespace {

constexpr std::uint32_t kPage = 1'000;
constexpr crdt::Millis kBetweenLooks{2};

}  // namespace

Task<bool> Router::sweep() {
  sweeping_ = true;
  const crdt::Instant began = now_.instant;
  const std::int64_t before = now_.wall.time_since_epoch().count() - config_.settle_after.count();
  bool all = true;
  for (std::size_t shard = 0; shard < groups_.size(); ++shard) {
    all = co_await sweep_shard(shard, HoldState::held, before) && all;
    if (!swept_) all = co_await sweep_shard(shard, HoldState::committed, before) && all;
    if (!swept_) all = co_await sweep_shard(shard, HoldState::expired, before) && all;
    co_await sweep_overruled(shard);
  }
  const std::map<std::string, Cart> unfinished = std::exchange(unfinished_, {});
  for (const auto& [id, cart] : unfinished) {
    const bool done = co_await settle_unfinished(id, cart);
    if (!done) finish_later(id, cart);
  }
  sweeping_ = false;
  // What was committed shortly before this router started is old enough only now.
  swept_ = swept_ || (all && began - *started_ > config_.settle_after);
  co_return true;
}

void Router::finish_later(const std::string& id, Cart cart) {
  if (unfinished_.size() < kUnfinishedMax) {
    unfinished_.insert_or_assign(id, std::move(cart));
  } else {
    swept_ = false;
    started_ = now_.instant;
  }
}

// A commit of which this router could not reach a part.
Task<bool> Router::settle_unfinished(std::string id, Cart cart) {
  Turn turn(*this, id);
  if (!turn.is_mine()) co_return false;
  Wholes all = co_await read_all(id, cart);
  auto* whole = std::get_if<Whole>(&all);
  if (whole == nullptr) co_return false;
  const ReservationView record = whole->views.front();
  take_parts(cart, record);
  // While no part has expired, both are as customers wanted it: lines of other parts alone were
  // committed, or all that the record had sold has come back since.
  const bool whole_commit = record.state == HoldState::committed;
  const bool undone = some_expired(*whole);
  if (record.state == HoldState::released && !undone) co_return true;
  if (record.state == HoldState::held && !undone) co_return false;  // who wanted it may repeat it
  if (!whole_commit || (!sold(record) && undone)) co_return co_await undo_sold(*whole);
  Outcome outcome = co_await finish_commit(std::move(cart), record);
  co_return outcome.code != Code::outcome_unknown;
}

// The record was never committed: what was sold of its parts comes back.
Task<bool> Router::undo_sold(Whole whole) {
  if (std::none_of(whole.views.begin(), whole.views.end(), sold)) co_return true;
  co_return co_await undo(std::move(whole));
}

// False: it was cut short, or something of it must be looked at again.
Task<bool> Router::sweep_shard(std::size_t shard, HoldState state, std::int64_t before) {
  node::ListReservations list{.state = state, .limit = kPage};
  bool all = true;
  do {
    Outcome outcome = co_await at_shard(shard, list, Hint());
    auto* page = std::get_if<node::ReservationPage>(&outcome.view);
    if (page == nullptr) co_return false;
    for (ReservationView& view : page->items) {
      if (!view.metadata.starts_with(kRowPrefix) || view.created_at >= before) continue;
      const bool done = co_await look_at(shard, std::move(view), before);
      all = all && (done || state == HoldState::held);  // those are looked at again anyway
      co_await pause(kBetweenLooks);                    // others have more urgent calls
    }
    list.cursor = page->next;
  } while (!list.cursor.empty());
  co_return all;
}

Task<bool> Router::look_at(std::size_t shard, ReservationView view, std::int64_t before) {
  std::optional<Cart> cart = cart_of(view, shard);
  if (cart && cart->others.empty()) co_return true;
  if (cart) co_return co_await settle_cart(std::move(view), *std::move(cart), before);
  if (view.state == HoldState::held) co_return co_await settle_part(shard, std::move(view), before);
  co_return true;
}

// ── two records of one cart ──

// Two routers made one cart at once, at two nodes that could not see each other. Once these have,
// one record gives way, and what it had of its own shard is back; what it named elsewhere is not.
Task<bool> Router::sweep_overruled(std::size_t shard) {
  node::ListReservations list{.limit = kPage, .overruled = true};
  do {
    Outcome outcome = co_await at_shard(shard, list, Hint());
    auto* page = std::get_if<node::ReservationPage>(&outcome.view);
    if (page == nullptr) co_return false;
    for (ReservationView& view : page->items) {
      std::optional<Cart> cart = cart_of(view, shard);
      if (!cart || cart->others.empty()) continue;
      co_await undo_parts_of(std::move(view), *std::move(cart));
      co_await pause(kBetweenLooks);
    }
    list.cursor = page->next;
  } while (!list.cursor.empty());
  co_return true;
}

Task<bool> Router::undo_parts_of(ReservationView overruled, Cart cart) {
  Turn turn(*this, overruled.id);
  if (!turn.is_mine()) co_return false;
  Outcome read = co_await at_shard(cart.shard, reading(overruled.id), Hint());
  const ReservationView* record = view_of(read);
  Cart standing = cart;
  // An adopted copy names the same parts, and these stand.
  if (record == nullptr || !take_parts(standing, *record)) co_return false;
  for (const Part& part : cart.others) {
    Outcome stray = co_await at_shard(part.shard, reading(part.id), Hint());
    const ReservationView* view = view_of(stray);
    if (view == nullptr || !sold(*view)) continue;  // what is held is settled like all that is left
    Whole alone;
    alone.parts.push_back(part);
    alone.views.push_back(*view);
    const bool undone = co_await undo(std::move(alone));
    if (undone)
      notes_.push_back("reservation '" + overruled.id +
                       "' was made by two routers at once: a part of the record that does not "
                       "stand has come back");
  }
  co_return true;
}

// ── what was left half done ──

Task<bool> Router::settle_part(std::size_t shard, ReservationView part, std::int64_t before) {
  const std::string of = part_of(part);
  if (!knows_record_of(part)) co_return false;
  Turn turn(*this, of);
  if (!turn.is_mine()) co_return false;
  carts_.erase(of);
  std::variant<Cart, Outcome> found = co_await locate(of);
  const auto* cart = std::get_if<Cart>(&found);
  if (cart == nullptr && std::get<Outcome>(found).code != Code::unknown_reservation)
    co_return false;  // of some shard nobody can say
  const bool named =
      cart != nullptr && std::any_of(cart->others.begin(), cart->others.end(),
                                     [&](const Part& other) { return other.id == part.id; });
  if (named) {
    Outcome read = co_await at_shard(cart->shard, reading(of), Hint());
    const ReservationView* record = view_of(read);
    if (record == nullptr || record->state == HoldState::held || record->ended_at >= before)
      co_return true;
    if (record->state == HoldState::committed && sold(*record)) {
      ++counts_[Count::settled];
      notes_.push_back("reservation '" + of + "' was committed in part: the rest of it is, too");
      Outcome done = co_await at_shard(shard, committing(part.id), Hint());
      co_return done.succeeded();
    }
  } else {
    const std::int64_t grace = (config_.left_over_after - config_.settle_after).count();
    if (part.created_at >= before - grace) co_return true;
  }
  ++counts_[Count::settled];
  notes_.push_back("a part of reservation '" + of + "' was left over: it is released");
  Outcome done = co_await at_shard(shard, releasing(part.id), Hint());
  co_return done.succeeded();
}

Task<bool> Router::settle_cart(ReservationView record, Cart cart, std::int64_t before) {
  Turn turn(*this, record.id);
  if (!turn.is_mine()) co_return false;
  Wholes all = co_await read_all(record.id, cart);
  auto* whole = std::get_if<Whole>(&all);
  if (whole == nullptr) co_return false;
  const ReservationView& now = whole->views.front();
  bool sold_some = false, ended_some = false, expired_some = false;
  bool recent = now.ended_at >= before;
  for (std::size_t i = 1; i < whole->views.size(); ++i) {
    const ReservationView& part = whole->views[i];
    sold_some = sold_some || sold(part);
    ended_some = ended_some || part.state != HoldState::held;
    expired_some = expired_some || part.state == HoldState::expired;
    recent = recent || part.ended_at >= before;
  }
  const bool stopped = now.state == HoldState::held && ended_some;
  const bool lapsed = now.state == HoldState::expired && sold_some;
  const bool broken = now.state == HoldState::committed && sold(now) && expired_some;
  if (!stopped && !lapsed && !broken) co_return true;
  if (recent) {  // by the next sweep its record may have expired
    finish_later(record.id, std::move(cart));
    co_return false;
  }
  notes_.push_back("reservation '" + record.id + "' ended in part, and cannot be sold wholly: " +
                   (sold_some || broken ? "what was sold has come back" : "it is released"));
  const bool undone = co_await undo(std::move(*whole));
  if (!undone) finish_later(record.id, std::move(cart));
  co_return undone;
}

}  // namespace holdfast::api
