#pragma once
// What a piece of code allocates. This program's operator new counts, on each thread by itself.

#include <cstddef>

namespace holdfast::tests {

class AllocationPeak {
 public:
  AllocationPeak();
  // Bytes that were allocated at one time since this was made, beyond those that were then.
  std::size_t bytes() const;
};

}  // namespace holdfast::tests
