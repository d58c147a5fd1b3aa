#include "crdt/digest.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace holdfast::crdt {

std::uint64_t digest(std::string_view bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace holdfast::crdt
