#pragma once
// Judges what routers left behind, when all is mended, all times to live are over and sweeps have
// been: the nodes' own rows against what customers were told.
//
//   held-too-long          a hold that nobody ended is held by nobody
//   half-sold              of a cart all that was to be sold is sold, or nothing
//   sold-and-not-told      nothing of a cart is sold whose commit was refused, or never asked for
//   told-and-not-sold      what a customer was told is sold is sold, once, but for what came back
//   part-without-a-record  no part is sold whose cart's record does not name it
//   acknowledged-and-unknown  a cart that was told is there
//   stock-unlike-account   of each SKU, over all shards, what is on hand is what was received, less
//                          what was sold; none of it is held, and all of it is there to be sold
//                          (for contested carts this alone: RouterCalls::contested)
//   not-moved              of a SKU nothing is left outside its shard, and nothing is on the way
//   answer-unlike-rows     routers show carts and stock as the rows have them

#include "sim/routed_shoppers.h"

namespace holdfast::sim {

class RoutedAudit {
 public:
  RoutedAudit(RoutedWorld& world, RoutedShoppers& shoppers) : world_(world), shoppers_(shoppers) {}
  // Requires: the nodes of each shard agree.
  void run();
  std::string not_moved() const;  // the first SKU of which it is so; empty: none

 private:
  struct Whole {  // a cart
    bool there = false;
    UnitsBySku held, sold;  // over its record and the parts that this names
  };

  void read_shard(std::size_t shard);
  void check_parts();
  void check_cart(const CartAccount& account);
  void check_sold(const CartAccount& account, const Whole& whole);
  void check_stock(const std::string& sku);
  void check_answers(const CartAccount& account);
  Whole whole_of(const std::string& cart) const;
  std::optional<node::Outcome> ask_router(const node::Command& command);

  RoutedWorld& world_;
  RoutedShoppers& shoppers_;
  std::map<std::string, node::ReservationView> rows_;  // by id
  UnitsBySku sold_;                                    // over all rows
};

}  // namespace holdfast::sim
