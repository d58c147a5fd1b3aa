#include "sim/seed_numbers.h"

#include <charconv>
#include <limits>
#include <optional>
#include <set>

namespace holdfast::sim {
namespace {

template <typename Number>
std::optional<Number> number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Likewise, but what is too large for 64 bits is the largest: whoever reads it has a bound.
std::optional<std::uint64_t> capped(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint64_t>::max();
  return error == std::errc{} ? std::optional(value) : std::nullopt;
}

bool is_seed(std::uint64_t number) { return number <= kSeedMax; }

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// Calls `take` for each part between separators, until it returns false.
template <typename Take>
void split(std::string_view text, char separator, const Take& take) {
  for (;;) {
    const auto at = text.find(separator);
    if (!take(text.substr(0, at)) || at == text.npos) return;
    text.remove_prefix(at + 1);
  }
}

constexpr std::string_view kWantedOfSeed = "must be a whole number from 0 to 9223372036854775807";

absl::Status bad_seeds(std::string_view text, const std::string& why) {
  return absl::InvalidArgumentError("seeds '" + std::string(text) + "': " + why);
}

}  // namespace

std::string check_seed(const std::string& text) {
  const auto seed = number<std::uint64_t>(text);
  return seed && is_seed(*seed) ? "" : std::string(kWantedOfSeed) + ", is '" + text + "'";
}

absl::StatusOr<SeedRange> parse_seeds(std::string_view text) {
  const auto dots = text.find("..");
  const auto first = capped(text.substr(0, dots));
  const auto last = dots == text.npos ? first : capped(text.substr(dots + 2));
  if (!first || !last)
    return bad_seeds(text, "write A..B (both included), like 1..500, or one seed");
  if (!is_seed(*first) || !is_seed(*last))
    return bad_seeds(text, "each " + std::string(kWantedOfSeed));
  if (*last < *first) return bad_seeds(text, "the last seed is below the first");
  return SeedRange{*first, *last};
}

absl::StatusOr<std::vector<std::uint32_t>> parse_numbers(std::string_view text,
                                                         std::uint32_t bound) {
  if (text.empty()) return std::vector<std::uint32_t>();
  std::set<std::uint32_t> numbers;
  absl::Status status;
  split(text, ',', [&](std::string_view part) {
    const auto dash = part.find('-');
    const auto low = capped(part.substr(0, dash));
    const auto high = dash == part.npos ? low : capped(part.substr(dash + 1));
    if (!low || !high || *high < *low) {
      status = absl::InvalidArgumentError("'" + std::string(part) +
                                          "' is no number and no span of numbers: write 1,4-9");
    } else if (*high >= bound) {
      status =
          absl::InvalidArgumentError("'" + std::string(part) + "' is not in the plan, which has " +
                                     (bound == 0 ? "none" : "0-" + std::to_string(bound - 1)));
    }
    if (!status.ok()) return false;
    for (auto n = static_cast<std::uint32_t>(*low); n <= *high; ++n)
      numbers.insert(numbers.end(), n);
    return true;
  });
  if (!status.ok()) return status;
  return std::vector<std::uint32_t>(numbers.begin(), numbers.end());
}

std::string format_numbers(const std::vector<std::uint32_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t end = i;
    while (end + 1 < numbers.size() && numbers[end + 1] == numbers[end] + 1) ++end;
    if (!text.empty()) text += ',';
    text += std::to_string(numbers[i]);
    if (end > i) text += '-' + std::to_string(numbers[end]);
    i = end + 1;
  }
  return text;
}

absl::StatusOr<std::vector<std::uint32_t>> parse_counts(std::string_view text, std::uint32_t low,
                                                        std::uint32_t high) {
  std::set<std::uint32_t> counts;
  absl::Status status;
  split(text, ',', [&](std::string_view part) {
    const auto count = number<std::uint32_t>(part);
    if (count && *count >= low && *count <= high) {
      counts.insert(*count);
      return true;
    }
    status = absl::InvalidArgumentError("'" + std::string(part) + "' in '" + std::string(text) +
                                        "': write numbers from " + std::to_string(low) + " to " +
                                        std::to_string(high) + ", like 3,10,50");
    return false;
  });
  if (!status.ok()) return status;
  return std::vector<std::uint32_t>(counts.begin(), counts.end());
}

absl::StatusOr<std::vector<Regression>> parse_regressions(std::string_view text) {
  std::vector<Regression> regressions;
  absl::Status status;
  std::size_t line_number = 0;
  split(text, '\n', [&](std::string_view line) {
    ++line_number;
    const auto hash = line.find('#');
    const std::string_view what =
        hash == line.npos ? std::string_view() : trimmed(line.substr(hash + 1));
    const std::string_view seed_text = trimmed(line.substr(0, hash));
    if (seed_text.empty()) return true;
    const auto seed = number<std::uint64_t>(seed_text);
    if (!seed || !is_seed(*seed)) {
      status = absl::InvalidArgumentError("line " + std::to_string(line_number) + ": '" +
                                          std::string(seed_text) +
                                          "' is no seed: write SEED  # what broke");
      return false;
    }
    regressions.push_back({*seed, std::string(what)});
    return true;
  });
  if (!status.ok()) return status;
  return regressions;
}

}  // namespace holdfast::sim
