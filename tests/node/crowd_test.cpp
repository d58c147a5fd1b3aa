// When a turn is worth it, and when it may end with a batch.

#include "node/crowd.h"

#include <doctest/doctest.h>

using holdfast::node::Crowd;
using namespace std::chrono_literals;

namespace {

constexpr Crowd::Instant at(std::chrono::microseconds since) {
  return Crowd::Instant(std::chrono::hours(1)) + since;
}

// A turn at that time that takes `writes` and submits them.
void submit(Crowd& crowd, std::size_t writes, std::chrono::microseconds since) {
  crowd.came(writes, false);
  CHECK(crowd.worth_a_turn(at(since)));
  CHECK(crowd.begin_turn(at(since)));
  crowd.end_turn({.submitted = true, .busy = true});
}

// The same, and the batch is durable 100 us later.
void batch_of(Crowd& crowd, std::size_t writes, std::chrono::microseconds since) {
  submit(crowd, writes, since);
  crowd.store_is_free(at(since + 100us));
}

}  // namespace

TEST_SUITE("crowd") {
  TEST_CASE("who writes alone waits for nobody") {
    Crowd crowd;
    CHECK_FALSE(crowd.worth_a_turn(at(0us)));
    CHECK(crowd.look_again_at(at(0us)) == Crowd::Instant::max());
    for (const auto since : {0us, 200us, 400us}) batch_of(crowd, 1, since);
    for (const auto since : {600us, 800us, 1000us}) batch_of(crowd, 3, since);
  }

  TEST_CASE("after a crowd the next batch waits for as many, decided meanwhile, at most 2 ms") {
    Crowd crowd;
    batch_of(crowd, 40, 0us);
    crowd.came(10, false);
    CHECK_FALSE(crowd.worth_a_turn(at(150us)));
    crowd.came(10, false);
    CHECK(crowd.worth_a_turn(at(160us)));
    CHECK_FALSE(crowd.begin_turn(at(160us)));  // decided, and kept for the batch
    crowd.end_turn({.owes = true});
    CHECK_FALSE(crowd.worth_a_turn(at(170us)));
    CHECK(crowd.look_again_at(at(170us)) == at(2'100us));

    SUBCASE("they come") {
      crowd.came(15, false);
      CHECK_FALSE(crowd.worth_a_turn(at(300us)));
      crowd.came(5, false);
      CHECK(crowd.worth_a_turn(at(310us)));
      CHECK(crowd.begin_turn(at(310us)));
    }
    SUBCASE("they do not, and the time is over, also for the next alone") {
      CHECK_FALSE(crowd.worth_a_turn(at(2'099us)));
      CHECK(crowd.worth_a_turn(at(2'100us)));
      CHECK(crowd.begin_turn(at(2'100us)));
      crowd.end_turn({.submitted = true, .busy = true});
      crowd.store_is_free(at(2'200us));
      CHECK(crowd.look_again_at(at(5'000us)) == Crowd::Instant::max());
      batch_of(crowd, 1, 5'000us);
      batch_of(crowd, 1, 5'200us);
    }
  }

  TEST_CASE("large batches wait for no more than 64, and are decided by the half") {
    Crowd crowd;
    batch_of(crowd, 1'000, 0us);
    crowd.came(63, false);
    CHECK_FALSE(crowd.worth_a_turn(at(150us)));
    crowd.came(1, false);
    CHECK(crowd.worth_a_turn(at(150us)));
    CHECK(crowd.begin_turn(at(150us)));
    crowd.end_turn({.submitted = true, .busy = true});
    crowd.came(31, false);
    CHECK_FALSE(crowd.worth_a_turn(at(160us)));
    crowd.came(1, false);
    CHECK(crowd.worth_a_turn(at(160us)));

    Crowd large;
    batch_of(large, 1'000, 0us);
    submit(large, 1'000, 150us);
    large.came(499, false);
    CHECK_FALSE(large.worth_a_turn(at(160us)));
    large.came(1, false);
    CHECK(large.worth_a_turn(at(160us)));
  }

  TEST_CASE("a read never waits, and takes nobody else's batch along") {
    Crowd crowd;
    batch_of(crowd, 40, 0us);
    crowd.came(3, true);
    CHECK(crowd.worth_a_turn(at(150us)));
    CHECK_FALSE(crowd.begin_turn(at(150us)));
    crowd.end_turn({.owes = true});
    crowd.came(37, false);  // the three count
    CHECK(crowd.begin_turn(at(200us)));
  }

  TEST_CASE("while the store writes, a few writes or bytes are not worth a turn") {
    Crowd crowd;
    submit(crowd, 1, 0us);
    crowd.came(15, false);
    crowd.came_from_peers(1'000);
    CHECK_FALSE(crowd.worth_a_turn(at(1'000'000us)));
    SUBCASE("sixteen are") {
      crowd.came(1, false);
      CHECK(crowd.worth_a_turn(at(50us)));
    }
    SUBCASE("64 KiB are") {
      crowd.came_from_peers(64 << 10);
      CHECK(crowd.worth_a_turn(at(50us)));
    }
    SUBCASE("and all are once it is free") {
      crowd.store_is_free(at(100us));
      CHECK(crowd.worth_a_turn(at(100us)));
    }
  }

  TEST_CASE("what a turn left because the store was busy goes as soon as it is free") {
    Crowd crowd;
    submit(crowd, 1, 0us);
    crowd.came(16, false);
    CHECK(crowd.begin_turn(at(20us)));
    crowd.end_turn({.busy = true, .owes = true});
    CHECK_FALSE(crowd.worth_a_turn(at(30us)));
    crowd.store_is_free(at(100us));
    CHECK(crowd.worth_a_turn(at(100us)));
    CHECK(crowd.begin_turn(at(100us)));
    crowd.end_turn({.submitted = true, .busy = true});
    crowd.store_is_free(at(200us));
    CHECK_FALSE(crowd.worth_a_turn(at(200us)));
    CHECK(crowd.look_again_at(at(200us)) == at(2'200us));  // sixteen are a crowd
  }

  TEST_CASE("a store that frees itself before the turn has ended is not taken for busy") {
    Crowd crowd;
    crowd.came(1, false);
    CHECK(crowd.begin_turn(at(0us)));
    crowd.store_is_free(at(10us));
    crowd.end_turn({.submitted = true, .busy = true});  // as it looked a moment before
    crowd.came(1, false);
    CHECK(crowd.worth_a_turn(at(20us)));
  }
}
