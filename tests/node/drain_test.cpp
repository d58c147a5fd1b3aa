// A node that leaves in good order: nodes 0 and 1 are one region, 2 and 3 another. The test is the
// edge: it says Leave when the node may.

#include "node/drain.h"

#include <doctest/doctest.h>

#include "node/audit.h"
#include "tests/node/support/clients.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

struct Regions : Cluster {
  Regions() : Cluster({.nodes = 4, .nodes_per_region = 2, .seizes = true}) {
    settle();
    REQUIRE(call(0, PutSku{.sku = "a"}).succeeded());
    REQUIRE(call(0, Receive{.sku = "a", .quantity = 100}).succeeded());
    REQUIRE(converge());
  }
  ~Regions() { CHECK(complaints() == ""); }
  Code drain(std::size_t node, std::uint32_t wait_seconds = 0, const std::string& to = "") {
    return call(node, StartDrain{.successor = to, .wait_seconds = wait_seconds}).code;
  }
  DrainView view(std::size_t node) { return std::get<DrainView>(call(node, GetDrain{}).view); }
  Code hold(std::size_t node, const std::string& id, Units units) {
    return call(node, Reserve{.id = id, .lines = {{"a", units}}, .ttl_seconds = 600}).code;
  }
  bool until_it_may(std::size_t node, std::int64_t limit_ms = 10'000) {
    return run_until([&] { return may_leave(node); }, limit_ms);
  }
  bool leaves(std::size_t node) {
    if (!until_it_may(node)) return false;
    submit(node, Leave{});
    return run_until([&] { return !lives(node); }, 30'000);
  }
  void check_sums(std::size_t node, Units on_hand, Units held) {
    const auto& stock = state(node).product("a")->stock;
    CHECK(stock.on_hand() == on_hand);
    CHECK(stock.held() == held);
    CHECK(stock.exposure(state(node).retired()) == 0);
    CHECK(audit(state(node)).empty());
  }
};

}  // namespace

