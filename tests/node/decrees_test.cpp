// Decrees: what a dry run says and a decree takes, what the lost region owes when it is back, and
// how it all ends. Node i is region-i.

#include "node/decrees.h"

#include <doctest/doctest.h>

#include "tests/node/support/shop.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

// Of what `by` has seized from `target` in its own rows.
Units seized(const Shop& shop, std::size_t by, std::size_t target, const std::string& sku = "a") {
  const auto* cell = shop.cluster.state(by).product(sku)->stock.find(shop.cluster.replica(by));
  const auto* entry = cell == nullptr ? nullptr : cell->row.find(shop.cluster.replica(target));
  return entry == nullptr ? 0 : entry->seized;
}

StockView stock_at(Shop& shop, std::size_t node, const std::string& sku = "a") {
  return stock(shop.cluster.call(node, GetStock{sku}));
}

}  // namespace

TEST_SUITE("decrees: amounts") {
  TEST_CASE("a dry run changes nothing, and the decree takes what it said") {
    Shop shop({10, 0, 30});
    shop.hold(2, "r", 4);
    shop.back();
    shop.lose(2);
    const std::string before = shop.fingerprint();
    const Outcome dry = shop.failover(0, "region-2", true);
    CHECK(dry.code == Code::ok);
    CHECK(plan(dry).dry_run);
    CHECK(plan(dry).seize == 26);
    CHECK(plan(dry).open_holds == 4);
    REQUIRE(plan(dry).skus.size() == 1);
    CHECK(plan(dry).skus[0].sku == "a");
    CHECK(plan(dry).skus[0].seize == 26);
    CHECK(plan(dry).skus[0].open_holds == 4);
    CHECK(plan(dry).targets == std::vector{shop.cluster.replica(2)});
    CHECK(shop.fingerprint() == before);
    CHECK(shop.truth().seized == 0);

    const Outcome done = shop.failover(0, "region-2", false, plan(dry).plan);
    CHECK(done.code == Code::created);
    CHECK_FALSE(plan(done).dry_run);
    CHECK(plan(done).plan == plan(dry).plan);
    CHECK(plan(done).seize == 26);
    CHECK(seized(shop, 0, 2) == 26);
    const Truth truth = shop.truth();
    CHECK(truth.unseen == std::vector<Units>{0, 0, 26});
    CHECK(truth.rights[2] == 0);
    CHECK(truth.rights[0] + truth.rights[1] == 36);
    CHECK(truth.rights[1] > 0);  // shares were passed on, by grants
    CHECK(shop.cluster.run_until([&] { return shop.cluster.rights(1, "a") == truth.rights[1]; },
                                 1'000));
  }

  TEST_CASE("the amounts changed since the dry run: plan_changed, and nothing is done") {
    Shop shop({10, 0, 30});
    shop.lose(2);
    const Outcome dry = shop.failover(0, "region-2", true);
    CHECK(shop.code(0, GrantTo{.sku = "a", .to = "node-2", .quantity = 1}) == Code::created);
    shop.cluster.run_for(1'000);
    const std::string before = shop.fingerprint();
    const Outcome changed = shop.failover(0, "region-2", false, plan(dry).plan);
    CHECK(changed.code == Code::plan_changed);
    CHECK(changed.detail.find("the fraction") != std::string::npos);
    CHECK(shop.fingerprint() == before);
    CHECK(shop.truth().seized == 0);
    CHECK(plan(shop.failover(0, "region-2")).seize == 31);  // without a plan: what there is now
  }

  TEST_CASE("a replica may be named by its node, if no other replica has that name") {
    Shop shop({10, 0, 30});
    shop.lose(2);
    const auto dry = [&](const std::string& target) {
      return shop.cluster.call(0, Failover{.target = target, .dry_run = true});
    };
    CHECK(plan(dry("node-2")).plan == plan(dry(shop.id(2))).plan);
    const Outcome retired =
        shop.cluster.call(0, Retire{.replica = "node-2", .successor = "node-1", .dry_run = true});
    CHECK(plan(retired).targets == std::vector{shop.cluster.replica(2)});
    CHECK(dry("node-0").code == Code::own_region);
    CHECK(dry("region-2").code == Code::unknown_target);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(dry("node-2").code == Code::replica_retired);
  }

  TEST_CASE("a name of several replicas is refused, with their ids") {
    ClusterOptions options;
    options.names = {{1, "twin"}, {2, "twin"}};
    Shop shop({10, 5, 30}, options);
    for (const Outcome& outcome :
         {shop.cluster.call(0, Failover{.target = "twin", .dry_run = true}),
          shop.cluster.call(0,
                            Retire{.replica = "twin", .successor = "node-0", .dry_run = true})}) {
      CHECK(outcome.code == Code::unknown_target);
      for (const std::size_t node : {1u, 2u})
        CHECK(outcome.detail.find(shop.id(node)) != std::string::npos);
    }
    CHECK(shop.cluster.call(0, Failover{.target = shop.id(2), .dry_run = true}).succeeded());
    CHECK(shop.retire(0, 2, 0) == Code::created);  // one is left that is meant
    shop.cluster.run_for(2'000);
    const Outcome one = shop.cluster.call(0, Failover{.target = "twin", .dry_run = true});
    CHECK(plan(one).targets == std::vector{shop.cluster.replica(1)});
  }

  TEST_CASE("a fraction is of each SKU, rounded down") {
    Shop shop({0, 0, 5}, {}, {"a", "b"});
    shop.receive(2, 4, "b");
    shop.back();
    shop.lose(2);
    const Outcome done =
        shop.cluster.call(0, Failover{.target = shop.id(2), .fraction_ppm = 500'000});
    CHECK(plan(done).seize == 4);
    CHECK(seized(shop, 0, 2, "a") == 2);
    CHECK(seized(shop, 0, 2, "b") == 2);
    CHECK(shop.truth("a").rights[2] == 3);
    CHECK(shop.account(0, 2).fraction == doctest::Approx(0.5));
  }

  TEST_CASE("the issuer alone seizes, once, whatever starts again") {
    Shop shop({10, 10, 30});
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.cluster.run_for(2'000);
    for (const std::size_t node : {1u, 0u}) {
      shop.cluster.crash(node);
      shop.cluster.restart(node);
      shop.cluster.run_for(5'000);
    }
    CHECK(seized(shop, 0, 2) == 30);
    CHECK(seized(shop, 1, 2) == 0);
    CHECK(shop.truth().seized == 30);
    shop.back();
    CHECK(shop.until_closed(0));  // by an issuer that has started since
    CHECK(shop.account(0, 2).seized == 30);
  }

  TEST_CASE("a region of two nodes: both are seized from, and each returns by itself") {
    Shop shop({10, 0, 20, 5}, {.nodes_per_region = 2});
    for (const std::size_t lost : {2u, 3u})
      for (const std::size_t other : {0u, 1u}) shop.cluster.cut(lost, other);
    shop.cluster.run_for(4'000);
    const Outcome done = shop.failover(1, "region-1");
    CHECK(done.code == Code::created);
    CHECK(plan(done).seize == 25);
    CHECK(plan(done).targets.size() == 2);
    REQUIRE(plan(done).skus.size() == 1);
    CHECK(plan(done).skus[0].seize == 25);
    CHECK(seized(shop, 1, 2) == 20);
    CHECK(seized(shop, 1, 3) == 5);
    CHECK(shop.cluster.run_until([&] { return shop.accounts(0).size() == 2; }, 5'000));
    CHECK(shop.failover(0, "region-0").code == Code::own_region);
    shop.cluster.cut(2, 3);
    shop.cluster.heal(1, 2);
    CHECK(shop.cluster.run_until([&] { return shop.account(1, 2).closed_at != 0; }, 60'000));
    CHECK(shop.account(1, 3).closed_at == 0);
    CHECK(shop.failover(1, "region-1").code == Code::decree_open);
    shop.back();
    CHECK(shop.until_closed(0));
  }
}

TEST_SUITE("decrees: bad input changes nothing") {
  TEST_CASE("targets that are unknown, one's own, open or retired") {
    Shop shop({10, 10, 30, 5});
    shop.crash(3);
    CHECK(shop.retire(0, 3, 1) == Code::created);
    shop.lose(2);
    std::string before = shop.fingerprint();
    const auto refused = [&](std::size_t node, const std::string& target, bool region) {
      const Code dry =
          shop.code(node, Failover{.target = target, .region = region, .dry_run = true});
      const Code done = shop.code(node, Failover{.target = target, .region = region});
      CHECK(dry == done);
      CHECK(shop.fingerprint() == before);
      return done;
    };
    CHECK(refused(0, "region-9", true) == Code::unknown_target);
    CHECK(refused(0, "node-2", true) == Code::unknown_target);
    CHECK(refused(0, "0123456789abcdef", false) == Code::unknown_target);
    CHECK(refused(0, "region-2", false) == Code::unknown_target);
    CHECK(refused(0, "region-0", true) == Code::own_region);
    CHECK(refused(0, shop.id(0), false) == Code::own_region);
    CHECK(refused(0, "region-3", true) == Code::replica_retired);
    CHECK(refused(0, shop.id(3), false) == Code::replica_retired);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    CHECK(shop.cluster.run_until([&] { return shop.accounts(1).size() == 2; }, 10'000));
    before = shop.fingerprint();
    CHECK(refused(0, "region-2", true) == Code::decree_open);
    CHECK(refused(1, shop.id(2), false) == Code::decree_open);
  }

  TEST_CASE("the plan of a failover confirms no retirement, and one of a successor no other's") {
    Shop shop({10, 10, 10});
    shop.crash(2);
    const auto dry_run = [&](std::size_t successor) {
      return plan(shop.cluster.call(0, Retire{.replica = shop.id(2),
                                              .successor = shop.id(successor),
                                              .dry_run = true}))
          .plan;
    };
    const std::string before = shop.fingerprint();
    for (const std::string& other : {plan(shop.failover(0, "region-2", true)).plan, dry_run(1)})
      CHECK(shop.code(0, Retire{.replica = shop.id(2), .successor = shop.id(0), .plan = other}) ==
            Code::plan_changed);
    CHECK(shop.fingerprint() == before);
    CHECK(
        shop.code(0, Retire{.replica = shop.id(2), .successor = shop.id(0), .plan = dry_run(0)}) ==
        Code::created);
  }

  TEST_CASE("a node that has no view of the target") {
    Shop shop({10, 10});
    Shop alone({10});
    CHECK(alone.failover(0, "region-1").code == Code::unknown_target);
    CHECK(alone.code(0, Failover{.target = shop.id(1)}) == Code::unknown_target);
  }

  TEST_CASE("retirements of nobody, of oneself, twice, and of a successor that is not live") {
    Shop shop({10, 10, 30, 5});
    shop.cluster.crash(3);
    shop.crash(2);
    const std::string before = shop.fingerprint();
    const auto refused = [&](const std::string& replica, const std::string& successor) {
      const Code dry =
          shop.code(0, Retire{.replica = replica, .successor = successor, .dry_run = true});
      const Code done = shop.code(0, Retire{.replica = replica, .successor = successor});
      CHECK(dry == done);
      return done;
    };
    CHECK(refused("0123456789abcdef", "node-1") == Code::unknown_target);
    CHECK(refused("node-9", "node-1") == Code::unknown_target);
    CHECK(refused(shop.id(0), "node-1") == Code::own_region);
    CHECK(refused(shop.id(2), "node-3") == Code::successor_not_live);
    CHECK(refused(shop.id(2), "node-2") == Code::successor_not_live);
    CHECK(refused(shop.id(2), "nobody") == Code::successor_not_live);
    CHECK(shop.fingerprint() == before);
    CHECK(shop.retire(0, 2, 1) == Code::created);
    CHECK(refused(shop.id(2), "node-1") == Code::replica_retired);
    CHECK(refused(shop.id(3), "node-2") == Code::successor_not_live);
    for (const std::string& name : {shop.id(2), std::string("node-2"), shop.region(2)})
      CHECK(shop.code(0, GrantTo{.sku = "a", .to = name, .quantity = 1}) == Code::replica_retired);
    CHECK(shop.code(0, GrantTo{.sku = "a", .to = "node-9", .quantity = 1}) == Code::unknown_target);
  }
}

TEST_SUITE("decrees: the target sells on, and is back") {
  // 30 units are seized from node 2, which sells 12 of them; node 0 and 1 sell `left` short of all.
  struct Lost {
    explicit Lost(Units left) : shop({10, 0, 30}) {
      shop.lose(2);
      CHECK(shop.failover(0, "region-2").code == Code::created);
      shop.sell(2, "there", 12);
      CHECK(shop.cluster.run_until([&] { return shop.cluster.rights(1, "a") > 0; }, 5'000));
      shop.sell(1, "here-1", shop.cluster.rights(1, "a"));
      shop.sell(0, "here-0", shop.cluster.rights(0, "a") - left);
    }
    Shop shop;
  };

  TEST_CASE("until then everything that was seized is exposure") {
    Lost lost(5);
    CHECK(lost.shop.truth().available() == -7);  // what was promised twice and sold twice
    CHECK(lost.shop.truth().budget() == 30);
    CHECK(stock_at(lost.shop, 0).exposure == 30);
    CHECK(stock_at(lost.shop, 0).debt == 0);
    CHECK(stock_at(lost.shop, 2).exposure == 0);  // it doesn't know
    const Stats stats = lost.shop.cluster.stats(0);
    CHECK(stats.exposure == 30);
    CHECK(stats.open_decrees == 1);
    CHECK(stats.decrees_issued == 1);
    const DecreeAccount account = lost.shop.account(0, 2);
    CHECK(account.seized == 30);
    CHECK(account.unseen == 30);
    CHECK(account.closed_at == 0);
  }

  TEST_CASE("it owes what it had sold, sells nothing before it has repaid, and the decree closes") {
    Lost lost(5);
    Shop& shop = lost.shop;
    shop.back();
    CHECK(shop.cluster.run_until([&] { return shop.truth().debt[2] == 7; }, 30'000));
    CHECK(shop.same());
    const auto* seen = shop.cluster.state(0)
                           .product("a")
                           ->stock.find(shop.cluster.replica(2))
                           ->row.find(shop.cluster.replica(0));
    REQUIRE(seen != nullptr);
    CHECK(seen->seen == 30);
    CHECK(seen->debt_at_seen == 12);
    for (std::size_t node = 0; node < 3; ++node) {
      const StockView view = stock_at(shop, node);
      CHECK(view.exposure == 0);
      CHECK(view.debt == 7);
      CHECK(view.oversold == 7);
      CHECK(view.available == -7);
    }
    DecreeAccount account = shop.account(1, 2);
    CHECK(account.closed_at == 0);
    CHECK(account.unseen == 0);
    CHECK(account.debt == 7);
    CHECK(account.spent_unseen == 12);
    CHECK(account.repaid == 5);
    CHECK(shop.reserve(2, "early", 1) == Code::insufficient_stock);
    shop.receive(1, 6);
    CHECK(shop.cluster.run_until([&] { return shop.truth().debt[2] == 1; }, 30'000));
    CHECK(shop.code(2, Reserve{.id = "early", .lines = {{"a", 1}}}) == Code::insufficient_stock);
    CHECK(shop.account(0, 2).closed_at == 0);
    shop.receive(1, 4);
    CHECK(shop.until_closed(0));
    CHECK(shop.same());
    for (std::size_t node = 0; node < 3; ++node) {
      account = shop.account(node, 2);
      CHECK(account.closed_at != 0);
      CHECK(account.seized == 30);
      CHECK(account.spent_unseen == 12);
      CHECK(account.realized == 7);  // 5 of the 12 were still in stock
      CHECK(account.repaid == 12);
      CHECK(account.debt == 0);
    }
    CHECK(shop.code(2, Reserve{.id = "late", .lines = {{"a", 3}}}) == Code::created);
    CHECK(shop.truth().available() == 0);
  }

  TEST_CASE("as long as there is stock elsewhere nothing of its debt is realized") {
    Shop shop({20, 0, 30});
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.sell(2, "there", 12);
    shop.back();
    CHECK(shop.until_closed(0));
    const DecreeAccount account = shop.account(0, 2);
    CHECK(account.spent_unseen == 12);
    CHECK(account.realized == 0);
    CHECK(account.repaid == 12);
    CHECK(shop.truth().budget() == 0);
    CHECK(shop.truth().available() == 38);
  }

  TEST_CASE(
      "realized: exact where the issuer knows the others' sales, never beyond what was spent") {
    check_property("one issuer that knows", [] {
      const Units there = *rc::gen::inRange<Units>(1, 30), near = *rc::gen::inRange<Units>(0, 20);
      const Units spent = *rc::gen::inRange<Units>(0, there + 1);
      Shop shop({near, 0, there});
      shop.lose(2);
      RC_ASSERT(shop.failover(0, "region-2").code == Code::created);
      shop.cluster.run_for(1'000);
      if (spent > 0) shop.sell(2, "there", spent);
      for (const std::size_t node : {0u, 1u}) {
        const Units rights = shop.cluster.rights(node, "a");
        const Units sold = rights == 0 ? 0 : *rc::gen::inRange<Units>(0, rights + 1);
        if (sold > 0) shop.sell(node, "here-" + std::to_string(node), sold);
      }
      shop.cluster.run_for(1'000);
      const Units beyond = std::max<Units>(0, -shop.truth().available());
      shop.back();
      const DecreeAccount account = shop.account(0, 2);
      RC_ASSERT(account.spent_unseen == spent);
      RC_ASSERT(account.realized == std::min(spent, beyond));
    });
  }

  TEST_CASE("realized: sales that the issuer has not heard of are lacking from it") {
    Shop shop({0, 0, 10});
    shop.lose(2);
    shop.cluster.cut(0, 1);
    shop.cluster.run_for(4'000);
    for (const std::size_t node : {0u, 1u})
      CHECK(shop.failover(node, "region-2").code == Code::created);
    shop.sell(2, "there", 4);
    for (const std::size_t node : {0u, 1u}) shop.sell(node, "here-" + std::to_string(node), 10);
    CHECK(shop.truth().available() == -14);
    shop.cluster.heal(0, 2);
    CHECK(shop.cluster.run_until([&] { return shop.account(0, 2).spent_unseen == 4; }, 20'000));
    CHECK(shop.account(0, 2).realized == 4);  // of 14, but it spent no more
    shop.back();
    Units spent = 0, realized = 0;
    for (const DecreeAccount& one : shop.accounts(0)) {
      CHECK(one.realized <= one.spent_unseen);
      spent += one.spent_unseen;
      realized += one.realized;
    }
    CHECK(spent == 14);
    CHECK(realized >= 4);
    CHECK(realized <= 14);
  }

  TEST_CASE("a debt is repaid as soon as there is stock, of several nodes, however old it is") {
    Lost lost(0);
    Shop& shop = lost.shop;
    shop.back();
    shop.cluster.run_for(60'000);  // it asks ever more seldom
    CHECK(shop.truth().debt[2] == 12);
    shop.receive(0, 5);
    shop.receive(1, 6);
    CHECK(shop.cluster.run_until([&] { return shop.truth().debt[2] == 1; }, 1'000));
    shop.cluster.run_for(30'000);
    shop.receive(1, 9);
    CHECK(shop.cluster.run_until([&] { return shop.truth().budget() == 0; }, 1'000));
    CHECK(shop.truth().rights == std::vector<Units>{0, 8, 0});  // and not more than was owed
  }

  TEST_CASE("a debt is repaid as soon as somebody who has stock can be reached") {
    Lost lost(5);
    Shop& shop = lost.shop;
    shop.cluster.heal(1, 2);
    shop.cluster.run_for(60'000);
    CHECK(shop.truth().debt[2] == 12);
    shop.cluster.heal(0, 2);
    CHECK(
        shop.cluster.run_until([&] { return shop.cluster.stats(2).peers_reachable == 2; }, 30'000));
    CHECK(shop.cluster.run_until([&] { return shop.truth().debt[2] == 7; }, 1'000));
  }

  TEST_CASE("each of a thousand debts and more has its turn") {
    std::vector<std::string> skus;
    for (int i = 0; i < 1'200; ++i) skus.push_back("s" + std::to_string(10'000 + i));
    Shop shop({0, 0, 0}, {}, skus);
    for (const std::string& sku : skus) shop.receive(2, 2, sku);
    shop.back();
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    for (const std::string& sku : skus) {
      shop.sell(2, "there-" + sku, 1, sku);
      shop.sell(0, "here-0-" + sku, shop.cluster.rights(0, sku), sku);
    }
    shop.back();
    shop.cluster.run_for(20'000);
    shop.receive(0, 5, skus.back());
    CHECK(shop.cluster.run_until([&] { return shop.truth(skus.back()).debt[2] == 0; }, 1'000));
  }

  TEST_CASE("a region that was dead returns without debt") {
    Shop shop({10, 0, 30});
    shop.crash(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.back();
    CHECK(shop.until_closed(0));
    CHECK(shop.account(0, 2).spent_unseen == 0);
    CHECK(shop.truth().rights[2] == 0);
    CHECK(shop.code(2, Reserve{.id = "r", .lines = {{"a", 3}}}) == Code::created);
  }

  TEST_CASE("a second decree accounts for its own units only") {
    Shop shop({50, 0, 30});
    for (const Units sold : {12, 5}) {
      shop.lose(2);
      CHECK(shop.failover(0, "region-2").code == Code::created);
      if (sold == 5) CHECK(shop.reserve(2, "none", 6) == Code::insufficient_stock);
      shop.sell(2, "sold-" + std::to_string(sold), sold);
      shop.back();
      CHECK(shop.until_closed(0));
      CHECK(shop.code(0, GrantTo{.sku = "a", .to = "node-2", .quantity = 5}) == Code::created);
      shop.back();
    }
    const std::vector<DecreeAccount> accounts = shop.accounts(1);
    REQUIRE(accounts.size() == 2);  // the latest first
    CHECK(accounts[0].generation == 2);
    CHECK(accounts[0].seized == 5);
    CHECK(accounts[0].spent_unseen == 5);
    CHECK(accounts[1].generation == 1);
    CHECK(accounts[1].seized == 30);
    CHECK(accounts[1].spent_unseen == 12);
  }

  TEST_CASE("a SKU that is settled is granted again, though the decree is open for another") {
    Shop shop({0, 0, 0}, {}, {"a", "b"});
    shop.receive(2, 10, "a");
    shop.receive(2, 10, "b");
    shop.back();
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.sell(2, "there", 10, "b");
    shop.sell(0, "here", shop.cluster.rights(0, "b"), "b");
    CHECK(shop.cluster.run_until([&] { return shop.cluster.rights(1, "b") > 0; }, 5'000));
    shop.sell(1, "here-1", shop.cluster.rights(1, "b"), "b");
    CHECK(shop.code(0, GrantTo{.sku = "a", .to = "node-2", .quantity = 1}) == Code::decree_open);
    shop.back();
    CHECK(shop.truth("b").debt[2] == 10);
    CHECK(shop.account(0, 2).closed_at == 0);
    CHECK(shop.code(0, GrantTo{.sku = "a", .to = "node-2", .quantity = 1}) == Code::created);
    CHECK(shop.code(2, Reserve{.id = "r", .lines = {{"a", 4}}}) == Code::created);
    CHECK(shop.code(2, Reserve{.id = "q", .lines = {{"b", 1}}}) == Code::insufficient_stock);
    shop.receive(1, 15, "b");
    CHECK(shop.until_closed(0));
    CHECK(shop.truth("b").rights[2] == 0);  // no more than it owed
  }
}

TEST_SUITE("decrees: issuers") {
  TEST_CASE("two that cannot see each other are both valid, and their exposures add") {
    Shop shop({0, 0, 30});
    shop.cluster.cut(0, 1);
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    CHECK(shop.failover(1, "region-2").code == Code::created);
    shop.sell(2, "there", 10);
    shop.cluster.heal(0, 1);
    CHECK(shop.cluster.run_until([&] { return stock_at(shop, 0).exposure == 60; }, 20'000));
    CHECK(shop.cluster.stats(1).open_decrees == 2);
    CHECK(shop.truth().budget() == 60);
    CHECK(shop.failover(0, "region-2", true).code == Code::decree_open);
    shop.back();
    CHECK(shop.until_closed(0));
    CHECK(shop.same());
    Units spent = 0, repaid = 0;
    for (const DecreeAccount& account : shop.accounts(2)) {
      CHECK(account.closed_at != 0);
      CHECK(account.seized == 30);
      CHECK(account.realized == 0);
      spent += account.spent_unseen;
      repaid += account.repaid;
    }
    CHECK(spent == 40);  // 10 that were sold, and 30 that were seized twice
    CHECK(repaid == 40);
    CHECK(shop.truth().budget() == 0);
    CHECK(shop.truth().available() == 20);
  }

  TEST_CASE("one that is retired closes nothing: its decree counts as closed, and is repaid") {
    Shop shop({10, 20, 30});
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    shop.cluster.run_for(2'000);
    shop.sell(2, "there", 12);
    shop.crash(0);
    CHECK(shop.cluster.stats(1).open_decrees == 1);
    CHECK(shop.retire(1, 0, 1) == Code::created);
    CHECK(shop.cluster.stats(1).open_decrees == 0);
    CHECK_FALSE(shop.cluster.state(1).decreed(shop.cluster.replica(2)));
    CHECK(shop.accounts(1).size() == 2);
    CHECK(shop.failover(1, "region-2", true).code == Code::ok);  // another can be issued
    shop.cluster.heal(1, 2);
    CHECK(shop.same());
    CHECK(shop.cluster.run_until([&] { return shop.truth().debt[2] == 0; }, 30'000));
    const auto* row = &shop.cluster.state(1).product("a")->stock.find(shop.cluster.replica(2))->row;
    REQUIRE(row->find(shop.cluster.replica(0)) != nullptr);
    CHECK(row->find(shop.cluster.replica(0))->seen == 30);
  }

  TEST_CASE("with nothing to seize a decree is open all the same until the target is back") {
    Shop shop({0, 10, 4});
    shop.hold(2, "r", 4);
    shop.back();
    shop.lose(2);
    const Outcome done = shop.failover(0, "region-2");
    CHECK(plan(done).seize == 0);
    CHECK(plan(done).open_holds == 4);
    shop.cluster.run_for(20'000);
    CHECK(shop.account(0, 2).closed_at == 0);
    CHECK(shop.commit(1, "r") == Code::ok);  // so its holds can be adopted
    shop.back();
    CHECK(shop.until_closed(0));
    CHECK(shop.truth().sold == 4);
  }

  TEST_CASE("what was seized to adopt belongs to the account, too") {
    Shop shop({0, 0, 4});
    shop.hold(2, "r", 3);
    shop.back();
    shop.lose(2);
    CHECK(shop.failover(0, "region-2").code == Code::created);
    if (shop.cluster.rights(0, "a") > 0) shop.sell(0, "last", 1);
    CHECK(shop.commit(0, "r") == Code::ok);
    CHECK(shop.commit(2, "r") == Code::ok);  // sold twice
    shop.sell(2, "there", 1);
    CHECK(shop.truth().seized == 4);
    shop.back();
    shop.receive(1, 4);
    CHECK(shop.until_closed(0));
    CHECK(shop.truth().sold == 5);
    CHECK(shop.truth().budget() == 0);
    CHECK(shop.account(1, 2).repaid == shop.account(1, 2).spent_unseen);
  }
}
