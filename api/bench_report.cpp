#include "api/bench_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

constexpr std::array<std::pair<const char*, double>, 5> kQuantiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}}};

double seconds(Nanos time) { return static_cast<double>(time) / 1e9; }
double millis(Nanos time) { return static_cast<double>(time) / 1e6; }

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}
// Three significant digits, or whole.
std::string ms(Nanos time) {
  const double value = millis(time);
  return number(value, value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0);
}
std::string whole(double value) { return grouped(std::llround(value)); }

double per_second(const BenchFigures& figures, std::uint64_t count) {
  const double length = seconds(figures.tally.phase.length);
  return length > 0 ? static_cast<double>(count) / length : 0;
}
std::uint64_t operations(const BenchTally& tally) {
  return tally.succeeded() + tally.refused_total();
}
double each(double total, std::uint64_t count) {
  return count == 0 ? 0 : total / static_cast<double>(count);
}
double micros_each(Nanos cpu, std::uint64_t count) {
  return each(static_cast<double>(cpu) / 1e3, count);
}

std::string loop_text(const BenchPhase& phase) {
  if (phase.rate > 0) {
    return "open loop, " + whole(phase.rate) + " requests/s over " + grouped(phase.connections) +
           " connections; latencies count from when a request was due";
  }
  const std::string think = phase.think > 0 ? ", " + ms(phase.think) + " ms of thinking" : "";
  return "closed loop, " + grouped(phase.connections) + " connections" + think +
         "; latencies count from sending (there is no intended time to correct for)";
}

std::string heading(const BenchReport& report) {
  std::string text;
  for (const auto& url : report.urls) text += (text.empty() ? "" : ", ") + url;
  text += ": " + to_string(report.draw.mix) + " on " + grouped(report.draw.skus) + " SKUs, " +
          report.spread;
  if (report.draw.batch_lines > 0) {
    text += ", batches of " + grouped(report.draw.batch_lines) + " lines";
  }
  return text + ", seed " + std::to_string(report.draw.seed);
}

void add_latencies(Table& table, const std::string& name, const LatencyHistogram& histogram) {
  if (histogram.count() == 0) return;
  std::vector<std::string> cells{name};
  for (const auto& [title, q] : kQuantiles) cells.push_back(ms(histogram.quantile(q)));
  cells.push_back(ms(histogram.max()));
  cells.push_back(grouped(static_cast<std::int64_t>(histogram.count())));
  table.add(std::move(cells));
}

std::string latency_table(const BenchTally& tally, Style style) {
  std::vector<Column> columns{{"latency in ms"}};
  for (const auto& [title, q] : kQuantiles) columns.push_back({title, Align::right});
  columns.push_back({"max", Align::right});
  columns.push_back({"requests", Align::right});
  Table table(columns);
  add_latencies(table, "accepted", tally.accepted);
  add_latencies(table, "accepted, from sending", tally.from_sending);
  add_latencies(table, "refused, from sending", tally.refusals);
  add_latencies(table, "sent late by", tally.late);
  return table.text(style);
}

// One row for each half octave, as long as its share of the fullest one.
std::string plot(const LatencyHistogram& histogram) {
  constexpr std::size_t kWidth = 50;
  const auto rows = histogram.shape(2);
  std::uint64_t most = 1;
  for (const auto& [from, count] : rows) most = std::max(most, count);
  Table table({{"from ms", Align::right}, {"requests", Align::right}, {""}});
  for (const auto& [from, count] : rows) {
    const auto length =
        static_cast<std::size_t>(static_cast<double>(count) * kWidth / static_cast<double>(most));
    const std::string drawn(length, '#');
    table.add({ms(from), grouped(static_cast<std::int64_t>(count)),
               drawn.empty() && count > 0 ? "." : drawn});
  }
  return table.text(Style::plain);
}

