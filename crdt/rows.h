#pragma once
// Rows: all replicated state. Each is keyed (origin replica, kind, key); only the origin writes it,
// and stamps each write with its next sequence number. Merging two copies of a row keeps the larger
// sequence, which is commutative, associative and idempotent. The CRDT is the join over origins
// (bounded_counter.h, state.h).
//
// Forward compatibility: a payload may be longer than this version knows. What is left over after
// the known fields is kept in `extra` and written back byte for byte.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "crdt/ids.h"
#include "crdt/seldom.h"
#include "crdt/time.h"

namespace holdfast::crdt {

// On the wire and on disk: never renumber.
enum class RowKind : std::uint8_t { stock = 1, hold = 2, key = 3, sku = 4, member = 5, decree = 6 };

// What one origin has done to the rights of one other replica.
struct PeerTotals {
  ReplicaId peer;
  Units granted = 0;       // rights of mine that I gave to peer
  Units seized = 0;        // rights that I took from peer, believing them to be left there
  Units seen = 0;          // of what peer seized from me: how much I have applied
  Units debt_at_seen = 0;  // how much of that I had spent already when I applied it
  bool operator==(const PeerTotals&) const = default;
};

// What this origin has handed to, or taken from, a replica of another shard: a part of `withdrawn`
// and `received` (node/moves.h). Both only grow.
struct Move {
  ReplicaId peer;
  Units out = 0;
  Units in = 0;
  bool operator==(const Move&) const = default;
};

// One origin's monotone totals for one SKU.
struct StockRow {
  Units received = 0;
  Units withdrawn = 0;
  Units allowance_added = 0;
  Units allowance_removed = 0;
  Units held = 0;
  Units released = 0;
  Units sold = 0;
  Units returned = 0;
  Units voided = 0;
  std::vector<PeerTotals> peers;   // ascending by peer, no empty entries
  std::uint32_t demand_milli = 0;  // hint: units per 1,000 s that customers ask for here
  std::uint32_t cart = 0;          // hint: units that one of them asks for; 0: not known
  std::vector<Move> moves;         // ascending by peer, no empty entries
  std::string extra;
  bool operator==(const StockRow&) const = default;

  const PeerTotals* find(ReplicaId peer) const;  // nullptr if all are 0
  PeerTotals& at(ReplicaId peer);                // made if absent
  const Move* move_with(ReplicaId peer) const;   // nullptr if both are 0
  Move& move_at(ReplicaId peer);                 // made if absent
};

enum class HoldState : std::uint8_t { held = 0, committed = 1, released = 2, expired = 3 };

struct HoldLine {
  std::string sku;
  std::uint32_t requested = 0;
  std::uint32_t held = 0;       // what was set aside; less than requested only in a partial hold
  std::uint32_t committed = 0;  // of held
  std::uint32_t returned = 0;   // of committed
  bool operator==(const HoldLine&) const = default;
};

// Units of a retired replica's copy of a hold that came back at its heir.
struct FreedHold {
  ReplicaId of;
  std::vector<std::uint32_t> units;  // by line
  bool operator==(const FreedHold&) const = default;
};

// What a retired replica's copy says, and does not stand, undone at that replica's heir. Both
// counts only grow; what is undone now is their difference.
struct UndoneEnd {
  ReplicaId of;              // the retired replica
  ReplicaId root;            // whose copy it had ended as an heir; nobody: what it had sold
  std::vector<Units> units;  // by line: undone here
  std::vector<Units> again;  // by line: and not after all, or elsewhere too
  bool operator==(const UndoneEnd&) const = default;
};

// A reservation, as its home wrote it.
struct HoldRow {
  std::uint64_t digest = 0;  // of the request: lines summed and sorted, defaults filled in
  HoldState state = HoldState::held;
  // Another copy of the same id stands. This one counts no more: it was released, or, if it had
  // been committed, voided.
  bool overruled = false;
  absl::InlinedVector<HoldLine, 1> lines;  // ascending by sku
  std::uint64_t number = 0;     // the origin's holds in the order of their making, from 1
  std::int64_t deadline = 0;    // ms of the home's own life (see node/README.md)
  std::int64_t expires_at = 0;  // the same in ms of wall time; for people
  std::int64_t created_at = 0;  // wall, ms
  std::int64_t ended_at = 0;    // wall, ms; 0 while held
  ReplicaId adopted_from;  // the origin of the copy that this one stands in for; none: the first
  Seldom<std::string> metadata;  // JSON text, or empty
  // The retired replica whose copy this one stands in for, at its heir, which ends that hold in its
  // own totals: the units are in the heir's `released`, `sold` and `returned`, and in the retired
  // one's `held`. None: it stands for itself.
  ReplicaId estate_of;
  // Of an heir that had a copy already: copies of retired replicas whose units it released beside.
  Seldom<std::vector<FreedHold>> freed;  // ascending by `of`
  // Of an heir of replicas that were heirs: their ends of this id that others had come to, too.
  Seldom<std::vector<UndoneEnd>> undone;  // ascending by (of, root)
  Seldom<std::string> extra;
  bool operator==(const HoldRow&) const = default;

