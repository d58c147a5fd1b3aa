// What a fork did since it parted, as rows of the replica that it becomes.

#include "node/reissue.h"

#include <doctest/doctest.h>

#include "node/audit.h"
#include "node/ledger.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using holdfast::crdt::Boot;
using holdfast::crdt::HoldState;
using holdfast::crdt::State;
using holdfast::tests::check_property;

namespace {

const holdfast::crdt::ReplicaId kOld{5}, kNew{9}, kPeer{7};
constexpr Times kNow{.life_ms = 1'000, .wall_ms = 1'700'000'000'000};

// One replica, whose own rows are written through its ledger.
struct Replica {
  State state{kOld};
  Ledger ledger{state, [](const holdfast::crdt::Product&) { return Units{0}; }};

  Replica() {
    state.put_member({.region = "eu", .node = "eu-1", .boots = {{1, 11}}});
    for (const char* sku : {"a", "b", "c"}) {
      ledger.put_sku({.sku = sku}, kNow);
      ledger.receive({.sku = sku, .quantity = 100}, kNow);
    }
    seal();
  }
  void seal() {
    std::string rows;
    state.seal(rows);
  }
  // As it is now; and then its next boot, which is going to be void.
  std::unique_ptr<State> copy() {
    auto copied = std::make_unique<State>(kOld);
    const auto* feed = state.feed(kOld);
    for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
      std::string bytes;
      holdfast::crdt::append_item(*at->second, bytes);
      REQUIRE(copied->merge(kOld, *holdfast::crdt::decode_row(bytes)).ok());
    }
    copied->advance(kOld, state.head(kOld));
    state.put_member(
        {.region = "eu", .node = "eu-1", .boots = {{1, 11}, {copied->head(kOld) + 1, 22}}});
    seal();
    return copied;
  }
  void hold(const std::string& id, const std::string& sku, Units units) {
    auto cart = ledger.check({.id = id, .lines = {{sku, units}}});
    REQUIRE(std::holds_alternative<Cart>(cart));
    ledger.hold(std::get<Cart>(std::move(cart)), {units}, kNow);
  }
  holdfast::crdt::Hold& own(const std::string& id) { return *state.own_hold(id); }

  void act(int what, int x, int y) {
    const std::string sku(1, static_cast<char>('a' + x % 3));
    const std::string id = "r" + std::to_string(x % 12);
    const IdempotencyKey key{"POST " + sku, y % 3 == 0 ? "" : "k" + std::to_string(x)};
    holdfast::crdt::Hold* hold = state.own_hold(id);
    const Units free = ledger.free(*state.product(sku));
    switch (what) {
      case 0:
      case 1:
        if (hold == nullptr && free > 0) this->hold(id, sku, 1 + y % free);
        return;
      case 2:
        if (hold != nullptr) ledger.commit(*hold, {.id = id}, kNow);
        return;
      case 3:
        if (hold != nullptr) ledger.release(*hold, kNow);
        return;
      case 4:
        if (hold != nullptr)
          ledger.give_back(*hold, {.id = id, .lines = {{hold->row.lines[0].sku, 1}}, .key = key},
                           kNow);
        return;
      case 5:
        ledger.receive({.sku = sku, .quantity = 1 + y, .key = key}, kNow);
        return;
      case 6:
        ledger.adjust({.sku = sku, .delta = y - 20, .key = key}, kNow);
        return;
      case 7:
        ledger.allow({.sku = sku, .delta = y - 10, .key = key}, kNow);
        return;
      case 8:
        if (free > 0) ledger.grant({.sku = sku, .quantity = 1 + y % free}, kPeer, kNow);
        return;
      default:
        ledger.put_sku({.sku = sku, .name = "name " + std::to_string(y)}, kNow);
    }
  }
};

std::unique_ptr<State> successor_of(const State& now, const State& base) {
  auto made = successor(now, &base, {kOld, {{base.head(kOld) + 1, 22}}}, kNew, 33);
  REQUIRE(made.ok());
  return *std::move(made);
}

const holdfast::crdt::StockRow& row_of(const State& state, const std::string& sku) {
  return state.product(sku)->stock.find(state.self())->row;
}

}  // namespace

