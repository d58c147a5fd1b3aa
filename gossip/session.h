#pragma once
// Session: one link's conversation, as plain state and small pure steps; mesh.h drives it.
//
//     greeting ──Hello──▶ proving ──Prove──▶ established
//         └──────────────────┴──────────────────┴──▶ closing ──▶ (link ends)
//
// Closing: this side has asked for the link's end; what still comes on it is not looked at.
// Both sides send Hello at once. Each then sends Prove: HMAC(secret, role, dialler's Hello,
// acceptor's Hello). The role keeps one side's proof from being reflected; the nonces in the Hellos
// make it new. No cursor outlives its session: a new one starts at what the receiver states.

#include <deque>
#include <optional>
#include <set>
#include <string>

#include "absl/container/btree_map.h"
#include "crdt/delta.h"
#include "gossip/frame.h"
#include "gossip/liveness.h"
#include "gossip/news.h"
#include "gossip/transport.h"

namespace holdfast::gossip {

struct MeshConfig {
  ReplicaId self;
  std::uint64_t boot = 0;
  std::string region, node, gossip_address;
  std::string cluster, secret;
  std::vector<std::string> peers;
  std::vector<std::string> names;  // host:port that stand for several peers, see dialer.h
  crdt::Millis heartbeat{500};
  crdt::Millis suspect_after{2500};
  crdt::Millis push{5};             // own rows are coalesced this long
  crdt::Millis relay_after{500};    // others' rows go to a peer that has lacked them this long
  crdt::Millis handshake{5000};     // a link that has not proved itself by then is closed
  crdt::Millis silence{12000};      // an established link without a frame this long is closed
  crdt::Millis rewind_after{5000};  // sent, not acknowledged, and nothing moves: send again
  crdt::Millis call_limit{60000};   // a call that is not answered by then is lost
  std::size_t piece_bytes = 256 << 10;
  std::size_t window_bytes = 1 << 20;  // on a link, unwritten: what a slow peer costs
};

// How far a peer has one origin's rows.
struct Cursor {
  Sequence known = 0;    // acknowledged, or the peer showed that it has them
  Sequence sent = 0;     // sent on this link; ≥ known while nothing is lost
  Sequence from = 0;     // where the delta that is being sent began
  Sequence begun = 0;    // the head here when it did
  bool open = false;     // between the first and the last piece of a delta
  Sequence lacking = 0;  // the head here at `lacking_since`; the peer has been below it since
  crdt::Instant lacking_since{};
  // The last rows of it that were relayed were not there yet: the peer gets them through here, and
  // the next ones at once.
  bool feeds = false;
  bool writing = false;           // pieces of it are with the transport
  crdt::Instant last_progress{};  // a piece was given away or written, or acknowledged
};

class Session {
 public:
  enum class Phase { greeting, proving, established, closing };

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
  Hello peer;
  Liveness liveness;
  bool was_reachable = false;
  std::optional<crdt::Instant> first_reachable;
  bool started = false;         // the peer's Start has come
  std::size_t outstanding = 0;  // bytes given to the transport and not yet written
  absl::btree_map<ReplicaId, Cursor> cursors;
  // Where the peer said that it stands, and those origins of which it has another history than this
  // node: nothing of theirs is merged or sent on this link (crdt/boots.h).
  absl::btree_map<ReplicaId, crdt::VectorEntry> stated;
  std::set<ReplicaId> foreign;
  crdt::Staging staging;
  NewsOut news_out;
  NewsIn news_in;
  std::optional<crdt::Instant> last_resume;
  bool news_owed = false;  // rows or a Resume came since the last News of ours
  // Origins of which the peer need not relay rows to this node, and how far it has been told that
  // they are here: those that have a link to this node themselves (unless it is this node that
  // relays them to the peer), and those of which it has relayed rows in vain. It is told every half
  // relay_after; at once after rows in vain.
  absl::btree_map<ReplicaId, Sequence> told;
  bool tell_now = false;
  std::uint64_t moves_told = 0;  // of Mesh::moves_
  // When it was last looked at what the peer lacks, and how far all was then; nothing comes of
  // another look before something has happened: on the link (look), here, or with time.
  bool look = true;
  crdt::Instant looked{}, look_at = crdt::Instant::max();
  Sequence own_looked = 0;
  std::uint64_t moves_looked = 0;
  std::set<ReplicaId> fed;  // origins whose rows it relays to this node, not in vain
  crdt::Instant last_told{};
  crdt::Instant last_start{};
  // Heartbeats whose sequence has not been reached here yet: (sequence, the peer's wall ms).
  std::deque<std::pair<Sequence, std::int64_t>> marks;
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
