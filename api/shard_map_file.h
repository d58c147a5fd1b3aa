#pragma once
// A shard map as a file (TOML):
//
//   version = 3
//   [[shard]]
//   name = "a"
//   weight = 100                        # default 100
//   nodes = ["http://127.0.0.1:8080"]   # some of its nodes, of any region
//   [[range]]                           # SKUs that go where they are told, whatever their hash
//   from = "book-"
//   to = "book."                        # not included; left out: to the end
//   shard = "a"
//   [was]                               # while SKUs move: the map before, names and weights alone
//   [[was.shard]]                       # (`holdfast shards begin` writes it)
//   name = "a"
//
// Edge: the sole reader of this format.

#include <string>

#include "absl/status/statusor.h"
#include "api/shard_map.h"

namespace holdfast::api {

// Errors: kNotFound (no such file), kInvalidArgument (syntax, an unknown key, a value of a wrong
// type or out of range, and what check() finds), each with the file and, where there is one, the
// line.
absl::StatusOr<ShardMap> load_shard_map(const std::string& path);
// The map as such a text.
std::string written(const ShardMap& map);
absl::StatusOr<ShardMap> parse_shard_map(std::string_view text, const std::string& path);

}  // namespace holdfast::api
