#pragma once
// Sells one region's orders, one after the other, over one connection, and keeps the account of
// what it was answered. Calls that fail in a way that repeating can mend are repeated with the same
// id or key, so that each takes effect once.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/fwd.hpp>

#include "api/http_client.h"
#include "api/orders.h"
#include "api/sales_account.h"

namespace holdfast::api {

struct SellerOptions {
  std::string prefix;  // of reservation ids and idempotency keys
  std::uint32_t wait_ms = 250;
  std::uint32_t ttl_seconds = 900;
  unsigned retries_max = 20;  // per call; 50 ms apart, doubling up to 1 s
};

// Written by the sellers, read by whoever shows it.
struct SellingProgress {
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> done{0}, accepted{0}, refused{0};
};

class RegionSeller {
 public:
  // `account` and `progress` must outlive the seller. `account` is written by sell() alone.
  RegionSeller(HttpUrl url, SellerOptions options, RegionAccount& account,
               SellingProgress& progress);

  void sell(const Invoice& invoice);

 private:
  struct SoldLine {
    std::string reservation;
    crdt::Units left = 0;
  };

  absl::StatusOr<HttpAnswer> call(const HttpCall& call);
  void sell_cart(const Invoice& invoice);
  void record_cart(const Invoice& invoice, const boost::json::object& reservation);
  void refuse_cart(const Invoice& invoice);
  void fail_cart(const Invoice& invoice, const std::string& why);
  void take_back(const Invoice& invoice, const OrderLine& line, const std::string& key);
  void write_off(const Invoice& invoice, const OrderLine& line, const std::string& key);
  void fail_call(const Invoice& invoice, const absl::StatusOr<HttpAnswer>& answer);

  HttpClient client_;
  SellerOptions options_;
  RegionAccount& account_;
  SellingProgress& progress_;
  // (customer, sku) → what this replay sold them, oldest first
  std::map<std::pair<std::string, std::string>, std::vector<SoldLine>> sold_;
};

// Sleeps until then, or until `stop`.
void sleep_until(std::chrono::steady_clock::time_point then, const std::atomic<bool>& stop);

}  // namespace holdfast::api
