#pragma once
// PnCounter: a count that every replica may raise and lower without asking: two sums that only
// grow.
//
// State, per origin: `up` and `down`, written by that origin alone and never falling. The value is
// Σ up − Σ down; merging takes, per origin, the later (hence larger) pair. Joining is commutative,
// associative and idempotent, and no update is lost or counted twice. There is no lower bound: two
// replicas that each see one unit may both take it. What must not go below zero is a
// BoundedCounter.
//
// The pairs live in the rows of their origins; this keeps their sum, so that reading costs O(1) and
// replacing one origin's pair O(1).
//
// Paper  Shapiro et al. 2011, "A comprehensive study of Convergent and Commutative Replicated Data
//        Types", INRIA RR-7506, specification 7.

#include "crdt/check.h"
#include "crdt/ids.h"

namespace holdfast::crdt {

struct PnPair {
  Units up = 0;
  Units down = 0;
};

class PnCounter {
 public:
  Units value() const { return value_; }
  // One origin's pair has grown from `before` to `after`. Checked: neither half falls.
  void grow(PnPair before, PnPair after) {
    HOLDFAST_CHECK(after.up >= before.up && after.down >= before.down);
    value_ += (after.up - before.up) - (after.down - before.down);
  }
  // One origin's pair is no longer part of it.
  void leave(PnPair pair) { value_ -= pair.up - pair.down; }

 private:
  Units value_ = 0;
};

}  // namespace holdfast::crdt
