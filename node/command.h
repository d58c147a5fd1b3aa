#pragma once
// What a node can be asked, and what it answers: all that api/ sees of node/.
//
// Commands are already checked for form (names, ranges, no duplicate fields); the engine checks
// them against the state. An Outcome is a code and, where there is something to show, a view.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crdt/ids.h"
#include "crdt/rows.h"

namespace holdfast::node {

using crdt::ReplicaId;
using crdt::Units;

// ── commands ────────────────────────────────────────────────────────────────────────────────────

struct Line {
  std::string sku;
  Units quantity = 0;  // 1 … crdt::kLineUnitsMax
  bool operator==(const Line&) const = default;
};

// An Idempotency-Key, scoped by method and path. Empty text: none was sent.
struct IdempotencyKey {
  std::string scope;  // e.g. "POST /v1/skus/a/receipts"
  std::string text;
};

struct PutSku {
  std::string sku;
  std::optional<std::string> name;
  std::optional<std::string> attributes;  // JSON object text
  std::optional<Units> low_stock_threshold;
};
struct GetSku {
  std::string sku;
};
struct ListSkus {
  std::string prefix;
  std::uint32_t limit = 100;
  std::string cursor;  // empty: from the beginning; else as a page gave it
};

struct Receive {
  std::string sku;
  Units quantity = 0;
  IdempotencyKey key;
};
struct Adjust {
  std::string sku;
  Units delta = 0;  // not 0
  std::string reason;
  IdempotencyKey key;
};
struct Allow {
  std::string sku;
  Units delta = 0;  // not 0
  IdempotencyKey key;
};
struct GrantTo {
  std::string sku;
  std::string to;  // a region, a node's name or a replica id
  Units quantity = 0;
  IdempotencyKey key;
};

// Moves between shards (moves.h), by whoever drives them. `version`: of the map that wants it.
struct MoveOut {
  std::string sku;
  std::uint64_t version = 0;
  std::string shard, url;  // the new place
  ReplicaId to;            // of it: who will take what is free here
};
struct MoveIn {
  std::string sku;
  std::uint64_t version = 0;
  ReplicaId from;   // of the old place
  ReplicaId to;     // this replica; none: whichever is asked, and then total is 0
  Units total = 0;  // of all that `from` has ever handed to `to`
};

struct GetStock {
  std::string sku;
};
struct GetAvailability {
  std::vector<std::string> skus;
};

// Where a write is on disk before it is answered 201 or 200: this node; also another node of the
// region; also another region. It protects the record, not the units.
enum class Durability : std::uint8_t { node = 0, region = 1, remote = 2 };

// What the metadata of a router's record of a cart over several shards begins with
// (api/cart_rows.h), and how many digits of a digest follow.
inline constexpr std::string_view kRecordPrefix = "{\"holdfast\":{\"digest\":\"";
inline constexpr std::size_t kRecordDigest = 16;

struct Reserve {
  std::string id;
  std::vector<Line> lines;
  std::uint32_t ttl_seconds = 900;
  std::uint32_t wait_ms = 250;
  bool partial = false;
  std::string metadata;  // JSON text, or empty
  Durability durability = Durability::node;
};
struct Commit {
  std::string id;
  std::optional<std::vector<Line>> lines;  // none: everything that is held
};
struct Release {
  std::string id;
};
struct Extend {
  std::string id;
  std::uint32_t ttl_seconds = 900;
};
struct Return {
  std::string id;
  std::vector<Line> lines;
  IdempotencyKey key;  // required
};
struct GetReservation {
  std::string id;
};
struct ListReservations {
  std::optional<crdt::HoldState> state;
  std::optional<std::string> sku;
  std::uint32_t limit = 100;
  std::string cursor;
  bool all_copies = false;  // also those that another stands for; each with a CopyView
  bool overruled = false;   // only those that have given way for good; likewise
};

// Declares replicas lost and seizes what they are believed to have left: every replica of a region
// that is not retired, or one.
struct Failover {
  std::string target;  // a region; or a replica id, or a node's name that one replica alone has
  bool region = false;
  std::uint32_t fraction_ppm = 1'000'000;
  bool dry_run = false;
  std::string plan;  // as a dry run gave it; empty: whatever the amounts are now
};
// Declares that a replica never returns, for ever. What it has left is seized; the successor, a
// live member, ends its open holds.
struct Retire {
  std::string replica;    // an id, or a node's name that one replica alone has
  std::string successor;  // a node's name or a replica id
  bool dry_run = false;
  std::string plan;
};
struct ListFailovers {};

// This node leaves in good order (drain.h). The successor: a live node of its region; empty: the
// nearest. It waits so long for its own open holds to end, and hands over those that are left.
struct StartDrain {
  std::string successor;  // a node's name or a replica id
  std::uint32_t wait_seconds = 0;
};
struct StopDrain {};
struct GetDrain {};
struct Leave {};  // from the process itself, once it listens no more

struct GetCluster {};
struct GetStats {};
struct SetFault {
  std::string target;  // a region or a node's name
  bool drop = false;
  std::uint32_t delay_ms = 0;
  double loss = 0;  // 0 … 1
};
struct ClearFault {
  std::string target;
};
struct ListFaults {};

using Command = std::variant<PutSku, GetSku, ListSkus, Receive, Adjust, Allow, GrantTo, MoveOut,
                             MoveIn, GetStock, GetAvailability, Reserve, Commit, Release, Extend,
                             Return, GetReservation, ListReservations, Failover, Retire,
                             ListFailovers, StartDrain, StopDrain, GetDrain, Leave, GetCluster,
                             GetStats, SetFault, ClearFault, ListFaults>;

// ── outcomes ────────────────────────────────────────────────────────────────────────────────────

// Encoded in key rows and in answers between nodes: append only, never renumber.
enum class Code : std::uint8_t {
  ok = 0,                      // 200
  created = 1,                 // 201
  accepted = 2,                // 202: done here, the asked durability was not reached in time
  unknown_sku = 3,             // 404
  unknown_reservation = 4,     // 404
  insufficient_stock = 5,      // 409, shortages
  insufficient_rights = 6,     // 409: an adjustment, allowance or grant beyond this node's rights
  reservation_conflict = 7,    // 409: the same id with another body
  reservation_closed = 8,      // 409: it has ended, and not in the way that is asked
  idempotency_key_reused = 9,  // 422
  out_of_range = 10,        // 422: a total would pass 2^53-1, or a line names what is not held/sold
  unknown_target = 11,      // 404: no such region, node or fault target
  home_unreachable = 12,    // 503
  outcome_unknown = 13,     // 504
  overloaded = 14,          // 503, Retry-After
  storage_full = 15,        // 507
  faults_disabled = 16,     // 403
  stopping = 17,            // 503
  invalid_cursor = 18,      // 400
  target_unreachable = 19,  // 503: a grant to a region of which no node can be reached now
  plan_changed = 20,        // 409: the amounts are no longer those of the dry run
  decree_open = 21,         // 409: the target has a decree that is open in this node's view
  own_region = 22,          // 409: a node cannot declare its own region, or itself, lost
  replica_retired = 23,     // 409: it was retired
  successor_not_live = 24,  // 409: it cannot be reached, or is lost or retired itself
  awaiting_peer = 25,       // 503: start_requires_peer, and no peer has confirmed this node yet
  last_of_region = 26,      // 409: nobody of its region could go on with what a node has
  drain_running = 27,       // 409: to another successor
  shard_unreachable = 28,   // 503: no node can be asked about a SKU (the router says so)
  elsewhere = 29,           // refused as another node has worded it (Worded; the router)
  moved = 30,               // 421: the SKU is in another shard, Place
};

struct SkuView {
  std::string sku;
  std::string name;
  std::string attributes;  // JSON object text, or empty
  Units low_stock_threshold = 0;
  std::int64_t created_at = 0;  // wall, ms
  std::int64_t updated_at = 0;
  std::string moved_to;           // the shard where it is now; empty: here
  std::uint64_t moved_by = 0;     // version of the shard map that says so; 0: it never moved away
  Units left = 0, left_held = 0;  // of one that did: still here; of that, for open reservations
  Units handed_over = 0, taken_in = 0;  // to and from other shards, since ever
};
struct SkuPage {
  std::vector<SkuView> items;
  std::string next;  // cursor; empty: the end
};

// Answer to a call of a move.
struct MoveView {
  std::string sku;
  ReplicaId self, peer;
  Units total = 0;  // moved between these two since ever
  Units left = 0;   // what this node could hand over still
  Units on_hand = 0, held = 0;
};
// With `moved`: where SKUs are.
struct Place {
  std::vector<std::string> skus;  // of those that the request names
  std::string shard, url;         // one of its nodes
};

// Answer to receipts, adjustments, allowances and grants.
struct StockChange {
  std::string sku;
  Units delta = 0;  // what was asked: units received, adjusted, allowed or granted
  Units on_hand = 0;
  Units available = 0;
  Units local_available = 0;
  Units allowance = 0;
  std::string to;  // grants: the replica that has the rights now
};

struct RegionStock {
  std::string region;
  Units rights = 0;
  std::int64_t as_of = 0;  // wall, ms: up to when this node has seen the region's writes
  std::int64_t lag_ms = 0;
  bool reachable = false;
};
struct StockView {
  std::string sku;
  Units on_hand = 0, held = 0, sold = 0, returned = 0, available = 0, local_available = 0;
  Units allowance = 0, exposure = 0, debt = 0, oversold = 0;
  Units low_stock_threshold = 0;
  std::vector<RegionStock> by_region;  // ascending by region
};
struct AvailabilityItem {
  std::string sku;
  bool known = false;
  Units available = 0;
  Units local_available = 0;
};
struct Availability {
  std::vector<AvailabilityItem> items;
};

struct Shortage {
  std::string sku;
  Units requested = 0;
  Units available = 0;  // this node's view over all regions
};

// What a list of all copies says of each beside the reservation.
struct CopyView {
  bool stands = false;  // it is the one that reads show
  std::vector<Units>
      in_held;  // of each line: its part of `held` in stock; below 0: it ends another's
};
struct ReservationView {
  std::string id;
  crdt::HoldState state = crdt::HoldState::held;
  bool final = false;
  ReplicaId home;
  std::string home_node;
  std::string home_region;
  absl::InlinedVector<crdt::HoldLine, 1> lines;
  std::int64_t created_at = 0, expires_at = 0, ended_at = 0;  // wall, ms; ended_at 0: not ended
  std::string metadata;
  // Where it is known to be on disk; above `node` only in answers to a Reserve that asked for it.
  Durability reached = Durability::node;
  std::optional<CopyView> copy;
};
struct ReservationPage {
  std::vector<ReservationView> items;
  std::string next;
};

struct NodeView {
  ReplicaId replica;
  std::string node, region, http_address, gossip_address;
  std::uint32_t wire_version = 0;
  bool self = false;
  bool reachable = false;
  // "live", "draining", "unreachable", "decreed", "retired"; of the one that is asked also
  // "starting" (it lacks what its peers had) and "stopping"
  std::string state;
  std::uint32_t weight = 0;        // of the region's SKUs it is home to so large a part
  std::int64_t last_heard_ms = 0;  // ago; -1: never
  std::int64_t lag_ms = 0;
  crdt::Sequence sequence = 0;  // how far this node has the replica's rows
  crdt::Sequence behind = 0;    // own rows that the replica has not acknowledged
  std::string warning;          // empty: nothing is wrong
};
struct LinkFault {
  std::string target;
  bool drop = false;
  std::uint32_t delay_ms = 0;
  double loss = 0;
};
struct ClusterView {
  std::string cluster;
  std::vector<NodeView> nodes;  // ascending by region, node, replica
  std::vector<LinkFault> faults;
  std::uint64_t skus = 0, open_holds = 0, reservations = 0;
  Units exposure = 0, debt = 0, oversold = 0;  // over all SKUs
  Units stranded = 0;                          // rights of retired replicas: nobody can sell them
  std::uint64_t open_decrees = 0;
  std::string digest;  // of all joined rows: equal on nodes that have the same rows
};
struct DrainView {
  // "none", "handing_over", "waiting_for_successor", "waiting_for_holds", "leaving"
  std::string state;
  ReplicaId successor;           // none: it is not running
  std::string node;              // that one's
  std::uint64_t open_holds = 0;  // of this node
  Units units = 0;               // given to it so far
  std::int64_t wait_ms = 0;      // until open holds are handed over
};
struct Faults {
  std::vector<LinkFault> items;
};

struct DecreeSku {
  std::string sku;
  Units seize = 0;
  Units open_holds = 0;  // units that the target holds for open reservations
};
struct DecreeTarget {
  std::string node, region;  // empty: this node has not heard of it
};
// What a decree would do (dry_run), or has done. `seize` is the most that it can oversell, and
// `open_holds` the most that adoptions under it can.
struct DecreePlan {
  bool dry_run = false;
  std::string plan;  // digest of the amounts: confirm with it
  std::vector<ReplicaId> targets;
  std::vector<DecreeTarget> names;  // of the targets, in their order; or none
  Units seize = 0, open_holds = 0;
  std::vector<DecreeSku> skus;  // ascending; those with amounts
};
struct DecreeAccount {
  crdt::DecreeKind kind = crdt::DecreeKind::failover;
  ReplicaId target, issuer, successor;
  std::string region, node, issuer_node;  // of the target; of the issuer
  std::uint32_t generation = 0;
  double fraction = 0;
  std::int64_t issued_at = 0, closed_at = 0;  // wall, ms; 0: never closed
  bool open = false;  // a failover, not closed yet; that of a retired issuer is closed by nobody
  Units seized = 0, open_holds = 0;
  Units unseen = 0;        // of the target's rights seized and not seen by it yet, in this view
  Units debt = 0;          // of the target, in this view
  Units spent_unseen = 0;  // what it had sold of `seized` when it saw that
  Units realized = 0;      // of that, beyond stock and allowance: the issuer's view (decrees.h)
  Units repaid = 0;
};
struct DecreeAccounts {
  std::vector<DecreeAccount> items;  // the latest first
};

// Monotone counters and gauges of the engine, for /metrics. Names are the metric names in api/.
struct Stats {
  std::uint64_t reservations_created = 0, reservations_refused = 0, reservations_waited = 0;
  std::uint64_t commits = 0, releases = 0, extensions = 0, expiries = 0, returns = 0;
  std::uint64_t receipts = 0, adjustments = 0, grants_given = 0, grants_received = 0;
  std::uint64_t units_granted = 0, units_received_by_grant = 0;
  std::uint64_t rights_requests_sent = 0, rights_requests_refused = 0;
  std::uint64_t rebalance_requests_sent = 0;
  std::uint64_t rows_merged = 0, deltas_applied = 0, frames_received = 0, frames_sent = 0;
  std::uint64_t bytes_received = 0, bytes_sent = 0, malformed_frames = 0, forwards = 0;
  std::uint64_t batches = 0, journal_bytes = 0, commands = 0, refused_overload = 0;
  std::uint64_t skus = 0, open_holds = 0, reservations = 0, waiting = 0;
  std::uint64_t peers_reachable = 0, peers_known = 0;
  std::uint64_t decrees_issued = 0, adoptions = 0, copies_overruled = 0, conflicts = 0;
  std::uint64_t keys_undone = 0, holds_purged = 0, durability_missed = 0;
  Units exposure = 0, debt = 0, oversold = 0, stranded = 0;
  std::uint64_t open_decrees = 0;
  bool storage_full = false, degraded = false, ready = false, draining = false;
  bool awaits_peer = false;          // start_requires_peer, and nobody has confirmed it yet
  std::vector<std::string> awaited;  // then: the configured addresses of peers
};

// An answer as another node has worded it: what the router passes on unread.
struct Worded {
  int status = 200;
  std::string body;
};

struct Outcome {
  Code code = Code::ok;
  std::string detail;               // for problems: what happened and what to do
  std::vector<Shortage> shortages;  // with insufficient_stock
  std::variant<std::monostate, SkuView, SkuPage, StockChange, StockView, Availability,
               std::unique_ptr<ReservationView>, ReservationPage, std::unique_ptr<ClusterView>,
               Faults, std::unique_ptr<DecreePlan>, DecreeAccounts, DrainView,
               std::unique_ptr<Stats>, Worded, MoveView, Place>
      view;
  bool succeeded() const { return code <= Code::accepted; }
};

// What a command on a data directory (backup, restore, verify) has done or found.
struct StoreReport {
  struct Difference {
    std::string what, sku, replica;  // sku, replica: empty if it is about all of them
    Units is = 0, should = 0;
    bool at_least = false;  // `should` or more
  };
  std::string problem;  // not empty: refused or failed, and why
  std::vector<std::pair<std::string, std::string>> texts;
  std::vector<std::pair<std::string, std::int64_t>> numbers;
  bool verified = false;  // `differences` are what there are
  std::vector<Difference> differences;
  std::string advice;  // what to do next
};

// ── the way in ──────────────────────────────────────────────────────────────────────────────────

// `token` is the caller's own; it comes back with the answer. Every request gets exactly one reply
// while the node lives.
struct Request {
  std::uint64_t token = 0;
  Command command;
};
struct Reply {
  std::uint64_t token = 0;
  Outcome outcome;
};

// Hands requests to the node, in order, all or none. Any thread; never blocks. False: the inbox is
// full and nothing was taken (answer `overloaded`).
using Submit = std::function<bool(std::vector<Request>&&)>;
// Receives replies, many at a time. Called from the node's own threads; must not block.
using Deliver = std::function<void(std::vector<Reply>&&)>;

Outcome refused(Code code, std::string detail);

}  // namespace holdfast::node
