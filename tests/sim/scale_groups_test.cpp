#include "sim/scale_groups.h"

#include <doctest/doctest.h>

using namespace holdfast::sim;

namespace {

GroupScaleOptions small() {
  return {.nodes = {1, 2}, .shards = {1, 2}, .skus = 200, .regions = 2, .cpu_seconds = [] {
            return 0.0;
          }};
}

}  // namespace

TEST_SUITE("scale_groups") {
  TEST_CASE("every cart is sold, one node gossips nothing, and a run is the same each time") {
    const GroupScale scale = scale_groups(small(), nullptr), again = scale_groups(small(), nullptr);
    REQUIRE(scale.by_nodes.size() == 2);
    REQUIRE(scale.by_shards.size() == 2);
    CHECK(scale.by_nodes[0].bytes_per_reservation == 0);
    CHECK(scale.by_nodes[1].bytes_per_reservation > 50);
    CHECK(scale.by_shards[1].nodes == 6);
    CHECK(scale.by_shards[1].skus == 200);
    CHECK(scale.by_shards[1].reservations == 2 * scale.by_shards[0].reservations);
    CHECK(scale.by_shards[1].problem == "");
    CHECK(scale.by_shards[1].bytes_per_reservation == again.by_shards[1].bytes_per_reservation);
    CHECK(scale.by_shards[1].events == again.by_shards[1].events);
  }

  TEST_CASE("more bytes than the peers explain, or more with the shards, are a failure") {
    GroupScale scale{.by_nodes = {{1, 1, 10, 10, 0}, {1, 2, 10, 10, 200}, {1, 5, 10, 10, 800}},
                     .by_shards = {{1, 3, 10, 10, 400}, {4, 12, 40, 40, 420}}};
    CHECK(study_of(scale, small()).passed());
    scale.by_nodes[2].bytes_per_reservation = 1'100;
    CHECK_FALSE(study_of(scale, small()).passed());
    scale.by_nodes[2].bytes_per_reservation = 800;
    scale.by_shards[1].bytes_per_reservation = 500;
    CHECK_FALSE(study_of(scale, small()).passed());
    scale.by_shards[1] = {.shards = 4, .nodes = 12, .problem = "a cart was refused"};
    CHECK_FALSE(study_of(scale, small()).passed());
  }
}
