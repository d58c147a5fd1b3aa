#include "sim/workers.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace holdfast::sim {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLastWordsMax = 4096;
constexpr int kPollMs = 100;

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

absl::Status lacking(const std::string& what) {
  return absl::ResourceExhaustedError("cannot start a process for a seed: " + what + ": " +
                                      std::strerror(errno) + "; try fewer --jobs");
}

// ── in the child ────────────────────────────────────────────────────────────────────────────────

bool read_whole(int fd, void* to, std::size_t size) {
  for (auto* at = static_cast<char*>(to); size > 0;) {
    const ssize_t got = ::recv(fd, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

bool write_whole(int fd, const void* from, std::size_t size) {
  for (const auto* at = static_cast<const char*>(from); size > 0;) {
    const ssize_t put = ::send(fd, at, size, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    at += put;
    size -= static_cast<std::size_t>(put);
  }
  return true;
}

void limit(int resource, std::uint64_t most) {
  const rlimit bounds{.rlim_cur = most, .rlim_max = most};
  ::setrlimit(resource, &bounds);
}

// noexcept: what the work throws ends this process, and not the parent's code in it.
[[noreturn]] void serve(int socket, const Work& work) noexcept {
  std::uint64_t job = 0;
  while (read_whole(socket, &job, sizeof job)) {
    const std::string bytes = work(job);
    std::fflush(nullptr);
    const std::uint64_t size = bytes.size();
    if (!write_whole(socket, &size, sizeof size)) break;
    if (!write_whole(socket, bytes.data(), bytes.size())) break;
  }
  ::_exit(0);
}

// ── in the parent ───────────────────────────────────────────────────────────────────────────────

struct Worker {
  pid_t pid = 0;
  Descriptor socket;  // job numbers out, results in
  Descriptor words;   // its stdout and stderr
  std::optional<std::uint64_t> job;
  Clock::time_point since{};
  std::string in, last_words;

  void hear() {
    char buffer[4096];
    for (ssize_t got; (got = ::read(words.get(), buffer, sizeof buffer)) > 0;) {
      last_words.append(buffer, static_cast<std::size_t>(got));
      if (last_words.size() > kLastWordsMax) last_words.erase(0, last_words.size() - kLastWordsMax);
    }
  }
  // False: the process has ended.
  bool receive() {
    char buffer[1 << 16];
    for (;;) {
      const ssize_t got = ::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got > 0) {
        in.append(buffer, static_cast<std::size_t>(got));
      } else if (got == 0 || (errno != EINTR && errno != EAGAIN)) {
        return false;
      } else if (errno == EAGAIN) {
        return true;
      }
    }
  }
  std::optional<std::string> take_result() {
    std::uint64_t size = 0;
    if (in.size() < sizeof size) return std::nullopt;
    std::memcpy(&size, in.data(), sizeof size);
    if (in.size() - sizeof size < size) return std::nullopt;
    std::string bytes = in.substr(sizeof size, size);
    in.erase(0, sizeof size + size);
    return bytes;
  }
};

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = ::sigabbrev_np(WTERMSIG(status));
    return "killed by SIG" + std::string(name == nullptr ? "?" : name);
  }
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

class Pool {
 public:
  Pool(const WorkerOptions& options, std::uint64_t count, const Work& work,
       const std::function<Next(JobEnd&&)>& ended)
      : options_(options), work_(work), ended_(ended), end_(count) {
    workers_.resize(std::max(1u, options.processes));
  }
  ~Pool() {
    for (auto& worker : workers_)
      if (worker) bury(worker);
  }

  absl::Status run(const std::function<bool()>& stopped) {
    for (;;) {
      if (stopped()) return absl::CancelledError("interrupted");
      if (absl::Status status = dispatch(); !status.ok()) return status;
      if (idle()) return absl::OkStatus();
      wait();
      end_late_ones();
    }
  }

 private:
  using Slot = std::unique_ptr<Worker>;

  bool idle() const {
    return std::none_of(workers_.begin(), workers_.end(),
                        [](const Slot& worker) { return worker && worker->job; });
  }

  absl::Status dispatch() {
    for (Slot& worker : workers_) {
      if (next_ >= end_) break;
      if (worker && worker->job) continue;
      if (!worker)
        if (absl::Status status = start(worker); !status.ok()) return status;
      worker->job = next_++;
      worker->since = Clock::now();
      worker->last_words.clear();
      // If it cannot be sent, the process has ended, and wait() finds out.
      write_whole(worker->socket.get(), &*worker->job, sizeof *worker->job);
    }
    return absl::OkStatus();
  }

  absl::Status start(Slot& slot) {
    int sockets[2], words[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0)
      return lacking("socketpair");
    Descriptor ours(sockets[0]), theirs(sockets[1]);
    if (::pipe2(words, O_CLOEXEC) != 0) return lacking("pipe");
    Descriptor words_in(words[0]), words_out(words[1]);
    ::fcntl(words_in.get(), F_SETFL, O_NONBLOCK);
    std::fflush(nullptr);  // or the child would write it again
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) return lacking("fork");
    if (child == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      for (const Slot& other : workers_) {
        if (!other) continue;
        ::close(other->socket.get());
        ::close(other->words.get());
      }
      ::dup2(words_out.get(), STDOUT_FILENO);
      ::dup2(words_out.get(), STDERR_FILENO);
      for (const int fatal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) ::signal(fatal, SIG_DFL);
      limit(RLIMIT_CORE, 0);  // a crash is expected, and told
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
      limit(RLIMIT_AS, options_.memory_bytes);
#endif
      serve(theirs.get(), work_);
    }
    slot = std::make_unique<Worker>();
    slot->pid = child;
    slot->socket = std::move(ours);
    slot->words = std::move(words_in);
    return absl::OkStatus();
  }

  void wait() {
    std::vector<pollfd> polled;
    std::vector<std::size_t> slots;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      if (!workers_[i]) continue;
      for (const int fd : {workers_[i]->socket.get(), workers_[i]->words.get()}) {
        polled.push_back({.fd = fd, .events = POLLIN});
        slots.push_back(i);
      }
    }
    if (::poll(polled.data(), polled.size(), kPollMs) <= 0) return;
    for (std::size_t i = 0; i < polled.size(); ++i)
      if (polled[i].revents != 0 && workers_[slots[i]]) attend(workers_[slots[i]]);
  }

  void attend(Slot& worker) {
    worker->hear();
    const bool alive = worker->receive();
    if (auto bytes = worker->take_result(); bytes && worker->job) {
      const std::uint64_t job = *worker->job;
      worker->job.reset();
      if (!alive) bury(worker);
      tell({.job = job, .how = JobEnd::How::done, .bytes = *std::move(bytes)});
    } else if (!alive) {
      end(worker, JobEnd::How::crashed);
    }
  }

  void end_late_ones() {
    const auto now = Clock::now();
    for (Slot& worker : workers_)
      if (worker && worker->job && now - worker->since >= options_.job_limit)
        end(worker, JobEnd::How::hung);
  }

  void end(Slot& slot, JobEnd::How how) {
    const std::optional<std::uint64_t> job = slot->job;
    std::string words;
    const int status = bury(slot, &words);
    if (!job) return;
    std::string last = how == JobEnd::How::crashed ? how_it_ended(status) : "";
    if (!last.empty() && !words.empty()) last += "; it wrote:\n";
    tell({.job = *job, .how = how, .last_words = last + words});
  }

  void tell(JobEnd&& ended) {
    const std::uint64_t job = ended.job;
    if (job >= end_) return;  // no longer wanted
    if (ended_(std::move(ended)) == Next::go_on) return;
    end_ = job + 1;
    for (Slot& worker : workers_)
      if (worker && worker->job && *worker->job > job) bury(worker);
  }

  // Ends the process and forgets it; its exit status.
  int bury(Slot& slot, std::string* words = nullptr) {
    const Slot worker = std::move(slot);
    int status = 0;
    // One that is ending by itself keeps the status that it ends with.
    ::kill(worker->pid, SIGKILL);
    while (::waitpid(worker->pid, &status, 0) < 0 && errno == EINTR) {
    }
    worker->hear();
    if (words != nullptr) *words = std::move(worker->last_words);
    return status;
  }

  const WorkerOptions& options_;
  const Work& work_;
  const std::function<Next(JobEnd&&)>& ended_;
  std::uint64_t next_ = 0;
  std::uint64_t end_;
  std::vector<Slot> workers_;
};

}  // namespace

absl::Status run_jobs(const WorkerOptions& options, std::uint64_t count, const Work& work,
                      const std::function<Next(JobEnd&&)>& ended,
                      const std::function<bool()>& stopped) {
  return Pool(options, count, work, ended).run(stopped);
}

}  // namespace holdfast::sim
