#pragma once
// Asks for memory before it is needed: the cache fetches it while the program goes on. A hint, also
// for an address that is nobody's.
//
// GCC takes a function that does nothing else for one without effects, and drops calls of it: so
// this one says that it has some. (abseil's prefetch does not: see crdt/state.cpp in the
// CMakeLists.txt. `objdump -d` shows what is left.)

#include <cstddef>

namespace holdfast::crdt {

inline void prefetch(const void* at, std::size_t bytes) {
  constexpr std::size_t kLine = 64;
  for (std::size_t offset = 0; offset < bytes; offset += kLine)
    __builtin_prefetch(static_cast<const char*>(at) + offset, 1);
  asm volatile("");
}

}  // namespace holdfast::crdt
