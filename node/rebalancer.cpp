#include "node/rebalancer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "node/homes.h"

namespace holdfast::node {

using crdt::Instant;
using crdt::Millis;
using crdt::Product;

namespace {

constexpr Millis kFadeEvery{5'000};  // many rows in one batch
constexpr Millis kPassEvery{1'000};
constexpr Millis kPassAllEvery{600'000};  // at most, for the sake of what follows
// So much of the demand for all SKUs has moved between replicas since the last look at all.
constexpr double kShifted = 0.05;
constexpr std::size_t kRowsAtOnce = 20'000;
// Peers should have heard of what was sold here before they are asked: else they see less demand
// and more rights here than there are, and keep what they could spare.
constexpr Millis kRowsFirst{20};
// Who sells how much of all changes slowly, and a quiet night says little about it.
constexpr int kOverallWindows = 144;
// So many units of one SKU within a window outweigh what is known of all SKUs.
constexpr double kPriorUnits = 100;
constexpr std::size_t kFadedAtOnce = 500;
constexpr double kHalved = 0.7;  // windows until a rate is half of what it was, and a little more

// Units per 1,000 s, as the row has it.
std::uint32_t milli(double units_per_ms) {
  const double value = std::round(units_per_ms * 1e6);
  return static_cast<std::uint32_t>(
      std::min<double>(value, std::numeric_limits<std::uint32_t>::max()));
}

struct Hints {
  std::uint32_t demand_milli = 0, cart = 0;
};
Hints published(const crdt::StockCell* cell) {
  return cell == nullptr ? Hints{} : Hints{cell->row.demand_milli, cell->row.cart};
}
Hints published(const crdt::State& state, const Product& product) {
  return published(product.stock.find(state.self()));
}

bool differs(double before, double value) {
  return std::abs(value - before) > std::max(before, value) / 8;
}

// Follows what customers take, quickly upwards and slowly downwards: four in five take no more.
double followed(double cart, Units units) {
  const auto value = static_cast<double>(units);
  if (cart <= 0) return value;
  return cart + (value - cart) / (value > cart ? 2 : 8);
}

}  // namespace

double Rebalancer::Rate::at(Instant now, Millis window) const {
  const auto gone = static_cast<double>((now - since).count());
  return value * std::exp(-gone / static_cast<double>(window.count()));
}

void Rebalancer::Rate::add(Units units, Instant now, Millis window) {
  value = at(now, window) + static_cast<double>(units) / static_cast<double>(window.count());
  since = now;
}

// After a restart it goes on from what the row says.
Rebalancer::Demand& Rebalancer::demand_of(Product& product, Instant now) {
  const auto [at, fresh] = demands_.try_emplace(&product);
  if (fresh) {
    const Hints row = published(state_, product);
    at->second.rate = {row.demand_milli * 1e-6, now};
    at->second.cart = row.cart;
    fade_later(product, at->second, now);
  }
  return at->second;
}

void Rebalancer::asked(Product& product, Units units, Instant now) {
  Demand& demand = demand_of(product, now);
  demand.rate.add(units, now, options_.window);
  if (units <= demand.cart || units <= product.stock.view_available() + product.stock.allowance())
    demand.cart = followed(demand.cart, units);  // more than there is: nothing to keep for it
  overall_.add(units, now, kOverallWindows * options_.window);
  publish(product, demand, now);
  demand.again = false;
  if (ledger_.free(product) >= demand.look_below || demand.queued) return;
  demand.not_before = std::max(demand.not_before, now + kRowsFirst);
  queue(product, demand);
}

void Rebalancer::changed(Product& product) {
  const auto at = demands_.find(&product);
  if (at != demands_.end() && ledger_.free(product) < at->second.look_below)
    queue(product, at->second);
}

// Not each small change: the row is written for a hold anyway, but not for a refusal.
void Rebalancer::publish(Product& product, Demand& demand, Instant now) {
  const Hints before = published(state_, product);
  const Hints hints{.demand_milli = milli(demand.rate.at(now, options_.window)),
                    .cart = static_cast<std::uint32_t>(std::lround(demand.cart))};
  if (!differs(before.demand_milli, hints.demand_milli) && !differs(before.cart, hints.cart))
    return;
  state_.change_stock(product, [&](crdt::StockRow& row) {
    row.demand_milli = hints.demand_milli;
    row.cart = hints.cart;
  });
  fade_later(product, demand, now);
}

void Rebalancer::fade_later(Product& product, Demand& demand, Instant now) {
  if (demand.fading || published(state_, product).demand_milli == 0) return;
  demand.fading = true;
  const double after = kHalved * static_cast<double>(options_.window.count());
  fades_.emplace(now + Millis(static_cast<std::int64_t>(after)), &product);
}

// What nobody asks for any more: halved in the row whenever it has halved.
void Rebalancer::fade(Instant now) {
  if (now < fade_at_) return;
  fade_at_ = now + kFadeEvery;
  for (std::size_t i = 0; i < kFadedAtOnce && !fades_.empty(); ++i) {
    if (fades_.begin()->first > now) return;
    Product& product = *fades_.begin()->second;
    fades_.erase(fades_.begin());
    Demand& demand = demands_.at(&product);
    demand.fading = false;
    if (milli(demand.rate.at(now, options_.window)) * 2 <= published(state_, product).demand_milli)
      publish(product, demand, now);
    fade_later(product, demand, now);
  }
}

Outlook Rebalancer::outlook(const Product& product) const {
  // What others see of this node's demand, not what it knows better: so all have the same targets,
  // and what one asks for another has to spare.
  const auto overall = [&](const crdt::Member* member) {
    return member == nullptr ? 0 : static_cast<double>(member->row.demand_milli) * 1e-3;
  };
  Outlook outlook{.prior = kPriorUnits * 1000 / static_cast<double>(options_.window.count()),
                  .gather_below = options_.gather_below};
  const Hints row = published(state_, product);
  const crdt::Member* self = state_.member(state_.self());
  outlook.self = {.replica = state_.self(),
                  .rights = ledger_.free(product),
                  .demand = row.demand_milli * 1e-3,
                  .overall = overall(self),
                  .cart = static_cast<double>(row.cart),
                  .region = self == nullptr ? "" : std::string_view(self->row.region),
                  .weight = self == nullptr ? 0 : self->row.weight};
  const auto& cells = product.stock.cells();  // by replica, as members are
  auto cell = cells.begin();
  outlook.peers.reserve(state_.members().size());
  for (const auto& [replica, member] : state_.members()) {
    if (replica == state_.self() || state_.retired(replica) || state_.decreed(replica)) continue;
    while (cell != cells.end() && cell->origin < replica) ++cell;
    const bool has = cell != cells.end() && cell->origin == replica;
    const Hints hints = published(has ? cell->get() : nullptr);
    outlook.peers.push_back({.replica = replica,
                             .rights = std::max<Units>(0, product.stock.rights(replica)),
                             .demand = hints.demand_milli * 1e-3,
                             .overall = overall(member.get()),
                             .cart = static_cast<double>(hints.cart),
                             .reachable = reachable_(replica),
                             .region = member->row.region,
                             .weight = member->row.draining ? 0 : member->row.weight});
  }
  gather_at_homes(product.sku, outlook);
  return outlook;
}

Units Rebalancer::ahead(const Product& product, Units lacking) const {
  const Outlook here = outlook(product);
  return std::max<Units>(0, options_.policy->target(here) - here.self.rights - lacking);
}

Units Rebalancer::spare(const Product& product, ReplicaId to) const {
  return options_.policy->spare(outlook(product), to);
}

// ── looking ─────────────────────────────────────────────────────────────────────────────────────

void Rebalancer::queue(Product& product, Demand& demand) {
  if (demand.queued) return;
  demand.queued = true;
  looks_.push_back(&product);
}

std::uint64_t Rebalancer::overall_milli(Instant now) const {
  return static_cast<std::uint64_t>(overall_.at(now, kOverallWindows * options_.window) * 1e6);
}

void Rebalancer::tick(Instant now) {
  fade(now);
  pass(now);
  for (; !later_.empty() && later_.begin()->first <= now; later_.erase(later_.begin()))
    looks_.push_back(later_.begin()->second);
  std::vector<Product*> looks = std::exchange(looks_, {});
  if (looks.size() > kLooksAtOnce) {
    looks_.assign(looks.begin() + kLooksAtOnce, looks.end());
    looks.resize(kLooksAtOnce);
  }
  for (Product* product : looks) look(*product, now);
  wake_at_ = !looks_.empty()  ? now + Millis(1)
             : later_.empty() ? Instant::max()
                              : later_.begin()->first;
  if (options_.policy->moves_ahead() && (passed_ || unread()))
    wake_at_ = std::min(wake_at_, pass_at_);
}

bool Rebalancer::unread() const {
  return std::any_of(state_.vector().begin(), state_.vector().end(), [&](const auto& entry) {
    const auto at = read_.find(entry.first);
    return at == read_.end() || at->second != entry.second;
  });
}

// Whether the replicas' parts of the demand for all SKUs are others than at the last look at all,
// by their member rows; remembers them if so.
bool Rebalancer::shifted() {
  double all = 0, moved = 0;
  for (const auto& [replica, member] : state_.members())
    all += static_cast<double>(member->row.demand_milli);
  if (all <= 0) return false;
  std::map<ReplicaId, double> parts;
  for (const auto& [replica, member] : state_.members()) {
    parts[replica] = static_cast<double>(member->row.demand_milli) / all;
    const auto before = parts_.find(replica);
    moved += std::abs(parts[replica] - (before == parts_.end() ? 0 : before->second)) / 2;
  }
  if (moved < kShifted) return false;
  parts_ = std::move(parts);
  return true;
}

void Rebalancer::pass(Instant now) {
  if (!options_.policy->moves_ahead() || now < pass_at_) return;
  pass_at_ = now + kPassEvery;
  std::vector<ReplicaId> reach;
  for (const auto& [replica, member] : state_.members())
    if (reachable_(replica)) reach.push_back(replica);
  const bool again =
      !read_.empty() && std::any_of(reach.begin(), reach.end(), [&](ReplicaId replica) {
        return !std::binary_search(reach_.begin(), reach_.end(), replica);
      });
  reach_ = std::move(reach);
  const bool shift = now >= all_at_ && shifted();
  if (again || shift) {
    if (!read_.empty()) passed_.emplace();  // else the feeds are read whole
    all_at_ = now + kPassAllEvery;
  }
  std::size_t most = kPassedAtOnce;
  for (const auto& [origin, head] : state_.vector()) most -= pass_feed(origin, most, now);
  if (passed_) pass_catalogue(most);
}

// The SKUs of which `origin` has written since. At most so many of them; how many they were.
std::size_t Rebalancer::pass_feed(ReplicaId origin, std::size_t most, Instant now) {
  crdt::Sequence& read = read_[origin];
  const crdt::Feed* feed = state_.feed(origin);
  const crdt::Sequence head = state_.head(origin);
  if (read > head) read = 0;  // it was dropped, and has come again
  if (read == head || feed == nullptr) return 0;
  std::size_t passed = 0, rows = 0;
  auto at = feed->begin_after(read);
  for (; at != feed->end() && at->first <= head && passed < most && rows < kRowsAtOnce;
       ++at, ++rows) {
    read = at->first;
    if (at->second->kind != crdt::RowKind::stock) continue;
    const auto& cell = static_cast<const crdt::StockCell&>(*at->second);
    if (origin == state_.self() && cell.row.demand_milli > 0) demand_of(*cell.product, now);
    pass_product(*cell.product);
    ++passed;
  }
  if (at == feed->end() || at->first > head) read = head;
  return passed;
}

void Rebalancer::pass_catalogue(std::size_t most) {
  const auto& catalogue = state_.catalogue();
  auto at = catalogue.upper_bound(*passed_);
  for (; most > 0 && at != catalogue.end(); --most, ++at) {
    pass_product(*at->second);
    passed_ = at->first;
  }
  if (at == catalogue.end()) passed_.reset();
}

void Rebalancer::pass_product(Product& product) {
  const auto known = demands_.find(&product);
  if (known != demands_.end()) return queue(product, known->second);
  pull(product, outlook(product));
}

void Rebalancer::look(Product& product, Instant now) {
  Demand& demand = demands_.at(&product);
  if (now < demand.not_before) {
    later_.emplace(demand.not_before, &product);
    return;
  }
  demand.queued = false;
  demand.not_before = now + options_.cooldown;
  const Outlook here = outlook(product);
  const Units enough = options_.policy->enough(here);
  demand.look_below = std::max<Units>(1, enough);
  if (here.self.rights < enough) pull(product, here);
}

void Rebalancer::pull(Product& product, const Outlook& here) {
  for (const Pull& pull : options_.policy->pulls(here)) {
    if (asking_.contains({product.sku, pull.from})) continue;
    const crdt::StockCell* cell = product.stock.find(pull.from);
    const crdt::PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(state_.self());
    const std::uint64_t call =
        ask_(pull.from, {.sku = product.sku,
                         .need = 0,
                         .ahead = pull.units,
                         .granted_seen = entry == nullptr ? 0 : entry->granted});
    if (call == 0) continue;
    calls_[call] = {&product, pull.from};
    asking_.emplace(product.sku, pull.from);
  }
}

// A peer that has not heard yet of what was sold here gives less than it could: once more, when it
// has.
void Rebalancer::ended(std::uint64_t call, bool refused) {
  const auto at = calls_.find(call);
  if (at == calls_.end()) return;
  const auto [product, peer] = at->second;
  asking_.erase({product->sku, peer});
  calls_.erase(at);
  const auto known = demands_.find(product);
  if (!refused || known == demands_.end() || known->second.again) return;
  Demand& demand = known->second;
  if (demand.queued || ledger_.free(*product) >= demand.look_below) return;
  demand.again = true;
  queue(*product, demand);
}

}  // namespace holdfast::node
