#include "api/bench_plan.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "absl/status/status.h"

namespace holdfast::api {
namespace {

constexpr std::uint32_t kSharesMax = 1'000'000;

absl::Status wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

template <typename Number>
std::optional<Number> number_of(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

std::string known_operations() {
  std::string names;
  for (const auto name : kBenchOpNames) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace

std::vector<std::string_view> split_at_commas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == text.npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::uint32_t BenchMix::total() const {
  std::uint32_t sum = 0;
  for (const auto share : shares) sum += share;
  return sum;
}

bool BenchMix::only_reads() const {
  return total() == share(BenchOp::availability) + share(BenchOp::stock);
}

absl::StatusOr<BenchMix> parse_mix(std::string_view text) {
  BenchMix mix;
  std::array<bool, kBenchOps> named{};
  for (const auto part : split_at_commas(text)) {
    const auto equals = part.find('=');
    const auto name = part.substr(0, equals);
    const auto found = std::find(kBenchOpNames.begin(), kBenchOpNames.end(), name);
    if (found == kBenchOpNames.end()) {
      return wrong("--mix: '" + std::string(name) +
                   "' is not an operation; known here: " + known_operations());
    }
    const auto index = static_cast<std::size_t>(found - kBenchOpNames.begin());
    if (named[index]) return wrong("--mix: " + std::string(name) + " stands there twice");
    named[index] = true;
    const auto share = equals == part.npos ? std::optional<std::uint32_t>(100)
                                           : number_of<std::uint32_t>(part.substr(equals + 1));
    if (!share || *share > kSharesMax) {
      return wrong("--mix: '" + std::string(part) +
                   "' must be NAME=SHARE with a share of 0 to 1000000, like reserve=80,stock=20");
    }
    mix.shares[index] = *share;
  }
  if (mix.total() == 0 || mix.total() > kSharesMax) {
    return wrong("--mix: the shares must add up to 1 … 1000000, like reserve=80,stock=20");
  }
  return mix;
}

std::string to_string(const BenchMix& mix) {
  std::string text;
  for (std::size_t i = 0; i < kBenchOps; ++i) {
    if (mix.shares[i] == 0) continue;
    text += (text.empty() ? "" : ",") + std::string(kBenchOpNames[i]) + "=" +
            std::to_string(mix.shares[i]);
  }
  return text;
}

absl::StatusOr<BenchSpread> parse_spread(std::string_view text) {
  if (text == "uniform") return BenchSpread{};
  if (text == "hot") return BenchSpread{.kind = BenchSpread::Kind::hot};
  if (text.starts_with("zipf:")) {
    const auto exponent = number_of<double>(text.substr(5));
    if (exponent && *exponent > 0 && *exponent <= 10) {
      return BenchSpread{.kind = BenchSpread::Kind::zipf, .exponent = *exponent};
    }
  }
  return wrong("--distribution: '" + std::string(text) +
               "' must be uniform, hot, or zipf:S with S above 0 and at most 10, like zipf:1.1");
}

absl::StatusOr<std::vector<double>> parse_steps(std::string_view text) {
  std::vector<double> steps;
  for (auto part : split_at_commas(text)) {
    const auto digits = part.ends_with('x') ? part.substr(0, part.size() - 1) : "";
    const auto times = number_of<double>(digits);
    if (!times || !(*times > 0) || *times > 1'000 || steps.size() == 16) {
      return wrong("--rate-steps: '" + std::string(part) +
                   "' must be a multiple of the capacity, above 0x and at most 1000x; up to 16 of "
                   "them, like 1x,3x,10x");
    }
    steps.push_back(*times);
  }
  return steps;
}

}  // namespace holdfast::api
