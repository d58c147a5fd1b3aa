// The nodes of the shards: which there are, which to ask first, and who is asked next.

#include <algorithm>

#include "api/router.h"
#include "node/rendezvous.h"

namespace holdfast::api {

using crdt::Millis;
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

}  // namespace

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

// ── asking ──────────────────────────────────────────────────────────────────────────────────────

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

}  // namespace holdfast::api
