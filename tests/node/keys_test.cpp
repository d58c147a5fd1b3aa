// Idempotency keys: one effect and one answer, whatever is repeated, wherever it crashes.

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;

namespace {

constexpr std::int64_t kDayMs = 24 * 3600 * 1000;

// Each kind of request that takes a key, asking for `units`.
const std::vector<std::pair<std::string, std::function<Command(Units, IdempotencyKey)>>>& kinds() {
  static const std::vector<std::pair<std::string, std::function<Command(Units, IdempotencyKey)>>>
      all = {
          {"receive",
           [](Units n, IdempotencyKey k) { return Receive{.sku = "a", .quantity = n, .key = k}; }},
          {"adjust",
           [](Units n, IdempotencyKey k) {
             return Adjust{.sku = "a", .delta = -n, .reason = "lost", .key = k};
           }},
          {"allow",
           [](Units n, IdempotencyKey k) { return Allow{.sku = "a", .delta = n, .key = k}; }},
          {"grant",
           [](Units n, IdempotencyKey k) {
             return GrantTo{.sku = "a", .to = "node-1", .quantity = n, .key = k};
           }},
          {"return",
           [](Units n, IdempotencyKey k) {
             return Return{.id = "sold", .lines = {{"a", n}}, .key = k};
           }},
      };
  return all;
}

void stock_up(Cluster& cluster) {
  cluster.settle();
  cluster.call(0, PutSku{.sku = "a"});
  cluster.call(0, Receive{.sku = "a", .quantity = 100});
  cluster.call(0, Reserve{.id = "sold", .lines = {{"a", 20}}});
  CHECK(cluster.call(0, Commit{.id = "sold"}).code == Code::ok);
}

std::vector<Units> figures(const Cluster& cluster) {
  const Truth now = cluster.truth("a");
  std::vector<Units> all = now.rights;
  for (const Units one : {now.on_hand, now.held, now.sold, now.returned, now.allowance})
    all.push_back(one);
  return all;
}

}  // namespace

TEST_SUITE("idempotency keys") {
  TEST_CASE("the same key gives the same answer and one effect, before and after a restart") {
    for (const auto& [name, make] : kinds()) {
      CAPTURE(name);
      for (const bool checkpoint : {false, true}) {
        Cluster cluster({.nodes = 2, .checkpoint_bytes = checkpoint ? 1u : 1u << 30});
        stock_up(cluster);
        const IdempotencyKey key{.scope = "POST x", .text = "k"};
        const Outcome first = cluster.call(0, make(3, key));
        CHECK(first.succeeded());
        const auto after = figures(cluster);
        const std::string answer = encode_outcome(first);
        for (int crash = 0; crash < 2; ++crash) {
          CHECK(encode_outcome(cluster.call(0, make(3, key))) == answer);
          CHECK(cluster.call(0, make(4, key)).code == Code::idempotency_key_reused);
          CHECK(figures(cluster) == after);
          cluster.run_for(1'000);
          cluster.crash(0);
          cluster.restart(0);
          cluster.settle();
        }
        CHECK(cluster.call(0, make(3, {.scope = "POST y", .text = "k"}))
                  .succeeded());  // another path
        CHECK(figures(cluster) != after);
        CHECK(cluster.converge());
        CHECK(cluster.complaints() == "");
      }
    }
  }

  TEST_CASE("without a key every request counts") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    for (int i = 0; i < 3; ++i)
      CHECK(cluster.call(0, Receive{.sku = "a", .quantity = 1}).succeeded());
    CHECK(cluster.truth("a").on_hand == 83);
  }

  TEST_CASE("a refusal is not kept: the key may be tried again") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    const IdempotencyKey key{"POST x", "k"};
    const Adjust adjust{.sku = "a", .delta = -90, .key = key};
    CHECK(cluster.call(0, adjust).code == Code::insufficient_rights);
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    CHECK(cluster.call(0, adjust).code == Code::created);
    CHECK(cluster.call(0, adjust).code == Code::created);
    CHECK(cluster.truth("a").on_hand == 0);
  }

  TEST_CASE("two requests with one key in one turn have one effect") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    std::vector<std::uint64_t> tokens;
    for (int i = 0; i < 5; ++i)
      tokens.push_back(
          cluster.submit(0, Receive{.sku = "a", .quantity = 7, .key = {"POST x", "k"}}));
    cluster.run_for(100);
    for (const std::uint64_t token : tokens) CHECK(change(cluster.take(token)).on_hand == 87);
    CHECK(cluster.truth("a").on_hand == 87);
  }

  TEST_CASE("a key is known wherever its row has come") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    const Receive receive{.sku = "a", .quantity = 7, .key = {"POST x", "k"}};
    const std::string answer = encode_outcome(cluster.call(0, receive));
    CHECK(cluster.converge());
    CHECK(encode_outcome(cluster.call(1, receive)) == answer);
    CHECK(cluster.truth("a").on_hand == 87);
  }

  TEST_CASE("a key lives a day; used again after that it is a new one, and as durable") {
    Cluster cluster({.checkpoint_bytes = 1});
    stock_up(cluster);
    const Receive receive{.sku = "a", .quantity = 1, .key = {"POST x", "k"}};
    cluster.call(0, receive);
    cluster.run_for(500);
    cluster.jump_wall_clock(0, kDayMs - 10'000);
    cluster.run_for(3'000);
    CHECK(change(cluster.call(0, receive)).on_hand == 81);
    // Dropped, but not yet from the disk: the checkpoint that does that comes with the next write.
    cluster.jump_wall_clock(0, 20'000);
    cluster.run_for(3'000);
    CHECK(change(cluster.call(0, receive)).on_hand == 82);
    for (int i = 0; i < 3; ++i) {
      cluster.run_for(3'000);
      CHECK(change(cluster.call(0, receive)).on_hand == 82);
      cluster.crash(0);
      cluster.restart(0);
    }
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("a key that is new again where it was used is so at its peers, which drop it in time") {
    Cluster cluster({.nodes = 2});
    stock_up(cluster);
    const Receive receive{.sku = "a", .quantity = 1, .key = {"POST x", "k"}};
    cluster.call(0, receive);
    CHECK(cluster.converge());
    cluster.jump_wall_clock(0, kDayMs + 10'000);  // a clock that is ahead, or a peer that is slow
    cluster.run_for(3'000);
    CHECK(change(cluster.call(0, receive)).on_hand == 82);
    CHECK(cluster.converge());
    cluster.jump_wall_clock(1, 2 * kDayMs + 20'000);
    cluster.run_for(3'000);
    CHECK(cluster.state(1).key("POST x\nk") == nullptr);
    CHECK(cluster.state(0).key("POST x\nk") != nullptr);
    CHECK(cluster.complaints() == "");
  }
}
