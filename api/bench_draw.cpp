#include "api/bench_draw.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

constexpr double kWhole = 4294967296.0;  // 2^32

// Vose's way to build the columns: each that lacks weight is filled up by one that has too much.
void build_alias(std::vector<double> weights, std::vector<std::uint32_t>& keep,
                 std::vector<std::uint32_t>& alias) {
  const std::size_t n = weights.size();
  double sum = 0;
  for (const double weight : weights) sum += weight;
  std::vector<std::uint32_t> small, large;
  for (std::uint32_t i = 0; i < n; ++i) {
    weights[i] *= static_cast<double>(n) / sum;
    (weights[i] < 1 ? small : large).push_back(i);
  }
  keep.assign(n, 0xffffffff);
  alias.resize(n);
  for (std::uint32_t i = 0; i < n; ++i) alias[i] = i;
  while (!small.empty() && !large.empty()) {
    const std::uint32_t poor = small.back(), rich = large.back();
    small.pop_back();
    keep[poor] = static_cast<std::uint32_t>(std::min(weights[poor] * kWhole, kWhole - 1));
    alias[poor] = rich;
    weights[rich] -= 1 - weights[poor];
    if (weights[rich] < 1) {
      large.pop_back();
      small.push_back(rich);
    }
  }
}

}  // namespace

BenchPicker::BenchPicker(const BenchDraw& draw)
    : draw_(draw), total_(draw.mix.total()), random_(draw.seed) {
  HOLDFAST_CHECK(total_ > 0 && draw.skus > 0);
  if (draw.spread.kind != BenchSpread::Kind::zipf) return;
  std::vector<double> weights(draw.skus);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    weights[i] = std::pow(static_cast<double>(i + 1), -draw.spread.exponent);
  }
  build_alias(std::move(weights), keep_, alias_);
}

BenchOp BenchPicker::op() {
  std::uint32_t at = random_.below(total_);
  std::size_t op = 0;
  while (at >= draw_.mix.shares[op]) at -= draw_.mix.shares[op++];
  return static_cast<BenchOp>(op);
}

std::uint32_t BenchPicker::sku() {
  if (draw_.spread.kind == BenchSpread::Kind::hot) return 0;
  const std::uint32_t column = random_.below(draw_.skus);
  if (draw_.spread.kind == BenchSpread::Kind::uniform) return column;
  return static_cast<std::uint32_t>(random_.next()) < keep_[column] ? column : alias_[column];
}

}  // namespace holdfast::api
