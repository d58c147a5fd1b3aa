// Three regions, one cut off: both sides sell within their rights, and agree again when it heals.

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

Cluster& cluster() {
  static Cluster three({"ap", "eu", "us"});
  if (!three[0].running()) three.start_all();
  return three;
}

// 300 units, 100 with each region.
void spread(const std::string& sku) {
  stock_up(cluster()[0], sku, 300);
  for (std::size_t i = 1; i < 3; ++i) {
    const auto granted = cluster()[0].http().post(
        "/v1/skus/" + sku + "/grants", R"({"to":")" + cluster().region(i) + R"(","quantity":100})");
    REQUIRE(granted.ok());
    cluster().wait_local(i, sku, 100);
  }
}

// Reserves single units at a node until `refusals` in a row; how many were held.
int sell_out(std::size_t index, const std::string& sku, const std::string& prefix, int wait_ms,
             int refusals = 3) {
  int held = 0;
  const auto more = R"("wait_ms":)" + std::to_string(wait_ms);
  for (int n = 0, refused = 0; refused < refusals && n < 2'000; ++n) {
    const auto answer = cluster()[index].http().put(
        "/v1/reservations/" + prefix + std::to_string(n), reservation(sku, 1, more));
    if (answer.status == 201) {
      ++held;
      refused = 0;
    } else {
      CHECK(answer.code() == "insufficient_stock");
      ++refused;
    }
  }
  return held;
}

void check_everywhere(const std::string& sku, std::int64_t held, std::int64_t sold) {
  for (std::size_t i = 0; i < 3; ++i) {
    const auto view = cluster()[i].http().get("/v1/skus/" + sku + "/stock");
    CAPTURE(view.body);
    CHECK(view.number("/held") == held);
    CHECK(view.number("/sold") == sold);
    CHECK(view.number("/on_hand") == 300 - sold);
    CHECK(view.number("/available") == 300 - sold - held);
    CHECK(view.number("/oversold") == 0);
    CHECK(view.number("/exposure") == 0);
    CHECK(view.number("/debt") == 0);
  }
}

bool sees(std::size_t index, const std::string& sku) {
  return cluster()[index].http().get("/v1/skus/" + sku).status == 200;
}

}  // namespace

TEST_SUITE("process/partition") {
  TEST_CASE("what one region writes, the others see") {
    stock_up(cluster()[0], "seen", 5);
    REQUIRE(cluster()[0].http().put("/v1/reservations/seen-1", reservation("seen", 2)).status ==
            201);
    for (std::size_t i = 1; i < 3; ++i) {
      CHECK(eventually([&] {
        return sees(i, "seen") && stock(cluster()[i], "seen", "available") == 3 &&
               cluster()[i].http().get("/v1/reservations/seen-1").status == 200;
      }));
    }
    cluster().wait_converged();
  }

  TEST_CASE("cut off, sold out on both sides, healed") {
    spread("cut");
    cluster().wait_converged();
    cluster().cut(2);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t expected = i == 2 ? 1 : 2;
      CHECK(eventually([&] { return reachable_nodes(cluster()[i]) == expected; }));
    }

    // A partitioned node is ready, and says that it is degraded.
    const auto ready = cluster()[2].http().get("/readyz");
    CHECK(ready.status == 200);
    CHECK(ready.flag("/degraded"));

    // Alone: exactly its rights, though it believes that more is available elsewhere.
    const auto rights = stock(cluster()[2], "cut", "local_available");
    CHECK(rights == 100);
    CHECK(sell_out(2, "cut", "cut-us-", 50) == rights);
    CHECK(stock(cluster()[2], "cut", "local_available") == 0);
    // The others: theirs, wherever among them the rights lie.
    const int first = sell_out(0, "cut", "cut-ap-", 1'000);
    const int second = sell_out(1, "cut", "cut-eu-", 1'000);
    CHECK(first + second == 300 - rights);

    // Half of them are paid for while nobody sees everything.
    for (int n = 0; n < 50; ++n) {
      CHECK(cluster()[2]
                .http()
                .post("/v1/reservations/cut-us-" + std::to_string(n) + "/commit")
                .status == 200);
    }
    CHECK(cluster()[2].http().get("/v1/reservations/cut-ap-0").status != 200);

    cluster().heal(2);
    cluster().wait_joined();
    cluster().wait_converged();
    check_everywhere("cut", 250, 50);
    for (const char* id : {"cut-us-0", "cut-us-99", "cut-ap-0"}) {
      for (std::size_t i = 0; i < 3; ++i) {
        CHECK(cluster()[i].http().get(std::string("/v1/reservations/") + id).status == 200);
      }
    }
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(sell_out(i, "cut", "cut-late-" + std::to_string(i) + "-", 20, 1) == 0);
    }
  }

  TEST_CASE("releases while cut off give rights back to who held them") {
    spread("back");
    cluster().cut(2);
    CHECK(sell_out(2, "back", "back-us-", 20) == 100);
    for (int n = 0; n < 30; ++n) {
      const auto id = "/v1/reservations/back-us-" + std::to_string(n);
      CHECK(cluster()[2].http().post(id + "/release").status == 200);
    }
    CHECK(sell_out(2, "back", "back-again-", 20) == 30);
    cluster().heal(2);
    cluster().wait_joined();
    cluster().wait_converged();
    check_everywhere("back", 100, 0);
  }

  TEST_CASE("a link is cut between two regions, and the third relays") {
    auto& ap = cluster()[0];
    REQUIRE(ap.http().put("/v1/faults/links/us", R"({"drop":true})").ok());
    stock_up(ap, "relayed", 300);
    REQUIRE(ap.http().put("/v1/reservations/relayed-1", reservation("relayed", 7)).status == 201);
    CHECK(eventually(
        [&] { return sees(2, "relayed") && stock(cluster()[2], "relayed", "held") == 7; }));
    stock_up(cluster()[2], "relayed-back", 1);
    CHECK(eventually([&] { return sees(0, "relayed-back"); }));
    CHECK(ap.http().call("DELETE", "/v1/faults/links/us").status == 204);
    CHECK(ap.http().call("DELETE", "/v1/faults/links/us").status == 204);
    cluster().wait_joined();
    cluster().wait_converged();
    check_everywhere("relayed", 7, 0);
  }

  TEST_CASE("a slow and lossy link delays, and loses nothing") {
    auto& us = cluster()[2];
    REQUIRE(us.http().put("/v1/faults/links/ap", R"({"delay_ms":50,"loss":0.1})").ok());
    REQUIRE(us.http().put("/v1/faults/links/eu", R"({"delay_ms":20,"loss":0.1})").ok());
    stock_up(cluster()[0], "lossy", 300);
    for (int n = 0; n < 60; ++n) {
      CHECK(cluster()[0]
                .http()
                .put("/v1/reservations/lossy-" + std::to_string(n), reservation("lossy", 1))
                .status == 201);
    }
    CHECK(eventually([&] { return sees(2, "lossy") && stock(us, "lossy", "held") == 60; },
                     Millis(40'000)));
    cluster().heal(2);
    cluster().wait_joined();
    cluster().wait_converged();
    check_everywhere("lossy", 60, 0);
  }

  TEST_CASE("a region that restarts behind a cut keeps its rights and catches up") {
    spread("restart");
    cluster().cut(2);
    CHECK(sell_out(2, "restart", "restart-us-", 20) == 100);
    cluster()[2].restart();  // faults live in memory: this heals, too
    cluster().wait_joined();
    cluster().wait_converged();
    check_everywhere("restart", 100, 0);
  }
}
