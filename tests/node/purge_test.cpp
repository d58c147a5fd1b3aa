// Finished holds: kept as long as they must be, and then gone everywhere.

#include "node/purge.h"

#include <doctest/doctest.h>

#include "tests/node/support/clients.h"
#include "tests/node/support/replay.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;
using holdfast::crdt::Millis;
using holdfast::crdt::Sequence;

namespace {

constexpr Millis kKeep{10'000};

struct Shop {
  explicit Shop(ClusterOptions options) : cluster(with_keep(options)) {
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    for (std::size_t i = 0; i < cluster.size(); ++i)
      if (cluster.lives(i)) cluster.call(i, Receive{.sku = "a", .quantity = 100});
  }
  ~Shop() { CHECK(cluster.complaints() == ""); }
  static ClusterOptions with_keep(ClusterOptions options) {
    options.keep_finished = kKeep;
    return options;
  }
  Code code(std::size_t node, Command command) {
    return cluster.call(node, std::move(command)).code;
  }
  void hold(std::size_t node, const std::string& id, std::uint32_t ttl_seconds = 3'600) {
    CHECK(code(node, Reserve{.id = id, .lines = {{"a", 1}}, .ttl_seconds = ttl_seconds}) ==
          Code::created);
  }
  void sell(std::size_t node, const std::string& id) {
    hold(node, id);
    CHECK(code(node, Commit{.id = id}) == Code::ok);
  }
  bool has(std::size_t node, const std::string& id) {
    return cluster.state(node).hold(id) != nullptr;
  }
  bool until_gone(std::size_t node, const std::string& id, std::int64_t limit_ms = 60'000) {
    return cluster.run_until([&] { return !has(node, id); }, limit_ms);
  }
  bool same(std::size_t a, std::size_t b) {
    return cluster.run_until([&] { return cluster.state(a).digest() == cluster.state(b).digest(); },
                             60'000);
  }
  Cluster cluster;
};

// How far a member row says that the replica has the rows of another.
Sequence acknowledged(const holdfast::crdt::State& state, ReplicaId by, ReplicaId origin) {
  for (const auto& entry : state.member(by)->row.acknowledged)
    if (entry.origin == origin) return entry.sequence;
  return 0;
}

}  // namespace

TEST_SUITE("purge of an engine") {
  TEST_CASE("after their time they are gone at all nodes, and the id is new") {
    Shop shop({.nodes = 3});
    shop.sell(0, "r");
    shop.hold(0, "open");
    CHECK(shop.cluster.converge());
    shop.cluster.run_for(9'000);
    for (std::size_t i = 0; i < 3; ++i) CHECK(shop.has(i, "r"));
    CHECK(shop.until_gone(0, "r"));
    CHECK(shop.cluster.converge());
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK_FALSE(shop.has(i, "r"));
      CHECK(shop.has(i, "open"));
      CHECK(shop.code(i, GetReservation{"r"}) == Code::unknown_reservation);
      const Outcome list = shop.cluster.call(i, ListReservations{});
      CHECK(std::get<ReservationPage>(list.view).items.size() == 1);
      CHECK(shop.cluster.stats(i).holds_purged == 1);
      CHECK(shop.cluster.stats(i).reservations == 1);
    }
    CHECK(shop.cluster.truth("a").sold == 1);
    CHECK(shop.code(1, Reserve{.id = "r", .lines = {{"a", 3}}}) == Code::created);
    CHECK(shop.cluster.converge());
    CHECK(shop.cluster.truth("a").held == 4);
  }

  TEST_CASE("never before the member rows of all have their end") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Shop shop({.nodes = 3, .seed = seed});
      shop.cluster.run_for(static_cast<std::int64_t>(seed) * 370);
      shop.sell(0, "r");
      const auto& home = shop.cluster.state(0);
      const Sequence end = home.hold("r")->sequence;
      REQUIRE(end > 0);
      if (seed % 2 == 0) {
        shop.cluster.cut(0, 2);
        shop.cluster.cut(1, 2);
        shop.cluster.run_for(60'000);
        if (acknowledged(home, shop.cluster.replica(2), shop.cluster.replica(0)) < end)
          CHECK(shop.has(0, "r"));
        shop.cluster.heal_all();
      }
      REQUIRE(shop.until_gone(0, "r"));
      for (const std::size_t peer : {1u, 2u})
        CHECK(acknowledged(home, shop.cluster.replica(peer), shop.cluster.replica(0)) >= end);
      CHECK(shop.cluster.converge());
    }
  }

  TEST_CASE("a replica that is away keeps them here; once it is retired they go") {
    Shop shop({.nodes = 3, .seizes = true});
    shop.cluster.crash(2);
    shop.cluster.run_for(10'000);
    shop.sell(0, "r");
    shop.cluster.run_for(60'000);
    CHECK(shop.has(0, "r"));
    CHECK(shop.code(0, Retire{.replica = holdfast::crdt::to_string(shop.cluster.replica(2)),
                              .successor = "node-1"}) == Code::created);
    CHECK(shop.until_gone(0, "r"));
  }

  TEST_CASE("a finished copy stays while another is held, and holds up nothing behind it") {
    Shop shop({.nodes = 2});
    shop.cluster.converge();
    shop.cluster.cut(0, 1);
    shop.cluster.run_for(4'000);
    shop.hold(0, "r");
    shop.hold(1, "r");
    shop.cluster.heal_all();
    shop.cluster.settle();
    CHECK(shop.cluster.converge());
    const auto* copy = shop.cluster.state(1).own_hold("r");
    REQUIRE(copy != nullptr);
    REQUIRE(copy->row.state == HoldState::released);  // the lower replica's stands
    const Sequence before = copy->sequence;
    shop.sell(1, "s");
    CHECK(shop.until_gone(1, "s"));
    shop.cluster.run_for(30'000);
    copy = shop.cluster.state(1).own_hold("r");
    REQUIRE(copy != nullptr);
    CHECK(copy->sequence > before);
    const auto batches = shop.cluster.stats(1).batches;
    shop.cluster.run_for(30'000);
    CHECK(shop.cluster.stats(1).batches - batches <= 40);  // not written again all the time
    CHECK(shop.code(0, Commit{.id = "r"}) == Code::ok);
    CHECK(shop.until_gone(0, "r"));
    CHECK(shop.until_gone(1, "r"));
    CHECK(shop.cluster.converge());
  }

  TEST_CASE("the copy that stands goes last, though it ended first") {
    Shop shop({.nodes = 2});
    shop.cluster.converge();
    shop.cluster.cut(0, 1);
    shop.cluster.run_for(4'000);
    shop.hold(0, "r");
    shop.sell(1, "r");
    shop.cluster.run_for(8'000);
    CHECK(shop.code(0, Release{.id = "r"}) == Code::ok);
    shop.cluster.heal_all();
    shop.cluster.settle();
    CHECK(shop.cluster.converge());
    REQUIRE(shop.cluster.state(0).first_copy("r")->next_copy != nullptr);
    CHECK(shop.cluster.run_until(
        [&] {
          for (std::size_t i = 0; i < 2; ++i)
            if (const auto* stands = shop.cluster.state(i).hold("r"); stands != nullptr)
              CHECK(stands->row.state == HoldState::committed);
          return !shop.has(0, "r") && !shop.has(1, "r");
        },
        60'000));
  }

  TEST_CASE("an end by a clock that was ahead holds up nothing behind it") {
    Shop shop({});
    shop.cluster.jump_wall_clock(0, 3'600'000);
    shop.sell(0, "r");
    shop.cluster.jump_wall_clock(0, -3'600'000);
    shop.sell(0, "s");
    CHECK(shop.until_gone(0, "s"));
    CHECK(shop.has(0, "r"));
    shop.cluster.run_for(3'700'000);
    CHECK_FALSE(shop.has(0, "r"));
  }

  TEST_CASE("its deadline passes after it has gone") {
    Shop shop({});
    shop.hold(0, "r", 120);
    CHECK(shop.code(0, Commit{.id = "r"}) == Code::ok);
    CHECK(shop.until_gone(0, "r"));
    shop.hold(0, "r", 3'600);
    shop.cluster.run_for(200'000);
    CHECK(shop.cluster.state(0).hold("r")->row.state == HoldState::held);
    CHECK(shop.cluster.truth("a").held == 1);
  }

  TEST_CASE("many go a few at a time") {
    Shop shop({});
    shop.cluster.call(0, Receive{.sku = "a", .quantity = 10'000});
    for (int i = 0; i < 6'000; ++i) {
      shop.cluster.submit(0, Reserve{.id = std::to_string(i), .lines = {{"a", 1}}});
      shop.cluster.submit(0, Release{.id = std::to_string(i)});
    }
    shop.cluster.run_for(500);
    std::size_t before = shop.cluster.state(0).hold_count(), most = 0;
    REQUIRE(before == 6'000);
    for (int i = 0; i < 20'000 && before > 0; ++i) {
      shop.cluster.run_for(1);
      const std::size_t now = shop.cluster.state(0).hold_count();
      most = std::max(most, before - now);
      before = now;
    }
    CHECK(before == 0);
    CHECK(most <= 2'000);
  }

  TEST_CASE("who stands below the floor gets a full transfer, and agrees") {
    // It was retired while it was away, so nobody waited for it.
    Shop shop({.nodes = 3, .seizes = true});
    Cluster& cluster = shop.cluster;
    for (const char* id : {"x", "y", "z"}) shop.hold(0, id);
    CHECK(cluster.converge());
    cluster.crash(2);
    CHECK(shop.code(0, Retire{.replica = holdfast::crdt::to_string(cluster.replica(2)),
                              .successor = "node-0"}) == Code::created);
    CHECK(shop.code(0, Commit{.id = "y"}) == Code::ok);
    CHECK(shop.until_gone(0, "y"));
    const Sequence floor = cluster.state(0).floor(cluster.replica(0));
    CHECK(floor > 0);
    REQUIRE(cluster.state(2).head(cluster.replica(0)) < floor);
    REQUIRE(shop.has(2, "y"));  // as it was: held
    cluster.restart(2);         // it is taken in once, to its end
    CHECK(cluster.run_until([&] { return cluster.state(2).head(cluster.replica(0)) >= floor; },
                            20'000));
    CHECK_FALSE(shop.has(2, "y"));
    CHECK(shop.has(2, "x"));
    CHECK(shop.has(2, "z"));
    CHECK(cluster.state(2).floor(cluster.replica(0)) == floor);
    const auto from_disk = [&](const char* id) {
      return replayed(cluster.disk(2), cluster.replica(2))->state().hold(id) != nullptr;
    };
    CHECK(cluster.run_until([&] { return !from_disk("y"); }, 20));
    CHECK(from_disk("x"));
  }

  TEST_CASE("a retired replica's finished holds go everywhere; those that were open stay") {
    Shop shop({.nodes = 3, .checkpoint_bytes = 4'000, .seizes = true});
    shop.sell(2, "sold");
    shop.hold(2, "open");
    CHECK(shop.cluster.converge());
    shop.cluster.crash(2);
    CHECK(shop.code(0, Retire{.replica = holdfast::crdt::to_string(shop.cluster.replica(2)),
                              .successor = "node-0"}) == Code::created);
    CHECK(shop.until_gone(0, "sold"));
    CHECK(shop.until_gone(1, "sold"));
    CHECK(shop.same(0, 1));
    CHECK(shop.code(1, Release{"open"}) == Code::ok);  // by its heir
    shop.cluster.run_for(40'000);
    CHECK(shop.same(0, 1));
    for (const std::size_t i : {0u, 1u}) {
      // What its heir did stays with it: the replica may come back, once, and have ended it too.
      CHECK(shop.cluster.state(i).hold_of("open", shop.cluster.replica(2)) != nullptr);
      CHECK(shop.cluster.state(i).hold_of("open", shop.cluster.replica(0)) != nullptr);
      CHECK(shop.cluster.state(i).floor(shop.cluster.replica(2)) > 0);
    }
    shop.cluster.engine(0).checkpoint_all();  // its floor is in no row
    shop.cluster.run_for(500);
    CHECK(shop.cluster.disk(0).journal.size() <= 3);
    crash_and_compare(shop.cluster, 0, 0);
    CHECK_FALSE(shop.has(0, "sold"));
    CHECK(shop.cluster.state(0).floor(shop.cluster.replica(2)) > 0);
  }

  TEST_CASE("what goes while a checkpoint runs is not missed at the next start") {
    Shop shop({});
    Cluster& cluster = shop.cluster;
    cluster.call(0, Receive{.sku = "a", .quantity = 10'000});
    for (int i = 0; i < 5'000; ++i) {
      cluster.submit(0, Reserve{.id = std::to_string(i), .lines = {{"a", 1}}});
      cluster.submit(0, Release{.id = std::to_string(i)});
    }
    cluster.run_for(500);
    cluster.hold_disk(0);
    cluster.engine(0).checkpoint_all();
    const auto batches = [&](std::int64_t ms) {
      for (; ms > 0; ms -= 5) {
        cluster.run_for(5);
        while (cluster.store(0).pending() > 0) cluster.store(0).finish_batch();
      }
    };
    batches(20'000);
    CHECK(cluster.state(0).hold_count() == 0);
    REQUIRE(cluster.store(0).slices() > 0);  // its first is not written yet
    CHECK(cluster.disk(0).meta.empty());
    while (cluster.disk(0).meta.empty()) {
      if (cluster.store(0).slices() > 0) cluster.store(0).finish_slice();
      batches(50);
    }
    CHECK(cluster.disk(0).rows.size() < 100);
    crash_and_compare(cluster, 0, 0);
    cluster.restart(0);
    cluster.free_disk(0);
    CHECK(cluster.truth("a").available() == 10'100);
  }

  TEST_CASE("recovery gives what was there, whatever has been purged") {
    check_property("recovery with purges", [] {
      Cluster cluster({.nodes = 2,
                       .seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000),
                       .checkpoint_bytes = *rc::gen::inRange<std::uint64_t>(1, 3'000),
                       .keep_finished = Millis(*rc::gen::inRange(1, 4'000))});
      cluster.settle();
      cluster.call(0, PutSku{.sku = "a"});
      for (const std::size_t node : {0u, 1u})
        cluster.call(node, Receive{.sku = "a", .quantity = 1'000});
      const auto number = [](int below) { return rc::gen::inRange(0, below); };
      const auto steps = *rc::gen::container<std::vector<Step>>(
          rc::gen::tuple(number(10), number(2), number(40), number(60)));
      for (const auto& [what, where, x, y] : steps) {
        const std::string id = std::to_string(where) + "." + std::to_string(x % 4);
        if (what < 3) {
          cluster.submit(where, Reserve{.id = id, .lines = {{"a", 1}}, .ttl_seconds = 1u + y % 5});
          if (y % 2 == 0) cluster.run_for(y);
        } else if (what < 5) {
          cluster.submit(where, Commit{.id = id});
        } else if (what < 8) {
          cluster.run_for(x * 150);
        } else {
          crash_and_compare(cluster, where, y % 3);
          cluster.run_for(x * 20);
          cluster.restart(where);
        }
      }
      cluster.run_for(40'000);
      cluster.settle();
      RC_ASSERT(cluster.converge());
      RC_ASSERT(cluster.state(0).hold_count() == 0);
      RC_ASSERT(bytes_of(cluster.state(0)).size() > 0);
      RC_ASSERT(cluster.complaints() == "");
      for (const std::size_t node : {0u, 1u}) crash_and_compare(cluster, node, 0);
    });
  }

  TEST_CASE("what an heir has ended is not forgotten while the retired one's rows are away") {
    using holdfast::crdt::HoldRow;
    constexpr Times kLong{.life_ms = 0, .wall_ms = 1'000'000};
    for (const bool stands_in : {false, true}) {
      const ReplicaId gone{3};
      holdfast::crdt::State state(ReplicaId{1});  // alone: nobody else has to know an end
      const auto add = [&](const std::string& id, std::uint32_t units) {
        HoldRow row{.state = HoldState::released, .ended_at = 1};
        row.lines.push_back({.sku = "a", .requested = units, .held = units});
        return &state.add_hold(id, std::move(row));
      };
      add("other", 1);
      state.change_hold(*add("r", 2), [&](HoldRow& row) {
        if (stands_in) row.estate_of = row.adopted_from = gone;
        if (!stands_in) row.freed = {{gone, {2}}};
      });
      std::string rows;
      state.seal(rows);
      Purge purge(state, kKeep);
      holdfast::crdt::Instant now{};
      const auto look = [&] {
        now = std::max(now, purge.wake_at());
        purge.tick(now, kLong);
        std::string moved;
        state.seal(moved);
      };
      for (int i = 0; i < 4; ++i) look();
      CHECK(state.own_hold("other") == nullptr);
      CHECK(state.own_hold("r") != nullptr);
      // They are here again, and its copy is held.
      HoldRow copy;
      copy.lines.push_back({.sku = "a", .requested = 2, .held = 2});
      const auto take = [&](HoldState as, holdfast::crdt::Sequence sequence) {
        copy.state = as;
        REQUIRE(state
                    .merge(gone, {.kind = holdfast::crdt::RowKind::hold,
                                  .key = "r",
                                  .sequence = sequence,
                                  .payload = copy})
                    .ok());
        state.advance(gone, sequence);
      };
      take(HoldState::held, 4);
      for (int i = 0; i < 4; ++i) look();
      CHECK(state.own_hold("r") != nullptr);
      take(HoldState::released, 5);
      now += 2 * kKeep;
      for (int i = 0; i < 4; ++i) look();
      REQUIRE(state.own_hold("r") != nullptr);  // ended twice, until this end is taken back
      state.change_hold(*state.own_hold("r"), [](HoldRow& row) {
        row.estate_of = {};
        row.freed.clear();
      });
      now += 2 * kKeep;
      for (int i = 0; i < 4; ++i) look();
      CHECK((state.own_hold("r") != nullptr) == !stands_in);  // of those that stand: it goes last
      state.purge(gone, {state.hold_of("r", gone)}, 5);
      now += 2 * kKeep;
      for (int i = 0; i < 4; ++i) look();
      CHECK(state.own_hold("r") == nullptr);
    }
  }
}
