#pragma once
// Ledger: what one node may do to stock and reservations by itself, on its own rows. Pure.
//
// Everything here is decided on this replica's rights alone and takes effect at once in State;
// nothing waits, nothing is asked of peers (rights.h does that before it calls hold()).
//
// Invariants
//   L1  rights(self) never falls below 0 through a call here, nor below what carts that wait have
//   set
//       aside (`aside`).
//   L2  A hold ends exactly once: committed, released or expired.
//   L3  Own stock rows and own holds agree: held − released − sold = Σ units of own open holds.
// Deadlines are milliseconds of this home's own life (Times::life_ms): never back, stopped while
// the process is down; so no clock jump expires a hold early. Wall times are for people.

#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "crdt/state.h"
#include "node/codec.h"
#include "node/command.h"

namespace holdfast::node {

// Now, by each clock.
struct Times {
  std::int64_t life_ms = 0;
  std::int64_t wall_ms = 0;
  crdt::Instant instant{};
};

// A reservation's request, checked against the catalogue: lines summed and sorted.
struct Cart {
  Reserve request;  // lines summed and sorted
  std::uint64_t digest = 0;
  std::vector<crdt::Product*> products;  // of each line
};

// What a key row says was done, so that a duplicate of it can be undone. Never renumber.
enum class RowEffect : std::uint8_t {
  none = 0,
  received = 1,
  adjusted = 2,
  allowed = 3,
  granted = 4,
  returned = 5,       // `sku` is the reservation
  returned_apart = 6  // of a former self's sale, in the totals alone (reissue.h)
};

class Ledger {
 public:
  // `aside`: units of a product that waiting carts have set aside.
  using Aside = std::function<Units(const crdt::Product&)>;
  Ledger(crdt::State& state, Aside aside) : state_(state), aside_(std::move(aside)) {}

  // What this node can hold or give without asking anyone, never negative.
  Units free(const crdt::Product& product) const;
  crdt::Product* known(std::string_view sku) const;  // nullptr: 404

  Outcome put_sku(const PutSku& command, Times now);
  Outcome receive(const Receive& command, Times now);
  Outcome adjust(const Adjust& command, Times now);
  Outcome allow(const Allow& command, Times now);
  // `to` is the replica that gets the rights.
  Outcome grant(const GrantTo& command, ReplicaId to, Times now);
  // Gives up to `need`, and then up to `ahead` of `spare`, if the granted total is what the asker
  // believes.
  Granted grant_on_request(const AskRights& ask, Units spare, ReplicaId to);

  // The cart, or why there is none (unknown_sku, out_of_range).
  std::variant<Cart, Outcome> check(Reserve&& request) const;
  // Own hold of that id exists: the same request again, or a conflict.
  Outcome repeat(const crdt::Hold& hold, std::uint64_t digest) const;
  // Holds `units[i]` of line i; each within free(). At least one is above 0.
  Outcome hold(Cart&& cart, const std::vector<Units>& units, Times now);
  Outcome commit(crdt::Hold& hold, const Commit& command, Times now);
  Outcome release(crdt::Hold& hold, Times now);
  Outcome extend(crdt::Hold& hold, std::uint32_t ttl_seconds, Times now);
  // Of a retired replica's hold: only what was answered before is repeated; else it is refused.
  Outcome give_back(crdt::Hold& hold, const Return& command, Times now);

  // Another copy of this own hold stands: its units come back, once. An end that was asked for here
  // and does not stand is true: a conflict.
  bool overrule(crdt::Hold& hold, const crdt::Hold& standing, Times now);
  // A copy here of a hold whose home is lost, held by this replica's rights until `expires_at`
  // (wall ms). Of line i `needed[i]` units are to stay held or sold; the others are given back in
  // the same event. What is lacking is seized from that copy's origin. How many units were.
  Units adopt(const crdt::Hold& copy, const std::vector<Units>& needed, std::int64_t expires_at,
              Times now);
  // Units that adopt() would have to seize.
  Units lacking(const crdt::Hold& copy, const std::vector<Units>& needed) const;
  // How long a hold that another replica wrote still lives, ms: by wall clocks, which may differ,
  // so never longer than from its making to its end.
  static std::int64_t left_of(const crdt::HoldRow& row, Times now);
  // An own open hold lives at least as long as `promised`, another copy of it.
  void prolong(crdt::Hold& hold, const crdt::HoldRow& promised, Times now);
  // What this key did here is undone: another replica did it too, and that stands.
  bool undo(crdt::Key& key);
  // Likewise what it did at a replica that was retired and cannot: in this one's totals, under a
  // key row of that name.
  bool undo_for(const crdt::KeyRow& retired, std::string name, Times now);

  // Ends what is due, at most `count_max` holds, and tells of each. How many ended.
  using Ended = std::function<void(const crdt::Hold&)>;
  std::size_t expire(Times now, std::size_t count_max, const Ended& told);
  // Life time at which the next hold is due; nothing open: the maximum.
  std::int64_t next_deadline() const;
  void watch(crdt::Hold& hold);  // after recovery: an open hold that may expire

  // The answer that was given for this key, or 422; nullopt: the key is new (or none was sent).
  std::optional<Outcome> answered(const IdempotencyKey& key, std::uint64_t digest) const;

  Outcome shown(const crdt::Hold& hold, Code code) const;

 private:
  bool take_back(const crdt::KeyRow& key);
  void remember(const IdempotencyKey& key, std::uint64_t digest, const Outcome& outcome,
                RowEffect effect, const std::string& sku, Units units, Times now);
  Units granted_to(const crdt::Product& product, ReplicaId to) const;
  StockChange change(const crdt::Product& product, Units delta) const;
  Outcome closed(const crdt::Hold& hold, const char* wanted) const;
  void end(crdt::Hold& hold, crdt::HoldState state, Times now);

  crdt::State& state_;
  Aside aside_;
  // By deadline, then in the order of their making: never by address, which differs between runs,
  // and of which a hold that has ended may be gone by then.
  struct Due {
    std::int64_t deadline = 0;
    std::uint64_t number = 0;
    bool operator>(const Due& other) const {
      return std::pair(deadline, number) > std::pair(other.deadline, other.number);
    }
  };
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due_;
};

// Lines of one cart that name the same SKU become one; ascending by SKU.
std::vector<Line> summed(std::vector<Line> lines);

}  // namespace holdfast::node
