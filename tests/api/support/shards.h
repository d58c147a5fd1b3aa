#pragma once
// A router over shards that are real engines on disks in memory (tests/node/support/cluster.h): it
// is handed their answers as the process would, and killed and started again between any two.

#include "api/router.h"

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

namespace holdfast::tests {

using api::Router;
using api::RouterCall;
using api::RouterConfig;
using api::ShardMap;
using holdfast::crdt::HoldState;
using holdfast::crdt::Instant;
using holdfast::crdt::Millis;
using holdfast::crdt::Now;
using holdfast::crdt::WallTime;
using node::Code;
using node::Command;
using node::GetCluster;
using node::Line;
using node::Outcome;
using node::PutSku;
using node::Receive;
using node::Reply;
using node::Reserve;
using node::Units;
using node::Worded;

inline constexpr std::int64_t kWall = 1'700'000'000'000;  // as of the nodes

struct Shards {
  explicit Shards(std::size_t count, std::size_t nodes = 1, bool some_leave = false) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      clusters.push_back(std::make_unique<Cluster>(ClusterOptions{.nodes = nodes,
                                                                  .nodes_per_region = nodes,
                                                                  .seed = i + 1,
                                                                  .seizes = some_leave,
                                                                  .http_prefix = name + "-"}));
      Cluster& cluster = *clusters.back();
      cluster.settle();
      const auto all_ready = [&] {
        for (std::size_t node = 0; node < nodes; ++node)
          if (!cluster.stats(node).ready) return false;
        return true;
      };
      CHECK(cluster.run_until(all_ready, 10'000));
      map.shards.push_back({.name = name, .nodes = {"http://" + name + "-0"}});
    }
    map.version = 1;
    start();
    // A SKU's home changes with each node that comes.
    CHECK(run_until([&] { return nodes_up() == count * nodes; }, 10'000));
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      CHECK(call(PutSku{.sku = std::string(1, sku)}).succeeded());
      CHECK(call(Receive{.sku = std::string(1, sku), .quantity = 10}).succeeded());
    }
  }
  ~Shards() {
    for (auto& cluster : clusters) CHECK(cluster->complaints() == "");
  }

  void start() {
    flying.clear();
    replies.clear();
    router.emplace(RouterConfig{.fallback = {},
                                .sweep_every = Millis(30'000),
                                .left_over_after = Millis(30'000),
                                .seed = ++starts},
                   map);
    CHECK(run_until([&] { return router->whole(); }, 5'000));
  }

  Now now() const { return {Instant(Millis(ms)), WallTime(Millis(kWall + ms))}; }
  // One millisecond. `dead` nodes take no calls.
  void step() {
    ++ms;
    for (auto& cluster : clusters) cluster->run_for(1);
    for (auto at = flying.begin(); at != flying.end();) {
      Cluster& cluster = *clusters[at->cluster];
      if (cluster.answered(at->token)) {
        Outcome outcome = cluster.take(at->token);
        const std::uint64_t id = at->call;
        at = flying.erase(at);
        router->on_answer(now(), id, std::move(outcome));
      } else if (ms >= at->until) {
        const std::uint64_t id = at->call;
        at = flying.erase(at);
        router->on_lost(now(), id, true);
      } else {
        ++at;
      }
    }
    router->tick(now());
    carry_out();
  }
  void carry_out() {
    for (std::vector<RouterCall> calls = router->take_calls(); !calls.empty();
         calls = router->take_calls())
      for (RouterCall& call : calls) {
        ++calls_made;
        const std::size_t cluster = static_cast<std::size_t>(call.url[7] - 'a');
        const std::size_t node = static_cast<std::size_t>(std::stoi(call.url.substr(9)));
        if (down.contains({cluster, node})) {
          router->on_lost(now(), call.id, false);
          continue;
        }
        if (kill_at && calls_made == *kill_at) killed = true;
        const std::uint64_t token = clusters[cluster]->submit(node, std::move(call.command));
        flying.push_back({call.id, cluster, token, ms + call.timeout.count()});
        if (killed) return;
      }
    for (Reply& reply : router->take_replies()) replies[reply.token] = std::move(reply.outcome);
  }
  bool run_until(const std::function<bool()>& done, std::int64_t limit_ms) {
    for (std::int64_t i = 0; i < limit_ms && !done() && !killed; ++i) step();
    return done();
  }
  void run_for(std::int64_t time) {
    run_until([] { return false; }, time);
  }
  // At once, for all; nothing of the router's is under way.
  void pass(std::int64_t time) {
    for (auto& cluster : clusters) cluster->run_for(time);
    ms += time;
    run_for(2'000);
  }
  std::uint64_t submit(Command command) {
    router->on_request(now(), {++tokens, std::move(command)});
    carry_out();
    return tokens;
  }
  Outcome take(std::uint64_t token) {
    if (!run_until([&] { return replies.contains(token); }, 60'000))
      return {.code = Code::stopping};
    Outcome outcome = std::move(replies.at(token));
    replies.erase(token);
    return outcome;
  }
  Outcome call(Command command) { return take(submit(std::move(command))); }

  // Ten units of each SKU more, at each of its shard's nodes.
  void stock_everywhere() {
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      const std::string name(1, sku);
      Cluster& cluster = *clusters[map.shard_of(name)];
      CHECK(cluster.converge());
      for (std::size_t node = 0; node < cluster.size(); ++node)
        CHECK(cluster.call(node, Receive{.sku = name, .quantity = 10}).succeeded());
    }
  }

  // The router ends after so many calls from now; what is under way at nodes goes on.
  void kill_after(std::uint64_t calls) { kill_at = calls_made + calls; }
  void restart() {
    killed = false;
    kill_at.reset();
    start();
  }

  std::size_t nodes_up() {
    Outcome outcome = call(GetCluster{});
    const std::string& body = std::get<Worded>(outcome.view).body;
    std::size_t up = 0;
    for (std::size_t at = body.find("\"up\":true"); at != std::string::npos;
         at = body.find("\"up\":true", at + 1))
      ++up;
    return up;
  }
  static Reserve cart(const std::string& id, std::vector<Line> lines) {
    return {.id = id, .lines = std::move(lines), .ttl_seconds = 100, .wait_ms = 0};
  }
  Reserve all_skus(const std::string& id, Units units) const {
    std::vector<Line> lines;
    for (char sku = 'a'; sku <= 'l'; ++sku) lines.push_back({std::string(1, sku), units});
    return cart(id, lines);
  }
  Truth truth(char sku) const {
    const std::string name(1, sku);
    return clusters[map.shard_of(name)]->truth(name);
  }
  // The same for all SKUs: so much held, so much sold.
  void check_all(Units held, Units sold) const {
    for (char sku = 'a'; sku <= 'l'; ++sku) {
      const Truth is = truth(sku);
      CHECK(is.held == held);
      CHECK(is.sold - is.returned == sold);
      CHECK(is.on_hand == 10 - sold);
    }
  }

  std::vector<std::unique_ptr<Cluster>> clusters;
  ShardMap map;
  struct Flying {
    std::uint64_t call = 0;
    std::size_t cluster = 0;
    std::uint64_t token = 0;
    std::int64_t until = 0;
  };
  std::vector<Flying> flying;
  std::set<std::pair<std::size_t, std::size_t>> down;
  std::map<std::uint64_t, Outcome> replies;
  std::int64_t ms = 0;
  std::uint64_t tokens = 0, calls_made = 0, starts = 0;
  std::optional<std::uint64_t> kill_at;
  bool killed = false;
  std::optional<Router> router;
};

}  // namespace holdfast::tests
