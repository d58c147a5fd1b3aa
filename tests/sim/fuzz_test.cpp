// The swarm with subjects of the test's own, in real processes.
#include "sim/fuzz.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include <doctest/doctest.h>

namespace sim = holdfast::sim;

namespace {

sim::Verdict passing(std::uint64_t seed) {
  return {.seed = seed,
          .passed = true,
          .event = 1,
          .hash = seed * 31,
          .simulated_ms = 1'000,
          .sometimes = {{"odd", seed % 2}, {"never", 0}}};
}

sim::Subject subject(std::function<sim::Verdict(std::uint64_t, const sim::Omissions&)> run) {
  return {.run = std::move(run),
          .size =
              [](std::uint64_t) {
                return sim::PlanSize{10, 10, 1'000};
              },
          .describe = [](std::uint64_t, const sim::Omissions&) { return std::string("a plan"); }};
}

sim::Summary run(const sim::FuzzOptions& options, const sim::Subject& what) {
  auto summary =
      sim::fuzz({options.seeds}, options, what, [](const sim::Verdict*, const sim::Summary&) {});
  REQUIRE(summary.ok());
  return *std::move(summary);
}

bool no_child_is_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST_SUITE("fuzz") {
  TEST_CASE("every seed runs once, and the parts add up") {
    for (const unsigned jobs : {1u, 3u}) {
      const auto summary =
          run({.seeds = {5, 44}, .jobs = jobs},
              subject([](std::uint64_t seed, const sim::Omissions&) { return passing(seed); }));
      CHECK(summary.seeds == 40);
      CHECK(summary.failures == 0);
      CHECK(summary.simulated_ms == 40'000);
      CHECK(summary.sometimes.at("odd").seeds == 20);
      CHECK(summary.missing() == std::vector<std::string>{"never"});
      CHECK_FALSE(summary.interrupted);
    }
    CHECK(no_child_is_left());
  }

  TEST_CASE("the first failure is the lowest seed's, although a later one ends sooner") {
    const auto what = subject([](std::uint64_t seed, const sim::Omissions&) {
      if (seed == 3) ::usleep(300'000);
      sim::Verdict verdict = passing(seed);
      if (seed == 3 || seed == 4) {
        verdict.passed = false;
        verdict.invariant = "lost";
      }
      return verdict;
    });
    const auto summary = run({.seeds = {1, 100'000}, .jobs = 4}, what);
    REQUIRE_FALSE(summary.failed.empty());
    CHECK(summary.failed.front().seed == 3);
    CHECK(summary.seeds < 100'000);  // it stopped  // and nothing was begun after it
    CHECK(no_child_is_left());
  }

  TEST_CASE("a crash is a failure with its last words; the others go on") {
    const auto what = subject([](std::uint64_t seed, const sim::Omissions&) {
      if (seed % 10 == 0) {
        std::fprintf(stderr, "seed %d says goodbye\n", static_cast<int>(seed));
        std::abort();
      }
      if (seed == 15) ::_exit(3);
      if (seed == 16) throw std::runtime_error("nobody caught it");
      return passing(seed);
    });
    const auto summary = run({.seeds = {1, 30}, .jobs = 2, .keep_going = true}, what);
    CHECK(summary.seeds == 30);
    REQUIRE(summary.failures == 5);
    CHECK(summary.failed[0].seed == 10);
    CHECK(summary.failed[0].invariant == "crash");
    CHECK(summary.failed[0].detail == "killed by SIGABRT; it wrote:\nseed 10 says goodbye\n");
    CHECK(summary.failed[1].detail == "exited with status 3");
    CHECK(summary.failed[2].detail.find("nobody caught it") != std::string::npos);
    CHECK(no_child_is_left());
  }

  TEST_CASE("a seed that does not end is ended") {
    const auto what = subject([](std::uint64_t seed, const sim::Omissions&) {
      while (seed == 2) ::pause();
      return passing(seed);
    });
    const auto summary =
        run({.seeds = {1, 4}, .jobs = 2, .keep_going = true, .seed_limit = std::chrono::seconds(1)},
            what);
    CHECK(summary.seeds == 4);
    REQUIRE(summary.failures == 1);
    CHECK(summary.failed[0].seed == 2);
    CHECK(summary.failed[0].invariant == "hang");
    CHECK(no_child_is_left());
  }

  TEST_CASE("twice: a run that is not the same again is a failure") {
    std::uint64_t runs = 0;
    const auto what = subject([&runs](std::uint64_t seed, const sim::Omissions&) {
      sim::Verdict verdict = passing(seed);
      if (seed == 6) verdict.hash = ++runs;
      return verdict;
    });
    CHECK(run({.seeds = {1, 10}, .keep_going = true}, what).failures == 0);
    const auto summary = run({.seeds = {1, 10}, .keep_going = true, .twice = true}, what);
    REQUIRE(summary.failures == 1);
    CHECK(summary.failed[0].seed == 6);
    CHECK(summary.failed[0].invariant == "not-deterministic");
  }

  TEST_CASE("situations are asked for from 500 seeds up, or when told, and never of a part") {
    sim::Summary whole, part;
    whole.seeds = 500;
    part.seeds = 499;
    CHECK(sim::sometimes_required({.seeds = {1, 500}}, whole));
    CHECK_FALSE(sim::sometimes_required({.seeds = {1, 500}}, part));
    CHECK_FALSE(sim::sometimes_required({.seeds = {1, 499}}, part));
    CHECK(sim::sometimes_required({.seeds = {1, 499}, .require_sometimes = true}, part));
    CHECK_FALSE(sim::sometimes_required({.seeds = {1, 500}, .require_sometimes = false}, whole));
  }
}

}  // namespace
