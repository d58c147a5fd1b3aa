#include "node/high_water_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace holdfast::node {
namespace {

constexpr std::size_t kSlotBytes = 24;
constexpr off_t kSlotDistance = 512;
constexpr char kMagic[8] = {'H', 'F', 'M', 'A', 'R', 'K', '0', '1'};

using Slot = std::array<unsigned char, kSlotBytes>;

void put_u64(unsigned char* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<unsigned char>(value >> (8 * i));
}

std::uint64_t get_u64(const unsigned char* at) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | at[i];
  return value;
}

absl::Status system_error(const std::string& path, const char* what) {
  return absl::InternalError(path + ": cannot " + what + ": " + std::strerror(errno));
}

std::optional<std::uint64_t> decode(const Slot& slot) {
  if (std::memcmp(slot.data(), kMagic, 8) != 0) return std::nullopt;
  if (get_u64(slot.data() + 16) != XXH3_64bits(slot.data(), 16)) return std::nullopt;
  return get_u64(slot.data() + 8);
}

absl::Status sync_directory_of(const std::string& path) {
  const std::string directory = path.substr(0, path.rfind('/') + 1);
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_error(directory, "open");
  const int result = ::fsync(fd);
  const absl::Status status = result == 0 ? absl::OkStatus() : system_error(directory, "sync");
  ::close(fd);
  return status;
}

}  // namespace

HighWaterMark::~HighWaterMark() { ::close(file_); }

absl::StatusOr<std::unique_ptr<HighWaterMark>> HighWaterMark::open(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) {
    if (auto s = make(path); !s.ok()) return s;
  }
  const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) return system_error(path, "open");
  std::unique_ptr<HighWaterMark> mark(new HighWaterMark(file, path));
  if (auto s = mark->read(); !s.ok()) return s;
  return mark;
}

absl::StatusOr<std::uint64_t> HighWaterMark::read_only(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return absl::DataLossError(path + " cannot be read (" + std::strerror(errno) +
                               "), so it cannot be told whether the store is complete");
  HighWaterMark mark(file, path);
  if (auto s = mark.read(); !s.ok()) return s;
  return mark.found();
}

// Under another name first, so that a crash never leaves half a file under this one.
absl::Status HighWaterMark::make(const std::string& path) {
  const std::string draft = path + ".new";
  const int file = ::open(draft.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (file < 0) return system_error(draft, "make");
  HighWaterMark mark(file, draft);
  for (int slot = 0; slot < 2; ++slot) {
    if (auto s = mark.set(0); !s.ok()) return s;
  }
  if (::fsync(file) != 0) return system_error(draft, "sync");
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error(draft, "rename");
  return sync_directory_of(path);
}

absl::Status HighWaterMark::read() {
  bool whole = false;
  for (unsigned i = 0; i < 2; ++i) {
    Slot slot{};
    const ssize_t got = ::pread(file_, slot.data(), slot.size(), i * kSlotDistance);
    if (got < 0) return system_error(path_, "read");
    const auto value = got == static_cast<ssize_t>(slot.size()) ? decode(slot) : std::nullopt;
    if (!value || (whole && found_ > *value)) continue;
    whole = true;
    found_ = *value;
    next_slot_ = 1 - i;
  }
  if (whole) return absl::OkStatus();
  return absl::DataLossError(path_ +
                             ": the high-water mark is damaged, so it cannot be told whether the "
                             "store is complete; bring back a copy of it with `holdfast restore`, "
                             "as a new replica, or start "
                             "this node with an empty data directory: it joins as a new replica");
}

absl::Status HighWaterMark::set(std::uint64_t batch) {
  Slot slot{};
  std::memcpy(slot.data(), kMagic, 8);
  put_u64(slot.data() + 8, batch);
  put_u64(slot.data() + 16, XXH3_64bits(slot.data(), 16));
  const ssize_t written = ::pwrite(file_, slot.data(), slot.size(), next_slot_ * kSlotDistance);
  if (written != static_cast<ssize_t>(slot.size())) return system_error(path_, "write");
  next_slot_ = 1 - next_slot_;
  return absl::OkStatus();
}

absl::Status HighWaterMark::sync() {
  return ::fdatasync(file_) == 0 ? absl::OkStatus() : system_error(path_, "sync");
}

}  // namespace holdfast::node
