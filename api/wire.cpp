#include "api/wire.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <ctime>

#include "api/json.h"
#include "api/json_object.h"
#include "api/problem.h"
#include "api/views.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using node::Code;
using node::Outcome;

// ── commands ──

std::string sku_path(const std::string& sku, const char* rest = "") {
  return "/v1/skus/" + percent_encoded(sku) + rest;
}
std::string reservation_path(const std::string& id, const char* rest = "") {
  return "/v1/reservations/" + percent_encoded(id) + rest;
}

std::string field(const char* name, std::int64_t value) {
  return "{\"" + std::string(name) + "\":" + std::to_string(value) + "}";
}

void append_lines(std::string& out, const std::vector<node::Line>& lines) {
  out += "\"lines\":[";
  for (const node::Line& line : lines) {
    if (out.back() != '[') out += ',';
    out += "{\"sku\":";
    append_string(out, line.sku);
    out += ",\"quantity\":" + std::to_string(line.quantity) + "}";
  }
  out += ']';
}

std::string with_lines(const std::vector<node::Line>& lines) {
  std::string body = "{";
  append_lines(body, lines);
  return body + "}";
}

HttpCall keyed(std::string target, std::string body, const node::IdempotencyKey& key) {
  HttpCall call{.method = "POST", .target = std::move(target), .body = std::move(body)};
  if (!key.text.empty()) call.headers.emplace_back("Idempotency-Key", key.text);
  return call;
}

HttpCall get(std::string target) { return {.target = std::move(target)}; }

