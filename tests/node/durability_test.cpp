// Reservations that are to be on other nodes' disks before they are answered.

#include "node/durability.h"

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::Instant;
using holdfast::crdt::Millis;

namespace {

// Two regions of two nodes: 0 and 1, 2 and 3. Each has units of "a".
struct Regions {
  explicit Regions(ClusterOptions options = {}) : cluster(four(options)) {
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    for (std::size_t i = 0; i < cluster.size(); ++i)
      cluster.call(i, Receive{.sku = "a", .quantity = 100});
    CHECK(cluster.converge());
  }
  ~Regions() { CHECK(cluster.complaints() == ""); }
  static ClusterOptions four(ClusterOptions options) {
    if (options.nodes == 1) options.nodes = 4;
    options.nodes_per_region = 2;
    return options;
  }
  static Reserve cart(const std::string& id, Durability durability) {
    return {.id = id, .lines = {{"a", 1}}, .durability = durability};
  }
  // Whether a journal entry of that node's disk has it.
  bool on_disk(std::size_t node, const std::string& id) {
    for (const auto& [batch, bytes] : cluster.disk(node).history) {
      const auto value = decode_journal_value(bytes);
      for (const JournalPart& part : value->parts) {
        const auto rows = holdfast::crdt::decode_rows(part.rows);
        for (const auto& row : *rows)
          if (row.kind == holdfast::crdt::RowKind::hold && row.key == id) return true;
      }
    }
    return false;
  }
  // A cart at node 0 is not answered before that node's disk has it, and then at once.
  Outcome answered_after_disk_of(std::size_t node) {
    cluster.hold_disk(node);
    const auto token = cluster.submit(0, cart("r", Durability::region));
    cluster.run_for(500);
    CHECK_FALSE(cluster.answered(token));
    cluster.free_disk(node);
    cluster.run_for(50);
    return cluster.take(token);
  }
  Cluster cluster;
};

void expect(const Outcome& outcome, Code code, Durability reached) {
  CHECK(outcome.code == code);
  CHECK(reservation(outcome).reached == reached);
}

// An outcome as the ledger makes it.
Outcome shown() {
  Outcome outcome{.code = Code::created};
  outcome.view = std::make_unique<ReservationView>();
  return outcome;
}

Instant at(std::int64_t ms) { return Instant(Millis(ms)); }

}  // namespace

