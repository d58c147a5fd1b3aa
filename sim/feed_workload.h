#pragma once
// The set-up of Enes et al., "Efficient Synchronization of State-based CRDTs", ICDE 2019
// (arXiv:1803.02750), section V: 15 replicas on a tree or on a mesh of degree 4, 100 updates a
// replica, one update and one synchronisation with every neighbour a second, nothing is lost; a run
// ends when all have all updates. The unit of cost is the element: one entry of a map or counter,
// one element of a set, one number of metadata.
//
// The data types are entries (key → version), which is what all three of them are to a
// synchroniser: GCounter has one key a replica, GSet a new key an update, GMap K% 67 keys a replica
// of which an update raises K%.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::sim {

enum class Overlay { tree, mesh };
enum class FeedType { gcounter, gset, gmap10, gmap30, gmap60, gmap100 };

std::string_view name_of(Overlay overlay);
std::string_view name_of(FeedType type);

inline constexpr std::int64_t kRoundUs = 1'000'000;
inline constexpr std::int64_t kHopUs = 1'000;  // a message's way to a neighbour

struct FeedWorkload {
  FeedType type = FeedType::gcounter;
  std::vector<std::vector<std::size_t>> neighbours;  // by replica, ascending
  // writes[replica][round]: the keys that the replica raises in that round; each key has one writer
  std::vector<std::vector<std::vector<std::uint32_t>>> writes;
  std::vector<std::int64_t> update_at_us, sync_at_us;  // by replica: within each second
  std::uint32_t keys = 0;
  std::size_t replicas() const { return neighbours.size(); }
  std::size_t rounds() const { return writes.front().size(); }
};

// Equal arguments give equal workloads; the seed decides keys and the phases of the timers.
FeedWorkload feed_workload(Overlay overlay, FeedType type, std::uint64_t seed,
                           std::size_t rounds = 100);

// What a run cost, a replica.
struct FeedCost {
  double payload = 0;   // elements of payload
  double metadata = 0;  // elements of metadata
  double metadata_bytes = 0;
  double apart = 0;  // messages of the failure detector, which the paper does not have
  double apart_bytes = 0;
  double seconds_to_converge = 0;  // from the last update until all have all
  bool converged = false;
  double elements() const { return payload + metadata; }
};

}  // namespace holdfast::sim
