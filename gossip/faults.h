#pragma once
// Faults on links, for drills: frames to and from a region or a node are dropped, lost by chance,
// or delayed, on this node and in memory only.

#include <cstdint>
#include <map>
#include <string>

#include "crdt/time.h"

namespace holdfast::gossip {

struct LinkFault {
  bool drop = false;
  crdt::Millis delay{0};
  double loss = 0;  // 0 … 1, of frames
};

class Faults {
 public:
  void set(const std::string& target, LinkFault fault) { by_target_[target] = fault; }
  bool clear(const std::string& target) { return by_target_.erase(target) > 0; }
  const std::map<std::string, LinkFault>& all() const { return by_target_; }
  // What applies to a peer: the node's own fault before its region's.
  LinkFault on(const std::string& region, const std::string& node) const {
    if (const auto at = by_target_.find(node); at != by_target_.end()) return at->second;
    if (const auto at = by_target_.find(region); at != by_target_.end()) return at->second;
    return {};
  }

 private:
  std::map<std::string, LinkFault> by_target_;
};

}  // namespace holdfast::gossip