TEST_SUITE("durability") {
  TEST_CASE("answered when the disks that were asked for have it") {
    Regions regions;
    Cluster& cluster = regions.cluster;
    for (int i = 0; i < 20; ++i) {
      const std::string id = std::to_string(i);
      const std::int64_t began = cluster.now_ms();
      expect(cluster.call(0, regions.cart("n" + id, Durability::node)), Code::created,
             Durability::node);
      expect(cluster.call(0, regions.cart("g" + id, Durability::region)), Code::created,
             Durability::region);
      CHECK(regions.on_disk(1, "g" + id));
      expect(cluster.call(0, regions.cart("m" + id, Durability::remote)), Code::created,
             Durability::remote);
      CHECK((regions.on_disk(2, "m" + id) || regions.on_disk(3, "m" + id)));
      CHECK(cluster.now_ms() - began < 100);
    }
    CHECK(cluster.truth("a").held == 60);
    CHECK(cluster.stats(0).durability_missed == 0);
  }

  TEST_CASE("a partition: 202 at the limit, with what was reached; later the same call is 200") {
    Regions regions;
    Cluster& cluster = regions.cluster;
    for (const std::size_t here : {0u, 1u})
      for (const std::size_t there : {2u, 3u}) cluster.cut(here, there);
    const std::int64_t began = cluster.now_ms();
    expect(cluster.call(0, regions.cart("r", Durability::remote)), Code::accepted,
           Durability::region);
    CHECK(cluster.now_ms() - began >= 1'000);
    CHECK(cluster.now_ms() - began < 1'100);
    expect(cluster.call(0, regions.cart("g", Durability::region)), Code::created,
           Durability::region);
    cluster.cut(0, 1);
    expect(cluster.call(0, regions.cart("r", Durability::remote)), Code::accepted,
           Durability::region);  // it is still known there, by what it acknowledged
    expect(cluster.call(0, regions.cart("q", Durability::remote)), Code::accepted,
           Durability::node);
    expect(cluster.call(0, regions.cart("p", Durability::region)), Code::accepted,
           Durability::node);
    CHECK(cluster.stats(0).durability_missed == 4);
    cluster.heal_all();
    cluster.settle();
    for (const char* id : {"r", "q"})
      expect(cluster.call(0, regions.cart(id, Durability::remote)), Code::ok, Durability::remote);
    expect(cluster.call(0, regions.cart("p", Durability::region)), Code::ok, Durability::region);
    CHECK(cluster.truth("a").held == 4);
    CHECK(cluster.converge());
  }

  TEST_CASE("a frame that has come is not a disk that has it") {
    expect(Regions().answered_after_disk_of(1), Code::created, Durability::region);
  }

  TEST_CASE("one's own disk comes first") {
    Regions regions({.durability_wait = Millis(0)});
    expect(regions.answered_after_disk_of(0), Code::accepted, Durability::node);
  }

  TEST_CASE("no such node at all: 202 at once") {
    for (const std::size_t nodes : {1u, 2u, 3u}) {
      Cluster cluster({.nodes = nodes, .nodes_per_region = nodes == 2 ? 2u : 1u});
      cluster.settle();
      cluster.call(0, PutSku{.sku = "a"});
      cluster.call(0, Receive{.sku = "a", .quantity = 100});
      const std::int64_t began = cluster.now_ms();
      const Durability none = nodes == 2 ? Durability::remote : Durability::region;
      const Outcome outcome = cluster.call(0, Regions::cart("r", none));
      CHECK(outcome.code == Code::accepted);
      CHECK(cluster.now_ms() - began < 50);
      CHECK(cluster.stats(0).durability_missed == 1);
      CHECK(cluster.complaints() == "");
    }
  }

  TEST_CASE("refusals do not wait; nor does who joins with a lower level") {
    Regions regions;
    Cluster& cluster = regions.cluster;
    for (const std::size_t remote : {2u, 3u}) cluster.hold_disk(remote);
    const std::int64_t began = cluster.now_ms();
    Reserve many = regions.cart("m", Durability::remote);
    many.lines[0].quantity = 1'000'000;
    many.wait_ms = 0;
    CHECK(cluster.call(0, many).code == Code::insufficient_stock);
    for (const std::size_t peer : {1u, 2u, 3u}) cluster.cut(0, peer);
    const auto waits = cluster.submit(0, regions.cart("r", Durability::remote));
    const auto joins = cluster.submit(0, regions.cart("r", Durability::node));
    const auto other = cluster.submit(
        0, Reserve{.id = "r", .lines = {{"a", 2}}, .durability = Durability::remote});
    cluster.run_for(20);
    expect(cluster.take(joins), Code::ok, Durability::node);
    CHECK(cluster.take(other).code == Code::reservation_conflict);
    CHECK_FALSE(cluster.answered(waits));
    CHECK(cluster.now_ms() - began < 100);
    cluster.run_for(1'000);
    expect(cluster.take(waits), Code::accepted, Durability::node);
  }

  TEST_CASE("a cart that waited for rights waits for disks after that") {
    Regions regions;
    Cluster& cluster = regions.cluster;
    Reserve cart = regions.cart("r", Durability::remote);
    cart.lines[0].quantity = 250;
    cart.wait_ms = 5'000;
    const auto first = cluster.submit(0, cart);
    cluster.run_for(1);
    const auto joined = cluster.submit(0, cart);
    cluster.run_for(2'000);
    expect(cluster.take(first), Code::created, Durability::remote);
    expect(cluster.take(joined), Code::ok, Durability::remote);
  }

  TEST_CASE("a put that is forwarded to its home waits there") {
    Regions regions;
    Cluster& cluster = regions.cluster;
    CHECK(cluster.call(0, regions.cart("r", Durability::node)).code == Code::created);
    CHECK(cluster.converge());
    for (const auto level : {Durability::region, Durability::remote})
      expect(cluster.call(2, regions.cart("r", level)), Code::ok, level);
    cluster.hold_disk(1);
    CHECK(cluster.call(2, Extend{.id = "r", .ttl_seconds = 5'000}).code == Code::ok);
    const std::int64_t began = cluster.now_ms();
    expect(cluster.call(2, regions.cart("r", Durability::region)), Code::accepted,
           Durability::node);
    CHECK(cluster.now_ms() - began >= 1'000);
    CHECK(cluster.stats(0).durability_missed == 1);
    CHECK(cluster.stats(2).durability_missed == 0);
    cluster.free_disk(1);
  }

  // ── the waits themselves ──

  TEST_CASE("each wait ends once: by its own level's acknowledgements, or at the limit") {
    DurabilityWaits waits(Millis(100));
    const DurabilityWaits::Reach none{.region_has_others = true, .other_regions = true};
    waits.wait(1, Durability::region, 0, shown());
    waits.wait(2, Durability::remote, 0, shown());
    waits.wait(3, Durability::region, 5, shown());
    waits.tick(at(0), none);
    CHECK(waits.take_done().empty());
    CHECK(waits.wake_at() == at(100));
    auto reach = none;
    reach.in_region = 9;
    waits.tick(at(10), reach);  // 1 and 2 have no sequence yet
    auto done = waits.take_done();
    REQUIRE(done.size() == 1);
    CHECK(done[0].token == 3);
    waits.sealed(10);
    waits.tick(at(20), reach);
    CHECK(waits.take_done().empty());
    reach.in_region = 10;
    waits.tick(at(30), reach);
    done = waits.take_done();
    REQUIRE(done.size() == 1);
    CHECK(done[0].token == 1);
    expect(done[0].outcome, Code::created, Durability::region);
    waits.tick(at(99), reach);
    CHECK(waits.take_done().empty());
    waits.tick(at(100), reach);
    done = waits.take_done();
    REQUIRE(done.size() == 1);
    expect(done[0].outcome, Code::accepted, Durability::region);
    CHECK(waits.empty());
    CHECK(waits.missed() == 1);
    CHECK(waits.wake_at() == Instant::max());
    waits.sealed(11);
    waits.tick(at(300), reach);
    CHECK(waits.take_done().empty());
  }
}
