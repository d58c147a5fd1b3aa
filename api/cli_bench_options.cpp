// The options of bench.

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "api/bench_plan.h"
#include "api/cli_options.h"

namespace holdfast::api {
namespace {

constexpr const char* kHow =
    "\nClosed loop (without --rate): each connection waits for its answer before it sends again, "
    "so "
    "a slow\nnode is asked less often; latencies count from sending. Open loop: requests are due "
    "at "
    "their rate,\nwhatever the node does, and latencies count from then on, also while no "
    "connection "
    "is free (no\ncoordinated omission).\n"
    "Operations of --mix: reserve; commit and release, of reservations that this run made before "
    "(as "
    "long\nas there is none, reserve in their place); receive; availability and stock, which "
    "read.\n"
    "The SKUs PREFIX-000000, … stay, for the next run; the reservations expire after --ttl.\n"
    "CPU of a node is taken from its /metrics (process_cpu_seconds_total), from --pid, or, on this "
    "machine,\nfrom the process that listens at its port. Exit status 1 if a node cannot be "
    "reached.\n\nExamples:\n"
    "  holdfast bench\n"
    "  holdfast bench --rate 20000 --mix reserve=40,commit=20,release=10,availability=25,stock=5\n"
    "  holdfast bench --rate-steps 1x,3x,10x --duration 5\n"
    "  holdfast bench --batch 256 --distribution zipf:1.1 --json";

void add_load(CLI::App* app, BenchOptions& b) {
  app->add_option("--connections", b.connections,
                  "One request in flight on each (64; in the open loop 1024)")
      ->check(CLI::Range(1u, kBenchConnectionsMax));
  app->add_option("--think", b.think_ms, "Milliseconds from an answer to the next request")
      ->check(CLI::Range(0., 60'000.));
  app->add_option("--rate", b.rate,
                  "Open loop: so many requests a second, all connections together")
      ->check(CLI::Range(0.001, 10'000'000.));
  app->add_option(
      "--rate-steps", b.rate_steps,
      "Open loop at multiples of the capacity, which is measured first, like 1x,3x,10x; "
      "then the time back to normal");
  app->add_option("--mix", b.mix, "Shares of the operations, like reserve=80,stock=20")
      ->capture_default_str();
  app->add_option("--batch", b.batch_lines, "Send batches of so many lines instead of single calls")
      ->check(CLI::Range(1, 10'000));
  app->add_option("--duration", b.duration, "Seconds that are measured; of each step")
      ->check(CLI::Range(0.1, 86'400.))
      ->capture_default_str();
  app->add_option("--warmup", b.warmup, "Seconds before that")
      ->check(CLI::Range(0., 3'600.))
      ->capture_default_str();
}

void add_stock(CLI::App* app, BenchOptions& b) {
  app->add_option("--skus", b.skus, "How many SKUs")
      ->check(CLI::Range(1u, kBenchSkusMax))
      ->capture_default_str();
  app->add_option("--distribution", b.distribution,
                  "How requests spread over them: uniform, zipf:S, or hot (one SKU)")
      ->capture_default_str();
  app->add_option("--stock-each", b.stock_each,
                  "Units of each SKU that each node is to have; received if it has less than half")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000'000'000}))
      ->capture_default_str();
  app->add_option("--quantity", b.quantity, "Units of a reservation")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app->add_option("--ttl", b.ttl_seconds, "Seconds until a reservation expires")
      ->check(CLI::Range(1, 2'592'000))
      ->capture_default_str();
  app->add_option("--prefix", b.prefix, "Of SKUs and reservation ids")->capture_default_str();
  app->add_option("--seed", b.seed, "Of what is drawn; ids are new in every run")
      ->capture_default_str();
  app->add_flag("--no-setup", b.no_setup, "Don't look at the SKUs first: they are there");
}

}  // namespace

void add_bench(CLI::App& root, Arguments& a) {
  CLI::App* app = root.add_subcommand("bench", "Measure running nodes under load");
  BenchOptions& b = a.bench;
  repeated(app, "--url", b.urls,
           "A node; may be repeated (environment: HOLDFAST_URL; http://127.0.0.1:8080)");
  add_load(app, b);
  add_stock(app, b);
  repeated(app, "--pid", b.pids, "Whose CPU to count as the node's; may be repeated");
  app->add_option("--calibrate", b.calibrate,
                  "Measure what one request, reservation and SKU use of the node, for `holdfast "
                  "plan`, and write that to this file. It makes 20,000 SKUs of its own: use a "
                  "cluster of two nodes that nobody else uses");
  app->add_flag("--json", b.json, "Print one JSON object");
  app->footer(kHow);
  app->callback([&a] {
    a.action = [&a] {
      if (a.bench.urls.empty()) a.bench.urls.push_back(a.node.url);
      if (!a.bench.calibrate.empty()) return run_calibrate(a.bench, a.bench.calibrate);
      return run_bench(a.bench);
    };
  });
}

void add_plan(CLI::App& root, Arguments& a) {
  CLI::App* app = command(root, "plan",
                          "What a load costs: nodes, memory, disk, fsyncs and WAN bandwidth",
                          "holdfast plan --users 10M --regions eu=70,us=30 --figures node.json");
  PlanOptions& p = a.plan;
  const auto above = [](double least, double most) { return CLI::Range(least, most); };
  app->add_option("--users", p.users, "A day, like 100M")->capture_default_str();
  app->add_option("--actions", p.ask.actions, "Requests of each")
      ->check(above(0.001, 1e6))
      ->capture_default_str();
  app->add_option("--peak", p.ask.peak, "Times the average")
      ->check(above(1, 1'000))
      ->capture_default_str();
  app->add_option("--mix", p.mix, "Shares of the requests, as of bench")->capture_default_str();
  app->add_option("--skus", p.skus, "In the catalogue")->capture_default_str();
  app->add_option("--regions", p.regions, "Names, and shares of the requests")
      ->capture_default_str();
  app->add_option("--keep-hours", p.ask.keep_hours, "How long finished reservations are kept")
      ->check(above(0.01, 8'760))
      ->capture_default_str();
  app->add_option("--cores", p.ask.cores, "Of one node")
      ->check(above(1, 1'024))
      ->capture_default_str();
  app->add_option("--memory", p.ask.memory_gb, "GB, of one node")
      ->check(above(0.5, 65'536))
      ->capture_default_str();
  app->add_option("--utilization", p.ask.utilization, "Of cores and memory, at peak")
      ->check(above(0.01, 1))
      ->capture_default_str();
  app->add_option("--spare", p.ask.spare, "Nodes in each region and shard beyond what is needed")
      ->check(above(0, 100))
      ->capture_default_str();
  app->add_option("--figures", p.figures,
                  "What one node does, as `holdfast bench --calibrate` wrote it (built in)");
  app->add_option("--times", p.times, "The same load so many times, too")->capture_default_str();
  app->add_flag("--json", p.json, "Print one JSON object");
  app->callback([&a] { a.action = [&a] { return run_plan(a.plan); }; });
}

}  // namespace holdfast::api
