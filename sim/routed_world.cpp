#include "sim/routed_world.h"

#include <algorithm>

namespace holdfast::sim {

RoutedWorld::Shard::Shard(const WorldOptions& options, const Trace& trace, Events& events)
    : recorder(checks, trace), world(options, recorder, &events) {
  checks.attach(world);
  recorder.attach(world);
}

RoutedWorld::RoutedWorld(const RoutedPlan& plan, const Trace& trace)
    : plan_(plan), map_(plan.map), told_(plan.routers.size()) {
  std::vector<World*> worlds;
  for (const WorldOptions& options : plan.shards) {
    shards_.push_back(std::make_unique<Shard>(options, trace, events_));
    worlds.push_back(&shards_.back()->world);
  }
  const auto saw = [this](const std::string& situation) { this->saw(situation); };
  calls_ = std::make_unique<RouterCalls>(events_, plan.seed, plan.routers.size(), std::move(worlds),
                                         saw);
  for (std::size_t i = 0; i < plan.routers.size(); ++i)
    routers_.push_back(std::make_unique<RouterMachine>(
        events_, *calls_,
        RouterMachineOptions{i, plan.routers[i], Random(plan.seed, "router", i).next()},
        RouterMachine::Hooks{.saw = saw,
                             .fail = [this](const std::string& invariant,
                                            const std::string& detail) { fail(invariant, detail); },
                             .trace = trace,
                             .ended = [this, i] { ended_(i); }}));
}

std::vector<std::size_t> RoutedWorld::nodes_of(std::size_t index) {
  std::vector<std::size_t> nodes;
  for (std::size_t node = 0; node < shard(index).nodes(); ++node)
    if (!shard(index).node(node).was_retired()) nodes.push_back(node);
  return nodes;
}

void RoutedWorld::use(api::ShardMap map) {
  set_map(std::move(map));
  for (std::size_t router = 0; router < routers(); ++router) tell(router);
}

void RoutedWorld::tell(std::size_t router) {
  if (!routers_[router]->lives() || told_[router] == map_.version) return;
  told_[router] = map_.version;
  routers_[router]->use(map_);
}

void RoutedWorld::start_router(std::size_t index) {
  if (routers_[index]->lives()) return;
  told_[index] = map_.version;
  routers_[index]->start(map_);
}

bool RoutedWorld::run_until(const std::function<bool()>& done, Time limit) {
  while (going() && !done())
    if (!events_.step(limit)) return done();
  return going();
}

node::Outcome RoutedWorld::ask(std::size_t shard, std::size_t node, node::Command command) {
  std::optional<node::Outcome> found;
  this->shard(shard).node(node).ask(std::move(command), [&](const node::Outcome& outcome) {
    node::Outcome copy{.code = outcome.code, .detail = outcome.detail};
    if (const auto* stock = std::get_if<node::StockView>(&outcome.view)) copy.view = *stock;
    if (const auto* page = std::get_if<node::ReservationPage>(&outcome.view)) copy.view = *page;
    found = std::move(copy);
  });
  run_until([&] { return found.has_value(); }, now() + 10 * kSecond);
  return found ? *std::move(found) : node::Outcome{.code = node::Code::outcome_unknown};
}

void RoutedWorld::fail(const std::string& invariant, const std::string& detail) {
  if (!violation_) violation_ = {invariant, detail, now(), events_.done()};
}

bool RoutedWorld::going() const {
  return !violation_ && std::none_of(shards_.begin(), shards_.end(), [](const auto& shard) {
    return shard->checks.violation().has_value();
  });
}

std::optional<Violation> RoutedWorld::violation() const {
  for (const auto& shard : shards_)
    if (shard->checks.violation()) {
      Violation violation = *shard->checks.violation();
      violation.detail = "shard " + shard->world.options().http_prefix + ": " + violation.detail;
      return violation;
    }
  return violation_;
}

std::uint64_t RoutedWorld::hash() const {
  std::uint64_t hash = events_.done();
  for (const auto& shard : shards_) hash = hash * 0x9e3779b97f4a7c15ull + shard->recorder.hash();
  return hash;
}

}  // namespace holdfast::sim
