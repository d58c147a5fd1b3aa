#include "node/backup_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "crdt/digest.h"
#include "node/journal_of.h"
#include "node/new_store.h"

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMagic = "HOLDFAST BACKUP 1\n";
constexpr std::size_t kHeadBytes = 12;
constexpr std::size_t kRecordBytesMax = 64u << 20;
enum Kind : char { kJournal = 2, kEnd = 3 };

template <typename Number>
void put_number(std::string& out, Number value) {
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

template <typename Number>
Number take_number(const char* at) {
  Number value = 0;
  for (std::size_t i = sizeof value; i > 0; --i)
    value = static_cast<Number>(value << 8 | static_cast<unsigned char>(at[i - 1]));
  return value;
}

absl::Status system_error(const std::string& path, const char* what) {
  const std::string text = path + ": cannot " + what + ": " + std::strerror(errno);
  return errno == ENOSPC ? absl::ResourceExhaustedError(text) : absl::InternalError(text);
}

constexpr std::string_view kDraft = ".part";  // what follows the name until the file is whole

bool is_named(int fd, const std::string& path) {
  struct stat open {
  }, named{};
  return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

// Drafts that no process has locked any more: who wrote them was killed. A file without the magic
// is not ours.
void remove_leftovers(const std::string& directory) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    const std::string path = at->path();
    if (!is_draft(path)) continue;
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) continue;
    std::string magic(kMagic.size(), '\0');
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        ::pread(fd, magic.data(), magic.size(), 0) == static_cast<ssize_t>(magic.size()) &&
        magic == kMagic && is_named(fd, path))
      ::unlink(path.c_str());
    ::close(fd);
  }
}

// Appends records; the file is locked, and removed unless finish() has succeeded.
class Writer {
 public:
  explicit Writer(std::string path) : path_(std::move(path)) {}
  ~Writer() {
    if (fd_ < 0) return;
    if (!finished_) ::unlink(path_.c_str());
    ::close(fd_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Errors: kAlreadyExists (another process is writing it).
  absl::Status begin() {
    for (;;) {
      fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
      if (fd_ < 0) return system_error(path_, "write");
      if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
        ::close(std::exchange(fd_, -1));
        return absl::AlreadyExistsError(path_ + " is being written by another backup");
      }
      if (is_named(fd_, path_)) break;  // else it was removed as a leftover in between
      ::close(std::exchange(fd_, -1));
    }
    if (::ftruncate(fd_, 0) != 0) return system_error(path_, "write");
    return write(kMagic);
  }
  absl::Status write(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0) return system_error(path_, "write");
      bytes.remove_prefix(static_cast<std::size_t>(written));
      bytes_ += static_cast<std::uint64_t>(written);
    }
    return absl::OkStatus();
  }
  absl::Status record(Kind kind, const std::string& payload) {
    const std::string body = std::string(1, kind) + payload;
    std::string head;
    put_number(head, static_cast<std::uint32_t>(body.size()));
    put_number(head, crdt::digest(body, ++records_));
    if (auto s = write(head); !s.ok()) return s;
    return write(body);
  }
  absl::Status finish() {
    if (::fsync(fd_) != 0) return system_error(path_, "sync");
    finished_ = true;
    return absl::OkStatus();
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  std::string path_;
  int fd_ = -1;
  std::uint64_t bytes_ = 0, records_ = 0;
  bool finished_ = false;
};

