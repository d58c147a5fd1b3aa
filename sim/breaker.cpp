#include "sim/breaker.h"

#include <algorithm>
#include <set>

namespace holdfast::sim {

namespace {

constexpr Time kRestartAfter = 500 * kMillisecond;
constexpr Time kMomentWithin = 500 * kMillisecond;
constexpr Time kLookEvery = kMillisecond / 5;

Time duration_of(const PlannedFault& fault) { return fault.for_ms * kMillisecond; }

PowerLoss loss_of(double amount) {
  if (amount < 0.4) return PowerLoss::forgets;
  return amount < 0.75 ? PowerLoss::tears : PowerLoss::keeps;
}

}  // namespace

Breaker::Breaker(World& world, Checks& checks, const Plan& plan, Told on_lost_disk, Told on_retired)
    : world_(world),
      checks_(checks),
      plan_(plan),
      on_lost_disk_(std::move(on_lost_disk)),
      on_retired_(std::move(on_retired)),
      random_(plan.seed, "breaker"),
      held_down_(world.nodes()) {
  const std::size_t places = world.nodes() + world.options().regions.size();
  for (Place from = 0; from < places; ++from)
    for (Place to = 0; to < places; ++to) healthy_.push_back(world.network().pair(from, to));
}

void Breaker::schedule(Time begin) {
  for (std::size_t i = 0; i < world_.nodes(); ++i)
    if (world_.is_spare(i)) ++held_down_[i];
  for (const PlannedFault& fault : plan_.faults) {
    if (fault.kind == FaultKind::rollback || fault.kind == FaultKind::clone)
      world_.events().at(begin + fault.copied_ms * kMillisecond, [this, &fault] {
        const Machine& machine = world_.node(fault.a);
        if (machine.directory().fork.boots.empty() && !machine.image().empty() &&
            !to_restore_.contains(fault.a) && !checks_.is_forked(machine))
          copies_[&fault] = {machine.replica(), machine.directory()};
      });
    world_.events().at(begin + fault.at_ms * kMillisecond, [this, &fault] { this->begin(fault); });
  }
  watch_over();
}

void Breaker::later(Time delay, std::function<void()> action) {
  world_.events().after(delay, [this, generation = generation_, action = std::move(action)] {
    if (generation == generation_) action();
  });
}

void Breaker::watch_over() {
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    Machine& machine = world_.node(i);
    if (machine.was_retired()) replace_retired(i);
    if (to_restore_.contains(i) && !machine.stopped_for().empty()) restore(i);
    if (!machine.lives() && held_down_[i] == 0) machine.start();
  }
  replace_one_of_the_retired();
  name_heirs();
  world_.events().after(kRestartAfter, [this] { watch_over(); });
}

// It says so, and what to do: an empty directory. One that may be a copy of another that is in use
// is kept: should its rows be void one day, the nodes ask for it. As long as that other is there.
void Breaker::replace_retired(std::size_t node) {
  Machine& machine = world_.node(node);
  if (checks_.is_asked_for(machine)) return machine.start_once_more();
  for (std::size_t i = 0; i < world_.nodes(); ++i)
    if (i != node && world_.node(i).replica() == machine.replica()) return;
  on_retired_(node);
  machine.lose_disk();
}

// They have retired one another, so that nobody is left, and say what to do: a new node.
void Breaker::replace_one_of_the_retired() {
  std::size_t first = world_.nodes();
  for (std::size_t i = world_.nodes(); i-- > 0;) {
    if (!world_.takes_part(i)) continue;
    const Machine& machine = world_.node(i);
    if (!machine.lives() || !machine.engine().state().retired(machine.replica())) return;
    if (machine.engine().state().heir(machine.replica())) return;
    first = i;
  }
  if (first == world_.nodes()) return;
  checks_.saw("all were retired, each by another");
  on_lost_disk_(first);
  world_.node(first).crash(PowerLoss::forgets, false);
  world_.node(first).lose_disk();
}

// ... whose operator declares it the heir of one of them. And of an heir that never comes back: a
// retired node waits for its own.
void Breaker::name_heirs() {
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    const Machine& machine = world_.node(i);
    if (!machine.lives() || machine.paused()) continue;
    const crdt::State& state = machine.engine().state();
    if (state.retired(machine.replica())) continue;
    const std::set<crdt::ReplicaId> retired(state.retired().begin(), state.retired().end());
    for (const crdt::ReplicaId replica : retired) {
      const crdt::ReplicaId heir = state.heir(replica);
      if (heir && !awaits(replica, heir)) continue;
      return order(i,
                   node::Retire{.replica = crdt::to_string(heir ? heir : replica),
                                .successor = crdt::to_string(machine.replica()),
                                .dry_run = true},
                   true, 0);
    }
  }
}

