// Reports: names of the JSON, text that is hostile to the page, tables for the terminal.

#include "sim/report.h"

#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "sim/page.h"
#include "tests/support/property.h"

namespace holdfast::sim {
namespace {

namespace json = boost::json;

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

Totals some_totals() {
  return {.carts = 1000,
          .lines = 2500,
          .carts_accepted = 900,
          .refused = {{"insufficient_stock", 60}, {"busy", 30}},
          .carts_failed = 10,
          .refused_with_stock_elsewhere = 7,
          .carts_fetched = 31,
          .units_reserved = 3000,
          .units_committed = 2700,
          .units_released = 200,
          .units_expired = 100,
          .oversold = 0,
          .oversold_bound = 50,
          .latency = Latency{.p50_ms = 0.8, .p99_ms = 82.5, .max_ms = 3000},
          .wan_bytes = 1'800'000};
}

template <typename Kind>
Kind headed() {
  Kind out;
  out.title = "Cable cut";
  out.teaches = "Both sides go on selling";
  out.policy = "on demand";
  out.checks = {{.name = "nothing oversold", .passed = true, .detail = "0 of 50"}};
  out.seed = std::numeric_limits<std::uint64_t>::max();
  out.hash = 0xab;
  out.virtual_ms = 86'400'000;
  out.real_ms = 2500;
  out.version = "0.1.0";
  out.commit = "0123abc";
  return out;
}

Report some_report() {
  auto report = headed<Report>();
  report.times_ms = {60'000, 120'000};
  report.regions = {{.name = "us",
                     .totals = some_totals(),
                     .series = {.rights = {100, 50.5}, .lag_ms = {kUnknown, 80}}},
                    {.name = "eu", .totals = {}, .series = {.p99_ms = {1, 2}}}};
  report.global = {.on_hand = {200, 100}, .oversold = {0, 0}, .oversold_bound = {50, 50}};
  report.totals = some_totals();
  report.faults = {{.label = "cut",
                    .kind = "partition",
                    .from_ms = 1000,
                    .to_ms = 5000,
                    .regions = {"us", "eu"}}};
  return report;
}

Comparison some_comparison() {
  auto comparison = headed<Comparison>();
  comparison.columns = {{.name = "central", .note = "one region decides", .totals = some_totals()},
                        {.name = "escrow", .totals = {}}};
  return comparison;
}

Study some_study() {
  auto study = headed<Study>();
  study.curves = {{.title = "Convergence",
                   .x_label = "replicas",
                   .y_label = "ms",
                   .x = {3, 50},
                   .lines = {{.name = "time", .y = {120, kUnknown}}}}};
  return study;
}

std::set<std::string> names_of(const json::value& object) {
  std::set<std::string> names;
  for (const auto& member : object.as_object()) names.emplace(member.key());
  return names;
}

const std::set<std::string> kHeading = {
    "format", "kind", "title",      "teaches", "policy",  "passed", "checks",
    "seed",   "hash", "virtual_ms", "real_ms", "version", "commit", "order_lines_left_out"};

std::set<std::string> heading_and(std::set<std::string> more) {
  more.insert(kHeading.begin(), kHeading.end());
  return more;
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// What a browser would take for the data: from its element to the first thing that ends it.
std::string_view data_of(std::string_view page) {
  constexpr std::string_view kOpen = R"(<script type="application/json" id="data">)";
  REQUIRE(count_of(page, kOpen) == 1);
  page.remove_prefix(page.find(kOpen) + kOpen.size());
  return page.substr(0, page.find("</script"));
}

}  // namespace

TEST_SUITE("sim/report") {
  TEST_CASE("JSON of a run: the names that the header promises") {
    const auto value = json::parse(json_of(some_report()));
    CHECK(names_of(value) ==
          heading_and({"totals", "decrees", "faults", "times_ms", "regions", "global", "curves"}));
    CHECK(value.at("format").as_int64() == 1);
    CHECK(value.at("kind").as_string() == "run");
    const auto& region = value.at("regions").at(0);
    CHECK(names_of(region) == std::set<std::string>{"name", "totals", "series"});
    CHECK(names_of(region.at("series")) ==
          std::set<std::string>{"rights", "units_sold", "carts_accepted", "carts_refused",
                                "refused_with_stock_elsewhere", "lag_ms", "wan_bytes", "p50_ms",
                                "p99_ms"});
    CHECK(names_of(value.at("global")) ==
          std::set<std::string>{"on_hand", "available", "oversold", "oversold_bound"});
    CHECK(names_of(value.at("faults").at(0)) ==
          std::set<std::string>{"label", "kind", "from_ms", "to_ms", "regions", "answer"});
    CHECK(names_of(value.at("totals")) ==
          std::set<std::string>{"carts", "lines", "carts_accepted", "carts_refused", "refused",
                                "carts_failed", "refused_with_stock_elsewhere", "carts_fetched",
                                "availability", "units_reserved", "units_committed",
                                "units_released", "units_expired", "oversold", "oversold_bound",
                                "latency", "wan_bytes", "wan_bytes_per_reservation"});
  }

  TEST_CASE("JSON of a run: values") {
    const auto value = json::parse(json_of(some_report()));
    CHECK(value.at("seed").as_string() == "18446744073709551615");
    CHECK(value.at("hash").as_string() == "00000000000000ab");
    CHECK(value.at("passed").as_bool());
    CHECK(json::serialize(value.at("regions").at(0).at("series").at("lag_ms")) == "[null,80]");
    CHECK(value.at("regions").at(0).at("series").at("rights").at(1).as_double() == 50.5);
    CHECK(value.at("regions").at(0).at("series").at("units_sold").as_array().empty());
    const auto& totals = value.at("totals");
    CHECK(totals.at("carts_refused").as_int64() == 90);
    CHECK(totals.at("refused").at("busy").as_int64() == 30);
    CHECK(totals.at("availability").as_double() == doctest::Approx(0.99));
    CHECK(totals.at("wan_bytes_per_reservation").as_int64() == 2000);
    const auto& none = value.at("regions").at(1).at("totals");
    for (const char* name :
         {"availability", "wan_bytes_per_reservation", "latency", "oversold", "oversold_bound"}) {
      CHECK_MESSAGE(none.at(name).is_null(), name);
    }
  }

  TEST_CASE("JSON of a comparison and of a study") {
    const auto comparison = json::parse(json_of(some_comparison()));
    CHECK(names_of(comparison) == heading_and({"columns", "faults", "curves"}));
    CHECK(comparison.at("kind").as_string() == "comparison");
    CHECK(names_of(comparison.at("columns").at(0)) ==
          std::set<std::string>{"name", "note", "totals"});
    const auto study = json::parse(json_of(some_study()));
    CHECK(names_of(study) == heading_and({"curves"}));
    CHECK(study.at("kind").as_string() == "study");
    CHECK(json::serialize(study.at("curves")) ==
          R"([{"title":"Convergence","x_label":"replicas","y_label":"ms","x":[3,50],)"
          R"("lines":[{"name":"time","y":[120,null]}]}])");
  }

  TEST_CASE("one failed check fails the report") {
    auto report = some_report();
    CHECK(report.passed());
    report.checks.push_back({.name = "converged", .passed = false});
    CHECK_FALSE(report.passed());
    CHECK_FALSE(json::parse(json_of(report)).at("passed").as_bool());
  }

  TEST_CASE("the page holds its data once, and asks nothing of a network") {
    CHECK(count_of(report_page(), kPagePlaceholder) == 1);
    CHECK(report_page().starts_with("<!doctype html>"));
    CHECK(report_page().ends_with("</html>\n"));
    CHECK(report_page().find("default-src 'none'") != std::string_view::npos);
    CHECK(report_page().find("Copyright (c) 2022 Leon Sorokin") != std::string_view::npos);
    for (const char* loading : {"<link", "<img", "<iframe", " src=", "@import", "url("}) {
      CHECK_MESSAGE(count_of(report_page(), loading) == 0, loading);
    }
    const auto text = json_of(some_report());
    const auto page = html_of(text);
    CHECK(count_of(page, kPagePlaceholder) == 0);
    CHECK(json::parse(json::string_view(data_of(page))) == json::parse(text));
  }

  TEST_CASE("hostile text stays text") {
    for (const std::string hostile :
         {"</script><script>alert(1)</script>", "<!--<script>", "]]>", "&lt;/script&gt;",
          "a\u2028b\u2029c", "\"HOLDFAST-REPORT-DATA\"", "\\u003c\\", "\x1b[31mred", "@SCRIPT@"}) {
      CAPTURE(hostile);
      auto report = some_report();
      report.title = report.regions[0].name = report.faults[0].label = hostile;
      report.totals.refused = {{hostile, 90}};
      const auto page = html_of(json_of(report));
      CHECK(count_of(page, "<script") == count_of(report_page(), "<script"));
      CHECK(count_of(page, "</script") == count_of(report_page(), "</script"));
      CHECK(count_of(page, "<!--") == count_of(report_page(), "<!--"));
      const auto data = data_of(page);
      CHECK(data.find_first_of("<>&") == data.npos);
      CHECK(data.find("\u2028") == data.npos);
      CHECK(data.find("\u2029") == data.npos);
      const auto value = json::parse(json::string_view(data));
      CHECK(value.at("title").as_string() == hostile);
      CHECK(value.at("regions").at(0).at("name").as_string() == hostile);
      CHECK(value.at("faults").at(0).at("label").as_string() == hostile);
      CHECK(value.at("totals").at("refused").as_object().contains(hostile));
      CHECK(text_of(report, api::Style::plain).find('\x1b') == std::string::npos);
    }
  }

  TEST_CASE("bytes that are not UTF-8 become U+FFFD, and the rest stays") {
    auto study = some_study();
    const auto title_of = [&](std::string title) {
      study.title = std::move(title);
      return std::string(json::parse(json_of(study)).at("title").as_string());
    };
    CHECK(title_of("Zürich €5 🛒") == "Zürich €5 🛒");
    CHECK(title_of("Z\xFCrich") == "Z\uFFFDrich");
    CHECK(title_of("cut \xE2\x82") == "cut \uFFFD\uFFFD");
    CHECK(title_of("\xC0\xAF") == "\uFFFD\uFFFD");                      // overlong
    CHECK(title_of("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");            // a surrogate
    CHECK(title_of("\xF4\x90\x80\x80") == "\uFFFD\uFFFD\uFFFD\uFFFD");  // beyond Unicode
    tests::check_property("any bytes give a page whose data can be read",
                          [&](const std::vector<char>& bytes) {
                            study.title.assign(bytes.begin(), bytes.end());
                            const auto page = html_of(json_of(study));
                            json::error_code error;
                            json::parse(json::string_view(data_of(page)), error);
                            RC_ASSERT(!error);
                          });
  }

  TEST_CASE("text of a run") {
    const auto text = text_of(some_report(), api::Style::plain);
    CHECK(text.starts_with(R"(Cable cut
Both sides go on selling

after     until     fault  kind       regions
00:00:01  00:00:05  cut    partition  us, eu

region  carts  accepted  refused  stock elsewhere  fetched  failed  answered  oversold  bound )"));
    CHECK(text.find("\nall     1,000       900       90                7       31      10   99.00 %"
                    "         0     50  0.80 ms  82.5 ms  1.80 MB   2.00 kB\n") !=
          std::string::npos);
    CHECK(text.find("\neu          0         0        0                0        0       0         -"
                    "         -      -        -        -      0 B         -\n") !=
          std::string::npos);
    CHECK(text.ends_with(R"(
  ok      nothing oversold: 0 of 50
passed: seed 18446744073709551615, 24.0 h simulated in 2.50 s
)"));
  }

  TEST_CASE("what operators were answered, and what was left out of a file of orders") {
    auto report = some_report();
    CHECK(json::parse(json_of(report)).at("faults").at(0).at("answer").is_null());
    CHECK(json::parse(json_of(report)).at("order_lines_left_out").is_null());
    report.order_lines_left_out = 1;
    report.faults.push_back({.label = "grant",
                             .kind = "grant",
                             .from_ms = 6000,
                             .to_ms = 6000,
                             .regions = {"us"},
                             .answer = "refused: \x1b[31m"});
    const auto value = json::parse(json_of(report));
    CHECK(value.at("faults").at(1).at("answer").as_string() == "refused: \x1b[31m");
    CHECK(value.at("order_lines_left_out").as_int64() == 1);
    CHECK(text_of(report, api::Style::plain).starts_with(R"(Cable cut
Both sides go on selling
Left out: 1 broken line of the file of orders

after     until     fault  kind       regions  answer
00:00:01  00:00:05  cut    partition  us, eu
00:00:06            grant  grant      us       refused: ?[31m
)"));
  }

  TEST_CASE("decrees: in JSON and in text; none: null, and nothing") {
    auto report = some_report();
    CHECK(json::parse(json_of(report)).at("decrees").is_null());
    CHECK(text_of(report, api::Style::plain).find("decrees") == std::string::npos);
    report.decrees = DecreeTotals{.issued = 2,
                                  .retirements = 1,
                                  .open = 1,
                                  .seize = 1234,
                                  .open_holds = 56,
                                  .seized = 1233,
                                  .beyond_allowance = 78,
                                  .beyond_bound = 9,
                                  .spent_unseen = 300,
                                  .realized = 70,
                                  .repaid = 230,
                                  .unseen = 4,
                                  .debt = 5};
    const auto value = json::parse(json_of(report)).at("decrees");
    CHECK(json::serialize(value) ==
          R"({"issued":2,"retirements":1,"open":1,"seize":1234,"open_holds":56,"seized":1233,)"
          R"("beyond_allowance":78,"beyond_bound":9,"spent_unseen":300,"realized":70,)"
          R"("repaid":230,"unseen":4,"debt":5})");
    CHECK(text_of(report, api::Style::plain).find(R"(
decrees, units of all SKUs
dry runs: to be seized                    1,234
… and in open holds                          56
seized                                    1,233
oversold beyond the allowance, at most       78
… of one SKU, beyond what dry runs said       9
sold by the lost before it knew             300
… of that, beyond stock and allowance        70
… of that, repaid                           230
decrees open at the end                  1 of 2
)") != std::string::npos);
  }

  TEST_CASE("text of a comparison and of a study") {
    auto comparison = some_comparison();
    comparison.checks[0].passed = false;
    const auto text = text_of(comparison, api::Style::plain);
    CHECK(text.find("\ncentral      1,000 ") != std::string::npos);
    CHECK(text.find("\nescrow           0 ") != std::string::npos);
    CHECK(text.find("  FAILED  nothing oversold: 0 of 50\nFAILED: seed ") != std::string::npos);
    CHECK(text_of(some_study(), api::Style::plain).find(R"(Convergence (ms)
replicas    time
       3  120 ms
      50       -
)") != std::string::npos);
  }

  TEST_CASE("a share short of all is not shown as 100 %") {
    auto report = some_report();
    report.totals.carts = 1'000'000;
    report.totals.carts_failed = 1;
    report.totals.refused = {};
    report.totals.carts_accepted = 999'999;
    CHECK(text_of(report, api::Style::plain).find(" 99.99 %") != std::string::npos);
  }
}

}  // namespace holdfast::sim
