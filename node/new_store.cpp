#include "node/new_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "crdt/check.h"
#include "node/codec.h"
#include "node/journal_of.h"
#include "node/recovery.h"
#include "node/rocks_store.h"

namespace holdfast::node {
namespace {

constexpr std::size_t kBatchesWaiting = 4;

// Counts batches that have been released; the store's thread tells.
class Progress {
 public:
  void done() {
    change([&] { ++released_; });
  }
  void failed(absl::Status status) {
    change([&] { status_ = std::move(status); });
  }
  // Until `count` batches are durable.
  absl::Status wait(std::uint64_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !status_.ok() || released_ >= count; });
    return status_;
  }

 private:
  template <typename Change>
  void change(Change&& act) {
    {
      const std::lock_guard lock(mutex_);
      act();
    }
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t released_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> read_directory(const std::string& data_dir) {
  auto store = RocksStore::open({.data_dir = data_dir, .on_failure = {}, .read_only = true});
  if (!store.ok()) return store.status();
  const Recovered recovered = (*store)->recovered();
  const auto self = identity(recovered, {});
  if (!self.ok()) return self.status();
  if (!*self) return absl::NotFoundError("there is no replica in " + data_dir + " yet");
  EngineConfig config{.self = *self};
  config.mesh.self = *self;
  auto engine = std::make_unique<Engine>(std::move(config));
  if (const auto count = recover(recovered, *engine); !count.ok()) return count.status();
  return engine;
}

absl::Status write_directory(const std::string& data_dir, const crdt::State& state,
                             std::int64_t life_ms) {
  HOLDFAST_CHECK(!state.has_unsealed());
  Progress progress;
  auto store = RocksStore::open({.data_dir = data_dir, .on_failure = [&](absl::Status status) {
                                   progress.failed(std::move(status));
                                 }});
  if (!store.ok()) return store.status();
  JournalOf journal(state, life_ms);
  std::uint64_t number = 0;
  const auto write = [&](std::string value) {
    (*store)->write({.number = ++number,
                     .journal = std::move(value),
                     .checkpoint = std::nullopt,
                     .release = [&] { progress.done(); }});
    return progress.wait(number < kBatchesWaiting ? 0 : number - kBatchesWaiting);
  };
  for (std::string value; journal.next(value);)
    if (absl::Status status = write(std::move(value)); !status.ok()) return status;
  // Of a state without rows, that it is this replica's.
  if (number == 0)
    if (absl::Status status = write(encode(JournalValue{.self = state.self(), .life_ms = life_ms}));
        !status.ok())
      return status;
  if (absl::Status status = progress.wait(number); !status.ok()) return status;
  (*store)->stop();
  return sync_directory(data_dir);
}

absl::Status sync_directory(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || ::fsync(fd) != 0) {
    const absl::Status status =
        absl::InternalError(directory + ": cannot sync: " + std::strerror(errno));
    if (fd >= 0) ::close(fd);
    return status;
  }
  ::close(fd);
  return absl::OkStatus();
}

}  // namespace holdfast::node
