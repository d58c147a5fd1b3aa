#include "sim/seed_numbers.h"

#include <doctest/doctest.h>

namespace sim = holdfast::sim;

namespace {

using Numbers = std::vector<std::uint32_t>;

TEST_SUITE("seed numbers") {
  TEST_CASE("ranges of seeds") {
    CHECK(*sim::parse_seeds("3..7") == sim::SeedRange{3, 7});
    CHECK(sim::parse_seeds("3..7")->count() == 5);
    CHECK(*sim::parse_seeds("42") == sim::SeedRange{42, 42});
    CHECK(sim::parse_seeds("0..9223372036854775807")->last == sim::kSeedMax);
    for (const char* wrong :
         {"", "..", "1..", "..7", "1.7", "7..3", "1..2..3", "-1", "0x10", " 1",
          "9223372036854775808", "0..9223372036854775808", "18446744073709551616"}) {
      INFO(wrong);
      CHECK(sim::parse_seeds(wrong).status().code() == absl::StatusCode::kInvalidArgument);
    }
    CHECK(sim::parse_seeds("9223372036854775808").status().message() ==
          "seeds '9223372036854775808': each must be a whole number from 0 to "
          "9223372036854775807");
    CHECK(sim::check_seed("9223372036854775807").empty());
    CHECK_FALSE(sim::check_seed("9223372036854775808").empty());
  }

  TEST_CASE("lists of numbers, and back") {
    CHECK(*sim::parse_numbers("", 0) == Numbers{});
    CHECK(*sim::parse_numbers("1,4-6,9", 10) == Numbers{1, 4, 5, 6, 9});
    CHECK(*sim::parse_numbers("5,4-6,0", 7) == Numbers{0, 4, 5, 6});
    for (const char* wrong : {"1,", ",1", "a", "3-1", "1-", "-1", "1--3", "10", "0-4294967295"}) {
      INFO(wrong);
      CHECK_FALSE(sim::parse_numbers(wrong, 10).ok());
    }
    CHECK(sim::parse_numbers("40", 40).status().message() ==
          "'40' is not in the plan, which has 0-39");
    for (const char* beyond : {"0-999999999999", "0-99999999999999999999999"}) {
      INFO(beyond);
      CHECK(sim::parse_numbers(beyond, 40).status().message() ==
            "'" + std::string(beyond) + "' is not in the plan, which has 0-39");
    }
    CHECK(sim::format_numbers({}) == "");
    CHECK(sim::format_numbers({7}) == "7");
    CHECK(sim::format_numbers({0, 1, 2, 4, 6, 7}) == "0-2,4,6-7");
    const Numbers numbers{0, 3, 4, 5, 8, 10, 11, 4'294'967'294u};
    CHECK(*sim::parse_numbers(sim::format_numbers(numbers), UINT32_MAX) == numbers);
  }

  TEST_CASE("counts: ascending, each once, none left out") {
    CHECK(*sim::parse_counts("3", 2, 200) == Numbers{3});
    CHECK(*sim::parse_counts("5,3,50,3", 2, 200) == Numbers{3, 5, 50});
    for (const char* wrong : {"", "3,,5", "3,", ",3", "1", "201", "3;5", "3 5", "4294967299"}) {
      INFO(wrong);
      CHECK(absl::IsInvalidArgument(sim::parse_counts(wrong, 2, 200).status()));
    }
  }

  TEST_CASE("a file of regressions; what cannot be read is named by its line") {
    const auto found = sim::parse_regressions(
        "# seeds that failed\n\n17  # a grant counted twice\r\n 9\n9223372036854775807 #x");
    REQUIRE(found.ok());
    REQUIRE(found->size() == 3);
    CHECK((*found)[0].seed == 17);
    CHECK((*found)[0].what == "a grant counted twice");
    CHECK((*found)[1].seed == 9);
    CHECK((*found)[1].what == "");
    CHECK((*found)[2].seed == sim::kSeedMax);
    CHECK_FALSE(sim::parse_regressions("9223372036854775808").ok());
    CHECK(sim::parse_regressions("")->empty());
    const auto wrong = sim::parse_regressions("1 # a\nseed 2\n");
    CHECK(wrong.status().message().find("line 2: 'seed 2'") != std::string::npos);
  }
}

}  // namespace
