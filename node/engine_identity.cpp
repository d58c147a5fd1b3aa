// Whether this is the latest of its replica; and what a replica that was a fork does about the one
// that it was.

#include <algorithm>

#include "crdt/boots.h"
#include "node/engine.h"

namespace holdfast::node {

using crdt::Millis;
using crdt::Now;

namespace {

// How long a former fork looks whether the one that it was a copy of lives. A peer's links to all
// others stand well before that.
constexpr Millis kLookForOriginal{5'000};
constexpr Millis kLookEvery{500};

}  // namespace

void Engine::note_fork(const std::string& detail, std::vector<crdt::Boot> boots) {
  if (fatal_) return;
  forked_ = std::move(boots);
  if (forked_.empty()) forked_ = {state_.boots(state_.self()).back()};
  fatal_ = "this data directory is not the latest of its replica: " + detail +
           ". Going on could sell units twice. Was it copied or rolled back by hand? Start it once "
           "more: "
           "it becomes a new replica, and what it acknowledged since is kept under that name. (A "
           "copy is "
           "best brought back with `holdfast restore`.)";
}

// Rows of void boots: their origin is taken anew, from 0, from those who have the other history.
void Engine::drop_void_rows() {
  std::vector<ReplicaId> origins;
  for (const auto& [replica, member] : state_.members())
    if (state_.any_voided(member->row.boots)) origins.push_back(replica);
  for (const ReplicaId origin : origins) {
    if (origin == state_.self()) {
      const auto& boots = state_.boots(origin);
      const auto first = std::find_if(boots.begin(), boots.end(), [&](const crdt::Boot& boot) {
        return state_.voided(boot.nonce);
      });
      note_fork("another copy of it has become a replica of its own", {first, boots.end()});
      continue;
    }
    const std::string node = state_.member(origin)->row.node;
    const bool ended = state_.member(origin)->row.ended;
    taken_anew_[origin] = copies_.shared_keys(origin);
    state_.drop_origin(origin);
    purge_.forget(origin);
    // What this batch had to say of it so far is void, too.
    std::erase_if(dropped_, [&](const JournalDrop& drop) { return drop.origin == origin; });
    merged_[origin] = {.origin = origin, .anew = true};
    moved_since_member_ = true;
    mesh_.forget(origin, state_);
    decrees_.merged_decree();
    decrees_.rights_changed();  // grants of the fork are gone
    notes_.push_back({true, "the rows of replica " + crdt::to_string(origin) + " (" + node +
                                ") that are here were written by a fork of it; they are taken "
                                "anew from those who have the others"});
    if (ended)  // by a copy of a directory in use; the original was found out after it
      notes_.push_back({true,
                        "the process that wrote them was retired and has ended. Start it once "
                        "more, with the data directory that it had: what it acknowledged is "
                        "written again under another name. Without it that is lost"});
  }
}

// The rows of that origin that stand are here again; what was done because of others is taken back.
void Engine::look_for_what_is_gone(ReplicaId origin) {
  if (state_.head(origin) == 0 || state_.awaits(origin)) return;
  const auto anew = taken_anew_.extract(origin);
  if (anew.empty()) return;
  estate_.came_anew(origin, times_);
  for (const std::string& key : anew.mapped()) copies_.reconsider_key(key, times_);
}

void Engine::drop_covered_boots(crdt::MemberRow& row) const {
  crdt::Sequence covered = 0;
  bool any = false;
  for (const auto& [replica, member] : state_.members()) {
    if (replica == state_.self() || state_.retired(replica)) continue;
    crdt::Sequence has = 0;
    for (const crdt::VectorEntry& entry : member->row.acknowledged)
      if (entry.origin == state_.self()) has = entry.sequence;
    covered = any ? std::min(covered, has) : has;
    any = true;
  }
  crdt::drop_covered(row.boots, covered);
}

// A peer that has taken this process's first write has compared histories before.
void Engine::look_for_confirmation() {
  if (confirmed_by_all_) return;
  for (const ReplicaId peer : mesh_.reachable_peers())
    if (mesh_.acknowledged_by(peer) >= boot_sequence_) confirmed_by_.insert(peer);
  bool all = !confirmed_by_.empty();
  for (const auto& [replica, member] : state_.members())
    all = all &&
          (replica == state_.self() || state_.retired(replica) || confirmed_by_.contains(replica));
  confirmed_by_all_ = all;
}

// Each is told of once.
void Engine::look_for_namesakes() {
  for (const auto& [replica, member] : state_.members()) {
    if (member->row.node != config_.mesh.node || replica == state_.self() ||
        state_.retired(replica) || !mesh_.reachable(replica))
      continue;
    if (!namesakes_.insert(replica).second) continue;
    notes_.push_back({true, "replica " + crdt::to_string(replica) + " at " +
                                member->row.gossip_address + " in region " + member->row.region +
                                " has this node's name, " + config_.mesh.node +
                                ": node.name must be unique in the cluster, or what names a node "
                                "(grants, faults, successors) may mean the other; rename one"});
  }
}

// What it was a copy of; or what one was a copy of whose heir it is, unless that one lived beside
// its copy.
ReplicaId Engine::former_self() const {
  const crdt::Member* own = state_.member(state_.self());
  if (own != nullptr && own->row.forked_from && !state_.retired(own->row.forked_from))
    return own->row.forked_from;
  if (state_.retired().empty()) return {};
  for (const auto& [replica, member] : state_.members()) {
    const ReplicaId former = member->row.forked_from;
    if (!former || state_.retired(former) || state_.heir(replica) != state_.self()) continue;
    const crdt::Member* original = state_.member(former);
    const auto knew = [&](const crdt::VectorEntry& entry) { return entry.origin == replica; };
    if (original != nullptr &&
        std::any_of(original->row.acknowledged.begin(), original->row.acknowledged.end(), knew))
      continue;
    return former;
  }
  return {};
}

// The replica that this one was a fork of is retired, with this one as its successor, once all its
// rows are here that any peer has; unless it lives: then this was a copy of a directory in use, and
// the original goes on beside it.
void Engine::retire_former_self(Now now) {
  const ReplicaId former = former_self();
  if (former != former_self_) former_self_due_.reset();
  former_self_ = former;
  if (!former) return;
  const bool lives = mesh_.reachable(former);
  const bool ready = lives || (!mesh_.reachable_peers().empty() && !mesh_.lacks(former, state_) &&
                               state_.member(former) != nullptr);
  if (!ready || lives != former_self_lives_) former_self_due_.reset();
  former_self_lives_ = lives;
  if (!ready) return wake(now.instant + kLookEvery);
  if (!former_self_due_) former_self_due_ = now.instant + kLookForOriginal;
  if (now.instant < *former_self_due_)
    return wake(std::min(*former_self_due_, now.instant + kLookEvery));
  if (lives) {  // said once, until it is gone
    former_self_due_ = crdt::Instant::max();
    notes_.push_back({true, "replica " + crdt::to_string(former) +
                                ", of which this one was a copy, or one whose heir it is, is in "
                                "use: it goes on beside this one"});
    return wake(now.instant + kLookEvery);
  }
  const Outcome outcome = decrees_.retire(
      {.replica = crdt::to_string(former), .successor = crdt::to_string(state_.self())}, times_);
  urgent_ = true;
  notes_.push_back({true, "replica " + crdt::to_string(former) +
                              ", of which this one was a fork, or one whose heir it is, " +
                              (outcome.succeeded() ? "is retired; this one is its successor"
                                                   : "cannot be retired: " + outcome.detail)});
  if (!outcome.succeeded()) former_self_due_ = now.instant + 10 * kLookForOriginal;
}

}  // namespace holdfast::node
