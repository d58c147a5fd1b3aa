#include "api/cli_bench.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <random>
#include <utility>

#include <boost/json/serialize.hpp>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/bench_plan.h"
#include "api/bench_report.h"
#include "api/cli_bench_catalogue.h"
#include "api/cli_bench_cpu.h"
#include "api/cli_bench_sockets.h"
#include "api/cli_console.h"
#include "api/cli_threads.h"

namespace holdfast::api {
namespace {

constexpr std::uint32_t kClosedConnections = 64;
constexpr std::uint32_t kOpenConnections = 1'024;
constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kRecovery = 8 * kSecond;
constexpr Nanos kDrain = 11 * kSecond;  // a little more than an answer may take

Nanos nanos(double seconds) { return static_cast<Nanos>(seconds * 1e9); }

struct Bench {
  BenchDraw draw;
  std::vector<HttpUrl> urls;
  std::vector<double> steps;
  std::uint32_t connections = 0;
};

absl::Status wrong(const std::string& message) { return absl::InvalidArgumentError(message); }

absl::Status check_together(const BenchOptions& options, const Bench& bench) {
  const bool open = options.rate > 0 || !bench.steps.empty();
  if (options.rate > 0 && !bench.steps.empty()) {
    return wrong("--rate and --rate-steps exclude each other");
  }
  if (open && options.think_ms > 0) {
    return wrong("--think is for the closed loop: leave it or --rate and --rate-steps out");
  }
  for (const BenchOp op : {BenchOp::availability, BenchOp::stock}) {
    if (options.batch_lines > 0 && bench.draw.mix.share(op) > 0) {
      return wrong("--batch: a batch has no line for '" +
                   std::string(kBenchOpNames[static_cast<std::size_t>(op)]) +
                   "'; take it out of --mix, or leave --batch out");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Bench> plan_bench(const BenchOptions& options) {
  Bench bench;
  const auto mix = parse_mix(options.mix);
  if (!mix.ok()) return mix.status();
  const auto spread = parse_spread(options.distribution);
  if (!spread.ok()) return spread.status();
  if (!options.rate_steps.empty()) {
    const auto steps = parse_steps(options.rate_steps);
    if (!steps.ok()) return steps.status();
    bench.steps = *steps;
  }
  for (const auto& text : options.urls) {
    const auto url = parse_http_url(text);
    if (!url.ok()) return url.status();
    bench.urls.push_back(*url);
  }
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  if (options.prefix.empty() || options.prefix.size() > 64 ||
      !std::all_of(options.prefix.begin(), options.prefix.end(), fits)) {
    return wrong("--prefix: must be 1 to 64 of A–Z a–z 0–9 . _ -");
  }
  bench.draw = {.mix = *mix,
                .spread = *spread,
                .skus = options.skus,
                .batch_lines = options.batch_lines,
                .seed = options.seed,
                .quantity = options.quantity};
  const bool open = options.rate > 0 || !bench.steps.empty();
  bench.connections = options.connections > 0 ? options.connections
                      : open                  ? kOpenConnections
                                              : kClosedConnections;
  if (const auto status = check_together(options, bench); !status.ok()) return status;
  return bench;
}

// Ids that no other run has: the prefix and 64 random bits.
std::string run_name(const std::string& prefix) {
  std::random_device device;
  std::string text = prefix + "-";
  for (int i = 0; i < 16; ++i) text += "0123456789abcdef"[device() % 16];
  return text;
}

// Runs phases one after the other and keeps what they used.
class BenchRun {
 public:
  BenchRun(const BenchOptions& options, const Bench& bench, StopSignals& signals,
           Progress& progress)
      : options_(options), bench_(bench), signals_(signals), progress_(progress) {}

  absl::Status run();
  BenchReport& report() { return report_; }
  const std::string& last_problem() const { return load_->last_problem(); }

 private:
  absl::Status start();
  absl::Status phase(const BenchPhase& phase);
  absl::Status run_steps();
  absl::Status finish();

  const BenchOptions& options_;
  const Bench& bench_;
  StopSignals& signals_;
  Progress& progress_;
  BenchSockets sockets_;
  std::unique_ptr<BenchLoad> load_;
  ServerCpu cpu_;
  BenchReport report_;
};

absl::Status BenchRun::start() {
  if (auto status = sockets_.open(bench_.urls, bench_.connections); !status.ok()) return status;
  if (!options_.no_setup) {
    const BenchCatalogue catalogue{
        .prefix = options_.prefix, .skus = options_.skus, .stock_each = options_.stock_each};
    auto status = prepare(catalogue, bench_.urls, progress_, signals_);
    if (!status.ok()) return status;
  }
  auto cpu = ServerCpu::of(bench_.urls, options_.pids);
  if (!cpu.ok()) return cpu.status();
  cpu_ = *std::move(cpu);
  std::vector<std::string> hosts;
  for (const HttpUrl& url : bench_.urls) {
    hosts.push_back(to_string(url).substr(std::string_view("http://").size()));
    report_.urls.push_back(to_string(url));
  }
  report_.draw = bench_.draw;
  report_.spread = options_.distribution;
  report_.run = run_name(options_.prefix);
  report_.connections = bench_.connections;
  report_.steps = !bench_.steps.empty();
  load_ = std::make_unique<BenchLoad>(bench_.draw, hosts,
                                      BenchRequests::Names{.prefix = options_.prefix,
                                                           .run = report_.run,
                                                           .quantity = options_.quantity,
                                                           .ttl_seconds = options_.ttl_seconds},
                                      bench_.connections);
  sockets_.free_all(*load_, steady_nanos());
  return absl::OkStatus();
}

absl::Status BenchRun::phase(const BenchPhase& phase) {
  const Nanos server = cpu_.used(), client = own_cpu(), begin = steady_nanos();
  load_->begin(phase, begin);
  const BenchTally& tally = load_->tallies().back();
  const bool whole = sockets_.run(*load_, begin + phase.length, [&] {
    const Nanos now = steady_nanos();
    progress_.show(
        bar(static_cast<std::uint64_t>(now - begin), static_cast<std::uint64_t>(phase.length)) +
        " " + bench_pulse(tally, now));
    return !signals_.wait(std::chrono::milliseconds(0));
  });
  const Nanos client_used = own_cpu() - client, server_now = cpu_.used();
  report_.phases.push_back({.server_cpu = server < 0 || server_now < 0 ? -1 : server_now - server,
                            .client_cpu = client_used});
  return whole ? absl::OkStatus() : absl::CancelledError("stopped");
}

// The tallies are whole only once everything has been answered.
absl::Status BenchRun::finish() {
  load_->end(steady_nanos());
  sockets_.drain(*load_, steady_nanos() + kDrain);
  for (std::size_t i = 0; i < report_.phases.size(); ++i) {
    report_.phases[i].tally = load_->tallies()[i];
  }
  if (options_.warmup > 0) report_.phases.erase(report_.phases.begin());
  return absl::OkStatus();
}

// Capacity first, by a closed loop over all connections; then what is normal, by an open one that
// is far below it.
absl::Status BenchRun::run_steps() {
  const Nanos length = nanos(options_.duration);
  auto status = phase({.name = "capacity", .length = length, .connections = bench_.connections});
  if (!status.ok()) return status;
  const double capacity = static_cast<double>(load_->tallies().back().requests) / options_.duration;
  if (capacity < 10) {
    return absl::FailedPreconditionError("no capacity to speak of was measured: nothing to step");
  }
  BenchPhase open{.name = "unloaded",
                  .length = length,
                  .rate = capacity / 10,
                  .connections = bench_.connections};
  if (status = phase(open); !status.ok()) return status;
  const Nanos normal = load_->tallies().back().accepted.quantile(0.99);
  for (const double times : bench_.steps) {
    std::string name = std::to_string(times);
    name.erase(name.find_last_not_of('0') + 1);
    if (name.ends_with('.')) name.pop_back();
    open.name = name + "x";
    open.rate = capacity * times;
    if (status = phase(open); !status.ok()) return status;
  }
  open.name = "recovery";
  open.rate = capacity / 10;
  open.length = kRecovery;
  open.good_latency = std::max<Nanos>(3 * normal, 1);
  return phase(open);
}

absl::Status BenchRun::run() {
  if (auto status = start(); !status.ok()) return status;
  BenchPhase main{.name = "measured",
                  .length = nanos(options_.duration),
                  .rate = options_.rate,
                  .connections = bench_.connections,
                  .think = nanos(options_.think_ms / 1e3)};
  if (options_.warmup > 0) {
    BenchPhase warm = main;
    warm.name = "warming up";
    warm.length = nanos(options_.warmup);
    if (auto status = phase(warm); !status.ok()) return status;
  }
  if (auto status = report_.steps ? run_steps() : phase(main); !status.ok()) return status;
  return finish();
}

}  // namespace

absl::StatusOr<BenchReport> measure_bench(const BenchOptions& options) {
  const auto bench = plan_bench(options);
  if (!bench.ok()) return bench.status();
  StopSignals signals;
  Progress progress;
  BenchRun run(options, *bench, signals, progress);
  if (const auto status = run.run(); !status.ok()) return status;
  return std::move(run.report());
}

int run_bench(const BenchOptions& options) {
  const auto bench = plan_bench(options);
  if (!bench.ok()) return usage_error(bench.status());
  StopSignals signals;
  Progress progress;
  BenchRun run(options, *bench, signals, progress);
  if (const auto status = run.run(); !status.ok()) {
    return absl::IsInvalidArgument(status) || absl::IsNotFound(status) ? usage_error(status)
                                                                       : failed(status);
  }
  const BenchReport& report = run.report();
  std::uint64_t accepted = 0;
  for (const auto& figures : report.phases) accepted += figures.tally.succeeded();
  if (options.json) {
    print_line(boost::json::serialize(bench_json(report)));
  } else {
    print(bench_text(report, stdout_style()));
  }
  if (!run.last_problem().empty()) {
    print_error("one of the refusals: " + printable(run.last_problem()));
  }
  if (accepted > 0) return kExitOk;
  return failed(absl::UnavailableError("nothing was accepted"));
}

}  // namespace holdfast::api
