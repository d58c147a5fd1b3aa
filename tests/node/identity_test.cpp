// Disks that were put back: found out at the first contact, what was acknowledged since is kept,
// and what peers had taken of it is taken anew.

#include <doctest/doctest.h>

#include "node/audit.h"
#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

struct Stage : Cluster {
  explicit Stage(std::size_t nodes, std::uint64_t seed = 1)
      : Stage(ClusterOptions{.nodes = nodes, .seed = seed, .forks = true}) {}
  explicit Stage(ClusterOptions options) : Cluster(options) { settle(); }
  void stock_up(std::size_t node, Units units) {
    REQUIRE(call(node, PutSku{.sku = "a"}).succeeded());
    REQUIRE(call(node, Receive{.sku = "a", .quantity = units}).succeeded());
    REQUIRE(converge());
  }
  void hold(std::size_t node, const std::string& id, Units units) {
    const Outcome outcome =
        call(node, Reserve{.id = id, .lines = {{"a", units}}, .ttl_seconds = 3'600, .wait_ms = 0});
    INFO(outcome.detail);
    REQUIRE(outcome.code == Code::created);
  }
  void sell(std::size_t node, const std::string& id, Units units) {
    hold(node, id, units);
    REQUIRE(call(node, Commit{.id = id}).succeeded());
  }
  void isolate(std::size_t node) {
    for (std::size_t other = 0; other < size(); ++other) cut(node, other);
  }
  // The node's disk is an earlier one, and it starts on that, alone.
  void start_alone_on(std::size_t node, const MemoryDisk& disk) {
    crash(node);
    put_back(node, disk);
    isolate(node);
    restart(node);
  }
  // What it sells ("lost") is gone from its disk, not from its peers'; it is alone then, and sells
  // again ("kept").
  void sell_and_put_back(std::size_t node) {
    REQUIRE(converge());
    const MemoryDisk yesterday = disk(node);
    sell(node, "lost", 30);
    REQUIRE(converge());
    start_alone_on(node, yesterday);
    sell(node, "kept", 20);
  }
  // Node 0 is cut off, its directory is copied to node 2 while it is in use, and the copy meets the
  // others first. Each may have sold something since. Up to where the original had written.
  holdfast::crdt::Sequence copy_in_use(bool original_sells) {
    stock_up(0, 100);
    sell(0, "before", 5);
    REQUIRE(converge());
    isolate(0);
    crash(2);
    const holdfast::crdt::Sequence copied = state(0).head(replica(0));
    put_back(2, disk(0));
    restart(2);
    REQUIRE(run_until([&] { return reachable(2) == size() - 2; }, 30'000));
    sell(2, "by-the-copy", 20);
    if (original_sells) sell(0, "by-the-original", 10);
    return copied;
  }
  // As above; the replica is retired, the copy comes to its end, and the original is found out.
  void copy_ends_first(bool original_sells) {
    const holdfast::crdt::Sequence copied = copy_in_use(original_sells);
    const ReplicaId original = replica(0);
    REQUIRE(call(1, Retire{.replica = to_string(original), .successor = "node-3"}).succeeded());
    REQUIRE(run_until([&] { return !lives(2); }, 60'000));
    REQUIRE(state(3).member(original)->row.ended);
    REQUIRE((state(0).head(original) > copied) == original_sells);
    heal_all();
    REQUIRE(run_until([&] { return !lives(0); }, 30'000));
    CHECK(forked(0));
    rejoin(0);
    run_for(30'000);
  }
  void check_sold_by_the_copy() {
    for (const std::size_t node : {0u, 1u, 3u})
      CHECK(seen(node, "by-the-copy").state == HoldState::committed);
  }
  // Everybody agrees, and says that `old` is retired.
  void agree_on_retirement(ReplicaId old) {
    REQUIRE(run_until(
        [&] {
          for (std::size_t i = 0; i < size(); ++i)
            if (!state(i).retired(old) || bytes_of(state(i)) != bytes_of(state(0))) return false;
          return true;
        },
        120'000));
  }
  void check_all(Units sold, Units held, Units available) {
    for (std::size_t i = 0; i < size(); ++i) {
      CAPTURE(i);
      const StockView view = holdfast::tests::stock(call(i, GetStock{"a"}));
      CHECK(view.sold == sold);
      CHECK(product(i).stock.held() == held);
      CHECK(product(i).stock.available() == available);
      CHECK(audit(state(i)).empty());
    }
    CHECK(complaints() == "");
  }
  const holdfast::crdt::Product& product(std::size_t node) const {
    return *state(node).product("a");
  }
  ReservationView seen(std::size_t node, const std::string& id) {
    return reservation(call(node, GetReservation{id}));
  }
};

}  // namespace

TEST_SUITE("identity") {
  TEST_CASE("a disk that was put back: found out at the first contact, nothing acknowledged lost") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      Stage cluster(3, seed);
      cluster.stock_up(0, 100);
      cluster.hold(0, "older", 10);
      cluster.hold(0, "open", 4);
      cluster.hold(0, "given-up", 3);
      const ReplicaId old = cluster.replica(0);
      cluster.sell_and_put_back(0);
      cluster.hold(0, "kept-open", 5);
      REQUIRE(cluster.call(0, Commit{.id = "older"}).succeeded());
      REQUIRE(cluster.call(0, Release{.id = "given-up"}).succeeded());
      REQUIRE(
          cluster.call(0, Receive{.sku = "a", .quantity = 7, .key = {"POST x", "k"}}).succeeded());
      CHECK(cluster.lives(0));

      cluster.heal(0, 1 + seed % 2);  // any peer will do
      REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
      CHECK(cluster.forked(0));
      CHECK(cluster.stopped_for(0).find("not the latest of its replica") != std::string::npos);
      CHECK(cluster.lives(1));
      CHECK(cluster.lives(2));
      cluster.heal_all();
      cluster.rejoin(0);
      CHECK(cluster.replica(0) != old);
      cluster.agree_on_retirement(old);
      // 30 + 20 + 10 sold; open 4 and 5; 107 received.
      cluster.check_all(60, 9, 107 - 69);
      for (const char* id : {"lost", "kept", "older"})
        CHECK(cluster.seen(1, id).state == HoldState::committed);
      CHECK(cluster.seen(2, "given-up").state == HoldState::released);
      CHECK(cluster.seen(1, "kept").home == cluster.replica(0));
      CHECK(cluster.call(0, Commit{.id = "kept-open"}).succeeded());
      CHECK(cluster.call(2, Commit{.id = "open"}).succeeded());  // the old replica's, by its heir
      // The key that was acknowledged by the fork is known to its successor.
      CHECK(
          cluster.call(0, Receive{.sku = "a", .quantity = 7, .key = {"POST x", "k"}}).succeeded());
      REQUIRE(cluster.converge());
      cluster.check_all(69, 0, 107 - 69);
    }
  }

  TEST_CASE("a return that is repeated with its key at a node that was rolled back counts once") {
    for (const bool repeated : {true, false}) {
      CAPTURE(repeated);
      Stage cluster(3);
      cluster.stock_up(0, 100);
      cluster.sell(0, "r", 30);
      REQUIRE(cluster.converge());
      const ReplicaId old = cluster.replica(0);
      const MemoryDisk yesterday = cluster.disk(0);
      const auto bring_back = [&](const std::string& key) {
        return cluster.call(0, Return{.id = "r", .lines = {{"a", 4}}, .key = {"POST r", key}});
      };
      REQUIRE(bring_back("k").succeeded());
      REQUIRE(cluster.converge());
      cluster.start_alone_on(0, yesterday);
      REQUIRE(bring_back(repeated ? "k" : "another").succeeded());
      cluster.heal_all();
      REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
      cluster.rejoin(0);
      cluster.agree_on_retirement(old);
      REQUIRE(cluster.converge());
      cluster.check_all(30, 0, repeated ? 74 : 78);
    }
  }

  TEST_CASE(
      "a fork that is retired before it retired its former self: its heir does (seed 17342)") {
    Stage cluster(3);
    cluster.stock_up(0, 100);
    cluster.hold(0, "open", 4);
    const ReplicaId old = cluster.replica(0);
    cluster.sell_and_put_back(0);
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return cluster.forked(0); }, 30'000));
    cluster.rejoin(0);
    const ReplicaId fork = cluster.replica(0);
    REQUIRE(cluster.run_until([&] { return cluster.state(1).member(fork) != nullptr; }, 10'000));
    CHECK_FALSE(cluster.state(1).retired(old));
    CHECK(cluster.call(1, Retire{.replica = holdfast::crdt::to_string(fork), .successor = "node-1"})
              .succeeded());
    REQUIRE(cluster.run_until(
        [&] { return cluster.state(1).retired(old) && cluster.state(2).retired(old); }, 60'000));
    CHECK(cluster.state(2).heir(old) == cluster.replica(1));
    CHECK(cluster.call(2, Commit{.id = "open"}).succeeded());
    REQUIRE(cluster.run_until(
        [&] {
          return cluster.product(1).stock.held() == 0 && cluster.product(2).stock.held() == 0;
        },
        30'000));
    for (const std::size_t node : {1u, 2u})
      CHECK(holdfast::tests::stock(cluster.call(node, GetStock{"a"})).sold == 54);
  }

  TEST_CASE("what both histories sold is oversold by no more than the rights in the copy") {
    Stage cluster(2);
    cluster.stock_up(0, 100);
    REQUIRE(cluster.call(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 40}).succeeded());
    REQUIRE(cluster.converge());
    const MemoryDisk yesterday = cluster.disk(0);
    const Units rights = cluster.rights(0, "a");
    CHECK(rights == 60);
    const ReplicaId old = cluster.replica(0);
    cluster.sell(0, "lost", 50);
    REQUIRE(cluster.converge());
    cluster.start_alone_on(0, yesterday);
    cluster.sell(0, "kept", 60);
    CHECK(cluster.call(0, Reserve{.id = "more", .lines = {{"a", 1}}, .wait_ms = 0}).code ==
          Code::insufficient_stock);
    cluster.sell(1, "elsewhere", 40);
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
    cluster.rejoin(0);
    cluster.agree_on_retirement(old);
    cluster.check_all(150, 0, -50);
    CHECK(-cluster.product(1).stock.available() <= rights);
    for (std::size_t i = 0; i < 2; ++i) {  // and it shows
      const auto view = cluster.call(i, GetStock{"a"});
      CHECK(holdfast::tests::stock(view).oversold == 50);
      CHECK(holdfast::tests::stock(view).debt >= 50);
    }
    // Nobody sells before that is repaid; what arrives repays it.
    CHECK(cluster.call(0, Reserve{.id = "none", .lines = {{"a", 1}}, .wait_ms = 0}).code ==
          Code::insufficient_stock);
    REQUIRE(cluster.call(1, Receive{.sku = "a", .quantity = 55}).succeeded());
    CHECK(cluster.run_until([&] { return cluster.rights(0, "a") >= 0; }, 60'000));
    REQUIRE(cluster.converge());
    cluster.check_all(150, 0, 5);
  }

  TEST_CASE("peers that had taken rows of the fork drop them, and take the origin anew") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
      CAPTURE(seed);
      Stage cluster(3, seed);
      cluster.stock_up(0, 100);
      const MemoryDisk yesterday = cluster.disk(0);
      const ReplicaId old = cluster.replica(0);
      cluster.isolate(1);
      cluster.sell(0, "lost", 30);
      REQUIRE(cluster.run_until([&] { return cluster.state(2).hold("lost") != nullptr; }, 30'000));
      cluster.run_for(1'000);
      for (const std::size_t other : {0, 2})
        cluster.reset_links(1, other);  // nothing waits on them
      cluster.crash(0);
      cluster.put_back(0, yesterday);
      cluster.isolate(0);
      cluster.heal(0, 1);
      cluster.restart(0);
      REQUIRE(cluster.run_until([&] { return cluster.reachable(0) == 1; }, 30'000));
      // Node 1 knows of nothing that speaks against it.
      cluster.sell(0, "kept", 20);
      REQUIRE(cluster.call(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 15}).succeeded());
      REQUIRE(cluster.run_until([&] { return cluster.rights(1, "a") == 15; }, 30'000));
      cluster.sell(1, "on-it", 6);
      CHECK(cluster.lives(0));
      const auto head = cluster.state(1).head(old);
      CHECK(head > 0);

      cluster.heal(1, 2);  // they differ about node 0, and about nothing else
      cluster.run_for(10'000);
      CHECK(cluster.state(2).hold("on-it") != nullptr);
      CHECK(cluster.state(2).hold("kept") == nullptr);
      CHECK(cluster.state(1).hold("lost") == nullptr);
      cluster.heal_all();
      REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
      cluster.rejoin(0);
      cluster.agree_on_retirement(old);
      cluster.check_all(56, 0, 44);
      CHECK(cluster.rights(0, "a") + cluster.rights(1, "a") + cluster.rights(2, "a") == 44);
      // The same after a restart: the drop is in the journal.
      cluster.run_for(1'000);
      REQUIRE(cluster.converge());
      REQUIRE(cluster.state(1).digest() == cluster.state(2).digest());
      cluster.run_for(100);
      const std::string was = bytes_of(cluster.state(1));
      cluster.crash(1);
      CHECK(bytes_of(cluster.state(1)) == was);
      CHECK(cluster.state(1).digest() == cluster.state(2).digest());
      cluster.restart(1);
      cluster.engine(1).checkpoint_all();
      cluster.run_for(1'000);
      cluster.crash(1);
      CHECK(cluster.state(1).digest() == cluster.state(2).digest());
      CHECK(audit(cluster.state(1)).empty());
      CHECK(cluster.complaints() == "");
    }
  }

  TEST_CASE("a copy of a directory in use: refused, found out, and the original goes on") {
    Stage cluster(3);
    cluster.stock_up(0, 100);
    const ReplicaId original = cluster.replica(0);
    cluster.start_alone_on(2, cluster.disk(0));
    REQUIRE(cluster.replica(2) == original);
    cluster.sell(2, "by-the-copy", 20);
    cluster.sell(0, "original", 10);
    REQUIRE(
        cluster.run_until([&] { return cluster.state(1).hold("original") != nullptr; }, 30'000));
    CHECK(cluster.state(1).hold("by-the-copy") == nullptr);
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return !cluster.lives(2); }, 30'000));
    CHECK(cluster.lives(0));
    CHECK(cluster.forked(2));
    cluster.rejoin(2);
    cluster.run_for(30'000);
    REQUIRE(cluster.converge());
    for (std::size_t i = 0; i < 3; ++i) CHECK_FALSE(cluster.state(i).retired(original));
    cluster.check_all(30, 0, 70);
    CHECK(cluster.rights(0, "a") + cluster.rights(2, "a") == 70);
    cluster.sell(0, "and-on", 1);
  }

  TEST_CASE("a directory copied while in use, and the copy met the peers first: nothing is lost") {
    for (const bool sells_on : {true, false}) {
      CAPTURE(sells_on);
      Stage cluster(3);
      const ReplicaId original = cluster.replica(0);
      cluster.copy_in_use(sells_on);
      REQUIRE(cluster.run_until([&] { return cluster.state(1).hold("by-the-copy") != nullptr; },
                                30'000));
      cluster.run_for(5'000);
      cluster.heal_all();
      // Both are found out, one by the peer and the other by the first. What they shared is shared.
      REQUIRE(cluster.run_until(
          [&] {
            for (const std::size_t node : {0, 2})
              if (!cluster.lives(node) && cluster.forked(node)) cluster.rejoin(node);
            return cluster.replica(0) != original && cluster.replica(2) != original;
          },
          60'000));
      cluster.agree_on_retirement(original);
      cluster.check_all(sells_on ? 35 : 25, 0, sells_on ? 65 : 75);
      for (const char* id : {"before", "by-the-copy"})
        CHECK(cluster.seen(1, id).state == HoldState::committed);
    }
  }

  TEST_CASE(
      "copied while in use and retired: what the copy told before its end stands (seed 17509)") {
    Stage cluster(4);
    cluster.copy_ends_first(false);
    CHECK(cluster.state(0).member(cluster.replica(0))->row.voided_boots.empty());
    cluster.check_sold_by_the_copy();
    cluster.start_anew(2);
    REQUIRE(cluster.converge());
    cluster.check_all(25, 0, 75);
  }

  TEST_CASE(
      "copied while in use and retired, and both wrote: the directory that ended brings it back") {
    Stage cluster(4);
    cluster.copy_ends_first(true);
    CHECK_FALSE(cluster.state(0).member(cluster.replica(0))->row.voided_boots.empty());
    const auto& warnings = cluster.warnings(1);
    CHECK(std::any_of(warnings.begin(), warnings.end(), [](const std::string& warning) {
      return warning.find("Start it once more") != std::string::npos;
    }));
    cluster.restart(2);
    REQUIRE(cluster.run_until([&] { return !cluster.lives(2); }, 60'000));
    CHECK(cluster.forked(2));
    cluster.rejoin(2);
    cluster.run_for(30'000);
    cluster.check_sold_by_the_copy();
    REQUIRE(cluster.converge());
    cluster.check_all(35, 0, 65);
  }

  TEST_CASE("what a fork ends as an heir had ended, and its last trace is purged (seed 6398)") {
    Stage cluster({.nodes = 3, .keep_finished = holdfast::crdt::Millis{10'000}, .forks = true});
    const ReplicaId original = cluster.replica(0);
    cluster.stock_up(0, 100);
    cluster.hold(0, "x", 7);
    REQUIRE(cluster.converge());
    cluster.crash(0);
    cluster.crash(2);
    const auto retire = [&](std::size_t by, std::size_t target) {
      return cluster.call(by, Retire{.replica = to_string(cluster.replica(target)),
                                     .successor = "node-" + std::to_string(by)});
    };
    REQUIRE(retire(1, 2).succeeded());
    cluster.put_back(2, cluster.disk(0));
    cluster.restart(2);
    REQUIRE(cluster.run_until([&] { return cluster.reachable(2) == 1; }, 30'000));
    cluster.isolate(0);
    cluster.restart(0);
    for (const std::size_t node : {0u, 2u})
      REQUIRE(cluster.call(node, Release{"x"}).succeeded());
    REQUIRE(retire(1, 0).succeeded());
    REQUIRE(cluster.run_until([&] { return !cluster.lives(2); }, 60'000));
    REQUIRE(cluster.run_until([&] { return cluster.state(1).hold_of("x", original) == nullptr; },
                              60'000));
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
    REQUIRE(cluster.forked(0));
    cluster.rejoin(0);  // for whom "x" is held under its old name, until it has node 1's rows
    REQUIRE(retire(0, 1).succeeded());
    REQUIRE(cluster.run_until([&] { return !cluster.lives(1); }, 60'000));
    CHECK(cluster.state(0).hold_of("x", original) == nullptr);
    CHECK(cluster.product(0).stock.held() == 0);
    CHECK(cluster.product(0).stock.available() == 100);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("what was seized is not sold again while the rows of who seized it are dropped") {
    Stage cluster(3);
    cluster.stock_up(1, 10);
    const ReplicaId original = cluster.replica(0);
    cluster.isolate(1);
    REQUIRE(
        cluster.call(0, Failover{.target = to_string(cluster.replica(1)), .fraction_ppm = 400'000})
            .succeeded());
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return cluster.rights(1, "a") == 6; }, 30'000));
    REQUIRE(cluster.converge());
    cluster.run_for(10'000);
    // A copy of node 0, beside it, meets node 1 first: its boot is void when node 0 comes back,
    // which has sold since.
    cluster.isolate(0);
    cluster.crash(2);
    cluster.put_back(2, cluster.disk(0));
    const auto head = cluster.state(1).head(original);
    cluster.sell(0, "since", 1);
    cluster.restart(2);
    REQUIRE(cluster.run_until([&] { return cluster.state(1).head(original) > head; }, 30'000));
    cluster.crash(2);
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
    cluster.rejoin(0);
    REQUIRE(cluster.run_until([&] { return cluster.state(1).head(original) == 0; }, 30'000));
    CHECK(cluster.rights(1, "a") == 10);  // over the rows that are there
    CHECK(holdfast::tests::stock(cluster.call(1, GetStock{"a"})).local_available == 6);
    const Outcome refused = cluster.call(1, Reserve{.id = "r", .lines = {{"a", 7}}, .wait_ms = 0});
    CHECK(refused.code == Code::insufficient_stock);
    REQUIRE(cluster.run_until([&] { return cluster.rights(1, "a") == 6; }, 30'000));
    CHECK(holdfast::tests::stock(cluster.call(1, GetStock{"a"})).local_available == 6);
    cluster.hold(1, "all", 6);
  }

  TEST_CASE("a grant that is repeated has the first answer, whatever became of its target") {
    Stage cluster(3);
    cluster.stock_up(0, 100);
    const GrantTo grant{
        .sku = "a", .to = "node-1", .quantity = 10, .key = {"POST /v1/skus/a/grants", "k"}};
    REQUIRE(cluster.call(0, GrantTo(grant)).code == Code::created);
    REQUIRE(cluster.converge());
    REQUIRE(cluster
                .call(0, Retire{.replica = to_string(cluster.replica(1)),
                                .successor = to_string(cluster.replica(2))})
                .succeeded());
    CHECK(cluster.call(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 10}).code ==
          Code::replica_retired);
    CHECK(cluster.call(0, GrantTo(grant)).code == Code::created);
  }

  TEST_CASE("start_requires_peer: no write before a peer has confirmed, and then as ever") {
    Cluster cluster({.nodes = 2, .requires_peer = true});
    cluster.cut(0, 1);
    const auto refused = cluster.call(0, PutSku{.sku = "a"});
    CHECK(refused.code == Code::awaiting_peer);
    CHECK(refused.detail.find("start_requires_peer") != std::string::npos);
    CHECK(cluster.call(0, Release{.id = "r"}).code == Code::awaiting_peer);
    CHECK(cluster.call(0, GetCluster{}).succeeded());
    CHECK_FALSE(cluster.stats(0).ready);
    CHECK(cluster.stats(0).awaits_peer);
    CHECK(cluster.stats(0).awaited == std::vector<std::string>{"node-1:7940"});
    cluster.run_for(30'000);
    CHECK(cluster.call(0, PutSku{.sku = "a"}).code == Code::awaiting_peer);
    cluster.heal_all();
    cluster.settle();
    CHECK(cluster.run_until([&] { return cluster.stats(0).ready; }, 10'000));
    CHECK_FALSE(cluster.stats(0).awaits_peer);
    CHECK(cluster.stats(0).awaited.empty());
    CHECK(cluster.call(0, PutSku{.sku = "a"}).code == Code::created);
    CHECK(cluster.call(0, Receive{.sku = "a", .quantity = 5}).succeeded());
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("boots that everybody has passed are dropped") {
    Cluster cluster({.nodes = 3});
    for (int i = 0; i < 6; ++i) {
      cluster.settle();
      cluster.call(0, PutSku{.sku = "s" + std::to_string(i)});
      cluster.converge();
      cluster.run_for(12'000);  // member rows are refreshed
      cluster.crash(0);
      cluster.restart(0);
    }
    CHECK(cluster.state(0).boots(cluster.replica(0)).size() <= 5);
    cluster.crash(2);  // from here on somebody may stand anywhere
    for (int i = 0; i < 4; ++i) {
      cluster.call(0, PutSku{.sku = "t" + std::to_string(i)});
      cluster.run_for(12'000);
      cluster.crash(0);
      cluster.restart(0);
    }
    CHECK(cluster.state(0).boots(cluster.replica(0)).size() >= 4);
    cluster.restart(2);
    cluster.settle();
    CHECK(cluster.converge());
    CHECK(cluster.complaints() == "");
  }
}
