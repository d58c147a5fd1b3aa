#include "sim/scenario_run.h"

#include <doctest/doctest.h>

#include "sim/compare.h"

using namespace holdfast::sim;
using holdfast::crdt::Units;

namespace {

struct Case {
  std::string policy = "on-demand";
  int units_per_sku = 1'000;
  bool cut = true;        // for six of the ten minutes
  std::string top, more;  // keys at the top of the file; tables at its end
  bool overload = false;  // of us, for two minutes
  int nodes_of_us = 1;
};

Scenario scenario_of(const Case& of) {
  std::string text = "title = \"t\"\nseed = 3\nduration = \"10m\"\nsample_every = \"10s\"\n" +
                     of.top +
                     R"(
[[region]]
name = "us"
[[region]]
name = "eu"
[stock]
skus = 3
[demand]
rate = 1.0
units = [1, 2]
lines = [1, 2]
release_percent = 10
abandon_percent = 10
think = ["1s", "5s"]
ttl = "30s"
)";
  text.insert(text.find("[[region]]\nname = \"eu\""),
              "nodes = " + std::to_string(of.nodes_of_us) + "\n");
  if (of.overload) {
    text.insert(text.find("[[region]]\nname = \"eu\""), "capacity = 20\n");
    text += "[[demand.burst]]\nat = \"3m\"\nfor = \"2m\"\nfactor = 120\nregions = \"us\"\n";
  }
  text.insert(text.find("[demand]"), "units_per_sku = " + std::to_string(of.units_per_sku) + "\n");
  if (of.cut)
    text += "[[event]]\nat = \"2m\"\nfor = \"6m\"\nkind = \"cut\"\nfrom = \"us\"\nto = \"eu\"\n";
  text += "[policy]\nname = \"" + of.policy + "\"\n" + of.more;
  auto scenario = parse_scenario(text, "t.toml");
  REQUIRE_MESSAGE(scenario.ok(), std::string(scenario.status().message()));
  return *std::move(scenario);
}

Report report_of(const Case& of) {
  const Scenario scenario = scenario_of(of);
  auto report = run(scenario);
  REQUIRE(report.ok());
  return *std::move(report);
}

const CheckResult* check_of(const Report& report, const std::string& name) {
  for (const CheckResult& check : report.checks)
    if (check.name == name) return &check;
  return nullptr;
}

constexpr std::size_t kUs = 0, kEu = 1;

double sum_of(const Series& series) {
  double sum = 0;
  for (const double value : series) sum += value;
  return sum;
}

void check_totals(const Report& report) {
  Totals sum;
  std::size_t refused = 0;
  const Totals& all = report.totals;
  for (const Report::Region& region : report.regions) {
    const Totals& of = region.totals;
    CHECK(of.carts == of.carts_accepted + of.carts_refused() + of.carts_failed);
    CHECK(of.refused_with_stock_elsewhere <= of.carts_refused());
    CHECK(sum_of(region.series.carts_accepted) == doctest::Approx(of.carts_accepted).epsilon(0.02));
    sum.carts += of.carts;
    sum.lines += of.lines;
    sum.carts_accepted += of.carts_accepted;
    sum.carts_failed += of.carts_failed;
    sum.units_reserved += of.units_reserved;
    sum.units_committed += of.units_committed;
    sum.units_released += of.units_released;
    sum.units_expired += of.units_expired;
    sum.wan_bytes += of.wan_bytes;
    refused += of.carts_refused();
  }
  CHECK(all.carts > 400);
  CHECK(all.lines > all.carts);
  CHECK(all.carts == sum.carts);
  CHECK(all.lines == sum.lines);
  CHECK(all.carts_accepted == sum.carts_accepted);
  CHECK(all.carts_refused() == refused);
  CHECK(all.carts_failed == sum.carts_failed);
  CHECK(all.units_reserved == sum.units_reserved);
  CHECK(all.units_committed == sum.units_committed);
  CHECK(all.wan_bytes == sum.wan_bytes);
  // After the end, whoever holds has time to commit or release: no unit is unaccounted for. Only
  // what one held beyond a cut, under "central", expires before its commit gets through.
  const Units ended = all.units_committed + all.units_released + all.units_expired;
  if (report.policy == "central") {
    CHECK(all.units_reserved >= ended);
    CHECK(all.units_reserved <= ended + 20);
  } else {
    CHECK(all.units_reserved == ended);
  }
  CHECK(all.units_committed > all.units_released);
  CHECK(all.units_released > 0);
  CHECK(all.units_expired > 0);
}

}  // namespace

