#include "sim/cli_report_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

namespace fs = std::filesystem;
namespace sim = holdfast::sim;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "holdfast-report-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string at(const std::string& name) const { return (path_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return at(name);
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

 private:
  fs::path path_;
};

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_SUITE("report file") {
  TEST_CASE("what was read is not written over, by whatever name") {
    const Folder folder;
    const std::string scenario = folder.write("s.toml", "s"), orders = folder.write("o.csv", "o");
    fs::create_symlink("o.csv", folder.at("link"));
    fs::create_hard_link(orders, folder.at("hard"));
    for (const char* name : {"s.toml", "o.csv", "link", "hard", "./o.csv"}) {
      CAPTURE(name);
      const auto status = sim::check_report_path(folder.at(name), {scenario, orders, ""});
      CHECK(absl::IsInvalidArgument(status));
      CHECK(status.message().find("name another file") != absl::string_view::npos);
    }
    CHECK(sim::check_report_path(folder.at("r.html"), {scenario, orders, ""}).ok());
    CHECK(read(orders) == "o");
    CHECK(folder.files() == 4);
  }

  TEST_CASE("the check leaves nothing behind; what cannot be written is refused") {
    const Folder folder;
    CHECK(sim::check_report_path(folder.at("new.html"), {}).ok());
    CHECK(folder.files() == 0);
    const std::string old = folder.write("old.html", "old");
    CHECK(sim::check_report_path(old, {}).ok());
    CHECK(read(old) == "old");
    for (const std::string& path :
         {std::string(), folder.at(""), folder.at("none/r.html"), folder.at("old.html/r.html")}) {
      CAPTURE(path);
      CHECK(absl::IsInvalidArgument(sim::check_report_path(path, {})));
      CHECK_FALSE(sim::write_report(path, "page").ok());
    }
    CHECK(folder.files() == 1);
  }

  TEST_CASE("written whole, in place of what was there; a link and its file's rights stay") {
    const Folder folder;
    const std::string old = folder.write("old.html", "a longer page");
    fs::permissions(old, fs::perms(0640));
    fs::create_symlink("old.html", folder.at("link"));
    struct stat before {};
    REQUIRE(stat(old.c_str(), &before) == 0);
    CHECK(sim::write_report(folder.at("link"), "page").ok());
    CHECK(read(old) == "page");
    CHECK(fs::is_symlink(folder.at("link")));
    CHECK(fs::status(old).permissions() == fs::perms(0640));
    struct stat after {};
    REQUIRE(stat(old.c_str(), &after) == 0);
    CHECK(after.st_ino != before.st_ino);  // renamed: whoever reads the old one has all of it
    CHECK(sim::write_report(folder.at("new.html"), "new").ok());
    CHECK(read(folder.at("new.html")) == "new");
    CHECK(folder.files() == 3);
    CHECK(sim::write_report("/dev/null", "page").ok());
    CHECK(fs::is_character_file("/dev/null"));
    CHECK_FALSE(sim::write_report("/dev/full", "page").ok());
  }
}

}  // namespace
