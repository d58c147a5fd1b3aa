// Each invariant of sim/checks.h is broken by hand, on top of a world that is well.

#include "sim/checks.h"

#include <doctest/doctest.h>

using namespace holdfast::sim;
namespace crdt = holdfast::crdt;
namespace node = holdfast::node;
using crdt::HoldLine;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::ReplicaId;
using crdt::RowKind;
using crdt::StockRow;

namespace {

WorldOptions two_nodes() {
  return {.seed = 5, .regions = {"eu", "us"}, .nodes = {{.region = "eu"}, {.region = "us"}}};
}

// Rows of one origin, as a journal has them.
struct Rows {
  std::string bytes;
  crdt::Sequence upto = 0;

  template <typename Row>
  Rows& add(RowKind kind, const std::string& key, crdt::Sequence sequence, const Row& row) {
    std::string payload;
    crdt::append_payload(row, payload);
    crdt::append_row(kind, key, sequence, crdt::kRowFormat, payload, bytes);
    upto = sequence;
    return *this;
  }
  Rows& stock(crdt::Sequence sequence, const StockRow& row) {
    return add(RowKind::stock, "a", sequence, row);
  }
  Rows& decree(crdt::Sequence sequence, const crdt::DecreeRow& row) {
    return add(RowKind::decree, crdt::decree_key(row), sequence, row);
  }
  Rows& hold(crdt::Sequence sequence, const HoldRow& row) {
    return add(RowKind::hold, "cart", sequence, row);
  }
};

HoldRow hold_of(std::uint32_t units) {
  HoldRow row;
  row.digest = 1;
  row.lines.push_back(HoldLine{.sku = "a", .requested = units, .held = units});
  row.number = 1;
  row.deadline = 60'000;
  row.expires_at = row.created_at = 1;
  return row;
}

// Two nodes that have received 10 of SKU "a" each, and know it of one another.
struct Shop {
  Checks checks;
  World world;

  Shop() : world(two_nodes(), checks) {
    checks.attach(world);
    world.start_all();
    call(0, {"PUT", "/v1/skus/a", "{}", ""});
    for (std::size_t i = 0; i < 2; ++i)
      for (int twice = 0; twice < 2; ++twice)
        call(i, {"POST", "/v1/skus/a/receipts", R"({"quantity":5})", ""});
    world.run_until(world.now() + 5 * kSecond);
    REQUIRE_MESSAGE(!checks.violation(), checks.violation()->detail);
    REQUIRE(product(0)->stock.on_hand() == 20);
    REQUIRE(product(1)->stock.on_hand() == 20);
  }
  void call(std::size_t node, const HttpCall& call) {
    int status = 0;
    world.http(node, node, call, [&](const auto& response) { status = response.status; });
    world.run_until([&] { return status != 0; }, world.now() + 3 * kSecond);
    world.run_until(world.now() + kSecond);
    REQUIRE(status / 100 == 2);
  }
  const crdt::Product* product(std::size_t node) {
    return world.node(node).engine().state().product("a");
  }
  ReplicaId replica(std::size_t node) { return world.node(node).replica(); }
  crdt::Sequence next(std::size_t node) { return checks.ghost().head(replica(node)) + 1; }
  StockRow row(std::size_t node) { return product(node)->stock.find(replica(node))->row; }

  std::uint64_t next_batch(std::size_t node) {
    return world.node(node).image().journal.rbegin()->first + 1 + fed[node];
  }
  // What the checks are told: node `at` has made durable rows of the node `of`.
  void feed(std::size_t at, std::size_t of, const Rows& rows,
            std::optional<std::int64_t> life_ms = std::nullopt) {
    node::JournalValue value{.self = replica(at),
                             .life_ms = life_ms.value_or(world.node(at).lived_ms())};
    value.parts.push_back({replica(of), rows.upto, rows.bytes});
    const std::uint64_t number = next_batch(at);
    ++fed[at];
    checks.on_durable(world.node(at), {.number = number, .journal = encode(value)});
  }
  void feed(std::size_t node, const Rows& rows) { feed(node, node, rows); }
  // A hold of that many units at node 0, with its stock row.
  void hold(std::uint32_t units) {
    StockRow stock = row(0);
    stock.held += units;
    const crdt::Sequence at = next(0);
    feed(0, Rows().stock(at, stock).hold(at + 1, hold_of(units)));
  }
  std::string broken() { return checks.violation() ? checks.violation()->invariant : "none"; }

  std::uint64_t fed[2] = {0, 0};
};

}  // namespace

