// What a drill finds wrong, and how decrees are shown to people.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>
#include <string>

#include "api/cli_decree.h"
#include "api/cli_drill.h"
#include "api/cli_drill_account.h"
#include "api/cli_drill_load.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

// A drill in which everything went well.
DrillReport good() {
  DrillReport report;
  report.lost = "eu";
  report.regions = {"eu", "us"};
  report.skus = 10;
  report.nodes = 2;
  report.looks = 1'000;
  report.least_available = -3;
  report.travellers = report.adopted = 2;
  for (const char* region : {"eu", "us"}) {
    for (PhaseSales& sales : report.sales[region].phases) {
      sales.carts = sales.plenty_carts = 20'000;
      sales.sold = sales.plenty_sold = 20'000;
      sales.units = 40'000;
      sales.reserve_ms = {1, 2};
    }
  }
  report.decree = {.plan = "0123456789abcdef",
                   .targets = {"000000000000000a"},
                   .seize = 40,
                   .open_holds = 2,
                   .seized = 40,
                   .spent_unseen = 10,
                   .realized = 3,
                   .repaid = 10,
                   .accounts = 1,
                   .closed = 1};
  return report;
}

// The names of the checks that fail after the change.
template <typename Change>
std::string failing(Change&& change) {
  DrillReport report = good();
  change(report);
  judge(report);
  std::string names;
  for (const DrillCheck& check : report.checks) {
    if (!check.ok) names += (names.empty() ? "" : ", ") + check.name;
  }
  CHECK(report.ok() == names.empty());
  CHECK(report_json(report).at("ok").as_bool() == names.empty());
  return names;
}

PhaseSales& outage_of(DrillReport& report, const char* region) {
  return report.sales[region].phases[static_cast<std::size_t>(DrillPhase::outage)];
}

TEST_CASE("a drill passes only if everything was checked and held") {
  CHECK_FALSE(DrillReport{}.ok());  // nothing was checked
  CHECK(failing([](DrillReport&) {}) == "");
  CHECK(failing([](DrillReport& r) { r.violations = 1; }) == "bound");
  CHECK(failing([](DrillReport& r) { r.looks = 0; }) == "bound");
  CHECK(failing([](DrillReport& r) { r.differences = 1; }) == "ground truth");
  CHECK(failing([](DrillReport& r) { r.adopted = 1; }) == "adoption");
}

TEST_CASE("a decree's account must be closed and add up") {
  CHECK(failing([](DrillReport& r) { r.decree.closed = 0; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.accounts = r.decree.closed = 0; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.seized = 41; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.repaid = 9; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.realized = 11; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.unseen = 1; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.debt = 1; }) == "account");
  CHECK(failing([](DrillReport& r) { r.decree.spent_unseen = r.decree.repaid = 41; }) == "account");
}

TEST_CASE("the other regions must sell on, the lost one need not") {
  CHECK(failing([](DrillReport& r) { outage_of(r, "us").plenty_sold -= 2; }) == "");
  CHECK(failing([](DrillReport& r) { outage_of(r, "us").plenty_sold -= 3; }) == "others sold on");
  CHECK(failing([](DrillReport& r) { outage_of(r, "us").failed = 1; }) == "others sold on");
  CHECK(failing([](DrillReport& r) { outage_of(r, "us").unreached = 1; }) == "others sold on");
  CHECK(failing([](DrillReport& r) { outage_of(r, "us").refused = 99; }) == "");  // scarce SKUs
  CHECK(failing([](DrillReport& r) { outage_of(r, "eu") = {.carts = 9, .unreached = 9}; }) == "");
}

TEST_CASE("the outage's p99 is told in terms of the undisturbed one, of the other regions") {
  DrillReport report = good();
  outage_of(report, "us").reserve_ms = {3, 3};
  outage_of(report, "eu").reserve_ms = {100, 100};
  CHECK(p99_ratio(report) == doctest::Approx(1.5));
  const json::value shown = report_json(report);
  CHECK(shown.at_pointer("/latency/outage/p99_ms").as_double() == 3);
  CHECK(shown.at_pointer("/decree/state") == "closed");
  CHECK(shown.at("how") == "cut");
  CHECK(p99_ratio(DrillReport{}) == 0);
}

TEST_CASE("a drill's report names what failed") {
  DrillReport report = good();
  report.differences = 2;
  report.notes = {"eu-1: sold 5 instead of 6\n"};
  judge(report);
  const std::string text = report_text(report, Style::plain);
  CHECK(text.find("FAILED  ground truth: 2 of 20 figures") != std::string::npos);
  CHECK(text.find("ok      bound") != std::string::npos);
  CHECK(text.find("eu-1: sold 5 instead of 6?") != std::string::npos);  // no control bytes
  CHECK(text.find("eu (lost)") != std::string::npos);
}

