// What a benchmark draws, sends, reads and counts; with a clock of the test's.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <string>

#include "api/bench_draw.h"
#include "api/bench_load.h"
#include "api/bench_plan.h"
#include "api/bench_report.h"
#include "api/bench_wire.h"
#include "api/latency_histogram.h"

namespace holdfast::api {
namespace {

constexpr Nanos kMs = 1'000'000;
constexpr Nanos kSecond = 1'000 * kMs;

BenchAnswer answer(int status, const std::string& body) {
  const std::string text = "HTTP/1.1 " + std::to_string(status) +
                           " Some Words\r\nContent-Type: application/json\r\ncontent-length: " +
                           std::to_string(body.size()) + "\r\n\r\n" + body;
  BenchAnswer answer;
  std::memcpy(answer.data(), text.data(), text.size());
  REQUIRE(answer.received(text.size()) == BenchAnswer::State::complete);
  return answer;
}

std::string refusal(const std::string& code) { return R"({"status":0,"code":")" + code + "\"}"; }

// A load on one node, with all connections free at time 0.
struct Bench {
  explicit Bench(const std::string& mix, std::uint32_t connections = 2, std::uint32_t batch = 0)
      : load({.mix = *parse_mix(mix), .skus = 10, .batch_lines = batch}, {"host:1"},
             {.prefix = "p", .run = "r"}, connections) {
    for (std::uint32_t i = 0; i < connections; ++i) load.free(i, 0);
  }
  std::optional<std::uint32_t> take(Nanos now) {
    out.clear();
    return load.take(out, now);
  }
  void settle(std::uint32_t connection, Nanos now, int status = 201,
              const std::string& body = "{}") {
    load.answered(connection, answer(status, body), now);
    load.free(connection, now);
  }
  const BenchTally& tally() const { return load.tallies().back(); }

