// What comes to the router, and the order in which it is done.

#include "api/router.h"

#include <algorithm>

#include "crdt/digest.h"

namespace holdfast::api {

using crdt::Instant;
using crdt::Millis;
using crdt::Now;
using node::Code;
using node::Command;
using node::Outcome;

namespace {

std::string id_of(const Command& command) {
  return std::visit(
      []<typename C>(const C& c) -> std::string {
        if constexpr (requires { c.id.size(); }) return c.id;
        return "";
      },
      command);
}

}  // namespace

Router::Router(RouterConfig config, ShardMap map) : config_(std::move(config)) {
  if (!use(std::move(map)).ok()) std::abort();  // the first one follows any
}

Router::~Router() = default;

absl::Status Router::use(ShardMap map) {
  if (absl::Status status = check_follows(map_, map); !status.ok()) return status;
  for (auto& group : groups_) {
    group->in_map = false;
    for (auto& [url, node] : group->nodes) node->known = false;
  }
  places_.clear();
  for (const Shard& shard : map.shards) {
    const std::optional<std::size_t> before = shard_named(shard.name);
    places_.push_back(before.value_or(groups_.size()));
    if (!before) groups_.push_back(std::make_unique<Group>());
    Group& group = *groups_[places_.back()];
    group.name = shard.name;
    group.in_map = true;
    for (const std::string& url : shard.nodes) {
      auto& node = group.nodes[url];
      if (node == nullptr) node = std::make_unique<Node>();
      node->url = url;
      node->known = true;
    }
  }
  for (auto& group : groups_)  // what a shard that is gone still has can be found there
    for (auto& [url, node] : group->nodes) node->known = node->known || !group->in_map;
  if (map_.version != 0 && !map_.moving() && !map.moving() && places_elsewhere(map_, map))
    notes_.push_back("version " + std::to_string(map.version) +
                     " of the shard map gives SKUs to other shards than version " +
                     std::to_string(map_.version) +
                     ", and has no [was]: their stock stays behind. If they are to move, put the "
                     "map before in place again, under a higher version, and use `holdfast shards "
                     "begin`");
  map_ = std::move(map);
  looked_ = {};
  moved_.clear();
  emptied_.clear();
  brought_.clear();
  move_at_ = {};
  probe_at_ = {};
  return absl::OkStatus();
}

// ── what coroutines wait for ────────────────────────────────────────────────────────────────────

Router::Inbox::~Inbox() {
  for (const std::uint64_t id : asked_)
    if (const auto at = router_.asked_.find(id); at != router_.asked_.end())
      at->second.inbox = nullptr;
  std::erase(router_.handed_over_, this);
  if (!timed_) return;
  std::erase_if(router_.times_, [&](const auto& entry) { return entry.second.first == this; });
}

void Router::Inbox::ask(int tag, Node& node, Command command, Millis timeout) {
  const std::uint64_t id = ++router_.last_call_;
  router_.asked_[id] = {this, tag, &node};
  asked_.push_back(id);
  ++node.in_hand;
  ++router_.counts_[Count::calls];
  router_.calls_.push_back({id, node.url, std::move(command), timeout});
}

void Router::Inbox::after(int tag, Millis wait) {
  timed_ = true;
  router_.times_.emplace(router_.now_.instant + wait, std::pair(this, tag));
}

void Router::Inbox::arrive(Arrival&& arrival) {
  arrived_.push_back(std::move(arrival));
  if (waits_) std::exchange(waits_, nullptr).resume();
}

Router::Arrival Router::Inbox::take() {
  Arrival arrival = std::move(arrived_.front());
  arrived_.pop_front();
  return arrival;
}

void Router::start(Task<bool> task) {
  if (!task.done()) tasks_.push_back(std::move(task));
}

void Router::reap() {
  std::erase_if(tasks_, [](const Task<bool>& task) { return task.done(); });
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────

void Router::on_request(Now now, node::Request&& request) {
  now_ = now;
  ++counts_[Count::requests];
  start(serve(request.token, std::move(request.command)));
}

void Router::on_answer(Now now, std::uint64_t call, Outcome&& outcome) {
  ended(now, call, {.answered = true, .outcome = std::move(outcome)});
}

void Router::on_lost(Now now, std::uint64_t call, bool sent) { ended(now, call, {.sent = sent}); }

void Router::ended(Now now, std::uint64_t call, Arrival&& arrival) {
  now_ = now;
  const auto at = asked_.find(call);
  if (at == asked_.end()) return;
  const Asked asked = at->second;
  asked_.erase(at);
  --asked.node->in_hand;
  asked.node->up = arrival.answered;  // if not, until it answers a probe
  arrival.tag = asked.tag;
  if (asked.inbox != nullptr) asked.inbox->arrive(std::move(arrival));
}

void Router::tick(Now now) {
  now_ = now;
  while (!times_.empty() && times_.begin()->first <= now.instant) {
    const auto [inbox, tag] = times_.begin()->second;
    times_.erase(times_.begin());
    inbox->arrive({.tag = tag, .sent = false});
  }
  for (std::vector<Inbox*> next = std::exchange(handed_over_, {}); !next.empty();
       next = std::exchange(handed_over_, {}))
    for (Inbox* inbox : next) inbox->arrive({.sent = false});
  if (now.instant >= probe_at_) {
    probe_at_ = now.instant + config_.probe_every;
    probe_all();
  }
  if (!started_) started_ = now.instant;
  if (now.instant >= sweep_at_ && !sweeping_ && whole()) {
    sweep_at_ = now.instant + config_.sweep_every;
    start(sweep());
  }
  if (map_.version > 1 && now.instant >= move_at_ && !moving_ && ready()) start(move_all());
  bring_what_came_free();
  reap();
}

Instant Router::wake_at() const {
  Instant at = std::min(probe_at_, sweep_at_ > now_.instant ? sweep_at_ : probe_at_);
  if (!handed_over_.empty()) return now_.instant;
  if (!times_.empty()) at = std::min(at, times_.begin()->first);
  return at;
}

node::IdempotencyKey* Router::key_of(Command& command) {
  if (auto* c = std::get_if<node::Receive>(&command)) return &c->key;
  if (auto* c = std::get_if<node::Adjust>(&command)) return &c->key;
  if (auto* c = std::get_if<node::Allow>(&command)) return &c->key;
  if (auto* c = std::get_if<node::GrantTo>(&command)) return &c->key;
  return nullptr;
}

std::string Router::sku_of(const Command& command) {
  return std::visit(
      []<typename C>(const C& c) -> std::string {
        if constexpr (requires { c.sku.size(); }) return c.sku;
        return "";
      },
      command);
}

Task<bool> Router::pause(Millis time) {
  Inbox nothing(*this);
  nothing.after(0, time);
  co_await nothing.next();
  co_return true;
}

std::string Router::fresh() {
  const std::uint64_t word[2] = {config_.seed, ++drawn_};
  return hexadecimal(
      crdt::digest({reinterpret_cast<const char*>(word), sizeof word}, config_.seed));
}

// ── one request ─────────────────────────────────────────────────────────────────────────────────

Task<bool> Router::serve(std::uint64_t token, Command command) {
  std::string id = id_of(command);
  Task<Outcome> decided =
      id.empty() ? decide(std::move(command)) : in_turn(std::move(command), std::move(id));
  Outcome outcome = co_await decided;
  replies_.push_back({token, std::move(outcome)});
  co_return true;
}

Router::Turn::Turn(Router& router, std::string id)
    : router_(router), id_(std::move(id)), inbox_(router) {
  const auto [at, free] = router_.busy_.try_emplace(id_);
  mine_ = free;
  if (!free) at->second.push_back(&inbox_);
}

Router::Turn::~Turn() {
  const auto at = router_.busy_.find(id_);
  std::erase(at->second, &inbox_);
  if (!mine_) return;
  if (at->second.empty()) {
    router_.busy_.erase(at);
    return;
  }
  Inbox* const next = at->second.front();
  at->second.pop_front();
  router_.handed_over_.push_back(next);  // at the next tick: not from within this one's end
}

Task<Outcome> Router::in_turn(Command command, std::string id) {
  Turn turn(*this, id);
  if (!turn.is_mine()) {
    co_await turn.comes();
    turn.take();
  }
  Outcome outcome = co_await decide(std::move(command));
  co_return outcome;
}

Task<Outcome> Router::decide(Command command) {
  if (std::holds_alternative<node::MoveOut>(command) ||
      std::holds_alternative<node::MoveIn>(command)) {
    Outcome refused{.code = Code::unknown_target,
                    .detail =
                        "moves between shards are between routers and nodes: nobody asks a router "
                        "for one. See `holdfast shards --help`"};
    co_return refused;
  }
  if (std::holds_alternative<node::GetCluster>(command)) co_return cluster();
  if (std::holds_alternative<node::GetStats>(command)) co_return metrics();
  if (auto* asked = std::get_if<node::GetAvailability>(&command))
    co_return co_await availability(std::move(*asked));
  if (auto* asked = std::get_if<node::ListSkus>(&command))
    co_return co_await list(std::move(*asked));
  if (auto* asked = std::get_if<node::ListReservations>(&command))
    co_return co_await list(std::move(*asked));
  if (auto* cart = std::get_if<node::Reserve>(&command))
    co_return co_await reserve(std::move(*cart));
  const std::string id = id_of(command);
  if (!id.empty()) co_return co_await verb(std::move(command), id);
  std::string sku = sku_of(command);
  if (sku.empty()) {
    Outcome refused{.code = Code::unknown_target,
                    .detail =
                        "a router passes on no operator's commands: send this one to a node "
                        "(GET /v1/cluster here lists them)"};
    co_return refused;
  }
  if (node::IdempotencyKey* key = key_of(command); key != nullptr && key->text.empty())
    key->text = "route-" + fresh();
  co_return co_await at_sku(std::move(command), std::move(sku));
}

}  // namespace holdfast::api
