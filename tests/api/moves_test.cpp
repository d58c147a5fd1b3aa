// SKUs that move from one shard to another while customers buy.

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>

#include "tests/api/support/shards.h"

using namespace holdfast::api;
using namespace holdfast::node;
using namespace holdfast::tests;

namespace {

struct Moves : Shards {
  explicit Moves(std::size_t count, std::size_t nodes = 1) : Shards(count, nodes), before(map) {}

  // All SKUs from `from` on go to the last shard.
  ShardMap all_to_last(const std::string& from = "a") const {
    ShardMap next = before;
    next.ranges = {{.from = from, .to = "", .shard = next.shards.size() - 1}};
    return next;
  }
  void begin(const ShardMap& next) {
    const auto moving = begin_move(map, next);
    REQUIRE(moving.ok());
    map = *moving;
    CHECK(router->use(map).ok());
  }
  void finish() {
    map = end_move(map);
    CHECK(router->use(map).ok());
  }
  struct Sums {
    Units on_hand = 0, held = 0, sold = 0, handed_over = 0, taken_in = 0;
    Units on_the_way() const { return handed_over - taken_in; }
  };
  Sums at(std::size_t shard, char sku) const {
    Sums sums;
    const auto* product = clusters[shard]->state(0).product(std::string(1, sku));
    if (product == nullptr) return sums;
    const Truth truth = clusters[shard]->truth(std::string(1, sku));
    sums = {.on_hand = truth.on_hand, .held = truth.held, .sold = truth.sold - truth.returned};
    for (std::size_t node = 0; node < clusters[shard]->size(); ++node) {
      const auto* own = clusters[shard]->state(node).product(std::string(1, sku));
      const auto* cell = own == nullptr ? nullptr : own->stock.find(clusters[shard]->replica(node));
      if (cell == nullptr) continue;
      for (const auto& move : cell->row.moves) {
        sums.handed_over += move.out;
        sums.taken_in += move.in;
      }
    }
    return sums;
  }
  Sums sum(char sku) const {
    Sums all;
    for (std::size_t shard = 0; shard < clusters.size(); ++shard) {
      const Sums one = at(shard, sku);
      all.on_hand += one.on_hand;
      all.held += one.held;
      all.sold += one.sold;
      all.handed_over += one.handed_over;
      all.taken_in += one.taken_in;
    }
    return all;
  }
  // Every unit of ten is somewhere, once.
  void check_whole() const {
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      const Sums is = sum(sku);
      CHECK(is.on_hand + is.sold + is.on_the_way() == 10);
      CHECK(is.on_the_way() >= 0);
    }
  }
  bool all_at_last() const {
    for (char sku = 'a'; sku <= 'l'; ++sku)
      if (at(clusters.size() - 1, sku).on_hand + sum(sku).sold != 10) return false;
    return true;
  }
  bool finds_all_moved() {
    Outcome outcome = call(GetCluster{});
    const auto* worded = std::get_if<Worded>(&outcome.view);
    if (worded == nullptr) return false;
    const auto moving = boost::json::parse(worded->body).at("moving");
    return moving.at("skus") != 0 && moving.at("moved") == moving.at("skus");
  }

  const ShardMap before;
};

}  // namespace

