#include "tests/gossip/support/net.h"

#include <algorithm>

#include "crdt/check.h"

namespace holdfast::gossip {

using crdt::Millis;

bool Node::noted(const std::string& text) const {
  return std::any_of(notes.begin(), notes.end(),
                     [&](const Note& note) { return note.text.find(text) != std::string::npos; });
}

crdt::Now Net::now() const {
  return {crdt::Instant(Millis(now_)), crdt::WallTime(Millis(1'700'000'000'000 + now_))};
}

int Net::add(std::function<void(MeshConfig&)> adapt) {
  const int index = size();
  auto made = std::make_unique<Node>();
  MeshConfig& config = made->config;
  config.self = id(index);
  config.boot = 1000 + index;
  config.region = "region-" + std::to_string(index);
  config.node = "node-" + std::to_string(index);
  config.gossip_address = "host-" + std::to_string(index) + ":1";
  config.cluster = "test";
  config.secret = "a secret of tests";
  for (int i = 0; i < index; ++i) config.peers.push_back(nodes_[i]->config.gossip_address);
  adapt(config);
  made->state = std::make_unique<crdt::State>(config.self);
  made->mesh = std::make_unique<Mesh>(config, rng_.next());
  nodes_.push_back(std::move(made));
  turn(index, [](Node&) {});
  return index;
}

void Net::write(int node, std::uint64_t sku, crdt::Units units) {
  turn(node, [&](Node& on) {
    on.state->change_stock(on.state->make_product("sku-" + std::to_string(sku)),
                           [&](crdt::StockRow& row) { row.received += units; });
  });
}

void Net::turn(int node, const std::function<void(Node&)>& act) {
  act(*nodes_[node]);
  after_turn(node, {});
}

void Net::kill(int node) {
  nodes_[node]->alive = false;
  ++lives_[node];
  for (const auto& wire : std::vector(wires_))
    if (wire->ends[0].node == node || wire->ends[1].node == node) down(wire, "the process ended");
}

std::unique_ptr<crdt::State> Net::copy(const crdt::State& state) {
  auto copied = std::make_unique<crdt::State>(state.self());
  for (const auto& [origin, head] : state.vector()) {
    const crdt::Feed* feed = state.feed(origin);
    for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
      std::string bytes;
      crdt::append_item(*at->second, bytes);
      HOLDFAST_CHECK(copied->merge(origin, *crdt::decode_row(bytes)).ok());
    }
    copied->advance(origin, head);
  }
  return copied;
}

void Net::start_again(int node, std::unique_ptr<crdt::State> state) {
  if (nodes_[node]->alive) kill(node);
  Node& on = *nodes_[node];
  on.config.boot += 1'000'000;
  on.state = std::move(state);
  on.mesh = std::make_unique<Mesh>(on.config, rng_.next());
  on.alive = true;
  turn(node, [](Node&) {});
}

// ── what a node does ────────────────────────────────────────────────────────────────────────────

void Net::event(int node, NetEvent&& event) {
  Node& on = *nodes_[node];
  if (!on.alive) return;
  std::vector<MeshEvent> events;
  on.mesh->on_event(now(), std::move(event), *on.state, events);
  after_turn(node, std::move(events));
}

void Net::act_on(int node, std::vector<MeshEvent>&& events) {
  Node& on = *nodes_[node];
  for (MeshEvent& event : events) {
    if (auto* in = std::get_if<DeltaIn>(&event)) {
      ++on.deltas;
      bool refused = false;
      HOLDFAST_CHECK(in->delta.from <= on.state->head(in->delta.origin));
      const bool replaces = in->delta.full() && on.state->head(in->delta.origin) > 0;
      const auto present = in->delta.hold_ids();
      for (crdt::DecodedRow& row : in->delta.rows) {
        const auto merged = on.state->merge(in->delta.origin, std::move(row));
        if (merged.ok()) continue;
        on.mesh->reject(in->link, std::string(merged.status().message()));
        refused = true;
        break;
      }
      if (refused) continue;
      on.state->advance(in->delta.origin, in->delta.to);
      if (replaces) on.state->drop_absent(in->delta.origin, in->delta.to, present);
      on.mesh->merged(in->link, in->delta.origin, in->delta.to);
    } else if (auto* call = std::get_if<CallIn>(&event)) {
      on.calls.push_back(*call);
    } else if (auto* answer = std::get_if<AnswerIn>(&event)) {
      on.answers[answer->id] = answer->body;
    } else if (auto* lost = std::get_if<CallsLost>(&event)) {
      on.lost.insert(on.lost.end(), lost->ids.begin(), lost->ids.end());
    } else {
      on.forks.push_back(std::get<Forked>(event).detail);
    }
  }
}

