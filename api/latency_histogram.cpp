#include "api/latency_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

constexpr unsigned kBits = 9;  // values are kept to so many binary digits
constexpr unsigned kRangeBits = 40;
constexpr std::uint64_t kHalf = std::uint64_t{1} << (kBits - 1);  // buckets per octave
constexpr std::uint64_t kLargest = (std::uint64_t{1} << kRangeBits) - 1;
constexpr std::size_t kBuckets = (kRangeBits - kBits + 2) * kHalf;

std::size_t bucket_of(std::uint64_t value) {
  const int width = std::bit_width(value);
  if (width <= static_cast<int>(kBits)) return value;
  const unsigned shift = static_cast<unsigned>(width) - kBits;
  return shift * kHalf + (value >> shift);
}
std::uint64_t begin_of(std::size_t bucket) {
  if (bucket < 2 * kHalf) return bucket;
  const std::uint64_t shift = bucket / kHalf - 1;
  return (bucket % kHalf + kHalf) << shift;
}

}  // namespace

LatencyHistogram::LatencyHistogram() : counts_(kBuckets) {}

void LatencyHistogram::record(Nanos value) {
  const auto clamped =
      std::min<std::uint64_t>(static_cast<std::uint64_t>(std::max<Nanos>(value, 0)), kLargest);
  ++counts_[bucket_of(clamped)];
  const auto kept = static_cast<Nanos>(clamped);
  min_ = count_ == 0 ? kept : std::min(min_, kept);
  max_ = std::max(max_, kept);
  ++count_;
}

void LatencyHistogram::add(const LatencyHistogram& other) {
  if (other.count_ == 0) return;
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
}

Nanos LatencyHistogram::quantile(double q) const {
  HOLDFAST_CHECK(q >= 0 && q <= 1);
  if (count_ == 0) return 0;
  const auto wanted = std::max<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_))), 1);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen < wanted) continue;
    const auto middle = static_cast<Nanos>((begin_of(i) + begin_of(i + 1) - 1) / 2);
    return std::clamp(middle, min_, max_);
  }
  return max_;
}

std::vector<std::pair<Nanos, std::uint64_t>> LatencyHistogram::shape(unsigned per_octave) const {
  HOLDFAST_CHECK(per_octave > 0 && kHalf % per_octave == 0);
  const std::size_t step = kHalf / per_octave;
  std::vector<std::pair<Nanos, std::uint64_t>> rows;
  // What is below 2 × kHalf ns has a bucket for each nanosecond: one row for all of it.
  std::size_t from = 0;
  for (std::size_t to = 2 * kHalf; to <= kBuckets; from = to, to += step) {
    std::uint64_t sum = 0;
    for (std::size_t i = from; i < to; ++i) sum += counts_[i];
    if (sum > 0 || !rows.empty()) rows.emplace_back(static_cast<Nanos>(begin_of(from)), sum);
  }
  while (!rows.empty() && rows.back().second == 0) rows.pop_back();
  return rows;
}

}  // namespace holdfast::api
