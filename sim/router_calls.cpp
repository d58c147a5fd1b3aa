#include "sim/router_calls.h"

#include <numeric>

#include "api/wire.h"
#include "crdt/check.h"

namespace holdfast::sim {

namespace {

constexpr Time kOneWay = kMillisecond;
constexpr Time kConnectWithin = 2 * kSecond;

std::size_t all_nodes(const std::vector<World*>& shards) {
  return std::accumulate(shards.begin(), shards.end(), std::size_t{0},
                         [](std::size_t sum, const World* shard) { return sum + shard->nodes(); });
}

bool moves_units(const node::Command& command) {
  return std::holds_alternative<node::MoveOut>(command) ||
         std::holds_alternative<node::MoveIn>(command);
}

// As a node's HTTP server takes it.
HttpCall in_words(const node::Command& command) {
  api::HttpCall call = api::to_http(command);
  HttpCall words{std::move(call.method), std::move(call.target), std::move(call.body), ""};
  for (auto& [name, value] : call.headers)
    if (name == "Idempotency-Key") words.key = std::move(value);
  return words;
}

}  // namespace

RouterCalls::RouterCalls(Events& events, std::uint64_t seed, std::size_t routers,
                         std::vector<World*> shards, Saw saw)
    : events_(events),
      random_(seed, "router calls"),
      shards_(std::move(shards)),
      ways_(events, Random(seed, "ways of routers").next(), routers + all_nodes(shards_)),
      lossy_(routers),
      saw_(std::move(saw)) {
  node_at_.resize(routers);
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    first_place_.push_back(node_at_.size());
    for (std::size_t node = 0; node < shards_[shard]->nodes(); ++node) {
      addresses_["http://" + shards_[shard]->options().http_prefix + "http-" +
                 std::to_string(node)] = node_at_.size();
      node_at_.emplace_back(shard, node);
    }
  }
  for (Place from = 0; from < node_at_.size(); ++from)
    for (Place to = 0; to < node_at_.size(); ++to) ways_.pair(from, to).latency = kOneWay;
}

const std::string* RouterCalls::cart_of_part(const std::string& part) const {
  const auto at = parts_.find(part);
  return at == parts_.end() ? nullptr : &at->second;
}

bool RouterCalls::contested(const std::string& cart) const {
  const auto at = records_.find(cart);
  return at != records_.end() && at->second.size() > 1;
}

void RouterCalls::note(const node::Command& command) {
  const auto* made = std::get_if<node::Reserve>(&command);
  if (made == nullptr || !saw_) return;
  if (!made->id.starts_with("part:")) {
    records_[made->id].insert(made->metadata);
    if (made->partial) in_part_.insert(made->id);
    return;
  }
  static constexpr std::string_view kKey = "\"part_of\":\"";
  const std::size_t from = made->metadata.find(kKey);
  HOLDFAST_CHECK(from != std::string::npos);
  const std::size_t begin = from + kKey.size();
  const std::string cart = made->metadata.substr(begin, made->metadata.find('"', begin) - begin);
  parts_[made->id] = cart;
  spread_.insert(cart);
}

void RouterCalls::send(std::size_t router, api::RouterCall&& call, Done done) {
  note(call.command);
  const auto found = addresses_.find(call.url);
  HOLDFAST_CHECK(found != addresses_.end());  // nodes name no others
  const Place to = found->second;
  const std::uint64_t id = ++last_;
  Open& open = open_[id];
  open = {router, node_at_[to].first, node_at_[to].second, std::move(call.command),
          std::move(done)};
  const Time within = call.timeout.count() * kMillisecond;
  const Lossy& lossy = lossy_[router];
  const double luck = random_.unit();
  if (luck < lossy.unsent) {
    saw("a call was not sent");
    events_.after(random_.between(1, std::min(within, kConnectWithin)),
                  [this, id] { end(id, std::nullopt, false); });
    return;
  }
  // A connection that breaks shows at once, one that falls silent with the time.
  const Time shows = random_.chance(0.5) ? random_.between(1, within) : within;
  if (luck < lossy.unsent + lossy.call) {
    saw("a call was lost");
    events_.after(shows, [this, id] { end(id, std::nullopt, true); });
    return;
  }
  HttpCall words = in_words(open.command);
  const std::size_t bytes = 120 + words.target.size() + words.body.size();
  const bool cut = !ways_.post(router, to, bytes, [this, id, router, to, words = std::move(words)] {
    arrive(id, router, to, words);
  });
  // To who cannot be reached there may have been a connection, or not.
  const bool unsent = cut && random_.chance(0.5);
  events_.after(unsent ? std::min(within, kConnectWithin) : within,
                [this, id, unsent] { end(id, std::nullopt, !unsent); });
}

void RouterCalls::arrive(std::uint64_t id, std::size_t router, Place to, const HttpCall& call) {
  const auto [shard, node] = node_at_[to];
  Machine& machine = shards_[shard]->node(node);
  const auto open = open_.find(id);
  if (open == open_.end()) saw("a call arrived that its router had given up");
  if (!machine.listens()) {
    if (open != open_.end() && moves_units(open->second.command))
      saw("a move met the end of a node");
    ways_.post(to, router, 40, [this, id] { end(id, std::nullopt, false); });
    return;
  }
  if (open != open_.end()) open->second.arrived = true;
  machine.http(call, [this, id, router, to](const api::Response& response) {
    answer(id, router, to, response);
  });
}

void RouterCalls::answer(std::uint64_t id, std::size_t router, Place from,
                         const api::Response& response) {
  if (random_.chance(lossy_[router].answer)) return saw("an answer of a node was lost");
  ways_.post(from, router, 120 + response.body.size(), [this, id, response] {
    const auto at = open_.find(id);
    if (at == open_.end()) return;
    node::Outcome outcome =
        api::from_http(at->second.command, {static_cast<unsigned>(response.status), response.body});
    note_answer(outcome, at->second.command);
    end(id, std::move(outcome), true);
  });
}

void RouterCalls::note_answer(const node::Outcome& outcome, const node::Command& command) {
  if (outcome.code == node::Code::moved) saw("a node refused what has moved");
  const auto* moved = std::get_if<node::MoveView>(&outcome.view);
  if (moved == nullptr || !std::holds_alternative<node::MoveOut>(command)) return;
  const auto [at, first] = handed_over_.try_emplace({moved->sku, moved->self}, moved->total);
  if (moved->total > at->second) saw("units came free after their SKU had moved");
  at->second = std::max(at->second, moved->total);
}

void RouterCalls::end(std::uint64_t id, std::optional<node::Outcome>&& outcome, bool sent) {
  const auto at = open_.find(id);
  if (at == open_.end()) return;
  const Done done = std::move(at->second.done);
  open_.erase(at);
  done(std::move(outcome), sent);
}

void RouterCalls::forget(std::size_t router) {
  std::erase_if(open_, [&](const auto& entry) { return entry.second.router == router; });
}

void RouterCalls::reset(std::size_t shard, std::size_t node) {
  for (const auto& [id, open] : open_)
    if (open.shard == shard && open.node == node && open.arrived) {
      if (moves_units(open.command)) saw("a move met the end of a node");
      events_.after(kOneWay, [this, id = id] { end(id, std::nullopt, true); });
    }
}

}  // namespace holdfast::sim
