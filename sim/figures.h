#pragma once
// What is counted while a scenario runs: totals of each region and of all, and the curves between
// two samples.

#include <functional>
#include <map>
#include <vector>

#include "sim/report.h"
#include "sim/shop.h"

namespace holdfast::sim {

class Figures {
 public:
  // `wan_bytes`: what has left a region so far. `worlds`: of every shard.
  using WanBytes = std::function<std::uint64_t(std::size_t region)>;
  Figures(const Scenario& scenario, const Shop& shop, std::vector<const World*> worlds,
          WanBytes wan_bytes);

  // ── what happened ──
  void came(const Cart& cart);
  void answered(const Cart& cart, const ShopAnswer& answer, Time took);
  void gone(const Cart& cart);  // without an answer in time
  void ended(const Cart& cart, Cart::Then how);

  // Closes the interval that ends now. `counted`: it lies behind the warm-up.
  void sample(Time at);
  // Everything goes into `report`.
  void write(Report& report);
  crdt::Units units_asked() const { return units_asked_; }  // by all carts

 private:
  struct Region {
    Totals totals;
    RegionSeries series;
    std::vector<float> latencies, latencies_now;  // ms
    double sold = 0, accepted = 0, refused = 0, elsewhere = 0;
    std::uint64_t wan_before = 0;
  };
  bool stock_elsewhere(const Cart& cart) const;
  void count_fetched(std::size_t region, bool counted);
  bool counted(const Cart& cart) const { return cart.at >= scenario_.warm_up; }

  const Scenario& scenario_;
  const Shop& shop_;
  std::vector<const World*> worlds_;
  WanBytes wan_bytes_;
  std::vector<Region> regions_;
  std::vector<std::uint64_t> wan_begin_;
  std::map<std::pair<const World*, std::size_t>, std::uint64_t> fetched_before_;  // by node
  std::vector<std::int64_t> times_ms_;
  GlobalSeries global_;
  crdt::Units oversold_ = 0, oversold_bound_ = 0, units_asked_ = 0;
};

}  // namespace holdfast::sim
