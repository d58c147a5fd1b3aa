#pragma once
// Seeded random numbers of the simulator: one seed, any number of named streams that do not disturb
// one another, so that leaving one fault out changes nothing about the others. Distributions are
// our own, because those of the standard library differ between libraries.

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>
#include <vector>

#include "gossip/rng.h"

namespace holdfast::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : rng_(seed) {}
  // The stream of that name and number. Equal arguments give equal streams.
  Random(std::uint64_t seed, std::string_view name, std::uint64_t number = 0)
      : rng_(mixed(seed, name, number)) {}

  std::uint64_t next() { return rng_.next(); }
  // 0 … bound − 1; bound > 0.
  std::uint64_t below(std::uint64_t bound) { return rng_.below(bound); }
  // low … high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  bool chance(double probability) { return rng_.chance(probability); }
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }  // 0 ≤ u < 1
  // Log-uniform: small values are as likely as large ones. 0 < low ≤ high.
  double log_between(double low, double high) {
    return low * std::exp(unit() * std::log(high / low));
  }
  double exponential(double mean) { return -mean * std::log(1.0 - unit()); }
  template <typename T>
  const T& pick(const std::vector<T>& values) {
    return values[below(values.size())];
  }

 private:
  static std::uint64_t mixed(std::uint64_t seed, std::string_view name, std::uint64_t number) {
    std::uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a
    for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
    gossip::Rng a(seed ^ hash);
    gossip::Rng b(a.next() ^ number);
    return b.next();
  }

  gossip::Rng rng_;
};

// Ranks 0 … size − 1, rank r with weight 1 / (r + 1)^exponent; by inversion, O(log size) a draw.
class Zipf {
 public:
  Zipf(std::size_t size, double exponent) : sums_(size) {
    double sum = 0;
    for (std::size_t rank = 0; rank < size; ++rank) {
      sum += std::pow(static_cast<double>(rank + 1), -exponent);
      sums_[rank] = sum;
    }
  }
  std::size_t draw(Random& random) const {
    const double at = random.unit() * sums_.back();
    std::size_t low = 0, high = sums_.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      if (sums_[middle] > at) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

 private:
  std::vector<double> sums_;
};

}  // namespace holdfast::sim
