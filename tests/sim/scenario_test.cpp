#include "sim/scenario.h"

#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "sim/scenario_orders.h"
#include "sim/time_span.h"

namespace sim = holdfast::sim;

namespace {

// A scenario with the given parts; what is not given is the smallest that will do.
struct Parts {
  std::string top = "";
  std::string regions = "[[region]]\nname = \"us\"\nnodes = 2\n[[region]]\nname = \"eu\"\n";
  std::string stock = "[stock]\nunits_per_sku = 10\n";
  std::string demand = "[demand]\nrate = 1\n";
  std::string more = "";

  std::string text() const {
    return "title = \"t\"\nduration = \"1h\"\n" + top + regions + stock + demand + more;
  }
};

sim::Scenario good(const Parts& parts) {
  auto scenario = sim::parse_scenario(parts.text(), "s.toml");
  REQUIRE_MESSAGE(scenario.ok(), std::string(scenario.status().message()));
  return *std::move(scenario);
}

std::string message_of(const std::string& text) {
  const auto scenario = sim::parse_scenario(text, "s.toml");
  REQUIRE_FALSE(scenario.ok());
  CHECK(absl::IsInvalidArgument(scenario.status()));
  return std::string(scenario.status().message());
}
std::string message(const Parts& parts) { return message_of(parts.text()); }

// The line of the text that holds `what`, from 1.
std::string line_of(const Parts& parts, const std::string& what) {
  const std::string text = parts.text();
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<long>(at), '\n'));
}

// `parts` is refused with exactly this fault, at the line that holds `what`.
void refused(const Parts& parts, const std::string& what, const std::string& problem) {
  CHECK(message(parts) == "s.toml:" + line_of(parts, what) + ": " + problem);
}

std::string event(const std::string& keys) { return "[[event]]\n" + keys + "\n"; }

