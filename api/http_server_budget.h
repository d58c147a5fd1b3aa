#pragma once
// Bounded memory: bytes that all connections together may hold of one kind. Any thread.

#include <atomic>
#include <cstdint>
#include <utility>

namespace holdfast::api {

struct Budget {
  std::atomic<std::uint64_t> used{0};
  std::uint64_t most = 0;
};

// One connection's part of it.
class Charge {
 public:
  explicit Charge(Budget& budget) : budget_(budget) {}
  ~Charge() { set(0); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  // False: all together are beyond the budget now; the charge stands nevertheless.
  bool set(std::uint64_t bytes) {
    if (bytes == bytes_) return true;
    const std::uint64_t change = bytes - std::exchange(bytes_, bytes);  // modulo 2^64, as `used` is
    return budget_.used.fetch_add(change, std::memory_order_relaxed) + change <= budget_.most;
  }

 private:
  Budget& budget_;
  std::uint64_t bytes_ = 0;
};

}  // namespace holdfast::api
