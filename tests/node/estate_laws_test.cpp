// Estates at random: replicas that reserve, end and retire one another while they see each other
// or not, and what is held and sold of it all once those that are left know everything.

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crdt/codec.h"
#include "node/audit.h"
#include "node/copies.h"
#include "node/estate.h"
#include "node/ledger.h"
#include "tests/support/property.h"

using namespace holdfast::node;
using holdfast::crdt::DecreeKind;
using holdfast::crdt::Hold;
using holdfast::crdt::HoldState;
using holdfast::crdt::State;
using holdfast::tests::check_property;

namespace {

constexpr Times kNow{.life_ms = 1'000, .wall_ms = 1'700'000'000'000};

// One node: what an engine does with holds and retirements, and nothing else.
struct Node {
  State state;
  Ledger ledger{state, [](const holdfast::crdt::Product&) { return Units{0}; }};
  Copies copies{state,
                ledger,
                {.freed = [](const Hold&) {},
                 .owes = [](holdfast::crdt::Product&) {},
                 .tell = [](std::string) {},
                 .may_seize = [](const Hold&) { return false; }}};
  Estate estate{state, ledger, copies, [](holdfast::crdt::Product&) {}};
  std::map<ReplicaId, ReplicaId> heirs;

  explicit Node(ReplicaId id) : state(id) {
    ledger.put_sku({.sku = "a"}, kNow);
    ledger.receive({.sku = "a", .quantity = 1'000}, kNow);
    seal();
  }
  void seal() {
    std::string rows;
    state.seal(rows);
  }
  bool is_over() const { return state.retired(state.self()); }
  void hold(const std::string& id, Units units) {
    auto cart = ledger.check({.id = id, .lines = {{"a", units}}});
    ledger.hold(std::get<Cart>(std::move(cart)), {units}, kNow);
    seal();
  }
  // The own copy, if a customer who asks here is answered by it (Engine::decided_here).
  Hold* decided_here(const std::string& id) const {
    Hold* own = state.own_hold(id);
    const Hold* standing = state.hold(id);
    if (own == nullptr || own == standing) return own;
    const bool heir = standing->row.state == HoldState::held && state.retired(standing->origin) &&
                      state.heir(standing->origin) == state.self();
    return !own->row.overruled && heir ? own : nullptr;
  }
  void commit(const std::string& id, Units units) {
    if (Hold* own = decided_here(id))
      ledger.commit(*own, {.id = id, .lines = std::vector<Line>{{"a", units}}}, kNow);
    seal();
  }
  void release(const std::string& id) {
    if (Hold* own = decided_here(id)) ledger.release(*own, kNow);
    seal();
  }
  void retire(ReplicaId target, ReplicaId successor) {
    state.put_decree({.kind = DecreeKind::retirement,
                      .target = target,
                      .generation = 1,
                      .successor = successor});
    decrees_changed();
    seal();
  }
  void decrees_changed() {
    std::vector<ReplicaId> changed;
    for (const auto& [key, decree] : state.decrees()) {
      const ReplicaId heir = state.heir(decree->row.target);
      const auto [at, fresh] = heirs.try_emplace(decree->row.target, heir);
      if (!fresh && at->second == heir) continue;
      at->second = heir;
      changed.push_back(decree->row.target);
    }
    for (const ReplicaId replica : changed) estate.heir_changed(replica, kNow);
  }
  // All that the other has, of one origin.
  void take(const Node& from, ReplicaId origin) {
    const auto* feed = origin == state.self() ? nullptr : from.state.feed(origin);
    if (feed == nullptr || from.state.head(origin) <= state.head(origin)) return;
    for (auto at = feed->begin_after(state.head(origin)); at != feed->end(); ++at) {
      std::string bytes;
      holdfast::crdt::append_item(*at->second, bytes);
      const auto item = state.merge(origin, *holdfast::crdt::decode_row(bytes));
      REQUIRE(item.ok());
      if (*item == nullptr) continue;
      if ((*item)->kind == holdfast::crdt::RowKind::hold) {
        estate.merged(static_cast<const Hold&>(**item), kNow);
        copies.settle(static_cast<const Hold&>(**item).id, kNow);
      } else if ((*item)->kind == holdfast::crdt::RowKind::decree) {
        decrees_changed();
      }
    }
    state.advance(origin, from.state.head(origin));
    seal();
  }
  void take(const Node& from) {
    for (const auto& [origin, head] : from.state.vector()) take(from, origin);
  }
};

// Nodes 0 … n − 1 with ids in some order. The successor of a node is one after it, so the last one
// is never retired, and no two name each other.
struct Nodes {
  std::vector<std::unique_ptr<Node>> all;
  explicit Nodes(const std::vector<std::uint64_t>& ids) {
    for (const std::uint64_t id : ids) all.push_back(std::make_unique<Node>(ReplicaId{id}));
    settle();
  }
  Node& operator[](std::size_t i) { return *all[i]; }
  ReplicaId id(std::size_t i) const { return all[i]->state.self(); }
  void retire(std::size_t by, std::size_t target, std::size_t successor) {
    all[by]->retire(id(target), id(successor));
  }
  // Until those that are not retired know everything, also of the others.
  void settle() {
    std::uint64_t before = 0, now = 1;
    while (std::exchange(before, now) != now) {
      for (auto& to : all)
        for (auto& from : all)
          if (to != from && !to->is_over()) to->take(*from);
      now = 0;
      for (auto& node : all)
        for (const auto& [origin, head] : node->state.vector()) now += head;
    }
  }
  // What is wrong, as those see it that are not retired; nothing: nothing.
  std::string wrong() {
    std::string what;
    for (auto& node : all) {
      if (node->is_over()) continue;
      const State& state = node->state;
      for (const Difference& one : audit(state))
        what += one.what + " of " + std::to_string(one.replica.value) + " is " +
                std::to_string(one.is) + ", not " + std::to_string(one.should) + "; ";
      Units open = 0, sold = 0;
      for (const auto& [key, hold] : state.holds()) {
        if (hold->row.state == HoldState::held && !state.superseded(*hold))
          open += hold->row.lines[0].held;
        if (state.hold(hold->id) == hold) sold += hold->row.lines[0].committed;
      }
      const auto& stock = state.product("a")->stock;
      if (stock.held() != open)
        what += std::to_string(stock.held()) + " are held, not " + std::to_string(open) + "; ";
      if (stock.sold() != sold)
        what += std::to_string(stock.sold()) + " are sold, not " + std::to_string(sold) + "; ";
    }
    return what;
  }
};

}  // namespace

TEST_SUITE("laws of estates") {
  TEST_CASE("a retired heir's end of a hold that is not here does not stand, until that comes") {
    Nodes nodes({1, 2, 3});
    Node &home = nodes[0], &heir = nodes[1], &next = nodes[2];
    home.hold("r", 4);  // of which the next heir has earlier rows only
    heir.take(home);
    nodes.retire(1, 0, 1);
    heir.release("r");
    next.take(heir, nodes.id(1));
    nodes.retire(2, 1, 2);
    const auto undone = [&] {
      const Hold* own = next.state.own_hold("r");
      REQUIRE(own != nullptr);
      return own->row.undone;
    };
    using holdfast::crdt::UndoneEnd;
    const UndoneEnd it{.of = nodes.id(1), .root = nodes.id(0), .units = {4}, .again = {0}};
    CHECK(undone() == std::vector<UndoneEnd>{it});
    CHECK(nodes.wrong() == "");
    nodes.settle();
    UndoneEnd not_any_more = it;
    not_any_more.again = {4};
    CHECK(undone() == std::vector<UndoneEnd>{not_any_more});
    CHECK(nodes.wrong() == "");
  }

  TEST_CASE("whoever ends, retires and hears of it when: held once, sold once") {
    const auto law = [] {
      const std::size_t count = *rc::gen::inRange(3, 7);
      std::vector<std::uint64_t> ids;
      for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t id = 1 + *rc::gen::inRange(0, 1'000);
        while (std::find(ids.begin(), ids.end(), id) != ids.end()) ++id;
        ids.push_back(id);
      }
      Nodes nodes(ids);
      const auto any = [&](std::size_t from, std::size_t to) {
        return static_cast<std::size_t>(*rc::gen::inRange(static_cast<int>(from), int(to)));
      };
      for (int acts = *rc::gen::inRange(5, 120); acts > 0; --acts) {
        const std::size_t at = any(0, count), other = any(0, count);
        const std::string id = "r" + std::to_string(*rc::gen::inRange(0, 3));
        if (nodes[at].is_over()) continue;
        switch (*rc::gen::inRange(0, 8)) {
          case 0:
          case 1:
            if (nodes[at].state.hold(id) == nullptr) nodes[at].hold(id, 4);
            break;
          case 2:
            nodes[at].commit(id, *rc::gen::inRange(3, 5));
            break;
          case 3:
            nodes[at].release(id);
            break;
          case 4:
            if (const std::size_t target = any(0, count - 1); target != at)
              nodes.retire(at, target, any(target + 1, count));
            break;
          case 5:
            if (at != other) nodes[at].take(nodes[other], nodes.id(any(0, count)));
            break;
          default:
            if (at != other) nodes[at].take(nodes[other]);
        }
      }
      nodes.settle();
      const std::string wrong = nodes.wrong();
      if (!wrong.empty()) RC_FAIL(wrong);
    };
    check_property("one end of each hold stands, and one sale", law, 60);
  }
}
