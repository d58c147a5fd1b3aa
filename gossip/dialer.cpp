#include "gossip/dialer.h"

#include <algorithm>

namespace holdfast::gossip {

void Dialer::add(const std::string& address) { targets_.try_emplace(address); }

void Dialer::add(const std::string& address, crdt::ReplicaId replica) {
  Target& target = targets_[address];
  // What a dial reached stands: the rows of replicas that once had this address are of no weight.
  if (!target.own && !target.replica) target.replica = replica;
}

std::size_t Dialer::never_reached() const {
  return static_cast<std::size_t>(
      std::count_if(targets_.begin(), targets_.end(),
                    [](const auto& t) { return !t.second.own && !t.second.replica; }));
}

std::vector<crdt::ReplicaId> Dialer::reached_once() const {
  std::vector<crdt::ReplicaId> replicas;
  for (const auto& [address, target] : targets_)
    if (!target.own && target.replica) replicas.push_back(target.replica);
  return replicas;
}

void Dialer::reached(const std::string& address, crdt::ReplicaId replica) {
  const auto at = targets_.find(address);
  if (at == targets_.end()) return;
  at->second.replica = replica;
}

void Dialer::lasted(const std::string& address) {
  const auto at = targets_.find(address);
  if (at != targets_.end()) at->second.failures = 0;
}

void Dialer::failed(const std::string& address, crdt::Instant now, Rng& rng) {
  const auto at = targets_.find(address);
  if (at == targets_.end()) return;
  Target& target = at->second;
  target.dialling = false;
  const crdt::Millis most = std::min(kMost, kFirst * (1 << std::min(target.failures, 10)));
  target.failures = std::min(target.failures + 1, 10);
  target.at = now + most / 2 + crdt::Millis(rng.below(most.count() / 2 + 1));
}

void Dialer::never(const std::string& address) { targets_[address].own = true; }

void Dialer::retry_now(crdt::Instant now) {
  for (auto& [address, target] : targets_) {
    target.failures = 0;
    target.at = std::min(target.at, now);
  }
}

std::vector<std::string> Dialer::due(crdt::Instant now, const std::set<crdt::ReplicaId>& linked) {
  std::vector<std::string> addresses;
  for (auto& [address, target] : targets_) {
    if (target.own || target.dialling || target.at > now || linked.contains(target.replica))
      continue;
    target.dialling = true;
    addresses.push_back(address);
  }
  return addresses;
}

crdt::Instant Dialer::next(const std::set<crdt::ReplicaId>& linked) const {
  crdt::Instant next = crdt::Instant::max();
  for (const auto& [address, target] : targets_)
    if (!target.own && !target.dialling && !linked.contains(target.replica))
      next = std::min(next, target.at);
  return next;
}

}  // namespace holdfast::gossip
