#pragma once
// Calls of simulated routers to the nodes of all shards, in the words of HTTP, over ways that delay
// them, lose them, or lose their answers. For routers it is what api/upstream.h is in production: a
// call ends once, by its answer, or lost, and then it may have been done or cannot have been.
//
// A call that its router has given up may still arrive, as bytes in a socket do.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "api/router.h"
#include "sim/world.h"

namespace holdfast::sim {

struct Lossy {  // share of a router's calls
  double unsent = 0, call = 0, answer = 0;
};

class RouterCalls {
 public:
  // No outcome: lost; `sent`: it may have been done all the same.
  using Done = std::function<void(std::optional<node::Outcome>&& outcome, bool sent)>;
  using Saw = std::function<void(const std::string& situation)>;

  // `shards` in the order of the map; they must outlive this. Without `saw` nobody looks on.
  RouterCalls(Events& events, std::uint64_t seed, std::size_t routers, std::vector<World*> shards,
              Saw saw);

  void send(std::size_t router, api::RouterCall&& call, Done done);
  // The router is gone: nobody waits for its answers. What it has sent may arrive.
  void forget(std::size_t router);
  // The process of a node is gone: what was asked of it, and not answered, is lost.
  void reset(std::size_t shard, std::size_t node);

  // ── faults ──
  Lossy& lossy(std::size_t router) { return lossy_[router]; }
  Network& ways() { return ways_; }
  Place place_of_router(std::size_t router) const { return router; }
  Place place_of_node(std::size_t shard, std::size_t node) const {
    return first_place_[shard] + node;
  }

  // ── what an onlooker knows of carts over several shards ──
  bool spread(const std::string& cart) const { return spread_.contains(cart); }
  const std::string* cart_of_part(const std::string& part) const;  // nullptr: it is none
  // Two routers asked for its record, with parts of their own: at two nodes that have not heard of
  // one another both are made, and one stands: what came of the other is undone, later.
  bool contested(const std::string& cart) const;
  // And it may be in part: then its record is in the first shard that has any of it, which need not
  // be the same one for both. Routers do not tell each other.
  bool may_be_twice(const std::string& cart) const {
    return contested(cart) && in_part_.contains(cart);
  }

 private:
  struct Open {
    std::size_t router = 0, shard = 0, node = 0;
    node::Command command;
    Done done;
    bool arrived = false;
  };
  void end(std::uint64_t id, std::optional<node::Outcome>&& outcome, bool sent);
  void arrive(std::uint64_t id, std::size_t router, Place to, const HttpCall& call);
  void answer(std::uint64_t id, std::size_t router, Place from, const api::Response& response);
  void note(const node::Command& command);
  void note_answer(const node::Outcome& outcome, const node::Command& command);
  void saw(const char* situation) {
    if (saw_) saw_(situation);
  }

  Events& events_;
  Random random_;
  std::vector<World*> shards_;
  std::vector<Place> first_place_;
  std::vector<std::pair<std::size_t, std::size_t>> node_at_;  // shard, node; by place
  std::map<std::string, Place> addresses_;
  Network ways_;
  std::vector<Lossy> lossy_;
  Saw saw_;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, Open> open_;
  std::set<std::string> spread_;
  std::set<std::string> in_part_;                         // carts that may be had in part
  std::map<std::string, std::set<std::string>> records_;  // by cart: what they name
  std::map<std::string, std::string> parts_;
  std::map<std::pair<std::string, crdt::ReplicaId>, node::Units> handed_over_;
};

}  // namespace holdfast::sim
