#pragma once
// How far a replica has come in every origin's feed. V[o] ≥ n means: has the effect of o's write n.

#include <algorithm>

#include "absl/container/btree_map.h"
#include "crdt/ids.h"

namespace holdfast::crdt {

class VersionVector {
 public:
  Sequence operator[](ReplicaId origin) const {
    const auto at = entries_.find(origin);
    return at == entries_.end() ? 0 : at->second;
  }
  // Never goes back.
  void raise(ReplicaId origin, Sequence sequence) {
    if (sequence == 0) return;
    Sequence& entry = entries_[origin];
    entry = std::max(entry, sequence);
  }
  // For an origin whose rows were forgotten (State::drop_origin).
  void drop(ReplicaId origin) { entries_.erase(origin); }
  void join(const VersionVector& other) {
    for (const auto& [origin, sequence] : other.entries_) raise(origin, sequence);
  }
  bool covers(const VersionVector& other) const {
    return std::all_of(other.entries_.begin(), other.entries_.end(),
                       [&](const auto& entry) { return (*this)[entry.first] >= entry.second; });
  }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  std::size_t size() const { return entries_.size(); }
  bool operator==(const VersionVector&) const = default;

 private:
  absl::btree_map<ReplicaId, Sequence> entries_;
};

}  // namespace holdfast::crdt
