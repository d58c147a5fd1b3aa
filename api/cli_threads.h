#pragma once
// One thread per region while the main thread shows progress and waits for signals.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace holdfast::api {

// Runs `work` for each index on a thread of its own, and `watch` in this one until all have ended.
template <typename Work, typename Watch>
void run_threads(std::size_t count, const Work& work, const Watch& watch) {
  std::atomic<std::size_t> running{count};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      work(i);
      --running;
    });
  }
  while (running > 0) watch();
  for (auto& thread : threads) thread.join();
}

// "[######......]"
inline std::string bar(std::uint64_t done, std::uint64_t total) {
  constexpr std::uint64_t kWidth = 24;
  const std::uint64_t filled = total == 0 ? kWidth : done * kWidth / total;
  return "[" + std::string(filled, '#') + std::string(kWidth - filled, '.') + "]";
}

}  // namespace holdfast::api
