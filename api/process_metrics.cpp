#include "api/process_metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>
#include <vector>

namespace holdfast::api {
namespace {

using prometheus::MetricType;
using Value = std::optional<double>;

Value cpu_seconds() {
  timespec time{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) return std::nullopt;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Field `index` of /proc/self/statm, in bytes: 0 is what is mapped, 1 what is resident.
Value memory_bytes(int index) {
  std::ifstream in("/proc/self/statm");
  double pages = 0;
  for (int i = 0; i <= index; ++i)
    if (!(in >> pages)) return std::nullopt;
  return pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

Value open_fds() {
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (error) return std::nullopt;
  return static_cast<double>(std::distance(begin(files), end(files))) - 1;  // this look's own
}

Value max_fds() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return static_cast<double>(limit.rlim_cur);
}

// Seconds since 1970: the system's start, and how many ticks after it the process began.
Value start_seconds() {
  std::ifstream system("/proc/stat"), own("/proc/self/stat");
  double booted = -1;
  for (std::string line; booted < 0 && std::getline(system, line);)
    if (line.starts_with("btime ")) std::istringstream(line.substr(6)) >> booted;
  std::string text((std::istreambuf_iterator<char>(own)), {});
  const auto name_end = text.rfind(')');  // the command's name may have blanks in it
  if (name_end == text.npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));  // field 3 and so on
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  if (booted < 0 || !(fields >> ticks)) return std::nullopt;
  return booted + ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void add(std::vector<prometheus::MetricFamily>& families, const char* name, const char* help,
         Value value, MetricType type = MetricType::Gauge) {
  if (!value) return;
  prometheus::ClientMetric metric;
  (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = *value;
  families.push_back({name, help, type, {metric}});
}

}  // namespace

std::string process_metrics_text() {
  std::vector<prometheus::MetricFamily> families;
  add(families, "process_cpu_seconds_total", "CPU time of the process, user and system.",
      cpu_seconds(), MetricType::Counter);
  add(families, "process_resident_memory_bytes", "Memory of the process that is resident.",
      memory_bytes(1));
  add(families, "process_virtual_memory_bytes", "Memory of the process that is mapped.",
      memory_bytes(0));
  add(families, "process_open_fds", "Files, sockets included, that the process has open.",
      open_fds());
  add(families, "process_max_fds", "How many of them it may have open.", max_fds());
  add(families, "process_start_time_seconds", "When the process began, in seconds since 1970.",
      start_seconds());
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace holdfast::api
