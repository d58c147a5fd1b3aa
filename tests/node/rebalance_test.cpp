// Rights that move ahead of demand: the policies alone, and nodes that follow them.

#include "node/rebalance.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/node/support/clients.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::ReplicaId;

namespace {

// All replicas, with the same view: what each would pull is asked for and given as the policy says.
struct Market {
  std::vector<Share> shares;
  Units gather_below = 0;

  Outlook outlook(std::size_t self) const {
    Outlook outlook{.self = shares[self], .gather_below = gather_below};
    for (std::size_t i = 0; i < shares.size(); ++i)
      if (i != self) outlook.peers.push_back(shares[i]);
    return outlook;
  }
  // Units that moved.
  Units round(const RebalancePolicy& policy) {
    Units moved = 0;
    for (std::size_t i = 0; i < shares.size(); ++i)
      for (const Pull& pull : policy.pulls(outlook(i)))
        for (std::size_t from = 0; from < shares.size(); ++from) {
          if (shares[from].replica != pull.from) continue;
          const Units given = std::min(pull.units, policy.spare(outlook(from), shares[i].replica));
          shares[from].rights -= given;
          shares[i].rights += given;
          moved += given;
        }
    return moved;
  }
  Units total() const {
    return std::accumulate(shares.begin(), shares.end(), Units{0},
                           [](Units sum, const Share& share) { return sum + share.rights; });
  }
};

Market market(std::vector<std::pair<Units, double>> rights_and_demand, Units gather_below = 0) {
  Market market{.gather_below = gather_below};
  for (const auto& [rights, demand] : rights_and_demand)
    market.shares.push_back(
        {.replica = {market.shares.size() + 1}, .rights = rights, .demand = demand});
  return market;
}

// Each customer asks for `cart` units.
Market market_of_carts(double cart, std::vector<std::pair<Units, double>> rights_and_demand) {
  Market all = market(std::move(rights_and_demand), 10);
  for (Share& share : all.shares) share.cart = cart;
  return all;
}

const RebalancePolicy& proportional() { return *find_policy("proportional"); }

}  // namespace

