#pragma once
// The world of one seed with routers: shards (each a World with its own checks), the routers before
// them, the customers, and one virtual time for all.

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/checks.h"
#include "sim/recorder.h"
#include "sim/routed_plan.h"
#include "sim/router_machine.h"

namespace holdfast::sim {

class RoutedWorld {
 public:
  // Both must outlive this; `trace` may be empty.
  RoutedWorld(const RoutedPlan& plan, const Trace& trace);

  const RoutedPlan& plan() const { return plan_; }
  Events& events() { return events_; }
  Time now() const { return events_.now(); }
  std::size_t shards() const { return shards_.size(); }
  World& shard(std::size_t index) { return shards_[index]->world; }
  // Its nodes that have not left for good.
  std::vector<std::size_t> nodes_of(std::size_t shard);
  std::size_t routers() const { return routers_.size(); }
  RouterMachine& router(std::size_t index) { return *routers_[index]; }
  RouterCalls& calls() { return *calls_; }
  const api::ShardMap& map() const { return map_; }

  // Routers that live, and those that start from now on, use it.
  void use(api::ShardMap map);
  // Those that start use it; each that lives, once it is told.
  void set_map(api::ShardMap map) { map_ = std::move(map); }
  void tell(std::size_t router);
  void start_router(std::size_t index);
  // A router that ends by itself starts again after this time.
  void when_ended(std::function<void(std::size_t router)> ended) { ended_ = std::move(ended); }

  // Until `done` says so or something is broken; false: it did not by `limit`.
  bool run_until(const std::function<bool()>& done, Time limit);
  void run_to(Time limit) {
    run_until([] { return false; }, limit);
  }
  // Answers of a node past HTTP and past routers, for who audits. Requires: it lives.
  node::Outcome ask(std::size_t shard, std::size_t node, node::Command command);

  void fail(const std::string& invariant, const std::string& detail);
  std::optional<Violation> violation() const;  // the first, of any shard or of routers
  bool going() const;                          // there is none
  void saw(const std::string& situation) { ++sometimes_[situation]; }
  const std::map<std::string, std::uint64_t>& sometimes() const { return sometimes_; }
  std::uint64_t hash() const;

 private:
  struct Shard {
    Shard(const WorldOptions& options, const Trace& trace, Events& events);
    Checks checks;
    Recorder recorder;
    World world;
  };

  const RoutedPlan& plan_;
  Events events_;
  std::deque<std::unique_ptr<Shard>> shards_;
  std::unique_ptr<RouterCalls> calls_;
  std::deque<std::unique_ptr<RouterMachine>> routers_;
  api::ShardMap map_;
  std::vector<std::uint64_t> told_;  // by router: the version that it has
  std::function<void(std::size_t)> ended_;
  std::optional<Violation> violation_;
  std::map<std::string, std::uint64_t> sometimes_;
};

}  // namespace holdfast::sim