struct ToHttp {
  HttpCall operator()(const node::PutSku& c) const {
    std::string body;
    const auto member = [&](const char* name) {
      body += (body.empty() ? "{\"" : ",\"") + std::string(name) + "\":";
    };
    if (c.name) {
      member("name");
      append_string(body, *c.name);
    }
    if (c.attributes) {
      member("attributes");
      body += *c.attributes;
    }
    if (c.low_stock_threshold) {
      member("low_stock_threshold");
      append_integer(body, *c.low_stock_threshold);
    }
    return {.method = "PUT", .target = sku_path(c.sku), .body = body.empty() ? "{}" : body + "}"};
  }
  HttpCall operator()(const node::GetSku& c) const { return get(sku_path(c.sku)); }
  HttpCall operator()(const node::ListSkus& c) const {
    std::string target = "/v1/skus?limit=" + std::to_string(c.limit);
    if (!c.prefix.empty()) target += "&prefix=" + percent_encoded(c.prefix);
    if (!c.cursor.empty()) target += "&cursor=" + percent_encoded(c.cursor);
    return get(std::move(target));
  }
  HttpCall operator()(const node::Receive& c) const {
    return keyed(sku_path(c.sku, "/receipts"), field("quantity", c.quantity), c.key);
  }
  HttpCall operator()(const node::Adjust& c) const {
    std::string body = "{\"delta\":" + std::to_string(c.delta);
    if (!c.reason.empty()) {
      body += ",\"reason\":";
      append_string(body, c.reason);
    }
    return keyed(sku_path(c.sku, "/adjustments"), body + "}", c.key);
  }
  HttpCall operator()(const node::Allow& c) const {
    return keyed(sku_path(c.sku, "/allowances"), field("delta", c.delta), c.key);
  }
  HttpCall operator()(const node::GrantTo& c) const {
    std::string body = "{\"to\":";
    append_string(body, c.to);
    body += ",\"quantity\":" + std::to_string(c.quantity) + "}";
    return keyed(sku_path(c.sku, "/grants"), std::move(body), c.key);
  }
  HttpCall operator()(const node::MoveOut& c) const {
    std::string body = "{\"version\":" + std::to_string(c.version) + ",\"shard\":";
    append_string(body, c.shard);
    body += ",\"url\":";
    append_string(body, c.url);
    return keyed(sku_path(c.sku, "/moves"), body + ",\"to\":\"" + crdt::to_string(c.to) + "\"}",
                 {});
  }
  HttpCall operator()(const node::MoveIn& c) const {
    return keyed(sku_path(c.sku, "/arrivals"),
                 "{\"version\":" + std::to_string(c.version) + ",\"from\":\"" +
                     crdt::to_string(c.from) + "\",\"total\":" + std::to_string(c.total) +
                     (c.to ? ",\"to\":\"" + crdt::to_string(c.to) + "\"}" : "}"),
                 {});
  }
  HttpCall operator()(const node::GetStock& c) const { return get(sku_path(c.sku, "/stock")); }
  HttpCall operator()(const node::GetAvailability& c) const {
    std::string target = "/v1/availability";
    for (const std::string& sku : c.skus)
      target += (&sku == c.skus.data() ? "?sku=" : "&sku=") + percent_encoded(sku);
    return get(std::move(target));
  }
  HttpCall operator()(const node::Reserve& c) const {
    std::string body = "{";
    append_lines(body, c.lines);
    body += ",\"ttl_seconds\":" + std::to_string(c.ttl_seconds) +
            ",\"wait_ms\":" + std::to_string(c.wait_ms);
    if (c.partial) body += ",\"partial\":true";
    if (c.durability != node::Durability::node)
      body += ",\"durability\":\"" + std::string(durability_name(c.durability)) + "\"";
    if (!c.metadata.empty()) body += ",\"metadata\":" + c.metadata;
    return {.method = "PUT", .target = reservation_path(c.id), .body = body + "}"};
  }
  HttpCall operator()(const node::Commit& c) const {
    return {.method = "POST",
            .target = reservation_path(c.id, "/commit"),
            .body = c.lines ? with_lines(*c.lines) : "{}"};
  }
  HttpCall operator()(const node::Release& c) const {
    return {.method = "POST", .target = reservation_path(c.id, "/release"), .body = "{}"};
  }
  HttpCall operator()(const node::Extend& c) const {
    return {.method = "POST",
            .target = reservation_path(c.id, "/extend"),
            .body = field("ttl_seconds", c.ttl_seconds)};
  }
  HttpCall operator()(const node::Return& c) const {
    return keyed(reservation_path(c.id, "/return"), with_lines(c.lines), c.key);
  }
  HttpCall operator()(const node::GetReservation& c) const { return get(reservation_path(c.id)); }
  HttpCall operator()(const node::ListReservations& c) const {
    static constexpr const char* kStates[] = {"held", "committed", "released", "expired"};
    std::string target = "/v1/reservations?limit=" + std::to_string(c.limit);
    if (c.state) target += "&state=" + std::string(kStates[static_cast<int>(*c.state)]);
    if (c.sku) target += "&sku=" + percent_encoded(*c.sku);
    if (c.all_copies) target += "&copies=all";
    if (c.overruled) target += "&copies=overruled";
    if (!c.cursor.empty()) target += "&cursor=" + percent_encoded(c.cursor);
    return get(std::move(target));
  }
  HttpCall operator()(const node::GetCluster&) const { return get("/v1/cluster"); }
  template <typename Other>
  HttpCall operator()(const Other&) const {
    return get("/healthz");  // not passed on
  }
};

// ── answers ──

// "2024-02-29T12:00:00.000Z"; 0 if it is none.
std::int64_t time(const json::object& from, std::string_view key) {
  const std::string at = text_at(from, key);
  std::tm tm{};
  int ms = 0;
  if (sscanf(at.c_str(), "%d-%d-%dT%d:%d:%d.%dZ", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour,
             &tm.tm_min, &tm.tm_sec, &ms) != 7)
    return 0;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  return static_cast<std::int64_t>(timegm(&tm)) * 1000 + ms;
}

node::ReservationView reservation(const json::object& from) {
  node::ReservationView view;
  view.id = text_at(from, "id");
  const std::string state = text_at(from, "state");
  view.state = state == "held"        ? crdt::HoldState::held
               : state == "committed" ? crdt::HoldState::committed
               : state == "released"  ? crdt::HoldState::released
                                      : crdt::HoldState::expired;
  view.final = flag_at(from, "final");
  view.home = crdt::parse_replica_id(text_at(from, "home")).value_or(crdt::ReplicaId{});
  view.home_node = text_at(from, "home_node");
  view.home_region = text_at(from, "home_region");
  for (const json::value& one : array_at(from, "lines")) {
    if (!one.is_object()) continue;
    const json::object& line = one.get_object();
    const auto units = [&](const char* key) {
      return static_cast<std::uint32_t>(number_at(line, key));
    };
    view.lines.push_back({.sku = text_at(line, "sku"),
                          .requested = units("requested"),
                          .held = units("held"),
                          .committed = units("committed"),
                          .returned = units("returned")});
  }
  view.created_at = time(from, "created_at");
  view.expires_at = time(from, "expires_at");
  view.ended_at = time(from, "ended_at");
  if (const json::value* metadata = from.if_contains("metadata"))
    view.metadata = json::serialize(*metadata);
  const std::string reached = text_at(from, "durability");
  view.reached = reached == "remote"   ? node::Durability::remote
                 : reached == "region" ? node::Durability::region
                                       : node::Durability::node;
  return view;
}

