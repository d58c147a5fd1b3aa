#pragma once
// What a seller knows without asking the service for totals: the sum of its own orders and of the
// answers that it got. A service that agrees with it, per SKU, has lost nothing and sold nothing
// twice. Pure.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "crdt/ids.h"

namespace holdfast::api {

// Per SKU, each a sum over acknowledged calls.
struct SkuTotals {
  crdt::Units received = 0;
  crdt::Units withdrawn = 0;  // adjusted away
  crdt::Units held = 0;       // set aside and neither sold nor given back
  crdt::Units sold = 0;
  crdt::Units returned = 0;  // of sold
  bool operator==(const SkuTotals&) const = default;

  crdt::Units on_hand() const { return received - withdrawn - sold + returned; }
  crdt::Units available() const { return on_hand() - held; }
  SkuTotals& operator+=(const SkuTotals& other);
};

// What a node says of a SKU.
struct StockAnswer {
  crdt::Units on_hand = 0, held = 0, sold = 0, returned = 0, available = 0, oversold = 0;
  std::map<std::string, crdt::Units> rights;  // by region
};

// What of the answer is not as the account expects; empty: nothing.
std::string difference(const SkuTotals& expected, const StockAnswer& answer);
// Why the answer is not what the account expects, or oversold; empty: it is and it is not.
std::string disagreement(const SkuTotals& expected, const StockAnswer& answer);

struct Latency {
  std::uint64_t count = 0;
  double p50_ms = 0, p99_ms = 0, max_ms = 0;
};
// Nearest rank: the smallest sample that at least p of all samples do not exceed.
Latency latency_of(std::vector<double> samples_ms);

struct RegionAccount {
  std::string region;
  std::uint64_t carts_accepted = 0, lines_accepted = 0;
  std::uint64_t carts_refused = 0, lines_refused = 0;  // insufficient stock
  crdt::Units units_accepted = 0, units_refused = 0;
  std::uint64_t carts_failed = 0;      // any other answer, or none after all retries
  std::uint64_t returns_to_sales = 0;  // lines that came back from a reservation of this replay
  std::uint64_t returns_as_stock = 0;  // lines sold before the replay began: received
  crdt::Units units_returned = 0, units_returned_as_stock = 0;
  std::uint64_t losses = 0, losses_refused = 0;  // adjustments, lines
  std::uint64_t failed_calls = 0;  // returns, receipts and adjustments that failed otherwise
  std::uint64_t retries = 0;
  std::vector<double> cart_ms;  // reserve and commit of each accepted cart, retries included
  std::map<std::string, SkuTotals> skus;
  std::vector<std::string> problems;  // the first few failures, for people

  void note_problem(std::string text);
};
inline constexpr std::size_t kProblemsKept = 5;

std::map<std::string, SkuTotals> total_of(const std::vector<RegionAccount>& regions);

// Rights that the region has beyond what its own receipts, sales and returns gave it: what other
// regions granted it, less what it granted them. Net, per SKU; summed up by sign.
struct RightsMoved {
  crdt::Units in = 0, out = 0;
};
RightsMoved rights_moved(const RegionAccount& region,
                         const std::map<std::string, StockAnswer>& answers);

}  // namespace holdfast::api
