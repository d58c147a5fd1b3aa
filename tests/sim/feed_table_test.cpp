// What our feeds send beside the ways of the literature. The models must give the published ratios,
// or the comparison says nothing.

#include "sim/feed_table.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cmath>

namespace holdfast::sim {
namespace {

const FeedRow& row(const FeedTable& table, FeedVariant variant) {
  for (const FeedRow& row : table.rows)
    if (row.variant == variant) return row;
  FAIL("no such row");
  return table.rows.front();
}

void check_claims(Overlay overlay, FeedType type) {
  const FeedTable table = feed_table({.overlays = {overlay}, .types = {type}});
  CAPTURE(text(table, false));
  REQUIRE(table.rows.size() == 7);
  for (const FeedRow& row : table.rows) {
    CAPTURE(name_of(row.variant));
    CHECK(row.cost.converged);
    if (row.deviation) CHECK(std::abs(*row.deviation) <= 0.05);
  }
  const FeedRow& ours = row(table, FeedVariant::ours);
  const FeedRow& best = row(table, FeedVariant::bp_rr);
  CHECK(best.ratio == 1);
  CHECK(ours.cost.elements() <= best.cost.elements());
  CHECK(ours.cost.metadata_bytes <= best.cost.metadata_bytes);
  CHECK(ours.cost.payload > 0);
  CHECK(ours.cost.apart > 0);  // heartbeats are counted, apart
  CHECK(holds(table));
}

TEST_SUITE("the feeds' table") {
  TEST_CASE("a tree: published ratios are met, and ours sends no more than BP+RR") {
    check_claims(Overlay::tree, FeedType::gcounter);
    check_claims(Overlay::tree, FeedType::gset);
  }

  TEST_CASE("a mesh: likewise") {
    check_claims(Overlay::mesh, FeedType::gcounter);
    check_claims(Overlay::mesh, FeedType::gmap10);
  }

  TEST_CASE("closed forms: what RR and BP+RR send is counted by hand") {
    const auto payload = [](Overlay overlay, FeedVariant variant) {
      return run_feed_model(feed_workload(overlay, FeedType::gset, 1), variant).payload;
    };
    // 1,500 updates, each once over every directed edge (RR), or over every edge of the tree.
    CHECK(payload(Overlay::tree, FeedVariant::rr) ==
          doctest::Approx(1'500 * 28 / 15.0).epsilon(0.01));  // a run ends before the last echo
    CHECK(payload(Overlay::mesh, FeedVariant::rr) ==
          doctest::Approx(1'500 * 60 / 15.0).epsilon(0.01));
    CHECK(payload(Overlay::tree, FeedVariant::bp_rr) == doctest::Approx(1'500 * 14 / 15.0));
  }

  TEST_CASE("workloads are as the paper has them, and depend on the seed alone") {
    for (const Overlay overlay : {Overlay::tree, Overlay::mesh}) {
      const FeedWorkload workload = feed_workload(overlay, FeedType::gmap10, 5);
      REQUIRE(workload.replicas() == 15);
      CHECK(workload.rounds() == 100);
      std::size_t edges = 0;
      for (std::size_t i = 0; i < 15; ++i) {
        edges += workload.neighbours[i].size();
        for (const std::size_t j : workload.neighbours[i]) {
          const auto& back = workload.neighbours[j];
          CHECK(std::find(back.begin(), back.end(), i) != back.end());
        }
        for (const auto& keys : workload.writes[i]) {
          CHECK(keys.size() == 7);
          CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
          CHECK(keys.front() >= i * 67);
          CHECK(keys.back() < (i + 1) * 67);
        }
      }
      CHECK(edges == (overlay == Overlay::tree ? 28 : 60));
      CHECK(workload.writes == feed_workload(overlay, FeedType::gmap10, 5).writes);
      CHECK(workload.writes != feed_workload(overlay, FeedType::gmap10, 6).writes);
    }
  }

  TEST_CASE("a table that breaks its promise does not hold") {
    FeedTable table;
    CHECK(holds(table));
    table.rows.push_back({.variant = FeedVariant::ours,
                          .cost = {.converged = true},
                          .ratio = 0.9,
                          .bytes_ratio = 0.9});
    CHECK(holds(table));
    FeedTable more = table, longer = table, split = table, off = table;
    more.rows[0].ratio = 1.01;
    longer.rows[0].bytes_ratio = 1.01;
    split.rows[0].cost.converged = false;
    off.rows[0].deviation = -0.06;
    for (const FeedTable& broken : {more, longer, split, off}) CHECK_FALSE(holds(broken));
    CHECK(boost::json::serialize(json(off)).find("\"holds\":false") != std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast::sim
