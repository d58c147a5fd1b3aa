// What the contract accepts and refuses, and which field a refusal names.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <string>

#include "api/handlers.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

struct Sent {
  std::string method, target, body = {};
  std::string type = "application/json";
  const char* key = nullptr;
};

Parsed parse(const Sent& sent) {
  static JsonReader reader;
  return parse_request({.method = sent.method,
                        .target = sent.target,
                        .content_type = sent.type,
                        .idempotency_key = sent.key != nullptr ? sent.key : "",
                        .has_idempotency_key = sent.key != nullptr,
                        .body = sent.body},
                       reader);
}

template <typename Command>
Command accepted(const Sent& sent) {
  Parsed parsed = parse(sent);
  if (const auto* response = std::get_if<Response>(&parsed)) FAIL(response->body);
  return std::get<Command>(std::get<Call>(parsed).command);
}

struct Refused {
  int status = 0;
  std::string code, field, headers;
};

Refused refused(const Sent& sent) {
  const Parsed parsed = parse(sent);
  const auto* response = std::get_if<Response>(&parsed);
  if (response == nullptr) return {};
  CHECK(response->type == ContentType::problem);
  const json::object problem = json::parse(response->body).as_object();
  Refused refusal{.status = response->status, .headers = response->headers};
  CHECK(problem.at("status").as_int64() == response->status);
  CHECK(problem.contains("type"));
  CHECK(problem.contains("title"));
  CHECK(problem.contains("detail"));
  refusal.code = problem.at("code").as_string().c_str();
  if (const auto* field = problem.if_contains("field")) refusal.field = field->as_string().c_str();
  return refusal;
}

void check_field(const Sent& sent, const std::string& field) {
  CAPTURE(sent.target);
  CAPTURE(sent.body);
  const Refused refusal = refused(sent);
  CHECK(refusal.status == 400);
  CHECK(refusal.code == "invalid_request");
  CHECK(refusal.field == field);
}

Sent put(const std::string& body) { return {"PUT", "/v1/reservations/r1", body}; }
Sent post(const std::string& path, const std::string& body) { return {"POST", path, body}; }

std::string with(const std::string& members) {
  return R"({"lines":[{"sku":"a","quantity":1}],)" + members + "}";
}

TEST_CASE("a reservation has the documented defaults") {
  const auto command = accepted<node::Reserve>(put(R"({"lines":[{"sku":"a","quantity":3}]})"));
  CHECK(command.id == "r1");
  CHECK(command.lines == std::vector<node::Line>{{"a", 3}});
  CHECK(command.ttl_seconds == 900);
  CHECK(command.wait_ms == 250);
  CHECK_FALSE(command.partial);
  CHECK(command.metadata.empty());
}

