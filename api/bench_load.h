#pragma once
// A load as a state machine: which connection sends what, when, and what became of it. Time comes
// in as nanoseconds of any steady clock; sockets are the caller's. Pure.
//
// Closed loop: a connection sends again once it has its answer and `think` has passed. Its
// latencies are those from sending; it has no intended times, so there is nothing to correct. Open
// loop: request n is due n / rate after the phase's begin, whether or not answers keep up. Its
// latency counts from that moment, also while no connection was free to send it: a slow server is
// charged with all that it made wait (no coordinated omission). What the phase's end finds due and
// unsent is counted (`unsent`) and forgotten.

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/bench_draw.h"
#include "api/bench_plan.h"
#include "api/bench_wire.h"
#include "api/latency_histogram.h"

namespace holdfast::api {

inline constexpr Nanos kNever = INT64_MAX;

struct BenchPhase {
  std::string name;
  Nanos length = 0;
  double rate = 0;                // requests a second; 0: closed loop
  std::uint32_t connections = 0;  // the first so many take part
  Nanos think = 0;                // closed loop
  // Of answers: not a success, or later than this, makes its moment a bad one; 0: nothing is bad.
  Nanos good_latency = 0;
};

inline constexpr Nanos kBenchWindow = 100'000'000;

// What became of the requests that were sent, or due, in one phase. An operation is a single call
// or a line of a batch.
struct BenchTally {
  BenchPhase phase;
  Nanos begin = 0;
  std::uint64_t requests = 0;                    // answered
  std::uint64_t unsent = 0;                      // due, but no connection was free in time
  std::uint64_t errors = 0;                      // no answer: broken, malformed, too late
  std::array<std::uint64_t, kBenchOps> done{};   // operations with a 2xx
  std::map<std::string, std::uint64_t> refused;  // operations, by the problem's code
  std::uint64_t sent_bytes = 0, received_bytes = 0;
  LatencyHistogram accepted;  // requests answered 2xx, from when they were due
  LatencyHistogram refusals;  // other answers, from when they were sent
  LatencyHistogram
      from_sending;       // requests answered 2xx; in the closed loop the same as `accepted`
  LatencyHistogram late;  // open loop: from due to sent
  // By tenths of a second since `begin`, if the phase has a good_latency.
  struct Window {
    std::uint64_t answers = 0, bad = 0;
  };
  std::vector<Window> windows;

  std::uint64_t succeeded() const;
  std::uint64_t refused_total() const;
  // From `begin` to the end of the last tenth of a second with more than 1 % of bad answers, in a
  // second with more than 1 % of them. (A machine that stands still for some milliseconds, as
  // virtual ones do, makes a tenth bad, but no second.)
  Nanos last_bad() const;
  // The same of any tenth, however good its second.
  Nanos last_bad_tenth() const;
};

class BenchLoad {
 public:
  // Connection i talks to node i % hosts.size(). `host` as the Host header has it.
  BenchLoad(BenchDraw draw, const std::vector<std::string>& hosts, BenchRequests::Names names,
            std::uint32_t connections);

  // Ends the phase before, if there was one. Connections and what is in flight carry over; an
  // answer counts in the phase in which its request was sent.
  void begin(const BenchPhase& phase, Nanos now);
  void end(Nanos now);  // nothing is sent from now on

  // The connection is open and free.
  void free(std::uint32_t connection, Nanos now);
  // A connection that sends now; its request has been appended to `out`. nullopt: none does.
  std::optional<std::uint32_t> take(std::string& out, Nanos now);
  // When take() has something again although nothing else happens; kNever.
  Nanos next_at() const;

  // Exactly one of these after each take(); `free` follows when the connection can send again.
  void answered(std::uint32_t connection, const BenchAnswer& answer, Nanos now);
  void failed(std::uint32_t connection, Nanos now);

  std::uint64_t in_flight() const { return in_flight_; }
  Nanos sent_at(std::uint32_t connection) const { return flights_[connection].sent; }
  bool flies(std::uint32_t connection) const { return flights_[connection].tally != nullptr; }
  const std::deque<BenchTally>& tallies() const { return tallies_; }
  const std::string& last_problem() const { return last_problem_; }

 private:
  struct Operation {
    BenchOp op;
    std::uint64_t number;
  };
  struct Flight {
    BenchTally* tally = nullptr;  // null: nothing is in flight
    Nanos due = 0, sent = 0;
    std::vector<Operation> operations;
  };
  struct Node {
    BenchRequests requests;
    std::deque<std::uint64_t> held;  // reservations that nobody has ended, oldest first
  };

  std::optional<Nanos> due_now(Nanos now);
  void write(std::uint32_t connection, std::string& out);
  Operation draw_operation(Node& node);
  void settle(BenchTally& tally, Node& node, const Operation& operation, int status,
              std::string_view body);
  void settle_batch(BenchTally& tally, Node& node, const Flight& flight, std::string_view body);
  Nanos time_of(std::uint64_t request) const;

  BenchDraw draw_;
  BenchPicker picker_;
  bool keeps_held_;
  std::vector<Node> nodes_;
  std::vector<Flight> flights_;
  std::deque<std::pair<Nanos, std::uint32_t>> free_;  // ready from then on, in that order
  std::vector<std::uint32_t> parked_;                 // free, and not of this phase
  std::deque<BenchTally> tallies_;
  BenchTally* now_in_ = nullptr;  // null: between phases
  std::uint64_t due_ = 0;         // open loop: requests of the phase that were sent
  std::uint64_t numbers_ = 0;
  std::uint64_t in_flight_ = 0;
  std::string lines_, last_problem_;
};

}  // namespace holdfast::api
