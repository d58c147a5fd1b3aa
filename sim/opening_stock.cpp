#include "sim/opening_stock.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/demand.h"

namespace holdfast::sim {
namespace {

using crdt::Units;

// `units` in parts by weight that add up; the places from `first` on have the remainders first.
std::vector<Units> parts_of(Units units, const std::vector<double>& weights, std::size_t first) {
  const std::size_t n = weights.size();
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<Units> parts(n);
  std::vector<double> remainders(n);
  Units left = units;
  for (std::size_t i = 0; i < n; ++i) {
    const double share = static_cast<double>(units) * weights[i] / sum;
    parts[i] = std::min(left, static_cast<Units>(std::floor(share)));
    remainders[i] = weights[i] > 0 ? share - std::floor(share) : -1;
    left -= parts[i];
  }
  std::vector<std::size_t> order(n);
  for (std::size_t i = 0; i < n; ++i) order[i] = (first + i) % n;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return remainders[a] > remainders[b] + 1e-9;
  });
  for (std::size_t i = 0; left > 0; i = (i + 1) % n) {
    if (weights[order[i]] <= 0) continue;
    ++parts[order[i]];
    --left;
  }
  return parts;
}

Units amount_of(const Scenario& scenario, const DemandTotals& totals, std::size_t sku) {
  const ScenarioStock& stock = scenario.stock;
  const auto skus = static_cast<Units>(scenario.skus.size());
  switch (stock.amount) {
    case ScenarioStock::Amount::per_sku:
      return stock.units;
    case ScenarioStock::Amount::total:
      return stock.units / skus + (static_cast<Units>(sku) < stock.units % skus ? 1 : 0);
    case ScenarioStock::Amount::of_demand:
      break;
  }
  // 1.4 × 10 is 14, although the nearest double is above it.
  const double wanted = static_cast<double>(totals.by_sku[sku]) * stock.times;
  return static_cast<Units>(std::ceil(wanted - 1e-6));
}

std::vector<double> weights_of(const Scenario& scenario, const DemandTotals& totals,
                               std::size_t sku) {
  const std::vector<double> even(scenario.regions.size(), 1);
  if (scenario.stock.spread == ScenarioStock::Spread::even) return even;
  if (scenario.stock.spread == ScenarioStock::Spread::weights) return scenario.stock.weights;
  if (totals.by_sku[sku] == 0) return even;
  std::vector<double> weights;
  for (const auto& region : totals.by_region) weights.push_back(static_cast<double>(region[sku]));
  return weights;
}

}  // namespace

OpeningStock opening_stock(const Scenario& scenario) {
  const ScenarioStock& stock = scenario.stock;
  const bool follows = stock.amount == ScenarioStock::Amount::of_demand ||
                       stock.spread == ScenarioStock::Spread::demand;
  const DemandTotals totals = follows ? total_demand(scenario) : DemandTotals{};
  const std::size_t n = scenario.regions.size(), skus = scenario.skus.size();
  OpeningStock opening{.units = {n, std::vector<Units>(skus)},
                       .allowance = {n, std::vector<Units>(skus)}};
  for (std::size_t sku = 0; sku < skus; ++sku) {
    const Units units = amount_of(scenario, totals, sku);
    const Units allowance =
        stock.allowance_units +
        static_cast<Units>(std::floor(static_cast<double>(units) * stock.allowance_share + 1e-6));
    const auto weights = weights_of(scenario, totals, sku);
    const auto parts = parts_of(units, weights, sku % n);
    const auto allowed = parts_of(allowance, weights, sku % n);
    for (std::size_t r = 0; r < n; ++r) {
      opening.units[r][sku] = parts[r];
      opening.allowance[r][sku] = allowed[r];
    }
  }
  return opening;
}

}  // namespace holdfast::sim
