// Estates: a retired replica's open holds, and who ends them. Node i is region-i.

#include "node/estate.h"

#include <doctest/doctest.h>

#include "node/audit.h"
#include "tests/node/support/shop.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

const holdfast::crdt::HoldRow& own(const Shop& shop, std::size_t node, const std::string& id) {
  const auto* hold = shop.cluster.state(node).own_hold(id);
  REQUIRE(hold != nullptr);
  return hold->row;
}

bool until_over(Shop& shop, std::size_t node) {
  return shop.cluster.run_until([&] { return !shop.cluster.ended(node).empty(); }, 60'000);
}

// Node 3 has crashed with an open hold of 4, and was retired on both sides of a cut: {0, 1} with
// node 1 as its successor, {2} with node 2.
struct TwiceRetired : Shop {
  explicit TwiceRetired(const std::vector<Units>& units = {10, 10, 10, 10}) : Shop(units) {
    hold(3, "r", 4);
    back();
    cluster.crash(3);
    for (const std::size_t a : {0u, 1u})
      for (std::size_t b = 2; b < units.size(); ++b)
        if (b != 3) cluster.cut(a, b);
    cluster.run_for(4'000);
    CHECK(retire(0, 3, 1) == Code::created);
    CHECK(retire(2, 3, 2) == Code::created);
    cluster.run_for(1'000);
  }
};

// All totals of that node's rows are those of its holds.
void check_audit(const Shop& shop, std::size_t node) {
  for (const Difference& one : audit(shop.cluster.state(node)))
    FAIL_CHECK(one.what << " of " << one.replica.value << " is " << one.is << ", not "
                        << one.should);
}

// Nothing is held, and what isn't sold can be sold.
void check_whole(Shop& shop, Units on_hand, Units sold) {
  const Truth truth = shop.truth();
  CHECK(truth.on_hand == on_hand);
  CHECK(truth.sold == sold);
  CHECK(truth.held == 0);
}

}  // namespace

TEST_SUITE("estates") {
  TEST_CASE("the dry run says how many units are open, and the successor ends them all") {
    Shop shop({10, 10, 10});
    shop.hold(2, "committed", 1);
    shop.hold(2, "released", 2);
    shop.hold(2, "expired", 3, "a", 30);
    shop.back();
    shop.crash(2);
    const Outcome dry =
        shop.cluster.call(0, Retire{.replica = shop.id(2), .successor = "node-1", .dry_run = true});
    CHECK(dry.code == Code::ok);
    CHECK(plan(dry).open_holds == 6);
    CHECK(plan(dry).seize == 4);
    CHECK(shop.cluster.state(0).retired().empty());
    const Outcome done = shop.cluster.call(
        0, Retire{.replica = shop.id(2), .successor = "node-1", .plan = plan(dry).plan});
    CHECK(done.code == Code::created);
    CHECK(shop.same());
    CHECK(own(shop, 1, "committed").estate_of == shop.cluster.replica(2));
    CHECK(shop.truth().held == 6);
    CHECK(shop.commit(0, "committed") == Code::ok);  // forwarded to the heir
    CHECK(shop.release(1, "released") == Code::ok);
    shop.cluster.run_for(35'000);
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u}) {
      CHECK(shop.state_of(node, "committed") == HoldState::committed);
      CHECK(shop.state_of(node, "released") == HoldState::released);
      CHECK(shop.state_of(node, "expired") == HoldState::expired);
    }
    check_whole(shop, 29, 1);
    CHECK(shop.truth().rights[0] + shop.truth().rights[1] == 29);
    CHECK(shop.truth().rights[2] == 0);
    CHECK(shop.truth().budget() == 0);
    CHECK(shop.account(0, 2).kind == holdfast::crdt::DecreeKind::retirement);
    CHECK(shop.cluster.stats(0).open_decrees == 0);
  }

  TEST_CASE("an heir extends and takes returns of what it sold itself, not of what had been sold") {
    Shop shop({10, 10, 10});
    shop.hold(2, "r", 2);
    shop.sell(2, "sold", 3);
    const Return early{.id = "sold", .lines = {{"a", 1}}, .key = {"POST", "0"}};
    CHECK(shop.code(2, Command(early)) == Code::ok);
    shop.back();
    shop.crash(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(shop.same());
    CHECK(shop.code(0, Extend{"r", 7'200}) == Code::ok);
    CHECK(shop.commit(0, "r") == Code::ok);
    CHECK(shop.code(0, Return{.id = "r", .lines = {{"a", 1}}, .key = {"POST", "1"}}) == Code::ok);
    const Return late{.id = "sold", .lines = {{"a", 1}}, .key = {"POST", "2"}};
    for (const std::size_t node : {0u, 1u}) {
      CHECK(shop.code(node, Command(late)) == Code::replica_retired);
      CHECK(shop.code(node, Command(early)) == Code::ok);  // as it was answered
    }
    shop.crash(1);  // the heir is not asked
    CHECK(shop.code(0, Command(late)) == Code::replica_retired);
    shop.back();
    CHECK(shop.truth().returned == 2);
    check_whole(shop, 27, 5);
  }

  TEST_CASE("a retired node that lives serves nobody; its last row is taken, and it ends") {
    Shop shop({10, 10, 10});
    shop.lose(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.sell(2, "late", 3);  // it doesn't know yet
    shop.hold(2, "open", 2);
    shop.cluster.heal(1, 2);
    CHECK(shop.cluster.run_until(
        [&] { return shop.cluster.state(2).retired(shop.cluster.replica(2)); }, 30'000));
    if (shop.cluster.lives(2)) CHECK(shop.reserve(2, "new", 1) == Code::stopping);
    CHECK(until_over(shop, 2));
    CHECK(shop.cluster.ended(2).find("retired") != std::string::npos);
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u}) {
      CHECK(shop.cluster.state(node).member(shop.cluster.replica(2))->row.ended);
      CHECK(shop.cluster.state(node).head(shop.cluster.replica(2)) ==
            shop.cluster.state(2).head(shop.cluster.replica(2)));
      CHECK(shop.state_of(node, "late") == HoldState::committed);
    }
    CHECK(shop.commit(0, "open") == Code::ok);  // its heir has taken over what it held
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    check_whole(shop, 25, 5);
  }

  TEST_CASE("that a retired one has its last row is not enough for it to end") {
    Shop shop({10, 10, 10});
    shop.cluster.cut(0, 2);
    shop.lose(1);
    shop.cluster.heal(1, 2);
    shop.cluster.run_for(10'000);
    CHECK(shop.retire(0, 1, 0) == Code::created);
    CHECK(shop.retire(0, 2, 0) == Code::created);
    shop.sell(1, "late", 3);
    shop.cluster.heal(0, 2);
    CHECK(shop.cluster.run_until(
        [&] { return shop.cluster.state(2).retired(shop.cluster.replica(2)); }, 30'000));
    shop.cluster.cut(0, 2);
    shop.cluster.run_for(30'000);
    CHECK(shop.cluster.state(1).retired(shop.cluster.replica(1)));  // by node 2
    CHECK(shop.cluster.ended(1).empty());
    shop.cluster.heal_all();
    CHECK(until_over(shop, 1));
    CHECK(until_over(shop, 2));
    shop.cluster.run_for(1'000);
    CHECK(shop.state_of(0, "late") == HoldState::committed);
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    CHECK(shop.truth().rights == std::vector<Units>{27, 0, 0});
  }

  TEST_CASE("a crash after its last row is not in the way of its end") {
    for (std::int64_t after_ms = 0; after_ms < 12; ++after_ms) {
      Shop shop({10, 10, 10});
      CHECK(shop.retire(0, 2, 1) == Code::created);
      shop.cluster.run_until(
          [&] { return shop.cluster.state(2).member(shop.cluster.replica(2))->row.ended; }, 5'000);
      shop.cluster.run_for(after_ms);
      shop.cluster.crash(2);
      shop.cluster.run_for(1'000);
      if (shop.cluster.ended(2).empty()) shop.cluster.restart(2);
      CHECK(until_over(shop, 2));
      CHECK(shop.same());
      CHECK(shop.cluster.state(0).member(shop.cluster.replica(2))->row.ended);
    }
  }

  TEST_CASE("its own commit stands over its heir's expiry, which is taken back") {
    Shop shop({10, 10, 10});
    shop.hold(2, "r", 4, "a", 30);
    shop.back();
    shop.lose(2);
    CHECK(shop.commit(2, "r") == Code::ok);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(40'000);
    CHECK(shop.state_of(0, "r") == HoldState::expired);
    CHECK(own(shop, 1, "r").estate_of == shop.cluster.replica(2));
    shop.cluster.heal_all();
    CHECK(until_over(shop, 2));
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u}) CHECK(shop.state_of(node, "r") == HoldState::committed);
    CHECK_FALSE(own(shop, 1, "r").estate_of);
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    check_whole(shop, 26, 4);
  }

  TEST_CASE("what its heir has ended is ended, also for the heir's own heir") {
    Shop shop({10, 10, 10});
    shop.hold(2, "expired", 4, "a", 30);
    shop.hold(2, "open", 3);
    shop.back();
    shop.crash(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(40'000);
    const auto is_final = [&](const std::string& id) {
      return reservation(shop.cluster.call(0, holdfast::node::GetReservation{id})).final;
    };
    CHECK(is_final("expired"));
    CHECK_FALSE(is_final("open"));
    for (const std::size_t node : {0u, 1u}) CHECK(shop.cluster.state(node).open_holds() == 1);
    CHECK(shop.commit(0, "expired") == Code::reservation_closed);
    shop.crash(1);
    CHECK(is_final("expired"));
    CHECK(shop.retire(0, 1, 0) == Code::created);
    shop.cluster.run_for(1'000);
    CHECK(is_final("expired"));
    CHECK(shop.commit(0, "expired") == Code::reservation_closed);
    CHECK(shop.commit(0, "open") == Code::ok);
    CHECK(shop.cluster.state(0).open_holds() == 0);
    check_whole(shop, 27, 3);
  }

  TEST_CASE("units that an heir takes back and has sold meanwhile are shown as oversold") {
    Shop shop({10, 10, 10});
    shop.hold(2, "r", 10);
    shop.back();
    shop.lose(2);
    CHECK(shop.commit(2, "r") == Code::ok);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(1'000);
    CHECK(shop.release(1, "r") == Code::ok);
    shop.sell(1, "all", 20);
    shop.sell(0, "all-too", 10);
    shop.cluster.heal_all();
    CHECK(until_over(shop, 2));
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u}) {
      const auto& stock = shop.cluster.state(node).product("a")->stock;
      CHECK(stock.available() == -10);
      CHECK(stock.view_available() == -10);
      CHECK(stock.oversold() == 10);
      CHECK(stock.total_debt(shop.cluster.state(node).retired()) == 10);
    }
  }

  TEST_CASE("committed by both: one sale; committed there and released by the heir: a conflict") {
    for (const bool commits : {true, false}) {
      Shop shop({10, 10, 10});
      shop.hold(2, "r", 4);
      shop.back();
      shop.lose(2);
      CHECK(shop.commit(2, "r") == Code::ok);
      CHECK(shop.retire(0, 2, 1) == Code::created);
      shop.cluster.run_for(1'000);
      CHECK((commits ? shop.commit(1, "r") : shop.release(1, "r")) == Code::ok);
      shop.cluster.heal_all();
      CHECK(until_over(shop, 2));
      CHECK(shop.same());
      for (const std::size_t node : {0u, 1u})
        CHECK(shop.state_of(node, "r") == HoldState::committed);
      CHECK(shop.cluster.stats(1).conflicts == (commits ? 0 : 1));
      CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
      check_whole(shop, 26, 4);
    }
  }

  TEST_CASE(
      "a successor that is retired itself: its own successor goes on, and ends nothing twice") {
    Shop shop({10, 10, 10});
    shop.hold(2, "open", 4);
    shop.hold(2, "ended", 2);
    shop.back();
    shop.crash(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(shop.same());
    CHECK(shop.commit(1, "ended") == Code::ok);
    CHECK(shop.same());
    shop.crash(1);
    CHECK(shop.commit(0, "open") == Code::home_unreachable);
    CHECK(shop.retire(0, 1, 0) == Code::created);
    CHECK(shop.cluster.state(0).heir(shop.cluster.replica(2)) == shop.cluster.replica(0));
    CHECK(own(shop, 0, "open").estate_of == shop.cluster.replica(2));
    CHECK(shop.cluster.state(0).own_hold("ended") == nullptr);
    CHECK(shop.commit(0, "open") == Code::ok);
    CHECK(shop.state_of(0, "ended") == HoldState::committed);
    check_whole(shop, 24, 6);
    CHECK(shop.truth().rights == std::vector<Units>{24, 0, 0});
  }

  TEST_CASE("two retirements of one id: the lowest successor stands, the other takes back") {
    struct Ends {
      bool lower, higher;  // commits
      HoldState end;
    };
    for (const auto& [lower, higher, end] :
         {Ends{true, true, HoldState::committed}, Ends{false, true, HoldState::committed},
          Ends{true, false, HoldState::committed}, Ends{false, false, HoldState::released}}) {
      TwiceRetired shop;
      CHECK((lower ? shop.commit(1, "r") : shop.release(1, "r")) == Code::ok);
      CHECK((higher ? shop.commit(2, "r") : shop.release(2, "r")) == Code::ok);
      shop.cluster.heal_all();
      CHECK(shop.same());
      CHECK(own(shop, 1, "r").estate_of == shop.cluster.replica(3));
      CHECK_FALSE(own(shop, 2, "r").estate_of);
      for (std::size_t node = 0; node < 3; ++node) {
        CHECK(shop.state_of(node, "r") == end);
        CHECK(shop.cluster.state(node).heir(shop.cluster.replica(3)) == shop.cluster.replica(1));
      }
      CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
      const Units sold = end == HoldState::committed ? 4 : 0;
      check_whole(shop, 40 - sold, sold);
    }
  }

  TEST_CASE("two retirements of one id: its open hold is held once") {
    TwiceRetired shop;
    CHECK(shop.code(2, Extend{"r", 7'200}) == Code::ok);
    const auto promised = own(shop, 2, "r").expires_at;
    shop.cluster.heal_all();
    CHECK(shop.same());
    CHECK(shop.truth().held == 4);
    CHECK(own(shop, 2, "r").overruled);
    CHECK(own(shop, 1, "r").expires_at >= promised);  // by whoever the customer asked
    CHECK(shop.commit(2, "r") == Code::ok);
    CHECK(shop.same());
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    check_whole(shop, 36, 4);
  }

  TEST_CASE("an end that a retired heir cannot take back is undone by its own heir") {
    struct Ends {
      bool home, heir;  // commits
      Units sold;
    };
    for (const auto& [home, heir, sold] :
         {Ends{false, false, 0}, Ends{true, false, 4}, Ends{false, true, 4}, Ends{true, true, 4}}) {
      CAPTURE(home);
      CAPTURE(heir);
      Shop shop({10, 10, 10, 10});
      shop.hold(2, "r", 4);
      shop.back();
      shop.lose(2);
      CHECK((home ? shop.commit(2, "r") : shop.release(2, "r")) == Code::ok);
      CHECK(shop.retire(0, 2, 1) == Code::created);
      shop.cluster.run_for(1'000);
      CHECK((heir ? shop.commit(1, "r") : shop.release(1, "r")) == Code::ok);
      shop.cluster.run_for(1'000);
      shop.crash(1);
      CHECK(shop.retire(0, 1, 0) == Code::created);
      CHECK(shop.cluster.state(0).own_hold("r") == nullptr);
      shop.cluster.heal_all();
      CHECK(until_over(shop, 2));
      CHECK(shop.same());
      const auto& mine = own(shop, 0, "r");
      REQUIRE(mine.undone.size() == (home && heir ? 2 : 1));
      for (const auto& undone : mine.undone) {
        CHECK(undone.of == shop.cluster.replica(1));
        CHECK(undone.units == std::vector<Units>{4});
      }
      CHECK(mine.undone->back().root == shop.cluster.replica(2));
      check_whole(shop, 40 - sold, sold);
      for (const std::size_t node : {0u, 3u}) {
        check_audit(shop, node);
        CHECK(shop.state_of(node, "r") == (sold > 0 ? HoldState::committed : HoldState::released));
        CHECK(shop.cluster.state(node).open_holds() == 0);
      }
      CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
      shop.cluster.crash(0);  // and nothing is undone once more
      shop.cluster.restart(0);
      shop.cluster.run_for(10'000);
      check_whole(shop, 40 - sold, sold);
      // Its heir finds it undone.
      shop.crash(0);
      CHECK(shop.retire(3, 0, 3) == Code::created);
      shop.cluster.run_for(1'000);
      CHECK(shop.cluster.state(3).own_hold("r") == nullptr);
      check_whole(shop, 40 - sold, sold);
      check_audit(shop, 3);
    }
  }

  TEST_CASE("of the ends of two retired heirs that of the lower id stands, and one sale") {
    struct Ends {
      bool lower, higher;  // commits
    };
    for (const auto& [lower, higher] :
         {Ends{true, true}, Ends{false, true}, Ends{true, false}, Ends{false, false}})
      for (const std::size_t heir : {0u, 4u}) {  // of the higher one
        CAPTURE(lower);
        CAPTURE(higher);
        TwiceRetired shop({10, 10, 10, 10, 10});
        CHECK((lower ? shop.commit(1, "r") : shop.release(1, "r")) == Code::ok);
        CHECK((higher ? shop.commit(2, "r") : shop.release(2, "r")) == Code::ok);
        shop.cluster.run_for(1'000);
        for (const std::size_t gone : {1u, 2u}) shop.cluster.crash(gone);
        shop.cluster.run_for(4'000);
        CHECK(shop.retire(0, 1, 0) == Code::created);
        if (heir == 4) CHECK(shop.retire(4, 2, 4) == Code::created);
        shop.cluster.heal_all();
        CHECK(shop.same());
        if (heir == 0) CHECK(shop.retire(0, 2, 0) == Code::created);
        CHECK(shop.same());
        REQUIRE(own(shop, heir, "r").undone.size() == (lower && higher ? 2 : 1));
        for (const auto& undone : own(shop, heir, "r").undone)
          CHECK(undone.of == shop.cluster.replica(2));
        const Units sold = lower || higher ? 4 : 0;
        check_whole(shop, 50 - sold, sold);
        for (const std::size_t node : {0u, 4u}) check_audit(shop, node);
      }
  }

  TEST_CASE("nobody closes the decree of a retired issuer: it counts as closed") {
    Shop shop({10, 10, 10});
    shop.crash(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    CHECK(shop.same());
    CHECK(shop.account(1, 2).open);
    shop.crash(0);
    CHECK(shop.retire(1, 0, 1) == Code::created);
    CHECK_FALSE(shop.account(1, 2).open);
    CHECK(shop.cluster.stats(1).open_decrees == 0);
  }

  TEST_CASE("an heir with a copy of its own releases the retired one's units beside it") {
    Shop shop({10, 10, 10});
    shop.cluster.cut(0, 2);
    shop.cluster.cut(0, 1);
    shop.cluster.run_for(4'000);
    shop.hold(2, "r", 4);
    shop.hold(0, "r", 4);
    shop.cluster.run_for(1'000);  // node 1 has the one of node 2
    shop.crash(2);
    shop.cluster.heal_all();
    CHECK(shop.same());
    CHECK(shop.truth().held == 8);
    CHECK(shop.retire(1, 2, 0) == Code::created);
    CHECK(shop.same());
    REQUIRE(own(shop, 0, "r").freed.size() == 1);
    CHECK(own(shop, 0, "r").freed->front().of == shop.cluster.replica(2));
    CHECK(shop.truth().held == 4);
    CHECK(shop.commit(1, "r") == Code::ok);
    check_whole(shop, 26, 4);
  }

  TEST_CASE("a copy of another body does not keep the retired one's units for ever") {
    for (const bool returns : {false, true}) {
      Shop shop({10, 10, 10}, {}, {"a", "b"});
      shop.receive(2, 10, "b");
      CHECK(shop.cluster.converge());
      shop.lose(2);
      shop.hold(2, "r", 4, "b", 30);
      shop.hold(0, "r", 3, "a");
      shop.cluster.heal(1, 2);
      CHECK(shop.cluster.run_until([&] { return shop.cluster.stats(0).conflicts == 1; }, 20'000));
      shop.cluster.cut(1, 2);
      if (!returns) shop.cluster.crash(2);
      shop.cluster.run_for(4'000);
      CHECK(shop.retire(1, 2, 0) == Code::created);
      CHECK(shop.cluster.run_until([&] { return own(shop, 0, "r").freed.size() == 1; }, 20'000));
      const Outcome shown = shop.cluster.call(0, GetReservation{"r"});
      REQUIRE(reservation(shown).lines.size() == 1);
      CHECK(shop.commit(0, "r") == Code::ok);
      if (returns) {  // with an end of its own
        shop.cluster.run_for(40'000);
        REQUIRE(shop.cluster.state(2).own_hold("r")->row.state == HoldState::expired);
        shop.cluster.heal_all();
        CHECK(until_over(shop, 2));
        CHECK(shop.cluster.run_until([&] { return own(shop, 0, "r").freed.empty(); }, 20'000));
      }
      CHECK(shop.same());
      for (const char* sku : {"a", "b"}) CHECK(shop.truth(sku).held == 0);
      CHECK(shop.truth("a").sold == 3);
      CHECK(shop.cluster.run_until([&] { return shop.truth("b").budget() == 0; }, 30'000));
      CHECK(shop.truth("b").available() == 10);
    }
  }

  TEST_CASE("what a retired replica had spent is repaid by its heir") {
    Shop shop({10, 10, 10});
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.sell(2, "late", 7);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.heal_all();
    CHECK(until_over(shop, 2));
    CHECK(shop.same());
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 30'000));
    CHECK(shop.truth().available() == 23);
    CHECK(shop.truth().rights[2] == 0);
    CHECK(shop.until_closed(0));
    CHECK(shop.truth().rights[0] + shop.truth().rights[1] == 23);
  }

  TEST_CASE("a crash of the heir changes nothing") {
    Shop shop({10, 10, 10});
    shop.hold(2, "r", 4, "a", 60);
    shop.back();
    shop.crash(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(shop.same());
    shop.cluster.crash(1);
    shop.cluster.restart(1);
    shop.cluster.run_for(90'000);
    CHECK(shop.same());
    CHECK(shop.state_of(0, "r") == HoldState::expired);
    check_whole(shop, 30, 0);
  }
}

TEST_SUITE("estates: what comes to light") {
  Units stranded(Shop & shop, std::size_t node) {
    const Outcome outcome = shop.cluster.call(node, GetCluster{});
    return std::get<std::unique_ptr<ClusterView>>(outcome.view)->stranded;
  }
  Units seized(Shop & shop, std::size_t by, std::size_t target) {
    const auto* cell = shop.cluster.state(by).product("a")->stock.find(shop.cluster.replica(by));
    const auto* entry = cell == nullptr ? nullptr : cell->row.find(shop.cluster.replica(target));
    return entry == nullptr ? 0 : entry->seized;
  }

  TEST_CASE("what a retired node received unseen is its heir's once it has ended, and no sooner") {
    Shop shop({10, 10, 10});
    shop.lose(2);
    shop.receive(2, 50);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(5'000);
    CHECK(stranded(shop, 0) == 0);
    shop.cluster.heal_all();
    CHECK(until_over(shop, 2));
    CHECK(shop.same());
    CHECK(seized(shop, 0, 2) == 10);
    CHECK(seized(shop, 1, 2) == 50);
    CHECK(shop.truth().rights[2] == 0);
    CHECK(shop.truth().budget() == 0);
    check_whole(shop, 80, 0);
    for (const std::size_t node : {0u, 1u}) CHECK(stranded(shop, node) == 0);
    shop.cluster.crash(1);  // and not again
    shop.cluster.restart(1);
    shop.cluster.run_for(10'000);
    CHECK(seized(shop, 1, 2) == 50);
    CHECK(shop.code(0, Failover{.target = shop.id(2)}) == Code::replica_retired);
    CHECK(shop.retire(0, 2, 1) == Code::replica_retired);  // nothing is left
  }

  TEST_CASE("so is what a grant brings that becomes known after the end") {
    Shop shop({10, 10, 10, 10});
    shop.lose(3);
    CHECK(shop.code(3, GrantTo{.sku = "a", .to = shop.id(2), .quantity = 4}) == Code::created);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(until_over(shop, 2));
    shop.cluster.run_for(5'000);
    CHECK(shop.truth().rights[2] == 4);
    shop.back();
    CHECK(shop.truth().rights[2] == 0);
    CHECK(seized(shop, 1, 2) == 4);
    check_whole(shop, 40, 0);
  }

  TEST_CASE("the heir of a retired heir has what both left, once both have ended") {
    Shop shop({10, 10, 10, 10});
    shop.lose(2);
    shop.receive(2, 50);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(5'000);
    // Node 1 takes it, is lost before anybody hears of that, and is retired, too.
    for (const std::size_t other : {0u, 3u}) shop.cluster.cut(1, other);
    shop.cluster.heal(1, 2);
    CHECK(until_over(shop, 2));
    CHECK(shop.cluster.run_until([&] { return seized(shop, 1, 2) == 50; }, 10'000));
    shop.receive(1, 7);
    shop.cluster.crash(1);
    CHECK(shop.retire(0, 1, 3) == Code::created);
    shop.cluster.heal(2, 3);
    shop.cluster.heal(2, 0);
    shop.cluster.restart(2);  // so the others have its last row, too
    shop.cluster.run_for(10'000);
    CHECK(stranded(shop, 3) == 50);
    CHECK(seized(shop, 3, 2) == 0);  // node 1 may have sold them
    shop.cluster.heal_all();
    shop.cluster.restart(1);
    CHECK(until_over(shop, 1));
    CHECK(shop.same());
    CHECK(shop.truth().rights[1] == 0);
    CHECK(shop.truth().rights[2] == 0);
    CHECK(seized(shop, 3, 2) == 0);
    CHECK(shop.truth().budget() == 0);
    check_whole(shop, 97, 0);
  }

  TEST_CASE("what an heir and another's retirement both seize is missing, and repaid") {
    Shop shop({10, 10, 10, 10, 10});
    shop.lose(4);
    shop.receive(4, 50);
    // 0 and 1 on one side, 2 and 3 on the other: each retires it without knowing of the other.
    for (const std::size_t a : {0u, 1u})
      for (const std::size_t b : {2u, 3u}) shop.cluster.cut(a, b);
    shop.cluster.run_for(4'000);
    CHECK(shop.retire(0, 4, 1) == Code::created);
    CHECK(shop.retire(2, 4, 3) == Code::created);
    shop.cluster.run_for(1'000);
    shop.cluster.heal(1, 4);
    CHECK(until_over(shop, 4));
    shop.cluster.run_for(5'000);
    CHECK(seized(shop, 1, 4) == 50);
    CHECK(shop.truth().debt[4] == 10);
    shop.cluster.heal_all();
    CHECK(shop.same());
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 10'000));
    CHECK(shop.truth().rights[4] == 0);
    check_whole(shop, 100, 0);
  }

  TEST_CASE("of one that never ends it is shown, and seized by a second retirement") {
    Shop shop({10, 10, 10, 10});
    shop.lose(3);
    CHECK(shop.code(3, GrantTo{.sku = "a", .to = shop.id(2), .quantity = 4}) == Code::created);
    shop.cluster.crash(2);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    shop.cluster.run_for(5'000);
    for (const std::size_t other : {0u, 1u}) shop.cluster.heal(other, 3);
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u, 3u}) {
      CHECK(stranded(shop, node) == 4);
      CHECK(shop.cluster.stats(node).stranded == 4);
    }
    const std::string before = shop.fingerprint();
    const Outcome refused = shop.cluster.call(0, Failover{.target = shop.id(2)});
    CHECK(refused.code == Code::replica_retired);
    CHECK(refused.detail.find("/retire") != std::string::npos);  // the way
    CHECK(shop.fingerprint() == before);
    CHECK(shop.code(0, Failover{.target = "region-2", .region = true}) == Code::replica_retired);
    const Outcome dry =
        shop.cluster.call(0, Retire{.replica = shop.id(2), .successor = "node-3", .dry_run = true});
    CHECK(plan(dry).seize == 4);
    CHECK(stranded(shop, 0) == 4);
    CHECK(shop.retire(0, 2, 3) == Code::created);
    CHECK(shop.same());
    for (const std::size_t node : {0u, 1u, 3u}) {
      CHECK(stranded(shop, node) == 0);  // and node 1 goes on to end its holds
      CHECK(shop.cluster.state(node).heir(shop.cluster.replica(2)) == shop.cluster.replica(1));
    }
    CHECK(shop.retire(0, 2, 1) == Code::replica_retired);
    check_whole(shop, 40, 0);
  }
}