std::string counts_text(const BenchTally& tally) {
  std::string text;
  for (std::size_t i = 0; i < kBenchOps; ++i) {
    if (tally.done[i] == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(kBenchOpNames[i]) + " " +
            grouped(static_cast<std::int64_t>(tally.done[i]));
  }
  return text.empty() ? "none" : text;
}
std::string refusals_text(const BenchTally& tally) {
  std::string text;
  for (const auto& [code, count] : tally.refused) {
    text += (text.empty() ? "" : ", ") + code + " " + grouped(static_cast<std::int64_t>(count));
  }
  return text.empty() ? "none" : text;
}
std::string cpu_text(Nanos cpu, const BenchTally& tally) {
  if (cpu < 0) return "unknown (name the nodes' processes with --pid)";
  return number(micros_each(cpu, operations(tally)), 2) + " µs an operation, " +
         number(seconds(cpu) / seconds(tally.phase.length), 2) + " cores";
}

std::string one_phase(const BenchFigures& figures, Style style) {
  const BenchTally& tally = figures.tally;
  const auto bytes = [&](std::uint64_t count) {
    return number(per_second(figures, count) / 1e6, 1) + " MB/s, " +
           whole(each(static_cast<double>(count), tally.requests)) + " bytes a request";
  };
  Table table({{""}, {""}});
  table.add({"requests/s", whole(per_second(figures, tally.requests))});
  table.add({"operations/s", whole(per_second(figures, operations(tally)))});
  table.add({"accepted/s", whole(per_second(figures, tally.succeeded()))});
  table.add({"accepted", counts_text(tally)});
  table.add({"refused", refusals_text(tally)});
  table.add({"errors", grouped(static_cast<std::int64_t>(tally.errors))});
  if (tally.phase.rate > 0) {
    table.add({"due, not sent", grouped(static_cast<std::int64_t>(tally.unsent))});
  }
  table.add({"sent", bytes(tally.sent_bytes)});
  table.add({"received", bytes(tally.received_bytes)});
  table.add({"server CPU", cpu_text(figures.server_cpu, tally)});
  table.add({"client CPU", cpu_text(figures.client_cpu, tally)});
  std::string text = table.text(Style::plain);
  if (text.starts_with('\n')) text.erase(0, 1);  // titles that are empty
  text += "\n" + latency_table(tally, style);
  if (tally.accepted.count() > 0) text += "\n" + plot(tally.accepted);
  return text;
}

std::string steps_text(const BenchReport& report, Style style) {
  Table table({{"phase"},
               {"due/s", Align::right},
               {"sent/s", Align::right},
               {"goodput/s", Align::right},
               {"of peak", Align::right},
               {"refused/s", Align::right},
               {"errors", Align::right},
               {"p50 ms", Align::right},
               {"p99 ms", Align::right},
               {"p99 from sending", Align::right},
               {"p99 refused", Align::right},
               {"sent late p99", Align::right},
               {"server µs/op", Align::right}});
  const double peak = per_second(report.phases[0], report.phases[0].tally.succeeded());
  for (const BenchFigures& figures : report.phases) {
    const BenchTally& t = figures.tally;
    const auto& sending = t.phase.rate > 0 ? t.from_sending : t.accepted;
    const double goodput = per_second(figures, t.succeeded());
    table.add(
        {t.phase.name, t.phase.rate > 0 ? whole(t.phase.rate) : "-",
         whole(per_second(figures, t.requests + t.errors)), whole(goodput),
         peak > 0 ? number(100 * goodput / peak, 0) + " %" : "-",
         whole(per_second(figures, t.refused_total())),
         grouped(static_cast<std::int64_t>(t.errors)), ms(t.accepted.quantile(0.5)),
         ms(t.accepted.quantile(0.99)), ms(sending.quantile(0.99)),
         t.refusals.count() > 0 ? ms(t.refusals.quantile(0.99)) : "-",
         t.late.count() > 0 ? ms(t.late.quantile(0.99)) : "-",
         figures.server_cpu < 0 ? "-" : number(micros_each(figures.server_cpu, operations(t)), 1)});
  }
  const Nanos back = back_to_normal(report);
  return table.text(style) +
         "\nback to normal (99 % of a second's answers within three times the unloaded p99): " +
         (back < 0
              ? "not within " + number(seconds(report.phases.back().tally.phase.length), 1) + " s"
              : number(seconds(back), 1) + " s after the last step") +
         "; the last tenth of a second with over 1 % later than that: " +
         number(seconds(report.phases.back().tally.last_bad_tenth()), 1) + " s" +
         "\nLatencies count from when a request was due, unless it says from sending. A step that "
         "was sent late\nby much, or less often than due, was more than this load generator and "
         "its "
         "connections can send.\n";
}

json::object latencies_json(const LatencyHistogram& histogram) {
  json::object object{{"count", histogram.count()}};
  for (const auto& [title, q] : kQuantiles) object[title] = millis(histogram.quantile(q));
  object["max"] = millis(histogram.max());
  return object;
}

json::object phase_json(const BenchFigures& figures) {
  const BenchTally& t = figures.tally;
  json::object done, refused;
  for (std::size_t i = 0; i < kBenchOps; ++i) {
    if (t.done[i] > 0) done[kBenchOpNames[i]] = t.done[i];
  }
  for (const auto& [code, count] : t.refused) refused[code] = count;
  const std::uint64_t all = operations(t);
  json::object object{{"name", t.phase.name},
                      {"loop", t.phase.rate > 0 ? "open" : "closed"},
                      {"seconds", seconds(t.phase.length)},
                      {"connections", t.phase.connections},
                      {"requests", t.requests},
                      {"requests_per_second", per_second(figures, t.requests)},
                      {"operations", all},
                      {"operations_per_second", per_second(figures, all)},
                      {"accepted", done},
                      {"accepted_per_second", per_second(figures, t.succeeded())},
                      {"refused", refused},
                      {"errors", t.errors},
                      {"sent_bytes", t.sent_bytes},
                      {"received_bytes", t.received_bytes},
                      {"client_cpu_us", micros_each(figures.client_cpu, all)},
                      {"latency_ms", json::object{{"accepted", latencies_json(t.accepted)},
                                                  {"refused", latencies_json(t.refusals)}}}};
  if (figures.server_cpu >= 0) object["server_cpu_us"] = micros_each(figures.server_cpu, all);
  if (t.phase.rate > 0) {
    object["rate"] = t.phase.rate;
    object["unsent"] = t.unsent;
    object["latency_ms"].as_object()["from_sending"] = latencies_json(t.from_sending);
    object["latency_ms"].as_object()["late"] = latencies_json(t.late);
  }
  return object;
}

}  // namespace

