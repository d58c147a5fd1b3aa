// Verbs on a reservation that reach another node than its home.

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

struct Three {
  Cluster cluster{{"ap", "eu", "us"}};
  Three() {
    cluster.start_all();
    stock_up(cluster[0], "fwd", 1'000);
    for (std::size_t i = 1; i < 3; ++i) {
      REQUIRE(eventually([&] { return cluster[i].http().get("/v1/skus/fwd").status == 200; }));
    }
  }
  Response hold(std::size_t at, const std::string& id, int units = 2) {
    return cluster[at].http().put("/v1/reservations/" + id, reservation("fwd", units));
  }
  Response call(std::size_t at, const std::string& id, const std::string& verb,
                const std::string& body = "", const Headers& headers = {}) {
    return cluster[at].http().post("/v1/reservations/" + id + "/" + verb, body, headers);
  }
  Response get(std::size_t at, const std::string& id) {
    return cluster[at].http().get("/v1/reservations/" + id);
  }
};

}  // namespace

TEST_SUITE("process/forward") {
  TEST_CASE_FIXTURE(Three, "any node takes any verb") {
    // Asked for at once, before any row has travelled.
    for (int n = 0; n < 20; ++n) {
      const auto id = "quick-" + std::to_string(n);
      const auto held = hold(0, id);
      REQUIRE(held.status == 201);
      const auto sold = call(1 + static_cast<std::size_t>(n) % 2, id, "commit");
      CHECK(sold.status == 200);
      CHECK(sold.text("/state") == "committed");
      CHECK(sold.text("/home") == held.text("/home"));
    }
    REQUIRE(hold(0, "fwd-1").status == 201);
    CHECK(call(1, "fwd-1", "extend", R"({"ttl_seconds":5000})").status == 200);
    CHECK(get(0, "fwd-1").text("/expires_at") == get(2, "fwd-1").text("/expires_at"));
    CHECK(call(2, "fwd-1", "commit", reservation("fwd", 1)).number("/lines/0/committed") == 1);
    CHECK(call(1, "fwd-1", "release").code() == "reservation_closed");
    const Headers key = {{"Idempotency-Key", "fwd-return"}};
    CHECK(call(1, "fwd-1", "return", reservation("fwd", 1), key).status == 200);
    CHECK(call(2, "fwd-1", "return", reservation("fwd", 1), key).status == 200);
    CHECK(get(0, "fwd-1").number("/lines/0/returned") == 1);
    REQUIRE(hold(0, "fwd-2").status == 201);
    CHECK(call(2, "fwd-2", "release").text("/state") == "released");

    // PUT of an id that is known from another home is forwarded there.
    REQUIRE(hold(0, "fwd-3").status == 201);
    cluster.wait_converged();
    const auto again = hold(2, "fwd-3");
    CHECK(again.status == 200);
    CHECK(again.text("/home_region") == "ap");
    CHECK(hold(2, "fwd-3", 3).code() == "reservation_conflict");

    cluster.wait_converged();
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(stock(cluster[i], "fwd", "sold") == 41);
      CHECK(stock(cluster[i], "fwd", "returned") == 1);
      CHECK(stock(cluster[i], "fwd", "held") == 2);
    }
  }

  TEST_CASE_FIXTURE(Three, "unknown here and everywhere is 404; a lost home is 503, never 404") {
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(get(i, "nobody").code() == "unknown_reservation");
      for (const char* verb : {"commit", "release", "extend"}) {
        CHECK(call(i, "nobody", verb).code() == "unknown_reservation");
      }
    }
    REQUIRE(hold(0, "lost").status == 201);
    cluster.wait_converged();  // its row is everywhere
    cluster[0].kill_now();
    CHECK(eventually([&] { return reachable_nodes(cluster[1]) == 2; }));
    for (const char* verb : {"commit", "release", "extend"}) {
      const auto answer = call(1, "lost", verb);
      CHECK(answer.status == 503);
      CHECK(answer.code() == "home_unreachable");
    }
    const auto seen = get(1, "lost");
    CHECK(seen.status == 200);
    CHECK(seen.text("/state") == "held");
    CHECK_FALSE(seen.flag("/final"));
    // Whether the home knows this id can't be said.
    CHECK(get(1, "perhaps").code() == "home_unreachable");
    CHECK(call(2, "perhaps", "commit").code() == "home_unreachable");
    // New reservations go on.
    stock_up(cluster[1], "fwd-eu", 5);
    CHECK(cluster[1].http().put("/v1/reservations/new-one", reservation("fwd-eu", 5)).status ==
          201);

    cluster[0].start();
    cluster.wait_joined();
    CHECK(eventually([&] { return call(1, "lost", "commit").status == 200; }));
    CHECK(get(0, "lost").text("/state") == "committed");
    CHECK(eventually([&] { return get(2, "perhaps").status == 404; }));
  }

  TEST_CASE_FIXTURE(Three, "a home that hangs: an answer in bounded time, and never 404") {
    REQUIRE(hold(0, "hung").status == 201);
    REQUIRE(eventually([&] { return get(1, "hung").status == 200; }));
    cluster[0].pause();
    const auto first = call(1, "hung", "commit");
    const bool said = (first.status == 504 && first.code() == "outcome_unknown") ||
                      (first.status == 503 && first.code() == "home_unreachable");
    CHECK_MESSAGE(said, first);
    const auto unknown = get(2, "whatever");
    CHECK(unknown.status == 503);
    CHECK(unknown.code() == "home_unreachable");
    cluster[0].resume();
    CHECK(eventually([&] { return call(1, "hung", "commit").status == 200; }));
    cluster.wait_joined();
    cluster.wait_converged();
    CHECK(stock(cluster[2], "fwd", "sold") == 2);
  }

  TEST_CASE_FIXTURE(Three, "a link fault discards forwarded calls, too") {
    REQUIRE(hold(0, "blocked").status == 201);
    REQUIRE(eventually([&] { return get(1, "blocked").status == 200; }));
    REQUIRE(cluster[1].http().put("/v1/faults/links/ap", R"({"drop":true})").ok());
    const auto refused = call(1, "blocked", "commit");
    CHECK((refused.status == 503 || refused.status == 504));
    CHECK(get(0, "blocked").text("/state") == "held");
    CHECK(call(2, "blocked", "commit").status == 200);
    REQUIRE(cluster[1].http().call("DELETE", "/v1/faults/links/ap").status == 204);
    cluster.wait_joined();
    CHECK(call(1, "blocked", "commit").status == 200);
  }
}
