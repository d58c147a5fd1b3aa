// What the rebalancer looks at, and when; whom it then asks is the policy's (rebalance_test.cpp).

#include "node/rebalancer.h"

#include <doctest/doctest.h>

#include <set>

using namespace holdfast::node;
using holdfast::crdt::Instant;
using holdfast::crdt::MemberRow;
using holdfast::crdt::Millis;
using holdfast::crdt::Product;
using holdfast::crdt::ReplicaId;
using holdfast::crdt::RowKind;
using holdfast::crdt::Sequence;
using holdfast::crdt::State;
using holdfast::crdt::StockRow;
using holdfast::crdt::Units;

namespace {

constexpr ReplicaId kSelf{1}, kPeer{2};

// A replica and one peer; what it asks for is noted, and never answered with rights.
struct Replica {
  Replica() {
    state.put_member({.region = "eu", .demand_milli = 1'000});
    seal();
    member(10);
  }
  void seal() {
    std::string rows;
    state.seal(rows);
  }
  template <typename Row>
  void merge(RowKind kind, const std::string& key, Row row) {
    REQUIRE(
        state
            .merge(kPeer,
                   {.kind = kind, .key = key, .sequence = ++sequence, .payload = std::move(row)})
            .ok());
    state.advance(kPeer, sequence);
  }
  void member(std::uint64_t demand) {  // units per 1,000 s at the peer, of all SKUs
    merge(RowKind::member, holdfast::crdt::to_string(kPeer),
          MemberRow{.region = "us", .demand_milli = demand});
  }
  void peer_has(const std::string& sku, Units units) {
    merge(RowKind::stock, sku, StockRow{.received = units});
  }
  Product& own(const std::string& sku, Units units) {
    Product& product = state.make_product(sku);
    state.change_stock(product, [&](StockRow& row) { row.received += units; });
    seal();
    return product;
  }
  // Ticks once a second. The SKUs that it asked for.
  std::set<std::string> run(std::int64_t seconds) {
    std::set<std::string> asked;
    for (std::int64_t i = 0; i < seconds; ++i) {
      now += Millis(1'000);
      rebalancer.tick(now);
      for (const auto& [call, sku] : std::exchange(calls, {})) {
        asked.insert(sku);
        rebalancer.ended(call, true);
      }
      if (state.has_unsealed()) {
        ++batches;
        seal();
      }
    }
    return asked;
  }
  std::uint32_t told(const Product& product) const {
    return product.stock.find(kSelf)->row.demand_milli;
  }

  State state{kSelf};
  Ledger ledger{state, [](const Product&) { return 0; }};
  bool reachable = true;
  Sequence sequence = 0;
  Instant now{};
  std::size_t batches = 0;
  std::uint64_t last_call = 0;
  std::vector<std::pair<std::uint64_t, std::string>> calls;
  Rebalancer rebalancer{state, ledger, RebalanceOptions{},
                        [this](ReplicaId, const AskRights& ask) {
                          calls.emplace_back(++last_call, ask.sku);
                          return last_call;
                        },
                        [this](ReplicaId) { return reachable; }};
};

using Skus = std::set<std::string>;

}  // namespace

TEST_SUITE("rebalancer") {
  TEST_CASE("a SKU of which a peer's row changed is looked at, though nobody asked for it here") {
    Replica replica;
    replica.peer_has("a", 100);
    CHECK(replica.run(5) == Skus{"a"});
    CHECK(replica.run(60).empty());  // nothing has changed
    replica.peer_has("b", 100);
    CHECK(replica.run(5) == Skus{"b"});
    CHECK(replica.run(60).empty());
  }

  TEST_CASE("so it is after the rows of an origin were dropped and came anew") {
    Replica replica;
    for (int i = 0; i < 5; ++i) replica.peer_has("a", 100 + i);
    CHECK(replica.run(5) == Skus{"a"});
    replica.state.drop_origin(kPeer);
    CHECK(replica.run(5).empty());
    replica.sequence = 0;
    replica.member(10);
    replica.peer_has("b", 100);
    CHECK(replica.run(5) == Skus{"b"});
  }

  TEST_CASE("all are looked at when a peer can be reached again") {
    Replica replica;
    replica.reachable = false;
    replica.peer_has("a", 100);
    replica.peer_has("b", 100);
    CHECK(replica.run(60).empty());
    replica.reachable = true;
    CHECK(replica.run(5) == Skus{"a", "b"});
    CHECK(replica.run(60).empty());
  }

  TEST_CASE("all are looked at when the demand has moved from one replica to another") {
    Replica replica;
    replica.member(100'000);
    replica.own("a", 1);
    replica.peer_has("a", 3);
    replica.own("b", 10);
    replica.peer_has("b", 30);
    CHECK(replica.run(1'200).empty());  // half of it is spread evenly: that it has
    replica.member(0);
    CHECK(replica.run(1'200) == Skus{"a", "b"});
    CHECK(replica.run(1'200).empty());
  }

  TEST_CASE("a catalogue is looked at a thousand SKUs a second, and whole") {
    Replica replica;
    for (int i = 0; i < 2'500; ++i) replica.peer_has("sku-" + std::to_string(i), 100);
    CHECK(replica.run(1).size() == 1'000);
    CHECK(replica.run(1).size() == 1'000);
    CHECK(replica.run(1).size() == 500);
    CHECK(replica.run(60).empty());
  }

  TEST_CASE("a rate that nobody adds to is told again when it has halved, until it is nothing") {
    Replica replica;
    Product& a = replica.own("a", 100);
    Product& b = replica.own("b", 100);
    replica.rebalancer.asked(a, 60, replica.now);
    replica.rebalancer.asked(b, 60, replica.now + Millis(400));
    replica.seal();
    const std::uint32_t before = replica.told(a);
    CHECK(before == 100);  // 60 units within the 600 s of the window
    replica.run(300);
    CHECK(replica.told(a) == before);
    replica.run(200);
    CHECK(replica.told(a) <= before / 2);
    CHECK(replica.told(a) > 0);
    CHECK(replica.told(b) == replica.told(a));
    CHECK(replica.batches == 1);  // both in one
    replica.run(6'000);
    CHECK(replica.told(a) == 0);
    CHECK(replica.batches <= 8);
    const std::size_t at_rest = replica.batches;
    replica.run(6'000);
    CHECK(replica.batches == at_rest);
  }
}
