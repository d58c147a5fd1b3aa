#include "node/undo_keys.h"

#include <algorithm>

#include "node/ledger.h"

namespace holdfast::node {

namespace {

constexpr std::string_view kUndo = "undo\n";
constexpr std::size_t kDigits = 16;  // of a replica id

}  // namespace

std::string undo_name(crdt::ReplicaId replica, std::string_view key) {
  return std::string(kUndo) + crdt::to_string(replica) + " " + std::string(key);
}

std::optional<Undone> undone_by(std::string_view name) {
  if (!name.starts_with(kUndo) || name.size() <= kUndo.size() + kDigits) return std::nullopt;
  const auto replica = crdt::parse_replica_id(name.substr(kUndo.size(), kDigits));
  if (!replica) return std::nullopt;
  return Undone{*replica, name.substr(kUndo.size() + kDigits + 1)};
}

crdt::KeyRow undo_row(const crdt::KeyRow& done, std::int64_t wall_ms) {
  const bool allows = done.effect == static_cast<std::uint8_t>(RowEffect::allowed);
  return {.digest = done.digest,
          .sku = done.sku,
          .effect = static_cast<std::uint8_t>(allows ? RowEffect::allowed : RowEffect::adjusted),
          .units = -done.units,
          .created_at = std::max(wall_ms, done.created_at)};
}

}  // namespace holdfast::node
