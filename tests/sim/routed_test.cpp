// Routers in the simulator: their calls, their ends, and that who judges them can find fault.

#include "sim/routed_run.h"

#include <doctest/doctest.h>

#include "sim/routed_audit.h"

using namespace holdfast::sim;
namespace node = holdfast::node;
using node::Code;
using node::Outcome;

namespace {

// Two shards of one node, one router, two SKUs of ten units, one in each; nothing breaks.
RoutedPlan quiet_plan() {
  RoutedPlan plan{.seed = 5, .routers = {{}}, .skus = {"a", "b"}};
  plan.map.version = 1;
  for (const char* name : {"s0", "s1"}) {
    plan.shards.push_back({.seed = plan.shards.size() + 1,
                           .regions = {"a"},
                           .nodes = {{.region = "a"}},
                           .http_prefix = std::string(name) + "-"});
    plan.map.shards.push_back({.name = name, .nodes = {"http://" + std::string(name) + "-http-0"}});
  }
  plan.map.ranges = {{"a", "b", 0}, {"b", "c", 1}};
  return plan;
}

struct Shop {
  explicit Shop(RoutedPlan of) : plan(std::move(of)), world(plan, trace), shoppers(world) {
    world.when_ended([](std::size_t) {});
    for (std::size_t shard = 0; shard < world.shards(); ++shard) world.shard(shard).start_all();
    world.start_router(0);
    world.run_until([&] { return world.router(0).whole(); }, 10 * kSecond);
    shoppers.open_shop();
    REQUIRE(world.run_until([&] { return shoppers.done(); }, world.now() + 10 * kSecond));
  }
  std::optional<Outcome> ask(const node::Command& command) {
    std::optional<Outcome> found;
    bool ended = false;
    world.router(0).request(command, [&](std::optional<Outcome>&& outcome) {
      found = std::move(outcome);
      ended = true;
    });
    world.run_until([&] { return ended; }, world.now() + 60 * kSecond);
    CHECK(ended);
    return found;
  }
  std::string audited() {
    RoutedAudit(world, shoppers).run();
    return world.violation() ? world.violation()->invariant : "";
  }
  node::Reserve cart() const { return {.id = "cart", .lines = {{"a", 2}, {"b", 3}}}; }

  const RoutedPlan plan;
  const Trace trace;
  RoutedWorld world;
  RoutedShoppers shoppers;
};

RoutedPlan one_cart() {
  RoutedPlan plan = quiet_plan();
  plan.operations.push_back({.id = "cart", .lines = {{"a", 2}, {"b", 3}}});
  return plan;
}

}  // namespace

TEST_SUITE("routed") {
  TEST_CASE("a seed passes, is the same run each time, and another one when faults are left out") {
    const Verdict first = run_routed_seed(3), again = run_routed_seed(3);
    CHECK(first.passed);
    CHECK(first.hash == again.hash);
    CHECK(first.event == again.event);
    const PlanSize size = routed_plan_size(3);
    REQUIRE(size.operations > 0);
    CHECK(run_routed_seed(3, {.faults = {}, .operations = {0}, .end_ms = {}}).hash != first.hash);
    CHECK(describe_routed_plan(3).find("operation at") != std::string::npos);
  }

  TEST_CASE("a router that ends answers nobody; the next one finds what it left") {
    Shop shop(quiet_plan());
    shop.world.router(0).end_after(1);  // the part is asked for, the record is not
    CHECK_FALSE(shop.ask(shop.cart()));
    CHECK_FALSE(shop.world.router(0).lives());
    CHECK(shop.world.sometimes().contains("a router ended between the parts and the record"));
    shop.world.start_router(0);
    shop.world.run_to(shop.world.now() + 5 * kSecond);
    CHECK(shop.audited() == "held-too-long");
  }

  TEST_CASE("what is left over is released by the sweep of the next router") {
    Shop shop(quiet_plan());
    shop.world.router(0).end_after(1);
    CHECK_FALSE(shop.ask(shop.cart()));
    shop.world.start_router(0);
    shop.world.run_to(shop.world.now() + 240 * kSecond);
    CHECK(shop.world.sometimes().contains("a sweep released a part that was left over"));
    CHECK(shop.audited() == "");
  }

  TEST_CASE("calls are not sent, lost with their answers, or refused: the router is told which") {
    Shop shop(quiet_plan());
    shop.world.calls().lossy(0) = {.unsent = 1};
    CHECK(shop.ask(shop.cart())->code == Code::shard_unreachable);
    shop.world.calls().lossy(0) = {};
    shop.world.run_to(shop.world.now() + 5 * kSecond);
    shop.world.calls().lossy(0) = {.answer = 1};
    CHECK(shop.ask(node::Reserve{.id = "one", .lines = {{"a", 1}}})->code == Code::outcome_unknown);
    shop.world.calls().lossy(0) = {};
    shop.world.run_to(shop.world.now() + 5 * kSecond);
    shop.world.shard(1).node(0).crash(PowerLoss::forgets, false);
    CHECK(shop.ask(node::GetReservation{"cart"})->code == Code::shard_unreachable);
  }

  TEST_CASE("the audit finds a cart that is sold as told, and one that came back behind its back") {
    for (const bool behind : {false, true}) {
      Shop shop(one_cart());
      shop.shoppers.schedule(shop.world.now());
      shop.world.run_until([&] { return shop.shoppers.done(); }, shop.world.now() + 90 * kSecond);
      REQUIRE(shop.shoppers.carts().front().commit == CartAccount::Commit::told);
      if (behind)
        CHECK(
            shop.world.ask(0, 0, node::Return{.id = "cart", .lines = {{"a", 1}}, .key = {"", "k"}})
                .succeeded());
      CHECK(shop.audited() == (behind ? "told-and-not-sold" : ""));
    }
  }
}
