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

// Names and weights alone.
absl::Status check_names(const std::vector<Shard>& shards) {
  std::uint64_t weights = 0;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const Shard& shard = shards[i];
    if (!crdt::valid_name(shard.name))
      return wrong("'" + shard.name + "' is no name: 1 to 64 of A-Z a-z 0-9 . _ -");
    if (i > 0 && shards[i - 1].name == shard.name)
      return wrong("two shards are named '" + shard.name + "'");
    weights += shard.weight;
  }
  if (weights > 0) return absl::OkStatus();
  return wrong("no shard has a weight, so that SKUs outside of ranges would belong to nobody");
}

absl::Status check_ranges(const std::vector<SkuRange>& ranges, std::size_t shards) {
  const SkuRange* before = nullptr;
  for (const SkuRange& range : ranges) {
    if (range.shard >= shards) return wrong(told(range) + " names no shard of this map");
    if (!range.to.empty() && range.to <= range.from)
      return wrong(told(range) + " has nothing in it");
    if (before != nullptr && (before->to.empty() || before->to > range.from))
      return wrong(told(range) + " overlaps " + told(*before));
    before = &range;
  }
  return absl::OkStatus();
}

std::size_t place(std::string_view sku, const std::vector<Shard>& shards,
                  const std::vector<SkuRange>& ranges) {
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

const Shard* named(const std::vector<Shard>& shards, const std::string& name) {
  for (const Shard& shard : shards)
    if (shard.name == name) return &shard;
  return nullptr;
}

bool same(const std::vector<Shard>& a, const std::vector<Shard>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Shard& x, const Shard& y) {
    return x.name == y.name && x.weight == y.weight && x.nodes == y.nodes;
  });
}

bool same(const std::vector<SkuRange>& a, const std::vector<SkuRange>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const SkuRange& x, const SkuRange& y) {
                      return x.from == y.from && x.to == y.to && x.shard == y.shard;
                    });
}

}  // namespace

std::size_t ShardMap::shard_of(std::string_view sku) const { return place(sku, shards, ranges); }

std::size_t ShardMap::shard_before(std::string_view sku) const {
  if (!moving()) return shard_of(sku);
  const Shard& before = was_shards[place(sku, was_shards, was_ranges)];
  return static_cast<std::size_t>(named(shards, before.name) - shards.data());
}

absl::Status check(const ShardMap& map) {
  if (map.version == 0) return wrong("it has no version: 1 or higher");
  if (map.shards.empty()) return wrong("it names no shard: add [[shard]] with name and nodes");
  if (absl::Status status = check_names(map.shards); !status.ok()) return status;
  for (const Shard& shard : map.shards)
    if (shard.nodes.empty())
      return wrong("shard '" + shard.name + "' has no nodes: name at least one by its URL");
  if (absl::Status status = check_ranges(map.ranges, map.shards.size()); !status.ok())
    return status;
  if (!map.moving() && map.was_ranges.empty()) return absl::OkStatus();
  if (!map.moving()) return wrong("[was] has ranges, and names no shard: add [[was.shard]]");
  if (absl::Status status = check_names(map.was_shards); !status.ok())
    return wrong("[was]: " + std::string(status.message()));
  for (const Shard& shard : map.was_shards)
    if (named(map.shards, shard.name) == nullptr)
      return wrong("SKUs move from shard '" + shard.name +
                   "', which this map does not have: leave it in, with weight = 0, until they have "
                   "moved");
  if (absl::Status status = check_ranges(map.was_ranges, map.was_shards.size()); !status.ok())
    return wrong("[was]: " + std::string(status.message()));
  return absl::OkStatus();
}

absl::StatusOr<ShardMap> begin_move(const ShardMap& now, const ShardMap& next) {
  if (now.moving() || next.moving())
    return absl::FailedPreconditionError("SKUs move already by version " +
                                         std::to_string((now.moving() ? now : next).version) +
                                         ": let that end first (holdfast shards finish)");
  ShardMap moving = next;
  moving.version = std::max(now.version + 1, next.version);
  for (const Shard& shard : now.shards)
    moving.was_shards.push_back({.name = shard.name, .weight = shard.weight});
  moving.was_ranges = now.ranges;
  if (absl::Status status = check(moving); !status.ok()) return status;
  return moving;
}

ShardMap end_move(const ShardMap& moving) {
  ShardMap ended = moving;
  ++ended.version;
  ended.was_shards.clear();
  ended.was_ranges.clear();
  return ended;
}

bool places_elsewhere(const ShardMap& map, const ShardMap& next) {
  const auto alike = [](const Shard& x, const Shard& y) {
    return x.name == y.name && x.weight == y.weight;
  };
  return !same(map.ranges, next.ranges) ||
         !std::equal(map.shards.begin(), map.shards.end(), next.shards.begin(), next.shards.end(),
                     alike);
}

absl::Status check_follows(const ShardMap& map, const ShardMap& next) {
  if (next.version < map.version)
    return wrong("its version " + std::to_string(next.version) + " is lower than " +
                 std::to_string(map.version) + ", which is in use: give it a higher one");
  if (next.version > map.version) return absl::OkStatus();
  if (same(map.shards, next.shards) && same(map.ranges, next.ranges) &&
      same(map.was_shards, next.was_shards) && same(map.was_ranges, next.was_ranges))
    return absl::OkStatus();
  return wrong("it differs from the map in use, and has the same version " +
               std::to_string(map.version) + ": give it a higher one");
}

}  // namespace holdfast::api
