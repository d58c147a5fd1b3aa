// Deltas: nothing is missed however they are cut, and nothing is applied that does not follow.

#include "crdt/delta.h"

#include <map>

#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

const ReplicaId kWriter = replica(0);

void receive(State& state, std::uint64_t sku, Units units = 1) {
  state.change_stock(state.make_product(sku_name(sku)),
                     [&](StockRow& row) { row.received += units; });
}
void seal(State& state) {
  std::string bytes;
  state.seal(bytes);
}
void write(State& state, std::uint64_t sku) {
  receive(state, sku);
  seal(state);
}
std::size_t row_count(const Piece& piece) { return decode_rows(piece.rows)->size(); }

// What a receiver does with a whole delta. False: it does not follow what is here.
bool apply(State& state, Delta&& delta) {
  if (delta.from > state.head(delta.origin)) return false;
  for (DecodedRow& row : delta.rows) REQUIRE(state.merge(delta.origin, std::move(row)).ok());
  state.advance(delta.origin, delta.to);
  return true;
}

TEST_SUITE("deltas") {
  TEST_CASE("a delta has each row once, at its latest") {
    State writer(kWriter);
    for (int i = 0; i < 100; ++i) write(writer, i % 3);
    const Piece all = cut_piece(writer, kWriter, 0, 0, 1 << 20);
    CHECK(all.last);
    CHECK(all.upto == 100);
    CHECK(row_count(all) == 3);
    CHECK(row_count(cut_piece(writer, kWriter, 98, 98, 1 << 20)) == 2);
    CHECK(row_count(cut_piece(writer, kWriter, 100, 100, 1 << 20)) == 0);
    const Piece nobody = cut_piece(writer, replica(5), 0, 0, 1 << 20);
    CHECK(nobody.last);
    CHECK(nobody.rows.empty());
    CHECK(nobody.upto == 0);
  }

  TEST_CASE("pieces have at least a row, and follow one another") {
    State writer(kWriter);
    for (int i = 0; i < 10; ++i) write(writer, i);
    Staging staging;
    Sequence after = 0;
    for (int i = 0; i < 10; ++i) {
      Piece piece = cut_piece(writer, kWriter, 0, after, 1);
      CHECK(row_count(piece) == 1);
      CHECK(piece.last == (i == 9));
      CHECK(piece.upto == after + 1);
      after = piece.upto;
      auto whole = staging.add(std::move(piece));
      REQUIRE(whole.ok());
      REQUIRE(whole->has_value() == (i == 9));
      if (!whole->has_value()) continue;
      CHECK((*whole)->from == 0);
      CHECK((*whole)->to == 10);
      CHECK((*whole)->rows.size() == 10);
    }
  }

  TEST_CASE("a row that is rewritten between two pieces is not missed") {
    check_property(
        "whatever is written while a delta is cut, it is whole",
        [](std::uint8_t rows, const std::vector<std::uint8_t>& rewrites, std::uint8_t bytes) {
          State writer(kWriter), reader(replica(7));
          for (int i = 0; i <= rows % 20; ++i) write(writer, i);
          Staging staging;
          std::size_t next = 0;
          for (Sequence after = 0;;) {
            Piece piece = cut_piece(writer, kWriter, 0, after, 1 + bytes);
            after = piece.upto;
            const bool last = piece.last;
            auto whole = staging.add(std::move(piece));
            RC_ASSERT(whole.ok());
            RC_ASSERT(whole->has_value() == last);
            if (last) {
              RC_ASSERT(apply(reader, **std::move(whole)));
              break;
            }
            if (next < rewrites.size()) write(writer, rewrites[next++] % 20);
          }
          RC_ASSERT(reader.head(kWriter) == writer.head(kWriter));
          RC_ASSERT(fingerprint(reader, {kWriter}) == fingerprint(writer, {kWriter}));
        });
  }

  TEST_CASE("rows above the head are not told on") {
    State state(replica(7));
    std::string bytes;
    append_row(RowKind(99), "a", 1, 1, "x", bytes);
    REQUIRE(merge(state, {kWriter, bytes}));
    bytes.clear();
    append_row(RowKind(99), "b", 2, 1, "x", bytes);
    REQUIRE(state.merge(kWriter, *decode_row(bytes)).ok());  // of a delta that was refused after it
    const Piece piece = cut_piece(state, kWriter, 0, 0, 1 << 20);
    CHECK(piece.upto == 1);
    CHECK(row_count(piece) == 1);
    CHECK(Staging().add(Piece(piece)).ok());
  }

  // ── what a receiver refuses ──

  std::vector<Piece> three_pieces() {
    State writer(kWriter);
    for (int i = 0; i < 3; ++i) write(writer, i);
    std::vector<Piece> pieces;
    for (Sequence after = 0; after < 3; after = pieces.back().upto)
      pieces.push_back(cut_piece(writer, kWriter, 0, after, 1));
    return pieces;
  }

  TEST_CASE("a gap between pieces asks to resume, and forgets the delta") {
    const auto pieces = three_pieces();
    Staging staging;
    REQUIRE(staging.add(Piece(pieces[0])).ok());
    CHECK(absl::IsFailedPrecondition(staging.add(Piece(pieces[2])).status()));
    CHECK(absl::IsFailedPrecondition(staging.add(Piece(pieces[1])).status()));
    for (const Piece& piece : pieces) REQUIRE(staging.add(Piece(piece)).ok());
  }

  TEST_CASE("a piece again is a gap too, the first begins anew") {
    const auto pieces = three_pieces();
    Staging staging;
    REQUIRE(staging.add(Piece(pieces[0])).ok());
    REQUIRE(staging.add(Piece(pieces[0])).ok());
    REQUIRE(staging.add(Piece(pieces[1])).ok());
    CHECK(absl::IsFailedPrecondition(staging.add(Piece(pieces[1])).status()));
    REQUIRE(staging.add(Piece(pieces[0])).ok());
    REQUIRE(staging.add(Piece(pieces[1])).ok());
    const auto whole = staging.add(Piece(pieces[2]));
    REQUIRE(whole.ok());
    CHECK((**whole).rows.size() == 3);
  }

  TEST_CASE("a piece of another delta does not follow, wherever it begins") {
    Staging staging;
    Piece piece;
    piece.origin = kWriter;
    piece.from = piece.after = 3;
    piece.upto = 5;
    piece.last = false;
    REQUIRE(staging.add(Piece(piece)).ok());
    piece.from = 0;
    piece.after = 5;
    piece.upto = 6;
    CHECK(absl::IsFailedPrecondition(staging.add(Piece(piece)).status()));
  }

  TEST_CASE("a dropped origin is forgotten, others go on") {
    const auto pieces = three_pieces();
    Staging staging;
    REQUIRE(staging.add(Piece(pieces[0])).ok());
    staging.drop(kWriter);
    CHECK(absl::IsFailedPrecondition(staging.add(Piece(pieces[1])).status()));
  }

  TEST_CASE("malformed pieces") {
    const auto pieces = three_pieces();
    const auto refuses = [&](auto&& damage) {
      Piece piece = pieces[0];
      damage(piece);
      CHECK(absl::IsInvalidArgument(Staging().add(std::move(piece)).status()));
    };
    refuses([](Piece& piece) { piece.origin = {}; });
    refuses([](Piece& piece) { piece.from = piece.after + 1; });
    refuses([](Piece& piece) { piece.upto = 0; });            // a row above its end
    refuses([](Piece& piece) { piece.after = piece.upto; });  // a row below its beginning
    refuses([](Piece& piece) { piece.rows += piece.rows; });  // a sequence twice
    refuses([](Piece& piece) { piece.rows.pop_back(); });
    refuses([](Piece& piece) { piece.rows += '\0'; });
    refuses([](Piece& piece) { piece.rows.assign(100, '\xff'); });
    refuses([](Piece& piece) { piece.after = 5, piece.upto = 4, piece.rows.clear(); });
  }

  TEST_CASE("not more deltas at once than there are replicas") {
    Staging staging;
    Piece piece;
    piece.last = false;
    piece.upto = 1;
    for (std::uint64_t n = 0; n < kOriginsMax; ++n) {
      piece.origin = replica(n);
      REQUIRE(staging.add(Piece(piece)).ok());
    }
    piece.origin = replica(kOriginsMax);
    CHECK(absl::IsInvalidArgument(staging.add(Piece(piece)).status()));
    piece.origin = replica(0);
    CHECK(staging.add(Piece(piece)).ok());
  }
}

}  // namespace
}  // namespace holdfast::crdt
