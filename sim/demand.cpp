#include "sim/demand.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "sim/time_span.h"

namespace holdfast::sim {
namespace {

std::vector<std::uint32_t> shuffled(std::size_t count, Random random) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  for (std::size_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

bool is_in(const ScenarioBurst& burst, std::size_t region) {
  return std::binary_search(burst.regions.begin(), burst.regions.end(), region);
}

// Lines of one SKU are one line.
void sum_up(std::vector<OrderLineOfSku>& lines) {
  std::sort(lines.begin(), lines.end(), [](auto& a, auto& b) { return a.sku < b.sku; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (kept > 0 && lines[kept - 1].sku == lines[i].sku) {
      lines[kept - 1].quantity += lines[i].quantity;
    } else {
      lines[kept++] = lines[i];
    }
  }
  lines.resize(kept);
}

}  // namespace

Demand::Demand(const Scenario& scenario) : scenario_(scenario) {
  const ScenarioDemand& demand = scenario.demand;
  if (demand.kind == ScenarioDemand::Skus::zipf) {
    zipf_.emplace(scenario.skus.size(), demand.zipf_exponent);
  }
  for (std::size_t r = 0; r < scenario.regions.size(); ++r) {
    regions_.push_back({.arrivals = Random(scenario.seed, "demand.arrivals", r),
                        .carts = Random(scenario.seed, "demand.carts", r)});
    if (demand.kind == ScenarioDemand::Skus::orders) continue;
    if (demand.own_bestsellers) {
      regions_[r].ranks =
          shuffled(scenario.skus.size(), Random(scenario.seed, "demand.bestsellers", r));
    }
    advance(r);
  }
}

double Demand::usual_rate(std::size_t region, Time at) const {
  const ScenarioDemand& demand = scenario_.demand;
  const double mean = demand.rates[region] / static_cast<double>(kSecond);
  if (!demand.diurnal) return mean;
  const double hour =
      static_cast<double>(scenario_.start_of_day + at) / static_cast<double>(kHour) +
      scenario_.regions[region].utc_offset_hours;
  const double angle = (hour - demand.peak_hour) / 24 * 2 * std::numbers::pi;
  return mean * (1 + demand.amplitude * std::cos(angle));
}

Demand::Segment Demand::segment_at(std::size_t region, Time at) const {
  const ScenarioDemand& demand = scenario_.demand;
  const double peak = demand.diurnal ? 1 + demand.amplitude : 1;
  Segment segment{.end = scenario_.duration,
                  .bound = demand.rates[region] / static_cast<double>(kSecond) * peak};
  for (const ScenarioBurst& burst : demand.bursts) {
    if (!is_in(burst, region)) continue;
    if (burst.at > at) segment.end = std::min(segment.end, burst.at);
    if (burst.at <= at && at < burst.end) {
      segment.burst = &burst;
      segment.end = std::min(segment.end, burst.end);
    }
  }
  if (segment.burst) segment.bound *= segment.burst->factor;
  return segment;
}

// To the next arrival of the region. `next_at` counts whole µs; what is drawn between two of them
// is rounded down.
void Demand::advance(std::size_t index) {
  Region& region = regions_[index];
  double at = static_cast<double>(region.next_at);
  while (at < static_cast<double>(scenario_.duration)) {
    const Segment segment = segment_at(index, static_cast<Time>(at));
    const double end = static_cast<double>(segment.end);
    at = segment.bound > 0 ? at + region.arrivals.exponential(1 / segment.bound) : end;
    if (at >= end) {
      at = end;  // the process has no memory: it begins anew with the next bound
      continue;
    }
    const double usual = usual_rate(index, static_cast<Time>(at));
    const double rate = usual * (segment.burst ? segment.burst->factor : 1);
    const double point = region.arrivals.unit() * segment.bound;
    if (point >= rate) continue;
    region.from_burst = segment.burst && point >= usual;  // of the carts beyond the usual ones
    break;
  }
  region.next_at = static_cast<Time>(at);
}

std::uint32_t Demand::draw_sku(Region& region, Time at, std::size_t number) {
  if (region.from_burst) {
    const ScenarioBurst* burst = segment_at(number, at).burst;
    if (burst && burst->skus > 0) {
      return static_cast<std::uint32_t>(
          region.carts.below(std::min(burst->skus, scenario_.skus.size())));
    }
  }
  if (!zipf_) return static_cast<std::uint32_t>(region.carts.below(scenario_.skus.size()));
  const std::size_t rank = zipf_->draw(region.carts);
  return region.ranks.empty() ? static_cast<std::uint32_t>(rank) : region.ranks[rank];
}

void Demand::decide(Random& random, Cart& cart) {
  const ScenarioDemand& demand = scenario_.demand;
  const double point = random.unit();
  cart.then = point < demand.abandon_share                          ? Cart::Then::abandon
              : point < demand.abandon_share + demand.release_share ? Cart::Then::release
                                                                    : Cart::Then::commit;
  cart.after = random.between(demand.think.low, demand.think.high);
}

Cart Demand::drawn_cart(std::size_t index) {
  Region& region = regions_[index];
  const ScenarioDemand& demand = scenario_.demand;
  Cart cart{.at = region.next_at, .region = static_cast<std::uint32_t>(index)};
  cart.id = scenario_.regions[index].name + ":" + std::to_string(++region.count);
  const std::int64_t lines = region.carts.between(demand.lines.low, demand.lines.high);
  for (std::int64_t i = 0; i < lines; ++i) {
    const std::uint32_t sku = draw_sku(region, cart.at, index);
    cart.lines.push_back({sku, region.carts.between(demand.units.low, demand.units.high)});
  }
  sum_up(cart.lines);
  decide(region.carts, cart);
  return cart;
}

std::optional<Cart> Demand::next_order() {
  const std::vector<OrderCart>& orders = *scenario_.demand.orders;
  if (next_order_ == orders.size()) return std::nullopt;
  const OrderCart& order = orders[next_order_++];
  Cart cart{.at = order.at, .region = order.region, .id = order.id, .lines = order.lines};
  decide(regions_[order.region].carts, cart);
  return cart;
}

std::optional<Cart> Demand::next() {
  if (scenario_.demand.kind == ScenarioDemand::Skus::orders) return next_order();
  const auto earliest =
      std::min_element(regions_.begin(), regions_.end(),
                       [](const Region& a, const Region& b) { return a.next_at < b.next_at; });
  if (earliest->next_at >= scenario_.duration) return std::nullopt;
  const auto index = static_cast<std::size_t>(earliest - regions_.begin());
  Cart cart = drawn_cart(index);
  advance(index);
  return cart;
}

DemandTotals total_demand(const Scenario& scenario) {
  const std::size_t n = scenario.regions.size(), skus = scenario.skus.size();
  DemandTotals totals{.by_sku = std::vector<crdt::Units>(skus),
                      .by_region = {n, std::vector<crdt::Units>(skus)},
                      .carts_by_region = std::vector<std::uint64_t>(n)};
  Demand demand(scenario);
  while (const auto cart = demand.next()) {
    ++totals.carts;
    ++totals.carts_by_region[cart->region];
    for (const OrderLineOfSku& line : cart->lines) {
      totals.by_sku[line.sku] += line.quantity;
      totals.by_region[cart->region][line.sku] += line.quantity;
    }
  }
  return totals;
}

}  // namespace holdfast::sim
