#include "api/orders.h"

#include <doctest/doctest.h>

#include "api/country_map.h"

namespace api = holdfast::api;

namespace {

const std::string kHeader =
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

api::Orders parse(const std::string& lines, std::string_view day = {}) {
  auto orders = api::parse_orders(kHeader + lines, day);
  REQUIRE(orders.ok());
  return *std::move(orders);
}

TEST_SUITE("orders") {
  TEST_CASE("stock codes become valid SKUs") {
    CHECK(api::sku_of_stock_code("85123a") == "85123A");
    CHECK(api::sku_of_stock_code("GIFT card/20\xC2\xA3") == "GIFT-CARD-20--");
    CHECK(api::sku_of_stock_code(std::string(300, 'x')).size() == 128);
    for (int byte = 0; byte < 256; ++byte) {
      CHECK(holdfast::crdt::valid_name(
          api::sku_of_stock_code(std::string(1, static_cast<char>(byte)))));
    }
  }

  TEST_CASE("fees are no stock, in either case") {
    for (const char* code : {"POST", "m", "BANK CHARGES", "AMAZONFEE", "D", "C2", "S", "DOT"}) {
      CHECK(api::is_fee(code));
    }
    CHECK_FALSE(api::is_fee("22423"));
    CHECK_FALSE(api::is_fee("DCGS0076"));
  }

  TEST_CASE(
      "an invoice is a cart: lines of one SKU are summed, fees counted, carts in order of time") {
    const auto orders = parse(
        "2,E,Box,1,2010-12-01 09:00:00,1.0,7.0,France\n"
        "1,a,Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,POST,POSTAGE,1,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,,3,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "3,M,Manual,1,2010-12-01 08:00:00,1.0,5.0,United Kingdom\n"
        "1,C,Chair,0,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n");
    REQUIRE(orders.invoices.size() == 2);
    CHECK(orders.lines == 6);
    CHECK(orders.fee_lines == 2);
    CHECK(orders.zero_lines == 1);
    const auto& cart = orders.invoices[0];
    CHECK(cart.number == "1");
    CHECK(cart.customer == "5.0");
    CHECK(cart.time_s == 1291191960);
    REQUIRE(cart.sold.size() == 1);
    CHECK(cart.sold[0].sku == "A");
    CHECK(cart.sold[0].quantity == 5);
    CHECK(orders.invoices[1].country == "France");
    CHECK(orders.names.at("A") == "Lamp");
    CHECK(api::demand_of(orders) ==
          std::map<std::string, holdfast::crdt::Units>{{"A", 5}, {"E", 1}});
  }

  TEST_CASE("cancellations come back, negative lines are losses, and only losses are demand") {
    const auto orders = parse(
        "C9,A,Lamp,-4,2010-12-01 10:00:00,1.0,5.0,EIRE\n"
        "C9,A,Lamp,2,2010-12-01 10:00:00,1.0,5.0,EIRE\n"
        "8,A,,-3,2010-12-01 11:00,0.0,,United Kingdom\n");
    REQUIRE(orders.invoices.size() == 2);
    CHECK(orders.zero_lines == 1);
    CHECK(orders.invoices[0].cancellation);
    REQUIRE(orders.invoices[0].gone.size() == 1);
    CHECK(orders.invoices[0].gone[0].quantity == 4);
    CHECK_FALSE(orders.invoices[1].cancellation);
    CHECK(orders.invoices[1].customer.empty());
    CHECK(api::demand_of(orders).at("A") == 3);
  }

  TEST_CASE("broken lines are left out and told with their number") {
    const auto orders = parse(
        "1,A,Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,Lamp,2\n"
        "1,A,Lamp,two,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,Lamp,2,2010-02-30 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,Lamp,9999999999,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1/2,A,Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,,Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,\"Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,Lamp,2.5,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "1,A,Lamp,1,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n");
    CHECK(orders.broken_count == 8);
    REQUIRE(orders.broken.size() == 8);
    for (std::size_t i = 0; i < orders.broken.size(); ++i) CHECK(orders.broken[i].line == i + 3);
    REQUIRE(orders.invoices.size() == 1);
    CHECK(orders.invoices[0].sold[0].quantity == 3);
  }

  TEST_CASE("only so many broken lines are kept, all are counted") {
    std::string lines;
    for (int i = 0; i < 50; ++i) lines += "x\n";
    const auto orders = parse(lines);
    CHECK(orders.broken_count == 50);
    CHECK(orders.broken.size() == api::kBrokenLinesKept);
  }

  TEST_CASE(
      "one day of several; a day that is no date, a missing column and an empty file are errors") {
    const std::string lines =
        "1,A,Lamp,2,2010-12-01 08:26:00,1.0,5.0,United Kingdom\n"
        "2,A,Lamp,2,2010-12-02 08:26:00,1.0,5.0,United Kingdom\n";
    const auto orders = parse(lines, "2010-12-02");
    REQUIRE(orders.invoices.size() == 1);
    CHECK(orders.invoices[0].number == "2");
    CHECK(orders.lines == 1);
    CHECK_FALSE(api::parse_orders(kHeader + lines, "2010-13-01").ok());
    CHECK_FALSE(api::parse_orders(kHeader + lines, "today").ok());
    CHECK_FALSE(api::parse_orders("InvoiceNo,StockCode\n1,A\n").ok());
    CHECK_FALSE(api::parse_orders("").ok());
  }

  TEST_CASE("columns are found by name") {
    const auto orders = api::parse_orders(
        "Country,Extra,InvoiceDate,Quantity,StockCode,InvoiceNo,Description,CustomerID\r\n"
        "Japan,x,2010-12-01 08:26:00,2,A,1,Lamp,5.0\r\n");
    REQUIRE(orders.ok());
    REQUIRE(orders->invoices.size() == 1);
    CHECK(orders->invoices[0].country == "Japan");
  }

  TEST_CASE("countries belong to regions") {
    const auto map = api::CountryMap::make({"us", "eu", "ap"}, {"Norway=ap"});
    REQUIRE(map.ok());
    CHECK(map->region_of("United Kingdom") == 1);
    CHECK(map->region_of("EIRE") == 0);
    CHECK(map->region_of("Japan") == 2);
    CHECK(map->region_of("Norway") == 2);
    CHECK(map->region_of("nowhere") == 2);
    const auto two = api::CountryMap::make({"north", "south"}, {"*=south", "Japan=north"});
    REQUIRE(two.ok());
    CHECK(two->region_of("United Kingdom") == 1);
    CHECK(two->region_of("Japan") == 0);
    const auto one = api::CountryMap::make({"us"}, {});
    REQUIRE(one.ok());
    CHECK(one->region_of("Japan") == 0);
    CHECK_FALSE(api::CountryMap::make({"us"}, {"Japan=eu"}).ok());
    CHECK_FALSE(api::CountryMap::make({"us"}, {"Japan"}).ok());
  }
}

}  // namespace
