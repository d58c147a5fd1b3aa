// Rights on demand: whom a cart that is short asks, what it gets, and when it gives up.

#include "node/rights.h"

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

namespace {

// Node i holds units[i] of "a" and of "b"; node 0 is asked.
struct Market {
  explicit Market(std::vector<Units> units, ClusterOptions options = {})
      : cluster(with(options, units.size())) {
    cluster.settle();
    for (const char* sku : {"a", "b"}) {
      cluster.call(0, PutSku{.sku = sku});
      CHECK(cluster.converge());
      for (std::size_t i = 0; i < units.size(); ++i)
        if (units[i] > 0)
          CHECK(cluster.call(i, Receive{.sku = sku, .quantity = units[i]}).succeeded());
    }
    CHECK(cluster.converge());
  }
  ~Market() { CHECK(cluster.complaints() == ""); }
  static ClusterOptions with(ClusterOptions options, std::size_t nodes) {
    options.nodes = nodes;
    return options;
  }
  static Reserve cart(const std::string& id, std::vector<Line> lines,
                      std::uint32_t wait_ms = 5'000) {
    return {.id = id, .lines = std::move(lines), .wait_ms = wait_ms};
  }
  Outcome reserve(const std::string& id, std::vector<Line> lines, std::uint32_t wait_ms = 5'000) {
    return cluster.call(0, cart(id, std::move(lines), wait_ms));
  }
  Cluster cluster;
};

}  // namespace

