#include "sim/shop_decrees.h"

#include <doctest/doctest.h>

#include "sim/scenario_run.h"

using namespace holdfast::sim;
using holdfast::crdt::Product;
using holdfast::crdt::ReplicaId;
using holdfast::crdt::StockRow;
using holdfast::crdt::Units;

namespace {

constexpr const char* kCutOff =
    "[[event]]\nat = \"2m\"\nfor = \"5m\"\nkind = \"cut\"\nfrom = \"eu\"\n";
constexpr const char* kNewStock =
    "[[event]]\nat = \"8m\"\nkind = \"receive\"\nregion = \"us\"\nsku = \"*\"\nunits = 500\n";

std::string failover(const std::string& at, const std::string& by, const std::string& more = "") {
  return "[[event]]\nat = \"" + at + "\"\nkind = \"failover\"\nregion = \"eu\"\nby = \"" + by +
         "\"\n" + more;
}

// Three regions and scarce stock, for ten minutes.
Report report_of(const std::string& more) {
  const std::string text = R"(title = "t"
seed = 3
duration = "10m"
sample_every = "10s"
[[region]]
name = "us"
[[region]]
name = "eu"
[[region]]
name = "ap"
[stock]
skus = 3
units_per_sku = 200
[demand]
rate = 1.5
think = ["1s", "5s"]
)" + more;
  const auto scenario = parse_scenario(text, "t.toml");
  REQUIRE_MESSAGE(scenario.ok(), std::string(scenario.status().message()));
  auto report = run(*scenario);
  REQUIRE(report.ok());
  REQUIRE(report->checks.front().name == "invariants");
  CHECK_MESSAGE(report->checks.front().passed, report->checks.front().detail);
  return *std::move(report);
}

std::string answer_of(const Report& report, const std::string& kind, std::size_t nth = 0) {
  for (const FaultSpan& fault : report.faults)
    if (fault.kind == kind && nth-- == 0) return fault.answer;
  return "there is none";
}

bool passed(const Report& report, const std::string& name) {
  for (const CheckResult& check : report.checks)
    if (check.name == name) return check.passed;
  FAIL(name, " was not checked");
  return false;
}

std::string told(const DecreeTotals& decrees) {
  return "done: seized " + std::to_string(decrees.seize) + ", open holds " +
         std::to_string(decrees.open_holds);
}

}  // namespace

