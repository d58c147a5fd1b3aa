#include "api/cli_console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace holdfast::api {
namespace {

void write_all(std::FILE* to, std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), to);
  std::fflush(to);
}

// Cut after `width` code points, so that the line does not wrap.
std::string_view fitted(std::string_view line, std::size_t width) {
  std::size_t points = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(line[i]) & 0xC0) != 0x80;
    if (begins && points++ == width) return line.substr(0, i);
  }
  return line;
}

}  // namespace

void print(std::string_view text) { write_all(stdout, text); }
void print_line(std::string_view text) { write_all(stdout, std::string(text) + "\n"); }
void print_error(std::string_view text) { write_all(stderr, std::string(text) + "\n"); }

int all_printed(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  print_error("error: the output could not be written whole; is there space left?");
  return kExitFailed;
}

int failed(const absl::Status& status) {
  print_error("error: " + std::string(status.message()));
  return kExitFailed;
}

int usage_error(const absl::Status& status) {
  failed(status);
  return kExitUsage;
}

Style stdout_style() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool refused = (no_color != nullptr && *no_color != '\0') || term == nullptr ||
                       std::string_view(term) == "dumb";
  return !refused && isatty(STDOUT_FILENO) == 1 ? Style::colour : Style::plain;
}

bool stdin_is_terminal() { return isatty(STDIN_FILENO) == 1; }
bool stderr_is_terminal() { return isatty(STDERR_FILENO) == 1; }

std::size_t stderr_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

StopSignals::StopSignals() {
  sigemptyset(&set_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set_, signal);
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
}

StopSignals::~StopSignals() {
  // A second Ctrl-C that arrived while things were being ended has done its work.
  const timespec none{};
  while (sigtimedwait(&set_, nullptr, &none) > 0) {
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

bool StopSignals::wait(std::chrono::milliseconds time) {
  if (stopped_) return true;
  const timespec limit{.tv_sec = time.count() / 1000, .tv_nsec = time.count() % 1000 * 1'000'000};
  stopped_ = sigtimedwait(&set_, nullptr, &limit) > 0;
  return stopped_;
}

void StopSignals::restore_in_child() const { sigprocmask(SIG_SETMASK, &before_, nullptr); }

void Progress::show(std::string_view line) {
  using namespace std::chrono_literals;
  const auto now = std::chrono::steady_clock::now();
  const bool terminal = stderr_is_terminal();
  if (now - last_ < (terminal ? std::chrono::milliseconds(100) : 5s)) return;
  last_ = now;
  if (!terminal) return print_error(line);
  write_all(stderr, "\r" + std::string(fitted(line, stderr_width() - 1)) + "\033[K");
  drawn_ = true;
}

void Progress::finish(std::string_view line) {
  if (drawn_) write_all(stderr, "\r\033[K");
  drawn_ = false;
  print_error(line);
}

}  // namespace holdfast::api
