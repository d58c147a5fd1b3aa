#include "node/zeroed_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "rocksdb/file_system.h"

namespace holdfast::node {

namespace {

constexpr std::uint64_t kAhead = 128u << 10;

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class ZeroedLog final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ZeroedLog(std::unique_ptr<rocksdb::FSWritableFile>&& log, const std::string& path)
      : FSWritableFileOwnerWrapper(std::move(log)),
        descriptor_(::open(path.c_str(), O_WRONLY | O_CLOEXEC)) {}
  ~ZeroedLog() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
    make_room(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, debug);
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& verification,
                  IODebugContext* debug) override {
    make_room(data.size());
    return FSWritableFileOwnerWrapper::Append(data, options, verification, debug);
  }
  IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
    IOStatus cut;
    if (zeroed_ > written_ && ::ftruncate(descriptor_, static_cast<off_t>(written_)) != 0)
      cut = IOStatus::IOError("the zeros behind a log cannot be cut off");
    IOStatus closed = FSWritableFileOwnerWrapper::Close(options, debug);
    return closed.ok() ? cut : closed;
  }

 private:
  void make_room(std::size_t size) {
    static constexpr std::array<char, kAhead> kZeros{};
    written_ += size;
    if (written_ <= zeroed_ || descriptor_ < 0) return;
    zeroed_ = written_;
    const std::uint64_t end = (written_ + kAhead) / kAhead * kAhead;
    while (zeroed_ < end) {
      const ssize_t done =
          ::pwrite(descriptor_, kZeros.data(), end - zeroed_, static_cast<off_t>(zeroed_));
      if (done <= 0) return;  // no space: it grows without
      zeroed_ += static_cast<std::uint64_t>(done);
    }
  }

  int descriptor_;
  std::uint64_t written_ = 0, zeroed_ = 0;
};

class FileSystem final : public rocksdb::FileSystemWrapper {
 public:
  using FileSystemWrapper::FileSystemWrapper;
  const char* Name() const override { return "holdfast, zeroed logs"; }
  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* made,
                           IODebugContext* debug) override {
    IOStatus status = FileSystemWrapper::NewWritableFile(path, options, made, debug);
    if (status.ok() && path.ends_with(".log"))
      *made = std::make_unique<ZeroedLog>(std::move(*made), path);
    return status;
  }
};

}  // namespace

std::unique_ptr<rocksdb::Env> env_with_zeroed_logs() {
  return rocksdb::NewCompositeEnv(std::make_shared<FileSystem>(rocksdb::FileSystem::Default()));
}

}  // namespace holdfast::node