TEST_SUITE("moves") {
  TEST_CASE("all SKUs move to another shard, and nothing is counted twice") {
    for (const std::size_t nodes : {1u, 3u}) {
      Moves all(3, nodes);
      all.begin(all.all_to_last());
      CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
      all.check_whole();
      CHECK(all.run_until([&] { return all.finds_all_moved(); }, 20'000));
      Reserve whole = Shards::cart("r", {{"a", 10}});
      whole.wait_ms = 500;  // not all of it may be at one node
      CHECK(all.call(whole).code == Code::created);
      CHECK(all.at(2, 'a').held == 10);
      all.finish();
      whole.id = "s";
      whole.lines = {{"b", 10}, {"c", 10}};
      CHECK(all.call(whole).code == Code::created);
      CHECK(all.call(Commit{.id = "r"}).succeeded());
      all.check_whole();
    }
  }

  TEST_CASE("customers notice nothing: every cart for which there is stock is made") {
    for (const std::size_t nodes : {1u, 2u}) {
      Moves all(3, nodes);
      std::vector<std::uint64_t> asked;
      int made = 0;
      const auto buy = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
          Reserve cart = all.all_skus("r" + std::to_string(i), 1);
          cart.wait_ms = 500;
          asked.push_back(all.submit(std::move(cart)));
          all.run_for(7);
        }
      };
      buy(0, 3);
      all.begin(all.all_to_last());
      buy(3, 10);
      for (const std::uint64_t token : asked) {
        const Outcome outcome = all.take(token);
        INFO(outcome.detail);
        CHECK(outcome.succeeded());
        made += outcome.succeeded() ? 1 : 0;
      }
      CHECK(made == 10);
      all.check_whole();
      CHECK(all.call(all.all_skus("more", 1)).code == Code::insufficient_stock);
      for (int i = 0; i < 10; ++i) {
        const std::string id = "r" + std::to_string(i);
        CHECK(all.call(i % 2 == 0 ? Command(Commit{.id = id}) : Command(Release{.id = id}))
                  .succeeded());
      }
      CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
      for (char sku = 'a'; sku <= 'l'; ++sku) CHECK(all.sum(sku).sold == 5);
      all.check_whole();
    }
  }

  TEST_CASE("whoever drives it is killed after any of its calls: the next one ends it") {
    for (std::uint64_t calls = 1; calls <= 60; calls += 1) {
      Moves all(2);
      all.begin(all.all_to_last());
      all.kill_after(calls);
      all.run_until([&] { return all.all_at_last(); }, 20'000);
      all.check_whole();
      all.restart();
      CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
      all.check_whole();
      CHECK(all.run_until([&] { return all.finds_all_moved(); }, 20'000));
    }
  }

  TEST_CASE("the old shard refuses what is new, names the new place, and ends what it has") {
    Moves all(2);
    const std::size_t old_place = all.map.shard_of("a") == 0 ? 0 : 1;
    ShardMap next = all.before;
    next.ranges = {{.from = "a", .to = "", .shard = 1 - old_place}};
    CHECK(all.call(Shards::cart("r", {{"a", 4}})).succeeded());
    all.begin(next);
    CHECK(all.run_until([&] { return all.at(old_place, 'a').on_hand == 4; }, 20'000));
    Cluster& old_shard = *all.clusters[old_place];
    for (const Command& command :
         {Command(Shards::cart("x", {{"a", 1}})), Command(Receive{.sku = "a", .quantity = 1}),
          Command(Adjust{.sku = "a", .delta = 1}), Command(Allow{.sku = "a", .delta = 1}),
          Command(PutSku{.sku = "a", .name = "other"})}) {
      Command asked = command;
      const Outcome refused = old_shard.call(0, std::move(asked));
      CHECK(refused.code == Code::moved);
      const auto* place = std::get_if<Place>(&refused.view);
      REQUIRE(place != nullptr);
      CHECK(place->shard == all.map.shards[1 - old_place].name);
      CHECK(place->url != "");
    }
    CHECK(old_shard.call(0, Commit{.id = "r"}).succeeded());
    CHECK(all.call(Return{.id = "r", .lines = {{"a", 3}}, .key = {"", "k"}}).succeeded());
    CHECK(all.run_until([&] { return all.at(1 - old_place, 'a').on_hand == 9; }, 20'000));
    all.finish();
    // What comes back to the old shard afterwards follows.
    CHECK(all.call(Return{.id = "r", .lines = {{"a", 1}}, .key = {"", "l"}}).succeeded());
    CHECK(all.run_until([&] { return all.at(1 - old_place, 'a').on_hand == 10; }, 20'000));
  }

  TEST_CASE("calls that were made before the move are repeated, not made again") {
    Moves all(2);
    const std::vector<Line> lines{{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}};
    const Reserve cart = Shards::cart("r", lines);
    const Reserve small = Shards::cart("s", {{"f", 2}});
    const Receive receipt{.sku = "a", .quantity = 5, .key = {"POST /v1/skus/a/receipts", "k"}};
    CHECK(all.call(cart).code == Code::created);
    CHECK(all.call(small).code == Code::created);
    CHECK(all.call(receipt).code == Code::created);
    all.begin(all.all_to_last());
    CHECK(all.run_until(
              [&] {
                return all.at(1, 'a').on_hand + all.at(0, 'a').held == 15 && all.finds_all_moved();
              },
              20'000) == false);  // 'a' is held there until the cart ends
    for (int start = 0; start < 2; ++start) {
      CHECK(all.call(cart).code == Code::ok);
      CHECK(all.call(small).code == Code::ok);
      Reserve other = small;
      other.lines[0].quantity = 3;
      CHECK(all.call(other).code == Code::reservation_conflict);
      CHECK(all.call(receipt).succeeded());
      CHECK(all.sum('a').on_hand == 15);
      CHECK(all.sum('a').held == 1);
      CHECK(all.sum('f').held == 2);
      all.start();  // with another router, which remembers nothing
      all.run_for(5'000);
    }
  }

  TEST_CASE("two routers, of which one has the old map: both sell, and both find what is there") {
    Moves all(2);
    all.begin(all.all_to_last());
    CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
    all.map = all.before;
    all.start();  // this one has not heard of it
    CHECK(all.call(Shards::cart("r", {{"a", 6}})).code == Code::created);
    CHECK(all.call(Shards::cart("s", {{"a", 2}, {"b", 2}, {"c", 2}, {"d", 2}})).code ==
          Code::created);
    CHECK(all.call(Receive{.sku = "b", .quantity = 1}).succeeded());
    CHECK(all.at(1, 'a').held == 8);
    CHECK(all.call(Commit{.id = "s"}).succeeded());
    CHECK(all.at(1, 'd').sold == 2);
  }

  TEST_CASE("stock, availability and lists count what moves once, wherever it is") {
    Moves all(2);
    CHECK(all.call(all.all_skus("r", 4)).succeeded());
    all.begin(all.all_to_last());
    for (int i = 0; i < 300; ++i) {
      all.step();
      if (i % 20 != 0) continue;
      Outcome listed = all.call(ListSkus{});
      CHECK(std::get<SkuPage>(listed.view).items.size() == 12);
      for (char sku = 'a'; sku <= 'l'; ++sku) {
        Outcome stock = all.call(GetStock{.sku = std::string(1, sku)});
        REQUIRE(std::holds_alternative<StockView>(stock.view));
        CHECK(std::get<StockView>(stock.view).held == 4);
        CHECK(std::get<StockView>(stock.view).on_hand <= 10);
      }
    }
    Outcome at_end = all.call(GetAvailability{.skus = {"a", "b", "none"}});
    const auto& items = std::get<Availability>(at_end.view).items;
    CHECK(items[0].available == 6);
    CHECK(items[1].available == 6);
    CHECK(!items[2].known);
  }

  TEST_CASE("there and back again: late calls of the first move undo nothing") {
    Moves all(2);
    all.begin(all.all_to_last());
    CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
    all.finish();
    const ShardMap there = all.map;
    ShardMap back = all.before;
    back.ranges = {{.from = "a", .to = "", .shard = 0}};
    all.begin(back);
    CHECK(all.run_until([&] { return all.at(0, 'a').on_hand == 10; }, 20'000));
    const Outcome late = all.clusters[0]->call(
        0,
        MoveOut{
            .sku = "a", .version = there.version, .shard = "b", .to = all.clusters[1]->replica(0)});
    CHECK(late.code == Code::plan_changed);
    CHECK(all.clusters[0]->call(0, Shards::cart("r", {{"a", 10}})).succeeded());
    CHECK(all.clusters[1]->call(0, Shards::cart("s", {{"a", 1}})).code == Code::moved);
    all.check_whole();
  }

  TEST_CASE("what may be oversold does not move, goes on where it is, and is said so") {
    Moves all(2);
    const std::size_t place = all.map.shard_of("a");
    ShardMap next = all.before;
    next.ranges = {{.from = "a", .to = "", .shard = 1 - place}};
    CHECK(all.call(Allow{.sku = "a", .delta = 3}).succeeded());
    all.begin(next);
    all.run_for(5'000);
    CHECK(all.at(place, 'a').on_hand == 10);
    CHECK(all.call(Shards::cart("r", {{"a", 12}})).succeeded());
    CHECK(!all.finds_all_moved());
    CHECK(all.call(Release{.id = "r"}).succeeded());
    CHECK(all.call(Allow{.sku = "a", .delta = -3}).succeeded());
    CHECK(all.run_until([&] { return all.at(1 - place, 'a').on_hand == 10; }, 20'000));
  }

  TEST_CASE("a node of the old shard that is down hands over when it is back") {
    Moves all(2, 2);
    const std::size_t place = all.map.shard_of("a");
    ShardMap next = all.before;
    next.ranges = {{.from = "a", .to = "", .shard = 1 - place}};
    all.clusters[place]->converge();
    all.down.insert({place, 0});
    all.down.insert({place, 1});
    all.run_for(3'000);
    all.begin(next);
    all.down.erase({place, 1});
    all.run_for(5'000);
    all.check_whole();
    all.down.clear();
    CHECK(all.run_until([&] { return all.at(1 - place, 'a').on_hand == 10; }, 20'000));
    all.check_whole();
  }

  TEST_CASE("what comes back while the new shard is down follows once it is up") {
    for (const bool finished : {false, true}) {
      Moves all(2);
      const std::size_t place = all.map.shard_of("a");
      ShardMap next = all.before;
      next.ranges = {{.from = "a", .to = "", .shard = 1 - place}};
      CHECK(all.call(Shards::cart("r", {{"a", 4}})).succeeded());
      CHECK(all.call(Commit{.id = "r"}).succeeded());
      all.begin(next);
      CHECK(all.run_until([&] { return all.at(1 - place, 'a').on_hand == 6; }, 20'000));
      if (finished) all.finish();
      all.down.insert({1 - place, 0});
      all.run_for(3'000);
      CHECK(all.call(Return{.id = "r", .lines = {{"a", 3}}, .key = {"", "k"}}).succeeded());
      all.run_for(5'000);
      all.check_whole();
      all.down.clear();
      CHECK(all.run_until([&] { return all.at(1 - place, 'a').on_hand == 9; }, 90'000));
      all.check_whole();
    }
  }

  TEST_CASE("units on their way to a node that is away: nobody else takes them in, it does later") {
    for (std::uint64_t calls = 1; calls <= 40; calls += 3) {
      Moves all(2, 2);
      all.begin(all.all_to_last());
      all.kill_after(calls);
      all.run_until([&] { return all.all_at_last(); }, 20'000);
      all.restart();
      all.down = {{1, calls % 2}};
      all.run_for(4'000);
      all.check_whole();
      all.down.clear();
      CHECK(all.run_until([&] { return all.all_at_last(); }, 30'000));
      all.check_whole();
    }
  }

  TEST_CASE("a SKU that is new while the map moves is made where it stays, and sold there") {
    Moves all(2);
    all.begin(all.all_to_last());
    for (const char* sku : {"new-1", "new-2", "new-3", "new-4"}) {
      CHECK(all.call(PutSku{.sku = sku}).code == Code::created);
      CHECK(all.call(Receive{.sku = sku, .quantity = 5}).succeeded());
      CHECK(all.clusters[1]->truth(sku).on_hand == 5);
      CHECK(all.call(Shards::cart(std::string("r-") + sku, {{sku, 5}})).code == Code::created);
    }
    CHECK(all.run_until([&] { return all.all_at_last(); }, 20'000));
    all.finish();
    CHECK(all.call(Shards::cart("late", {{"new-1", 1}})).code == Code::insufficient_stock);
    CHECK(all.call(Commit{.id = "r-new-1"}).succeeded());
  }

  TEST_CASE(
      "another map in the middle of a move: what is under way ends by the map that began it") {
    for (int steps = 0; steps < 40; ++steps) {
      Moves all(2);
      all.begin(all.all_to_last());
      all.run_for(steps);
      all.finish();
      ShardMap back = all.before;
      back.ranges = {{.from = "a", .to = "", .shard = 0}};
      all.begin(back);
      const auto all_at_first = [&] {
        for (char sku = 'a'; sku <= 'l'; ++sku)
          if (all.at(0, sku).on_hand != 10) return false;
        return true;
      };
      CHECK(all.run_until(all_at_first, 20'000));
      all.check_whole();
      CHECK(all.call(all.all_skus("r", 10)).succeeded());
    }
  }

  TEST_CASE(
      "arrivals from more replicas than a row may name are refused, and the row stays whole") {
    Cluster cluster;
    CHECK(cluster.call(0, PutSku{.sku = "a"}).succeeded());
    const auto arrive = [&](std::uint64_t from) {
      return cluster
          .call(0, MoveIn{.sku = "a",
                          .version = 1,
                          .from = ReplicaId{from},
                          .to = cluster.replica(0),
                          .total = 1})
          .code;
    };
    for (std::uint64_t from = 1; from <= holdfast::crdt::kOriginsMax; ++from)
      REQUIRE(arrive(from) == Code::ok);
    CHECK(arrive(1'000) == Code::out_of_range);
    CHECK(arrive(7) == Code::ok);
    cluster.crash(0);
    cluster.restart(0);
    CHECK(cluster.truth("a").on_hand == static_cast<Units>(holdfast::crdt::kOriginsMax));
  }
}
