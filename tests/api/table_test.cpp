#include "api/table.h"

#include <doctest/doctest.h>

namespace api = holdfast::api;

namespace {

TEST_SUITE("table") {
  TEST_CASE("numbers stand right, text left, widths in code points, no blanks at line ends") {
    api::Table table({{"name"}, {"units", api::Align::right}, {"note"}});
    CHECK(table.empty());
    table.add({"caf\xC3\xA9", "7", "x"});
    table.add({"lamp, large", "1,204"});
    CHECK(table.text(api::Style::plain) ==
          "name         units  note\n"
          "caf\xC3\xA9             7  x\n"
          "lamp, large  1,204\n");
    CHECK(table.text(api::Style::colour).starts_with("\033[1mname"));
  }

  TEST_CASE("cells cannot drive the terminal") {
    CHECK(api::printable("a\033[31m\n\x7F"
                         "b") == "a?[31m??b");
    CHECK(api::printable("\xC2\x9B"
                         "31m caf\xC3\xA9") == "?31m caf\xC3\xA9");
    api::Table table({{"name"}});
    table.add({"\033]0;x\a"});
    CHECK(table.text(api::Style::plain) == "name\n?]0;x?\n");
  }

  TEST_CASE("numbers for people") {
    CHECK(api::grouped(0) == "0");
    CHECK(api::grouped(999) == "999");
    CHECK(api::grouped(26'814) == "26,814");
    CHECK(api::grouped(-1'234'567) == "-1,234,567");
    CHECK(api::grouped(-123) == "-123");
    CHECK(api::short_number(0.842) == "0.84");
    CHECK(api::short_number(12.34) == "12.3");
    CHECK(api::short_number(1'203.7) == "1,204");
  }
}

}  // namespace
