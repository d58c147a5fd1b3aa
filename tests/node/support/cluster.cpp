#include "tests/node/support/cluster.h"

#include <algorithm>
#include <stdexcept>

#include "node/journal_of.h"
#include "node/reissue.h"

namespace holdfast::tests {

using namespace node;

using gossip::LinkId;

struct Cluster::NodeClock final : Clock {
  NodeClock(const Cluster& cluster, const Node& node) : cluster(cluster), node(node) {}
  crdt::Now now() override;
  const Cluster& cluster;
  const Node& node;
};

struct Cluster::NodeTransport final : gossip::Transport {
  NodeTransport(Cluster& cluster, Node& node) : cluster(cluster), node(node) {}
  void dial(const std::string& address) override;
  void send(LinkId link, gossip::FrameBytes frame) override;
  void close(LinkId link, const std::string& reason) override;
  void consumed(LinkId, std::size_t) override {}
  Cluster& cluster;
  Node& node;
};

struct Cluster::Node {
  Node(Cluster& cluster, std::size_t index)
      : index(index),
        address("node-" + std::to_string(index) + ":7940"),
        clock(cluster, *this),
        transport(cluster, *this) {}
  // what outlives the process
  const std::size_t index;
  const std::string address;
  ReplicaId self;
  MemoryDisk disk;
  std::map<std::uint64_t, MemoryDisk> bases;  // by boot: the disk as it was then
  ForkMark mark;                              // with boots: it has ended as a fork
  std::string stopped_for;
  std::vector<std::string> warnings;
  std::int64_t wall_offset_ms = 0;
  // the process
  std::uint64_t epoch = 0, boot = 0;
  std::int64_t instant_offset_ms = 0;
  NodeClock clock;
  NodeTransport transport;
  std::unique_ptr<MemoryStore> store;
  std::unique_ptr<Engine> engine;  // stays after a crash, recovered and not started
  std::unique_ptr<Driver> driver;  // nullptr: it is down
  std::vector<Arrived> requests;
  std::vector<gossip::NetEvent> events;
  std::uint64_t turns = 0;
  std::int64_t due_ms = 0;
  bool disk_held = false, disk_busy = false, paused = false, keeps_batches = false;
  std::string ended;
  bool runs() const { return driver && !paused; }
};

crdt::Now Cluster::NodeClock::now() {
  return {crdt::Instant(crdt::Millis(cluster.now_ms_ + node.instant_offset_ms)),
          crdt::WallTime(crdt::Millis(1'700'000'000'000 + cluster.now_ms_ + node.wall_offset_ms))};
}

void Cluster::NodeTransport::dial(const std::string& address) { cluster.dial(node, address); }

void Cluster::NodeTransport::send(LinkId link, gossip::FrameBytes frame) {
  if (!node.store->releasing()) cluster.complain("a frame left before its batch was durable");
  const auto at = cluster.links_.find(link);
  if (at != cluster.links_.end() && at->second.up) cluster.send(link, std::move(frame));
}

void Cluster::NodeTransport::close(LinkId link, const std::string&) {
  cluster.end_link(link, true, true);
}

// ── processes ───────────────────────────────────────────────────────────────────────────────────

Cluster::Cluster(ClusterOptions options) : options_(options), random_(options.seed) {
  for (std::size_t i = 0; i < options.nodes; ++i) {
    nodes_.push_back(std::make_unique<Node>(*this, i));
    nodes_.back()->self = ReplicaId{0x1000 * (i + 1)};
  }
  for (auto& node : nodes_) {
    start_process(*node);
    restart(node->index);
  }
}

Cluster::~Cluster() = default;

bool Cluster::lives(std::size_t node) const { return at(node).driver != nullptr; }
Engine& Cluster::engine(std::size_t node) { return *at(node).engine; }
const crdt::State& Cluster::state(std::size_t node) const { return at(node).engine->state(); }
std::uint64_t Cluster::turns(std::size_t node) const { return at(node).turns; }
const std::string& Cluster::ended(std::size_t node) const { return at(node).ended; }
ReplicaId Cluster::replica(std::size_t node) const { return at(node).self; }
const std::vector<std::string>& Cluster::warnings(std::size_t node) const {
  return at(node).warnings;
}
MemoryStore& Cluster::store(std::size_t node) { return *at(node).store; }
MemoryDisk& Cluster::disk(std::size_t node) { return at(node).disk; }
void Cluster::jump_wall_clock(std::size_t node, std::int64_t ms) { at(node).wall_offset_ms += ms; }
void Cluster::keep_batches(std::size_t node) { at(node).keeps_batches = true; }
void Cluster::let_batches_go(std::size_t node) {
  at(node).keeps_batches = false;
  at(node).due_ms = now_ms_;
}
void Cluster::pause(std::size_t node) { at(node).paused = true; }
void Cluster::resume(std::size_t node) { at(node).paused = false; }
void Cluster::hold_disk(std::size_t node) { at(node).disk_held = true; }

// From the disk to an engine that has it all; not started.
void Cluster::start_process(Node& node) {
  ++node.epoch;
  node.instant_offset_ms = static_cast<std::int64_t>(10'000'000 * node.epoch) - now_ms_;
  const Recovered recovered = node.disk.recovered();
  const auto self = identity(recovered, node.self);
  if (!self.ok() || *self != node.self) throw std::logic_error("the disk names another replica");
  EngineConfig config{.self = node.self,
                      .http_address = options_.http_prefix + std::to_string(node.index),
                      .checkpoint_bytes = options_.checkpoint_bytes,
                      .open_holds_max = options_.open_holds_max,
                      .faults_enabled = options_.faults_enabled,
                      .durability_wait = options_.durability_wait,
                      .keep_finished = options_.keep_finished,
                      .rebalance = options_.rebalance,
                      .seed = random_()};
  config.mesh.self = node.self;
  config.mesh.boot = node.boot = random_() | 1;
  config.requires_peer = options_.requires_peer;
  config.mesh.region = "region-" + std::to_string(node.index / options_.nodes_per_region);
  const auto named = options_.names.find(node.index);
  config.mesh.node =
      named != options_.names.end() ? named->second : "node-" + std::to_string(node.index);
  config.mesh.gossip_address = node.address;
  config.mesh.cluster = "test";
  config.mesh.secret = "a secret of enough bytes";
  for (const auto& other : nodes_)
    if (other->index != node.index) config.mesh.peers.push_back(other->address);
  node.engine = std::make_unique<Engine>(std::move(config));
  const auto count = recover(recovered, *node.engine);
  if (!count.ok()) throw std::logic_error(std::string(count.status().message()));
}

void Cluster::restart(std::size_t index) {
  Node& node = at(index);
  if (lives(index)) return;
  node.store = std::make_unique<MemoryStore>(node.disk);
  node.disk_busy = false;
  DriverPorts ports{.store = *node.store,
                    .clock = node.clock,
                    .transport = node.transport,
                    .deliver =
                        [this, &node](std::vector<Reply>&& replies) {
                          for (Reply& reply : replies) on_reply(node, std::move(reply));
                        },
                    .note =
                        [&node](const gossip::Note& note) {
                          if (note.warning) node.warnings.push_back(note.text);
                        },
                    .released = [this, &node] { node.due_ms = now_ms_; }};
  node.driver = std::make_unique<Driver>(*node.engine, std::move(ports),
                                         DriverOptions{.inbox_delay_max = options_.inbox_delay_max,
                                                       .min_free_bytes = options_.min_free_bytes});
  if (options_.forks && node.disk.last_batch > 0) node.bases[node.boot] = node.disk;
  node.stopped_for.clear();
  node.engine->start(node.clock.now());
  node.due_ms = now_ms_;
}

void Cluster::crash(std::size_t index, std::size_t durable) {
  Node& node = at(index);
  if (!lives(index)) return;
  for (; durable > 0 && node.store->pending() > 0; --durable) node.store->persist_batch();
  node.driver.reset();
  node.store.reset();
  node.requests.clear();
  node.events.clear();
  for (auto& [id, link] : links_)
    if (link.owner == index && link.up) end_link(id, false, true);
  start_process(node);
}

void Cluster::put_back(std::size_t index, const MemoryDisk& disk) {
  Node& node = at(index);
  if (lives(index)) throw std::logic_error("its disk is in use");
  node.disk = disk;
  node.bases.clear();
  node.self = *identity(disk.recovered(), node.self);
  start_process(node);
}

bool Cluster::forked(std::size_t index) const { return !at(index).mark.boots.empty(); }
const std::string& Cluster::stopped_for(std::size_t index) const { return at(index).stopped_for; }

void Cluster::start_anew(std::size_t index) {
  Node& node = at(index);
  if (lives(index)) throw std::logic_error("its disk is in use");
  node.disk = {};
  node.bases.clear();
  node.self = ReplicaId{node.self.value + 100};
  start_process(node);
  restart(index);
}

void Cluster::rejoin(std::size_t index, ReplicaId as) {
  Node& node = at(index);
  if (lives(index) || !forked(index)) throw std::logic_error("it is no fork");
  const auto load = [&](const MemoryDisk& disk) {
    EngineConfig config{.self = node.self};
    config.mesh.self = node.self;
    auto engine = std::make_unique<Engine>(std::move(config));
    if (const auto count = recover(disk.recovered(), *engine); !count.ok())
      throw std::logic_error(std::string(count.status().message()));
    return engine;
  };
  const auto now = load(node.disk);
  const auto base_disk = node.bases.find(node.mark.boots.front().nonce);
  const auto base = base_disk == node.bases.end() ? nullptr : load(base_disk->second);
  // Two may be forks of one.
  const ReplicaId fresh = as ? as : ReplicaId{node.self.value + 1 + index};
  const auto state =
      successor(now->state(), base ? &base->state() : nullptr, node.mark, fresh, random_() | 1);
  if (!state.ok()) throw std::logic_error(std::string(state.status().message()));
  node.disk = {};
  JournalOf journal(**state, now->loaded_life_ms());
  for (std::string value; journal.next(value);) {
    ++node.disk.last_batch;
    node.disk.journal[node.disk.last_batch] = node.disk.history[node.disk.last_batch] = value;
  }
  node.bases.clear();
  node.mark = {};
  node.self = fresh;
  start_process(node);
  restart(index);
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

void Cluster::after(std::int64_t ms, std::function<void()> action) {
  events_.emplace(std::pair(now_ms_ + ms, ++events_made_), std::move(action));
}

void Cluster::after(Node& node, std::int64_t ms, std::function<void()> action) {
  after(ms, [&node, epoch = node.epoch, action = std::move(action)] {
    if (node.epoch == epoch && node.driver) action();
  });
}

// Everything of the next millisecond in which something is due.
void Cluster::step() {
  std::int64_t next = events_.empty() ? INT64_MAX : events_.begin()->first.first;
  for (const auto& node : nodes_) {
    const bool busy = !node->requests.empty() || !node->events.empty();
    if (node->runs()) next = std::min(next, busy ? now_ms_ : node->due_ms);
  }
  now_ms_ = std::max(now_ms_, next);
  while (!events_.empty() && events_.begin()->first.first <= now_ms_) {
    const auto action = std::move(events_.begin()->second);
    events_.erase(events_.begin());
    action();
  }
  for (auto& node : nodes_)
    if (node->runs() &&
        (node->due_ms <= now_ms_ || !node->requests.empty() || !node->events.empty()))
      take_turn(*node);
}

void Cluster::take_turn(Node& node) {
  ++node.turns;
  const crdt::Instant wake = node.driver->turn(std::exchange(node.requests, {}),
                                               std::exchange(node.events, {}), !node.keeps_batches);
  const std::int64_t wake_ms = wake == crdt::Instant::max()
                                   ? now_ms_ + 3'600'000
                                   : wake.time_since_epoch().count() - node.instant_offset_ms;
  node.due_ms = std::max(wake_ms, now_ms_ + 1);
  if (node.engine->fatal() && options_.seizes && state(node.index).retired(node.self)) {
    node.ended = *node.engine->fatal();
    return crash(node.index);
  }
  if (node.engine->fatal()) {
    if (!options_.forks) return complain("fatal: " + *node.engine->fatal());
    const std::string why = *node.engine->fatal();
    ForkMark mark{node.self, node.engine->forked()};
    while (node.store->pending() > 0) node.store->persist_batch();  // as a stop does
    crash(node.index);
    node.mark = std::move(mark);
    node.stopped_for = why;
    return;
  }
  if (!node.store->complaint().empty()) complain(node.store->complaint());
  pump_disk(node);
  check_stock();
  if (watch) watch();
}

void Cluster::pump_disk(Node& node) {
  if (node.disk_held || node.disk_busy) return;
  if (node.store->pending() == 0 && node.store->slices() == 0) return;
  node.disk_busy = true;
  after(node, some_ms(options_.disk_ms_max), [this, &node] {
    node.disk_busy = false;
    // A test may have held the disk meanwhile, finished everything by hand and freed it again.
    if (node.disk_held || (node.store->pending() == 0 && node.store->slices() == 0)) return;
    // Slices are written beside the hot path: before or after what waits, as it comes.
    if (node.store->slices() > 0 && (node.store->pending() == 0 || random_() % 2 == 0)) {
      node.store->finish_slice();
    } else {
      node.store->finish_batch();
    }
    pump_disk(node);
  });
}

void Cluster::free_disk(std::size_t node) {
  at(node).disk_held = false;
  pump_disk(at(node));
}

void Cluster::run_for(std::int64_t ms) {
  bool there = false;
  after(ms, [&there] { there = true; });
  while (!there) step();
}

bool Cluster::run_until(const std::function<bool()>& done, std::int64_t limit_ms) {
  const std::int64_t limit = now_ms_ + limit_ms;
  while (!done() && now_ms_ < limit) {
    // Never past the limit, even if nothing is due before it.
    after(std::min<std::int64_t>(limit - now_ms_, 100), [] {});
    step();
  }
  return done();
}

std::size_t Cluster::reachable(std::size_t node) { return stats(node).peers_reachable; }
bool Cluster::may_leave(std::size_t node) {
  return at(node).engine->may_leave(at(node).clock.now().instant);
}
Stats Cluster::stats(std::size_t node) { return at(node).engine->stats(at(node).clock.now()); }

void Cluster::settle() {
  const bool done = run_until(
      [&] {
        std::size_t living = 0;
        for (std::size_t i = 0; i < size(); ++i) living += lives(i) ? 1 : 0;
        for (std::size_t i = 0; i < size(); ++i)
          if (lives(i) && (reachable(i) != living - 1 || stats(i).peers_known < living - 1))
            return false;
        return true;
      },
      120'000);
  if (!done) complain("the nodes do not find each other");
}

bool Cluster::converge(std::int64_t limit_ms) {
  return run_until(
      [&] {
        for (std::size_t i = 0; i < size(); ++i)
          if (!lives(i) || state(i).has_unsealed() || state(i).digest() != state(0).digest())
            return false;
        return true;
      },
      limit_ms);
}

// ── clients ─────────────────────────────────────────────────────────────────────────────────────

std::uint64_t Cluster::submit(std::size_t index, Command command) {
  Node& node = at(index);
  const std::uint64_t token = ++last_token_;
  asked_[token] = std::holds_alternative<GetStock>(command) ||
                  std::holds_alternative<GetAvailability>(command) ||
                  std::holds_alternative<GetStats>(command);
  if (!node.driver) return token;  // nobody is there
  node.requests.push_back({{token, std::move(command)}, node.clock.now().instant});
  return token;
}

Outcome Cluster::take(std::uint64_t token) {
  const auto at = replies_.find(token);
  if (at == replies_.end()) throw std::logic_error("no reply to request " + std::to_string(token));
  Outcome outcome = std::move(at->second);
  replies_.erase(at);
  return outcome;
}

Outcome Cluster::call(std::size_t node, Command command, std::int64_t limit_ms) {
  const std::uint64_t token = submit(node, std::move(command));
  run_until([&] { return answered(token); }, limit_ms);
  return take(token);
}

void Cluster::on_reply(Node& node, Reply&& reply) {
  const auto asked = asked_.find(reply.token);
  if (asked == asked_.end()) return complain("a reply that nobody asked for");
  if (!answered_.insert(reply.token).second) return complain("two replies to one request");
  if (!node.store->releasing() && !asked->second && reply.outcome.code != Code::overloaded)
    complain("a reply left before its batch was durable");
  replies_.emplace(reply.token, std::move(reply.outcome));
}

// ── the network ─────────────────────────────────────────────────────────────────────────────────

void Cluster::tell(std::size_t node, gossip::NetEvent&& event) {
  if (lives(node)) at(node).events.push_back(std::move(event));
}

void Cluster::dial(Node& node, const std::string& address) {
  after(node, some_ms(options_.link_ms_max), [this, &node, address] {
    const auto found = std::find_if(nodes_.begin(), nodes_.end(),
                                    [&](const auto& other) { return other->address == address; });
    const bool there =
        found != nodes_.end() && (*found)->driver && !is_cut(node.index, (*found)->index);
    if (!there) return tell(node.index, gossip::LinkDown{0, address, "refused"});
    const LinkId out = ++last_link_, in = ++last_link_;
    links_[out] = {.owner = node.index, .peer = (*found)->index, .other = in};
    links_[in] = {.owner = (*found)->index, .peer = node.index, .other = out};
    const auto nonce = [](LinkId link) {
      std::string text = std::to_string(link);
      return text.insert(0, 32 - text.size(), '.');
    };
    tell(node.index, gossip::LinkUp{out, address, nonce(out)});
    tell((*found)->index, gossip::LinkUp{in, "", nonce(in)});
  });
}

void Cluster::send(LinkId id, gossip::FrameBytes frame) {
  Link& link = links_.at(id);
  link.last_arrival_ms = std::max(link.last_arrival_ms, now_ms_ + some_ms(options_.link_ms_max));
  after(link.last_arrival_ms - now_ms_,
        [this, id, frame = std::move(frame)]() mutable { arrive(id, std::move(frame)); });
}

void Cluster::arrive(LinkId id, gossip::FrameBytes frame) {
  Link& link = links_.at(id);
  if (is_cut(link.owner, link.peer)) {
    link.stalled.push_back(std::move(frame));
    return;
  }
  Link& other = links_.at(link.other);
  if (frame == nullptr) {
    if (other.up) tell(other.owner, gossip::LinkDown{link.other, "", "the other side closed"});
    other.up = false;
    return;
  }
  if (link.up) tell(link.owner, gossip::FramesSent{id, frame->size()});
  if (other.up) tell(other.owner, gossip::FrameIn{link.other, *frame});
}

void Cluster::end_link(LinkId id, bool tell_owner, bool tell_peer) {
  const auto found = links_.find(id);
  if (found == links_.end() || !found->second.up) return;
  if (tell_peer) send(id, nullptr);
  found->second.up = false;
  if (tell_owner)
    after(1, [this, owner = found->second.owner, id] {
      tell(owner, gossip::LinkDown{id, "", "closed"});
    });
}

void Cluster::cut(std::size_t a, std::size_t b) {
  if (a != b) cuts_.insert({std::min(a, b), std::max(a, b)});
}

void Cluster::heal(std::size_t a, std::size_t b) {
  cuts_.erase({std::min(a, b), std::max(a, b)});
  for (auto& [id, link] : links_) {
    if (!((link.owner == a && link.peer == b) || (link.owner == b && link.peer == a))) continue;
    for (gossip::FrameBytes& frame : std::exchange(link.stalled, {})) arrive(id, std::move(frame));
  }
}

void Cluster::heal_all() {
  for (const auto& [a, b] : std::set(cuts_)) heal(a, b);
}

void Cluster::reset_links(std::size_t a, std::size_t b) {
  for (auto& [id, link] : links_) {
    if (!link.up || !((link.owner == a && link.peer == b) || (link.owner == b && link.peer == a)))
      continue;
    link.up = false;
    link.stalled.clear();
    tell(link.owner, gossip::LinkDown{id, "", "reset"});
  }
}

// ── what is true ────────────────────────────────────────────────────────────────────────────────

Units Truth::budget() const {
  Units sum = 0;
  for (std::size_t i = 0; i < rights.size(); ++i) sum += unseen[i] + debt[i];
  return sum;
}

Truth Cluster::truth(const std::string& sku) const {
  Truth truth;
  for (auto* units : {&truth.rights, &truth.unseen, &truth.debt}) units->assign(size(), 0);
  std::vector<const crdt::StockRow*> rows(size());
  for (std::size_t i = 0; i < size(); ++i) {
    const crdt::Product* product = state(i).product(sku);
    const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(replica(i));
    rows[i] = cell == nullptr ? nullptr : &cell->row;
  }
  for (std::size_t i = 0; i < size(); ++i) {
    if (rows[i] == nullptr) continue;
    const crdt::StockRow& row = *rows[i];
    const Units allowance = row.allowance_added - row.allowance_removed;
    truth.on_hand += row.received - row.withdrawn - row.sold + row.returned + row.voided;
    truth.held += row.held - row.released - row.sold;
    truth.sold += row.sold - row.voided;
    truth.returned += row.returned;
    truth.allowance += allowance;
    truth.rights[i] += row.received - row.withdrawn + allowance - (row.held - row.released) +
                       row.returned + row.voided;
    for (std::size_t other = 0; other < size(); ++other) {
      const crdt::PeerTotals* entry = row.find(replica(other));
      if (entry == nullptr) continue;
      const crdt::PeerTotals* theirs =
          rows[other] == nullptr ? nullptr : rows[other]->find(replica(i));
      truth.rights[i] += entry->seized - entry->granted;
      truth.rights[other] += entry->granted - entry->seized;
      truth.seized += entry->seized;
      truth.unseen[other] +=
          std::max<Units>(0, entry->seized - (theirs == nullptr ? 0 : theirs->seen));
    }
  }
  for (std::size_t i = 0; i < size(); ++i) {
    for (std::size_t by = 0; by < size(); ++by)
      if (state(by).retired(replica(i))) truth.unseen[i] = 0;
    truth.debt[i] = std::max<Units>(0, -(truth.rights[i] + truth.unseen[i]));
  }
  return truth;
}

Units Cluster::rights(std::size_t node, const std::string& sku) const {
  const crdt::Product* product = state(node).product(sku);
  return product == nullptr ? 0 : product->stock.rights(replica(node));
}

void Cluster::check_stock() {
  if (options_.forks) return;
  std::set<std::string> skus;
  for (const auto& node : nodes_)
    for (const auto& [sku, product] : node->engine->state().catalogue())
      if (skus.size() < 8) skus.insert(std::string(sku));
  for (const std::string& sku : skus) {
    const Truth now = truth(sku);
    Units sum = 0;
    for (std::size_t i = 0; i < size(); ++i) {
      sum += now.rights[i];
      if (now.rights[i] < 0 && !options_.seizes)
        complain("rights of node " + std::to_string(i) + " to " + sku + " are below 0");
      if (rights(i, sku) > now.rights[i] && !options_.seizes)
        complain("node " + std::to_string(i) + " believes in more rights to " + sku +
                 " than it has");
    }
    if (sum != now.available() + now.allowance) complain("units of " + sku + " are not conserved");
    if (now.available() < -now.allowance - (options_.seizes ? now.budget() : 0))
      complain(sku + " is oversold beyond its allowance");
    // Until an heir takes its end back, what the retired one ended itself has ended twice.
    if (now.held < 0 && !options_.seizes) complain(sku + " has less than nothing held");
  }
}

std::string Cluster::complaints() const {
  std::string all;
  for (const std::string& one : complaints_) all += one + "\n";
  return all;
}

std::string bytes_of(const crdt::State& state) {
  std::string bytes;
  for (const auto& [origin, head] : state.vector()) {
    bytes += crdt::to_string(origin) + "@" + std::to_string(head) + ":";
    const crdt::Feed* feed = state.feed(origin);
    for (auto at = feed->begin_after(0); at != feed->end(); ++at)
      crdt::append_item(*at->second, bytes);
  }
  return bytes;
}

const ReservationView& reservation(const Outcome& outcome) {
  return *std::get<std::unique_ptr<ReservationView>>(outcome.view);
}
const StockView& stock(const Outcome& outcome) { return std::get<StockView>(outcome.view); }
const StockChange& change(const Outcome& outcome) { return std::get<StockChange>(outcome.view); }

}  // namespace holdfast::tests