TEST_SUITE("reissue") {
  TEST_CASE("each kind of change, once") {
    Replica fork;
    fork.hold("sold-later", "a", 10);
    fork.hold("released-later", "a", 4);
    fork.hold("open", "a", 3);
    fork.hold("sold-before", "b", 8);
    fork.ledger.commit(fork.own("sold-before"), {.id = "sold-before"}, kNow);
    fork.seal();
    const auto base = fork.copy();
    fork.ledger.commit(fork.own("sold-later"), {.id = "sold-later", .lines = {{{"a", 7}}}}, kNow);
    fork.ledger.release(fork.own("released-later"), kNow);
    fork.hold("new", "a", 5);
    fork.ledger.give_back(fork.own("sold-before"),
                          {.id = "sold-before", .lines = {{"b", 2}}, .key = {"POST r", "k"}}, kNow);
    fork.ledger.grant({.sku = "c", .quantity = 30}, kPeer, kNow);
    fork.seal();

    const auto fresh = successor_of(fork.state, *base);
    CHECK(fresh->self() == kNew);
    const auto& member = fresh->member(kNew)->row;
    CHECK(member.forked_from == kOld);
    CHECK(member.voided_boots == std::vector<std::uint64_t>{22});
    CHECK(member.boots == std::vector<Boot>{{1, 33}});
    CHECK(fresh->head(kOld) == base->head(kOld));
    CHECK(fresh->hold_of("sold-later", kOld)->row.state == HoldState::held);

    // 10 + 4 of older holds, 5 of its own; 3 + 4 released, 7 sold.
    CHECK(row_of(*fresh, "a").held == 19);
    CHECK(row_of(*fresh, "a").released == 7);
    CHECK(row_of(*fresh, "a").sold == 7);
    CHECK(row_of(*fresh, "a").received == 0);
    CHECK(row_of(*fresh, "b").returned == 2);
    CHECK(row_of(*fresh, "c").find(kPeer)->granted == 30);
    CHECK(fresh->product("c")->stock.rights(kNew) == -30);
    CHECK(fresh->own_hold("sold-later")->row.adopted_from == kOld);
    CHECK(fresh->own_hold("sold-later")->row.state == HoldState::committed);
    CHECK(fresh->own_hold("released-later")->row.state == HoldState::released);
    CHECK_FALSE(bool(fresh->own_hold("new")->row.adopted_from));
    CHECK(fresh->own_hold("new")->row.state == HoldState::held);
    CHECK(fresh->own_hold("open") == nullptr);
    CHECK(fresh->own_hold("sold-before") == nullptr);
    CHECK(fresh->own_key("POST r\nk") != nullptr);
    CHECK(audit(*fresh).empty());
  }

  TEST_CASE("what it has undone of a retired heir since, and no more of it") {
    using holdfast::crdt::HoldRow;
    using holdfast::crdt::StockRow;
    using holdfast::crdt::UndoneEnd;
    const holdfast::crdt::ReplicaId gone{3}, root{2};
    Replica fork;
    auto& product = *fork.state.product("a");
    const auto undo = [&](const std::string& id, const UndoneEnd& one, const StockRow& more) {
      fork.state.change_stock(product, [&](StockRow& row) {
        row.held += more.held;
        row.released += more.released;
        row.voided += more.voided;
      });
      fork.state.change_hold(fork.own(id), [&](HoldRow& row) {
        std::erase_if(row.undone.edit(), [&](const auto& known) { return known.root == one.root; });
        row.undone.edit().push_back(one);
      });
    };
    const UndoneEnd first{.of = gone, .root = root, .units = {3}, .again = {0}};
    const UndoneEnd later{.of = gone, .root = root, .units = {5}, .again = {1}};
    const UndoneEnd sale{.of = gone, .units = {2}, .again = {0}};
    for (const char* id : {"before", "between"}) {
      fork.hold(id, "a", 4);
      fork.ledger.release(fork.own(id), kNow);
      undo(id, first, {.held = 3});
    }
    fork.seal();
    const auto base = fork.copy();
    REQUIRE(audit(*base).empty());
    undo("between", later, {.held = 2, .released = 1});
    fork.hold("since", "a", 4);
    fork.ledger.release(fork.own("since"), kNow);
    undo("since", sale, {.voided = 2});
    fork.seal();
    REQUIRE(audit(fork.state).empty());

    const auto fresh = successor_of(fork.state, *base);
    CHECK(audit(*fresh).empty());
    CHECK(fresh->own_hold("before") == nullptr);
    CHECK(fresh->own_hold("between")->row.undone ==
          std::vector<UndoneEnd>{{.of = gone, .root = root, .units = {2}, .again = {1}}});
    CHECK(fresh->own_hold("since")->row.undone == std::vector<UndoneEnd>{sale});
  }

  TEST_CASE("what it did as an heir: its totals fit its holds, and nothing is freed twice") {
    using holdfast::crdt::HoldRow;
    using holdfast::crdt::StockRow;
    const holdfast::crdt::ReplicaId gone{3};
    Replica fork;
    auto& product = *fork.state.product("a");
    const auto stands_in = [&](const std::string& id, std::uint32_t units) {
      HoldRow row{.adopted_from = gone, .estate_of = gone};
      row.lines.push_back({.sku = "a", .requested = units, .held = units});
      fork.state.add_hold(id, std::move(row));
    };
    const auto free_beside = [&](const std::string& id, std::uint32_t units) {
      fork.state.change_stock(product, [&](StockRow& row) { row.released += units; });
      fork.state.change_hold(fork.own(id), [&](HoldRow& row) { row.freed = {{gone, {units}}}; });
    };
    stands_in("sold", 4);
    stands_in("taken-back", 5);
    stands_in("kept", 6);
    fork.hold("mine", "a", 3);
    fork.hold("freed-before", "a", 7);
    free_beside("freed-before", 8);
    fork.hold("purged", "a", 9);
    fork.seal();
    const auto base = fork.copy();
    REQUIRE(audit(*base).empty());
    fork.ledger.commit(fork.own("sold"), {.id = "sold"}, kNow);
    fork.state.change_stock(product, [](StockRow& row) { row.held += 5; });
    fork.state.change_hold(fork.own("taken-back"), [](HoldRow& row) { row.estate_of = {}; });
    free_beside("mine", 2);
    fork.ledger.release(fork.own("freed-before"), kNow);
    fork.ledger.release(fork.own("purged"), kNow);
    fork.seal();
    REQUIRE(audit(fork.state).empty());
    fork.state.purge(kOld, {&fork.own("purged")}, fork.own("purged").sequence);
    fork.seal();

    const auto fresh = successor_of(fork.state, *base);
    CHECK(audit(*fresh).empty());
    CHECK(fresh->own_hold("sold")->row.estate_of == gone);
    CHECK(fresh->own_hold("sold")->row.state == HoldState::committed);
    CHECK(fresh->own_hold("taken-back")->row.state == HoldState::held);
    CHECK(fresh->own_hold("taken-back")->row.adopted_from == kOld);
    CHECK_FALSE(bool(fresh->own_hold("taken-back")->row.estate_of));
    CHECK(fresh->own_hold("kept") == nullptr);
    const HoldRow& mine = fresh->own_hold("mine")->row;  // the heir may stand in by it
    CHECK(mine.overruled);
    CHECK(mine.state == HoldState::released);
    CHECK(mine.freed == std::vector<holdfast::crdt::FreedHold>{{gone, {2}}});
    CHECK(fresh->hold("mine")->origin == kOld);
    CHECK(fresh->own_hold("freed-before")->row.freed.empty());
    CHECK(fresh->own_hold("purged") == nullptr);
    // 5 taken back; 7 and 9 of the old replica's, which its heir gives back. 2, 7 and 9 released.
    CHECK(row_of(*fresh, "a").held == 21);
    CHECK(row_of(*fresh, "a").released == 18);
    CHECK(row_of(*fresh, "a").sold == 4);
  }

  TEST_CASE("nothing happened since: nothing is written again") {
    Replica fork;
    fork.hold("open", "a", 3);
    fork.seal();
    const auto base = fork.copy();
    const Reissue rows = reissue(*base, fork.state);
    CHECK(rows.stock.empty());
    CHECK(rows.holds.empty());
    CHECK(rows.keys.empty());
  }

  TEST_CASE("without a base: all of others, nothing of its own or of the old one") {
    Replica fork;
    fork.hold("open", "a", 3);
    fork.seal();
    const auto made = successor(fork.state, nullptr, {kOld, {{1, 11}}}, kNew, 33);
    REQUIRE(made.ok());
    CHECK((*made)->head(kOld) == 0);
    CHECK((*made)->head(kNew) == 1);
    CHECK((*made)->member(kNew)->row.forked_from == kOld);
  }

  TEST_CASE("ends that were taken back since are undone under the new name (seed 21788)") {
    const holdfast::crdt::ReplicaId root{7}, other{9};
    Replica fork;
    auto& product = *fork.state.product("a");
    fork.state.change_stock(product, [](auto& row) {
      row.held += 2, row.released += 8, row.sold += 2, row.returned += 1;
    });
    auto& ended = fork.state.add_hold("ended", {.digest = 1,
                                                .state = HoldState::released,
                                                .lines = {{.sku = "a", .requested = 3, .held = 3}},
                                                .estate_of = root});
    auto& beside =
        fork.state.add_hold("beside", {.digest = 1,
                                       .state = HoldState::released,
                                       .lines = {{.sku = "a", .requested = 4, .held = 4}},
                                       .freed = {{.of = other, .units = {5}}}});
    auto& sold = fork.state.add_hold(
        "sold",
        {.digest = 1,
         .state = HoldState::committed,
         .lines = {{.sku = "a", .requested = 2, .held = 2, .committed = 2, .returned = 1}}});
    fork.seal();
    const auto base = fork.copy();
    fork.state.change_stock(product, [](auto& row) { row.held += 8, row.voided += 1; });
    fork.state.change_hold(ended, [](auto& row) { row.estate_of = {}; });
    fork.state.change_hold(beside, [](auto& row) { row.freed.clear(); });
    fork.state.change_hold(sold, [](auto& row) { row.overruled = true; });
    fork.seal();

    const auto fresh = successor_of(fork.state, *base);
    const auto undone = [&](const char* id) { return fresh->own_hold(id)->row.undone; };
    using Undone = std::vector<holdfast::crdt::UndoneEnd>;
    CHECK(undone("ended") == Undone{{.of = kOld, .root = root, .units = {3}, .again = {0}}});
    CHECK(undone("beside") == Undone{{.of = kOld, .root = other, .units = {5}, .again = {0}}});
    CHECK(undone("sold") == Undone{{.of = kOld, .units = {1}, .again = {0}}});
    CHECK(row_of(*fresh, "a").held == 8);
    CHECK(row_of(*fresh, "a").voided == 1);
    CHECK(audit(*fresh).empty());
  }

  TEST_CASE("copied, and nothing was written since: no boot is void, the copy's rows stand") {
    Replica original;
    original.hold("open", "a", 3);
    original.seal();
    const holdfast::node::ForkMark mark{kOld, {{original.state.head(kOld) + 1, 22}}};
    CHECK_FALSE(holdfast::node::has_parted(original.state, mark));
    auto made = successor(original.state, nullptr, mark, kNew, 33);
    REQUIRE(made.ok());
    CHECK((*made)->member(kNew)->row.voided_boots.empty());
    CHECK((*made)->member(kNew)->row.forked_from == kOld);
    CHECK((*made)->head(kOld) == original.state.head(kOld));
    CHECK((*made)->hold_of("open", kOld) != nullptr);
    CHECK((*made)->own_hold("open") == nullptr);

    original.hold("since", "a", 1);
    original.seal();
    made = successor(original.state, nullptr, mark, kNew, 33);
    REQUIRE(made.ok());
    CHECK((*made)->member(kNew)->row.voided_boots == std::vector<std::uint64_t>{22});
  }

  TEST_CASE("any history: sums are those of the fork, and every total is what its rows say") {
    check_property("reissue", [] {
      Replica fork;
      const auto steps = [&] {
        for (int i = *rc::gen::inRange(0, 40); i > 0; --i) {
          fork.act(*rc::gen::inRange(0, 10), *rc::gen::inRange(0, 40), *rc::gen::inRange(0, 40));
          if (*rc::gen::inRange(0, 3) == 0) fork.seal();
        }
        fork.seal();
      };
      steps();
      const auto base = fork.copy();
      steps();
      const auto fresh = successor_of(fork.state, *base);
      RC_ASSERT(audit(*fresh).empty());
      for (const auto& [sku, product] : fork.state.catalogue()) {
        const auto& was = product->stock;
        const auto& is = fresh->product(sku)->stock;
        RC_ASSERT(is.on_hand() == was.on_hand());
        RC_ASSERT(is.sold() == was.sold());
        RC_ASSERT(is.returned() == was.returned());
        RC_ASSERT(is.allowance() == was.allowance());
        RC_ASSERT(is.rights(kPeer) == was.rights(kPeer));
        // Older holds that the fork ended are open still in the old replica's rows, and their units
        // in its `held`: until its heir takes them over.
        Units twice = 0;
        for (const auto& [at, hold] : base->holds()) {
          const auto* now = fork.state.own_hold(hold->id);
          if (hold->row.state != HoldState::held || now->row.state == HoldState::held) continue;
          for (const auto& line : hold->row.lines) twice += line.sku == sku ? line.held : 0;
        }
        RC_ASSERT(is.held() == was.held() + twice);
        RC_ASSERT(is.rights(kOld) + is.rights(kNew) == was.rights(kOld) - twice);
      }
      for (const auto& [at, hold] : fork.state.holds()) {
        const auto* before = base->own_hold(hold->id);
        const auto* own = fresh->own_hold(hold->id);
        if (before == nullptr ||
            (before->row.state == HoldState::held && hold->row.state != HoldState::held))
          RC_ASSERT(own != nullptr && own->row.state == hold->row.state);
        else
          RC_ASSERT(own == nullptr);
      }
    });
  }
}

