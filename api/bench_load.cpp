#include "api/bench_load.h"

#include <algorithm>
#include <utility>

#include "crdt/check.h"

namespace holdfast::api {
namespace {

constexpr std::size_t kHeldMax = 1'000'000;  // a node; older ones are left to expire
constexpr double kSecond = 1e9;

bool good(int status) { return status >= 200 && status < 300; }

bool is_bad(const BenchTally::Window& window) { return window.bad * 100 > window.answers; }

// From the first window's begin to the end of the last bad one of the first `count`.
Nanos last_bad_before(const std::vector<BenchTally::Window>& windows, std::size_t count) {
  while (count > 0 && !is_bad(windows[count - 1])) --count;
  return static_cast<Nanos>(count) * kBenchWindow;
}

void note(BenchTally& tally, Nanos now, std::uint64_t bad) {
  if (tally.phase.good_latency == 0) return;
  const auto window =
      static_cast<std::size_t>(std::max<Nanos>(now - tally.begin, 0) / kBenchWindow);
  if (tally.windows.size() <= window) tally.windows.resize(window + 1);
  ++tally.windows[window].answers;
  tally.windows[window].bad += bad;
}

}  // namespace

std::uint64_t BenchTally::succeeded() const {
  std::uint64_t sum = 0;
  for (const auto count : done) sum += count;
  return sum;
}
std::uint64_t BenchTally::refused_total() const {
  std::uint64_t sum = 0;
  for (const auto& [code, count] : refused) sum += count;
  return sum;
}

Nanos BenchTally::last_bad_tenth() const { return last_bad_before(windows, windows.size()); }

Nanos BenchTally::last_bad() const {
  constexpr std::size_t kSecondOf = 1'000'000'000 / kBenchWindow;
  for (std::size_t end = windows.size(); end > 0; --end) {
    const std::size_t begin = end - std::min(end, kSecondOf);
    Window second;
    for (std::size_t i = begin; i < end; ++i) {
      second.answers += windows[i].answers;
      second.bad += windows[i].bad;
    }
    if (is_bad(second)) return last_bad_before(windows, end);  // then one of its tenths is
    if (begin == 0) break;
  }
  return 0;
}

BenchLoad::BenchLoad(BenchDraw draw, const std::vector<std::string>& hosts,
                     BenchRequests::Names names, std::uint32_t connections)
    : draw_(draw),
      picker_(draw),
      keeps_held_(draw.mix.share(BenchOp::commit) + draw.mix.share(BenchOp::release) > 0),
      flights_(connections) {
  HOLDFAST_CHECK(!hosts.empty() && connections >= 1);
  for (const auto& host : hosts) nodes_.push_back({BenchRequests(host, names), {}});
}

void BenchLoad::begin(const BenchPhase& phase, Nanos now) {
  HOLDFAST_CHECK(phase.connections >= 1 && phase.connections <= flights_.size());
  end(now);
  for (const std::uint32_t connection : std::exchange(parked_, {}))
    free_.emplace_back(now, connection);
  now_in_ = &tallies_.emplace_back();
  now_in_->phase = phase;
  now_in_->begin = now;
  due_ = 0;
}

void BenchLoad::end(Nanos now) {
  if (now_in_ == nullptr) return;
  const BenchPhase& phase = now_in_->phase;
  if (phase.rate > 0) {
    const auto length = static_cast<double>(std::min(now - now_in_->begin, phase.length));
    const auto all = static_cast<std::uint64_t>(std::max(length, 0.0) * phase.rate / kSecond);
    now_in_->unsent = all > due_ ? all - due_ : 0;
  }
  now_in_ = nullptr;
}

void BenchLoad::free(std::uint32_t connection, Nanos now) {
  HOLDFAST_CHECK(!flies(connection));
  const bool rests = now_in_ != nullptr && now_in_->phase.rate == 0;
  free_.emplace_back(rests ? now + now_in_->phase.think : now, connection);
}

Nanos BenchLoad::time_of(std::uint64_t request) const {
  return now_in_->begin +
         static_cast<Nanos>(static_cast<double>(request) * kSecond / now_in_->phase.rate);
}

Nanos BenchLoad::next_at() const {
  if (now_in_ == nullptr || free_.empty()) return kNever;
  return now_in_->phase.rate > 0 ? std::max(time_of(due_), free_.front().first)
                                 : free_.front().first;
}

// When the request was due that is to be sent now, if there is one.
std::optional<Nanos> BenchLoad::due_now(Nanos now) {
  if (now_in_ == nullptr || now >= now_in_->begin + now_in_->phase.length) return std::nullopt;
  if (now_in_->phase.rate == 0) return now;
  const Nanos due = time_of(due_);
  return due <= now ? std::optional(due) : std::nullopt;
}

std::optional<std::uint32_t> BenchLoad::take(std::string& out, Nanos now) {
  const auto due = due_now(now);
  while (due && !free_.empty() && free_.front().first <= now) {
    const std::uint32_t connection = free_.front().second;
    free_.pop_front();
    if (connection >= now_in_->phase.connections) {
      parked_.push_back(connection);
      continue;
    }
    const std::size_t before = out.size();
    write(connection, out);
    Flight& flight = flights_[connection];
    flight.tally = now_in_;
    flight.due = *due;
    flight.sent = now;
    now_in_->sent_bytes += out.size() - before;
    if (now_in_->phase.rate > 0) now_in_->late.record(now - *due);
    ++due_;
    ++in_flight_;
    return connection;
  }
  return std::nullopt;
}

BenchLoad::Operation BenchLoad::draw_operation(Node& node) {
  BenchOp op = picker_.op();
  if (op == BenchOp::commit || op == BenchOp::release) {
    if (!node.held.empty()) {
      const std::uint64_t number = node.held.front();
      node.held.pop_front();
      return {op, number};
    }
    op = BenchOp::reserve;  // first there must be something to end
  }
  return {op, numbers_++};
}

void BenchLoad::write(std::uint32_t connection, std::string& out) {
  Node& node = nodes_[connection % nodes_.size()];
  auto& operations = flights_[connection].operations;
  operations.clear();
  if (draw_.batch_lines == 0) {
    const Operation operation = draw_operation(node);
    operations.push_back(operation);
    return node.requests.single(out, operation.op, operation.number, picker_.sku());
  }
  lines_.clear();
  for (std::uint32_t i = 0; i < draw_.batch_lines; ++i) {
    const Operation operation = draw_operation(node);
    operations.push_back(operation);
    node.requests.line(lines_, operation.op, operation.number, picker_.sku());
  }
  node.requests.batch(out, lines_);
}

void BenchLoad::settle(BenchTally& tally, Node& node, const Operation& operation, int status,
                       std::string_view body) {
  if (good(status)) {
    ++tally.done[static_cast<std::size_t>(operation.op)];
    if (keeps_held_ && operation.op == BenchOp::reserve && node.held.size() < kHeldMax) {
      node.held.push_back(operation.number);
    }
    return;
  }
  std::string code = problem_code(body, status);
  if (code != "insufficient_stock" && code != "overloaded") last_problem_ = body.substr(0, 400);
  ++tally.refused[std::move(code)];
}

// A batch is answered line by line, in order. Lines that are missing have not been done.
void BenchLoad::settle_batch(BenchTally& tally, Node& node, const Flight& flight,
                             std::string_view body) {
  for (const Operation& operation : flight.operations) {
    const auto end = std::min(body.find('\n'), body.size());
    const std::string_view line = body.substr(0, end);
    body.remove_prefix(std::min(end + 1, body.size()));
    settle(tally, node, operation, line_status(line), line);
  }
}

void BenchLoad::answered(std::uint32_t connection, const BenchAnswer& answer, Nanos now) {
  HOLDFAST_CHECK(flies(connection));
  Flight& flight = flights_[connection];
  BenchTally& tally = *std::exchange(flight.tally, nullptr);
  Node& node = nodes_[connection % nodes_.size()];
  --in_flight_;
  ++tally.requests;
  tally.received_bytes += answer.bytes();
  const bool accepted = good(answer.status());
  if (draw_.batch_lines > 0 && accepted) {
    settle_batch(tally, node, flight, answer.body());
  } else {
    for (const Operation& operation : flight.operations) {
      settle(tally, node, operation, answer.status(), answer.body());
    }
  }
  if (accepted) {
    tally.accepted.record(now - flight.due);
    if (tally.phase.rate > 0) tally.from_sending.record(now - flight.sent);
  } else {
    tally.refusals.record(now - flight.sent);
  }
  const bool late = now - flight.due > tally.phase.good_latency;
  note(tally, now, accepted && !late ? 0 : 1);
}

void BenchLoad::failed(std::uint32_t connection, Nanos now) {
  HOLDFAST_CHECK(flies(connection));
  BenchTally& tally = *std::exchange(flights_[connection].tally, nullptr);
  --in_flight_;
  ++tally.errors;
  note(tally, now, 1);
}

}  // namespace holdfast::api
