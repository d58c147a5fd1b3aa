#pragma once
// Faults on links, for drills: frames to and from a region or a node are dropped, lost by chance,
// or delayed, on this node and in memory only.

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "crdt/time.h"

namespace holdfast::gossip {

struct LinkFault {
  bool drop = false;
  crdt::Millis delay{0};
  double loss = 0;  // 0 … 1, of frames
};

class Faults {
 public:
  Faults(std::string own_region, std::string own_node)
      : own_region_(std::move(own_region)), own_node_(std::move(own_node)) {}
  void set(const std::string& target, LinkFault fault) { by_target_[target] = fault; }
  bool clear(const std::string& target) { return by_target_.erase(target) > 0; }
  const std::map<std::string, LinkFault>& all() const { return by_target_; }
  // What applies to the link to a peer: the peer's own fault before its region's. This node's name
  // stands for all of its links, its region's for those that leave the region: so a region is cut
  // off by asking its nodes as well as by asking the others.
  LinkFault on(const std::string& region, const std::string& node) const {
    if (by_target_.empty()) return {};
    for (const std::string* name : {&node, &own_node_})
      if (const auto at = by_target_.find(*name); at != by_target_.end()) return at->second;
    if (region == own_region_) return {};
    for (const std::string* name : {&region, &std::as_const(own_region_)})
      if (const auto at = by_target_.find(*name); at != by_target_.end()) return at->second;
    return {};
  }

 private:
  std::string own_region_, own_node_;
  std::map<std::string, LinkFault> by_target_;
};

}  // namespace holdfast::gossip
