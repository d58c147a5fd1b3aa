// Rows as bytes: equal values have equal bytes, later formats pass through, hostile bytes are
// refused at a bounded price.

#include "crdt/codec.h"

#include "crdt/archive.h"
#include "tests/crdt/support/allocations.h"
#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

// What decoding may hold at one time. The extreme is a row of an unknown kind without key and
// payload: 5 bytes, and a DecodedRow, in a list that is growing. And some for the text of an error.
std::size_t allowed(std::size_t size) { return 100 * size + 8192; }

absl::StatusOr<std::vector<DecodedRow>> decode_within_bounds(const std::string& bytes) {
  const AllocationPeak peak;
  auto rows = decode_rows(bytes);
  RC_ASSERT(peak.bytes() <= allowed(bytes.size()));
  return rows;
}

std::string encode_rows(const std::vector<DecodedRow>& rows) {
  std::string bytes;
  for (const DecodedRow& row : rows) bytes += encode_row(row);
  return bytes;
}

// ── values ──────────────────────────────────────────────────────────────────────────────────────

rc::Gen<Units> units() {
  return rc::gen::weightedOneOf<Units>({{4, rc::gen::inRange<Units>(0, 100)},
                                        {2, rc::gen::inRange<Units>(0, kUnitsMax / 4)},
                                        {1, rc::gen::just(kUnitsMax / 4)}});
}

rc::Gen<std::string> name() {
  return rc::gen::map(rc::gen::inRange(0, 2000),
                      [](int n) { return "a.b_c:" + std::to_string(n); });
}

StockRow any_stock() {
  StockRow row;
  row.received = *units();
  row.withdrawn = *units();
  row.allowance_added = *units();
  row.allowance_removed = *units();
  row.released = *units();
  row.sold = *units();
  row.held = row.released + row.sold + *units();
  row.returned = *units();
  row.voided = *units();
  const auto peers =
      *rc::gen::container<std::vector<std::uint8_t>>(rc::gen::arbitrary<std::uint8_t>());
  for (const std::uint8_t peer : peers) {
    row.at(replica(peer)) = {.peer = replica(peer),
                             .granted = *units(),
                             .seized = *units(),
                             .seen = *units(),
                             .debt_at_seen = *units()};
  }
  row.demand_milli = *rc::gen::arbitrary<std::uint32_t>();
  row.cart = *rc::gen::arbitrary<std::uint32_t>();
  for (const std::uint8_t peer : peers)
    if (peer % 3 == 0)
      row.move_at(replica(peer)) = {.peer = replica(peer), .out = *units(), .in = *units()};
  return row;
}