TEST_CASE("checks: what a node could have written breaks nothing") {
  Shop shop;
  shop.hold(10);
  CHECK(shop.broken() == "none");
  StockRow stock = shop.row(0);
  stock.held = stock.sold = 10;
  HoldRow hold = hold_of(10);
  hold.state = HoldState::committed;
  hold.lines[0].committed = 10;
  hold.ended_at = 2;
  const crdt::Sequence at = shop.next(0);
  shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold));
  CHECK(shop.broken() == "none");
  CHECK(shop.checks.hold("cart")->row.state == HoldState::committed);
}

TEST_CASE("checks: more is held than there are rights to") {
  Shop shop;
  shop.hold(11);
  CHECK(shop.broken() == "rights-below-zero");
}

TEST_CASE("checks: rights are taken without a decree") {
  Shop shop;
  StockRow stock = shop.row(0);
  stock.held = 25;
  stock.at(ReplicaId{99}).seized = 15;
  const crdt::Sequence at = shop.next(0);
  shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold_of(25)));
  CHECK(shop.broken() == "seized-without-decree");
}

TEST_CASE("checks: a decree takes what it says, and may oversell no more than that") {
  Shop shop;
  StockRow stock = shop.row(0);
  stock.held = 25;
  stock.at(ReplicaId{99}).seized = 15;
  crdt::DecreeRow decree{.kind = crdt::DecreeKind::failover,
                         .target = ReplicaId{99},
                         .generation = 1,
                         .fraction_ppm = 1'000'000,
                         .seized = 15};
  const crdt::Sequence at = shop.next(0);
  SUBCASE("it does") {
    shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold_of(25)).decree(at + 2, decree));
    CHECK(shop.broken() == "none");
    CHECK(shop.checks.sometimes().contains("a decree oversold"));
  }
  SUBCASE("it takes less") {
    decree.seized = 16;
    shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold_of(25)).decree(at + 2, decree));
    CHECK(shop.broken() == "seized-unlike-plan");
  }
  SUBCASE("more is held than was taken") {
    stock.held = 26;
    shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold_of(26)).decree(at + 2, decree));
    CHECK(shop.broken() == "budget");
  }
  SUBCASE("adoptions take more than was counted") {
    stock.held = 0;
    shop.feed(0, Rows().stock(at, stock).decree(at + 1, decree));
    REQUIRE(shop.broken() == "none");
    stock.at(ReplicaId{99}).seized += 2;
    stock.held = 2;
    HoldRow adopted = hold_of(2);
    adopted.adopted_from = ReplicaId{99};
    shop.feed(0, Rows().stock(at + 2, stock).hold(at + 3, adopted));
    CHECK(shop.broken() == "seized-without-decree");
  }
}

TEST_CASE("checks: an heir takes what a retired node that has ended had left, and no more") {
  Shop shop;
  StockRow stock = shop.row(0);
  stock.at(shop.replica(1)).seized = 7;
  const crdt::DecreeRow retirement{.kind = crdt::DecreeKind::retirement,
                                   .target = shop.replica(1),
                                   .generation = 1,
                                   .fraction_ppm = 1'000'000,
                                   .successor = shop.replica(0),
                                   .seized = 7};
  const crdt::Sequence at = shop.next(0);
  shop.feed(0, Rows().stock(at, stock).decree(at + 1, retirement));
  REQUIRE(shop.broken() == "none");
  crdt::MemberRow member = shop.world.node(1).engine().state().member(shop.replica(1))->row;
  member.ended = true;
  const Rows end =
      Rows().add(RowKind::member, crdt::to_string(shop.replica(1)), shop.next(1), member);
  SUBCASE("what there is") {
    shop.feed(1, end);
    stock.at(shop.replica(1)).seized = 10;
    shop.feed(0, Rows().stock(at + 2, stock));
    CHECK(shop.broken() == "none");
    CHECK(shop.checks.sometimes().contains("an heir took what a retired replica had left"));
  }
  SUBCASE("more") {
    shop.feed(1, end);
    stock.at(shop.replica(1)).seized = 11;
    shop.feed(0, Rows().stock(at + 2, stock));
    CHECK(shop.broken() == "seized-without-decree");
  }
  SUBCASE("before its end") {
    stock.at(shop.replica(1)).seized = 10;
    shop.feed(0, Rows().stock(at + 2, stock));
    CHECK(shop.broken() == "seized-without-decree");
  }
}

