#include "api/cli_bench_sockets.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

constexpr Nanos kTick = 100'000'000;
constexpr Nanos kAnswerLimit = 10'000'000'000;
// Looking for the next one without sleeping would take the CPU from a node on this machine: at a
// rate near its capacity, a whole core. So requests leave up to that late, several at once.
constexpr Nanos kSleepLeast = 20'000;

absl::Status unreached(const HttpUrl& url, const std::string& why) {
  return absl::UnavailableError("cannot reach " + to_string(url) + ": " + why +
                                "; is the node running? (--url names another)");
}

void allow_files(std::uint32_t connections) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, connections + 256);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Nanos steady_nanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct BenchSockets::Target {
  HttpUrl url;
  sockaddr_storage address{};
  socklen_t size = 0;
};

struct BenchSockets::Connection {
  int fd = -1;        // -1: broken; tend() opens it again
  bool free = false;  // as the load has been told
  BenchAnswer answer;
  std::string pending;  // of a request that did not fit into the socket
};

BenchSockets::BenchSockets() = default;

BenchSockets::~BenchSockets() {
  for (const Connection& connection : connections_) {
    if (connection.fd >= 0) close(connection.fd);
  }
  if (epoll_ >= 0) close(epoll_);
}

absl::Status BenchSockets::open(const std::vector<HttpUrl>& urls, std::uint32_t connections) {
  HOLDFAST_CHECK(!urls.empty() && connections_.empty());
  prctl(PR_SET_TIMERSLACK, 1'000UL);  // 50 µs otherwise, more than a request takes
  allow_files(connections);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0) return absl::ResourceExhaustedError(std::strerror(errno));
  for (const HttpUrl& url : urls) {
    const addrinfo hints{.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    addrinfo* found = nullptr;
    const int status =
        getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found);
    if (status != 0) return unreached(url, gai_strerror(status));
    Target& target = targets_.emplace_back(Target{.url = url});
    std::memcpy(&target.address, found->ai_addr, found->ai_addrlen);
    target.size = found->ai_addrlen;
    freeaddrinfo(found);
  }
  connections_.resize(connections);
  for (std::uint32_t i = 0; i < connections; ++i) {
    if (const auto status = connect(i, 2'000); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status BenchSockets::connect(std::uint32_t index, int wait_ms) {
  const Target& target = targets_[index % targets_.size()];
  const int fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return absl::ResourceExhaustedError(std::string("cannot open a socket: ") +
                                        std::strerror(errno) + "; ask for fewer --connections");
  }
  int error = 0;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&target.address), target.size) != 0) {
    error = errno;
    pollfd waiting{.fd = fd, .events = POLLOUT};
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (poll(&waiting, 1, wait_ms) <= 0) {
        error = ETIMEDOUT;
      } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
  }
  if (error != 0) {
    close(fd);
    return unreached(target.url, std::strerror(error));
  }
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
  HOLDFAST_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  connections_[index].fd = fd;
  return absl::OkStatus();
}

void BenchSockets::free_all(BenchLoad& load, Nanos now) {
  for (std::uint32_t i = 0; i < connections_.size(); ++i) free(load, i, now);
}

void BenchSockets::free(BenchLoad& load, std::uint32_t index, Nanos now) {
  if (!std::exchange(connections_[index].free, true)) load.free(index, now);
}

bool BenchSockets::run(BenchLoad& load, Nanos until, const std::function<bool()>& tick) {
  Nanos next_tick = steady_nanos() + kTick;
  for (Nanos now = steady_nanos(); now < until; now = steady_nanos()) {
    if (now >= next_tick) {
      tend(load, now);
      if (!tick()) return false;
      next_tick = now + kTick;
    }
    send_what_is_due(load);
    wait_and_handle(load, std::min(until, next_tick));
  }
  return true;
}

void BenchSockets::drain(BenchLoad& load, Nanos until) {
  while (load.in_flight() > 0 && steady_nanos() < until) {
    wait_and_handle(load, std::min(until, steady_nanos() + kTick));
  }
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (load.flies(i)) broken(load, i);
  }
}

void BenchSockets::wait_and_handle(BenchLoad& load, Nanos until) {
  std::array<epoll_event, 128> events;
  Nanos sleep = std::max<Nanos>(std::min(until, load.next_at()) - steady_nanos(), 0);
  if (sleep > 0) sleep = std::max(sleep, kSleepLeast);
  const timespec time{.tv_sec = sleep / 1'000'000'000, .tv_nsec = sleep % 1'000'000'000};
  const int count = epoll_pwait2(epoll_, events.data(), events.size(), &time, nullptr);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t index = events[static_cast<std::size_t>(i)].data.u32;
    const std::uint32_t what = events[static_cast<std::size_t>(i)].events;
    if (connections_[index].fd >= 0 && (what & EPOLLOUT) != 0) go_on_sending(load, index);
    if (connections_[index].fd >= 0 && (what & ~EPOLLOUT) != 0) receive(load, index);
  }
}

void BenchSockets::send_what_is_due(BenchLoad& load) {
  for (;;) {
    out_.clear();
    const auto index = load.take(out_, steady_nanos());
    if (!index) return;
    send(load, *index, out_);
  }
}

void BenchSockets::send(BenchLoad& load, std::uint32_t index, std::string_view bytes) {
  Connection& connection = connections_[index];
  connection.free = false;
  const ssize_t sent = ::send(connection.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return;
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return broken(load, index);
  connection.pending.assign(bytes.substr(static_cast<std::size_t>(std::max<ssize_t>(sent, 0))));
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u32 = index}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void BenchSockets::go_on_sending(BenchLoad& load, std::uint32_t index) {
  Connection& connection = connections_[index];
  const std::string& left = connection.pending;
  const ssize_t sent = ::send(connection.fd, left.data(), left.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) return broken(load, index);
  connection.pending.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
  if (!connection.pending.empty()) return;
  epoll_event event{.events = EPOLLIN, .data = {.u32 = index}};
  epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd, &event);
}

void BenchSockets::receive(BenchLoad& load, std::uint32_t index) {
  Connection& connection = connections_[index];
  BenchAnswer& answer = connection.answer;
  char* to = answer.data();
  const ssize_t got = recv(connection.fd, to, answer.room(), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0 || !load.flies(index)) return broken(load, index);
  const auto state = answer.received(static_cast<std::size_t>(got));
  if (state == BenchAnswer::State::incomplete) return;
  if (state == BenchAnswer::State::malformed) return broken(load, index);
  const Nanos now = steady_nanos();
  const bool closes = answer.closes();
  load.answered(index, answer, now);
  answer.next();
  if (closes) return broken(load, index);
  free(load, index, now);
  send_what_is_due(load);
}

// Also for a connection whose other end has closed it while nothing was in flight. Such a one may
// stand among the free: what is then sent on it fails, which counts as an error.
void BenchSockets::broken(BenchLoad& load, std::uint32_t index) {
  Connection& connection = connections_[index];
  if (load.flies(index)) load.failed(index, steady_nanos());
  if (connection.fd >= 0) close(connection.fd);
  connection.fd = -1;
  connection.answer.next();
  connection.pending.clear();
}

void BenchSockets::tend(BenchLoad& load, Nanos now) {
  for (std::uint32_t i = 0; i < connections_.size(); ++i) {
    if (load.flies(i) && now - load.sent_at(i) > kAnswerLimit) broken(load, i);
    if (connections_[i].fd >= 0) continue;
    if (!connect(i, 100).ok()) return;  // and the others at the next tick
    free(load, i, now);
  }
}

}  // namespace holdfast::api
