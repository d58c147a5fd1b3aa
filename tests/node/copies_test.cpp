// Copies: adoption of reservations whose home is lost, and what becomes of two of one id or of one
// key. Node i is region-i; node 2 is the one that is lost, node 0 issues the decree.

#include "node/copies.h"

#include <doctest/doctest.h>

#include "tests/node/support/shop.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

// Node 2 holds "r" and is lost, and declared lost.
struct Adopted : Shop {
  explicit Adopted(const std::vector<Units>& units, Units held = 4) : Shop(units) {
    hold(2, "r", held);
    back();
    lose(2);
    CHECK(failover(0, "region-2").code == Code::created);
    CHECK(cluster.run_until([&] { return cluster.stats(1).open_decrees == 1; }, 5'000));
    cluster.run_for(500);
  }
  // All nodes show that end, and no unit of it is counted twice.
  void check(HoldState end, Units sold, Units held = 0) {
    CHECK(same());
    for (std::size_t node = 0; node < cluster.size(); ++node)
      if (cluster.lives(node)) CHECK(state_of(node, "r") == end);
    CHECK(truth().sold == sold);
    CHECK(truth().held == held);
  }
  // Sells what node 0 and 1 have.
  void sell_out() {
    for (const std::size_t node : {0u, 1u})
      if (cluster.rights(node, "a") > 0)
        sell(node, "out-" + std::to_string(node), cluster.rights(node, "a"));
  }
};

}  // namespace

TEST_SUITE("adoption") {
  TEST_CASE("without a decree a lost home is 503, never 404, and its copy can be read") {
    Shop shop({10, 10, 10});
    shop.hold(2, "r", 4);
    shop.back();
    shop.lose(2);
    CHECK(shop.commit(0, "r") == Code::home_unreachable);
    CHECK(shop.release(1, "r") == Code::home_unreachable);
    CHECK(shop.code(0, Extend{"r", 60}) == Code::home_unreachable);
    CHECK(shop.state_of(0, "r") == HoldState::held);
    shop.back();
    CHECK(shop.commit(0, "r") == Code::ok);
  }

  TEST_CASE("with rights of its own a node commits, and seizes nothing; the home gives way") {
    for (const std::size_t adopter : {0u, 1u}) {
      Adopted shop({10, 10, 10});
      const Units seized = shop.truth().seized;
      CHECK(shop.commit(adopter, "r") == Code::ok);
      CHECK(shop.commit(adopter, "r") == Code::ok);
      CHECK(shop.cluster.stats(adopter).adoptions == 1);
      CHECK(shop.truth().seized == seized);
      CHECK(shop.truth().sold == 4);
      shop.back();
      shop.check(HoldState::committed, 4);
      CHECK(shop.cluster.state(2).own_hold("r")->row.overruled);
      CHECK(shop.cluster.state(2).own_hold("r")->row.state == HoldState::released);
      CHECK(shop.truth().available() == 26);
      CHECK(shop.until_closed(0));
    }
  }

  TEST_CASE("part of it is committed, the rest released") {
    Adopted shop({10, 10, 10});
    CHECK(shop.code(0, Commit{"r", {{{"a", 5}}}}) == Code::out_of_range);
    CHECK(shop.code(0, Commit{"r", {{{"a", 1}}}}) == Code::ok);
    CHECK(shop.truth().sold == 1);
    shop.back();
    shop.check(HoldState::committed, 1);
    CHECK(shop.truth().available() == 29);
  }

  TEST_CASE("a release needs no units, and the home obeys it") {
    Adopted shop({0, 0, 10});
    shop.sell_out();
    CHECK(shop.release(1, "r") == Code::ok);
    CHECK(shop.truth().seized == 6);
    CHECK(shop.commit(1, "r") == Code::reservation_closed);
    shop.back();
    shop.check(HoldState::released, 6);
    CHECK(shop.truth().rights[2] == 4);
    CHECK(shop.cluster.stats(2).copies_overruled == 1);
  }

  TEST_CASE("an extension is taken over by the home, and the adopter gives way") {
    Adopted shop({10, 10, 10});
    CHECK(shop.code(0, Extend{"r", 86'400}) == Code::ok);
    const std::int64_t promised = shop.cluster.state(0).own_hold("r")->row.expires_at;
    CHECK(shop.truth().held == 8);  // on both sides
    shop.back();
    shop.check(HoldState::held, 0, 4);
    const auto* home = shop.cluster.state(0).hold("r");
    CHECK(home->origin == shop.cluster.replica(2));
    CHECK(home->row.expires_at >= promised);
    CHECK(shop.cluster.state(0).own_hold("r")->row.overruled);
    CHECK(shop.commit(0, "r") == Code::ok);
    shop.check(HoldState::committed, 4);
  }

  TEST_CASE("the issuer seizes what it lacks, at most what its dry run counted") {
    Adopted shop({0, 0, 10});
    shop.sell_out();
    CHECK(shop.truth().available() == 0);
    CHECK(shop.commit(0, "r") == Code::ok);
    CHECK(shop.truth().seized == 10);  // 6 by decree, and the 4 that were counted in open_holds
    CHECK(shop.truth().sold == 10);
    shop.back();
    shop.check(HoldState::committed, 10);
    CHECK(shop.until_closed(0));
    CHECK(shop.truth().available() == 0);
    CHECK(shop.truth().budget() == 0);
  }

  TEST_CASE("another node that lacks the units asks the issuer, and is 503 without it") {
    Adopted shop({0, 0, 10});
    shop.sell_out();
    shop.cluster.cut(0, 1);
    shop.cluster.run_for(4'000);
    CHECK(shop.commit(1, "r") == Code::home_unreachable);
    CHECK(shop.cluster.state(1).own_hold("r") == nullptr);
    shop.cluster.heal(0, 1);
    shop.cluster.run_for(10'000);
    CHECK(shop.commit(1, "r") == Code::ok);
    CHECK(shop.cluster.state(0).own_hold("r") != nullptr);  // there
    CHECK(shop.truth().seized == 10);
    shop.back();
    shop.check(HoldState::committed, 10);
  }

  TEST_CASE("a hold that the dry run did not count is not seized for") {
    Shop shop({0, 0, 10});
    shop.cluster.cut(0, 1);
    shop.cluster.cut(0, 2);
    shop.cluster.run_for(4'000);
    shop.hold(2, "r", 3);  // node 1 sees it, the issuer does not
    shop.cluster.run_for(1'000);
    CHECK(plan(shop.failover(0, "region-2")).open_holds == 0);
    shop.lose(2);
    shop.cluster.heal(0, 1);
    shop.cluster.run_for(10'000);
    REQUIRE(shop.cluster.state(0).hold("r") != nullptr);
    for (const std::size_t node : {0u, 1u})
      if (shop.cluster.rights(node, "a") > 0)
        shop.sell(node, "out-" + std::to_string(node), shop.cluster.rights(node, "a"));
    const Units seized = shop.truth().seized;
    CHECK(shop.commit(0, "r") == Code::home_unreachable);
    CHECK(shop.commit(1, "r") == Code::home_unreachable);
    CHECK(shop.truth().seized == seized);
    shop.receive(1, 3);
    CHECK(shop.commit(1, "r") == Code::ok);  // with its own
    shop.back();
    CHECK(shop.truth().seized == seized);
    CHECK(shop.state_of(2, "r") == HoldState::committed);
  }

  TEST_CASE("committed here and at home: one sale, the other is voided") {
    Adopted shop({10, 10, 10});
    CHECK(shop.commit(0, "r") == Code::ok);
    CHECK(shop.commit(2, "r") == Code::ok);
    CHECK(shop.truth().sold == 8);
    shop.back();
    shop.check(HoldState::committed, 4);
    CHECK(shop.cluster.state(0).hold("r")->origin == shop.cluster.replica(2));
    CHECK(shop.cluster.state(0).own_hold("r")->row.overruled);
    CHECK(shop.truth().returned == 0);
    CHECK(shop.cluster.stats(0).conflicts == 0);  // both customers were told the same
  }

  TEST_CASE("part of it committed here and all of it at home: one of them, with a conflict") {
    Adopted shop({10, 10, 10});
    CHECK(shop.code(0, Commit{.id = "r", .lines = {{{"a", 1}}}}) == Code::ok);
    CHECK(shop.commit(2, "r") == Code::ok);
    shop.back();
    shop.check(HoldState::committed, 4);
    CHECK(shop.cluster.stats(0).conflicts + shop.cluster.stats(2).conflicts > 0);
  }

  TEST_CASE("released here and committed at home: the commit stands, with a conflict") {
    Adopted shop({10, 10, 10});
    CHECK(shop.release(0, "r") == Code::ok);
    CHECK(shop.commit(2, "r") == Code::ok);
    shop.back();
    shop.check(HoldState::committed, 4);
    CHECK(shop.cluster.stats(0).conflicts == 1);
  }

  TEST_CASE("an adopter that is lost itself gives way when it is back") {
    Adopted shop({10, 10, 10});
    CHECK(shop.code(1, Extend{"r", 7'200}) == Code::ok);
    shop.cluster.run_for(2'000);
    shop.cluster.crash(1);
    shop.cluster.heal_all();
    shop.cluster.run_for(10'000);
    CHECK(shop.cluster.state(0).hold("r")->origin == shop.cluster.replica(2));
    CHECK(shop.commit(0, "r") == Code::ok);  // at its home
    CHECK(shop.truth().held == 4);           // at the adopter, until it is back
    shop.back();
    shop.check(HoldState::committed, 4);
    CHECK(shop.truth().available() == 26);
  }

  TEST_CASE("an adopter that is declared lost is adopted from in its turn") {
    Adopted shop({20, 10, 10});
    CHECK(shop.code(1, Extend{"r", 7'200}) == Code::ok);
    shop.cluster.run_for(2'000);
    shop.crash(1);
    CHECK(shop.commit(0, "r") == Code::home_unreachable);
    CHECK(shop.failover(0, "region-1").code == Code::created);
    CHECK(shop.commit(0, "r") == Code::ok);
    shop.back();
    shop.check(HoldState::committed, 4);
    CHECK(shop.until_closed(0));
  }

  TEST_CASE("units sold by a lost home are not taken back elsewhere") {
    Shop shop({10, 10, 10});
    shop.sell(2, "r", 4);
    shop.back();
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    CHECK(shop.code(0, Return{.id = "r", .lines = {{"a", 1}}, .key = {"POST", "k"}}) ==
          Code::home_unreachable);
    CHECK(shop.commit(0, "r") == Code::ok);  // it is committed: that can be said
    CHECK(shop.release(0, "r") == Code::reservation_closed);
    CHECK(shop.cluster.stats(0).adoptions == 0);
  }
}

TEST_SUITE("one id, or one key, in two regions") {
  struct Apart : Shop {
    Apart() : Shop({10, 10}) { lose(1); }
    void sold_and_held(Units sold, Units held) {
      back();
      CHECK(truth().sold == sold);
      CHECK(truth().held == held);
    }
  };

  TEST_CASE("equal requests: the lower replica's is held, the other's released") {
    Apart shop;
    shop.hold(1, "r", 4);
    shop.hold(0, "r", 4);
    shop.sold_and_held(0, 4);
    CHECK(shop.cluster.state(1).hold("r")->origin == shop.cluster.replica(0));
    CHECK(shop.cluster.stats(1).copies_overruled == 1);
    CHECK(shop.cluster.stats(0).conflicts + shop.cluster.stats(1).conflicts == 0);
  }

  TEST_CASE("a commit stands over a held one, wherever it is") {
    Apart shop;
    shop.hold(0, "r", 4);
    shop.sell(1, "r", 4);
    shop.sold_and_held(4, 0);
    CHECK(shop.state_of(0, "r") == HoldState::committed);
    CHECK(shop.cluster.state(0).hold("r")->origin == shop.cluster.replica(1));
  }

  TEST_CASE("two commits: one is voided, as if it had never been") {
    Apart shop;
    shop.sell(0, "r", 4);
    shop.sell(1, "r", 4);
    shop.sold_and_held(4, 0);
    CHECK(shop.truth().on_hand == 16);
    CHECK(shop.truth().rights == std::vector<Units>{6, 10});
  }

  TEST_CASE("unequal requests both stand, with a conflict on both sides") {
    Apart shop;
    shop.hold(0, "r", 4);
    shop.hold(1, "r", 3);
    shop.sold_and_held(0, 7);
    for (const std::size_t node : {0u, 1u}) CHECK(shop.cluster.stats(node).conflicts == 1);
    CHECK(shop.commit(0, "r") == Code::ok);
  }

  TEST_CASE("a conflict is told once as long as its row is here, and then forgotten with it") {
    holdfast::crdt::State state(ReplicaId{1});
    Ledger ledger(state, [](const auto&) { return 0; });
    std::size_t told = 0;
    holdfast::crdt::Sequence sequence = 0;
    Copies copies(state, ledger, {.tell = [&](const std::string&) { ++told; }});
    const auto use = [&](const std::string& key, std::int64_t created_at) {
      state.put_key(key, {.digest = 1, .created_at = created_at});
      std::string rows;
      state.seal(rows);
      const holdfast::crdt::KeyRow other{.digest = 2, .created_at = created_at};
      holdfast::crdt::DecodedRow row{.kind = holdfast::crdt::RowKind::key, .key = key};
      row.sequence = ++sequence;
      row.payload = other;
      CHECK(state.merge(ReplicaId{2}, std::move(row)).ok());
      for (int times = 0; times < 2; ++times) copies.settle_key(key, {});
    };
    for (int i = 0; i < 2'500; ++i) use("POST\n" + std::to_string(i), 10 + i % 2);
    CHECK(told == 2'500);
    for (int i = 0; i < 3; ++i) copies.tick();
    CHECK(copies.remembered() == 2'500);
    state.drop_keys_before(11, 10'000);
    for (int i = 0; i < 3; ++i) copies.tick();
    CHECK(copies.remembered() == 1'250);
    use("POST\n0", 20);  // new again
    CHECK(told == 2'501);
    state.drop_keys_before(15, 10'000);
    use("POST\n1", 20);  // likewise, before anyone has looked
    CHECK(told == 2'502);
    for (int i = 0; i < 3; ++i) copies.tick();
    CHECK(copies.remembered() == 2);
  }

  TEST_CASE("a receipt with one key counts once; what was sold of it is debt, and repaid") {
    Apart shop;
    const Receive receipt{.sku = "a", .quantity = 8, .key = {"POST /v1/skus/a/receipts", "k"}};
    CHECK(shop.code(0, Command(receipt)) == Code::created);
    CHECK(shop.code(1, Command(receipt)) == Code::created);
    shop.sell(1, "r", 15);
    CHECK(shop.truth().on_hand == 21);
    shop.back();
    CHECK(shop.truth().on_hand == 13);
    CHECK(shop.cluster.stats(1).keys_undone == 1);
    CHECK(shop.cluster.stats(0).keys_undone == 0);
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    CHECK(shop.truth().rights == std::vector<Units>{13, 0});
    CHECK(shop.code(1, Command(receipt)) == Code::created);  // answered, and done once
    CHECK(shop.truth().on_hand == 13);
  }

  TEST_CASE("losses and allowances with one key are undone, too; grants stand") {
    Apart shop;
    const Adjust loss{.sku = "a", .delta = -2, .reason = "", .key = {"POST /adjust", "k"}};
    const Allow allowance{.sku = "a", .delta = 5, .key = {"POST /allow", "k"}};
    for (const std::size_t node : {0u, 1u}) {
      CHECK(shop.code(node, Command(loss)) == Code::created);
      CHECK(shop.code(node, Command(allowance)) == Code::created);
    }
    CHECK(shop.truth().on_hand == 16);
    CHECK(shop.truth().allowance == 10);
    shop.back();
    CHECK(shop.truth().on_hand == 18);
    CHECK(shop.truth().allowance == 5);
    CHECK(shop.cluster.stats(1).keys_undone == 2);
  }

  TEST_CASE("a key for two requests: both stand, with a conflict") {
    Apart shop;
    const IdempotencyKey key{"POST /v1/skus/a/receipts", "k"};
    CHECK(shop.code(0, Receive{.sku = "a", .quantity = 8, .key = key}) == Code::created);
    CHECK(shop.code(1, Receive{.sku = "a", .quantity = 9, .key = key}) == Code::created);
    shop.back();
    CHECK(shop.truth().on_hand == 37);
    CHECK(shop.cluster.stats(0).conflicts == 1);
    CHECK(shop.cluster.stats(0).keys_undone + shop.cluster.stats(1).keys_undone == 0);
  }
}
