// Homes of SKUs: nodes 0, 1 and 2 are one region, 3 to 5 another.

#include "node/homes.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/node/support/clients.h"

using namespace holdfast::node;
using namespace holdfast::tests;

namespace {

std::string sku(int i) { return "sku-" + std::to_string(i); }

std::map<std::uint64_t, int> spread(const std::vector<Seat>& seats, int skus) {
  std::map<std::uint64_t, int> counts;
  for (int i = 0; i < skus; ++i) ++counts[home_of(sku(i), seats).value];
  return counts;
}

struct Regions : Cluster {
  explicit Regions(const char* policy = "proportional")
      : Cluster({.nodes = 6, .nodes_per_region = 3, .rebalance = {.policy = find_policy(policy)}}) {
    settle();
    REQUIRE(call(0, PutSku{.sku = "a"}).succeeded());
    REQUIRE(converge());
  }
  ~Regions() { CHECK(complaints() == ""); }

  std::size_t home() const {
    const ReplicaId replica_of =
        home_of("a", {{replica(0), 100}, {replica(1), 100}, {replica(2), 100}});
    for (const std::size_t node : {0, 1, 2})
      if (replica(node) == replica_of) return node;
    return 6;
  }
  std::size_t other() const { return home() == 0 ? 1 : 0; }
  std::size_t third() const { return 3 - home() - other(); }
  void receive(std::size_t node, Units units) {
    REQUIRE(call(node, Receive{.sku = "a", .quantity = units}).succeeded());
    REQUIRE(converge());
  }
  Outcome hold(std::size_t node, const std::string& id, Units units, std::uint32_t wait_ms = 100) {
    return call(node, Reserve{.id = id, .lines = {{"a", units}}, .wait_ms = wait_ms});
  }
  ReplicaId made_at(const std::string& id) const { return state(0).hold(id)->origin; }
};

}  // namespace