HoldRow any_hold() {
  HoldRow row;
  row.digest = *rc::gen::arbitrary<std::uint64_t>();
  row.state = static_cast<HoldState>(*rc::gen::inRange(0, 4));
  const int lines = *rc::gen::inRange(1, 6);
  for (int i = 0; i < lines; ++i) {
    HoldLine line{.sku = "line-" + std::to_string(i)};
    line.returned = *rc::gen::inRange(0u, 1000u);
    line.committed = line.returned + *rc::gen::inRange(0u, 1000u);
    line.held = line.committed + *rc::gen::inRange(0u, 1000u);
    line.requested = line.held + *rc::gen::inRange(0u, 1'000'000'000u);
    row.lines.push_back(line);
  }
  row.number = *rc::gen::arbitrary<std::uint64_t>();
  row.deadline = *rc::gen::arbitrary<std::int64_t>();
  row.expires_at = *rc::gen::arbitrary<std::int64_t>();
  row.created_at = *rc::gen::arbitrary<std::int64_t>();
  row.ended_at = *rc::gen::arbitrary<std::int64_t>();
  row.adopted_from = {*rc::gen::arbitrary<std::uint64_t>()};
  row.metadata = *rc::gen::arbitrary<std::string>();
  const int undone = *rc::gen::inRange(0, 3);
  for (int i = 0; i < undone; ++i) {
    const auto units = [] { return static_cast<Units>(*rc::gen::inRange(0u, 1'000'000'000u)); };
    UndoneEnd& one =
        row.undone.edit().emplace_back(UndoneEnd{.of = replica(i), .root = replica(i + 9)});
    if (*rc::gen::arbitrary<bool>()) one.root = {};
    for (int line = 0; line < lines; ++line) {
      one.units.push_back(units());
      one.again.push_back(units());
    }
  }
  return row;
}

DecodedRow any_row() {
  DecodedRow row;
  row.sequence = 1 + *rc::gen::inRange<Sequence>(0, 1'000'000);
  row.key = *name();
  row.format = *rc::gen::inRange<std::uint8_t>(1, 4);
  const auto extra = *rc::gen::arbitrary<std::string>();
  switch (*rc::gen::inRange(0, 6)) {
    case 0: {
      StockRow stock = any_stock();
      stock.extra = extra;
      row.payload = std::move(stock);
      row.kind = RowKind::stock;
      break;
    }
    case 1: {
      HoldRow hold = any_hold();
      hold.extra = extra;
      row.payload = std::move(hold);
      row.kind = RowKind::hold;
      break;
    }
    case 2:
      row.kind = RowKind::key;
      row.key = "POST /v1/skus/x/receipts\n" + *rc::gen::arbitrary<std::string>();
      row.key.resize(std::min<std::size_t>(row.key.size(), 1024));
      row.payload = KeyRow{.digest = *rc::gen::arbitrary<std::uint64_t>(),
                           .answer = *rc::gen::arbitrary<std::string>(),
                           .sku = *name(),
                           .effect = *rc::gen::arbitrary<std::uint8_t>(),
                           .units = *units() - *units(),
                           .created_at = *rc::gen::arbitrary<std::int64_t>(),
                           .state = *rc::gen::inRange<std::uint8_t>(0, 2),
                           .extra = extra};
      break;
    case 3:
      row.kind = RowKind::sku;
      row.payload = SkuRow{.time = *rc::gen::arbitrary<std::uint64_t>(),
                           .name = *rc::gen::arbitrary<std::string>(),
                           .attributes = *rc::gen::arbitrary<std::string>(),
                           .low_stock_threshold = *units(),
                           .created_at = *rc::gen::arbitrary<std::int64_t>(),
                           .extra = extra};
      if (*rc::gen::arbitrary<bool>())
        std::get<SkuRow>(row.payload).moved = {
            .version = *rc::gen::inRange<std::uint64_t>(1, 9), .shard = *name(), .url = "u"};
      break;
    case 4: {
      row.kind = RowKind::member;
      row.key = to_string(replica(*rc::gen::inRange(0, 9)));
      MemberRow member{.region = *name(), .node = *name(), .http_address = "h", .wire_version = 1};
      const int entries = *rc::gen::inRange(0, 20);
      for (int i = 0; i < entries; ++i) {
        member.acknowledged.push_back({replica(i), *rc::gen::arbitrary<Sequence>(), 7});
        member.boots.push_back({Sequence(i) * 10, *rc::gen::arbitrary<std::uint64_t>()});
      }
      member.weight = *rc::gen::element(kWeightDefault, 0u, 7u);
      member.draining = *rc::gen::arbitrary<bool>();
      member.extra = extra;
      row.payload = std::move(member);
      break;
    }
    default:  // of a later version
      row.kind = static_cast<RowKind>(*rc::gen::inRange(6, 256));
      row.key = *rc::gen::arbitrary<std::string>();
      row.payload = extra;
  }
  return row;
}

rc::Gen<std::vector<DecodedRow>> rows_up_to(int most) {
  return rc::gen::exec([most] {
    std::vector<DecodedRow> rows(*rc::gen::inRange(0, most + 1));
    for (DecodedRow& row : rows) row = any_row();
    return rows;
  });
}

// ── round trips ─────────────────────────────────────────────────────────────────────────────────

TEST_SUITE("row codec") {
  TEST_CASE("decode undoes encode, for every kind, with what later formats append") {
    check_property("decode(encode(x)) = x", [] {
      const auto rows = *rows_up_to(8);
      const std::string bytes = encode_rows(rows);
      const auto decoded = decode_within_bounds(bytes);
      RC_ASSERT(decoded.ok());
      RC_ASSERT(decoded->size() == rows.size());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        RC_ASSERT((*decoded)[i].kind == rows[i].kind);
        RC_ASSERT((*decoded)[i].key == rows[i].key);
        RC_ASSERT((*decoded)[i].sequence == rows[i].sequence);
        RC_ASSERT((*decoded)[i].format == rows[i].format);
        RC_ASSERT((*decoded)[i].payload == rows[i].payload);
      }
      RC_ASSERT(encode_rows(*decoded) == bytes);
    });
  }

  TEST_CASE("rows of later versions are told on byte for byte") {
    check_property("what came from a newer node leaves as it came", [] {
      auto rows = *rows_up_to(8);
      const ReplicaId origin = replica(3);
      for (DecodedRow& row : rows)
        if (row.kind == RowKind::member) row.key = to_string(origin);
      std::sort(rows.begin(), rows.end(), [](const DecodedRow& a, const DecodedRow& b) {
        return std::pair(a.kind, a.key) < std::pair(b.kind, b.key);
      });
      rows.erase(std::unique(rows.begin(), rows.end(),
                             [](const DecodedRow& a, const DecodedRow& b) {
                               return a.kind == b.kind && a.key == b.key;
                             }),
                 rows.end());
      State state(replica(7));
      std::string sent;
      Sequence sequence = 0;
      for (DecodedRow& row : rows) {
        row.sequence = ++sequence;
        if (auto* hold = std::get_if<HoldRow>(&row.payload)) hold->number = sequence;
        sent += encode_row(row);
      }
      auto piece = decode_rows(sent);
      RC_ASSERT(piece.ok());
      for (DecodedRow& row : *piece) RC_ASSERT(state.merge(origin, std::move(row)).ok());
      state.advance(origin, sequence);
      RC_ASSERT(cut_piece(state, origin, 0, 0, 1 << 20).rows == sent);
    });
  }

  // ── hostile bytes ──

  TEST_CASE("random bytes") {
    check_property("random bytes are refused, or are canonical", [](const std::string& bytes) {
      const auto rows = decode_within_bounds(bytes);
      if (rows.ok()) RC_ASSERT(encode_rows(*rows) == bytes);
    });
  }

  TEST_CASE("mutated, truncated and spliced bytes") {
    check_property("damaged rows are refused, or are canonical", [](std::uint64_t seed) {
      std::string bytes = encode_rows(*rows_up_to(4));
      RC_PRE(!bytes.empty());
      gossip::Rng rng(seed);
      for (std::uint64_t n = 1 + rng.below(4); n > 0 && !bytes.empty(); --n) {
        const std::size_t at = rng.below(bytes.size());
        switch (rng.below(5)) {
          case 0:
            bytes[at] = static_cast<char>(rng.next());
            break;
          case 1:
            bytes.resize(at);
            break;
          case 2:
            bytes.insert(at, 1, static_cast<char>(rng.next()));
            break;
          case 3:
            bytes.erase(at, 1);
            break;
          default:  // a length or a count of almost anything
            bytes.replace(at, 1, std::string(1 + rng.below(9), '\xff') + '\x01');
        }
      }
      const auto rows = decode_within_bounds(bytes);
      if (!rows.ok()) {
        RC_ASSERT(absl::IsInvalidArgument(rows.status()));
        return;
      }
      RC_ASSERT(encode_rows(*rows) == bytes);
    });
  }

  TEST_CASE("every prefix of a row is refused") {
    check_property("truncation", [] {
      const std::string bytes = encode_row(any_row());
      for (std::size_t size = 1; size < bytes.size(); ++size)
        RC_ASSERT(!decode_within_bounds(bytes.substr(0, size)).ok());
    });
  }

  TEST_CASE("claims of huge counts cost nothing") {
    const std::string huge[] = {
        std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10),  // 2⁶⁴ − 1
        std::string("\x80\x80\x80\x80\x80\x80\x80\x80\x40", 9),       // 2⁶²
        std::string("\xff\xff\xff\xff\x0f", 5),                       // 2³² − 1
        std::string("\x80\x80\x80\x20", 4),                           // 2²⁶
    };
    for (const std::string& count : huge) {
      for (const RowKind kind : {RowKind::stock, RowKind::hold, RowKind::member}) {
        std::string payload;
        CompactOut out(payload);
        if (kind == RowKind::stock)
          for (int i = 0; i < 9; ++i) out.varint(0);
        if (kind == RowKind::hold) out.bytes(std::string(2, '\0'));
        if (kind == RowKind::member) out.bytes(std::string(5, '\0'));
        out.flush();
        payload += count + std::string(20, '\x01');
        std::string bytes;
        const std::string key = kind == RowKind::member ? to_string(replica(1)) : "sku";
        append_row(kind, key, 1, kRowFormat, payload, bytes);
        const AllocationPeak peak;
        CHECK_FALSE(decode_rows(bytes).ok());
        CHECK(peak.bytes() <= 8192);
      }
      const std::string claims[] = {std::string(1, '\x01') + count,  // of a key
                                    std::string("\x01\x01"
                                                "a\x01\x01") +
                                        count};  // of a payload
      for (const std::string& bytes : claims) {
        const AllocationPeak peak;
        CHECK_FALSE(decode_rows(bytes).ok());
        CHECK(peak.bytes() <= 8192);
      }
    }
  }

  TEST_CASE("a stock row of a version without carts reads as 0, and has one form") {
    std::string before, with;
    append_payload(StockRow{.demand_milli = 7}, before);
    append_payload(StockRow{.demand_milli = 7, .cart = 3}, with);
    CHECK(with == before + '\x03');
    const auto decoded = [](std::string_view payload) {
      std::string bytes;
      append_row(RowKind::stock, "sku", 1, kRowFormat, payload, bytes);
      return decode_row(bytes);
    };
    REQUIRE(decoded(before).ok());
    CHECK(std::get<StockRow>(decoded(before)->payload) == StockRow{.demand_milli = 7});
    CHECK(std::get<StockRow>(decoded(with)->payload) == StockRow{.demand_milli = 7, .cart = 3});
    CHECK_FALSE(decoded(before + '\0').ok());
  }

  TEST_CASE("rows of a version without moves read as unmoved, and have one form") {
    const auto decoded = [](RowKind kind, std::string_view payload) {
      std::string bytes;
      append_row(kind, "sku", 1, kRowFormat, payload, bytes);
      return decode_row(bytes);
    };
    const StockRow plain{.received = 9};
    StockRow moves = plain;
    moves.move_at(replica(2)).out = 4;
    std::string before, with;
    append_payload(plain, before);
    append_payload(moves, with);
    CHECK(with.starts_with(before));
    CHECK(std::get<StockRow>(decoded(RowKind::stock, before)->payload) == plain);
    CHECK(std::get<StockRow>(decoded(RowKind::stock, with)->payload) == moves);
    const SkuRow described{.name = "lamp"};
    SkuRow moved = described;
    moved.moved = {.version = 3, .shard = "b", .url = "http://h:1"};
    before.clear();
    with.clear();
    append_payload(described, before);
    append_payload(moved, with);
    CHECK(with.starts_with(before));
    CHECK(std::get<SkuRow>(decoded(RowKind::sku, before)->payload) == described);
    CHECK(std::get<SkuRow>(decoded(RowKind::sku, with)->payload) == moved);
    CHECK_FALSE(decoded(RowKind::sku, before + std::string(3, '\0')).ok());
  }

  TEST_CASE("a hold of a version that undid nothing reads as such, and has one form") {
    HoldRow plain;
    plain.lines = {{.sku = "a", .requested = 3, .held = 3}};
    HoldRow undoes = plain;
    undoes.undone = {{.of = replica(1), .root = replica(2), .units = {3}, .again = {1}}};
    std::string before, with;
    append_payload(plain, before);
    append_payload(undoes, with);
    CHECK(with.starts_with(before));
    const auto decoded = [](std::string_view payload) {
      std::string bytes;
      append_row(RowKind::hold, "r", 1, kRowFormat, payload, bytes);
      return decode_row(bytes);
    };
    REQUIRE(decoded(before).ok());
    CHECK(std::get<HoldRow>(decoded(before)->payload) == plain);
    CHECK(std::get<HoldRow>(decoded(with)->payload) == undoes);
    CHECK_FALSE(decoded(before + '\0').ok());
  }

  TEST_CASE("a claim as large as the frame costs what comes of it") {
    std::string payload;
    CompactOut out(payload);
    for (int i = 0; i < 9; ++i) out.varint(0);
    out.varint(1'000'000);
    out.flush();
    payload.append(1'000'000, '\x80');  // no number ends
    std::string bytes;
    append_row(RowKind::stock, "sku", 1, kRowFormat, payload, bytes);
    const AllocationPeak peak;
    CHECK_FALSE(decode_rows(bytes).ok());
    CHECK(peak.bytes() <= 8192);
  }

  TEST_CASE("many small elements cost a small multiple of their bytes") {
    StockRow row;
    std::string payload;
    CompactOut out(payload);
    for (int i = 0; i < 9; ++i) out.varint(0);
    constexpr int kPeers = 100'000;
    out.varint(kPeers);
    for (int i = 1; i <= kPeers; ++i) {
      out.varint(i);
      for (int n = 0; n < 4; ++n) out.varint(0);
    }
    out.varint(0);
    out.flush();
    std::string bytes;
    append_row(RowKind::stock, "sku", 1, kRowFormat, payload, bytes);
    const AllocationPeak peak;
    CHECK_FALSE(decode_rows(bytes).ok());  // more peers than there can be replicas
    CHECK(peak.bytes() <= 30 * bytes.size());
    std::string empties;
    for (int i = 1; i <= 50'000; ++i) append_row(RowKind(200), "", i, 1, "", empties);
    const AllocationPeak again;
    CHECK(decode_rows(empties).ok());
    CHECK(again.bytes() <= allowed(empties.size()));
  }

  // ── what is no row ──

  struct Refused {
    const char* why;
    DecodedRow row;
  };

  DecodedRow stock_row(StockRow row) {
    return {.kind = RowKind::stock, .key = "sku", .sequence = 1, .payload = std::move(row)};
  }
  DecodedRow hold_row(absl::InlinedVector<HoldLine, 1> lines) {
    HoldRow row;
    row.lines = std::move(lines);
    return {.kind = RowKind::hold, .key = "cart", .sequence = 1, .payload = std::move(row)};
  }
  DecodedRow freed_row(std::vector<FreedHold> freed) {
    DecodedRow row = hold_row({{.sku = "a"}});
    std::get<HoldRow>(row.payload).freed = std::move(freed);
    return row;
  }
  DecodedRow undone_row(std::vector<UndoneEnd> undone) {
    DecodedRow row = hold_row({{.sku = "a"}});
    std::get<HoldRow>(row.payload).undone = std::move(undone);
    return row;
  }
  DecodedRow named(RowKind kind, std::string key) {
    DecodedRow row = stock_row({});
    row.kind = kind;
    row.key = std::move(key);
    if (kind == RowKind::member) row.payload = MemberRow{};
    if (kind == RowKind::key) row.payload = KeyRow{};
    if (kind == RowKind::sku) row.payload = SkuRow{};
    if (static_cast<int>(kind) > 5) row.payload = std::string();
    return row;
  }

  TEST_CASE("rows that no writer of ours could have written") {
    DecodedRow unstamped = stock_row({});
    unstamped.sequence = 0;
    DecodedRow last_of_all = stock_row({});
    last_of_all.sequence = Sequence{1} << 63;
    DecodedRow vector = named(RowKind::member, to_string(replica(1)));
    std::get<MemberRow>(vector.payload).acknowledged = {{replica(2), 1, 0}, {replica(1), 1, 0}};
    DecodedRow boots = named(RowKind::member, to_string(replica(1)));
    std::get<MemberRow>(boots.payload).boots = {{2, 1}, {2, 2}};
    DecodedRow key_state = named(RowKind::key, "k");
    std::get<KeyRow>(key_state.payload).state = 2;
    DecodedRow key_units = named(RowKind::key, "k");
    std::get<KeyRow>(key_units.payload).units = -kUnitsMax - 1;
    const Refused cases[] = {
        {"a sequence out of range", unstamped},
        {"a sequence out of range", last_of_all},
        {"a total out of range", stock_row({.received = -1})},
        {"a total out of range", stock_row({.voided = kUnitsMax + 1})},
        {"freed units of other lines", freed_row({{.of = replica(1), .units = {1, 1}}})},
        {"freed units out of range", freed_row({{.of = replica(1), .units = {1'000'000'001}}})},
        {"freed holds out of order",
         freed_row({{.of = replica(2), .units = {1}}, {.of = replica(1), .units = {1}}})},
        {"undone units of other lines", undone_row({{.of = replica(1), .units = {1}}})},
        {"undone units out of range",
         undone_row({{.of = replica(1), .units = {-1}, .again = {0}}})},
        {"an undone end of nobody", undone_row({{.units = {1}, .again = {0}}})},
        {"undone ends out of order", undone_row({{.of = replica(1), .units = {1}, .again = {0}},
                                                 {.of = replica(1), .units = {1}, .again = {0}}})},
        {"peers out of order", stock_row({.peers = {{replica(2)}, {replica(1)}}})},
        {"peers out of order", stock_row({.peers = {{replica(2)}, {replica(2)}}})},
        {"a total out of range", stock_row({.peers = {{.peer = replica(2), .seen = -1}}})},
        {"a hold without lines", hold_row({})},
        {"not a SKU", hold_row({{.sku = "no spaces"}})},
        {"lines out of order", hold_row({{.sku = "b"}, {.sku = "a"}})},
        {"lines out of order", hold_row({{.sku = "a"}, {.sku = "a"}})},
        {"ends more than it held", hold_row({{.sku = "a", .requested = 1, .held = 2}})},
        {"ends more than it held",
         hold_row({{.sku = "a", .requested = 2, .held = 1, .committed = 2}})},
        {"ends more than it held",
         hold_row({{.sku = "a", .requested = 2, .held = 2, .committed = 1, .returned = 2}})},
        {"not a name", named(RowKind::stock, "")},
        {"not a name", named(RowKind::sku, "a/b")},
        {"not a name", named(RowKind::stock, std::string(129, 'a'))},
        {"not an idempotency key", named(RowKind::key, "")},
        {"not an idempotency key", named(RowKind::key, std::string(1025, 'a'))},
        {"unknown state of a key", key_state},
        {"units out of range", key_units},
        {"not a replica id", named(RowKind::member, "12")},
        {"vector out of order", vector},
        {"boots out of order", boots},
        {"key too long", named(RowKind(77), std::string(1025, 'a'))},
    };
    for (const Refused& refused : cases) {
      CAPTURE(refused.why);
      const auto decoded = decode_row(encode_row(refused.row));
      REQUIRE_FALSE(decoded.ok());
      CHECK(std::string(decoded.status().message()).find(refused.why) != std::string::npos);
    }
    std::string state_four = encode_row(hold_row({{.sku = "a"}}));
    state_four[state_four.find("cart") + 4 + 3 + 1] =
        4;  // sequence, format, length; then the digest
    CHECK_FALSE(decode_row(state_four).ok());
    CHECK_FALSE(decode_row(encode_row(stock_row({})) + "x").ok());  // something left over
    CHECK(decode_row(encode_row(stock_row({}))).ok());
    // An heir ends what is in another's `held`.
    CHECK(decode_row(encode_row(stock_row({.held = 3, .released = 2, .sold = 2}))).ok());
  }

  TEST_CASE("numbers have one form") {
    for (const std::string& bytes :
         {std::string("\x80\x00", 2), std::string("\xff\x80\x00", 3), std::string("\x80", 1),
          std::string(9, '\x80') + '\x02', std::string(10, '\x80') + '\x01', std::string()}) {
      BoundedIn in(bytes);
      CHECK_THROWS_AS(in.varint(), Malformed);
    }
    for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128},
                                      std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
      std::string bytes;
      CompactOut(bytes).varint(value);
      BoundedIn in(bytes);
      CHECK(in.varint() == value);
      CHECK(in.left().empty());
    }
    const auto signed_round_trip = [](auto value) {
      std::string bytes;
      CompactOut{bytes}(value);
      BoundedIn in(bytes);
      decltype(value) back{};
      in(back);
      return back == value;
    };
    for (const std::int64_t value :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{1}, INT64_MIN, INT64_MAX})
      CHECK(signed_round_trip(value));
    const std::string over = "\x80\x02";  // 256
    std::uint8_t small = 0;
    BoundedIn narrow(over);
    CHECK_THROWS_AS(narrow(small), Malformed);
    const std::string two = "\x02";
    bool flag = false;
    BoundedIn bits(two);
    CHECK_THROWS_AS(bits(flag), Malformed);
  }

  TEST_CASE("replica ids as text") {
    CHECK(to_string(ReplicaId{0x1f}) == "000000000000001f");
    CHECK(parse_replica_id("000000000000001f") == ReplicaId{0x1f});
    for (const char* text : {"", "1f", "00000000000000001f", "-00000000000001f", "000000000000001g",
                             " 00000000000001f", "0x0000000000001f"})
      CHECK_FALSE(parse_replica_id(text).has_value());
  }
}

}  // namespace
}  // namespace holdfast::crdt
