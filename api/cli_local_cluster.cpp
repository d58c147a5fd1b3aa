#include "api/cli_local_cluster.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "api/cli_calls.h"

namespace holdfast::api {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::uintmax_t kLogBytesKept = 16u << 20;
constexpr std::size_t kLogLinesShown = 12;

absl::Status system_error(const std::string& what) {
  return absl::InternalError(what + ": " + std::strerror(errno));
}

// 0, or why nobody can listen there.
int listen_error(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool bound =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
  const int error = bound ? 0 : errno;
  close(fd);
  return error;
}

absl::Status check_port(const LocalNode& node, std::uint16_t port, const char* what,
                        const char* option) {
  const int error = listen_error(port);
  if (error == 0) return absl::OkStatus();
  const std::string why = error == EADDRINUSE ? "is in use" : std::strerror(error);
  return absl::FailedPreconditionError(
      "127.0.0.1:" + std::to_string(port) + " (" + what + " of " + node.name + ") " + why +
      "; stop what listens there, or choose " + "other ports with " + option);
}

std::string quoted(const std::string& text) {  // as a TOML basic string
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

absl::Status write_secret(const fs::path& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return absl::OkStatus();
  if (fd < 0) return system_error("cannot write " + path.string());
  const std::string secret = random_key() + random_key() + "\n";
  const bool written =
      write(fd, secret.data(), secret.size()) == static_cast<ssize_t>(secret.size()) &&
      fsync(fd) == 0;
  close(fd);
  if (!written) return system_error("cannot write " + path.string());
  return absl::OkStatus();
}

absl::Status write_config(const LocalNode& node, const std::vector<LocalNode>& nodes,
                          const fs::path& secret) {
  const fs::path path = fs::path(node.dir) / "node.toml";
  std::ofstream out(path, std::ios::trunc);
  const auto gossip = [](const LocalNode& n) {
    return "127.0.0.1:" + std::to_string(n.gossip_port);
  };
  out << "# Written by `holdfast dev` at each start.\n"
      << "[node]\nname = " << quoted(node.name) << "\nregion = " << quoted(node.region)
      << "\ndata_dir = " << quoted(node.dir)
      << "\n\n[http]\nlisten = \"127.0.0.1:" << node.http_port
      << "\"\n\n[gossip]\ncluster = \"dev\"\nlisten = " << quoted(gossip(node))
      << "\nsecret_file = " << quoted(secret.string()) << "\npeers = [";
  const char* comma = "";
  for (const auto& peer : nodes) {
    if (peer.name == node.name) continue;
    out << comma << quoted(gossip(peer));
    comma = ", ";
  }
  out << "]\n\n[faults]\nenabled = true\n";
  out.close();
  if (!out) return absl::InternalError("cannot write " + path.string());
  return absl::OkStatus();
}

absl::StatusOr<int> open_log(const LocalNode& node) {
  const fs::path path = fs::path(node.dir) / "log";
  std::error_code ignored;
  if (fs::file_size(path, ignored) > kLogBytesKept && !ignored) {
    fs::rename(path, path.string() + ".1", ignored);
  }
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return system_error("cannot write " + path.string());
  return fd;
}

[[noreturn]] void become_node(const std::vector<char*>& arguments, int log, pid_t parent,
                              const StopSignals& signals) {
  // Between fork and exec: only async-signal-safe calls.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  signals.restore_in_child();
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv("/proc/self/exe", arguments.data());
  static constexpr char kMessage[] = "cannot start /proc/self/exe\n";
  [[maybe_unused]] const auto written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  _exit(127);
}

absl::StatusOr<pid_t> start_node(const LocalNode& node, const std::vector<std::string>& overrides,
                                 const StopSignals& signals) {
  std::vector<std::string> words = {"holdfast", "serve", "--config",
                                    (fs::path(node.dir) / "node.toml").string()};
  for (const auto& text : overrides) {
    words.push_back("--set");
    words.push_back(text);
  }
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const auto log = open_log(node);
  if (!log.ok()) return log.status();
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) become_node(arguments, *log, parent, signals);
  close(*log);
  if (pid < 0) return system_error("cannot start a process for " + node.name);
  return pid;
}

std::string log_tail(const LocalNode& node) {
  std::ifstream in(fs::path(node.dir) / "log", std::ios::binary);
  in.seekg(0, std::ios::end);
  const auto size = static_cast<std::streamoff>(in.tellg());
  in.seekg(std::max<std::streamoff>(0, size - 8192));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back("  " + printable(line));
    if (lines.size() > kLogLinesShown) lines.erase(lines.begin());
  }
  std::string text = "last lines of " + node.dir + "/log:";
  for (const auto& line : lines) text += "\n" + line;
  return text;
}

std::string how_it_ended(const LocalNode& node, pid_t pid, int status) {
  const std::string who = node.name + " (pid " + std::to_string(pid) + ") ended: ";
  if (WIFSIGNALED(status)) {
    return who + "signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) +
           ")";
  }
  return who + "exit status " + std::to_string(WEXITSTATUS(status));
}

