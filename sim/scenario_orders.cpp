#include "sim/scenario_orders.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

#include "api/country_map.h"
#include "api/orders.h"
#include "sim/random.h"
#include "sim/scenario_sections.h"
#include "sim/time_span.h"

namespace holdfast::sim {
namespace {

constexpr std::int64_t kDaySeconds = 86'400;

std::string day_text(std::int64_t time_s) {
  const std::chrono::year_month_day date{
      std::chrono::sys_days{std::chrono::days{time_s / kDaySeconds}}};
  char text[16];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", int{date.year()}, unsigned{date.month()},
                unsigned{date.day()});
  return text;
}

absl::Status broken(const api::Orders& orders, const std::string& path) {
  std::string text;
  for (const api::BrokenLine& line : orders.broken) {
    text += path + ":" + std::to_string(line.line) + ": " + line.reason + "\n";
  }
  return absl::InvalidArgumentError(text + std::to_string(orders.broken_count) +
                                    " broken line(s): repair them, or set skip_broken = true in "
                                    "[demand.orders] to leave them out");
}

// Makes carts of invoices. Copies of one order come within a minute of it, each at a time of its
// own, so that they don't arrive as one.
class CartMaker {
 public:
  CartMaker(Scenario& scenario, const api::CountryMap& countries, std::int64_t first_day_s)
      : scenario_(scenario),
        countries_(countries),
        begin_s_(first_day_s + scenario.start_of_day / kSecond),
        random_(scenario.seed, "orders.repeat"),
        regions_(scenario.seed, "orders.regions") {
    for (std::size_t i = 0; i < scenario.skus.size(); ++i) {
      numbers_.emplace(scenario.skus[i], static_cast<std::uint32_t>(i));
    }
  }

  void add(const api::Invoice& invoice) {
    ScenarioDemand& demand = scenario_.demand;
    if (invoice.sold.empty()) {
      ++demand.orders_not_sold;
      return;
    }
    OrderCart cart;
    cart.region = static_cast<std::uint32_t>(countries_.region_of(invoice.country));
    for (const api::OrderLine& line : invoice.sold) {
      cart.lines.push_back({numbers_.at(line.sku), line.quantity});
      if (!demand.source->cart_of_line) continue;
      add_copies(invoice, cart, "." + line.sku);
      cart.lines.clear();
    }
    if (!cart.lines.empty()) add_copies(invoice, cart, "");
  }
  // Ascending by time.
  std::vector<OrderCart> take() {
    std::stable_sort(carts_.begin(), carts_.end(),
                     [](const OrderCart& a, const OrderCart& b) { return a.at < b.at; });
    return std::move(carts_);
  }

 private:
  void add_copies(const api::Invoice& invoice, OrderCart cart, const std::string& suffix) {
    ScenarioDemand& demand = scenario_.demand;
    const double speed = demand.source->speed;
    for (std::int64_t copy = 1; copy <= demand.source->repeat; ++copy) {
      const double late_s = copy == 1 ? 0 : random_.unit() * 60;
      const double order_s = static_cast<double>(invoice.time_s - begin_s_) + late_s;
      cart.at = std::llround(order_s / speed * static_cast<double>(kSecond));
      if (!demand.source->shares.empty()) cart.region = drawn_region();
      cart.id = invoice.number + suffix + (copy == 1 ? "" : "." + std::to_string(copy));
      if (cart.at >= 0 && cart.at < scenario_.duration) {
        carts_.push_back(cart);
      } else {
        ++demand.orders_outside;
      }
    }
  }

  std::uint32_t drawn_region() {
    const std::vector<double>& shares = scenario_.demand.source->shares;
    double left = regions_.unit() * std::accumulate(shares.begin(), shares.end(), 0.0);
    std::uint32_t region = 0;
    while (region + 1 < shares.size() && (left -= shares[region]) >= 0) ++region;
    return region;
  }

