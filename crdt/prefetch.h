#pragma once
// Asks for memory before it is needed: the cache fetches it while the program goes on. A hint, also
// for an address that is nobody's.

#include <cstddef>

namespace holdfast::crdt {

inline void prefetch(const void* at, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t offset = 0; offset < bytes; offset += kLine)
    __builtin_prefetch(static_cast<const char*>(at) + offset, 1);
}

}  // namespace holdfast::crdt
