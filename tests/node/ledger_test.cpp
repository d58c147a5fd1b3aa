// What one node does to stock and reservations by itself, through the whole path of a request.

#include "node/ledger.h"

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

using namespace holdfast::node;
using namespace holdfast::tests;
using holdfast::crdt::HoldState;
using holdfast::crdt::kLineUnitsMax;
using holdfast::crdt::kUnitsMax;

namespace {

// One node with the SKUs a and b, 10 units of each.
struct Shop {
  explicit Shop(ClusterOptions options = {}) : cluster(options) {
    for (const char* sku : {"a", "b"}) {
      CHECK(call(PutSku{.sku = sku}).code == Code::created);
      CHECK(call(Receive{.sku = sku, .quantity = 10}).code == Code::created);
    }
  }
  ~Shop() { CHECK(cluster.complaints() == ""); }

  Outcome call(Command command) { return cluster.call(0, std::move(command)); }
  Code code(Command command) { return call(std::move(command)).code; }
  Code hold(const std::string& id, std::vector<Line> lines, std::uint32_t ttl_seconds = 900) {
    return code(
        Reserve{.id = id, .lines = std::move(lines), .ttl_seconds = ttl_seconds, .wait_ms = 0});
  }
  HoldState state(const std::string& id) {
    return reservation(call(GetReservation{.id = id})).state;
  }
  Truth truth(const std::string& sku) const { return cluster.truth(sku); }
  Units local(const std::string& sku) { return stock(call(GetStock{sku})).local_available; }

  Cluster cluster;
};

}  // namespace

