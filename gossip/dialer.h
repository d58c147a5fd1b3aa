#pragma once
// Dialer: which addresses to dial, and when. Pure; the random numbers are the caller's.
//
// An address is dialled while no link to the replica behind it is up, with exponential, jittered
// delay from kFirst to kMost, so that a healed region is not stormed. Our own address, once it is
// known as such, is never dialled again.

#include <map>
#include <set>
#include <string>
#include <vector>

#include "crdt/ids.h"
#include "crdt/time.h"
#include "gossip/rng.h"

namespace holdfast::gossip {

class Dialer {
 public:
  static constexpr crdt::Millis kFirst{100};
  static constexpr crdt::Millis kMost{2000};
  static constexpr crdt::Millis kLasting{5000};

  void add(const std::string& address);
  void add(const std::string& address, crdt::ReplicaId replica);  // as its member row says
  // The replica that a dial of `address` reached, proved.
  void reached(const std::string& address, crdt::ReplicaId replica);
  // Its link worked for kLasting: the next failure is the first again. One that is refused right
  // after its handshake is not, or it would come back ten times a second for ever.
  void lasted(const std::string& address);
  // A dial came to nothing, or its link ended. The next is in (½ … 1) × min(kMost, kFirst × 2ⁿ), n
  // the failures before this one.
  void failed(const std::string& address, crdt::Instant now, Rng& rng);
  void never(const std::string& address);  // it is our own
  std::size_t never_reached() const;       // targets behind which no replica is known
  std::vector<crdt::ReplicaId> reached_once() const;  // who is, or was, behind the others
  // Everything may be dialled at once: a fault was lifted.
  void retry_now(crdt::Instant now);
  // Addresses to dial now; they count as being dialled until reached() or failed().
  std::vector<std::string> due(crdt::Instant now, const std::set<crdt::ReplicaId>& linked);
  // The earliest time at which due() may have something.
  crdt::Instant next(const std::set<crdt::ReplicaId>& linked) const;

 private:
  struct Target {
    crdt::ReplicaId replica;  // none: not known yet
    bool dialling = false;
    bool own = false;
    int failures = 0;
    crdt::Instant at{};
  };
  std::map<std::string, Target> targets_;
};

}  // namespace holdfast::gossip
