#pragma once
// Mesh: a node's links to its peers, as a pure state machine:
//
//     (network event | tick | cut, now) → effects
//
// It decides whom to dial (Dialer), greets and authenticates (Session), sends each peer what it
// lacks, stages what peers send, watches who answers (heartbeats with echo), carries calls, and
// applies link faults. It owns no socket, clock or random source; the state that it reads is the
// engine's.
//
// Order contract: everything in Effects is released only when the batch in which it was made is
// durable. So no row leaves, and nothing is acknowledged, before it is on disk.

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "crdt/delta.h"
#include "crdt/state.h"
#include "crdt/time.h"
#include "gossip/dialer.h"
#include "gossip/faults.h"
#include "gossip/frame.h"
#include "gossip/rng.h"
#include "gossip/session.h"
#include "gossip/transport.h"

namespace holdfast::gossip {

// What the mesh tells the engine.
struct DeltaIn {
  LinkId link = 0;
  ReplicaId peer;
  crdt::Delta delta;  // to be merged, then reported by merged() or rejected by reject()
};
struct CallIn {
  ReplicaId peer;
  LinkId link = 0;
  std::uint64_t id = 0;
  std::string body;
};
struct AnswerIn {
  std::uint64_t id = 0;
  std::string body;
};
// Calls that will not be answered: their link ended or carries nothing, or it has been too long.
struct CallsLost {
  std::vector<std::uint64_t> ids;
};
// A peer has rows of this replica that it never wrote, or wrote otherwise: its directory was rolled
// back or cloned.
struct Forked {
  std::string detail;
  std::vector<crdt::Boot> theirs;  // boots of this replica that the peer has
};
using MeshEvent = std::variant<DeltaIn, CallIn, AnswerIn, CallsLost, Forked>;

struct Note {  // for the log
  bool warning = false;
  std::string text;
};

struct MeshEffects {
  std::vector<std::string> dial;
  std::vector<std::string> resolve;
  std::vector<std::pair<LinkId, FrameBytes>> send;
  std::vector<std::pair<LinkId, std::string>> close;
  std::vector<Note> notes;
  bool empty() const {
    return dial.empty() && resolve.empty() && send.empty() && close.empty() && notes.empty();
  }
};

struct MeshStats {
  std::uint64_t frames_received = 0, frames_sent = 0, bytes_received = 0, bytes_sent = 0;
  std::uint64_t malformed_frames = 0;
};

struct PeerView {
  bool connected = false;
  bool reachable = false;
  std::int64_t last_heard_ms = -1;  // ago
  std::int64_t rtt_ms = -1;
  std::int64_t as_of = 0;     // wall ms up to which its writes are here; 0: unknown
  Sequence acknowledged = 0;  // of this replica's rows
};

class Mesh {
 public:
  Mesh(MeshConfig config, std::uint64_t seed);

  // Each appends to `events` what the engine must act on.
  void on_event(crdt::Now now, NetEvent&& event, const crdt::State& state,
                std::vector<MeshEvent>& events);
  void tick(crdt::Now now, const crdt::State& state, std::vector<MeshEvent>& events);
  // The delta of a DeltaIn has been merged; or was refused, with the reason.
  void merged(LinkId link, ReplicaId origin, Sequence to);
  void reject(LinkId link, const std::string& reason);
  // The delta continues, or repeats, its origin's history that is here.
  bool belongs(const crdt::Delta& delta, const crdt::State& state) const;
  // State::drop_origin was called: it is taken anew, and sent anew, on every link.
  void forget(ReplicaId origin, const crdt::State& state);

  // At the end of a turn, with nothing unsealed: adds what peers lack, and acknowledgements.
  // `urgent`: own rows are not held back to be coalesced (a grant is among them).
  void cut(crdt::Now now, const crdt::State& state, bool urgent);
  MeshEffects take_effects() { return std::exchange(effects_, {}); }
  bool has_effects() const { return !effects_.empty(); }
  // When tick() or cut() next has something to do; at most one heartbeat ahead.
  crdt::Instant wake_at() const { return wake_at_; }

