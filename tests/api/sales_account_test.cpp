#include "api/sales_account.h"

#include <doctest/doctest.h>

namespace api = holdfast::api;

namespace {

TEST_SUITE("sales_account") {
  TEST_CASE("on hand and available follow from the totals") {
    const api::SkuTotals totals{
        .received = 100, .withdrawn = 5, .held = 7, .sold = 30, .returned = 2};
    CHECK(totals.on_hand() == 67);
    CHECK(totals.available() == 60);
    const api::StockAnswer same{
        .on_hand = 67, .held = 7, .sold = 30, .returned = 2, .available = 60};
    CHECK(api::disagreement(totals, same).empty());
    auto other = same;
    other.sold = 31;
    CHECK(api::disagreement(totals, other) == "sold 31 instead of 30");
  }

  TEST_CASE("less than nothing available is a disagreement, even if both say so") {
    const api::SkuTotals totals{.received = 1, .sold = 2};
    const api::StockAnswer answer{.on_hand = -1, .sold = 2, .available = -1, .oversold = 1};
    CHECK(api::disagreement(totals, answer) == "oversold: available -1");
  }

  TEST_CASE("percentiles by nearest rank") {
    CHECK(api::latency_of({}).count == 0);
    const auto one = api::latency_of({3});
    CHECK(one.p50_ms == 3);
    CHECK(one.p99_ms == 3);
    std::vector<double> samples;
    for (int i = 200; i >= 1; --i) samples.push_back(i);
    const auto many = api::latency_of(samples);
    CHECK(many.count == 200);
    CHECK(many.p50_ms == 100);
    CHECK(many.p99_ms == 198);
    CHECK(many.max_ms == 200);
  }

  TEST_CASE("rights beyond what a region earned have moved in") {
    api::RegionAccount us{.region = "us"};
    us.skus["lamp"] = {.received = 10, .sold = 4};
    us.skus["chair"] = {.received = 10};
    std::map<std::string, api::StockAnswer> answers;
    answers["lamp"].rights = {{"us", 9}, {"eu", 1}};
    answers["chair"].rights = {{"us", 4}, {"eu", 6}};
    const auto moved = api::rights_moved(us, answers);
    CHECK(moved.in == 3);
    CHECK(moved.out == 6);
    const auto eu = api::rights_moved({.region = "eu"}, answers);
    CHECK(eu.in == 7);
    CHECK(eu.out == 0);
  }

  TEST_CASE("regions add up, and few problems are kept") {
    std::vector<api::RegionAccount> regions(2);
    regions[0].skus["lamp"] = {.received = 10, .sold = 4};
    regions[1].skus["lamp"] = {.received = 1, .returned = 2};
    CHECK(api::total_of(regions)["lamp"] ==
          api::SkuTotals{.received = 11, .sold = 4, .returned = 2});
    for (int i = 0; i < 100; ++i) regions[0].note_problem("x");
    CHECK(regions[0].problems.size() == api::kProblemsKept);
  }
}

}  // namespace
