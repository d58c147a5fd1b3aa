// SKUs that move from one shard to another, driven by every router whose map says so, each by
// itself: the nodes' totals (node/moves.h) see to it that nothing is moved twice.
//
//   a SKU is described in its new shard; each node of the old one marks it as moved and hands over
//   what is free; a node of the new one, of the same region if there is one, takes it in
//
// Once more for what holds free when they end, until nothing is left. A request for a SKU that is
// marked goes to the new shard; short there, what is left is fetched before it is refused.

#include <algorithm>

#include "api/router.h"
#include "node/rendezvous.h"

namespace holdfast::api {

using crdt::Millis;
using node::Code;
using node::Command;
using node::Outcome;

namespace {

constexpr std::uint32_t kPage = 1'000;
constexpr std::size_t kAtOnce = 16;
constexpr std::size_t kFollowedMax = 4;
constexpr int kPassesMax = 3;
constexpr std::size_t kKnownMax = 1'000'000, kCameFreeMax = 10'000;
constexpr Millis kAnswerWithin{5'000}, kNotAgainFor{250}, kLookEvery{10}, kFetchedWithin{2'000};

void add(node::StockView& sum, const node::StockView& more) {
  for (const auto total :
       {&node::StockView::on_hand, &node::StockView::held, &node::StockView::sold,
        &node::StockView::returned, &node::StockView::available, &node::StockView::local_available,
        &node::StockView::allowance, &node::StockView::exposure, &node::StockView::debt,
        &node::StockView::oversold})
    sum.*total += more.*total;
  for (const node::RegionStock& region : more.by_region) {
    const auto at = std::find_if(sum.by_region.begin(), sum.by_region.end(),
                                 [&](const auto& one) { return one.region >= region.region; });
    if (at == sum.by_region.end() || at->region != region.region) {
      sum.by_region.insert(at, region);
      continue;
    }
    at->rights += region.rights;
    at->as_of = std::min(at->as_of, region.as_of);
    at->lag_ms = std::max(at->lag_ms, region.lag_ms);
    at->reachable = at->reachable && region.reachable;
  }
}

}  // namespace

// ── where a SKU is ──────────────────────────────────────────────────────────────────────────────

std::size_t Router::place_of(const std::string& sku) const {
  const auto known = moved_.find(sku);
  return known != moved_.end() ? known->second : was_at(sku);
}

std::vector<std::string> Router::moving_of(const node::Reserve& cart) const {
  std::vector<std::string> skus;
  if (!map_.moving()) return skus;
  for (const node::Line& line : cart.lines)
    if (is_moving(line.sku)) skus.push_back(line.sku);
  return skus;
}

// A node says that SKUs have moved. False: to a shard that no map here names; then it is said so.
bool Router::follow(Outcome& moved) {
  const auto* place = std::get_if<node::Place>(&moved.view);
  const std::optional<std::size_t> shard =
      place == nullptr ? std::nullopt : shard_named(place->shard);
  if (!shard) {
    moved = Outcome{.code = Code::shard_unreachable,
                    .detail = moved.detail + ", and version " + std::to_string(map_.version) +
                              " of the shard map does not name it: give this router a newer one"};
    return false;
  }
  if (moved_.size() > kKnownMax) moved_.clear();
  for (const std::string& sku : place->skus) moved_[sku] = *shard;
  return true;
}

Task<Outcome> Router::at_sku(Command command, std::string sku) {
  if (auto* asked = std::get_if<node::GetStock>(&command); asked != nullptr && is_moving(sku))
    co_return co_await stock_of_both(std::move(*asked));
  // What has a key and was done before the move is known to the old shard alone.
  std::size_t place = key_of(command) != nullptr ? was_at(sku) : place_of(sku);
  if (std::holds_alternative<node::PutSku>(command) && is_moving(sku) && place == was_at(sku)) {
    // One that is new is made where it will stay.
    Outcome told = co_await at_shard(place, describing(sku), Hint(sku));
    if (told.code == Code::unknown_sku) place = home_of(sku);
  }
  bool fetched = false;
  for (std::size_t followed = 0;; ++followed) {
    Hint hint(sku);
    Outcome outcome = co_await at_shard(place, command, std::move(hint));
    if (followed == kFollowedMax) co_return outcome;
    if (const auto* view = std::get_if<node::SkuView>(&outcome.view);
        view != nullptr && !view->moved_to.empty() && place != home_of(sku)) {
      place = home_of(sku);
    } else if (outcome.code == Code::moved && follow(outcome)) {
      place = place_of(sku);
    } else if (is_moving(sku) && place == was_at(sku) && outcome.code == Code::unknown_sku) {
      place = home_of(sku);  // it may be new
    } else if (is_moving(sku) && place == home_of(sku) && !std::exchange(fetched, true) &&
               (outcome.code == Code::insufficient_rights || outcome.code == Code::unknown_sku)) {
      std::vector<std::string> one{sku};
      co_await bring_for(std::move(one), now_.instant);
    } else {
      co_return outcome;
    }
  }
}

Task<Outcome> Router::stock_of_both(node::GetStock command) {
  const std::size_t old_place = was_at(command.sku), new_place = home_of(command.sku);
  Task<Outcome> old_asked = at_shard(old_place, command, Hint(command.sku));
  Task<Outcome> new_asked = at_shard(new_place, command, Hint(command.sku));
  Outcome before = co_await old_asked;
  Outcome after = co_await new_asked;
  if (before.code == Code::unknown_sku) co_return after;
  if (after.code == Code::unknown_sku) co_return before;
  const auto* left = std::get_if<node::StockView>(&before.view);
  auto* sum = std::get_if<node::StockView>(&after.view);
  if (left == nullptr) co_return before;
  if (sum != nullptr) add(*sum, *left);
  co_return after;
}

// ── handing over ────────────────────────────────────────────────────────────────────────────────

std::vector<Router::Node*> Router::live_nodes(std::size_t shard) const {
  std::vector<Node*> nodes;
  for (const auto& [url, node] : groups_[shard]->nodes)
    if (node->serves()) nodes.push_back(node.get());
  return nodes;
}

// The SKU's home in that region, or, if the shard has no node there, in any.
Router::Node* Router::taker_of(const std::string& sku, std::size_t shard,
                               const std::string& region) const {
  std::vector<Node*> nodes = live_nodes(shard);
  if (std::any_of(nodes.begin(), nodes.end(), [&](Node* node) { return node->region == region; }))
    std::erase_if(nodes, [&](Node* node) { return node->region != region; });
  std::vector<node::Seat> seats;
  for (const Node* node : nodes) seats.push_back({node->replica, node->weight});
  const crdt::ReplicaId home = node::home_of(sku, seats);
  for (Node* node : nodes)
    if (node->replica == home || !home) return node;
  return nullptr;
}

Task<Outcome> Router::ask_node(Node* node, Command command) {
  Inbox inbox(*this);
  inbox.ask(0, *node, std::move(command), kAnswerWithin);
  Arrival arrival = co_await inbox.next();
  if (arrival.answered) co_return std::move(arrival.outcome);
  Outcome lost;
  lost.code = Code::outcome_unknown;
  co_return lost;
}

// True: every node of the old shard has handed over what was free, it has arrived, and none knows
// of more. Those nodes go on granting one another rights meanwhile: hence once more. `seen`: what
// had been handed over before, and counts as done with it.
Task<bool> Router::bring(std::string sku, std::size_t from, std::size_t to, node::Units seen) {
  if (from == to) co_return true;  // another map has come meanwhile
  const std::uint64_t version = map_.version;
  for (int pass = 0; pass < kPassesMax; ++pass) {
    if (pass > 0) co_await pause(kLookEvery);
    bool all = true;
    node::Units left = 0;
    for (const auto& [url, node] : groups_[from]->nodes) {
      if (!node->known || node->retired) continue;
      if (version != map_.version) co_return false;
      Node* const taker = taker_of(sku, to, node->region);
      if (taker == nullptr || !node->serves()) {
        all = false;
        continue;
      }
      std::optional<node::Units> free_there =
          co_await hand_over(sku, version, node.get(), taker, groups_[to]->name);
      all = all && free_there.has_value();
      left = free_there.value_or(0);  // as far as that node knows, and the last one knows most
      if (seen < 0) continue;
      const bool fetched = co_await fetch_from_pairs(sku, version, node.get(), taker, to);
      all = all && fetched;
    }
    if (!all) co_return false;
    if (left > 0) continue;
    if (seen >= 0 && emptied_.size() < kKnownMax) emptied_[sku] = seen;
    co_return true;
  }
  co_return false;
}

// What was once on its way to another node of the new shard than the one that takes now.
Task<bool> Router::fetch_from_pairs(std::string sku, std::uint64_t version, Node* from, Node* but,
                                    std::size_t to) {
  bool all = true;
  for (const auto& [url, node] : groups_[to]->nodes) {
    if (!node->known || node->retired || node.get() == but) continue;
    if (version != map_.version) co_return false;
    if (!node->serves()) {
      all = false;
      continue;
    }
    std::optional<node::Units> free_there =
        co_await hand_over(sku, version, from, node.get(), groups_[to]->name);
    all = all && free_there.has_value();
  }
  co_return all;
}

// Described there before it is refused here: nobody finds it in neither. It ends as it began, by
// that version of the map, though another one comes meanwhile.
Task<std::optional<node::Units>> Router::hand_over(std::string sku, std::uint64_t version,
                                                   Node* from, Node* to, std::string shard) {
  node::MoveIn in{.sku = sku, .version = version, .from = from->replica};
  Outcome taken = co_await ask_node(to, in);
  if (taken.code == Code::unknown_sku) {
    const bool described = co_await describe(sku, from, to);
    if (!described) co_return std::nullopt;
    taken = co_await ask_node(to, in);
  }
  const auto* taker = std::get_if<node::MoveView>(&taken.view);
  if (taker == nullptr) co_return std::nullopt;
  node::MoveOut out{.sku = sku, .version = version, .shard = shard, .url = to->url};
  out.to = taker->self;
  Outcome handed = co_await ask_node(from, out);
  const auto* giver = std::get_if<node::MoveView>(&handed.view);
  if (giver == nullptr) {
    if (handed.code == Code::out_of_range) notes_.push_back(handed.detail);
    // It was made while it moved, in the new shard alone.
    if (handed.code == Code::unknown_sku && version == map_.version)
      moved_[sku] = *shard_named(shard);
    co_return std::nullopt;
  }
  const node::Units left = std::max<node::Units>(0, giver->on_hand - giver->held);
  if (giver->total == 0) co_return left;
  in.from = giver->self;
  in.to = taker->self;
  in.total = giver->total;
  const node::Units had = in.from == from->replica ? taker->total : 0;
  taken = co_await ask_node(to, in);
  if (!taken.succeeded()) co_return std::nullopt;
  counts_[Count::brought] += static_cast<std::uint64_t>(std::max<node::Units>(0, in.total - had));
  co_return left;
}

Task<bool> Router::describe(std::string sku, Node* from, Node* to) {
  Outcome told = co_await ask_node(from, describing(sku));
  const auto* view = std::get_if<node::SkuView>(&told.view);
  if (view == nullptr) co_return false;
  node::PutSku put;
  put.sku = sku;
  put.name = view->name;
  if (!view->attributes.empty()) put.attributes = view->attributes;
  put.low_stock_threshold = view->low_stock_threshold;
  Outcome done = co_await ask_node(to, put);
  co_return done.succeeded();
}

// For a customer who asked, and at `since` lacked, more than is there. False: all of it had been
// fetched just before, so that there is no more.
Task<bool> Router::bring_for(std::vector<std::string> skus, crdt::Instant since) {
  bool some = false;
  for (const std::string& sku : skus) {
    for (Millis waited{0}; brought_[sku].under_way && waited < kFetchedWithin; waited += kLookEvery)
      co_await pause(kLookEvery);
    const crdt::Instant ended = brought_[sku].ended;
    some = some || ended >= since;
    if (ended != crdt::Instant{} && now_.instant - ended < kNotAgainFor) continue;
    some = true;
    if (brought_.size() > kKnownMax) brought_.clear();
    brought_[sku].under_way = true;
    const std::uint64_t version = map_.version;
    const bool whole = co_await bring(sku, was_at(sku), home_of(sku), -1);
    if (version != map_.version) co_return true;
    Brought& now = brought_[sku];
    now.under_way = false;
    if (whole) now.ended = now_.instant;
  }
  co_return some;
}

// ── all that moves ──────────────────────────────────────────────────────────────────────────────

Task<bool> Router::move_all() {
  moving_ = true;
  const std::uint64_t version = map_.version;
  looking_ = {};
  bool whole = true;
  const std::vector<std::size_t> places = places_;
  for (std::size_t i = 0; i < places.size() && version == map_.version; ++i)
    whole = co_await move_from(places[i], version) && whole;
  if (whole && version == map_.version) {
    if (map_.moving() && (looking_.skus > looked_.skus || looking_.moved != looked_.moved ||
                          looking_.left != looked_.left))
      notes_.push_back("version " + std::to_string(version) + " of the shard map: " +
                       std::to_string(looking_.moved) + " of " + std::to_string(looking_.skus) +
                       " SKUs have moved, " + std::to_string(looking_.left) + " units are left");
    looked_ = looking_;
  }
  moving_ = false;
  move_at_ = now_.instant + (map_.moving() ? config_.move_every : config_.leftovers_every);
  if (version != map_.version) move_at_ = now_.instant;
  co_return true;
}

Task<bool> Router::move_from(std::size_t shard, std::uint64_t version) {
  node::ListSkus list{.limit = kPage};
  do {
    Outcome outcome = co_await at_shard(shard, list, Hint());
    auto* page = std::get_if<node::SkuPage>(&outcome.view);
    if (page == nullptr || version != map_.version) co_return false;
    std::vector<Task<bool>> under_way;
    for (const node::SkuView& item : page->items) {
      if (std::optional<Task<bool>> moves = move_one(item, shard))
        under_way.push_back(*std::move(moves));
      if (under_way.size() < kAtOnce) continue;
      for (Task<bool>& one : under_way) co_await one;
      under_way.clear();
      if (version != map_.version) co_return false;
    }
    for (Task<bool>& one : under_way) co_await one;
    list.cursor = page->next;
  } while (!list.cursor.empty() && version == map_.version);
  co_return version == map_.version;
}

// What there is to do for one SKU of a shard, begun. Nothing: it is where it belongs, or all of it
// has gone.
std::optional<Task<bool>> Router::move_one(const node::SkuView& item, std::size_t shard) {
  if (!is_moving(item.sku) || was_at(item.sku) != shard) {
    // Moved by an older map; what a return or an end has freed since follows.
    const std::optional<std::size_t> left_for = shard_named(item.moved_to);
    if (!left_for || item.left <= item.left_held) return std::nullopt;
    return bring(item.sku, shard, *left_for, -1);
  }
  ++looking_.skus;
  const auto known = emptied_.find(item.sku);
  const bool gone = !item.moved_to.empty() && item.left == 0;
  if (gone && known != emptied_.end() && known->second == item.handed_over) {
    ++looking_.moved;
    return std::nullopt;
  }
  looking_.left += item.left;
  looking_.held += item.left_held;
  return bring(item.sku, shard, home_of(item.sku), gone ? item.handed_over : -1);
}

// A reservation's units came free in a shard that their SKU is not of, or not any more.
void Router::came_free(std::size_t shard, const Outcome& answer) {
  const node::ReservationView* view = view_of(answer);
  if (view == nullptr || map_.version <= 1) return;
  for (const crdt::HoldLine& line : view->lines)
    if (home_of(line.sku) != shard && came_free_.size() < kCameFreeMax) {
      came_free_[line.sku] = shard;
      brought_.erase(line.sku);  // there is more to be fetched
    }
}

void Router::bring_what_came_free() {
  for (const auto& [sku, shard] : std::exchange(came_free_, {})) start(bring_after(sku, shard));
}

// Only what has moved: no map but one that says so begins a move.
Task<bool> Router::bring_after(std::string sku, std::size_t shard) {
  Outcome told = co_await at_shard(shard, describing(sku), Hint(sku));
  const auto* view = std::get_if<node::SkuView>(&told.view);
  if (view == nullptr || view->moved_to.empty()) co_return true;
  const std::optional<std::size_t> to = shard_named(view->moved_to);
  if (!to || *to == shard) co_return false;
  co_return co_await bring(sku, shard, *to, -1);
}

}  // namespace holdfast::api
