#pragma once
// Edge: numbered jobs in processes of their own, so that one that crashes or hangs is a result like
// any other, and all cores are used.
//
// A process runs one job after another; one that ends is replaced. No process is left when
// run_jobs() returns, and none outlives the caller's process, however that ends.
//
// Threads  one at a time, and no other thread may be running: fork() copies the calling one alone.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"

namespace holdfast::sim {

struct WorkerOptions {
  unsigned processes = 1;
  std::chrono::milliseconds job_limit{120'000};  // real time; a job beyond it is killed
  std::uint64_t memory_bytes = 8ull << 30;       // address space of a process; not with sanitizers
};

struct JobEnd {
  enum class How { done, crashed, hung };
  std::uint64_t job = 0;
  How how = How::done;
  std::string bytes;       // done: what the work returned
  std::string last_words;  // crashed: the signal, and the end of what it wrote to stderr
};

// Runs in a child. What it writes to stdout and stderr is kept for last_words.
using Work = std::function<std::string(std::uint64_t job)>;

enum class Next {
  go_on,
  stop_above,  // jobs above this one are neither begun nor waited for; those below it are
};

// Runs jobs 0 … count − 1, begun in that order; `ended` hears of each in the order of their ends.
// `stopped` is asked about ten times a second. Errors: kCancelled (stopped), kResourceExhausted (no
// process or pipe to be had, with the system's reason).
absl::Status run_jobs(const WorkerOptions& options, std::uint64_t count, const Work& work,
                      const std::function<Next(JobEnd&&)>& ended,
                      const std::function<bool()>& stopped);

}  // namespace holdfast::sim