bool node_ready(const LocalNode& node, const std::vector<std::string>& names) {
  HttpClient client({.host = "127.0.0.1", .port = node.http_port},
                    {.connect = milliseconds(500), .answer = milliseconds(1'000)});
  const auto ready = client.send({.target = "/readyz"});
  if (!ready.ok() || ready->status != 200) return false;
  const auto cluster = get_cluster(client);
  return cluster.ok() && sees_all(*cluster, names);
}

}  // namespace

absl::StatusOr<std::uint16_t> free_ports(std::uint16_t first, unsigned count) {
  unsigned free = 0;
  for (unsigned port = first; port <= 65'535 && port < first + 2'000u; ++port) {
    free = listen_error(static_cast<std::uint16_t>(port)) == 0 ? free + 1 : 0;
    if (free == count) return static_cast<std::uint16_t>(port + 1 - count);
  }
  return absl::ResourceExhaustedError("no " + std::to_string(count) +
                                      " free ports in a row above " + std::to_string(first));
}

absl::Status LocalCluster::start(const LocalClusterOptions& options, const StopSignals& signals) {
  auto planned = plan_local_nodes(options);
  if (!planned.ok()) return planned.status();
  for (const auto& node : *planned) {
    if (auto s = check_port(node, node.http_port, "HTTP", "--http-port"); !s.ok()) return s;
    if (auto s = check_port(node, node.gossip_port, "gossip", "--gossip-port"); !s.ok()) return s;
  }
  const fs::path dir = fs::absolute(options.dir).lexically_normal();
  std::error_code error;
  for (const auto& node : *planned) {
    fs::create_directories(node.dir, error);
    if (error) return absl::InternalError("cannot make " + node.dir + ": " + error.message());
  }
  lock_ = open((dir / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) return system_error("cannot write " + (dir / "lock").string());
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(dir.string() +
                                         " is in use by another `holdfast dev`; stop " +
                                         "that, or choose another directory with --data");
  }
  if (auto status = write_secret(dir / "secret"); !status.ok()) return status;
  for (const auto& node : *planned) {
    if (auto status = write_config(node, *planned, dir / "secret"); !status.ok()) return status;
  }
  nodes_ = *std::move(planned);
  overrides_ = options.overrides;
  for (auto& node : nodes_) {
    const auto pid = start_node(node, overrides_, signals);
    if (!pid.ok()) return pid.status();
    node.pid = *pid;
  }
  return absl::OkStatus();
}

void LocalCluster::kill_region(const std::string& region) {
  for (const auto& node : nodes_) {
    if (node.region == region && node.pid > 0) kill(node.pid, SIGKILL);
  }
  for (auto& node : nodes_) {
    if (node.region != region || node.pid <= 0) continue;
    waitpid(node.pid, nullptr, 0);
    node.pid = -1;
  }
}

absl::Status LocalCluster::start_region(const std::string& region, const StopSignals& signals) {
  for (auto& node : nodes_) {
    if (node.region != region || node.pid > 0) continue;
    const auto pid = start_node(node, overrides_, signals);
    if (!pid.ok()) return pid.status();
    node.pid = *pid;
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::wait_ready(std::chrono::seconds limit, StopSignals& signals) {
  const auto deadline = steady_clock::now() + limit;
  const auto expected = names();
  std::vector<const LocalNode*> waiting;
  for (const auto& node : nodes_) waiting.push_back(&node);
  while (!waiting.empty()) {
    std::string ends;
    for (auto& node : nodes_) {
      int status = 0;
      if (node.pid > 0 && waitpid(node.pid, &status, WNOHANG) == node.pid) {
        if (!ends.empty()) ends += "\n";
        ends += how_it_ended(node, node.pid, status) + " before it was ready\n" + log_tail(node);
        node.pid = -1;
      }
    }
    if (!ends.empty()) return absl::UnavailableError(ends);
    std::erase_if(waiting, [&](const LocalNode* node) { return node_ready(*node, expected); });
    if (waiting.empty()) break;
    if (steady_clock::now() > deadline) {
      const LocalNode& late = *waiting.front();
      return absl::DeadlineExceededError(late.name +
                                         " is not ready, or does not see every node, after " +
                                         std::to_string(limit.count()) + " s\n" + log_tail(late));
    }
    if (signals.wait(milliseconds(100))) return absl::CancelledError("interrupted");
  }
  return absl::OkStatus();
}

std::vector<std::string> LocalCluster::ended() {
  std::vector<std::string> texts;
  for (auto& node : nodes_) {
    int status = 0;
    if (node.pid <= 0 || waitpid(node.pid, &status, WNOHANG) != node.pid) continue;
    texts.push_back(how_it_ended(node, node.pid, status));
    node.pid = -1;
  }
  return texts;
}

bool LocalCluster::stop() {
  bool clean = true;
  for (const auto& node : nodes_) {
    if (node.pid > 0) kill(node.pid, SIGTERM);
  }
  const auto deadline = steady_clock::now() + std::chrono::seconds(15);
  bool killed = false;
  for (;;) {
    bool alive = false;
    for (auto& node : nodes_) {
      int status = 0;
      if (node.pid <= 0) continue;
      if (waitpid(node.pid, &status, killed ? 0 : WNOHANG) == node.pid) {
        clean = clean && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        node.pid = -1;
      } else {
        alive = true;
      }
    }
    if (!alive) break;
    if (!killed && steady_clock::now() > deadline) {
      for (const auto& node : nodes_) {
        if (node.pid <= 0) continue;
        print_error(node.name + " did not stop within 15 s: killed");
        kill(node.pid, SIGKILL);
      }
      killed = true;
    }
    std::this_thread::sleep_for(milliseconds(20));
  }
  if (lock_ >= 0) close(lock_);
  lock_ = -1;
  return clean;
}

std::vector<std::string> LocalCluster::names() const {
  std::vector<std::string> names;
  for (const auto& node : nodes_) names.push_back(node.name);
  return names;
}

}  // namespace holdfast::api
