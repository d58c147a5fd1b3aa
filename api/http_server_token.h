#pragma once
// Names a request of a connection, for the reply to find it: (shard, slot, request number, batch
// index). The number differs for each request of a shard, so a reply to a request that is gone
// finds nobody.

#include <cstddef>
#include <cstdint>

#include "api/routes.h"

namespace holdfast::api {

struct Token {
  static constexpr unsigned kIndexBits = 14, kNumberBits = 24, kSlotBits = 20;
  std::uint64_t shard, slot, number, index;

  std::uint64_t packed() const {
    return ((shard << kSlotBits | slot) << kNumberBits | number) << kIndexBits | index;
  }
  static Token unpacked(std::uint64_t bits) {
    const auto take = [&bits](unsigned count) {
      const std::uint64_t part = bits & ((std::uint64_t{1} << count) - 1);
      bits >>= count;
      return part;
    };
    Token token{};
    token.index = take(kIndexBits);
    token.number = take(kNumberBits);
    token.slot = take(kSlotBits);
    token.shard = bits;
    return token;
  }
};
static_assert(kBatchLinesMax <= std::size_t{1} << Token::kIndexBits);

}  // namespace holdfast::api
