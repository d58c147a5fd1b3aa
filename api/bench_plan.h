#pragma once
// What a load is made of, and how people say it on the command line. Pure.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "api/latency_histogram.h"

namespace holdfast::api {

// At least one part; parts may be empty.
std::vector<std::string_view> split_at_commas(std::string_view text);

enum class BenchOp : std::uint8_t { reserve, commit, release, receive, availability, stock };
inline constexpr std::size_t kBenchOps = 6;
inline constexpr std::array<std::string_view, kBenchOps> kBenchOpNames{
    "reserve", "commit", "release", "receive", "availability", "stock"};
inline bool in_batches(BenchOp op) { return op < BenchOp::availability; }

// Shares of the operations, by BenchOp; their sum is 1 … 1,000,000.
struct BenchMix {
  std::array<std::uint32_t, kBenchOps> shares{};
  std::uint32_t total() const;
  std::uint32_t share(BenchOp op) const { return shares[static_cast<std::size_t>(op)]; }
  bool only_reads() const;
};
// "reserve=40,commit=20,availability=40"; a name alone counts as =100. Errors: kInvalidArgument,
// saying what is wrong and what may stand there, as of all that follow.
absl::StatusOr<BenchMix> parse_mix(std::string_view text);
std::string to_string(const BenchMix& mix);

// How requests spread over the SKUs. zipf: SKU k (from 1) is drawn with a chance ∝ 1 / k^exponent.
struct BenchSpread {
  enum class Kind : std::uint8_t { uniform, zipf, hot } kind = Kind::uniform;
  double exponent = 0;  // zipf: above 0, at most 10
};
absl::StatusOr<BenchSpread> parse_spread(std::string_view text);  // uniform, zipf:1.1, hot

// "1x,3x,10x": multiples of the capacity, 1 … 16 of them, each above 0 and at most 1,000.
absl::StatusOr<std::vector<double>> parse_steps(std::string_view text);

inline constexpr std::uint32_t kBenchConnectionsMax = 20'000;
inline constexpr std::uint32_t kBenchSkusMax = 1'000'000;

// What a load draws its requests from.
struct BenchDraw {
  BenchMix mix;
  BenchSpread spread;
  std::uint32_t skus = 1;
  std::uint32_t batch_lines = 0;  // 0: single calls
  std::uint64_t seed = 1;
  std::uint64_t quantity = 1;  // units of a reservation
};

}  // namespace holdfast::api
