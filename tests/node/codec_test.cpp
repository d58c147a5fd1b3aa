// Bytes that node/ writes: there and back, and what is refused.

#include "node/codec.h"

#include <doctest/doctest.h>

#include "tests/support/property.h"

using namespace holdfast::node;
using holdfast::tests::check_property;
namespace crdt = holdfast::crdt;

namespace {

rc::Gen<std::string> any_text() { return rc::gen::arbitrary<std::string>(); }
rc::Gen<std::string> any_name() {
  return rc::gen::mapcat(rc::gen::inRange(1, 12), [](int size) {
    return rc::gen::container<std::string>(size, rc::gen::elementOf(std::string("azAZ09._:-")));
  });
}
rc::Gen<std::vector<Line>> any_lines() {
  return rc::gen::nonEmpty(rc::gen::container<std::vector<Line>>(rc::gen::build<Line>(
      rc::gen::set(&Line::sku, any_name()),
      rc::gen::set(&Line::quantity, rc::gen::inRange<Units>(1, crdt::kLineUnitsMax + 1)))));
}
std::string any_metadata() { return *any_text(); }

ReservationCommand any_command() {
  const std::string id = *any_name();
  switch (*rc::gen::inRange(0, 6)) {
    case 0:
      return Reserve{.id = id,
                     .lines = *any_lines(),
                     .ttl_seconds = *rc::gen::arbitrary<std::uint32_t>(),
                     .wait_ms = *rc::gen::arbitrary<std::uint32_t>(),
                     .partial = *rc::gen::arbitrary<bool>(),
                     .metadata = any_metadata(),
                     .durability = static_cast<Durability>(*rc::gen::inRange(0, 3))};
    case 1: {
      Commit commit{.id = id};
      if (*rc::gen::arbitrary<bool>()) commit.lines = *any_lines();
      return commit;
    }
    case 2:
      return Release{id};
    case 3:
      return Extend{id, *rc::gen::arbitrary<std::uint32_t>()};
    case 4:
      return Return{.id = id, .lines = *any_lines(), .key = {*any_text(), *any_text()}};
    default:
      return GetReservation{id};
  }
}

CallBody any_call() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return Forward{any_command()};
    case 1:
      return Find{*any_text()};
    default:
      return AskRights{*any_text(), *rc::gen::arbitrary<Units>(), *rc::gen::arbitrary<Units>(),
                       *rc::gen::arbitrary<Units>()};
  }
}

Outcome any_outcome() {
  Outcome outcome;
  outcome.code = static_cast<Code>(*rc::gen::inRange(0, 26));
  outcome.detail = *any_text();
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i)
    outcome.shortages.push_back(
        {*any_text(), *rc::gen::arbitrary<Units>(), *rc::gen::arbitrary<Units>()});
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      break;
    case 1:
      outcome.view = StockChange{.sku = *any_text(),
                                 .delta = *rc::gen::arbitrary<Units>(),
                                 .on_hand = *rc::gen::arbitrary<Units>(),
                                 .to = *any_text()};
      break;
    default: {
      auto view = std::make_unique<ReservationView>();
      view->id = *any_text();
      view->state = static_cast<crdt::HoldState>(*rc::gen::inRange(0, 4));
      view->final = *rc::gen::arbitrary<bool>();
      view->reached = static_cast<Durability>(*rc::gen::inRange(0, 3));
      view->home = ReplicaId{*rc::gen::arbitrary<std::uint64_t>()};
      view->expires_at = *rc::gen::arbitrary<std::int64_t>();
      view->metadata = any_metadata();
      for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
        view->lines.push_back(
            {.sku = *any_text(), .requested = *rc::gen::arbitrary<std::uint32_t>()});
      view->reached = static_cast<Durability>(*rc::gen::inRange(0, 3));
      outcome.view = std::move(view);
    }
  }
  return outcome;
}

AnswerBody any_answer() {
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      return any_outcome();
    case 1:
      return Found{*rc::gen::arbitrary<bool>(), ReplicaId{*rc::gen::arbitrary<std::uint64_t>()}};
    default: {
      const Units total = *rc::gen::inRange<Units>(0, crdt::kUnitsMax + 1);
      return Granted{*rc::gen::inRange<Units>(0, total + 1), total};
    }
  }
}

