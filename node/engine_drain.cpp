// A node that leaves in good order.

#include <algorithm>

#include "node/engine.h"

namespace holdfast::node {

using crdt::Now;

namespace {
// Its heir hears of it in one trip and one fsync. If not, half of a call's time is left to answer.
constexpr crdt::Millis kHeldBackFor{1000};
}  // namespace

bool Engine::is_live(ReplicaId peer) const {
  const crdt::Member* member =
      state_.member(peer);  // one that has just joined has told nothing yet
  return member != nullptr && !member->row.draining && mesh_.reachable(peer) &&
         !state_.retired(peer) && !state_.decreed(peer);
}

// In the member row: of two nodes that are to succeed one another each hears of it before it may
// leave, since it leaves only when its successor has all rows of its own.
void Engine::tell_whether_draining(bool draining) {
  crdt::MemberRow row = state_.member(state_.self())->row;
  if (row.draining == draining) return;
  row.draining = draining;
  state_.put_member(std::move(row));
  urgent_ = true;
}

// Its successor leaves, or has left: another one, if there is any.
void Engine::replace_successor(Now now) {
  if (!drain_.running() || drain_.has_left()) return;
  const ReplicaId successor = drain_.successor();
  const crdt::Member* member = state_.member(successor);
  if (!state_.retired(successor) && (member == nullptr || !member->row.draining)) return;
  auto another = successor_named("");
  if (const auto* replica = std::get_if<ReplicaId>(&another)) drain_.give_to(*replica, now.instant);
}

// Of this node's region; the nearest, if none is named.
std::variant<ReplicaId, Outcome> Engine::successor_named(const std::string& name) const {
  const auto near = [&](ReplicaId peer) {
    return is_live(peer) && state_.member(peer)->row.region == config_.mesh.region;
  };
  const std::vector<ReplicaId> peers = mesh_.reachable_peers();
  if (std::none_of(peers.begin(), peers.end(), near))
    return refused(Code::last_of_region,
                   "no other node of region '" + config_.mesh.region +
                       "' is live, so that nobody there could go on with what this one has. Start "
                       "another one first, or, to give the region up, retire this one: "
                       "POST /v1/replicas/{id}/retire at a node of another region");
  for (const ReplicaId peer : peers)
    if (near(peer) &&
        (name.empty() || state_.member(peer)->row.node == name || crdt::to_string(peer) == name))
      return peer;
  return refused(Code::successor_not_live, "'" + name + "' is not a live node of region '" +
                                               config_.mesh.region +
                                               "': name one that this node reaches, or none");
}

void Engine::on(Now now, const Caller& caller, StartDrain&& command) {
  if (drain_.running() && command.successor.empty())
    command.successor = crdt::to_string(drain_.successor());
  auto named = successor_named(command.successor);
  if (auto* refusal = std::get_if<Outcome>(&named)) return finish(caller, std::move(*refusal));
  const ReplicaId successor = std::get<ReplicaId>(named);
  if (drain_.running() && drain_.successor() != successor)
    return finish(caller,
                  refused(Code::drain_running, "it is being drained to '" +
                                                   state_.member(drain_.successor())->row.node +
                                                   "' already: cancel that first"));
  drain_.begin(successor, command.wait_seconds, now.instant);
  tell_whether_draining(true);
  wake(now.instant);
  on(now, caller, GetDrain{});
}

void Engine::on(Now now, const Caller& caller, StopDrain&&) {
  drain_.cancel();
  tell_whether_draining(false);
  on(now, caller, GetDrain{});
}

void Engine::on(Now now, const Caller& caller, GetDrain&&) {
  Outcome outcome;
  outcome.view = drain_.view(now.instant);
  finish(caller, std::move(outcome));
}

void Engine::on(Now now, const Caller& caller, Leave&&) {
  if (drain_.passes_on()) {
    drain_.left();
    urgent_ = true;
    decrees_.leave(drain_.successor(), times(now));
  }
  finish(caller, Outcome{});
}

// About reservations its heir is asked, as soon as that knows that it is.
bool Engine::pass_on(Now now, const Caller& caller, Command&& command) {
  if (!drain_.has_left() || state_.member(state_.self())->row.ended ||
      held_back_.size() >= kHeldBackMax)
    return false;
  return std::visit(
      [&]<typename C>(C&& asked) {
        if constexpr (std::constructible_from<ReservationCommand, C>) {
          held_back_.push_back({caller, std::forward<C>(asked), now.instant + kHeldBackFor});
          return true;
        }
        return false;
      },
      std::move(command));
}

void Engine::pass_on_held_back(Now now) {
  if (held_back_.empty()) return;
  const ReplicaId heir = state_.heir(state_.self());
  const bool knows = !state_.has_unsealed() && heir_has_all();
  if (knows || !mesh_.reachable(heir)) {
    for (HeldBack& held : std::exchange(held_back_, {}))
      forward(now, held.caller, heir, std::move(held.command));
    return;
  }
  // At a later tick. But it may seem to be reachable for long, and hear nothing.
  const auto still = std::find_if(held_back_.begin(), held_back_.end(),
                                  [&](const HeldBack& held) { return now.instant < held.until; });
  for (auto held = held_back_.begin(); held != still; ++held)
    finish(held->caller,
           refused(Code::home_unreachable,
                   "this node has left, and the one that goes on with what it had has not heard of "
                   "that yet; try again later"));
  held_back_.erase(held_back_.begin(), still);
}

}  // namespace holdfast::node
