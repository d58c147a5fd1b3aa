// Purging: what a home lets go goes everywhere, and does not come back; a full transfer replaces.

#include <map>
#include <set>

#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

const std::vector<ReplicaId> kOrigins = {replica(0), replica(1), replica(2)};

void seal(State& state) {
  std::string bytes;
  state.seal(bytes);
}

Hold& add_hold(State& state, const std::string& id) {
  HoldRow row{.digest = 1, .metadata = "\"" + id + "\""};
  row.lines.push_back({.sku = "sku", .requested = 2, .held = 2});
  state.change_stock(state.make_product("sku"), [](StockRow& stock) { stock.held += 2; });
  return state.add_hold(id, std::move(row));
}

void finish(State& state, const std::string& id) {
  state.change_hold(*state.own_hold(id), [](HoldRow& row) { row.state = HoldState::committed; });
  state.change_stock(state.make_product("sku"), [](StockRow& stock) { stock.sold += 2; });
}

// Drops the own holds that have ended up to `floor`, as an engine that may.
void purge_upto(State& state, Sequence floor) {
  std::vector<Hold*> holds;
  for (auto at = state.feed(state.self())->begin_after(state.floor(state.self()));
       at != state.feed(state.self())->end() && at->first <= floor; ++at) {
    if (at->second->kind != RowKind::hold || at->second->dirty) continue;
    auto* hold = static_cast<Hold*>(at->second);
    if (hold->row.state != HoldState::held) holds.push_back(hold);
  }
  state.purge(state.self(), holds, floor);
}

Delta cut(const State& from, ReplicaId origin, Sequence has) {
  const Sequence begin = begin_of_delta(from, origin, has);
  Staging staging;
  auto delta = staging.add(cut_piece(from, origin, begin, begin, 1 << 30));
  REQUIRE(delta.ok());
  REQUIRE(delta->has_value());
  return **std::move(delta);
}

std::vector<HoldVersion> apply(State& into, Delta&& delta) {
  const bool replaces = delta.full() && into.head(delta.origin) > 0;
  const auto present = delta.hold_ids();
  REQUIRE(delta.from <= into.head(delta.origin));
  for (DecodedRow& row : delta.rows) REQUIRE(into.merge(delta.origin, std::move(row)).ok());
  into.advance(delta.origin, delta.to);
  return replaces ? into.drop_absent(delta.origin, delta.to, present) : std::vector<HoldVersion>();
}

void tell(const State& from, State& to) {
  for (const ReplicaId origin : kOrigins)
    if (origin != to.self() && from.head(origin) > to.head(origin))
      apply(to, cut(from, origin, to.head(origin)));
}

// A home with holds "a" … "d" that a peer has; "b" and "c" have ended since.
struct Pair {
  State home{replica(0)}, peer{replica(1)};
  Sequence ended = 0;
  Pair() {
    home.put_member({.region = "eu", .node = "eu-1"});
    for (const char* id : {"a", "b", "c", "d"}) add_hold(home, id);
    seal(home);
    tell(home, peer);
    finish(home, "b");
    finish(home, "c");
    seal(home);
    ended = home.head(replica(0));
  }
  bool agree() const { return fingerprint(home, kOrigins) == fingerprint(peer, kOrigins); }
};