TEST_CASE("a reservation takes every field, and lines of one SKU stay as they are") {
  const auto command = accepted<node::Reserve>(put(
      R"({"lines":[{"quantity":1000000000,"sku":"A.b_c:d-1"},{"sku":"A.b_c:d-1","quantity":1}],)"
      R"("ttl_seconds":2592000,"wait_ms":0,"durability":"node","partial":true,)"
      R"("metadata":{"z":[1,2.50,null],"a":{"d":1e2,"c":"\u00e9\n"}}})"));
  CHECK(command.lines.size() == 2);
  CHECK(command.lines[0].quantity == 1'000'000'000);
  CHECK(command.ttl_seconds == 2'592'000);
  CHECK(command.wait_ms == 0);
  CHECK(command.partial);
  CHECK(command.metadata == "{\"a\":{\"c\":\"\u00e9\\n\",\"d\":1e2},\"z\":[1,2.50,null]}");
}

TEST_CASE("a bad reservation is refused and the field named") {
  check_field(put(""), "lines");
  check_field(put("{}"), "lines");
  check_field(put("["), "body");
  check_field(put("[]"), "body");
  check_field(put("{} {}"), "body");
  check_field(put("{\"lines\":[{\"sku\":\"\xff\",\"quantity\":1}]}"), "body");
  check_field(put(R"({"lines":[]})"), "lines");
  check_field(put(R"({"lines":{}})"), "lines");
  check_field(put(R"({"lines":null})"), "lines");
  check_field(put(R"({"lines":[3]})"), "lines[0]");
  check_field(put(R"({"lines":[{"sku":"a"}]})"), "lines[0].quantity");
  check_field(put(R"({"lines":[{"quantity":1}]})"), "lines[0].sku");
  check_field(put(R"({"lines":[{"sku":"a","quantity":1},{"sku":"a/b","quantity":1}]})"),
              "lines[1].sku");
  check_field(put(R"({"lines":[{"sku":"","quantity":1}]})"), "lines[0].sku");
  check_field(put(R"({"lines":[{"sku":7,"quantity":1}]})"), "lines[0].sku");
  check_field(put(R"({"lines":[{"sku":"a","quantity":1,"x":1}]})"), "lines[0].x");
  check_field(put(R"({"lines":[{"sku":"a","sku":"a","quantity":1}]})"), "lines[0].sku");
  check_field(put(with(R"("lines":[])")), "lines");
  check_field(put(with(R"("colour":1)")), "colour");
  check_field(put(with(R"("":1)")), "");
  check_field(put(with(R"("partial":true,"partial":true)")), "partial");
  check_field(put(with(R"("partial":1)")), "partial");
  check_field(put(with(R"("ttl_seconds":0)")), "ttl_seconds");
  check_field(put(with(R"("ttl_seconds":2592001)")), "ttl_seconds");
  check_field(put(with(R"("ttl_seconds":"9")")), "ttl_seconds");
  check_field(put(with(R"("ttl_seconds":null)")), "ttl_seconds");
  check_field(put(with(R"("wait_ms":-1)")), "wait_ms");
  check_field(put(with(R"("wait_ms":60001)")), "wait_ms");
  check_field(put(with(R"("metadata":[])")), "metadata");
  check_field(put(with(R"("metadata":"x")")), "metadata");
  check_field(put(with(R"("metadata":{"a":1,"a":2})")), "metadata");
  check_field(put(with(R"("metadata":{"a":1e400})")), "metadata");
  check_field(put(with(R"("metadata":{"a":")" + std::string(16 << 10, 'x') + "\"}")), "metadata");
  check_field(put(with(R"("durability":"disk")")), "durability");
  check_field(put(with(R"("durability":1)")), "durability");
}

TEST_CASE("a quantity is an integer from 1 to a thousand million") {
  for (const char* bad :
       {"0", "-1", "1.0", "1.5", "1e3", "1e400", "1000000001", "9223372036854775808",
        "18446744073709551616", "\"1\"", "true", "null", "[1]", "-0"}) {
    check_field(put(R"({"lines":[{"sku":"a","quantity":)" + std::string(bad) + "}]}"),
                "lines[0].quantity");
    check_field(post("/v1/skus/a/receipts", R"({"quantity":)" + std::string(bad) + "}"),
                "quantity");
  }
}

