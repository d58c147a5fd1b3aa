#include "crdt/codec.h"

#include "crdt/archive.h"
#include "crdt/fields.h"

namespace holdfast::crdt {

namespace {

// No row has this sequence or a later one: so one more is a number, too.
constexpr Sequence kSequencesEnd = Sequence{1} << 63;

void require(bool condition, const char* what) {
  if (!condition) throw Malformed(what);
}

bool is_total(Units units) { return units >= 0 && units <= kUnitsMax; }

}  // namespace

std::string decree_key(const DecreeRow& row) {
  return to_string(row.target) + "." + std::to_string(row.generation);
}

// ── fields, in the order in which they are written ──────────────────────────────────────────────
// cereal finds these by argument-dependent lookup.

template <typename A>
void serialize(A& ar, PeerTotals& t) {
  ar(t.peer, t.granted, t.seized, t.seen, t.debt_at_seen);
}
template <typename A>
void serialize(A& ar, Move& m) {
  ar(m.peer, m.out, m.in);
}
template <typename A>
void serialize_head(A& ar, StockRow& r) {
  ar(r.received, r.withdrawn, r.allowance_added, r.allowance_removed, r.held, r.released, r.sold,
     r.returned, r.voided, r.peers, r.demand_milli);
}
// `cart` and `moves` came later: a row ends before each if it is empty and nothing follows.
void save(CompactOut& ar, const StockRow& r) {
  serialize_head(ar, const_cast<StockRow&>(r));
  if (r.cart != 0 || !r.moves.empty() || !r.extra.empty()) ar(r.cart);
  if (!r.moves.empty() || !r.extra.empty()) ar(r.moves);
}
void load(BoundedIn& ar, StockRow& r) {
  serialize_head(ar, r);
  if (ar.left().empty()) return;
  ar(r.cart);
  require(r.cart != 0 || !ar.left().empty(), "a last number that is not written when 0");
  if (ar.left().empty()) return;
  ar(r.moves);
  require(!r.moves.empty() || !ar.left().empty(), "a last list that is not written when empty");
}
template <typename A>
void serialize(A& ar, KeyRow& r) {
  ar(r.digest, r.answer, r.sku, r.effect, r.units, r.created_at, r.state);
}
template <typename A>
void serialize_head(A& ar, SkuRow& r) {
  ar(r.time, r.name, r.attributes, r.low_stock_threshold, r.created_at);
}
// `moved` came later: a row ends before it if it never has, and nothing follows.
void save(CompactOut& ar, const SkuRow& r) {
  serialize_head(ar, const_cast<SkuRow&>(r));
  if (r.moved.version != 0 || !r.extra.empty()) ar(r.moved.version, r.moved.shard, r.moved.url);
}
void load(BoundedIn& ar, SkuRow& r) {
  serialize_head(ar, r);
  if (ar.left().empty()) return;
  ar(r.moved.version, r.moved.shard, r.moved.url);
  require(r.moved.version != 0 || !ar.left().empty(), "a last mark that is not written when 0");
}
template <typename A>
void serialize_head(A& ar, MemberRow& r) {
  ar(r.region, r.node, r.http_address, r.gossip_address, r.wire_version, r.acknowledged, r.boots,
     r.demand_milli, r.voided_boots, r.ended, r.purge_floor, r.forked_from);
}
// The last two came later: a row ends before them if they are as usual and nothing follows.
void save(CompactOut& ar, const MemberRow& r) {
  serialize_head(ar, const_cast<MemberRow&>(r));
  if (r.weight != kWeightDefault || r.draining || !r.extra.empty()) ar(r.weight, r.draining);
}
void load(BoundedIn& ar, MemberRow& r) {
  serialize_head(ar, r);
  if (ar.left().empty()) return;
  ar(r.weight, r.draining);
  require(r.weight != kWeightDefault || r.draining || !ar.left().empty(),
          "last fields that are not written when they are as usual");
}
template <typename A>
void serialize_tail(A& ar, DecreeRow& r) {
  ar(r.target, r.generation, r.fraction_ppm, r.successor, r.issued_at, r.closed_at, r.plan, r.skus,
     r.seized, r.open_holds, r.holds_upto, r.spent_before, r.spent_unseen, r.realized, r.repaid);
}
void save(CompactOut& ar, const DecreeRow& r) {
  ar(static_cast<std::uint8_t>(r.kind));
  serialize_tail(ar, const_cast<DecreeRow&>(r));
}
void load(BoundedIn& ar, DecreeRow& r) {
  std::uint8_t kind = 0;
  ar(kind);
  require(kind == 1 || kind == 2, "unknown kind of a decree");
  r.kind = static_cast<DecreeKind>(kind);
  serialize_tail(ar, r);
}
template <typename T>
void save(CompactOut& ar, const Seldom<T>& value) {
  ar(*value);
}
template <typename T>
void load(BoundedIn& ar, Seldom<T>& value) {
  T read;
  ar(read);
  value = std::move(read);
}
template <typename A>
void serialize(A& ar, FreedHold& f) {
  ar(f.of, f.units);
}
template <typename A>
void serialize(A& ar, UndoneEnd& u) {
  ar(u.of, u.root, u.units, u.again);
}
template <typename A>
void serialize_tail(A& ar, HoldRow& r) {
  ar(r.number, r.deadline, r.expires_at, r.created_at, r.ended_at, r.adopted_from, r.metadata,
     r.overruled, r.estate_of, r.freed);
}
void save(CompactOut& ar, const HoldRow& r) {
  ar(r.digest, static_cast<std::uint8_t>(r.state));
  ar.varint(r.lines.size());
  for (const HoldLine& line : r.lines) ar(line);
  serialize_tail(ar, const_cast<HoldRow&>(r));
  // It came later: a row ends before it if it is empty and nothing follows.
  if (!r.undone.empty() || !r.extra.empty()) ar(r.undone);
}
void load(BoundedIn& ar, HoldRow& r) {
  std::uint8_t state = 0;
  ar(r.digest, state);
  require(state <= static_cast<std::uint8_t>(HoldState::expired), "unknown state of a hold");
  r.state = static_cast<HoldState>(state);
  r.lines.resize(ar.count(/*smallest=*/6));
  for (HoldLine& line : r.lines) ar(line);
  serialize_tail(ar, r);
  if (ar.left().empty()) return;
  ar(r.undone);
  require(!r.undone.empty() || !ar.left().empty(), "a last list that is not written when empty");
}

namespace {

// ── what a valid row is ─────────────────────────────────────────────────────────────────────────

void validate(const StockRow& r) {
  for (const Units total : {r.received, r.withdrawn, r.allowance_added, r.allowance_removed, r.held,
                            r.released, r.sold, r.returned, r.voided})
    require(is_total(total), "a total out of range");
  require(r.peers.size() <= kOriginsMax, "totals of too many peers");
  const PeerTotals* last = nullptr;
  for (const PeerTotals& peer : r.peers) {
    require(last == nullptr || last->peer < peer.peer, "peers out of order");
    for (const Units total : {peer.granted, peer.seized, peer.seen, peer.debt_at_seen})
      require(is_total(total), "a total out of range");
    last = &peer;
  }
  require(r.moves.size() <= kOriginsMax, "moves with too many replicas");
  for (std::size_t i = 0; i < r.moves.size(); ++i) {
    require(i == 0 || r.moves[i - 1].peer < r.moves[i].peer, "moves out of order");
    require(is_total(r.moves[i].out) && is_total(r.moves[i].in), "a total out of range");
  }
}

void validate_undone(const HoldRow& r) {
  const UndoneEnd* last = nullptr;
  for (const UndoneEnd& undone : r.undone) {
    require(bool(undone.of) && undone.root != undone.of, "an undone end of nobody");
    require(last == nullptr || std::pair(last->of, last->root) < std::pair(undone.of, undone.root),
            "undone ends out of order");
    for (const std::vector<Units>* units : {&undone.units, &undone.again}) {
      require(units->size() == r.lines.size(), "undone units of other lines");
      for (const Units one : *units)
        require(one >= 0 && one <= 1'000 * kLineUnitsMax, "undone units out of range");
    }
    last = &undone;
  }
}

void validate(const HoldRow& r) {
  require(!r.lines.empty(), "a hold without lines");
  const HoldLine* last = nullptr;
  for (const HoldLine& line : r.lines) {
    require(valid_name(line.sku), "not a SKU");
    require(last == nullptr || last->sku < line.sku, "lines out of order");
    require(line.held <= line.requested && line.committed <= line.held &&
                line.returned <= line.committed,
            "a line that ends more than it held");
    last = &line;
  }
  const FreedHold* before = nullptr;
  for (const FreedHold& freed : r.freed) {
    require(before == nullptr || before->of < freed.of, "freed holds out of order");
    require(freed.units.size() == r.lines.size(), "freed units of other lines");
    for (const std::uint32_t units : freed.units)
      require(units <= kLineUnitsMax, "freed units out of range");
    before = &freed;
  }
  validate_undone(r);
}

void validate(const KeyRow& r) {
  require(r.state <= 1, "unknown state of a key");
  require(r.units >= -kUnitsMax && r.units <= kUnitsMax, "units out of range");
}

void validate(const SkuRow& r) {
  require(is_total(r.low_stock_threshold), "threshold out of range");
  require(r.moved.shard.empty() || (r.moved.version != 0 && valid_name(r.moved.shard)),
          "moved to no shard");
}

void validate(const MemberRow& r) {
  for (std::size_t i = 1; i < r.acknowledged.size(); ++i)
    require(r.acknowledged[i - 1].origin < r.acknowledged[i].origin, "vector out of order");
  for (std::size_t i = 1; i < r.boots.size(); ++i)
    require(r.boots[i - 1].sequence < r.boots[i].sequence, "boots out of order");
}

void validate(const DecreeRow& r) {
  require(bool(r.target) && r.generation > 0, "a decree about nobody");
  require(r.fraction_ppm <= 1'000'000, "a fraction above 1");
  require((r.kind == DecreeKind::retirement) == bool(r.successor) && r.successor != r.target,
          "a retirement without a successor, or a successor without one");
  for (const Units units :
       {r.seized, r.open_holds, r.spent_before, r.spent_unseen, r.realized, r.repaid})
    require(units >= 0, "a sum out of range");
}

void validate_key(RowKind kind, std::string_view key) {
  switch (kind) {
    case RowKind::stock:
    case RowKind::hold:
    case RowKind::sku:
      return require(valid_name(key), "not a name");
    case RowKind::key:
      return require(!key.empty() && key.size() <= 1024, "not an idempotency key");
    case RowKind::member:
      return require(parse_replica_id(key).has_value(), "not a replica id");
    default:
      return require(key.size() <= 1024, "key too long");
  }
}

template <typename T>
T parse(std::string_view bytes) {
  BoundedIn in(bytes);
  T row;
  in(row);
  row.extra = std::string(in.left());
  validate(row);
  return row;
}

template <typename T>
void append(const T& row, std::string& out) {
  thread_local CompactOut ar(out);
  ar.turn_to(out);
  ar(row);
  ar.bytes(static_cast<const std::string&>(row.extra));
  ar.flush();
}

DecodedRow take_row(BoundedIn& in) {
  DecodedRow row;
  const std::size_t before = in.left().size();
  row.kind = static_cast<RowKind>(in.bytes(1).front());
  row.key.assign(in.bytes(in.count()));
  row.sequence = in.varint();
  row.format = static_cast<std::uint8_t>(in.bytes(1).front());
  const std::string_view payload = in.bytes(in.count());
  row.bytes = static_cast<std::uint32_t>(before - in.left().size());
  require(row.sequence != 0 && row.sequence < kSequencesEnd, "a sequence out of range");
  validate_key(row.kind, row.key);
  switch (row.kind) {
    case RowKind::stock:
      row.payload = parse<StockRow>(payload);
      break;
    case RowKind::hold:
      row.payload = parse<HoldRow>(payload);
      break;
    case RowKind::key:
      row.payload = parse<KeyRow>(payload);
      break;
    case RowKind::sku:
      row.payload = parse<SkuRow>(payload);
      break;
    case RowKind::member:
      row.payload = parse<MemberRow>(payload);
      break;
    case RowKind::decree:
      row.payload = parse<DecreeRow>(payload);
      require(row.key == decree_key(std::get<DecreeRow>(row.payload)),
              "a decree under another key");
      break;
    default:
      row.payload = std::string(payload);
  }
  return row;
}

template <typename Read>
auto guarded(Read&& read) -> absl::StatusOr<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(std::string("malformed rows: ") + error.what());
  }
}

}  // namespace

