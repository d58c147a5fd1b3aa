// holdfast bench --calibrate: what one node uses of what, for `holdfast plan`.

#include <charconv>
#include <cmath>
#include <ctime>
#include <fstream>
#include <map>
#include <random>

#include <boost/json/serialize.hpp>

#include "api/capacity.h"
#include "api/cli_calls.h"
#include "api/cli_console.h"
#include "api/cli_plan.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

constexpr std::uint32_t kSkus = 20'000;
constexpr double kCalm = 2'000;  // requests a second: each has a batch of its own

// Sums of a node's metrics, by name.
using Metrics = std::map<std::string, double, std::less<>>;

absl::StatusOr<Metrics> metrics_of(const HttpUrl& url) {
  HttpClient client(url);
  const auto answer = client.send({.target = "/metrics"});
  if (!answer.ok()) return answer.status();
  Metrics metrics;
  std::string_view text = answer->body;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::size_t space = line.rfind(' ');
    if (line.starts_with('#') || space == line.npos) continue;
    double value = 0;
    std::from_chars(line.data() + space + 1, line.data() + line.size(), value);
    metrics[std::string(line.substr(0, line.find_first_of(" {")))] += value;
  }
  for (const char* needed : {"process_resident_memory_bytes", "process_cpu_seconds_total",
                             "holdfast_reservations", "holdfast_journal_bytes_total"})
    if (!metrics.contains(needed))
      return absl::FailedPreconditionError(to_string(url) + "/metrics has no " + needed);
  return metrics;
}

// What has been used between two looks at a node.
struct Used {
  Metrics before, after;
  double of(std::string_view name) const {
    const auto then = before.find(name), now = after.find(name);
    return (now == after.end() ? 0 : now->second) - (then == before.end() ? 0 : then->second);
  }
};

class Calibration {
 public:
  explicit Calibration(const BenchOptions& options) : options_(options) {
    options_.prefix = "calibrate-" + random_key().substr(0, 12);
    options_.skus = kSkus;
    options_.no_setup = false;
    options_.batch_lines = 0;
    options_.rate = 0;
    options_.rate_steps.clear();
    options_.think_ms = 0;
  }

  absl::Status run();
  const CapacityFigures& figures() const { return figures_; }
  bool alone() const { return !peer_; }

 private:
  absl::StatusOr<Used> measure(const std::string& mix, double& us);
  absl::Status find_peer();

  BenchOptions options_;
  std::optional<HttpUrl> node_, peer_;
  double peers_ = 0;
  Used at_peer_;
  CapacityFigures figures_;
};

// Whoever else is live: it merges what the node writes.
absl::Status Calibration::find_peer() {
  HttpClient client(*node_);
  const auto cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  for (const SeenNode& node : cluster->nodes) {
    if (node.self || !node.reachable) continue;
    ++peers_;
    const auto url = parse_http_url(node.http_url);
    if (url.ok() && metrics_of(*url).ok()) peer_ = *url;
  }
  return absl::OkStatus();
}

absl::StatusOr<Used> Calibration::measure(const std::string& mix, double& us) {
  options_.mix = mix;
  Used used;
  auto before = metrics_of(*node_);
  if (!before.ok()) return before.status();
  used.before = *std::move(before);
  if (peer_) at_peer_.before = metrics_of(*peer_).value_or(Metrics{});
  const auto report = measure_bench(options_);
  if (!report.ok()) return report.status();
  auto after = metrics_of(*node_);
  if (!after.ok()) return after.status();
  used.after = *std::move(after);
  if (peer_) at_peer_.after = metrics_of(*peer_).value_or(Metrics{});
  const BenchFigures& measured = report->phases.back();
  const auto done = static_cast<double>(measured.tally.succeeded());
  if (done < 1'000 || measured.server_cpu <= 0)
    return absl::FailedPreconditionError(
        "too little was accepted, or the node's CPU is not known: " + mix +
        " cannot be judged; use a node that nobody else uses");
  us = static_cast<double>(measured.server_cpu) / 1e3 / done;
  options_.no_setup = true;
  return used;
}

absl::Status Calibration::run() {
  const auto url = parse_http_url(options_.urls.front());
  if (!url.ok()) return url.status();
  node_ = *url;
  if (auto status = find_peer(); !status.ok()) return status;
  const auto empty = metrics_of(*node_);
  if (!empty.ok()) return empty.status();

  double us = 0;
  const auto reads = measure("availability=100", us);  // makes the SKUs first
  if (!reads.ok()) return reads.status();
  figures_.read_us = us;
  const Used catalogue{*empty, reads->after};
  const double row =
      std::min(figures_.stock_row_bytes, catalogue.of("process_resident_memory_bytes") / kSkus / 2);
  figures_.sku_bytes = std::max(1.0, catalogue.of("process_resident_memory_bytes") / kSkus - row);

  const auto writes = measure("reserve=50,commit=50", us);
  if (!writes.ok()) return writes.status();
  figures_.write_us = us;
  const double made = writes->of("holdfast_reservations");
  const double rows =
      writes->of("holdfast_reservations_created_total") + writes->of("holdfast_commits_total");
  figures_.hold_bytes = std::max(1.0, writes->of("process_resident_memory_bytes") / made);
  figures_.journal_bytes = writes->of("holdfast_journal_bytes_total") / rows;
  figures_.batches_per_s =
      std::max(1.0, writes->of("holdfast_batches_total") / (options_.duration + options_.warmup));
  if (peer_) {
    figures_.wire_bytes = writes->of("holdfast_sent_bytes_total") / peers_ / rows / 2;
    const double merged = at_peer_.of("holdfast_rows_merged_total");
    if (merged > 0) figures_.merge_us = at_peer_.of("process_cpu_seconds_total") * 1e6 / merged;
  }
  options_.rate = kCalm;
  if (const auto calm = measure("reserve=100", us); !calm.ok()) return calm.status();
  figures_.batch_us = std::max(1.0, us - figures_.write_us);
  char day[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::strftime(day, sizeof day, "%F", gmtime_r(&now, &utc));
  figures_.of = to_string(*node_) + ", " + day;
  return absl::OkStatus();
}

}  // namespace

int run_calibrate(const BenchOptions& options, const std::string& file) {
  std::ofstream out(file, std::ios::app);  // found out before a minute of measuring
  if (!out) return failed(absl::PermissionDeniedError("cannot write " + file));
  out.close();
  Calibration calibration(options);
  if (const auto status = calibration.run(); !status.ok())
    return absl::IsInvalidArgument(status) ? usage_error(status) : failed(status);
  const auto object = to_json(calibration.figures());
  out.open(file, std::ios::trunc);
  out << boost::json::serialize(object) << '\n';
  out.close();
  if (!out) return failed(absl::DataLossError("could not write all of " + file));
  if (options.json) {
    print_line(boost::json::serialize(object));
    return kExitOk;
  }
  Table table({{"figure"}, {"of this node", Align::right}});
  for (const auto& [name, value] : object)
    if (value.is_number()) table.add({std::string(name), short_number(value.to_number<double>())});
  print(table.text(stdout_style()));
  print_line(std::string("written to ") + file + "; holdfast plan --figures " + file +
             (calibration.alone()
                  ? "\nno other node was live: what a merged row and the WAN cost is as built in"
                  : ""));
  return kExitOk;
}

}  // namespace holdfast::api
