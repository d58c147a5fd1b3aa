#pragma once
// DurabilityWaits: answers to reservations that were asked to be on other nodes' disks as well.
// Pure.
//
// An answer waits until a node of this region, or of another one, has acknowledged this replica's
// rows up to the one that is shown. Acknowledgements are sent after the peer's fsync. At the limit,
// or at once if there is no such node at all, it is answered `accepted`, with what was reached: the
// reservation stands all the same. Waits live in memory: a crash forgets them, as it does every
// answer that has not left.
//
// Cost  O(log waits) each.

#include <map>
#include <set>
#include <vector>

#include "crdt/time.h"
#include "crdt/version_vector.h"
#include "node/command.h"

namespace holdfast::node {

class DurabilityWaits {
 public:
  explicit DurabilityWaits(crdt::Millis limit) : limit_(limit) {}

  // How far others have this replica's rows: the most by any node of this region, and of any other.
  struct Reach {
    crdt::Sequence in_region = 0, elsewhere = 0;
    bool region_has_others = false, other_regions = false;
  };
  // `sequence`: of the row that the outcome shows; 0: the next seal stamps it.
  // Requires: a level above `node`; the outcome shows a reservation; a new token.
  void wait(std::uint64_t token, Durability level, crdt::Sequence sequence, Outcome&& outcome);
  void sealed(crdt::Sequence head);  // all that waits for its number has one up to this
  void tick(crdt::Instant now, const Reach& reach);

  struct Done {
    std::uint64_t token = 0;
    Outcome outcome;
  };
  std::vector<Done> take_done() { return std::exchange(done_, {}); }
  bool empty() const { return waits_.empty(); }
  crdt::Instant wake_at() const;
  std::uint64_t missed() const { return missed_; }

 private:
  struct Wait {
    Durability level = Durability::region;
    crdt::Sequence sequence = 0;
    Outcome outcome;
    crdt::Instant until{};
  };
  using BySequence = std::set<std::pair<crdt::Sequence, std::uint64_t>>;
  BySequence& stamped(Durability level) { return level == Durability::region ? region_ : remote_; }
  void serve(Durability level, crdt::Sequence reached);
  void miss(std::uint64_t token, const Reach& reach);
  void end(std::uint64_t token, Durability reached);

  crdt::Millis limit_;
  std::map<std::uint64_t, Wait> waits_;  // by token
  BySequence region_, remote_;           // those with a sequence: (it, token)
  std::vector<std::uint64_t> fresh_;     // since the last tick: their time begins with it
  std::vector<std::uint64_t> unsealed_;
  std::set<std::pair<crdt::Instant, std::uint64_t>> deadlines_;
  std::vector<Done> done_;
  std::uint64_t missed_ = 0;
};

}  // namespace holdfast::node