TEST_SUITE("homes") {
  TEST_CASE("SKUs spread by weight; who has none is home to nothing") {
    const auto counts = spread(
        {{ReplicaId{1}, 100}, {ReplicaId{2}, 100}, {ReplicaId{3}, 200}, {ReplicaId{4}, 0}}, 40'000);
    CHECK(counts.at(1) == doctest::Approx(10'000).epsilon(0.05));
    CHECK(counts.at(2) == doctest::Approx(10'000).epsilon(0.05));
    CHECK(counts.at(3) == doctest::Approx(20'000).epsilon(0.05));
    CHECK_FALSE(counts.contains(4));
    CHECK_FALSE(home_of("a", {}));
    CHECK_FALSE(home_of("a", {{ReplicaId{4}, 0}}));
  }

  TEST_CASE("a seat that comes takes its part, and nothing moves between two others") {
    const std::vector<Seat> two{{ReplicaId{1}, 100}, {ReplicaId{2}, 100}};
    std::vector<Seat> three = two;
    three.push_back({ReplicaId{3}, 100});
    int moved = 0;
    for (int i = 0; i < 9'000; ++i) {
      const ReplicaId before = home_of(sku(i), two), now = home_of(sku(i), three);
      if (now == before) continue;
      CHECK(now == ReplicaId{3});
      ++moved;
    }
    CHECK(moved == doctest::Approx(3'000).epsilon(0.1));
  }

  TEST_CASE("a region's demand is its home's, and its other nodes are no places for rights") {
    Outlook outlook;
    outlook.self = {.replica = ReplicaId{1},
                    .rights = 10,
                    .demand = 1,
                    .overall = 3,
                    .cart = 2,
                    .region = "eu",
                    .weight = 0};
    outlook.peers = {{.replica = ReplicaId{2},
                      .demand = 2,
                      .overall = 4,
                      .cart = 1,
                      .region = "eu",
                      .weight = 100},
                     {.replica = ReplicaId{3}, .demand = 5, .region = "us", .weight = 100},
                     {.replica = ReplicaId{4},
                      .demand = 6,
                      .reachable = false,
                      .region = "us",
                      .weight = 10'000'000}};
    gather_at_homes("a", outlook);
    CHECK_FALSE(outlook.self.is_home);
    CHECK(outlook.self.demand == 0);
    CHECK(outlook.self.rights == 10);
    CHECK(outlook.peers[0].is_home);
    CHECK(outlook.peers[0].demand == 3);
    CHECK(outlook.peers[0].overall == 7);
    CHECK(outlook.peers[0].cart == 2);
    CHECK(outlook.peers[1].demand == 11);  // whom nobody reaches is no home
    const RebalancePolicy& policy = *find_policy("proportional");
    CHECK(policy.target(outlook) == 0);
    CHECK(policy.spare(outlook, ReplicaId{2}) == 10);
    CHECK(policy.spare(outlook, ReplicaId{4}) == 0);
  }

  TEST_CASE("rights that come elsewhere in the region are pulled to the home") {
    Regions all;
    all.receive(all.other(), 1'000);
    for (int i = 0; i < 5; ++i) {
      CHECK(all.hold(all.other(), "r" + std::to_string(i), 2).succeeded());
      all.run_for(2'000);
    }
    CHECK(all.rights(all.home(), "a") > 400);
    CHECK(all.rights(all.third(), "a") == 0);
  }

  TEST_CASE("own rights first, then the home decides") {
    Regions all("on-demand");
    all.receive(all.other(), 3);
    all.receive(all.home(), 50);
    CHECK(all.hold(all.other(), "here", 3).code == Code::created);
    CHECK(all.hold(all.other(), "there", 3).code == Code::created);
    CHECK(all.hold(all.other(), "there", 3).code == Code::ok);
    CHECK(all.hold(all.other(), "too-much", 48).code == Code::insufficient_stock);
    REQUIRE(all.converge());
    CHECK(all.made_at("here") == all.replica(all.other()));
    CHECK(all.made_at("there") == all.replica(all.home()));
    CHECK(all.call(all.third(), Commit{.id = "there"}).code == Code::ok);
    CHECK(all.stats(all.other()).grants_received == 0);
  }

  TEST_CASE("with the home down another node decides, and rights come by grants") {
    Regions all("on-demand");
    all.receive(all.third(), 10);
    all.crash(all.home());
    all.run_for(5'000);
    CHECK(all.hold(all.other(), "r", 4).code == Code::created);
  }

  TEST_CASE("a home that says nothing is not waited for twice; what it made gives way") {
    Regions all("on-demand");
    all.receive(all.home(), 50);
    all.receive(all.third(), 50);
    all.hold_disk(all.home());
    const std::int64_t began = all.now_ms();
    CHECK(all.hold(all.other(), "r", 4, 100).code == Code::created);
    CHECK(all.now_ms() - began < 800);
    const std::int64_t then = all.now_ms();
    CHECK(all.hold(all.other(), "s", 4, 100).code == Code::created);
    CHECK(all.now_ms() - then < 100);
    all.free_disk(all.home());
    REQUIRE(all.converge());
    CHECK(all.truth("a").held == 8);
  }

  TEST_CASE("a home that does not reach whoever has the rights is not the last word") {
    Regions all("on-demand");
    all.receive(3, 50);
    all.cut(all.home(), 3);
    all.run_for(5'000);
    CHECK(all.hold(all.other(), "r", 4, 1'000).code == Code::created);
    all.heal_all();
    REQUIRE(all.converge());
    CHECK(all.made_at("r") == all.replica(all.other()));
  }

  TEST_CASE(
      "refused here while the home may have made it: the outcome is unknown, and then known") {
    Regions all("on-demand");
    all.receive(all.home(), 50);
    all.hold_disk(all.home());
    CHECK(all.hold(all.other(), "r", 4, 50).code == Code::outcome_unknown);
    all.free_disk(all.home());
    REQUIRE(all.converge());
    CHECK(all.hold(all.other(), "r", 4, 50).code == Code::ok);
    CHECK(all.truth("a").held == 4);
  }

  TEST_CASE("a home that has not heard of the SKU yet does not refuse it") {
    Regions all("on-demand");
    const auto made = all.submit(all.other(), PutSku{.sku = "a-new"});
    std::vector<std::uint64_t> tokens;
    for (const char* id : {"r1", "r2", "r3"})  // all in one turn: their calls go before the rows
      tokens.push_back(
          all.submit(all.other(), Reserve{.id = id, .lines = {{"a-new", 9}}, .wait_ms = 0}));
    REQUIRE(all.run_until([&] { return all.answered(tokens.back()); }, 1'000));
    CHECK(all.take(made).succeeded());
    for (const std::uint64_t token : tokens)
      CHECK(all.take(token).code == Code::insufficient_stock);
    CHECK(all.stats(all.other()).forwards >= 1);
  }
}
