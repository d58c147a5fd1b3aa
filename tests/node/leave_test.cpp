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

namespace {

// One receipt, one shrinkage and one allowance, each with one key at nodes 0 and 1, which cannot
// see each other. Node 1, the higher of them, is lost then, and node 2 has all that it wrote.
struct Doubled : Shop {
  Doubled() : Shop({10, 0, 0}) {
    lose(0);
    for (const std::size_t node : {0u, 1u}) {
      CHECK(code(node, Receive{.sku = "a", .quantity = 50, .key = {"POST x", "1"}}) ==
            Code::created);
      CHECK(code(node, Adjust{.sku = "a", .delta = -5, .reason = "lost", .key = {"POST x", "2"}}) ==
            Code::created);
      CHECK(code(node, Allow{.sku = "a", .delta = 7, .key = {"POST x", "3"}}) == Code::created);
      sell(node, node == 0 ? "sold-0" : "sold-1", 40);
    }
    REQUIRE(cluster.replica(0) < cluster.replica(1));
    cluster.run_for(4'000);  // node 2 has it
    cluster.crash(1);
    cluster.heal_all();
    cluster.run_for(4'000);
  }
  void check_figures(std::size_t node) {
    const StockView view = stock(cluster.call(node, GetStock{"a"}));
    CHECK(view.on_hand == 10 + 50 - 5 - 80);
    CHECK(view.allowance == 7);
    CHECK(view.available == 10 + 50 - 5 - 80);
    CHECK(reserve(node, "more-" + std::to_string(++more), 1) == Code::insufficient_stock);
  }
  int more = 0;
};

// Node 0 was put back to before a receipt that node 2 has. One key took effect there, in the
// history that is going to be void, and at node 1. They cannot see each other, and node 0 sees
// nobody.
struct VoidKey : Shop {
  explicit VoidKey(const std::vector<Units>& units) : Shop(units, {.forks = true}) {
    for (std::size_t one = 0; one < units.size(); one += 2)
      for (std::size_t other = 1; other < units.size(); other += 2) cluster.cut(one, other);
    cluster.crash(0);
    const auto copy = cluster.disk(0);
    cluster.restart(0);
    cluster.run_for(4'000);
    CHECK(receive(0, "suffix") == Code::created);
    cluster.run_for(4'000);  // node 2 has it
    cluster.crash(0);
    cluster.put_back(0, copy);
    cluster.cut(0, 2);
    cluster.restart(0);
    CHECK(receive(0, "K") == Code::created);
    CHECK(receive(1, "K") == Code::created);
    REQUIRE(cluster.replica(0) < cluster.replica(1));
  }
  Code receive(std::size_t node, const char* key) {
    return code(node, Receive{.sku = "a", .quantity = 50, .key = {"POST x", key}});
  }
  Units on_hand(std::size_t node) { return stock(cluster.call(node, GetStock{"a"})).on_hand; }
};

}  // namespace

TEST_SUITE("keys of a retired replica") {
  TEST_CASE("its heir undoes what it did twice, and says so of a debt") {
    for (const std::size_t heir : {0u, 2u}) {
      Doubled shop;
      CHECK(shop.retire(0, 1, heir) == Code::created);
      shop.cluster.run_for(5'000);
      for (const std::size_t node : {0u, 2u}) shop.check_figures(node);
      CHECK(shop.cluster.stats(heir).keys_undone == 3);
      CHECK(shop.code(2, Receive{.sku = "a", .quantity = 50, .key = {"POST x", "1"}}) ==
            Code::created);  // the answer of the first, no receipt
      shop.cluster.run_for(1'000);
      shop.check_figures(0);
    }
  }

  TEST_CASE(
      "it comes back and undoes it itself: its heir, or the heir's heir, takes its own back") {
    for (const bool chain : {false, true}) {
      CAPTURE(chain);
      Doubled shop;
      CHECK(shop.retire(0, 1, 2) == Code::created);
      shop.cluster.run_for(5'000);
      if (chain) {
        shop.cluster.crash(2);
        CHECK(shop.retire(0, 2, 0) == Code::created);
        shop.cluster.run_for(5'000);
        shop.check_figures(0);
      }
      shop.cluster.restart(1);
      CHECK(shop.cluster.run_until([&] { return !shop.cluster.ended(1).empty(); }, 60'000));
      shop.cluster.run_for(5'000);
      shop.check_figures(0);
      if (!chain) shop.check_figures(2);
    }
  }

  TEST_CASE("two heirs that do not know of each other undo it once") {
    Doubled shop;
    shop.cluster.cut(0, 2);
    shop.cluster.run_for(4'000);
    CHECK(shop.retire(0, 1, 0) == Code::created);
    CHECK(shop.retire(2, 1, 2) == Code::created);
    shop.cluster.heal_all();
    shop.cluster.run_for(10'000);
    for (const std::size_t node : {0u, 2u}) shop.check_figures(node);
  }

  TEST_CASE("undone for the sake of one whose history proves to be void: it stands after all") {
    VoidKey shop({10, 0, 0, 0});
    Cluster& cluster = shop.cluster;
    cluster.run_for(4'000);
    cluster.crash(1);
    CHECK(shop.retire(3, 1, 3) == Code::created);
    cluster.heal(0, 3);
    cluster.run_for(5'000);
    CHECK(cluster.stats(3).keys_undone == 1);
    cluster.heal_all();
    REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
    cluster.rejoin(0, ReplicaId{cluster.replica(1).value + 1});  // which gives way to node 1's
    cluster.run_for(30'000);
    for (const std::size_t node : {0u, 2u, 3u}) CHECK(shop.on_hand(node) == 10 + 50 + 50);
  }

  TEST_CASE("undone at one that lives for the sake of a void one, and by the fork for its: once") {
    VoidKey shop({10, 0, 0});
    Cluster& cluster = shop.cluster;
    cluster.heal(0, 1);
    const auto undone = [&] { return cluster.state(1).own_key("POST x\nK")->row.state == 1; };
    REQUIRE(cluster.run_until(undone, 30'000));
    cluster.cut(0, 1);
    cluster.heal(0, 2);
    REQUIRE(cluster.run_until([&] { return !cluster.lives(0); }, 30'000));
    cluster.rejoin(0, ReplicaId{cluster.replica(1).value + 1});
    cluster.run_for(5'000);
    cluster.heal_all();
    cluster.run_for(30'000);
    for (const std::size_t node : {0u, 1u, 2u}) CHECK(shop.on_hand(node) == 10 + 50 + 50);
  }
}
