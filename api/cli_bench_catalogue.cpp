#include "api/cli_bench_catalogue.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include <boost/json/value.hpp>

#include "api/bench_wire.h"
#include "api/cli_calls.h"
#include "api/cli_threads.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

constexpr std::uint32_t kAsked = 100;       // SKUs a question: the target stays below 8 KiB
constexpr std::uint32_t kReceived = 1'000;  // lines a batch
constexpr std::size_t kMakers = 16;  // SKUs that are made side by side share the disk's syncs

absl::Status refused(const HttpClient& client, const std::string& what, const HttpAnswer& answer) {
  return absl::FailedPreconditionError(client.url() + " refused to " + what + ": " +
                                       problem_text(answer));
}

struct Shelf {
  std::vector<std::uint32_t> missing;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> low;  // with the units that it lacks
};

absl::StatusOr<Shelf> look(HttpClient& client, const BenchCatalogue& catalogue) {
  Shelf shelf;
  const auto wanted = static_cast<std::int64_t>(catalogue.stock_each);
  for (std::uint32_t from = 0; from < catalogue.skus; from += kAsked) {
    const std::uint32_t to = std::min(from + kAsked, catalogue.skus);
    std::string target = "/v1/availability";
    for (std::uint32_t i = from; i < to; ++i) {
      target += (i == from ? "?sku=" : "&sku=") + percent_encoded(bench_sku(catalogue.prefix, i));
    }
    const auto answer = client.send({.target = target});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return refused(client, "say what it has", *answer);
    const auto object = object_of(*answer, client.url());
    if (!object.ok()) return object.status();
    const auto& items = array_at(*object, "items");
    if (items.size() != to - from) return refused(client, "say what it has", *answer);
    for (std::uint32_t i = from; i < to; ++i) {
      if (!items[i - from].is_object()) return refused(client, "say what it has", *answer);
      const auto& item = items[i - from].get_object();
      if (!flag_at(item, "known")) shelf.missing.push_back(i);
      const std::int64_t left = number_at(item, "local_available");
      // Half is enough to start with: a second run has nothing to do.
      if (left < (wanted + 1) / 2) shelf.low.emplace_back(i, wanted - left);
    }
  }
  return shelf;
}

absl::Status make(const HttpUrl& url, const BenchCatalogue& catalogue,
                  const std::vector<std::uint32_t>& missing, Progress& progress,
                  StopSignals& signals) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex guard;
  absl::Status first;
  const auto work = [&](std::size_t) {
    HttpClient client(url);
    for (std::size_t i = next++; i < missing.size() && !stop; i = next++) {
      const auto answer = client.send(
          {.method = "PUT",
           .target = "/v1/skus/" + percent_encoded(bench_sku(catalogue.prefix, missing[i])),
           .body = "{}"});
      if (answer.ok() && answer->ok()) continue;
      const std::lock_guard lock(guard);
      if (first.ok())
        first = answer.ok() ? refused(client, "make a SKU", *answer) : answer.status();
      stop = true;
    }
  };
  run_threads(std::min(kMakers, missing.size()), work, [&] {
    if (signals.wait(std::chrono::milliseconds(20))) stop = true;
    const std::size_t done = std::min(next.load(), missing.size());
    progress.show(bar(done, missing.size()) + " making " +
                  grouped(static_cast<std::int64_t>(missing.size())) + " SKUs");
  });
  if (signals.stopped()) return absl::CancelledError("stopped");
  return first;
}

absl::Status stock_up(HttpClient& client, const BenchCatalogue& catalogue, const Shelf& shelf,
                      Progress& progress, StopSignals& signals) {
  for (std::size_t from = 0; from < shelf.low.size(); from += kReceived) {
    if (signals.wait(std::chrono::milliseconds(0))) return absl::CancelledError("stopped");
    progress.show(bar(from, shelf.low.size()) + " receiving stock");
    std::string lines;
    for (std::size_t i = from; i < std::min(from + kReceived, shelf.low.size()); ++i) {
      lines += "{\"op\":\"receive\",\"sku\":\"" + bench_sku(catalogue.prefix, shelf.low[i].first) +
               "\",\"quantity\":" + std::to_string(shelf.low[i].second) + "}\n";
    }
    const auto answer = client.send({.method = "POST",
                                     .target = "/v1/batch",
                                     .body = lines,
                                     .content_type = "application/x-ndjson"});
    if (!answer.ok()) return answer.status();
    if (!answer->ok()) return refused(client, "receive stock", *answer);
    std::string_view rest = answer->body;
    while (!rest.empty()) {
      const auto line = rest.substr(0, rest.find('\n'));
      const int status = line_status(line);
      if (status < 200 || status >= 300) {
        return refused(client, "receive stock",
                       {.status = static_cast<unsigned>(status), .body = std::string(line)});
      }
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status prepare(const BenchCatalogue& catalogue, const std::vector<HttpUrl>& urls,
                     Progress& progress, StopSignals& signals) {
  for (const HttpUrl& url : urls) {
    HttpClient client(url);
    const auto shelf = look(client, catalogue);
    if (!shelf.ok()) return shelf.status();
    if (const auto made = make(url, catalogue, shelf->missing, progress, signals); !made.ok()) {
      return made;
    }
    if (const auto done = stock_up(client, catalogue, *shelf, progress, signals); !done.ok()) {
      return done;
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::api
