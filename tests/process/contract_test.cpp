// What a client of one node may rely on: every verb, its answers, its refusals.

#include <cstdlib>
#include <ctime>
#include <set>

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

// One node for all cases of this file; each case works on SKUs and ids of its own.
Node& node() {
  static TemporaryDirectory directory;
  static Node one(directory.path(), NodeOptions{});
  if (!one.running()) one.start();
  return one;
}
Client& http() { return node().http(); }

std::string sku_path(const std::string& sku, const std::string& verb = "") {
  return "/v1/skus/" + sku + (verb.empty() ? "" : "/" + verb);
}
std::string hold_path(const std::string& id, const std::string& verb = "") {
  return "/v1/reservations/" + id + (verb.empty() ? "" : "/" + verb);
}
std::string lines(const std::string& sku, std::int64_t units) { return reservation(sku, units); }
std::int64_t count(const std::string& sku, const std::string& field) {
  return stock(node(), sku, field);
}

// All pages of a list, as the values of one field.
std::vector<std::string> listed(const std::string& target, const std::string& field) {
  std::vector<std::string> values;
  std::string cursor;
  for (int page = 0; page < 1'000; ++page) {
    const auto answer = http().get(target + (cursor.empty() ? "" : "&cursor=" + cursor));
    REQUIRE(answer.status == 200);
    const auto items = answer.at("/items");
    for (const auto& item : items.as_array()) {
      values.emplace_back(item.as_object().at(field).as_string().c_str());
    }
    if (answer.at("/next").is_null()) return values;
    cursor = answer.text("/next");
  }
  FAIL("a list of more than 1,000 pages");
  return values;
}

}  // namespace