TEST_SUITE("purge") {
  TEST_CASE("what the home drops goes where its floor comes, and nothing else") {
    Pair pair;
    tell(pair.home, pair.peer);
    REQUIRE(pair.agree());
    const std::string stock = stock_answers(pair.home, kOrigins);
    purge_upto(pair.home, pair.ended);
    seal(pair.home);
    CHECK(pair.home.hold("b") == nullptr);
    CHECK(pair.home.hold("a") != nullptr);
    CHECK(pair.home.hold_count() == 2);
    CHECK(pair.peer.hold_count() == 4);
    tell(pair.home, pair.peer);  // the member row alone
    CHECK(pair.agree());
    CHECK(pair.peer.hold_count() == 2);
    CHECK(pair.peer.open_holds() == 2);
    CHECK(pair.peer.floor(replica(0)) == pair.ended);
    CHECK(stock_answers(pair.home, kOrigins) == stock);
    CHECK(stock_answers(pair.peer, kOrigins) == stock);
    CHECK(pair.home.purged() == 2);
    CHECK(pair.home.lasting_rows() == pair.peer.lasting_rows());
  }

  TEST_CASE("a peer that does not know it yet brings nothing back, in no version") {
    Pair pair;
    State late(replica(2));
    tell(pair.peer, late);  // "b" and "c" held
    const Delta held = cut(late, replica(0), 0);
    tell(pair.home, late);  // "b" and "c" ended
    const Delta ended = cut(late, replica(0), 0);
    tell(pair.home, pair.peer);
    purge_upto(pair.home, pair.ended);
    seal(pair.home);
    tell(pair.home, pair.peer);
    apply(pair.peer, Delta(held));
    apply(pair.peer, Delta(ended));
    CHECK(pair.agree());
    apply(late, cut(pair.home, replica(0), late.head(replica(0))));
    CHECK(fingerprint(late, kOrigins) == fingerprint(pair.home, kOrigins));
  }

  TEST_CASE("who stands below the floor takes everything, and loses what ended meanwhile") {
    Pair pair;
    const Sequence has = pair.peer.head(replica(0));
    const std::string stock = stock_answers(pair.home, kOrigins);
    purge_upto(pair.home, pair.ended);
    add_hold(pair.home, "e");
    seal(pair.home);
    CHECK(begin_of_delta(pair.home, replica(0), has) == 0);
    CHECK(begin_of_delta(pair.home, replica(0), pair.ended) == pair.ended);
    CHECK(begin_of_delta(pair.home, replica(0), 0) == 0);
    const auto dropped = apply(pair.peer, cut(pair.home, replica(0), has));
    REQUIRE(dropped.size() == 2);
    CHECK(dropped[0].id == "b");
    CHECK(dropped[0].sequence <= has);
    CHECK(pair.agree());
    CHECK(pair.peer.hold("a") != nullptr);  // it is open, and was in the transfer
    CHECK(stock_answers(pair.peer, kOrigins) != stock);
    CHECK(pair.peer.product("sku")->stock.held() == pair.home.product("sku")->stock.held());
  }

  TEST_CASE("a full transfer that comes late, or twice, takes nothing away that is newer") {
    Pair pair;
    purge_upto(pair.home, pair.ended);
    seal(pair.home);
    const Delta full = cut(pair.home, replica(0), 0);
    add_hold(pair.home, "e");
    add_hold(pair.home, "b");  // its id is new again
    finish(pair.home, "d");
    seal(pair.home);
    apply(pair.peer, cut(pair.home, replica(0), pair.peer.head(replica(0))));
    REQUIRE(pair.agree());
    CHECK(apply(pair.peer, Delta(full)).empty());
    CHECK(pair.agree());
    CHECK(pair.peer.hold("e") != nullptr);
    CHECK(pair.peer.hold("b")->row.state == HoldState::held);
  }

  TEST_CASE("an id that is new again has its new place in lists, everywhere") {
    Pair pair;
    tell(pair.home, pair.peer);
    purge_upto(pair.home, pair.ended);
    add_hold(pair.home, "e");
    Hold& again = add_hold(pair.home, "b");  // all of it in one batch
    CHECK(again.row.number == 6);
    seal(pair.home);
    tell(pair.home, pair.peer);
    CHECK(pair.agree());
    CHECK(pair.peer.hold("b")->row.number == 6);
    CHECK(pair.peer.holds().size() == pair.peer.hold_count());
  }

  TEST_CASE("numbers of holds are not given again, not even after a start") {
    Pair pair;
    const std::uint64_t last = pair.home.own_hold("d")->row.number;
    finish(pair.home, "d");
    seal(pair.home);
    purge_upto(pair.home, pair.home.head(replica(0)));
    seal(pair.home);
    State again(replica(0));
    Delta all = cut(pair.home, replica(0), 0);
    for (DecodedRow& row : all.rows) REQUIRE(again.merge(replica(0), std::move(row)).ok());
    again.advance(replica(0), all.to);
    CHECK(add_hold(again, "new").row.number > last);
    CHECK(add_hold(pair.home, "new").row.number > last);
  }

  TEST_CASE("a floor above what its origin has written is refused") {
    State state(replica(7));
    for (const Sequence floor : {5u, 6u, 1000u}) {
      DecodedRow row{.kind = RowKind::member,
                     .key = to_string(replica(0)),
                     .sequence = 5,
                     .payload = MemberRow{.purge_floor = floor}};
      CHECK(absl::IsInvalidArgument(state.fits(replica(0), row)));
      CHECK_FALSE(state.merge(replica(0), std::move(row)).ok());
    }
    CHECK(state.member(replica(0)) == nullptr);
    CHECK(state
              .merge(replica(0), {.kind = RowKind::member,
                                  .key = to_string(replica(0)),
                                  .sequence = 5,
                                  .payload = MemberRow{.purge_floor = 4}})
              .ok());
    state.advance(replica(0), 3);  // of a delta that was refused halfway: its floor is not reached
    CHECK(state.floor(replica(0)) == 0);
    state.advance(replica(0), 5);
    CHECK(state.floor(replica(0)) == 4);
  }

  TEST_CASE("a transfer is whole as long as nothing was dropped that it had to tell") {
    Pair pair;
    const Sequence begun = pair.home.head(replica(0));
    purge_upto(pair.home, pair.ended);
    CHECK(still_whole(pair.home, replica(0), pair.ended, begun));
    CHECK_FALSE(still_whole(pair.home, replica(0), pair.ended - 1, begun));
    CHECK(still_whole(pair.home, replica(0), 0, begun));  // they had ended before it began
    finish(pair.home, "a");
    seal(pair.home);
    purge_upto(pair.home, pair.home.head(replica(0)));
    CHECK_FALSE(still_whole(pair.home, replica(0), 0, begun));  // sent as held, perhaps
  }

  // ── against the specification ──

  // Three replicas, each writing its own holds and purging them as it likes; rows go about in
  // pieces, from anyone to anyone. The specification: of an origin's hold, who has come up to n has
  // the version that stood at n, or, if that was the end and has been purged, perhaps nothing.
  class World {
   public:
    World() {
      for (int i = 0; i < 3; ++i) {
        states_.push_back(std::make_unique<State>(replica(i)));
        states_[i]->put_member({.region = "eu", .node = "n"});
        seal_own(i);
      }
    }
    void step(std::uint8_t what, std::uint8_t who, std::uint8_t which) {
      const int at = who % 3;
      State& state = *states_[at];
      const std::string id = "hold-" + std::to_string(which % 5);
      switch (what % 9) {
        case 0:
        case 1:
          if (state.own_hold(id) == nullptr) add_hold(state, id);
          break;
        case 2:
        case 3:
          if (const Hold* hold = state.own_hold(id);
              hold != nullptr && hold->row.state == HoldState::held)
            finish(state, id);
          break;
        case 4:
          seal_own(at);
          break;
        case 5: {  // with all that has ended up to some write
          const Sequence head = state.head(state.self());
          const Sequence floor = head - std::min<Sequence>(head, which % 4);
          if (floor <= state.floor(state.self())) break;
          purge_upto(state, floor);
          break;
        }
        default:
          carry(at, (at + 1 + which % 2) % 3, which / 2 % 3);
      }
    }
    void finish_all() {
      for (int i = 0; i < 3; ++i) seal_own(i);
      transfers_.clear();
      for (int round = 0; round < 2; ++round)
        for (int from = 0; from < 3; ++from)
          for (int to = 0; to < 3; ++to)
            if (from != to) tell(*states_[from], *states_[to]);
      for (int i = 1; i < 3; ++i)
        RC_ASSERT(fingerprint(*states_[i], kOrigins) == fingerprint(*states_[0], kOrigins));
    }

   private:
    struct Transfer {
      Sequence from = 0, sent = 0, begun = 0;
      Staging staging;
    };
    void seal_own(int at) {
      State& state = *states_[at];
      const Sequence before = state.head(state.self());
      seal(state);
      const Feed& feed = *state.feed(state.self());
      for (auto row = feed.begin_after(before); row != feed.end(); ++row)
        if (row->second->kind == RowKind::hold)
          versions_[at][static_cast<const Hold*>(row->second)->id].emplace_back(
              row->first, static_cast<const Hold*>(row->second)->row.state);
    }
    // The next piece of what one replica tells another about a third.
    void carry(int from, int to, int about) {
      State &sender = *states_[from], &receiver = *states_[to];
      const ReplicaId origin = replica(about);
      if (about == to || sender.has_unsealed()) return;
      const auto key = std::tuple(from, to, about);
      auto at = transfers_.find(key);
      if (at != transfers_.end() &&
          !still_whole(sender, origin, at->second.from, at->second.begun)) {
        at->second = {.begun = sender.head(origin)};
      } else if (at == transfers_.end()) {
        if (sender.head(origin) <= receiver.head(origin)) return;
        const Sequence begin = begin_of_delta(sender, origin, receiver.head(origin));
        at = transfers_.emplace(key, Transfer{begin, begin, sender.head(origin), {}}).first;
      }
      Transfer& transfer = at->second;
      Piece piece = cut_piece(sender, origin, transfer.from, transfer.sent, 60);
      transfer.sent = piece.upto;
      auto delta = transfer.staging.add(std::move(piece));
      RC_ASSERT(delta.ok());
      if (!delta->has_value()) return;
      transfers_.erase(key);
      apply(receiver, **std::move(delta));
      check(receiver);
    }
    void check(const State& state) {
      for (int about = 0; about < 3; ++about) {
        const ReplicaId origin = replica(about);
        if (origin == state.self()) continue;
        const Sequence head = state.head(origin);
        for (const auto& [id, versions] : versions_[about]) {
          const std::pair<Sequence, HoldState>* stood = nullptr;
          for (const auto& version : versions)
            if (version.first <= head) stood = &version;
          const Hold* here = state.hold_of(id, origin);
          if (here != nullptr) {
            RC_ASSERT(stood != nullptr);
            RC_ASSERT(here->sequence == stood->first);
            RC_ASSERT(here->row.state == stood->second);
            RC_ASSERT(stood->second == HoldState::held || stood->first > state.floor(origin));
          } else if (stood != nullptr) {
            RC_ASSERT(stood->second != HoldState::held);
            RC_ASSERT(stood->first <= state.floor(origin));
          }
        }
      }
    }

    std::vector<std::unique_ptr<State>> states_;
    std::map<std::tuple<int, int, int>, Transfer> transfers_;
    std::map<std::string, std::vector<std::pair<Sequence, HoldState>>> versions_[3];
  };

  TEST_CASE("random writes, purges and transfers in pieces: as the specification has it") {
    check_property("V ≥ n: the version of n, or its end purged", [] {
      const auto byte = rc::gen::arbitrary<std::uint8_t>();
      const auto steps = *rc::gen::resize(
          300,
          rc::gen::container<std::vector<std::tuple<std::uint8_t, std::uint8_t, std::uint8_t>>>(
              rc::gen::tuple(byte, byte, byte)));
      World world;
      for (const auto& [what, who, which] : steps) world.step(what, who, which);
      world.finish_all();
    });
  }

  // ── checkpoints ──

  using Address = std::tuple<ReplicaId, RowKind, std::string>;

  struct Store {
    std::map<Address, std::string> rows;
    bool slice(State& state, std::size_t rows_max) {
      return state.save(
          rows_max,
          [&](const FeedItem& item, std::string_view key, std::string&& bytes) {
            rows[{item.origin, item.kind, std::string(key)}] = std::move(bytes);
          },
          [&](const FeedItem& item, std::string_view key) {
            rows.erase({item.origin, item.kind, std::string(key)});
          });
    }
    void checkpoint(State& state) {
      state.begin_checkpoint();
      while (!slice(state, 2)) {
      }
    }
    bool has(const std::string& id) const { return rows.contains({replica(0), RowKind::hold, id}); }
  };

  TEST_CASE("purged holds leave the store, whenever they go, unless their id is new again") {
    for (const int saved : {0, 1, 2, 3, 100}) {
      CAPTURE(saved);
      Pair pair;
      State& state = pair.home;
      Store store;
      store.checkpoint(state);
      REQUIRE(store.has("b"));
      finish(state, "d");
      add_hold(state, "e");
      seal(state);
      if (saved < 100) {
        state.begin_checkpoint();
        for (int i = 0; i < saved; ++i) store.slice(state, 1);
      }
      purge_upto(state, state.head(replica(0)));
      add_hold(state, "c");
      seal(state);
      while (saved < 100 && !store.slice(state, 1)) {
      }
      store.checkpoint(state);
      CHECK_FALSE(store.has("b"));
      CHECK_FALSE(store.has("d"));
      CHECK(store.has("a"));
      CHECK(store.has("c"));
      CHECK(store.has("e"));
      CHECK(store.rows.size() == state.lasting_rows());
    }
  }
}

}  // namespace
}  // namespace holdfast::crdt
