// sku …, stock.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_commands.h"
#include "api/cli_console.h"
#include "api/cli_node_call.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

std::string sku_target(const std::string& sku, const char* rest = "") {
  return "/v1/skus/" + percent_encoded(sku) + rest;
}

std::string units_at(const json::object& object, std::string_view key) {
  return grouped(number_at(object, key));
}

Table sku_table() {
  return Table({{"sku"}, {"name"}, {"low stock at", Align::right}, {"updated"}, {"attributes"}});
}

void add_sku(Table& table, const json::object& sku) {
  table.add({text_at(sku, "sku"), text_at(sku, "name"), units_at(sku, "low_stock_threshold"),
             time_at(sku, "updated_at"), text_at(sku, "attributes")});
}

void show_sku(const json::object& body) {
  auto table = sku_table();
  add_sku(table, body);
  print(table.text(stdout_style()));
}

void show_change(const json::object& body) {
  Table table({{"sku"},
               {"change", Align::right},
               {"on hand", Align::right},
               {"available", Align::right},
               {"available here", Align::right},
               {"allowance", Align::right}});
  table.add({text_at(body, "sku"), units_at(body, "delta"), units_at(body, "on_hand"),
             units_at(body, "available"), units_at(body, "local_available"),
             units_at(body, "allowance")});
  print(table.text(stdout_style()));
}

int change(const NodeOptions& node, const UnitsCall& command, const char* what, json::object body) {
  return ask(node, with_key(json_call("POST", sku_target(command.sku, what), body), command.key),
             show_change);
}

Table stock_table() {
  return Table({{"sku"},
                {"on hand", Align::right},
                {"held", Align::right},
                {"sold", Align::right},
                {"returned", Align::right},
                {"available", Align::right},
                {"here", Align::right},
                {"allowance", Align::right},
                {"exposure", Align::right},
                {"debt", Align::right},
                {"oversold", Align::right}});
}

void add_stock(Table& table, const json::object& s) {
  table.add({text_at(s, "sku"), units_at(s, "on_hand"), units_at(s, "held"), units_at(s, "sold"),
             units_at(s, "returned"), units_at(s, "available"), units_at(s, "local_available"),
             units_at(s, "allowance"), units_at(s, "exposure"), units_at(s, "debt"),
             units_at(s, "oversold")});
}

void show_regions(const json::object& stock) {
  Table table(
      {{"region"}, {"rights", Align::right}, {"lag ms", Align::right}, {"as of"}, {"state"}});
  for (const auto& value : array_at(stock, "by_region")) {
    if (!value.is_object()) continue;
    const auto& region = value.get_object();
    table.add({text_at(region, "region"), units_at(region, "rights"), units_at(region, "lag_ms"),
               time_at(region, "as_of"),
               flag_at(region, "reachable") ? "reachable" : "unreachable"});
  }
  print("\n" + table.text(stdout_style()));
}

}  // namespace

int sku_put(const NodeOptions& node, const SkuPut& command) {
  json::object body;
  if (command.name) body["name"] = *command.name;
  if (command.low_stock_threshold) body["low_stock_threshold"] = *command.low_stock_threshold;
  if (command.attributes) {
    boost::system::error_code error;
    body["attributes"] = json::parse(*command.attributes, error);
    if (error) {
      return usage_error(
          absl::InvalidArgumentError("--attributes is not JSON: " + error.message()));
    }
  }
  return ask(node, json_call("PUT", sku_target(command.sku), body), show_sku);
}

int sku_get(const NodeOptions& node, const std::string& sku) {
  return ask(node, {.target = sku_target(sku)}, show_sku);
}

int sku_list(const NodeOptions& node, const std::string& prefix, const PageOptions& page) {
  std::string target = "/v1/skus?limit=" + std::to_string(page.limit);
  if (!prefix.empty()) target += "&prefix=" + percent_encoded(prefix);
  if (!page.cursor.empty()) target += "&cursor=" + percent_encoded(page.cursor);
  return ask(node, {.target = target}, [](const json::object& body) {
    auto table = sku_table();
    for (const auto& item : array_at(body, "items")) {
      if (item.is_object()) add_sku(table, item.get_object());
    }
    print(table.text(stdout_style()));
    const auto next = text_at(body, "next");
    if (!next.empty()) print_error("more: add --cursor " + printable(next));
  });
}

int sku_receive(const NodeOptions& node, const UnitsCall& command) {
  return change(node, command, "/receipts", {{"quantity", command.units}});
}

int sku_adjust(const NodeOptions& node, const UnitsCall& command) {
  json::object body{{"delta", command.units}};
  if (!command.reason.empty()) body["reason"] = command.reason;
  return change(node, command, "/adjustments", body);
}

int sku_allow(const NodeOptions& node, const UnitsCall& command) {
  return change(node, command, "/allowances", {{"delta", command.units}});
}

int sku_grant(const NodeOptions& node, const UnitsCall& command) {
  return change(node, command, "/grants", {{"to", command.to}, {"quantity", command.units}});
}

int stock(const NodeOptions& node, const std::vector<std::string>& skus) {
  int result = kExitOk;
  auto table = stock_table();
  for (const auto& sku : skus) {
    const int one = ask(node, {.target = sku_target(sku, "/stock")}, [&](const json::object& body) {
      add_stock(table, body);
      if (skus.size() > 1) return;
      print(table.text(stdout_style()));
      show_regions(body);
    });
    if (one == kExitUsage) return one;
    if (one != kExitOk) result = one;
  }
  if (skus.size() > 1 && !node.json && !table.empty()) print(table.text(stdout_style()));
  return result;
}

}  // namespace holdfast::api
