#include "sim/summary.h"

#include <doctest/doctest.h>

#include <boost/json/serialize.hpp>

namespace sim = holdfast::sim;

namespace {

sim::Verdict passed(std::uint64_t seed) {
  return {.seed = seed, .passed = true, .event = 10, .simulated_ms = 1'800'000};
}

TEST_SUITE("summary") {
  TEST_CASE("hours, rates, and how often each situation occurred") {
    sim::Summary summary;
    sim::Verdict first = passed(1), second = passed(2);
    first.sometimes = {{"zero rights twice", 3}, {"torn tail", 0}};
    second.sometimes = {{"zero rights twice", 2}, {"torn tail", 0}};
    summary.add(first);
    summary.add(second);
    CHECK(summary.seeds_per_second() == 0);  // no time has passed
    summary.seconds = 4;
    CHECK(summary.seeds == 2);
    CHECK(summary.failures == 0);
    CHECK(summary.cluster_hours() == doctest::Approx(1));
    CHECK(summary.seeds_per_second() == doctest::Approx(0.5));
    CHECK(summary.simulated_per_real() == doctest::Approx(900));
    CHECK(summary.sometimes["zero rights twice"].seeds == 2);
    CHECK(summary.sometimes["zero rights twice"].times == 5);
    CHECK(summary.missing() == std::vector<std::string>{"torn tail"});
    CHECK(sim::summary_text(summary, holdfast::api::Style::plain) ==
          "2 seeds, 0 failures; 1.00 simulated cluster-hours in 4.0 s: 0.5 seeds/s, 900 times real "
          "time\n\n"
          "situation          seeds  times\n"
          "torn tail              0      0  never\n"
          "zero rights twice      2      5\n");
  }

  TEST_CASE("failures are counted, and kept in the order of their seeds") {
    sim::Summary summary;
    for (const std::uint64_t seed : {9, 3, 200, 5}) summary.add({.seed = seed, .invariant = "x"});
    CHECK(summary.failures == 4);
    REQUIRE(summary.failed.size() == 4);
    CHECK(summary.failed.front().seed == 3);
    CHECK(summary.failed.back().seed == 200);
    for (std::uint64_t seed = 300; seed < 600; ++seed) summary.add({.seed = seed});
    CHECK(summary.failures == 304);
    CHECK(summary.failed.size() == sim::Summary::kFailuresKept);
  }

  TEST_CASE("a failure names seed, commit, invariant, time, event and the way back") {
    const sim::Verdict failure{.seed = 7,
                               .invariant = "rights-below-truth",
                               .detail = "lamp: 3 > 2\nat eu-1\033[31m",
                               .at_ms = 12'345,
                               .event = 88};
    CHECK(sim::failure_text(failure, "abc123") ==
          "FAILED  seed 7  commit abc123  invariant rights-below-truth  virtual time 12.345 s  "
          "event 88\n"
          "    lamp: 3 > 2\n"
          "    at eu-1?[31m\n"
          "  replay  holdfast sim replay --seed 7 --trace\n");
    CHECK(sim::replay_command(7, {{1, 4, 5, 6}, {3}, 900}) ==
          "holdfast sim replay --seed 7 --without-faults 1,4-6 --without-operations 3 --end-ms "
          "900");
  }

  TEST_CASE("a verdict survives the way from one process to another") {
    const sim::Verdict verdict{.seed = UINT64_MAX,
                               .invariant = "lost",
                               .detail = "\xFF\n\"quoted\"",
                               .at_ms = -1,
                               .event = UINT64_MAX,
                               .hash = 0xfedcba9876543210ull,
                               .simulated_ms = INT64_MAX,
                               .sometimes = {{"a", 0}, {"b", UINT64_MAX}}};
    const auto back = sim::verdict_from_json(boost::json::serialize(sim::to_json(verdict)));
    REQUIRE(back.ok());
    CHECK(back->seed == verdict.seed);
    CHECK(back->passed == verdict.passed);
    CHECK(back->invariant == verdict.invariant);
    CHECK(back->detail == verdict.detail);
    CHECK(back->at_ms == verdict.at_ms);
    CHECK(back->event == verdict.event);
    CHECK(back->hash == verdict.hash);
    CHECK(back->simulated_ms == verdict.simulated_ms);
    CHECK(back->sometimes == verdict.sometimes);
    for (const char* wrong : {"", "{}", "[]", "{\"seed\":\"1\"}"})
      CHECK_FALSE(sim::verdict_from_json(wrong).ok());
  }
}

}  // namespace
