#include "sim/seed_run.h"

#include <algorithm>
#include <set>

#include "sim/breaker.h"
#include "sim/checks.h"
#include "sim/plan.h"
#include "sim/recorder.h"
#include "sim/shoppers.h"

namespace holdfast::sim {

namespace {

// Rare situations that a long batch of seeds must have been in.
const char* const kSituations[] = {
    "two regions at zero rights at once",
    "expiry and commit in one tick",
    "a grant in flight across a cut",
    "a torn journal tail was cut off",
    "a key was repeated on another connection after its effect",
    "a reservation was asked for again after it was held",
    "a failed fsync ended a process",
    "a process ended in the middle of a checkpoint",
    "new work was refused on a full disk",
    "a forwarded call had no answer",
    "a reservation's home was out of reach",
    "a cart was held in part",
    "a disk was lost",
    "a wall clock jumped",
    "an operator declared a node lost",
    "a seized replica returned in debt",
    "a decree was closed",
    "a reservation was adopted",
    "a reservation was committed here and released there",
    "a copy of a reservation gave way",
    "an heir took a hold over",
    "an heir took its own end back",
    "an heir took what a retired replica had left",
    "a retired node came back, and ended",
    "a node left in good order",
    "all were retired, each by another",
    "a key that took effect twice was undone",
    "an heir undid a retired replica's key",
    "a reservation was purged",
    "a disk was put back",
    "a fork was found out by a peer",
    "a fork was found at its own start",
    "a clone ran beside its original",
    "a fork's suffix was written again by its successor",
    "what was acknowledged was lost with a disk put back",
    "a copy was restored by command",
};

class SeedRun {
 public:
  SeedRun(const Plan& plan, const Trace& trace)
      : plan_(plan),
        recorder_(checks_, trace),
        world_(plan.world, recorder_),
        shoppers_(world_, checks_, plan_),
        breaker_(
            world_, checks_, plan_, [this](std::size_t node) { shoppers_.lost_disk(node); },
            [this](std::size_t node) { shoppers_.retired(node); }) {
    checks_.attach(world_);
    checks_.when_lost([this](std::size_t node, const auto& keys, const auto& holds) {
      shoppers_.lost_suffix(node, keys, holds);
    });
    recorder_.attach(world_);
  }

  Verdict run() {
    set_up() && chaos() && core_recovers() && all_recover() && account();
    return verdict();
  }

 private:
  bool going() const { return !checks_.violation(); }

  void run_to(Time limit) {
    world_.run_until([this] { return !going(); }, limit);
  }

  void put_skus() {
    for (std::size_t i = 0; i < plan_.skus; ++i)
      world_.http(world_.region_of(0), 0, {"PUT", "/v1/skus/s" + std::to_string(i), "{}", ""},
                  [](const api::Response&) {});
  }

  bool set_up() {
    world_.start_all();
    put_skus();
    const auto known = [this] {
      for (std::size_t i = 0; i < plan_.nodes; ++i)
        if (world_.node(i).engine().state().product_count() < plan_.skus ||
            world_.node(i).stats().peers_reachable + 1 < plan_.nodes)
          return false;
      return true;
    };
    for (int half_seconds = 0; half_seconds < 120 && going() && !known(); ++half_seconds)
      run_to(world_.now() + kSecond / 2);
    if (going() && !known()) checks_.fail("no-start", "the nodes do not find one another");
    return going();
  }

  bool chaos() {
    begin_ = world_.now();
    shoppers_.schedule(begin_);
    breaker_.schedule(begin_);
    run_to(begin_ + plan_.end_ms * kMillisecond);
    return going();
  }

  // A core that has rows of both histories of one origin, and neither of those who wrote them, has
  // nobody who could say which is void: nothing of that origin is exchanged (gossip/README.md), and
  // they agree about all others. And what a retired replica has left is dropped by each node for
  // itself, once all replicas have it: those that are away keep some waiting, and one whose disk
  // was lost does for ever, until it is retired. That equal vectors mean equal rows, but for what
  // was dropped, is checked all along. Else, once all nodes are mended, the rows are compared, no
  // origin is left aside, and none that was retired is there: it has ended, and another has taken
  // its place.
  bool converged(const std::vector<std::size_t>& nodes) {
    for (const std::size_t node : nodes)
      if (const Machine& machine = world_.node(node);
          !machine.lives() || machine.engine().state().has_unsealed() ||
          (all_mended_ && machine.engine().state().retired(machine.replica())))
        return false;
    const crdt::State& first = world_.node(nodes.front()).engine().state();
    const auto undecided = all_mended_ ? std::set<crdt::ReplicaId>() : checks_.undecided(nodes);
    const bool keeps = dropped_by_each() && (!all_mended_ || awaits_a_lost_one(first));
    const bool by_rows = undecided.empty() && !keeps;
    const auto has_all = [&](const crdt::State& of, const crdt::State& here) {
      return std::all_of(of.vector().begin(), of.vector().end(), [&](const auto& entry) {
        return undecided.contains(entry.first) || here.head(entry.first) == entry.second;
      });
    };
    return std::all_of(nodes.begin(), nodes.end(), [&](std::size_t node) {
      const crdt::State& state = world_.node(node).engine().state();
      if (by_rows) return state.digest() == first.digest();
      return has_all(state, first) && has_all(first, state);
    });
  }