TEST_CASE("scenario run: totals add up, for every policy") {
  for (const char* policy : {"on-demand", "static", "central", "weak"})
    for (const int units : {1'000, 100}) {
      CAPTURE(policy);
      CAPTURE(units);
      const Report report = report_of({.policy = policy, .units_per_sku = units});
      check_totals(report);
      CHECK(report.times_ms.size() == 60);
      CHECK(report.virtual_ms == 600'000);
      CHECK(report.faults.size() == 1);
      for (const CheckResult& check : report.checks) CHECK_MESSAGE(check.passed, check.detail);
    }
}

TEST_CASE("scenario run: what is on hand at the end is what was there and not sold") {
  const Report report = report_of({.units_per_sku = 300});
  CHECK(report.global.on_hand.front() <= 900);
  // Of the last customers some commit after the last sample.
  const auto left = static_cast<Units>(report.global.on_hand.back());
  CHECK(left >= 900 - report.totals.units_committed);
  CHECK(left <= 900 - report.totals.units_committed + 20);
}

TEST_CASE("scenario run: plenty of stock: both sides sell through a cut, and nothing is oversold") {
  for (const char* policy : {"on-demand", "static", "weak"}) {
    CAPTURE(policy);
    const Report report = report_of({.policy = policy});
    CHECK(report.totals.carts_accepted == report.totals.carts);
    CHECK(*report.totals.oversold == 0);
    CHECK(report.totals.availability() == 1.0);
  }
}

TEST_CASE("scenario run: scarce stock and a cut: plain counters oversell, escrow never") {
  const Report weak = report_of({.policy = "weak", .units_per_sku = 100});
  CHECK(*weak.totals.oversold > 0);
  CHECK(check_of(weak, "invariants") == nullptr);  // they are Holdfast's
  for (const char* policy : {"on-demand", "static", "central"}) {
    CAPTURE(policy);
    const Report report = report_of({.policy = policy, .units_per_sku = 100});
    CHECK(*report.totals.oversold == 0);
    CHECK(*report.totals.oversold_bound == 0);
    REQUIRE(check_of(report, "invariants") != nullptr);
    CHECK(check_of(report, "invariants")->passed);
    CHECK(report.totals.units_committed <= 300);
    CHECK(report.totals.carts_refused() > 0);
  }
}

TEST_CASE("scenario run: an allowance is what may be oversold, and not more") {
  Scenario scenario = scenario_of({.units_per_sku = 100});
  scenario.stock.allowance_units = 10;
  const auto report = run(scenario);
  REQUIRE(report.ok());
  CHECK(*report->totals.oversold_bound == 30);
  CHECK(*report->totals.oversold > 0);
  CHECK(*report->totals.oversold <= 30);
}

TEST_CASE("scenario run: with all stock in one region, quotas refuse where escrow asks") {
  const auto with_stock_in_eu = [](const char* policy) {
    Scenario scenario = scenario_of({.policy = policy, .cut = false});
    scenario.stock.spread = ScenarioStock::Spread::weights;
    scenario.stock.weights = {0, 1};
    auto report = run(scenario);
    REQUIRE(report.ok());
    return *std::move(report);
  };
  const Report fixed = with_stock_in_eu("static"), asks = with_stock_in_eu("on-demand");
  const Totals& refusing = fixed.regions[kUs].totals;
  CHECK(refusing.carts_accepted == 0);
  CHECK(refusing.refused_with_stock_elsewhere == refusing.carts);
  CHECK(fixed.regions[kEu].totals.carts_accepted == fixed.regions[kEu].totals.carts);
  CHECK(asks.totals.carts_accepted == asks.totals.carts);
}

TEST_CASE("scenario run: one central region serves its own, and fails the others in a cut") {
  const Report report = report_of({.policy = "central", .more = "central_region = \"us\"\n"});
  const Totals &us = report.regions[kUs].totals, &eu = report.regions[kEu].totals;
  CHECK(us.carts_accepted == us.carts);
  CHECK(eu.carts_failed > eu.carts / 2);  // six minutes of ten
  CHECK(eu.carts_failed < eu.carts * 3 / 4);
  CHECK(eu.carts_refused() == 0);
  CHECK(report.totals.carts_refused() == 0);
  REQUIRE(eu.latency);
  REQUIRE(us.latency);
  CHECK(eu.latency->p50_ms > 80);  // there and back
  CHECK(us.latency->p50_ms < 10);
  const Report whole = report_of({.policy = "central", .cut = false});
  CHECK(whole.totals.carts_accepted == whole.totals.carts);
}

TEST_CASE("scenario run: expectations become the verdict") {
  const std::string expect =
      "[expect]\noversold_max = 0\navailability_min = 99\nrefused_max_percent = "
      "1\nsold_min_percent = 70\n"
      "p99_ms_max = 500\nconverged_within = \"30s\"\n";
  const Report good = report_of({.more = expect});
  CHECK(good.passed());
  CHECK(good.checks.size() == 7);  // and the invariants
  const auto failed = [](const Report& report) {
    std::vector<std::string> names;
    for (const CheckResult& check : report.checks)
      if (!check.passed) names.push_back(check.name);
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(failed(report_of(
            {.policy = "weak", .units_per_sku = 100, .more = "[expect]\noversold_max = 0\n"})) ==
        Names{"oversold"});
  CHECK(failed(report_of({.policy = "central", .more = expect})) == Names{"availability", "sold"});
  CHECK(failed(report_of({.units_per_sku = 100, .more = expect})) == Names{"sold", "refused"});
  CHECK(failed(report_of({.more = "[expect]\np99_ms_max = 0.1\nconverged_within = \"0s\"\n"})) ==
        Names{"p99 latency"});
  CHECK(failed(report_of({.units_per_sku = 100,
                          .more = "[expect]\nrefused_with_stock_elsewhere_max_percent = 0\n"})) ==
        Names{"refused although there was stock"});
}

TEST_CASE("scenario run: a price that should be seen, and is not, fails") {
  const std::string expect = "[expect]\nrefused_with_stock_elsewhere_min_percent = 1\n";
  CHECK(report_of({.units_per_sku = 100, .more = expect}).passed());
  CHECK_FALSE(report_of({.more = expect}).passed());
}

TEST_CASE("scenario run: what operators' commands were answered") {
  const auto command = [](const std::string& at, const std::string& rest) {
    return "[[event]]\nat = \"" + at + "\"\nregion = \"us\"\n" + rest;
  };
  const std::string commands =
      command("1m", "kind = \"receive\"\nsku = \"*\"\nunits = 5\n") +
      command("2m", "kind = \"grant\"\nto = \"eu\"\nsku = \"sku-1\"\nunits = 1000000\n") +
      command("3m", "kind = \"adjust\"\nsku = \"sku-1\"\nunits = -1000000\n") +
      "[[event]]\nat = \"4m\"\nfor = \"2m\"\nkind = \"crash\"\nnodes = \"us\"\n" +
      command("5m", "kind = \"allow\"\nsku = \"sku-1\"\nunits = 5\n");
  const auto answers = [](const std::vector<FaultSpan>& faults) {
    std::vector<std::string> texts;
    for (const FaultSpan& fault : faults) texts.push_back(fault.answer);
    return texts;
  };
  using Texts = std::vector<std::string>;
  const Case of{.cut = false, .more = commands};
  const Texts product{"3 done", "refused: insufficient_rights", "refused: insufficient_rights", "",
                      "not sent: no node of the region runs"};
  CHECK(answers(report_of(of).faults) == product);
  Case weak = of;
  weak.policy = "weak";
  CHECK(answers(report_of(weak).faults) ==
        Texts{"not asked", "not asked", "not asked", "", "not asked"});
  const auto comparison = compare(scenario_of(of), {});
  REQUIRE(comparison.ok());
  CHECK(comparison->faults[0].answer.starts_with("central: 3 done; plain counters: not asked; "));
  CHECK(comparison->faults[3].answer.empty());
}

TEST_CASE("compare: without a customer it fails, as a run does") {
  Scenario scenario = scenario_of({});
  scenario.demand.rates = {0, 0};
  const auto report = run(scenario);
  REQUIRE(report.ok());
  CHECK_FALSE(report->passed());
  const auto comparison = compare(scenario, {});
  REQUIRE(comparison.ok());
  CHECK_FALSE(comparison->passed());
  CHECK(comparison->checks.back().detail == kNobodyCame);
}

TEST_CASE("scenario run: carts of the warm-up are not counted") {
  const Report all = report_of({.cut = false});
  const Report late = report_of({.cut = false, .top = "warm_up = \"5m\"\n"});
  CHECK(late.totals.carts < all.totals.carts * 2 / 3);
  CHECK(late.totals.carts > all.totals.carts / 3);
  CHECK(late.hash == all.hash);  // they come all the same
}

TEST_CASE("scenario run: a node joins, another leaves, and nobody is refused for it") {
  Case of{.policy = "proportional", .units_per_sku = 3'000, .cut = false};
  of.top = "";
  of.more =
      "[[event]]\nat = \"2m\"\nkind = \"join\"\nnodes = \"us-2\"\n"
      "[[event]]\nat = \"5m\"\nkind = \"drain\"\nnodes = \"us-1\"\nwait = \"5s\"\n"
      "[[event]]\nat = \"7m\"\nkind = \"drain\"\nnodes = \"us-2\"\n"
      "[expect]\noversold_max = 0\navailability_min = 100\nwithin_bound = true\n"
      "refused_max_percent = 0\nconverged_within = \"30s\"\n";
  of.nodes_of_us = 2;
  const Report report = report_of(of);
  for (const CheckResult& check : report.checks) CHECK_MESSAGE(check.passed, check.name);
  REQUIRE(report.faults.size() == 3);
  CHECK(report.faults[0].answer == "done");
  CHECK(report.faults[1].answer == "done");
  CHECK(report.faults[2].answer.find("refused: ") == 0);  // the last of its region stays
}

TEST_CASE("scenario run: equal scenarios have equal hashes, other seeds others") {
  const Report one = report_of({}), two = report_of({});
  CHECK(one.hash == two.hash);
  CHECK(json_of(one) == json_of(two));
  Scenario scenario = scenario_of({});
  scenario.seed = 4;
  const auto other = run(scenario);
  REQUIRE(other.ok());
  CHECK(other->hash != one.hash);
}

TEST_CASE("scenario run: progress is told, up to the end") {
  std::vector<Time> told;
  const Scenario scenario = scenario_of({});
  REQUIRE(run(scenario, [&](Time done, Time of) {
            CHECK(of == scenario.duration);
            told.push_back(done);
          }).ok());
  CHECK(told.size() == 60);
  CHECK(told.back() == scenario.duration);
}

TEST_CASE("compare: one column for each alternative, with the promises of each") {
  const auto comparison = compare(scenario_of({.units_per_sku = 100}), {});
  REQUIRE(comparison.ok());
  REQUIRE(comparison->columns.size() == alternatives().size());
  CHECK(comparison->passed());
  CHECK(comparison->checks.size() == 2 * (alternatives().size() - 1));  // not of plain counters
  for (std::size_t i = 0; i < alternatives().size(); ++i) {
    const auto& column = comparison->columns[i];
    CAPTURE(column.name);
    CHECK(column.name == alternatives()[i].name);
    CHECK(column.totals.carts == comparison->columns[0].totals.carts);  // the same customers
    const Units oversold = *column.totals.oversold;
    CHECK((oversold > 0) ==
          (alternatives()[i].policy == "weak" || alternatives()[i].with_allowance));
  }
}

TEST_CASE("scenario run: a small node with too much to do refuses, works on, and recovers") {
  const Report report =
      report_of({.units_per_sku = 100'000, .cut = false, .more = "", .overload = true});
  // 60 carts a second for two minutes at a node that serves ten.
  const Totals& us = report.regions[kUs].totals;
  CHECK(us.carts_failed > 3'000);
  CHECK(us.carts_accepted > 800);  // in the burst alone: it does not choke on what it refuses
  CHECK(report.regions[kEu].totals.availability() == 1.0);
  CHECK(us.latency->max_ms < 3'000);
  CHECK(report.regions[kUs].series.carts_refused.back() == 0);
  // A commit is refused like all else by a full inbox; of those repeated, few come after the hold's
  // end.
  CHECK(us.units_committed + us.units_released + us.units_expired > us.units_reserved * 9 / 10);
  REQUIRE(report.faults.size() == 1);
  CHECK(report.faults[0].kind == "burst");
}

TEST_CASE("scenario run: a lost disk takes its rights along, and the report says so") {
  const Report report = report_of({.units_per_sku = 300,
                                   .cut = false,
                                   .more = "[[event]]\nat = \"2m\"\nfor = \"1m\"\n"
                                           "kind = \"disk_lost\"\nnodes = \"us-1\"\n"});
  const CheckResult* lost = check_of(report, "lost with the disk");
  REQUIRE(lost != nullptr);
  CHECK(lost->detail.find("rights to 0 units") == std::string::npos);
  const double rights =
      report.regions[kUs].series.rights.back() + report.regions[kEu].series.rights.back();
  CHECK(rights < report.global.available.back());
  CHECK(check_of(report_of({}), "lost with the disk") == nullptr);
}

// Nobody comes in the last minutes: then what is on hand is what was not sold.
TEST_CASE("scenario run: SKUs move to another shard, and no unit is lost on the way") {
  const std::string quiet = "[[demand.burst]]\nat = \"6m\"\nfactor = 0\n";
  const std::string reshard =
      "[[event]]\nat = \"3m\"\nkind = \"reshard\"\nweights = [0, 100]\n"
      "[[event]]\nat = \"3m1s\"\nfor = \"5s\"\nkind = \"router_crash\"\nregions = \"us\"\n";
  const std::string expect = "[expect]\navailability_min = 99\nmoved_within = ";
  Case one{.policy = "proportional", .cut = false};
  one.more = "[shards]\ncount = 2\nweights = [100, 0]\n" + quiet + reshard + expect + "\"90s\"\n";
  const Report report = report_of(one);
  CHECK(report.passed());
  REQUIRE(check_of(report, "SKUs have moved") != nullptr);
  CHECK(check_of(report, "SKUs have moved")->detail.starts_with("3 SKUs, after "));
  CHECK(report.totals.carts_accepted > 300);
  CHECK(report.global.on_hand.back() ==
        3 * 1'000 - static_cast<double>(report.totals.units_committed));
  CHECK(report.hash == report_of(one).hash);

  // An open hold keeps its units where they are.
  one.more.replace(one.more.find("\"90s\""), 5, "\"100ms\"");
  CHECK_FALSE(check_of(report_of(one), "SKUs have moved")->passed);
}

TEST_CASE(
    "scenario run: all routers of a region are down: its customers have no answer, others do") {
  const std::string crash =
      "[[event]]\nat = \"3m\"\nfor = \"1m\"\nkind = \"router_crash\"\nregions = \"us\"\n";
  const Report report = report_of(
      {.policy = "proportional", .cut = false, .more = "[shards]\nrouters = 2\n" + crash});
  CHECK(report.regions[kUs].totals.carts_failed > 20);
  CHECK(report.regions[kEu].totals.carts_failed == 0);
}

TEST_CASE("scenario run: a region that is cut off: its routers ask its own nodes, in every shard") {
  const Report report = report_of({.policy = "proportional", .more = "[shards]\ncount = 3\n"});
  CHECK(report.totals.carts_failed == 0);
  CHECK(report.totals.carts_refused() == 0);
}

TEST_CASE("scenario run: a shard that is cut off is away for all routers, and only that one") {
  const auto failed = [](const std::string& from) {
    return report_of({.policy = "proportional",
                      .cut = false,
                      .more = "[shards]\ncount = 4\n[[event]]\nat = \"3m\"\nfor = \"2m\"\n"
                              "kind = \"cut\"\nfrom = \"" +
                              from + "\"\n"})
        .totals.carts_failed;
  };
  // About 120 carts come meanwhile, for one or two of three SKUs.
  std::uint64_t sum = 0, shards = 0;
  for (const char* shard : {"s1", "s2", "s3", "s4"}) {
    const std::uint64_t count = failed(shard);
    CAPTURE(shard);
    CHECK(count < 110);
    sum += count;
    shards += count > 20 ? 1 : 0;
  }
  CHECK(shards > 1);
  CHECK(sum > 110);
  CHECK(failed("eu") == 0);
}

TEST_CASE("scenario run: a link that is slowed down for all is slowed down once") {
  const auto p50 = [](const std::string& more) {
    return report_of({.policy = "central", .cut = false, .more = more})
        .regions[kEu]
        .totals.latency->p50_ms;
  };
  const std::string slow = "[[event]]\nat = \"0s\"\nkind = \"slow\"\nextra_ms = 100\n";
  CHECK(p50(slow) - p50("") == doctest::Approx(200).epsilon(0.1));  // there and back
  const auto routed = [](const std::string& more) {
    return report_of({.policy = "proportional", .cut = false, .more = "[shards]\n" + more})
        .totals.latency->p50_ms;
  };
  CHECK(routed(slow) - routed("") == doctest::Approx(200).epsilon(0.1));
}

TEST_CASE("scenario run: a move that is refused, as another is under way, has not ended in time") {
  const std::string reshard = "kind = \"reshard\"\nweights = ";
  const Report report =
      report_of({.policy = "proportional",
                 .cut = false,
                 .more = "[shards]\ncount = 2\nweights = [100, 0]\n[[event]]\nat = \"3m\"\n" +
                         reshard + "[0, 100]\n[[event]]\nat = \"3m1s\"\n" + reshard +
                         "[100, 0]\n[expect]\nmoved_within = \"90s\"\n"});
  REQUIRE(check_of(report, "SKUs have moved") != nullptr);
  CHECK_FALSE(check_of(report, "SKUs have moved")->passed);
  CHECK(report.faults[1].answer == "refused: SKUs move already");
}

TEST_CASE("scenario run: a region is lost in every shard, and each shard's decree is told") {
  const Report report = report_of(
      {.policy = "proportional",
       .cut = false,
       .more = "[shards]\ncount = 2\n[[event]]\nat = \"3m\"\nkind = \"crash\"\nnodes = \"us\"\n"
               "[[event]]\nat = \"4m\"\nkind = \"failover\"\nregion = \"us\"\nby = \"eu\"\n"
               "[expect]\nwithin_bound = true\n"});
  CHECK(report.passed());
  REQUIRE(report.decrees);
  CHECK(report.decrees->issued == 2);
  CHECK(report.faults[1].answer.starts_with("2 done: s1: seized "));
  CHECK(report.faults[1].answer.find("; s2: seized ") != std::string::npos);
}
