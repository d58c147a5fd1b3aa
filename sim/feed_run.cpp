#include "sim/feed_run.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>

#include "crdt/check.h"
#include "crdt/codec.h"
#include "gossip/mesh.h"
#include "sim/timeline.h"

namespace holdfast::sim {
namespace {

using gossip::LinkId;

// Handshakes, at a round a step; then the ways are found that rows take.
constexpr std::int64_t kWarmUpUs = 300 * kRoundUs;
constexpr std::int64_t kLimitUs = 1'000 * kRoundUs;  // after the last update: it does not converge

std::string text(const char* format, unsigned long number) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, format, number);
  return buffer;
}

std::string address_of(std::size_t replica) { return text("node-%lu:7940", replica); }

// What a frame adds to the cost, by its kind.
class Account {
 public:
  void add(LinkId link, LinkId back, const std::string& bytes) {
    auto frame = gossip::decode(bytes);
    HOLDFAST_CHECK(frame.ok());
    std::visit(
        [&](const auto& body) { count(body, static_cast<double>(bytes.size()), link, back); },
        *frame);
  }
  FeedCost cost;

 private:
  std::map<LinkId, std::set<std::uint64_t>> unacknowledged_;  // News with rows, by link
  void count(const gossip::News& news, double bytes, LinkId link, LinkId back) {
    cost.metadata += static_cast<double>(news.has.size() + news.names.size());
    cost.metadata_bytes += bytes;
    if (!news.parts.empty()) {
      cost.metadata += 1;
      unacknowledged_[link].insert(news.number);
    }
    std::set<std::uint64_t>& waiting = unacknowledged_[back];
    const auto upto = waiting.upper_bound(news.applied);
    if (upto != waiting.begin()) cost.metadata += 1;  // it acknowledges
    waiting.erase(waiting.begin(), upto);
    for (const gossip::News::Part& part : news.parts) {
      cost.payload += part.count;
      cost.metadata_bytes -= static_cast<double>(part.rows.size());
    }
  }
  void count(const gossip::Heartbeat&, double bytes, LinkId, LinkId) {
    cost.apart += 1;
    cost.apart_bytes += bytes;
  }
  template <typename Body>
  void count(const Body& body, double bytes, LinkId, LinkId) {
    cost.metadata += 1;
    cost.metadata_bytes += bytes;
    if constexpr (requires { body.vector; })
      cost.metadata += static_cast<double>(body.vector.size());
  }
};