void Net::after_turn(int node, std::vector<MeshEvent>&& events, bool urgent) {
  Node& on = *nodes_[node];
  act_on(node, std::move(events));
  std::vector<MeshEvent> more;
  on.mesh->tick(now(), *on.state, more);
  act_on(node, std::move(more));
  std::string journal;
  on.state->seal(journal);
  on.mesh->cut(now(), *on.state, urgent);
  auto effects = std::make_shared<MeshEffects>(on.mesh->take_effects());
  at(now_ + 1, [this, node, effects, life = lives_[node]] {  // the fsync
    if (lives_[node] == life) release(node, std::move(*effects));
  });
  const std::int64_t wake = std::max(now_ + 1, on.mesh->wake_at().time_since_epoch().count());
  if (wakes_[node] > now_ && wakes_[node] <= wake) return;
  wakes_[node] = wake;
  at(wake, [this, node, wake] {
    if (wakes_[node] != wake || !nodes_[node]->alive) return;
    wakes_[node] = 0;
    after_turn(node, {});
  });
}

void Net::release(int node, MeshEffects&& effects) {
  for (const auto& [link, bytes] : effects.send) send(node, link, bytes);
  for (const auto& [link, reason] : effects.close) {
    int side = 0;
    const auto wire = find(node, link, side);
    if (!wire) continue;
    wire->up = false;  // what was queued is carried to its end, and nothing after it
    const std::int64_t heard = now_ + latency(wire->ends[side].node, wire->ends[1 - side].node);
    at(std::max(heard, std::max(wire->busy_until[0], wire->busy_until[1])) + 1,
       [this, wire, reason = reason] { down(wire, reason); });
  }
  for (const std::string& address : effects.dial) dial(node, address);
  for (const std::string& name : effects.resolve)
    at(now_ + 1 + rng_.below(5), [this, node, name] {
      event(node, Resolved{name, resolve(node, name)});
    });
  for (Note& note : effects.notes) nodes_[node]->notes.push_back(std::move(note));
}

// ── the network ─────────────────────────────────────────────────────────────────────────────────

void Net::at(std::int64_t ms, std::function<void()> what) { queue_.emplace(ms, std::move(what)); }

Net::Cut Net::cut_between(int a, int b) const {
  const auto found = cuts_.find(std::minmax(a, b));
  return found == cuts_.end() ? Cut::none : found->second;
}

void Net::dial(int node, const std::string& address) {
  ++nodes_[node]->dials;
  at(now_ + 1 + rng_.below(5), [this, node, address] {
    int target = -1;
    for (int i = 0; i < size(); ++i)
      if (nodes_[i]->config.gossip_address == address && nodes_[i]->alive) target = i;
    if (target < 0 || cut_between(node, target) != Cut::none)
      return event(node, LinkDown{0, address, "refused"});
    auto wire = std::make_shared<Wire>();
    wire->ends[0] = {node, ++last_link_};
    wire->ends[1] = {target, ++last_link_};
    wires_.push_back(wire);
    for (int side : {0, 1}) {
      std::string nonce(32, '\0');
      for (char& byte : nonce) byte = static_cast<char>(rng_.next());
      event(wire->ends[side].node, LinkUp{wire->ends[side].link, side == 0 ? address : "", nonce});
    }
  });
}

std::shared_ptr<Net::Wire> Net::find(int node, LinkId link, int& side) {
  for (const auto& wire : wires_)
    for (side = 0; side < 2; ++side)
      if (wire->up && wire->ends[side].node == node && wire->ends[side].link == link) return wire;
  return nullptr;
}

void Net::send(int node, LinkId link, const FrameBytes& bytes) {
  int side = 0;
  const auto wire = find(node, link, side);
  if (!wire) return;
  const int to = wire->ends[1 - side].node;
  const auto frame = decode(*bytes);
  HOLDFAST_CHECK(frame.ok());
  ++frames_sent[frame->index()];
  if (const auto* news = std::get_if<News>(&*frame)) {
    auto& names = names_[{link, node}];
    if (news->anew) names.clear();
    for (const News::Name& name : news->names)  // or it has another boot
      if (std::find(names.begin(), names.end(), name.origin) == names.end())
        names.push_back(name.origin);
    for (const News::Part& part : news->parts) {
      const auto rows = crdt::decode_rows(part.rows);
      HOLDFAST_CHECK(rows.ok());
      if (part.name >= names.size()) continue;  // its name was lost before it got here
      for (const crdt::DecodedRow& row : *rows)
        rows_sent.push_back({node, to, names[part.name], row.key, row.sequence, row.kind});
    }
  }
  if (stalled_[node]) {
    wire->stalled.emplace_back(side, bytes);
    return;
  }
  carry(wire, side, bytes);
}

