#pragma once
// What is written into a data directory when its replica turns out to be a fork of itself, so that
// the next start becomes another replica, whatever happens until then. Text: who it was, and which
// of its boots are void.

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/rows.h"

namespace holdfast::node {

struct ForkMark {
  crdt::ReplicaId replica;
  std::vector<crdt::Boot> boots;  // void, ascending, at least one
  bool operator==(const ForkMark&) const = default;
};

std::string encode(const ForkMark& mark);
// Errors: kDataLoss.
absl::StatusOr<ForkMark> decode_fork_mark(std::string_view text);

}  // namespace holdfast::node