  const HoldLine* find(std::string_view sku) const {  // nullptr: it has no such line
    for (const HoldLine& line : lines)
      if (line.sku == sku) return &line;
    return nullptr;
  }
};

// A version of one origin's hold.
struct HoldVersion {
  std::string id;
  Sequence sequence = 0;
  bool operator==(const HoldVersion&) const = default;
};

// Whether it ends, or has ended, the retired replica `root`'s copy.
inline bool stands_for(const HoldRow& row, ReplicaId root) {
  return row.estate_of == root ||
         std::any_of(row.freed.begin(), row.freed.end(),
                     [&](const FreedHold& freed) { return freed.of == root; });
}

// What an idempotency key stands for. Its row's key is "METHOD path\nkey".
struct KeyRow {
  std::uint64_t digest = 0;  // of the parsed request
  std::string answer;        // as node/ encodes it
  std::string sku;  // the effect, so that a duplicate can be undone: `units` of `effect` on `sku`
  std::uint8_t effect = 0;
  Units units = 0;
  std::int64_t created_at = 0;  // wall, ms
  std::uint8_t state = 0;       // 0 done, 1 undone
  std::string extra;
  bool operator==(const KeyRow&) const = default;
};

// Where a SKU is: in another shard, or (`shard` is empty) here again, by that version of the shard
// map. Of what several origins say the highest version counts.
struct MovedTo {
  std::uint64_t version = 0;  // 0: it has never moved
  std::string shard, url;     // its name, and one of its nodes
  bool operator==(const MovedTo&) const = default;
};

// A SKU's description: last writer wins, by (time, origin). Never used for stock.
struct SkuRow {
  std::uint64_t time = 0;  // hybrid logical clock: wall ms << 16 | counter
  std::string name;
  std::string attributes;  // JSON object text, or empty
  Units low_stock_threshold = 0;
  std::int64_t created_at = 0;  // wall, ms
  MovedTo moved;
  std::string extra;
  bool operator==(const SkuRow&) const = default;
};

// One start of a process under this identity: its first sequence, and a random number.
struct Boot {
  Sequence sequence = 0;
  std::uint64_t nonce = 0;
  bool operator==(const Boot&) const = default;
};

struct VectorEntry {
  ReplicaId origin;
  Sequence sequence = 0;
  std::uint64_t boot = 0;  // nonce of the origin's boot that wrote `sequence`; 0 = not known here
  bool operator==(const VectorEntry&) const = default;
};

inline constexpr std::uint32_t kWeightDefault = 100;

// A replica about itself. Its row's key is its id in hexadecimal.
struct MemberRow {
  std::string region;
  std::string node;
  std::string http_address;
  std::string gossip_address;
  std::uint32_t wire_version = 0;
  std::uint32_t weight = kWeightDefault;  // among the nodes of its region; see node/homes.h
  std::vector<VectorEntry> acknowledged;  // ascending by origin; refreshed coarsely
  std::vector<Boot> boots;                // ascending by sequence
  // Hint: units per 1,000 s that customers ask for here, of all SKUs.
  std::uint64_t demand_milli = 0;
  // Boots that are void: of `forked_from`, by a copy of its directory that had been rolled back or
  // cloned, and became this replica. What they wrote was written again by this one, and nobody
  // keeps rows of theirs.
  std::vector<std::uint64_t> voided_boots;
  // This replica has been retired, has seen it, and this is the last row that it will ever write.
  bool ended = false;
  bool draining = false;  // it is about to leave, and takes nothing over from others
  // Finished holds whose last write is at or below it may be gone: a delta of this origin's rows
  // from below it is not whole, and a receiver that stands there takes a full transfer.
  Sequence purge_floor = 0;
  ReplicaId forked_from;  // see voided_boots; nobody: this replica was born with its directory
  std::string extra;
  bool operator==(const MemberRow&) const = default;
};

// On the wire and on disk: never renumber.
enum class DecreeKind : std::uint8_t { failover = 1, retirement = 2 };

// A replica was declared lost, by an operator at the origin: the origin alone has seized, in its
// own stock rows, what it believed the target to have left (fraction × rights), in the same batch.
// Or it was retired: it never returns, everything it had left was seized, and `successor` ends its
// open holds. The row's key is "TARGET.GENERATION". Amounts per SKU are in the origin's stock rows.
struct DecreeRow {
  DecreeKind kind = DecreeKind::failover;
  ReplicaId target;
  std::uint32_t generation = 0;      // of the target's decrees that the origin knew: one more
  std::uint32_t fraction_ppm = 0;    // millionths
  ReplicaId successor;               // of a retirement
  std::int64_t issued_at = 0;        // wall, ms
  std::int64_t closed_at = 0;        // wall, ms; 0: open. A retirement is never closed
  std::uint64_t plan = 0;            // digest of the amounts
  std::uint32_t skus = 0;            // seized from
  Units seized = 0, open_holds = 0;  // units, over all SKUs, when it was issued
  std::uint64_t holds_upto = 0;      // the target's last hold (HoldRow::number) that was known then
  Units spent_before = 0;            // Σ debt_at_seen[origin] of the target when it was issued
  Units spent_unseen = 0;            // what the target had sold of `seized` when it saw that
  Units realized = 0;                // of spent_unseen, beyond stock and allowance at that moment
  Units repaid = 0;                  // of spent_unseen
  std::string extra;
  bool operator==(const DecreeRow&) const = default;
};

// A row as it travels and as it is stored: the payload is opaque, so kinds and formats of later
// versions pass through unharmed.
struct Row {
  RowKind kind = RowKind::stock;
  std::string key;
  Sequence sequence = 0;
  std::uint8_t format = 1;
  std::string bytes;
  bool operator==(const Row&) const = default;
};

// The format that this version writes, for every kind.
inline constexpr std::uint8_t kRowFormat = 1;
// What this version speaks.
inline constexpr std::uint32_t kWireVersion = 1;

}  // namespace holdfast::crdt
