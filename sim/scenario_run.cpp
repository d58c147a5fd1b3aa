#include "sim/scenario_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "api/table.h"
#include "sim/figures.h"
#include "sim/recorder.h"
#include "sim/scenario_world.h"
#include "sim/shop_counters.h"
#include "sim/shop_holdfast.h"

namespace holdfast::sim {

namespace {

constexpr Time kOpeningLimit = 3'600 * kSecond;
constexpr Time kSettleLimit = 600 * kSecond;
constexpr Time kEndLimit = 60 * kSecond;
constexpr Time kTellEvery = 10 * kSecond;

std::string text(const char* format, double a, double b) {
  char line[160];
  std::snprintf(line, sizeof line, format, a, b);
  return line;
}

class ScenarioRun {
 public:
  ScenarioRun(const Scenario& scenario, const OnProgress& on_progress)
      : scenario_(scenario),
        on_progress_(on_progress),
        recorder_(checks_, no_trace_),
        world_(world_of(scenario), recorder_),
        faults_(world_, scenario),
        demand_(scenario) {
    checks_.attach(world_);
    recorder_.attach(world_);
    set_links(world_, scenario);
    make_shop();
  }

  absl::StatusOr<Report> run() {
    const absl::Status opened = shop_->open(opening_stock(scenario_), kOpeningLimit);
    if (!opened.ok()) return opened;
    begin_ = world_.now();
    figures_ = std::make_unique<Figures>(scenario_, *shop_, world_);
    faults_.schedule(begin_);
    for (const ScenarioEvent& event : scenario_.events)
      world_.events().at(begin_ + event.at, [this, &event] { command(event); });
    pump();
    sample(scenario_.sample_every);
    tell(kTellEvery);
    world_.run_until(begin_ + scenario_.duration);
    settle();
    return report();
  }

 private:
  void make_shop() {
    const ScenarioPolicy& policy = scenario_.policy;
    if (policy.name == "weak") {
      shop_ = std::make_unique<CounterShop>(world_, scenario_);
      return;
    }
    HoldfastShopOptions options{.wait_ms = policy.wait_ms};
    if (policy.name == "central") options.central_region = policy.central_region;
    auto shop = std::make_unique<HoldfastShop>(world_, checks_, scenario_, options);
    holdfast_ = shop.get();
    recorder_.also_tell([this](const Machine& machine) { holdfast_->on_durable(machine); });
    shop_ = std::move(shop);
  }