TEST_CASE("a drill's carts are the same in every run, and differ") {
  DrillCatalogue catalogue{.prefix = "p-", .skus = std::vector<std::string>(7, "s")};
  std::set<std::string> ids;
  std::set<std::size_t> skus;
  std::set<crdt::Units> units;
  for (std::uint64_t n = 0; n < 200; ++n) {
    const DrillCart cart = drill_cart(catalogue, "eu", n);
    CHECK(drill_cart(catalogue, "eu", n).sku == cart.sku);
    ids.insert(cart.id);
    skus.insert(cart.sku);
    units.insert(cart.units);
  }
  CHECK(ids.size() == 200);
  CHECK(ids.contains("p-eu-0"));
  CHECK(skus.size() == 7);
  CHECK(units == std::set<crdt::Units>{1, 2, 3});
}

TEST_CASE("what sellers counted is added up") {
  SellerAccount sum, one;
  one.sold = {1, 2};
  one.phases[1] = {.carts = 5, .sold = 4, .refused = 1, .units = 7, .reserve_ms = {1}};
  one.unsettled.push_back({"a", {}});
  one.problems = {"x", "y"};
  sum += one;
  sum += one;
  CHECK(sum.sold == std::vector<crdt::Units>{2, 4});
  CHECK(sum.phases[1].carts == 10);
  CHECK(sum.phases[1].sold == 8);
  CHECK(sum.phases[1].refused == 2);
  CHECK(sum.phases[1].units == 14);
  CHECK(sum.phases[1].reserve_ms.size() == 2);
  CHECK(sum.phases[2].carts == 0);
  CHECK(sum.unsettled.size() == 2);
  CHECK(sum.problems.size() == 3);  // the first few
}

json::object plan_of(int skus) {
  json::array items;
  for (int i = 0; i < skus; ++i) {
    items.push_back(
        json::object{{"sku", "s" + std::to_string(i)}, {"seize", i}, {"open_holds", 1}});
  }
  return {{"dry_run", true},
          {"plan", "0123456789abcdef"},
          {"targets",
           json::array{
               json::object{{"replica", "000000000000000a"}, {"node", "eu-1"}, {"region", "eu"}},
               json::object{{"replica", "000000000000000b"}}}},
          {"seize", skus * (skus - 1) / 2},
          {"open_holds", skus},
          {"skus", std::move(items)}};
}

TEST_CASE("a plan shows whom it means, the largest SKUs and the most that it can oversell") {
  CHECK(plan_text(plan_of(3), DecreeVerb::declare_lost, Style::plain) ==
        "would declare lost: 000000000000000a (eu-1, eu), 000000000000000b\n\n"
        "sku    seize  in open holds\n"
        "s2         2              1\n"
        "s1         1              1\n"
        "s0         0              1\n"
        "total      3              3\n\n"
        "at most 3 units can be oversold by this, plus at most 3 in open holds\n");
  const std::string many = plan_text(plan_of(50), DecreeVerb::retire, Style::plain);
  CHECK(many.starts_with("would retire for ever: "));
  CHECK(many.find("s49") != std::string::npos);
  CHECK(many.find("s29 ") == std::string::npos);
  CHECK(many.find("30 more    435             30\n") != std::string::npos);
  CHECK(many.find("at most 1,225 units") != std::string::npos);
  json::object done = plan_of(1);
  done["dry_run"] = false;
  CHECK(plan_text(done, DecreeVerb::declare_lost, Style::plain).starts_with("declared lost: "));
  CHECK(plan_text({}, DecreeVerb::declare_lost, Style::plain).find("at most 0 units") !=
        std::string::npos);
}

TEST_CASE("the region that is lost: as asked, else the last as given, not by name") {
  DrillOptions options;
  options.cluster.regions = {"us", "eu", "ap"};
  const std::vector<std::string> by_name = {"ap", "eu", "us"};
  CHECK(region_to_lose(options, by_name) == "ap");
  options.lost = "eu";
  CHECK(region_to_lose(options, by_name) == "eu");
  options.lost.clear();
  options.url = "http://127.0.0.1:8080";
  CHECK(region_to_lose(options, by_name) == "us");
}

TEST_CASE("what confirms a dry run has its share and its successor, too") {
  CHECK(options_of({.target = "eu"}, "0123456789abcdef") == "--plan 0123456789abcdef");
  CHECK(options_of({.target = "eu", .fraction = 0.5}, "0123456789abcdef") ==
        "--fraction 0.5 --plan 0123456789abcdef");
  CHECK(options_of({.target = "eu", .fraction = 0.1}, "0").starts_with("--fraction 0.1 "));
  CHECK(options_of({.target = "eu-1", .successor = "us-1"}, "0") == "--successor us-1 --plan 0");
}

}  // namespace
}  // namespace holdfast::api