TEST_SUITE("ledger") {
  TEST_CASE("a SKU is created once, then changed; what is not given stays") {
    Shop shop;
    Outcome made = shop.call(PutSku{.sku = "c", .name = "cup", .attributes = "{\"x\":1}"});
    CHECK(made.code == Code::created);
    Outcome changed = shop.call(PutSku{.sku = "c", .low_stock_threshold = 3});
    CHECK(changed.code == Code::ok);
    const auto& view = std::get<SkuView>(changed.view);
    CHECK(view.name == "cup");
    CHECK(view.attributes == "{\"x\":1}");
    CHECK(view.low_stock_threshold == 3);
    CHECK(view.updated_at >= view.created_at);
    const auto head = shop.cluster.state(0).head(shop.cluster.replica(0));
    CHECK(shop.code(PutSku{.sku = "c", .name = "cup"}) == Code::ok);
    CHECK(shop.cluster.state(0).head(shop.cluster.replica(0)) == head);  // nothing new, no row
  }

  TEST_CASE("descriptions go forward though the wall clock goes back") {
    Shop shop;
    shop.call(PutSku{.sku = "a", .name = "old"});
    shop.cluster.jump_wall_clock(0, -86'400'000);
    shop.call(PutSku{.sku = "a", .name = "new"});
    const Outcome outcome = shop.call(GetSku{"a"});
    CHECK(std::get<SkuView>(outcome.view).name == "new");
  }

  TEST_CASE("receipts and adjustments move on_hand; unknown SKUs are refused everywhere") {
    Shop shop;
    const Outcome received = shop.call(Receive{.sku = "a", .quantity = 5});
    CHECK(change(received).on_hand == 15);
    CHECK(change(received).local_available == 15);
    CHECK(change(shop.call(Adjust{.sku = "a", .delta = -4, .reason = "lost"})).on_hand == 11);
    CHECK(change(shop.call(Adjust{.sku = "a", .delta = 2, .reason = "found"})).on_hand == 13);
    CHECK(shop.code(Receive{.sku = "z", .quantity = 1}) == Code::unknown_sku);
    CHECK(shop.code(Adjust{.sku = "z", .delta = 1}) == Code::unknown_sku);
    CHECK(shop.code(Allow{.sku = "z", .delta = 1}) == Code::unknown_sku);
    CHECK(shop.code(GetStock{"z"}) == Code::unknown_sku);
    CHECK(shop.code(GetSku{"z"}) == Code::unknown_sku);
    CHECK(shop.hold("r", {{"a", 1}, {"z", 1}}) == Code::unknown_sku);
    CHECK(shop.truth("a").held == 0);
  }

  TEST_CASE("an adjustment takes what is neither held nor allowance, and not a unit more") {
    struct Case {
      Units held, allowance, delta;
      bool fits;
    };
    for (const Case c : {Case{0, 0, -10, true}, Case{0, 0, -11, false}, Case{4, 0, -6, true},
                         Case{4, 0, -7, false}, Case{0, 5, -10, true}, Case{0, 5, -11, false},
                         Case{4, 5, -6, true}, Case{4, 5, -7, false}, Case{12, 5, -1, false}}) {
      CAPTURE(c.held);
      CAPTURE(c.allowance);
      CAPTURE(c.delta);
      Shop shop;
      if (c.allowance > 0)
        CHECK(shop.code(Allow{.sku = "a", .delta = c.allowance}) == Code::created);
      if (c.held > 0) CHECK(shop.hold("r", {{"a", c.held}}) == Code::created);
      CHECK(shop.code(Adjust{.sku = "a", .delta = c.delta}) ==
            (c.fits ? Code::created : Code::insufficient_rights));
      CHECK(shop.truth("a").on_hand == (c.fits ? 10 + c.delta : 10));
    }
  }

  TEST_CASE("an allowance can be sold, and taken back only while it is free") {
    Shop shop;
    CHECK(change(shop.call(Allow{.sku = "a", .delta = 5})).allowance == 5);
    CHECK(shop.hold("r", {{"a", 16}}) == Code::insufficient_stock);
    CHECK(shop.hold("r", {{"a", 13}}) == Code::created);
    CHECK(shop.code(Allow{.sku = "a", .delta = -3}) == Code::insufficient_rights);
    CHECK(shop.code(Allow{.sku = "a", .delta = -2}) == Code::created);
    CHECK(shop.truth("a").available() == -3);
    CHECK(stock(shop.call(GetStock{"a"})).oversold == 3);
    CHECK(shop.code(Allow{.sku = "b", .delta = -1}) == Code::insufficient_rights);
  }

  TEST_CASE("totals stop at 2^53-1") {
    Shop shop;
    CHECK(shop.code(Receive{.sku = "a", .quantity = kUnitsMax - 9}) == Code::out_of_range);
    CHECK(shop.code(Receive{.sku = "a", .quantity = kUnitsMax - 10}) == Code::created);
    CHECK(shop.code(Receive{.sku = "a", .quantity = 1}) == Code::out_of_range);
    CHECK(shop.code(Adjust{.sku = "a", .delta = 1}) == Code::out_of_range);
    CHECK(shop.code(Allow{.sku = "a", .delta = 1}) == Code::out_of_range);
    CHECK(shop.truth("a").on_hand == kUnitsMax);
    CHECK(shop.code(Allow{.sku = "b", .delta = kUnitsMax - 10}) == Code::created);
    CHECK(shop.code(Allow{.sku = "b", .delta = 11}) == Code::out_of_range);
  }

  TEST_CASE("a cart is held whole or not at all, and says what it lacks") {
    Shop shop;
    const Outcome refused =
        shop.call(Reserve{.id = "r", .lines = {{"a", 10}, {"b", 11}}, .wait_ms = 0});
    CHECK(refused.code == Code::insufficient_stock);
    REQUIRE(refused.shortages.size() == 1);
    CHECK(refused.shortages[0].sku == "b");
    CHECK(refused.shortages[0].requested == 11);
    CHECK(refused.shortages[0].available == 10);
    CHECK(shop.truth("a").held == 0);
    CHECK(shop.code(GetReservation{"r"}) == Code::unknown_reservation);  // nothing was recorded
    CHECK(shop.hold("r", {{"a", 10}, {"b", 10}}) == Code::created);
    CHECK(shop.truth("a").available() == 0);
    CHECK(shop.truth("b").available() == 0);
  }

  TEST_CASE("a cart of 4,096 lines is one reservation") {
    Cluster cluster;
    std::vector<Line> lines;
    for (int i = 0; i < 4096; ++i) {
      const std::string sku = "s" + std::to_string(i);
      cluster.submit(0, PutSku{.sku = sku});
      cluster.submit(0, Receive{.sku = sku, .quantity = 1});
      lines.push_back({sku, 1});
    }
    CHECK(cluster.call(0, Reserve{.id = "r", .lines = lines}).code == Code::created);
    lines.pop_back();
    lines.push_back({"s0", 1});
    CHECK(cluster.call(0, Reserve{.id = "q", .lines = lines, .wait_ms = 0}).code ==
          Code::insufficient_stock);
    CHECK(cluster.truth("s1").held == 1);
    CHECK(cluster.call(0, Release{"r"}).code == Code::ok);
    CHECK(cluster.truth("s4095").held == 0);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("a partial hold takes what there is and says so; of nothing there is no hold") {
    Shop shop;
    const Outcome some = shop.call(
        Reserve{.id = "r", .lines = {{"a", 12}, {"b", 3}}, .wait_ms = 0, .partial = true});
    CHECK(some.code == Code::created);
    const auto& lines = reservation(some).lines;
    REQUIRE(lines.size() == 2);
    CHECK(lines[0].requested == 12);
    CHECK(lines[0].held == 10);
    CHECK(lines[1].held == 3);
    CHECK(shop.code(Reserve{.id = "q", .lines = {{"a", 1}}, .wait_ms = 0, .partial = true}) ==
          Code::insufficient_stock);
    CHECK(shop.code(Commit{.id = "r"}) == Code::ok);
    CHECK(shop.truth("a").sold == 10);
  }

  TEST_CASE("lines that name one SKU are one line, before they are checked") {
    Shop shop;
    CHECK(shop.hold("r", {{"a", 6}, {"b", 1}, {"a", 5}}) == Code::insufficient_stock);
    CHECK(shop.hold("r", {{"a", 6}, {"b", 1}, {"a", 4}}) == Code::created);
    CHECK(shop.hold("r", {{"b", 1}, {"a", 10}}) == Code::ok);  // the same request
    const Outcome shown = shop.call(GetReservation{"r"});
    CHECK(reservation(shown).lines.size() == 2);
    CHECK(shop.hold("q", {{"a", kLineUnitsMax}, {"a", 1}}) == Code::out_of_range);
  }

  TEST_CASE("an id means one request, for good") {
    Shop shop;
    CHECK(shop.hold("r", {{"a", 2}}) == Code::created);
    CHECK(shop.hold("r", {{"a", 2}}) == Code::ok);
    CHECK(shop.hold("r", {{"a", 3}}) == Code::reservation_conflict);
    CHECK(shop.hold("r", {{"a", 2}}, 901) == Code::reservation_conflict);
    CHECK(shop.code(Reserve{.id = "r", .lines = {{"a", 2}}, .metadata = "{}"}) ==
          Code::reservation_conflict);
    CHECK(shop.code(Reserve{.id = "r", .lines = {{"a", 2}}, .wait_ms = 7}) ==
          Code::ok);  // not of the body
    CHECK(shop.truth("a").held == 2);
    for (const bool commit : {true, false}) {
      const std::string id = commit ? "c" : "d";
      CHECK(shop.hold(id, {{"b", 1}}) == Code::created);
      CHECK(shop.code(commit ? Command(Commit{.id = id}) : Command(Release{id})) == Code::ok);
      CHECK(shop.hold(id, {{"b", 1}}) ==
            Code::ok);  // a finished id put again shows what became of it
      CHECK(shop.state(id) == (commit ? HoldState::committed : HoldState::released));
    }
    CHECK(shop.truth("b").held == 0);
  }

  TEST_CASE("a commit sells, once") {
    Shop shop;
    shop.hold("r", {{"a", 3}, {"b", 2}});
    const Outcome committed = shop.call(Commit{.id = "r"});
    CHECK(committed.code == Code::ok);
    CHECK(reservation(committed).state == HoldState::committed);
    CHECK(reservation(committed).final);
    CHECK(reservation(committed).ended_at > 0);
    CHECK(shop.truth("a").on_hand == 7);
    CHECK(shop.truth("a").sold == 3);
    CHECK(shop.truth("a").held == 0);
    CHECK(shop.code(Commit{.id = "r"}) == Code::ok);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 3}, {"b", 2}}}}) == Code::ok);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 3}}}}) == Code::reservation_closed);
    CHECK(shop.code(Release{"r"}) == Code::reservation_closed);
    CHECK(shop.code(Extend{.id = "r"}) == Code::reservation_closed);
    CHECK(shop.truth("a").sold == 3);
  }

  TEST_CASE("a commit of some lines releases the rest") {
    Shop shop;
    shop.hold("r", {{"a", 5}, {"b", 2}});
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 6}}}}) == Code::out_of_range);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 3}, {"a", 3}}}}) == Code::out_of_range);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"z", 1}}}}) == Code::out_of_range);
    CHECK(shop.state("r") == HoldState::held);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 1}, {"a", 2}}}}) == Code::ok);
    CHECK(shop.truth("a").sold == 3);
    CHECK(shop.truth("a").available() == 7);
    CHECK(shop.truth("b").available() == 10);
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 3}}}}) == Code::ok);
    CHECK(shop.code(Commit{.id = "r"}) == Code::ok);  // asks for no particular lines
    CHECK(shop.code(Commit{.id = "r", .lines = {{{"a", 2}}}}) == Code::reservation_closed);
  }

  TEST_CASE("a release gives back, once") {
    Shop shop;
    shop.hold("r", {{"a", 5}});
    CHECK(shop.code(Release{"r"}) == Code::ok);
    CHECK(shop.code(Release{"r"}) == Code::ok);
    CHECK(shop.truth("a").available() == 10);
    CHECK(shop.code(Commit{.id = "r"}) == Code::reservation_closed);
    CHECK(shop.truth("a").sold == 0);
  }

  TEST_CASE("a hold expires at its deadline, not before, and once") {
    Shop shop;
    shop.hold("r", {{"a", 5}}, 10);
    shop.hold("q", {{"a", 1}}, 10);
    shop.cluster.run_for(9'900);
    CHECK(shop.truth("a").held == 6);
    shop.cluster.run_for(200);
    CHECK(shop.truth("a").held == 0);
    CHECK(shop.truth("a").available() == 10);
    CHECK(shop.state("r") == HoldState::expired);
    CHECK(shop.code(Commit{.id = "r"}) == Code::reservation_closed);
    CHECK(shop.code(Release{"r"}) == Code::reservation_closed);
    CHECK(shop.hold("r", {{"a", 5}}, 10) == Code::ok);  // shows that it is over
    shop.cluster.run_for(60'000);
    CHECK(shop.truth("a").available() == 10);
    CHECK(shop.cluster.stats(0).expiries == 2);
  }

  TEST_CASE("an extension counts from now, and may shorten") {
    Shop shop;
    shop.hold("r", {{"a", 1}}, 100);
    const std::int64_t before = reservation(shop.call(GetReservation{"r"})).expires_at;
    CHECK(reservation(shop.call(Extend{.id = "r", .ttl_seconds = 60})).expires_at < before);
    shop.cluster.run_for(50'000);
    CHECK(shop.state("r") == HoldState::held);
    CHECK(reservation(shop.call(Extend{.id = "r", .ttl_seconds = 100})).expires_at >
          before + 49'000);
    shop.cluster.run_for(60'000);
    CHECK(shop.state("r") == HoldState::held);
    shop.cluster.run_for(41'000);
    CHECK(shop.state("r") == HoldState::expired);
    CHECK(shop.cluster.stats(0).expiries == 1);
  }

  TEST_CASE("a jump of the wall clock expires nothing, either way") {
    for (const std::int64_t jump : {86'400'000LL, -86'400'000LL}) {
      Shop shop;
      shop.hold("r", {{"a", 1}}, 10);
      shop.cluster.jump_wall_clock(0, jump);
      shop.cluster.run_for(9'500);
      CHECK(shop.state("r") == HoldState::held);
      shop.cluster.run_for(600);
      CHECK(shop.state("r") == HoldState::expired);
    }
  }

  TEST_CASE("many holds that fall due together all end") {
    Shop shop;
    CHECK(shop.code(Receive{.sku = "a", .quantity = 12'000}) == Code::created);
    for (int i = 0; i < 12'000; ++i)
      shop.cluster.submit(0,
                          Reserve{.id = std::to_string(i), .lines = {{"a", 1}}, .ttl_seconds = 1});
    shop.cluster.run_for(500);
    CHECK(shop.truth("a").held == 12'000);
    shop.cluster.run_for(700);
    CHECK(shop.truth("a").held == 0);
  }

  TEST_CASE("returns: of what was sold, up to all of it") {
    Shop shop;
    const auto give_back = [&](const std::string& id, std::vector<Line> lines,
                               const std::string& key) {
      return shop.code(Return{.id = id, .lines = std::move(lines), .key = {"POST " + id, key}});
    };
    shop.hold("r", {{"a", 5}, {"b", 1}});
    CHECK(give_back("r", {{"a", 1}}, "0") == Code::reservation_closed);  // nothing is sold yet
    shop.code(Commit{.id = "r", .lines = {{{"a", 4}}}});
    CHECK(give_back("r", {{"b", 1}}, "1") == Code::out_of_range);
    CHECK(give_back("r", {{"z", 1}}, "2") == Code::out_of_range);
    CHECK(give_back("r", {{"a", 5}}, "3") == Code::out_of_range);
    CHECK(give_back("r", {{"a", 2}, {"a", 1}}, "4") == Code::ok);
    CHECK(give_back("r", {{"a", 2}}, "5") == Code::out_of_range);
    CHECK(give_back("r", {{"a", 1}}, "6") == Code::ok);
    CHECK(shop.truth("a").on_hand == 10);
    CHECK(shop.truth("a").returned == 4);
    CHECK(shop.truth("a").sold == 4);
    CHECK(shop.local("a") == 10);
    CHECK(shop.hold("q", {{"a", 10}}) == Code::created);  // what came back can be sold
    CHECK(give_back("no", {{"a", 1}}, "7") == Code::unknown_reservation);
  }

  TEST_CASE("open holds are limited; what ends one makes room") {
    Shop shop({.open_holds_max = 2});
    CHECK(shop.hold("1", {{"a", 1}}) == Code::created);
    CHECK(shop.hold("2", {{"a", 1}}) == Code::created);
    CHECK(shop.hold("3", {{"a", 1}}) == Code::overloaded);
    CHECK(shop.hold("2", {{"a", 1}}) == Code::ok);
    CHECK(shop.code(Release{"1"}) == Code::ok);
    CHECK(shop.hold("3", {{"a", 1}}) == Code::created);
  }

  TEST_CASE("a grant hands rights over, within what is free") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = 10});
    cluster.call(0, Reserve{.id = "r", .lines = {{"a", 4}}});
    const auto grant = [&](const std::string& to, Units units) {
      return cluster.call(0, GrantTo{.sku = "a", .to = to, .quantity = units}).code;
    };
    CHECK(grant("region-1", 7) == Code::insufficient_rights);
    CHECK(grant("region-1", 1) == Code::created);
    CHECK(grant("node-1", 2) == Code::created);
    const Outcome last = cluster.call(
        0, GrantTo{.sku = "a", .to = holdfast::crdt::to_string(cluster.replica(1)), .quantity = 3});
    CHECK(change(last).to == holdfast::crdt::to_string(cluster.replica(1)));
    CHECK(change(last).local_available == 0);
    CHECK(grant("nowhere", 1) == Code::unknown_target);
    CHECK(grant("region-0", 1) == Code::unknown_target);
    CHECK(cluster.converge());
    CHECK(cluster.rights(1, "a") == 6);
    CHECK(cluster.call(1, Reserve{.id = "q", .lines = {{"a", 6}}, .wait_ms = 0}).code ==
          Code::created);
    CHECK(cluster.call(0, Adjust{.sku = "a", .delta = -1}).code == Code::insufficient_rights);
    CHECK(cluster.complaints() == "");
  }

  TEST_CASE("granted totals stop at 2^53-1, too") {
    Cluster cluster({.nodes = 2});
    cluster.settle();
    cluster.call(0, PutSku{.sku = "a"});
    cluster.call(0, Receive{.sku = "a", .quantity = kUnitsMax - 1});
    CHECK(cluster.converge());
    const auto grant = [&](std::size_t from, Units units) {
      const std::string to = "node-" + std::to_string(1 - from);
      const Code code = cluster.call(from, GrantTo{.sku = "a", .to = to, .quantity = units}).code;
      cluster.converge(5'000);
      return code;
    };
    CHECK(grant(0, kUnitsMax - 1) == Code::created);
    CHECK(grant(1, kUnitsMax - 1) == Code::created);
    CHECK(grant(0, 2) == Code::out_of_range);  // its row could not be read by anyone
    CHECK(grant(0, 1) == Code::created);
    CHECK(cluster.converge());
    CHECK(cluster.complaints() == "");
  }
}