void append_payload(const StockRow& row, std::string& out) { append(row, out); }
void append_payload(const HoldRow& row, std::string& out) { append(row, out); }
void append_payload(const KeyRow& row, std::string& out) { append(row, out); }
void append_payload(const SkuRow& row, std::string& out) { append(row, out); }
void append_payload(const MemberRow& row, std::string& out) { append(row, out); }
void append_payload(const DecreeRow& row, std::string& out) { append(row, out); }

void append_row(RowKind kind, std::string_view key, Sequence sequence, std::uint8_t format,
                std::string_view payload, std::string& out) {
  char before_key[1 + kVarintBytesMost], after_key[1 + 2 * kVarintBytesMost];
  char* at = before_key;
  *at++ = static_cast<char>(kind);
  out.append(before_key, put_varint(at, key.size()));
  out.append(key);
  at = put_varint(after_key, sequence);
  *at++ = static_cast<char>(format);
  out.append(after_key, put_varint(at, payload.size()));
  out.append(payload);
}

absl::StatusOr<std::vector<DecodedRow>> decode_rows(std::string_view block, std::size_t expected) {
  constexpr std::size_t kSmallest = 5;  // bytes of a row
  return guarded([&] {
    BoundedIn in(block);
    std::vector<DecodedRow> rows;
    rows.reserve(std::min(expected, block.size() / kSmallest));
    while (!in.left().empty()) rows.push_back(take_row(in));
    return rows;
  });
}

absl::StatusOr<DecodedRow> decode_row(std::string_view bytes) {
  return guarded([&] {
    BoundedIn in(bytes);
    DecodedRow row = take_row(in);
    in.expect_end();
    return row;
  });
}

std::string_view take_rows(BoundedIn& in, std::size_t count, Sequence& last) {
  const std::string_view all = in.left();
  for (; count > 0; --count) {
    in.bytes(1);           // kind
    in.bytes(in.count());  // key
    last = in.varint();
    in.bytes(1);           // format
    in.bytes(in.count());  // payload
  }
  return all.substr(0, all.size() - in.left().size());
}

}  // namespace holdfast::crdt
