#include "node/rejoin.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <system_error>
#include <vector>

#include "node/new_store.h"
#include "node/recovery.h"
#include "node/reissue.h"

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;

fs::path bases_of(const std::string& data_dir) { return fs::path(data_dir) / "bases"; }
fs::path mark_of(const std::string& data_dir) { return fs::path(data_dir) / "fork"; }
std::string name_of(std::uint64_t boot) { return crdt::to_string(crdt::ReplicaId{boot}); }

absl::Status failed(const fs::path& path, const char* what, const std::error_code& error) {
  return absl::InternalError(path.string() + ": cannot " + what + ": " + error.message());
}

absl::Status move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_directories(to.parent_path(), error);
  fs::rename(from, to, error);
  if (error) return failed(from, "rename", error);
  if (auto s = sync_directory(to.parent_path()); !s.ok()) return s;
  return sync_directory(from.parent_path());
}

// Held while the directory is being changed: two processes that start at once do it once.
class Lock {
 public:
  explicit Lock(const fs::path& file) : fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~Lock() {
    if (fd_ >= 0) ::close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool take() { return fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) == 0; }

 private:
  int fd_;
};

// The old store, locked: a process that is still ending keeps it.
absl::StatusOr<std::unique_ptr<Engine>> read_locked(const std::string& data_dir,
                                                    crdt::ReplicaId self) {
  absl::Status failure;
  auto store = RocksStore::open(
      {.data_dir = data_dir, .on_failure = [&](absl::Status status) { failure = status; }});
  if (!store.ok()) return store.status();
  const Recovered recovered = (*store)->recovered();
  const auto found = identity(recovered, {});
  if (!found.ok()) return found.status();
  if (*found != self)
    return absl::DataLossError(mark_of(data_dir).string() + " is about replica " +
                               crdt::to_string(self) + ", but the store is of " +
                               crdt::to_string(*found));
  EngineConfig config{.self = self};
  config.mesh.self = self;
  auto engine = std::make_unique<Engine>(std::move(config));
  if (const auto count = recover(recovered, *engine); !count.ok()) return count.status();
  return engine;
}

absl::Status build(const std::string& data_dir, const ForkMark& mark, crdt::ReplicaId fresh,
                   std::uint64_t boot, const std::function<void(const std::string&)>& note) {
  auto now = read_locked(data_dir, mark.replica);
  if (!now.ok()) return now.status();
  const fs::path base_dir = bases_of(data_dir) / name_of(mark.boots.front().nonce);
  auto base = read_directory(base_dir);
  const crdt::State* base_state = base.ok() ? &(*base)->state() : nullptr;
  if (base_state != nullptr && base_state->self() != mark.replica) base_state = nullptr;
  if (base_state == nullptr && voids_own((*now)->state(), mark))
    note("the store as it was at the first void start is not there (" +
         std::string(base.status().message()) + "): what replica " + crdt::to_string(mark.replica) +
         " wrote since cannot be told from what it wrote before, and is NOT kept under the new "
         "replica's name; it stays in fork-" +
         crdt::to_string(mark.replica) + "/ for people");
  auto state = successor((*now)->state(), base_state, mark, fresh, boot);
  if (!state.ok()) return state.status();
  const fs::path draft = fs::path(data_dir) / "rejoin.new";
  std::error_code error;
  fs::remove_all(draft, error);
  if (error) return failed(draft, "remove", error);
  if (auto s = write_directory(draft, **state, (*now)->loaded_life_ms()); !s.ok()) return s;
  return move(draft, fs::path(data_dir) / "rejoin");
}

absl::Status swap_in(const std::string& data_dir, const ForkMark& mark) {
  const fs::path here = data_dir;
  const fs::path aside = here / ("fork-" + crdt::to_string(mark.replica));
  std::error_code error;
  // As long as the new one is in rejoin/, the one beside it is the old one.
  for (const char* name : {"store", "mark"}) {
    if (!fs::exists(here / "rejoin" / name, error)) continue;
    if (fs::exists(here / name, error))
      if (auto s = move(here / name, aside / name); !s.ok()) return s;
    if (auto s = move(here / "rejoin" / name, here / name); !s.ok()) return s;
  }
  if (fs::exists(here / "bases", error))
    if (auto s = move(here / "bases", aside / "bases"); !s.ok()) return s;
  fs::remove_all(here / "rejoin", error);
  if (error) return failed(here / "rejoin", "remove", error);
  return move(mark_of(data_dir), aside / "fork");
}

}  // namespace

absl::Status keep_base(RocksStore& store, const std::string& data_dir, std::uint64_t boot) {
  const fs::path bases = bases_of(data_dir);
  std::error_code error;
  fs::create_directories(bases, error);
  std::vector<std::pair<fs::file_time_type, fs::path>> there;
  for (const auto& entry : fs::directory_iterator(bases, error)) {
    if (entry.path().extension() == ".new") {
      fs::remove_all(entry.path(), error);
    } else {
      there.emplace_back(entry.last_write_time(error), entry.path());
    }
  }
  std::sort(there.begin(), there.end());
  for (std::size_t i = kBasesMax - 1; i < there.size(); ++i)
    fs::remove_all(there[i].second, error);
  const fs::path draft = bases / (name_of(boot) + ".new");
  if (auto s = store.copy_to(draft); !s.ok()) return s;
  return move(draft, bases / name_of(boot));
}

void drop_bases(const std::string& data_dir, std::uint64_t but) {
  std::error_code error;  // what is left over is removed by a later call
  std::vector<fs::path> others;
  for (const auto& entry : fs::directory_iterator(bases_of(data_dir), error))
    if (entry.path().filename() != name_of(but)) others.push_back(entry.path());
  for (const fs::path& base : others) fs::remove_all(base, error);
}

absl::Status mark_fork(const std::string& data_dir, const ForkMark& mark) {
  const fs::path draft = fs::path(data_dir) / "fork.new";
  const std::string text = encode(mark);
  const int fd = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  const bool written = fd >= 0 &&
                       ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                       ::fsync(fd) == 0;
  const std::string problem = std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (!written) return absl::InternalError(draft.string() + ": cannot write: " + problem);
  return move(draft, mark_of(data_dir));
}

bool is_marked(const std::string& data_dir) {
  std::error_code error;
  return fs::exists(mark_of(data_dir), error);
}

absl::Status rejoin(const std::string& data_dir, crdt::ReplicaId fresh, std::uint64_t boot,
                    const std::function<void(const std::string&)>& note) {
  Lock lock(mark_of(data_dir));
  if (!lock.take())
    return absl::FailedPreconditionError("data directory " + data_dir +
                                         " is in use by another process");
  std::ifstream file(mark_of(data_dir), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto mark = decode_fork_mark(text);
  if (!mark.ok())
    return absl::DataLossError(mark_of(data_dir).string() + ": " +
                               std::string(mark.status().message()));
  std::error_code error;
  if (!fs::exists(fs::path(data_dir) / "rejoin", error))
    if (auto s = build(data_dir, *mark, fresh, boot, note); !s.ok()) return s;
  if (auto s = swap_in(data_dir, *mark); !s.ok()) return s;
  note("replica " + crdt::to_string(mark->replica) +
       " of this data directory was a fork; it goes on as a new replica, and the old store is kept "
       "in fork-" +
       crdt::to_string(mark->replica) + "/");
  return absl::OkStatus();
}

}  // namespace holdfast::node
