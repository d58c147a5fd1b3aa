#pragma once
// The page that shows reports, as sim/report/ builds it: HTML with its style, its scripts and the
// licence of the plotting library in it, and kPagePlaceholder once, where the data belongs.

#include <string_view>

namespace holdfast::sim {

inline constexpr std::string_view kPagePlaceholder = "\"HOLDFAST-REPORT-DATA\"";

std::string_view report_page();  // lives as long as the program

}  // namespace holdfast::sim
