#include "api/shard_map.h"

#include <algorithm>

#include "crdt/digest.h"
#include "crdt/ids.h"
#include "node/rendezvous.h"

namespace holdfast::api {

namespace {

absl::Status wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

std::string told(const SkuRange& range) {
  return "the range from '" + range.from + "' to " +
         (range.to.empty() ? "the end" : "'" + range.to + "'");
}

absl::Status check_shards(const ShardMap& map) {
  if (map.shards.empty()) return wrong("it names no shard: add [[shard]] with name and nodes");
  std::uint64_t weights = 0;
  for (std::size_t i = 0; i < map.shards.size(); ++i) {
    const Shard& shard = map.shards[i];
    if (!crdt::valid_name(shard.name))
      return wrong("'" + shard.name + "' is no name: 1 to 64 of A-Z a-z 0-9 . _ -");
    if (i > 0 && map.shards[i - 1].name == shard.name)
      return wrong("two shards are named '" + shard.name + "'");
    if (shard.nodes.empty())
      return wrong("shard '" + shard.name + "' has no nodes: name at least one by its URL");
    weights += shard.weight;
  }
  if (weights > 0) return absl::OkStatus();
  return wrong("no shard has a weight, so that SKUs outside of ranges would belong to nobody");
}

}  // namespace

std::size_t ShardMap::shard_of(std::string_view sku) const {
  const auto after = std::upper_bound(
      ranges.begin(), ranges.end(), sku,
      [](std::string_view key, const SkuRange& range) { return key < range.from; });
  if (after != ranges.begin()) {
    const SkuRange& range = *(after - 1);
    if (range.to.empty() || sku < range.to) return range.shard;
  }
  std::size_t best = 0;
  double most = -1;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const double score =
        node::rendezvous_score(sku, crdt::digest(shards[i].name), shards[i].weight);
    if (score <= most) continue;
    best = i;
    most = score;
  }
  return best;
}

absl::Status check(const ShardMap& map) {
  if (map.version == 0) return wrong("it has no version: 1 or higher");
  if (absl::Status status = check_shards(map); !status.ok()) return status;
  const SkuRange* before = nullptr;
  for (const SkuRange& range : map.ranges) {
    if (range.shard >= map.shards.size()) return wrong(told(range) + " names no shard of this map");
    if (!range.to.empty() && range.to <= range.from)
      return wrong(told(range) + " has nothing in it");
    if (before != nullptr && (before->to.empty() || before->to > range.from))
      return wrong(told(range) + " overlaps " + told(*before));
    before = &range;
  }
  return absl::OkStatus();
}

absl::Status check_follows(const ShardMap& map, const ShardMap& next) {
  if (next.version < map.version)
    return wrong("its version " + std::to_string(next.version) + " is lower than " +
                 std::to_string(map.version) + ", which is in use: give it a higher one");
  if (next.version > map.version) return absl::OkStatus();
  const auto same_shard = [](const Shard& a, const Shard& b) {
    return a.name == b.name && a.weight == b.weight && a.nodes == b.nodes;
  };
  const auto same_range = [](const SkuRange& a, const SkuRange& b) {
    return a.from == b.from && a.to == b.to && a.shard == b.shard;
  };
  if (std::equal(map.shards.begin(), map.shards.end(), next.shards.begin(), next.shards.end(),
                 same_shard) &&
      std::equal(map.ranges.begin(), map.ranges.end(), next.ranges.begin(), next.ranges.end(),
                 same_range))
    return absl::OkStatus();
  return wrong("it differs from the map in use, and has the same version " +
               std::to_string(map.version) + ": give it a higher one");
}

}  // namespace holdfast::api
