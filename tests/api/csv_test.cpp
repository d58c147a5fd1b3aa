#include "api/csv.h"

#include <doctest/doctest.h>

using holdfast::api::CsvReader;
using holdfast::api::CsvRecord;

namespace {

std::vector<CsvRecord> read(std::string_view text) {
  std::vector<CsvRecord> records;
  CsvReader reader(text);
  for (CsvRecord record; reader.next(record);) records.push_back(record);
  return records;
}

TEST_SUITE("csv") {
  TEST_CASE("plain and quoted fields, either line end, a byte order mark, empty lines") {
    const auto records = read(
        "\xEF\xBB\xBF"
        "a,b\r\n\r\n\"x,\"\"1\"\"\",\"two\nlines\"\nlast,");
    REQUIRE(records.size() == 3);
    CHECK(records[0].fields == std::vector<std::string>{"a", "b"});
    CHECK(records[1].fields == std::vector<std::string>{"x,\"1\"", "two\nlines"});
    CHECK(records[1].line == 3);
    CHECK(records[2].fields == std::vector<std::string>{"last", ""});
    CHECK(records[2].line == 5);
  }

  TEST_CASE("a broken record is told with its line and does not hide the next") {
    for (const char* bad : {"\"never closed,1", "\"a\"b,1"}) {
      const auto records = read("h,i\n" + std::string(bad) + "\nc,d\n");
      REQUIRE(records.size() == 3);
      CHECK(records[1].line == 2);
      CHECK_FALSE(records[1].broken.empty());
      CHECK(records[2].line == 3);
      CHECK(records[2].fields == std::vector<std::string>{"c", "d"});
    }
  }

  TEST_CASE("a record longer than the limit is broken, not read") {
    const std::string text = std::string(holdfast::api::kCsvRecordBytesMax + 10, 'x') + "\na\n";
    const auto records = read(text);
    REQUIRE(records.size() == 2);
    CHECK_FALSE(records[0].broken.empty());
    CHECK(records[1].fields == std::vector<std::string>{"a"});
  }

  TEST_CASE("any bytes end") {
    std::uint32_t seed = 7;
    for (int run = 0; run < 2'000; ++run) {
      std::string text;
      for (int i = 0; i < 40; ++i) {
        seed = seed * 1'664'525 + 1'013'904'223;
        text += "\",\n\rab"[(seed >> 20) % 6];
      }
      CHECK(read(text).size() <= 41);
    }
  }
}

}  // namespace
