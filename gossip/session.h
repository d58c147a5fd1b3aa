#pragma once
// Session: one link's conversation, as plain state and small pure steps; mesh.h drives it.
//
//     greeting ──Hello──▶ proving ──Prove──▶ established ──▶ (link ends)
//
// Both sides send Hello at once. Each then sends Prove: HMAC(secret, role, dialler's Hello, acceptor's
// Hello). The role keeps one side's proof from being reflected; the nonces in the Hellos make it new.
// No cursor outlives its session: a new one starts from the vector that the receiver states.

#include <deque>
#include <string>

#include "absl/container/btree_map.h"
#include "crdt/delta.h"
#include "gossip/frame.h"
#include "gossip/liveness.h"
#include "gossip/transport.h"

namespace holdfast::gossip {

struct MeshConfig {
  ReplicaId self;
  std::uint64_t boot = 0;
  std::string region, node, gossip_address;
  std::string cluster, secret;
  std::vector<std::string> peers;
  crdt::Millis heartbeat{500};
  crdt::Millis suspect_after{2500};
  crdt::Millis push{5};           // own rows are coalesced this long
  crdt::Millis relay_after{500};  // others' rows go to a peer that has lacked them this long
  crdt::Millis handshake{5000};   // a link that has not proved itself by then is closed
  crdt::Millis silence{12000};    // an established link without a frame this long is closed
  crdt::Millis rewind_after{5000};  // sent, not acknowledged, and nothing moves: send again
  std::size_t piece_bytes = 256 << 10;
  std::size_t window_bytes = 1 << 20;  // queued on a link and not yet written: a slow peer costs this
};

// How far a peer has one origin's rows.
struct Cursor {
  Sequence known = 0;  // acknowledged, or the peer showed that it has them
  Sequence sent = 0;   // sent on this link; ≥ known while nothing is lost
  Sequence from = 0;   // where the delta that is being sent began
  bool open = false;   // between the first and the last piece of a delta
  bool lacking = false;
  crdt::Instant lacking_since{};
};

class Session {
 public:
  enum class Phase { greeting, proving, established };

  Session(LinkUp&& up, crdt::Instant now, const MeshConfig& config);

  const Hello& own_hello() const { return own_hello_; }
  // The peer's greeting. Error: why the link must end.
  absl::Status greet(Hello&& hello);
  Prove proof(const MeshConfig& config) const;
  bool proves(const Prove& prove, const MeshConfig& config) const;

  ReplicaId replica() const { return peer.replica; }
  bool established() const { return phase == Phase::established; }

  LinkId link;
  bool dialled;
  std::string address;  // as dialled
  Phase phase = Phase::greeting;
  crdt::Instant opened;
  crdt::Instant last_frame;
  crdt::Instant last_beat{};
  crdt::Instant last_push{};
  crdt::Instant last_progress{};
  Hello peer;
  Liveness liveness;
  bool was_reachable = false;
  bool started = false;       // the peer's Start has come
  std::size_t outstanding = 0;  // bytes given to the transport and not yet written
  absl::btree_map<ReplicaId, Cursor> cursors;
  crdt::VersionVector acknowledged;  // what this side has told the peer that it has
  crdt::Staging staging;
  bool resume_owed = false;
  // Heartbeats whose sequence has not been reached here yet: (sequence, the peer's wall ms).
  std::deque<std::pair<Sequence, std::int64_t>> marks;
  std::int64_t as_of = 0;
  // Frames under a delay fault, in order: (due, inbound, bytes).
  struct Delayed {
    crdt::Instant due;
    bool inbound = false;
    FrameBytes bytes;
  };
  std::deque<Delayed> delayed;

 private:
  std::string signed_text(bool by_dialler) const;
  std::string cluster_;
  Hello own_hello_;
};

}  // namespace holdfast::gossip