node::SkuView sku(const json::object& from) {
  node::SkuView view;
  view.sku = text_at(from, "sku");
  view.name = text_at(from, "name");
  if (const json::value* attributes = from.if_contains("attributes"))
    view.attributes = json::serialize(*attributes);
  view.low_stock_threshold = number_at(from, "low_stock_threshold");
  view.created_at = time(from, "created_at");
  view.updated_at = time(from, "updated_at");
  view.moved_to = text_at(from, "moved_to");
  view.moved_by = static_cast<std::uint64_t>(number_at(from, "moved_by"));
  view.left = number_at(from, "left");
  view.left_held = number_at(from, "left_held");
  view.handed_over = number_at(from, "handed_over");
  view.taken_in = number_at(from, "taken_in");
  return view;
}

node::StockView stock(const json::object& from) {
  node::StockView view;
  view.sku = text_at(from, "sku");
  for (const auto& [key, value] :
       {std::pair("on_hand", &view.on_hand), std::pair("held", &view.held),
        std::pair("sold", &view.sold), std::pair("returned", &view.returned),
        std::pair("available", &view.available),
        std::pair("local_available", &view.local_available),
        std::pair("allowance", &view.allowance), std::pair("exposure", &view.exposure),
        std::pair("debt", &view.debt), std::pair("oversold", &view.oversold),
        std::pair("low_stock_threshold", &view.low_stock_threshold)})
    *value = number_at(from, key);
  for (const json::value& one : array_at(from, "by_region")) {
    if (!one.is_object()) continue;
    const json::object& region = one.get_object();
    view.by_region.push_back({.region = text_at(region, "region"),
                              .rights = number_at(region, "rights"),
                              .as_of = time(region, "as_of"),
                              .lag_ms = number_at(region, "lag_ms", -1),
                              .reachable = flag_at(region, "reachable")});
  }
  return view;
}

node::MoveView moved(const json::object& from) {
  const auto replica = [&](const char* key) {
    return crdt::parse_replica_id(text_at(from, key)).value_or(crdt::ReplicaId{});
  };
  return {.sku = text_at(from, "sku"),
          .self = replica("replica"),
          .peer = replica("peer"),
          .total = number_at(from, "total"),
          .left = number_at(from, "left"),
          .on_hand = number_at(from, "on_hand"),
          .held = number_at(from, "held")};
}

template <typename Page, typename Read>
Page page(const json::object& from, Read&& read) {
  Page page;
  for (const json::value& one : array_at(from, "items"))
    if (one.is_object()) page.items.push_back(read(one.get_object()));
  page.next = text_at(from, "next");
  return page;
}

node::Availability availability(const json::object& from) {
  node::Availability answer;
  for (const json::value& one : array_at(from, "items")) {
    if (!one.is_object()) continue;
    const json::object& item = one.get_object();
    answer.items.push_back({.sku = text_at(item, "sku"),
                            .known = flag_at(item, "known"),
                            .available = number_at(item, "available"),
                            .local_available = number_at(item, "local_available")});
  }
  return answer;
}

