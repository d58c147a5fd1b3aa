#pragma once
// Rig: a few of the product's nodes (engine and driver) that never fail, on a network without loss,
// in virtual time. For measurements of what healthy regions do; faults are elsewhere.
//
// Pure and deterministic; one thread. A client's answer is the node's own, delivered when the batch
// that it depends on is durable.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "node/driver.h"
#include "sim/random.h"
#include "sim/timeline.h"

namespace holdfast::sim {

struct RigOptions {
  std::vector<std::vector<std::int64_t>> one_way_us;  // from, to; as many nodes as rows
  std::uint64_t seed = 1;
  std::int64_t disk_us_min = 1'000, disk_us_max = 3'000;  // a durable write
};

class Rig {
 public:
  explicit Rig(RigOptions options);
  ~Rig();
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  Timeline& time() { return time_; }
  std::size_t size() const { return nodes_.size(); }
  // Runs until `done`, or until `limit_us` have gone by. Whether it is done.
  bool run_until(const std::function<bool()>& done, std::int64_t limit_us);
  // Until every node reaches every other. False: not within a minute.
  bool settle();

  using Answered = std::function<void(node::Outcome&& outcome)>;
  void submit(std::size_t node, node::Command command, Answered answered);
  // Submits and runs until the answer is there; a check fails if it takes a minute.
  node::Outcome call(std::size_t node, node::Command command);

  const crdt::State& state(std::size_t node) const;
  // Units of the SKU that nobody holds or has bought, over the own rows of all nodes.
  crdt::Units available(const std::string& sku) const;

 private:
  struct Link {
    std::size_t owner = 0, peer = 0;
    gossip::LinkId other = 0;
    bool up = true;
  };
  struct Node;

  void turn_by(Node& node, std::int64_t at_us);
  void take_turn(Node& node);
  void write_next(Node& node);
  void dial(Node& node, const std::string& address);
  void send(gossip::LinkId link, gossip::FrameBytes frame);
  void close(Node& node, gossip::LinkId link);
  void tell(std::size_t node, gossip::NetEvent&& event);
  void deliver(std::vector<node::Reply>&& replies);

  RigOptions options_;
  Random random_;
  Timeline time_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<Link> links_;        // by id − 1
  std::vector<Answered> waiting_;  // by token − 1
};

}  // namespace holdfast::sim
