#include "sim/routed_run.h"

#include <algorithm>

#include "sim/routed_audit.h"
#include "sim/routed_breaker.h"

namespace holdfast::sim {

namespace {

// Rare situations that a long batch of seeds must have been in.
const char* const kSituations[] = {
    "a router ended between the parts and the record",
    "a router ended between the record and its answer",
    "a router ended between the record's commit and the parts'",
    "a router ended while parts were committed",
    "a sweep released a part that was left over",
    "a sweep sold the rest of a cart",
    "a read was asked of a second node",
    "a call was sent once more",
    "a call was not sent",
    "a call was lost",
    "an answer of a node was lost",
    "a call arrived that its router had given up",
    "a shard could not be reached",
    "two calls about one cart were sent at once",
    "a call was repeated until its answer was clear",
    "a customer went without a clear answer",
    "a cart was refused for want of stock",
    "a cart over several shards was held",
    "a cart over several shards was sold",
    "lines of a cart over several shards were sold",
    "lines of a spread cart came back",
    "a commit over several shards came too late",
    "a new version of the map came",
    "SKUs moved to another shard",
    "a router ended while units were handed over",
    "a node ended with units that were to move",
    "a cart was made before a move and sold after it",
    "a receipt was asked for before a move and told after it",
    "a node refused what has moved",
    "units came free after their SKU had moved",
    "a node left its shard",
    "a node left while it had units to move",
};

constexpr Time kSettledAfter = (kRoutedTtlSecondsMax + 90 + 20 + 2 * 30 + 20) * kSecond;

class RoutedRun {
 public:
  RoutedRun(const RoutedPlan& plan, const Trace& trace)
      : world_(plan, trace), breaker_(world_), shoppers_(world_) {}

  Verdict run() {
    set_up() && chaos() && recover() && settle() && audit();
    return verdict();
  }

 private:
  bool wait_for(const std::function<bool()>& done, Time within, const char* invariant,
                const char* what) {
    const Time limit = world_.now() + within;
    while (world_.going() && !done() && world_.now() < limit) world_.run_to(world_.now() + kSecond);
    if (world_.going() && !done()) world_.fail(invariant, what);
    return world_.going();
  }

  bool all_of_each(bool (RoutedRun::*holds)(std::size_t shard)) {
    for (std::size_t shard = 0; shard < world_.shards(); ++shard)
      if (!(this->*holds)(shard)) return false;
    return true;
  }

  bool meshed(std::size_t shard) {
    const auto nodes = world_.nodes_of(shard);
    return std::all_of(nodes.begin(), nodes.end(), [&](std::size_t index) {
      Machine& node = world_.shard(shard).node(index);
      return node.lives() && node.stats().peers_reachable + 1 >= nodes.size();
    });
  }
  bool agrees(std::size_t shard) {
    const auto nodes = world_.nodes_of(shard);
    const Machine& first = world_.shard(shard).node(nodes.front());
    return std::all_of(nodes.begin(), nodes.end(), [&](std::size_t index) {
      Machine& node = world_.shard(shard).node(index);
      return node.lives() && first.lives() && !node.engine().state().has_unsealed() &&
             node.engine().state().digest() == first.engine().state().digest();
    });
  }
  bool routers_are_whole() {
    for (std::size_t i = 0; i < world_.routers(); ++i)
      if (!world_.router(i).whole()) return false;
    return true;
  }

  bool set_up() {
    for (std::size_t shard = 0; shard < world_.shards(); ++shard) world_.shard(shard).start_all();
    if (!wait_for([this] { return all_of_each(&RoutedRun::meshed); }, 60 * kSecond, "no-start",
                  "the nodes of a shard do not find one another"))
      return false;
    for (std::size_t i = 0; i < world_.routers(); ++i) world_.start_router(i);
    if (!wait_for([this] { return routers_are_whole(); }, 30 * kSecond, "no-start",
                  "a router does not find all shards"))
      return false;
    shoppers_.open_shop();
    return wait_for([this] { return shoppers_.done() && all_of_each(&RoutedRun::agrees); },
                    60 * kSecond, "no-start", "the shop does not open");
  }