class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path), file_(std::fopen(path.c_str(), "rbe")) {}
  ~Reader() {
    if (file_ != nullptr) std::fclose(file_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  absl::Status begin() {
    if (file_ == nullptr) return absl::NotFoundError(path_ + ": " + std::strerror(errno));
    std::string magic;
    if (take(magic, kMagic.size()) && magic == kMagic) return absl::OkStatus();
    return absl::DataLossError(path_ + " is not a backup of holdfast, or one of another version");
  }
  absl::StatusOr<Kind> next(std::string& payload) {
    std::string head, body;
    if (!take(head, kHeadBytes)) return cut();
    const auto length = take_number<std::uint32_t>(head.data());
    if (length == 0 || length > kRecordBytesMax) return damaged();
    if (!take(body, length)) return cut();
    if (crdt::digest(body, ++records_) != take_number<std::uint64_t>(head.data() + 4))
      return damaged();
    payload = body.substr(1);
    return static_cast<Kind>(body.front());
  }
  bool at_end() { return std::fgetc(file_) == EOF; }
  absl::Status damaged() const {
    return absl::DataLossError(path_ + " is damaged at byte " + std::to_string(bytes_));
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  absl::Status cut() const {
    return absl::DataLossError(path_ + " is not whole: it ends at byte " + std::to_string(bytes_));
  }
  bool take(std::string& out, std::size_t size) {
    out.resize(size);
    const std::size_t got = std::fread(out.data(), 1, size, file_);
    bytes_ += got;
    return got == size;
  }
  std::string path_;
  std::FILE* file_;
  std::uint64_t bytes_ = 0, records_ = 0;
};

absl::Status take(const std::string& payload, crdt::State& state) {
  auto value = decode_journal_value(payload);
  return value.ok() ? replay(*std::move(value), state) : value.status();
}

bool is_as_said(const crdt::State& state, const Meta& meta) {
  if (state.lasting_rows() != meta.rows || state.vector().size() != meta.vector.size())
    return false;
  for (const crdt::VectorEntry& entry : meta.vector)
    if (state.head(entry.origin) != entry.sequence || state.floor(entry.origin) != entry.boot)
      return false;
  return true;
}

}  // namespace

std::string parent_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

bool is_draft(const std::string& path) { return path.ends_with(kDraft); }

absl::StatusOr<std::uint64_t> write_backup(const std::string& path, const crdt::State& state,
                                           std::int64_t life_ms, const ToldBytes& told) {
  std::error_code error;
  if (fs::exists(path, error)) return absl::AlreadyExistsError(path + " exists already");
  const std::string parent = parent_of(path);
  if (!fs::is_directory(parent, error))
    return absl::NotFoundError("there is no directory " + parent + ": make it first");
  remove_leftovers(parent);
  const std::string draft = path + std::string(kDraft);
  Writer writer(draft);
  if (auto s = writer.begin(); !s.ok()) return s;
  JournalOf journal(state, life_ms);
  for (std::string value; journal.next(value); told(writer.bytes()))
    if (auto s = writer.record(kJournal, value); !s.ok()) return s;
  Meta meta{.self = state.self(), .life_ms = life_ms, .rows = state.lasting_rows()};
  for (const auto& [origin, head] : state.vector())
    meta.vector.push_back({origin, head, state.floor(origin)});
  if (auto s = writer.record(kEnd, encode(meta)); !s.ok()) return s;
  if (auto s = writer.finish(); !s.ok()) return s;

  // As a restore will see it: by another replica.
  auto back = read_backup(draft, crdt::ReplicaId{state.self().value ^ 1}, told);
  absl::Status status = back.status();
  if (status.ok() && back->state->digest() != state.digest())
    status = absl::DataLossError(draft + " does not give the rows that were written to it");
  if (status.ok() && ::link(draft.c_str(), path.c_str()) != 0)
    status = errno == EEXIST ? absl::AlreadyExistsError(path + " exists already")
                             : system_error(path, "make");
  ::unlink(draft.c_str());
  if (!status.ok()) return status;
  if (auto s = sync_directory(parent); !s.ok()) return s;
  return writer.bytes();
}

absl::StatusOr<Backup> read_backup(const std::string& path, crdt::ReplicaId self,
                                   const ToldBytes& told) {
  Reader reader(path);
  if (auto s = reader.begin(); !s.ok()) return s;
  Backup backup{.state = std::make_unique<crdt::State>(self)};
  std::string payload;
  for (;; told(reader.bytes())) {
    const auto kind = reader.next(payload);
    if (!kind.ok()) return kind.status();
    if (*kind == kEnd) break;
    if (*kind != kJournal || !take(payload, *backup.state).ok()) return reader.damaged();
  }
  auto meta = decode_meta(payload);
  if (!meta.ok() || !reader.at_end() || !is_as_said(*backup.state, *meta)) return reader.damaged();
  backup.meta = *std::move(meta);
  return backup;
}

}  // namespace holdfast::node
