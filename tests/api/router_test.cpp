// The router over shards that are real engines.

#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/cart_rows.h"
#include "tests/api/support/shards.h"

using namespace holdfast::api;
using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;
using holdfast::crdt::Instant;
using holdfast::crdt::Millis;
using holdfast::crdt::Now;
using holdfast::crdt::WallTime;

TEST_SUITE("router") {
  TEST_CASE("one SKU, one shard: as at a node") {
    Shards all(3);
    CHECK(all.call(Shards::cart("r", {{"a", 4}})).code == Code::created);
    CHECK(all.call(Shards::cart("r", {{"a", 4}})).code == Code::ok);
    CHECK(all.call(Shards::cart("r", {{"a", 5}})).code == Code::reservation_conflict);
    CHECK(all.call(Shards::cart("s", {{"a", 7}})).code == Code::insufficient_stock);
    CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
    CHECK(all.call(GetReservation{.id = "none"}).code == Code::unknown_reservation);
    CHECK(all.call(Shards::cart("x", {{"zz", 1}})).code == Code::unknown_sku);
    CHECK(all.call(StartDrain{}).code == Code::unknown_target);
    CHECK(all.truth('a').sold == 4);
  }

  TEST_CASE("a cart over all shards is one: made, told again, read, sold, returned") {
    Shards all(4);
    Reserve cart = all.all_skus("r", 2);
    cart.metadata = R"({"who":"me"})";
    const Outcome made = all.call(cart);
    REQUIRE(made.code == Code::created);
    CHECK(reservation(made).lines.size() == 12);
    CHECK(reservation(made).metadata == R"({"who":"me"})");
    all.check_all(2, 0);
    CHECK(all.call(cart).code == Code::ok);
    all.check_all(2, 0);
    cart.lines[0].quantity = 3;
    CHECK(all.call(cart).code == Code::reservation_conflict);
    all.check_all(2, 0);
    CHECK(reservation(all.call(GetReservation{.id = "r"})).state == HoldState::held);
    CHECK(reservation(all.call(Extend{.id = "r", .ttl_seconds = 50})).lines.size() == 12);
    CHECK(reservation(all.call(Commit{.id = "r"})).state == HoldState::committed);
    CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
    CHECK(all.call(Release{.id = "r"}).code == Code::reservation_closed);
    all.check_all(0, 2);
    Return back{.id = "r", .lines = {{"a", 1}, {"b", 2}}, .key = {"", "k"}};
    CHECK(all.call(back).code == Code::ok);
    CHECK(all.call(back).code == Code::ok);
    CHECK(all.truth('a').returned == 1);
    CHECK(all.truth('b').returned == 2);
    back.lines[0].quantity = 9;
    back.key.text = "other";
    CHECK(all.call(back).code == Code::out_of_range);
  }

  TEST_CASE("what another router made is found, and its parts") {
    Shards all(3);
    CHECK(all.call(all.all_skus("r", 1)).code == Code::created);
    all.start();
    CHECK(reservation(all.call(GetReservation{.id = "r"})).lines.size() == 12);
    all.start();
    CHECK(all.call(Release{.id = "r"}).code == Code::ok);
    all.check_all(0, 0);
  }

  TEST_CASE("short of one SKU: nothing is held, and the id may be tried again") {
    Shards all(3);
    Reserve cart = all.all_skus("r", 2);
    for (const std::size_t lacking : {0u, 5u, 11u}) {
      cart.lines[lacking].quantity = 11;
      const Outcome refused = all.call(cart);
      CHECK(refused.code == Code::insufficient_stock);
      REQUIRE(refused.shortages.size() == 1);
      CHECK(refused.shortages[0].sku == cart.lines[lacking].sku);
      all.check_all(0, 0);
      cart.lines[lacking].quantity = 2;
    }
    CHECK(all.call(cart).code == Code::created);
    all.check_all(2, 0);
  }

  TEST_CASE("in part: what can be had, wherever it is") {
    Shards all(3);
    for (const char gone : {'a', 'b', 'c', 'd', 'e', 'f'})
      CHECK(all.call(Shards::cart(std::string("gone-") + gone, {{std::string(1, gone), 10}}))
                .succeeded());
    Reserve cart = all.all_skus("r", 2);
    cart.partial = true;
    const Outcome made = all.call(cart);
    CHECK(made.code == Code::created);
    CHECK(all.call(cart).code == Code::ok);
    CHECK(all.truth('l').held == 2);
    CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
    CHECK(all.truth('l').sold == 2);
    Reserve none = Shards::cart("n", {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}});
    none.partial = true;
    CHECK(all.call(none).code == Code::insufficient_stock);
  }

  TEST_CASE("a commit of some lines") {
    Shards all(3);
    CHECK(all.call(all.all_skus("r", 2)).code == Code::created);
    const Commit some{.id = "r", .lines = std::vector<Line>{{"a", 1}, {"b", 2}, {"g", 1}}};
    CHECK(all.call(some).code == Code::ok);
    CHECK(all.call(some).code == Code::ok);
    CHECK(all.truth('a').sold == 1);
    CHECK(all.truth('b').sold == 2);
    CHECK(all.truth('l').sold == 0);
    CHECK(all.truth('l').held == 0);
    CHECK(reservation(all.call(GetReservation{.id = "r"})).state == HoldState::committed);
  }

  TEST_CASE("two clients with one id at once; two carts for the same last units") {
    Shards all(3);
    const auto one = all.submit(all.all_skus("r", 6)), same = all.submit(all.all_skus("r", 6));
    const Code a = all.take(one).code, b = all.take(same).code;
    CHECK((a == Code::created || b == Code::created));
    all.run_for(100);
    all.check_all(6, 0);
    CHECK(all.call(Release{.id = "r"}).succeeded());
    const auto first = all.submit(all.all_skus("x", 10)),
               second = all.submit(all.all_skus("y", 10));
    const bool x = all.take(first).succeeded(), y = all.take(second).succeeded();
    CHECK(x != y);
    all.check_all(10, 0);
  }

  TEST_CASE("two routers sell one cart at two nodes that cannot see each other: it is sold once") {
    for (const std::size_t first : {0u, 1u}) {
      Shards all(3, 2);
      all.stock_everywhere();
      all.clusters[0]->cut(0, 1);
      for (const std::size_t away : {1 - first, first}) {
        all.down.clear();
        all.start();
        all.run_for(3'000);
        all.down = {{0, away}};
        CHECK(all.call(all.all_skus("r", 1)).code == Code::created);
        CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
      }
      all.down.clear();
      all.clusters[0]->heal_all();
      CHECK(all.clusters[0]->converge());
      CHECK(reservation(all.call(Commit{.id = "r"})).lines.size() == 12);
      all.run_for(90'000);
      for (char sku = 'a'; sku <= 'l'; ++sku) {
        CHECK(all.truth(sku).held == 0);
        CHECK(all.truth(sku).sold - all.truth(sku).returned == 1);
      }
      const Outcome read = all.call(GetReservation{.id = "r"});
      CHECK(reservation(read).lines.size() == 12);
      for (const auto& line : reservation(read).lines) CHECK(line.committed - line.returned == 1);
      CHECK(all.call(Return{.id = "r", .lines = {{"a", 1}, {"l", 1}}, .key = {"", "k"}}).code ==
            Code::ok);
    }
  }

  TEST_CASE("two routers sell lines of one cart, none of them of the record's shard: sold once") {
    Shards all(3, 2);
    all.stock_everywhere();
    char in_b = 'a';
    while (all.map.shard_of(std::string(1, in_b)) != 1) ++in_b;
    const Commit some{.id = "r", .lines = std::vector<Line>{{std::string(1, in_b), 1}}};
    all.clusters[0]->cut(0, 1);
    for (const std::size_t away : {1u, 0u}) {
      all.down.clear();
      all.start();
      all.run_for(3'000);
      all.down = {{0, away}};
      CHECK(all.call(all.all_skus("r", 1)).code == Code::created);
      CHECK(all.call(some).code == Code::ok);
    }
    all.down.clear();
    all.clusters[0]->heal_all();
    CHECK(all.clusters[0]->converge());
    all.run_for(90'000);
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      CHECK(all.truth(sku).held == 0);
      CHECK(all.truth(sku).sold - all.truth(sku).returned == (sku == in_b ? 1 : 0));
    }
  }

  TEST_CASE("a record that another router has made meanwhile is taken, with its parts") {
    Shards all(3, 2);
    all.stock_everywhere();
    const std::size_t there = all.clusters[0]->state(0).hold_count();
    // As another router would, with a part of its own that nobody has.
    Reserve record = all.all_skus("r", 1);
    const std::string metadata = record_metadata(record, {{"b", "part:0000000000000001"}});
    std::erase_if(record.lines, [&](const Line& line) { return all.map.shard_of(line.sku) != 0; });
    record.metadata = metadata;
    CHECK(all.clusters[0]->call(0, record).succeeded());
    CHECK(all.clusters[0]->converge());
    CHECK(!all.call(all.all_skus("r", 1)).succeeded());  // its part is lost
    all.run_for(60'000);
    for (char sku = 'a'; sku <= 'l'; ++sku)
      CHECK(all.truth(sku).held == (all.map.shard_of(std::string(1, sku)) == 0 ? 1 : 0));
    CHECK(all.clusters[0]->state(0).hold_count() == there + 1);
  }

  TEST_CASE("a node that has not heard of a sale is no reason to refuse what comes back") {
    Shards all(3, 2);
    all.stock_everywhere();
    CHECK(all.call(all.all_skus("r", 1)).code == Code::created);
    for (const auto& cluster : all.clusters) {
      CHECK(cluster->converge());
      cluster->cut(0, 1);
    }
    all.run_for(3'000);
    CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
    std::vector<Line> lines;
    for (char sku = 'a'; sku <= 'l'; ++sku) lines.push_back({std::string(1, sku), 1});
    CHECK(all.call(Return{.id = "r", .lines = lines, .key = {"", "k"}}).code == Code::ok);
    for (char sku = 'a'; sku <= 'l'; ++sku) CHECK(all.truth(sku).returned == 1);
    lines[3].quantity = 2;
    CHECK(all.call(Return{.id = "r", .lines = lines, .key = {"", "l"}}).code == Code::out_of_range);
  }

  TEST_CASE("a part that has expired before the commit: all of it is undone") {
    Shards all(2);
    Reserve cart = all.all_skus("r", 2);
    CHECK(all.call(cart).succeeded());
    const std::size_t first = all.map.shards[0].name == "a" ? 0 : 1;  // the record lives longer
    CHECK(all.clusters[first]->call(0, Extend{.id = "r", .ttl_seconds = 1'000}).succeeded());
    all.pass(120'000);
    CHECK(all.call(Commit{.id = "r"}).code == Code::reservation_closed);
    all.check_all(0, 0);
    CHECK(all.call(Commit{.id = "r"}).code == Code::reservation_closed);
  }

  TEST_CASE("all that the record had sold has come back: its parts stay sold") {
    Shards all(2);
    CHECK(all.call(all.all_skus("r", 2)).succeeded());
    all.down.insert({1, 0});
    CHECK(all.call(Commit{.id = "r"}).code == Code::outcome_unknown);
    all.down.clear();
    all.run_for(2'000);
    CHECK(all.call(Commit{.id = "r"}).succeeded());
    Return back{.id = "r", .key = {"", "k"}};
    for (char sku = 'a'; sku <= 'l'; ++sku)
      if (all.map.shard_of(std::string(1, sku)) == 0)
        back.lines.push_back({std::string(1, sku), 2});
    REQUIRE(!back.lines.empty());
    CHECK(all.call(back).succeeded());
    for (int sweep = 0; sweep < 3; ++sweep) all.pass(31'000);
    for (char sku = 'a'; sku <= 'l'; ++sku)
      CHECK(all.truth(sku).sold - all.truth(sku).returned ==
            (all.map.shard_of(std::string(1, sku)) == 0 ? 0 : 2));
  }

  TEST_CASE("a half commit whose part expires between two sweeps is undone by a later one") {
    Shards all(2);
    CHECK(all.call(all.all_skus("r", 2)).succeeded());
    all.pass(70'000);
    all.kill_after(1);  // the record is committed
    all.submit(Commit{.id = "r"});
    for (auto& cluster : all.clusters) cluster->run_for(100);
    all.restart();
    for (int sweep = 0; sweep < 4; ++sweep) all.pass(31'000);
    all.check_all(0, 0);
  }

  TEST_CASE("what was sold in lines stays sold, whatever is asked afterwards") {
    for (const char* only : {"all", "record", "others"}) {
      INFO(only);
      Shards all(3);
      CHECK(all.call(all.all_skus("r", 2)).succeeded());
      std::vector<Line> lines;
      for (char sku = 'a'; sku <= 'l'; ++sku) {
        const bool in_record = all.map.shard_of(std::string(1, sku)) == 0;
        if (only == std::string(in_record ? "others" : "record")) continue;
        lines.push_back({std::string(1, sku), 1});
      }
      const auto sold = [&] {
        Units units = 0;
        for (char sku = 'a'; sku <= 'l'; ++sku)
          units += all.truth(sku).sold - all.truth(sku).returned;
        return units;
      };
      const auto count = static_cast<Units>(lines.size());
      CHECK(all.call(Commit{.id = "r", .lines = lines}).code == Code::ok);
      CHECK(sold() == count);
      CHECK(all.call(Commit{.id = "r"}).code == Code::ok);
      CHECK(all.call(Release{.id = "r"}).code == Code::reservation_closed);
      CHECK(all.call(Commit{.id = "r", .lines = lines}).code == Code::ok);
      all.run_for(70'000);
      CHECK(sold() == count);
      CHECK(reservation(all.call(GetReservation{.id = "r"})).state == HoldState::committed);
    }
  }

  TEST_CASE("lines of a cart whose record has expired: nothing of it is sold") {
    Shards all(3);
    CHECK(all.call(all.all_skus("r", 2)).succeeded());
    for (const std::size_t shard : {1, 2})
      for (const auto& [key, hold] : all.clusters[shard]->state(0).holds())
        if (hold->id.starts_with("part:"))
          all.clusters[shard]->call(0, Extend{.id = hold->id, .ttl_seconds = 1'000});
    all.pass(120'000);
    std::vector<Line> lines;
    for (char sku = 'a'; sku <= 'l'; ++sku) lines.push_back({std::string(1, sku), 1});
    CHECK(all.call(Commit{.id = "r", .lines = lines}).code == Code::reservation_closed);
    all.check_all(0, 0);
  }

  TEST_CASE("a commit of which a part is out of reach is finished, or undone, by itself") {
    for (const std::int64_t away : {1'000, 150'000}) {
      Shards all(3);
      CHECK(all.call(all.all_skus("r", 2)).succeeded());
      all.down.emplace(2, 0);
      CHECK(all.call(Commit{.id = "r"}).code == Code::outcome_unknown);
      all.pass(away);
      all.down.clear();
      all.run_for(70'000);
      all.check_all(0, away < 100'000 ? 2 : 0);
    }
  }

  TEST_CASE("calls about one reservation go one after the other, as they came") {
    Shards all(3);
    const auto made = all.submit(all.all_skus("r", 2)), sold = all.submit(Commit{.id = "r"}),
               released = all.submit(Release{.id = "r"});
    CHECK(all.take(made).code == Code::created);
    CHECK(all.take(sold).code == Code::ok);
    CHECK(all.take(released).code == Code::reservation_closed);
    all.check_all(0, 2);
    Reserve partial = all.all_skus("p", 1);
    partial.partial = true;
    const auto one = all.submit(partial), same = all.submit(partial);
    CHECK(all.take(one).code == Code::created);
    CHECK(all.take(same).code == Code::ok);
    all.check_all(1, 2);
  }

  TEST_CASE("a return beyond what was sold of one part returns nothing of another") {
    Shards all(3);
    CHECK(all.call(all.all_skus("r", 2)).succeeded());
    CHECK(all.call(Commit{.id = "r"}).succeeded());
    std::vector<Line> lines;
    for (char sku = 'a'; sku <= 'l'; ++sku) lines.push_back({std::string(1, sku), 2});
    CHECK(all.call(Return{.id = "r", .lines = {{"a", 1}}, .key = {"", "one"}}).succeeded());
    CHECK_FALSE(all.call(Return{.id = "r", .lines = lines, .key = {"", "two"}}).succeeded());
    CHECK(all.truth('l').returned == 0);
    CHECK(all.truth('b').returned == 0);
    lines[0].quantity = 1;
    CHECK(all.call(Return{.id = "r", .lines = lines, .key = {"", "three"}}).succeeded());
    CHECK(all.call(Return{.id = "r", .lines = lines, .key = {"", "three"}}).succeeded());
    all.check_all(0, 0);
  }

  TEST_CASE("while a node is away a cart that lacks stock is refused, and none is made twice") {
    Shards all(2, 2);
    all.map.shards[0].nodes = {"http://a-0"};
    all.clusters[0]->cut(0, 1);
    all.down.insert({0, 1});
    all.run_for(4'000);  // it is known to be away, and might know of a cart that nobody else does
    CHECK(all.call(all.all_skus("r", 20)).code == Code::insufficient_stock);
    Reserve partial = all.all_skus("p", 20);
    partial.partial = true;
    CHECK(all.call(partial).code == Code::home_unreachable);  // it might stand there already
    all.clusters[0]->heal(0, 1);
    all.down.clear();
    all.run_for(5'000);
    CHECK(all.call(partial).code == Code::created);
  }

  // Sweeps look at carts that are held: this one is not any more when the router is back.
  TEST_CASE(
      "a router ends half-way through a commit of lines, and the record expires: none is sold") {
    Shards all(2, 2);
    Reserve cart = all.all_skus("r", 2);
    cart.ttl_seconds = 10;
    cart.wait_ms = 2'000;  // rights are at the SKUs' homes
    CHECK(all.call(cart).succeeded());
    std::size_t shard = 2, home = 2;
    for (std::size_t i = 0; i < 2; ++i)
      for (const auto& [key, hold] : all.clusters[i]->state(0).holds())
        if (hold->id == "r") {
          shard = i;
          home = hold->origin == all.clusters[i]->state(0).self() ? 0 : 1;
        }
    REQUIRE(home < 2);
    all.map.shards[shard].nodes = {"http://" + all.map.shards[shard].name + "-" +
                                   std::to_string(1 - home)};
    all.clusters[shard]->cut(0, 1);
    all.down.insert({shard, home});
    all.run_for(4'000);  // it is known to be away
    std::vector<Line> lines;
    for (char sku = 'a'; sku <= 'l'; ++sku) lines.push_back({std::string(1, sku), 1});
    const Outcome no = all.call(Commit{.id = "r", .lines = lines});
    CHECK(no.code == Code::home_unreachable);
    Units sold = 0;
    for (char sku = 'a'; sku <= 'l'; ++sku) sold += all.truth(sku).sold;
    CHECK(sold > 0);  // of the other shard
    all.start();
    all.pass(15'000);
    all.clusters[shard]->heal(0, 1);
    all.down.clear();
    all.run_for(120'000);
    all.check_all(0, 0);
  }

  TEST_CASE("a return of what a node sold that has left returns nothing of another") {
    Shards all(2, 2, true);
    Reserve cart = all.all_skus("r", 2);
    cart.wait_ms = 2'000;  // rights are at the SKUs' homes
    CHECK(all.call(cart).succeeded());
    CHECK(all.call(Commit{.id = "r"}).succeeded());
    // The second shard's part is no record: it would be asked last.
    Cluster& second = *all.clusters[1];
    std::size_t home = 2;
    std::vector<Line> gone, others;
    for (const auto& [key, hold] : second.state(0).holds())
      for (const auto& line : hold->row.lines) {
        home = hold->origin == second.state(0).self() ? 0 : 1;
        gone.push_back({line.sku, 1});
      }
    REQUIRE(!gone.empty());
    for (char sku = 'a'; sku <= 'l'; ++sku)
      if (std::none_of(gone.begin(), gone.end(),
                       [&](const Line& line) { return line.sku[0] == sku; }))
        others.push_back({std::string(1, sku), 1});
    REQUIRE(!others.empty());
    CHECK(second.call(home, holdfast::node::StartDrain{}).succeeded());
    CHECK(all.run_until([&] { return second.may_leave(home); }, 30'000));
    second.submit(home, holdfast::node::Leave{});
    CHECK(all.run_until([&] { return !second.lives(home); }, 30'000));
    all.down.insert({1, home});
    all.run_for(5'000);

    std::vector<Line> lines = others;
    lines.insert(lines.end(), gone.begin(), gone.end());
    const Outcome refused = all.call(Return{.id = "r", .lines = lines, .key = {"", "one"}});
    CHECK(refused.code == Code::replica_retired);
    CHECK(refused.detail.find("nothing has been returned") != std::string::npos);
    CHECK(refused.detail.find("'" + gone[0].sku + "'") != std::string::npos);
    for (const Line& line : others) CHECK(all.truth(line.sku[0]).returned == 0);
    CHECK(all.call(Return{.id = "r", .lines = others, .key = {"", "two"}}).succeeded());
    for (const Line& line : others) CHECK(all.truth(line.sku[0]).returned == 1);
  }

  TEST_CASE("what is the router's own is not a client's") {
    Shards all(2);
    Reserve forged = Shards::cart("f", {{"a", 1}});
    forged.metadata = R"({"holdfast":{"digest":"x","parts":{"b":"victim"}}})";
    CHECK(all.call(forged).code == Code::out_of_range);
    CHECK(all.call(Shards::cart("part:1", {{"a", 1}})).code == Code::out_of_range);
    CHECK(all.call(all.all_skus("r", 1)).succeeded());
    for (std::size_t shard : {0, 1})
      for (const auto& [key, hold] : all.clusters[shard]->state(0).holds())
        if (hold->id.starts_with("part:"))
          CHECK(all.call(Release{.id = hold->id}).code == Code::unknown_reservation);
    all.check_all(1, 0);
  }

  TEST_CASE("one id in two shards: refused, as far as this router knows") {
    Shards all(3);
    const std::string there = all.map.shard_of("a") == all.map.shard_of("b") ? "c" : "b";
    REQUIRE(all.map.shard_of("a") != all.map.shard_of(there));
    CHECK(all.call(Shards::cart("r", {{"a", 1}})).code == Code::created);
    CHECK(all.call(Shards::cart("r", {{there, 1}})).code == Code::reservation_conflict);
  }

  TEST_CASE("a new map while carts are under way: they end where they began") {
    for (const bool commits : {false, true})
      for (int steps = 0; steps < 12; ++steps) {
        Shards all(3);
        if (commits) CHECK(all.call(all.all_skus("r", 1)).succeeded());
        const std::uint64_t token =
            commits ? all.submit(Commit{.id = "r"}) : all.submit(all.all_skus("r", 1));
        all.run_for(steps);
        ShardMap next = all.map;
        next.version = 2;
        next.shards.erase(next.shards.begin() + steps % 3);
        CHECK(all.router->use(next).ok());
        CHECK(all.take(token).succeeded());
        all.check_all(commits ? 0 : 1, commits ? 1 : 0);
        CHECK(all.call(Release{.id = "r"}).code == (commits ? Code::reservation_closed : Code::ok));
        all.run_for(70'000);
        all.check_all(0, commits ? 1 : 0);
      }
  }

  TEST_CASE("a map that lacks a shard of a cart: it is not sold without that part") {
    Shards all(3);
    CHECK(all.call(all.all_skus("r", 1)).succeeded());
    all.map.shards.pop_back();
    all.start();
    CHECK(all.call(GetReservation{.id = "r"}).code == Code::shard_unreachable);
    CHECK_FALSE(all.call(Commit{.id = "r"}).succeeded());
    all.run_for(70'000);
    all.map = {};
    for (const char* name : {"a", "b", "c"})
      all.map.shards.push_back({.name = name, .nodes = {std::string("http://") + name + "-0"}});
    all.map.version = 2;
    all.start();
    all.run_for(70'000);
    const Outcome read = all.call(GetReservation{.id = "r"});
    CHECK(reservation(read).lines.size() == 12);
    const bool sold = all.truth('a').sold > all.truth('a').returned;
    all.check_all(reservation(read).state == HoldState::held ? 1 : 0, sold ? 1 : 0);
  }

  TEST_CASE("killed after any of its calls: no cart is half sold, and none held for ever") {
    enum { reserve, commit, commit_lines, release };
    for (const int step : {reserve, commit, commit_lines, release})
      for (std::uint64_t calls = 1; calls <= 12; ++calls) {
        INFO("step " << step << ", killed after " << calls << " calls");
        Shards all(3);
        const Reserve cart = all.all_skus("r", 2);
        if (step != reserve) REQUIRE(all.call(cart).succeeded());
        all.kill_after(calls);
        switch (step) {
          case reserve:
            all.submit(cart);
            break;
          case commit:
            all.submit(Commit{.id = "r"});
            break;
          case commit_lines:
            all.submit(Commit{.id = "r", .lines = std::vector<Line>{{"a", 2}, {"b", 2}, {"d", 2}}});
            break;
          case release:
            all.submit(Release{.id = "r"});
            break;
        }
        all.run_for(500);
        for (auto& cluster : all.clusters) cluster->run_for(20'000);
        all.ms += 20'000;
        const bool whole = !all.killed;  // it had done all before
        all.restart();
        all.run_for(60'000);
        const Outcome read = all.call(GetReservation{.id = "r"});
        if (read.code == Code::unknown_reservation) {
          all.check_all(0, 0);
        } else if (reservation(read).state == HoldState::held) {
          all.check_all(2, 0);
        } else if (step == commit_lines && whole) {
          CHECK(all.truth('a').sold == 2);
          CHECK(all.truth('c').sold == 0);
        } else if (step == commit_lines) {
          const Truth a = all.truth('a'), d = all.truth('d');
          CHECK(a.sold - a.returned == d.sold - d.returned);
          for (char sku = 'a'; sku <= 'l'; ++sku) CHECK(all.truth(sku).held == 0);
        } else {
          const bool sold = all.truth('a').sold > all.truth('a').returned;
          CHECK(!(sold && step == release));
          all.check_all(0, sold ? 2 : 0);
        }
      }
  }

  TEST_CASE("a shard is down: its SKUs are refused by name, the others sell") {
    Shards all(3);
    const std::size_t lost = all.map.shard_of("a");
    all.down.emplace(lost, 0);
    all.run_for(2'000);
    CHECK_FALSE(all.router->whole());
    CHECK(all.router->ready());
    const Outcome refused = all.call(GetStock{.sku = "a"});
    CHECK(refused.code == Code::shard_unreachable);
    CHECK(refused.detail.find("shard '" + all.map.shards[lost].name + "'") != std::string::npos);
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      const std::string name(1, sku);
      const Code code = all.call(Shards::cart("r-" + name, {{name, 1}})).code;
      CHECK(code == (all.map.shard_of(name) == lost ? Code::shard_unreachable : Code::created));
    }
    CHECK(all.call(all.all_skus("r", 1)).code == Code::shard_unreachable);
    all.down.clear();
    all.run_for(2'000);
    CHECK(all.call(all.all_skus("r", 1)).succeeded());
  }

  TEST_CASE("of a region's nodes the SKU's home is asked; with it down, another") {
    Shards all(1, 3);
    CHECK(all.clusters[0]->converge());
    all.run_for(1'500);
    for (int i = 0; i < 20; ++i) {
      Reserve cart =
          Shards::cart("r" + std::to_string(i), {{std::string(1, char('a' + i % 12)), 1}});
      cart.wait_ms = 250;
      CHECK(all.call(cart).succeeded());
    }
    std::uint64_t forwards = 0;
    for (const std::size_t node : {0, 1, 2}) forwards += all.clusters[0]->stats(node).forwards;
    CHECK(forwards <= 12);  // until rights are at home
    all.down.emplace(0, 1);
    for (char sku = 'a'; sku <= 'l'; ++sku)
      CHECK(all.call(GetStock{.sku = std::string(1, sku)}).succeeded());
    all.run_for(2'000);
    CHECK(all.router->ready());
  }

  TEST_CASE("a read that takes long is asked of a second node") {
    Shards all(1, 2);
    CHECK(all.clusters[0]->converge());
    all.run_for(1'500);
    for (const std::size_t node : {0, 1}) {
      all.clusters[0]->pause(node);
      const std::int64_t began = all.ms;
      CHECK(all.call(GetStock{.sku = "a"}).succeeded());
      CHECK(all.ms - began < 200);
      all.clusters[0]->resume(node);
      all.run_for(1'500);
    }
  }

  TEST_CASE("a SKU that is named twice is not there twice; a list leaves out no cart silently") {
    Shards all(3);
    Outcome twice = all.call(GetAvailability{.skus = {"a", "b", "a"}});
    const auto& items = std::get<Availability>(twice.view).items;
    REQUIRE(items.size() == 3);
    CHECK(items[0].available == 10);
    CHECK(items[2].available == 10);
    CHECK(all.call(all.all_skus("r", 1)).succeeded());
    all.down = {{2, 0}};
    all.run_for(3'000);
    CHECK(all.call(ListReservations{}).code == Code::shard_unreachable);
    all.down.clear();
    all.run_for(3'000);
    Outcome listed = all.call(ListReservations{});
    CHECK(std::get<ReservationPage>(listed.view).items.size() == 1);
    char in_b = 'a';  // whose cart has its record in another shard, which is away
    while (all.map.shard_of(std::string(1, in_b)) != 1) ++in_b;
    all.start();
    all.down = {{0, 0}};
    all.run_for(3'000);
    const ListReservations by_sku{.sku = std::string(1, in_b), .cursor = "b:"};
    CHECK(all.call(by_sku).code == Code::shard_unreachable);
  }

  TEST_CASE("lists and availability are those of all shards") {
    Shards all(3);
    CHECK(all.call(all.all_skus("whole", 1)).succeeded());
    for (const char* sku : {"a", "e", "i"})
      CHECK(all.call(Shards::cart(sku, {{sku, 1}})).succeeded());
    std::vector<std::string> skus, ids;
    ListSkus list{.limit = 5};
    do {
      const Outcome page = all.call(list);
      for (const SkuView& view : std::get<SkuPage>(page.view).items) skus.push_back(view.sku);
      list.cursor = std::get<SkuPage>(page.view).next;
    } while (!list.cursor.empty());
    CHECK(skus ==
          std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"});
    ListReservations holds{.limit = 2};
    do {
      const Outcome page = all.call(holds);
      for (const ReservationView& view : std::get<ReservationPage>(page.view).items) {
        ids.push_back(view.id);
        CHECK(view.lines.size() == (view.id == "whole" ? 12u : 1u));
      }
      holds.cursor = std::get<ReservationPage>(page.view).next;
    } while (!holds.cursor.empty());
    std::sort(ids.begin(), ids.end());
    CHECK(ids == std::vector<std::string>{"a", "e", "i", "whole"});
    const Outcome stock = all.call(GetAvailability{.skus = {"l", "a", "none"}});
    const auto& items = std::get<Availability>(stock.view).items;
    REQUIRE(items.size() == 3);
    CHECK(items[0].available == 9);
    CHECK(items[1].available == 8);
    CHECK_FALSE(items[2].known);
    CHECK(all.call(ListReservations{.cursor = "nonsense"}).code == Code::invalid_cursor);
  }

  TEST_CASE("a newer map is used, an older one and a changed one are not") {
    Shards all(2);
    ShardMap next = all.map;
    CHECK(all.router->use(next).ok());
    next.shards[0].weight = 7;
    CHECK_FALSE(all.router->use(next).ok());
    next.version = 2;
    CHECK(all.router->use(next).ok());
    CHECK_FALSE(all.router->use(all.map).ok());
    CHECK(all.router->map().version == 2);
  }
}
