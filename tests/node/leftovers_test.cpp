// What a killed backup leaves behind: gone with the next one, unless somebody has it in use.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "node/backup_file.h"
#include "node/reader_place.h"
#include "tests/node/support/temporary_directory.h"

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;
using Directory = tests::TemporaryDirectory;

std::string write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

// As another process would have it: locks of one file that was opened twice exclude each other.
struct Locked {
  explicit Locked(const std::string& path) : fd(::open(path.c_str(), O_RDONLY)) {
    REQUIRE(::flock(fd, LOCK_EX | LOCK_NB) == 0);
  }
  ~Locked() { ::close(fd); }
  int fd;
};

absl::Status back_up(const std::string& path) {
  const crdt::State state(crdt::ReplicaId{0x5eed});
  return write_backup(path, state, 0, [](std::uint64_t) {}).status();
}

constexpr const char* kCut = "HOLDFAST BACKUP 1\nand then it was killed";

}  // namespace

TEST_CASE("a reader's directory goes with it; what another left goes when one is made") {
  const Directory parent;
  const std::string left = parent.path + "/holdfast-reader-left";
  const std::string others = parent.path + "/holdfast-other";
  fs::create_directory(left);
  fs::create_directory(others);
  write(left + "/MANIFEST", "x");
  std::string path;
  {
    const auto place = ReaderPlace::make(parent.path);
    REQUIRE(place.ok());
    path = place->path();
    CHECK(fs::is_directory(path));
    CHECK_FALSE(fs::exists(left));
    CHECK(fs::exists(others));
    write(path + "/file", "x");
    const auto second = ReaderPlace::make(parent.path);
    REQUIRE(second.ok());
    CHECK(second->path() != path);
    CHECK(fs::exists(path + "/file"));  // that one lives
  }
  CHECK_FALSE(fs::exists(path));
  CHECK(std::distance(fs::directory_iterator(parent.path), fs::directory_iterator()) == 1);
  const auto nowhere = ReaderPlace::make(parent.path + "/none");
  CHECK(std::string(nowhere.status().message()).find(parent.path + "/none") != std::string::npos);
}

TEST_CASE("a backup removes drafts of killed ones beside it, and nothing else") {
  const Directory directory;
  const auto at = [&](const std::string& name) { return directory.path + "/" + name; };
  const std::string cut = write(at("monday.backup.part"), kCut);
  const std::string same = write(at("today.backup.part"), kCut);
  const std::string foreign = write(at("film.part"), "not a backup");
  const std::string whole = write(at("sunday.backup"), kCut);
  const std::string used = write(at("tuesday.backup.part"), kCut);
  const Locked lock(used);
  const absl::Status status = back_up(at("today.backup"));
  INFO(std::string(status.message()));
  REQUIRE(status.ok());
  CHECK_FALSE(fs::exists(cut));
  CHECK_FALSE(fs::exists(same));
  for (const std::string& path : {foreign, whole, used, at("today.backup")}) {
    CAPTURE(path);
    CHECK(fs::exists(path));
  }
  CHECK(absl::IsAlreadyExists(back_up(at("tuesday.backup"))));  // two of one name at once
  CHECK(fs::file_size(used) == std::string(kCut).size());
}

}  // namespace holdfast::node
