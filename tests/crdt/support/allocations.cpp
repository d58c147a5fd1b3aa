#include "tests/crdt/support/allocations.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace {

thread_local std::ptrdiff_t live = 0;
thread_local std::ptrdiff_t peak = 0;
thread_local std::ptrdiff_t base = 0;

void* try_allocate(std::size_t size) noexcept {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) return nullptr;
  live += static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  peak = std::max(peak, live);
  return memory;
}

void* allocate(std::size_t size) {
  void* memory = try_allocate(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  live -= static_cast<std::ptrdiff_t>(malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
// These too, or std::stable_sort's buffer would come from elsewhere than it goes to.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return try_allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return try_allocate(size);
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }

namespace holdfast::tests {

AllocationPeak::AllocationPeak() { base = peak = live; }
std::size_t AllocationPeak::bytes() const { return static_cast<std::size_t>(peak - base); }

}  // namespace holdfast::tests
