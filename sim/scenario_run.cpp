#include "sim/scenario_run.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>

#include "api/table.h"
#include "sim/figures.h"
#include "sim/recorder.h"
#include "sim/router_ways.h"
#include "sim/scenario_verdict.h"
#include "sim/scenario_world.h"
#include "sim/shop_counters.h"
#include "sim/shop_routed.h"

namespace holdfast::sim {

namespace {

constexpr Time kOpeningLimit = 3'600 * kSecond;
constexpr Time kSettleLimit = 600 * kSecond;
constexpr Time kEndLimit = 60 * kSecond;
constexpr Time kTellEvery = 10 * kSecond;

// The nodes of one shard, alone in their world. Without shards: all nodes.
struct Group {
  Group(const Scenario& whole, std::size_t shard, Events& events)
      : name(shard_name(shard)),
        scenario(whole.of_shard(shard)),
        recorder(checks, no_trace),
        world(options(whole, shard), recorder, &events),
        faults(world, scenario) {
    checks.attach(world);
    recorder.attach(world);
    set_links(world, scenario);
  }

  WorldOptions options(const Scenario& whole, std::size_t shard) const {
    WorldOptions options = world_of(scenario);
    if (!whole.routed()) return options;
    options.seed = Random(whole.seed, "shard", shard).next();
    options.http_prefix = name + "-";
    return options;
  }

  const std::string name;
  const Scenario scenario;
  const Trace no_trace;
  Checks checks;
  Recorder recorder;
  World world;
  FaultTimeline faults;
  std::unique_ptr<HoldfastShop> shop;  // none: it is an alternative that is not the product
};

void add(std::optional<DecreeTotals>& to, const std::optional<DecreeTotals>& from) {
  if (!from) return;
  DecreeTotals& all = to ? *to : to.emplace();
  all.issued += from->issued;
  all.retirements += from->retirements;
  all.open += from->open;
  for (crdt::Units DecreeTotals::*units :
       {&DecreeTotals::seize, &DecreeTotals::open_holds, &DecreeTotals::seized,
        &DecreeTotals::spent_unseen, &DecreeTotals::realized, &DecreeTotals::repaid,
        &DecreeTotals::unseen, &DecreeTotals::debt, &DecreeTotals::beyond_allowance,
        &DecreeTotals::beyond_bound})
    all.*units += (*from).*units;
}

class ScenarioRun {
 public:
  ScenarioRun(const Scenario& scenario, const OnProgress& on_progress)
      : scenario_(scenario),
        on_progress_(on_progress),
        answers_(scenario.routed() ? "router" : "node"),
        demand_(scenario) {
    for (std::size_t shard = 0; shard < scenario.shards.count(); ++shard)
      groups_.emplace_back(scenario, shard, events_);
    make_shop();
  }

  absl::StatusOr<Report> run() {
    const absl::Status opened = shop().open(opening_stock(scenario_), kOpeningLimit);
    if (!opened.ok()) return opened;
    begin_ = events_.now();
    make_figures();
    for (Group& group : groups_) group.faults.schedule(begin_);
    if (router_ways_) router_ways_->schedule(begin_);
    for (const ScenarioEvent& event : scenario_.events)
      events_.at(begin_ + event.at, [this, &event] { command(event); });
    pump();
    sample(scenario_.sample_every);
    tell(kTellEvery);
    run_to(begin_ + scenario_.duration);
    settle();
    return report();
  }

 private:
  void make_shop() {
    const ScenarioPolicy& policy = scenario_.policy;
    if (policy.name == "weak") {
      shop_ = std::make_unique<CounterShop>(groups_.front().world, scenario_);
      return;
    }
    HoldfastShopOptions options{.wait_ms = policy.wait_ms};
    if (policy.name == "central") options.central_region = policy.central_region;
    std::vector<std::vector<bool>> skus;
    if (scenario_.routed()) skus = skus_by_shard(scenario_);
    std::vector<RoutedShop::Shard> shards;
    for (Group& group : groups_) {
      if (scenario_.routed()) options.opens_with = skus[shards.size()];
      group.shop =
          std::make_unique<HoldfastShop>(group.world, group.checks, group.scenario, options);
      group.recorder.also_tell(
          [shop = group.shop.get()](const Machine& machine) { shop->on_durable(machine); });
      shards.push_back({&group.world, group.shop.get()});
    }
    if (!scenario_.routed()) return;
    auto routed = std::make_unique<RoutedShop>(events_, scenario_, std::move(shards));
    routed_ = routed.get();
    router_ways_.emplace(events_, routed->calls(), scenario_);
    shop_ = std::move(routed);
  }

