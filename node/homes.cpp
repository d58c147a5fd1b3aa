#include "node/homes.h"

#include <algorithm>
#include <utility>

#include "node/rendezvous.h"

namespace holdfast::node {

using crdt::ReplicaId;

namespace {

struct Best {
  double score = 0;
  ReplicaId replica;
  void consider(std::string_view sku, ReplicaId candidate, std::uint32_t weight) {
    const double its = rendezvous_score(sku, candidate.value, weight);
    if (its > score || (its == score && its > 0 && candidate < replica)) {
      score = its;
      replica = candidate;
    }
  }
};

void gather(Share& home, const std::vector<Share*>& region) {
  for (Share* share : region) {
    if (share == &home) continue;
    home.demand += std::exchange(share->demand, 0);
    home.overall += std::exchange(share->overall, 0);
    home.cart = std::max(home.cart, std::exchange(share->cart, 0));
    share->is_home = false;
  }
}

}  // namespace

ReplicaId home_of(std::string_view sku, const std::vector<Seat>& seats) {
  Best best;
  for (const Seat& seat : seats) best.consider(sku, seat.replica, seat.weight);
  return best.replica;
}

void gather_at_homes(std::string_view sku, Outlook& outlook) {
  std::vector<Share*> shares{&outlook.self};
  for (Share& peer : outlook.peers) shares.push_back(&peer);
  std::stable_sort(shares.begin(), shares.end(),
                   [](const Share* a, const Share* b) { return a->region < b->region; });
  for (auto first = shares.begin(); first != shares.end();) {
    const auto end = std::find_if(
        first, shares.end(), [&](const Share* share) { return share->region != (*first)->region; });
    const std::vector<Share*> region(first, end);
    first = end;
    if (region.size() == 1) continue;
    Best best;
    for (const Share* share : region)
      if (share->reachable) best.consider(sku, share->replica, share->weight);
    for (Share* share : region)
      if (share->replica == best.replica) gather(*share, region);
  }
}

}  // namespace holdfast::node
