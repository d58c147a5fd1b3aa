#include "gossip/frame.h"

#include "crdt/archive.h"
#include "crdt/codec.h"
#include "crdt/digest.h"
#include "crdt/fields.h"

namespace holdfast::gossip {

template <typename A>
void serialize(A& ar, Hello& f) {
  ar(f.wire_version, f.cluster, f.replica, f.boot, f.region, f.node, f.gossip_address, f.nonce);
}
template <typename A>
void serialize(A& ar, Prove& f) {
  ar(f.mac);
}
template <typename A>
void serialize(A& ar, Start& f) {
  ar(f.vector, f.yours);
}
template <typename A>
void serialize(A& ar, Resume& f) {
  ar(f.vector);
}
template <typename A>
void serialize(A& ar, Heartbeat& f) {
  ar(f.number, f.echo, f.sequence, f.wall_ms, f.held_ms);
}
template <typename A>
void serialize(A& ar, Call& f) {
  ar(f.id, f.body);
}
template <typename A>
void serialize(A& ar, Answer& f) {
  ar(f.id, f.body);
}

template <typename A>
void serialize(A& ar, News::Name& f) {
  ar(f.origin, f.boot);
}
template <typename A>
void serialize(A& ar, News::Has& f) {
  ar(f.name, f.sequence);
}
// One for each replica at most, before anything is read of a list that claims more; and at least
// one, or the list would not be there.
template <typename T>
void take_few(crdt::BoundedIn& ar, std::vector<T>& list) {
  const std::size_t size = ar.count();
  if (size == 0) throw crdt::Malformed("an empty part of news");
  if (size > crdt::kOriginsMax) throw crdt::Malformed("news of too many replicas");
  list.resize(size);
  for (T& item : list) ar(item);
}
void save(crdt::CompactOut& ar, const News& f) {
  ar.varint(f.number);
  ar.varint(f.applied);
  ar(static_cast<std::uint8_t>((f.names.empty() ? 0 : 1) | (f.has.empty() ? 0 : 2) |
                               (f.anew ? 4 : 0)));
  if (!f.names.empty()) ar(f.names);
  if (!f.has.empty()) ar(f.has);
  for (const News::Part& part : f.parts) {
    ar.varint(std::uint64_t{part.name} << 2 | (part.ends ? 2 : 0) | (part.begins ? 1 : 0));
    if (part.begins) ar(part.from, part.after);
    if (part.ends) ar(part.upto, part.last);
    ar.varint(part.count);
    ar.bytes(part.rows);
  }
}
void load(crdt::BoundedIn& ar, News& f) {
  std::uint8_t flags = 0;
  ar(f.number, f.applied, flags);
  if (flags > 7) throw crdt::Malformed("unknown part of news");
  f.anew = (flags & 4) != 0;
  if ((flags & 1) != 0) take_few(ar, f.names);
  if ((flags & 2) != 0) take_few(ar, f.has);
  while (!ar.left().empty()) {
    if (f.parts.size() == crdt::kOriginsMax) throw crdt::Malformed("news of too many replicas");
    News::Part& part = f.parts.emplace_back();
    const std::uint64_t head = ar.varint();
    if (head >> 2 >= crdt::kOriginsMax) throw crdt::Malformed("a name of no replica");
    part.name = static_cast<std::uint32_t>(head >> 2);
    part.begins = (head & 1) != 0;
    part.ends = (head & 2) != 0;
    if (part.begins) ar(part.from, part.after);
    if (part.ends) ar(part.upto, part.last);
    part.count = static_cast<std::uint32_t>(ar.count());
    if (part.count == 0 && !part.ends) throw crdt::Malformed("a piece without an end");
    part.rows.assign(crdt::take_rows(ar, part.count, part.last_row));
  }
}

namespace {

constexpr std::size_t kHeader = 9;

std::uint64_t checksum(std::string_view frame) {
  return crdt::digest(frame.substr(kHeader), static_cast<unsigned char>(frame.front()));
}

void put_checksum(std::string& frame) {
  const std::uint64_t sum = checksum(frame);
  for (int i = 0; i < 8; ++i) frame[1 + i] = static_cast<char>(sum >> (8 * i));
}

bool checksum_fits(std::string_view frame) {
  std::uint64_t sum = 0;
  for (int i = 0; i < 8; ++i)
    sum |= static_cast<std::uint64_t>(static_cast<unsigned char>(frame[1 + i])) << (8 * i);
  return sum == checksum(frame);
}

// Vectors are in order of origin, so that equal ones have equal bytes and none is named twice.
void require_ordered(const std::vector<crdt::VectorEntry>& vector) {
  for (std::size_t i = 1; i < vector.size(); ++i)
    if (!(vector[i - 1].origin < vector[i].origin)) throw crdt::Malformed("vector out of order");
  if (vector.size() > crdt::kOriginsMax) throw crdt::Malformed("vector of too many replicas");
}

template <typename T>
Frame take(crdt::BoundedIn& in) {
  T frame;
  in(frame);
  in.expect_end();
  if constexpr (requires { frame.vector; }) require_ordered(frame.vector);
  return frame;
}

template <std::size_t I = 0>
Frame take_kind(std::size_t kind, crdt::BoundedIn& in) {
  if constexpr (I < std::variant_size_v<Frame>) {
    if (kind == I) return take<std::variant_alternative_t<I, Frame>>(in);
    return take_kind<I + 1>(kind, in);
  } else {
    throw crdt::Malformed("unknown kind of frame");
  }
}

}  // namespace

std::string encode(const Frame& frame) {
  std::string bytes(kHeader, '\0');
  bytes[0] = static_cast<char>(frame.index());
  crdt::CompactOut out(bytes);
  std::visit([&](const auto& body) { out(body); }, frame);
  out.flush();
  put_checksum(bytes);
  return bytes;
}

absl::StatusOr<Frame> decode(std::string_view bytes) {
  if (bytes.size() < kHeader) return absl::InvalidArgumentError("a frame shorter than its header");
  if (bytes.size() > kFrameBytesMax) return absl::InvalidArgumentError("a frame that is too long");
  if (!checksum_fits(bytes)) return absl::InvalidArgumentError("a frame whose checksum is wrong");
  try {
    crdt::BoundedIn in(bytes.substr(kHeader));
    return take_kind(static_cast<unsigned char>(bytes.front()), in);
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(std::string("malformed frame: ") + error.what());
  }
}

}  // namespace holdfast::gossip