Nanos back_to_normal(const BenchReport& report) {
  HOLDFAST_CHECK(report.steps && report.phases.size() > kStepsBegin);
  const BenchTally& recovery = report.phases.back().tally;
  const Nanos back = recovery.last_bad();
  // The last window may be cut; nothing after it was seen to be good.
  return recovery.requests == 0 || back >= recovery.phase.length ? -1 : back;
}

std::string bench_text(const BenchReport& report, Style style) {
  std::string text = heading(report) + "\n";
  if (report.steps) return text + "\n" + steps_text(report, style);
  for (const BenchFigures& figures : report.phases) {
    text += loop_text(figures.tally.phase) + "; " + number(seconds(figures.tally.phase.length), 1) +
            " s\n\n" + one_phase(figures, style);
  }
  return text;
}

json::object bench_json(const BenchReport& report) {
  json::array urls, phases;
  for (const auto& url : report.urls) urls.emplace_back(url);
  for (const auto& figures : report.phases) phases.push_back(phase_json(figures));
  json::object object{{"urls", urls},
                      {"mix", to_string(report.draw.mix)},
                      {"distribution", report.spread},
                      {"skus", report.draw.skus},
                      {"quantity", report.draw.quantity},
                      {"batch_lines", report.draw.batch_lines},
                      {"seed", report.draw.seed},
                      {"run", report.run},
                      {"phases", phases}};
  if (report.steps) {
    const Nanos back = back_to_normal(report);
    object["back_to_normal_seconds"] = back < 0 ? json::value(nullptr) : json::value(seconds(back));
    object["last_bad_tenth_seconds"] = seconds(report.phases.back().tally.last_bad_tenth());
  }
  return object;
}

std::string bench_pulse(const BenchTally& tally, Nanos now) {
  const double gone = std::max(seconds(now - tally.begin), 0.001);
  return tally.phase.name + ": " + whole(static_cast<double>(operations(tally)) / gone) +
         "/s, p99 " + ms(tally.accepted.quantile(0.99)) + " ms";
}

}  // namespace holdfast::api