JournalValue any_journal_value() {
  JournalValue value{.self = ReplicaId{*rc::gen::arbitrary<std::uint64_t>()},
                     .life_ms = *rc::gen::arbitrary<std::int64_t>()};
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
    value.parts.push_back({ReplicaId{*rc::gen::arbitrary<std::uint64_t>()},
                           *rc::gen::arbitrary<std::uint64_t>(), *any_text(),
                           *rc::gen::arbitrary<bool>()});
  for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
    JournalDrop drop{.origin = ReplicaId{*rc::gen::arbitrary<std::uint64_t>()},
                     .floor = *rc::gen::arbitrary<std::uint64_t>()};
    for (int n = *rc::gen::inRange(0, 3); n > 0; --n)
      drop.holds.push_back({*any_text(), *rc::gen::arbitrary<std::uint64_t>()});
    value.drops.push_back(std::move(drop));
  }
  return value;
}

Meta any_meta() {
  Meta meta{.self = ReplicaId{*rc::gen::arbitrary<std::uint64_t>()},
            .batch = *rc::gen::arbitrary<std::uint64_t>(),
            .life_ms = *rc::gen::arbitrary<std::int64_t>()};
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i)
    meta.vector.push_back(
        {ReplicaId{*rc::gen::arbitrary<std::uint64_t>()}, *rc::gen::arbitrary<std::uint64_t>(), 0});
  return meta;
}

// Whatever is done to the bytes, they decode to a value that has exactly these bytes, or not at
// all.
template <typename Decode, typename Encode>
void damaged(const std::string& good, Decode&& decode, Encode&& encode) {
  std::string bad = good;
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      bad.resize(*rc::gen::inRange<std::size_t>(0, good.size() + 1));
      break;
    case 1:
      bad += static_cast<char>(*rc::gen::arbitrary<std::uint8_t>());
      break;
    default:
      for (int flips = *rc::gen::inRange(1, 4); flips > 0 && !bad.empty(); --flips)
        bad[*rc::gen::inRange<std::size_t>(0, bad.size())] =
            static_cast<char>(*rc::gen::arbitrary<std::uint8_t>());
  }
  auto value = decode(bad);
  RC_CLASSIFY(value.ok());
  if (value.ok()) RC_ASSERT(encode(*value) == bad);
}

template <typename Decode, typename Encode>
void noise(Decode&& decode, Encode&& encode) {
  const auto bytes = *rc::gen::arbitrary<std::string>();
  auto value = decode(bytes);
  if (value.ok()) RC_ASSERT(encode(*value) == bytes);
}

template <typename T, typename Make, typename Encode, typename Decode>
void check_codec(const std::string& name, Make&& make, Encode&& encode, Decode&& decode) {
  check_property(name + ": there and back", [&] {
    const std::string bytes = encode(make());
    const auto back = decode(bytes);
    RC_ASSERT(back.ok());
    RC_ASSERT(encode(*back) == bytes);
  });
  check_property(name + ": damaged bytes", [&] { damaged(encode(make()), decode, encode); });
  check_property(name + ": noise", [&] { noise(decode, encode); });
}

absl::Status status_of(const CallBody& body) { return decode_call(encode_call(body)).status(); }

}  // namespace

