#pragma once
// Holdfast behind routers: SKUs over several shards, routers in every region, and customers who ask
// a router of their region, the next one after silence or a 5xx: carts and verbs are idempotent.
// A shard is a HoldfastShop of its own, whose customers are the routers.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/router_machine.h"
#include "sim/shop_holdfast.h"

namespace holdfast::sim {

// In which shard each SKU of the scenario is at the beginning.
std::vector<std::vector<bool>> skus_by_shard(const Scenario& scenario);

class RoutedShop final : public Shop {
 public:
  struct Shard {
    World* world = nullptr;
    HoldfastShop* shop = nullptr;
  };
  // The shards, in the order of the scenario's, and the scenario must outlive this.
  RoutedShop(Events& events, const Scenario& scenario, std::vector<Shard> shards);

  absl::Status open(const OpeningStock& stock, Time limit) override;
  void reserve(const Cart& cart, OnShopAnswer done) override;
  void commit(const Cart& cart, OnShopDone done) override;
  void release(const Cart& cart, OnShopDone done) override;
  TrueStock stock(std::uint32_t sku) const override;
  std::vector<crdt::Units> rights_by_region() const override;
  Time lag(std::size_t region) const override;
  bool converged() const override;
  DiskLoss lost() const override;
  crdt::Units decreed() const override;

  // ── operators ──
  using OnCommand = HoldfastShop::OnCommand;
  // At a router of the region; as HoldfastShop::post.
  bool post(std::size_t region, const std::string& target, const std::string& body, OnCommand done);
  // SKUs move to where these weights say; `done` hears an empty text when all have, or why nothing
  // moves.
  void reshard(const std::vector<std::uint32_t>& weights, OnCommand done);

  // ── faults ──
  void end_router(std::size_t router) { routers_[router]->end(); }
  void start_router(std::size_t router) { routers_[router]->start(map_); }
  void start_routers();
  void node_ended(std::size_t node);  // numbered as the scenario's
  RouterCalls& calls() { return *calls_; }

  // ── what is told of it ──
  bool moving() const { return map_.moving(); }
  std::uint64_t spread_carts() const { return spread_; }  // held in several shards, warmed up
  struct Moved {
    std::size_t skus = 0;
    std::optional<Time> took;  // none: it has not ended
  };
  const std::vector<Moved>& moves() const { return moves_; }
  const std::string& broken() const { return broken_; }  // a promise of routers; empty: none is

 private:
  // One call of a customer or operator, until its answer is clear.
  struct Call {
    std::size_t region = 0;
    HttpCall http;
    Time until = 0;  // then its customer has gone
    std::function<void(const api::Response&)> done;
  };
  void call(std::shared_ptr<Call> call);
  void call_again(const std::shared_ptr<Call>& call);
  void verb(const Cart& cart, const char* what, OnShopDone done);
  RouterMachine* router_for(std::size_t region);  // one that lives, in turns; nullptr: none does
  void use(api::ShardMap map);
  void watch_move();
  bool has_to_move(const std::string& sku) const;

  Events& events_;
  const Scenario& scenario_;
  std::vector<Shard> shards_;
  api::ShardMap map_;
  std::unique_ptr<RouterCalls> calls_;
  std::deque<std::unique_ptr<RouterMachine>> routers_;
  api::JsonReader reader_;
  std::uint64_t turn_ = 0, commands_ = 0, spread_ = 0;
  std::vector<Moved> moves_;
  Time move_began_ = 0;
  OnCommand on_moved_;
  std::string broken_;
};

}  // namespace holdfast::sim
