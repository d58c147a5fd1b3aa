#pragma once
// Undo keys: under which name, and as what row, an heir writes down that it has undone what an
// idempotency key did at a retired replica, too; and a replica, by the undo of its own undo, that
// it has done again what nobody else's key stands for (copies.h). Pure.

#include <optional>
#include <string>
#include <string_view>

#include "crdt/ids.h"
#include "crdt/rows.h"

namespace holdfast::node {

// No client can name it: it has no method.
std::string undo_name(crdt::ReplicaId replica, std::string_view key);

struct Undone {
  crdt::ReplicaId replica;
  std::string_view key;
};
// What such a name is of; none: it is a client's.
std::optional<Undone> undone_by(std::string_view name);

// The opposite of what that key did. Kept for as long as that one, by whatever clock.
crdt::KeyRow undo_row(const crdt::KeyRow& done, std::int64_t wall_ms);

}  // namespace holdfast::node
