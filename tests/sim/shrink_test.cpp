#include "sim/shrink.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "tests/support/property.h"

namespace sim = holdfast::sim;

namespace {

using Numbers = std::vector<std::uint32_t>;

bool has_all(const Numbers& omitted, const std::set<std::uint32_t>& needed) {
  return std::none_of(needed.begin(), needed.end(), [&](std::uint32_t n) {
    return std::binary_search(omitted.begin(), omitted.end(), n);
  });
}

// Fails as "lost" if nothing of what it needs is left out.
struct Needs {
  std::set<std::uint32_t> faults, operations;
  std::int64_t end_ms = 0;  // and the end is not before this

  std::optional<std::string> operator()(const sim::Omissions& omissions) const {
    if (!has_all(omissions.faults, faults) || !has_all(omissions.operations, operations) ||
        (omissions.end_ms && *omissions.end_ms < end_ms))
      return std::nullopt;
    return "lost";
  }
};

std::set<std::uint32_t> kept(std::uint32_t count, const Numbers& omitted) {
  std::set<std::uint32_t> numbers;
  for (std::uint32_t n = 0; n < count; ++n)
    if (!std::binary_search(omitted.begin(), omitted.end(), n)) numbers.insert(n);
  return numbers;
}

TEST_SUITE("shrink") {
  TEST_CASE("exactly what the failure needs is left, and the earliest end") {
    const Needs needs{{3, 7, 30}, {0, 512, 513, 899}, 1'234};
    const auto shrunk = sim::shrink({40, 900, 60'000}, "lost", 1'500, needs, {});
    CHECK(shrunk.minimal);
    CHECK(kept(40, shrunk.omissions.faults) == needs.faults);
    CHECK(kept(900, shrunk.omissions.operations) == needs.operations);
    CHECK(shrunk.omissions.end_ms == 1'234);
    CHECK(shrunk.left.faults == 3);
    CHECK(shrunk.left.operations == 4);
    CHECK(shrunk.left.end_ms == 1'234);
    CHECK(shrunk.trials < 250);
  }

  TEST_CASE("any set that is needed is found (ddmin is exact for monotone failures)") {
    holdfast::tests::check_property("minimal", [] {
      const auto draw = [](std::uint32_t below) {
        const auto some = *rc::gen::container<std::vector<std::uint32_t>>(
            rc::gen::inRange<std::uint32_t>(0, below));
        return std::set<std::uint32_t>(some.begin(), some.end());
      };
      const Needs needs{draw(25), draw(120), *rc::gen::inRange<std::int64_t>(1, 5'000)};
      const auto at_ms = *rc::gen::inRange<std::int64_t>(0, 6'000);
      const auto shrunk =
          sim::shrink({25, 120, 5'000}, "lost", at_ms, needs, {.trials_max = UINT32_MAX});
      RC_ASSERT(shrunk.minimal);
      RC_ASSERT(kept(25, shrunk.omissions.faults) == needs.faults);
      RC_ASSERT(kept(120, shrunk.omissions.operations) == needs.operations);
      RC_ASSERT(shrunk.left.end_ms == needs.end_ms);
    });
  }

  TEST_CASE("either of two causes: one remains, and nothing of it can be left out") {
    const Needs one{{1, 2}, {5}, 0}, other{{8}, {6, 7}, 0};
    const auto either = [&](const sim::Omissions& omissions) {
      const auto first = one(omissions);
      return first ? first : other(omissions);
    };
    const auto shrunk = sim::shrink({10, 10, 100}, "lost", 0, either, {});
    const auto faults = kept(10, shrunk.omissions.faults);
    const auto operations = kept(10, shrunk.omissions.operations);
    CHECK(((faults == one.faults && operations == one.operations) ||
           (faults == other.faults && operations == other.operations)));
  }

  TEST_CASE("another failure is not taken for this one") {
    const Needs needs{{4}, {}, 0};
    const auto trial = [&](const sim::Omissions& omissions) -> std::optional<std::string> {
      if (auto found = needs(omissions)) return found;
      return "crash";  // fails always, but not like this
    };
    const auto shrunk = sim::shrink({10, 4, 100}, "lost", 0, trial, {});
    CHECK(kept(10, shrunk.omissions.faults) == std::set<std::uint32_t>{4});
    CHECK(kept(4, shrunk.omissions.operations).empty());
  }

  TEST_CASE("a failure that needs nothing; an end that nobody moved is not told") {
    const auto always = [](const sim::Omissions&) { return std::optional<std::string>("lost"); };
    const auto shrunk = sim::shrink({3, 3, 1}, "lost", 0, always, {});
    CHECK(shrunk.left.faults == 0);
    CHECK(shrunk.left.operations == 0);
    CHECK_FALSE(shrunk.omissions.end_ms);
    const auto empty = sim::shrink({0, 0, 0}, "lost", 0, always, {});
    CHECK(empty.trials == 0);
    CHECK(empty.minimal);
  }

  TEST_CASE("it ends at its limits with what it has, which still fails") {
    const Needs needs{{3, 7, 30}, {0, 512, 899}, 0};
    const auto few = sim::shrink({40, 900, 60'000}, "lost", 0, needs, {.trials_max = 20});
    CHECK(few.trials == 20);
    CHECK_FALSE(few.minimal);
    CHECK(needs(few.omissions) == "lost");
    int asked = 0;
    const auto late = sim::shrink({40, 900, 60'000}, "lost", 0, needs,
                                  {.out_of_time = [&] { return ++asked > 5; }});
    CHECK(late.trials == 5);
    CHECK_FALSE(late.minimal);
    CHECK(needs(late.omissions) == "lost");
  }
}

}  // namespace
