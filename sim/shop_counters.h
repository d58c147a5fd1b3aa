#pragma once
// The alternative without rights: plain PN-counters, one replica a region, as an active-active
// cache would keep stock. A cart is checked against what the region has heard of and then taken
// off, so what is sold elsewhere meanwhile is sold twice.
//
// Replication is as good as it gets for this kind: the totals of what has changed go to each region
// every `push`, again until they have arrived.

#include "sim/shop.h"

namespace holdfast::sim {

class CounterShop final : public Shop {
 public:
  CounterShop(World& world, const Scenario& scenario);

  absl::Status open(const OpeningStock& stock, Time limit) override;
  void reserve(const Cart& cart, OnShopAnswer done) override;
  void commit(const Cart&, OnShopDone done) override { done(); }  // taken off already
  void release(const Cart& cart, OnShopDone done) override;
  void abandon(const Cart& cart) override;
  TrueStock stock(std::uint32_t sku) const override;
  std::vector<crdt::Units> rights_by_region() const override;
  Time lag(std::size_t region) const override;
  bool converged() const override;

 private:
  struct Totals {  // one region's own, of one SKU: grow only
    crdt::Units in = 0, out = 0;
  };
  struct Region {
    // As this region has heard: [origin region][sku]. Its own are the truth.
    std::vector<std::vector<Totals>> heard;
    // For each region: SKUs whose totals it has not confirmed, and since when.
    std::vector<std::map<std::uint32_t, Time>> unconfirmed;
  };
  Place place(std::size_t region) const { return world_.nodes_of(region).front(); }
  bool is_up(std::size_t region) const;
  crdt::Units seen(const Region& region, std::uint32_t sku) const;
  void change(std::size_t region, std::uint32_t sku, crdt::Units in, crdt::Units out);
  void give_back(const Cart& cart);
  void push(std::size_t from);

  World& world_;
  const Scenario& scenario_;
  std::vector<Region> regions_;
  std::vector<crdt::Units> allowance_;  // by SKU
};

}  // namespace holdfast::sim
