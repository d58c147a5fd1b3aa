#include "sim/cli_report_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace holdfast::sim {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kForAll = 0666;  // less the umask

// Where the bytes go: the end of all links.
fs::path target_of(const std::string& path) {
  std::error_code error;
  fs::path target = fs::weakly_canonical(path, error);
  return error ? fs::path(path) : target;
}

fs::path temporary_of(const fs::path& target) {
  return target.string() + "." + std::to_string(getpid()) + ".part";
}

// An empty file that was not there before; false: there can be none.
bool create(const fs::path& path) {
  const int file = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, kForAll);
  return file >= 0 && close(file) == 0;
}

bool is_replaceable(const fs::path& target) {
  std::error_code error;
  return !fs::exists(target, error) || fs::is_regular_file(target, error);
}

bool write_file(const fs::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  out.close();
  return bool(out);
}

absl::Status cannot_write(const std::string& path) {
  return absl::InvalidArgumentError("--report: cannot write '" + path +
                                    "'; name a file in a folder that you may write to");
}

}  // namespace

absl::Status check_report_path(const std::string& path, const std::vector<std::string>& inputs) {
  std::error_code error;
  for (const std::string& input : inputs)
    if (!input.empty() && fs::equivalent(path, input, error))
      return absl::InvalidArgumentError("--report: '" + path + "' is " + input +
                                        ", which the scenario is read from; name another file");
  const fs::path target = target_of(path);
  if (fs::exists(target, error))
    return std::ofstream(target, std::ios::app) ? absl::OkStatus() : cannot_write(path);
  const fs::path temporary = temporary_of(target);
  if (target.filename().empty() || !create(temporary)) return cannot_write(path);
  fs::remove(temporary, error);
  return absl::OkStatus();
}

absl::Status write_report(const std::string& path, std::string_view page) {
  const auto failed = [&] {
    return absl::UnavailableError("could not write '" + path + "': is there space left?");
  };
  const fs::path target = target_of(path), temporary = temporary_of(target);
  if (!is_replaceable(target) || !create(temporary))
    return write_file(target, page) ? absl::OkStatus() : failed();
  std::error_code error;
  const fs::file_status before = fs::status(target, error);
  if (fs::exists(before)) fs::permissions(temporary, before.permissions(), error);
  const bool written = write_file(temporary, page);
  if (written) fs::rename(temporary, target, error);
  if (written && !error) return absl::OkStatus();
  std::error_code ignored;
  fs::remove(temporary, ignored);
  return failed();
}

}  // namespace holdfast::sim
