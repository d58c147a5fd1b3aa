// The order contract: what depends on a batch leaves when the batch is durable, and in order. And
// what the driver refuses by itself: work that is late, or that the disk has no room for.

#include "node/driver.h"

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;

namespace {

void stock_up(Cluster& cluster, Units units = 100) {
  cluster.settle();
  cluster.call(0, PutSku{.sku = "a"});
  cluster.call(0, Receive{.sku = "a", .quantity = units});
  CHECK(cluster.converge());
}

std::uint64_t reserve(Cluster& cluster, const std::string& id) {
  return cluster.submit(0, Reserve{.id = id, .lines = {{"a", 1}}, .wait_ms = 0});
}

}  // namespace

TEST_SUITE("order contract") {
  TEST_CASE("no reply, refusal or read of a reservation before its batch is durable") {
    Cluster cluster;
    stock_up(cluster);
    cluster.hold_disk(0);
    const auto made = reserve(cluster, "r");
    cluster.run_for(100);
    std::vector<std::uint64_t> later;
    later.push_back(cluster.submit(0, GetReservation{"r"}));
    later.push_back(cluster.submit(0, Reserve{.id = "q", .lines = {{"a", 1'000}}, .wait_ms = 0}));
    later.push_back(cluster.submit(0, ListReservations{}));
    later.push_back(cluster.submit(0, Commit{.id = "r"}));
    later.push_back(cluster.submit(0, GetSku{"a"}));
    later.push_back(cluster.submit(0, GetCluster{}));
    cluster.run_for(1'000);
    CHECK_FALSE(cluster.answered(made));
    for (const auto token : later) CHECK_FALSE(cluster.answered(token));
    cluster.store(0).finish_batch();
    CHECK(cluster.answered(made));
    for (const auto token : later) CHECK_FALSE(cluster.answered(token));
    cluster.free_disk(0);
    cluster.run_for(100);
    for (const auto token : later) CHECK(cluster.answered(token));
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("stock, availability and statistics may be shown before") {
    Cluster cluster;
    stock_up(cluster);
    cluster.hold_disk(0);
    const auto made = reserve(cluster, "r");
    cluster.run_for(10);
    const Outcome shown = cluster.call(0, GetStock{"a"});
    CHECK(stock(shown).held == 1);
    const Outcome listed = cluster.call(0, GetAvailability{{"a", "z"}});
    const auto& items = std::get<Availability>(listed.view).items;
    CHECK(items[0].available == 99);
    CHECK_FALSE(items[1].known);
    CHECK(std::holds_alternative<std::unique_ptr<Stats>>(cluster.call(0, GetStats{}).view));
    CHECK_FALSE(cluster.answered(made));
  }

  TEST_CASE("no row leaves before it is durable") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    cluster.hold_disk(0);
    reserve(cluster, "r");
    cluster.run_for(1'500);
    CHECK(cluster.state(1).hold("r") == nullptr);
    cluster.crash(0);
    cluster.restart(0);
    cluster.free_disk(0);
    cluster.settle();
    CHECK(cluster.call(1, GetReservation{"r"}).code == Code::unknown_reservation);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("what a peer sent is acknowledged, and granted rights are told, only when durable") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    cluster.run_for(1'000);
    cluster.hold_disk(1);
    cluster.call(0, Receive{.sku = "a", .quantity = 1});
    cluster.run_for(500);
    const auto behind = [&] {
      const Outcome outcome = cluster.call(0, GetCluster{});
      return std::get<std::unique_ptr<ClusterView>>(outcome.view)->nodes[1].behind;
    };
    CHECK(cluster.state(1).head(cluster.replica(0)) == cluster.state(0).head(cluster.replica(0)));
    CHECK(behind() > 0);
    cluster.free_disk(1);
    cluster.run_for(1'000);
    CHECK(behind() == 0);
  }

  TEST_CASE("what is decided while its batch waits for company is shown with that batch") {
    Cluster cluster;
    stock_up(cluster);
    cluster.run_for(1'000);
    const auto before = cluster.stats(0).batches;
    cluster.keep_batches(0);
    const auto one = reserve(cluster, "one");
    cluster.run_for(10);
    const auto other = reserve(cluster, "other");
    cluster.run_for(10);
    CHECK(stock(cluster.call(0, GetStock{"a"})).held == 2);  // decided, turn by turn
    CHECK_FALSE(cluster.answered(one));
    CHECK_FALSE(cluster.answered(other));
    CHECK(cluster.stats(0).batches == before);
    cluster.let_batches_go(0);
    cluster.run_for(10);
    CHECK(cluster.take(one).code == Code::created);
    CHECK(cluster.take(other).code == Code::created);
    CHECK(cluster.stats(0).batches == before + 1);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("one batch in hand at most; what gathers meanwhile is one") {
    Cluster cluster;
    stock_up(cluster);
    cluster.run_for(1'000);
    cluster.hold_disk(0);
    const auto before = cluster.stats(0).batches;
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 50; ++i) {
      tokens.push_back(reserve(cluster, std::to_string(i)));
      cluster.run_for(2);
      CHECK(cluster.store(0).pending() <= Driver::kBatchesInHand);
    }
    CHECK(cluster.stats(0).batches == before + 1);
    cluster.store(0).finish_batch();
    cluster.run_for(2);
    CHECK(cluster.store(0).pending() == 1);
    cluster.store(0).finish_batch();
    for (const auto token : tokens) CHECK(cluster.answered(token));
  }

  TEST_CASE("peers' rows alone make no batch sooner than 3 ms after another; none is left behind") {
    Cluster cluster({.nodes = 6, .disk_ms_max = 1});
    stock_up(cluster, 1'000);
    cluster.run_for(1'000);
    const auto before = cluster.stats(5).batches;
    for (int ms = 0; ms < 300; ++ms) {
      for (std::size_t node = 0; node < 5; ++node)
        cluster.submit(node, Receive{.sku = "a", .quantity = 1});
      cluster.run_for(1);
    }
    const auto made = cluster.stats(5).batches - before;
    CHECK(made > 50);
    CHECK(made <= 101);
    cluster.run_for(50);
    for (std::size_t node = 0; node < 5; ++node)
      CHECK(cluster.state(5).head(cluster.replica(node)) ==
            cluster.state(node).head(cluster.replica(node)));
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("under random schedules of disk and crash, acknowledged is durable") {
    check_property("acknowledged is durable", [] {
      Cluster cluster({.seed = *rc::gen::arbitrary<std::uint64_t>(), .checkpoint_bytes = 500});
      stock_up(cluster, 1'000);
      cluster.hold_disk(0);
      std::vector<std::pair<std::string, std::uint64_t>> asked;
      std::vector<std::string> acknowledged;
      const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 20));
      for (const int step : steps) {
        if (step < 8) {
          asked.emplace_back("r" + std::to_string(asked.size()), 0);
          asked.back().second = reserve(cluster, asked.back().first);
          cluster.run_for(step % 3);
        } else if (step < 14) {
          cluster.run_for(step);
          if (cluster.store(0).pending() > 0) cluster.store(0).finish_batch();
        } else if (step < 18) {
          if (cluster.store(0).slices() > 0) cluster.store(0).finish_slice();
        } else {
          for (const auto& [id, token] : asked)
            if (cluster.answered(token) && cluster.take(token).succeeded())
              acknowledged.push_back(id);
          cluster.crash(0, step - 18);
          cluster.restart(0);
          for (const std::string& id : acknowledged)
            RC_ASSERT(cluster.state(0).own_hold(id) != nullptr);
        }
      }
      RC_ASSERT(cluster.complaints() == "");
    });
  }
}

TEST_SUITE("limits") {
  TEST_CASE("a nearly full disk: new work is 507, what ends a hold goes on") {
    Cluster cluster({.min_free_bytes = 1'000});
    stock_up(cluster);
    const auto hold = [&](const std::string& id) {
      return cluster.call(0, Reserve{.id = id, .lines = {{"a", 2}}, .wait_ms = 0}).code;
    };
    for (const char* id : {"c", "r", "x"}) CHECK(hold(id) == Code::created);
    cluster.store(0).set_free_bytes(999);
    CHECK(hold("n") == Code::storage_full);
    CHECK(cluster.call(0, Receive{.sku = "a", .quantity = 1}).code == Code::storage_full);
    CHECK(cluster.call(0, Adjust{.sku = "a", .delta = 1}).code == Code::storage_full);
    CHECK(cluster.call(0, Allow{.sku = "a", .delta = 1}).code == Code::storage_full);
    CHECK(cluster.call(0, GrantTo{.sku = "a", .to = "b", .quantity = 1}).code ==
          Code::storage_full);
    CHECK(cluster.call(0, PutSku{.sku = "b"}).code == Code::storage_full);
    CHECK(cluster.call(0, Extend{.id = "x"}).code == Code::storage_full);
    CHECK(cluster.call(0, Commit{.id = "c"}).code == Code::ok);
    CHECK(cluster.call(0, Release{"r"}).code == Code::ok);
    CHECK(cluster.call(0, Return{.id = "c", .lines = {{"a", 1}}, .key = {"p", "k"}}).code ==
          Code::ok);
    CHECK(cluster.call(0, GetReservation{"x"}).code == Code::ok);
    CHECK(cluster.call(0, GetStock{"a"}).code == Code::ok);
    CHECK(cluster.stats(0).storage_full);
    cluster.run_for(901'000);
    CHECK(cluster.truth("a").held == 0);  // and holds expire
    cluster.store(0).set_free_bytes(1'000);
    CHECK(hold("n") == Code::created);
  }

  TEST_CASE("new reservations may fill half of the inbox, the others all of it") {
    const auto of = [](std::size_t reservations, std::size_t commits) {
      std::vector<Request> requests;
      for (; commits > 0; --commits) requests.push_back({.command = Commit{}});
      for (; reservations > 0; --reservations) requests.push_back({.command = Reserve{}});
      return requests;
    };
    CHECK(sells(of(1, 50)));
    CHECK_FALSE(sells(of(0, 50)));
    constexpr bool kSells = true, kEnds = false;
    CHECK(inbox_takes(100, 0, 50, kSells));
    CHECK_FALSE(inbox_takes(100, 0, 51, kSells));
    CHECK_FALSE(inbox_takes(100, 50, 1, kSells));
    CHECK(inbox_takes(100, 0, 100, kEnds));
    CHECK(inbox_takes(100, 99, 1, kEnds));
    CHECK_FALSE(inbox_takes(100, 100, 1, kEnds));
    CHECK(inbox_takes(1, 0, 1, kSells));
  }

  TEST_CASE("reservations that waited too long for their turn are refused; what ends one is not") {
    Cluster cluster({.inbox_delay_max = holdfast::crdt::Millis(1'000)});
    stock_up(cluster);
    reserve(cluster, "old");
    cluster.run_for(100);
    cluster.pause(0);
    const auto late = reserve(cluster, "late");
    const auto commit = cluster.submit(0, Commit{.id = "old"});
    const auto receive = cluster.submit(0, Receive{.sku = "a", .quantity = 1});
    cluster.run_for(1'001);
    const auto fresh = reserve(cluster, "fresh");
    cluster.resume(0);
    cluster.run_for(100);
    CHECK(cluster.take(late).code == Code::overloaded);
    CHECK(cluster.take(commit).code == Code::ok);
    CHECK(cluster.take(receive).code == Code::created);
    CHECK(cluster.take(fresh).code == Code::created);
    CHECK(cluster.state(0).own_hold("late") == nullptr);
    cluster.pause(0);
    const auto in_time = reserve(cluster, "in time");
    cluster.run_for(999);
    cluster.resume(0);
    cluster.run_for(100);
    CHECK(cluster.take(in_time).code == Code::created);
    CHECK(cluster.complaints() == "");
  }
}

TEST_SUITE("faults") {
  TEST_CASE("off: nothing can be set, and the answer says how to turn them on") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    for (Command command : {Command(SetFault{.target = "region-1", .drop = true}),
                            Command(ClearFault{"region-1"}), Command(ListFaults{})}) {
      const Outcome refused = cluster.call(0, std::move(command));
      CHECK(refused.code == Code::faults_disabled);
      CHECK(refused.detail.find("[faults]") != std::string::npos);
    }
    CHECK(cluster.reachable(0) == 1);
  }

  TEST_CASE("on: a region is cut off from here, and comes back") {
    Cluster cluster({.nodes = 2, .faults_enabled = true});
    stock_up(cluster);
    CHECK(cluster.call(0, SetFault{.target = "nowhere", .drop = true}).code ==
          Code::unknown_target);
    CHECK(cluster.call(0, SetFault{.target = "region-1", .drop = true}).code == Code::ok);
    const Outcome listed = cluster.call(0, ListFaults{});
    REQUIRE(std::get<Faults>(listed.view).items.size() == 1);
    CHECK(std::get<Faults>(listed.view).items[0].drop);
    cluster.run_for(5'000);
    CHECK(cluster.reachable(0) == 0);
    CHECK(cluster.reachable(1) == 0);
    cluster.call(0, Receive{.sku = "a", .quantity = 1});
    cluster.run_for(2'000);
    CHECK(cluster.state(1).digest() != cluster.state(0).digest());
    CHECK(cluster.call(0, ClearFault{"region-1"}).code == Code::ok);
    CHECK(cluster.call(0, ClearFault{"region-1"}).code == Code::ok);
    cluster.settle();
    CHECK(cluster.converge());
    CHECK(cluster.complaints() == "");
  }
}