  Scenario& scenario_;
  std::vector<OrderCart> carts_;
  const api::CountryMap& countries_;
  std::int64_t begin_s_;
  Random random_, regions_;
  std::map<std::string, std::uint32_t> numbers_;
};

// The orders of the days asked for.
absl::StatusOr<std::vector<const api::Invoice*>> invoices_of(const api::Orders& orders,
                                                             const Scenario& scenario,
                                                             const std::string& path) {
  const OrdersSource& source = *scenario.demand.source;
  const std::vector<std::string>& days = source.days;
  std::vector<const api::Invoice*> chosen;
  std::map<std::string, std::size_t> count;
  for (const api::Invoice& invoice : orders.invoices) {
    const std::string day = day_text(invoice.time_s);
    if (!days.empty() && std::find(days.begin(), days.end(), day) == days.end()) continue;
    ++count[day];
    chosen.push_back(&invoice);
  }
  for (const std::string& day : source.days) {
    if (count[day] > 0) continue;
    Problems problems(scenario.file);
    problems.add(source.days_line, "demand.orders.days", path + " has no order of " + day);
    return problems.status();
  }
  if (chosen.empty()) return absl::InvalidArgumentError(path + ": has no orders");
  return chosen;
}

// SKUs that someone buys; the other lines of the file take nothing from stock.
std::vector<std::string> skus_of(const std::vector<const api::Invoice*>& invoices) {
  std::vector<std::string> skus;
  for (const api::Invoice* invoice : invoices) {
    for (const api::OrderLine& line : invoice->sold) skus.push_back(line.sku);
  }
  std::sort(skus.begin(), skus.end());
  skus.erase(std::unique(skus.begin(), skus.end()), skus.end());
  return skus;
}

absl::Status check_events(const Scenario& scenario) {
  Problems problems(scenario.file);
  for (const ScenarioEvent& event : scenario.events) {
    if (event.sku.empty() || event.sku == "*" ||
        std::binary_search(scenario.skus.begin(), scenario.skus.end(), event.sku)) {
      continue;
    }
    problems.add(event.line, "event.sku",
                 "nobody orders \"" + event.sku + "\"; \"*\" stands for all SKUs of the orders");
  }
  return problems.status();
}

absl::Status at_file(const Scenario& scenario, const std::string& problem) {
  Problems problems(scenario.file);
  problems.add(scenario.demand.source->line, "demand.orders", problem);
  return problems.status();
}

}  // namespace

absl::Status add_orders(Scenario& scenario, std::string_view csv, const std::string& path) {
  const OrdersSource& source = *scenario.demand.source;
  const auto orders = api::parse_orders(csv, source.days.size() == 1 ? source.days[0] : "");
  if (!orders.ok()) {
    return absl::InvalidArgumentError(path + ": " + std::string(orders.status().message()));
  }
  if (orders->broken_count > 0 && !source.skip_broken) return broken(*orders, path);
  scenario.demand.orders_broken = orders->broken_count;
  const auto invoices = invoices_of(*orders, scenario, path);
  if (!invoices.ok()) return invoices.status();
  const auto countries = api::CountryMap::make(region_names(scenario), source.map);
  if (!countries.ok()) return countries.status();

  if (static_cast<double>(invoices->size()) * static_cast<double>(source.repeat) > kCartsMax) {
    return at_file(scenario, "makes more than 50 million carts: lower repeat");
  }
  scenario.skus = skus_of(*invoices);
  const std::int64_t first_s = invoices->front()->time_s;
  CartMaker maker(scenario, *countries, first_s - first_s % kDaySeconds);
  for (const api::Invoice* invoice : *invoices) maker.add(*invoice);
  std::vector<OrderCart> carts = maker.take();
  if (carts.empty()) {
    return at_file(scenario,
                   "has no order between start and the end of duration; the first is of " +
                       day_text(first_s) + ", " + span_text(first_s % kDaySeconds * kSecond) +
                       " after midnight");
  }
  scenario.demand.orders = std::make_shared<const std::vector<OrderCart>>(std::move(carts));
  return check_events(scenario);
}

}  // namespace holdfast::sim
