#pragma once
// The load of a drill: sellers that reserve and commit small carts at a steady pace, and know of
// each cart what they were told. One seller is one thread with one connection.

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include <boost/json/fwd.hpp>

#include "absl/status/statusor.h"
#include "api/http_client.h"
#include "crdt/ids.h"

namespace holdfast::api {

enum class DrillPhase : std::uint8_t { warming, undisturbed, outage, healed };
inline constexpr std::size_t kDrillPhases = 4;
inline constexpr std::array<const char*, kDrillPhases> kDrillPhaseNames{"warming up", "undisturbed",
                                                                        "outage", "healed"};

struct DrillCatalogue {
  std::string prefix;  // of SKUs, reservation ids and idempotency keys: nobody else uses it
  std::vector<std::string> skus;
  bool scarce(std::size_t sku) const { return sku % 5 == 0; }
};

struct DrillCart {
  std::string id;
  std::size_t sku = 0;
  crdt::Units units = 0;
};
// The n-th cart of a region: the same in every run.
DrillCart drill_cart(const DrillCatalogue& catalogue, const std::string& region, std::uint64_t n);

// Written by the one who leads the drill, read by the sellers.
struct DrillState {
  std::atomic<bool> stop{false};
  std::atomic<DrillPhase> phase{DrillPhase::warming};
  std::atomic<std::uint64_t> done{0};  // carts; by the sellers
};

struct PhaseSales {
  std::uint64_t carts = 0, sold = 0;
  std::uint64_t refused = 0;     // insufficient stock
  std::uint64_t unreached = 0;   // nothing was sent: the node was not there
  std::uint64_t unanswered = 0;  // sent, no or an open answer: settled after the drill
  std::uint64_t failed = 0;      // any other answer
  crdt::Units units = 0;         // sold
  // Of `carts` and `sold`: of SKUs of which every region has rights enough all the time.
  std::uint64_t plenty_carts = 0, plenty_sold = 0;
  std::vector<double> reserve_ms;  // of the latter: PUT until 201
  PhaseSales& operator+=(const PhaseSales& other);
};

struct Unsettled {
  std::string id;
  HttpUrl url;  // of its home
};

struct SellerAccount {
  std::array<PhaseSales, kDrillPhases> phases;
  std::vector<crdt::Units> sold;  // by SKU: committed, as the answers said
  std::vector<Unsettled> unsettled;
  std::vector<std::string> problems;  // the first few
  SellerAccount& operator+=(const SellerAccount& other);
};

struct DrillSeller {
  std::string region;
  HttpUrl url;
  std::uint64_t first = 0, step = 1;  // sells carts first, first + step, …
  double rate = 1;                    // of the region: cart n is due n / rate seconds from begin
  std::chrono::steady_clock::time_point begin;
};

// Until `stop`. `account.sold` is as long as the catalogue.
void sell_drill_carts(const DrillSeller& seller, const DrillCatalogue& catalogue, DrillState& state,
                      SellerAccount& account);

// Asks the home what has become of a cart, and ends it if it is open, so that it is known. Gives
// the units that were sold by SKU name. Errors: the last call's, if there is no answer in 15 s.
absl::StatusOr<std::vector<std::pair<std::string, crdt::Units>>> settle(const Unsettled& cart);

// What `reservation`, as it is answered, has sold.
std::vector<std::pair<std::string, crdt::Units>> committed_lines(
    const boost::json::object& reservation);

}  // namespace holdfast::api
