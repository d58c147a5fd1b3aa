#include "api/cli_bench_cpu.h"

#include <time.h>

#include <cstdint>
#include <cstdlib>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"

namespace holdfast::api {
namespace {

namespace fs = std::filesystem;

std::optional<Nanos> read_clock(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return std::nullopt;
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

std::optional<Nanos> cpu_of(int pid) {
  clockid_t clock{};
  if (clock_getcpuclockid(pid, &clock) != 0) return std::nullopt;
  return read_clock(clock);
}

std::optional<Nanos> cpu_in_metrics(const HttpUrl& url) {
  HttpClient client(url);
  const auto answer = client.send({.target = "/metrics"});
  if (!answer.ok() || !answer->ok()) return std::nullopt;
  constexpr std::string_view kName = "\nprocess_cpu_seconds_total ";
  const auto at = answer->body.find(kName);
  if (at == std::string::npos) return std::nullopt;
  double seconds = 0;
  const char* from = answer->body.data() + at + kName.size();
  if (std::from_chars(from, answer->body.data() + answer->body.size(), seconds).ec != std::errc()) {
    return std::nullopt;
  }
  return static_cast<Nanos>(seconds * 1e9);
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// The inode of the socket that listens at the port, from /proc/net/tcp: "sl: local:PORT remote st
// …".
std::string listening_inode(const char* table, std::uint16_t port) {
  std::ifstream in(table);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string slot, local, remote, state, queues, timer, retries, uid, timeout, inode;
    words >> slot >> local >> remote >> state >> queues >> timer >> retries >> uid >> timeout >>
        inode;
    const auto colon = local.rfind(':');
    if (state != "0A" || colon == local.npos) continue;
    if (std::strtoul(local.c_str() + colon + 1, nullptr, 16) == port) return inode;
  }
  return {};
}

bool has_socket(const fs::path& process, const std::string& link) {
  std::error_code error;
  for (fs::directory_iterator at(process / "fd", error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(at->path(), gone).native() == link) return true;
  }
  return false;
}

std::optional<int> process_listening_at(std::uint16_t port) {
  std::string inode = listening_inode("/proc/net/tcp", port);
  if (inode.empty()) inode = listening_inode("/proc/net/tcp6", port);
  if (inode.empty()) return std::nullopt;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr !=
        name.data() + name.size()) {
      continue;
    }
    if (has_socket(at->path(), "socket:[" + inode + "]")) return pid;
  }
  return std::nullopt;
}

}  // namespace

Nanos own_cpu() { return read_clock(CLOCK_PROCESS_CPUTIME_ID).value_or(0); }

absl::StatusOr<ServerCpu> ServerCpu::of(const std::vector<HttpUrl>& urls,
                                        const std::vector<int>& pids) {
  ServerCpu cpu;
  for (const int pid : pids) {
    if (pid < 1 || !cpu_of(pid)) {
      return absl::NotFoundError("--pid: there is no process " + std::to_string(pid) +
                                 " on this machine");
    }
    cpu.pids_.push_back(pid);
  }
  cpu.known_ = true;
  if (!pids.empty()) return cpu;
  for (const HttpUrl& url : urls) {
    if (cpu_in_metrics(url)) {
      cpu.urls_.push_back(url);
      continue;
    }
    const auto pid = is_loopback(url.host) ? process_listening_at(url.port) : std::nullopt;
    if (pid) {
      cpu.pids_.push_back(*pid);
    } else {
      cpu.known_ = false;
    }
  }
  return cpu;
}

Nanos ServerCpu::used() const {
  if (!known_) return -1;
  Nanos sum = 0;
  for (const int pid : pids_) {
    const auto used = cpu_of(pid);
    if (!used) return -1;
    sum += *used;
  }
  for (const HttpUrl& url : urls_) {
    const auto used = cpu_in_metrics(url);
    if (!used) return -1;
    sum += *used;
  }
  return sum;
}

}  // namespace holdfast::api