TEST_CASE("checks: a node does not know of rights that were taken from it; that is no fault") {
  Shop shop;
  StockRow stock = shop.row(1);
  stock.at(shop.replica(0)).seized = 3;
  const crdt::DecreeRow decree{.kind = crdt::DecreeKind::failover,
                               .target = shop.replica(0),
                               .generation = 1,
                               .fraction_ppm = 1'000'000,
                               .seized = 3};
  const crdt::Sequence at = shop.next(1);
  shop.feed(1, Rows().stock(at, stock).decree(at + 1, decree));
  CHECK(shop.broken() == "none");
  shop.checks.on_turn(shop.world.node(1));
  shop.checks.on_turn(shop.world.node(0));
  CHECK(shop.broken() == "none");
}

TEST_CASE("checks: totals, sequences, batches and lives only grow") {
  Shop shop;
  SUBCASE("a total") {
    StockRow stock = shop.row(0);
    stock.received -= 1;
    shop.feed(0, Rows().stock(shop.next(0), stock));
  }
  SUBCASE("what was granted") {
    StockRow stock = shop.row(0);
    stock.at(shop.replica(1)).granted = 2;
    shop.feed(0, Rows().stock(shop.next(0), stock));
    REQUIRE(shop.broken() == "none");
    stock.at(shop.replica(1)).granted = 1;
    shop.feed(0, Rows().stock(shop.next(0), stock));
  }
  SUBCASE("a sequence") { shop.feed(0, Rows().stock(shop.next(0) - 1, shop.row(0))); }
  SUBCASE("a batch") {
    ++shop.fed[0];
    shop.feed(0, Rows().stock(shop.next(0), shop.row(0)));
  }
  SUBCASE("a life") {
    shop.feed(0, Rows().stock(shop.next(0), shop.row(0)));
    REQUIRE(shop.broken() == "none");
    shop.feed(0, 0, Rows().stock(shop.next(0), shop.row(0)), 1);
  }
  CHECK(shop.broken() == "not-monotone");
}

TEST_CASE("checks: a stock row without the hold that it counts") {
  Shop shop;
  StockRow stock = shop.row(0);
  SUBCASE("held") { stock.held = 1; }
  SUBCASE("sold and held") { stock.held = stock.sold = 1; }
  SUBCASE("released and held") { stock.held = stock.released = 1; }
  SUBCASE("returned") { stock.returned = 1; }
  shop.feed(0, Rows().stock(shop.next(0), stock));
  CHECK(shop.broken() == "totals-unlike-holds");
}

TEST_CASE("checks: a hold without the stock row that counts it") {
  Shop shop;
  shop.feed(0, Rows().hold(shop.next(0), hold_of(1)));
  CHECK(shop.broken() == "totals-unlike-holds");
}

TEST_CASE("checks: a hold that has ended stays as it ended") {
  Shop shop;
  shop.hold(3);
  StockRow stock = shop.row(0);
  stock.held = 3;
  HoldRow hold = hold_of(3);
  const auto put = [&] {
    const crdt::Sequence at = shop.next(0);
    shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold));
  };
  SUBCASE("released, then committed") {
    hold.state = HoldState::released;
    hold.ended_at = 2;
    stock.released = 3;
    put();
    REQUIRE(shop.broken() == "none");
    hold.state = HoldState::committed;
    put();
  }
  SUBCASE("what was sold changes") {
    hold.state = HoldState::committed;
    hold.ended_at = 2;
    hold.lines[0].committed = stock.sold = 2;
    stock.released = 1;
    put();
    REQUIRE(shop.broken() == "none");
    hold.lines[0].committed = 3;
    put();
  }
  SUBCASE("what is held changes") {
    hold.lines[0].held = hold.lines[0].requested = 2;
    put();
  }
  SUBCASE("more is returned than was sold") {
    hold.state = HoldState::committed;
    hold.ended_at = 2;
    hold.lines[0].committed = stock.sold = 2;
    stock.released = 1;
    hold.lines[0].returned = 3;
    put();
    CHECK(shop.broken() != "none");  // not even a row that can be read
    return;
  }
  CHECK(shop.broken() == "hold-ended-twice");
}