std::unique_ptr<node::ClusterView> cluster(const json::object& from) {
  auto view = std::make_unique<node::ClusterView>();
  view->cluster = text_at(from, "cluster");
  for (const json::value& region : array_at(from, "regions")) {
    if (!region.is_object()) continue;
    for (const json::value& one : array_at(region.get_object(), "nodes")) {
      if (!one.is_object()) continue;
      const json::object& node = one.get_object();
      view->nodes.push_back(
          {.replica = crdt::parse_replica_id(text_at(node, "replica")).value_or(crdt::ReplicaId{}),
           .node = text_at(node, "node"),
           .region = text_at(node, "region"),
           .http_address = text_at(node, "http_address"),
           .self = flag_at(node, "self"),
           .reachable = flag_at(node, "reachable"),
           .state = text_at(node, "state"),
           .weight = static_cast<std::uint32_t>(number_at(node, "weight"))});
    }
  }
  return view;
}

Outcome unreadable(const HttpAnswer& answer) {
  Outcome outcome{.code = Code::elsewhere};
  std::string body;
  append_problem(body, {.status = 502,
                        .code = "elsewhere",
                        .detail = "a node answered " + std::to_string(answer.status) +
                                  " and nothing that can be read"});
  outcome.view = node::Worded{502, std::move(body)};
  return outcome;
}

Code code_named(std::string_view name) {
  for (int code = 0; code <= static_cast<int>(Code::moved); ++code)
    if (code_name(static_cast<Code>(code)) == name) return static_cast<Code>(code);
  return Code::elsewhere;
}

Outcome problem(const HttpAnswer& answer, const json::object& from) {
  Outcome outcome{.code = code_named(text_at(from, "code")), .detail = text_at(from, "detail")};
  if (outcome.code <= Code::accepted) outcome.code = Code::elsewhere;
  for (const json::value& one : array_at(from, "shortages")) {
    if (!one.is_object()) continue;
    const json::object& shortage = one.get_object();
    outcome.shortages.push_back({text_at(shortage, "sku"), number_at(shortage, "requested"),
                                 number_at(shortage, "available")});
  }
  if (outcome.code == Code::moved) {
    node::Place place{.shard = text_at(from, "shard"), .url = text_at(from, "url")};
    for (const json::value& one : array_at(from, "skus"))
      if (one.is_string()) place.skus.emplace_back(one.get_string());
    outcome.view = std::move(place);
  }
  if (outcome.code == Code::elsewhere)
    outcome.view = node::Worded{static_cast<int>(answer.status), answer.body};
  return outcome;
}

bool shows_reservation(const node::Command& asked) {
  return std::holds_alternative<node::Reserve>(asked) ||
         std::holds_alternative<node::Commit>(asked) ||
         std::holds_alternative<node::Release>(asked) ||
         std::holds_alternative<node::Extend>(asked) ||
         std::holds_alternative<node::Return>(asked) ||
         std::holds_alternative<node::GetReservation>(asked);
}

}  // namespace

HttpCall to_http(const node::Command& command) { return std::visit(ToHttp{}, command); }

Outcome from_http(const node::Command& asked, const HttpAnswer& answer) {
  boost::system::error_code error;
  const json::value value = json::parse(answer.body, error);
  if (error || !value.is_object()) return unreadable(answer);
  const json::object& object = value.get_object();
  if (answer.status >= 300) return problem(answer, object);
  Outcome outcome{.code = answer.status == 201   ? Code::created
                          : answer.status == 202 ? Code::accepted
                                                 : Code::ok};
  if (shows_reservation(asked)) {
    outcome.view = std::make_unique<node::ReservationView>(reservation(object));
  } else if (std::holds_alternative<node::ListReservations>(asked)) {
    outcome.view = page<node::ReservationPage>(object, reservation);
  } else if (std::holds_alternative<node::ListSkus>(asked)) {
    outcome.view = page<node::SkuPage>(object, sku);
  } else if (std::holds_alternative<node::GetSku>(asked)) {
    outcome.view = sku(object);
  } else if (std::holds_alternative<node::GetStock>(asked)) {
    outcome.view = stock(object);
  } else if (std::holds_alternative<node::MoveOut>(asked) ||
             std::holds_alternative<node::MoveIn>(asked)) {
    outcome.view = moved(object);
  } else if (std::holds_alternative<node::GetAvailability>(asked)) {
    outcome.view = availability(object);
  } else if (std::holds_alternative<node::GetCluster>(asked)) {
    outcome.view = cluster(object);
  } else {
    outcome.view = node::Worded{static_cast<int>(answer.status), answer.body};
  }
  return outcome;
}

}  // namespace holdfast::api
