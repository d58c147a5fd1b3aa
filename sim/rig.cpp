#include "sim/rig.h"

#include <algorithm>
#include <deque>

#include "crdt/check.h"

namespace holdfast::sim {

using gossip::LinkId;

namespace {
constexpr std::int64_t kMinuteUs = 60'000'000;
constexpr std::int64_t kEpochMs = 1'700'000'000'000;
std::string nonce_of(LinkId link) {
  const std::string digits = std::to_string(link);
  return std::string(32 - digits.size(), '.') + digits;
}
}  // namespace

struct Rig::Node final : node::Store, node::Clock, gossip::Transport {
  Node(Rig& rig, std::size_t index) : rig(rig), index(index) {}

  void write(node::Batch&& batch) override {
    batches.push_back(std::move(batch));
    if (batches.size() == 1) rig.write_next(*this);
  }
  std::size_t pending() const override { return batches.size(); }
  bool takes_slice() const override { return true; }
  std::uint64_t free_bytes() const override { return UINT64_MAX; }

  crdt::Now now() override {
    const crdt::Millis since{rig.time_.now_us() / 1'000};
    return {crdt::Instant(crdt::Millis(1'000'000) + since),
            crdt::WallTime(crdt::Millis(kEpochMs) + since)};
  }

  void dial(const std::string& address) override { rig.dial(*this, address); }
  void send(LinkId link, gossip::FrameBytes frame) override { rig.send(link, std::move(frame)); }
  void close(LinkId link, const std::string&) override { rig.close(*this, link); }
  void consumed(LinkId, std::size_t) override {}

  Rig& rig;
  const std::size_t index;
  std::string address;
  std::unique_ptr<node::Engine> engine;
  std::unique_ptr<node::Driver> driver;
  std::deque<node::Batch> batches;
  std::vector<node::Arrived> requests;
  std::vector<gossip::NetEvent> events;
  std::int64_t due_us = INT64_MAX;
};

Rig::Rig(RigOptions options) : options_(std::move(options)), random_(options_.seed, "rig") {
  const std::size_t count = options_.one_way_us.size();
  for (std::size_t i = 0; i < count; ++i) {
    nodes_.push_back(std::make_unique<Node>(*this, i));
    nodes_.back()->address = "node-" + std::to_string(i) + ":7940";
  }
  for (auto& node : nodes_) {
    const crdt::ReplicaId self{random_.next() | 1};
    const std::string name = "node-" + std::to_string(node->index);
    node::EngineConfig config{.self = self,
                              .http_address = name + ":8080",
                              .checkpoint_bytes = UINT64_MAX,
                              .seed = random_.next()};
    config.mesh.self = self;
    config.mesh.boot = random_.next() | 1;
    config.mesh.region = "region-" + std::to_string(node->index);
    config.mesh.node = name;
    config.mesh.gossip_address = node->address;
    config.mesh.cluster = "rig";
    config.mesh.secret = "a secret of enough bytes";
    for (const auto& other : nodes_)
      if (other != node) config.mesh.peers.push_back(other->address);
    node->engine = std::make_unique<node::Engine>(std::move(config));
    Node& ports = *node;
    node->driver = std::make_unique<node::Driver>(
        *node->engine,
        node::DriverPorts{
            .store = ports,
            .clock = ports,
            .transport = ports,
            .deliver = [this](std::vector<node::Reply>&& replies) { deliver(std::move(replies)); },
            .note = [](const gossip::Note&) {},
            .released = [this, &ports] { turn_by(ports, time_.now_us()); }},
        node::DriverOptions{});
    node->engine->start(node->now());
    turn_by(*node, 0);
  }
}

Rig::~Rig() = default;

const crdt::State& Rig::state(std::size_t node) const { return nodes_[node]->engine->state(); }

crdt::Units Rig::available(const std::string& sku) const {
  crdt::Units units = 0;
  for (const auto& node : nodes_) {
    const crdt::State& state = node->engine->state();
    const crdt::Product* product = state.product(sku);
    const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(state.self());
    if (cell == nullptr) continue;
    const crdt::StockRow& row = cell->row;
    units += row.received - row.withdrawn - (row.held - row.released) + row.returned + row.voided;
  }
  return units;
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

bool Rig::run_until(const std::function<bool()>& done, std::int64_t limit_us) {
  const std::int64_t end = time_.now_us() + limit_us;
  while (!done()) {
    if (time_.now_us() >= end) return false;
    time_.step();  // a node always has a next turn
  }
  return true;
}

bool Rig::settle() {
  return run_until(
      [&] {
        return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
          return node->engine->stats(node->now()).peers_reachable == size() - 1 &&
                 node->engine->state().members().size() == size();
        });
      },
      kMinuteUs);
}

void Rig::turn_by(Node& node, std::int64_t at_us) {
  if (node.due_us <= at_us) return;
  node.due_us = at_us;
  time_.after(at_us - time_.now_us(), [this, &node, at_us] {
    if (node.due_us == at_us) take_turn(node);
  });
}

void Rig::take_turn(Node& node) {
  node.due_us = INT64_MAX;
  const crdt::Instant wake =
      node.driver->turn(std::exchange(node.requests, {}), std::exchange(node.events, {}));
  HOLDFAST_CHECK(!node.engine->fatal());
  const std::int64_t in_ms =
      std::clamp<std::int64_t>((wake - node.now().instant).count(), 1, 3'600'000);
  turn_by(node, time_.now_us() + in_ms * 1'000);
}

void Rig::write_next(Node& node) {
  time_.after(random_.between(options_.disk_us_min, options_.disk_us_max), [this, &node] {
    const node::Batch batch = std::move(node.batches.front());
    node.batches.pop_front();
    batch.release();
    if (!node.batches.empty()) write_next(node);
  });
}

// ── clients ─────────────────────────────────────────────────────────────────────────────────────

void Rig::submit(std::size_t index, node::Command command, Answered answered) {
  Node& node = *nodes_[index];
  waiting_.push_back(std::move(answered));
  node.requests.push_back({{waiting_.size(), std::move(command)}, node.now().instant});
  turn_by(node, time_.now_us());
}

void Rig::deliver(std::vector<node::Reply>&& replies) {
  for (node::Reply& reply : replies) {
    const Answered answered = std::exchange(waiting_.at(reply.token - 1), nullptr);
    HOLDFAST_CHECK(answered != nullptr);  // one request, one reply
    answered(std::move(reply.outcome));
  }
}

node::Outcome Rig::call(std::size_t node, node::Command command) {
  std::optional<node::Outcome> got;
  submit(node, std::move(command), [&](node::Outcome&& outcome) { got = std::move(outcome); });
  HOLDFAST_CHECK(run_until([&] { return got.has_value(); }, kMinuteUs));
  return *std::move(got);
}

// ── the network ─────────────────────────────────────────────────────────────────────────────────

void Rig::tell(std::size_t node, gossip::NetEvent&& event) {
  nodes_[node]->events.push_back(std::move(event));
  turn_by(*nodes_[node], time_.now_us());
}

void Rig::dial(Node& node, const std::string& address) {
  const auto peer = std::find_if(nodes_.begin(), nodes_.end(),
                                 [&](const auto& other) { return other->address == address; });
  HOLDFAST_CHECK(peer != nodes_.end());  // nodes know no other addresses
  const std::size_t to = (*peer)->index;
  time_.after(2 * options_.one_way_us[node.index][to], [this, from = node.index, to, address] {
    links_.push_back({.owner = from, .peer = to, .other = links_.size() + 2});
    links_.push_back({.owner = to, .peer = from, .other = links_.size()});
    const LinkId out = links_.size() - 1, in = links_.size();
    tell(from, gossip::LinkUp{out, address, nonce_of(out)});
    tell(to, gossip::LinkUp{in, "", nonce_of(in)});
  });
}

void Rig::send(LinkId id, gossip::FrameBytes frame) {
  const Link& link = links_.at(id - 1);
  if (!link.up) return;
  time_.after(options_.one_way_us[link.owner][link.peer], [this, id, frame = std::move(frame)] {
    const Link& link = links_.at(id - 1);
    if (link.up) tell(link.owner, gossip::FramesSent{id, frame->size()});
    if (links_.at(link.other - 1).up) tell(link.peer, gossip::FrameIn{link.other, *frame});
  });
}

void Rig::close(Node& node, LinkId id) {
  Link& link = links_.at(id - 1);
  if (!std::exchange(link.up, false)) return;
  tell(node.index, gossip::LinkDown{id, "", "closed"});
  time_.after(options_.one_way_us[link.owner][link.peer], [this, id = link.other] {
    Link& other = links_.at(id - 1);
    if (std::exchange(other.up, false))
      tell(other.owner, gossip::LinkDown{id, "", "the other side closed"});
  });
}

}  // namespace holdfast::sim
