#include "gossip/dialer.h"

#include <algorithm>

namespace holdfast::gossip {

void Dialer::add(const std::string& address) { targets_[address].lasting = true; }

void Dialer::add(const std::string& address, crdt::ReplicaId replica) {
  Target& target = targets_[address];
  target.lasting = true;
  // What a dial reached stands: the rows of replicas that once had this address are of no weight.
  if (!target.own && !target.replica) target.replica = replica;
}

void Dialer::add_name(const std::string& name) { names_.try_emplace(name); }

bool Dialer::named(const std::string& address) const {
  return std::any_of(names_.begin(), names_.end(), [&](const auto& entry) {
    const auto& addresses = entry.second.addresses;
    return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
  });
}

void Dialer::resolved(const std::string& name, const std::vector<std::string>& addresses,
                      crdt::Instant now) {
  const auto at = names_.find(name);
  if (at == names_.end()) return;
  at->second.resolving = false;
  at->second.at = now + (addresses.empty() ? kResolveAgain : kResolveEvery);
  if (addresses.empty()) return;
  at->second.addresses = addresses;
  for (const std::string& address : addresses) targets_.try_emplace(address);
  std::erase_if(targets_, [&](const auto& entry) {
    return !entry.second.lasting && !entry.second.own && !named(entry.first);
  });
}

std::vector<std::string> Dialer::names_due(crdt::Instant now) {
  std::vector<std::string> due;
  for (auto& [text, name] : names_) {
    if (name.resolving || name.at > now) continue;
    name.resolving = true;
    due.push_back(text);
  }
  return due;
}

bool Dialer::reached_by(const Name& name) const {
  bool all_own = !name.addresses.empty();
  for (const std::string& address : name.addresses) {
    const Target& target = targets_.at(address);
    if (target.replica) return true;
    all_own = all_own && target.own;
  }
  return all_own;
}

std::size_t Dialer::never_reached() const {
  const auto targets = std::count_if(targets_.begin(), targets_.end(), [](const auto& entry) {
    return entry.second.lasting && !entry.second.own && !entry.second.replica;
  });
  const auto names = std::count_if(names_.begin(), names_.end(),
                                   [&](const auto& entry) { return !reached_by(entry.second); });
  return static_cast<std::size_t>(targets + names);
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
  for (auto& [text, name] : names_) name.at = std::min(name.at, now);
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
  for (const auto& [text, name] : names_)
    if (!name.resolving) next = std::min(next, name.at);
  return next;
}

}  // namespace holdfast::gossip