// The one is there, and the other nowhere.
bool Breaker::awaits(crdt::ReplicaId retired, crdt::ReplicaId heir) const {
  bool is_there = false;
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    const Machine& machine = world_.node(i);
    if (machine.replica() == heir) return false;
    is_there = is_there || (machine.lives() && machine.replica() == retired);
  }
  return is_there;
}

void Breaker::hold_down(std::size_t node, Time for_how_long) {
  ++held_down_[node];
  later(for_how_long, [this, node] { --held_down_[node]; });
}

void Breaker::begin(const PlannedFault& fault) {
  Machine& a = world_.node(fault.a);
  Network& network = world_.network();
  const Time takes = duration_of(fault);
  switch (fault.kind) {
    case FaultKind::crash:
      return crash(fault, false);
    case FaultKind::power_loss:
      return crash(fault, true);
    case FaultKind::pause:
      a.pause();
      return later(takes, [&a] { a.resume(); });
    case FaultKind::cut:
      return cut(fault.a, fault.b, fault.one_way, takes);
    case FaultKind::isolate:
      return isolate(fault);
    case FaultKind::swizzle:
      return swizzle(fault);
    case FaultKind::lossy:
      return make_lossy(fault);
    case FaultKind::slow_link: {
      const Time more = static_cast<Time>(fault.amount * 2 * kSecond);
      return change_region_pair(
          fault, [more](Pair& pair) { pair.latency += more; },
          [more](Pair& pair) { pair.latency = std::max<Time>(pair.latency - more, 1); });
    }
    case FaultKind::narrow_link:
      return change_region_pair(
          fault, [&fault](Pair& pair) { pair.bytes_per_second = 2e3 + fault.amount * 1e5; },
          [](Pair& pair) { pair.bytes_per_second = 0; });
    case FaultKind::clog:
      return network.clog(fault.a, fault.b, world_.now() + takes);
    case FaultKind::reset:
      return network.reset(fault.a, fault.b);
    case FaultKind::slow_disk:
      a.disk().slow = 1 + fault.amount * 200;
      return later(takes, [&a] { a.disk().slow = 1; });
    case FaultKind::failing_disk:
      a.disk().failing = 0.01 + fault.amount * 0.3;
      return later(takes, [&a] { a.disk().failing = 0; });
    case FaultKind::full_disk:
      a.disk().full = true;
      return later(takes, [&a] { a.disk().full = false; });
    case FaultKind::lost_disk:
      return lose_disk(fault);
    case FaultKind::failover:
    case FaultKind::failover_region:
    case FaultKind::retire:
      return decree(fault);
    case FaultKind::rollback:
      return roll_back(fault);
    case FaultKind::clone:
      return clone(fault);
    case FaultKind::drain:
      if (a.lives())
        a.ask(node::StartDrain{.wait_seconds = static_cast<std::uint32_t>(fault.amount * 60)},
              [](const node::Outcome&) {});
      return;
    case FaultKind::wall_step:
      checks_.saw("a wall clock jumped");
      return a.step_wall_clock(static_cast<std::int64_t>((fault.amount - 0.5) * 1'200'000));
  }
}

// A crash waits a while for its moment: half of them for a batch in hand, or for a checkpoint.
void Breaker::crash(const PlannedFault& fault, bool silently) {
  const double wish = fault.amount;
  await_moment(
      fault.a, world_.now() + kMomentWithin,
      [wish](const Machine& machine) {
        if (wish < 0.25) return machine.checkpointing();
        return wish > 0.5 || machine.writing();
      },
      [this, &fault, silently] {
        Machine& machine = world_.node(fault.a);
        hold_down(fault.a, duration_of(fault));
        if (!machine.lives()) return;
        if (machine.checkpointing()) checks_.saw("a process ended in the middle of a checkpoint");
        machine.crash(loss_of(random_.unit()), silently);
      });
}

void Breaker::await_moment(std::size_t node, Time limit, std::function<bool(const Machine&)> is_it,
                           std::function<void()> action) {
  const Machine& machine = world_.node(node);
  if (world_.now() >= limit || (machine.lives() && is_it(machine))) return action();
  later(kLookEvery, [this, node, limit, is_it = std::move(is_it), action = std::move(action)] {
    await_moment(node, limit, is_it, action);
  });
}

