#include "sim/shop_counters.h"

#include <algorithm>

namespace holdfast::sim {

using crdt::Units;

namespace {

constexpr std::size_t kMessageBytes = 60, kEntryBytes = 24;

}  // namespace

CounterShop::CounterShop(World& world, const Scenario& scenario)
    : world_(world), scenario_(scenario), regions_(world.options().regions.size()) {
  for (Region& region : regions_) {
    region.heard.assign(regions_.size(), std::vector<Totals>(scenario.skus.size()));
    region.unconfirmed.resize(regions_.size());
  }
}

// Its machines stand for its replicas: where one is down, so is the shop of its region.
bool CounterShop::is_up(std::size_t region) const {
  const Machine& machine = world_.node(place(region));
  return machine.lives() && !machine.paused();
}

absl::Status CounterShop::open(const OpeningStock& stock, Time) {
  world_.start_all();
  allowance_.resize(scenario_.skus.size());
  for (std::size_t region = 0; region < regions_.size(); ++region) {
    for (std::size_t sku = 0; sku < scenario_.skus.size(); ++sku) {
      allowance_[sku] += stock.allowance[region][sku];
      for (Region& everywhere : regions_)
        everywhere.heard[region][sku].in = stock.units[region][sku];
    }
    world_.events().after(kMillisecond, [this, region] { push(region); });
  }
  return absl::OkStatus();
}

Units CounterShop::seen(const Region& region, std::uint32_t sku) const {
  Units sum = 0;
  for (const auto& origin : region.heard) sum += origin[sku].in - origin[sku].out;
  return sum;
}

void CounterShop::change(std::size_t region, std::uint32_t sku, Units in, Units out) {
  Totals& own = regions_[region].heard[region][sku];
  own.in += in;
  own.out += out;
  for (std::size_t to = 0; to < regions_.size(); ++to)
    if (to != region) regions_[region].unconfirmed[to].emplace(sku, world_.now());
}

void CounterShop::reserve(const Cart& cart, OnShopAnswer done) {
  const Place client = world_.customers(cart.region), node = place(cart.region);
  if (!is_up(cart.region)) return done({ShopAnswer::Kind::failed, "region_down"});
  world_.network().post(client, node, 200, [this, cart, client, node, done = std::move(done)] {
    if (!is_up(cart.region)) return;
    const bool enough = std::all_of(cart.lines.begin(), cart.lines.end(), [&](const auto& line) {
      return seen(regions_[cart.region], line.sku) >= line.quantity;
    });
    if (enough)
      for (const OrderLineOfSku& line : cart.lines) change(cart.region, line.sku, 0, line.quantity);
    const ShopAnswer answer{enough ? ShopAnswer::Kind::held : ShopAnswer::Kind::refused,
                            enough ? "" : "insufficient_stock"};
    world_.events().after(scenario_.nodes.fsync, [this, client, node, done, answer] {
      world_.network().post(node, client, 200, [done, answer] { done(answer); });
    });
  });
}

void CounterShop::release(const Cart& cart, OnShopDone done) {
  give_back(cart);
  done();
}

void CounterShop::give_back(const Cart& cart) {
  for (const OrderLineOfSku& line : cart.lines) change(cart.region, line.sku, line.quantity, 0);
}

void CounterShop::abandon(const Cart& cart) {
  world_.events().after(scenario_.demand.ttl, [this, cart] { give_back(cart); });
}

void CounterShop::push(std::size_t from) {
  world_.events().after(std::max<Time>(scenario_.nodes.push_ms * kMillisecond, kMillisecond),
                        [this, from] { push(from); });
  if (!is_up(from)) return;
  for (std::size_t to = 0; to < regions_.size(); ++to) {
    auto& unconfirmed = regions_[from].unconfirmed[to];
    if (unconfirmed.empty() || !is_up(to)) continue;
    std::vector<std::pair<std::uint32_t, Totals>> totals;
    for (const auto& [sku, since] : unconfirmed)
      totals.emplace_back(sku, regions_[from].heard[from][sku]);
    const std::size_t bytes = kMessageBytes + kEntryBytes * totals.size();
    const bool sent = world_.network().post(place(from), place(to), bytes,
                                            [this, from, to, totals = std::move(totals)] {
                                              for (const auto& [sku, total] : totals) {
                                                Totals& heard = regions_[to].heard[from][sku];
                                                heard.in = std::max(heard.in, total.in);
                                                heard.out = std::max(heard.out, total.out);
                                              }
                                            });
    // What is on its way arrives; what is stopped by a cut is sent again.
    if (sent) unconfirmed.clear();
  }
}

// ── the truth ───────────────────────────────────────────────────────────────────────────────────

TrueStock CounterShop::stock(std::uint32_t sku) const {
  Units sum = 0;
  for (std::size_t region = 0; region < regions_.size(); ++region)
    sum += regions_[region].heard[region][sku].in - regions_[region].heard[region][sku].out;
  return {.on_hand = sum, .available = sum, .allowance = allowance_[sku]};
}

std::vector<Units> CounterShop::rights_by_region() const {
  // Everybody may sell everything that they see.
  std::vector<Units> rights;
  for (const Region& region : regions_) {
    Units sum = 0;
    for (std::uint32_t sku = 0; sku < scenario_.skus.size(); ++sku)
      sum += std::max<Units>(0, seen(region, sku));
    rights.push_back(sum);
  }
  return rights;
}

Time CounterShop::lag(std::size_t region) const {
  Time lag = 0;
  for (std::size_t from = 0; from < regions_.size(); ++from)
    for (const auto& [sku, since] : regions_[from].unconfirmed[region])
      lag = std::max(lag, world_.now() - since);
  return lag;
}

bool CounterShop::converged() const {
  for (const Region& region : regions_)
    for (std::size_t origin = 0; origin < regions_.size(); ++origin)
      for (std::size_t sku = 0; sku < scenario_.skus.size(); ++sku) {
        const Totals &heard = region.heard[origin][sku],
                     &truth = regions_[origin].heard[origin][sku];
        if (heard.in != truth.in || heard.out != truth.out) return false;
      }
  return true;
}

}  // namespace holdfast::sim
