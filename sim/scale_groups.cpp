#include "sim/scale_groups.h"

#include <algorithm>
#include <cstdio>
#include <deque>

#include "sim/router_machine.h"

namespace holdfast::sim {

namespace {

constexpr Time kOneWay = 40 * kMillisecond;
constexpr Time kIdle = 10 * kSecond, kLoad = 10 * kSecond;
constexpr std::uint64_t kReservationsOfShard = 2'000;
constexpr std::size_t kLoadingAtOnce = 256;  // SKUs of a shard
constexpr Time kWithin = 600 * kSecond;      // of anything that is waited for
constexpr std::uint32_t kNodesOfShard = 3, kAllShards = 16, kAllNodes = 50;

struct Size {
  std::uint32_t shards = 1, nodes = 1;  // of each
  std::uint32_t more = 0;               // so many shards have one node more
  std::uint64_t skus = 0;               // of all
};

class Shop {
 public:
  Shop(const Size& size, const GroupScaleOptions& options)
      : size_(size), options_(options), random_(options.seed, "groups"), skus_(size.shards) {
    std::vector<World*> worlds;
    map_.version = 1;
    for (std::uint32_t shard = 0; shard < size.shards; ++shard) {
      add_shard(shard);
      worlds.push_back(shards_.back().get());
    }
    calls_ = std::make_unique<RouterCalls>(events_, options.seed, options.regions,
                                           std::move(worlds), nullptr);
    for (std::uint32_t i = 0; i < options.regions; ++i) add_router(i);
  }

  GroupPoint measure() {
    point_.shards = size_.shards;
    point_.nodes = size_.shards * size_.nodes + size_.more;
    point_.skus = size_.skus;
    if (open() && load_skus() && quiet()) run();
    point_.virtual_ms = events_.now() / kMillisecond;
    point_.events = events_.done();
    return point_;
  }

 private:
  std::string region(std::uint32_t index) const {
    return "r" + std::to_string(index % options_.regions);
  }

  void add_shard(std::uint32_t shard) {
    char name[16];
    std::snprintf(name, sizeof name, "s%02u", shard);
    const std::uint32_t nodes = size_.nodes + (shard < size_.more ? 1 : 0);
    WorldOptions world{.seed = Random(options_.seed, "shard", shard).next(),
                       .between_regions = kOneWay,
                       .http_prefix = std::string(name) + "-"};
    for (std::uint32_t node = 0; node < nodes; ++node) {
      if (node < options_.regions) world.regions.push_back(region(shard + node));
      world.nodes.push_back({.region = region(shard + node)});
    }
    map_.shards.push_back({.name = name, .nodes = {"http://" + std::string(name) + "-http-0"}});
    shards_.push_back(std::make_unique<World>(std::move(world), watcher_, &events_));
  }

  void add_router(std::uint32_t index) {
    api::RouterConfig config{.region = region(index)};
    for (std::uint32_t i = 1; i < options_.regions; ++i)
      config.fallback.push_back(region(index + i));
    routers_.push_back(std::make_unique<RouterMachine>(
        events_, *calls_,
        RouterMachineOptions{index, std::move(config),
                             Random(options_.seed, "router", index).next()},
        RouterMachine::Hooks{.saw = {},
                             .fail = [this](const auto& what, const auto&) { fail(what); },
                             .trace = {},
                             .ended = [] {}}));
  }

  void fail(const std::string& what) {
    if (point_.problem.empty()) point_.problem = what;
  }

  bool wait_for(const std::function<bool()>& done, const char* what) {
    const Time limit = events_.now() + kWithin;
    while (!done() && events_.step(limit)) {
    }
    if (!done()) fail(what);
    return point_.problem.empty();
  }
  void run_for(Time time) {
    for (const Time limit = events_.now() + time; events_.step(limit);) {
    }
  }

  bool open() {
    for (const auto& shard : shards_) shard->start_all();
    run_for(5 * kSecond);
    for (const auto& router : routers_) router->start(map_);
    run_for(5 * kSecond);
    for (const auto& router : routers_)
      if (!router->whole()) fail("a router does not find all shards");
    return point_.problem.empty();
  }