TEST_CASE("checks: a hold expires when its home has lived to its deadline, and not before") {
  Shop shop;
  shop.world.run_until(70 * kSecond);
  REQUIRE(shop.world.node(0).lived_ms() > 60'000);
  shop.hold(3);
  StockRow stock = shop.row(0);
  stock.held = stock.released = 3;
  HoldRow hold = hold_of(3);
  SUBCASE("in time") {}
  SUBCASE("early") {
    // As the hold was extended, so was its deadline.
    HoldRow extended = hold;
    extended.deadline = 71'000;
    shop.feed(0, Rows().hold(shop.next(0), extended));
  }
  const bool early = shop.checks.hold("cart")->row.deadline == 71'000;
  hold.state = HoldState::expired;
  hold.deadline = shop.checks.hold("cart")->row.deadline;
  hold.ended_at = 2;
  const crdt::Sequence at = shop.next(0);
  shop.feed(0, Rows().stock(at, stock).hold(at + 1, hold));
  CHECK(shop.broken() == (early ? "expired-early" : "none"));
}

TEST_CASE("checks: a node has rows that their origin has not made durable") {
  Shop shop;
  SUBCASE("a row") { shop.feed(0, 1, Rows().stock(shop.next(1), shop.row(1))); }
  SUBCASE("a vector entry") {
    Rows none;
    none.upto = shop.next(1);
    shop.feed(0, 1, none);
  }
  CHECK(shop.broken() == "exported-before-durable");
}

TEST_CASE("checks: a node's vector is beyond what its origin has made durable") {
  Watcher nobody;
  World world(two_nodes(), nobody);
  world.start_all();
  world.run_until(5 * kSecond);
  Checks checks;
  checks.attach(world);
  checks.on_turn(world.node(0));
  REQUIRE(checks.violation());
  CHECK(checks.violation()->invariant == "exported-before-durable");
}

TEST_CASE("checks: a row is as its origin wrote it") {
  Shop shop;
  const auto* cell = shop.product(0)->stock.find(shop.replica(1));
  REQUIRE(cell != nullptr);
  SUBCASE("the same") {
    shop.feed(0, 1, Rows().stock(cell->sequence, cell->row));
    CHECK(shop.broken() == "none");
  }
  SUBCASE("another") {
    StockRow changed = cell->row;
    ++changed.received;
    shop.feed(0, 1, Rows().stock(cell->sequence, changed));
    CHECK(shop.broken() == "copies-differ");
  }
}

TEST_CASE("checks: a node lacks a row below its vector") {
  Shop shop;
  const crdt::State& state = shop.world.node(0).engine().state();
  const crdt::Feed* feed = state.feed(shop.replica(1));
  crdt::Sequence missing = 0;  // the first receipt's, which the second one replaced
  for (crdt::Sequence at = 1; at <= state.head(shop.replica(1)); ++at)
    if (feed->at(at) == nullptr) missing = at;
  REQUIRE(missing != 0);
  // Other checks see the whole run anew, and in it a hold that never came to node 0.
  Checks checks;
  checks.attach(shop.world);
  StockRow stock = shop.row(1);
  stock.held = 1;
  Rows rows;
  rows.hold(missing, hold_of(1)).stock(state.head(shop.replica(1)), stock);
  node::JournalValue value{.self = shop.replica(1)};
  value.parts.push_back({shop.replica(1), rows.upto, rows.bytes});
  checks.on_durable(shop.world.node(1), {.number = 1, .journal = encode(value)});
  REQUIRE(!checks.violation());
  checks.on_turn(shop.world.node(0));
  REQUIRE(checks.violation());
  CHECK(checks.violation()->invariant == "row-lost-below-vector");
}

TEST_CASE("checks: a node that starts has all that was durable") {
  Shop shop;
  SUBCASE("all") {
    shop.checks.on_started(shop.world.node(0), false);
    CHECK(shop.broken() == "none");
  }
  SUBCASE("not its last row") {
    shop.feed(0, Rows().stock(shop.next(0), shop.row(0)));
    shop.checks.on_started(shop.world.node(0), false);
    CHECK(shop.broken() == "durable-row-lost");
  }
  SUBCASE("not the last row of another") {
    StockRow stock = shop.row(1);
    ++stock.received;
    const Rows rows = Rows().stock(shop.next(1), stock);
    shop.feed(1, rows);
    shop.feed(0, 1, rows);
    REQUIRE(shop.broken() == "none");
    shop.checks.on_started(shop.world.node(0), false);
    CHECK(shop.broken() == "durable-row-lost");
  }
}

TEST_CASE("checks: a life goes on as its node's clock does") {
  Shop shop;
  const std::int64_t lived = shop.world.node(0).lived_ms();
  SUBCASE("as fast") {
    shop.feed(0, 0, Rows().stock(shop.next(0), shop.row(0)), lived);
    CHECK(shop.broken() == "none");
  }
  SUBCASE("faster") {
    shop.feed(0, 0, Rows().stock(shop.next(0), shop.row(0)), lived + 1'000);
    CHECK(shop.broken() == "life-too-fast");
  }
}

TEST_CASE("checks: an answer that leaves before its batch is durable") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  const node::Outcome done{.code = node::Code::ok};
  shop.checks.on_reply(machine, done, true, false);
  shop.checks.on_reply(machine, done, false, true);  // a read need not wait
  shop.checks.on_reply(machine, {.code = node::Code::overloaded}, false, false);
  CHECK(shop.broken() == "none");
  shop.checks.on_reply(machine, done, false, false);
  CHECK(shop.broken() == "early-reply");
}

TEST_CASE("checks: a process that ends by itself, but for a failing disk") {
  Shop shop;
  shop.checks.on_ended(shop.world.node(0), "");
  shop.checks.on_ended(shop.world.node(0), "a write to the disk failed");
  CHECK(shop.broken() == "none");
  CHECK(shop.checks.sometimes().at("a failed fsync ended a process") == 1);
  shop.checks.on_ended(shop.world.node(0), "its own writes are gone");
  CHECK(shop.broken() == "stopped");
}

TEST_CASE("checks: the first violation stands, with its time and event") {
  Shop shop;
  shop.checks.fail("first", "a");
  shop.checks.fail("second", "b");
  REQUIRE(shop.checks.violation());
  CHECK(shop.checks.violation()->invariant == "first");
  CHECK(shop.checks.violation()->at == shop.world.now());
  CHECK(shop.checks.violation()->event == shop.world.events().done());
}

// A directory that was copied in use: node 0 is the original, node 3 the copy; node 1 hears of the
// one, and node 2 of the other.
TEST_CASE("checks: what of a fork is undecided, where neither of its writers is") {
  Checks checks;
  World world({.seed = 5,
               .regions = {"eu"},
               .nodes = {{.region = "eu"}, {.region = "eu"}, {.region = "eu"}, {.region = "eu"}},
               .keeps_bases = true},
              checks);
  checks.attach(world);
  world.start_all();
  const auto settle = [&] { world.run_until(world.now() + 5 * kSecond); };
  settle();
  const auto put_sku = [&](const std::string& sku) {
    int status = 0;
    world.http(0, 0, {"PUT", "/v1/skus/" + sku, "{}", ""},
               [&](const auto& response) { status = response.status; });
    settle();
    REQUIRE(status == 201);
  };
  put_sku("a");
  const auto part = [&](Place a, Place b) {
    world.network().cut(a, b);
    world.network().cut(b, a);
  };
  const ReplicaId origin = world.node(0).replica();
  world.node(3).crash(PowerLoss::keeps, false);
  settle();
  part(0, 2);
  part(0, 3);
  part(1, 2);
  part(1, 3);
  world.node(3).put_back(world.node(0).directory());
  world.node(3).start();
  put_sku("b");
  REQUIRE(!checks.violation());
  REQUIRE(world.node(1).engine().state().product("b") != nullptr);
  REQUIRE(world.node(2).engine().state().boots(origin).size() == 2);
  world.node(0).crash(PowerLoss::keeps, false);
  world.node(3).crash(PowerLoss::keeps, false);
  CHECK(checks.undecided({1, 2}) == std::set{origin});
  CHECK(checks.undecided({1}).empty());
  CHECK(checks.undecided({2}).empty());
  CHECK(checks.undecided({0, 1, 2}).empty());  // the original is told by node 2, and makes way
  CHECK(checks.undecided({1, 2, 3}).empty());
  // One who has heard of a successor tells it to all others.
  for (const Place other : {0, 1}) {
    world.network().mend(2, other);
    world.network().mend(other, 2);
  }
  world.node(0).start();
  settle();
  world.node(0).start();  // as another replica
  settle();
  REQUIRE(world.node(0).replica() != origin);
  CHECK(checks.undecided({1, 2}).empty());
}

TEST_CASE("checks: a grant is in flight until the other knows of it") {
  Shop shop;
  CHECK_FALSE(shop.checks.grant_in_flight(0, 1));
  StockRow stock = shop.row(0);
  stock.at(shop.replica(1)).granted = 2;
  shop.feed(0, Rows().stock(shop.next(0), stock));
  CHECK(shop.checks.grant_in_flight(0, 1));
  CHECK_FALSE(shop.checks.grant_in_flight(1, 0));
}
