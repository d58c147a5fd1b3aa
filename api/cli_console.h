#pragma once
// What the command line writes, and the signals that end it.

#include <csignal>

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "api/table.h"

namespace holdfast::api {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 2;

void print(std::string_view text);        // stdout, flushed
void print_line(std::string_view text);   // stdout, flushed
void print_error(std::string_view text);  // a line on stderr
// `status`, or kExitFailed if not all of the output could be written: a full disk is no success.
int all_printed(int status);
int failed(const absl::Status& status);       // prints "error: …"; kExitFailed
int usage_error(const absl::Status& status);  // likewise; kExitUsage

// Colour only for a terminal, and not with NO_COLOR set (no-color.org) or TERM=dumb.
Style stdout_style();
bool stderr_is_terminal();
bool stdin_is_terminal();
// Terminal columns of stderr; 80 if unknown.
std::size_t stderr_width();

// While one exists, SIGINT, SIGTERM and SIGHUP wait to be asked for; threads and processes that
// start meanwhile inherit the blocking (children that exec must undo it: see restore_in_child).
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // Waits for a signal at most so long; true from the first one on.
  bool wait(std::chrono::milliseconds time);
  bool stopped() const { return stopped_; }
  void restore_in_child() const;  // async-signal-safe

 private:
  sigset_t set_{};
  sigset_t before_{};
  bool stopped_ = false;
};

// Something that takes a while, on stderr: a line that is redrawn on a terminal, else a new line
// every few seconds. Not used with --json on a pipe: stderr is for people in either case.
class Progress {
 public:
  void show(std::string_view line);  // at most about ten times a second
  void finish(std::string_view line);

 private:
  std::chrono::steady_clock::time_point last_{};
  bool drawn_ = false;
};

}  // namespace holdfast::api