  BenchLoad load;
  std::string out;
};

template <typename Value>
std::string message(const absl::StatusOr<Value>& value) {
  CHECK(value.status().code() == absl::StatusCode::kInvalidArgument);
  return std::string(value.status().message());
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_SUITE("bench") {
  TEST_CASE("mixes") {
    const auto mix = parse_mix("reserve=40,commit=20,release=10,availability=25,stock=5");
    REQUIRE(mix.ok());
    CHECK(mix->total() == 100);
    CHECK(mix->share(BenchOp::commit) == 20);
    CHECK_FALSE(mix->only_reads());
    CHECK(to_string(*mix) == "reserve=40,commit=20,release=10,availability=25,stock=5");
    CHECK(to_string(*parse_mix("stock")) == "stock=100");
    CHECK(parse_mix("stock=1,availability=1")->only_reads());
    CHECK(contains(message(parse_mix("sell=3")), "known here: reserve, commit, release, receive"));
    CHECK(contains(message(parse_mix("reserve=1,reserve=2")), "twice"));
    for (const char* text : {"", ",", "reserve=", "reserve=x", "reserve=-1", "reserve=1,",
                             "reserve=0", "reserve=1000001", "reserve=1 "}) {
      CAPTURE(text);
      CHECK(contains(message(parse_mix(text)), "--mix"));
    }
  }

  TEST_CASE("distributions and steps") {
    CHECK(parse_spread("uniform")->kind == BenchSpread::Kind::uniform);
    CHECK(parse_spread("hot")->kind == BenchSpread::Kind::hot);
    CHECK(parse_spread("zipf:1.25")->exponent == 1.25);
    for (const char* text :
         {"", "zipf", "zipf:", "zipf:0", "zipf:-1", "zipf:11", "zipf:nan", "zipf:1x", "Hot"}) {
      CAPTURE(text);
      CHECK(contains(message(parse_spread(text)), "must be uniform, hot, or zipf:S"));
    }
    CHECK(*parse_steps("1x,3x,0.5x") == std::vector<double>{1, 3, 0.5});
    for (const char* text : {"", "1", "x", "0x", "1x,", "-1x", "1001x", "nanx",
                             "1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x,1x"}) {
      CAPTURE(text);
      CHECK(contains(message(parse_steps(text)), "--rate-steps"));
    }
  }

  TEST_CASE("Zipf: SKU k is drawn in proportion to 1 / k^s; the same with the same seed") {
    BenchDraw draw{.mix = *parse_mix("reserve"),
                   .spread = {.kind = BenchSpread::Kind::zipf, .exponent = 1.1},
                   .skus = 50,
                   .seed = 7};
    BenchPicker picker(draw), twin(draw);
    constexpr int kDraws = 400'000;
    std::vector<int> seen(draw.skus);
    for (int i = 0; i < kDraws; ++i) {
      const auto sku = picker.sku();
      CHECK(sku == twin.sku());
      ++seen.at(sku);
    }
    double sum = 0;
    for (int k = 1; k <= 50; ++k) sum += std::pow(k, -1.1);
    for (int k = 1; k <= 50; ++k) {
      CAPTURE(k);
      const double expected = std::pow(k, -1.1) / sum * kDraws;
      CHECK(std::abs(seen[static_cast<std::size_t>(k - 1)] - expected) < 6 * std::sqrt(expected));
    }
  }

  TEST_CASE("uniform reaches every SKU alike, hot only the first; operations follow the mix") {
    BenchDraw draw{.mix = *parse_mix("reserve=3,stock=1"), .skus = 10};
    BenchPicker picker(draw);
    std::map<std::uint32_t, int> skus;
    int reserves = 0;
    for (int i = 0; i < 100'000; ++i) {
      ++skus[picker.sku()];
      reserves += picker.op() == BenchOp::reserve ? 1 : 0;
    }
    CHECK(skus.size() == 10);
    for (const auto& [sku, count] : skus) CHECK(std::abs(count - 10'000) < 600);
    CHECK(std::abs(reserves - 75'000) < 900);
    draw.spread.kind = BenchSpread::Kind::hot;
    BenchPicker hot(draw);
    for (int i = 0; i < 100; ++i) CHECK(hot.sku() == 0);
  }

  TEST_CASE("a histogram's quantiles are within 0.2 % of the values'") {
    LatencyHistogram histogram;
    CHECK(histogram.quantile(0.99) == 0);
    for (Nanos i = 1; i <= 1'000'000; ++i) histogram.record(i * 1'000);
    for (const double q : {0.0001, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
      const double exact = q * 1e9;
      CHECK(std::abs(static_cast<double>(histogram.quantile(q)) - exact) <= 0.002 * exact + 1'000);
    }
    CHECK(histogram.min() == 1'000);
    CHECK(histogram.quantile(0) == 1'000);
    CHECK(histogram.max() == 1'000'000'000);
    CHECK(histogram.quantile(1) <= histogram.max());
    CHECK(histogram.count() == 1'000'000);
  }

  TEST_CASE("a histogram takes every value, keeps small ones exactly, and can be added up") {
    LatencyHistogram small, all;
    for (Nanos i = 0; i < 512; ++i) small.record(i);
    CHECK(small.quantile(1) == 511);
    CHECK(small.quantile(0.5) == 255);
    all.record(-5);
    all.record(INT64_MAX);
    CHECK(all.min() == 0);
    CHECK(all.max() == (Nanos{1} << 40) - 1);
    all.add(small);
    CHECK(all.count() == 514);
    std::uint64_t sum = 0;
    Nanos before = -1;
    for (const auto& [from, count] : all.shape(2)) {
      CHECK(from > before);
      before = from;
      sum += count;
    }
    CHECK(sum == 514);
  }

  TEST_CASE("requests say how long their body is") {
    const BenchRequests requests("h:1",
                                 {.prefix = "p", .run = "run", .quantity = 3, .ttl_seconds = 60});
    for (std::size_t i = 0; i < kBenchOps; ++i) {
      std::string out;
      requests.single(out, static_cast<BenchOp>(i), 42, 7);
      CAPTURE(out);
      const auto end = out.find("\r\n\r\n");
      REQUIRE(end != out.npos);
      CHECK(contains(out, " HTTP/1.1\r\n"));
      CHECK(contains(out, "Host: h:1\r\n"));
      const std::string body = out.substr(end + 4);
      const bool read = out.starts_with("GET ");
      CHECK(contains(out, "Content-Length: " + std::to_string(body.size())) != read);
      if (!body.empty()) CHECK(boost::json::parse(body).is_object());
    }
    std::string out;
    requests.single(out, BenchOp::reserve, 42, 7);
    CHECK(out.starts_with("PUT /v1/reservations/run-000000000042 HTTP/1.1\r\n"));
    CHECK(out.ends_with(R"({"lines":[{"sku":"p-000007","quantity":3}],"ttl_seconds":60})"));
    std::string lines;
    for (const auto op : {BenchOp::reserve, BenchOp::commit, BenchOp::release, BenchOp::receive}) {
      std::string line;
      requests.line(line, op, 42, 7);
      CHECK(line.ends_with("\n"));
      CHECK(std::string_view(boost::json::parse(line).at("op").as_string()) ==
            kBenchOpNames[static_cast<std::size_t>(op)]);
      lines += line;
    }
    std::string batch;
    requests.batch(batch, lines);
    CHECK(contains(batch, "Content-Length: " + std::to_string(lines.size()) + "\r\n\r\n" + lines));
  }

  TEST_CASE("an answer is read from any pieces, and nothing beyond its end is taken") {
    const std::string text =
        "HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nhello";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
      BenchAnswer reader;
      auto state = BenchAnswer::State::incomplete;
      for (std::size_t at = 0; at < text.size(); at += piece) {
        REQUIRE(state == BenchAnswer::State::incomplete);
        const std::size_t size = std::min(piece, text.size() - at);
        std::memcpy(reader.data(), text.data() + at, size);
        state = reader.received(size);
      }
      REQUIRE(state == BenchAnswer::State::complete);
      CHECK(reader.status() == 409);
      CHECK(reader.closes());
      CHECK(reader.body() == "hello");
      CHECK(reader.bytes() == text.size());
    }
    for (const std::string& bad :
         {text + "H", std::string("HTTP/1.1 200 OK\r\n\r\n"), std::string("SSH-2.0-x\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
          std::string("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")}) {
      CAPTURE(bad);
      BenchAnswer reader;
      std::memcpy(reader.data(), bad.data(), bad.size());
      CHECK(reader.received(bad.size()) == BenchAnswer::State::malformed);
    }
    CHECK(problem_code(refusal("overloaded"), 503) == "overloaded");
    CHECK(problem_code("<html>", 502) == "http_502");
    CHECK(line_status(R"({"status":201,"id":"x"})") == 201);
    CHECK(line_status("{\"status\":20") == 0);
  }

  TEST_CASE("closed loop: a connection sends after its answer and the think time, until the end") {
    Bench bench("reserve", 2);
    bench.load.begin({.name = "m", .length = kSecond, .connections = 2, .think = 10 * kMs}, 0);
    CHECK(bench.take(0) == 0u);
    CHECK(bench.take(0) == 1u);
    CHECK_FALSE(bench.take(0));
    bench.settle(1, 5 * kMs);
    CHECK(bench.load.next_at() == 15 * kMs);
    CHECK_FALSE(bench.take(14 * kMs));
    CHECK(bench.take(15 * kMs) == 1u);
    bench.settle(1, 995 * kMs);
    CHECK_FALSE(bench.take(1'005 * kMs));
    bench.load.end(kSecond);
    CHECK(bench.load.in_flight() == 1);
    bench.settle(0, 2 * kSecond);  // sent in the phase: counts there
    CHECK(bench.tally().requests == 3);
    CHECK(bench.tally().accepted.max() == 2 * kSecond);
    CHECK(bench.tally().late.count() == 0);
  }

  TEST_CASE("open loop: what a stalled server makes wait is charged to it") {
    Bench bench("reserve", 1);
    bench.load.begin({.name = "m", .length = kSecond, .rate = 100, .connections = 1}, 0);
    REQUIRE(bench.take(0));
    // The server stalls for half a second; the 50 requests that come due meanwhile wait for the
    // one connection. A closed loop would have seen a single slow request.
    Nanos now = 500 * kMs;
    bench.settle(0, now);
    std::uint64_t slow = 0;
    while (bench.take(now)) {
      now += kMs / 10;
      bench.settle(0, now);
      ++slow;
    }
    CHECK(slow >= 50);
    const auto& tally = bench.tally();
    CHECK(tally.requests == slow + 1);
    // Due at 0, 10, 20 … ms, answered from 500 ms on: half of them waited 250 ms and more.
    CHECK(tally.accepted.quantile(0.5) > 240 * kMs);
    CHECK(tally.accepted.quantile(0.5) < 270 * kMs);
    CHECK(tally.from_sending.quantile(0.5) < kMs);
    CHECK(tally.late.quantile(0.5) > 240 * kMs);
    CHECK(tally.accepted.max() == 500 * kMs);
  }

  TEST_CASE("open loop: the pace is kept, and what nobody could send is counted") {
    Bench bench("reserve", 1);
    bench.load.begin({.name = "m", .length = kSecond, .rate = 10, .connections = 1}, 5 * kSecond);
    REQUIRE(bench.take(5 * kSecond));
    bench.settle(0, 5 * kSecond + kMs);
    CHECK(bench.load.next_at() == 5 * kSecond + 100 * kMs);
    CHECK_FALSE(bench.take(5 * kSecond + 99 * kMs));
    REQUIRE(bench.take(5 * kSecond + 100 * kMs));
    bench.load.end(6 * kSecond);  // not answered until then: eight others were due
    CHECK(bench.tally().unsent == 8);
    bench.load.failed(0, 7 * kSecond);
    CHECK(bench.tally().errors == 1);
    CHECK(bench.tally().requests == 1);
  }

  TEST_CASE("commit and release end what this run was given, each once; before, they reserve") {
    Bench bench("commit=1,release=1", 1);
    bench.load.begin({.name = "m", .length = kSecond, .connections = 1}, 0);
    std::set<std::string> ended;
    for (int i = 0; i < 100; ++i) {
      REQUIRE(bench.take(i));
      const bool reserve = bench.out.starts_with("PUT ");
      CHECK(reserve == (i % 2 == 0));
      if (!reserve) CHECK(ended.insert(bench.out.substr(0, 39)).second);
      bench.settle(0, i, reserve ? 201 : 200);
    }
    CHECK(bench.tally().done[0] == 50);
    CHECK(bench.tally().done[1] + bench.tally().done[2] == 50);
    // A reservation that was refused is nobody's to end.
    REQUIRE(bench.take(100));
    bench.settle(0, 100, 409, refusal("insufficient_stock"));
    REQUIRE(bench.take(101));
    CHECK(bench.out.starts_with("PUT "));
  }

  TEST_CASE("refusals count by code; each line of a batch counts by itself") {
    Bench bench("reserve", 1, 3);
    bench.load.begin({.name = "m", .length = kSecond, .connections = 1}, 0);
    REQUIRE(bench.take(0));
    CHECK(bench.out.starts_with("POST /v1/batch "));
    bench.settle(0, kMs, 200,
                 "{\"status\":201}\n{\"status\":409,\"code\":\"insufficient_stock\"}\n");
    CHECK(bench.tally().done[0] == 1);
    CHECK(bench.tally().refused ==
          std::map<std::string, std::uint64_t>{{"http_0", 1}, {"insufficient_stock", 1}});
    REQUIRE(bench.take(kMs));
    bench.settle(0, 2 * kMs, 503, refusal("overloaded"));
    CHECK(bench.tally().refused.at("overloaded") == 3);
    CHECK(bench.tally().accepted.count() == 1);
    CHECK(bench.tally().refusals.count() == 1);
    CHECK(bench.tally().requests == 2);
  }

  TEST_CASE("connections beyond those of a phase wait for the next one") {
    Bench bench("reserve", 4);
    bench.load.begin({.name = "a", .length = kSecond, .connections = 1}, 0);
    CHECK(bench.take(0) == 0u);
    CHECK_FALSE(bench.take(0));
    bench.load.begin({.name = "b", .length = kSecond, .connections = 4}, kSecond);
    std::set<std::uint32_t> taken;
    while (const auto connection = bench.take(kSecond)) taken.insert(*connection);
    CHECK(taken == std::set<std::uint32_t>{1, 2, 3});
    bench.settle(0, kSecond);
    CHECK(bench.load.tallies()[0].requests == 1);
    CHECK(bench.tally().requests == 0);
  }

  TEST_CASE("back to normal after the last second with over 1 % of bad answers") {
    BenchReport report{.steps = true};
    for (const char* name : {"capacity", "unloaded", "10x", "recovery"}) {
      report.phases.emplace_back().tally.phase = {
          .name = name, .length = 8 * kSecond, .rate = 100, .good_latency = kMs};
    }
    BenchTally& recovery = report.phases.back().tally;
    recovery.requests = 1;
    CHECK(back_to_normal(report) == 0);
    recovery.windows = {{100, 100}, {100, 2}, {100, 1}, {0, 0}, {100, 0}};
    CHECK(back_to_normal(report) == 200 * kMs);
    recovery.windows.assign(80, {800, 0});
    recovery.windows[60] = {800, 80};  // 1 % of its second
    CHECK(back_to_normal(report) == 0);
    CHECK(recovery.last_bad_tenth() == 6'100 * kMs);
    recovery.windows[60] = {800, 81};
    CHECK(back_to_normal(report) == 6'100 * kMs);
    recovery.windows[66] = {800, 9};  // not bad alone
    CHECK(back_to_normal(report) == 6'700 * kMs);
    recovery.windows[79] = {800, 80};  // the last tenth alone says nothing
    CHECK(back_to_normal(report) == 6'700 * kMs);
    recovery.windows.assign(80, {10, 10});
    CHECK(back_to_normal(report) == -1);

    Bench bench("reserve", 1);
    bench.load.begin({.name = "r", .length = kSecond, .connections = 1, .good_latency = 10 * kMs},
                     0);
    REQUIRE(bench.take(0));
    bench.settle(0, 150 * kMs);
    REQUIRE(bench.take(150 * kMs));
    bench.settle(0, 155 * kMs);
    REQUIRE(bench.take(300 * kMs));
    bench.settle(0, 310 * kMs);
    CHECK(bench.tally().last_bad() == 200 * kMs);
  }

  TEST_CASE("the report says what was measured") {
    Bench bench("reserve", 1);
    bench.load.begin({.name = "measured", .length = kSecond, .rate = 4, .connections = 1}, 0);
    REQUIRE(bench.take(0));
    bench.settle(0, 2 * kMs);
    REQUIRE(bench.take(250 * kMs));
    bench.settle(0, 260 * kMs, 409, refusal("insufficient_stock"));
    bench.load.end(kSecond);
    BenchReport report{.urls = {"http://h:1"}, .spread = "uniform", .run = "r"};
    report.draw.mix = *parse_mix("reserve");
    report.phases.push_back({.tally = bench.tally(), .server_cpu = 30'000, .client_cpu = 20'000});
    const auto json = bench_json(report);
    const auto& phase = json.at("phases").as_array()[0];
    CHECK(phase.at("operations").to_number<int>() == 2);
    CHECK(phase.at("accepted").at("reserve").to_number<int>() == 1);
    CHECK(phase.at("refused").at("insufficient_stock").to_number<int>() == 1);
    CHECK(phase.at("unsent").to_number<int>() == 2);
    CHECK(phase.at("server_cpu_us").to_number<double>() == 15);
    CHECK(phase.at("client_cpu_us").to_number<double>() == 10);
    CHECK(phase.at("latency_ms").at("accepted").at("p99").to_number<double>() == 2);
    const std::string text = bench_text(report, Style::plain);
    for (const char* part : {"reserve=100 on 1 SKUs", "open loop, 4 requests/s",
                             "insufficient_stock 1", "15.00 µs an operation", "p99.99"}) {
      CAPTURE(text);
      CHECK(contains(text, part));
    }
    report.phases[0].server_cpu = -1;
    CHECK(contains(bench_text(report, Style::plain), "unknown"));
  }
}

}  // namespace
}  // namespace holdfast::api