  Shop& shop() { return shop_ ? *shop_ : *groups_.front().shop; }
  bool is_holdfast() const { return groups_.front().shop != nullptr; }

  // What leaves a region: gossip and calls of its nodes and routers, and its customers' own abroad.
  std::uint64_t wan_bytes(std::size_t region) const {
    std::uint64_t bytes = router_ways_ ? router_ways_->wan_bytes(region) : 0;
    for (const Group& group : groups_)
      for (std::size_t other = 0; other < scenario_.regions.size(); ++other)
        if (other != region) bytes += group.world.bytes_between(region, other);
    return bytes;
  }

  void make_figures() {
    std::vector<const World*> worlds;
    for (const Group& group : groups_) worlds.push_back(&group.world);
    figures_ = std::make_unique<Figures>(scenario_, shop(), std::move(worlds),
                                         [this](std::size_t region) { return wan_bytes(region); });
  }

  void run_to(Time limit) {
    while (events_.step(limit)) {
    }
  }
  bool run_until(const std::function<bool()>& done, Time limit) {
    while (!done())
      if (!events_.step(limit)) return done();
    return true;
  }

  // ── customers ──
  void pump() {
    std::optional<Cart> cart = demand_.next();
    if (!cart) return;
    const Time at = begin_ + cart->at;
    events_.at(at, [this, cart = *std::move(cart)] {
      come(cart);
      pump();
    });
  }

  struct Visit {
    Cart cart;
    Time began = 0;
    bool over = false;
  };

  void come(const Cart& cart) {
    figures_->came(cart);
    auto visit = std::make_shared<Visit>(Visit{cart, events_.now()});
    shop().reserve(cart, [this, visit](const ShopAnswer& answer) {
      if (std::exchange(visit->over, true)) return;  // the customer has gone
      figures_->answered(visit->cart, answer, events_.now() - visit->began);
      if (answer.kind == ShopAnswer::Kind::held) afterwards(visit->cart);
    });
    events_.after(scenario_.demand.timeout, [this, visit] {
      if (!std::exchange(visit->over, true)) figures_->gone(visit->cart);
    });
  }

  void afterwards(const Cart& cart) {
    if (cart.then == Cart::Then::abandon) {
      shop().abandon(cart);
      return figures_->ended(cart, cart.then);
    }
    ++open_;
    events_.after(cart.after, [this, cart] {
      const auto done = [this, cart] {
        --open_;
        figures_->ended(cart, cart.then);
      };
      if (cart.then == Cart::Then::commit) {
        shop().commit(cart, done);
      } else {
        shop().release(cart, done);
      }
    });
  }

  // ── operators ──
  void ask(const ScenarioEvent& event, const std::string& target, const std::string& body) {
    answers_.asked(event);
    const auto done = [this, &event](const std::string& code) { answers_.answered(event, code); };
    const bool sent = routed_ != nullptr
                          ? routed_->post(event.region, target, body, done)
                          : groups_.front().shop->post(event.region, target, body, done);
    if (!sent) answers_.not_sent(event);
  }

  void decree(const ScenarioEvent& event, Group& group, const ScenarioEvent& part) {
    answers_.asked(event);
    const std::string in = groups_.size() > 1 ? group.name + ": " : "";
    const bool sent = group.shop->decrees().issue(
        group.scenario, part, [this, &event, in](const std::string& code, const std::string& told) {
          answers_.answered(event, code, told.empty() ? told : in + told);
        });
    if (!sent) answers_.not_sent(event);
  }

  void drain(const ScenarioEvent& event, HoldfastShop& shop, std::size_t node) {
    answers_.asked(event);
    const bool sent = shop.drain(node, event.extra, [this, &event](const std::string& code) {
      answers_.answered(event, code);
    });
    if (!sent) answers_.not_sent(event);
  }

