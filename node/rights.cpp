#include "node/rights.h"

#include <algorithm>

#include "crdt/check.h"

namespace holdfast::node {

using crdt::Instant;
using crdt::Product;

namespace {

Outcome short_of_stock(const Cart& cart, const std::vector<Units>& had) {
  Outcome outcome = refused(Code::insufficient_stock, "");
  bool elsewhere = false;
  for (std::size_t i = 0; i < had.size(); ++i) {
    const Line& line = cart.request.lines[i];
    if (had[i] >= line.quantity) continue;
    const crdt::BoundedCounter& stock = cart.products[i]->stock;
    const Units anywhere = std::max<Units>(0, stock.view_available() + stock.allowance());
    elsewhere = elsewhere || anywhere >= line.quantity;
    outcome.shortages.push_back({line.sku, line.quantity, anywhere});
  }
  outcome.detail = "not enough of " + std::to_string(outcome.shortages.size()) + " of " +
                   std::to_string(had.size()) + " SKUs; nothing is held, the id may be tried again";
  if (elsewhere)
    outcome.detail +=
        "; other nodes have units that did not come in time: raise wait_ms, or try again";
  return outcome;
}

}  // namespace

Units Rights::aside(const Product& product) const {
  if (queues_.empty()) return 0;
  const auto at = queues_.find(&product);
  return at == queues_.end() ? 0 : at->second.aside;
}

Rights::Lack* Rights::lack_of(Waiting& waiting, const Product* product) {
  for (Lack& lack : waiting.lacks)
    if (waiting.cart.products[lack.line] == product) return &lack;
  return nullptr;
}

void Rights::add_lack(Waiting& waiting, std::size_t line) {
  Product* product = waiting.cart.products[line];
  waiting.lacks.push_back({.line = line, .need = waiting.cart.request.lines[line].quantity});
  queues_[product].waiting.push_back(&waiting);
  touched_.push_back(product);
}

void Rights::wait(Cart&& cart, std::uint64_t token, Instant until, Times now) {
  auto made = std::make_unique<Waiting>();
  Waiting& waiting = *made;
  waiting.cart = std::move(cart);
  waiting.until = until;
  waiting.tokens.push_back(token);
  waiting.order = ++arrivals_;
  waiting.id = waiting.cart.request.id;
  by_id_[waiting.id] = waiting.order;
  deadlines_.emplace(until, waiting.order);
  carts_.emplace(arrivals_, std::move(made));
  for (std::size_t i = 0; i < waiting.cart.products.size(); ++i)
    if (ledger_->free(*waiting.cart.products[i]) < waiting.cart.request.lines[i].quantity)
      add_lack(waiting, i);
  settle(now);
}

void Rights::join(std::string_view id, std::uint64_t digest, std::uint64_t token) {
  Waiting& waiting = *carts_.at(by_id_.find(id)->second);
  if (waiting.cart.digest == digest) {
    waiting.tokens.push_back(token);
    return;
  }
  Served served;
  served.tokens.push_back(token);
  served.outcome = refused(Code::reservation_conflict,
                           "reservation '" + std::string(id) + "' is being made with another body");
  served_.push_back(std::move(served));
}

void Rights::follow(std::string_view id, Request&& verb) {
  carts_.at(by_id_.find(id)->second)->followers.push_back(std::move(verb));
}

// ── rights that arrive ──────────────────────────────────────────────────────────────────────────

void Rights::gained(Product& product, Times now) {
  if (!queues_.contains(&product)) return;
  touched_.push_back(&product);
  settle(now);
}

void Rights::lost(Product& product, Times now) {
  const auto at = queues_.find(&product);
  if (at == queues_.end()) return;
  for (Waiting* waiting : at->second.waiting) lack_of(*waiting, &product)->aside = 0;
  at->second.aside = 0;
  touched_.push_back(&product);
  settle(now);
}

// Gives what is free to the carts that wait for it, in order, and asks for what is still lacking.
void Rights::pump(Product& product, Times) {
  const auto at = queues_.find(&product);
  if (at == queues_.end()) return;
  Queue& queue = at->second;
  Units free = ledger_->free(product);
  for (Waiting* waiting : queue.waiting) {
    Lack& lack = *lack_of(*waiting, &product);
    const Units take = std::min(free, lack.need - lack.aside);
    lack.aside += take;
    queue.aside += take;
    free -= take;
  }
  ask_peers(product);
}

Units Rights::on_its_way(const Product& product, ReplicaId peer, const Asked& asked) const {
  const crdt::StockCell* cell = product.stock.find(peer);
  const crdt::PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(state_.self());
  return std::max<Units>(0, asked.promised - (entry == nullptr ? 0 : entry->granted));
}

void Rights::ask_peers(Product& product) {
  Queue& queue = queues_.at(&product);
  Units lacking = 0;
  for (Waiting* waiting : queue.waiting) {
    const Lack& lack = *lack_of(*waiting, &product);
    lacking += lack.need - lack.aside;
  }
  for (const auto& [peer, asked] : queue.asked)
    lacking -= (asked.call != 0 ? asked.amount : 0) + on_its_way(product, peer, asked);
  if (lacking <= 0) return;

  std::vector<std::pair<Units, ReplicaId>> candidates;  // richest first, then nearest
  for (const ReplicaId peer : peers_()) {
    const auto asked = queue.asked.find(peer);
    if (asked == queue.asked.end() ||
        (asked->second.call == 0 && !says_none(product, peer, asked->second) &&
         on_its_way(product, peer, asked->second) == 0))
      candidates.emplace_back(product.stock.rights(peer), peer);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  Units ahead = candidates.empty() ? 0 : ahead_(product, lacking);
  for (const auto& [seems, peer] : candidates) {
    if (lacking <= 0) return;
    const Units amount = seems > 0 ? std::min(seems, lacking) : lacking;
    const crdt::StockCell* cell = product.stock.find(peer);
    const crdt::PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(state_.self());
    const Units granted = entry == nullptr ? 0 : entry->granted;
    const std::uint64_t call =
        ask_(peer, {.sku = product.sku, .need = amount, .ahead = ahead, .granted_seen = granted});
    if (call == 0) continue;
    ahead = 0;  // the richest is asked for that, alone
    Asked& asked = queue.asked[peer];
    asked.call = call;
    asked.amount = amount;
    asked.seen = granted;
    asked.none = false;
    asked.had = seems;
    calls_[call] = {&product, peer};
    lacking -= amount;
  }
}

void Rights::answered(std::uint64_t call, const Granted& granted, Times now) {
  call_ended(call, now, [&](Asked& asked) {
    asked.promised = std::max(asked.promised, granted.total);
    // Less than was asked: it has no more. That it had granted more than the request knew of is no
    // such answer: it is asked again, once the rows that say so are here.
    const bool stale = granted.given == 0 && granted.total > asked.seen;
    asked.none = granted.given < asked.amount && !stale;
  });
}

void Rights::lost(std::uint64_t call, Times now) {
  call_ended(call, now, [](Asked& asked) { asked.none = true; });
}

template <typename Note>
void Rights::call_ended(std::uint64_t call, Times now, Note&& note) {
  const auto at = calls_.find(call);
  if (at == calls_.end()) return;
  const auto [product, peer] = at->second;
  calls_.erase(at);
  const auto queue = queues_.find(product);
  if (queue == queues_.end()) return;
  Asked& asked = queue->second.asked[peer];
  asked.call = 0;
  note(asked);
  if (!asked.none) queue->second.pause = kAskAgainFirst;
  touched_.push_back(product);
  settle(now);
}

// ── ends of waiting ─────────────────────────────────────────────────────────────────────────────

// It has no more, unless it has been given some since.
bool Rights::says_none(const Product& product, ReplicaId peer, const Asked& asked) {
  return asked.none && product.stock.rights(peer) <= asked.had;
}

// Nothing is in flight or on its way from a reachable peer, and none is left to ask now.
bool Rights::exhausted(const Product& product) const {
  const Queue& queue = queues_.at(&product);
  for (const ReplicaId peer : peers_()) {
    const auto at = queue.asked.find(peer);
    if (at == queue.asked.end()) return false;
    const Asked& asked = at->second;
    if (asked.call != 0 || !says_none(product, peer, asked) || on_its_way(product, peer, asked) > 0)
      return false;
  }
  return true;
}

bool Rights::some_show_any(const Product& product) const {
  const std::vector<ReplicaId> peers = peers_();
  return std::any_of(peers.begin(), peers.end(),
                     [&](ReplicaId peer) { return product.stock.rights(peer) > 0; });
}

void Rights::ask_again_later(const Product& product, Times now) {
  Queue& queue = queues_.at(&product);
  if (queue.again != Instant::max()) return;
  queue.again = now.instant + queue.pause;
  queue.pause = std::min(queue.pause * 2, kAskAgainLast);
  again_.emplace(queue.again, product.sku);
}

void Rights::ask_again(std::string_view sku, Times now) {
  Product* product = state_.product(sku);
  Queue& queue = queues_.at(product);
  again_.erase({queue.again, sku});
  queue.again = Instant::max();
  for (auto& [peer, asked] : queue.asked)
    if (product->stock.rights(peer) > 0) asked.none = false;
  touched_.push_back(product);
  settle(now);
}

// Nobody waits for it any more.
void Rights::forget(const Product& product) {
  const auto at = queues_.find(&product);
  again_.erase({at->second.again, product.sku});
  queues_.erase(at);
}

bool Rights::try_hold(Waiting& waiting, Times now) {
  for (const Lack& lack : waiting.lacks)
    if (lack.aside < lack.need) return false;
  bool whole = true;
  for (std::size_t i = 0; i < waiting.cart.products.size(); ++i) {
    if (lack_of(waiting, waiting.cart.products[i]) != nullptr) continue;
    if (ledger_->free(*waiting.cart.products[i]) >= waiting.cart.request.lines[i].quantity)
      continue;
    add_lack(waiting, i);  // sold meanwhile: it joins the wait
    whole = false;
  }
  if (!whole) return false;
  std::vector<Units> units;
  for (const Line& line : waiting.cart.request.lines) units.push_back(line.quantity);
  leave(waiting);  // what it had set aside is free again, for itself
  serve(waiting, ledger_->hold(std::move(waiting.cart), units, now));
  return true;
}

Outcome Rights::settle_for_less(Cart&& cart, Times now) {
  std::vector<Units> had;
  Units total = 0;
  bool whole = true;
  for (std::size_t i = 0; i < cart.products.size(); ++i) {
    const Units wanted = cart.request.lines[i].quantity;
    had.push_back(std::min(wanted, ledger_->free(*cart.products[i])));
    total += had.back();
    whole = whole && had.back() == wanted;
  }
  if (whole || (cart.request.partial && total > 0)) return ledger_->hold(std::move(cart), had, now);
  return short_of_stock(cart, had);
}

void Rights::give_up(Waiting& waiting, Times now) {
  leave(waiting);
  serve(waiting, settle_for_less(std::move(waiting.cart), now));
}

// Takes the cart out of its queues.
void Rights::leave(Waiting& waiting) {
  for (const Lack& lack : waiting.lacks) {
    Product* product = waiting.cart.products[lack.line];
    Queue& queue = queues_.at(product);
    queue.aside -= lack.aside;
    HOLDFAST_CHECK(queue.aside >= 0);
    std::erase(queue.waiting, &waiting);
    touched_.push_back(product);
  }
  waiting.lacks.clear();
}

// Requires: it has left its queues. Its memory is freed.
void Rights::serve(Waiting& waiting, Outcome outcome) {
  Served served;
  served.tokens = std::move(waiting.tokens);
  served.followers = std::move(waiting.followers);
  served.outcome = std::move(outcome);
  served_.push_back(std::move(served));
  by_id_.erase(waiting.id);
  deadlines_.erase({waiting.until, waiting.order});
  carts_.erase(waiting.order);
}

// Moves queues until nothing changes.
void Rights::settle(Times now) {
  while (!touched_.empty()) {
    Product* product = touched_.back();
    touched_.pop_back();
    pump(*product, now);
    const auto at = queues_.find(product);
    if (at == queues_.end()) continue;
    bool moved = true;
    while (moved) {
      moved = false;
      for (Waiting* waiting : std::vector<Waiting*>(at->second.waiting))
        if (try_hold(*waiting, now)) {
          moved = true;
          break;
        }
    }
    if (!at->second.waiting.empty() && exhausted(*product)) {
      if (some_show_any(*product)) {
        ask_again_later(*product, now);
        continue;
      }
      for (Waiting* waiting : std::vector<Waiting*>(at->second.waiting)) {
        const Lack* lack = lack_of(*waiting, product);
        if (lack != nullptr && lack->aside < lack->need) {
          give_up(*waiting, now);  // what it had goes to those behind it
          touched_.push_back(product);
          break;
        }
      }
    }
    if (at->second.waiting.empty()) forget(*product);
  }
}

void Rights::refuse_all(const Outcome& why) {
  while (!carts_.empty()) {
    Waiting& waiting = *carts_.begin()->second;
    leave(waiting);
    serve(waiting, refused(why.code, why.detail));
  }
  touched_.clear();
  queues_.clear();
  again_.clear();
}

void Rights::tick(Times now) {
  while (!again_.empty() && again_.begin()->first <= now.instant)
    ask_again(again_.begin()->second, now);
  while (!deadlines_.empty() && deadlines_.begin()->first <= now.instant) {
    give_up(*carts_.at(deadlines_.begin()->second), now);
    settle(now);
  }
}

Instant Rights::wake_at() const {
  return std::min(deadlines_.empty() ? Instant::max() : deadlines_.begin()->first,
                  again_.empty() ? Instant::max() : again_.begin()->first);
}

}  // namespace holdfast::node
