#include "sim/feed_workload.h"

#include <algorithm>
#include <numeric>

#include "sim/random.h"

namespace holdfast::sim {
namespace {

using Neighbours = std::vector<std::vector<std::size_t>>;

// As src/exp_overlay.erl of the authors' experiments has them.
const Neighbours kTree = {{1, 8, 13}, {0, 6}, {5},        {10}, {5},  {2, 4, 6},  {1, 5, 10}, {13},
                          {0, 9, 14}, {8},    {3, 6, 12}, {13}, {10}, {0, 7, 11}, {8}};
const Neighbours kMesh = {{1, 4, 11, 14}, {0, 2, 5, 12},  {1, 3, 6, 13},  {2, 4, 7, 14},
                          {0, 3, 5, 8},   {1, 4, 6, 9},   {2, 5, 7, 10},  {3, 6, 8, 11},
                          {4, 7, 9, 12},  {5, 8, 10, 13}, {6, 9, 11, 14}, {0, 7, 10, 12},
                          {1, 8, 11, 13}, {2, 9, 12, 14}, {0, 3, 10, 13}};

constexpr std::uint32_t kKeysEach = 67;  // of about 1,000 in all

std::uint32_t raised_each(FeedType type) {
  switch (type) {
    case FeedType::gmap10:
      return 7;
    case FeedType::gmap30:
      return 21;
    case FeedType::gmap60:
      return 41;
    default:
      return kKeysEach;
  }
}

}  // namespace

std::string_view name_of(Overlay overlay) { return overlay == Overlay::tree ? "tree" : "mesh"; }

std::string_view name_of(FeedType type) {
  constexpr std::string_view kNames[] = {"GCounter", "GSet",     "GMap 10%",
                                         "GMap 30%", "GMap 60%", "GMap 100%"};
  return kNames[static_cast<std::size_t>(type)];
}

FeedWorkload feed_workload(Overlay overlay, FeedType type, std::uint64_t seed, std::size_t rounds) {
  FeedWorkload workload{.type = type, .neighbours = overlay == Overlay::tree ? kTree : kMesh};
  const auto replicas = static_cast<std::uint32_t>(workload.replicas());
  Random phases(seed, "feed-phases");
  Random keys(seed, "feed-keys");
  for (std::uint32_t replica = 0; replica < replicas; ++replica) {
    workload.update_at_us.push_back(phases.between(0, kRoundUs - 1));
    workload.sync_at_us.push_back(phases.between(0, kRoundUs - 1));
    auto& mine = workload.writes.emplace_back(rounds);
    std::vector<std::uint32_t> own(kKeysEach);
    std::iota(own.begin(), own.end(), replica * kKeysEach);
    for (std::uint32_t round = 0; round < rounds; ++round) {
      if (type == FeedType::gcounter) {
        mine[round] = {replica};
      } else if (type == FeedType::gset) {
        mine[round] = {replica * static_cast<std::uint32_t>(rounds) + round};
      } else {
        const std::uint32_t count = raised_each(type);
        for (std::uint32_t i = 0; i < count; ++i)
          std::swap(own[i], own[i + keys.below(kKeysEach - i)]);
        mine[round].assign(own.begin(), own.begin() + count);
        std::sort(mine[round].begin(), mine[round].end());
      }
    }
  }
  workload.keys = type == FeedType::gcounter ? replicas
                  : type == FeedType::gset   ? replicas * static_cast<std::uint32_t>(rounds)
                                             : replicas * kKeysEach;
  return workload;
}

}  // namespace holdfast::sim
