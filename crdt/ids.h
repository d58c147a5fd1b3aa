#pragma once
// Names and numbers that everything is keyed by.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::crdt {

// One node's identity in the data: random 64 bits, born with its data directory. Zero is nobody.
struct ReplicaId {
  std::uint64_t value = 0;
  auto operator<=>(const ReplicaId&) const = default;
  explicit operator bool() const { return value != 0; }
  template <typename H>
  friend H AbslHashValue(H h, ReplicaId id) {
    return H::combine(std::move(h), id.value);
  }
};

// 16 lower-case hexadecimal digits, and back.
std::string to_string(ReplicaId id);
std::optional<ReplicaId> parse_replica_id(std::string_view text);

// Position in one origin's order of writes; the first write has 1.
using Sequence = std::uint64_t;

// Whole sellable units of one SKU. Totals stay within 0 … kUnitsMax (exact in JSON); differences of
// totals are signed and stay within ± kOriginsMax × kUnitsMax, which 64 bits hold.
using Units = std::int64_t;
inline constexpr Units kUnitsMax = (Units{1} << 53) - 1;
inline constexpr Units kLineUnitsMax = 1'000'000'000;
inline constexpr std::size_t kOriginsMax = 500;

// SKUs and reservation ids: 1 – 128 of A–Z a–z 0–9 . _ : -
bool valid_name(std::string_view text);

}  // namespace holdfast::crdt
