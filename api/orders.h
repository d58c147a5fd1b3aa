#pragma once
// Orders of a real shop as events for a stock service: one invoice is one cart. Pure.
//
// The columns are those of the Online Retail data set: InvoiceNo, StockCode, Description, Quantity,
// InvoiceDate (YYYY-MM-DD HH:MM[:SS]), UnitPrice, CustomerID, Country; found by name, in any order,
// others beside them are ignored.
//
//   an invoice               → a cart: its lines summed per SKU
//   … whose number begins C  → a cancellation: units come back from the customer
//   a negative line without  → units that are gone (damaged, lost): a stock adjustment
//   fees, postage, discounts → not stock: skipped and counted (is_fee)
//
// SKUs: letters in upper case (the shop wrote 85123A and 85123a for one product); every byte that a
// SKU may not hold becomes '-'; what is longer than 128 bytes is cut.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/ids.h"

namespace holdfast::api {

std::string sku_of_stock_code(std::string_view stock_code);  // valid, unless the code is empty
bool is_fee(std::string_view stock_code);                    // either case

struct OrderLine {
  std::string sku;
  crdt::Units quantity = 0;  // 1 … crdt::kLineUnitsMax
};

struct Invoice {
  std::string number;         // as in the file; valid as an id
  bool cancellation = false;  // `gone` are returns; otherwise losses
  std::int64_t time_s = 0;    // of its first line: seconds since 1970, the shop's own clock
  std::string customer;       // empty: a guest
  std::string country;
  std::vector<OrderLine> sold;  // ascending by sku, each once
  std::vector<OrderLine> gone;  // quantities as positive numbers, in file order
};

struct BrokenLine {
  std::size_t line = 0;
  std::string reason;
};

struct Orders {
  std::vector<Invoice> invoices;  // ascending by time, then as in the file; none is empty
  std::map<std::string, std::string> names;  // sku → its first description (may be empty)
  std::size_t lines = 0;                     // read, less the header and other days
  std::size_t fee_lines = 0;
  std::size_t zero_lines = 0;  // quantity 0, or positive in a cancellation
  std::size_t broken_count = 0;
  std::vector<BrokenLine> broken;  // the first kBrokenLinesKept
};
inline constexpr std::size_t kBrokenLinesKept = 10;

// `day`: only lines of that date (YYYY-MM-DD); empty: all.
// Errors: kInvalidArgument (a column is missing; `day` is no date). Broken lines are no error here:
// they are left out, counted and told.
absl::StatusOr<Orders> parse_orders(std::string_view csv, std::string_view day = {});

// What the orders take from stock, per SKU: carts and losses; what comes back is not set against
// it.
std::map<std::string, crdt::Units> demand_of(const Orders& orders);

}  // namespace holdfast::api
