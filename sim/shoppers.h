#pragma once
// The customers and storekeepers of a seed, and the oracle that judges what they were told. It sees
// requests and answers only: it keeps books of what must be true by them, and in the end compares
// every reservation and every total on every node with the books, to the unit.
//
// A call without an answer in time is sent again, on another connection, to the same node; in the
// end every call that is not clear is repeated until it is. A node whose disk was lost may have
// taken what it said with it: what was asked there is in doubt, and widens the account to a range.
//
// A reservation whose home was declared lost or retired, or that was asked for at two nodes, is
// contested: two may have decided on it before they knew of each other. Then one end stands, of
// those that were told; a commit if there was one.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/checks.h"
#include "sim/plan.h"

namespace holdfast::sim {

class Shoppers {
 public:
  Shoppers(World& world, Checks& checks, const Plan& plan);

  // Puts the plan's operations into the calendar, from `begin` on.
  void schedule(Time begin);
  void lost_disk(std::size_t node);
  // What this node said last was lost when its disk was put back: these keys and reservations.
  void lost_suffix(std::size_t node, const std::set<std::string>& keys,
                   const std::set<std::string>& holds);
  // The node's replica was retired, and has told others all that it had to say: a new one follows.
  void retired(std::size_t node);
  // Repeats what is not clear until it is. All nodes must be there and well.
  void resolve();
  // Compares the books with all nodes: checks fail where they differ.
  void audit();
  // Every reservation that can be had at once is had in time: a unit of local rights at each of
  // `nodes`, and units that only their peers have.
  void check_progress(const std::vector<std::size_t>& nodes);

 private:
  struct Range {
    crdt::Units low = 0, high = 0;
    void add(crdt::Units units, bool sure) {
      if (sure || units < 0) low += units;
      if (sure || units > 0) high += units;
    }
  };
  struct Figures {
    Range received, allowance, held, sold, returned;
  };
  struct Cart {
    std::string id;
    std::size_t node = 0;
    std::uint32_t ttl_seconds = 0;
    bool partial = false;
    std::vector<std::pair<std::string, crdt::Units>> lines;
    std::optional<Time> answered_at;          // it was first held, by the customer's watch
    std::map<std::string, crdt::Units> held;  // as told
    std::optional<std::map<std::string, crdt::Units>> committed;
    bool released = false;
    std::map<std::string, crdt::Units> returned;           // by clear answers
    bool returns_in_doubt = false, end_in_doubt = false;   // asked of a node that was lost
    bool twice = false;                                    // at two nodes
    bool contested = false;                                // it was so at some time
    bool lost = false;                                     // in part: with a disk put back
    std::vector<std::map<std::string, crdt::Units>> sold;  // each end that was told as committed
  };
  struct Asked {
    OperationKind kind = OperationKind::read;
    std::size_t node = 0;
    HttpCall call;
    std::string sku;
    crdt::Units units = 0;
    std::size_t cart = SIZE_MAX;
    std::size_t first = SIZE_MAX;  // the same call at another node, by its number
    int attempts = 0;
    int answers = 0;
    Time wait = 0;  // of a reservation
    bool clear = false;
    int status = 0;
    std::string answer;
    bool mutates = true;
    bool lost = false;  // what was answered was lost with a disk that was put back
  };

  std::string sku(std::uint32_t x) const { return "s" + std::to_string(x % skus_); }
  std::size_t known_cart(std::uint32_t x) const;
  void carry_out(const PlannedOperation& planned);
  void reserve(const PlannedOperation& planned);
  void receive_twice(const PlannedOperation& planned);
  std::size_t other_node(const PlannedOperation& planned) const;
  bool contested(const Cart& cart) const;
  bool decided_by_nobody(const Cart& cart) const;
  void verb(const PlannedOperation& planned);
  void ask(Asked asked);
  void send(std::size_t number);
  bool can_know(std::size_t node, const std::string& id) const;
  void expect_answer(std::size_t number);
  bool has_neighbours(std::size_t node) const;  // other nodes of its region, ever
  void judge_lateness(std::size_t number, Time after, Time since, bool again);
  void on_answer(std::size_t number, const api::Response& response);
  void check_repeated(const Asked& asked, const api::Response& response);
  void note(const Asked& asked);
  void note_reservation(const Asked& asked);
  void check_durable(const Asked& asked);
  bool can_be_resolved(const Cart& cart) const;
  bool few_holds() const { return world_.options().open_holds_max < 1'000; }
  bool purges() const { return world_.options().keep_finished < crdt::Millis(3'600'000); }
  // It was there, has ended, and is gone by now.
  bool purged(const Cart& cart) const {
    const crdt::Hold* hold = checks_.hold(cart.id);
    // Each node drops a retired replica's by itself.
    const bool may_be_gone = hold == nullptr || (hold->row.state != crdt::HoldState::held &&
                                                 checks_.ghost().retired(hold->origin));
    return purges() && may_be_gone && checks_.was_held(cart.id);
  }
  void count_purged(const Cart& cart, std::map<std::string, Figures>& figures) const;
  bool doubtful(std::size_t node) const { return lost_.contains(node); }
  bool doubtful(const Asked& asked) const { return asked.lost || doubtful(asked.node); }
  bool doubtful(const Cart& cart) const { return cart.lost || doubtful(cart.node); }
  std::optional<api::Response> call(std::size_t node, const HttpCall& call, Time limit);
  void count_twice(const Asked& one, const Asked& other, Figures& of) const;
  void audit_carts(std::map<std::string, Figures>& figures);
  void audit_cart(const Cart& cart, std::map<std::string, Figures>& figures);
  void audit_stock(const std::map<std::string, Figures>& figures);
  void try_for_too_much(std::size_t node);
  std::string why_it_should_hold(std::size_t node, const std::string& sku,
                                 const std::vector<std::size_t>& nodes) const;
  void try_to_hold(std::size_t node, const std::string& sku, const std::vector<std::size_t>& nodes);

  World& world_;
  Checks& checks_;
  const Plan& plan_;
  std::size_t skus_;
  std::vector<Cart> carts_;
  std::vector<Asked> asked_;
  std::set<std::size_t> lost_;         // nodes
  std::set<std::size_t> rolled_back_;  // nodes whose disk was put back, or copied
  std::uint64_t keys_ = 0, probes_ = 0;
  bool resolving_ = false;
};

}  // namespace holdfast::sim
