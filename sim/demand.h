#pragma once
// The customers of a scenario: their carts in the order in which they come, and what becomes of
// each. Nothing here depends on what the shop answers, so that every policy meets the same carts.
//
// Arrivals are Poisson processes, one a region, whose rate follows the hour and the bursts: by
// thinning (Lewis and Shedler 1979), with a bound that is renewed where a burst begins or ends.
//
// Cost  memory O(SKUs × regions) at most; a cart O(regions + lines × log SKUs).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/random.h"
#include "sim/scenario.h"

namespace holdfast::sim {

struct Cart {
  enum class Then : std::uint8_t { commit, release, abandon };
  Time at = 0;
  std::uint32_t region = 0;
  std::string id;                     // unique in the scenario, valid as a reservation's
  std::vector<OrderLineOfSku> lines;  // ascending by sku, each once
  Then then = Then::commit;
  Time after = 0;  // from the answer to the hold until `then`; abandoned: means nothing
};

class Demand {
 public:
  // `scenario` must be complete, and outlive this.
  explicit Demand(const Scenario& scenario);
  // Ascending by time; at one time by region. None: no more come.
  std::optional<Cart> next();

 private:
  struct Region {
    Random arrivals, carts;
    Time next_at = 0;  // duration or later: none
    bool from_burst = false;
    std::uint64_t count = 0;
    std::vector<std::uint32_t> ranks;  // rank → sku, if this region has an order of its own
  };
  // What is so between two moments at which a burst begins or ends.
  struct Segment {
    Time end = 0;
    double bound = 0;  // of the rate, per µs
    const ScenarioBurst* burst = nullptr;
  };

  Segment segment_at(std::size_t region, Time at) const;
  double usual_rate(std::size_t region, Time at) const;  // per µs
  void advance(std::size_t region);
  std::uint32_t draw_sku(Region& region, Time at, std::size_t number);
  Cart drawn_cart(std::size_t region);
  std::optional<Cart> next_order();
  void decide(Random& random, Cart& cart);

  const Scenario& scenario_;
  std::optional<Zipf> zipf_;
  std::vector<Region> regions_;
  std::size_t next_order_ = 0;
};

// What all carts ask for together.
struct DemandTotals {
  std::uint64_t carts = 0;
  std::vector<crdt::Units> by_sku;
  std::vector<std::vector<crdt::Units>> by_region;  // [region][sku]
  std::vector<std::uint64_t> carts_by_region;
};
DemandTotals total_demand(const Scenario& scenario);  // draws all carts once

}  // namespace holdfast::sim
