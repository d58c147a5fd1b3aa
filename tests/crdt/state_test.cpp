// State: what merge refuses, which copy stands, ages of keys, what a checkpoint hands over.

#include "crdt/state.h"

#include <map>
#include <set>

#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

const std::vector<ReplicaId> kOrigins = {replica(0), replica(1), replica(2), replica(7)};

DecodedRow stock_row(Sequence sequence, StockRow row, std::string sku = "sku") {
  return {.kind = RowKind::stock,
          .key = std::move(sku),
          .sequence = sequence,
          .payload = std::move(row)};
}
DecodedRow hold_row(Sequence sequence, std::string id, HoldState hold_state,
                    ReplicaId adopted = {}) {
  HoldRow row{.state = hold_state, .number = sequence, .adopted_from = adopted};
  row.lines.push_back({.sku = "sku", .requested = 1, .held = 1});
  return {
      .kind = RowKind::hold, .key = std::move(id), .sequence = sequence, .payload = std::move(row)};
}
DecodedRow key_row(Sequence sequence, std::string key, std::int64_t created_at) {
  return {.kind = RowKind::key,
          .key = std::move(key),
          .sequence = sequence,
          .payload = KeyRow{.created_at = created_at}};
}

std::string seal(State& state) {
  std::string bytes;
  state.seal(bytes);
  return bytes;
}

void receive(State& state, const std::string& sku, Units units) {
  state.change_stock(state.make_product(sku), [&](StockRow& row) { row.received += units; });
}

