// Frames: what comes back is what went out; anything else is refused, at a bounded price.

#include "gossip/frame.h"

#include "crdt/archive.h"
#include "crdt/digest.h"
#include "gossip/rng.h"
#include "tests/crdt/support/allocations.h"
#include "tests/support/property.h"

namespace holdfast::gossip {
namespace {

using tests::AllocationPeak;
using tests::check_property;

constexpr std::size_t kHeader = 9;

absl::StatusOr<Frame> decode_within_bounds(const std::string& bytes) {
  const AllocationPeak peak;
  auto frame = decode(bytes);
  // The extreme: a vector's entries, 24 bytes from 3, in a list that is growing.
  RC_ASSERT(peak.bytes() <= 24 * bytes.size() + 8192);
  return frame;
}

// The header that belongs to such a body.
std::string framed(std::uint8_t kind, const std::string& body) {
  const std::uint64_t sum = crdt::digest(body, kind);
  std::string bytes(1, static_cast<char>(kind));
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(sum >> (8 * i));
  return bytes + body;
}

std::vector<crdt::VectorEntry> any_vector() {
  std::vector<crdt::VectorEntry> vector;
  std::uint64_t id = 0;
  const int entries = *rc::gen::inRange(0, 30);
  for (int i = 0; i < entries; ++i)
    vector.push_back({{id += 1 + *rc::gen::inRange<std::uint64_t>(0, 1'000'000)},
                      *rc::gen::arbitrary<Sequence>(),
                      *rc::gen::arbitrary<std::uint64_t>()});
  return vector;
}

Frame any_frame() {
  const auto text = [] { return *rc::gen::arbitrary<std::string>(); };
  const auto number = [] { return *rc::gen::arbitrary<std::uint64_t>(); };
  switch (*rc::gen::inRange(0, 8)) {
    case 0:
      return Hello{.wire_version = *rc::gen::arbitrary<std::uint32_t>(),
                   .cluster = text(),
                   .replica = {number()},
                   .boot = number(),
                   .region = text(),
                   .node = text(),
                   .gossip_address = text(),
                   .nonce = text()};
    case 1:
      return Prove{text()};
    case 2:
      return Start{any_vector(), {{number(), number()}, {number(), number()}}};
    case 3: {
      News news{.number = number(), .anew = *rc::gen::arbitrary<bool>(), .applied = number()};
      for (int n = *rc::gen::inRange(0, 4); n > 0; --n)
        news.names.push_back({{number()}, number()});
      for (int n = *rc::gen::inRange(0, 4); n > 0; --n)
        news.has.push_back({*rc::gen::arbitrary<std::uint32_t>(), number()});
      for (int n = *rc::gen::inRange(0, 4); n > 0; --n) {
        News::Part part{.name = *rc::gen::inRange<std::uint32_t>(0, 500),
                        .begins = *rc::gen::arbitrary<bool>(),
                        .ends = *rc::gen::arbitrary<bool>(),
                        .from = number(),
                        .after = number(),
                        .upto = number(),
                        .last = *rc::gen::arbitrary<bool>(),
                        .count = *rc::gen::inRange<std::uint32_t>(0, 4)};
        part.ends = part.ends || part.count == 0;
        for (std::uint32_t row = 0; row < part.count; ++row)
          crdt::append_row(crdt::RowKind::stock, "sku", 1 + row, 1, text(), part.rows);
        news.parts.push_back(std::move(part));
      }
      return news;
    }
    case 4:
      return Resume{any_vector()};
    case 5:
      return Heartbeat{number(), number(), number(), *rc::gen::arbitrary<std::int64_t>(),
                       *rc::gen::arbitrary<std::uint32_t>()};
    case 6:
      return Call{number(), text()};
    default:
      return Answer{number(), text()};
  }
}

TEST_SUITE("frames") {
  TEST_CASE("every kind comes back as it went out") {
    check_property("encode(decode(encode(x))) = encode(x), of the same kind", [] {
      const Frame frame = any_frame();
      const std::string bytes = encode(frame);
      const auto back = decode_within_bounds(bytes);
      RC_ASSERT(back.ok());
      RC_ASSERT(back->index() == frame.index());
      RC_ASSERT(encode(*back) == bytes);
    });
  }

  TEST_CASE("fields keep their places") {
    std::string rows;
    crdt::append_row(crdt::RowKind::stock, "sku", 3, 1, "payload", rows);
    const auto frame = decode(encode(News{.number = 8,
                                          .anew = true,
                                          .applied = 9,
                                          .names = {{{7}, 70}},
                                          .has = {{1, 2}},
                                          .parts = {{.name = 4,
                                                     .begins = true,
                                                     .ends = true,
                                                     .from = 1,
                                                     .after = 2,
                                                     .upto = 3,
                                                     .last = false,
                                                     .count = 1,
                                                     .rows = rows}}}));
    REQUIRE(frame.ok());
    const auto& news = std::get<News>(*frame);
    CHECK(news.number == 8);
    CHECK(news.anew);
    CHECK(news.applied == 9);
    CHECK(news.names == std::vector{News::Name{{7}, 70}});
    CHECK(news.has == std::vector{News::Has{1, 2}});
    REQUIRE(news.parts.size() == 1);
    const News::Part& part = news.parts[0];
    CHECK(part.name == 4);
    CHECK(part.from == 1);
    CHECK(part.after == 2);
    CHECK(part.upto == 3);
    CHECK_FALSE(part.last);
    CHECK(part.count == 1);
    CHECK(part.rows == rows);
    CHECK(part.last_row == 3);
    const auto hello = decode(encode(Hello{.wire_version = 9,
                                           .cluster = "c",
                                           .replica = {1},
                                           .boot = 2,
                                           .region = "r",
                                           .node = "n",
                                           .gossip_address = "g",
                                           .nonce = "x"}));
    REQUIRE(hello.ok());
    const auto& h = std::get<Hello>(*hello);
    CHECK(h.wire_version == 9);
    CHECK(h.cluster + h.region + h.node + h.gossip_address + h.nonce == "crngx");
    CHECK(h.boot == 2);
    const auto beat = decode(encode(Heartbeat{1, 2, 3, -4, 5}));
    REQUIRE(beat.ok());
    const auto& b = std::get<Heartbeat>(*beat);
    CHECK(b.number == 1);
    CHECK(b.echo == 2);
    CHECK(b.sequence == 3);
    CHECK(b.wall_ms == -4);
    CHECK(b.held_ms == 5);
  }

  TEST_CASE("a frame that was damaged on its way is refused") {
    check_property("any change of any byte is noticed", [](std::uint64_t seed) {
      std::string bytes = encode(any_frame());
      Rng rng(seed);
      bytes[rng.below(bytes.size())] ^= static_cast<char>(1 + rng.below(255));
      RC_ASSERT(!decode_within_bounds(bytes).ok());
    });
    check_property("so is a frame that was cut or lengthened", [](std::uint64_t seed) {
      const std::string bytes = encode(any_frame());
      Rng rng(seed);
      RC_ASSERT(!decode_within_bounds(bytes.substr(0, rng.below(bytes.size()))).ok());
      RC_ASSERT(!decode_within_bounds(bytes + "x").ok());
    });
  }

  TEST_CASE("random bytes") {
    check_property("noise is refused",
                   [](const std::string& bytes) { RC_ASSERT(!decode_within_bounds(bytes).ok()); });
  }

  TEST_CASE("hostile bodies under a right checksum") {
    check_property("a body is refused, or is what we'd have written", [](std::uint64_t seed) {
      Rng rng(seed);
      std::string bytes = encode(any_frame());
      std::string body = bytes.substr(kHeader);
      auto kind = static_cast<std::uint8_t>(bytes.front());
      if (rng.chance(0.2)) kind = static_cast<std::uint8_t>(rng.below(12));
      for (std::uint64_t n = rng.below(4); n > 0 && !body.empty(); --n) {
        const std::size_t at = rng.below(body.size());
        switch (rng.below(4)) {
          case 0:
            body[at] = static_cast<char>(rng.next());
            break;
          case 1:
            body.resize(at);
            break;
          case 2:
            body.insert(at, 1, static_cast<char>(rng.next()));
            break;
          default:
            body.replace(at, 1, std::string(1 + rng.below(9), '\xff') + '\x01');
        }
      }
      const std::string hostile = framed(kind, body);
      const auto frame = decode_within_bounds(hostile);
      if (frame.ok()) RC_ASSERT(encode(*frame) == hostile);
    });
  }

  TEST_CASE("huge counts cost nothing") {
    for (const std::uint8_t kind : {2, 4, 5}) {  // those with a vector
      for (const std::string& count :
           {std::string(9, '\xff') + '\x01', std::string("\xff\xff\xff\x01"),
            std::string("\x80\x80\x80\x80\x10")}) {
        const std::string bytes = framed(kind, count + std::string(30, '\x01'));
        const AllocationPeak peak;
        CHECK_FALSE(decode(bytes).ok());
        CHECK(peak.bytes() <= 8192);
      }
    }
  }

  TEST_CASE("a claim as large as the frame costs what comes of it") {
    std::string body;
    crdt::CompactOut(body).varint(1'000'000);
    const std::string bytes = framed(2, body + std::string(1'000'000, '\x80'));
    const AllocationPeak peak;
    CHECK_FALSE(decode(bytes).ok());
    CHECK(peak.bytes() <= 8192);
  }

  TEST_CASE("News of more than there can be cost what their bytes do") {
    const std::string begin("\1\0", 2);
    std::string count;
    crdt::CompactOut(count).varint(1'000'000);
    for (const std::string& body : {begin + '\1' + count + std::string(1'000'000, '\x1'),
                                    begin + '\2' + count + std::string(2'000'000, '\x1'),
                                    begin + std::string(2'000'001, '\0'), begin + '\0' + [] {
                                      std::string pieces;
                                      for (int i = 0; i < 500'000; ++i)
                                        pieces += std::string("\2\5\1\0", 4);
                                      return pieces;
                                    }()}) {
      const std::string bytes = framed(3, body);
      const AllocationPeak peak;
      CHECK_FALSE(decode(bytes).ok());
      CHECK(peak.bytes() <= 200'000);
    }
  }

  TEST_CASE("what no node would send") {
    CHECK_FALSE(decode("").ok());
    CHECK_FALSE(decode(std::string(8, '\0')).ok());
    CHECK_FALSE(decode(framed(8, "")).ok());  // unknown kind
    CHECK_FALSE(decode(framed(255, "")).ok());
    CHECK_FALSE(decode(std::string(kFrameBytesMax + 1, 'x')).ok());
    CHECK_FALSE(decode(encode(Start{{{{2}, 1, 0}, {{1}, 1, 0}}})).ok());   // out of order
    CHECK_FALSE(decode(encode(Resume{{{{1}, 1, 0}, {{1}, 2, 0}}})).ok());  // named twice
    std::vector<crdt::VectorEntry> crowd;
    for (std::uint64_t i = 1; i <= crdt::kOriginsMax; ++i) crowd.push_back({{i}, 1, 0});
    CHECK(decode(encode(Resume{crowd})).ok());
    crowd.push_back({{crdt::kOriginsMax + 1}, 1, 0});
    CHECK_FALSE(decode(encode(Resume{crowd})).ok());
    // News: number, applied, flags, …
    CHECK(decode(framed(3, std::string("\1\0\0", 3))).ok());
    CHECK_FALSE(decode(framed(3, std::string("\1\0\1\0", 4))).ok());  // names that are none
    CHECK_FALSE(decode(framed(3, std::string("\1\0\2\0", 4))).ok());
    CHECK_FALSE(decode(framed(3, std::string("\1\0\x8", 3))).ok());     // a flag that is none
    CHECK(decode(framed(3, std::string("\1\0\0\2\5\1\0", 7))).ok());    // a piece without rows
    CHECK_FALSE(decode(framed(3, std::string("\1\0\0\0\0", 5))).ok());  // and without an end
    CHECK(decode(framed(1, std::string(1, '\0'))).ok());  // the header is as it is written here
  }
}

}  // namespace
}  // namespace holdfast::gossip
