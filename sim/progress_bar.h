#pragma once
// How far something long has come, as text for api::Progress (cli_console.h). Pure.

#include <cstdint>
#include <string>

namespace holdfast::sim {

// "[########------------]  41 %, 12 s left". `share` is 0 … 1, what is outside is clamped.
// `elapsed_ms` is real time since the beginning; what is left is told when 2 s and 2 % have passed.
std::string progress_bar(double share, std::int64_t elapsed_ms);

}  // namespace holdfast::sim
