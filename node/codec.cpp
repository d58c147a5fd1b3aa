#include "node/codec.h"

#include "crdt/archive.h"
#include "crdt/digest.h"
#include "crdt/fields.h"

namespace holdfast::node {

using crdt::BoundedIn;
using crdt::CompactOut;
using crdt::Malformed;

template <typename A>
void serialize(A& ar, JournalPart& p) {
  ar(p.origin, p.anew, p.upto, p.rows);
}
template <typename A>
void serialize(A& ar, JournalDrop& d) {
  ar(d.origin, d.floor, d.holds);
}
void save(CompactOut& ar, const JournalValue& v) {
  ar(v.self, v.life_ms, v.parts);
  if (!v.drops.empty()) ar(v.drops);
}
void load(BoundedIn& ar, JournalValue& v) {
  ar(v.self, v.life_ms, v.parts);
  if (ar.left().empty()) return;
  ar(v.drops);
  if (v.drops.empty()) throw Malformed("drops of nothing");
}
template <typename A>
void serialize(A& ar, Meta& m) {
  ar(m.self, m.batch, m.life_ms, m.rows, m.vector);
}
template <typename A>
void serialize(A& ar, Line& l) {
  ar(l.sku, l.quantity);
}
template <typename A>
void serialize(A& ar, IdempotencyKey& k) {
  ar(k.scope, k.text);
}
// A level of durability, at the end of what it is about; none is that of a node.
void put_level(CompactOut& ar, Durability level) {
  if (level != Durability::node) ar(static_cast<std::uint8_t>(level));
}
Durability take_level(BoundedIn& ar) {
  if (ar.left().empty()) return Durability::node;
  std::uint8_t level = 0;
  ar(level);
  if (level == 0 || level > static_cast<std::uint8_t>(Durability::remote))
    throw Malformed("unknown durability");
  return static_cast<Durability>(level);
}
void save(CompactOut& ar, const Reserve& c) {
  ar(c.id, c.lines, c.ttl_seconds, c.wait_ms, c.partial, c.metadata);
  put_level(ar, c.durability);
}
void load(BoundedIn& ar, Reserve& c) {
  ar(c.id, c.lines, c.ttl_seconds, c.wait_ms, c.partial, c.metadata);
  c.durability = take_level(ar);
}
void save(CompactOut& ar, const Commit& c) {
  ar(c.id, c.lines.has_value());
  if (c.lines) ar(*c.lines);
}
void load(BoundedIn& ar, Commit& c) {
  bool some = false;
  ar(c.id, some);
  if (some) ar(c.lines.emplace());
}
template <typename A>
void serialize(A& ar, Release& c) {
  ar(c.id);
}
template <typename A>
void serialize(A& ar, Extend& c) {
  ar(c.id, c.ttl_seconds);
}
template <typename A>
void serialize(A& ar, Return& c) {
  ar(c.id, c.lines, c.key);
}
template <typename A>
void serialize(A& ar, GetReservation& c) {
  ar(c.id);
}
template <typename A>
void serialize(A& ar, Find& f) {
  ar(f.id);
}
template <typename A>
void serialize(A& ar, AskRights& a) {
  ar(a.sku, a.need, a.ahead, a.granted_seen);
}
template <typename A>
void serialize(A& ar, Found& f) {
  ar(f.known, f.home);
}
template <typename A>
void serialize(A& ar, Granted& g) {
  ar(g.given, g.total);
}
template <typename A>
void serialize(A& ar, StockChange& s) {
  ar(s.sku, s.delta, s.on_hand, s.available, s.local_available, s.allowance, s.to);
}
template <typename A>
void serialize(A& ar, Shortage& s) {
  ar(s.sku, s.requested, s.available);
}

namespace {

template <typename A>
void fields(A& ar, ReservationView& v) {
  ar(v.id, v.final, v.home, v.home_node, v.home_region, v.created_at, v.expires_at, v.ended_at,
     v.metadata);
}

enum class ViewKind : std::uint8_t { none = 0, stock_change = 1, reservation = 2, place = 3 };
constexpr unsigned kReachedShift = 4;

void put_reservation(CompactOut& ar, const ReservationView& view) {
  fields(ar, const_cast<ReservationView&>(view));
  // One byte for both: answers that were kept before `reached` was there read as Durability::node.
  ar(static_cast<std::uint8_t>(static_cast<unsigned>(view.state) |
                               static_cast<unsigned>(view.reached) << kReachedShift));
  ar.varint(view.lines.size());
  for (const crdt::HoldLine& line : view.lines) ar(line);
}

std::unique_ptr<ReservationView> take_reservation(BoundedIn& ar) {
  auto view = std::make_unique<ReservationView>();
  fields(ar, *view);
  std::uint8_t both = 0;
  ar(both);
  const unsigned state = both & ((1u << kReachedShift) - 1), reached = both >> kReachedShift;
  if (state > static_cast<unsigned>(crdt::HoldState::expired)) throw Malformed("unknown state");
  if (reached > static_cast<unsigned>(Durability::remote)) throw Malformed("unknown durability");
  view->state = static_cast<crdt::HoldState>(state);
  view->reached = static_cast<Durability>(reached);
  view->lines.resize(ar.count(/*smallest=*/6));
  for (crdt::HoldLine& line : view->lines) ar(line);
  return view;
}

void put_outcome(CompactOut& ar, const Outcome& outcome) {
  ar(static_cast<std::uint8_t>(outcome.code), outcome.detail, outcome.shortages);
  if (const auto* change = std::get_if<StockChange>(&outcome.view)) {
    ar(static_cast<std::uint8_t>(ViewKind::stock_change), *change);
  } else if (const auto* view = std::get_if<std::unique_ptr<ReservationView>>(&outcome.view)) {
    ar(static_cast<std::uint8_t>(ViewKind::reservation));
    put_reservation(ar, **view);
  } else if (const auto* place = std::get_if<Place>(&outcome.view)) {
    ar(static_cast<std::uint8_t>(ViewKind::place), place->skus, place->shard, place->url);
  } else {
    ar(static_cast<std::uint8_t>(ViewKind::none));
  }
}

Outcome take_outcome(BoundedIn& ar) {
  Outcome outcome;
  std::uint8_t code = 0, kind = 0;
  ar(code, outcome.detail, outcome.shortages, kind);
  if (code > static_cast<std::uint8_t>(Code::moved)) throw Malformed("unknown code");
  outcome.code = static_cast<Code>(code);
  switch (static_cast<ViewKind>(kind)) {
    case ViewKind::none:
      break;
    case ViewKind::stock_change: {
      StockChange change;
      ar(change);
      outcome.view = std::move(change);
      break;
    }
    case ViewKind::reservation:
      outcome.view = take_reservation(ar);
      break;
    case ViewKind::place: {
      Place place;
      ar(place.skus, place.shard, place.url);
      outcome.view = std::move(place);
      break;
    }
    default:
      throw Malformed("unknown kind of view");
  }
  return outcome;
}

template <typename Read>
auto guarded(const char* what, Read&& read) -> absl::StatusOr<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(std::string("malformed ") + what + ": " + error.what());
  }
}

