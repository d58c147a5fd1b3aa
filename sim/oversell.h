#pragma once
// What is oversold beyond the allowance, against what dry runs of decrees said it could come to:
// SKU by SKU, after every write that is durable anywhere. Pure.

#include <map>
#include <string>

#include "crdt/state.h"

namespace holdfast::sim {

class OversellWatch {
 public:
  // A decree may cost so many more units of this SKU; negative: it was refused after all.
  void allow(const std::string& sku, crdt::Units units);
  // The SKU's stock, over all rows that there are, is this now.
  void look(const crdt::Product& product);

  crdt::Units allowed() const { return allowed_; }            // all SKUs
  crdt::Units beyond_allowance() const { return most_; }      // all SKUs, at its highest
  crdt::Units beyond_bound() const { return worst_excess_; }  // of one SKU, at its highest
  const std::string& worst_sku() const { return worst_sku_; }

 private:
  struct Sku {
    crdt::Units allowed = 0, beyond = 0;
  };
  std::map<std::string, Sku> skus_;  // those with either
  crdt::Units allowed_ = 0, beyond_ = 0, most_ = 0, worst_excess_ = 0;
  std::string worst_sku_;
};

}  // namespace holdfast::sim
