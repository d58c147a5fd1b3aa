#pragma once
// Frames: what two nodes say to each other on a link, and their bytes.
//
//     frame = kind:1  checksum:8 (XXH3 of kind and body, little endian)  body
//
// Bodies are the fields below in their order, through crdt/archive.h. A frame that is not exactly
// what this code would have written is refused (kInvalidArgument, saying why), before anything that
// it claims is allocated. Order on a link: Hello, Prove, Start from each side, then anything else.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/delta.h"
#include "crdt/rows.h"
#include "gossip/transport.h"

namespace holdfast::gossip {

using crdt::ReplicaId;
using crdt::Sequence;

struct Hello {
  std::uint32_t wire_version = crdt::kWireVersion;
  std::string cluster;
  ReplicaId replica;
  std::uint64_t boot = 0;  // this process's own, see crdt::Boot
  std::string region, node, gossip_address;
  std::string nonce;  // 32 bytes, new for this link
};
// Shows that the sender knows the cluster's secret: HMAC-SHA256 over its role and both Hellos.
struct Prove {
  std::string mac;
};
// How far the sender has come, durably. From here on it may be sent what it lacks.
struct Start {
  std::vector<crdt::VectorEntry> vector;
};
struct PieceFrame {
  crdt::Piece piece;
};
// What the sender has applied durably since its last Ack: increments, of any origin.
struct Ack {
  std::vector<crdt::VectorEntry> vector;
};
// A delta began above what the sender has (or a piece was lost): go on from here.
struct Resume {
  std::vector<crdt::VectorEntry> vector;
};
struct Heartbeat {
  std::uint64_t number = 0;   // counts up on this link
  std::uint64_t echo = 0;     // the last number that came from the other side
  Sequence sequence = 0;      // the sender's own durable head
  std::int64_t wall_ms = 0;   // the sender's wall clock
  std::uint32_t held_ms = 0;  // how long `echo` has waited for this heartbeat
};
// A request to the node itself (a forwarded verb, rights, a question about an id), and its answer.
struct Call {
  std::uint64_t id = 0;
  std::string body;
};
struct Answer {
  std::uint64_t id = 0;
  std::string body;
};

using Frame = std::variant<Hello, Prove, Start, PieceFrame, Ack, Resume, Heartbeat, Call, Answer>;

std::string encode(const Frame& frame);
absl::StatusOr<Frame> decode(std::string_view bytes);

}  // namespace holdfast::gossip
