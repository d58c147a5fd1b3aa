#include "api/router.h"

#include <algorithm>

#include "api/json.h"
#include "crdt/digest.h"
#include "node/rendezvous.h"

namespace holdfast::api {

using crdt::Instant;
using crdt::Millis;
using crdt::Now;
using node::Code;
using node::Command;
using node::Outcome;

namespace {

constexpr Millis kReadWithin{2'000}, kWriteWithin{5'000}, kProbeWithin{1'000};
constexpr std::size_t kTries = 3;
constexpr std::uint32_t kWorthLeavingHome = 64;  // calls in hand there, more than elsewhere

bool is_read(const Command& command) {
  return std::holds_alternative<node::GetSku>(command) ||
         std::holds_alternative<node::ListSkus>(command) ||
         std::holds_alternative<node::GetStock>(command) ||
         std::holds_alternative<node::GetAvailability>(command) ||
         std::holds_alternative<node::GetReservation>(command) ||
         std::holds_alternative<node::ListReservations>(command) ||
         std::holds_alternative<node::GetCluster>(command);
}

Millis time_for(const Command& command) {
  if (is_read(command)) return kReadWithin;
  if (const auto* made = std::get_if<node::Reserve>(&command))
    return kWriteWithin + Millis(made->wait_ms);
  return kWriteWithin;
}

// Another node may do better. (Of a SKU that was made a moment ago not every node has heard.)
bool says_try_another(Code code) {
  return code == Code::overloaded || code == Code::stopping || code == Code::storage_full ||
         code == Code::awaiting_peer || code == Code::home_unreachable ||
         code == Code::outcome_unknown || code == Code::unknown_sku;
}

// Units of a reservation may have come free.
bool frees(const Command& command) {
  const auto* commit = std::get_if<node::Commit>(&command);
  return std::holds_alternative<node::Return>(command) ||
         std::holds_alternative<node::Release>(command) || (commit != nullptr && commit->lines);
}

std::string id_of(const Command& command) {
  return std::visit(
      []<typename C>(const C& c) -> std::string {
        if constexpr (requires { c.id.size(); }) return c.id;
        return "";
      },
      command);
}

std::string sku_of(const Command& command) {
  return std::visit(
      []<typename C>(const C& c) -> std::string {
        if constexpr (requires { c.sku.size(); }) return c.sku;
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

// ── nodes ───────────────────────────────────────────────────────────────────────────────────────

void Router::probe_all() {
  for (std::size_t group = 0; group < groups_.size(); ++group)
    for (auto& [url, node] : groups_[group]->nodes)
      if (node->known && !node->probing) start(probe(group, url));
}

Task<bool> Router::probe(std::size_t at, std::string url) {
  Group* const group = groups_[at].get();
  Node& node = *group->nodes.at(url);
  node.probing = true;
  Inbox inbox(*this);
  node::GetCluster about_it;
  inbox.ask(0, node, about_it, kProbeWithin);
  Arrival arrival = co_await inbox.next();
  node.probing = false;
  const auto* view = std::get_if<std::unique_ptr<node::ClusterView>>(&arrival.outcome.view);
  if (node.known && arrival.answered && view != nullptr && *view != nullptr) learn(*group, **view);
  co_return true;
}

// A node knows best about itself; of others it may only say that they are there.
void Router::learn(Group& group, const node::ClusterView& view) {
  for (const node::NodeView& seen : view.nodes) {
    if (seen.http_address.empty()) continue;
    const std::string url = "http://" + seen.http_address;
    const auto known = group.nodes.find(url);
    if (known == group.nodes.end() && seen.state == "retired") continue;
    auto& node = known != group.nodes.end() ? known->second : group.nodes[url];
    if (node == nullptr) node = std::make_unique<Node>();
    // An address may be another replica's by now: who lives there is said by itself.
    if (!seen.self && node->replica && node->replica != seen.replica) continue;
    node->url = url;
    node->known = true;
    node->name = seen.node;
    node->region = seen.region;
    node->replica = seen.replica;
    node->weight = seen.state == "live" ? seen.weight : 0;
    if (seen.self) node->member = seen.state == "live" || seen.state == "draining";
    node->retired = seen.state == "retired";
    if (node->retired) node->member = false;
  }
}

bool Router::can_be_reached(std::size_t shard) const {
  const auto& nodes = groups_[shard]->nodes;
  return std::any_of(nodes.begin(), nodes.end(),
                     [](const auto& entry) { return entry.second->serves(); });
}

bool Router::ready() const {
  return std::any_of(places_.begin(), places_.end(),
                     [&](std::size_t place) { return can_be_reached(place); });
}

bool Router::whole() const {
  return std::all_of(places_.begin(), places_.end(),
                     [&](std::size_t place) { return can_be_reached(place); });
}

std::vector<Router::Node*> Router::candidates(std::size_t shard, const Hint& hint) {
  std::vector<std::string> regions{config_.region};
  regions.insert(regions.end(), config_.fallback.begin(), config_.fallback.end());
  std::vector<Node*> found;
  if (shard >= groups_.size()) return found;  // of a shard that no map has named here
  for (const std::string& region : regions) {
    std::vector<Node*> here;
    for (auto& [url, node] : groups_[shard]->nodes)
      if (node->serves() && (region.empty() || node->region == region)) here.push_back(node.get());
    std::stable_sort(here.begin(), here.end(),
                     [](const Node* a, const Node* b) { return a->in_hand < b->in_hand; });
    crdt::ReplicaId first = hint.replica;
    if (!first && !hint.sku.empty()) {
      std::vector<node::Seat> seats;
      for (const Node* node : here) seats.push_back({node->replica, node->weight});
      first = node::home_of(hint.sku, seats);
    }
    const auto home = std::find_if(here.begin(), here.end(),
                                   [&](const Node* node) { return node->replica == first; });
    if (home != here.end() && (*home)->in_hand <= here.front()->in_hand + kWorthLeavingHome)
      std::rotate(here.begin(), home, home + 1);
    found.insert(found.end(), here.begin(), here.end());
  }
  return found;
}

Outcome Router::unreachable(std::size_t shard, const std::string& what) const {
  const std::string name = shard < groups_.size() ? groups_[shard]->name : "that no map names";
  return {.code = Code::shard_unreachable,
          .detail = (what.empty() ? "shard '" + name + "'" : what + " is of shard '" + name + "'") +
                    ", of which no node can be reached" +
                    (config_.region.empty() ? "" : " in region '" + config_.region + "'") +
                    "; what other shards have goes on. Try again later"};
}

node::IdempotencyKey* Router::key_of(Command& command) {
  if (auto* c = std::get_if<node::Receive>(&command)) return &c->key;
  if (auto* c = std::get_if<node::Adjust>(&command)) return &c->key;
  if (auto* c = std::get_if<node::Allow>(&command)) return &c->key;
  if (auto* c = std::get_if<node::GrantTo>(&command)) return &c->key;
  return nullptr;
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

// Some node of the shard does it, or says why not.
Task<Outcome> Router::at_shard(std::size_t shard, Command command, Hint hint) {
  const std::vector<Node*> nodes = candidates(shard, hint);
  if (nodes.empty()) {
    std::string what = sku_of(command);
    if (!what.empty()) what = "SKU '" + what + "'";
    co_return unreachable(shard, what);
  }
  if (is_read(command)) {
    Outcome outcome = co_await ask_hedged(nodes, std::move(command));
    if (outcome.code == Code::shard_unreachable) co_return unreachable(shard, "");
    co_return outcome;
  }
  Outcome last = unreachable(shard, "");
  const bool reserves = std::holds_alternative<node::Reserve>(command);
  bool made = false;  // perhaps
  Inbox inbox(*this);
  const std::size_t tries = std::min(kTries, std::max<std::size_t>(2, nodes.size()));
  for (std::size_t i = 0; i < tries; ++i) {
    if (i > 0) ++counts_[Count::again];
    inbox.ask(0, *nodes[i % nodes.size()], command, time_for(command));
    Arrival arrival = co_await inbox.next();
    if (arrival.answered && !says_try_another(arrival.outcome.code)) {
      // Refused by one node, and perhaps made by another that was asked before.
      if (made && !arrival.outcome.succeeded()) co_return last;
      if (frees(command)) came_free(shard, arrival.outcome);
      co_return std::move(arrival.outcome);
    }
    const bool unknown =
        arrival.answered ? arrival.outcome.code == Code::outcome_unknown : arrival.sent;
    if (arrival.answered && (unknown || !made)) {
      last = std::move(arrival.outcome);
    } else if (unknown) {
      last = Outcome{.code = Code::outcome_unknown,
                     .detail =
                         "a node did not answer in time; repeat the same call to learn the "
                         "outcome"};
    }
    made = made || (reserves && unknown);
  }
  co_return last;
}

// The first answer of two nodes, the second asked when the first takes long or cannot say.
Task<Outcome> Router::ask_hedged(std::vector<Node*> nodes, Command command) {
  constexpr int kTime = -1;
  Inbox inbox(*this);
  std::size_t asked = 0, open = 0;
  Outcome last{.code = Code::shard_unreachable};
  const auto ask_one = [&] {
    if (asked >= std::min(nodes.size(), kTries)) return;
    inbox.ask(static_cast<int>(asked), *nodes[asked], command, kReadWithin);
    ++asked;
    ++open;
  };
  ask_one();
  inbox.after(kTime, config_.hedge_after);
  while (open > 0) {
    Arrival arrival = co_await inbox.next();
    if (arrival.tag == kTime) {
      if (asked < std::min(nodes.size(), kTries)) ++counts_[Count::hedged];
      ask_one();
      continue;
    }
    --open;
    if (arrival.answered && !says_try_another(arrival.outcome.code))
      co_return std::move(arrival.outcome);
    if (arrival.answered) last = std::move(arrival.outcome);
    ask_one();
  }
  co_return last;
}

// ── over all shards ─────────────────────────────────────────────────────────────────────────────

// What is known of the shards that answer; of the others, that it is not.
Task<Outcome> Router::availability(node::GetAvailability command) {
  std::map<std::size_t, node::GetAvailability> by_shard;
  for (const std::string& sku : command.skus) {
    by_shard[home_of(sku)].skus.push_back(sku);
    if (is_moving(sku)) by_shard[was_at(sku)].skus.push_back(sku);
  }
  std::vector<Task<Outcome>> asked;
  for (auto& [shard, part] : by_shard) asked.push_back(at_shard(shard, part, Hint()));
  std::map<std::string, node::AvailabilityItem> found;
  for (Task<Outcome>& one : asked) {
    Outcome outcome = co_await one;
    const auto* items = std::get_if<node::Availability>(&outcome.view);
    if (items == nullptr) co_return outcome;
    for (const node::AvailabilityItem& item : items->items) {
      node::AvailabilityItem& sum = found[item.sku];  // of two shards while it moves
      sum.sku = item.sku;
      sum.known = sum.known || item.known;
      sum.available += item.available;
      sum.local_available += item.local_available;
    }
  }
  node::Availability all;
  for (const std::string& sku : command.skus) all.items.push_back(found[sku]);
  Outcome outcome;
  outcome.view = std::move(all);
  co_return outcome;
}

Task<Outcome> Router::list(node::ListSkus command) {
  std::vector<Task<Outcome>> asked;
  for (const std::size_t shard : places_) asked.push_back(at_shard(shard, command, Hint()));
  node::SkuPage all;
  bool more = false;
  for (Task<Outcome>& one : asked) {
    Outcome outcome = co_await one;
    auto* page = std::get_if<node::SkuPage>(&outcome.view);
    if (page == nullptr) co_return outcome;
    more = more || !page->next.empty();
    std::move(page->items.begin(), page->items.end(), std::back_inserter(all.items));
  }
  std::sort(all.items.begin(), all.items.end(), [](const node::SkuView& a, const node::SkuView& b) {
    return std::pair(std::string_view(a.sku), !a.moved_to.empty()) <
           std::pair(std::string_view(b.sku), !b.moved_to.empty());
  });
  // What moves is in two shards: shown once, as where it is.
  all.items.erase(std::unique(all.items.begin(), all.items.end(),
                              [](const auto& a, const auto& b) { return a.sku == b.sku; }),
                  all.items.end());
  if (all.items.size() > command.limit) {
    all.items.resize(command.limit);
    more = true;
  }
  if (more && !all.items.empty()) all.next = all.items.back().sku;  // as a node's cursor is
  Outcome outcome;
  outcome.view = std::move(all);
  co_return outcome;
}

// One shard after the other: a cursor is "SHARD:cursor of that one". Parts of carts are shown with
// their carts.
Task<Outcome> Router::list(node::ListReservations command) {
  std::size_t shard = 0;
  if (!command.cursor.empty()) {
    const std::size_t colon = command.cursor.find(':');
    const auto named = shard_named(command.cursor.substr(0, colon));
    if (!named || colon == std::string::npos) {
      Outcome refused{.code = Code::invalid_cursor,
                      .detail = "cursor is not one that a page of this list gave"};
      co_return refused;
    }
    shard = *named;
    command.cursor = command.cursor.substr(colon + 1);
  }
  Outcome outcome = co_await at_shard(shard, command, Hint());
  auto* page = std::get_if<node::ReservationPage>(&outcome.view);
  if (page == nullptr) co_return outcome;
  node::ReservationPage shown;
  for (node::ReservationView& view : page->items) {
    std::optional<Cart> cart = cart_of(view, shard);
    if (!cart && command.sku) {  // a part, and its cart's record has not that SKU
      std::string of = part_of(view);
      std::variant<Cart, Outcome> found = co_await locate(of);
      if (std::holds_alternative<Cart>(found)) cart = std::get<Cart>(found);
      view.id = std::move(of);
    }
    if (!cart) continue;
    if (cart->others.empty()) {
      shown.items.push_back(std::move(view));
      continue;
    }
    Outcome whole = co_await show(view.id, *cart, Code::ok);
    if (auto* all = std::get_if<std::unique_ptr<node::ReservationView>>(&whole.view))
      shown.items.push_back(std::move(**all));
  }
  if (!page->next.empty()) {
    shown.next = groups_[shard]->name + ":" + page->next;
  } else if (shard + 1 < groups_.size()) {
    shown.next = groups_[shard + 1]->name + ":";
  }
  outcome.view = std::move(shown);
  co_return outcome;
}

// ── about itself ────────────────────────────────────────────────────────────────────────────────

Outcome Router::cluster() const {
  std::string out =
      "{\"router\":true,\"map_version\":" + std::to_string(map_.version) + ",\"region\":";
  append_string(out, config_.region);
  if (map_.moving())
    out += ",\"moving\":{\"skus\":" + std::to_string(looked_.skus) +
           ",\"moved\":" + std::to_string(looked_.moved) +
           ",\"units_left\":" + std::to_string(looked_.left) +
           ",\"units_held\":" + std::to_string(looked_.held) + "}";
  out += ",\"shards\":[";
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto& group = groups_[places_[i]];
    out += i == 0 ? "{\"shard\":" : ",{\"shard\":";
    append_string(out, group->name);
    out += ",\"weight\":" + std::to_string(map_.shards[i].weight) + ",\"nodes\":[";
    bool first = true;
    for (const auto& [url, node] : group->nodes) {
      if (!node->known) continue;
      out += std::exchange(first, false) ? "{\"url\":" : ",{\"url\":";
      append_string(out, url);
      out += ",\"node\":";
      append_string(out, node->name);
      out += ",\"region\":";
      append_string(out, node->region);
      out += ",\"up\":";
      append_boolean(out, node->up && node->member);
      out += ",\"weight\":" + std::to_string(node->weight) +
             ",\"in_hand\":" + std::to_string(node->in_hand) + "}";
    }
    out += "]}";
  }
  Outcome outcome;
  outcome.view = node::Worded{200, out + "]}"};
  return outcome;
}

Outcome Router::metrics() const {
  static constexpr const char* kNames[] = {
      "requests_total",   "calls_total",         "calls_again_total", "reads_hedged_total",
      "cart_parts_total", "carts_settled_total", "units_moved_total"};
  static constexpr const char* kHelp[] = {
      "Requests of clients",
      "Calls to nodes",
      "Calls that were sent once more",
      "Reads of which a second node was asked",
      "Parts of carts over several shards",
      "Parts and carts that a sweep has found half done, and has ended",
      "Units handed over to the shard where their SKU belongs"};
  std::string out;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const std::string name = std::string("holdfast_router_") + kNames[i];
    out += "# HELP " + name + " " + kHelp[i] + "\n# TYPE " + name + " counter\n" + name + " " +
           std::to_string(counts_[i]) + "\n";
  }
  out +=
      "# HELP holdfast_router_nodes_up Nodes of a shard that answer\n"
      "# TYPE holdfast_router_nodes_up gauge\n";
  for (const std::size_t place : places_) {
    const auto& group = groups_[place];
    std::size_t up = 0;
    for (const auto& [url, node] : group->nodes) up += node->serves() ? 1 : 0;
    out += "holdfast_router_nodes_up{shard=\"" + group->name + "\"} " + std::to_string(up) + "\n";
  }
  Outcome outcome;
  outcome.view = node::Worded{ready() ? 200 : 503, std::move(out)};
  return outcome;
}

}  // namespace holdfast::api
