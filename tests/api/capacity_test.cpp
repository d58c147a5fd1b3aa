#include "api/capacity.h"

#include <doctest/doctest.h>

#include "tests/support/property.h"

using namespace holdfast::api;
using doctest::Approx;

namespace {

CapacityAsk asked(double users) {
  CapacityAsk ask;
  ask.users = users;
  ask.mix = *parse_mix("availability=80,reserve=10,commit=10");
  return ask;
}

}  // namespace

TEST_SUITE("capacity") {
  TEST_CASE("the arithmetic, by hand") {
    CapacityFigures figures;
    figures.write_us = 20;
    figures.read_us = 10;
    figures.batch_us = 40;
    figures.batches_per_s = 2'500;
    figures.merge_us = 5;
    figures.hold_bytes = 500;
    figures.sku_bytes = 1'000;
    figures.stock_row_bytes = 100;
    figures.wire_bytes = 100;
    CapacityAsk ask = asked(86'400'000);  // 10,000 a second, 30,000 at peak: 6,000 are writes
    ask.skus = 1'000;
    ask.regions = {{"a", 3}, {"b", 1}};
    ask.cores = 1;
    ask.memory_gb = 100;
    ask.keep_hours = 1;
    ask.spare = 0;
    const auto plan = plan_capacity(ask, figures);
    REQUIRE(plan.ok());
    CHECK(plan->requests_mean == Approx(10'000));
    CHECK(plan->requests_peak == Approx(30'000));
    CHECK(plan->shards == 1);  // merging: 60 ms of a second's 250
    // a: 22,500 requests, 12 µs each: 270 ms, of the 440 that are left beside merging.
    CHECK(plan->regions[0].nodes == 1);
    CHECK(plan->regions[0].cores_used == Approx(0.27 + 0.06 + 0.1));
    CHECK(plan->regions[1].cores_used == Approx(0.09 + 0.06 + 0.06));
    // 1,000 reservations a second for an hour; and SKUs with two rows each.
    CHECK(plan->memory_bytes == Approx(3.6e6 * 500 + 1'000 * 1'200));
    CHECK(plan->regions[0].writes == Approx(4'500));
    CHECK(plan->regions[0].wan_out == Approx(4'500 * 2 * 100));
    CHECK(plan->regions[1].wan_in == Approx(4'500 * 2 * 100));
    CHECK(plan->regions[0].fsyncs == Approx(2'500));
    CHECK(plan->drivers.front().second >= plan->drivers.back().second);

    ask.memory_gb = 2;  // of which half may be used
    CHECK(plan_capacity(ask, figures)->shards == 2);
    figures.merge_us = 25;  // 300 ms: more than the half of 500
    ask.memory_gb = 100;
    CHECK(plan_capacity(ask, figures)->shards == 2);
    ask.spare = 2;
    CHECK(plan_capacity(ask, figures)->regions[1].nodes == 6);
  }

  TEST_CASE("more users never need less") {
    holdfast::tests::check_property("users, and what they need", [] {
      CapacityAsk ask = asked(*rc::gen::inRange(1'000, 1'000'000'000));
      ask.cores = *rc::gen::inRange(1, 65);
      ask.memory_gb = *rc::gen::inRange(4, 513);
      ask.skus = *rc::gen::inRange(1, 10'000'000);
      const auto plan = plan_capacity(ask, {});
      ask.users *= *rc::gen::inRange(1, 10);
      const auto more = plan_capacity(ask, {});
      if (!plan.ok()) {
        RC_ASSERT(!more.ok());
        return;
      }
      if (!more.ok()) return;
      RC_ASSERT(more->shards >= plan->shards);
      for (std::size_t i = 0; i < plan->regions.size(); ++i)
        RC_ASSERT(more->regions[i].nodes >= plan->regions[i].nodes);
      RC_ASSERT(more->memory_bytes <= ask.utilization * ask.memory_gb * 1e9);
    });
  }

  TEST_CASE("figures come back as they were; what lacks is named") {
    CapacityFigures figures;
    figures.of = "here";
    figures.write_us = 7;
    auto object = to_json(figures);
    const auto back = figures_of(object);
    REQUIRE(back.ok());
    CHECK(to_json(*back) == object);
    object.erase("read_us");
    CHECK(figures_of(object).status().message().find("read_us") != std::string::npos);
    object["read_us"] = 0;
    CHECK_FALSE(figures_of(object).ok());
    object["read_us"] = "fast";
    CHECK_FALSE(figures_of(object).ok());
  }

  TEST_CASE("what nothing carries, and what is said wrongly") {
    CapacityAsk ask = asked(1e15);
    CHECK_FALSE(plan_capacity(ask, {}).ok());
    CHECK(*parse_count("100M") == 100e6);
    CHECK(*parse_count("2.5G") == 2.5e9);
    CHECK(*parse_count("36k") == 36e3);
    for (const char* text : {"", "0", "-1", "M", "1MM", "1 M", "1T", "nan", "inf", "1e99"})
      CHECK_FALSE(parse_count(text).ok());
    CHECK(parse_regions("us=40,eu")->at(1) == std::pair<std::string, double>("eu", 1));
    for (const char* text : {"", "=1", "us=0", "us=-1", "us=1,us=2", "us=1,", "us=x"})
      CHECK_FALSE(parse_regions(text).ok());
  }
}