template <typename T>
std::string written(const T& value) {
  std::string bytes;
  CompactOut{bytes}(value);
  return bytes;
}

template <typename T>
absl::StatusOr<T> whole(const char* what, std::string_view bytes) {
  return guarded(what, [&] {
    BoundedIn in(bytes);
    T value;
    in(value);
    in.expect_end();
    return value;
  });
}

// A variant: its index, then the alternative.
template <typename V>
void put_variant(CompactOut& ar, const V& value) {
  ar.varint(value.index());
  std::visit([&](const auto& alternative) { ar(alternative); }, value);
}
template <typename V, std::size_t I = 0>
V take_variant(BoundedIn& ar, std::size_t index) {
  if constexpr (I < std::variant_size_v<V>) {
    if (index != I) return take_variant<V, I + 1>(ar, index);
    std::variant_alternative_t<I, V> alternative;
    ar(alternative);
    return V(std::move(alternative));
  } else {
    throw Malformed("unknown alternative");
  }
}

// ── form: a peer's commands are held to what api/ asks of a client's ──

void require(bool holds, const char* problem) {
  if (!holds) throw Malformed(problem);
}
void check_lines(const std::vector<Line>& lines) {
  require(!lines.empty(), "no lines");
  for (const Line& line : lines) {
    require(crdt::valid_name(line.sku), "not a SKU");
    require(line.quantity >= 1 && line.quantity <= crdt::kLineUnitsMax, "quantity out of range");
  }
}
void check_form(const ReservationCommand& command) {
  std::visit([](const auto& c) { require(crdt::valid_name(c.id), "not a reservation's id"); },
             command);
  if (const auto* reserve = std::get_if<Reserve>(&command)) check_lines(reserve->lines);
  if (const auto* giving_back = std::get_if<Return>(&command)) check_lines(giving_back->lines);
  const auto* commit = std::get_if<Commit>(&command);
  if (commit != nullptr && commit->lines) check_lines(*commit->lines);
}
void check_form(const CallBody& body) {
  if (const auto* forward = std::get_if<Forward>(&body)) check_form(forward->command);
}
void check_form(const AnswerBody& body) {
  const auto* granted = std::get_if<Granted>(&body);
  if (granted == nullptr) return;
  require(
      granted->given >= 0 && granted->given <= granted->total && granted->total <= crdt::kUnitsMax,
      "granted units out of range");
}

}  // namespace