void Breaker::lose_disk(const PlannedFault& fault) {
  Machine& machine = world_.node(fault.a);
  // With a fork's disk its suffix would be lost, and nobody would ever say which history is void.
  if (checks_.is_forked(machine)) return;
  hold_down(fault.a, duration_of(fault));
  machine.crash(PowerLoss::forgets, fault.one_way);
  on_lost_disk_(fault.a);
  machine.lose_disk();
  checks_.saw("a disk was lost");
}

const Directory* Breaker::copy_for(const PlannedFault& fault) const {
  const auto copy = copies_.find(&fault);
  const Machine& machine = world_.node(fault.a);
  if (copy == copies_.end() || copy->second.first != machine.replica() ||
      checks_.is_forked(machine) || !machine.directory().fork.boots.empty() ||
      !machine.stopped_for().empty())
    return nullptr;
  return &copy->second.second;
}

void Breaker::roll_back(const PlannedFault& fault) {
  const Directory* copy = copy_for(fault);
  if (copy == nullptr) return;
  Machine& machine = world_.node(fault.a);
  hold_down(fault.a, duration_of(fault));
  machine.crash(loss_of(fault.amount), random_.chance(0.5));
  if (fault.one_way && copy->image.mark < machine.image().mark) to_restore_[fault.a] = copy->image;
  machine.put_back(*copy, fault.one_way);
}

void Breaker::clone(const PlannedFault& fault) {
  const Directory* copy = copy_for(fault);
  Machine& spare = world_.node(fault.b);
  if (copy == nullptr || world_.takes_part(fault.b)) return;
  if (fault.one_way) {
    hold_down(fault.a, duration_of(fault));
    world_.node(fault.a).crash(loss_of(fault.amount), random_.chance(0.5));
  }
  spare.put_back(*copy);
  held_down_[fault.b] = 0;
  spare.start();
}

// The node does not start, and says what to do: `holdfast restore`, of the copy that is there.
void Breaker::restore(std::size_t node) {
  const auto image = to_restore_.extract(node);
  on_lost_disk_(node);
  world_.node(node).restore(image.mapped());
  checks_.saw("a copy was restored by command");
}

