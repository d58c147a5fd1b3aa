#pragma once
// Spans of time and times of day as scenario files write them: "90s", "1h30m", "250ms", "08:30".

#include <optional>
#include <string>
#include <string_view>

#include "sim/events.h"

namespace holdfast::sim {

inline constexpr Time kMinute = 60 * kSecond;
inline constexpr Time kHour = 60 * kMinute;
inline constexpr Time kDay = 24 * kHour;

// Numbers with units (us, ms, s, m, h, d), largest first or not, with nothing between them; the
// first may have a sign. None: not a span, or beyond ± 100 years.
std::optional<Time> parse_span(std::string_view text);
// "HH:MM", 00:00 … 23:59. Since midnight.
std::optional<Time> parse_time_of_day(std::string_view text);

std::string span_text(Time span);  // "1h30m"; parse_span gives it back

}  // namespace holdfast::sim
