// reservation …

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_commands.h"
#include "api/cli_console.h"
#include "api/cli_node_call.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

std::string target_of(const std::string& id, const char* verb = "") {
  return "/v1/reservations/" + percent_encoded(id) + verb;
}

Table reservations_table() {
  return Table({{"reservation"},
                {"state"},
                {"home"},
                {"lines", Align::right},
                {"units held", Align::right},
                {"committed", Align::right},
                {"created"},
                {"expires"}});
}

void add_reservation(Table& table, const json::object& r) {
  crdt::Units held = 0, committed = 0;
  const auto& lines = array_at(r, "lines");
  for (const auto& line : lines) {
    if (!line.is_object()) continue;
    held += number_at(line.get_object(), "held");
    committed += number_at(line.get_object(), "committed");
  }
  const std::string state = text_at(r, "state");
  table.add({text_at(r, "id"),
             flag_at(r, "final") || state == "held" ? state : state + " (not final)",
             text_at(r, "home_region") + "/" + text_at(r, "home_node"),
             grouped(static_cast<std::int64_t>(lines.size())), grouped(held), grouped(committed),
             time_at(r, "created_at"), time_at(r, "expires_at")});
}

void show_reservation(const json::object& body) {
  auto table = reservations_table();
  add_reservation(table, body);
  print(table.text(stdout_style()));
  Table lines({{"sku"},
               {"requested", Align::right},
               {"held", Align::right},
               {"committed", Align::right},
               {"returned", Align::right}});
  for (const auto& value : array_at(body, "lines")) {
    if (!value.is_object()) continue;
    const auto& line = value.get_object();
    lines.add({text_at(line, "sku"), grouped(number_at(line, "requested")),
               grouped(number_at(line, "held")), grouped(number_at(line, "committed")),
               grouped(number_at(line, "returned"))});
  }
  if (!lines.empty()) print("\n" + lines.text(stdout_style()));
}

// Node is less than region, and that less than remote.
int level_of(const std::string& durability) {
  return durability == "remote" ? 2 : durability == "region" ? 1 : 0;
}

void show_durability(const json::object& body, const std::string& asked) {
  std::string reached = text_at(body, "durability");
  if (reached.empty()) reached = "node";
  if (level_of(asked) == 0) return;
  print_line(level_of(reached) >= level_of(asked)
                 ? "\ndurability: " + printable(reached) + ", as asked"
                 : "\ndurability: " + printable(reached) + " only; " + asked +
                       " was asked for and not reached in time. The reservation stands; the same "
                       "command again waits again");
}

HttpCall verb(const ReservationVerb& command, const char* name, const json::object& body) {
  auto call = json_call("POST", target_of(command.id, name), body);
  call.repeatable = true;
  return call;
}

}  // namespace

int reservation_put(const NodeOptions& node, const ReservationPut& command) {
  auto lines = parse_lines(command.lines);
  if (!lines.ok()) return usage_error(lines.status());
  json::object body{{"lines", *std::move(lines)}};
  if (command.ttl_seconds) body["ttl_seconds"] = *command.ttl_seconds;
  if (command.wait_ms) body["wait_ms"] = *command.wait_ms;
  if (command.durability) body["durability"] = *command.durability;
  if (command.partial) body["partial"] = true;
  if (command.metadata) {
    boost::system::error_code error;
    body["metadata"] = json::parse(*command.metadata, error);
    if (error) {
      return usage_error(absl::InvalidArgumentError("--metadata is not JSON: " + error.message()));
    }
  }
  return ask(node, json_call("PUT", target_of(command.id), body), [&](const json::object& answer) {
    show_reservation(answer);
    show_durability(answer, command.durability.value_or("node"));
  });
}

int reservation_get(const NodeOptions& node, const std::string& id) {
  return ask(node, {.target = target_of(id)}, show_reservation);
}

int reservation_list(const NodeOptions& node, const std::string& state, const std::string& sku,
                     const PageOptions& page) {
  std::string target = "/v1/reservations?limit=" + std::to_string(page.limit);
  if (!state.empty()) target += "&state=" + percent_encoded(state);
  if (!sku.empty()) target += "&sku=" + percent_encoded(sku);
  if (!page.cursor.empty()) target += "&cursor=" + percent_encoded(page.cursor);
  return ask(node, {.target = target}, [](const json::object& body) {
    auto table = reservations_table();
    for (const auto& item : array_at(body, "items")) {
      if (item.is_object()) add_reservation(table, item.get_object());
    }
    print(table.text(stdout_style()));
    const auto next = text_at(body, "next");
    if (!next.empty()) print_error("more: add --cursor " + printable(next));
  });
}

int reservation_commit(const NodeOptions& node, const ReservationVerb& command) {
  auto lines = parse_lines(command.lines);
  if (!lines.ok()) return usage_error(lines.status());
  json::object body;
  if (!lines->empty()) body["lines"] = *std::move(lines);
  return ask(node, verb(command, "/commit", body), show_reservation);
}

int reservation_release(const NodeOptions& node, const ReservationVerb& command) {
  return ask(node, verb(command, "/release", {}), show_reservation);
}

int reservation_extend(const NodeOptions& node, const ReservationVerb& command) {
  json::object body;
  if (command.ttl_seconds) body["ttl_seconds"] = *command.ttl_seconds;
  return ask(node, verb(command, "/extend", body), show_reservation);
}

int reservation_return(const NodeOptions& node, const ReservationVerb& command) {
  auto lines = parse_lines(command.lines);
  if (!lines.ok()) return usage_error(lines.status());
  return ask(node, with_key(verb(command, "/return", {{"lines", *std::move(lines)}}), command.key),
             show_reservation);
}

}  // namespace holdfast::api
