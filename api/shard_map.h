#pragma once
// Shard map: which independent group of nodes (a shard, with regions and nodes as any cluster) a
// SKU belongs to. A SKU of a named range belongs to that range's shard; any other by rendezvous
// hashing over the shards' names and weights, so that a shard that comes takes its part and moves
// nothing between two others.
//
// A value: one version is read whole, checked (shard_map_file.h), and never changed.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::api {

struct Shard {
  std::string name;  // as a region's
  std::uint32_t weight = 100;
  std::vector<std::string> nodes;  // http://HOST:PORT of some of its nodes: they name the others
};
struct SkuRange {
  std::string from, to;   // [from, to); `to` empty: to the end
  std::size_t shard = 0;  // its place in ShardMap::shards
};
struct ShardMap {
  std::uint64_t version = 0;     // from 1; a newer map has a higher one
  std::vector<Shard> shards;     // ascending by name
  std::vector<SkuRange> ranges;  // ascending, none overlaps another
  // While SKUs move: where they were before, by the map that this one follows. Each of these shards
  // is one of `shards`, too, if only with the weight 0; of nodes nothing is said here. None: no
  // SKU moves.
  std::vector<Shard> was_shards;
  std::vector<SkuRange> was_ranges;  // their shard: its place in was_shards

  // Its place in `shards`. Cost: one hash a shard, unless a range has it.
  std::size_t shard_of(std::string_view sku) const;
  // The same before the move; without one: shard_of.
  std::size_t shard_before(std::string_view sku) const;
  bool moving() const { return !was_shards.empty(); }
};

// Whether it is a map at all. Errors: kInvalidArgument, saying what to change: no shard, two of one
// name, none with a weight (then a SKU would belong to nobody), a shard without nodes, a range that
// is empty, overlaps another, or names no shard, a shard that SKUs move from and that is
// missing.
absl::Status check(const ShardMap& map);
// `next` with the place that each SKU has now as the place that it moves from; its version is above
// both. Errors: kFailedPrecondition: SKUs move already; kInvalidArgument: it lacks a shard.
absl::StatusOr<ShardMap> begin_move(const ShardMap& now, const ShardMap& next);
// The map of a move that has ended.
ShardMap end_move(const ShardMap& moving);

// Shards by name and weight, or ranges, differ.
bool places_elsewhere(const ShardMap& map, const ShardMap& next);
// Whether `next` may follow. Errors: kInvalidArgument: its version is lower, or it is the same and
// the map another one.
absl::Status check_follows(const ShardMap& map, const ShardMap& next);

}  // namespace holdfast::api