TEST_SUITE("a node that leaves in good order") {
  TEST_CASE("its rights are granted, its holds handed over, and nothing is seized") {
    Regions all;
    CHECK(all.hold(0, "open", 7) == Code::created);
    CHECK(all.drain(0) == Code::ok);
    REQUIRE(all.leaves(0));
    CHECK(all.ended(0).find("this node was drained: 'node-1' goes on") == 0);
    REQUIRE(all.run_until([&] { return all.rights(1, "a") == 93; }, 10'000));
    CHECK(all.call(3, Commit{.id = "open"}).code == Code::ok);
    all.run_for(5'000);
    for (const std::size_t node : {1, 2, 3}) {
      all.check_sums(node, 93, 0);
      for (const auto& cell : all.state(node).product("a")->stock.cells())
        for (const auto& peer : cell->row.peers)
          if (cell->origin == all.replica(0)) CHECK(peer.seized == 0);
    }
  }

  TEST_CASE("it may not before its successor has all that it gave") {
    Regions all;
    all.cut(0, 1);
    all.run_for(10'000);
    CHECK(all.drain(0) == Code::last_of_region);
    all.heal_all();
    all.settle();
    CHECK(all.drain(0) == Code::ok);
    all.cut(0, 1);
    CHECK_FALSE(all.until_it_may(0, 20'000));
    CHECK(all.view(0).state == "waiting_for_successor");
    CHECK(all.call(0, Receive{.sku = "a", .quantity = 5}).succeeded());
    CHECK(all.hold(0, "still", 1) == Code::created);  // it sells what it has
    all.heal_all();
    REQUIRE(all.leaves(0));
    all.run_for(5'000);
    CHECK(all.rights(1, "a") == 104);
    all.check_sums(2, 105, 1);
  }

  TEST_CASE("drained to one another at once: neither leaves, until one is told to stay") {
    Regions all;
    const auto one = all.submit(0, StartDrain{}), other = all.submit(1, StartDrain{});
    REQUIRE(all.run_until([&] { return all.answered(one) && all.answered(other); }, 1'000));
    CHECK(all.take(one).code == Code::ok);
    CHECK(all.take(other).code == Code::ok);
    CHECK_FALSE(all.run_until([&] { return all.may_leave(0) || all.may_leave(1); }, 30'000));
    CHECK(all.view(0).state == "waiting_for_successor");
    CHECK(all.hold(0, "still", 1) == Code::created);  // both sell what they have
    CHECK(all.call(1, StopDrain{}).code == Code::ok);
    REQUIRE(all.leaves(0));
    all.run_for(5'000);
    all.check_sums(1, 100, 1);
  }

  TEST_CASE("its successor is to leave as well: another one is given the rest") {
    Cluster all({.nodes = 3, .nodes_per_region = 3, .seizes = true});
    all.settle();
    REQUIRE(all.call(0, PutSku{.sku = "a"}).succeeded());
    REQUIRE(all.call(0, Receive{.sku = "a", .quantity = 100}).succeeded());
    REQUIRE(all.converge());
    CHECK(all.call(0, Reserve{.id = "r", .lines = {{"a", 7}}, .ttl_seconds = 600}).succeeded());
    CHECK(all.call(0, StartDrain{.successor = "node-1", .wait_seconds = 600}).code == Code::ok);
    CHECK(all.call(1, StartDrain{}).code == Code::ok);
    for (const std::size_t node : {1, 0}) {
      if (node == 0) CHECK(all.call(0, Commit{.id = "r"}).succeeded());
      REQUIRE(all.run_until([&] { return all.may_leave(node); }, 30'000));
      all.submit(node, Leave{});
      REQUIRE(all.run_until([&] { return !all.lives(node); }, 30'000));
    }
    CHECK(all.rights(2, "a") == 93);
    CHECK(all.complaints() == "");
  }

  TEST_CASE("a wait for open holds: it ends with the last of them, or with its time") {
    for (const bool released : {true, false}) {
      Regions all;
      CHECK(all.hold(0, "r", 7) == Code::created);
      CHECK(all.drain(0, 60) == Code::ok);
      CHECK_FALSE(all.until_it_may(0, 20'000));
      CHECK(all.view(0).state == "waiting_for_holds");
      if (released) CHECK(all.call(0, Release{.id = "r"}).code == Code::ok);
      CHECK(all.until_it_may(0, 5'000) == released);
      CHECK(all.until_it_may(0, 45'000));
    }
  }

  TEST_CASE("new reservations are its successor's; what is told of the others goes on here") {
    Regions all;
    CHECK(all.hold(0, "r", 7) == Code::created);
    CHECK(all.drain(0, 3'600) == Code::ok);
    all.run_for(1'000);
    CHECK(all.hold(0, "new", 93) == Code::created);
    CHECK(all.state(0).hold("new")->origin == all.replica(1));
    CHECK(all.call(0, Commit{.id = "new"}).code == Code::ok);
    CHECK(all.call(0, Commit{.id = "r"}).code == Code::ok);
    CHECK(all.state(0).hold("r")->origin == all.replica(0));
  }

  TEST_CASE("what is asked while its heir does not know yet waits, and is passed on") {
    Regions all;
    CHECK(all.hold(0, "r", 7) == Code::created);
    REQUIRE(all.converge());
    CHECK(all.drain(0) == Code::ok);
    REQUIRE(all.until_it_may(0));
    all.hold_disk(1);  // it takes nothing now
    all.submit(0, Leave{});
    all.run_for(50);
    const auto asked = all.submit(0, Commit{.id = "r"});
    const auto elsewhere = all.submit(2, Commit{.id = "r"});
    all.run_for(300);
    CHECK_FALSE(all.answered(asked));
    CHECK(all.lives(0));
    all.free_disk(1);
    REQUIRE(all.run_until([&] { return all.answered(asked) && all.answered(elsewhere); }, 10'000));
    CHECK(all.take(asked).code == Code::ok);
    CHECK(all.take(elsewhere).code == Code::ok);
    REQUIRE(all.run_until([&] { return !all.lives(0); }, 10'000));
    all.check_sums(1, 93, 0);
  }

  TEST_CASE("what is asked is not held back for long by an heir that seems to be there") {
    Regions all;
    CHECK(all.hold(0, "r", 7) == Code::created);
    REQUIRE(all.converge());
    CHECK(all.drain(0) == Code::ok);
    REQUIRE(all.until_it_may(0));
    all.hold_disk(1);  // it hears, and says nothing of what depends on its disk
    all.submit(0, Leave{});
    all.run_for(50);
    const auto asked = all.submit(0, Commit{.id = "r"});
    REQUIRE(all.run_until([&] { return all.answered(asked); }, 1'500));
    CHECK(all.take(asked).code == Code::home_unreachable);
    CHECK(all.engine(0).reaches(all.replica(1)));
    all.free_disk(1);
    REQUIRE(all.run_until([&] { return !all.lives(0); }, 10'000));
    CHECK(all.call(1, Commit{.id = "r"}).code == Code::ok);
    all.check_sums(1, 93, 0);
  }

  TEST_CASE("cancelled: it stays, and takes back nothing") {
    Regions all;
    CHECK(all.drain(0, 0, "node-2") == Code::successor_not_live);
    CHECK(all.drain(0, 0, "node-0") == Code::successor_not_live);
    CHECK(all.drain(0, 3'600) == Code::ok);
    CHECK(all.drain(0, 1) == Code::ok);
    CHECK(all.call(0, StopDrain{}).code == Code::ok);
    CHECK(all.view(0).state == "none");
    CHECK(all.call(0, Leave{}).code == Code::ok);  // too late
    all.run_for(5'000);
    CHECK(all.lives(0));
    CHECK_FALSE(all.state(0).retired(all.replica(0)));
    CHECK(all.hold(0, "r", 100) == Code::created);
  }

  TEST_CASE("crashes: before it leaves it stays, afterwards it comes to its end") {
    Regions all;
    CHECK(all.hold(0, "r", 7) == Code::created);
    CHECK(all.drain(0) == Code::ok);
    REQUIRE(all.until_it_may(0));
    all.crash(0);
    all.restart(0);
    all.settle();
    CHECK(all.view(0).state == "none");
    CHECK(all.drain(0) == Code::ok);
    REQUIRE(all.until_it_may(0));
    all.submit(0, Leave{});
    REQUIRE(all.run_until([&] { return all.state(0).retired(all.replica(0)); }, 1'000));
    all.run_for(10);
    all.crash(0);
    all.restart(0);
    REQUIRE(all.run_until([&] { return !all.lives(0); }, 60'000));
    CHECK(all.call(1, Release{.id = "r"}).code == Code::ok);
    all.run_for(5'000);
    all.check_sums(3, 100, 0);
    CHECK(all.rights(1, "a") == 100);
  }
}