TEST_SUITE("fork mark") {
  TEST_CASE("it reads back, and damage shows") {
    const ForkMark mark{kOld, {{40, 22}, {45, 23}}};
    const std::string text = encode(mark);
    const auto back = decode_fork_mark(text);
    REQUIRE(back.ok());
    CHECK(*back == mark);
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string bad = text;
      bad[i] = bad[i] == '0' ? '1' : '0';
      CHECK_FALSE(decode_fork_mark(bad).ok());
      CHECK_FALSE(decode_fork_mark(text.substr(0, i)).ok());
    }
    CHECK_FALSE(decode_fork_mark(text + "x").ok());
  }
}

TEST_SUITE("audit") {
  TEST_CASE("totals that nothing explains, each by its name") {
    const auto found = [](auto&& change) {
      Replica replica;
      replica.hold("r", "a", 5);
      replica.hold("s", "a", 5);
      replica.ledger.commit(replica.own("s"), {.id = "s"}, kNow);
      replica.ledger.receive({.sku = "b", .quantity = 9, .key = {"POST b", "k"}}, kNow);
      replica.seal();
      REQUIRE(audit(replica.state).empty());
      change(replica.state);
      replica.seal();
      std::string all;
      for (const Difference& one : audit(replica.state)) all += one.what + " of " + one.sku + ";";
      return all;
    };
    const auto stock = [](const char* sku, auto&& edit) {
      return [=](State& state) { state.change_stock(*state.product(sku), edit); };
    };
    using Row = holdfast::crdt::StockRow;
    CHECK(found([](State&) {}) == "");
    CHECK(found(stock("a", [](Row& row) { row.held += 1; })) == "open holds of a;");
    CHECK(found(stock("a", [](Row& row) { row.released += 1; })) == "open holds of a;");
    CHECK(found(stock("a", [](Row& row) { row.sold += 1, row.held += 1; })) == "sold of a;");
    CHECK(found(stock("c", [](Row& row) { row.returned += 1; })) == "returned of c;");
    CHECK(found(stock("c", [](Row& row) { row.voided += 1; })) == "voided of c;");
    CHECK(found([](State& state) {
            state.change_hold(*state.own_hold("r"), [](holdfast::crdt::HoldRow& row) {
              row.state = HoldState::committed;
            });
          }) == "open holds of a;");
    CHECK(found([](State& state) {
            state.put_key("POST b\nmore", {.sku = "b", .effect = 1, .units = 500});
          }) == "received by keys of b;");
  }
}
