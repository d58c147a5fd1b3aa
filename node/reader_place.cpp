#include "node/reader_place.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "holdfast-reader-";
constexpr int kAttempts = 8;  // to lock what was just made before another removes it

// The directory, open and locked by this process alone; -1: it is not there, or another's.
int lock_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat info {};
  const bool own = ::fstat(fd, &info) == 0 && info.st_uid == ::geteuid();
  if (own && ::flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return -1;
}

void remove_leftovers(const std::string& parent) {
  std::error_code error, ignored;
  for (fs::directory_iterator at(parent, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with(kPrefix)) continue;
    const int lock = lock_directory(at->path());
    if (lock < 0) continue;
    fs::remove_all(at->path(), ignored);
    ::close(lock);
  }
}

}  // namespace

absl::StatusOr<ReaderPlace> ReaderPlace::make(const std::string& parent) {
  remove_leftovers(parent);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    ReaderPlace place;
    place.path_ = (fs::path(parent) / (std::string(kPrefix) + "XXXXXX")).string();
    if (::mkdtemp(place.path_.data()) == nullptr) {
      place.path_.clear();
      break;
    }
    place.lock_ = lock_directory(place.path_);
    struct stat info {};
    // Another that was starting may have taken it for a leftover: then it has no name any more.
    if (place.lock_ >= 0 && ::lstat(place.path_.c_str(), &info) == 0) return place;
  }
  return absl::InternalError("cannot make a directory in " + parent + ": " + std::strerror(errno));
}

ReaderPlace::~ReaderPlace() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  if (lock_ >= 0) ::close(lock_);
}

}  // namespace holdfast::node