  bool chaos() {
    const Time begin = world_.now();
    shoppers_.schedule(begin);
    breaker_.schedule(begin);
    world_.run_to(begin + world_.plan().end_ms * kMillisecond);
    return world_.going();
  }

  bool recover() {
    breaker_.mend_all();
    if (!wait_for([this] { return all_of_each(&RoutedRun::meshed) && routers_are_whole(); },
                  120 * kSecond, "not-connected",
                  "nodes or routers do not find one another within 120 s"))
      return false;
    shoppers_.mended();
    return wait_for([this] { return shoppers_.done(); }, 300 * kSecond, "no-progress",
                    "customers have no clear answers within 300 s");
  }

  bool settle() {
    world_.run_to(world_.now() + kSettledAfter);
    for (std::size_t i = 0; i < world_.routers() && world_.going(); ++i)
      if (world_.router(i).in_hand() > 0)
        world_.fail("never-answered", "a router has requests in hand that it does not answer");
    return end_move() && wait_for([this] { return all_of_each(&RoutedRun::agrees); }, 90 * kSecond,
                                  "not-converged", "the nodes of a shard do not agree");
  }

  // All holds have ended: what is left in an old shard then would be left for ever.
  bool end_move() {
    if (!world_.map().moving()) return world_.going();
    const RoutedAudit audit(world_, shoppers_);
    const Time limit = world_.now() + 60 * kSecond;
    world_.run_until([&] { return audit.not_moved().empty(); }, limit);
    if (const std::string left = audit.not_moved(); world_.going() && !left.empty())
      world_.fail("not-moved", left);
    if (!world_.going()) return false;
    world_.use(api::end_move(world_.map()));
    return wait_for([this] { return routers_are_whole(); }, 30 * kSecond, "not-connected",
                    "a router does not find all shards");
  }

  bool audit() {
    RoutedAudit(world_, shoppers_).run();
    for (std::size_t i = 0; i < world_.routers(); ++i)
      world_.router(i).end();  // it tells of itself
    return world_.going();
  }

  Verdict verdict() {
    Verdict verdict{.seed = world_.plan().seed, .passed = world_.going()};
    verdict.event = world_.events().done();
    verdict.at_ms = verdict.simulated_ms = world_.now() / kMillisecond;
    if (const auto violation = world_.violation()) {
      verdict.invariant = violation->invariant;
      verdict.detail = violation->detail;
      verdict.at_ms = violation->at / kMillisecond;
      verdict.event = violation->event;
    }
    verdict.hash = world_.hash();
    for (const char* situation : kSituations) verdict.sometimes[situation] = 0;
    for (const auto& [situation, count] : world_.sometimes()) verdict.sometimes[situation] += count;
    return verdict;
  }

  RoutedWorld world_;
  RoutedBreaker breaker_;
  RoutedShoppers shoppers_;
};

RoutedPlan plan_of(std::uint64_t seed, const Omissions& omissions) {
  RoutedPlan plan = draw_routed_plan(seed);
  omit(plan, omissions);
  return plan;
}

}  // namespace

PlanSize routed_plan_size(std::uint64_t seed) {
  const RoutedPlan plan = draw_routed_plan(seed);
  return {static_cast<std::uint32_t>(plan.faults.size()),
          static_cast<std::uint32_t>(plan.operations.size()), plan.end_ms};
}

Verdict run_routed_seed(std::uint64_t seed, const Omissions& omissions, const Trace& trace) {
  const RoutedPlan plan = plan_of(seed, omissions);
  return RoutedRun(plan, trace).run();
}

std::string describe_routed_plan(std::uint64_t seed, const Omissions& omissions) {
  return describe(plan_of(seed, omissions));
}

}  // namespace holdfast::sim
