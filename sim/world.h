#pragma once
// The world of one run: virtual time, machines, the network between them, and the customers of each
// region, who speak HTTP to a node near or far. One seed decides everything; nothing is random that
// does not come from it, and nothing outside is asked.
//
// Threads  none; one owner. Two runs with equal options and equal calls are equal in every event.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/machine.h"

namespace holdfast::sim {

struct NodePlan {
  std::string region;
  Costs costs;
  SkewedClock clock;
  DiskOptions disk;
  std::optional<std::uint64_t> inbox_max;  // none: the world's
  bool requires_peer = false;              // node.start_requires_peer
  bool spare = false;  // it has no directory, and is not started with the others
};

struct WorldOptions {
  std::uint64_t seed = 1;
  std::vector<std::string> regions;
  std::vector<NodePlan> nodes;  // named <region>-<n>, n from 1 in each region
  Time within_region = 500;     // one way
  Time between_regions = 40 * kMillisecond;
  Time client_latency = 200;  // from a customer to a node of the region
  crdt::Millis heartbeat{500}, suspect_after{2500}, push{5}, relay_after{500};
  crdt::Millis inbox_delay_max{1000};
  std::uint64_t inbox_max = 131'072;
  std::uint64_t checkpoint_bytes = 64ull << 20;
  std::size_t piece_bytes = 256 << 10, window_bytes = 1 << 20;
  std::uint32_t open_holds_max = 5'000'000;
  node::RebalanceOptions rebalance;
  crdt::Millis keep_finished{24 * 3600 * 1000};  // holds, at least
  bool keeps_bases = false;                      // directories are copied by hand in this run
  std::string http_prefix;  // of its nodes' HTTP addresses: shards of one run have different ones
};

class World {
 public:
  // Machines are there and not started; latencies are those of the options. With `shared` it is
  // one of several clusters in one time; those events must outlive it.
  World(WorldOptions options, Watcher& watcher, Events* shared = nullptr);

  Events& events() { return events_; }
  Network& network() { return network_; }
  Time now() const { return events_.now(); }
  const WorldOptions& options() const { return options_; }

  std::size_t nodes() const { return machines_.size(); }
  Machine& node(std::size_t index) { return *machines_[index]; }
  const Machine& node(std::size_t index) const { return *machines_[index]; }
  bool is_spare(std::size_t node) const { return options_.nodes[node].spare; }
  // A node, or a spare that has been given a directory.
  bool takes_part(std::size_t node) const { return !is_spare(node) || machines_[node]->life() > 0; }
  std::size_t region_of(std::size_t node) const { return region_of_[node]; }
  const std::vector<std::size_t>& nodes_of(std::size_t region) const { return nodes_of_[region]; }
  // Where the customers of a region are.
  Place customers(std::size_t region) const { return machines_.size() + region; }

  void start_all();
  void run_until(Time limit) {
    while (events_.step(limit)) {
    }
  }
  // Until `done` says so, asked after each event; false: it did not by `limit`.
  bool run_until(const std::function<bool()>& done, Time limit);

  // An HTTP call of a customer. `done` runs once at most: never, if the call or its answer is lost.
  void http(std::size_t from_region, std::size_t node, HttpCall call, OnResponse done);

  // Both directions between two regions, customers included: what a cable carries.
  void set_latency(std::size_t region_a, std::size_t region_b, Time one_way);
  // What was sent so far from one region to another, by nodes and customers.
  std::uint64_t bytes_between(std::size_t from_region, std::size_t to_region) const;
  std::uint64_t bytes_of_pair(Place from, Place to) const { return network_.bytes_sent(from, to); }
  void for_each_pair(std::size_t from_region, std::size_t to_region,
                     const std::function<void(Place from, Place to)>& visit) const;

 private:
  WorldOptions options_;
  Events own_events_;
  Events& events_;
  Network network_;
  std::vector<std::size_t> region_of_;              // of a node
  std::vector<std::vector<std::size_t>> nodes_of_;  // of a region
  std::vector<std::unique_ptr<Machine>> machines_;
};

}  // namespace holdfast::sim