  // What a shard's own nodes are told.
  void command_shard(const ScenarioEvent& event, Group& group, const ScenarioEvent& part) {
    switch (event.kind) {
      case EventKind::failover:
      case EventKind::retire:
        return decree(event, group, part);
      case EventKind::join:
        answers_.asked(event);
        for (const std::size_t node : part.nodes) group.shop->join(node);
        return answers_.answered(event, "");
      case EventKind::drain:
        for (const std::size_t node : part.nodes) drain(event, *group.shop, node);
        return;
      default:
        return;  // faults are scenario_world's
    }
  }

  void reshard(const ScenarioEvent& event) {
    answers_.asked(event);
    routed_->reshard(event.weights,
                     [this, &event](const std::string& code) { answers_.answered(event, code); });
  }

  void crash_routers(const ScenarioEvent& event) {
    for (const std::size_t router : event.routers) {
      routed_->end_router(router);
      if (!event.open_ended)
        events_.at(begin_ + event.end, [this, router] { routed_->start_router(router); });
    }
  }

  // A router sees at once that the process is gone.
  void reset_calls(const ScenarioEvent& event) {
    const bool ends = event.kind == EventKind::crash || event.kind == EventKind::restart ||
                      event.kind == EventKind::disk_lost || event.kind == EventKind::disk_put_back;
    if (routed_ != nullptr && ends)
      for (const std::size_t node : event.nodes) routed_->node_ended(node);
  }

  void command(const ScenarioEvent& event) {
    if (!is_holdfast()) return;
    const auto each_sku = [&](const char* what, const std::string& body) {
      for (const std::string& sku : scenario_.skus)
        if (event.sku == "*" || event.sku == sku) ask(event, "/v1/skus/" + sku + "/" + what, body);
    };
    const std::string units = std::to_string(event.units);
    switch (event.kind) {
      case EventKind::receive:
        return each_sku("receipts", R"({"quantity":)" + units + "}");
      case EventKind::adjust:
        return each_sku("adjustments", R"({"reason":"scenario","delta":)" + units + "}");
      case EventKind::allow:
        return each_sku("allowances", R"({"delta":)" + units + "}");
      case EventKind::grant:
        return each_sku("grants", R"({"to":")" + scenario_.regions[event.to_region].name +
                                      R"(","quantity":)" + units + "}");
      case EventKind::reshard:
        return reshard(event);
      case EventKind::router_crash:
        return crash_routers(event);
      default:
        break;
    }
    reset_calls(event);
    for (std::size_t shard = 0; shard < groups_.size(); ++shard)
      if (const auto part = scenario_.part_of(event, shard))
        command_shard(event, groups_[shard], *part);
  }

  // ── figures ──
  void sample(Time at) {
    if (at > scenario_.duration) return;
    events_.at(begin_ + at, [this, at] {
      figures_->sample(at);
      sample(at + scenario_.sample_every);
    });
  }

  void tell(Time at) {
    if (!on_progress_ || at > scenario_.duration) return;
    events_.at(begin_ + at, [this, at] {
      on_progress_(at, scenario_.duration);
      tell(at + kTellEvery);
    });
  }

  // Every fault ends; how long until all nodes have the same rows.
  void settle() {
    for (Group& group : groups_) group.faults.mend_all();
    if (router_ways_) router_ways_->mend_all();
    if (routed_ != nullptr) routed_->start_routers();
    const Time from = events_.now();
    if (converges_by(from + kSettleLimit)) converged_after_ = events_.now() - from;
    run_to(events_.now() + scenario_.demand.timeout + kSecond);  // the last answers
    // Whoever thinks still, or was not heard, ends what is held.
    run_until([this] { return open_ == 0; },
              events_.now() + scenario_.demand.think.high + kEndLimit);
    // A decree's account closes when all is seen and repaid, which takes some rounds more.
    run_until([this] { return !decrees_open(); }, events_.now() + kEndLimit);
    // A SKU has moved when the last hold of it has ended where it was.
    if (routed_ != nullptr)
      run_until([this] { return !routed_->moving(); },
                events_.now() + scenario_.demand.ttl + kSettleLimit);
    if (!converges_by(events_.now() + kEndLimit)) converged_after_.reset();  // not for good
  }

  // Asked once every tenth of a second: an answer costs a look at every node.
  bool converges_by(Time limit) {
    while (!shop().converged() && events_.now() < limit) run_to(events_.now() + kSecond / 10);
    return shop().converged();
  }

