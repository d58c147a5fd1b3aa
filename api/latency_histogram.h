#pragma once
// Latencies counted in buckets that widen with the value, as HDR histograms do. Pure.
//
// Precision: values below 512 ns are exact; above, a bucket is at most 1/256 of its values wide,
// and a quantile is the middle of its bucket, so it is off by at most 0.2 %. min and max are exact.
// Range: 0 … 2^40 ns (18 minutes); beyond counts as that. 68 KiB; record() is a few instructions.

#include <cstdint>
#include <utility>
#include <vector>

namespace holdfast::api {

using Nanos = std::int64_t;  // a time of the steady clock, or a length

class LatencyHistogram {
 public:
  LatencyHistogram();

  void record(Nanos value);
  void add(const LatencyHistogram& other);

  std::uint64_t count() const { return count_; }
  Nanos min() const { return count_ == 0 ? 0 : min_; }
  Nanos max() const { return max_; }
  // The value that a share `q` (0 … 1) of all values does not exceed; 0 if there is none. Never
  // beyond max().
  Nanos quantile(double q) const;

  // `per_octave` counts for each doubling of the value, from the first that is not 0 to the last,
  // each with the value where it begins. For plots.
  std::vector<std::pair<Nanos, std::uint64_t>> shape(unsigned per_octave) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  Nanos min_ = 0, max_ = 0;
};

}  // namespace holdfast::api
