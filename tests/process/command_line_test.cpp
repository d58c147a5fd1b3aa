// Words and files that are wrong on the command line: exit status 2, what is wrong by its name, and
// nothing is changed or left behind.

#include <fstream>
#include <iterator>

#include <doctest/doctest.h>

#include "tests/process/support/process.h"

using namespace process;
namespace fs = std::filesystem;

namespace {

constexpr Millis kPatience(60'000);

void check_refused(const std::vector<std::string>& arguments, const std::string& what) {
  CAPTURE(what);
  const Finished finished = run(arguments, kPatience);
  CAPTURE(finished.output);
  CHECK(finished.status == 2);
  CHECK(finished.output.find(what) != std::string::npos);
  CHECK(finished.output.size() < 1'000);
}

// A shop of one region that takes a moment to simulate.
std::string shop(const std::string& title) {
  return "title = \"" + title + "\"\nduration = \"10s\"\n[[region]]\nname = \"us\"\n" +
         "[stock]\nunits_per_sku = 10\n[demand]\nrate = 1\n";
}

class Folder {
 public:
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_.path() / name, std::ios::binary) << text;
    return at(name);
  }
  std::string at(const std::string& name) const { return (directory_.path() / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(fs::directory_iterator(directory_.path()), fs::directory_iterator()));
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace

TEST_SUITE("command line") {
  TEST_CASE("a word that is no command is named, with those that are") {
    check_refused({"sel"}, "'sel' is not a command; known here: serve, dev, ");
    check_refused({"sim", "fuz"}, "'sim fuz' is not a command; known here: fuzz, ");
    check_refused({"sim"}, "A subcommand is required");
  }

  TEST_CASE("a drill that cannot be is refused before anything is started or written") {
    const Folder folder;
    const std::string kept = folder.write("kept", "of another cluster");
    const std::vector<std::string> drill{"drill", "region-loss", "--seconds", "6", "--rate", "5"};
    const auto with = [&](std::vector<std::string> more) {
      more.insert(more.begin(), drill.begin(), drill.end());
      return more;
    };
    const std::string here = fs::path(kept).parent_path().string();
    check_refused(with({"--data", here}), "--data " + here + " exists and is not an empty");
    check_refused(with({"--data", kept}), "--data " + kept + " exists and is not an empty");
    CHECK(folder.files() == 1);
    const std::string fresh = folder.at("fresh");
    check_refused(with({"--data", fresh, "--lost", "xx"}), "none of the regions: us, eu, ap");
    check_refused(with({"--data", fresh, "--regions", "us"}), "two or more");
    CHECK_FALSE(fs::exists(fresh));
  }

  TEST_CASE("options of the simulator") {
    check_refused({"sim", "scale", "--replicas", "3,,5"}, "--replicas: '' in '3,,5'");
    check_refused({"sim", "fuzz", "--seeds", "9223372036854775808"}, "from 0 to 92233720368547758");
    check_refused({"sim", "replay", "--seed", "1", "--plan", "--json"}, "--plan excludes --json");
    check_refused({"sim", "replay", "--seed", "1", "--end-ms", "-5"}, "--end-ms: must be a whole");
    check_refused({"sim", "replay", "--seed", "1", "--without-operations", "0-999999999999"},
                  "is not in the plan");
  }

  TEST_CASE("growing clusters: in any order, each once, with the hash of their runs") {
    const Finished finished = run({"sim", "scale", "--replicas", "3,2,3", "--json"}, kPatience);
    CAPTURE(finished.output);
    CHECK(finished.status == 0);
    CHECK(finished.output.find("\"x\":[2,3]") != std::string::npos);
    CHECK(finished.output.find("\"hash\":\"0000000000000000\"") == std::string::npos);
  }

  TEST_CASE("a report goes to a file of its own") {
    const Folder folder;
    const std::string orders =
        folder.write("orders.csv",
                     "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,"
                     "Country\n1,A,Lamp,1,2010-12-01 00:00:05,1,7,France\n");
    const std::string scenario =
        folder.write("s.toml",
                     "title = \"t\"\nduration = \"10s\"\n[[region]]\nname = \"eu\"\n[stock]\n"
                     "times_demand = 1\n[demand.orders]\nfile = \"orders.csv\"\n");
    for (const std::string& path : {orders, scenario})
      for (const char* command : {"run", "compare"})
        check_refused({"sim", command, scenario, "--report", path}, "name another file");
    check_refused({"sim", "run", scenario, "--report", ""}, "--report: cannot write ''");
    check_refused({"sim", "run", scenario, "--policy", ""}, "--policy: '' is none of");
    CHECK(fs::file_size(orders) > 80);
    CHECK(folder.files() == 2);
    CHECK(run({"sim", "run", scenario, "--report", folder.at("r.html")}, kPatience).status == 0);
    CHECK(fs::file_size(folder.at("r.html")) > 10'000);
    CHECK(folder.files() == 3);
  }

  TEST_CASE("a file's words drive no terminal, be they titles, keys or seeds that once failed") {
    const Folder folder;
    const std::string title = folder.write("t.toml", shop("\\u001b[31mred\\u009b1m"));
    const std::string key = folder.write("k.toml", shop("t") + "\"\\u001b[31mred\" = 1\n");
    const std::string seeds = folder.write("seeds", "\x1b[31mred\n");
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {"sim", "run", title}, {"sim", "run", key}, {"sim", "regress", seeds}}) {
      const Finished finished = run(words, kPatience);
      CAPTURE(finished.output);
      CHECK(finished.output.find("?[31mred") != std::string::npos);
      CHECK(finished.output.find('\x1b') == std::string::npos);
      CHECK(finished.output.find("\u009b") == std::string::npos);
    }
  }
}
