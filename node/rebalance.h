#pragma once
// Which rights should be where, ahead of demand: policies as pure functions, chosen by name in the
// configuration ([rebalance] policy), compared by the simulator.
//
//   static        rights stay where they arrived, also when a customer waits
//   on-demand     they move when a customer waits, and only as many as are lacking
//   proportional  they move towards where they sell, before they are lacking (the default)
//   square-root   likewise, but by the root of demand: what a few customers more or less ask for
//                 goes with the root, so small places keep more than their part, and large ones
//                 fetch it when they need it
//
// Proportional. A replica's target is its part of all rights, by demand. Of a SKU that few have
// asked for that says little: the fewer, the more counts the replica's part of the demand for all
// SKUs (as if `prior` units a second had been asked for in those proportions). Before that, what
// one customer takes is set aside for each replica at which one is expected before all is sold, the
// busiest first; where there is not enough for that, nothing stays: a cart finds units where they
// are together. While nobody knows what a customer takes, the last `gather_below` are gathered.
//
// It pulls when it has less than half of its target, or than is set aside for it, from those that
// have more than theirs, and nobody gives what brings them below their own target. So after a pull
// both are at or above the mark at which they would pull themselves, and two nodes never trade the
// same units back and forth while demand stays.

#include <string>
#include <string_view>
#include <vector>

#include "crdt/ids.h"

namespace holdfast::node {

// What one replica has of one SKU, as it looks from here.
struct Share {
  crdt::ReplicaId replica;
  crdt::Units rights = 0;  // ≥ 0
  double demand = 0;       // units a second that customers ask for there, ≥ 0
  double overall = 0;      // the same of all SKUs
  double cart = 0;         // units that one of them asks for, rather many than few; 0: not known
  bool reachable = true;
  std::string_view region;
  std::uint32_t weight = 0;  // among the nodes of its region; 0: it takes no rights
  bool is_home = true;       // of the SKU in its region (homes.h); else it should have no rights
};
struct Outlook {
  Share self;
  std::vector<Share> peers;  // ascending by replica
  double prior = 0;          // units a second
  crdt::Units gather_below = 0;
};
struct Pull {
  crdt::ReplicaId from;
  crdt::Units units = 0;
  bool operator==(const Pull&) const = default;
};

class RebalancePolicy {
 public:
  virtual ~RebalancePolicy() = default;
  virtual std::string_view name() const = 0;
  // Whether peers are asked, and given to, when a customer waits for rights.
  virtual bool moves_for_customers() const = 0;
  // Whether anything is to be gained from looking at SKUs that nobody waits for.
  virtual bool moves_ahead() const = 0;
  // How many units this replica should have.
  virtual crdt::Units target(const Outlook& outlook) const = 0;
  // With fewer than these it pulls, if others have more than they should. At most its target.
  virtual crdt::Units enough(const Outlook& outlook) const = 0;
  // What to ask for now, ahead of demand. Never of one that cannot be reached.
  virtual std::vector<Pull> pulls(const Outlook& outlook) const = 0;
  // The most that may be given to a peer that asks ahead of demand.
  virtual crdt::Units spare(const Outlook& outlook, crdt::ReplicaId to) const = 0;
};

// nullptr: there is none of that name. Lives as long as the program.
const RebalancePolicy* find_policy(std::string_view name);
const std::vector<std::string>& policy_names();

}  // namespace holdfast::node
