#include "node/rocks_store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <rocksdb/db.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tests/node/support/temporary_directory.h"

extern char** environ;

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr auto kPatience = 20s;

using Directory = tests::TemporaryDirectory;

// What the store has released, for a test to wait on.
class Released {
 public:
  std::function<void()> mark(std::uint64_t number) {
    return [this, number] {
      const std::lock_guard lock(mutex_);
      numbers_.push_back(number);
      changed_.notify_all();
    };
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return numbers_.size() >= count; });
  }
  std::vector<std::uint64_t> numbers() {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> numbers_;
};

std::unique_ptr<RocksStore> open_store(const std::string& directory, bool read_only = false) {
  const auto on_failure = [](absl::Status status) {
    MESSAGE("the store failed: ", std::string(status.message()));
  };
  auto store =
      RocksStore::open({.data_dir = directory, .on_failure = on_failure, .read_only = read_only});
  INFO(std::string(store.status().message()));
  REQUIRE(store.ok());
  return *std::move(store);
}

absl::Status open_status(const std::string& directory) {
  return RocksStore::open({.data_dir = directory, .on_failure = [](absl::Status) {}}).status();
}

struct Contents {
  std::string meta;
  std::map<std::string, std::string> rows;
  std::vector<std::pair<std::uint64_t, std::string>> journal;
  absl::Status status;
};

Contents read_all(RocksStore& store) {
  Contents contents;
  Recovered recovered = store.recovered();
  contents.meta = recovered.meta;
  contents.status = recovered.read(
      [&](RowAddress&& address, std::string_view bytes) {
        contents.rows[std::to_string(address.origin.value) + "/" +
                      std::to_string(static_cast<int>(address.kind)) + "/" + address.key] = bytes;
        return absl::OkStatus();
      },
      [&](std::uint64_t number, std::string_view bytes) {
        contents.journal.emplace_back(number, bytes);
        return absl::OkStatus();
      });
  return contents;
}

RowAddress address(std::uint64_t origin, const std::string& key) {
  return {.origin = {origin}, .kind = crdt::RowKind::stock, .key = key};
}

// Writes batches first … last and waits until they are released.
void write_batches(RocksStore& store, std::uint64_t first, std::uint64_t last) {
  Released released;
  for (std::uint64_t n = first; n <= last; ++n) {
    store.write({.number = n, .journal = "j" + std::to_string(n), .release = released.mark(n)});
  }
  REQUIRE(released.wait_for(last - first + 1));
}

// Changes a stored value behind the store's back.
void tamper(const std::string& directory, const std::string& family,
            const std::function<void(rocksdb::DB&, rocksdb::ColumnFamilyHandle*)>& change) {
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : {"default", "journal", "rows"})
    families.emplace_back(name, rocksdb::ColumnFamilyOptions());
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  REQUIRE(rocksdb::DB::Open({}, directory + "/store", families, &handles, &db).ok());
  for (auto* handle : handles) {
    if (handle->GetName() == family) change(*db, handle);
  }
  for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
  delete db;
}

void flip_last_byte(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const std::string& key) {
  std::string value;
  REQUIRE(db.Get({}, family, key, &value).ok());
  value.back() = static_cast<char>(value.back() ^ 1);
  REQUIRE(db.Put({}, family, key, value).ok());
}

