#pragma once
// Carts over several shards, as nodes keep them: one record, under the client's own id, and a part
// in each other shard, under an id of its own. What is said of each is in its metadata:
//
//   record  {"holdfast": {"digest": …, "parts": {SHARD: ID, …}}, "metadata": the client's}
//   part    {"holdfast": {"part_of": ID, "shard": that of the record, at first}}
//
// Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "node/command.h"

namespace holdfast::api {

inline constexpr std::string_view kPartPrefix = "part:";  // of parts' ids
inline constexpr std::string_view kRowPrefix = "{\"holdfast\":";

struct CartRow {
  std::string digest;                                      // of a record
  std::vector<std::pair<std::string, std::string>> parts;  // shard, id
  std::string part_of, of_shard;                           // of a part
  std::string metadata;                                    // the client's
};

// Nothing: neither a record of several parts nor a part.
std::optional<CartRow> cart_row(const std::string& metadata);
std::string record_metadata(const node::Reserve& cart,
                            const std::vector<std::pair<std::string, std::string>>& parts);
std::string part_metadata(const std::string& of, const std::string& shard);

// Of what a client asks for, as records have it: told again, it is the same cart.
std::string cart_digest(const node::Reserve& cart);

// One reservation of all parts, as a client sees it; the record first.
node::ReservationView joined(const std::vector<node::ReservationView>& views);
node::Outcome shown(node::ReservationView view, node::Code code);
// What was sold, and has not come back.
std::vector<node::Line> sold_lines(const node::ReservationView& view);

}  // namespace holdfast::api