TEST_SUITE("scenario") {
  TEST_CASE("spans and times of day") {
    CHECK(sim::parse_span("90s") == 90 * sim::kSecond);
    CHECK(sim::parse_span("1h30m") == 90 * sim::kMinute);
    CHECK(sim::parse_span("250ms") == 250 * sim::kMillisecond);
    CHECK(sim::parse_span("1.5d") == 36 * sim::kHour);
    CHECK(sim::parse_span("-5m") == -5 * sim::kMinute);
    CHECK(sim::parse_span("7us") == 7);
    for (const char* bad :
         {"", "-", "5", "s", "5 s", "5x", "1..5s", "1h-5m", "1e3s", "99999999d"}) {
      CHECK_FALSE(sim::parse_span(bad));
    }
    for (const sim::Time span : {0l, 1l, 999l, 61'001'000l, 90'000'000'000l, -1'500'000l}) {
      CHECK(sim::parse_span(sim::span_text(span)) == span);
    }
    CHECK(sim::span_text(90 * sim::kMinute) == "1h30m");
    CHECK(sim::parse_time_of_day("14:30") == 14 * sim::kHour + 30 * sim::kMinute);
    for (const char* bad : {"", "24:00", "12:60", "1:30", "12:30:00", "ab:cd", "-1:00"}) {
      CHECK_FALSE(sim::parse_time_of_day(bad));
    }
  }

  TEST_CASE("what is not said has its default") {
    const auto scenario = good({});
    CHECK(scenario.title == "t");
    CHECK(scenario.seed == 1);
    CHECK(scenario.duration == sim::kHour);
    CHECK(scenario.sample_every == 12 * sim::kSecond);
    CHECK(scenario.node_count() == 3);
    CHECK(scenario.node_name(0) == "us-1");
    CHECK(scenario.node_name(1) == "us-2");
    CHECK(scenario.node_name(2) == "eu-1");
    CHECK(scenario.region_of_node(1) == 0);
    CHECK(scenario.region_of_node(2) == 1);
    CHECK(scenario.link(0, 1).one_way == 40 * sim::kMillisecond);
    CHECK(scenario.link(1, 1).one_way == sim::kMillisecond / 2);
    CHECK(scenario.skus.size() == 100);
    CHECK(scenario.skus.back() == "sku-100");
    CHECK(scenario.demand.rates == std::vector<double>{0.5, 0.5});
    CHECK(scenario.policy.name == "proportional");
    CHECK_FALSE(scenario.expect.oversold_max);
    CHECK(scenario.events.empty());
  }

  TEST_CASE("links: both ways, one way, sections, and names with dashes") {
    Parts parts{.regions =
                    "[[region]]\nname = \"us-east\"\n[[region]]\nname = \"eu\"\n"
                    "[[region]]\nname = \"ap\"\n"};
    parts.more =
        "[network]\none_way_ms = 10\nloss_percent = 1\n[network.links]\nus-east-eu = 40\n"
        "\"eu>us-east\" = 55\nap-eu = { one_way_ms = 100, jitter_ms = 7, bandwidth_mbit = 8 }\n";
    const auto scenario = good(parts);
    CHECK(scenario.link(0, 1).one_way == 40 * sim::kMillisecond);
    CHECK(scenario.link(1, 0).one_way == 55 * sim::kMillisecond);
    CHECK(scenario.link(0, 2).one_way == 10 * sim::kMillisecond);
    CHECK(scenario.link(0, 2).loss == doctest::Approx(0.01));
    for (const auto& link : {scenario.link(1, 2), scenario.link(2, 1)}) {
      CHECK(link.one_way == 100 * sim::kMillisecond);
      CHECK(link.jitter == 7 * sim::kMillisecond);
      CHECK(link.bytes_per_second == 1e6);
      CHECK(link.loss == doctest::Approx(0.01));
    }
    CHECK(scenario.link(0, 1).bytes_per_second == 0);
  }

  TEST_CASE("events: in order, with their targets and ends") {
    const auto scenario = good(
        {.top = "start = \"23:50\"\n",
         .more =
             event("at = \"00:10\"\nkind = \"cut\"\nfrom = \"us\"") +
             event("at = \"5m\"\nfor = \"2m\"\nkind = \"slow\"\nfrom = \"eu\"\nto = \"us-2\"\n"
                   "both_ways = false\nfactor = 3\nextra_ms = 4") +
             event("at = \"6m\"\nkind = \"crash\"\nnodes = [\"us-1\", \"eu\"]\nlabel = \"x\"") +
             event("at = \"7m\"\nkind = \"restart\"\nnodes = \"us-1\"") +
             event("at = \"8m\"\nkind = \"crash\"\nnodes = \"us-1\"") +
             event("at = \"9m\"\nkind = \"clock_step\"\nnodes = \"eu-1\"\nstep = \"-2h\"") +
             event("at = \"9m\"\nkind = \"loss\"\npercent = 5") +
             event("at = \"9m\"\nkind = \"grant\"\nregion = \"us\"\nto = \"eu\"\n"
                   "sku = \"sku-3\"\nunits = 4") +
             event("at = \"9m\"\nkind = \"adjust\"\nregion = \"eu\"\nsku = \"*\"\nunits = -4")});
    const auto& events = scenario.events;
    REQUIRE(events.size() == 9);
    CHECK(events[0].kind == sim::EventKind::slow);
    CHECK(events[0].from == std::vector<std::size_t>{2});
    CHECK(events[0].to == std::vector<std::size_t>{1});
    CHECK_FALSE(events[0].both_ways);
    CHECK(events[0].factor == 3);
    CHECK(events[0].extra == 4 * sim::kMillisecond);
    CHECK(events[0].end == 7 * sim::kMinute);
    CHECK_FALSE(events[0].open_ended);
    CHECK(events[0].label == "slow eu > us-2");
    CHECK(events[1].label == "x");
    CHECK(events[1].nodes == std::vector<std::size_t>{0, 2});
    CHECK(events[1].open_ended);
    CHECK(events[4].step == -2 * sim::kHour);
    CHECK(events[5].share == doctest::Approx(0.05));
    CHECK(events[5].from.size() == 3);
    CHECK(events[6].to_region == 1);
    CHECK(events[7].units == -4);
    CHECK(events[8].at == 20 * sim::kMinute);  // 00:10 is the next day's
    CHECK(events[8].to == std::vector<std::size_t>{2});
    CHECK(events[8].end == sim::kHour);
  }

  TEST_CASE("events: what operators do about a lost region") {
    const auto scenario =
        good({.more = event("at = \"1m\"\nkind = \"failover\"\nregion = \"us\"\nby = \"eu\"") +
                      event("at = \"2m\"\nkind = \"failover\"\nregion = \"us\"\nby = \"eu\"\n"
                            "fraction = 0.25") +
                      event("at = \"3m\"\nkind = \"retire\"\nnode = \"us-2\"\nby = \"eu\"\n"
                            "successor = \"us-1\"")});
    const auto& events = scenario.events;
    REQUIRE(events.size() == 3);
    CHECK(events[0].kind == sim::EventKind::failover);
    CHECK(events[0].region == 0);
    CHECK(events[0].by == 1);
    CHECK(events[0].fraction == 1);
    CHECK(events[0].label == "failover of us by eu");
    CHECK(events[1].fraction == 0.25);
    CHECK(events[2].kind == sim::EventKind::retire);
    CHECK(events[2].nodes == std::vector<std::size_t>{1});
    CHECK(events[2].successor == 0);
    CHECK(events[2].by == 1);
    CHECK(events[2].label == "retire us-2, successor us-1");
  }

  TEST_CASE("events: decrees that cannot be") {
    const std::string lost = "at = \"1m\"\nkind = \"failover\"\nregion = \"us\"\n";
    refused({.more = event(lost)}, "[[event]]", "event.by: is missing: set it");
    refused({.more = event(lost + "by = \"us\"")}, "by = \"us\"",
            "event.by: must be another region than region: nobody declares its own lost");
    CHECK(message({.more = event(lost + "by = \"mars\"")}).find("event.by: ") != std::string::npos);
    CHECK(message({.more = event("at = \"1m\"\nkind = \"failover\"\nregion = \"mars\"\n"
                                 "by = \"us\"")})
              .find("event.region: ") != std::string::npos);
    refused({.more = event(lost + "by = \"eu\"\nfraction = 0")}, "fraction",
            "event.fraction: must be above 0, up to 1");
    for (const char* fraction : {"1.01", "-0.5"})
      refused({.more = event(lost + "by = \"eu\"\nfraction = " + fraction)}, "fraction",
              "event.fraction: must be a number from 0 to 1, is " + std::string(fraction));
    const std::string retire = "at = \"1m\"\nkind = \"retire\"\nby = \"eu\"\n";
    refused({.more = event(retire + "node = \"us-1\"")}, "[[event]]",
            "event.successor: is missing: set it");
    refused({.more = event(retire + "node = \"us\"\nsuccessor = \"eu-1\"")}, "node = \"us\"\ns",
            "event.node: must be one node, such as us-1");
    refused({.more = event(retire + "node = \"us-1\"\nsuccessor = \"us-1\"")}, "successor",
            "event.successor: must be another node than node");
    refused({.more = event(retire + "node = \"us-1\"\nsuccessor = \"eu-1\"\nfraction = 1")},
            "fraction",
            "event.fraction: is not a known key; known here: at, by, kind, label, node, successor");
  }

  TEST_CASE("events: members that come and go") {
    const std::string join = "kind = \"join\"\nnodes = \"us-2\"\n";
    const auto scenario =
        good({.more = event("at = \"1m\"\n" + join) +
                      event("at = \"2m\"\nkind = \"drain\"\nnodes = \"us-1\"\nwait = \"20s\"")});
    REQUIRE(scenario.events.size() == 2);
    CHECK(scenario.joins_later(1));
    CHECK_FALSE(scenario.joins_later(0));
    CHECK(scenario.events[1].kind == sim::EventKind::drain);
    CHECK(scenario.events[1].extra == 20 * sim::kSecond);
    CHECK(message({.more = event("at = \"1m\"\nkind = \"join\"\nnodes = \"eu\"")})
              .find("every node of \"eu\" joins later") != std::string::npos);
    CHECK(message({.more = event("at = \"1m\"\n" + join) + event("at = \"2m\"\n" + join)})
              .find("joins once") != std::string::npos);
    CHECK(message({.more = event("at = \"1m\"\nkind = \"pause\"\nnodes = \"us-2\"\nfor = \"1m\"") +
                           event("at = \"2m\"\n" + join)})
              .find("runs only from this join on") != std::string::npos);
  }

  TEST_CASE("shards, and what their routers do") {
    const std::string shards = "[shards]\ncount = 2\nweights = [100, 0]\nrouters = 2\n";
    const auto scenario = good(
        {.more = shards + event("at = \"1m\"\nkind = \"reshard\"\nweights = [1, 2]") +
                 event("at = \"2m\"\nkind = \"router_crash\"\nregions = \"eu\"\nfor = \"9s\"") +
                 event("at = \"3m\"\nkind = \"crash\"\nnodes = \"s2.us-1\"\nfor = \"9s\"") +
                 event("at = \"4m\"\nkind = \"cut\"\nfrom = \"us\"") +
                 "[expect]\nmoved_within = \"1m\"\n"});
    CHECK(scenario.shards.weights == std::vector<std::uint32_t>{100, 0});
    CHECK(scenario.shards.routers == 2);
    REQUIRE(scenario.events.size() == 4);
    CHECK(scenario.events[0].weights == std::vector<std::uint32_t>{1, 2});
    CHECK(scenario.events[1].routers == std::vector<std::size_t>{2, 3});
    CHECK(scenario.events[2].nodes == std::vector<std::size_t>{3});  // us-1, us-2, eu-1 before it
    CHECK(scenario.node_name(3) == "s2.us-1");
    CHECK(scenario.events[3].from == std::vector<std::size_t>{0, 1, 3, 4});
    CHECK(*scenario.expect.moved_within == 60 * sim::kSecond);
    CHECK_FALSE(good({}).routed());

    const sim::Scenario second = scenario.of_shard(1);
    REQUIRE(second.events.size() == 2);
    CHECK(second.events[0].nodes == std::vector<std::size_t>{0});
    CHECK(second.events[1].from == std::vector<std::size_t>{0, 1});
    CHECK(second.events[1].to == std::vector<std::size_t>{2});
    CHECK(scenario.of_shard(0).events.size() == 1);
  }

  TEST_CASE("shards: bad input") {
    const auto says = [](const std::string& more, const std::string& what) {
      const std::string text = message({.more = more});
      CAPTURE(text);
      CHECK(text.find(what) != std::string::npos);
    };
    says("[shards]\ncount = 0\n", "shards.count: must be an integer from 1 to 32, is 0");
    says("[shards]\ncount = 2\nweights = [1]\n", "a weight for each of the 2 shards");
    says("[shards]\ncount = 2\nweights = [0, 0]\n", "then no SKU would be anywhere");
    says("[shards]\ncount = 32\nrouters = 99\n", "shards.routers");
    says("[shards]\n[policy]\nname = \"weak\"\n", "\"weak\" has no shards");
    says(event("at = \"1m\"\nkind = \"reshard\"\nweights = [1]"), "needs [shards]");
    says("[shards]\n" + event("at = \"1m\"\nkind = \"router_crash\"\nregions = \"mars\""),
         "there is no region \"mars\"");
    says("[shards]\ncount = 2\n" + event("at = \"1m\"\nkind = \"pause\"\nnodes = \"s3\""),
         "s1.us-1 in one shard alone");
    const std::string two = "[shards]\ncount = 2\n";
    says(two + event("at = \"1m\"\nkind = \"cut\"\nfrom = \"s1\"\nto = \"s2\""),
         "never speak to each other");
    says(two + event("at = \"1m\"\nkind = \"retire\"\nby = \"eu\"\nnode = \"s1.us-1\"\n"
                     "successor = \"s2.us-2\""),
         "must be a node of the same shard");
    says(two + event("at = \"1m\"\nkind = \"loss\"\nfrom = \"s1\"\npercent = 9"),
         "frames pass only between its own nodes");
    says(two + "[expect]\nfetched_max_percent = 1\n", "their parts are counted");
    CHECK(message(
              {.regions = "[[region]]\nname = \"us\"\n[[region]]\nname = \"s2.us\"\n", .more = two})
              .find("would be a region and in the shard s2") != std::string::npos);
    CHECK(message({.stock = "[stock]\nunits_per_sku = 10\nallowance_units = 1\n",
                   .more = two + event("at = \"1m\"\nkind = \"reshard\"\nweights = [1, 2]")})
              .find("moves no SKU that has an allowance") != std::string::npos);
    says("[shards]\n[expect]\nmoved_within = \"1m\"\n", "needs an event of kind \"reshard\"");
    const std::string crash = "kind = \"router_crash\"\nregions = \"us\"\nfor = \"5m\"";
    says("[shards]\n" + event("at = \"1m\"\n" + crash) + event("at = \"2m\"\n" + crash),
         "still lasts there");
  }

  TEST_CASE("expectations of decrees") {
    const auto scenario = good({.more = "[expect]\nwithin_bound = true\ndecrees_closed = true\n"
                                        "spent_unseen_min = 7\nfetched_max_percent = 1\n"});
    CHECK(scenario.expect.within_bound);
    CHECK(scenario.expect.decrees_closed);
    CHECK(*scenario.expect.spent_unseen_min == 7);
    CHECK(*scenario.expect.fetched_max == doctest::Approx(0.01));
    CHECK_FALSE(good({}).expect.within_bound);
    CHECK_FALSE(good({}).expect.decrees_closed);
  }

  TEST_CASE("expectations") {
    const auto scenario =
        good({.more = "[expect]\noversold_max = 0\navailability_min = { eu = 99.9 }\n"
                      "refused_with_stock_elsewhere_max_percent = 2\np99_ms_max = 100\n"
                      "converged_within = \"30s\"\n"});
    CHECK(scenario.expect.oversold_max == 0);
    CHECK_FALSE(scenario.expect.availability_min);
    REQUIRE(scenario.expect.availability_min_by_region.contains(1));
    CHECK(scenario.expect.availability_min_by_region.at(1) == doctest::Approx(0.999));
    CHECK(*scenario.expect.refused_with_stock_elsewhere_max == doctest::Approx(0.02));
    CHECK(*scenario.expect.p99_ms_max == 100);
    CHECK(*scenario.expect.converged_within == 30 * sim::kSecond);
    CHECK(*good({.more = "[expect]\navailability_min = 99\n"}).expect.availability_min ==
          doctest::Approx(0.99));
  }
}

TEST_SUITE("scenario: bad input") {
  TEST_CASE("syntax") {
    CHECK(message_of("title = \"a\"\nduration == 3\n").starts_with("s.toml:2: "));
    CHECK(message_of("title = \"a\"\ntitle = \"b\"\n").starts_with("s.toml:2: "));
    CHECK(message_of(std::string("a = \"\xff\"\n")).starts_with("s.toml:1: "));
    CHECK(message_of(std::string(10'000, '[')).starts_with("s.toml:1: "));
  }

  TEST_CASE("an empty file says all that is missing") {
    CHECK(message_of("") ==
          "s.toml: title: is missing: set it\n"
          "s.toml: duration: is missing: set it\n"
          "s.toml: region: is missing: describe at least one region as [[region]]\n"
          "s.toml: demand: is missing: set it\n"
          "s.toml: stock: is missing: set it");
  }

  TEST_CASE("several mistakes are named at once, by line") {
    Parts parts{.top = "sead = 3\n", .demand = "[demand]\nrate = -3\n"};
    CHECK(message(parts) ==
          "s.toml:3: sead: is not a known key; did you mean seed?\n"
          "s.toml:" +
              line_of(parts, "rate = -3") +
              ": demand.rate: must be a number from 0 to 1000000, is -3");
    std::string many;
    for (int i = 0; i < 15; ++i) many += "zzzzzzzz" + std::to_string(i) + " = 1\n";
    CHECK(message({.top = many}).ends_with("\nand 5 more"));
  }

  TEST_CASE("unknown keys, in every section") {
    refused({.stock = "[stock]\nunits_per_sku = 1\nspraed = \"even\"\n"}, "spraed",
            "stock.spraed: is not a known key; did you mean stock.spread?");
    refused({.demand = "[demand]\nrate = 1\nrelease = 3\n"}, "release",
            "demand.release: is not a known key; known here: abandon_percent, amplitude_percent, "
            "bestsellers, burst, lines, orders, peak_hour, rate, release_percent, shape, shares, "
            "skus, think, timeout, ttl, units, zipf_exponent");
    for (const char* section : {"[policy]\n", "[node]\n", "[network]\n", "[expect]\n",
                                "[[demand.burst]]\nat = \"1m\"\n"
                                "factor = 2\n",
                                "[[event]]\nat = \"1m\"\nkind = \"restart\"\nnodes = \"us\"\n"}) {
      CAPTURE(section);
      CHECK(message({.more = std::string(section) + "qqqqqqqqqqqqqqqqq = 1\n"})
                .find(".qqqqqqqqqqqqqqqqq: is not a known key; known here: ") != std::string::npos);
    }
    refused({.more = "[[event]]\nat = \"1m\"\nkind = \"crash\"\nnodes = \"us\"\nfactor = 2\n"},
            "factor", "event.factor: is not a known key; known here: at, for, kind, label, nodes");
    CHECK(message({.more = "[weather]\nrain = true\n"}).find(": weather: is not a known key") !=
          std::string::npos);
  }

  TEST_CASE("wrong types and values out of range") {
    refused({.top = "seed = \"x\"\n"}, "seed", "seed: must be an integer of at least 0, is \"x\"");
    refused({.top = "seed = -1\n"}, "seed", "seed: must be an integer of at least 0, is -1");
    refused({.top = "warm_up = 5\n"}, "warm_up",
            "warm_up: must be a span of time in quotes, such as \"90s\", \"1h30m\" or \"250ms\", "
            "is 5");
    refused({.top = "warm_up = \"1h\"\n"}, "warm_up", "warm_up: must be shorter than duration, 1h");
    refused({.top = "sample_every = \"1ms\"\n"}, "sample_every",
            "sample_every: makes more than 100,000 points: make it longer");
    refused({.top = "start = 08:00:00\n"}, "start",
            "start: must be a time of day in quotes, such as \"08:00\", is a date or time without "
            "quotes");
    refused({.more = "[policy]\nname = \"magic\"\n"}, "magic",
            "policy.name: must be one of proportional, square-root, on-demand, static, central, "
            "weak, is \"magic\"");
    refused({.more = "[policy]\nwait_ms = 1.5\n"}, "wait_ms",
            "policy.wait_ms: must be an integer from 0 to 60000, is 1.5");
    refused({.more = "[node]\nheartbeat_ms = 1000\n"}, "[node]",
            "node.suspect_after_ms: must be at least 3 × heartbeat_ms, that is 3000");
    refused({.demand = "[demand]\nrate = inf\n"}, "rate",
            "demand.rate: must be a number from 0 to 1000000, is inf");
    refused({.demand = "[demand]\nrate = nan\n"}, "rate",
            "demand.rate: must be a number from 0 to 1000000, is nan");
    refused({.regions = "",
             .stock = "",
             .demand = "demand = 3\n",
             .more = "[[region]]\nname = \"us\"\n[stock]\nunits_per_sku = 1\n"},
            "demand", "demand: must be a section, [demand], is 3");
    refused({.regions = "[region]\nname = \"us\"\n"}, "[region]",
            "region: must be written as [[region]], is a table");
    refused({.more = "[expect]\navailability_min = 101\n"}, "availability_min",
            "expect.availability_min: must be a number from 0 to 100, is 101");
  }

  TEST_CASE("impossible topologies") {
    refused({.regions = "[[region]]\nname = \"us\"\n[[region]]\nname = \"us\"\n[[region]]\nname = "
                        "\"eu\"\n"},
            "name = \"us\"\n[[region]]\nname = \"eu\"",
            "region.name: \"us\" is the name of another region: names are unique");
    refused({.regions = "[[region]]\nname = \"us\"\nnodes = 0\n"}, "nodes",
            "region.nodes: must be an integer from 1 to 100, is 0");
    CHECK(message({.regions = "[[region]]\nname = \"us\"\nnodes = 90\n[[region]]\nname = \"eu\"\n"
                              "nodes = 11\n"})
              .find("region: describes 101 nodes; at most 100 are simulated") != std::string::npos);
    refused({.regions = "[[region]]\nname = \"u s\"\n"}, "u s",
            "region.name: must be 1 to 62 of A-Z a-z 0-9 . _ -");
    CHECK(message({.regions = "[[region]]\nname = \"us\"\n[[region]]\nname = \"us-1\"\n"})
              .find("\"us-1\" would be a region and a node: rename the region") !=
          std::string::npos);
    refused({.more = "[network.links]\nus-mars = 40\n"}, "us-mars",
            "network.links.us-mars: must name two regions, \"a-b\", or \"a>b\" for one direction; "
            "the regions are us, eu");
    refused({.more = "[network.links]\nus-eu = 40\neu-us = 41\n"}, "eu-us",
            "network.links.eu-us: says again what another key says of this pair: remove one");
    refused({.more = "[network.links]\nus-us = 40\n"}, "us-us",
            "network.links.us-us: names one region twice: between the nodes of one region it is "
            "network.within_region_ms");
    refused({.more = "[network.links]\nus-eu = -1\n"}, "us-eu",
            "network.links.us-eu: must be a number from 0 to 60000, is -1");
    refused({.more = "[network.links]\nus-eu = { one_way_mz = 1 }\n"}, "us-eu",
            "network.links.us-eu.one_way_mz: is not a known key; did you mean "
            "network.links.us-eu.one_way_ms?");
    refused({.regions = "[[region]]\nname = \"a\"\n[[region]]\nname = \"b\"\n[[region]]\nname = "
                        "\"a-b\"\n[[region]]\nname = \"b-b\"\n",
             .more = "[network.links]\na-b-b = 1\n"},
            "a-b-b = 1",
            "network.links.a-b-b: can be read as more than one pair of regions: rename "
            "one");
  }

  TEST_CASE("stock") {
    refused({.stock = "[stock]\nskus = 3\n"}, "[stock]",
            "stock: must have exactly one of units_total, units_per_sku, times_demand");
    refused({.stock = "[stock]\nunits_total = 3\ntimes_demand = 1\n"}, "[stock]",
            "stock: must have exactly one of units_total, units_per_sku, times_demand");
    refused(
        {.stock = "[stock]\nunits_total = 3\nspread = \"mars\"\n"}, "spread",
        "stock.spread: must be \"even\", \"demand\", the name of one region, or weights such as "
        "{ us = 2 }, is \"mars\"");
    refused({.stock = "[stock]\nunits_total = 3\nspread = { mars = 1, us = 1 }\n"}, "spread",
            "stock.spread.mars: there is no region \"mars\"; the regions are us, eu");
    refused({.stock = "[stock]\nunits_total = 3\nspread = { us = 0 }\n"}, "spread",
            "stock.spread: must give a weight to at least one region");
    refused({.stock = "[stock]\nunits_total = -3\n"}, "units_total",
            "stock.units_total: must be an integer from 0 to 1000000000000, is -3");
  }

  TEST_CASE("demand") {
    refused({.demand = "[demand]\n"}, "[demand]", "demand.rate: is missing: set it");
    refused({.demand = "[demand]\nrate = { us = -1 }\n"}, "rate",
            "demand.rate.us: must be a number from 0 to 1000000, is -1");
    refused({.demand = "[demand]\nrate = {}\n"}, "rate",
            "demand.rate: must say of at least one region how many carts come in a second");
    refused({.demand = "[demand]\nrate = { us = 1 }\nshares = { us = 1 }\n"}, "shares",
            "demand.shares: cannot be set: rate says already how much each region wants");
    refused({.demand = "[demand]\nrate = 1\nshares = { eu = 0 }\n"}, "shares",
            "demand.shares: must give a share to at least one region");
    refused({.demand = "[demand]\nrate = 20000\n"}, "rate",
            "demand.rate: makes more than 50 million carts: lower it, or shorten duration");
    refused({.demand = "[demand]\nrate = 1\npeak_hour = 3\n"}, "peak_hour",
            "demand.peak_hour: needs shape = \"diurnal\"");
    refused({.demand = "[demand]\nrate = 1\nskus = \"uniform\"\nzipf_exponent = 1\n"}, "zipf_e",
            "demand.zipf_exponent: needs skus = \"zipf\"");
    refused({.demand = "[demand]\nrate = 1\nlines = [3, 1]\n"}, "lines",
            "demand.lines: must have the smaller value first");
    refused({.demand = "[demand]\nrate = 1\nlines = [1, 2, 3]\n"}, "lines",
            "demand.lines: must be one value or [least, most]");
    refused({.demand = "[demand]\nrate = 1\nrelease_percent = 60\nabandon_percent = 50\n"},
            "abandon", "demand.abandon_percent: and release_percent are more than 100 together");
    refused({.demand = "[demand]\nrate = 1\nttl = \"1500ms\"\n"}, "ttl",
            "demand.ttl: must be whole seconds");
    refused({.demand = "[demand]\nrate = 1\n[demand.orders]\nfile = \"a.csv\"\n"}, "rate",
            "demand.rate: cannot be set beside [demand.orders]: remove one");
    refused({.stock = "",
             .demand = "[demand.orders]\nfile = \"a.csv\"\nmap = { France = \"fr\" }\n",
             .more = "[stock]\ntimes_demand = 1\n"},
            "map", "demand.orders.map.France: there is no region \"fr\"; the regions are us, eu");
    refused({.demand = "[demand.orders]\nfile = \"a.csv\"\ndays = \"1.12.2010\"\n"}, "days",
            "demand.orders.days: must be dates, \"YYYY-MM-DD\", is \"1.12.2010\"");
    for (const std::string day : {"2011-13-45", "2011-02-29", "2011-00-01", "2011--1-01"})
      refused({.demand = "[demand.orders]\nfile = \"a.csv\"\ndays = \"" + day + "\"\n"}, "days",
              "demand.orders.days: must be dates, \"YYYY-MM-DD\", is \"" + day + "\"");
    refused({.stock = "[stock]\ntimes_demand = 1\nskus = 3\n",
             .demand = "[demand.orders]\nfile = \"a.csv\"\n"},
            "skus", "stock.skus: cannot be set: the orders say which SKUs there are");
  }

  TEST_CASE("bursts") {
    const std::string burst = "[[demand.burst]]\nat = \"10m\"\nfor = \"10m\"\nfactor = 2\n";
    refused({.more = burst + "regions = [\"us\", \"mars\"]\n"}, "regions",
            "demand.burst.regions: there is no region \"mars\"; the regions are us, eu");
    refused({.more = "[[demand.burst]]\nat = \"2h\"\nfactor = 2\n"},
            "at = ", "demand.burst.at: lies at 2h, but the scenario is over after 1h (duration)");
    refused(
        {.more = "[[demand.burst]]\nat = \"50m\"\nfor = \"11m\"\nfactor = 2\n"}, "for = ",
        "demand.burst.for: ends at 1h1m, but the scenario is over after 1h; shorten it, or leave "
        "it out: it then lasts until the end");
    refused({.more = "[[demand.burst]]\nat = \"50m\"\nfactor = 0.5\nskus = 3\n"}, "skus",
            "demand.burst.skus: needs a factor above 1: only the additional carts ask for these "
            "SKUs");
    refused({.stock = "[stock]\nskus = 5\nunits_per_sku = 1\n", .more = burst + "skus = 99\n"},
            "skus = 99",
            "demand.burst.skus: must be at most 5, as many as there are (stock.skus), is 99");
    good({.stock = "[stock]\nskus = 5\nunits_per_sku = 1\n", .more = burst + "skus = 5\n"});
    refused({.more = "[[demand.burst]]\nat = \"soon\"\nfactor = 2\n" + burst}, "at = \"soon\"",
            "demand.burst.at: must be a span from the start, such as \"90s\" or \"1h30m\", or a "
            "time of day, \"14:30\", is \"soon\"");
    CHECK(message({.more = burst + burst})
              .find("demand.burst: number 1 and number 2 overlap in one region") !=
          std::string::npos);
    good({.more = burst + "regions = \"us\"\n" + burst + "regions = \"eu\"\n"});
  }

  TEST_CASE("events") {
    const Parts unknown{.more = event("at = \"1m\"\nkind = \"earthquake\"")};
    refused(
        unknown, "kind",
        "event.kind: must be one of cut, slow, loss, clog, crash, pause, restart, disk_lost, "
        "disk_slow, disk_full, disk_put_back, clock_step, receive, adjust, allow, grant, failover, "
        "retire, join, drain, router_crash, reshard, is \"earthquake\"");
    refused({.more = event("kind = \"restart\"\nnodes = \"us\"")}, "[[event]]",
            "event.at: is missing: set it");
    refused({.more = event("at = \"1h\"\nkind = \"restart\"\nnodes = \"us\"")}, "at = \"1h\"",
            "event.at: lies at 1h, but the scenario is over after 1h (duration)");
    refused({.more = event("at = 5\nkind = \"restart\"\nnodes = \"us\"")}, "at = 5",
            "event.at: must be a span from the start, such as \"90s\" or \"1h30m\", or a time of "
            "day, \"14:30\", is 5");
    refused({.more = event("at = \"-5m\"\nkind = \"restart\"\nnodes = \"us\"")}, "at = \"-5m\"",
            "event.at: must be a span from the start, such as \"90s\" or \"1h30m\", or a time of "
            "day, \"14:30\", is \"-5m\"");
    refused({.more = event("at = \"5m\"\nfor = \"1h\"\nkind = \"crash\"\nnodes = \"us\"")},
            "for = \"1h\"",
            "event.for: ends at 1h5m, but the scenario is over after 1h; shorten it, or leave it "
            "out: it then lasts until the end");
    refused({.more = event("at = \"5m\"\nkind = \"crash\"\nnodes = \"us-3\"")}, "nodes = \"us-3\"",
            "event.nodes: there is no region or node \"us-3\"; the regions are us, eu, nodes are "
            "called like us-1");
    refused({.more = event("at = \"5m\"\nkind = \"crash\"\nnodes = [\"us-1\", \"us\"]")},
            "nodes = [", "event.nodes: names a node twice");
    refused({.more = event("at = \"5m\"\nkind = \"crash\"\nnodes = []")}, "nodes = [",
            "event.nodes: must be text in quotes or a list of texts, is a list of 0");
    refused({.more = event("at = \"5m\"\nkind = \"cut\"")}, "[[event]]",
            "event.from: is missing: set it");
    refused({.more = event("at = \"5m\"\nkind = \"cut\"\nfrom = \"us\"\nto = \"us-1\"")},
            "to = ", "event.to: names a node that from names too");
    refused({.more = event("at = \"5m\"\nkind = \"cut\"\nfrom = [\"us\", \"eu\"]")},
            "from = ", "event.from: names every node: nothing is left on the other side");
    refused({.more = event("at = \"5m\"\nkind = \"slow\"")}, "[[event]]",
            "event: must have factor or extra_ms, or both");
    refused({.more = event("at = \"5m\"\nkind = \"receive\"\nregion = \"us\"\nsku = \"sku-101\"\n"
                           "units = 3")},
            "sku-101",
            "event.sku: there is no SKU \"sku-101\": they are sku-1 to sku-100, and \"*\" stands "
            "for all");
    refused({.more = event("at = \"5m\"\nkind = \"allow\"\nregion = \"us\"\nsku = \"*\"\n"
                           "units = 0")},
            "units = 0", "event.units: must not be 0");
    refused({.more = event("at = \"5m\"\nkind = \"receive\"\nregion = \"us\"\nsku = \"*\"\n"
                           "units = -1")},
            "units = -1", "event.units: must be an integer from 1 to 1000000000, is -1");
    refused({.more = event("at = \"5m\"\nkind = \"grant\"\nregion = \"us\"\nto = \"us\"\n"
                           "sku = \"*\"\nunits = 1")},
            "to = ", "event.to: must be another region than region");
  }

  TEST_CASE("faults that overlap") {
    const auto fault = [](const std::string& at, const std::string& rest) {
      return event("at = \"" + at + "\"\n" + rest);
    };
    const std::string crash = "kind = \"crash\"\nfor = \"10m\"\nnodes = \"us\"";
    const Parts twice{.more = fault("15m", crash) +
                              fault("10m", "kind = \"pause\"\nfor = \"6m\"\nnodes = \"us-2\"")};
    refused(
        twice, "[[event]]",
        "event.at: \"crash us\" begins while \"pause us-2\" (line 17) still lasts there: let one "
        "end before the other begins");
    good({.more = fault("10m", crash) + fault("20m", crash)});
    good({.more = fault("10m", crash) + fault("11m", "kind = \"crash\"\nnodes = \"eu\"")});

    const std::string for_ever = "kind = \"crash\"\nnodes = \"us-1\"";
    const std::string restart = fault("20m", "kind = \"restart\"\nnodes = \"us\"");
    CHECK_FALSE(sim::parse_scenario(
                    Parts{.more = fault("10m", for_ever) + fault("30m", for_ever)}.text(), "s")
                    .ok());
    good({.more = fault("10m", for_ever) + restart + fault("30m", for_ever)});

    // A fault in one event is not held against the others.
    refused({.more = fault("1m", crash) + fault("later", crash)}, "at = \"later\"",
            "event.at: must be a span from the start, such as \"90s\" or \"1h30m\", or a time of "
            "day, \"14:30\", is \"later\"");
    const std::string late = fault("later", "kind = \"restart\"\nnodes = \"us\"");
    refused({.more = fault("10m", for_ever) + late + fault("30m", for_ever)}, "at = \"later\"",
            "event.at: must be a span from the start, such as \"90s\" or \"1h30m\", or a time of "
            "day, \"14:30\", is \"later\"");

    const std::string cut = "kind = \"cut\"\nfor = \"10m\"\n";
    CHECK(message({.more = fault("10m", cut + "from = \"us\"") +
                           fault("15m", cut + "from = \"eu\"\nto = \"us-2\"")})
              .find("still lasts there") != std::string::npos);
    good({.more = fault("10m", cut + "from = \"us\"\nboth_ways = false") +
                  fault("15m", cut + "from = \"eu\"\nboth_ways = false")});
    good({.more = fault("10m", cut + "from = \"us-1\"\nto = \"eu\"") +
                  fault("15m", cut + "from = \"us-2\"\nto = \"eu\"")});
    good({.more =
              fault("10m", cut + "from = \"us\"") + fault("15m", "kind = \"loss\"\npercent = 3")});
  }
}

// ── real orders ─────────────────────────────────────────────────────────────────────────────────

const std::string kHeader =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
const std::string kOrders = kHeader +
                            "1,BOX,Box,2,2010-12-01 08:30:00,1,7,France\n"
                            "1,A,Lamp,1,2010-12-01 08:30:00,1,7,France\n"
                            "2,A,Lamp,3,2010-12-01 09:00:00,1,8,United Kingdom\n"
                            "C3,A,Lamp,-1,2010-12-01 09:10:00,1,8,United Kingdom\n"
                            "4,A,Lamp,1,2010-12-01 12:00:00,1,8,United Kingdom\n"
                            "5,A,Lamp,5,2010-12-02 08:15:00,1,8,United Kingdom\n";

Parts with_orders(const std::string& keys = "", const std::string& top = "start = \"08:15\"\n") {
  return {.top = top,
          .stock = "[stock]\ntimes_demand = 1\n",
          .demand = "[demand.orders]\nfile = \"orders.csv\"\n" + keys};
}

std::string orders_message(const Parts& parts, const std::string& csv) {
  auto scenario = good(parts);
  const auto status = sim::add_orders(scenario, csv, "orders.csv");
  REQUIRE_FALSE(status.ok());
  CHECK(absl::IsInvalidArgument(status));
  return std::string(status.message());
}

TEST_SUITE("scenario: orders") {
  TEST_CASE("carts of one day, by the shop's clock, in the region of their country") {
    auto scenario = good(with_orders("days = \"2010-12-01\"\nmap = { France = \"us\" }\n"));
    REQUIRE(sim::add_orders(scenario, kOrders, "orders.csv").ok());
    CHECK(scenario.skus == std::vector<std::string>{"A", "BOX"});
    const auto& carts = *scenario.demand.orders;
    REQUIRE(carts.size() == 2);
    CHECK(carts[0].id == "1");
    CHECK(carts[0].at == 15 * sim::kMinute);
    CHECK(carts[0].region == 0);
    REQUIRE(carts[0].lines.size() == 2);
    CHECK(carts[0].lines[0].sku == 0);
    CHECK(carts[0].lines[0].quantity == 1);
    CHECK(carts[0].lines[1].quantity == 2);
    CHECK(carts[1].at == 45 * sim::kMinute);
    CHECK(carts[1].region == 1);
    CHECK(scenario.demand.orders_not_sold == 1);
    CHECK(scenario.demand.orders_outside == 1);
  }

  TEST_CASE("faster, and several times") {
    auto scenario = good(with_orders("speed = 30\nrepeat = 3\n"));
    REQUIRE(sim::add_orders(scenario, kOrders, "orders.csv").ok());
    const auto& carts = *scenario.demand.orders;
    REQUIRE(carts.size() == 12);  // both days: 24 h in 48 min
    CHECK(carts[0].at == sim::kMinute / 2);
    for (std::size_t i = 1; i < carts.size(); ++i) CHECK(carts[i - 1].at <= carts[i].at);
    std::set<std::string> ids;
    for (const auto& cart : carts) ids.insert(cart.id);
    CHECK(ids.size() == 12);
    CHECK(ids.contains("5.3"));
    CHECK(carts.back().at <= (24 * 60 + 1) * sim::kMinute / 30);
  }

  TEST_CASE("bad orders") {
    const std::string broken = kOrders + "6,A,Lamp,many,2010-12-01 09:00:00,1,8,France\n";
    const auto text = orders_message(with_orders(), broken);
    CHECK(text.starts_with("orders.csv:8: "));
    CHECK(
        text.ends_with("1 broken line(s): repair them, or set skip_broken = true in "
                       "[demand.orders] to leave them out"));
    auto scenario = good(with_orders("skip_broken = true\n"));
    CHECK(sim::add_orders(scenario, broken, "orders.csv").ok());
    CHECK(scenario.demand.orders_broken == 1);
    CHECK(orders_message(with_orders(), "a,b\n1,2\n").starts_with("orders.csv: "));
    CHECK(orders_message(with_orders(), kHeader) == "orders.csv: has no orders");
    CHECK(orders_message(with_orders("days = [\"2010-12-01\", \"2010-12-24\"]\n"), kOrders) ==
          "s.toml:" + line_of(with_orders("days = 1\n"), "days") +
              ": demand.orders.days: orders.csv has no order of 2010-12-24");
    CHECK(orders_message(with_orders("", "start = \"20:00\"\n"), kOrders)
              .find("demand.orders: has no order between start and the end of duration; the first "
                    "is of 2010-12-01, 8h30m after midnight") != std::string::npos);
    Parts parts = with_orders();
    parts.more = event("at = \"5m\"\nkind = \"receive\"\nregion = \"us\"\nsku = \"Z\"\nunits = 3");
    CHECK(orders_message(parts, kOrders).find("event.sku: nobody orders \"Z\"") !=
          std::string::npos);
  }
}

}  // namespace
