#pragma once
// Seeds and places in plans as people write them: "1..500", "1,4-9". Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::sim {

inline constexpr std::uint64_t kSeedMax = INT64_MAX;  // exact in every reader's signed integers

struct SeedRange {
  std::uint64_t first = 1;
  std::uint64_t last = 1;  // not below first
  std::uint64_t count() const { return last - first + 1; }
  bool operator==(const SeedRange&) const = default;
};

// "A..B", both included, or "A"; at most kSeedMax. Errors: kInvalidArgument.
absl::StatusOr<SeedRange> parse_seeds(std::string_view text);

// Why `text` is no seed, 0 … 2⁶³−1 in digits; empty: it is one.
std::string check_seed(const std::string& text);

// "1,4-9" → 1 4 5 … 9, ascending, each once; an empty text: none. Each number must be below
// `bound`. Errors: kInvalidArgument.
absl::StatusOr<std::vector<std::uint32_t>> parse_numbers(std::string_view text,
                                                         std::uint32_t bound);
// The reverse. Requires: ascending, each once.
std::string format_numbers(const std::vector<std::uint32_t>& numbers);

// "50,3,10" → 3 10 50, ascending, each once; none is empty. Each must be `low` … `high`.
// Errors: kInvalidArgument.
absl::StatusOr<std::vector<std::uint32_t>> parse_counts(std::string_view text, std::uint32_t low,
                                                        std::uint32_t high);

// A file of seeds that once failed: one `SEED  # what broke` a line; empty lines and lines that
// begin with '#' are left out.
struct Regression {
  std::uint64_t seed = 0;
  std::string what;  // without the '#'; may be empty
};
// Errors: kInvalidArgument, naming the line.
absl::StatusOr<std::vector<Regression>> parse_regressions(std::string_view text);

}  // namespace holdfast::sim
