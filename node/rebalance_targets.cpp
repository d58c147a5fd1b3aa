#include "node/rebalance_targets.h"

#include <algorithm>
#include <cmath>

namespace holdfast::node {

using crdt::ReplicaId;
using crdt::Units;

namespace {

// A replica without demand keeps this part: its first customer finds something.
constexpr double kLeastPart = 0.01;
// Whoever has units keeps them, unless demand elsewhere is that many times its own.
constexpr double kWorthMoving = 1.5;
// A cart is kept for a replica while so many customers are expected there before all is sold.
constexpr double kWorthKeeping = 0.08;
// The busiest pulls before its second last customer: its next one comes soonest.
constexpr Units kBusiestCarts = 2;

}  // namespace

Targets::Targets(const Outlook& outlook, double exponent) {
  const auto add = [&](const Share& share) {
    total_ += share.rights;
    demand_ += share.demand;
    overall_ += share.overall;
    if (share.is_home) places_.push_back({.share = &share});
  };
  add(outlook.self);
  for (const Share& peer : outlook.peers) add(peer);
  weigh(outlook, exponent);
  set_carts(outlook);
  rank();
  if (cart_ > 0 && outlook.gather_below > 0) {
    share_by_cart();
  } else if (total_ <= outlook.gather_below) {
    gather();
  } else {
    share_by_weight();
  }
}

const Targets::Place& Targets::at(ReplicaId replica) const {
  const auto found = std::find_if(places_.begin(), places_.end(), [&](const Place& place) {
    return place.share->replica == replica;
  });
  static const Place none;
  return found == places_.end() ? none : *found;
}

void Targets::weigh(const Outlook& outlook, double exponent) {
  const double all = demand_ + outlook.prior;
  // Nobody has asked for it: how much one customer takes is not known, and nothing urges.
  const bool untouched =
      demand_ <= 0 && std::all_of(places_.begin(), places_.end(),
                                  [](auto& place) { return place.share->cart <= 0; });
  const double least = untouched ? 1 / static_cast<double>(places_.size()) : kLeastPart;
  for (Place& place : places_) {
    const double of_all = overall_ > 0 ? place.share->overall / overall_ : 0;
    place.part = all > 0 ? (place.share->demand + outlook.prior * of_all) / all : 0;
    place.weight = std::pow(place.part + least, exponent);
  }
}

// Where few have asked, what customers take elsewhere counts more.
void Targets::set_carts(const Outlook& outlook) {
  constexpr double kFaded = 1e-6;  // what was asked for long ago counts if nothing newer is known
  double weights = 0;
  for (const Place& place : places_) {
    if (place.share->cart <= 0) continue;
    cart_ += (place.share->demand + kFaded) * place.share->cart;
    weights += place.share->demand + kFaded;
  }
  if (weights <= 0) return;
  cart_ /= weights;
  for (Place& place : places_) {
    const double known = place.share->cart > 0 ? place.share->demand : 0,
                 all = known + outlook.prior;
    const double cart = all > 0 ? (known * place.share->cart + outlook.prior * cart_) / all : cart_;
    place.cart = std::max<Units>(1, std::llround(cart));
  }
}

// By demand, and where there is little between them by what they have: so nothing moves for a
// small difference, and what has moved stays.
void Targets::rank() {
  Units most = 0;
  for (const Place& place : places_) most = std::max(most, place.share->rights);
  const auto key = [&](const Place& place) {
    const Units rights = place.share->rights;
    const bool has = rights > 0 && (rights == most || (place.cart > 0 && rights >= place.cart));
    return (place.part + kLeastPart) * (has ? kWorthMoving : 1);
  };
  std::sort(places_.begin(), places_.end(), [&](const Place& a, const Place& b) {
    const double ka = key(a), kb = key(b);
    if (ka != kb) return ka > kb;
    if (a.share->rights != b.share->rights) return a.share->rights > b.share->rights;
    return a.share->replica < b.share->replica;
  });
}

void Targets::share_by_weight() {
  double weights = 0;
  for (const Place& place : places_) weights += place.weight;
  for (Place& place : places_) {
    place.target = static_cast<Units>(static_cast<double>(total_) * place.weight / weights);
    place.enough = (place.target + 1) / 2;
  }
}

void Targets::gather() { places_.front().target = places_.front().enough = total_; }

// A cart for each of which a customer can be expected, the busiest first, as far as there is
// enough; what is left by weight. The others have nothing.
void Targets::share_by_cart() {
  Units left = total_;
  double weights = 0;
  std::size_t count = 0;
  const double carts = static_cast<double>(total_) / cart_;
  for (Place& place : places_) {
    if (count > 0 && (place.cart > left || (place.part + kLeastPart) * carts < kWorthKeeping))
      break;
    ++count;
    place.target = std::min(place.cart, left);
    left -= place.target;
    weights += place.weight;
  }
  const Units rest = left;
  for (std::size_t i = 0; i < count; ++i) {
    Place& place = places_[i];
    const auto more = static_cast<Units>(static_cast<double>(rest) * place.weight / weights);
    place.target += more;
    left -= more;
  }
  places_.front().target += left;
  for (std::size_t i = 0; i < count; ++i) {
    Place& place = places_[i];
    const Units least = i == 0 ? kBusiestCarts * place.cart : place.cart;
    place.enough = std::max((place.target + 1) / 2, std::min(place.target, least));
  }
}

}  // namespace holdfast::node
