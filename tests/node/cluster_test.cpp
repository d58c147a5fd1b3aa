// Three nodes under random schedules: requests, cuts, lost links, crashes at any batch, restarts.
// All that was acknowledged holds, nothing happens twice, nobody sells what is not there, and when
// all is well again all nodes agree.

#include <doctest/doctest.h>

#include "tests/node/support/clients.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;

namespace {

struct Weather {
  bool cuts = false, crashes = false;
};

void act(Cluster& cluster, Clients& clients, const Step& step, Weather weather) {
  const auto [what, where, x, y] = step;
  const std::size_t node = where % cluster.size(), other = (where + 1 + x % 2) % cluster.size();
  if (what < 12) {
    clients.ask(node, what, x, y);
    if (y % 3 != 0) cluster.run_for(y % 40);
  } else if (what == 12) {
    cluster.run_for(x * 50);
  } else if (what == 13 && weather.cuts) {
    y % 3 == 0 ? cluster.reset_links(node, other) : cluster.cut(node, other);
  } else if (what == 14 && weather.cuts) {
    cluster.heal(node, other);
  } else if (what == 15 && weather.crashes) {
    clients.collect();
    cluster.crash(node, y % 3);
    cluster.run_for(x * 10);
    if (y % 2 == 0) cluster.restart(node);
  } else if (what == 16 && weather.crashes) {
    cluster.restart(node);
  } else {
    cluster.run_for(5);
  }
  clients.collect();
}

void run(const std::vector<Step>& steps, std::uint64_t seed, Weather weather) {
  Cluster cluster({.nodes = 3,
                   .seed = seed,
                   .disk_ms_max = 1 + static_cast<std::int64_t>(seed % 20),
                   .link_ms_max = 1 + static_cast<std::int64_t>(seed / 7 % 60),
                   .checkpoint_bytes = 3'000});
  cluster.settle();
  Clients clients(cluster, 2);
  for (const Step& step : steps) act(cluster, clients, step, weather);
  cluster.heal_all();
  for (std::size_t i = 0; i < cluster.size(); ++i) cluster.restart(i);
  cluster.run_for(15'000);  // what waits or was lost without notice comes to its end
  cluster.settle();
  clients.resolve();
  RC_ASSERT(clients.verdict() == "");
  cluster.run_for(160'000);  // longer than any of them may stand
  for (const char* sku : {"s0", "s1"}) RC_ASSERT(cluster.truth(sku).held == 0);
  RC_ASSERT(clients.verdict() == "");
  RC_ASSERT(cluster.complaints() == "");
  for (std::size_t i = 1; i < cluster.size(); ++i)
    RC_ASSERT(cluster.state(i).digest() == cluster.state(0).digest());
}

void check_weather(const std::string& name, Weather weather) {
  check_property(name, [&] {
    const auto number = [](int below) { return rc::gen::inRange(0, below); };
    const auto steps = *rc::gen::resize(120, rc::gen::container<std::vector<Step>>(rc::gen::tuple(
                                                 number(18), number(3), number(40), number(60))));
    run(steps, *rc::gen::inRange<std::uint64_t>(1, 1'000'000), weather);
  });
}

}  // namespace

TEST_SUITE("random clusters") {
  TEST_CASE("in fair weather") { check_weather("requests only", {}); }
  TEST_CASE("with cut and lost links") { check_weather("cuts", {.cuts = true}); }
  TEST_CASE("with crashes") { check_weather("crashes", {.crashes = true}); }
  TEST_CASE("with everything") { check_weather("everything", {.cuts = true, .crashes = true}); }

  TEST_CASE("the last unit is sold once, wherever it is asked for") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      Cluster cluster({.nodes = 3, .seed = seed});
      cluster.settle();
      cluster.call(0, PutSku{.sku = "a"});
      cluster.call(seed % 3 == 0 ? 0 : 1, Receive{.sku = "a", .quantity = 1});
      cluster.converge();
      if (cluster.truth("a").on_hand == 0) cluster.call(1, Receive{.sku = "a", .quantity = 1});
      std::vector<std::uint64_t> tokens;
      for (int i = 0; i < 9; ++i)
        tokens.push_back(cluster.submit(
            i % 3, Reserve{.id = std::to_string(i), .lines = {{"a", 1}}, .wait_ms = 2'000}));
      cluster.run_for(5'000);
      int won = 0;
      for (const auto token : tokens) won += cluster.take(token).code == Code::created ? 1 : 0;
      CHECK(won == 1);
      CHECK(cluster.complaints() == "");
    }
  }

  TEST_CASE("two sides of a cut sell what they have rights to, and agree afterwards") {
    Cluster cluster({.nodes = 3});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 30});
    cluster.call(0, GrantTo{.sku = "a", .to = "region-2", .quantity = 10});
    CHECK(cluster.converge());
    cluster.cut(0, 2);
    cluster.cut(1, 2);
    cluster.run_for(6'000);
    int sold = 0;
    for (int i = 0; i < 30; ++i)
      for (const std::size_t node : {0u, 1u, 2u}) {
        const std::string id = std::to_string(node) + "." + std::to_string(i);
        if (cluster.call(node, Reserve{.id = id, .lines = {{"a", 1}}}).code != Code::created)
          continue;
        CHECK(cluster.call(node, Commit{.id = id}).code == Code::ok);
        ++sold;
      }
    CHECK(sold == 30);
    cluster.heal_all();
    cluster.settle();
    CHECK(cluster.converge());
    CHECK(cluster.truth("a").on_hand == 0);
    CHECK(cluster.complaints() == "");
  }
}
