// How a retired replica that lives comes to its end, and who goes on if nobody is left. Node i is
// region-i.

#include <doctest/doctest.h>

#include "tests/node/support/shop.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

bool until_retired(Shop& shop, std::size_t node) {
  return shop.cluster.run_until(
      [&] { return shop.cluster.state(node).retired(shop.cluster.replica(node)); }, 30'000);
}

// Two nodes that could not see each other, and were each told that the other was gone for good.
struct Ring : Shop {
  Ring() : Shop({10, 10}) {
    lose(0);
    hold(0, "open", 4);
    sell(1, "sold", 3);
    CHECK(retire(0, 1, 0) == Code::created);
    CHECK(retire(1, 0, 1) == Code::created);
    sell(0, "beyond", 12);  // with what was seized of the other, which sold some of it
    cluster.heal_all();
    CHECK(until_retired(*this, 0));
    CHECK(until_retired(*this, 1));
    cluster.run_for(5'000);
  }
};

}  // namespace

TEST_SUITE("the end of a retired node") {
  TEST_CASE("its last row waits for its heir, which another's word for its rows is not") {
    Shop shop({10, 10, 10});
    shop.lose(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.sell(2, "late", 3);
    shop.cluster.cut(0, 1);
    shop.cluster.heal(0, 2);
    CHECK(until_retired(shop, 2));
    shop.cluster.run_for(30'000);
    CHECK(shop.state_of(0, "late") == HoldState::committed);
    CHECK_FALSE(shop.cluster.state(2).member(shop.cluster.replica(2))->row.ended);
    shop.cluster.heal(0, 1);  // by way of node 0: the heir says so in its own row
    CHECK(shop.cluster.run_until([&] { return !shop.cluster.ended(2).empty(); }, 60'000));
    CHECK(shop.state_of(1, "late") == HoldState::committed);
  }

  TEST_CASE("it rests while it waits (seed 9254)") {
    Ring shop;
    for (const std::size_t node : {0u, 1u}) {
      REQUIRE(shop.cluster.lives(node));
      const std::uint64_t before = shop.cluster.turns(node);
      shop.cluster.run_for(10'000);
      CHECK(shop.cluster.turns(node) - before < 1'000);
    }
  }

  TEST_CASE("two that retired each other say what to do, and a new node inherits from both") {
    Ring shop;
    for (const std::size_t node : {0u, 1u}) {
      CHECK_FALSE(shop.cluster.state(node).heir(shop.cluster.replica(0)));
      CHECK_FALSE(shop.cluster.state(node).heir(shop.cluster.replica(1)));
      const Outcome refused =
          shop.cluster.call(node, Reserve{.id = "new", .lines = {{"a", 1}}, .wait_ms = 0});
      CHECK(refused.code == Code::stopping);
      CHECK(refused.detail.find("empty data directory") != std::string::npos);
    }
    const std::string former = shop.id(0);
    shop.cluster.crash(0);
    shop.cluster.start_anew(0);
    shop.cluster.run_for(5'000);  // it hears of both
    CHECK(shop.code(0, Retire{.replica = former, .successor = shop.id(0)}) == Code::created);
    CHECK(shop.cluster.run_until([&] { return !shop.cluster.ended(1).empty(); }, 60'000));
    CHECK(shop.commit(0, "open") == Code::ok);
    const StockView stock = std::get<StockView>(shop.cluster.call(0, GetStock{"a"}).view);
    CHECK(stock.on_hand == 1);  // of 20; 3, 12 and 4 were sold
    CHECK(stock.held == 0);
    // Of the former node 0 no last row will ever come, so that what node 1 has left is taken by one
    // more retirement; first of all it repays what the former node 0 had spent.
    CHECK(shop.reserve(0, "the last", 1) == Code::insufficient_stock);
    CHECK(shop.code(0, Retire{.replica = shop.id(1), .successor = shop.id(0)}) == Code::created);
    CHECK(shop.reserve(0, "too much", 2) == Code::insufficient_stock);
    CHECK(shop.reserve(0, "the last", 1) == Code::created);
  }
}