  // At the shard's first node, past HTTP: it is not measured.
  bool load_skus() {
    std::uint64_t number = 0;
    for (bool some_lack = true; some_lack;) {
      const std::string sku = "sku-" + std::to_string(number++);
      const std::size_t shard = map_.shard_of(sku);
      const std::uint64_t each = size_.skus / size_.shards;
      if (skus_[shard].size() < each) skus_[shard].push_back(sku);
      some_lack = std::any_of(skus_.begin(), skus_.end(),
                              [&](const auto& skus) { return skus.size() < each; });
    }
    for (std::size_t shard = 0; shard < shards_.size(); ++shard)
      for (std::size_t i = 0; i < kLoadingAtOnce; ++i) load(shard, i);
    return wait_for([this] { return loaded_ >= size_.skus / size_.shards * size_.shards; },
                    "the SKUs could not be loaded");
  }

  void load(std::size_t shard, std::size_t index) {
    if (index >= skus_[shard].size()) return;
    const std::string& sku = skus_[shard][index];
    Machine& node = shards_[shard]->node(0);
    node.ask(node::PutSku{.sku = sku}, [](const node::Outcome&) {});
    node.ask(node::Receive{.sku = sku, .quantity = 1'000, .key = {}},
             [this, shard, index](const node::Outcome& outcome) {
               if (!outcome.succeeded()) fail("a receipt was refused");
               ++loaded_;
               events_.after(0, [this, shard, index] { load(shard, index + kLoadingAtOnce); });
             });
  }

  // All rows are everywhere, and rights have gone where they belong.
  bool quiet() {
    std::uint64_t before = 0;
    return wait_for(
        [this, &before] {
          run_for(5 * kSecond);
          const std::uint64_t now = gossiped();
          const bool done = now - before < idle_bytes() * 2;
          before = now;
          return done;
        },
        "gossip does not come to rest");
  }
  // About what heartbeats of five seconds are.
  std::uint64_t idle_bytes() const {
    std::uint64_t pairs = 1;
    for (const auto& shard : shards_) pairs += shard->nodes() * (shard->nodes() - 1);
    return pairs * 5 * 80;
  }

  std::uint64_t gossiped() const {
    std::uint64_t bytes = 0;
    for (const auto& shard : shards_)
      for (Place from = 0; from < shard->nodes(); ++from)
        for (Place to = 0; to < shard->nodes(); ++to) bytes += shard->bytes_of_pair(from, to);
    return bytes;
  }

  void run() {
    const std::uint64_t bytes_0 = gossiped();
    const double cpu_0 = options_.cpu_seconds();
    run_for(kIdle);
    const std::uint64_t bytes_1 = gossiped();
    const double cpu_1 = options_.cpu_seconds();
    const Time begin = events_.now();
    const std::uint64_t count = kReservationsOfShard * shards_.size();
    come(0, count);
    wait_for([&] { return point_.reservations == count; }, "carts without an answer");
    run_for(2 * kSecond);  // the last rows go to all
    const double idle_times =
        static_cast<double>(events_.now() - begin) / static_cast<double>(kIdle);
    const auto per = [&](double all, double idle) {
      return (all - idle * idle_times) / static_cast<double>(count);
    };
    point_.bytes_per_reservation =
        per(static_cast<double>(gossiped() - bytes_1), static_cast<double>(bytes_1 - bytes_0));
    point_.cpu_us_per_reservation = 1e6 * per(options_.cpu_seconds() - cpu_1, cpu_1 - cpu_0);
  }

  // One customer after the other, so that those to come take no memory.
  void come(std::uint64_t number, std::uint64_t count) {
    if (number == count) return;
    const double mean = static_cast<double>(kLoad) / static_cast<double>(count);
    events_.after(static_cast<Time>(random_.exponential(mean)), [this, number, count] {
      reserve(number);
      come(number + 1, count);
    });
  }

  void reserve(std::uint64_t number) {
    const std::vector<std::string>& skus = skus_[number % skus_.size()];
    RouterMachine& router = *routers_[random_.below(routers_.size())];
    const std::string id = "cart-" + std::to_string(number);
    node::Reserve cart{.id = id, .lines = {{random_.pick(skus), 1}}};
    router.request(std::move(cart), [this, id, &router](std::optional<node::Outcome>&& made) {
      if (!made || !made->succeeded()) fail("a cart was refused");
      events_.after(kMillisecond, [this, id, &router] {
        router.request(node::Commit{id, {}}, [this](std::optional<node::Outcome>&& sold) {
          if (!sold || !sold->succeeded()) fail("a commit was refused");
          ++point_.reservations;
        });
      });
    });
  }

  const Size size_;
  const GroupScaleOptions& options_;
  Random random_;
  Watcher watcher_;
  Events events_;
  api::ShardMap map_;
  std::deque<std::unique_ptr<World>> shards_;
  std::unique_ptr<RouterCalls> calls_;
  std::deque<std::unique_ptr<RouterMachine>> routers_;
  std::vector<std::vector<std::string>> skus_;  // of each shard
  std::uint64_t loaded_ = 0;
  GroupPoint point_;
};

Curves curves(const std::vector<GroupPoint>& points, const char* title, const char* x,
              std::uint32_t GroupPoint::*at, const char* y, double GroupPoint::*field) {
  Curves one{.title = title, .x_label = x, .y_label = y};
  Curves::Line line{.name = title};
  for (const GroupPoint& point : points) {
    one.x.push_back(point.*at);
    line.y.push_back(point.*field);
  }
  one.lines.push_back(std::move(line));
  return one;
}

std::string in_words(double is, double most) {
  char text[96];
  std::snprintf(text, sizeof text, "%.0f bytes, at most %.0f", is, most);
  return text;
}

}  // namespace

GroupScale scale_groups(const GroupScaleOptions& options,
                        const std::function<void(std::size_t done, std::size_t of)>& on_progress) {
  GroupScale scale;
  const std::size_t of = options.nodes.size() + options.shards.size();
  const std::uint64_t skus = options.skus / options.shards.back();  // of a shard
  const auto progress = [&] {
    if (on_progress) on_progress(scale.by_nodes.size() + scale.by_shards.size(), of);
  };
  for (const std::uint32_t nodes : options.nodes) {
    const Size size{.nodes = nodes, .skus = skus};
    scale.by_nodes.push_back(Shop(size, options).measure());
    progress();
  }
  for (const std::uint32_t shards : options.shards) {
    const std::uint32_t more = shards == kAllShards ? kAllNodes - kAllShards * kNodesOfShard : 0;
    const Size size{shards, kNodesOfShard, more, skus * shards};
    scale.by_shards.push_back(Shop(size, options).measure());
    progress();
  }
  return scale;
}

Study study_of(const GroupScale& scale, const GroupScaleOptions& options) {
  Study study;
  study.title = "A reservation against the nodes of a group and the number of shards";
  study.teaches =
      "What a cart costs on the wire and in CPU as groups grow, and as shards are added.";
  study.policy = std::to_string(scale.by_shards.back().nodes) + " nodes in " +
                 std::to_string(options.regions) + " regions and " +
                 std::to_string(scale.by_shards.back().skus) + " SKUs at most, " +
                 std::to_string(scale.by_nodes.back().skus) + " SKUs in a group";
  study.seed = options.seed;
  const auto check = [&](const GroupPoint& point, const std::string& name, double most) {
    study.virtual_ms += point.virtual_ms;
    study.hash = study.hash * 31 + point.events;
    const bool holds = point.problem.empty() && point.bytes_per_reservation <= most;
    study.checks.push_back(
        {name, holds,
         point.problem.empty() ? in_words(point.bytes_per_reservation, most) : point.problem});
  };
  double each = 0;  // bytes a peer, in the smallest group that has one
  for (const GroupPoint& point : scale.by_nodes) {
    if (each == 0 && point.nodes > 1) each = point.bytes_per_reservation / (point.nodes - 1);
    check(point, "nodes: " + std::to_string(point.nodes) + ", linear at most",
          1.25 * each * (point.nodes - 1) + 1);
  }
  const auto peers = [](const GroupPoint& point) {  // of a node, on the average
    return static_cast<double>(point.nodes) / point.shards - 1;
  };
  const GroupPoint& one = scale.by_shards.front();
  for (const GroupPoint& point : scale.by_shards)
    check(point, "shards: " + std::to_string(point.shards) + ", flat",
          1.15 * one.bytes_per_reservation * peers(point) / peers(one) + 1);
  const auto add = [&](const auto& points, const char* x, auto at) {
    study.curves.push_back(curves(points, "gossip per reservation", x, at, "bytes",
                                  &GroupPoint::bytes_per_reservation));
    study.curves.push_back(
        curves(points, "CPU per reservation", x, at, "µs", &GroupPoint::cpu_us_per_reservation));
  };
  add(scale.by_nodes, "nodes of a group", &GroupPoint::nodes);
  add(scale.by_shards, "shards", &GroupPoint::shards);
  return study;
}

}  // namespace holdfast::sim
