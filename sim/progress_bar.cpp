#include "sim/progress_bar.h"

#include <algorithm>
#include <cmath>

namespace holdfast::sim {
namespace {

constexpr std::size_t kCells = 20;

std::string time_left(double ms) {
  const auto s = static_cast<std::int64_t>(std::ceil(ms / 1000));
  if (s < 60) return std::to_string(s) + " s left";
  return std::to_string((s + 59) / 60) + " min left";
}

}  // namespace

std::string progress_bar(double share, std::int64_t elapsed_ms) {
  share = std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0;
  const auto done = static_cast<std::size_t>(share * kCells);
  const auto percent = std::to_string(static_cast<int>(share * 100));
  std::string text = "[" + std::string(done, '#') + std::string(kCells - done, '-') + "] ";
  text += std::string(3 - percent.size(), ' ') + percent + " %";
  if (share < 0.02 || share >= 1 || elapsed_ms < 2000) return text;
  return text + ", " + time_left(static_cast<double>(elapsed_ms) * (1 - share) / share);
}

}  // namespace holdfast::sim