std::string big_endian(std::uint64_t value) {
  std::string bytes;
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

// Another process that runs one of the (otherwise skipped) children below.
class Child {
 public:
  Child(const std::string& name, const std::string& directory) {
    ::setenv("HOLDFAST_TEST_STORE", directory.c_str(), 1);
    const std::string filter = "--test-case=" + name;
    std::string self = fs::read_symlink("/proc/self/exe");
    std::vector<char*> arguments{self.data(), const_cast<char*>(filter.c_str()),
                                 const_cast<char*>("--no-skip"), nullptr};
    int pipe_ends[2];
    REQUIRE(::pipe2(pipe_ends, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], 1);
    REQUIRE(::posix_spawn(&pid_, self.c_str(), &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe_ends[1]);
    output_ = pipe_ends[0];
    ::unsetenv("HOLDFAST_TEST_STORE");
  }
  ~Child() {
    kill();
    ::close(output_);
  }
  // Reads until `text` was written or the child has ended; true if it was. The child ends by itself
  // after kPatience (alarm), so this does too.
  bool says(const std::string& text) {
    char bytes[256];
    while (said_.find(text) == std::string::npos) {
      const ssize_t got = ::read(output_, bytes, sizeof bytes);
      if (got <= 0) return false;
      said_.append(bytes, static_cast<std::size_t>(got));
    }
    return true;
  }
  void kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  int output_ = -1;
  std::string said_;
};

void say(const std::string& text) {
  const std::string line = text + "\n";
  if (::write(1, line.data(), line.size()) < 0) ::_exit(3);
}

std::string child_directory() {
  const char* directory = std::getenv("HOLDFAST_TEST_STORE");
  if (directory) ::alarm(std::chrono::seconds(kPatience).count());
  return directory ? directory : "";
}

}  // namespace

// Bytes of a log before the zeros that it ends with.
std::uint64_t written(const fs::path& log) {
  std::ifstream file(log, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto last = bytes.find_last_not_of('\0');
  return last == std::string::npos ? 0 : last + 1;
}

// Of a process that was killed: the log that it wrote last.
fs::path log_in_use(const std::string& data_dir) {
  fs::path log;  // their names are numbers of six digits
  for (const auto& file : fs::directory_iterator(data_dir + "/store"))
    if (file.path().extension() == ".log" && log < file.path()) log = file.path();
  REQUIRE(!log.empty());
  REQUIRE(written(log) > 0);
  return log;
}

TEST_CASE("rocks store child: writes without end" * doctest::skip()) {
  const std::string directory = child_directory();
  if (directory.empty()) return;
  auto store = open_store(directory);
  say("open");
  for (std::uint64_t n = 1;; ++n) {
    Released released;
    Batch batch{.number = n,
                .journal = std::string(20'000, static_cast<char>(n)),
                .release = released.mark(n)};
    if (n % 50 == 0) {
      batch.checkpoint = CheckpointSlice{.put = {{address(1, "a"), std::to_string(n)}},
                                         .journal_through = n,
                                         .meta = std::to_string(n)};
    }
    store->write(std::move(batch));
    if (!released.wait_for(1)) ::_exit(2);
    say("batch " + std::to_string(n) + ".");
  }
}

TEST_CASE("rocks store child: files may not grow" * doctest::skip()) {
  const std::string directory = child_directory();
  if (directory.empty()) return;
  std::signal(SIGXFSZ, SIG_IGN);
  std::mutex mutex;
  std::condition_variable changed;
  int failures = 0;
  auto store = RocksStore::open({.data_dir = directory, .on_failure = [&](absl::Status) {
                                   const std::lock_guard lock(mutex);
                                   ++failures;
                                   changed.notify_all();
                                 }});
  REQUIRE(store.ok());
  Released released;
  (*store)->write({.number = 1, .journal = "fits", .release = released.mark(1)});
  REQUIRE(released.wait_for(1));
  const rlimit limit{.rlim_cur = 1 << 20, .rlim_max = 1 << 20};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
  for (std::uint64_t n = 2; n <= 9; ++n) {
    (*store)->write(
        {.number = n, .journal = std::string(4 << 20, 'x'), .release = released.mark(n)});
  }
  {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, kPatience, [&] { return failures > 0; })) ::_exit(2);
  }
  (*store)->write({.number = 10, .journal = "fits", .release = released.mark(10)});
  (*store)->stop();
  say("released " + std::to_string(released.numbers().size()) + ", failures " +
      std::to_string(failures) + ".");
}

TEST_CASE("a new directory is empty, and is made") {
  Directory directory;
  auto store = open_store(directory.path + "/a/b");
  const Contents contents = read_all(*store);
  CHECK(contents.status.ok());
  CHECK(contents.meta.empty());
  CHECK(contents.rows.empty());
  CHECK(contents.journal.empty());
  CHECK(store->free_bytes() > 0);
  CHECK(store->pending() == 0);
}

TEST_CASE("batches are released in order and read back in order") {
  Directory directory;
  {
    auto store = open_store(directory.path);
    Released released;
    std::vector<std::uint64_t> expected;
    for (std::uint64_t n = 1; n <= 1000; ++n) {
      // Every fifth has nothing to write, and is released in its turn all the same.
      store->write({.number = n,
                    .journal = n % 5 == 0 ? "" : "j" + std::to_string(n),
                    .release = released.mark(n)});
      expected.push_back(n);
    }
    REQUIRE(released.wait_for(1000));
    CHECK(released.numbers() == expected);
    store->stop();
    CHECK(store->pending() == 0);
  }
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  REQUIRE(contents.status.ok());
  REQUIRE(contents.journal.size() == 800);
  CHECK(contents.journal.front() == std::pair<std::uint64_t, std::string>(1, "j1"));
  CHECK(contents.journal.back() == std::pair<std::uint64_t, std::string>(999, "j999"));
}

TEST_CASE("stop writes and releases what is queued") {
  Directory directory;
  auto store = open_store(directory.path);
  Released released;
  for (std::uint64_t n = 1; n <= 200; ++n) {
    store->write({.number = n, .journal = "j", .release = released.mark(n)});
  }
  store->stop();
  CHECK(released.numbers().size() == 200);
  store->write({.number = 201, .journal = "late", .release = released.mark(201)});
  CHECK(released.numbers().size() == 200);
}

TEST_CASE("a checkpoint keeps rows and meta, and drops the journal that it covers") {
  Directory directory;
  {
    auto store = open_store(directory.path);
    write_batches(*store, 1, 3);
    CheckpointSlice first{.put = {{address(7, "a"), "old"}, {address(7, "b"), "gone soon"}}};
    store->write({.number = 4, .journal = "j4", .checkpoint = std::move(first)});
    CheckpointSlice last{
        .put = {{address(7, "a"), "new"}, {address(9, "c"), std::string("\0x", 2)}},
        .drop = {address(7, "b")},
        .journal_through = 4,
        .meta = "up to 4"};
    store->write({.number = 5, .journal = "j5", .checkpoint = std::move(last)});
    store->write({.number = 6, .journal = "j6"});
    store->stop();
  }
  {
    auto store = open_store(directory.path);
    const Contents contents = read_all(*store);
    REQUIRE(contents.status.ok());
    CHECK(contents.meta == "up to 4");
    CHECK(contents.rows ==
          std::map<std::string, std::string>{{"7/1/a", "new"}, {"9/1/c", std::string("\0x", 2)}});
    REQUIRE(contents.journal.size() == 2);
    CHECK(contents.journal[0].second == "j5");
    CHECK(contents.journal[1].second == "j6");
    // A checkpoint that covers everything leaves no journal, and numbers go on.
    store->write({.number = 7,
                  .journal = "j7",
                  .checkpoint = CheckpointSlice{.journal_through = 7, .meta = "up to 7"}});
    store->stop();
  }
  {
    auto store = open_store(directory.path);
    CHECK(read_all(*store).journal.empty());
    write_batches(*store, 8, 8);
  }
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  CHECK(contents.status.ok());
  CHECK(contents.meta == "up to 7");
  CHECK(contents.journal.size() == 1);
}

TEST_CASE(
    "of a row that a checkpoint has several times the last stays, in whatever order they are") {
  Directory directory;
  {
    auto store = open_store(directory.path);
    CheckpointSlice slice;
    for (int i = 0; i < 2'000; ++i)  // keys that begin with one another, and share eight bytes
      slice.put.emplace_back(address(1 + i % 2, std::string(1 + i * 7 % 40, 'k')),
                             std::to_string(i));
    store->write({.number = 1, .journal = "j1", .checkpoint = std::move(slice)});
    CheckpointSlice last{.put = {{address(1, ""), "no key"}},
                         .drop = {address(1, "k")},
                         .journal_through = 1,
                         .meta = "up to 1"};
    store->write({.number = 2, .journal = "j2", .checkpoint = std::move(last)});
    // The next one brings back what this one drops.
    CheckpointSlice next{
        .put = {{address(1, "k"), "back"}}, .journal_through = 2, .meta = "up to 2"};
    store->write({.number = 3, .journal = "j3", .checkpoint = std::move(next)});
    store->stop();
  }
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 2'000; ++i)
    expected[std::to_string(1 + i % 2) + "/1/" + std::string(1 + i * 7 % 40, 'k')] =
        std::to_string(i);
  expected["1/1/"] = "no key";
  expected["1/1/k"] = "back";
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  REQUIRE(contents.status.ok());
  CHECK(contents.rows == expected);
}

TEST_CASE("a checkpoint of several files of rows, and drops of all but a few of them") {
  Directory directory;
  const auto checkpoint = [&](RocksStore& store, std::uint64_t number, CheckpointSlice&& slice) {
    slice.journal_through = number;
    slice.meta = "up to " + std::to_string(number);
    Released released;
    store.write({.number = number,
                 .journal = "j",
                 .checkpoint = std::move(slice),
                 .release = released.mark(number)});
    REQUIRE(released.wait_for(1));
  };
  constexpr int kRows = 80'000;
  const auto key = [](int i) { return "order-" + std::to_string(i * 7919 % kRows); };
  const auto value = [](int i) { return std::string(1'000, 'v') + std::to_string(i); };
  {
    auto store = open_store(directory.path);
    CheckpointSlice slice;
    for (int i = 0; i < kRows; ++i) slice.put.emplace_back(address(1, key(i)), value(i));
    // Of a key that is in the first file and in the last the latter stays.
    slice.put.emplace_back(address(1, key(0)), "again");
    checkpoint(*store, 1, std::move(slice));
    store->stop();
  }
  {
    auto store = open_store(directory.path);
    const Contents contents = read_all(*store);
    REQUIRE(contents.status.ok());
    REQUIRE(contents.rows.size() == kRows);
    CHECK(contents.rows.at("1/1/" + key(0)) == "again");
    CHECK(contents.rows.at("1/1/" + key(1)) == value(1));
    CHECK(contents.rows.at("1/1/" + key(kRows - 1)) == value(kRows - 1));
    CheckpointSlice slice;
    for (int i = 2; i < kRows; ++i) slice.drop.push_back(address(1, key(i)));
    checkpoint(*store, 2, std::move(slice));
    checkpoint(*store, 3, {.put = {{address(1, key(2)), "back"}}});
    store->stop();
  }
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  REQUIRE(contents.status.ok());
  CHECK(contents.rows == std::map<std::string, std::string>{{"1/1/" + key(0), "again"},
                                                            {"1/1/" + key(1), value(1)},
                                                            {"1/1/" + key(2), "back"}});
}

TEST_CASE("a rows file that was left behind is not written over: the store may have it, too") {
  Directory directory;
  const auto checkpoint = [&](std::uint64_t number, const std::string& key) {
    auto store = open_store(directory.path);
    CheckpointSlice slice{.put = {{address(1, key), key}},
                          .journal_through = number,
                          .meta = "up to " + std::to_string(number)};
    store->write({.number = number, .journal = "j", .checkpoint = std::move(slice)});
    store->stop();
  };
  checkpoint(1, "a");
  // As a kill leaves it between its new name and the end of the old one.
  int linked = 0;
  for (const auto& file : fs::directory_iterator(directory.path + "/store")) {
    if (file.path().extension() != ".sst") continue;
    fs::create_hard_link(file.path(), directory.path + "/rows.new");
    ++linked;
  }
  REQUIRE(linked == 1);
  open_store(directory.path)->stop();
  CHECK_FALSE(fs::exists(directory.path + "/rows.new"));
  checkpoint(2, "b");
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  REQUIRE(contents.status.ok());
  CHECK(contents.rows == std::map<std::string, std::string>{{"1/1/a", "a"}, {"1/1/b", "b"}});
}

TEST_CASE("an error of a reader's callback ends the reading and comes back") {
  Directory directory;
  auto store = open_store(directory.path);
  write_batches(*store, 1, 2);
  const auto status = store->recovered().read(
      [](RowAddress&&, std::string_view) { return absl::OkStatus(); },
      [](std::uint64_t number, std::string_view) {
        return number == 1 ? absl::CancelledError("enough") : absl::OkStatus();
      });
  CHECK(absl::IsCancelled(status));
}

TEST_CASE("what was released survives a kill at any moment") {
  Directory directory;
  Child child("rocks store child: writes without end", directory.path);
  REQUIRE(child.says("batch 120."));
  child.kill();
  auto store = open_store(directory.path);
  const Contents contents = read_all(*store);
  REQUIRE(contents.status.ok());
  const std::uint64_t covered = contents.meta.empty() ? 0 : std::stoull(contents.meta);
  std::uint64_t last = covered;
  for (const auto& [number, bytes] : contents.journal) {
    CHECK(number == ++last);
    CHECK(bytes == std::string(20'000, static_cast<char>(number)));
  }
  CHECK(last >= 120);
  if (covered > 0) CHECK(std::stoull(contents.rows.at("1/1/a")) >= covered);
}

TEST_CASE("a reader of a store in use sees the rows that its meta record counts on") {
  Directory directory;
  Child child("rocks store child: writes without end", directory.path);
  REQUIRE(child.says("batch 60."));
  for (int look = 0; look < 8; ++look) {
    auto store = open_store(directory.path, /*read_only=*/true);
    const Contents contents = read_all(*store);
    INFO(std::string(contents.status.message()));
    REQUIRE(contents.status.ok());
    REQUIRE(std::stoull(contents.rows.at("1/1/a")) >= std::stoull(contents.meta));
  }
  child.kill();
}

TEST_CASE("a directory has one process at a time") {
  Directory directory;
  Child child("rocks store child: writes without end", directory.path);
  REQUIRE(child.says("open"));
  const absl::Status status = open_status(directory.path);
  CHECK(absl::IsFailedPrecondition(status));
  CHECK(std::string(status.message()).find("in use by another process") != std::string::npos);
  child.kill();
  {
    auto store = open_store(directory.path);
    std::ofstream(directory.path + "/rows.new") << "of that process, which is about to take it";
    CHECK_FALSE(open_status(directory.path).ok());
    CHECK(fs::exists(directory.path + "/rows.new"));
  }
  CHECK(open_status(directory.path).ok());
}

TEST_CASE("a failed write is told once, and nothing is released after it") {
  Directory directory;
  Child child("rocks store child: files may not grow", directory.path);
  CHECK(child.says("released 1, failures 1."));
}

TEST_CASE("damaged values are found when they are read") {
  Directory directory;
  {
    auto store = open_store(directory.path);
    write_batches(*store, 1, 3);
    CheckpointSlice slice{.put = {{address(7, "a"), "row"}}, .journal_through = 1, .meta = "m"};
    store->write({.number = 4, .journal = "j4", .checkpoint = std::move(slice)});
  }
  const auto expect_damage = [&](const std::string& text) {
    auto store = RocksStore::open({.data_dir = directory.path, .on_failure = [](absl::Status) {}});
    const absl::Status status = store.ok() ? read_all(**store).status : store.status();
    CHECK(absl::IsDataLoss(status));
    const std::string message(status.message());
    INFO(message);
    CHECK(message.find(text) != std::string::npos);
    CHECK(message.find("empty data directory") != std::string::npos);
  };
  SUBCASE("a journal value") {
    tamper(directory.path, "journal",
           [](auto& db, auto* f) { flip_last_byte(db, f, big_endian(3)); });
    expect_damage("journal entry 3");
  }
  SUBCASE("a journal value that is too short") {
    tamper(directory.path, "journal",
           [](auto& db, auto* f) { REQUIRE(db.Put({}, f, big_endian(3), "x").ok()); });
    expect_damage("journal entry 3");
  }
  SUBCASE("a journal value under another's key") {
    tamper(directory.path, "journal", [](auto& db, auto* f) {
      std::string value;
      REQUIRE(db.Get({}, f, big_endian(3), &value).ok());
      REQUIRE(db.Put({}, f, big_endian(4), value).ok());
    });
    expect_damage("journal entry 4");
  }
  SUBCASE("a row") {
    tamper(directory.path, "rows", [](auto& db, auto* f) {
      flip_last_byte(db, f, big_endian(7) + std::string(1, '\1') + "a");
    });
    expect_damage("is damaged");
  }
  SUBCASE("the meta record") {
    tamper(directory.path, "default", [](auto& db, auto* f) { flip_last_byte(db, f, "meta"); });
    expect_damage("meta record");
  }
  SUBCASE("a gap in the middle") {
    tamper(directory.path, "journal",
           [](auto& db, auto* f) { REQUIRE(db.Delete({}, f, big_endian(3)).ok()); });
    expect_damage("is not contiguous");
  }
  SUBCASE("a gap at the beginning") {
    tamper(directory.path, "journal",
           [](auto& db, auto* f) { REQUIRE(db.Delete({}, f, big_endian(2)).ok()); });
    expect_damage("is not contiguous");
  }
  SUBCASE("a lost end") {
    tamper(directory.path, "journal",
           [](auto& db, auto* f) { REQUIRE(db.Delete({}, f, big_endian(4)).ok()); });
    expect_damage("cut or rolled back");
  }
  SUBCASE("a missing mark") {
    fs::remove(directory.path + "/mark");
    expect_damage("mark is missing");
    expect_damage("mark is missing");
  }
  SUBCASE("a damaged mark") {
    std::ofstream(directory.path + "/mark") << "nonsense";
    expect_damage("mark is damaged");
  }
}

TEST_CASE("a log that was cut or damaged in its middle is not taken for the whole") {
  Directory directory;
  Child child("rocks store child: writes without end", directory.path);
  REQUIRE(child.says("batch 60."));  // with a checkpoint among them
  child.kill();
  const fs::path log = log_in_use(directory.path);
  SUBCASE("cut") { fs::resize_file(log, written(log) / 2); }
  SUBCASE("damaged") {
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(written(log) / 2));
    file.write("XXXXXXXX", 8);
  }
  const absl::Status status = open_status(directory.path);
  INFO(std::string(status.message()));
  CHECK(absl::IsDataLoss(status));
}

TEST_CASE("a torn end of the log, beyond what was released, is dropped") {
  Directory directory;
  Child child("rocks store child: writes without end", directory.path);
  REQUIRE(child.says("batch 60."));  // with a checkpoint among them
  child.kill();
  const fs::path log = log_in_use(directory.path);
  SUBCASE("behind its zeros") {
    std::ofstream(log, std::ios::app | std::ios::binary) << std::string(5'000, '\x5a');
  }
  SUBCASE("before them: half of a record") {
    constexpr std::uint64_t kBlock = 32'768, kHeader = 7;
    const std::uint64_t end = written(log), room = kBlock - end % kBlock;
    if (fs::file_size(log) < end + 2 * kBlock) fs::resize_file(log, end + 2 * kBlock);
    const std::uint64_t begin = room > 2'000 ? end : end + room;
    const std::uint64_t length = std::min<std::uint64_t>(8'000, kBlock - begin % kBlock - kHeader);
    std::string half = "sum.";
    half += static_cast<char>(length & 0xff);
    half += static_cast<char>(length >> 8);
    half += '\x01';  // a whole record, so it says
    half += std::string(length / 2, '\x5a');
    std::fstream file(log, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(begin));
    file << half;
  }
  for (const bool read_only : {true, false}) {
    auto store = open_store(directory.path, read_only);
    const Contents contents = read_all(*store);
    CHECK(contents.status.ok());
    REQUIRE(!contents.journal.empty());
    CHECK(contents.journal.back().first >= 60);
  }
}

TEST_CASE("places that cannot be a data directory are named") {
  Directory directory;
  std::ofstream(directory.path + "/file") << "x";
  for (const std::string& path : {directory.path + "/file", directory.path + "/file/below"}) {
    const absl::Status status = open_status(path);
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find(path) != std::string::npos);
  }
}

}  // namespace holdfast::node
