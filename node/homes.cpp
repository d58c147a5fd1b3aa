#include "node/homes.h"

#include <algorithm>
#include <utility>

namespace holdfast::node {

namespace {

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
    std::vector<Seat> seats;
    for (const Share* share : region)
      if (share->reachable) seats.push_back({share->replica, share->weight});
    const crdt::ReplicaId home = home_of(sku, seats);
    for (Share* share : region)
      if (share->replica == home) gather(*share, region);
  }
}

}  // namespace holdfast::node