void save(CompactOut& ar, const Forward& forward) { put_variant(ar, forward.command); }
void load(BoundedIn& ar, Forward& forward) {
  forward.command = take_variant<ReservationCommand>(ar, ar.varint());
}
void save(CompactOut& ar, const Outcome& outcome) { put_outcome(ar, outcome); }
void load(BoundedIn& ar, Outcome& outcome) { outcome = take_outcome(ar); }

std::string encode(const JournalValue& value) { return written(value); }
std::string encode(const Meta& meta) { return written(meta); }
absl::StatusOr<JournalValue> decode_journal_value(std::string_view bytes) {
  return whole<JournalValue>("journal value", bytes);
}
absl::StatusOr<Meta> decode_meta(std::string_view bytes) {
  return whole<Meta>("meta record", bytes);
}

std::string encode_call(const CallBody& body) {
  std::string bytes;
  CompactOut out(bytes);
  put_variant(out, body);
  out.flush();
  return bytes;
}
absl::StatusOr<CallBody> decode_call(std::string_view bytes) {
  return guarded("call", [&] {
    BoundedIn in(bytes);
    CallBody body = take_variant<CallBody>(in, in.varint());
    in.expect_end();
    check_form(body);
    return body;
  });
}
std::string encode_answer(const AnswerBody& body) {
  std::string bytes;
  CompactOut out(bytes);
  put_variant(out, body);
  out.flush();
  return bytes;
}
absl::StatusOr<AnswerBody> decode_answer(std::string_view bytes) {
  return guarded("answer", [&] {
    BoundedIn in(bytes);
    AnswerBody body = take_variant<AnswerBody>(in, in.varint());
    in.expect_end();
    check_form(body);
    return body;
  });
}

std::string encode_outcome(const Outcome& outcome) { return written(outcome); }
absl::StatusOr<Outcome> decode_outcome(std::string_view bytes) {
  return whole<Outcome>("answer", bytes);
}

namespace {
template <typename... Fields>
std::uint64_t digest_fields(const Fields&... fields) {
  thread_local std::string bytes;
  thread_local CompactOut out(bytes);
  bytes.clear();
  out(fields...);
  out.flush();
  return crdt::digest(bytes);
}
}  // namespace

std::uint64_t digest_of(const Reserve& c) {
  // Of a cart over several shards each router draws other parts. What makes two records of it the
  // same is the digest that they begin with, of what the client asked for.
  if (c.metadata.starts_with(kRecordPrefix))
    return digest_fields(c.lines, c.ttl_seconds, c.partial,
                         c.metadata.substr(0, kRecordPrefix.size() + kRecordDigest));
  return digest_fields(c.lines, c.ttl_seconds, c.partial, c.metadata);
}
std::uint64_t digest_of(const Receive& c) { return digest_fields(c.sku, c.quantity); }
std::uint64_t digest_of(const Adjust& c) { return digest_fields(c.sku, c.delta, c.reason); }
std::uint64_t digest_of(const Allow& c) { return digest_fields(c.sku, c.delta); }
std::uint64_t digest_of(const GrantTo& c) { return digest_fields(c.sku, c.to, c.quantity); }
std::uint64_t digest_of(const Return& c) { return digest_fields(c.id, c.lines); }

}  // namespace holdfast::node
