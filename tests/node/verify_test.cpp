// `holdfast verify` where it must find something: data directories with rows that are valid one by
// one, but not of one piece, written through the store.

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <functional>
#include <string>

#include "node/ledger.h"
#include "node/new_store.h"
#include "tests/node/support/temporary_directory.h"

namespace holdfast::node {
namespace {

constexpr Times kNow{.life_ms = 1'000, .wall_ms = 1'700'000'000'000};

using Directory = tests::TemporaryDirectory;

struct Ended {
  int status = -1;
  std::string output;
};

Ended run(const std::string& arguments) {
  const std::string command = std::string(HOLDFAST_BIN) + " " + arguments + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  Ended ended;
  char piece[4096];
  for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;)
    ended.output.append(piece, n);
  const int status = ::pclose(pipe);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

// 10 lamps, of which 3 are sold and 2 held; then `alter`.
Ended verify_altered(const std::function<void(crdt::State&)>& alter,
                     const std::string& options = "") {
  const Directory directory;
  crdt::State state(ReplicaId{0x5eed});
  Ledger ledger(state, [](const crdt::Product&) { return Units{0}; });
  state.put_member({.region = "eu", .node = "eu-1", .boots = {{1, 11}}});
  ledger.put_sku({.sku = "lamp"}, kNow);
  ledger.receive({.sku = "lamp", .quantity = 10}, kNow);
  const auto hold = [&](const std::string& id, Units units) {
    auto cart = ledger.check({.id = id, .lines = {{"lamp", units}}});
    ledger.hold(std::get<Cart>(std::move(cart)), {units}, kNow);
  };
  hold("sold", 3);
  hold("open", 2);
  ledger.commit(*state.own_hold("sold"), {.id = "sold"}, kNow);
  alter(state);
  std::string rows;
  state.seal(rows);
  const auto written = write_directory(directory.path, state, kNow.life_ms);
  INFO(std::string(written.message()));
  REQUIRE(written.ok());
  return run("verify --data-dir " + directory.path + options);
}

}  // namespace

TEST_CASE("verify: a directory that is of one piece") {
  const Ended ended = verify_altered([](crdt::State&) {});
  INFO(ended.output);
  CHECK(ended.status == 0);
}

TEST_CASE("verify: a total that its holds do not add up to is named, with both figures") {
  const auto sell_one_more = [](crdt::State& state) {
    state.change_stock(*state.product("lamp"), [](crdt::StockRow& row) { row.sold += 1; });
  };
  const Ended ended = verify_altered(sell_one_more);
  INFO(ended.output);
  CHECK(ended.status == 1);
  CHECK(ended.output.find("sold") != std::string::npos);
  CHECK(ended.output.find("lamp") != std::string::npos);
  CHECK(ended.output.find("0000000000005eed") != std::string::npos);
  const Ended json = verify_altered(sell_one_more, " --json");
  INFO(json.output);
  CHECK(json.status == 1);
  CHECK(json.output.find(R"("what":"sold","sku":"lamp","replica":"0000000000005eed","is":4,)"
                         R"("should":3,)") != std::string::npos);
}

TEST_CASE("verify: a hold that was altered shows in what is held") {
  const Ended json = verify_altered(
      [](crdt::State& state) {
        state.change_hold(*state.own_hold("open"), [](crdt::HoldRow& row) {
          row.lines[0].requested = row.lines[0].held = 1;
        });
      },
      " --json");
  INFO(json.output);
  CHECK(json.status == 1);
  CHECK(json.output.find(R"("is":2,"should":1,)") != std::string::npos);
}

TEST_CASE("backup: where it cannot be written is said before anything is read") {
  const Directory directory;
  const auto refused = [&](const std::string& to) {
    const Ended ended = run("backup --data-dir " + directory.path + " --to " + to);
    CHECK(ended.status == 1);
    return ended.output;
  };
  const std::string missing = directory.path + "-none";
  for (const std::string& to : {missing + "/z", missing + "/"}) {
    const std::string said = refused(to);
    INFO(said);
    CHECK(said.find("there is no directory " + missing + ":") != std::string::npos);
    CHECK(said.find(".part") == std::string::npos);
  }
  std::filesystem::create_directories(directory.path + "/store");
  for (const char* inside : {"", "/", "/z", "/store", "/store/../z"}) {
    const std::string said = refused(directory.path + inside);
    INFO(said);
    CHECK(said.find("is in the data directory") != std::string::npos);
  }
  const Directory beside;
  CHECK(refused(beside.path + "/z.part").find("not whole yet") != std::string::npos);
  CHECK(refused(beside.path + "/z").find("in the data directory") == std::string::npos);
}

}  // namespace holdfast::node
