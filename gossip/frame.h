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
  // The receiver's boots, as the sender has them in the receiver's member row: from which one on
  // the two histories part, should the receiver be a fork.
  std::vector<crdt::Boot> yours;
};
// What the sender has for its peer: rows, and how far it has come. One frame holds all of a turn
// that fits. News are counted on each link, and refer to what the News before said; one that is
// lost (a link fault drops it) is noticed by its number, and answered by Resume: the next News then
// begin anew, and refer to nothing before them. Numbers go on, so that what is still on its way,
// in either direction, cannot be taken for what came after. In bytes:
//
//     number  applied  flags:1  [names: list {id, boot}]  [has: list {name, sequence}]  piece*
//     flags = anew << 2 | has are given << 1 | names are given
//     piece = head  [from  after]  [upto  last:1]  count  rows
//     head  = name << 2 | its end is given << 1 | its beginning is given
//
// A name is the place of an origin among all `names` since News began (anew), and says which boot
// wrote the sender's head of it: so all that News tell is of one history (crdt/boots.h). An origin
// that is named again keeps its place, and has another boot from there on. A beginning that is not
// given is where the last piece of that origin ended; an end that is not given is that of the
// delta, and the sequence of the last row.
struct News {
  struct Name {
    ReplicaId origin;
    std::uint64_t boot = 0;  // 0: not known
    bool operator==(const Name&) const = default;
  };
  struct Has {
    std::uint32_t name = 0;
    Sequence sequence = 0;
    bool operator==(const Has&) const = default;
  };
  struct Part {
    std::uint32_t name = 0;
    bool begins = false, ends = false;  // given
    Sequence from = 0, after = 0, upto = 0;
    bool last = true;
    std::uint32_t count = 0;
    std::string rows;
    Sequence last_row = 0;  // of `rows`; not told
  };
  std::uint64_t number = 0;  // from 1
  bool anew = false;
  std::uint64_t applied = 0;  // every News of the peer's up to this has been applied, durably
  std::vector<Name> names;
  std::vector<Has> has;  // of origins of which the peer has sent rows in vain
  std::vector<Part> parts;
};
// A delta began above what the sender has, or News were lost: go on from here, with News anew.
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

using Frame = std::variant<Hello, Prove, Start, News, Resume, Heartbeat, Call, Answer>;

std::string encode(const Frame& frame);
absl::StatusOr<Frame> decode(std::string_view bytes);

}  // namespace holdfast::gossip
