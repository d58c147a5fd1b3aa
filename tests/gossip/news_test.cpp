// One link's News: what is put in comes out, and nothing is taken for what it is not.

#include "gossip/news.h"

#include <limits>

#include "gossip/rng.h"
#include "tests/support/property.h"

namespace holdfast::gossip {
namespace {

using tests::check_property;

// A piece with one row for each of the sequences.
crdt::Piece piece(ReplicaId origin, Sequence from, Sequence after, Sequence upto, bool last,
                  const std::vector<Sequence>& rows) {
  crdt::Piece piece{.origin = origin, .from = from, .after = after, .upto = upto, .last = last};
  for (const Sequence sequence : rows) {
    crdt::append_row(crdt::RowKind::stock, "sku", sequence, 1, "payload", piece.rows);
    ++piece.count;
    piece.last_row = sequence;
  }
  return piece;
}

// The usual one: a whole delta that ends with its last row.
crdt::Piece step(ReplicaId origin, Sequence from, Sequence to) {
  return piece(origin, from, from, to, true, {to});
}

News over_the_wire(const News& news) {
  auto frame = decode(encode(news));
  REQUIRE(frame.ok());
  return std::get<News>(*std::move(frame));
}

bool same(const crdt::Piece& a, const crdt::Piece& b) {
  return a.origin == b.origin && a.from == b.from && a.after == b.after && a.upto == b.upto &&
         a.last == b.last && a.count == b.count && a.rows == b.rows && a.boot == b.boot;
}

std::vector<std::pair<ReplicaId, Sequence>> acknowledged(NewsOut& out, std::uint64_t number) {
  std::vector<std::pair<ReplicaId, Sequence>> told;
  out.applied(number, [&](ReplicaId origin, Sequence upto) { told.emplace_back(origin, upto); });
  return told;
}

constexpr ReplicaId kA{11}, kB{22};

TEST_SUITE("news") {
  TEST_CASE("every piece comes out as it was put in") {
    check_property("over any number of frames, restarts among them", [](std::uint64_t seed) {
      Rng rng(seed);
      NewsOut out;
      NewsIn in;
      std::map<std::uint64_t, crdt::Piece> at;  // the latest of each origin
      for (int frame = 0; frame < 30; ++frame) {
        if (rng.chance(0.1)) out.restart();
        std::vector<crdt::Piece> put;
        for (std::uint64_t n = rng.below(4); n > 0; --n) {
          crdt::Piece next;
          crdt::Piece& before = at[1 + rng.below(4)];
          const bool open = before.origin && !before.last;
          const Sequence after = open || rng.chance(0.8) ? before.upto : rng.below(1'000);
          const Sequence from = open ? before.from : after;
          std::vector<Sequence> rows;
          Sequence upto = after;
          for (std::uint64_t r = rng.below(3); r > 0; --r) rows.push_back(upto += 1 + rng.below(9));
          if (rng.chance(0.2)) upto += rng.below(5);
          const auto found = std::find_if(at.begin(), at.end(),
                                          [&](const auto& one) { return &one.second == &before; });
          next = piece({found->first}, from, after, upto, rng.chance(0.8), rows);
          out.put(next);
          before = next;
          put.push_back(std::move(next));
        }
        News news = over_the_wire(out.take(0));
        RC_ASSERT(in.follows(news));
        RC_ASSERT(news.parts.size() == put.size());
        for (std::size_t i = 0; i < put.size(); ++i)
          RC_ASSERT(same(in.piece(std::move(news.parts[i])), put[i]));
      }
    });
  }

  TEST_CASE("in the steady state a piece costs two bytes beside its rows") {
    NewsOut out;
    out.put(step(kA, 0, 1));
    out.take(0);
    const crdt::Piece next = step(kA, 1, 2);
    const std::size_t empty = encode(NewsOut().take(0)).size();
    out.put(next);
    CHECK(out.bytes() == next.rows.size());
    CHECK(encode(out.take(0)).size() == empty + next.rows.size() + 2);
    CHECK(out.bytes() == 0);
  }

  TEST_CASE("an origin with another boot is named again, once, and keeps its place") {
    NewsOut out;
    NewsIn in;
    crdt::Piece first = step(kA, 0, 1), next = step(kA, 1, 2);
    first.boot = 7;
    next.boot = 8;
    out.put(step(kB, 0, 1));
    out.put(first);
    out.put_has(kA, 1, 7);
    News news = over_the_wire(out.take(0));
    CHECK(news.names.size() == 2);
    REQUIRE(in.follows(news));
    CHECK(in.piece(std::move(news.parts[1])).boot == 7);
    out.put(next);
    news = over_the_wire(out.take(0));
    CHECK(news.names == std::vector{News::Name{kA, 8}});
    REQUIRE(in.follows(news));
    CHECK(in.names() == 2);
    const crdt::Piece came = in.piece(std::move(news.parts[0]));
    CHECK(same(came, next));
    CHECK(came.boot == 8);
    out.put_has(kA, 2, 8);
    CHECK(out.take(0).names.empty());
  }

  TEST_CASE("what is lost shows, and nothing is used until News begin anew") {
    NewsOut out;
    NewsIn in;
    out.put(step(kA, 0, 1));
    CHECK(in.follows(out.take(0)));
    out.put(step(kB, 0, 1));
    out.take(0);  // lost, and with it what the second name stands for
    out.put(step(kB, 1, 2));
    CHECK_FALSE(in.follows(out.take(0)));
    CHECK(in.lost());
    CHECK(in.number() == 1);
    CHECK_FALSE(in.follows(out.take(0)));
    out.restart();
    out.put(step(kB, 0, 2));
    News anew = over_the_wire(out.take(0));
    CHECK(in.follows(anew));
    CHECK_FALSE(in.lost());
    CHECK(in.names() == 1);
    CHECK(in.number() == 5);
    CHECK(same(in.piece(std::move(anew.parts[0])), step(kB, 0, 2)));
  }

  TEST_CASE("the first of all may be lost too") {
    NewsOut out;
    NewsIn in;
    out.take(0);
    CHECK_FALSE(in.follows(out.take(0)));
    CHECK(in.number() == 0);
    out.restart();
    CHECK(in.follows(out.take(0)));
  }

  TEST_CASE("asked twice, News begin anew twice: those of the first time are not the second's") {
    NewsOut out;
    NewsIn in;
    out.restart();
    out.put(step(kA, 0, 100));
    CHECK(in.follows(out.take(0)));
    out.restart();  // the second question had been on its way
    out.put(step(kB, 0, 100));
    out.take(0);  // lost
    out.put(step(kB, 100, 101));
    const News next = out.take(0);
    CHECK_FALSE(in.follows(next));  // or B's rows would be taken for A's
    // Nor does an acknowledgement of the first time tell of the second.
    CHECK(acknowledged(out, 1).empty());
    CHECK(acknowledged(out, 2).size() == 1);
    CHECK(acknowledged(out, 3).size() == 1);
  }

  TEST_CASE("an old frame that comes late, or once more, is not taken for what came after") {
    NewsOut out;
    NewsIn in;
    out.restart();
    const News first = out.take(0);
    CHECK(in.follows(first));
    out.restart();
    const News second = out.take(0);
    CHECK(in.follows(second));
    CHECK_FALSE(in.follows(first));
    CHECK_FALSE(in.follows(second));
    CHECK(in.number() == 2);
  }

  TEST_CASE("an acknowledgement is of whole deltas, and of those in the News that it names") {
    NewsOut out;
    out.put(piece(kA, 0, 0, 5, false, {5}));
    out.take(0);
    out.put(piece(kA, 0, 5, 9, true, {9}));
    out.put(step(kB, 0, 3));
    out.take(0);
    out.put(step(kB, 3, 4));
    out.take(0);
    CHECK(out.unacknowledged() == 3);
    CHECK(acknowledged(out, 1).empty());
    const std::vector<std::pair<ReplicaId, Sequence>> both{{kA, 9}, {kB, 3}};
    CHECK(acknowledged(out, 2) == both);
    CHECK(acknowledged(out, 2).empty());
    CHECK(acknowledged(out, std::numeric_limits<std::uint64_t>::max()).size() == 1);
    CHECK(out.unacknowledged() == 0);
  }

  TEST_CASE("News that could not be used do not count") {
    NewsOut out;
    NewsIn in;
    CHECK(in.follows(out.take(0)));
    CHECK(in.follows(out.take(0)));
    in.refuse();
    CHECK(in.lost());
    CHECK(in.number() == 1);
    CHECK_FALSE(in.follows(out.take(0)));
    out.restart();
    CHECK(in.follows(out.take(0)));
    CHECK(in.number() == 4);
  }

  TEST_CASE("names that were not given are nobody's") {
    NewsIn in;
    CHECK(in.follows({.number = 1, .names = {{kA, 0}}}));
    REQUIRE(in.names() == 1);
    CHECK(in.name(0) == News::Name{kA, 0});
    CHECK_FALSE(in.piece({.name = 1, .ends = true, .upto = 7}).origin);
    CHECK(in.follows({.number = 2, .anew = true}));
    CHECK(in.names() == 0);
    CHECK_FALSE(in.piece({.name = 0, .ends = true, .upto = 7}).origin);
  }
}

}  // namespace
}  // namespace holdfast::gossip
