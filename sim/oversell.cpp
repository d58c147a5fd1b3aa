#include "sim/oversell.h"

#include <algorithm>
#include <utility>

namespace holdfast::sim {

using crdt::Units;

void OversellWatch::allow(const std::string& sku, Units units) {
  skus_[sku].allowed += units;
  allowed_ += units;
}

void OversellWatch::look(const crdt::Product& product) {
  const Units beyond = std::max<Units>(0, -(product.stock.available() + product.stock.allowance()));
  auto at = skus_.find(product.sku);
  if (at == skus_.end()) {
    if (beyond == 0) return;
    at = skus_.emplace(product.sku, Sku{}).first;
  }
  Sku& sku = at->second;
  beyond_ += beyond - std::exchange(sku.beyond, beyond);
  most_ = std::max(most_, beyond_);
  if (beyond - sku.allowed > worst_excess_) {
    worst_excess_ = beyond - sku.allowed;
    worst_sku_ = product.sku;
  }
}

}  // namespace holdfast::sim