// An operator looks at a dry run and confirms it; half of them take a while, and half of those say
// "whatever it is by now".
void Breaker::decree(const PlannedFault& fault) {
  if (!world_.node(fault.b).lives() || world_.node(fault.b).paused()) return;
  const Machine& target = world_.node(fault.a);
  const std::string id = crdt::to_string(target.replica());
  const auto fraction =
      fault.amount < 0.6 ? 1'000'000u : 1 + static_cast<std::uint32_t>(fault.amount * 999'999);
  node::Command command;
  if (fault.kind == FaultKind::retire) {
    command =
        node::Retire{.replica = id, .successor = world_.node(fault.c).name(), .dry_run = true};
  } else {
    const bool region = fault.kind == FaultKind::failover_region;
    command = node::Failover{.target = region ? target.region() : id,
                             .region = region,
                             .fraction_ppm = fraction,
                             .dry_run = true};
  }
  const bool by_plan = fault.one_way || fault.amount < 0.3;
  const Time waits = fault.one_way ? 0 : static_cast<Time>(fault.amount * 2 * kSecond);
  order(fault.b, std::move(command), by_plan, waits);
}

void Breaker::order(std::size_t node, node::Command command, bool by_plan, Time waits) {
  world_.node(node).ask(command, [=, this](const node::Outcome& told) {
    const auto* plan = std::get_if<std::unique_ptr<node::DecreePlan>>(&told.view);
    if (plan == nullptr) return;  // refused
    checks_.told_plan(**plan);
    node::Command confirmed = command;
    std::visit(
        [&](auto& one) {
          if constexpr (requires {
                          one.dry_run;
                          one.plan;
                        }) {
            one.dry_run = false;
            if (by_plan) one.plan = (*plan)->plan;
          }
        },
        confirmed);
    later(waits, [this, node, confirmed] { confirm(node, confirmed); });
  });
}

void Breaker::confirm(std::size_t node, node::Command command) {
  Machine& issuer = world_.node(node);
  if (!issuer.lives()) return;
  issuer.ask(std::move(command), [this](const node::Outcome& told) {
    if (told.code == node::Code::created) checks_.saw("an operator declared a node lost");
    if (told.code == node::Code::plan_changed)
      checks_.saw("a plan had changed when it was confirmed");
  });
}

// ── ways ────────────────────────────────────────────────────────────────────────────────────────

void Breaker::cut_way(Place from, Place to, Time for_how_long) {
  if (from < world_.nodes() && to < world_.nodes() && checks_.grant_in_flight(from, to))
    checks_.saw("a grant in flight across a cut");
  world_.network().cut(from, to);
  later(for_how_long, [this, from, to] { world_.network().mend(from, to); });
}

void Breaker::cut(std::size_t a, std::size_t b, bool one_way, Time for_how_long) {
  if (a == b) return;
  cut_way(a, b, for_how_long);
  if (!one_way) cut_way(b, a, for_how_long);
}

void Breaker::isolate(const PlannedFault& fault) {
  const std::size_t region = world_.region_of(fault.a);
  for (std::size_t other = 0; other < world_.options().regions.size(); ++other) {
    if (other == region) continue;
    const auto visit = [&](Place from, Place to) { cut_way(from, to, duration_of(fault)); };
    world_.for_each_pair(region, other, visit);
    if (!fault.one_way) world_.for_each_pair(other, region, visit);
  }
}

void Breaker::swizzle(const PlannedFault& fault) {
  for (std::size_t node = 0; node < world_.nodes(); ++node) {
    const Time takes = std::max<Time>(duration_of(fault), 10);
    const Time from = random_.between(0, takes / 2), to = random_.between(takes / 2, takes);
    later(from, [this, node, lasts = to - from] {
      for (std::size_t other = 0; other < world_.nodes(); ++other) cut(node, other, false, lasts);
    });
  }
}

void Breaker::make_lossy(const PlannedFault& fault) {
  const auto worse = [&](Place from, Place to) {
    Pair& pair = world_.network().pair(from, to);
    pair.loss = fault.amount < 0.5 ? fault.amount * 0.6 : 0;
    pair.duplicate = fault.at_ms % 2 == 0 ? fault.amount * 0.3 : 0;
    pair.reorder = fault.at_ms % 3 == 0 ? fault.amount * 0.3 : 0;
    later(duration_of(fault), [&pair] { pair.loss = pair.duplicate = pair.reorder = 0; });
  };
  worse(fault.a, fault.b);
  if (!fault.one_way) worse(fault.b, fault.a);
}

void Breaker::change_region_pair(const PlannedFault& fault, const std::function<void(Pair&)>& worse,
                                 const std::function<void(Pair&)>& as_before) {
  const std::size_t a = world_.region_of(fault.a), b = world_.region_of(fault.b);
  if (a == b) return;
  const auto visit = [&](Place from, Place to) {
    Pair& pair = world_.network().pair(from, to);
    worse(pair);
    later(duration_of(fault), [&pair, as_before] { as_before(pair); });
  };
  world_.for_each_pair(a, b, visit);
  if (!fault.one_way) world_.for_each_pair(b, a, visit);
}

// ── mending ─────────────────────────────────────────────────────────────────────────────────────

void Breaker::mend_node(std::size_t node) {
  if (!world_.takes_part(node)) return;
  Machine& machine = world_.node(node);
  held_down_[node] = 0;
  machine.disk().slow = 1;
  machine.disk().failing = 0;
  machine.disk().full = false;
  machine.resume();
  machine.start();
}

void Breaker::mend_way(Place from, Place to) {
  Pair& pair = world_.network().pair(from, to);
  while (pair.cut()) world_.network().mend(from, to);
  pair = healthy_[from * (world_.nodes() + world_.options().regions.size()) + to];
}

void Breaker::mend_core(const std::vector<std::size_t>& core) {
  ++generation_;  // what was to end by itself stays, outside of the core
  const auto in_core = [&](std::size_t node) {
    return std::find(core.begin(), core.end(), node) != core.end();
  };
  for (std::size_t node = 0; node < world_.nodes(); ++node) {
    if (in_core(node)) {
      mend_node(node);
      for (std::size_t region = 0; region < world_.options().regions.size(); ++region) {
        mend_way(node, world_.customers(region));
        mend_way(world_.customers(region), node);
      }
      for (const std::size_t other : core) mend_way(node, other);
    } else if (random_.chance(0.4)) {
      world_.node(node).crash(PowerLoss::forgets, random_.chance(0.5));
      ++held_down_[node];
    } else {
      for (const std::size_t other : core) {
        if (random_.chance(0.8)) world_.network().cut(node, other);
        if (random_.chance(0.8)) world_.network().cut(other, node);
      }
    }
  }
}

void Breaker::mend_all() {
  ++generation_;
  for (std::size_t node = 0; node < world_.nodes(); ++node) mend_node(node);
  const std::size_t places = world_.nodes() + world_.options().regions.size();
  for (Place from = 0; from < places; ++from)
    for (Place to = 0; to < places; ++to) mend_way(from, to);
}

}  // namespace holdfast::sim
