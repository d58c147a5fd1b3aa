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
#include <vector>

#include "crdt/digest.h"
#include "crdt/ids.h"

namespace holdfast::node {

// Above 0; 0 for a seat without weight, which no key belongs to.
inline double rendezvous_score(std::string_view key, std::uint64_t seat, std::uint32_t weight) {
  if (weight == 0) return 0;
  constexpr double kSteps = 9007199254740992.0;  // 2^53
  const auto step = static_cast<double>(crdt::digest(key, seat) >> 11);
  return -static_cast<double>(weight) / std::log((step + 0.5) / kSteps);
}

// A node of a region, for a SKU.
struct Seat {
  crdt::ReplicaId replica;
  std::uint32_t weight = 0;
};
// Whose the SKU is; nobody's, if there is no seat with a weight. Between equals the lower
// replica's.
inline crdt::ReplicaId home_of(std::string_view sku, const std::vector<Seat>& seats) {
  double most = 0;
  crdt::ReplicaId home;
  for (const Seat& seat : seats) {
    const double score = rendezvous_score(sku, seat.replica.value, seat.weight);
    if (score < most || score == 0 || (score == most && home < seat.replica)) continue;
    most = score;
    home = seat.replica;
  }
  return home;
}

}  // namespace holdfast::node
