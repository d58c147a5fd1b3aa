// The account of a replay, for people and for machines.

#include "api/cli_replay.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

std::string count(std::uint64_t value) { return grouped(static_cast<std::int64_t>(value)); }

Table carts_table(const std::vector<RegionAccount>& accounts) {
  Table table({{"region"},
               {"carts sold", Align::right},
               {"refused", Align::right},
               {"failed", Align::right},
               {"lines sold", Align::right},
               {"units sold", Align::right},
               {"units refused", Align::right},
               {"p50 ms", Align::right},
               {"p99 ms", Align::right},
               {"max ms", Align::right},
               {"retries", Align::right}});
  for (const auto& a : accounts) {
    const Latency latency = latency_of(a.cart_ms);
    const auto ms = [&](double value) { return latency.count == 0 ? "-" : short_number(value); };
    table.add({a.region, count(a.carts_accepted), count(a.carts_refused), count(a.carts_failed),
               count(a.lines_accepted), grouped(a.units_accepted), grouped(a.units_refused),
               ms(latency.p50_ms), ms(latency.p99_ms), ms(latency.max_ms), count(a.retries)});
  }
  return table;
}

Table returns_table(const std::vector<RegionAccount>& accounts) {
  Table table({{"region"},
               {"lines returned", Align::right},
               {"units", Align::right},
               {"sold before the replay", Align::right},
               {"units", Align::right},
               {"losses", Align::right},
               {"losses refused", Align::right},
               {"failed calls", Align::right}});
  for (const auto& a : accounts) {
    table.add({a.region, count(a.returns_to_sales), grouped(a.units_returned),
               count(a.returns_as_stock), grouped(a.units_returned_as_stock), count(a.losses),
               count(a.losses_refused), count(a.failed_calls)});
  }
  return table;
}

Table sku_table(const std::map<std::string, SkuTotals>& skus) {
  Table table({{"sku"},
               {"received", Align::right},
               {"withdrawn", Align::right},
               {"held", Align::right},
               {"sold", Align::right},
               {"returned", Align::right},
               {"on hand", Align::right}});
  for (const auto& [sku, t] : skus) {
    table.add({sku, grouped(t.received), grouped(t.withdrawn), grouped(t.held), grouped(t.sold),
               grouped(t.returned), grouped(t.on_hand())});
  }
  return table;
}

json::object region_json(const RegionAccount& a) {
  const Latency latency = latency_of(a.cart_ms);
  json::array problems;
  for (const auto& problem : a.problems) problems.push_back(json::string(problem));
  return {
      {"region", a.region},
      {"carts",
       {{"accepted", a.carts_accepted}, {"refused", a.carts_refused}, {"failed", a.carts_failed}}},
      {"lines", {{"accepted", a.lines_accepted}, {"refused", a.lines_refused}}},
      {"units", {{"accepted", a.units_accepted}, {"refused", a.units_refused}}},
      {"returns",
       {{"to_sales", a.returns_to_sales},
        {"units", a.units_returned},
        {"sold_before", a.returns_as_stock},
        {"sold_before_units", a.units_returned_as_stock}}},
      {"losses", {{"accepted", a.losses}, {"refused", a.losses_refused}}},
      {"failed_calls", a.failed_calls},
      {"retries", a.retries},
      {"latency_ms",
       {{"count", latency.count},
        {"p50", latency.p50_ms},
        {"p99", latency.p99_ms},
        {"max", latency.max_ms}}},
      {"problems", problems}};
}

}  // namespace

json::object account_json(const ReplayPlan& plan, const std::vector<RegionAccount>& accounts) {
  json::array regions;
  for (const auto& account : accounts) regions.push_back(region_json(account));
  json::object skus;
  for (const auto& [sku, t] : total_of(accounts)) {
    skus[sku] = {{"received", t.received}, {"withdrawn", t.withdrawn}, {"held", t.held},
                 {"sold", t.sold},         {"returned", t.returned},   {"on_hand", t.on_hand()}};
  }
  return {{"orders",
           {{"lines", plan.orders.lines},
            {"invoices", plan.orders.invoices.size()},
            {"skus", plan.orders.names.size()},
            {"fee_lines", plan.orders.fee_lines},
            {"zero_lines", plan.orders.zero_lines},
            {"broken_lines", plan.orders.broken_count}}},
          {"regions", regions},
          {"skus", skus}};
}

void print_account(const ReplayPlan& plan, const std::vector<RegionAccount>& accounts,
                   bool per_sku) {
  const Style style = stdout_style();
  const Orders& orders = plan.orders;
  print_line("\n" + count(orders.lines) + " order lines, " + count(orders.invoices.size()) +
             " invoices, " + count(orders.names.size()) + " SKUs; left out: " +
             count(orders.fee_lines) + " fee or postage lines, " + count(orders.zero_lines) +
             " without effect, " + count(orders.broken_count) + " broken");
  print("\n" + carts_table(accounts).text(style));
  print("\n" + returns_table(accounts).text(style));
  if (per_sku) print("\n" + sku_table(total_of(accounts)).text(style));
  for (const auto& account : accounts) {
    for (const auto& problem : account.problems) print_error(account.region + ": " + problem);
  }
}

}  // namespace holdfast::api