TEST_SUITE("process/contract") {
  TEST_CASE("a sku is created, changed and read") {
    const auto made = http().put(
        sku_path("c-sku"),
        R"({"name":"Täfelchen","attributes":{"b":[1,2],"a":"x"},"low_stock_threshold":5})");
    CHECK(made.status == 201);
    const auto changed = http().put(sku_path("c-sku"), R"({"name":"Tafel"})");
    CHECK(changed.status == 200);
    const auto read = http().get(sku_path("c-sku"));
    CHECK(read.status == 200);
    CHECK(read.text("/name") == "Tafel");
    CHECK(read.text("/attributes/a") == "x");
    CHECK(read.number("/low_stock_threshold") == 5);
    CHECK(http().put(sku_path("c-sku-empty"), "{}").status == 201);
  }

  TEST_CASE("names: the whole alphabet, 128 characters, percent-encoding") {
    CHECK(http().put(sku_path("AZaz09._:-"), "{}").ok());
    CHECK(http().put(sku_path(std::string(128, 'n')), "{}").status == 201);
    CHECK(http().put(sku_path(std::string(129, 'n')), "{}").status == 400);
    CHECK(http().put(sku_path("c%2Den%63oded"), "{}").status == 201);
    CHECK(http().get(sku_path("c-encoded")).text("/sku") == "c-encoded");
    CHECK(http().put(sku_path("no%20space"), "{}").status == 400);
    CHECK(http().put(sku_path("no%2Fslash"), "{}").status == 400);
  }

  TEST_CASE("what isn't there is a problem document with a stable code") {
    const auto sku = http().get(sku_path("c-nobody"));
    CHECK(sku.status == 404);
    CHECK(sku.code() == "unknown_sku");
    CHECK(sku.number("/status") == 404);
    CHECK_FALSE(sku.text("/type").empty());
    CHECK_FALSE(sku.text("/title").empty());
    CHECK_FALSE(sku.text("/detail").empty());
    CHECK(http().get(sku_path("c-nobody", "stock")).code() == "unknown_sku");
    CHECK(http().post(sku_path("c-nobody", "receipts"), quantity(1)).code() == "unknown_sku");
    CHECK(http().post(sku_path("c-nobody", "adjustments"), delta(1)).code() == "unknown_sku");
    CHECK(http().post(sku_path("c-nobody", "allowances"), R"({"delta":1})").code() ==
          "unknown_sku");
    CHECK(http().put(hold_path("c-n1"), lines("c-nobody", 1)).code() == "unknown_sku");
    CHECK(http().get(hold_path("c-nobody")).code() == "unknown_reservation");
    for (const std::string verb : {"commit", "release", "extend"}) {
      CHECK(http().post(hold_path("c-nobody", verb), "{}").code() == "unknown_reservation");
    }
    CHECK(http()
              .post(hold_path("c-nobody", "return"), lines("c-sku", 1), {{"Idempotency-Key", "k"}})
              .code() == "unknown_reservation");
    CHECK(http().get("/v1/nothing").code() == "not_found");
    CHECK(http().call("PATCH", sku_path("c-nobody")).status == 405);
    CHECK(http().call("DELETE", "/v1/batch").code() == "method_not_allowed");
  }

  TEST_CASE("receipts, adjustments and allowances move the figures that they say") {
    stock_up(node(), "c-move", 100);
    CHECK(http().post(sku_path("c-move", "adjustments"), delta(-30)).ok());
    CHECK(http().post(sku_path("c-move", "adjustments"), delta(5)).ok());
    CHECK(http().post(sku_path("c-move", "allowances"), R"({"delta":10})").ok());
    const auto view = http().get(sku_path("c-move", "stock"));
    CHECK(view.number("/on_hand") == 75);
    CHECK(view.number("/available") == 75);
    CHECK(view.number("/allowance") == 10);
    CHECK(view.number("/local_available") == 85);
    CHECK(view.number("/held") == 0);
    CHECK(view.number("/sold") == 0);
    CHECK(view.number("/returned") == 0);
    CHECK(view.number("/exposure") == 0);
    CHECK(view.number("/debt") == 0);
    CHECK(view.number("/oversold") == 0);
    CHECK(view.text("/by_region/0/region") == "eu");
    CHECK(view.number("/by_region/0/rights") == 85);
    CHECK(view.flag("/by_region/0/reachable"));

    // Down to the rights without the allowance, and no further.
    CHECK(http().post(sku_path("c-move", "adjustments"), delta(-76)).code() ==
          "insufficient_rights");
    CHECK(http().post(sku_path("c-move", "adjustments"), delta(-75)).ok());
    // The allowance is what may be oversold; it is stated, and it is the limit.
    CHECK(http().put(hold_path("c-over"), lines("c-move", 10)).status == 201);
    CHECK(http().put(hold_path("c-over-2"), lines("c-move", 1)).code() == "insufficient_stock");
    CHECK(count("c-move", "available") == -10);
    CHECK(count("c-move", "oversold") == 10);
    CHECK(http().post(sku_path("c-move", "allowances"), R"({"delta":-1})").code() ==
          "insufficient_rights");
  }

  TEST_CASE("totals end at 2^53-1") {
    stock_up(node(), "c-big", 0);
    CHECK(http().post(sku_path("c-big", "receipts"), quantity(1'000'000'000)).ok());
    CHECK(http().post(sku_path("c-big", "receipts"), quantity(1'000'000'001)).status == 400);
  }

  TEST_CASE("a reservation holds, and PUT again is the same") {
    stock_up(node(), "c-hold", 10);
    const std::string body =
        reservation("c-hold", 4, R"("ttl_seconds":600,"metadata":{"b":1,"a":2})");
    const auto first = http().put(hold_path("c-h1"), body);
    CHECK(first.status == 201);
    CHECK(first.text("/state") == "held");
    CHECK_FALSE(first.flag("/final"));
    CHECK(first.text("/lines/0/sku") == "c-hold");
    CHECK(first.number("/lines/0/requested") == 4);
    CHECK(first.number("/lines/0/held") == 4);
    CHECK(first.text("/home_region") == "eu");
    CHECK(first.number("/metadata/b") == 1);
    const auto again = http().put(
        hold_path("c-h1"),
        R"({"metadata":{"a":2,"b":1},"ttl_seconds":600,"lines":[{"quantity":4,"sku":"c-hold"}]})");
    CHECK(again.status == 200);
    CHECK(again.text("/expires_at") == first.text("/expires_at"));
    CHECK(http().get(hold_path("c-h1")).text("/state") == "held");
    CHECK(count("c-hold", "held") == 4);
    CHECK(count("c-hold", "available") == 6);

    for (const auto& other :
         {reservation("c-hold", 5, R"("ttl_seconds":600,"metadata":{"b":1,"a":2})"),
          reservation("c-hold", 4, R"("ttl_seconds":601,"metadata":{"b":1,"a":2})"),
          reservation("c-hold", 4, R"("ttl_seconds":600,"metadata":{"b":1,"a":3})"),
          reservation("c-hold", 4, R"("ttl_seconds":600,"partial":true,"metadata":{"b":1,"a":2})"),
          reservation("c-hold", 4)}) {
      CHECK(http().put(hold_path("c-h1"), other).code() == "reservation_conflict");
    }
    CHECK(count("c-hold", "held") == 4);
  }

  TEST_CASE("short of stock is refused, says by how much, and records nothing") {
    stock_up(node(), "c-short", 3);
    const auto refused = http().put(hold_path("c-s1"), lines("c-short", 5));
    CHECK(refused.status == 409);
    CHECK(refused.code() == "insufficient_stock");
    CHECK(refused.text("/shortages/0/sku") == "c-short");
    CHECK(refused.number("/shortages/0/requested") == 5);
    CHECK(refused.number("/shortages/0/available") == 3);
    CHECK(http().get(hold_path("c-s1")).status == 404);
    CHECK(http().put(hold_path("c-s1"), lines("c-short", 3)).status == 201);
    CHECK(count("c-short", "available") == 0);
  }

  TEST_CASE("partial holds what can be had") {
    stock_up(node(), "c-part-a", 3);
    stock_up(node(), "c-part-b", 9);
    stock_up(node(), "c-part-c", 0);
    const auto held =
        http().put(hold_path("c-p1"), R"({"partial":true,"lines":[{"sku":"c-part-a","quantity":5},)"
                                      R"({"sku":"c-part-b","quantity":9}]})");
    CHECK(held.status == 201);
    CHECK(held.number("/lines/0/requested") == 5);
    CHECK(held.number("/lines/0/held") == 3);
    CHECK(held.number("/lines/1/held") == 9);
    const auto none =
        http().put(hold_path("c-p2"), reservation("c-part-c", 1, R"("partial":true)"));
    CHECK(none.code() == "insufficient_stock");
    CHECK(http().post(hold_path("c-p1", "commit")).status == 200);
    CHECK(count("c-part-a", "sold") == 3);
    CHECK(count("c-part-b", "sold") == 9);
  }

  TEST_CASE("lines of one SKU are summed before they are checked") {
    stock_up(node(), "c-sum", 5);
    const std::string twice =
        R"({"lines":[{"sku":"c-sum","quantity":3},{"sku":"c-sum","quantity":3}]})";
    const auto refused = http().put(hold_path("c-sum1"), twice);
    CHECK(refused.code() == "insufficient_stock");
    CHECK(refused.number("/shortages/0/requested") == 6);
    const auto held =
        http().put(hold_path("c-sum2"),
                   R"({"lines":[{"sku":"c-sum","quantity":3},{"sku":"c-sum","quantity":2}]})");
    CHECK(held.status == 201);
    CHECK(held.at("/lines").as_array().size() == 1);
    CHECK(held.number("/lines/0/held") == 5);
    CHECK(http().put(hold_path("c-sum2"), lines("c-sum", 5)).status == 200);
  }

  TEST_CASE("a cart of 1,114 lines is all or nothing") {
    std::string operations, cart = R"({"lines":[)";
    for (int i = 0; i < 1'114; ++i) {
      const std::string sku = "c-cart-" + std::to_string(i);
      REQUIRE(http().put(sku_path(sku), "{}").ok());
      operations += R"({"op":"receive","sku":")" + sku + R"(","quantity":2})" + "\n";
      cart += (i > 0 ? "," : "") + (R"({"sku":")" + sku + R"(","quantity":2})");
    }
    cart += "]}";
    REQUIRE(http()
                .call("POST", "/v1/batch", operations, {{"Content-Type", "application/x-ndjson"}})
                .status == 200);
    REQUIRE(http().put(hold_path("c-thief"), lines("c-cart-700", 1)).status == 201);
    const auto refused = http().put(hold_path("c-cart"), cart);
    CHECK(refused.code() == "insufficient_stock");
    CHECK(refused.at("/shortages").as_array().size() == 1);
    CHECK(refused.text("/shortages/0/sku") == "c-cart-700");
    CHECK(count("c-cart-0", "held") == 0);
    CHECK(count("c-cart-1113", "held") == 0);
    CHECK(http().post(hold_path("c-thief", "release")).status == 200);
    CHECK(http().put(hold_path("c-cart"), cart).status == 201);
    CHECK(count("c-cart-0", "held") == 2);
    CHECK(count("c-cart-700", "available") == 0);
    const auto sold = http().post(hold_path("c-cart", "commit"), "{}");
    CHECK(sold.status == 200);
    CHECK(sold.at("/lines").as_array().size() == 1'114);
    CHECK(count("c-cart-1113", "sold") == 2);
  }

  TEST_CASE("commit: idempotent, whole or in part, and final") {
    stock_up(node(), "c-com", 20);
    REQUIRE(http().put(hold_path("c-c1"), lines("c-com", 5)).status == 201);
    const auto sold = http().post(hold_path("c-c1", "commit"));
    CHECK(sold.status == 200);
    CHECK(sold.text("/state") == "committed");
    CHECK(sold.flag("/final"));
    CHECK(sold.number("/lines/0/committed") == 5);
    CHECK(http().post(hold_path("c-c1", "commit"), "{}").status == 200);
    CHECK(http().post(hold_path("c-c1", "commit"), lines("c-com", 5)).status == 200);
    CHECK(http().post(hold_path("c-c1", "commit"), lines("c-com", 4)).code() ==
          "reservation_closed");
    CHECK(http().post(hold_path("c-c1", "release")).code() == "reservation_closed");
    CHECK(http().post(hold_path("c-c1", "extend"), R"({"ttl_seconds":9})").code() ==
          "reservation_closed");
    CHECK(http().put(hold_path("c-c1"), lines("c-com", 5)).status == 200);
    CHECK(http().put(hold_path("c-c1"), lines("c-com", 5)).text("/state") == "committed");

    REQUIRE(http().put(hold_path("c-c2"), lines("c-com", 6)).status == 201);
    CHECK(http().post(hold_path("c-c2", "commit"), lines("c-com", 7)).status == 422);
    CHECK(http().post(hold_path("c-c2", "commit"), lines("c-com", 2)).status == 200);
    CHECK(http().post(hold_path("c-c2", "commit")).status == 200);
    const auto view = http().get(sku_path("c-com", "stock"));
    CHECK(view.number("/on_hand") == 13);
    CHECK(view.number("/held") == 0);
    CHECK(view.number("/sold") == 7);
    CHECK(view.number("/available") == 13);
  }

  TEST_CASE("release: idempotent, gives the units back, and final") {
    stock_up(node(), "c-rel", 4);
    REQUIRE(http().put(hold_path("c-r1"), lines("c-rel", 4)).status == 201);
    CHECK(http().post(hold_path("c-r1", "release")).text("/state") == "released");
    CHECK(http().post(hold_path("c-r1", "release"), "{}").status == 200);
    CHECK(http().post(hold_path("c-r1", "commit")).code() == "reservation_closed");
    CHECK(count("c-rel", "available") == 4);
    CHECK(http().put(hold_path("c-r1"), lines("c-rel", 4)).text("/state") == "released");
    CHECK(count("c-rel", "held") == 0);
  }

  TEST_CASE("a hold expires once its time has gone by, and can be extended before") {
    stock_up(node(), "c-exp", 2);
    const std::string brief = R"("ttl_seconds":1)";
    REQUIRE(http().put(hold_path("c-e1"), reservation("c-exp", 1, brief)).status == 201);
    REQUIRE(http().put(hold_path("c-e2"), reservation("c-exp", 1, brief)).status == 201);
    const auto longer = http().post(hold_path("c-e2", "extend"), R"({"ttl_seconds":500})");
    CHECK(longer.status == 200);
    CHECK(longer.text("/expires_at") > http().get(hold_path("c-e1")).text("/expires_at"));
    CHECK(eventually([] {
      const auto hold = http().get(hold_path("c-e1"));
      return hold.text("/state") == "expired" && hold.flag("/final");
    }));
    CHECK(count("c-exp", "available") == 1);
    CHECK(http().post(hold_path("c-e1", "commit")).code() == "reservation_closed");
    CHECK(http().post(hold_path("c-e1", "extend")).code() == "reservation_closed");
    CHECK(http().get(hold_path("c-e2")).text("/state") == "held");
    CHECK(http().put(hold_path("c-e3"), lines("c-exp", 1)).status == 201);
  }

  TEST_CASE("returns need a key, and bring back what was sold") {
    stock_up(node(), "c-ret", 5);
    REQUIRE(http().put(hold_path("c-t1"), lines("c-ret", 5)).status == 201);
    const Headers key = {{"Idempotency-Key", "return-1"}};
    const auto path = hold_path("c-t1", "return");
    CHECK(http().post(path, lines("c-ret", 1)).status == 400);
    CHECK(http().post(path, lines("c-ret", 1)).code() == "idempotency_key_required");
    CHECK(http().post(path, lines("c-ret", 1), key).ok() == false);  // nothing is sold yet
    REQUIRE(http().post(hold_path("c-t1", "commit")).status == 200);
    const Headers key_2 = {{"Idempotency-Key", "return-2"}};
    CHECK(http().post(path, lines("c-ret", 2), key_2).status == 200);
    CHECK(http().post(path, lines("c-ret", 2), key_2).status == 200);
    CHECK(http().post(path, lines("c-ret", 3), key_2).code() == "idempotency_key_reused");
    CHECK(http().post(path, lines("c-ret", 4), {{"Idempotency-Key", "return-3"}}).status == 422);
    const auto view = http().get(sku_path("c-ret", "stock"));
    CHECK(view.number("/on_hand") == 2);
    CHECK(view.number("/sold") == 5);
    CHECK(view.number("/returned") == 2);
    CHECK(view.number("/available") == 2);
    CHECK(http().get(hold_path("c-t1")).number("/lines/0/returned") == 2);
  }

  TEST_CASE("an idempotency key: one effect, the same answer, and 422 for another body") {
    stock_up(node(), "c-key", 0);
    struct Case {
      std::string verb, body, other;
    };
    for (const Case& c :
         {Case{"receipts", quantity(7), quantity(8)}, Case{"adjustments", delta(-2), delta(-1)},
          Case{"allowances", R"({"delta":3})", R"({"delta":4})"}}) {
      const Headers key = {{"Idempotency-Key", "one-" + c.verb}};
      const auto path = sku_path("c-key", c.verb);
      const auto first = http().post(path, c.body, key);
      CHECK(first.ok());
      http().post(sku_path("c-key", "receipts"), quantity(1));  // the figures move on
      const auto replay = http().post(path, c.body, key);
      CHECK(replay.status == first.status);
      CHECK(replay.body == first.body);
      const auto reused = http().post(path, c.other, key);
      CHECK(reused.status == 422);
      CHECK(reused.code() == "idempotency_key_reused");
    }
    // 7 - 2 + 3 receipts of 1; another path with the same key is another effect.
    CHECK(count("c-key", "on_hand") == 8);
    CHECK(count("c-key", "allowance") == 3);
    stock_up(node(), "c-key-2", 0);
    CHECK(http()
              .post(sku_path("c-key-2", "receipts"), quantity(9),
                    {{"Idempotency-Key", "one-receipts"}})
              .ok());
    CHECK(count("c-key-2", "on_hand") == 9);
  }

  TEST_CASE("lists come in pages and miss nothing") {
    std::set<std::string> skus, holds;
    for (int i = 0; i < 23; ++i) {
      const auto number = std::to_string(100 + i);
      stock_up(node(), "list-" + number, 1);
      skus.insert("list-" + number);
    }
    stock_up(node(), "list-holds", 50);
    skus.insert("list-holds");
    for (int i = 0; i < 23; ++i) {
      const auto id = "list-h" + std::to_string(i);
      REQUIRE(http().put(hold_path(id), lines("list-holds", 1)).status == 201);
      holds.insert(id);
    }
    const auto names = listed("/v1/skus?prefix=list-&limit=5", "sku");
    CHECK(std::set<std::string>(names.begin(), names.end()) == skus);
    CHECK(names.size() == skus.size());
    CHECK(http().get("/v1/skus?prefix=list-&limit=5").at("/items").as_array().size() == 5);
    const auto held = listed("/v1/reservations?state=held&sku=list-holds&limit=7", "id");
    CHECK(std::set<std::string>(held.begin(), held.end()) == holds);
    CHECK(held.size() == holds.size());
    REQUIRE(http().post(hold_path("list-h3", "commit")).status == 200);
    REQUIRE(http().post(hold_path("list-h4", "release")).status == 200);
    const std::vector<std::string> three{"list-h3"}, four{"list-h4"};
    CHECK(listed("/v1/reservations?state=committed&sku=list-holds&limit=7", "id") == three);
    CHECK(listed("/v1/reservations?state=released&sku=list-holds&limit=7", "id") == four);
    CHECK(listed("/v1/reservations?state=held&sku=list-holds&limit=7", "id").size() == 21);
    CHECK(listed("/v1/reservations?sku=list-holds&limit=7", "id").size() == 23);
    CHECK(http().get("/v1/skus?prefix=list-&cursor=%00%01nonsense").status == 400);
    CHECK(http().get("/v1/skus?limit=0").status == 400);
    CHECK(http().get("/v1/reservations?state=sleeping").status == 400);
  }

  TEST_CASE("availability of many SKUs at once") {
    stock_up(node(), "av-a", 3);
    stock_up(node(), "av-b", 0);
    const auto view = http().get("/v1/availability?sku=av-b&sku=av-a&sku=av-nobody");
    CHECK(view.status == 200);
    const auto items = view.at("/items");
    REQUIRE(items.as_array().size() == 3);
    std::map<std::string, std::pair<bool, std::int64_t>> found;
    for (const auto& item : items.as_array()) {
      const auto& fields = item.as_object();
      found[fields.at("sku").as_string().c_str()] = {
          fields.at("known").as_bool(), fields.at("available").to_number<std::int64_t>()};
    }
    CHECK(found["av-a"] == std::pair<bool, std::int64_t>{true, 3});
    CHECK(found["av-b"] == std::pair<bool, std::int64_t>{true, 0});
    CHECK(found["av-nobody"] == std::pair<bool, std::int64_t>{false, 0});
    CHECK(http().get("/v1/availability").status == 400);
  }

  TEST_CASE("a batch: one result a line, in order, as the single calls would answer") {
    stock_up(node(), "c-batch", 3);
    const std::string body =
        R"({"op":"receive","sku":"c-batch","quantity":2,"key":"batch-1"})"
        "\n"
        R"({"op":"reserve","id":"b-1","lines":[{"sku":"c-batch","quantity":4}]})"
        "\n"
        R"({"op":"reserve","id":"b-2","lines":[{"sku":"c-batch","quantity":2}]})"
        "\n"
        R"({"op":"commit","id":"b-1"})"
        "\n"
        R"({"op":"reserve","id":"b-3","lines":[{"sku":"c-batch","quantity":1}]})"
        "\n"
        R"({"op":"release","id":"b-3"})"
        "\n"
        R"({"op":"commit","id":"b-nobody"})"
        "\n"
        R"({"op":"dance"})"
        "\n"
        R"(not json)"
        "\n"
        R"({"op":"reserve","id":"b-1","lines":[{"sku":"c-batch","quantity":4}]})"
        "\n";
    const auto answer =
        http().call("POST", "/v1/batch", body, {{"Content-Type", "application/x-ndjson"}});
    REQUIRE(answer.status == 200);
    std::vector<Response> results;
    for (std::size_t at = 0; at < answer.body.size();) {
      const auto end = answer.body.find('\n', at);
      Response line;
      line.body = answer.body.substr(at, end - at);
      line.status = static_cast<int>(line.number("/status"));
      results.push_back(line);
      if (end == std::string::npos) break;
      at = end + 1;
    }
    REQUIRE(results.size() == 10);
    CHECK(results[0].ok());
    CHECK(results[1].status == 201);
    CHECK(results[2].status == 409);
    CHECK(results[2].text("/code") == "insufficient_stock");
    CHECK(results[3].status == 200);
    CHECK(results[4].status == 201);
    CHECK(results[5].status == 200);
    CHECK(results[6].status == 404);
    CHECK(results[7].status == 400);
    CHECK(results[8].status == 400);
    CHECK(results[9].status == 200);
    CHECK(count("c-batch", "sold") == 4);
    CHECK(count("c-batch", "available") == 1);
    // The receipt has a key, so the whole batch can be sent again.
    const auto again =
        http().call("POST", "/v1/batch", body, {{"Content-Type", "application/x-ndjson"}});
    CHECK(again.status == 200);
    CHECK(count("c-batch", "on_hand") == 1);
  }

  TEST_CASE("grants need a target and rights") {
    stock_up(node(), "c-grant", 5);
    const auto path = sku_path("c-grant", "grants");
    CHECK(http().post(path, R"({"to":"atlantis","quantity":1})").code() == "unknown_target");
    CHECK(count("c-grant", "local_available") == 5);
  }

  TEST_CASE("the command line tells which durability was reached, if another was asked for") {
    REQUIRE(http().put(sku_path("c-disk"), "{}").ok());
    REQUIRE(http().post(sku_path("c-disk", "receipts"), quantity(10)).ok());
    const std::string url = "http://127.0.0.1:" + std::to_string(node().http_port());
    const auto put = [&](const std::string& id, const std::string& level) {
      return run({"reservation", "put", id, "c-disk=1", "--durability", level, "--url", url},
                 Millis(20'000));
    };
    const Finished missed = put("c-disk-1", "region");
    CAPTURE(missed.output);
    CHECK(missed.status == 0);
    CHECK(missed.output.find("durability: node only; region was asked for") != std::string::npos);
    CHECK(put("c-disk-2", "node").output.find("durability") == std::string::npos);
  }

  TEST_CASE("health, readiness, metrics and the cluster's picture") {
    CHECK(http().get("/healthz").status == 200);
    CHECK(http().get("/readyz").status == 200);
    const auto metrics = http().get("/metrics");
    CHECK(metrics.status == 200);
    CHECK(metrics.body.find("# HELP holdfast_") != std::string::npos);
    CHECK(metrics.body.find("# TYPE holdfast_") != std::string::npos);
    const auto value_of = [&](const std::string& name) {
      const auto at = metrics.body.find("\n" + name + " ");
      if (at == std::string::npos) return -1.0;
      return std::strtod(metrics.body.c_str() + at + name.size() + 2, nullptr);
    };
    CHECK(value_of("process_cpu_seconds_total") > 0);
    CHECK(value_of("process_resident_memory_bytes") > 1e6);
    CHECK(value_of("process_virtual_memory_bytes") >= value_of("process_resident_memory_bytes"));
    CHECK(value_of("process_open_fds") > 5);
    CHECK(value_of("process_max_fds") >= value_of("process_open_fds"));
    const double now = static_cast<double>(std::time(nullptr));
    CHECK(value_of("process_start_time_seconds") > now - 3'600);
    CHECK(value_of("process_start_time_seconds") < now + 60);
    const auto cluster = http().get("/v1/cluster");
    CHECK(cluster.status == 200);
    CHECK(cluster.text("/regions/0/region") == "eu");
    CHECK(cluster.text("/regions/0/nodes/0/node") == "eu-1");
    CHECK(cluster.text("/regions/0/nodes/0/replica").size() == 16);
    CHECK(cluster.flag("/regions/0/nodes/0/self"));
  }

  TEST_CASE("faults: set, shown, cleared; refused where they aren't enabled") {
    CHECK(http().put("/v1/faults/links/nowhere", R"({"drop":true})").code() == "unknown_target");
    CHECK(http().call("DELETE", "/v1/faults/links/eu").status == 204);
    TemporaryDirectory directory;
    NodeOptions options;
    options.faults = false;
    Node closed(directory.path(), options);
    closed.start();
    const auto refused = closed.http().put("/v1/faults/links/eu", R"({"drop":true})");
    CHECK(refused.status == 403);
    CHECK(refused.code() == "faults_disabled");
    CHECK(closed.stop() == 0);
  }
}
