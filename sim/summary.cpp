#include "sim/summary.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "sim/seed_numbers.h"

namespace holdfast::sim {
namespace json = boost::json;

namespace {

std::string decimal(double value, int places) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", places, value);
  return text;
}

std::string virtual_time(std::int64_t ms) {
  return decimal(static_cast<double>(ms) / 1000, 3) + " s";
}

std::string count_of(std::uint64_t count, const std::string& what) {
  return api::grouped(static_cast<std::int64_t>(count)) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

void Summary::add(Verdict verdict) {
  ++seeds;
  simulated_ms += verdict.simulated_ms;
  for (const auto& [situation, times] : verdict.sometimes) {
    Occurrences& occurrences = sometimes[situation];
    occurrences.seeds += times > 0 ? 1 : 0;
    occurrences.times += times;
  }
  if (verdict.passed) return;
  ++failures;
  if (failed.size() == kFailuresKept) return;
  const auto after = [](const Verdict& a, const Verdict& b) { return a.seed < b.seed; };
  failed.insert(std::upper_bound(failed.begin(), failed.end(), verdict, after), std::move(verdict));
}

double Summary::cluster_hours() const { return static_cast<double>(simulated_ms) / 3'600'000; }

double Summary::seeds_per_second() const {
  return seconds > 0 ? static_cast<double>(seeds) / seconds : 0;
}

double Summary::simulated_per_real() const {
  return seconds > 0 ? static_cast<double>(simulated_ms) / 1000 / seconds : 0;
}

std::vector<std::string> Summary::missing() const {
  std::vector<std::string> names;
  for (const auto& [situation, occurrences] : sometimes)
    if (occurrences.times == 0) names.push_back(situation);
  return names;
}

std::string replay_command(std::uint64_t seed, const Omissions& omissions,
                           const std::string& replayed_by) {
  std::string command = replayed_by + " --seed " + std::to_string(seed);
  if (!omissions.faults.empty()) command += " --without-faults " + format_numbers(omissions.faults);
  if (!omissions.operations.empty())
    command += " --without-operations " + format_numbers(omissions.operations);
  if (omissions.end_ms) command += " --end-ms " + std::to_string(*omissions.end_ms);
  return command;
}

std::string failure_text(const Verdict& verdict, const std::string& commit,
                         const Omissions& omissions, const std::string& replayed_by) {
  std::string text = "FAILED  seed " + std::to_string(verdict.seed) + "  commit " + commit +
                     "  invariant " + verdict.invariant;
  // A seed that crashed or hung didn't live to say when.
  if (verdict.event > 0)
    text += "  virtual time " + virtual_time(verdict.at_ms) + "  event " +
            std::to_string(verdict.event);
  text += "\n";
  for (std::string_view rest = verdict.detail; !rest.empty();) {
    const auto end = rest.find('\n');
    text += "    " + api::printable(rest.substr(0, end)) + "\n";
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  return text + "  replay  " + replay_command(verdict.seed, omissions, replayed_by) + " --trace\n";
}

std::string summary_text(const Summary& summary, api::Style style) {
  std::string text = count_of(summary.seeds, "seed") + ", " +
                     count_of(summary.failures, "failure") + "; " +
                     decimal(summary.cluster_hours(), 2) + " simulated cluster-hours in " +
                     decimal(summary.seconds, 1) + " s: " + decimal(summary.seeds_per_second(), 1) +
                     " seeds/s, " + api::short_number(summary.simulated_per_real()) +
                     " times real time" + (summary.interrupted ? " (interrupted)" : "") + "\n";
  if (summary.sometimes.empty()) return text;
  api::Table table(
      {{"situation"}, {"seeds", api::Align::right}, {"times", api::Align::right}, {""}});
  for (const auto& [situation, occurrences] : summary.sometimes)
    table.add({situation, api::grouped(static_cast<std::int64_t>(occurrences.seeds)),
               api::grouped(static_cast<std::int64_t>(occurrences.times)),
               occurrences.times == 0 ? "never" : ""});
  return text + "\n" + table.text(style);
}

std::string hex(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

json::object to_json(const Verdict& verdict) {
  json::object sometimes;
  for (const auto& [situation, times] : verdict.sometimes) sometimes[situation] = times;
  return {{"seed", verdict.seed},
          {"passed", verdict.passed},
          {"invariant", verdict.invariant},
          {"detail", verdict.detail},
          {"at_ms", verdict.at_ms},
          {"event", verdict.event},
          {"hash", hex(verdict.hash)},
          {"simulated_ms", verdict.simulated_ms},
          {"sometimes", std::move(sometimes)}};
}

json::object to_json(const Summary& summary, const std::string& replayed_by) {
  json::array failed;
  for (const Verdict& verdict : summary.failed) {
    json::object failure = to_json(verdict);
    failure.erase("passed");
    failure.erase("sometimes");
    failure["replay"] = replay_command(verdict.seed, {}, replayed_by);
    failed.push_back(std::move(failure));
  }
  json::object sometimes;
  for (const auto& [situation, occurrences] : summary.sometimes)
    sometimes[situation] = json::object{{"seeds", occurrences.seeds}, {"times", occurrences.times}};
  return {{"seeds", summary.seeds},
          {"failures", summary.failures},
          {"interrupted", summary.interrupted},
          {"cluster_hours", summary.cluster_hours()},
          {"seconds", summary.seconds},
          {"seeds_per_second", summary.seeds_per_second()},
          {"simulated_per_real", summary.simulated_per_real()},
          {"failed", std::move(failed)},
          {"sometimes", std::move(sometimes)}};
}

absl::StatusOr<Verdict> verdict_from_json(std::string_view text) {
  json::parse_options options;
  options.allow_invalid_utf8 = true;  // a detail may quote what strangers sent
  try {
    const json::value value = json::parse(json::string_view(text.data(), text.size()), {}, options);
    Verdict verdict{.seed = value.at("seed").to_number<std::uint64_t>(),
                    .passed = value.at("passed").as_bool(),
                    .invariant = std::string(value.at("invariant").as_string()),
                    .detail = std::string(value.at("detail").as_string()),
                    .at_ms = value.at("at_ms").to_number<std::int64_t>(),
                    .event = value.at("event").to_number<std::uint64_t>(),
                    .simulated_ms = value.at("simulated_ms").to_number<std::int64_t>()};
    const json::string& digits = value.at("hash").as_string();
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), verdict.hash, 16);
    if (error != std::errc{} || end != digits.data() + digits.size())
      return absl::InvalidArgumentError("a hash that is no hexadecimal number");
    for (const auto& [situation, times] : value.at("sometimes").as_object())
      verdict.sometimes[std::string(situation)] = times.to_number<std::uint64_t>();
    return verdict;
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(std::string("not a verdict: ") + error.what());
  }
}

}  // namespace holdfast::sim
