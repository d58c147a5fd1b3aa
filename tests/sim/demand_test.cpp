#include "sim/demand.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <doctest/doctest.h>

#include "sim/opening_stock.h"
#include "sim/time_span.h"

namespace sim = holdfast::sim;
using holdfast::crdt::Units;

namespace {

std::string text_of(const std::string& demand, const std::string& duration = "1h",
                    const std::string& stock = "skus = 20\nunits_per_sku = 10\n",
                    const std::string& top = "") {
  return "title = \"t\"\nduration = \"" + duration + "\"\n" + top +
         "[[region]]\nname = \"us\"\nutc_offset = -6\n[[region]]\nname = \"eu\"\n"
         "[stock]\n" +
         stock + "[demand]\n" + demand;
}

sim::Scenario scenario_of(const std::string& text) {
  auto scenario = sim::parse_scenario(text, "s.toml");
  REQUIRE_MESSAGE(scenario.ok(), std::string(scenario.status().message()));
  return *std::move(scenario);
}

std::vector<sim::Cart> carts_of(const sim::Scenario& scenario) {
  std::vector<sim::Cart> carts;
  sim::Demand demand(scenario);
  while (auto cart = demand.next()) carts.push_back(*std::move(cart));
  return carts;
}

std::string shown(const std::vector<sim::Cart>& carts) {
  std::string text;
  for (const auto& cart : carts) {
    text += std::to_string(cart.at) + " " + cart.id + " " + std::to_string(cart.region) + " " +
            std::to_string(static_cast<int>(cart.then)) + " " + std::to_string(cart.after);
    for (const auto& line : cart.lines) {
      text += " " + std::to_string(line.sku) + "=" + std::to_string(line.quantity);
    }
    text += "\n";
  }
  return text;
}

// A Poisson count of that mean: within five standard deviations. Seeds are fixed, so this either
// always holds or never.
void check_count(double count, double mean) {
  CAPTURE(count);
  CAPTURE(mean);
  CHECK(std::abs(count - mean) < 5 * std::sqrt(mean) + 1);
}

double between(const std::vector<sim::Cart>& carts, std::uint32_t region, sim::Time from,
               sim::Time to) {
  double count = 0;
  for (const auto& cart : carts) {
    count += cart.region == region && cart.at >= from && cart.at < to ? 1 : 0;
  }
  return count;
}

TEST_SUITE("demand") {
  TEST_CASE("equal seeds give equal carts, other seeds others") {
    const std::string text = text_of(
        "rate = 2\nlines = [1, 4]\nunits = [1, 3]\nshape = \"diurnal\"\nbestsellers = \"own\"\n"
        "[[demand.burst]]\nat = \"10m\"\nfor = \"5m\"\nfactor = 5\nskus = 2\n");
    const auto first = carts_of(scenario_of(text));
    CHECK(first.size() > 1'000);
    CHECK(shown(first) == shown(carts_of(scenario_of(text))));
    CHECK(shown(first) != shown(carts_of(scenario_of("seed = 2\n" + text))));
  }

  TEST_CASE("policy, stock and faults change nothing about the carts") {
    const std::string demand = "rate = 2\nlines = [1, 4]\n";
    CHECK(shown(carts_of(scenario_of(text_of(demand)))) ==
          shown(carts_of(
              scenario_of(text_of(demand, "1h", "skus = 20\ntimes_demand = 1.5\n") +
                          "[policy]\nname = \"static\"\n[[event]]\nat = \"5m\"\nkind = \"crash\"\n"
                          "nodes = \"us\"\n"))));
  }

  TEST_CASE("a region's carts do not depend on the other region's rate") {
    const auto of_eu = [](const std::string& rate) {
      auto carts = carts_of(scenario_of(text_of("rate = " + rate + "\n")));
      std::erase_if(carts, [](const sim::Cart& cart) { return cart.region != 1; });
      return shown(carts);
    };
    CHECK(of_eu("{ us = 1, eu = 2 }") == of_eu("{ us = 9, eu = 2 }"));
  }

  TEST_CASE("carts come in order, within the scenario, with ids of their own and lines in order") {
    const auto carts =
        carts_of(scenario_of(text_of("rate = 3\nlines = [1, 30]\nunits = [2, 5]\n")));
    std::set<std::string> ids;
    sim::Time last = 0;
    for (const auto& cart : carts) {
      CHECK(cart.at >= last);
      CHECK(cart.at < sim::kHour);
      last = cart.at;
      CHECK(ids.insert(cart.id).second);
      CHECK(holdfast::crdt::valid_name(cart.id));
      REQUIRE_FALSE(cart.lines.empty());
      for (std::size_t i = 0; i < cart.lines.size(); ++i) {
        CHECK(cart.lines[i].sku < 20);
        CHECK(cart.lines[i].quantity >= 2);
        if (i > 0) CHECK(cart.lines[i - 1].sku < cart.lines[i].sku);
      }
    }
  }

  TEST_CASE("constant rates, by region") {
    const auto carts = carts_of(scenario_of(text_of("rate = 4\nshares = { us = 3, eu = 1 }\n")));
    check_count(between(carts, 0, 0, sim::kHour), 3 * 3600);
    check_count(between(carts, 1, 0, sim::kHour), 3600);
    for (int tenth = 0; tenth < 10; ++tenth) {
      check_count(between(carts, 0, tenth * 6 * sim::kMinute, (tenth + 1) * 6 * sim::kMinute),
                  1080);
    }
  }

  TEST_CASE("no rate, no carts") {
    CHECK(carts_of(scenario_of(text_of("rate = 0\n"))).empty());
    const auto carts = carts_of(scenario_of(text_of("rate = { us = 1 }\n")));
    CHECK(between(carts, 1, 0, sim::kHour) == 0);
  }

  TEST_CASE("a day's rate follows each region's own clock, and its mean is the rate") {
    const auto carts = carts_of(scenario_of(
        text_of("rate = { us = 1, eu = 1 }\nshape = \"diurnal\"\namplitude_percent = 80\n"
                "peak_hour = 18\n",
                "1d", "units_per_sku = 1\n", "start = \"06:00\"\n")));
    const double kPi = std::acos(-1);
    for (const std::uint32_t region : {0u, 1u}) {
      check_count(between(carts, region, 0, sim::kDay), 86'400);
      for (int hour = 0; hour < 24; ++hour) {
        // Mean of 1 + 0.8 cos over that hour; us is six hours behind.
        const double local = 6 + hour - (region == 0 ? 6 : 0);
        const double angle = (local + 0.5 - 18) / 24 * 2 * kPi, width = kPi / 24;
        const double mean = 3600 * (1 + 0.8 * std::cos(angle) * std::sin(width) / width);
        check_count(between(carts, region, hour * sim::kHour, (hour + 1) * sim::kHour), mean);
      }
    }
  }

  TEST_CASE("a burst multiplies the rate of its regions while it lasts") {
    const auto carts = carts_of(scenario_of(
        text_of("rate = { us = 1, eu = 1 }\n[[demand.burst]]\nat = \"20m\"\nfor = \"10m\"\n"
                "factor = 10\nregions = \"us\"\n[[demand.burst]]\nat = \"40m\"\nfactor = 0\n")));
    const auto minutes = [&](std::uint32_t region, int from, int to) {
      return between(carts, region, from * sim::kMinute, to * sim::kMinute);
    };
    check_count(minutes(0, 0, 20), 1200);
    check_count(minutes(0, 20, 30), 6000);
    check_count(minutes(0, 30, 40), 600);
    CHECK(minutes(0, 40, 60) == 0);
    check_count(minutes(1, 20, 30), 600);
    CHECK(minutes(1, 40, 60) == 0);
  }

  TEST_CASE("the additional carts of a burst ask for its SKUs only; the usual ones for all") {
    const auto carts = carts_of(
        scenario_of(text_of("rate = { us = 2 }\nskus = \"uniform\"\n[[demand.burst]]\nat = \"0s\"\n"
                            "factor = 5\nskus = 2\n")));
    double hot = 0;
    for (const auto& cart : carts) hot += cart.lines[0].sku < 2 ? 1 : 0;
    check_count(static_cast<double>(carts.size()) - hot, 7200 * 18 / 20.0);
    check_count(hot, 7200 * (4 + 2 / 20.0));
  }

  TEST_CASE("Zipf: the first SKU is asked for most, as its weight says; own bestsellers differ") {
    const auto count = [](const std::string& more) {
      std::map<std::uint32_t, std::map<std::uint32_t, double>> counts;
      for (const auto& cart :
           carts_of(scenario_of(text_of("rate = { us = 5, eu = 5 }\n" + more)))) {
        ++counts[cart.region][cart.lines[0].sku];
      }
      return counts;
    };
    double harmonic = 0;
    for (int rank = 1; rank <= 20; ++rank) harmonic += 1.0 / rank;
    auto same = count("");
    for (const std::uint32_t region : {0u, 1u}) {
      for (const std::uint32_t sku : {0u, 1u, 9u, 19u}) {
        check_count(same[region][sku], 18'000 / harmonic / (sku + 1));
      }
    }
    auto own = count("bestsellers = \"own\"\n");
    const auto best = [&](std::uint32_t region) {
      return std::max_element(own[region].begin(), own[region].end(),
                              [](auto& a, auto& b) { return a.second < b.second; })
          ->first;
    };
    CHECK(best(0) != best(1));
    check_count(own[0][best(0)], 18'000 / harmonic);
    auto uniform = count("skus = \"uniform\"\n");
    for (std::uint32_t sku = 0; sku < 20; ++sku) check_count(uniform[0][sku], 900);
  }

  TEST_CASE("what becomes of carts, and when") {
    const auto carts = carts_of(scenario_of(
        text_of("rate = 5\nrelease_percent = 20\nabandon_percent = 10\nthink = [\"1s\", \"3s\"]\n"
                "lines = [2, 2]\nskus = \"uniform\"\nunits = [1, 3]\n")));
    std::map<sim::Cart::Then, double> then;
    double units = 0, after = 0;
    for (const auto& cart : carts) {
      ++then[cart.then];
      CHECK(cart.after >= sim::kSecond);
      CHECK(cart.after <= 3 * sim::kSecond);
      after += static_cast<double>(cart.after);
      for (const auto& line : cart.lines) units += static_cast<double>(line.quantity);
    }
    const auto all = static_cast<double>(carts.size());
    check_count(then[sim::Cart::Then::release], all * 0.2);
    check_count(then[sim::Cart::Then::abandon], all * 0.1);
    CHECK(after / all == doctest::Approx(2 * sim::kSecond).epsilon(0.01));
    CHECK(units / all == doctest::Approx(4).epsilon(0.01));
  }

  TEST_CASE("totals are those of the carts") {
    const auto scenario = scenario_of(text_of("rate = 5\nlines = [1, 3]\nunits = [1, 4]\n"));
    const auto totals = sim::total_demand(scenario);
    std::vector<Units> by_sku(20);
    std::uint64_t carts = 0, of_us = 0;
    for (const auto& cart : carts_of(scenario)) {
      ++carts;
      of_us += cart.region == 0 ? 1 : 0;
      for (const auto& line : cart.lines) by_sku[line.sku] += line.quantity;
    }
    CHECK(totals.carts == carts);
    CHECK(totals.carts_by_region[0] == of_us);
    CHECK(totals.by_sku == by_sku);
    for (std::size_t sku = 0; sku < 20; ++sku) {
      CHECK(totals.by_region[0][sku] + totals.by_region[1][sku] == by_sku[sku]);
    }
  }
}

TEST_SUITE("opening stock") {
  const std::string kDemand = "rate = { us = 3, eu = 1 }\n";

  Units sum(const sim::OpeningStock& stock, std::size_t sku) {
    return stock.units[0][sku] + stock.units[1][sku];
  }

  TEST_CASE("per SKU and in total, evenly, remainders not always to the same region") {
    const auto each =
        sim::opening_stock(scenario_of(text_of(kDemand, "1h", "skus = 4\nunits_per_sku = 7\n")));
    CHECK(each.units[0] == std::vector<Units>{4, 3, 4, 3});
    CHECK(each.units[1] == std::vector<Units>{3, 4, 3, 4});
    const auto total =
        sim::opening_stock(scenario_of(text_of(kDemand, "1h", "skus = 4\nunits_total = 10\n")));
    Units units = 0;
    for (std::size_t sku = 0; sku < 4; ++sku) units += sum(total, sku);
    CHECK(units == 10);
    CHECK(sum(total, 0) == 3);
    CHECK(sum(total, 3) == 2);
  }

  TEST_CASE("by weight, and all in one region") {
    const auto weights = sim::opening_stock(scenario_of(
        text_of(kDemand, "1h", "skus = 2\nunits_per_sku = 10\nspread = { us = 2, eu = 1 }\n")));
    CHECK(weights.units[0] == std::vector<Units>{7, 7});
    CHECK(weights.units[1] == std::vector<Units>{3, 3});
    const auto one = sim::opening_stock(
        scenario_of(text_of(kDemand, "1h", "skus = 2\nunits_per_sku = 11\nspread = \"eu\"\n")));
    CHECK(one.units[0] == std::vector<Units>{0, 0});
    CHECK(one.units[1] == std::vector<Units>{11, 11});
  }

  TEST_CASE("as the demand, exactly and with a margin") {
    const auto exact =
        scenario_of(text_of(kDemand, "1h", "skus = 30\ntimes_demand = 1\nspread = \"demand\"\n"));
    const auto totals = sim::total_demand(exact);
    CHECK(sim::opening_stock(exact).units == totals.by_region);
    const auto more =
        sim::opening_stock(scenario_of(text_of(kDemand, "1h", "skus = 30\ntimes_demand = 1.4\n")));
    for (std::size_t sku = 0; sku < 30; ++sku) {
      CHECK(sum(more, sku) == (totals.by_sku[sku] * 14 + 9) / 10);
      CHECK(std::abs(more.units[0][sku] - more.units[1][sku]) <= 1);
    }
  }

  TEST_CASE("allowances") {
    const auto stock = sim::opening_stock(scenario_of(
        text_of(kDemand, "1h",
                "skus = 2\nunits_per_sku = 50\nallowance_units = 3\nallowance_percent = 10\n")));
    CHECK(stock.allowance[0] == std::vector<Units>{4, 4});
    CHECK(stock.allowance[1] == std::vector<Units>{4, 4});
  }
}

}  // namespace
