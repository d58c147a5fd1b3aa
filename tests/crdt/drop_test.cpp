// drop_origin: as if that origin had never written, here and in the store.

#include <map>

#include "crdt/state.h"
#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

const std::vector<ReplicaId> kOrigins = {replica(1), replica(2), replica(3)};

// Writes of every kind by one replica.
void write(State& state, int what, int x) {
  Product& product = state.make_product("s" + std::to_string(x % 3));
  const std::string name = "n" + std::to_string(x % 5);
  switch (what % 6) {
    case 0:
      return state.change_stock(product, [&](StockRow& row) {
        row.received += 1 + x;
        row.at(replica(7)).granted += 1;
        row.at(replica(1 + x % 4)).seized += x % 3;
      });
    case 1: {
      if (state.own_hold(name) != nullptr)
        return state.change_hold(*state.own_hold(name),
                                 [](HoldRow& row) { row.state = HoldState::released; });
      HoldRow row;
      row.lines.push_back({.sku = product.sku, .requested = 2, .held = 2});
      state.add_hold(name, std::move(row));
      return;
    }
    case 2:
      if (state.own_key(name) == nullptr) state.put_key(name, {.created_at = x});
      return;
    case 3:
      return state.put_sku(product, {.time = std::uint64_t(x) + 1, .name = name});
    case 4:
      return state.put_member({.node = name, .boots = {{1, state.self().value}}});
    default:
      return state.put_decree({.kind = DecreeKind::retirement,
                               .target = {std::uint64_t(900 + x % 3)},
                               .generation = 1,
                               .successor = replica(7)});
  }
}

// What a store holds after checkpoints, by (origin, kind, key).
using Stored = std::map<std::tuple<ReplicaId, RowKind, std::string>, std::string>;

bool save_some(State& state, Stored& stored, std::size_t rows_max) {
  return state.save(
      rows_max,
      [&](const FeedItem& item, std::string_view key, std::string&& bytes) {
        stored[{item.origin, item.kind, std::string(key)}] = std::move(bytes);
      },
      [&](const FeedItem& item, std::string_view key) {
        stored.erase({item.origin, item.kind, std::string(key)});
      });
}

void save_all(State& state, Stored& stored) {
  for (int i = 0; i < 2; ++i) {
    state.begin_checkpoint();
    while (!save_some(state, stored, 3)) {
    }
  }
}

Stored rows_of(const State& state) {
  Stored rows;
  for (const auto& [origin, head] : state.vector())
    for (auto at = state.feed(origin)->begin_after(0); at != state.feed(origin)->end(); ++at)
      append_item(*at->second, rows[{origin, at->second->kind, std::string(row_key(*at->second))}]);
  return rows;
}

