#pragma once
// A child process: a real binary, started and ended by its process id.
//
// Threads: start processes on the main thread. The kernel ties a child's life (PR_SET_PDEATHSIG) to
// the thread that made it, so that a test that crashes leaves nothing running.

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace process {

using Millis = std::chrono::milliseconds;

// Path of the binary under test: $HOLDFAST_BIN, else the one that this build made.
std::string holdfast_binary();

class Process {
 public:
  Process() = default;
  // Starts `binary arguments…`; both outputs are appended to `log`.
  Process(const std::string& binary, const std::vector<std::string>& arguments,
          const std::filesystem::path& log);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();  // kills what still runs, and reaps it

  pid_t pid() const { return pid_; }
  bool running();
  void signal(int number);
  // Exit status once it has ended (128 + signal if one killed it); nullopt: still running after
  // `limit`.
  std::optional<int> wait(Millis limit);
  void kill_now();  // SIGKILL, and reaps

 private:
  void reap(int status);

  pid_t pid_ = -1;  // -1: none, or ended
  std::optional<int> exit_status_;
};

// Runs a command to its end. After `limit` it is killed and the status is -1.
struct Finished {
  int status = -1;
  std::string output;
};
Finished run(const std::vector<std::string>& arguments, Millis limit);

// A directory below $TMPDIR (or /tmp), removed at the end unless HOLDFAST_TEST_KEEP is set.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// A loopback TCP port that nothing listens on; never the same one twice in this process. Taken
// below the range that the kernel gives to outgoing connections.
int free_port();

std::string read_file(const std::filesystem::path& path);

// Asks again and again until `condition` holds; false if it still doesn't after `limit`.
bool eventually(const std::function<bool()>& condition, Millis limit = Millis(20'000));

}  // namespace process
