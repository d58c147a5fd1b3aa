#pragma once
// The product itself, over HTTP through the real handlers, driver and engine. With `central_region`
// every customer asks the nodes of that region, wherever they are: one strongly consistent place.

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "sim/checks.h"
#include "sim/shop.h"
#include "sim/shop_decrees.h"

namespace holdfast::sim {

struct HoldfastShopOptions {
  std::int64_t wait_ms = 250;  // for rights from elsewhere; 0: a region sells what it has
  std::optional<std::size_t> central_region;
  std::vector<bool> opens_with;  // by SKU; empty: with all
};

// The problem's code, or its status if it has none.
std::string code_of(const api::Response& response);

class HoldfastShop final : public Shop {
 public:
  HoldfastShop(World& world, Checks& checks, const Scenario& scenario, HoldfastShopOptions options);

  absl::Status open(const OpeningStock& stock, Time limit) override;
  void reserve(const Cart& cart, OnShopAnswer done) override;
  void commit(const Cart& cart, OnShopDone done) override;
  void release(const Cart& cart, OnShopDone done) override;
  TrueStock stock(std::uint32_t sku) const override;
  std::vector<crdt::Units> rights_by_region() const override;
  Time lag(std::size_t region) const override;
  bool converged() const override;
  DiskLoss lost() const override;
  crdt::Units decreed() const override { return decrees_.may_cost(); }
  crdt::Product* product(const std::string& sku) const;  // in truth; nullptr: nobody knows it

  std::string words_of(const Cart& cart) const;  // in which a customer asks for it

  // An operator's POST at a node of the region that lives; false: there is none. `done` hears the
  // problem's code, or an empty text if all is well; or it never hears.
  using OnCommand = std::function<void(const std::string& code)>;
  bool post(std::size_t region, const std::string& target, const std::string& body, OnCommand done);
  // A node starts that did not run before; it takes customers once it says that it is ready.
  void join(std::size_t node);
  // It takes no customers from now on, and leaves. False: it does not run.
  bool drain(std::size_t node, Time wait, OnCommand done);
  ShopDecrees& decrees() { return decrees_; }
  // Told by whoever watches the machines: how far an origin's writes are durable.
  void on_durable(const Machine& machine);

 private:
  // An import's call, again while the node is too busy for it.
  void import(std::size_t region, std::size_t node, HttpCall call);
  // A node that takes the region's customers: one that lives, in turns. None: the region is down.
  std::optional<std::size_t> node_for(std::size_t region);
  void take_when_ready(std::size_t node);
  bool is_of_the_shop(const Machine& machine) const;  // it runs, or should
  struct Verb {
    std::uint32_t region = 0;
    std::size_t home = 0;  // the node that was asked for the hold
    std::string target;
    OnShopDone done;
    int attempts = 0;
    bool answered = false;
  };
  void verb(const Cart& cart, const char* what, OnShopDone done);
  void try_verb(const std::shared_ptr<Verb>& verb);
  bool opens_with(std::size_t sku) const {
    return options_.opens_with.empty() || options_.opens_with[sku];
  }
  bool is_a_node(crdt::ReplicaId replica) const;
  // Visits parts of rights; a replica's are their sum.
  template <typename Visit>
  void for_each_right(const Visit& visit) const;

  World& world_;
  Checks& checks_;
  const Scenario& scenario_;
  HoldfastShopOptions options_;
  ShopDecrees decrees_;
  std::set<std::size_t> aside_;  // nodes that take no customers: not yet, or no more
  std::uint64_t turn_ = 0, commands_ = 0;
  std::size_t imports_ = 0;  // open calls
  absl::Status import_status_;
  std::map<std::string, std::size_t> homes_;  // reservation → the node that was asked
  struct Written {
    std::vector<std::pair<crdt::Sequence, Time>> heads;
  };
  std::map<crdt::ReplicaId, Written> written_;
  std::map<crdt::ReplicaId, std::size_t> place_of_;  // of every replica that ever was
};

}  // namespace holdfast::sim