TEST_SUITE("drop_origin") {
  TEST_CASE("as if it had never written; and it can be taken anew") {
    check_property("drop_origin", [] {
      std::map<ReplicaId, std::unique_ptr<State>> writers;
      for (const ReplicaId origin : kOrigins) writers[origin] = std::make_unique<State>(origin);
      const auto number = [](int below) { return *rc::gen::inRange(0, below); };
      for (int i = number(60); i > 0; --i) {
        State& state = *writers[kOrigins[number(3)]];
        write(state, number(6), number(30));
        std::string bytes;
        if (number(2) == 0) state.seal(bytes);
      }
      for (const auto& [origin, state] : writers) {
        std::string bytes;
        state->seal(bytes);
      }
      State all(replica(7)), others(replica(7));
      for (const ReplicaId origin : kOrigins) {
        absorb(all, *writers[origin], {origin});
        if (origin != kOrigins[1]) absorb(others, *writers[origin], {origin});
      }
      const std::string before = fingerprint(all, kOrigins);
      // SKUs stay known as names, without rows.
      for (const auto& [sku, product] : all.catalogue()) others.make_product(sku);

      const std::size_t lasting = all.lasting_rows();
      all.drop_origin(kOrigins[1]);
      RC_ASSERT(all.lasting_rows() == others.lasting_rows());
      RC_ASSERT(all.rows_dropped() == lasting - others.lasting_rows());
      RC_ASSERT(all.purged() == 0u);
      RC_ASSERT(fingerprint(all, kOrigins) == fingerprint(others, kOrigins));
      RC_ASSERT(all.vector() == others.vector());
      RC_ASSERT(all.retired() == others.retired());
      all.drop_origin(kOrigins[1]);  // nothing is left
      absorb(all, *writers[kOrigins[1]], {kOrigins[1]});
      RC_ASSERT(fingerprint(all, kOrigins) == before);
    });
  }

  TEST_CASE("checkpoints follow: whatever is dropped and comes back, and whenever") {
    check_property("dropped rows and checkpoints", [] {
      State writer(replica(1)), state(replica(7));
      Stored stored;
      bool saving = false;
      const auto number = [](int below) { return *rc::gen::inRange(0, below); };
      for (int i = number(80); i > 0; --i) {
        switch (number(6)) {
          case 0: {
            absorb(state, writer, {writer.self()});
            break;
          }
          case 1:
            state.drop_origin(writer.self());
            break;
          case 2:
            if (!saving) state.begin_checkpoint();
            saving = !save_some(state, stored, 1 + number(4));
            break;
          case 3:
            if (saving) saving = !save_some(state, stored, 1 + number(4));
            break;
          default: {
            write(writer, number(6), number(30));
            std::string bytes;
            writer.seal(bytes);
          }
        }
      }
      while (saving) saving = !save_some(state, stored, 3);
      save_all(state, stored);
      RC_ASSERT(stored == rows_of(state));
    });
  }

  TEST_CASE(
      "a row that comes back while a checkpoint runs leaves the store: it may be a lower one") {
    State before(replica(1)), after(replica(1)), state(replica(7));
    Stored stored;
    std::string bytes;
    for (int i = 0; i < 5; ++i) {
      before.put_member({.node = std::to_string(i)});
      before.seal(bytes);
    }
    after.put_member({.node = "other"});
    after.seal(bytes);
    absorb(state, before, {replica(1)});
    save_all(state, stored);
    REQUIRE(stored.size() == 1);
    state.drop_origin(replica(1));
    state.begin_checkpoint();
    absorb(state, after, {replica(1)});  // a batch after what the checkpoint lets go
    REQUIRE(save_some(state, stored, 3));
    CHECK(stored.empty());
    save_all(state, stored);
    CHECK(stored == rows_of(state));
  }

  TEST_CASE("a crash at any time: rows that were saved and a journal give what was here") {
    check_property("dropped rows and recovery", [] {
      auto writer = std::make_unique<State>(replica(1));
      State state(replica(7));
      Stored stored;
      std::vector<std::vector<std::string>> journal;  // rows of a batch; none: all were forgotten
      Sequence head = 0, head_then = 0;
      std::size_t covered = 0;
      bool saving = false;
      const auto save = [&](std::size_t rows) {
        saving = !save_some(state, stored, rows);
        if (saving) return;
        journal.erase(journal.begin(), journal.begin() + static_cast<std::ptrdiff_t>(covered));
        head = head_then;
      };
      const auto number = [](int below) { return *rc::gen::inRange(0, below); };
      for (int i = number(80); i > 0; --i) {
        switch (number(7)) {
          case 0: {
            absorb(state, *writer, {writer->self()});
            std::vector<std::string> rows;
            for (auto& [where, bytes] : rows_of(*writer)) rows.push_back(bytes);
            if (!rows.empty()) journal.push_back(std::move(rows));
            break;
          }
          case 1:  // what comes next is of another history, with lower sequences
            state.drop_origin(writer->self());
            writer = std::make_unique<State>(replica(1));
            journal.emplace_back();
            break;
          case 2:
            if (!saving) {
              state.begin_checkpoint();
              covered = journal.size();
              head_then = state.head(writer->self());
              save(1 + number(4));
            }
            break;
          case 3:
            if (saving) save(1 + number(4));
            break;
          default: {
            write(*writer, number(6), number(30));
            std::string bytes;
            writer->seal(bytes);
          }
        }
      }
      State again(replica(7));
      bool forgets = std::any_of(journal.begin(), journal.end(),
                                 [](const auto& rows) { return rows.empty(); });
      if (head > 0) again.advance(replica(1), head);
      for (const auto& [where, bytes] : stored) {
        const auto merged = again.merge(replica(1), *decode_row(bytes));
        RC_ASSERT(merged.ok() || forgets);  // rows of two histories contradict one another
      }
      again.all_saved();
      for (std::size_t i = 0; i < journal.size(); ++i) {
        if (journal[i].empty()) again.drop_origin(replica(1));
        forgets = std::any_of(journal.begin() + static_cast<std::ptrdiff_t>(i), journal.end(),
                              [](const auto& rows) { return rows.empty(); });
        for (const std::string& bytes : journal[i]) {
          const auto merged = again.merge(replica(1), *decode_row(bytes));
          RC_ASSERT(merged.ok() || forgets);
        }
      }
      if (state.head(replica(1)) > 0) again.advance(replica(1), state.head(replica(1)));
      RC_ASSERT(rows_of(again) == rows_of(state));
    });
  }

  TEST_CASE("what a former fork owes counts, in whatever order its rows come, until they go") {
    for (const bool member_first : {false, true}) {
      CAPTURE(member_first);
      State state(replica(7)), fork(replica(1));
      const auto write_member = [&] { fork.put_member({.node = "n", .forked_from = replica(2)}); };
      const auto absorb_fork = [&] {
        std::string bytes;
        fork.seal(bytes);
        absorb(state, fork, {replica(1)});
      };
      if (member_first) write_member();
      if (member_first) absorb_fork();
      fork.change_stock(fork.make_product("s"),
                        [](StockRow& row) { row.at(replica(7)).granted = 5; });
      absorb_fork();
      const BoundedCounter& stock = state.product("s")->stock;
      CHECK(stock.rights(replica(1)) == -5);
      CHECK(stock.shown_rights(replica(1)) == (member_first ? -5 : 0));
      if (!member_first) write_member();
      if (!member_first) absorb_fork();
      CHECK(stock.shown_rights(replica(1)) == -5);
      CHECK(stock.view_available() == 0);
      CHECK(stock.total_debt() == 5);
      CHECK(state.seized().contains("s"));
      CHECK_FALSE(stock.ever_seized(replica(1)));
      state.drop_origin(replica(1));
      CHECK(stock.rights(replica(7)) == 0);
      CHECK(stock.total_debt() == 0);
      CHECK(stock.view_available() == 0);
    }
  }

  TEST_CASE("a seizure that was seen counts until the rows that stand have come again") {
    for (const bool restarted : {false, true}) {
      CAPTURE(restarted);
      auto self = std::make_unique<State>(replica(7));
      State copy(replica(2)), fork(replica(1));
      std::string bytes;
      self->change_stock(self->make_product("s"), [](StockRow& row) { row.received = 10; });
      copy.put_member({.boots = {{1, 11}}});
      copy.seal(bytes);
      State early(replica(9));
      absorb(early, copy, {replica(2)});
      copy.change_stock(copy.make_product("s"),
                        [](StockRow& row) { row.at(replica(7)).seized = 4; });
      copy.seal(bytes);
      State original(replica(9));
      absorb(original, copy, {replica(2)});
      copy.put_member({.boots = {{1, 11}, {3, 22}}});
      copy.seal(bytes);
      absorb(*self, copy, {replica(2)});
      self->change_stock(*self->product("s"), [](StockRow& row) { row.at(replica(2)).seen = 4; });
      self->seal(bytes);
      CHECK(self->product("s")->stock.rights(replica(7)) == 6);
      CHECK(self->withheld(*self->product("s")) == 0);
      fork.put_member(
          {.acknowledged = {{replica(2), 2, 11}}, .voided_boots = {22}, .forked_from = replica(2)});
      fork.seal(bytes);
      if (restarted) {  // after the drop: only the former fork says that there is more
        auto fresh = std::make_unique<State>(replica(7));
        absorb(*fresh, *self, {replica(7)});
        self = std::move(fresh);
        absorb(*self, fork, {replica(1)});
      } else {
        absorb(*self, fork, {replica(1)});
        CHECK(self->withheld(*self->product("s")) == 0);
        self->drop_origin(replica(2));
      }
      const auto spendable = [&] {
        const Product& now = *self->product("s");
        return now.stock.rights(replica(7)) - self->withheld(now);
      };
      CHECK(self->product("s")->stock.rights(replica(7)) == 10);
      CHECK(spendable() == 6);
      absorb(*self, early, {replica(2)});  // from one who had been away
      CHECK(self->head(replica(2)) == 1);
      CHECK(spendable() == 6);
      absorb(*self, original, {replica(2)});
      CHECK(self->product("s")->stock.rights(replica(7)) == 6);
      CHECK(spendable() == 6);
      CHECK(self->withheld(*self->product("s")) == 0);
    }
  }

  TEST_CASE("void boots are known from member rows") {
    State state(replica(7)), fork(replica(1));
    fork.put_member({.boots = {{1, 5}}, .voided_boots = {77, 78}, .forked_from = replica(2)});
    std::string bytes;
    fork.seal(bytes);
    CHECK_FALSE(state.voided(77));
    absorb(state, fork, {replica(1)});
    CHECK(state.voided(77));
    CHECK(state.any_voided({{1, 5}, {9, 78}}));
    CHECK_FALSE(state.any_voided({{1, 5}}));
    CHECK_FALSE(state.voided(0));
  }
}

}  // namespace
}  // namespace holdfast::crdt
