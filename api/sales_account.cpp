#include "api/sales_account.h"

#include <algorithm>
#include <cmath>

namespace holdfast::api {

SkuTotals& SkuTotals::operator+=(const SkuTotals& other) {
  received += other.received;
  withdrawn += other.withdrawn;
  held += other.held;
  sold += other.sold;
  returned += other.returned;
  return *this;
}

std::string difference(const SkuTotals& expected, const StockAnswer& answer) {
  std::string text;
  const auto compare = [&](const char* what, crdt::Units want, crdt::Units have) {
    if (want == have) return;
    if (!text.empty()) text += ", ";
    text += std::string(what) + " " + std::to_string(have) + " instead of " + std::to_string(want);
  };
  compare("on_hand", expected.on_hand(), answer.on_hand);
  compare("held", expected.held, answer.held);
  compare("sold", expected.sold, answer.sold);
  compare("returned", expected.returned, answer.returned);
  compare("available", expected.available(), answer.available);
  return text;
}

std::string disagreement(const SkuTotals& expected, const StockAnswer& answer) {
  std::string text = difference(expected, answer);
  if (answer.available < 0 || answer.oversold > 0) {
    if (!text.empty()) text += ", ";
    text += "oversold: available " + std::to_string(answer.available);
  }
  return text;
}

Latency latency_of(std::vector<double> samples_ms) {
  if (samples_ms.empty()) return {};
  std::sort(samples_ms.begin(), samples_ms.end());
  const auto at = [&](double p) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(p * static_cast<double>(samples_ms.size())));
    return samples_ms[std::max<std::size_t>(rank, 1) - 1];
  };
  return {.count = samples_ms.size(),
          .p50_ms = at(0.50),
          .p99_ms = at(0.99),
          .max_ms = samples_ms.back()};
}

void RegionAccount::note_problem(std::string text) {
  if (problems.size() < kProblemsKept) problems.push_back(std::move(text));
}

std::map<std::string, SkuTotals> total_of(const std::vector<RegionAccount>& regions) {
  std::map<std::string, SkuTotals> total;
  for (const auto& region : regions) {
    for (const auto& [sku, totals] : region.skus) total[sku] += totals;
  }
  return total;
}

RightsMoved rights_moved(const RegionAccount& region,
                         const std::map<std::string, StockAnswer>& answers) {
  RightsMoved moved;
  for (const auto& [sku, answer] : answers) {
    const auto rights = answer.rights.find(region.region);
    if (rights == answer.rights.end()) continue;
    const auto own = region.skus.find(sku);
    const crdt::Units earned = own == region.skus.end() ? 0 : own->second.available();
    const crdt::Units net = rights->second - earned;
    (net > 0 ? moved.in : moved.out) += std::abs(net);
  }
  return moved;
}

}  // namespace holdfast::api
