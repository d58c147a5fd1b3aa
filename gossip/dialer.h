#pragma once
// Dialer: which addresses to dial, and when. Pure; the random numbers are the caller's.
//
// An address is dialled while no link to the replica behind it is up, with exponential, jittered
// delay from kFirst to kMost, so that a healed region is not stormed. Our own address, once it is
// known as such, is never dialled again.
//
// A name stands for any number of peers, this node among them, and for others later (a headless
// service of Kubernetes). It is never dialled itself: it is resolved, again and again, also while
// all is well, since two halves of a cluster that know nothing of each other are both well; and
// each of its addresses is dialled as long as the name has it.

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
  static constexpr crdt::Millis kResolveEvery{5000};
  static constexpr crdt::Millis kResolveAgain{1000};  // what could not be resolved

  void add(const std::string& address);
  void add(const std::string& address, crdt::ReplicaId replica);  // as its member row says
  void add_name(const std::string& name);
  // None: it could not be resolved, and what it had stays.
  void resolved(const std::string& name, const std::vector<std::string>& addresses,
                crdt::Instant now);
  // Names to resolve now; they count as being resolved until resolved().
  std::vector<std::string> names_due(crdt::Instant now);
  // The replica that a dial of `address` reached, proved.
  void reached(const std::string& address, crdt::ReplicaId replica);
  // Its link worked for kLasting: the next failure is the first again. One that is refused right
  // after its handshake is not, or it would come back ten times a second for ever.
  void lasted(const std::string& address);
  // A dial came to nothing, or its link ended. The next is in (½ … 1) × min(kMost, kFirst × 2ⁿ), n
  // the failures before this one.
  void failed(const std::string& address, crdt::Instant now, Rng& rng);
  void never(const std::string& address);  // it is our own
  // Targets behind which no replica is known; a name counts as one, until one of its addresses has
  // reached somebody or all are our own.
  std::size_t never_reached() const;
  std::vector<crdt::ReplicaId> reached_once() const;  // who is, or was, behind the others
  // Everything may be dialled at once: a fault was lifted.
  void retry_now(crdt::Instant now);
  // Addresses to dial now; they count as being dialled until reached() or failed().
  std::vector<std::string> due(crdt::Instant now, const std::set<crdt::ReplicaId>& linked);
  // The earliest time at which due() or names_due() may have something.
  crdt::Instant next(const std::set<crdt::ReplicaId>& linked) const;

 private:
  struct Target {
    crdt::ReplicaId replica;  // none: not known yet
    bool dialling = false;
    bool own = false;
    bool lasting = false;  // else it goes when no name has it any more
    int failures = 0;
    crdt::Instant at{};
  };
  struct Name {
    std::vector<std::string> addresses;
    bool resolving = false;
    crdt::Instant at{};
  };
  bool named(const std::string& address) const;
  bool reached_by(const Name& name) const;

  std::map<std::string, Target> targets_;
  std::map<std::string, Name> names_;
};

}  // namespace holdfast::gossip