TEST_SUITE("node codec") {
  TEST_CASE("journal values, the meta record, calls, answers and outcomes") {
    check_codec<JournalValue>(
        "journal value", any_journal_value, [](const JournalValue& v) { return encode(v); },
        decode_journal_value);
    check_codec<Meta>(
        "meta", any_meta, [](const Meta& v) { return encode(v); }, decode_meta);
    check_codec<CallBody>("call", any_call, encode_call, decode_call);
    check_codec<AnswerBody>("answer", any_answer, encode_answer, decode_answer);
    check_codec<Outcome>("outcome", any_outcome, encode_outcome, decode_outcome);
  }

  TEST_CASE("fields survive, each in its place") {
    const Reserve reserve{.id = "r",
                          .lines = {{"a", 2}, {"b", 3}},
                          .ttl_seconds = 7,
                          .wait_ms = 9,
                          .partial = true,
                          .metadata = "{\"x\":1}",
                          .durability = Durability::remote};
    const auto call = decode_call(encode_call(Forward{reserve}));
    REQUIRE(call.ok());
    const auto& back = std::get<Reserve>(std::get<Forward>(*call).command);
    CHECK(back.id == "r");
    CHECK(back.lines == reserve.lines);
    CHECK(back.ttl_seconds == 7);
    CHECK(back.wait_ms == 9);
    CHECK(back.partial);
    CHECK(back.metadata == reserve.metadata);
    CHECK(back.durability == Durability::remote);
    const auto ask = decode_call(encode_call(AskRights{"a", 4, 7, 11}));
    REQUIRE(ask.ok());
    CHECK(std::get<AskRights>(*ask).need == 4);
    CHECK(std::get<AskRights>(*ask).ahead == 7);
    CHECK(std::get<AskRights>(*ask).granted_seen == 11);
    const auto commit = decode_call(encode_call(Forward{Commit{.id = "c"}}));
    REQUIRE(commit.ok());
    CHECK_FALSE(std::get<Commit>(std::get<Forward>(*commit).command).lines.has_value());
  }

  TEST_CASE("a peer's command is held to the form of a client's") {
    const std::string long_name(129, 'x');
    for (const Line& bad : {Line{"a", 0}, Line{"a", -5}, Line{"a", crdt::kLineUnitsMax + 1},
                            Line{"", 1}, Line{"a b", 1}, Line{long_name, 1}}) {
      CAPTURE(bad.sku);
      CAPTURE(bad.quantity);
      CHECK_FALSE(status_of(Forward{Reserve{.id = "r", .lines = {{"b", 1}, bad}}}).ok());
      CHECK_FALSE(status_of(Forward{Commit{.id = "r", .lines = {{bad}}}}).ok());
      CHECK_FALSE(status_of(Forward{Return{.id = "r", .lines = {bad}}}).ok());
    }
    CHECK_FALSE(status_of(Forward{Reserve{.id = "r"}}).ok());
    CHECK_FALSE(status_of(Forward{Commit{.id = "r", .lines = std::vector<Line>{}}}).ok());
    for (const std::string& id : {std::string(), std::string("a/b"), long_name}) {
      CHECK_FALSE(status_of(Forward{Release{id}}).ok());
      CHECK_FALSE(status_of(Forward{Reserve{.id = id, .lines = {{"a", 1}}}}).ok());
    }
    CHECK(status_of(Forward{Release{"r"}}).ok());
    for (const Granted bad :
         {Granted{-1, 0}, Granted{2, 1}, Granted{0, crdt::kUnitsMax + 1}, Granted{0, -1}})
      CHECK_FALSE(decode_answer(encode_answer(bad)).ok());
  }

  TEST_CASE("counts that promise more than is there allocate nothing") {
    std::string bytes;
    bytes += '\0';  // Forward
    bytes += '\0';  // Reserve
    bytes += "\x01r";
    bytes += "\xff\xff\xff\xff\xff\xff\xff\xff\x7f";  // lines
    CHECK_FALSE(decode_call(bytes).ok());
    CHECK_FALSE(decode_call("").ok());
    CHECK_FALSE(decode_answer("\x07").ok());
  }

  TEST_CASE("digests are of what was asked for, and of nothing else") {
    const Reserve base{.id = "r", .lines = {{"a", 1}}};
    const auto differs = [&](auto&& edit) {
      Reserve other = base;
      edit(other);
      return digest_of(other) != digest_of(base);
    };
    CHECK(differs([](Reserve& r) { r.lines[0].quantity = 2; }));
    CHECK(differs([](Reserve& r) { r.lines.push_back({"b", 1}); }));
    CHECK(differs([](Reserve& r) { r.ttl_seconds = 1; }));
    CHECK(differs([](Reserve& r) { r.partial = true; }));
    CHECK(differs([](Reserve& r) { r.metadata = "{}"; }));
    CHECK_FALSE(differs([](Reserve& r) { r.wait_ms = 1; }));
    CHECK_FALSE(differs([](Reserve& r) { r.id = "q"; }));
    CHECK(digest_of(Adjust{.sku = "a", .delta = 1}) !=
          digest_of(Adjust{.sku = "a", .delta = 1, .reason = "x"}));
    CHECK(digest_of(GrantTo{.sku = "a", .to = "b", .quantity = 1}) !=
          digest_of(GrantTo{.sku = "a", .to = "c", .quantity = 1}));
  }
}
