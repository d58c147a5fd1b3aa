#pragma once
// Cluster: some nodes, each the product's own engine and driver, on disks in memory, one virtual
// clock and a network of ordered links. One thread; nothing sleeps. A seed decides every delay.
//
// What it watches all the time, whatever the test is about (complaints()):
//   - one request, one reply;
//   - no frame leaves, and no reply but of stock, availability and statistics (or a refusal for
//     overload), except while the store releases a batch;
//   - batch numbers are contiguous;
//   - over the own rows of all nodes: every replica's rights >= 0, and conservation; if replicas
//   are
//     seized from, instead: available >= -allowance - sum of (unseen + debt).

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "node/driver.h"
#include "node/recovery.h"
#include "tests/node/support/memory_store.h"

namespace holdfast::tests {

using node::Command;
using node::Driver;
using node::Engine;
using node::Outcome;
using node::ReplicaId;
using node::Reply;
using node::ReservationView;
using node::Stats;
using node::StockChange;
using node::StockView;
using node::Units;

struct ClusterOptions {
  std::size_t nodes = 1;
  std::size_t nodes_per_region = 1;
  std::uint64_t seed = 1;
  std::int64_t disk_ms_max = 3;  // a batch takes 1 to this long
  std::int64_t link_ms_max = 3;  // and so does a frame, each way
  std::uint64_t checkpoint_bytes = 1ull << 40;
  std::uint64_t min_free_bytes = 0;
  crdt::Millis inbox_delay_max{1000};
  std::uint32_t open_holds_max = 1'000'000;
  crdt::Millis keep_finished{24 * 3600 * 1000};
  crdt::Millis durability_wait{1000};
  bool faults_enabled = false;
  // Replicas may be seized from, so that rights fall below 0; one that is retired ends by itself.
  bool seizes = false;
  // Disks are put back: a node may end because it is a fork, and stock is not checked all the time.
  bool forks = false;
  bool requires_peer = false;
  std::string http_prefix = "http-";         // of nodes' addresses
  std::map<std::size_t, std::string> names;  // of nodes that are not called node-INDEX
  // Rights move only for customers who wait, unless a test is about more.
  node::RebalanceOptions rebalance{.policy = node::find_policy("on-demand")};
};

// One SKU over the own rows of all nodes, in closed form.
struct Truth {
  Units on_hand = 0, held = 0, sold = 0, returned = 0, allowance = 0;
  std::vector<Units> rights, unseen, debt;  // by node
  Units seized = 0;                         // ever
  Units available() const { return on_hand - held; }
  Units budget() const;  // sum of unseen and debt
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // ── time ──
  std::int64_t now_ms() const { return now_ms_; }
  void run_for(std::int64_t ms);
  bool run_until(const std::function<bool()>& done, std::int64_t limit_ms);
  void settle();  // until all nodes that live see each other; a complaint if they do not
  bool converge(std::int64_t limit_ms = 60'000);  // until all have the same rows
  void jump_wall_clock(std::size_t node, std::int64_t ms);

  // ── clients ──
  std::uint64_t submit(std::size_t node, Command command);
  bool answered(std::uint64_t token) const { return replies_.contains(token); }
  Outcome take(std::uint64_t token);  // requires: answered
  // Submits and runs until the reply is there.
  Outcome call(std::size_t node, Command command, std::int64_t limit_ms = 20'000);

  // ── faults ──
  void cut(std::size_t a, std::size_t b);  // frames stall, dials fail
  void heal(std::size_t a, std::size_t b);
  void heal_all();
  // Ends all links of the two; what was in flight on them is lost.
  void reset_links(std::size_t a, std::size_t b);
  // The process ends. The oldest `durable` batches that wait are on disk all the same, not
  // released.
  void crash(std::size_t node, std::size_t durable = 0);
  void restart(std::size_t node);
  bool lives(std::size_t node) const;
  // Why its engine ended the process, if it did: it was retired, and has told its last row.
  const std::string& ended(std::size_t node) const;
  // The node's disk is another one, perhaps another node's, and nothing runs on it yet. It must be
  // down.
  void put_back(std::size_t node, const MemoryDisk& disk);
  // Ended as a fork: becomes the new replica that its mark asks for, and starts.
  void rejoin(std::size_t node, ReplicaId as = {});  // nobody: just above who it was
  // On an empty disk, as a new replica. It must be down.
  void start_anew(std::size_t node);
  bool forked(std::size_t node) const;
  const std::string& stopped_for(std::size_t node) const;
  // What a node has put into its log as a warning, over all its processes.
  const std::vector<std::string>& warnings(std::size_t node) const;
  // From now on the disk does nothing by itself.
  void hold_disk(std::size_t node);
  void free_disk(std::size_t node);
  // Turns end without a batch, as while one waits for company (node/crowd.h).
  void keep_batches(std::size_t node);
  void let_batches_go(std::size_t node);
  // The engine's thread gets no turn; its inbox fills.
  void pause(std::size_t node);
  void resume(std::size_t node);

  // ── looking ──
  std::size_t size() const { return nodes_.size(); }
  Engine& engine(std::size_t node);
  const crdt::State& state(std::size_t node) const;
  ReplicaId replica(std::size_t node) const;
  MemoryStore& store(std::size_t node);
  MemoryDisk& disk(std::size_t node);
  std::size_t reachable(std::size_t node);
  Stats stats(std::size_t node);
  bool may_leave(std::size_t node);  // Engine::may_leave, now
  Truth truth(const std::string& sku) const;
  Units rights(std::size_t node, const std::string& sku) const;
  std::string complaints() const;
  std::uint64_t turns(std::size_t node) const;  // that it has taken, over all its processes
  // One turn of a node, now, whether or not it has anything to do.
  void turn(std::size_t node) { take_turn(at(node)); }
  // Is called after every turn of a node.
  std::function<void()> watch;

 private:
  struct Link {
    std::size_t owner = 0, peer = 0;
    gossip::LinkId other = 0;
    bool up = true;
    std::int64_t last_arrival_ms = 0;        // of what the owner has sent
    std::deque<gossip::FrameBytes> stalled;  // by a cut; nullptr: the end of the link
  };
  struct Node;
  struct NodeTransport;
  struct NodeClock;

  Node& at(std::size_t node) const { return *nodes_[node]; }
  void start_process(Node& node);
  void after(std::int64_t ms, std::function<void()> action);
  void after(Node& node, std::int64_t ms, std::function<void()> action);  // unless it dies before
  std::int64_t some_ms(std::int64_t most) {
    return 1 + static_cast<std::int64_t>(random_() % most);
  }
  void step();
  void take_turn(Node& node);
  void pump_disk(Node& node);
  void dial(Node& node, const std::string& address);
  void send(gossip::LinkId link, gossip::FrameBytes frame);  // nullptr: the end
  void arrive(gossip::LinkId from, gossip::FrameBytes frame);
  void tell(std::size_t node, gossip::NetEvent&& event);
  void end_link(gossip::LinkId link, bool tell_owner, bool tell_peer);
  bool is_cut(std::size_t a, std::size_t b) const {
    return cuts_.contains({std::min(a, b), std::max(a, b)});
  }
  void on_reply(Node& node, Reply&& reply);
  void check_stock();
  void complain(const std::string& what) {
    if (complaints_.size() < 5) complaints_.push_back(std::to_string(now_ms_) + " ms: " + what);
  }

  ClusterOptions options_;
  std::mt19937_64 random_;
  std::int64_t now_ms_ = 0;
  std::uint64_t events_made_ = 0;
  std::map<std::pair<std::int64_t, std::uint64_t>, std::function<void()>> events_;
  std::vector<std::unique_ptr<Node>> nodes_;
  gossip::LinkId last_link_ = 0;
  std::map<gossip::LinkId, Link> links_;
  std::set<std::pair<std::size_t, std::size_t>> cuts_;
  std::uint64_t last_token_ = 0;
  std::map<std::uint64_t, bool> asked_;  // token → may be answered before it is durable
  std::set<std::uint64_t> answered_;
  std::map<std::uint64_t, Outcome> replies_;
  std::vector<std::string> complaints_;
};

// Every row that a state has, as bytes, in the order of origin and sequence.
std::string bytes_of(const crdt::State& state);

// What an outcome shows; fails the test if it is of another kind.
const ReservationView& reservation(const Outcome& outcome);
const StockView& stock(const Outcome& outcome);
const StockChange& change(const Outcome& outcome);

}  // namespace holdfast::tests
