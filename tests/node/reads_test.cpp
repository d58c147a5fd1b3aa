// What is shown: lists with cursors, stock by region, the cluster.

#include "node/reads.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/node/support/shop.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

SkuPage skus(Cluster& cluster, ListSkus command) {
  Outcome outcome = cluster.call(0, std::move(command));
  return std::get<SkuPage>(std::move(outcome.view));
}

ReservationPage reservations(Cluster& cluster, ListReservations command) {
  Outcome outcome = cluster.call(0, std::move(command));
  return std::get<ReservationPage>(std::move(outcome.view));
}

}  // namespace

TEST_SUITE("lists") {
  TEST_CASE("SKUs come in order, page by page, within a prefix") {
    Cluster cluster;
    for (const char* sku : {"b", "ab", "aa", "a", "ac", "A", "a-"})
      cluster.call(0, PutSku{.sku = sku});
    std::vector<std::string> seen;
    std::string cursor;
    int pages = 0;
    do {
      const SkuPage page = skus(cluster, {.prefix = "a", .limit = 2, .cursor = cursor});
      CHECK(page.items.size() <= 2);
      for (const SkuView& item : page.items) seen.push_back(item.sku);
      cursor = page.next;
      ++pages;
    } while (!cursor.empty());
    CHECK(seen == std::vector<std::string>{"a", "a-", "aa", "ab", "ac"});
    CHECK(pages == 3);
    CHECK(skus(cluster, {.prefix = "zz"}).items.empty());
    CHECK(skus(cluster, {.limit = 7}).next.empty());  // exactly full is the end, too
    CHECK(skus(cluster, {}).items.size() == 7);
  }

  TEST_CASE("a list that is read while others write: all that was there comes, once and in order") {
    check_property("stable lists", [] {
      Cluster cluster;
      cluster.call(0, PutSku{.sku = "stock"});
      cluster.call(0, Receive{.sku = "stock", .quantity = 1'000});
      std::set<std::string> ids_before, skus_before{"stock"};
      const auto name = [](int number) { return "x" + std::to_string(number); };
      const auto add = [&](int number) {
        cluster.submit(0, PutSku{.sku = name(number)});
        cluster.submit(0, Reserve{.id = name(number), .lines = {{"stock", 1}}});
        if (number % 3 == 0) cluster.submit(0, Commit{.id = name(number / 2)});
        cluster.run_for(20);
      };
      for (const int number : *rc::gen::container<std::set<int>>(rc::gen::inRange(0, 60))) {
        add(number);
        ids_before.insert(name(number));
        skus_before.insert(name(number));
      }
      const auto limit = *rc::gen::inRange<std::uint32_t>(1, 8);
      std::vector<std::string> ids, names;
      std::string id_cursor, name_cursor;
      for (int number = 60, first = 1; first || !id_cursor.empty() || !name_cursor.empty();
           ++number) {
        if (first || !id_cursor.empty()) {
          ReservationPage page = reservations(cluster, {.limit = limit, .cursor = id_cursor});
          RC_ASSERT(page.items.size() <= limit);
          for (const auto& item : page.items) ids.push_back(item.id);
          id_cursor = page.next;
        }
        if (first || !name_cursor.empty()) {
          const SkuPage page = skus(cluster, {.limit = limit, .cursor = name_cursor});
          for (const auto& item : page.items) names.push_back(item.sku);
          name_cursor = page.next;
        }
        first = 0;
        RC_ASSERT(number < 500);  // cursors go forward
        if (number < 90) add(number);
      }
      RC_ASSERT(std::set(ids.begin(), ids.end()).size() == ids.size());
      RC_ASSERT(std::is_sorted(names.begin(), names.end()));
      RC_ASSERT(std::set(names.begin(), names.end()).size() == names.size());
      for (const auto& id : ids_before) RC_ASSERT(std::count(ids.begin(), ids.end(), id) == 1);
      for (const auto& sku : skus_before)
        RC_ASSERT(std::count(names.begin(), names.end(), sku) == 1);
    });
  }

  TEST_CASE("reservations by state and by SKU") {
    Cluster cluster;
    for (const char* sku : {"a", "b"}) {
      cluster.call(0, PutSku{.sku = sku});
      cluster.call(0, Receive{.sku = sku, .quantity = 100});
    }
    for (int i = 0; i < 20; ++i) {
      const std::string id = std::to_string(i);
      cluster.call(0, Reserve{.id = id,
                              .lines = {{i % 2 == 0 ? "a" : "b", 1}},
                              .ttl_seconds = i < 4 ? 1u : 900u});
      if (i >= 10) cluster.call(0, Commit{.id = id});
    }
    cluster.run_for(2'000);
    const auto count = [&](ListReservations command) {
      return reservations(cluster, std::move(command)).items.size();
    };
    CHECK(count({}) == 20);
    CHECK(count({.state = HoldState::expired}) == 4);
    CHECK(count({.state = HoldState::held}) == 6);
    CHECK(count({.state = HoldState::committed}) == 10);
    CHECK(count({.state = HoldState::released}) == 0);
    CHECK(count({.state = HoldState::committed, .sku = "a"}) == 5);
    CHECK(count({.sku = "z"}) == 0);
  }

  TEST_CASE("a list that finds little says where to go on, instead of looking at everything") {
    Cluster cluster;
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, PutSku{.sku = "b"});
    cluster.call(0, Receive{.sku = "a", .quantity = 30'000});
    cluster.call(0, Receive{.sku = "b", .quantity = 1});
    for (int i = 0; i < 21'000; ++i)
      cluster.submit(0, Reserve{.id = std::to_string(i), .lines = {{"a", 1}}});
    cluster.submit(0, Reserve{.id = "needle", .lines = {{"b", 1}}});
    cluster.run_for(100);
    const ReservationPage first = reservations(cluster, {.sku = "b"});
    CHECK(first.items.empty());
    REQUIRE_FALSE(first.next.empty());
    const ReservationPage second = reservations(cluster, {.sku = "b", .cursor = first.next});
    CHECK(second.items.size() == 1);
    CHECK(second.next.empty());
  }

  TEST_CASE("all copies: their parts of what is held add up, whoever holds and whoever adopts") {
    Shop shop({10, 10, 10});
    shop.hold(2, "committed", 5);
    shop.hold(2, "released", 2);
    shop.hold(2, "open", 1);
    shop.back();
    const auto held = [&](std::size_t node) {
      Units all = 0, standing = 0;
      const Outcome outcome = shop.cluster.call(node, ListReservations{.all_copies = true});
      for (const ReservationView& view : std::get<ReservationPage>(outcome.view).items) {
        REQUIRE(view.copy);
        REQUIRE(view.copy->in_held.size() == view.lines.size());
        all += view.copy->in_held[0];
        if (view.copy->stands) standing += view.copy->in_held[0];
      }
      CHECK(all == stock(shop.cluster.call(node, GetStock{"a"})).held);
      return std::pair(all, standing);
    };
    CHECK(held(0) == std::pair<Units, Units>(8, 8));
    shop.lose(2);
    CHECK(shop.failover(0, shop.region(2)).code == Code::created);
    CHECK(shop.commit(0, "committed") == Code::ok);
    CHECK(shop.release(0, "released") == Code::ok);
    // Two of the home's copies do not stand any more; it goes on to hold them, being away.
    CHECK(held(0) == std::pair<Units, Units>(8, 1));
    CHECK(shop.cluster.run_until(
        [&] {
          return shop.cluster.state(1).head(shop.cluster.replica(0)) ==
                 shop.cluster.state(0).head(shop.cluster.replica(0));
        },
        5'000));
    CHECK(held(1) == std::pair<Units, Units>(8, 1));
    CHECK(held(2) == std::pair<Units, Units>(8, 8));
    CHECK(reservations(shop.cluster, {}).items.size() == 3);
    CHECK_FALSE(reservations(shop.cluster, {}).items[0].copy);
    CHECK(reservations(shop.cluster, {.all_copies = true}).items.size() == 5);
    // An heir's copies end what the retired one holds: less than nothing.
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(2'000);
    held(0);
    held(1);
    CHECK(shop.commit(1, "open") == Code::ok);
    shop.cluster.run_for(2'000);
    CHECK(held(1).first == 0);
  }

  TEST_CASE("a cursor that no page gave is refused") {
    Cluster cluster;
    for (const char* cursor :
         {"x", "0000000000001000", "0000000000001000.", "0000000000001000.x", "0000000000001000.1x",
          "0000000000001000-1", "000000000000100g.1", "0000000000001000.99999999999999999999999",
          "0000000000001000. 1", "0000000000001000.-1"}) {
      CAPTURE(std::string(cursor));
      CHECK(cluster.call(0, ListReservations{.cursor = cursor}).code == Code::invalid_cursor);
    }
    CHECK(cluster.call(0, ListReservations{.cursor = "0000000000001000.7"}).code == Code::ok);
  }
}

TEST_SUITE("views") {
  TEST_CASE("stock by region: rights, reach and how old the view is") {
    Cluster cluster({.nodes = 3});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    cluster.call(0, GrantTo{.sku = "a", .to = "region-1", .quantity = 4});
    CHECK(cluster.converge());
    cluster.crash(2);
    cluster.run_for(6'000);
    const Outcome outcome = cluster.call(0, GetStock{"a"});
    const auto& regions = stock(outcome).by_region;
    REQUIRE(regions.size() == 3);
    CHECK(regions[0].region == "region-0");
    CHECK(regions[0].rights == 6);
    CHECK(regions[0].lag_ms == 0);
    CHECK(regions[1].rights == 4);
    CHECK(regions[1].reachable);
    CHECK(regions[1].lag_ms < 3'000);
    CHECK_FALSE(regions[2].reachable);
    CHECK(stock(outcome).available == 10);
    CHECK(stock(outcome).local_available == 6);
  }

  TEST_CASE("a view that has a sale but not the grant behind it shows no negative rights") {
    Cluster cluster({.nodes = 3});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    CHECK(cluster.converge());
    cluster.cut(0, 2);
    cluster.pause(2);  // node 2 learns nothing of the grant for now
    CHECK(cluster.call(0, GrantTo{.sku = "a", .to = "node-1", .quantity = 5}).succeeded());
    CHECK(cluster.run_until([&] { return cluster.rights(1, "a") == 5; }, 1'000));
    CHECK(cluster.call(1, Reserve{.id = "r", .lines = {{"a", 5}}}).succeeded());
    cluster.resume(2);
    cluster.run_until([&] { return cluster.state(2).hold("r") != nullptr; }, 400);
    const Outcome seen = cluster.call(2, GetStock{"a"});
    for (const RegionStock& region : stock(seen).by_region) CHECK(region.rights >= 0);
    CHECK(stock(seen).available >= 0);
    CHECK(stock(seen).oversold == 0);
  }

  TEST_CASE("a name that two live nodes have: both say so in their logs, once, and all show it") {
    Cluster cluster({.nodes = 3, .names = {{1, "one"}, {2, "one"}}});
    cluster.settle();
    cluster.run_for(5'000);
    CHECK(cluster.warnings(0).empty());
    for (const std::size_t node : {1u, 2u}) {
      REQUIRE(cluster.warnings(node).size() == 1);
      const std::string& warning = cluster.warnings(node)[0];
      CHECK(warning.find(holdfast::crdt::to_string(cluster.replica(3 - node))) !=
            std::string::npos);
      CHECK(warning.find("node.name must be unique") != std::string::npos);
    }
    const auto warned = [&] {
      const Outcome outcome = cluster.call(0, GetCluster{});
      std::size_t count = 0;
      for (const NodeView& node : std::get<std::unique_ptr<ClusterView>>(outcome.view)->nodes)
        count += !node.warning.empty();
      return count;
    };
    CHECK(warned() == 2);
    CHECK(cluster.stats(1).ready);
    cluster.crash(2);  // one that is gone may be another's past
    cluster.run_for(6'000);
    CHECK(warned() == 0);
  }

  std::string own_state(Cluster & cluster, std::size_t node) {
    const Outcome outcome = cluster.call(node, GetCluster{});
    for (const auto& seen : std::get<std::unique_ptr<ClusterView>>(outcome.view)->nodes)
      if (seen.self) return seen.state;
    return "";
  }

  TEST_CASE("a node that starts is ready when it has what its peers had, the catalogue among it") {
    Cluster cluster({.nodes = 2});
    CHECK(cluster.run_until([&] { return cluster.stats(0).ready; }, 2'500));
    cluster.crash(1);
    for (int i = 0; i < 50; ++i) cluster.call(0, PutSku{.sku = "sku-" + std::to_string(i)});
    cluster.start_anew(1);
    CHECK_FALSE(cluster.stats(1).ready);
    CHECK(own_state(cluster, 1) == "starting");
    // The one that was there before it is gone, and not waited for.
    CHECK(cluster.run_until([&] { return cluster.stats(1).ready; }, 3'500));
    CHECK(cluster.stats(1).skus == 50);
    CHECK(own_state(cluster, 1) == "live");
    CHECK(cluster.stats(0).ready);
  }

  TEST_CASE("a node that starts and reaches nobody is ready with what it has, a little later") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    cluster.crash(1);
    cluster.cut(0, 1);
    cluster.restart(1);
    cluster.run_for(2'500);
    CHECK_FALSE(cluster.stats(1).ready);
    cluster.run_for(1'500);
    CHECK(cluster.stats(1).ready);
    cluster.call(0, PutSku{.sku = "a"});
    cluster.heal_all();
    cluster.settle();
    CHECK(cluster.stats(1).ready);  // from then on it stays so
    Cluster alone({.nodes = 1});
    CHECK(alone.call(0, PutSku{.sku = "a"}).succeeded());
    CHECK(alone.stats(0).ready);
  }

  TEST_CASE("a node that stops soon says so, and serves on") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    cluster.run_until([&] { return cluster.stats(1).ready; }, 5'000);
    cluster.engine(1).set_stopping();
    CHECK_FALSE(cluster.stats(1).ready);
    CHECK(own_state(cluster, 1) == "stopping");
    CHECK(cluster.call(1, PutSku{.sku = "a"}).succeeded());
    CHECK(cluster.stats(0).ready);
  }

  TEST_CASE("the cluster: members, digests, counts") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    cluster.call(1, PutSku{.sku = "a"});
    cluster.call(1, Receive{.sku = "a", .quantity = 3});
    cluster.call(1, Reserve{.id = "r", .lines = {{"a", 1}}});
    CHECK(cluster.converge());
    std::vector<std::string> digests;
    for (const std::size_t node : {0u, 1u}) {
      const Outcome outcome = cluster.call(node, GetCluster{});
      const auto& view = *std::get<std::unique_ptr<ClusterView>>(outcome.view);
      CHECK(view.cluster == "test");
      CHECK(view.skus == 1);
      CHECK(view.open_holds == 1);
      REQUIRE(view.nodes.size() == 2);
      CHECK(view.nodes[node].self);
      CHECK(view.nodes[1 - node].state == "live");
      CHECK(view.nodes[0].node == "node-0");
      digests.push_back(view.digest);
    }
    CHECK(digests[0] == digests[1]);
    cluster.crash(1);
    cluster.run_for(6'000);
    const Outcome outcome = cluster.call(0, GetCluster{});
    CHECK(std::get<std::unique_ptr<ClusterView>>(outcome.view)->nodes[1].state == "unreachable");
    CHECK(cluster.stats(0).degraded);
  }
}
