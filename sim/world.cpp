#include "sim/world.h"

#include <algorithm>

#include "crdt/check.h"

namespace holdfast::sim {

World::World(WorldOptions options, Watcher& watcher, Events* shared)
    : options_(std::move(options)),
      events_(shared == nullptr ? own_events_ : *shared),
      network_(events_, options_.seed, options_.nodes.size() + options_.regions.size()),
      nodes_of_(options_.regions.size()) {
  std::vector<std::string> addresses;
  for (std::size_t i = 0; i < options_.nodes.size(); ++i)
    addresses.push_back("node-" + std::to_string(i) + ":7940");
  for (std::size_t i = 0; i < options_.nodes.size(); ++i) {
    const NodePlan& plan = options_.nodes[i];
    const auto region = std::find(options_.regions.begin(), options_.regions.end(), plan.region);
    HOLDFAST_CHECK(region != options_.regions.end());
    const auto at = static_cast<std::size_t>(region - options_.regions.begin());
    region_of_.push_back(at);
    nodes_of_[at].push_back(i);
    MachineOptions machine{.region = plan.region,
                           .node = plan.region + "-" + std::to_string(nodes_of_[at].size()),
                           .inbox_max = plan.inbox_max.value_or(options_.inbox_max),
                           .inbox_delay_max = options_.inbox_delay_max,
                           .costs = plan.costs,
                           .disk = plan.disk,
                           .clock = plan.clock,
                           .seed = Random(options_.seed, "machine", i).next(),
                           .keeps_bases = options_.keeps_bases};
    node::EngineConfig& engine = machine.engine;
    engine.http_address = options_.http_prefix + "http-" + std::to_string(i);
    engine.checkpoint_bytes = options_.checkpoint_bytes;
    engine.open_holds_max = options_.open_holds_max;
    engine.faults_enabled = true;
    engine.requires_peer = plan.requires_peer;
    engine.rebalance = options_.rebalance;
    engine.keep_finished = options_.keep_finished;
    gossip::MeshConfig& mesh = engine.mesh;
    mesh.region = plan.region;
    mesh.node = machine.node;
    mesh.gossip_address = addresses[i];
    mesh.cluster = "simulated";
    mesh.secret = "known to all of the simulated";
    mesh.heartbeat = options_.heartbeat;
    mesh.suspect_after = options_.suspect_after;
    mesh.push = options_.push;
    mesh.relay_after = options_.relay_after;
    mesh.piece_bytes = options_.piece_bytes;
    mesh.window_bytes = options_.window_bytes;
    for (std::size_t peer = 0; peer < addresses.size(); ++peer)  // nobody expects a spare
      if (peer != i && !is_spare(peer)) mesh.peers.push_back(addresses[peer]);
    machines_.push_back(
        std::make_unique<Machine>(events_, network_, watcher, i, std::move(machine)));
  }
  for (std::size_t a = 0; a < options_.regions.size(); ++a)
    for (std::size_t b = 0; b <= a; ++b)
      set_latency(a, b, a == b ? options_.within_region : options_.between_regions);
}

void World::start_all() {
  for (const auto& machine : machines_)
    if (!is_spare(machine->place())) machine->start();
}

bool World::run_until(const std::function<bool()>& done, Time limit) {
  while (!done())
    if (!events_.step(limit)) return done();
  return true;
}

void World::for_each_pair(std::size_t from_region, std::size_t to_region,
                          const std::function<void(Place from, Place to)>& visit) const {
  const auto places = [&](std::size_t region) {
    std::vector<Place> all = nodes_of_[region];
    all.push_back(customers(region));
    return all;
  };
  for (const Place from : places(from_region))
    for (const Place to : places(to_region))
      if (from != to) visit(from, to);
}

std::uint64_t World::bytes_between(std::size_t from_region, std::size_t to_region) const {
  std::uint64_t bytes = 0;
  for_each_pair(from_region, to_region,
                [&](Place from, Place to) { bytes += network_.bytes_sent(from, to); });
  return bytes;
}

void World::set_latency(std::size_t a, std::size_t b, Time one_way) {
  const auto set = [&](Place from, Place to) {
    const bool customer = std::max(from, to) >= nodes();
    network_.pair(from, to).latency = a == b && customer ? options_.client_latency : one_way;
  };
  for_each_pair(a, b, set);
  for_each_pair(b, a, set);
}

void World::http(std::size_t from_region, std::size_t node, HttpCall call, OnResponse done) {
  const Place client = customers(from_region);
  const std::size_t size = 120 + call.target.size() + call.body.size();
  network_.post(client, node, size,
                [this, client, node, call = std::move(call), done = std::move(done)] {
                  Machine& machine = *machines_[node];
                  if (!machine.listens() || machine.paused()) return;
                  machine.http(call, [this, client, node, done](const api::Response& response) {
                    network_.post(node, client, 120 + response.body.size(),
                                  [done, response] { done(response); });
                  });
                });
}

}  // namespace holdfast::sim
