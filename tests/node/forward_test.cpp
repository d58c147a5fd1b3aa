// Where a reservation is decided: verbs that reach another node than the home.

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

// Three nodes; 10 units of "a" at node 0.
struct Regions {
  explicit Regions(ClusterOptions options = {}) : cluster(three(options)) {
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    CHECK(cluster.converge());
  }
  ~Regions() { CHECK(cluster.complaints() == ""); }
  static ClusterOptions three(ClusterOptions options) {
    options.nodes = 3;
    return options;
  }
  Code code(std::size_t node, Command command) {
    return cluster.call(node, std::move(command)).code;
  }
  void hold(const std::string& id) {
    CHECK(code(0, Reserve{.id = id, .lines = {{"a", 2}}}) == Code::created);
  }
  Cluster cluster;
};

}  // namespace

TEST_SUITE("forwarding") {
  TEST_CASE("every verb works at every node") {
    for (const bool row_is_there : {true, false}) {
      CAPTURE(row_is_there);
      Regions regions;
      regions.hold("c");
      regions.hold("r");
      if (row_is_there) CHECK(regions.cluster.converge());
      const Outcome read = regions.cluster.call(1, GetReservation{"c"});
      CHECK(reservation(read).state == HoldState::held);
      CHECK(reservation(read).home == regions.cluster.replica(0));
      CHECK(reservation(read).home_region == "region-0");
      CHECK(regions.code(2, Extend{.id = "c", .ttl_seconds = 5'000}) == Code::ok);
      CHECK(regions.code(1, Commit{.id = "c"}) == Code::ok);
      CHECK(regions.code(2, Commit{.id = "c"}) == Code::ok);
      CHECK(regions.code(2, Release{"r"}) == Code::ok);
      CHECK(regions.code(1, Commit{.id = "r"}) == Code::reservation_closed);
      const Return giving_back{.id = "c", .lines = {{"a", 1}}, .key = {"POST c", "k"}};
      CHECK(regions.code(1, giving_back) == Code::ok);
      CHECK(regions.code(2, giving_back) == Code::ok);  // one effect, wherever it is asked
      CHECK(regions.cluster.truth("a").returned == 1);
      CHECK(regions.cluster.truth("a").sold == 2);
      CHECK(regions.cluster.truth("a").held == 0);
    }
  }

  TEST_CASE("a put of an id that is known from another home goes there") {
    Regions regions;
    regions.hold("r");
    CHECK(regions.cluster.converge());
    const Reserve same{.id = "r", .lines = {{"a", 2}}};
    CHECK(regions.code(1, same) == Code::ok);
    CHECK(regions.code(1, Reserve{.id = "r", .lines = {{"a", 3}}}) == Code::reservation_conflict);
    CHECK(regions.cluster.truth("a").held == 2);
    regions.cluster.crash(0);
    regions.cluster.run_for(6'000);
    CHECK(regions.code(1, same) == Code::home_unreachable);
  }

  TEST_CASE("an id that nobody knows is 404 if all say so, else 503") {
    Regions regions;
    for (const std::size_t node : {0u, 1u, 2u}) {
      CHECK(regions.code(node, Commit{.id = "no"}) == Code::unknown_reservation);
      CHECK(regions.code(node, GetReservation{"no"}) == Code::unknown_reservation);
    }
    regions.cluster.crash(2);
    CHECK(regions.code(1, GetReservation{"no"}) == Code::home_unreachable);  // not noticed yet
    regions.cluster.run_for(6'000);
    for (const std::size_t node : {0u, 1u}) {
      CHECK(regions.code(node, Commit{.id = "no"}) == Code::home_unreachable);
      CHECK(regions.code(node, GetReservation{"no"}) == Code::home_unreachable);
    }
    regions.cluster.restart(2);
    regions.cluster.settle();
    CHECK(regions.code(0, GetReservation{"no"}) == Code::unknown_reservation);
  }

  TEST_CASE("a node alone answers 404 by itself") {
    Cluster cluster;
    CHECK(cluster.call(0, Release{"no"}).code == Code::unknown_reservation);
  }

  TEST_CASE("the home away: verbs are 503, what is known can be read") {
    Regions regions;
    regions.hold("r");
    CHECK(regions.cluster.converge());
    regions.cluster.crash(0);
    regions.cluster.run_for(6'000);
    CHECK(regions.code(1, Commit{.id = "r"}) == Code::home_unreachable);
    CHECK(regions.code(1, Release{"r"}) == Code::home_unreachable);
    const Outcome copy = regions.cluster.call(1, GetReservation{"r"});
    CHECK(reservation(copy).state == HoldState::held);
    CHECK_FALSE(reservation(copy).final);
    regions.cluster.run_for(900'000);
    const Outcome late = regions.cluster.call(1, GetReservation{"r"});
    CHECK(reservation(late).state == HoldState::expired);  // it seems so from here
    CHECK_FALSE(reservation(late).final);
    CHECK(regions.cluster.truth("a").held == 2);  // only the home ends it
    regions.cluster.restart(0);
    regions.cluster.settle();
    CHECK(regions.code(1, Commit{.id = "r"}) == Code::ok);  // downtime does not count
    CHECK(regions.cluster.converge());
    CHECK(reservation(regions.cluster.call(2, GetReservation{"r"})).final);
  }

  TEST_CASE("sent, and no answer: the outcome is unknown, and the same call tells it later") {
    Regions regions;
    regions.hold("r");
    CHECK(regions.cluster.converge());
    regions.cluster.hold_disk(0);
    const std::int64_t began = regions.cluster.now_ms();
    CHECK(regions.code(1, Commit{.id = "r"}) == Code::outcome_unknown);
    CHECK(regions.cluster.now_ms() - began >= 2'000);
    CHECK(regions.cluster.now_ms() - began < 2'600);
    regions.cluster.free_disk(0);
    regions.cluster.settle();
    CHECK(regions.code(1, Commit{.id = "r"}) == Code::ok);
    CHECK(regions.cluster.truth("a").sold == 2);
  }

  TEST_CASE("a link that ends under a call: unknown at once; a read shows what is known here") {
    Regions regions;
    regions.hold("r");
    CHECK(regions.cluster.converge());
    regions.cluster.hold_disk(0);
    const auto commit = regions.cluster.submit(1, Commit{.id = "r"});
    const auto read = regions.cluster.submit(1, GetReservation{"r"});
    regions.cluster.run_for(20);
    regions.cluster.reset_links(0, 1);
    regions.cluster.run_for(20);
    CHECK(regions.cluster.take(commit).code == Code::outcome_unknown);
    CHECK(reservation(regions.cluster.take(read)).state == HoldState::held);
    regions.cluster.free_disk(0);
  }

  TEST_CASE("a peer that knows whose it is does not go there in our place") {
    // Node 2 knows the hold; node 1 does not, and is told by 2 whose it is.
    Regions regions;
    regions.cluster.cut(0, 1);
    regions.cluster.run_for(4'000);
    CHECK(regions.code(0, Reserve{.id = "r", .lines = {{"a", 2}}}) == Code::created);
    regions.cluster.run_until([&] { return regions.cluster.state(2).hold("r") != nullptr; }, 1'000);
    REQUIRE(regions.cluster.state(1).hold("r") == nullptr);
    const auto before = regions.cluster.stats(2).forwards;
    CHECK(regions.code(1, Commit{.id = "r"}) == Code::home_unreachable);
    CHECK(regions.cluster.stats(2).forwards == before);
    CHECK(regions.cluster.truth("a").held == 2);
  }

  TEST_CASE("a call is forwarded once: what reaches a node that is not the home ends there") {
    Regions regions;
    CHECK(regions.code(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 5}) == Code::created);
    CHECK(regions.cluster.converge());
    for (const auto& [a, b] : {std::pair{0, 1}, {0, 2}, {1, 2}}) regions.cluster.cut(a, b);
    regions.cluster.run_for(4'000);
    for (const std::size_t node : {0u, 1u})
      CHECK(regions.code(node, Reserve{.id = "r", .lines = {{"a", 2}}}) == Code::created);
    const auto sees = [&](std::size_t node, std::size_t home) {
      return regions.cluster.run_until(
          [&] {
            const auto* hold = regions.cluster.state(node).hold("r");
            return hold != nullptr && hold->origin == regions.cluster.replica(home);
          },
          5'000);
    };
    regions.cluster.heal(1, 2);
    REQUIRE(sees(2, 1));
    regions.cluster.heal(0, 1);
    REQUIRE(sees(1, 0));  // node 2 still believes in node 1, node 1 in node 0
    REQUIRE(regions.cluster.state(2).hold("r")->origin == regions.cluster.replica(1));
    const auto before = regions.cluster.stats(1).forwards;
    CHECK(regions.code(2, Commit{.id = "r"}) == Code::home_unreachable);
    CHECK(regions.cluster.stats(1).forwards == before);
    CHECK(regions.cluster.truth("a").sold == 0);
  }

  TEST_CASE("a cart may wait at its home on behalf of a client elsewhere") {
    Regions regions;
    regions.hold("first");
    CHECK(regions.code(0, Release{"first"}) == Code::ok);
    CHECK(regions.cluster.converge());
    const auto cart =
        regions.cluster.submit(1, Reserve{.id = "r", .lines = {{"a", 10}}, .wait_ms = 4'000});
    const auto other = regions.cluster.submit(2, Commit{.id = "r"});
    regions.cluster.run_until([&] { return regions.cluster.answered(other); }, 10'000);
    CHECK(regions.cluster.take(cart).code == Code::created);
    CHECK(regions.cluster.take(other).code == Code::ok);  // it found the cart that waits
    CHECK(regions.cluster.truth("a").sold == 10);
  }

  TEST_CASE("one id put in two regions that cannot see each other: one gives its units back") {
    Regions regions;
    CHECK(regions.code(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 5}) == Code::created);
    CHECK(regions.cluster.converge());
    regions.cluster.cut(0, 1);
    regions.cluster.cut(1, 2);
    regions.cluster.run_for(6'000);
    const Reserve same{.id = "r", .lines = {{"a", 2}}};
    CHECK(regions.code(0, same) == Code::created);
    CHECK(regions.code(1, same) == Code::created);
    regions.cluster.heal_all();
    regions.cluster.settle();
    CHECK(regions.cluster.converge());
    CHECK(regions.cluster.truth("a").held == 2);
    for (const std::size_t node : {0u, 1u, 2u}) {
      const Outcome read = regions.cluster.call(node, GetReservation{"r"});
      CHECK(reservation(read).home == regions.cluster.replica(0));  // the lower id stands
    }
    CHECK(regions.code(1, same) == Code::ok);
  }
}
