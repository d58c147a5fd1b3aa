// How the rows of a checkpoint are spread over the batches that carry them.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "node/engine.h"

using namespace holdfast::node;
using holdfast::crdt::Instant;
using holdfast::crdt::Millis;
using holdfast::crdt::Now;
using holdfast::crdt::ReplicaId;

namespace {

constexpr std::uint64_t kCheckpointBytes = 1'000'000;
constexpr int kBatchesMost = 2'000;

struct Pace {
  std::uint64_t journal = 0;  // bytes, in the batches that carried its slices and between them
  std::size_t slices = 0, rows = 0, rows_most = 0;
  std::int64_t took_ms = 0;
};

class Shop {
 public:
  Shop() : engine_(config()) {
    engine_.start(now());
    request(PutSku{.sku = "a"});
    request(Receive{.sku = "a", .quantity = 1'000'000});
  }
  // One batch, `ms` after the one before, or when the engine asks for a turn.
  static constexpr std::int64_t kWhenAsked = 0;
  Sealed batch(int reservations, std::int64_t ms) {
    at_ = ms == kWhenAsked ? std::max(at_, engine_.wake_at()) : at_ + Millis(ms);
    for (int i = 0; i < reservations; ++i)
      request(Reserve{.id = "order-" + std::to_string(++id_), .lines = {{"a", 1}}});
    engine_.tick(now());
    return engine_.seal(now());
  }
  // The next checkpoint, from its first slice to its last.
  Pace checkpoint(int reservations, std::int64_t ms) {
    Pace pace;
    const Instant begin = at_;
    for (int i = 0; i < kBatchesMost; ++i) {
      const Sealed sealed = batch(reservations, ms);
      pace.journal += sealed.journal.size();
      if (!sealed.checkpoint) continue;
      const std::size_t rows = sealed.checkpoint->put.size();
      ++pace.slices;
      pace.rows += rows;
      pace.rows_most = std::max(pace.rows_most, rows);
      pace.took_ms = (at_ - begin).count();
      if (sealed.checkpoint->journal_through) return pace;
    }
    FAIL("a checkpoint without an end");
    return pace;
  }
  void fill(int reservations = 100) {
    for (int i = 0; i < kBatchesMost && !engine_.checkpoint_active(); ++i) batch(reservations, 1);
    REQUIRE(engine_.checkpoint_active());
  }
  Engine& engine() { return engine_; }

 private:
  static EngineConfig config() {
    EngineConfig config{.self = ReplicaId{1}, .checkpoint_bytes = kCheckpointBytes};
    config.mesh.self = config.self;
    return config;
  }
  Now now() const { return {.instant = at_, .wall = {}}; }
  void request(Command command) { engine_.on_request(now(), {.command = std::move(command)}); }

  Engine engine_;
  Instant at_{Millis(1)};
  int id_ = 0;
};

}  // namespace

TEST_SUITE("checkpoint pace") {
  TEST_CASE("under load its rows go with the journal, until half of the next one's is written") {
    Shop shop;
    shop.fill();
    const Pace pace = shop.checkpoint(100, 1);
    CHECK(pace.rows > 15'000);
    CHECK(pace.rows_most < 600);
    CHECK(pace.slices > 10);
    CHECK(pace.journal > kCheckpointBytes * 45 / 100);
    CHECK(pace.journal < kCheckpointBytes * 55 / 100);
  }

  TEST_CASE("batches of thousands do not outrun it") {
    Shop shop;
    for (int checkpoint = 0; checkpoint < 6; ++checkpoint) {
      shop.fill(12'000);
      CHECK(shop.checkpoint(12'000, 1).journal < 3 * kCheckpointBytes);
    }
  }

  TEST_CASE("where nothing is written it goes by the clock") {
    Shop shop;
    shop.fill();
    const Pace pace = shop.checkpoint(0, Shop::kWhenAsked);
    CHECK(pace.rows > 15'000);
    CHECK(pace.rows_most == 2'000);
    CHECK(pace.took_ms >= 10 * static_cast<std::int64_t>(pace.slices - 2));
    CHECK(pace.took_ms <= 10 * static_cast<std::int64_t>(pace.slices + 1));
  }

  TEST_CASE("one that is waited for hurries, also one that runs") {
    Shop shop;
    shop.fill();
    shop.engine().checkpoint_all();
    const Pace running = shop.checkpoint(0, Shop::kWhenAsked);
    CHECK(running.slices > 5);
    CHECK(running.took_ms < static_cast<std::int64_t>(running.slices) + 10);  // the turn before
    REQUIRE(shop.engine().checkpoint_active());  // what changed since it began
    const Pace after = shop.checkpoint(0, Shop::kWhenAsked);
    CHECK(after.took_ms == static_cast<std::int64_t>(after.slices));
    CHECK_FALSE(shop.engine().checkpoint_active());
  }

  TEST_CASE("while the store writes a slice there is no other, and then as much as is due") {
    Shop shop;
    shop.fill();
    shop.engine().set_store_takes_slice(false);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(shop.batch(100, 1).checkpoint);
    shop.engine().set_store_takes_slice(true);
    const Sealed sealed = shop.batch(100, 1);
    REQUIRE(sealed.checkpoint);
    CHECK(sealed.checkpoint->put.size() > 2'200);
  }
}