  // Of each origin, all rows that are here are on the disk of some peer that is not retired, by its
  // own word: a retired one may be about to end, too, and tell nobody.
  bool passed_on_all(const crdt::State& state) const;
  Sequence acknowledged_by(ReplicaId peer) const;  // 0: nothing, or it is not linked
  // Some peer that answers has rows of `origin` that are not here.
  bool lacks(ReplicaId origin, const crdt::State& state) const;
  // Some peer that was reached has told nothing about itself yet; or one with a link has rows of a
  // replica of which nothing is here yet, or has not said what it has.
  bool unheard_of(const crdt::State& state) const;
  // Some peer has said what it has.
  bool told_anything() const;
  // All is here that peers with a link had when it began.
  bool has_what_was_told(const crdt::State& state) const;
  bool reachable(ReplicaId peer) const;
  std::vector<ReplicaId> reachable_peers() const;  // nearest first
  // Configured or announced addresses behind which no replica has ever answered.
  std::size_t never_reached() const { return dialer_.never_reached(); }
  PeerView view(crdt::Now now, ReplicaId peer) const;
  // 0: not sent, the peer is not reachable. Else AnswerIn or CallsLost follows, the latter at once
  // when the link ends or carries nothing, at the latest after MeshConfig::call_limit: callers that
  // wait for a person keep a shorter deadline of their own.
  std::uint64_t call(ReplicaId peer, std::string body);
  void answer(LinkId link, std::uint64_t id, std::string body);

  // A fault names a region or a node; it lives in memory only.
  void set_fault(crdt::Now now, const std::string& target, LinkFault fault);
  bool clear_fault(crdt::Now now, const std::string& target);
  const std::map<std::string, LinkFault>& faults() const { return faults_.all(); }

  const MeshStats& stats() const { return stats_; }
  const MeshConfig& config() const { return config_; }

 private:
  Session* session(LinkId link);
  Session* established(ReplicaId peer);
  const Session* established(ReplicaId peer) const;
  void on_link_up(crdt::Now now, LinkUp&& up);
  void on_link_down(crdt::Now now, const LinkDown& down, std::vector<MeshEvent>& events);
  void on_frame(crdt::Now now, LinkId link, std::string_view bytes, const crdt::State& state,
                std::vector<MeshEvent>& events);
  void act(crdt::Now now, Session& session, Frame&& frame, const crdt::State& state,
           std::vector<MeshEvent>& events);
  bool admit(Session& session, const crdt::State& state, std::vector<MeshEvent>& events);
  void start(Session& session, const crdt::State& state);
  bool learn(const std::vector<crdt::VectorEntry>& vector, const std::vector<crdt::Boot>& own_boots,
             Session& session, const crdt::State& state, std::vector<MeshEvent>& events);
  void judge(Session& session, const crdt::VectorEntry& entry, const crdt::State& state);
  void stage(Session& session, crdt::Piece&& piece, const crdt::State& state,
             std::vector<MeshEvent>& events);
  void beat(crdt::Now now, Session& session, const crdt::State& state);
  void cut_for(crdt::Now now, Session& session, const crdt::State& state, bool urgent);
  void send(Session& session, const Frame& frame);
  void send_bytes(Session& session, FrameBytes bytes);
  void drop(Session& session, const std::string& reason, bool warning);
  void lose_calls(LinkId link, std::vector<MeshEvent>& events);
  void forget_old_calls(crdt::Now now, std::vector<MeshEvent>& events);
  void hold_back(Session& session, crdt::Instant due, bool inbound, FrameBytes bytes);
  void release_delayed(crdt::Now now, const crdt::State& state, std::vector<MeshEvent>& events);
  void wake(crdt::Instant at) { wake_at_ = std::min(wake_at_, at); }
  const crdt::Piece& piece(const crdt::State& state, ReplicaId origin, Sequence from,
                           Sequence after);
  void hear(crdt::Now now, Session& session, News&& news, const crdt::State& state,
            std::vector<MeshEvent>& events);
  void ask_to_resume(crdt::Now now, Session& session, const crdt::State& state);
  void tell_at_once(Session& session, ReplicaId origin);
  void tell(crdt::Now now, Session& session, const crdt::State& state);
  void send_news(Session& session);

  MeshConfig config_;
  Rng rng_;
  Dialer dialer_;
  Faults faults_;
  std::map<LinkId, std::unique_ptr<Session>> sessions_;
  struct CallOut {
    LinkId link = 0;
    crdt::Instant at{};
  };
  std::map<std::uint64_t, CallOut> calls_;  // in flight, by number: the oldest first
  std::uint64_t last_call_ = 0;
  // Kept beyond a link's end: how old a lost region's figures are matters most then.
  std::map<ReplicaId, std::int64_t> as_of_;  // wall ms
  std::map<ReplicaId, crdt::Instant> last_heard_;
  std::set<std::pair<ReplicaId, ReplicaId>> foreign_noted_;  // (peer, origin)
  crdt::VersionVector stated_;  // the most that Starts of peers that are not retired have named
  MeshEffects effects_;
  MeshStats stats_;
  crdt::Instant wake_at_{};
  crdt::Now now_{};
  std::uint64_t moves_ = 0;        // counts what peers may have to be told of, see tell()
  std::deque<crdt::Piece> cache_;  // cut in this turn, for peers that stand alike
};

}  // namespace holdfast::gossip