TEST_SUITE("state") {
  TEST_CASE("what is expected need not be there, and nothing changes") {
    State state(replica(0));
    receive(state, "sku", 5);
    seal(state);
    REQUIRE(state.merge(replica(1), stock_row(1, {.received = 2}, "theirs")).ok());
    REQUIRE(state.merge(replica(1), hold_row(2, "cart", HoldState::held)).ok());
    const std::string before = fingerprint(state, kOrigins);
    using Ahead = State::Ahead;
    for (const Ahead step : {Ahead::tables, Ahead::items, Ahead::arrays, Ahead::cells})
      for (const char* name : {"sku", "theirs", "cart", "nobody's", ""}) {
        state.expect_hold(name, step);
        const Product* product = state.expect_product(name, step);
        CHECK((product == nullptr || (step == Ahead::items && product == state.product(name))));
      }
    CHECK(fingerprint(state, kOrigins) == before);
  }

  // ── merging ──

  TEST_CASE("merge refuses what one writer can't have written, and changes nothing") {
    State state(replica(7));
    const StockRow row{.received = 5, .peers = {{.peer = replica(1), .granted = 3}}};
    REQUIRE(state.merge(replica(0), stock_row(10, row)).ok());
    REQUIRE(state.merge(replica(0), hold_row(11, "cart", HoldState::held)).ok());
    state.advance(replica(0), 11);
    const std::string before = fingerprint(state, kOrigins);
    const auto refuses = [&](DecodedRow&& bad) {
      CHECK_FALSE(state.fits(replica(0), bad).ok());  // so that a delta is refused whole
      const auto merged = state.merge(replica(0), std::move(bad));
      CHECK_FALSE(merged.ok());
      CHECK(absl::IsInvalidArgument(merged.status()));
      CHECK(fingerprint(state, kOrigins) == before);
    };
    refuses(stock_row(12, {.received = 4, .peers = row.peers}));
    refuses(stock_row(12, {.received = 5}));
    refuses(stock_row(12, {.received = 5, .peers = {{.peer = replica(1), .granted = 2}}}));
    refuses(stock_row(11, {.received = 6, .peers = row.peers}));  // the hold has 11
    refuses(stock_row(10, {}, "other"));                          // two rows with one sequence
    refuses(hold_row(10, "new", HoldState::held));
    refuses(key_row(10, "key", 1));
    refuses({.kind = RowKind::member,
             .key = to_string(replica(1)),
             .sequence = 12,
             .payload = MemberRow{}});
    refuses({.kind = RowKind(99), .key = "later", .sequence = 11, .payload = std::string("x")});
    CHECK(state.product("other") == nullptr);
    CHECK(state.hold("new") == nullptr);
    CHECK(state.open_holds() == 1);
    CHECK(state.hold_count() == 1);
  }

  TEST_CASE("each total of a stock row may only grow") {
    using Total = Units StockRow::*;
    for (const Total total : {&StockRow::received, &StockRow::withdrawn, &StockRow::allowance_added,
                              &StockRow::allowance_removed, &StockRow::held, &StockRow::released,
                              &StockRow::sold, &StockRow::returned, &StockRow::voided}) {
      State state(replica(7));
      StockRow row{.held = 100};
      row.*total += 10;
      REQUIRE(state.merge(replica(0), stock_row(1, row)).ok());
      row.*total -= 1;
      CHECK_FALSE(state.merge(replica(0), stock_row(2, row)).ok());
      row.*total += 1;
      CHECK(state.merge(replica(0), stock_row(2, row)).ok());
    }
    using PeerTotal = Units PeerTotals::*;
    for (const PeerTotal total : {&PeerTotals::granted, &PeerTotals::seized, &PeerTotals::seen,
                                  &PeerTotals::debt_at_seen}) {
      State state(replica(7));
      StockRow row;
      row.at(replica(1)).*total = 10;
      REQUIRE(state.merge(replica(0), stock_row(1, row)).ok());
      row.at(replica(1)).*total = 9;
      CHECK_FALSE(state.merge(replica(0), stock_row(2, row)).ok());
    }
  }

  TEST_CASE("older versions and repetitions are not news") {
    State state(replica(7));
    REQUIRE(*state.merge(replica(0), stock_row(4, {.received = 4})) != nullptr);
    CHECK(*state.merge(replica(0), stock_row(4, {.received = 4})) == nullptr);
    CHECK(*state.merge(replica(0), stock_row(3, {.received = 3})) == nullptr);
    CHECK(state.product("sku")->stock.on_hand() == 4);
    CHECK(state.feed(replica(0))->size() == 1);
  }

  TEST_CASE("no more replicas than there can be") {
    State state(replica(0));
    for (std::uint64_t n = 1; n < kOriginsMax; ++n)
      REQUIRE(state.merge(replica(n), stock_row(1, {.received = 1})).ok());
    const auto merged = state.merge(replica(kOriginsMax), stock_row(1, {.received = 1}));
    CHECK(absl::IsResourceExhausted(merged.status()));
    CHECK(
        state.merge(replica(1), stock_row(2, {.received = 2})).ok());  // those that are here go on
    CHECK(state.product("sku")->stock.on_hand() == Units(kOriginsMax));
  }

  TEST_CASE("the vector never goes back") {
    State state(replica(7));
    state.advance(replica(0), 5);
    state.advance(replica(0), 3);
    CHECK(state.head(replica(0)) == 5);
    CHECK(state.vector()[replica(0)] == 5);
    CHECK(state.head(replica(1)) == 0);
    VersionVector more = state.vector();
    more.raise(replica(1), 1);
    CHECK(more.covers(state.vector()));
    CHECK_FALSE(state.vector().covers(more));
  }

  // ── which copy stands ──

  TEST_CASE("copies of a reservation: committed, released, held, expired; then home, then lowest") {
    const struct {
      HoldState state;
      bool adopted;
      std::uint64_t origin;
    } ranked[] = {{HoldState::committed, false, 2}, {HoldState::committed, true, 0},
                  {HoldState::committed, true, 1},  {HoldState::released, false, 2},
                  {HoldState::released, true, 0},   {HoldState::held, false, 1},
                  {HoldState::held, false, 2},      {HoldState::held, true, 0},
                  {HoldState::expired, false, 0},   {HoldState::expired, true, 2}};
    for (std::size_t a = 0; a < std::size(ranked); ++a)
      for (std::size_t b = a + 1; b < std::size(ranked); ++b) {
        if (ranked[a].origin == ranked[b].origin) continue;
        for (const bool swapped : {false, true}) {
          CAPTURE(a);
          CAPTURE(b);
          State state(replica(7));
          for (const auto& copy :
               {swapped ? ranked[b] : ranked[a], swapped ? ranked[a] : ranked[b]})
            REQUIRE(
                state
                    .merge(replica(copy.origin),
                           hold_row(1, "cart", copy.state, copy.adopted ? replica(6) : ReplicaId{}))
                    .ok());
          CHECK(state.hold("cart")->origin == replica(ranked[a].origin));
        }
      }
  }

  TEST_CASE("open holds are counted through every change") {
    State state(replica(0));
    HoldRow row;
    row.lines.push_back({.sku = "sku", .requested = 1, .held = 1});
    Hold& own = state.add_hold("a", HoldRow(row));
    state.add_hold("b", HoldRow(row));
    REQUIRE(state.merge(replica(1), hold_row(1, "a", HoldState::held)).ok());
    CHECK(state.open_holds() == 3);
    CHECK(state.own_open_holds() == 2);
    state.change_hold(own, [](HoldRow& hold) { hold.state = HoldState::expired; });
    REQUIRE(state.merge(replica(1), hold_row(2, "a", HoldState::committed)).ok());
    CHECK(state.open_holds() == 1);
    CHECK(state.own_open_holds() == 1);
    CHECK(state.own_hold("a") == &own);
    CHECK(own.row.number == 1);
    CHECK(state.own_hold("b")->row.number == 2);
  }

  TEST_CASE("the last writer describes a SKU, ties go to the higher replica") {
    State state(replica(7));
    const auto describe = [&](std::uint64_t origin, Sequence sequence, std::uint64_t time) {
      REQUIRE(state
                  .merge(replica(origin), {.kind = RowKind::sku,
                                           .key = "sku",
                                           .sequence = sequence,
                                           .payload = SkuRow{.time = time}})
                  .ok());
    };
    CHECK(state.product("sku") == nullptr);
    describe(1, 1, 5);
    describe(0, 1, 7);
    CHECK(state.product("sku")->description()->origin == replica(0));
    describe(2, 1, 7);
    CHECK(state.product("sku")->description()->origin == replica(2));
    describe(0, 2, 8);
    CHECK(state.product("sku")->description()->origin == replica(0));
    receive(state, "stock-only", 1);
    CHECK(state.product("stock-only")->description() == nullptr);
  }

  // ── own writes ──

  TEST_CASE("a row that changes often is stamped once a seal") {
    State state(replica(0));
    receive(state, "a", 1);
    receive(state, "b", 1);
    receive(state, "a", 1);
    CHECK(state.has_unsealed());
    CHECK(state.head(replica(0)) == 0);
    auto rows = decode_rows(seal(state));
    REQUIRE(rows.ok());
    REQUIRE(rows->size() == 2);
    CHECK((*rows)[0].key == "a");
    CHECK((*rows)[0].sequence == 1);
    CHECK((*rows)[1].sequence == 2);
    CHECK(std::get<StockRow>((*rows)[0].payload).received == 2);
    CHECK_FALSE(state.has_unsealed());
    CHECK(seal(state).empty());
    receive(state, "a", 1);
    seal(state);
    CHECK(state.head(replica(0)) == 3);
    CHECK(state.feed(replica(0))->size() == 2);  // it moved to the end
    CHECK(state.feed(replica(0))->begin_after(2)->second->sequence == 3);
  }

  TEST_CASE("the digest counts what is stamped") {
    State state(replica(0));
    receive(state, "a", 1);
    CHECK(state.digest() == 0);
    seal(state);
    const std::uint64_t one = state.digest();
    CHECK(one != 0);
    state.put_member({.region = "eu", .node = "eu-1"});
    state.put_key("k", {});
    seal(state);
    CHECK(state.digest() == one);  // members and keys don't count
    receive(state, "a", 1);
    CHECK(state.digest() == one);
    seal(state);
    CHECK(state.digest() != one);
  }

  TEST_CASE("which boot wrote a sequence") {
    State state(replica(7));
    REQUIRE(state
                .merge(replica(0), {.kind = RowKind::member,
                                    .key = to_string(replica(0)),
                                    .sequence = 20,
                                    .payload = MemberRow{.boots = {{1, 100}, {10, 200}}}})
                .ok());
    CHECK(state.boot_of(replica(0), 1) == 100);
    CHECK(state.boot_of(replica(0), 9) == 100);
    CHECK(state.boot_of(replica(0), 10) == 200);
    CHECK(state.boot_of(replica(0), 99) == 200);
    CHECK(state.boot_of(replica(1), 1) == 0);
  }

  TEST_CASE("sums have room up to the largest total") {
    State state(replica(0));
    receive(state, "a", kUnitsMax - 10);
    const BoundedCounter& stock = state.product("a")->stock;
    CHECK(stock.has_room(10));
    CHECK_FALSE(stock.has_room(11));
  }

  // ── ages of keys ──

  TEST_CASE("keys are dropped by age, whoever wrote them") {
    State state(replica(1));
    REQUIRE(state.merge(replica(0), key_row(1, "k", 10)).ok());
    state.put_key("k", {.created_at = 20});
    REQUIRE(state.merge(replica(2), key_row(1, "k", 15)).ok());
    REQUIRE(state.merge(replica(2), key_row(2, "other", 16)).ok());
    seal(state);
    CHECK(state.key("k")->origin == replica(0));
    state.drop_keys_before(11, 100);
    CHECK(state.key("k")->origin == replica(1));
    CHECK(state.feed(replica(0))->size() == 0);
    state.drop_keys_before(16, 100);  // the middle of the chain
    CHECK(state.key("k")->origin == replica(1));
    CHECK(state.key("other") != nullptr);
    state.drop_keys_before(17, 100);
    CHECK(state.key("other") == nullptr);
    state.drop_keys_before(20, 100);  // 20 is not before 20
    CHECK(state.key("k") != nullptr);
    state.drop_keys_before(21, 100);
    CHECK(state.key("k") == nullptr);
    state.drop_keys_before(1000, 100);
  }

  TEST_CASE("copies of keys can go in any order") {
    check_property(
        "drop_keys_before keeps exactly the younger copies",
        [](const std::vector<std::pair<std::uint8_t, std::uint8_t>>& copies,
           const std::vector<std::uint8_t>& times) {
          State state(replica(0));
          std::map<std::pair<std::uint64_t, std::string>, std::int64_t> model;
          std::map<std::uint64_t, Sequence> last;
          const auto check = [&] {
            for (const std::string name : {"key-0", "key-1"}) {
              const auto first = std::find_if(model.begin(), model.end(), [&](const auto& entry) {
                return entry.first.second == name;
              });
              const Key* standing = state.key(name);
              RC_ASSERT((standing == nullptr) == (first == model.end()));
              if (standing != nullptr) RC_ASSERT(standing->origin == replica(first->first.first));
            }
          };
          for (const auto& [who, age] : copies) {
            const std::uint64_t origin = 1 + who % 4;
            const std::string name = "key-" + std::to_string(who / 4 % 2);
            if (!model.emplace(std::pair(origin, name), age).second) continue;
            RC_ASSERT(state.merge(replica(origin), key_row(++last[origin], name, age)).ok());
          }
          check();
          std::vector<std::uint8_t> rising = times;
          std::sort(rising.begin(), rising.end());
          for (const std::uint8_t time : rising) {
            state.drop_keys_before(time, 1000);
            std::erase_if(model, [&](const auto& entry) { return entry.second < time; });
            check();
          }
        });
  }

  TEST_CASE("no more keys are dropped at once than asked, and none that is not stamped") {
    State state(replica(0));
    for (int i = 0; i < 5; ++i) state.put_key("k" + std::to_string(i), {.created_at = i});
    state.drop_keys_before(100, 100);
    CHECK(state.key("k0") != nullptr);
    seal(state);
    state.drop_keys_before(100, 2);
    CHECK(state.key("k1") == nullptr);
    CHECK(state.key("k2") != nullptr);
  }

  // ── checkpoints ──

  using Address = std::tuple<ReplicaId, RowKind, std::string>;

  // A store that does what it is told.
  struct Store {
    std::map<Address, std::string> rows;
    std::set<Address> put, dropped;
    bool slice(State& state, std::size_t rows_max) {
      return state.save(
          rows_max,
          [&](const FeedItem& item, std::string_view key, std::string&& bytes) {
            const Address at{item.origin, item.kind, std::string(key)};
            put.insert(at);
            rows[at] = std::move(bytes);
          },
          [&](const FeedItem& item, std::string_view key) {
            dropped.insert({item.origin, item.kind, std::string(key)});
            rows.erase({item.origin, item.kind, std::string(key)});
          });
    }
    void checkpoint(State& state, std::size_t rows_max = 1000) {
      put.clear();
      dropped.clear();
      state.begin_checkpoint();
      while (!slice(state, rows_max)) {
      }
    }
  };

  std::map<Address, std::string> rows_of(const State& state) {
    std::map<Address, std::string> rows;
    for (const ReplicaId origin : kOrigins)
      if (const Feed* feed = state.feed(origin))
        for (auto at = feed->begin_after(0); at != feed->end(); ++at)
          append_item(*at->second,
                      rows[{origin, at->second->kind, std::string(row_key(*at->second))}]);
    return rows;
  }

  TEST_CASE("a checkpoint hands over exactly what changed since the last") {
    check_property(
        "put = changed, and the store ends with every row",
        [](const std::vector<Write>& writes, std::uint8_t slice) {
          State state(replica(0));
          Store store;
          auto before = rows_of(state);
          for (const Write& write : writes) {
            write_to(state, write);
            if (write.amount % 4 == 0)
              RC_ASSERT(merge(state, {replica(1), [&] {
                                        std::string bytes;
                                        append_row(RowKind(50 + write.which % 3), "later",
                                                   1 + state.head(replica(1)), 2,
                                                   std::to_string(write.amount), bytes);
                                        return bytes;
                                      }()}));
            if (!write.seal) continue;
            seal(state);
            const auto now = rows_of(state);
            std::set<Address> changed;
            for (const auto& [at, bytes] : now)
              if (const auto was = before.find(at); was == before.end() || was->second != bytes)
                changed.insert(at);
            store.checkpoint(state, 1 + slice % 5);
            RC_ASSERT(store.put == changed);
            RC_ASSERT(store.dropped.empty());
            RC_ASSERT(store.rows == now);
            before = now;
          }
        });
  }

  TEST_CASE("rows that change while a checkpoint runs") {
    State state(replica(0));
    Store store;
    for (int i = 0; i < 10; ++i) receive(state, sku_name(i), 1);
    seal(state);
    state.begin_checkpoint();
    CHECK_FALSE(store.slice(state, 4));
    for (int i = 0; i < 10; ++i) receive(state, sku_name(i), 1);
    seal(state);
    while (!store.slice(state, 4)) {
    }
    CHECK(state.unsaved() == 4);  // those saved before the change; the others went along with it
    store.checkpoint(state);
    CHECK(store.put.size() == 4);
    CHECK(store.rows == rows_of(state));
    store.checkpoint(state);
    CHECK(store.put.empty());
  }

  TEST_CASE("dropped keys leave the store, unless they were written anew") {
    State state(replica(0));
    Store store;
    state.put_key("old", {.digest = 1, .created_at = 1});
    state.put_key("again", {.digest = 1, .created_at = 1});
    state.put_key("young", {.digest = 1, .created_at = 9});
    seal(state);
    store.checkpoint(state);
    CHECK(store.rows.size() == 3);
    state.put_key("unsaved", {.created_at = 2});
    seal(state);
    state.drop_keys_before(5, 100);
    state.put_key("again", {.digest = 2, .created_at = 9});  // its day is over: a new request
    seal(state);
    store.checkpoint(state);
    CHECK(store.rows == rows_of(state));
    CHECK(store.rows.size() == 2);
    CHECK(state.key("again")->row.digest == 2);
  }

  TEST_CASE("a key dropped while its checkpoint runs") {
    State state(replica(0));
    Store store;
    for (int i = 0; i < 6; ++i) state.put_key("k" + std::to_string(i), {.created_at = 1});
    seal(state);
    state.begin_checkpoint();
    CHECK_FALSE(store.slice(state, 3));
    state.drop_keys_before(5, 100);
    while (!store.slice(state, 3)) {
    }
    store.checkpoint(state);
    CHECK(store.rows.empty());
    CHECK(rows_of(state).empty());
  }

  TEST_CASE("what was loaded is not saved again") {
    State state(replica(0));
    receive(state, "a", 1);
    seal(state);
    CHECK(state.unsaved() == 1);
    state.all_saved();
    Store store;
    store.checkpoint(state);
    CHECK(store.put.empty());
    receive(state, "a", 1);
    seal(state);
    store.checkpoint(state);
    CHECK(store.put.size() == 1);
  }
}

}  // namespace
}  // namespace holdfast::crdt
