// Several storefronts after the last units: as many win as there are units. And units that lie in
// another region are had within wait_ms.

#include <atomic>
#include <latch>
#include <thread>

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

Cluster& cluster() {
  static Cluster three({"ap", "eu", "us"});
  if (!three[0].running()) three.start_all();
  return three;
}

bool known_everywhere(const std::string& sku) {
  return eventually([&] {
    for (std::size_t i = 0; i < 3; ++i) {
      if (cluster()[i].http().get("/v1/skus/" + sku).status != 200) return false;
    }
    return true;
  });
}

std::string patient(const std::string& sku, std::int64_t units) {
  return reservation(sku, units, R"("wait_ms":5000)");
}

// All at once, one call each, at the given nodes: how many were held. Any answer but 201 and
// 409 insufficient_stock is counted in `strange`.
int race(const std::vector<std::size_t>& at, const std::string& sku, const std::string& prefix,
         std::atomic<int>& strange) {
  std::atomic<int> won{0};
  std::latch start(static_cast<std::ptrdiff_t>(at.size()));
  std::vector<std::thread> racers;
  for (std::size_t racer = 0; racer < at.size(); ++racer) {
    racers.emplace_back([&, racer] {
      Client client(cluster()[at[racer]].http_port());
      start.arrive_and_wait();
      try {
        const auto answer =
            client.put("/v1/reservations/" + prefix + std::to_string(racer), patient(sku, 1));
        if (answer.status == 201) {
          ++won;
        } else if (answer.code() != "insufficient_stock") {
          ++strange;
        }
      } catch (const std::exception&) {
        ++strange;
      }
    });
  }
  for (auto& racer : racers) racer.join();
  return won;
}

}  // namespace