  // ── customers ──
  void pump() {
    std::optional<Cart> cart = demand_.next();
    if (!cart) return;
    const Time at = begin_ + cart->at;
    world_.events().at(at, [this, cart = *std::move(cart)] {
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
    auto visit = std::make_shared<Visit>(Visit{cart, world_.now()});
    shop_->reserve(cart, [this, visit](const ShopAnswer& answer) {
      if (std::exchange(visit->over, true)) return;  // the customer has gone
      figures_->answered(visit->cart, answer, world_.now() - visit->began);
      if (answer.kind == ShopAnswer::Kind::held) afterwards(visit->cart);
    });
    world_.events().after(scenario_.demand.timeout, [this, visit] {
      if (!std::exchange(visit->over, true)) figures_->gone(visit->cart);
    });
  }

  void afterwards(const Cart& cart) {
    if (cart.then == Cart::Then::abandon) {
      shop_->abandon(cart);
      return figures_->ended(cart, cart.then);
    }
    ++open_;
    world_.events().after(cart.after, [this, cart] {
      const auto done = [this, cart] {
        --open_;
        figures_->ended(cart, cart.then);
      };
      if (cart.then == Cart::Then::commit) {
        shop_->commit(cart, done);
      } else {
        shop_->release(cart, done);
      }
    });
  }

  // ── operators ──
  void ask(const ScenarioEvent& event, const std::string& target, const std::string& body) {
    answers_.asked(event);
    const bool sent = holdfast_->post(
        event.region, target, body,
        [this, &event](const std::string& code) { answers_.answered(event, code); });
    if (!sent) answers_.not_sent(event);
  }

  void decree(const ScenarioEvent& event) {
    answers_.asked(event);
    const bool sent = holdfast_->decrees().issue(
        scenario_, event, [this, &event](const std::string& code, const std::string& told) {
          answers_.answered(event, code, told);
        });
    if (!sent) answers_.not_sent(event);
  }

  void drain(const ScenarioEvent& event, std::size_t node) {
    answers_.asked(event);
    const bool sent = holdfast_->drain(node, event.extra, [this, &event](const std::string& code) {
      answers_.answered(event, code);
    });
    if (!sent) answers_.not_sent(event);
  }

  void command(const ScenarioEvent& event) {
    if (holdfast_ == nullptr) return;
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
      case EventKind::failover:
      case EventKind::retire:
        return decree(event);
      case EventKind::join:
        answers_.asked(event);
        for (const std::size_t node : event.nodes) holdfast_->join(node);
        return answers_.answered(event, "");
      case EventKind::drain:
        for (const std::size_t node : event.nodes) drain(event, node);
        return;
      default:
        return;  // faults are scenario_world's
    }
  }

  // ── figures ──
  void sample(Time at) {
    if (at > scenario_.duration) return;
    world_.events().at(begin_ + at, [this, at] {
      figures_->sample(at);
      sample(at + scenario_.sample_every);
    });
  }

  void tell(Time at) {
    if (!on_progress_ || at > scenario_.duration) return;
    world_.events().at(begin_ + at, [this, at] {
      on_progress_(at, scenario_.duration);
      tell(at + kTellEvery);
    });
  }

  // Every fault ends; how long until all nodes have the same rows.
  void settle() {
    faults_.mend_all();
    const Time from = world_.now();
    const auto quiet = [this] { return shop_->converged(); };
    // Asked once every tenth of a second: an answer costs a look at every node.
    while (!quiet() && world_.now() < from + kSettleLimit)
      world_.run_until(world_.now() + kSecond / 10);
    if (quiet()) converged_after_ = world_.now() - from;
    world_.run_until(world_.now() + scenario_.demand.timeout + kSecond);  // the last answers
    // Whoever thinks still, or was not heard, ends what is held.
    world_.run_until([this] { return open_ == 0; },
                     world_.now() + scenario_.demand.think.high + kEndLimit);
    // A decree's account closes when all is seen and repaid, which takes some rounds more.
    if (holdfast_ != nullptr)
      world_.run_until([this] { return !holdfast_->decrees().any_open(); },
                       world_.now() + kEndLimit);
  }

  void check(Report& report, const std::string& name, bool passed, const std::string& detail) {
    report.checks.push_back({name, passed, detail});
  }

  void check_decrees(Report& report) {
    const Expectations& expect = scenario_.expect;
    const DecreeTotals decrees = report.decrees.value_or(DecreeTotals{});
    const auto units = [](crdt::Units count) { return api::grouped(count); };
    if (expect.within_bound && holdfast_ != nullptr) {
      const OversellWatch& watch = holdfast_->decrees().watch();
      check(report, "oversold within its bound", watch.beyond_bound() == 0,
            watch.beyond_bound() > 0
                ? watch.worst_sku() + ": " + units(watch.beyond_bound()) +
                      " units beyond allowance and dry runs"
                : units(decrees.beyond_allowance) + " units beyond the allowance; dry runs said " +
                      units(decrees.seize) + " and " + units(decrees.open_holds) +
                      " in open holds");
    }
    if (expect.decrees_closed)
      check(report, "decrees are closed", decrees.issued > 0 && decrees.open == 0,
            decrees.issued == 0 ? "there were none, so nothing was shown"
                                : std::to_string(decrees.open) + " of " +
                                      std::to_string(decrees.issued) + " are open; not seen " +
                                      units(decrees.unseen) + ", owed " + units(decrees.debt));
    if (expect.spent_unseen_min)
      check(report, "what was to be shown: sold by the lost before it knew",
            decrees.spent_unseen >= *expect.spent_unseen_min,
            units(decrees.spent_unseen) + " units, at least " + units(*expect.spent_unseen_min));
  }

  void check_expectations(Report& report) {
    const Expectations& expect = scenario_.expect;
    const Totals& totals = report.totals;
    const auto percent = [](double share) { return share * 100; };
    const double carts = std::max<double>(1, static_cast<double>(totals.carts));
    if (totals.carts == 0) check(report, "carts", false, kNobodyCame);
    if (expect.oversold_max)
      check(report, "oversold", *totals.oversold <= *expect.oversold_max,
            text("%.0f units, at most %.0f", static_cast<double>(*totals.oversold),
                 static_cast<double>(*expect.oversold_max)));
    const auto available = [&](const std::string& name, const Totals& of, double wanted) {
      const double share = of.availability().value_or(1);
      check(report, name, share >= wanted,
            text("%.3f %% of carts, at least %.3f %%", percent(share), percent(wanted)));
    };
    if (expect.availability_min) available("availability", totals, *expect.availability_min);
    for (const auto& [region, wanted] : expect.availability_min_by_region)
      available("availability of " + scenario_.regions[region].name, report.regions[region].totals,
                wanted);
    if (expect.sold_min) {
      const auto asked = static_cast<double>(figures_->units_asked());
      const double share = asked == 0 ? 1 : static_cast<double>(totals.units_committed) / asked;
      check(report, "sold", share >= *expect.sold_min,
            text("%.3f %%, at least %.3f %%", percent(share), percent(*expect.sold_min)));
    }
    const auto at_most = [&](const char* name, std::uint64_t count, double limit) {
      const double share = static_cast<double>(count) / carts;
      check(report, name, share <= limit,
            text("%.3f %% of carts, at most %.3f %%", percent(share), percent(limit)));
    };
    if (expect.refused_max) at_most("refused", totals.carts_refused(), *expect.refused_max);
    if (expect.refused_with_stock_elsewhere_max)
      at_most("refused although there was stock", totals.refused_with_stock_elsewhere,
              *expect.refused_with_stock_elsewhere_max);
    if (expect.refused_with_stock_elsewhere_min) {
      const double share = static_cast<double>(totals.refused_with_stock_elsewhere) / carts,
                   least = *expect.refused_with_stock_elsewhere_min;
      check(report, "what was to be shown: refused although there was stock", share >= least,
            text("%.3f %% of carts, at least %.3f %%", percent(share), percent(least)));
    }
    if (expect.fetched_max) at_most("waited for rights", totals.carts_fetched, *expect.fetched_max);
    check_decrees(report);
    const Latency latency = totals.latency.value_or(Latency{});
    if (expect.p50_ms_max)
      check(report, "p50 latency", latency.p50_ms <= *expect.p50_ms_max,
            text("%.1f ms, at most %.1f ms", latency.p50_ms, *expect.p50_ms_max));
    if (expect.p99_ms_max)
      check(report, "p99 latency", latency.p99_ms <= *expect.p99_ms_max,
            text("%.1f ms, at most %.1f ms", latency.p99_ms, *expect.p99_ms_max));
    if (expect.converged_within)
      check(report, "all nodes agree after the end",
            converged_after_ && *converged_after_ <= *expect.converged_within,
            converged_after_ ? text("after %.1f s, at most %.1f s",
                                    static_cast<double>(*converged_after_) / kSecond,
                                    static_cast<double>(*expect.converged_within) / kSecond)
                             : "they do not");
  }

  bool loses_disks() const {
    return std::any_of(
        scenario_.events.begin(), scenario_.events.end(),
        [](const ScenarioEvent& event) { return event.kind == EventKind::disk_lost; });
  }

  // Nothing is expected of it; whoever loses a disk wants to know.
  void tell_loss(Report& report) {
    const DiskLoss loss = shop_->lost();
    check(report, "lost with the disk", true,
          "rights to " + std::to_string(loss.rights) + " units, which nobody can sell; " +
              std::to_string(loss.held) + " units in holds that nobody can end; " +
              std::to_string(loss.writes) + " writes that no other node has");
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
    report.hash = recorder_.hash();
    if (holdfast_ != nullptr) {
      report.decrees = holdfast_->decrees().totals();
      if (report.decrees && converged_after_) checks_.check_settled();
      const auto& violation = checks_.violation();
      check(report, "invariants", !violation,
            violation ? violation->invariant + " at " +
                            text("%.3f s (event %.0f): ",
                                 static_cast<double>(violation->at - begin_) / kSecond,
                                 static_cast<double>(violation->event)) +
                            violation->detail
                      : "checked after every event");
    }
    if (holdfast_ != nullptr && loses_disks()) tell_loss(report);
    check_expectations(report);
    return report;
  }

  const Scenario& scenario_;
  const OnProgress& on_progress_;
  const Trace no_trace_;
  Checks checks_;
  Recorder recorder_;
  World world_;
  FaultTimeline faults_;
  Demand demand_;
  std::unique_ptr<Shop> shop_;
  HoldfastShop* holdfast_ = nullptr;  // shop_, if it is the product
  std::unique_ptr<Figures> figures_;
  CommandAnswers answers_;
  Time begin_ = 0;
  std::uint64_t open_ = 0;  // carts that are held and will be committed or released
  std::optional<Time> converged_after_;
};

}  // namespace

absl::StatusOr<Report> run(const Scenario& scenario, const OnProgress& on_progress) {
  return ScenarioRun(scenario, on_progress).run();
}

}  // namespace holdfast::sim
