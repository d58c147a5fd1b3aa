#include "sim/figures.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace holdfast::sim {

using crdt::Units;

namespace {

Units units_of(const Cart& cart) {
  return std::accumulate(cart.lines.begin(), cart.lines.end(), Units{0},
                         [](Units sum, const auto& line) { return sum + line.quantity; });
}

// Of sorted values: the nearest rank.
double percentile(const std::vector<float>& sorted, double share) {
  if (sorted.empty()) return std::nan("");
  const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

std::optional<Latency> latency_of(std::vector<float> values) {
  if (values.empty()) return std::nullopt;
  std::sort(values.begin(), values.end());
  return Latency{percentile(values, 0.5), percentile(values, 0.99), values.back()};
}

void add(Totals& to, const Totals& from) {
  to.carts += from.carts;
  to.lines += from.lines;
  to.carts_accepted += from.carts_accepted;
  for (const auto& [reason, count] : from.refused) to.refused[reason] += count;
  to.carts_failed += from.carts_failed;
  to.refused_with_stock_elsewhere += from.refused_with_stock_elsewhere;
  to.carts_fetched += from.carts_fetched;
  to.units_reserved += from.units_reserved;
  to.units_committed += from.units_committed;
  to.units_released += from.units_released;
  to.units_expired += from.units_expired;
  to.wan_bytes += from.wan_bytes;
}

}  // namespace

Figures::Figures(const Scenario& scenario, const Shop& shop, std::vector<const World*> worlds,
                 WanBytes wan_bytes)
    : scenario_(scenario),
      shop_(shop),
      worlds_(std::move(worlds)),
      wan_bytes_(std::move(wan_bytes)),
      regions_(scenario.regions.size()) {
  for (std::size_t region = 0; region < regions_.size(); ++region) {
    wan_begin_.push_back(wan_bytes_(region));
    regions_[region].wan_before = wan_begin_.back();
  }
}

bool Figures::stock_elsewhere(const Cart& cart) const {
  return std::all_of(cart.lines.begin(), cart.lines.end(), [&](const OrderLineOfSku& line) {
    const TrueStock stock = shop_.stock(line.sku);
    return stock.available + stock.allowance >= line.quantity;
  });
}

void Figures::came(const Cart& cart) {
  if (!counted(cart)) return;
  ++regions_[cart.region].totals.carts;
  regions_[cart.region].totals.lines += cart.lines.size();
  units_asked_ += units_of(cart);
}

void Figures::answered(const Cart& cart, const ShopAnswer& answer, Time took) {
  if (!counted(cart)) return;
  Region& region = regions_[cart.region];
  Totals& totals = region.totals;
  const auto ms = static_cast<float>(static_cast<double>(took) / kMillisecond);
  if (answer.kind != ShopAnswer::Kind::failed) {
    region.latencies.push_back(ms);
    region.latencies_now.push_back(ms);
  }
  if (answer.kind == ShopAnswer::Kind::held) {
    ++totals.carts_accepted;
    ++region.accepted;
    totals.units_reserved += units_of(cart);
    return;
  }
  ++region.refused;
  if (answer.kind == ShopAnswer::Kind::failed) {
    ++totals.carts_failed;
    return;
  }
  ++totals.refused[answer.reason];
  if (!stock_elsewhere(cart)) return;
  ++totals.refused_with_stock_elsewhere;
  ++region.elsewhere;
}

void Figures::gone(const Cart& cart) {
  if (!counted(cart)) return;
  ++regions_[cart.region].totals.carts_failed;
  ++regions_[cart.region].refused;
}

void Figures::ended(const Cart& cart, Cart::Then how) {
  if (!counted(cart)) return;
  Region& region = regions_[cart.region];
  const Units units = units_of(cart);
  switch (how) {
    case Cart::Then::commit:
      region.totals.units_committed += units;
      region.sold += static_cast<double>(units);
      return;
    case Cart::Then::release:
      region.totals.units_released += units;
      return;
    case Cart::Then::abandon:
      region.totals.units_expired += units;
      return;
  }
}

void Figures::sample(Time at) {
  times_ms_.push_back(at / kMillisecond);
  const std::vector<Units> rights = shop_.rights_by_region();
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    Region& region = regions_[i];
    RegionSeries& series = region.series;
    const auto take = [](Series& to, double& value) { to.push_back(std::exchange(value, 0)); };
    series.rights.push_back(static_cast<double>(rights[i]));
    take(series.units_sold, region.sold);
    take(series.carts_accepted, region.accepted);
    take(series.carts_refused, region.refused);
    take(series.refused_with_stock_elsewhere, region.elsewhere);
    series.lag_ms.push_back(static_cast<double>(shop_.lag(i)) / kMillisecond);
    const std::uint64_t wan = wan_bytes_(i);
    series.wan_bytes.push_back(static_cast<double>(wan - region.wan_before));
    region.wan_before = wan;
    count_fetched(i, at >= scenario_.warm_up);
    std::sort(region.latencies_now.begin(), region.latencies_now.end());
    series.p50_ms.push_back(percentile(region.latencies_now, 0.5));
    series.p99_ms.push_back(percentile(region.latencies_now, 0.99));
    region.latencies_now.clear();
  }
  Units on_hand = 0, available = 0, oversold = 0, bound = shop_.decreed();
  for (std::uint32_t sku = 0; sku < scenario_.skus.size(); ++sku) {
    const TrueStock stock = shop_.stock(sku);
    on_hand += stock.on_hand;
    available += stock.available;
    oversold += std::max<Units>(0, -stock.available);
    bound += stock.allowance;
  }
  global_.on_hand.push_back(static_cast<double>(on_hand));
  global_.available.push_back(static_cast<double>(available));
  global_.oversold.push_back(static_cast<double>(oversold));
  global_.oversold_bound.push_back(static_cast<double>(bound));
  if (oversold >= oversold_) {
    oversold_ = oversold;
    oversold_bound_ = bound;
  }
}

// A node that starts again counts from 0.
void Figures::count_fetched(std::size_t of, bool counted) {
  for (const World* world : worlds_) {
    for (const std::size_t place : world->nodes_of(of)) {
      if (!world->node(place).lives()) continue;
      std::uint64_t& before = fetched_before_[{world, place}];
      const std::uint64_t now = world->node(place).engine().stats({}).reservations_waited;
      if (counted) regions_[of].totals.carts_fetched += now >= before ? now - before : now;
      before = now;
    }
  }
}

void Figures::write(Report& report) {
  report.times_ms = times_ms_;
  report.global = global_;
  std::vector<float> all;
  for (std::size_t i = 0; i < regions_.size(); ++i) {
    Region& region = regions_[i];
    region.totals.wan_bytes = wan_bytes_(i) - wan_begin_[i];
    region.totals.latency = latency_of(region.latencies);
    all.insert(all.end(), region.latencies.begin(), region.latencies.end());
    add(report.totals, region.totals);
    report.regions.push_back({scenario_.regions[i].name, region.totals, std::move(region.series)});
  }
  report.totals.latency = latency_of(std::move(all));
  report.totals.oversold = oversold_;
  report.totals.oversold_bound = oversold_bound_;
}

}  // namespace holdfast::sim
