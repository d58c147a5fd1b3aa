#pragma once
// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights: Schindelhauer and Schomaker
// 2005): a key belongs to the seat that scores highest for it. When a seat comes or goes, or its
// weight changes, no key moves between two others; each has keys in proportion to its weight.
//
// The score is a double: on all machines the same but for the last bits of a logarithm. So where a
// key belongs is never more than a hint for what must be exact.

#include <cmath>
#include <cstdint>
#include <string_view>

#include "crdt/digest.h"

namespace holdfast::node {

// Above 0; 0 for a seat without weight, which no key belongs to.
inline double rendezvous_score(std::string_view key, std::uint64_t seat, std::uint32_t weight) {
  if (weight == 0) return 0;
  constexpr double kSteps = 9007199254740992.0;  // 2^53
  const auto step = static_cast<double>(crdt::digest(key, seat) >> 11);
  return -static_cast<double>(weight) / std::log((step + 0.5) / kSteps);
}

}  // namespace holdfast::node