TEST_SUITE("rebalance") {
  TEST_CASE("every policy is found by its name, and nothing else is") {
    for (const std::string& name : policy_names()) {
      REQUIRE(find_policy(name) != nullptr);
      CHECK(find_policy(name)->name() == name);
    }
    CHECK(find_policy("") == nullptr);
    CHECK(find_policy("Proportional") == nullptr);
  }

  TEST_CASE("static gives nothing, on-demand only to customers who wait") {
    const Market all = market({{100, 0}, {0, 9}});
    for (const char* name : {"static", "on-demand"}) {
      CAPTURE(name);
      CHECK(find_policy(name)->pulls(all.outlook(1)).empty());
      CHECK(find_policy(name)->spare(all.outlook(0), ReplicaId{2}) == 0);
    }
    CHECK_FALSE(find_policy("static")->moves_for_customers());
    CHECK(find_policy("on-demand")->moves_for_customers());
  }

  TEST_CASE("rights go where they sell, and some stay where they do not") {
    Market all = market({{300, 1}, {300, 90}, {300, 9}});
    while (all.round(proportional()) > 0) {
    }
    CHECK(all.shares[1].rights > 700);
    CHECK(all.shares[0].rights >= 10);
    CHECK(all.shares[2].rights >= 70);
    CHECK(all.total() == 900);
  }

  TEST_CASE("nothing is asked of one that cannot be reached") {
    Market all = market({{1000, 0}, {0, 10}});
    all.shares[0].reachable = false;
    CHECK(proportional().pulls(all.outlook(1)).empty());
  }

  TEST_CASE("half of its target is enough: no pull for a few units") {
    const Market all = market({{60, 1}, {40, 1}});
    CHECK(proportional().pulls(all.outlook(0)).empty());
    CHECK(proportional().pulls(all.outlook(1)).empty());
  }

  TEST_CASE("the last units are gathered where they sell") {
    Market all = market({{3, 0}, {2, 5}, {3, 0}}, 10);
    while (all.round(proportional()) > 0) {
    }
    CHECK(all.shares[1].rights == 8);
  }

  TEST_CASE("with little between the demands the last units stay with who has most of them") {
    Market all = market({{5, 4}, {1, 5}}, 10);
    while (all.round(proportional()) > 0) {
    }
    CHECK(all.shares[0].rights == 6);
  }

  TEST_CASE("a cart is kept where few customers come, as long as one is expected there") {
    Market all = market_of_carts(6, {{60, 90}, {60, 9}, {60, 1}});
    while (all.round(proportional()) > 0) {
    }
    CHECK(all.shares[0].rights > 120);
    CHECK(all.shares[1].rights >= 6);
    CHECK(all.shares[2].rights >= 6);
    // Of three carts the busiest has two: nobody is likely to come to the quietest before the end.
    Market few = market_of_carts(6, {{6, 90}, {6, 9}, {6, 1}});
    while (few.round(proportional()) > 0) {
    }
    CHECK(few.shares[0].rights == 12);
    CHECK(few.shares[1].rights == 6);
  }

  TEST_CASE("what is less than a cart for each is gathered: the last cart is whole") {
    Market all = market_of_carts(6, {{2, 90}, {5, 9}, {2, 1}});
    while (all.round(proportional()) > 0) {
    }
    CHECK(all.shares[0].rights == 9);
  }

  TEST_CASE("who has the last cart keeps it, unless demand elsewhere is clearly greater") {
    Market all = market_of_carts(6, {{0, 5}, {6, 4}, {0, 4}});
    CHECK(all.round(proportional()) == 0);
    all.shares[0].demand = 9;
    CHECK(all.round(proportional()) == 6);
    CHECK(all.shares[0].rights == 6);
    CHECK(all.round(proportional()) == 0);
  }

  TEST_CASE("half of what nobody has asked for yet stays spread evenly") {
    Market all = market({{0, 0}, {300, 0}, {0, 0}});
    for (Share& share : all.shares) share.overall = 1;
    all.shares[1].overall = 98;
    for (std::size_t i = 0; i < 3; ++i) {
      Outlook outlook = all.outlook(i);
      outlook.prior = 1;
      CHECK(proportional().target(outlook) >= 50);
    }
  }

  TEST_CASE("floors: with enough for all, nobody comes to rest with less than a cart") {
    check_property("floors", [] {
      const int cart = *rc::gen::inRange(1, 20), count = *rc::gen::inRange(1, 6);
      Market all{.gather_below = 10};
      for (int i = 0; i < count; ++i)
        all.shares.push_back({.replica = {static_cast<std::uint64_t>(i + 1)},
                              .demand = *rc::gen::inRange(0, 100) * 0.1,
                              .cart = static_cast<double>(cart)});
      all.shares[0].rights = 10 * count * cart;  // the weight of the least is 1 % at least
      const Units before = all.total();
      for (int rounds = 0; all.round(proportional()) > 0; ++rounds) RC_ASSERT(rounds < 30);
      RC_ASSERT(all.total() == before);
      Units targets = 0;
      for (std::size_t i = 0; i < all.shares.size(); ++i) {
        const Outlook outlook = all.outlook(i);
        const Units target = proportional().target(outlook),
                    enough = proportional().enough(outlook);
        targets += target;
        RC_ASSERT(enough <= target);
        RC_ASSERT(all.shares[i].rights >= enough);
        RC_ASSERT(target == 0 || target >= cart);
      }
      RC_ASSERT(targets <= before);
    });
  }

  TEST_CASE("no oscillation: with steady demand all comes to rest, and nothing is made or lost") {
    check_property("rests", [] {
      Market all{.gather_below = *rc::gen::inRange<Units>(0, 30)};
      const int count = *rc::gen::inRange(1, 8);
      for (int i = 0; i < count; ++i)
        all.shares.push_back({.replica = {static_cast<std::uint64_t>(i + 1)},
                              .rights = *rc::gen::inRange<Units>(0, 200),
                              .demand = *rc::gen::inRange(0, 100) * 0.1,
                              .cart = static_cast<double>(*rc::gen::inRange(0, 40)),
                              .reachable = *rc::gen::inRange(0, 5) > 0});
      const Units before = all.total();
      Units moved = 0;
      int rounds = 0;
      for (Units now = 1; now > 0 && rounds < 30; ++rounds)
        moved += now = all.round(proportional());
      RC_ASSERT(rounds < 30);
      RC_ASSERT(all.total() == before);
      RC_ASSERT(moved <= 2 * before);  // no unit goes back and forth
      for (const Share& share : all.shares) RC_ASSERT(share.rights >= 0);
    });
  }

  TEST_CASE("a pull never leaves its giver so poor that it pulls back") {
    check_property("no trade back", [] {
      Market all = market({{*rc::gen::inRange<Units>(0, 500), *rc::gen::inRange(0, 50) * 0.1},
                           {*rc::gen::inRange<Units>(0, 500), *rc::gen::inRange(0, 50) * 0.1}},
                          *rc::gen::inRange<Units>(0, 20));
      for (Share& share : all.shares) share.cart = *rc::gen::inRange(0, 40);
      const auto pulls = proportional().pulls(all.outlook(0));
      if (pulls.empty()) return;
      const Units given = std::min(pulls[0].units, proportional().spare(all.outlook(1), {1}));
      all.shares[0].rights += given;
      all.shares[1].rights -= given;
      RC_ASSERT(proportional().pulls(all.outlook(1)).empty());
    });
  }

  TEST_CASE("nodes: rights come before they are lacking, and the demand is told in the rows") {
    Cluster cluster({.nodes = 2, .rebalance = {}});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 1'000});
    REQUIRE(cluster.converge());
    // The first cart has to wait for rights; they bring more than it lacks.
    CHECK(cluster.call(1, Reserve{.id = "r0", .lines = {{"a", 2}}}).code == Code::created);
    cluster.run_for(20'000);
    CHECK(cluster.rights(1, "a") > 400);
    for (int i = 1; i < 100; ++i) {
      const std::uint64_t token =
          cluster.submit(1, Reserve{.id = "r" + std::to_string(i), .lines = {{"a", 2}}});
      cluster.run_for(20);
      REQUIRE(cluster.answered(token));  // no time to ask anybody
      CHECK(cluster.take(token).code == Code::created);
    }
    CHECK(cluster.stats(1).reservations_waited == 1);
    const auto* row = cluster.state(1).product("a")->stock.find(cluster.replica(1));
    CHECK(row->row.demand_milli > 0);
    CHECK(row->row.cart == 2);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("nodes: under static a customer gets what is here, and nothing moves") {
    Cluster cluster({.nodes = 2, .rebalance = {.policy = find_policy("static")}});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    REQUIRE(cluster.converge());
    CHECK(cluster.call(1, Reserve{.id = "r", .lines = {{"a", 1}}}).code ==
          Code::insufficient_stock);
    CHECK(cluster.stats(1).rights_requests_sent == 0);
    CHECK(cluster.rights(0, "a") == 10);
  }

  TEST_CASE("nodes: a cart of more than there is says nothing of those that can be served") {
    Cluster cluster({.nodes = 1, .rebalance = {}});
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 100});
    const auto cart = [&] {
      return cluster.state(0).product("a")->stock.find(cluster.replica(0))->row.cart;
    };
    cluster.call(0, Reserve{.id = "r1", .lines = {{"a", 1'000}}});
    CHECK(cart() == 0);
    cluster.call(0, Reserve{.id = "r2", .lines = {{"a", 4}}});
    CHECK(cart() == 4);
    cluster.call(0, Reserve{.id = "r3", .lines = {{"a", 20}}});
    CHECK(cart() == 12);
    cluster.call(0, Reserve{.id = "r4", .lines = {{"a", 1'000}}});
    CHECK(cart() == 12);
  }

  TEST_CASE("demand that is no more fades, and is told so") {
    Cluster cluster({.nodes = 1, .rebalance = {.window = holdfast::crdt::Millis(10'000)}});
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 100});
    cluster.call(0, Reserve{.id = "r", .lines = {{"a", 50}}});
    const auto told = [&] {
      return cluster.state(0).product("a")->stock.find(cluster.replica(0))->row.demand_milli;
    };
    const auto before = told();
    CHECK(before > 0);
    for (int i = 0; i < 60; ++i) {  // something else keeps the node awake
      cluster.call(0, GetSku{"a"});
      cluster.run_for(1'000);
    }
    CHECK(told() < before / 4);
  }
}
