#include "sim/time_span.h"

#include <array>
#include <charconv>
#include <cmath>

namespace holdfast::sim {
namespace {

struct Unit {
  std::string_view name;
  Time us;
};
constexpr std::array<Unit, 6> kUnits = {
    {{"d", kDay}, {"h", kHour}, {"m", kMinute}, {"s", kSecond}, {"ms", kMillisecond}, {"us", 1}}};

std::optional<Time> unit_us(std::string_view name) {
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.us;
  }
  return std::nullopt;
}

bool in_number(char c) { return (c >= '0' && c <= '9') || c == '.'; }

// Cuts one number with its unit off the front.
std::optional<double> take_part(std::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && in_number(text[digits])) ++digits;
  std::size_t end = digits;
  while (end < text.size() && !in_number(text[end])) ++end;
  double count = 0;
  const auto [rest, error] =
      std::from_chars(text.data(), text.data() + digits, count, std::chars_format::fixed);
  const auto unit = unit_us(text.substr(digits, end - digits));
  if (error != std::errc{} || rest != text.data() + digits || !unit) return std::nullopt;
  text.remove_prefix(end);
  return count * static_cast<double>(*unit);
}

}  // namespace

std::optional<Time> parse_span(std::string_view text) {
  constexpr double kMost = 36'525.0 * static_cast<double>(kDay);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  double sum = 0;
  while (!text.empty()) {
    const auto part = take_part(text);
    if (!part) return std::nullopt;
    sum += *part;
    if (sum > kMost) return std::nullopt;
  }
  return std::llround(negative ? -sum : sum);
}

std::optional<Time> parse_time_of_day(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  for (const std::size_t at : {0u, 1u, 3u, 4u}) {
    if (text[at] < '0' || text[at] > '9') return std::nullopt;
  }
  const int hour = (text[0] - '0') * 10 + (text[1] - '0');
  const int minute = (text[3] - '0') * 10 + (text[4] - '0');
  if (hour > 23 || minute > 59) return std::nullopt;
  return hour * kHour + minute * kMinute;
}

std::string span_text(Time span) {
  if (span == 0) return "0s";
  std::string text = span < 0 ? "-" : "";
  Time left = span < 0 ? -span : span;
  for (const Unit& unit : kUnits) {
    if (left < unit.us) continue;
    text += std::to_string(left / unit.us) + std::string(unit.name);
    left %= unit.us;
  }
  return text;
}

}  // namespace holdfast::sim