TEST_SUITE("rights on demand") {
  TEST_CASE("a cart that is short here is held with rights from elsewhere") {
    Market market({0, 10});
    const std::int64_t began = market.cluster.now_ms();
    CHECK(market.reserve("r", {{"a", 4}}).code == Code::created);
    CHECK(market.cluster.now_ms() - began <
          100);  // as soon as they come, not at the end of the wait
    CHECK(market.cluster.truth("a").held == 4);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{0, 6});
    const Stats stats = market.cluster.stats(0);
    CHECK(stats.rights_requests_sent == 1);
    CHECK(stats.units_received_by_grant == 4);
  }

  TEST_CASE("wait_ms 0 asks nobody") {
    Market market({3, 10});
    CHECK(market.reserve("r", {{"a", 4}}, 0).code == Code::insufficient_stock);
    CHECK(market.cluster.stats(0).rights_requests_sent == 0);
    CHECK(market.cluster.stats(0).reservations_waited == 0);
    CHECK(market.reserve("r", {{"a", 3}}, 0).code == Code::created);
  }

  TEST_CASE("what is here already is not asked for") {
    Market market({3, 10});
    CHECK(market.reserve("r", {{"a", 5}}).code == Code::created);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{0, 8});
  }

  TEST_CASE("the richest is asked first, and the poorest only if it must be") {
    Market market({0, 2, 9, 5});
    CHECK(market.reserve("r", {{"a", 9}}).code == Code::created);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{0, 2, 0, 5});
    CHECK(market.reserve("q", {{"b", 15}}).code == Code::created);
    CHECK(market.cluster.truth("b").rights == std::vector<Units>{0, 1, 0, 0});
  }

  TEST_CASE("what one peer can give only in part comes from several") {
    Market market({1, 2, 3});
    CHECK(market.reserve("r", {{"a", 6}, {"b", 5}}).code == Code::created);
    CHECK(market.cluster.truth("a").available() == 0);
    CHECK(market.cluster.truth("b").available() == 1);
  }

  TEST_CASE("a view that lags names no limit: a peer that looks poor is asked, too") {
    Market market({0, 1});
    market.cluster.hold_disk(0);  // what comes cannot be acknowledged, but is seen
    market.cluster.free_disk(0);
    market.cluster.cut(0, 1);
    CHECK(market.cluster.call(1, Receive{.sku = "a", .quantity = 50}).succeeded());
    market.cluster.heal(0, 1);
    CHECK(market.reserve("r", {{"a", 20}}).code == Code::created);
  }

  TEST_CASE(
      "it is refused once every reachable peer has answered none, long before the wait ends") {
    Market market({1, 2, 3});
    const std::int64_t began = market.cluster.now_ms();
    const Outcome refused = market.reserve("r", {{"a", 7}, {"b", 1}}, 60'000);
    CHECK(refused.code == Code::insufficient_stock);
    CHECK(market.cluster.now_ms() - began < 500);
    REQUIRE(refused.shortages.size() == 1);
    CHECK(refused.shortages[0].requested == 7);
    CHECK(refused.shortages[0].available == 6);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{6, 0, 0});  // what came stays here
    CHECK(market.reserve("r", {{"a", 6}}, 0).code == Code::created);  // the id was never taken
  }

  TEST_CASE("units on their way between two others are with neither: they are waited for") {
    Market market({0, 10, 0});
    market.cluster.cut(1, 2);
    CHECK(market.cluster.call(1, GrantTo{.sku = "a", .to = "node-2", .quantity = 10}).succeeded());
    const std::int64_t began = market.cluster.now_ms();
    const auto waits = market.cluster.submit(0, Market::cart("r", {{"a", 4}}));
    market.cluster.run_for(200);
    CHECK_FALSE(market.cluster.answered(waits));
    market.cluster.heal(1, 2);
    CHECK(market.cluster.run_until([&] { return market.cluster.answered(waits); }, 2'000));
    CHECK(market.cluster.take(waits).code == Code::created);
    CHECK(market.cluster.now_ms() - began < 2'000);
    CHECK(market.cluster.stats(0).rights_requests_sent < 20);
  }

  TEST_CASE("it is refused at the end of its wait if a peer says nothing") {
    Market market({0, 10});
    market.cluster.hold_disk(1);  // alive, but nothing leaves it
    const std::int64_t began = market.cluster.now_ms();
    CHECK(market.reserve("r", {{"a", 1}}, 300).code == Code::insufficient_stock);
    CHECK(market.cluster.now_ms() - began >= 300);
    CHECK(market.cluster.now_ms() - began < 400);
    market.cluster.free_disk(1);
    market.cluster.run_for(1'000);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{1, 9});  // the late rights stay
    CHECK(market.reserve("r", {{"a", 1}}, 0).code == Code::created);
  }

  TEST_CASE("with nobody in reach it is refused at once") {
    Market market({0, 10});
    market.cluster.crash(1);
    market.cluster.run_for(5'000);
    const std::int64_t began = market.cluster.now_ms();
    CHECK(market.reserve("r", {{"a", 1}}, 60'000).code == Code::insufficient_stock);
    CHECK(market.cluster.now_ms() - began < 100);
  }

  TEST_CASE("a partial cart waits for the whole, then takes what came") {
    Market market({1, 2});
    Reserve cart = Market::cart("r", {{"a", 9}, {"b", 2}});
    cart.partial = true;
    const Outcome outcome = market.cluster.call(0, cart);
    CHECK(outcome.code == Code::created);
    CHECK(reservation(outcome).lines[0].held == 3);
    CHECK(reservation(outcome).lines[1].held == 2);
  }

  TEST_CASE("first come, first served, for each SKU") {
    Market market({0, 10});
    market.cluster.hold_disk(1);
    const auto first = market.cluster.submit(0, Market::cart("first", {{"a", 8}}));
    market.cluster.run_for(5);
    const auto second = market.cluster.submit(0, Market::cart("second", {{"a", 2}}));
    market.cluster.run_for(5);
    const auto third = market.cluster.submit(0, Market::cart("third", {{"a", 1}}));
    market.cluster.run_for(5);
    market.cluster.free_disk(1);
    market.cluster.run_until([&] { return market.cluster.answered(third); }, 10'000);
    CHECK(market.cluster.take(first).code == Code::created);
    CHECK(market.cluster.take(second).code == Code::created);
    CHECK(market.cluster.take(third).code == Code::insufficient_stock);
  }

  TEST_CASE("units that come free here go to the cart that waits, not to one that comes later") {
    const auto run = [](const std::function<void(Cluster&)>& set_free) {
      Market market({5, 1});
      CHECK(market.cluster.call(0, Reserve{.id = "old", .lines = {{"a", 5}}, .ttl_seconds = 2})
                .succeeded());
      market.cluster.hold_disk(1);  // so that the cart waits for an answer
      const auto waits = market.cluster.submit(0, Market::cart("waits", {{"a", 5}}, 1'500));
      market.cluster.run_for(1'000);
      CHECK_FALSE(market.cluster.answered(waits));
      set_free(market.cluster);
      CHECK(market.cluster.run_until([&] { return market.cluster.answered(waits); }, 200));
      CHECK(market.cluster.take(waits).code == Code::created);
      CHECK(market.reserve("late", {{"a", 1}}, 0).code == Code::insufficient_stock);
    };
    SUBCASE("by a release") {
      run([](Cluster& c) { c.call(0, Release{"old"}); });
    }
    SUBCASE("by a commit of less") {
      run([](Cluster& c) {
        c.call(0, Receive{.sku = "a", .quantity = 1});
        c.call(0, Commit{.id = "old", .lines = {{{"a", 1}}}});
      });
    }
    SUBCASE("by a receipt") {
      run([](Cluster& c) { c.call(0, Receive{.sku = "a", .quantity = 5}); });
    }
    SUBCASE("by an allowance") {
      run([](Cluster& c) { c.call(0, Allow{.sku = "a", .delta = 5}); });
    }
  }

  TEST_CASE("expiry serves the cart that waits at once") {
    Market market({5, 1});
    CHECK(market.cluster.call(0, Reserve{.id = "old", .lines = {{"a", 5}}, .ttl_seconds = 1})
              .succeeded());
    market.cluster.hold_disk(1);
    const auto waits = market.cluster.submit(0, Market::cart("waits", {{"a", 5}}, 2'400));
    CHECK(market.cluster.run_until([&] { return market.cluster.answered(waits); }, 1'200));
    CHECK(market.cluster.take(waits).code == Code::created);
  }

  TEST_CASE(
      "a line that was there is checked again when the others have come, and joins the wait") {
    Market market({3, 3});
    market.cluster.hold_disk(1);
    const auto cart = market.cluster.submit(0, Market::cart("cart", {{"a", 5}, {"b", 3}}));
    market.cluster.run_for(20);
    // b is not set aside for it: another client takes two of the three meanwhile.
    CHECK(market.reserve("other", {{"b", 2}}, 0).code == Code::created);
    CHECK(market.reserve("none", {{"a", 1}}, 0).code == Code::insufficient_stock);  // these are
    market.cluster.free_disk(1);
    market.cluster.run_until([&] { return market.cluster.answered(cart); }, 5'000);
    CHECK(market.cluster.take(cart).code == Code::created);
    CHECK(market.cluster.truth("a").held == 5);
    CHECK(market.cluster.truth("b").held == 5);
  }

  TEST_CASE("and is refused if that line cannot be had any more") {
    Market market({3, 2});
    market.cluster.hold_disk(1);
    const auto cart = market.cluster.submit(0, Market::cart("cart", {{"a", 5}, {"b", 3}}));
    market.cluster.run_for(20);
    CHECK(market.reserve("other", {{"b", 3}}, 0).code == Code::created);
    market.cluster.free_disk(1);
    market.cluster.run_until([&] { return market.cluster.answered(cart); }, 5'000);
    const Outcome refused = market.cluster.take(cart);
    CHECK(refused.code == Code::insufficient_stock);
    REQUIRE(refused.shortages.size() == 1);
    CHECK(refused.shortages[0].sku == "b");
    CHECK(market.cluster.truth("a").held == 0);
    CHECK(market.reserve("all", {{"a", 5}}, 0).code == Code::created);  // nothing stays set aside
  }

  TEST_CASE("the same id and body joins the cart that waits; another body is a conflict") {
    Market market({0, 5});
    market.cluster.hold_disk(1);
    const auto first = market.cluster.submit(0, Market::cart("r", {{"a", 5}}));
    const auto same = market.cluster.submit(0, Market::cart("r", {{"a", 2}, {"a", 3}}, 0));
    const auto other = market.cluster.submit(0, Market::cart("r", {{"a", 4}}));
    market.cluster.run_for(20);
    CHECK_FALSE(market.cluster.answered(same));
    CHECK(market.cluster.take(other).code == Code::reservation_conflict);
    market.cluster.free_disk(1);
    market.cluster.run_until([&] { return market.cluster.answered(same); }, 5'000);
    CHECK(market.cluster.take(first).code == Code::created);
    const Outcome joined = market.cluster.take(same);
    CHECK(joined.code == Code::ok);
    CHECK(reservation(joined).lines[0].held == 5);
    CHECK(market.cluster.truth("a").held == 5);
  }

  TEST_CASE("verbs on an id that waits come after its outcome") {
    for (const Units there : {5, 0}) {
      CAPTURE(there);
      Market market({1, there});
      market.cluster.hold_disk(1);
      const auto cart = market.cluster.submit(0, Market::cart("r", {{"a", 5}}));
      const auto read = market.cluster.submit(0, GetReservation{"r"});
      const auto commit = market.cluster.submit(0, Commit{.id = "r"});
      const auto release = market.cluster.submit(0, Release{"r"});
      market.cluster.run_for(50);
      CHECK_FALSE(market.cluster.answered(read));
      market.cluster.free_disk(1);
      market.cluster.run_until([&] { return market.cluster.answered(release); }, 5'000);
      const bool had = there > 0;
      CHECK(market.cluster.take(cart).code == (had ? Code::created : Code::insufficient_stock));
      CHECK(market.cluster.take(read).code == (had ? Code::ok : Code::unknown_reservation));
      CHECK(market.cluster.take(commit).code == (had ? Code::ok : Code::unknown_reservation));
      CHECK(market.cluster.take(release).code ==
            (had ? Code::reservation_closed : Code::unknown_reservation));
      CHECK(market.cluster.truth("a").sold == (had ? 5 : 0));
    }
  }

  TEST_CASE("a crash forgets carts that wait; rights that come later stay") {
    Market market({0, 5});
    market.cluster.hold_disk(1);
    const auto cart = market.cluster.submit(0, Market::cart("r", {{"a", 5}}));
    market.cluster.run_for(30);
    market.cluster.crash(0);
    market.cluster.free_disk(1);
    market.cluster.restart(0);
    market.cluster.settle();
    CHECK(market.cluster.converge());
    CHECK_FALSE(market.cluster.answered(cart));
    CHECK(market.cluster.truth("a").held == 0);
    CHECK(market.reserve("r", {{"a", 5}}).code == Code::created);
  }

  TEST_CASE("an answer that is lost costs nothing: the rights come with the rows") {
    Market market({0, 5});
    market.cluster.hold_disk(1);
    const auto cart = market.cluster.submit(0, Market::cart("r", {{"a", 5}}, 30'000));
    market.cluster.run_for(30);
    market.cluster.reset_links(0, 1);  // the request is there; its answer has no way back
    market.cluster.free_disk(1);
    market.cluster.run_until([&] { return market.cluster.answered(cart); }, 40'000);
    market.cluster.take(cart);
    market.cluster.settle();
    CHECK(market.cluster.converge());
    CHECK(market.cluster.truth("a").available() + market.cluster.truth("a").held == 5);
    if (market.cluster.truth("a").held == 0)
      CHECK(market.reserve("q", {{"a", 5}}).code == Code::created);
  }

  // ── a request is acted on only if both sides agree on what was granted so far ──

  TEST_CASE("a repeated request is granted once") {
    Market market({0, 10});
    auto& giver = const_cast<holdfast::crdt::State&>(market.cluster.state(1));
    Ledger ledger(giver, [](const auto&) { return Units{0}; });
    const auto ask = [&](Units need, Units seen) {
      return ledger.grant_on_request({.sku = "a", .need = need, .granted_seen = seen}, 0,
                                     market.cluster.replica(0));
    };
    const Granted first = ask(4, 0);
    CHECK(first.given == 4);
    CHECK(first.total == 4);
    for (int replay = 0; replay < 3; ++replay) {
      const Granted again = ask(4, 0);
      CHECK(again.given == 0);
      CHECK(again.total == 4);
    }
    CHECK(ask(4, 5).given == 0);  // from a future that never was
    CHECK(ask(100, 4).given == 6);
    CHECK(ask(1, 10).given == 0);
    CHECK(ask(-5, 10).given == 0);
    CHECK(ledger.grant_on_request({.sku = "nothing", .need = 1}, 0, market.cluster.replica(0))
              .given == 0);
    CHECK(market.cluster.truth("a").rights == std::vector<Units>{10, 0});
  }
}

namespace {

// The machine alone, with peers that the test plays.
struct Bench {
  using Asked = std::pair<ReplicaId, AskRights>;
  static constexpr ReplicaId self{1}, left{2}, right{3};
  static constexpr Times at{.life_ms = 1, .wall_ms = 1};
  static Times later(std::int64_t ms) {
    return {
        .life_ms = 1, .wall_ms = 1, .instant = holdfast::crdt::Instant(holdfast::crdt::Millis(ms))};
  }

  Bench() {
    rights.serve_from(ledger);
    ledger.put_sku({.sku = "a"}, at);
  }
  Cart cart(const std::string& id, Units units) {
    return std::get<Cart>(ledger.check({.id = id, .lines = {{"a", units}}}));
  }
  void wait(const std::string& id, Units units) {
    rights.wait(cart(id, units), ++tokens, holdfast::crdt::Instant(holdfast::crdt::Millis(1000)),
                at);
  }
  // A stock row of a peer comes: what it received and what it has granted here.
  void row(ReplicaId from, Units received, Units granted) {
    holdfast::crdt::StockRow stock{.received = received};
    if (granted > 0) stock.at(self).granted = granted;
    merge(from, stock);
  }
  void sold_out(ReplicaId from, Units received) {
    merge(from,
          {.received = received, .withdrawn = received, .peers = {}, .moves = {}, .extra = {}});
  }
  void merge(ReplicaId from, const holdfast::crdt::StockRow& stock) {
    holdfast::crdt::DecodedRow row{
        .kind = holdfast::crdt::RowKind::stock, .key = "a", .sequence = ++sequence};
    row.payload = stock;
    REQUIRE(state.merge(from, std::move(row)).ok());
    rights.gained(*state.product("a"), at);
  }
  std::uint64_t last_call() const { return asked.size(); }

  holdfast::crdt::State state{self};
  std::vector<Asked> asked;
  std::vector<ReplicaId> peers{left};
  std::uint64_t tokens = 0, sequence = 0;
  Ledger ledger{state,
                [this](const holdfast::crdt::Product& product) { return rights.aside(product); }};
  Rights rights{state,
                [this](ReplicaId peer, const AskRights& ask) {
                  asked.emplace_back(peer, ask);
                  return asked.size();
                },
                [this] { return peers; },
                [](const holdfast::crdt::Product&, Units) { return Units{0}; }};
};

}  // namespace

TEST_SUITE("rights, step by step") {
  TEST_CASE("what is on its way is not asked for again") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("first", 4);
    REQUIRE(bench.asked.size() == 1);
    CHECK(bench.asked[0].second.need == 4);
    bench.wait("second", 2);  // one request in flight per SKU and peer
    CHECK(bench.asked.size() == 1);
    bench.rights.answered(1, {.given = 4, .total = 4}, Bench::at);
    CHECK(bench.asked.size() == 1);  // granted, and its rows are still to come
    CHECK(bench.rights.take_served().empty());
    bench.row(Bench::left, 10, 4);
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[1].second.need == 2);
    CHECK(bench.asked[1].second.granted_seen == 4);
    const auto served = bench.rights.take_served();
    REQUIRE(served.size() == 1);
    CHECK(served[0].outcome.code == Code::created);
  }

  TEST_CASE("an answer with a newer total says wait for the rows, then ask again") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("r", 4);
    bench.rights.answered(1, {.given = 0, .total = 3}, Bench::at);
    CHECK(bench.asked.size() == 1);
    CHECK(bench.rights.take_served().empty());
    bench.row(Bench::left, 10, 3);
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[1].second.need == 1);
    CHECK(bench.asked[1].second.granted_seen == 3);
  }

  TEST_CASE("the same if the rows have come before the answer") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("r", 4);
    bench.row(Bench::left, 10, 3);
    bench.rights.answered(1, {.given = 0, .total = 3}, Bench::at);
    CHECK(bench.rights.take_served().empty());  // it is rich, and has not said no
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[1].second.need == 1);
    CHECK(bench.asked[1].second.granted_seen == 3);
  }

  TEST_CASE("a total that went back is a no: it is not asked for ever") {
    Bench bench;
    bench.row(Bench::left, 10, 3);
    bench.wait("r", 4);
    bench.rights.answered(1, {.given = 0, .total = 1}, Bench::at);
    CHECK(bench.asked.size() == 1);
    bench.rights.tick(Bench::later(1000));
    CHECK(bench.rights.take_served().size() == 1);
  }

  TEST_CASE("answers that nobody waits for, and answers to lost calls, change nothing") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("r", 4);
    bench.rights.lost(1, Bench::at);
    CHECK_FALSE(bench.rights.owns(1));
    bench.rights.tick(Bench::later(1000));
    REQUIRE(bench.rights.take_served().size() == 1);
    bench.rights.answered(1, {.given = 4, .total = 4}, Bench::at);
    bench.rights.answered(7, {.given = 4, .total = 4}, Bench::at);
    bench.rights.lost(1, Bench::at);
    CHECK(bench.rights.size() == 0);
    CHECK(bench.ledger.free(*bench.state.product("a")) == 0);
  }

  TEST_CASE("a peer that gave none is asked again when it shows more, or after a while") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("r", 4);
    bench.rights.answered(1, {.given = 0, .total = 0}, Bench::at);
    CHECK(bench.rights.take_served().empty());  // it shows ten
    bench.rights.tick(Bench::later(5));
    CHECK(bench.asked.size() == 1);
    bench.row(Bench::left, 12, 0);
    REQUIRE(bench.asked.size() == 2);
    bench.rights.answered(2, {.given = 0, .total = 0}, Bench::at);
    CHECK(bench.asked.size() == 2);
    REQUIRE(bench.rights.wake_at() < Bench::later(100).instant);
    bench.rights.tick({.instant = bench.rights.wake_at()});
    REQUIRE(bench.asked.size() == 3);
    bench.rights.answered(3, {.given = 4, .total = 4}, Bench::at);
    bench.row(Bench::left, 12, 4);
    CHECK(bench.rights.take_served().size() == 1);
    CHECK(bench.rights.wake_at() == holdfast::crdt::Instant::max());
  }

  TEST_CASE("who gave none, and shows none by now, has none") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("r", 4);
    bench.rights.answered(1, {.given = 0, .total = 0}, Bench::at);
    CHECK(bench.rights.take_served().empty());
    bench.sold_out(Bench::left, 10);
    REQUIRE(bench.rights.take_served().size() == 1);
    CHECK(bench.rights.wake_at() == holdfast::crdt::Instant::max());
  }

  TEST_CASE("among peers that look alike the nearest is asked; a second one for the rest") {
    Bench bench;
    bench.peers = {Bench::right, Bench::left};  // nearest first
    bench.row(Bench::left, 5, 0);
    bench.row(Bench::right, 5, 0);
    bench.wait("r", 8);
    REQUIRE(bench.asked.size() == 2);
    CHECK(bench.asked[0].first == Bench::right);
    CHECK(bench.asked[0].second.need == 5);
    CHECK(bench.asked[1].first == Bench::left);
    CHECK(bench.asked[1].second.need == 3);
  }

  TEST_CASE("what is set aside for a cart is nobody else's until it leaves") {
    Bench bench;
    bench.row(Bench::left, 10, 0);
    bench.wait("big", 8);
    bench.row(Bench::left, 10, 5);
    const auto& product = *bench.state.product("a");
    CHECK(product.stock.rights(Bench::self) == 5);
    CHECK(bench.rights.aside(product) == 5);
    CHECK(bench.ledger.free(product) == 0);
    CHECK(bench.ledger.grant_on_request({.sku = "a", .need = 5}, 0, Bench::right).given == 0);
    bench.rights.tick(Bench::later(1000));
    CHECK(bench.rights.take_served().size() == 1);
    CHECK(bench.rights.aside(product) == 0);
    CHECK(bench.ledger.free(product) == 5);
  }
}
