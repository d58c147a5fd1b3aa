#pragma once
// Targets: how many units of one SKU each replica should have, as the policies by demand
// (rebalance.h) see it. Pure. Cost O(n log n) for n replicas.

#include <vector>

#include "node/rebalance.h"

namespace holdfast::node {

class Targets {
 public:
  // `exponent`: of demand. 1: in proportion; 0.5: by its root.
  Targets(const Outlook& outlook, double exponent);
  // In units; those of all replicas of the outlook are at most all rights. 0: it is no home.
  crdt::Units of(crdt::ReplicaId replica) const { return at(replica).target; }
  // Fewer than these, and it should pull. At most its target.
  crdt::Units enough(crdt::ReplicaId replica) const { return at(replica).enough; }

 private:
  struct Place {
    const Share* share = nullptr;
    double part = 0;       // of the demand
    double weight = 0;     // of what is left when all carts are set aside
    crdt::Units cart = 0;  // what is set aside for its next customer
    crdt::Units target = 0, enough = 0;
  };
  const Place& at(crdt::ReplicaId replica) const;
  void weigh(const Outlook& outlook, double exponent);
  void set_carts(const Outlook& outlook);
  void rank();
  void share_by_weight();
  void gather();
  void share_by_cart();

  std::vector<Place> places_;
  crdt::Units total_ = 0;
  double demand_ = 0, overall_ = 0;
  double cart_ = 0;  // what one customer takes; 0: not known
};

}  // namespace holdfast::node