void Net::carry(const std::shared_ptr<Wire>& wire, int side, const FrameBytes& bytes) {
  const int from = wire->ends[side].node, to = wire->ends[1 - side].node;
  event(from, FramesSent{wire->ends[side].link, bytes->size()});
  if (lose && lose(from, to, *decode(*bytes))) return;
  std::int64_t& busy = wire->busy_until[side];
  busy = std::max<std::int64_t>(busy, now_ + 1 + latency(from, to) + rng_.below(4));
  at(busy, [this, wire, side, bytes] { deliver(wire, side, bytes); });
}

void Net::deliver(const std::shared_ptr<Wire>& wire, int side, const FrameBytes& bytes) {
  if (wire->told_down) return;
  const End& to = wire->ends[1 - side];
  if (cut_between(wire->ends[0].node, wire->ends[1].node) == Cut::silent || !wire->held.empty()) {
    wire->held.emplace_back(side, bytes);
    return;
  }
  event(to.node, FrameIn{to.link, *bytes});
}

void Net::down(const std::shared_ptr<Wire>& wire, const std::string& reason) {
  if (wire->told_down) return;
  wire->up = false;
  wire->told_down = true;
  std::erase(wires_, wire);
  for (const End& end : wire->ends) event(end.node, LinkDown{end.link, "", reason});
}

void Net::cut(int a, int b, Cut cut) {
  cuts_[std::minmax(a, b)] = cut;
  if (cut != Cut::reset) return;
  for (const auto& wire : std::vector(wires_))
    if (std::minmax(wire->ends[0].node, wire->ends[1].node) == std::minmax(a, b))
      down(wire, "reset");
}

void Net::heal() {
  cuts_.clear();
  for (const auto& wire : std::vector(wires_)) {
    std::deque<std::pair<int, FrameBytes>> held;
    held.swap(wire->held);
    for (const auto& [side, bytes] : held) deliver(wire, side, bytes);
  }
}

void Net::stall(int node, bool stalled) {
  stalled_[node] = stalled;
  if (stalled) return;
  for (const auto& wire : std::vector(wires_)) {
    std::deque<std::pair<int, FrameBytes>> frames;
    frames.swap(wire->stalled);
    for (const auto& [side, bytes] : frames) carry(wire, side, bytes);
  }
}

std::size_t Net::stalled_bytes(int node) const {
  std::size_t most = 0;
  for (const auto& wire : wires_) {
    std::size_t bytes = 0;
    for (const auto& [side, frame] : wire->stalled)
      if (wire->ends[side].node == node) bytes += frame->size();
    most = std::max(most, bytes);
  }
  return most;
}

void Net::inject(int from, int to, std::string bytes) {
  for (const auto& wire : std::vector(wires_))
    for (int side : {0, 1})
      if (wire->ends[side].node == from && wire->ends[1 - side].node == to)
        return event(to, FrameIn{wire->ends[1 - side].link, std::move(bytes)});
}

// ── time, and what is seen ──────────────────────────────────────────────────────────────────────

void Net::run(std::int64_t ms) {
  const std::int64_t end = now_ + ms;
  while (!queue_.empty() && queue_.begin()->first <= end) {
    const auto first = queue_.begin();
    now_ = std::max(now_, first->first);
    const auto what = std::move(first->second);
    queue_.erase(first);
    what();
  }
  now_ = end;
}

bool Net::run_until(const std::function<bool()>& condition, std::int64_t ms_max) {
  const std::int64_t end = now_ + ms_max;
  while (now_ < end) {
    if (condition()) return true;
    run(1);
  }
  return condition();
}

bool Net::converged() const {
  const Node* first = nullptr;
  for (const auto& node : nodes_) {
    if (!node->alive) continue;
    if (first == nullptr) first = node.get();
    if (node->state->digest() != first->state->digest() ||
        !(node->state->vector() == first->state->vector()))
      return false;
  }
  return true;
}

bool Net::all_reachable() const {
  for (int a = 0; a < size(); ++a)
    for (int b = 0; b < size(); ++b)
      if (a != b && nodes_[a]->alive && nodes_[b]->alive && !nodes_[a]->mesh->reachable(id(b)))
        return false;
  return true;
}

int Net::links(int a, int b) const {
  return static_cast<int>(std::count_if(wires_.begin(), wires_.end(), [&](const auto& wire) {
    return std::minmax(wire->ends[0].node, wire->ends[1].node) == std::minmax(a, b);
  }));
}

bool Net::dialled_by(int dialler, int acceptor) const {
  return std::any_of(wires_.begin(), wires_.end(), [&](const auto& wire) {
    return wire->ends[0].node == dialler && wire->ends[1].node == acceptor;
  });
}

}  // namespace holdfast::gossip
