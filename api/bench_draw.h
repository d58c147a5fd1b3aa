#pragma once
// Draws what a load asks for: which operation, which SKU. The same in every run with the same seed.
// Pure.

#include <cstdint>
#include <vector>

#include "api/bench_plan.h"

namespace holdfast::api {

// SplitMix64 (Steele, Lea, Flood 2014): one addition and a mix a number, which is all that a load
// generator can afford and needs.
class BenchRandom {
 public:
  explicit BenchRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // 0 … bound − 1, for a bound of 1 … 2^32; off from uniform by less than 2^-32.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>(((next() >> 32) * bound) >> 32);
  }

 private:
  std::uint64_t state_;
};

class BenchPicker {
 public:
  explicit BenchPicker(const BenchDraw& draw);
  BenchOp op();
  std::uint32_t sku();

 private:
  BenchDraw draw_;
  std::uint32_t total_;
  BenchRandom random_;
  // Zipf by Walker's alias method, O(1) a draw: column i gives i with chance keep_[i] / 2^32, else
  // its alias.
  std::vector<std::uint32_t> keep_, alias_;
};

}  // namespace holdfast::api