  bool reach_each_other(const std::vector<std::size_t>& nodes) {
    for (const std::size_t node : nodes)
      for (const std::size_t other : nodes)
        if (node != other && !world_.node(node).reaches(world_.node(other).replica())) return false;
    return true;
  }

  // A retired replica's finished holds are dropped by each node's own wall clock; those differ.
  bool dropped_by_each() const {
    return plan_.world.keep_finished < crdt::Millis(3'600'000) &&
           !checks_.ghost().retired().empty();
  }

  bool awaits_a_lost_one(const crdt::State& state) const {
    std::set<crdt::ReplicaId> there;
    for (std::size_t i = 0; i < world_.nodes(); ++i) there.insert(world_.node(i).replica());
    return std::any_of(state.members().begin(), state.members().end(), [&](const auto& member) {
      return !state.retired(member.first) && !there.contains(member.first);
    });
  }

  bool converge(const std::vector<std::size_t>& nodes, const char* who) {
    const Time limit = world_.now() + (all_mended_ && dropped_by_each() ? 3'600 : 90) * kSecond;
    while (going() && world_.now() < limit) {
      run_to(world_.now() + kSecond);
      if (converged(nodes) && reach_each_other(nodes)) return going();
    }
    if (going())
      checks_.fail(converged(nodes) ? "not-connected" : "not-converged",
                   std::string(who) + " within 90 s");
    return false;
  }

  // Some nodes are mended; the rest stays broken for ever, as far as they know.
  bool core_recovers() {
    breaker_.mend_core(plan_.core);
    if (!converge(plan_.core, "the core does not agree")) return false;
    shoppers_.check_progress(plan_.core);
    return going() && converge(plan_.core, "the core does not agree after progress");
  }

  bool all_recover() {
    breaker_.mend_all();
    all_mended_ = true;
    put_skus();  // the catalogue may have been lost with a disk
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < world_.nodes(); ++i)
      if (world_.takes_part(i)) all.push_back(i);
    if (!converge(all, "the nodes do not agree")) return false;
    checks_.settle_forks();
    shoppers_.check_progress(all);
    if (!going()) return false;
    // Every hold ends in time: by then its home has lived for its longest time to live.
    run_to(world_.now() + (plan_.ttl_seconds_max + 10) * kSecond);
    shoppers_.resolve();
    run_to(world_.now() + (plan_.ttl_seconds_max + 10) * kSecond);
    // An heir or an adopter goes by its own wall clock, which may be minutes behind.
    const auto some_open = [&] {
      return std::any_of(all.begin(), all.end(), [&](std::size_t node) {
        return world_.node(node).engine().state().own_open_holds() > 0;
      });
    };
    for (int i = 0; i < 360 && going() && !checks_.ghost().decrees().empty() && some_open(); ++i)
      run_to(world_.now() + 10 * kSecond);
    for (const std::size_t node : all)
      if (going() && world_.node(node).engine().state().own_open_holds() > 0)
        checks_.fail("expired-late", world_.node(node).name() + " has holds past their deadline");
    if (going()) checks_.check_settled();
    return going() && converge(all, "the nodes do not agree in the end");
  }

  bool account() {
    shoppers_.audit();
    return going();
  }

  Verdict verdict() {
    Verdict verdict{.seed = plan_.seed, .passed = going()};
    verdict.event = world_.events().done();
    verdict.at_ms = world_.now() / kMillisecond;
    if (const auto& violation = checks_.violation()) {
      verdict.invariant = violation->invariant;
      verdict.detail = violation->detail;
      verdict.at_ms = violation->at / kMillisecond;
      verdict.event = violation->event;
    }
    verdict.hash = recorder_.hash();
    verdict.simulated_ms = world_.now() / kMillisecond;
    for (const char* situation : kSituations) verdict.sometimes[situation] = 0;
    for (const auto& [situation, count] : checks_.sometimes())
      verdict.sometimes[situation] += count;
    return verdict;
  }

  const Plan& plan_;
  Checks checks_;
  Recorder recorder_;
  World world_;
  Shoppers shoppers_;
  Breaker breaker_;
  Time begin_ = 0;
  bool all_mended_ = false;
};

}  // namespace

Verdict run_seed(std::uint64_t seed, const Omissions& omissions, const Trace& trace) {
  Plan plan = draw_plan(seed);
  omit(plan, omissions);
  return SeedRun(plan, trace).run();
}

}  // namespace holdfast::sim
