#include "sim/scenario_file.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <doctest/doctest.h>

#include "sim/demand.h"

namespace fs = std::filesystem;
namespace sim = holdfast::sim;

namespace {

const fs::path kLibrary = fs::path(HOLDFAST_SOURCE_DIR) / "sim" / "scenarios";

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "holdfast-scenario-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }
  std::string at(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

const std::string kWithOrders =
    "title = \"t\"\nduration = \"12h\"\n[[region]]\nname = \"eu\"\n[stock]\ntimes_demand = 1\n"
    "[demand.orders]\nfile = \"orders.csv\"\n";

std::string message(const std::string& path) {
  const auto scenario = sim::load_scenario(path);
  REQUIRE_FALSE(scenario.ok());
  return std::string(scenario.status().message());
}

TEST_SUITE("scenario file") {
  TEST_CASE("the library: every file is good, has customers, and begins with what it teaches") {
    std::set<std::string> names;
    const std::string table = read(kLibrary / "README.md");
    for (const auto& entry : fs::directory_iterator(kLibrary)) {
      if (entry.path().extension() != ".toml") continue;
      const std::string name = entry.path().stem().string();
      CAPTURE(name);
      names.insert(name);
      const auto scenario = sim::load_scenario(entry.path().string());
      REQUIRE_MESSAGE(scenario.ok(), std::string(scenario.status().message()));
      CHECK(read(entry.path()).starts_with("# Teaches: "));
      CHECK_FALSE(scenario->teaches.empty());
      // What decrees cost has a bound of its own; what a disk that is put back costs is in figures.
      const bool put_back = std::any_of(
          scenario->events.begin(), scenario->events.end(),
          [](const sim::ScenarioEvent& e) { return e.kind == sim::EventKind::disk_put_back; });
      CHECK((scenario->expect.oversold_max == 0 || scenario->expect.within_bound || put_back));
      CHECK(sim::total_demand(*scenario).carts > 1'000);
      CHECK(table.find("[" + name + "](" + name + ".toml)") != std::string::npos);
    }
    for (const char* name :
         {"atlantic-cable", "big-day", "christmas", "fifty-replicas", "flash-sale", "lost-disk",
          "one-way-partition", "region-outage-at-peak", "slow-cable", "tenfold-spike"}) {
      CHECK_MESSAGE(names.contains(name), name);
    }
  }

  TEST_CASE("files that are not there, or not scenarios") {
    const Folder folder;
    CHECK(absl::IsNotFound(sim::load_scenario(folder.at("none.toml")).status()));
    CHECK(message(folder.at("none.toml")) ==
          folder.at("none.toml") + ": No such file or directory");
    CHECK(message(folder.at("")).find("is a directory; name a scenario file") != std::string::npos);
    const std::string big = folder.write("big.toml", std::string((1u << 20) + 1, '#'));
    CHECK(message(big) == big + ": is longer than 1 MiB, so not a scenario");
    const std::string typo = folder.write("typo.toml", "titel = \"x\"\n");
    CHECK(message(typo).find(typo + ":1: titel: is not a known key; did you mean title?") !=
          std::string::npos);
  }

  TEST_CASE("orders: beside the scenario; a missing, damaged or broken file is named") {
    const Folder folder;
    const std::string path = folder.write("s.toml", kWithOrders);
    CHECK(absl::IsNotFound(sim::load_scenario(path).status()));
    CHECK(message(path).starts_with(path + ":8: demand.orders.file: cannot read " +
                                    folder.at("orders.csv")));
    const std::string header =
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    folder.write("orders.csv", header + "1,A,Lamp,x,2010-12-01 08:30:00,1,7,France\n");
    CHECK(message(path).starts_with(folder.at("orders.csv") + ":2: "));
    folder.write("orders.csv", header + "1,A,Lamp,4,2010-12-01 08:30:00,1,7,France\n");
    const auto scenario = sim::load_scenario(path);
    REQUIRE(scenario.ok());
    CHECK(scenario->demand.orders->size() == 1);
    folder.write("orders.csv", std::string("\x1f\x8b\x08\0\0\0\0\0\0\3garbage", 17));
    CHECK(message(path).find("is cut or damaged") != std::string::npos);
  }
}

}  // namespace