TEST_CASE("4,096 lines are accepted, one more is not") {
  std::string lines;
  for (int i = 0; i < 4'096; ++i) lines += R"({"sku":"a","quantity":1},)";
  const auto command =
      accepted<node::Reserve>(put("{\"lines\":[" + lines.substr(0, lines.size() - 1) + "]}"));
  CHECK(command.lines.size() == 4'096);
  check_field(put("{\"lines\":[" + lines + R"({"sku":"a","quantity":1}]})"), "lines");
}

TEST_CASE("a document of too many or too deep values is refused") {
  std::string many = "[0";
  for (int i = 0; i < 70'000; ++i) many += ",0";
  check_field(put(with("\"metadata\":{\"a\":" + many + "]}")), "body");
  check_field(put(std::string(40, '[') + std::string(40, ']')), "body");
}

TEST_CASE("a reservation may ask for more durability than its node's disk") {
  using node::Durability;
  const auto level = [](const char* text) {
    return accepted<node::Reserve>(put(with(R"("durability":")" + std::string(text) + "\"")))
        .durability;
  };
  CHECK(level("node") == Durability::node);
  CHECK(level("region") == Durability::region);
  CHECK(level("remote") == Durability::remote);
  CHECK(accepted<node::Reserve>(put(with("\"wait_ms\":0"))).durability == Durability::node);
  for (const char* bad : {"\"\"", "\"Region\"", "\"region \"", "2", "null", "true", "[\"node\"]"}) {
    check_field(put(with("\"durability\":" + std::string(bad))), "durability");
  }
}

TEST_CASE("a failover names a region or a replica") {
  const auto region = accepted<node::Failover>(post(
      "/v1/regions/eu/failover", R"({"fraction":0.25,"dry_run":true,"plan":"0123456789abcdef"})"));
  CHECK(region.target == "eu");
  CHECK(region.region);
  CHECK(region.fraction_ppm == 250'000);
  CHECK(region.dry_run);
  CHECK(region.plan == "0123456789abcdef");
  const auto replica = accepted<node::Failover>(post("/v1/replicas/00000000000000aa/failover", ""));
  CHECK(replica.target == "00000000000000aa");
  CHECK_FALSE(replica.region);
  CHECK(replica.fraction_ppm == 1'000'000);
  CHECK_FALSE(replica.dry_run);
  CHECK(replica.plan.empty());
  CHECK(accepted<node::Failover>(post("/v1/regions/e%75/failover", "{}")).target == "eu");
  check_field(post("/v1/regions/a%2Fb/failover", "{}"), "region");
  check_field(post("/v1/replicas/a+b/failover", "{}"), "id");
}

TEST_CASE("a retirement names its successor") {
  const auto retirement = accepted<node::Retire>(
      post("/v1/replicas/00000000000000aa/retire",
           R"({"plan":"ffffffffffffffff","dry_run":false,"successor":"us-1"})"));
  CHECK(retirement.replica == "00000000000000aa");
  CHECK(retirement.successor == "us-1");
  CHECK(retirement.plan == "ffffffffffffffff");
  CHECK_FALSE(retirement.dry_run);
  const std::string path = "/v1/replicas/00000000000000aa/retire";
  check_field(post(path, ""), "successor");
  check_field(post(path, R"({"dry_run":true})"), "successor");
  check_field(post(path, R"({"successor":""})"), "successor");
  check_field(post(path, R"({"successor":null})"), "successor");
  check_field(post(path, R"({"successor":"us 1"})"), "successor");
  check_field(post(path, R"({"successor":"a","successor":"a"})"), "successor");
  check_field(post(path, R"({"successor":"a","fraction":1})"), "fraction");
  check_field(post(path, R"({"successor":"a","plan":"0"})"), "plan");
  check_field(post(path, R"({"successor":"a","dry_run":"no"})"), "dry_run");
}

TEST_CASE("the fraction of a failover is above 0 and at most 1") {
  const auto ppm = [](const std::string& fraction) {
    return accepted<node::Failover>(
               post("/v1/regions/eu/failover", "{\"fraction\":" + fraction + "}"))
        .fraction_ppm;
  };
  CHECK(ppm("1") == 1'000'000);
  CHECK(ppm("1.0") == 1'000'000);
  CHECK(ppm("0.29") == 290'000);
  CHECK(ppm("1e-6") == 1);
  for (const char* path : {"/v1/regions/eu/failover", "/v1/replicas/00000000000000aa/failover"}) {
    for (const char* bad : {"0", "0.0", "-0", "-0.5", "-1", "1.0000001", "2", "1e-7", "1e400",
                            "\"0.5\"", "true", "null", "[0.5]", "{}"}) {
      check_field(post(path, "{\"fraction\":" + std::string(bad) + "}"), "fraction");
    }
    check_field(post(path, R"({"fraction":1,"fraction":1})"), "fraction");
    for (const char* bad : {"\"\"", "\"0123456789abcde\"", "\"0123456789abcdef0\"",
                            "\"0123456789abcdeg\"", "\"0123456789ABCDEF\"", "1", "null"}) {
      check_field(post(path, "{\"plan\":" + std::string(bad) + "}"), "plan");
    }
    check_field(post(path, R"({"dry_run":1})"), "dry_run");
    check_field(post(path, R"({"dry-run":true})"), "dry-run");
    check_field(post(path, R"({"successor":"us-1"})"), "successor");
    check_field(post(path, "[]"), "body");
  }
}

TEST_CASE("failovers are listed, and offered by these methods only") {
  CHECK(std::holds_alternative<node::ListFailovers>(
      std::get<Call>(parse({"GET", "/v1/failovers"})).command));
  check_field({"GET", "/v1/failovers?limit=1"}, "limit");
  check_field({"GET", "/v1/reservations?copies="}, "copies");
  check_field({"GET", "/v1/reservations?copies=standing"}, "copies");
  check_field({"GET", "/v1/skus?copies=all"}, "copies");
  CHECK(accepted<node::ListReservations>({"GET", "/v1/reservations?copies=all"}).all_copies);
  CHECK_FALSE(accepted<node::ListReservations>({"GET", "/v1/reservations"}).all_copies);
  CHECK(refused({"POST", "/v1/failovers"}).headers == "Allow: GET, HEAD\r\n");
  CHECK(refused({"GET", "/v1/regions/eu/failover"}).headers == "Allow: POST\r\n");
  CHECK(refused({"DELETE", "/v1/replicas/aa/retire"}).headers == "Allow: POST\r\n");
  CHECK(refused({"POST", "/v1/regions/eu/retire"}).status == 404);
  CHECK(refused({"POST", "/v1/regions/failover"}).status == 404);
}

TEST_CASE("names are 1 to 128 characters of the alphabet, percent-encoded or not") {
  CHECK(accepted<node::GetSku>({"GET", "/v1/skus/a%2Db%3ac"}).sku == "a-b:c");
  CHECK(accepted<node::GetSku>({"GET", "/v1/skus/.."}).sku == "..");
  CHECK(accepted<node::GetSku>({"GET", "http://shop/v1/skus/a"}).sku == "a");
  const std::string longest(128, 'x');
  CHECK(accepted<node::GetSku>({"GET", "/v1/skus/" + longest}).sku == longest);
  check_field({"GET", "/v1/skus/x" + longest}, "sku");
  check_field({"GET", "/v1/skus/a%2Fb"}, "sku");
  check_field({"GET", "/v1/skus/a%00"}, "sku");
  check_field({"GET", "/v1/skus/%C3%A9"}, "sku");
  check_field({"GET", "/v1/skus/"}, "sku");
  check_field({"GET", "/v1/reservations/a+b"}, "id");
  check_field({"DELETE", "/v1/faults/links/a%20b"}, "target");
}

TEST_CASE("malformed targets are refused") {
  for (const char* target : {"/v1/skus/%", "/v1/skus/%zz", "/v1/skus#a", "v1/skus", "*", "",
                             "ftp://shop/v1/skus", "/v1/skus/a b", "/v1/skus/\"x\""}) {
    CAPTURE(target);
    CHECK(refused({"GET", target}).code == "invalid_request");
  }
  CHECK(refused({"GET", "/v1/availability?sku=" + std::string(9'000, 'x')}).status == 414);
}

TEST_CASE("unknown paths are 404, and known ones with another method 405 with Allow") {
  for (const char* target : {"/", "/v1", "/v2/skus", "/v1/skus/a/stock/", "/v1//skus", "/v1/events",
                             "/v1/reservations/a/commit/now/at/once", "/V1/skus"}) {
    CAPTURE(target);
    const Refused refusal = refused({"GET", target});
    CHECK(refusal.status == 404);
    CHECK(refusal.code == "not_found");
  }
  const Refused refusal = refused({"DELETE", "/v1/skus/a"});
  CHECK(refusal.status == 405);
  CHECK(refusal.code == "method_not_allowed");
  CHECK(refusal.headers == "Allow: GET, HEAD, PUT\r\n");
  CHECK(refused({"GET", "/v1/reservations/a/commit"}).headers == "Allow: POST\r\n");
  CHECK(refused({"get", "/v1/skus"}).status == 405);
}

TEST_CASE("queries are exact") {
  const auto skus =
      accepted<node::ListSkus>({"GET", "/v1/skus?prefix=a%2D&limit=1000&cursor=%00x"});
  CHECK(skus.prefix == "a-");
  CHECK(skus.limit == 1'000);
  CHECK(skus.cursor == std::string("\0x", 2));
  CHECK(accepted<node::ListSkus>({"GET", "/v1/skus?prefix="}).prefix.empty());
  const auto holds = accepted<node::ListReservations>({"GET", "/v1/reservations?state=held&sku=a"});
  CHECK(holds.state == crdt::HoldState::held);
  CHECK(holds.sku == "a");
  CHECK(holds.limit == 100);
  CHECK(accepted<node::GetAvailability>({"GET", "/v1/availability?sku=a&sku=b"}).skus ==
        std::vector<std::string>{"a", "b"});

  check_field({"GET", "/v1/skus?limit=0"}, "limit");
  check_field({"GET", "/v1/skus?limit=1001"}, "limit");
  check_field({"GET", "/v1/skus?limit=+5"}, "limit");
  check_field({"GET", "/v1/skus?limit=5x"}, "limit");
  check_field({"GET", "/v1/skus?limit=99999999999"}, "limit");
  check_field({"GET", "/v1/skus?limit="}, "limit");
  check_field({"GET", "/v1/skus?limit=5&limit=5"}, "limit");
  check_field({"GET", "/v1/skus?offset=5"}, "offset");
  check_field({"GET", "/v1/skus?prefix=a/b"}, "prefix");
  check_field({"GET", "/v1/skus?cursor=" + std::string(600, 'x')}, "cursor");
  check_field({"GET", "/v1/reservations?state=open"}, "state");
  check_field({"GET", "/v1/reservations?sku="}, "sku");
  check_field({"GET", "/v1/availability"}, "sku");
  check_field({"GET", "/v1/availability?sku=a&id=b"}, "id");
  check_field({"GET", "/v1/skus/a/stock?verbose=1"}, "verbose");
  check_field({"PUT", "/v1/reservations/a?dry=1", with("\"partial\":false")}, "dry");
}

TEST_CASE("verbs take {} or nothing") {
  for (const char* body : {"", "{}", " {} "}) {
    CHECK(accepted<node::Commit>(post("/v1/reservations/a/commit", body)).lines == std::nullopt);
    CHECK(accepted<node::Release>(post("/v1/reservations/a/release", body)).id == "a");
    CHECK(accepted<node::Extend>(post("/v1/reservations/a/extend", body)).ttl_seconds == 900);
    CHECK(accepted<node::PutSku>({"PUT", "/v1/skus/a", body}).name == std::nullopt);
  }
  CHECK(accepted<node::Commit>(
            post("/v1/reservations/a/commit", with("\"lines\":[]").substr(0, 35) + "}"))
            .lines->size() == 1);
  check_field(post("/v1/reservations/a/commit", R"({"lines":[]})"), "lines");
  check_field(post("/v1/reservations/a/release", R"({"lines":[]})"), "lines");
  check_field(post("/v1/reservations/a/release", R"({"":1})"), "");
  check_field(post("/v1/reservations/a/extend", R"({"ttl":1})"), "ttl");
}

TEST_CASE("SKUs") {
  const auto sku = accepted<node::PutSku>(
      {"PUT", "/v1/skus/a", R"({"name":"A \"b\"","attributes":{},"low_stock_threshold":0})"});
  CHECK(sku.name == "A \"b\"");
  CHECK(sku.attributes == "{}");
  CHECK(sku.low_stock_threshold == 0);
  check_field({"PUT", "/v1/skus/a", R"({"name":1})"}, "name");
  check_field({"PUT", "/v1/skus/a", R"({"name":")" + std::string(257, 'x') + "\"}"}, "name");
  check_field({"PUT", "/v1/skus/a", R"({"attributes":[]})"}, "attributes");
  check_field({"PUT", "/v1/skus/a", R"({"low_stock_threshold":-1})"}, "low_stock_threshold");
  check_field({"PUT", "/v1/skus/a", R"({"low_stock_threshold":9007199254740992})"},
              "low_stock_threshold");
}

TEST_CASE("stock moves") {
  CHECK(accepted<node::Adjust>(post("/v1/skus/a/adjustments", R"({"delta":-5,"reason":"broken"})"))
            .delta == -5);
  CHECK(accepted<node::Allow>(post("/v1/skus/a/allowances", R"({"delta":5})")).delta == 5);
  const auto grant =
      accepted<node::GrantTo>(post("/v1/skus/a/grants", R"({"to":"eu","quantity":5})"));
  CHECK(grant.to == "eu");
  CHECK(grant.quantity == 5);
  check_field(post("/v1/skus/a/adjustments", R"({"delta":0})"), "delta");
  check_field(post("/v1/skus/a/adjustments", R"({"reason":"x"})"), "delta");
  check_field(post("/v1/skus/a/adjustments", R"({"delta":-1000000001})"), "delta");
  check_field(post("/v1/skus/a/grants", R"({"quantity":5})"), "to");
  check_field(post("/v1/skus/a/grants", R"({"to":"","quantity":5})"), "to");
  check_field(post("/v1/skus/a/receipts", "{}"), "quantity");
}

TEST_CASE("idempotency keys are scoped by the decoded path") {
  Sent sent = post("/v1/skus/a%2Db/receipts", R"({"quantity":1})");
  CHECK(accepted<node::Receive>(sent).key.text.empty());
  sent.key = "k-1";
  const auto command = accepted<node::Receive>(sent);
  CHECK(command.key.text == "k-1");
  CHECK(command.key.scope == "POST /v1/skus/a-b/receipts");
  const std::string too_long(129, 'k');
  for (const char* bad : {"", "a b", "a\tb", "\xc3\xa9", too_long.c_str()}) {
    sent.key = bad;
    check_field(sent, "Idempotency-Key");
  }
  Sent giving_back = post("/v1/reservations/a/return", R"({"lines":[{"sku":"a","quantity":1}]})");
  CHECK(refused(giving_back).code == "idempotency_key_required");
  CHECK(refused(giving_back).status == 400);
  giving_back.key = "x";
  CHECK(accepted<node::Return>(giving_back).key.scope == "POST /v1/reservations/a/return");
  giving_back.body = "{}";
  check_field(giving_back, "lines");
}

TEST_CASE("bodies of another media type are refused") {
  Sent sent = put(with("\"partial\":false"));
  for (const char* good : {"", "application/json", "Application/JSON ; charset=utf-8",
                           "application/x-www-form-urlencoded" /* curl -d */}) {
    sent.type = good;
    CHECK(refused(sent).status == 0);
  }
  for (const char* bad : {"text/plain", "application/jsonx", "application/x-ndjson"}) {
    sent.type = bad;
    CHECK(refused(sent).status == 415);
    CHECK(refused(sent).code == "unsupported_media_type");
  }
}

TEST_CASE("faults") {
  const auto fault = accepted<node::SetFault>(
      {"PUT", "/v1/faults/links/eu", R"({"drop":true,"delay_ms":60000,"loss":0.25})"});
  CHECK(fault.target == "eu");
  CHECK(fault.drop);
  CHECK(fault.loss == 0.25);
  CHECK(accepted<node::SetFault>({"PUT", "/v1/faults/links/eu", R"({"loss":1})"}).loss == 1);
  for (const char* bad : {"1.01", "-0.1", "1e400", "\"1\""}) {
    check_field({"PUT", "/v1/faults/links/eu", R"({"loss":)" + std::string(bad) + "}"}, "loss");
  }
  check_field({"PUT", "/v1/faults/links/eu", R"({"delay_ms":60001})"}, "delay_ms");
  CHECK(accepted<node::ClearFault>({"DELETE", "/v1/faults/links/eu"}).target == "eu");
}

TEST_CASE("a batch gives each line its command or its own refusal") {
  Parsed parsed =
      parse({"POST", "/v1/batch",
             R"({"op":"reserve","id":"r","lines":[{"sku":"a","quantity":1}],"wait_ms":0})"
             "\r\n\n"
             R"({"quantity":3,"sku":"a","key":"k","op":"receive"})"
             "\n"
             R"({"op":"commit","id":"r","lines":[{"sku":"a","quantity":0}]})"
             "\n{\n"
             R"({"op":"release","id":"r"})"
             "\n"
             R"({"op":"extend","id":"r","ttl_seconds":5})"
             "\n"
             R"({"op":"commit","id":"r","id":"s"})"
             "\n"
             R"({"op":"burn","id":"r"})"
             "\n[]\n"
             R"({"op":"release"})",
             "application/x-ndjson"});
  const auto& lines = std::get<BatchCall>(parsed).lines;
  REQUIRE(lines.size() == 10);
  CHECK(std::get<node::Reserve>(*lines[0].command).wait_ms == 0);
  CHECK(std::get<node::Receive>(*lines[1].command).key.scope == "POST /v1/skus/a/receipts");
  CHECK(std::get<node::Receive>(*lines[1].command).quantity == 3);
  CHECK(std::get<node::Release>(*lines[4].command).id == "r");
  CHECK(std::get<node::Extend>(*lines[5].command).ttl_seconds == 5);
  const auto field_of = [&](std::size_t i) {
    REQUIRE_FALSE(lines[i].command);
    const json::object problem = json::parse(lines[i].refusal).as_object();
    CHECK(problem.at("status").as_int64() == 400);
    return std::string(problem.at("field").as_string());
  };
  CHECK(field_of(2) == "lines[0].quantity");
  CHECK(field_of(3) == "line");
  CHECK(field_of(6) == "id");
  CHECK(field_of(7) == "op");
  CHECK(field_of(8) == "line");
  CHECK(field_of(9) == "id");
}

TEST_CASE("a batch states its media type and has at most 10,000 lines") {
  Sent sent{"POST", "/v1/batch", "{}\n"};
  sent.type = "application/json";
  CHECK(refused(sent).status == 415);
  sent.type = "application/x-ndjson; charset=utf-8";
  sent.body.clear();
  for (int i = 0; i < 10'000; ++i) sent.body += "{}\n";
  CHECK(std::get<BatchCall>(parse(sent)).lines.size() == 10'000);
  sent.body += "{}";
  CHECK(refused(sent).status == 400);
}

TEST_CASE("text that a client sent is repeated only in part, and never cut within a character") {
  std::string name;
  for (int i = 0; i < 10'000; ++i) name += "\u00e9";
  const Refused refusal = refused(put("{\"" + name + "\":1}"));
  CHECK(refusal.field.size() == 256);
  CHECK(refused(put("{\"x" + name + "\":1}")).field.size() == 255);
}

}  // namespace
}  // namespace holdfast::api