TEST_SUITE("shop decrees") {
  TEST_CASE("a region that lives is declared lost: what it costs is within what was said") {
    const Report report = report_of(std::string(kCutOff) + failover("3m", "us") + kNewStock +
                                    "[expect]\nwithin_bound = true\ndecrees_closed = true\n"
                                    "spent_unseen_min = 1\n");
    REQUIRE(report.decrees);
    const DecreeTotals& decrees = *report.decrees;
    CHECK(report.passed());
    CHECK(answer_of(report, "failover") == told(decrees));
    CHECK(decrees.issued == 1);
    CHECK(decrees.open == 0);
    CHECK(decrees.seize > 50);
    CHECK(decrees.seized == decrees.seize);
    CHECK(decrees.beyond_allowance > 0);
    CHECK(decrees.beyond_allowance <= decrees.seize + decrees.open_holds);
    CHECK(decrees.beyond_bound == 0);
    CHECK(decrees.spent_unseen > 0);
    CHECK(decrees.spent_unseen <= decrees.seize);
    CHECK(decrees.repaid == decrees.spent_unseen);
    CHECK(decrees.debt == 0);
    CHECK(decrees.unseen == 0);
    CHECK(*report.totals.oversold > 0);
    CHECK(*report.totals.oversold_bound == decrees.seize + decrees.open_holds);
    CHECK(report.global.oversold_bound.front() == 0);  // before the decree
  }

  TEST_CASE("a part of the rights; a second decree while the first is open; nobody to issue it") {
    const Report report = report_of(
        std::string(kCutOff) + failover("3m", "us", "fraction = 0.5\n") + failover("4m", "us") +
        "[[event]]\nat = \"4m\"\nfor = \"2m\"\nkind = \"crash\"\nnodes = \"ap\"\n" +
        failover("5m", "ap"));
    REQUIRE(report.decrees);
    CHECK(answer_of(report, "failover", 0) == told(*report.decrees));
    CHECK(answer_of(report, "failover", 1) == "refused: decree_open");
    CHECK(answer_of(report, "failover", 2) == "not sent: no node of the region runs");
    CHECK(report.decrees->issued == 1);
    const Report whole = report_of(std::string(kCutOff) + failover("3m", "us"));
    CHECK(report.decrees->seize >= whole.decrees->seize / 2 - 3);
    CHECK(report.decrees->seize <= whole.decrees->seize / 2 + 3);
    CHECK(*report.totals.oversold_bound <=
          report.decrees->seize + report.decrees->open_holds);  // refused ones allow nothing
  }

  TEST_CASE("two issuers that do not see each other: what it may cost adds up") {
    const Report report =
        report_of(std::string(kCutOff) +
                  "[[event]]\nat = \"2m\"\nfor = \"5m\"\nkind = \"cut\"\nfrom = \"us\"\n"
                  "to = \"ap\"\n" +
                  failover("3m", "us") + failover("3m", "ap") + kNewStock +
                  "[expect]\nwithin_bound = true\ndecrees_closed = true\n");
    REQUIRE(report.decrees);
    CHECK(report.passed());
    CHECK(report.decrees->issued == 2);
    const std::string us = answer_of(report, "failover", 0);
    CHECK(us == answer_of(report, "failover", 1));  // both saw the same
    CHECK(us == "done: seized " + std::to_string(report.decrees->seize / 2) + ", open holds " +
                    std::to_string(report.decrees->open_holds / 2));
  }

  TEST_CASE("what cannot be repaid stays open, and fails whoever expects it closed") {
    const Report report = report_of(std::string(kCutOff) + failover("3m", "us") +
                                    "[expect]\nwithin_bound = true\ndecrees_closed = true\n");
    CHECK_FALSE(passed(report, "decrees are closed"));
    CHECK(passed(report, "oversold within its bound"));
    REQUIRE(report.decrees);
    CHECK(report.decrees->open == 1);
    CHECK(report.decrees->debt > 0);
    CHECK(report.decrees->repaid < report.decrees->spent_unseen);
  }

  TEST_CASE("without a decree there are no figures, and nothing was closed") {
    const Report report =
        report_of("[expect]\nwithin_bound = true\ndecrees_closed = true\nspent_unseen_min = 1\n");
    CHECK_FALSE(report.decrees);
    CHECK(passed(report, "oversold within its bound"));
    CHECK_FALSE(passed(report, "decrees are closed"));
    CHECK_FALSE(passed(report, "what was to be shown: sold by the lost before it knew"));
  }

  TEST_CASE("a lost disk's replica is retired: its successor has its rights, and ends its holds") {
    const std::string lost =
        "[[event]]\nat = \"2m\"\nfor = \"3m\"\nkind = \"disk_lost\"\n"
        "nodes = \"eu-1\"\n";
    const auto nobodys = [](const Report& report) {
      for (const CheckResult& check : report.checks)
        if (check.name == "lost with the disk") return check.detail;
      return std::string();
    };
    // While it is away, and when its new replica has long been there.
    for (const char* at : {"3m", "7m"}) {
      CAPTURE(at);
      const Report report = report_of(lost + "[[event]]\nat = \"" + at +
                                      "\"\nkind = \"retire\"\nnode = \"eu-1\"\nby = \"us\"\n"
                                      "successor = \"ap-1\"\n");
      REQUIRE(report.decrees);
      CHECK(answer_of(report, "retire") == told(*report.decrees));
      CHECK(report.decrees->retirements == 1);
      CHECK(report.decrees->issued == 0);
      CHECK(report.decrees->seize > 0);
      CHECK(nobodys(report).starts_with("rights to 0 units, which nobody can sell; 0 units in "));
    }
    CHECK_FALSE(nobodys(report_of(lost)).starts_with("rights to 0 units"));
  }

  TEST_CASE("what is oversold beyond its bound is seen, SKU by SKU") {
    Product one{.sku = "one"}, other{.sku = "other"};
    const auto set = [](Product& product, Units received, Units held, Units allowed) {
      product.stock.change(product.stock.at(ReplicaId{1}), [&](StockRow& row) {
        row.received = received;
        row.held = held;
        row.allowance_added = allowed;
      });
    };
    OversellWatch watch;
    watch.allow("one", 10);
    watch.allow("other", 5);
    set(one, 100, 120, 10);  // 20 below zero, of which 10 are allowance
    watch.look(one);
    CHECK(watch.beyond_allowance() == 10);
    CHECK(watch.beyond_bound() == 0);
    set(other, 10, 17, 0);
    watch.look(other);
    CHECK(watch.beyond_allowance() == 17);  // 12 and 5 would be allowed; of "other" it is 7
    CHECK(watch.beyond_bound() == 2);
    CHECK(watch.worst_sku() == "other");
    set(one, 200, 120, 10);  // new stock
    watch.look(one);
    watch.look(other);
    CHECK(watch.beyond_allowance() == 17);  // at its highest
    watch.allow("other", -5);
    CHECK(watch.allowed() == 10);
    watch.look(other);
    CHECK(watch.beyond_bound() == 7);
  }
}