TEST_SUITE("process/race") {
  TEST_CASE("two regions race for one unit: exactly one wins, many times") {
    constexpr int kRounds = 120;
    for (int round = 0; round < kRounds; ++round) {
      stock_up(cluster()[static_cast<std::size_t>(round % 3)], "one-" + std::to_string(round), 1);
    }
    for (int round = 0; round < kRounds; ++round) {
      REQUIRE(known_everywhere("one-" + std::to_string(round)));
    }
    std::atomic<int> strange{0};
    for (int round = 0; round < kRounds; ++round) {
      const auto owner = static_cast<std::size_t>(round % 3);
      // With and without the owner of the unit among the two.
      const std::vector<std::size_t> at = round % 2 == 0
                                              ? std::vector{owner, (owner + 1) % 3}
                                              : std::vector{(owner + 1) % 3, (owner + 2) % 3};
      const std::string number = std::to_string(round);
      CHECK_MESSAGE(race(at, "one-" + number, "one-" + number + "-", strange) == 1, number);
    }
    CHECK(strange == 0);
    cluster().wait_converged();
    for (int round = 0; round < kRounds; ++round) {
      CHECK(stock(cluster()[0], "one-" + std::to_string(round), "held") == 1);
      CHECK(stock(cluster()[0], "one-" + std::to_string(round), "oversold") == 0);
    }
  }

  TEST_CASE("nine after five, spread over three regions") {
    std::atomic<int> strange{0};
    for (int round = 0; round < 25; ++round) {
      const std::string sku = "five-" + std::to_string(round);
      for (std::size_t i = 0; i < 3; ++i) stock_up(cluster()[i], sku, i == 2 ? 1 : 2);
      REQUIRE(known_everywhere(sku));
      const int won = race({0, 1, 2, 0, 1, 2, 0, 1, 2}, sku, sku + "-", strange);
      CHECK(won <= 5);
      // Who was refused while a right was on its way asks once more; then all five are sold.
      int late = 0;
      for (std::size_t i = 0; i < 3 && won + late < 5; ++i) {
        for (int n = 0; won + late < 5 && n < 5; ++n) {
          const auto id = "/v1/reservations/" + sku + "-late-" + std::to_string(i * 10 + n);
          if (cluster()[i].http().put(id, patient(sku, 1)).status != 201) break;
          ++late;
        }
      }
      CHECK(won + late == 5);
    }
    CHECK(strange == 0);
  }

  TEST_CASE("a hot SKU is sold by three regions at once, down to the last unit") {
    constexpr int kUnits = 400;
    stock_up(cluster()[0], "hot", kUnits);
    REQUIRE(known_everywhere("hot"));
    std::atomic<int> won{0}, strange{0};
    std::vector<std::thread> storefronts;
    for (std::size_t i = 0; i < 3; ++i) {
      storefronts.emplace_back([&, i] {
        Client client(cluster()[i].http_port());
        try {
          for (int n = 0, refused = 0; refused < 3; ++n) {
            const auto answer =
                client.put("/v1/reservations/hot-" + std::to_string(i) + "-" + std::to_string(n),
                           reservation("hot", 1, R"("wait_ms":1000)"));
            refused = answer.status == 201 ? 0 : refused + 1;
            if (answer.status == 201) {
              ++won;
            } else if (answer.code() != "insufficient_stock") {
              ++strange;
            }
          }
        } catch (const std::exception&) {
          ++strange;
        }
      });
    }
    for (auto& storefront : storefronts) storefront.join();
    CHECK(won == kUnits);
    CHECK(strange == 0);
    cluster().wait_converged();
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(stock(cluster()[i], "hot", "held") == kUnits);
      CHECK(stock(cluster()[i], "hot", "available") == 0);
    }
  }

  TEST_CASE("rights on demand: units of another region, and of two others together") {
    stock_up(cluster()[0], "far", 10);
    REQUIRE(known_everywhere("far"));
    CHECK(cluster()[2].http().put("/v1/reservations/far-1", patient("far", 7)).status == 201);
    CHECK(cluster()[2].http().put("/v1/reservations/far-2", patient("far", 4)).status == 409);
    CHECK(cluster()[1].http().put("/v1/reservations/far-3", patient("far", 3)).status == 201);

    stock_up(cluster()[0], "split", 4);
    stock_up(cluster()[1], "split", 4);
    REQUIRE(known_everywhere("split"));
    cluster().wait_converged();
    CHECK(cluster()[2].http().put("/v1/reservations/split-1", patient("split", 8)).status == 201);

    // A cart whose lines lie in different regions; and one that can't be had wholly, which holds
    // nothing.
    stock_up(cluster()[0], "cart-a", 2);
    stock_up(cluster()[1], "cart-b", 2);
    stock_up(cluster()[2], "cart-c", 2);
    for (const char* sku : {"cart-a", "cart-b", "cart-c"}) REQUIRE(known_everywhere(sku));
    cluster().wait_converged();
    const auto cart = [](int last) {
      return R"({"wait_ms":5000,"lines":[{"sku":"cart-a","quantity":2},)"
             R"({"sku":"cart-b","quantity":1},)"
             R"({"sku":"cart-c","quantity":)" +
             std::to_string(last) + "}]}";
    };
    const auto refused = cluster()[0].http().put("/v1/reservations/cart-1", cart(3));
    CHECK(refused.code() == "insufficient_stock");
    // A unit of cart-b that is on its way at that moment is lacking, too, and named first.
    CHECK(refused.body.find(R"("sku":"cart-c")") != std::string::npos);
    CHECK(cluster()[0].http().put("/v1/reservations/cart-1", cart(2)).status == 201);
    cluster().wait_converged();
    CHECK(stock(cluster()[1], "cart-a", "available") == 0);
    CHECK(stock(cluster()[1], "cart-b", "available") == 1);
    CHECK(stock(cluster()[1], "cart-c", "available") == 0);
  }

  TEST_CASE("partial takes what all regions together have") {
    stock_up(cluster()[0], "some", 2);
    stock_up(cluster()[1], "some", 3);
    REQUIRE(known_everywhere("some"));
    cluster().wait_converged();
    const auto answer = cluster()[2].http().put(
        "/v1/reservations/some-1", reservation("some", 9, R"("partial":true,"wait_ms":3000)"));
    CHECK(answer.status == 201);
    CHECK(answer.number("/lines/0/held") >= 1);
    CHECK(answer.number("/lines/0/held") <= 5);
  }

  TEST_CASE("the same id and body from many hands at once is one reservation") {
    stock_up(cluster()[0], "shared", 100);
    REQUIRE(known_everywhere("shared"));
    for (int round = 0; round < 20; ++round) {
      const std::string path = "/v1/reservations/shared-" + std::to_string(round);
      std::atomic<int> created{0}, repeated{0}, conflicts{0}, strange{0};
      std::vector<std::thread> hands;
      for (int hand = 0; hand < 6; ++hand) {
        hands.emplace_back([&, hand] {
          Client client(cluster()[0].http_port());
          try {
            const auto answer = client.put(path, patient("shared", hand == 5 ? 2 : 1));
            if (answer.status == 201) {
              ++created;
            } else if (answer.status == 200) {
              ++repeated;
            } else if (answer.code() == "reservation_conflict") {
              ++conflicts;
            } else {
              ++strange;
            }
          } catch (const std::exception&) {
            ++strange;
          }
        });
      }
      for (auto& hand : hands) hand.join();
      CHECK(created == 1);
      CHECK(repeated + conflicts == 5);
      CHECK(strange == 0);
    }
    CHECK(stock(cluster()[0], "shared", "held") >= 20);
    CHECK(stock(cluster()[0], "shared", "held") <= 40);
  }

  TEST_CASE("commit, release and expiry race: a hold ends once") {
    stock_up(cluster()[0], "ends", 200);
    for (int round = 0; round < 40; ++round) {
      const std::string path = "/v1/reservations/ends-" + std::to_string(round);
      REQUIRE(cluster()[0].http().put(path, reservation("ends", 1)).status == 201);
      std::atomic<int> ended{0};
      std::vector<std::thread> hands;
      for (const std::string verb : {"/commit", "/release"}) {
        for (std::size_t at = 0; at < 2; ++at) {
          hands.emplace_back([&, verb, at] {
            try {
              Client client(cluster()[at].http_port());
              if (client.post(path + verb).status == 200) ended += verb == "/commit" ? 1 : 100;
            } catch (const std::exception&) {
            }
          });
        }
      }
      for (auto& hand : hands) hand.join();
      const bool one_kind = ended > 0 && (ended < 100 || ended % 100 == 0);
      CHECK_MESSAGE(one_kind, "ended as both: " << ended.load());
    }
    const auto view = cluster()[0].http().get("/v1/skus/ends/stock");
    CHECK(view.number("/held") == 0);
    CHECK(view.number("/on_hand") == 200 - view.number("/sold"));
  }
}
