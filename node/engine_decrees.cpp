// Commands about decrees.

#include "node/engine.h"

namespace holdfast::node {

using crdt::Now;

namespace {

// A node's name becomes the id of the replica that has it: the one that is not retired, if one is.
// An id, and what nobody has, stays. Several: refused, with their ids.
std::optional<Outcome> name_to_id(const crdt::State& state, std::string& target) {
  if (const auto id = crdt::parse_replica_id(target); id && state.member(*id) != nullptr)
    return std::nullopt;
  std::vector<ReplicaId> named, retired;
  for (const auto& [replica, member] : state.members())
    if (member->row.node == target) (state.retired(replica) ? retired : named).push_back(replica);
  if (named.empty()) named = std::move(retired);
  if (named.size() == 1) target = crdt::to_string(named.front());
  if (named.size() < 2) return std::nullopt;
  std::string ids;
  for (const ReplicaId id : named) ids += (ids.empty() ? "" : ", ") + crdt::to_string(id);
  return refused(Code::unknown_target,
                 "several replicas are named '" + target + "': name one by its id, of " + ids);
}

Outcome with_what_a_plan_is(Outcome&& outcome) {
  if (outcome.code == Code::plan_changed)
    outcome.detail +=
        "; the targets, the fraction, and whether it is a failover or a retirement, with which "
        "successor, are part of a plan";
  return std::move(outcome);
}

}  // namespace

void Engine::on(Now now, const Caller& caller, Failover&& command) {
  if (!command.region)
    if (auto refusal = name_to_id(state_, command.target))
      return finish(caller, *std::move(refusal));
  urgent_ = true;  // shares are passed on
  finish(caller, with_what_a_plan_is(decrees_.failover(command, times(now))));
}

void Engine::on(Now now, const Caller& caller, Retire&& command) {
  if (auto refusal = name_to_id(state_, command.replica))
    return finish(caller, *std::move(refusal));
  urgent_ = true;
  finish(caller, with_what_a_plan_is(decrees_.retire(command, times(now))));
}

void Engine::on(Now, const Caller& caller, ListFailovers&&) { finish(caller, decrees_.accounts()); }

}  // namespace holdfast::node
