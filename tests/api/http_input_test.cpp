// The end of a header is found however it arrives, and the buffer keeps what is not consumed.
#include "api/http_input.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace holdfast::api {
namespace {

using Found = HeaderScan::Found;

void fill(InputBuffer& buffer, std::string_view text) {
  const std::span<char> room = buffer.prepare(text.size());
  REQUIRE(room.size() >= text.size());
  std::copy(text.begin(), text.end(), room.begin());
  buffer.commit(text.size());
}

// What is found in the end, if the text arrives in two pieces.
Found look(std::string_view text, std::size_t first) {
  HeaderScan scan;
  const Found early = scan.look(text.substr(0, first));
  return early == Found::more ? scan.look(text) : early;
}

}  // namespace

TEST_SUITE("api/http_input") {
  TEST_CASE("a header is whole at its blank line, wherever it was cut") {
    const std::string header = "GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n";
    for (std::size_t first = 0; first <= header.size(); ++first) {
      CAPTURE(first);
      HeaderScan scan;
      const Found early = scan.look(std::string_view(header).substr(0, first));
      CHECK(early == (first < header.size() ? Found::more : Found::whole));
      CHECK(scan.look(header + "GET /next") == Found::whole);
      CHECK(scan.header_bytes() == header.size());
      CHECK(scan.first_line_exceeds(15));
      CHECK_FALSE(scan.first_line_exceeds(16));
    }
  }

  TEST_CASE("folds and bare line feeds are found, wherever the header was cut") {
    struct Case {
      std::string_view text;
      Found found;
    };
    for (const Case& c : {Case{"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", Found::folded},
                          Case{"GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", Found::folded},
                          Case{"GET / HTTP/1.1\r\n Host: h\r\n\r\n", Found::folded},
                          Case{"GET / HTTP/1.1\nHost: h\n\n", Found::bare_line_feed},
                          Case{"GET / HTTP/1.1\r\nHost: h\n\r\n", Found::bare_line_feed},
                          Case{"GET / HTTP/1.1\r\nHost: h\r\n\n", Found::bare_line_feed},
                          Case{"\nGET / HTTP/1.1\r\n\r\n", Found::bare_line_feed}}) {
      for (std::size_t first = 0; first <= c.text.size(); ++first) {
        CAPTURE(c.text);
        CAPTURE(first);
        CHECK(look(c.text, first) == c.found);
      }
    }
  }

  TEST_CASE("a first line without end counts as far as it has come") {
    HeaderScan scan;
    CHECK(scan.look(std::string(100, 'x')) == Found::more);
    CHECK(scan.first_line_exceeds(99));
    CHECK_FALSE(scan.first_line_exceeds(100));
  }

  TEST_CASE("the buffer keeps its order while it is filled and consumed, and gives memory back") {
    InputBuffer buffer;
    CHECK(buffer.text().empty());
    std::string expected;
    for (int i = 0; i < 2'000; ++i) {
      const std::string piece = std::to_string(i) + ",";
      fill(buffer, piece);
      expected += piece;
      if (i % 3 == 0) {
        buffer.consume(5 % (expected.size() + 1));
        expected.erase(0, 5 % (expected.size() + 1));
      }
      REQUIRE(buffer.text() == expected);
    }
    buffer.consume(buffer.size());
    CHECK(buffer.empty());
    fill(buffer, std::string(1 << 20, 'x'));
    buffer.consume((1 << 20) - 3);
    buffer.shrink();
    CHECK(buffer.text() == "xxx");
    CHECK(buffer.capacity() < 64 << 10);
  }
}

}  // namespace holdfast::api
