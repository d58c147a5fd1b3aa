// From what is on a disk to the same engine again, wherever the process ended.

#include "node/recovery.h"

#include <doctest/doctest.h>

#include "tests/node/support/clients.h"
#include "tests/node/support/replay.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;

TEST_SUITE("recovery") {
  TEST_CASE(
      "a crash at any batch and any checkpoint slice: all that was durable, and nothing else") {
    check_property("recovery", [] {
      Cluster cluster({.nodes = 2,
                       .seed = *rc::gen::inRange<std::uint64_t>(1, 1'000'000),
                       .checkpoint_bytes = *rc::gen::inRange<std::uint64_t>(1, 3'000)});
      cluster.settle();
      Clients clients(cluster, 2);
      const auto number = [](int below) { return rc::gen::inRange(0, below); };
      const auto steps = *rc::gen::container<std::vector<Step>>(
          rc::gen::tuple(number(22), number(2), number(40), number(60)));
      cluster.hold_disk(0);
      for (const auto& [what, where, x, y] : steps) {
        if (what < 12) {
          clients.ask(where, what, x, y);
          cluster.run_for(y % 8);
        } else if (what < 16) {
          cluster.run_for(x);
          if (cluster.lives(0) && cluster.store(0).pending() > 0) cluster.store(0).finish_batch();
        } else if (what < 18) {
          if (cluster.lives(0) && cluster.store(0).slices() > 0) cluster.store(0).finish_slice();
        } else if (what == 18) {
          cluster.run_for(x * 100);
        } else if (what == 19) {
          cluster.free_disk(0);
          cluster.run_for(y);
          cluster.hold_disk(0);
        } else {
          clients.collect();
          crash_and_compare(cluster, 0, y % 3);
          cluster.run_for(x * (y % 5) * 10);
          cluster.restart(0);
        }
        clients.collect();
      }
      cluster.free_disk(0);
      cluster.restart(0);
      cluster.run_for(15'000);
      cluster.settle();
      clients.resolve();
      RC_ASSERT(clients.verdict() == "");
      RC_ASSERT(cluster.complaints() == "");
      crash_and_compare(cluster, 0, 0);
    });
  }

  TEST_CASE("a checkpoint of several slices, ended after each of them") {
    for (int slices = 0; slices <= 4; ++slices) {
      CAPTURE(slices);
      Cluster cluster;
      cluster.call(0, PutSku{.sku = "a"});
      cluster.call(0, Receive{.sku = "a", .quantity = 10'000});
      for (int i = 0; i < 5'000; ++i)
        cluster.submit(0, Reserve{.id = std::to_string(i), .lines = {{"a", 1}}});
      cluster.run_for(100);
      cluster.engine(0).checkpoint_all();
      cluster.hold_disk(0);
      cluster.run_for(10);
      // Between slices rows change that are saved already, and rows that are not.
      for (int slice = 0; slice < slices; ++slice) {
        cluster.submit(0, Commit{.id = std::to_string(slice)});
        cluster.submit(0, Commit{.id = std::to_string(4'999 - slice)});
        for (int i = 0; i < 4; ++i) {
          cluster.run_for(5);
          while (cluster.store(0).pending() > 0) cluster.store(0).finish_batch();
        }
        if (cluster.store(0).slices() > 0) cluster.store(0).finish_slice();
      }
      const bool whole = slices >= 3;
      CHECK(cluster.disk(0).meta.empty() != whole);
      crash_and_compare(cluster, 0, 0);
      cluster.restart(0);
      cluster.free_disk(0);
      CHECK(cluster.truth("a").sold == 2 * slices);
      CHECK(cluster.truth("a").held == 5'000 - 2 * slices);
      CHECK(cluster.call(0, Commit{.id = "2500"}).code == Code::ok);
      crash_and_compare(cluster, 0, 0);
      CHECK(cluster.complaints() == "");
    }
  }

  TEST_CASE("saved rows of two histories of an origin, of which the journal forgets one") {
    namespace crdt = holdfast::crdt;
    const crdt::ReplicaId self{1}, other{2};
    const auto hold = [](const std::string& id) {
      crdt::State writer(crdt::ReplicaId{2});
      crdt::HoldRow row;
      row.lines.push_back({.sku = "a", .requested = 1, .held = 1});
      writer.add_hold(id, std::move(row));
      std::string bytes;
      writer.seal(bytes);
      return bytes;
    };
    for (const bool forgotten : {true, false}) {
      CAPTURE(forgotten);
      holdfast::node::EngineConfig config{.self = self};
      config.mesh.self = self;
      Engine engine(std::move(config));
      const holdfast::node::Meta meta{
          .self = self, .batch = 1, .rows = 2, .vector = {{other, 1, 0}}};
      REQUIRE(engine.load_meta(encode(meta)).ok());
      REQUIRE(engine.load_row({other, crdt::RowKind::hold, "old"}, hold("old")).ok());
      REQUIRE(engine.load_row({other, crdt::RowKind::hold, "new"}, hold("new")).ok());
      REQUIRE(engine.rows_loaded().ok());
      const std::string row = hold("new");
      holdfast::node::JournalValue value{.self = self};
      value.parts.push_back(
          {.origin = other, .upto = 1, .rows = forgotten ? row : "", .anew = forgotten});
      REQUIRE(engine.load_entry(2, encode(value)).ok());
      CHECK(engine.loaded().ok() == forgotten);
      if (!forgotten) continue;
      CHECK(engine.state().hold("old") == nullptr);
      CHECK(engine.state().hold("new") != nullptr);
      CHECK(engine.state().head(other) == 1);
    }
  }

  TEST_CASE("a checkpoint drops the journal, and only what it covers") {
    Cluster cluster({.checkpoint_bytes = 1});
    cluster.call(0, PutSku{.sku = "a"});
    for (int i = 0; i < 20; ++i) {
      cluster.call(0, Receive{.sku = "a", .quantity = 1});
      cluster.run_for(20);
      CHECK(cluster.disk(0).journal.size() <= 3);
    }
    CHECK_FALSE(cluster.disk(0).meta.empty());
    CHECK(cluster.disk(0).history.size() > 20);
    crash_and_compare(cluster, 0, 0);
    CHECK(cluster.truth("a").on_hand == 20);
  }

  TEST_CASE("downtime expires nothing; time that was lived counts") {
    for (const bool checkpoint : {false, true}) {
      Cluster cluster({.checkpoint_bytes = checkpoint ? 1u : 1u << 30});
      cluster.call(0, PutSku{.sku = "a"});
      cluster.call(0, Receive{.sku = "a", .quantity = 10});
      cluster.call(0, Reserve{.id = "r", .lines = {{"a", 1}}, .ttl_seconds = 60});
      cluster.run_for(40'000);
      cluster.call(0, Receive{.sku = "a", .quantity = 1});  // 40 s of life, durably
      cluster.run_for(100);
      cluster.crash(0);
      cluster.run_for(3'600'000);
      cluster.restart(0);
      cluster.run_for(19'000);
      CHECK(cluster.truth("a").held == 1);
      CHECK(reservation(cluster.call(0, GetReservation{"r"})).state == HoldState::held);
      cluster.run_for(1'500);
      CHECK(reservation(cluster.call(0, GetReservation{"r"})).state == HoldState::expired);
      CHECK(cluster.truth("a").available() == 11);
      CHECK(cluster.complaints() == "");
    }
  }

  TEST_CASE("after a restart: who it is, the order of its batches and reservations, its boots") {
    Cluster cluster;
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    for (int boot = 2; boot <= 4; ++boot) {
      cluster.call(0, Reserve{.id = std::to_string(boot), .lines = {{"a", 1}}});
      const auto head = cluster.state(0).head(cluster.replica(0));
      cluster.crash(0);
      cluster.restart(0);
      CHECK(cluster.call(0, GetReservation{std::to_string(boot)}).code == Code::ok);
      const auto& boots = cluster.state(0).member(cluster.replica(0))->row.boots;
      REQUIRE(boots.size() == static_cast<std::size_t>(boot));
      CHECK(boots.back().sequence == head + 1);  // before any other write of this process
    }
    std::vector<std::string> ids;
    for (const auto& [number, hold] : cluster.state(0).holds()) ids.push_back(hold->id);
    CHECK(ids == std::vector<std::string>{"2", "3", "4"});
    CHECK(history_of(cluster.disk(0)) == "");
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("whose directory it is: as the meta record says, or the journal; else a new one") {
    Cluster cluster({.checkpoint_bytes = 1});
    const auto of = [](const MemoryDisk& disk) {
      return identity(disk.recovered(), ReplicaId{99});
    };
    CHECK(*of(MemoryDisk{}) == ReplicaId{99});
    cluster.call(0, PutSku{.sku = "a"});
    cluster.run_for(500);
    MemoryDisk only_journal, only_meta;
    only_journal.journal = cluster.disk(0).history;
    only_meta.meta = cluster.disk(0).meta;
    REQUIRE_FALSE(only_meta.meta.empty());
    CHECK(*of(only_journal) == cluster.replica(0));
    CHECK(*of(only_meta) == cluster.replica(0));
  }

  TEST_CASE("what cannot be read is data loss, and says what") {
    Cluster cluster({.checkpoint_bytes = 1});
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    cluster.run_for(500);
    cluster.crash(0);
    const ReplicaId self = cluster.replica(0);
    const auto status = [&](auto&& damage) {
      MemoryDisk disk = cluster.disk(0);
      damage(disk);
      EngineConfig config{.self = self};
      config.mesh.self = self;
      Engine engine(std::move(config));
      return recover(disk.recovered(), engine).status();
    };
    CHECK(status([](MemoryDisk&) {}).ok());
    CHECK(absl::IsDataLoss(status([](MemoryDisk& d) { d.meta.pop_back(); })));
    CHECK(absl::IsDataLoss(status([](MemoryDisk& d) { d.rows.begin()->second.pop_back(); })));
    CHECK(absl::IsDataLoss(status([](MemoryDisk& d) { d.journal[d.last_batch + 1] = "noise"; })));
    CHECK(absl::IsDataLoss(
        status([](MemoryDisk& d) { d.meta = encode(Meta{.self = ReplicaId{5}, .batch = 1}); })));
    MemoryDisk bad;
    bad.meta = "noise";
    CHECK(absl::IsDataLoss(identity(bad.recovered(), ReplicaId{1}).status()));
  }
}
