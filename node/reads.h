#pragma once
// Reads: views over the state for answers. Pure; they change nothing.

#include "crdt/state.h"
#include "gossip/mesh.h"
#include "node/command.h"
#include "node/ledger.h"

namespace holdfast::node {

struct Readers {
  const crdt::State& state;
  const Ledger& ledger;
  const gossip::Mesh& mesh;
  crdt::Now now;
  std::int64_t life_ms = 0;        // this replica's own clock, at `now`
  const char* own_state = "live";  // or "starting", "stopping"
};

Outcome read_sku(const Readers& from, const GetSku& command);
Outcome list_skus(const Readers& from, const ListSkus& command);
Outcome read_stock(const Readers& from, const GetStock& command);
Outcome read_availability(const Readers& from, const GetAvailability& command);
// A hold as it is seen here. Held elsewhere and past its deadline: expired, and not final.
Outcome read_hold(const Readers& from, const crdt::Hold& hold, Code code);
// In the order of (home, making). Looks at a bounded number of reservations: a page may be short,
// even empty, and still name a next one. With all copies the parts of `held` that their lines name
// add up, per SKU, to that of read_stock.
Outcome list_reservations(const Readers& from, const ListReservations& command);
Outcome read_cluster(const Readers& from);
// Replicas other than this one that are members, and not retired.
std::vector<ReplicaId> other_members(const crdt::State& state);
// The replica that a region, a node's name or a replica id stands for: a reachable one before
// others, then the lowest id. None: unknown, or this node itself.
std::optional<ReplicaId> resolve(const Readers& from, const std::string& name);
// Such a name that stands for retired replicas alone.
bool names_retired(const crdt::State& state, const std::string& name);

}  // namespace holdfast::node