  bool decrees_open() const {
    return std::any_of(groups_.begin(), groups_.end(), [](const Group& group) {
      return group.shop != nullptr && group.shop->decrees().any_open();
    });
  }

  // What expectations are held against, beside the report itself.
  Facts facts() const {
    Facts facts{.units_asked = figures_->units_asked(), .converged_after = converged_after_};
    if (is_holdfast()) facts.beyond_bound.emplace();
    for (const Group& group : groups_) {
      if (!is_holdfast()) break;
      const OversellWatch& watch = group.shop->decrees().watch();
      if (watch.beyond_bound() <= *facts.beyond_bound) continue;
      facts.beyond_bound = watch.beyond_bound();
      facts.worst_sku = watch.worst_sku();
    }
    if (routed_ == nullptr) return facts;
    for (const RoutedShop::Moved& move : routed_->moves()) {
      facts.skus_moved += move.skus;
      facts.moves_ended += move.took ? 1 : 0;
      facts.longest_move = std::max(facts.longest_move, move.took.value_or(0));
    }
    return facts;
  }

  void tell_routers(Report& report) {
    check(report, "routers", routed_->broken().empty(),
          routed_->broken().empty() ? "each call was answered once" : routed_->broken());
    check(report, "carts over several shards", true,
          api::grouped(static_cast<crdt::Units>(routed_->spread_carts())) + " were held");
  }

  bool loses_disks() const {
    return std::any_of(
        scenario_.events.begin(), scenario_.events.end(),
        [](const ScenarioEvent& event) { return event.kind == EventKind::disk_lost; });
  }

  // Nothing is expected of it; whoever loses a disk wants to know.
  void tell_loss(Report& report) {
    const DiskLoss loss = shop().lost();
    check(report, "lost with the disk", true,
          "rights to " + std::to_string(loss.rights) + " units, which nobody can sell; " +
              std::to_string(loss.held) + " units in holds that nobody can end; " +
              std::to_string(loss.writes) + " writes that no other node has");
  }

  // The first that broke in any shard.
  void check_invariants(Report& report) {
    for (Group& group : groups_) {
      if (report.decrees && converged_after_) group.checks.check_settled();
      const auto& violation = group.checks.violation();
      if (!violation) continue;
      return check(report, "invariants", false,
                   violation->invariant + " at " +
                       in_words("%.3f s (event %.0f): ",
                                static_cast<double>(violation->at - begin_) / kSecond,
                                static_cast<double>(violation->event)) +
                       violation->detail);
    }
    check(report, "invariants", true, "checked after every event");
  }

  Report report() {
    Report report;
    report.title = scenario_.title;
    report.teaches = scenario_.teaches;
    report.policy = scenario_.policy.name;
    report.seed = scenario_.seed;
    report.virtual_ms = scenario_.duration / kMillisecond;
    figures_->write(report);
    report.faults = fault_spans(scenario_, answers_);
    if (scenario_.demand.source) report.order_lines_left_out = scenario_.demand.orders_broken;
    for (Group& group : groups_) report.hash = report.hash * 31 + group.recorder.hash();
    if (is_holdfast()) {
      for (Group& group : groups_) add(report.decrees, group.shop->decrees().totals());
      check_invariants(report);
      if (loses_disks()) tell_loss(report);
    }
    if (routed_ != nullptr) tell_routers(report);
    judge(scenario_, facts(), report);
    return report;
  }

  const Scenario& scenario_;
  const OnProgress& on_progress_;
  CommandAnswers answers_;
  Events events_;
  std::deque<Group> groups_;  // a shard each
  Demand demand_;
  std::unique_ptr<Shop> shop_;    // none: the first group's own
  RoutedShop* routed_ = nullptr;  // shop_, if there are routers
  std::optional<RouterWays> router_ways_;
  std::unique_ptr<Figures> figures_;
  Time begin_ = 0;
  std::uint64_t open_ = 0;  // carts that are held and will be committed or released
  std::optional<Time> converged_after_;
};

}  // namespace

absl::StatusOr<Report> run(const Scenario& scenario, const OnProgress& on_progress) {
  return ScenarioRun(scenario, on_progress).run();
}

}  // namespace holdfast::sim