class FeedRun {
 public:
  FeedRun(const FeedWorkload& workload, const gossip::MeshConfig& mesh) : workload_(workload) {
    for (std::size_t i = 0; i < workload.replicas(); ++i) add_node(i, mesh);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      time_.after(workload.sync_at_us[i], [this, i] { seal_again(i); });
      time_.after(kWarmUpUs + workload.update_at_us[i], [this, i] { update(i, 0); });
    }
  }

  FeedCost run() {
    while (time_.now_us() < kWarmUpUs) time_.step();
    account_.cost = {};
    const auto last = kWarmUpUs + static_cast<std::int64_t>(workload_.rounds()) * kRoundUs;
    while (!done() && time_.now_us() < last + kLimitUs) time_.step();
    FeedCost cost = account_.cost;
    cost.converged = done();
    cost.seconds_to_converge = static_cast<double>(time_.now_us() - last_update_us_) / kRoundUs;
    for (double* figure :
         {&cost.payload, &cost.metadata, &cost.metadata_bytes, &cost.apart, &cost.apart_bytes})
      *figure /= static_cast<double>(nodes_.size());
    return cost;
  }

 private:
  struct Node {
    Node(crdt::ReplicaId self, gossip::MeshConfig mesh)
        : state(self), mesh(std::move(mesh), self.value) {}
    crdt::State state;
    gossip::Mesh mesh;
  };
  struct Link {
    std::size_t peer = 0;
    LinkId other = 0;
    bool up = true;
  };

  void add_node(std::size_t index, gossip::MeshConfig mesh) {
    mesh.self = crdt::ReplicaId{(index + 1) * 0x9e3779b97f4a7c15ull};  // as wide as real ones
    mesh.boot = index + 1;
    mesh.node = text("node-%lu", index);
    mesh.region = mesh.node;
    mesh.gossip_address = address_of(index);
    for (const std::size_t neighbour : workload_.neighbours[index])
      mesh.peers.push_back(address_of(neighbour));
    const crdt::ReplicaId self = mesh.self;
    nodes_.push_back(std::make_unique<Node>(self, std::move(mesh)));
    // Each tells of itself, as engines do, and again, until the ways are known that rows take.
    for (std::int64_t at_us = 0; at_us < kWarmUpUs - 100 * kRoundUs; at_us += 40 * kRoundUs)
      time_.after(at_us, [this, index] { present(*nodes_[index]); });
  }

  void present(Node& node) {
    const gossip::MeshConfig& mesh = node.mesh.config();
    node.state.put_member({.region = mesh.region,
                           .node = mesh.node,
                           .gossip_address = mesh.gossip_address,
                           .wire_version = crdt::kWireVersion,
                           .boots = {{.sequence = 1, .nonce = mesh.boot}}});
  }

  crdt::Now now() const {
    const crdt::Millis since{time_.now_us() / 1'000};
    return {crdt::Instant(crdt::Millis(1'000'000) + since),
            crdt::WallTime(crdt::Millis(1'700'000'000'000) + since)};
  }

  // ── what a replica does ──

  void update(std::size_t index, std::size_t round) {
    crdt::State& state = nodes_[index]->state;
    for (const std::uint32_t key : workload_.writes[index][round]) write(state, key);
    last_update_us_ = time_.now_us();
    ++updates_;
    if (round + 1 < workload_.rounds())
      time_.after(kRoundUs, [this, index, round] { update(index, round + 1); });
  }
  void write(crdt::State& state, std::uint32_t key) {
    if (workload_.type == FeedType::gset) {
      crdt::HoldRow hold{.created_at = now().wall.time_since_epoch().count()};
      hold.lines.push_back({.sku = "sku-0001", .requested = 1, .held = 1});
      state.add_hold(text("hold-%05lu", key), std::move(hold));
      return;
    }
    const std::string sku =
        workload_.type == FeedType::gcounter ? "sku-0001" : text("sku-%04lu", key);
    state.change_stock(state.make_product(sku), [](crdt::StockRow& row) { ++row.received; });
  }

  void seal_again(std::size_t index) {
    seal(*nodes_[index], index);
    time_.after(kRoundUs, [this, index] { seal_again(index); });
  }
  // What comes takes effect at once; what leaves, leaves with the next batch.
  void tell(std::size_t index, gossip::NetEvent&& event) {
    Node& node = *nodes_[index];
    std::vector<gossip::MeshEvent> events;
    node.mesh.on_event(now(), std::move(event), node.state, events);
    for (gossip::MeshEvent& made : events) merge(node, std::move(made));
  }
  void seal(Node& node, std::size_t index) {
    const crdt::Now at = now();
    std::vector<gossip::MeshEvent> events;
    node.mesh.tick(at, node.state, events);
    HOLDFAST_CHECK(events.empty());  // without delays and calls there is nothing
                                     // that it could tell
    std::string sealed;
    node.state.seal(sealed);
    node.mesh.cut(at, node.state, false);
    gossip::MeshEffects effects = node.mesh.take_effects();
    for (auto& [link, frame] : effects.send) send(link, std::move(frame));
    for (const auto& [link, reason] : effects.close) close(link, index);
    for (const std::string& address : effects.dial) dial(index, address);
  }
  void merge(Node& node, gossip::MeshEvent&& event) {
    auto& in = std::get<gossip::DeltaIn>(event);
    for (crdt::DecodedRow& row : in.delta.rows) {
      HOLDFAST_CHECK(node.state.fits(in.delta.origin, row).ok());
      HOLDFAST_CHECK(node.state.merge(in.delta.origin, std::move(row)).ok());
    }
    node.state.advance(in.delta.origin, in.delta.to);
    node.mesh.merged(in.link, in.delta.origin, in.delta.to);
  }

  // ── the network ──

  void dial(std::size_t index, const std::string& address) {
    time_.after(kHopUs, [this, index, address] {
      const auto& near = workload_.neighbours[index];
      const auto peer = std::find_if(near.begin(), near.end(), [&](std::size_t neighbour) {
        return address_of(neighbour) == address;
      });
      if (peer == near.end()) return tell(index, gossip::LinkDown{0, address, "not a neighbour"});
      const LinkId out = ++last_link_, in = ++last_link_;
      links_[out] = {.peer = *peer, .other = in};
      links_[in] = {.peer = index, .other = out};
      tell(index, gossip::LinkUp{out, address, text("%032lu", out)});
      tell(*peer, gossip::LinkUp{in, "", text("%032lu", in)});
    });
  }
  void send(LinkId id, gossip::FrameBytes frame) {
    if (!links_.at(id).up) return;
    account_.add(id, links_.at(id).other, *frame);
    time_.after(kHopUs, [this, id, frame = std::move(frame)] {
      const Link& link = links_.at(id);
      if (!link.up) return;
      const Link& back = links_.at(link.other);
      tell(back.peer, gossip::FramesSent{id, frame->size()});
      tell(link.peer, gossip::FrameIn{link.other, *frame});
    });
  }
  void close(LinkId id, std::size_t index) {
    Link& link = links_.at(id);
    if (!std::exchange(link.up, false)) return;
    links_.at(link.other).up = false;
    tell(index, gossip::LinkDown{id, "", "closed"});
    tell(link.peer, gossip::LinkDown{link.other, "", "the other side closed"});
  }

  bool done() const {
    if (updates_ < nodes_.size() * workload_.rounds()) return false;
    if (std::any_of(nodes_.begin(), nodes_.end(),
                    [](const auto& node) { return node->state.has_unsealed(); }))
      return false;
    return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& node) {
      return node->state.digest() == nodes_.front()->state.digest();
    });
  }

  const FeedWorkload& workload_;
  Timeline time_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<LinkId, Link> links_;
  LinkId last_link_ = 0;
  Account account_;
  std::size_t updates_ = 0;
  std::int64_t last_update_us_ = 0;
};

}  // namespace

gossip::MeshConfig feed_mesh_config() {
  gossip::MeshConfig mesh;
  mesh.cluster = "feeds";
  mesh.secret = "a secret of enough bytes";
  mesh.heartbeat = crdt::Millis(1'000);
  mesh.suspect_after = crdt::Millis(5'000);
  mesh.push = crdt::Millis(1'000);
  mesh.relay_after = crdt::Millis(5'000);
  return mesh;
}

FeedCost run_feed(const FeedWorkload& workload, const gossip::MeshConfig& mesh) {
  return FeedRun(workload, mesh).run();
}

}  // namespace holdfast::sim
