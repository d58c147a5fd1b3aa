// What one reservation costs in each pure part that it passes, by Google Benchmark:
// tests/bench/micro. items_per_second counts rows, calls or reservations, as the name says; the
// time is that of a round of kRows of them.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "api/handlers.h"
#include "crdt/codec.h"
#include "crdt/state.h"
#include "crdt/version_vector.h"
#include "node/engine.h"

namespace {

using namespace holdfast;

constexpr std::size_t kRows = 256;
constexpr std::size_t kSkus = 10'000;
constexpr crdt::ReplicaId kSelf{1}, kOther{2};

std::string sku(std::size_t number) { return "bench-" + std::to_string(100'000 + number); }

crdt::HoldRow hold(std::size_t number) {
  crdt::HoldRow row{.digest = number, .deadline = 900'000, .expires_at = 1'800'000'000'000};
  row.created_at = row.expires_at - 900'000;
  row.lines.push_back({.sku = sku(number * 7919 % kSkus), .requested = 1, .held = 1});
  return row;
}

// A replica that sells: each round is kRows new holds, and the stock rows that they change.
class Seller {
 public:
  Seller() : state_(kSelf) {
    for (std::size_t i = 0; i < kSkus; ++i) {
      state_.change_stock(state_.make_product(sku(i)),
                          [](crdt::StockRow& row) { row.received = 1'000'000'000; });
    }
    state_.seal(all_);
  }
  void sell() {
    for (std::size_t i = 0; i < kRows; ++i, ++sold_) {
      crdt::HoldRow row = hold(sold_);
      crdt::Product& product = state_.make_product(row.lines[0].sku);
      state_.change_stock(product, [](crdt::StockRow& stock) { ++stock.held; });
      state_.add_hold("bench-0123456789abcdef-" + std::to_string(sold_), std::move(row));
    }
  }
  std::string seal() {
    std::string rows;
    state_.seal(rows);
    return rows;
  }
  const std::string& all() const { return all_; }

 private:
  crdt::State state_;
  std::string all_;
  std::size_t sold_ = 0;
};

void count(benchmark::State& bench, std::size_t items) {
  bench.SetItemsProcessed(static_cast<std::int64_t>(items));
}

// Stamps and encodes what one batch of reservations changed: two rows each.
void encode(benchmark::State& bench) {
  Seller seller;
  std::size_t bytes = 0, rows = 0;
  for (auto _ : bench) {
    bench.PauseTiming();
    seller.sell();
    bench.ResumeTiming();
    bytes += seller.seal().size();
    rows += 2 * kRows;
  }
  count(bench, rows);
  bench.counters["bytes/row"] = static_cast<double>(bytes) / static_cast<double>(rows);
}
BENCHMARK(encode)->Name("encode rows");

void decode(benchmark::State& bench) {
  Seller seller;
  seller.sell();
  const std::string rows = seller.seal();
  std::size_t decoded = 0;
  for (auto _ : bench) decoded += crdt::decode_rows(rows)->size();
  count(bench, decoded);
}
BENCHMARK(decode)->Name("decode rows");

void merge_all(crdt::State& state, std::vector<crdt::DecodedRow>&& rows) {
  const crdt::Sequence to = rows.back().sequence;
  for (auto& row : rows) benchmark::DoNotOptimize(state.merge(kSelf, std::move(row)));
  state.advance(kSelf, to);
}

// Takes a peer's rows, decoded already: half of them new holds, half stock that was known.
void merge(benchmark::State& bench) {
  Seller seller;
  crdt::State state(kOther);
  merge_all(state, *crdt::decode_rows(seller.all()));
  std::size_t merged = 0;
  for (auto _ : bench) {
    bench.PauseTiming();
    seller.sell();
    auto rows = *crdt::decode_rows(seller.seal());
    merged += rows.size();
    bench.ResumeTiming();
    merge_all(state, std::move(rows));
  }
  count(bench, merged);
}
BENCHMARK(merge)->Name("merge rows");

// One SKU's stock, with rows of so many replicas: one of them changes, the sums are read.
void join_stock(benchmark::State& bench) {
  crdt::BoundedCounter stock;
  const auto replicas = static_cast<std::uint64_t>(bench.range(0));
  for (std::uint64_t i = 1; i <= replicas; ++i) {
    stock.change(stock.at(crdt::ReplicaId{i}),
                 [](crdt::StockRow& row) { row.received = 1'000'000'000; });
  }
  std::uint64_t at = 0;
  for (auto _ : bench) {
    at = at % replicas + 1;
    stock.change(stock.at(crdt::ReplicaId{at}), [](crdt::StockRow& row) { ++row.held; });
    benchmark::DoNotOptimize(stock.view_available());
    benchmark::DoNotOptimize(stock.rights(kSelf));
  }
  count(bench, bench.iterations());
}
BENCHMARK(join_stock)->Name("join stock rows")->Arg(1)->Arg(3)->Arg(64);

void join_vectors(benchmark::State& bench) {
  crdt::VersionVector mine, theirs;
  for (std::uint64_t i = 1; i <= static_cast<std::uint64_t>(bench.range(0)); ++i) {
    mine.raise(crdt::ReplicaId{i}, i);
    theirs.raise(crdt::ReplicaId{i}, 2 * i);
  }
  for (auto _ : bench) {
    crdt::VersionVector joined = mine;
    joined.join(theirs);
    benchmark::DoNotOptimize(joined);
  }
  count(bench, bench.iterations());
}
BENCHMARK(join_vectors)->Name("join version vectors")->Arg(3)->Arg(64);

// ── a request's way, but for sockets, threads and the disk ──

std::string reserve_body(std::size_t number) {
  return "{\"lines\":[{\"sku\":\"" + sku(number * 7919 % kSkus) + "\",\"quantity\":1}]}";
}

void parse(benchmark::State& bench) {
  api::JsonReader reader;
  const std::string body = reserve_body(4711);
  const api::Request request{.method = "PUT",
                             .target = "/v1/reservations/bench-0123456789abcdef-000000004711",
                             .content_type = "application/json",
                             .body = body};
  for (auto _ : bench) benchmark::DoNotOptimize(api::parse_request(request, reader));
  count(bench, bench.iterations());
}
BENCHMARK(parse)->Name("parse a reserve call");

class Node {
 public:
  Node() : engine_(config()) {
    engine_.start(now());
    for (std::size_t i = 0; i < kSkus; ++i) {
      engine_.on_request(now(), {.token = 1, .command = node::PutSku{.sku = sku(i)}});
      engine_.on_request(
          now(), {.token = 1, .command = node::Receive{.sku = sku(i), .quantity = 1'000'000'000}});
    }
    seal();
  }
  static node::Command reserve(std::size_t number) {
    return node::Reserve{.id = "bench-0123456789abcdef-" + std::to_string(number),
                         .lines = {{.sku = sku(number * 7919 % kSkus), .quantity = 1}}};
  }
  void ask(node::Command&& command) {
    engine_.on_request(now(), {.token = 1, .command = std::move(command)});
  }
  node::Sealed seal() {
    engine_.tick(now());
    return engine_.seal(now());
  }

 private:
  static node::EngineConfig config() {
    node::EngineConfig config{.self = kSelf, .open_holds_max = 100'000'000};
    config.mesh.self = kSelf;
    config.mesh.boot = 1;
    config.mesh.region = "eu";
    config.mesh.node = "eu-1";
    config.mesh.cluster = "micro";
    config.mesh.secret = "a secret of enough bytes";
    return config;
  }
  static crdt::Now now() {
    return {crdt::Instant(crdt::Millis(1'000)), crdt::WallTime(crdt::Millis(1'800'000'000'000))};
  }
  node::Engine engine_;
};

// Decides kRows reservations and seals them as one batch: journal value and replies are made.
void reserve(benchmark::State& bench) {
  Node node;
  std::size_t number = 0, journal = 0;
  std::vector<node::Command> commands;
  for (auto _ : bench) {
    bench.PauseTiming();
    commands.clear();
    for (std::size_t i = 0; i < kRows; ++i) commands.push_back(Node::reserve(number++));
    bench.ResumeTiming();
    for (auto& command : commands) node.ask(std::move(command));
    const node::Sealed sealed = node.seal();
    journal += sealed.journal.size();
    if (sealed.replies.size() != kRows) bench.SkipWithError("not every call was answered");
  }
  count(bench, number);
  bench.counters["journal bytes"] = static_cast<double>(journal) / static_cast<double>(number);
}
BENCHMARK(reserve)->Name("reserve and seal");

void answer(benchmark::State& bench) {
  Node node;
  node.ask(Node::reserve(1));
  const auto sealed = node.seal();
  if (sealed.replies.empty()) return bench.SkipWithError("the call was not answered");
  const api::Call call{.command = Node::reserve(1)};
  std::string out;
  for (auto _ : bench) {
    out.clear();
    api::append_response(out, api::answer(call, sealed.replies[0].outcome), {});
    benchmark::DoNotOptimize(out);
  }
  count(bench, bench.iterations());
}
BENCHMARK(answer)->Name("answer a reserve call");

}  // namespace

BENCHMARK_MAIN();
