#pragma once
// CatchUp: whether a node that has just started may say that it is ready. Pure.
//
// Not before all is here that the peers which it reaches had when their links began: a node that
// does not know the catalogue yet answers "unknown SKU" where every other one would sell. Who
// reaches nobody for kAlone is ready with what it has, as in any partition; so is the first node of
// a cluster. Once ready, it stays so.

#include "crdt/time.h"

namespace holdfast::node {

class CatchUp {
 public:
  static constexpr crdt::Millis kAlone{3'000};
  // What peers say they have may be void by the time that it is told: nothing waits for ever.
  static constexpr crdt::Millis kAtMost{600'000};

  // `expects`: there are peers, by the configuration or by the rows that are here.
  void start(crdt::Instant now, bool expects) {
    started_ = alone_since_ = now;
    over_ = !expects;
  }
  // `linked`: some peer has told what it has. `whole`: and all of that is here.
  void tick(crdt::Instant now, bool linked, bool whole) {
    if (over_) return;
    if (linked) alone_since_ = now;
    over_ = (linked && whole) || now - alone_since_ >= kAlone || now - started_ >= kAtMost;
  }
  bool over() const { return over_; }

 private:
  crdt::Instant started_{}, alone_since_{};
  bool over_ = false;
};

}  // namespace holdfast::node
