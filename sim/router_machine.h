#pragma once
// One simulated router: the product's own state machine, in a process that ends with all that it
// had in memory, at any moment and between any two of its calls, and that starts again.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "sim/router_calls.h"
#include "sim/seed_run.h"

namespace holdfast::sim {

struct RouterMachineOptions {
  std::size_t index = 0;
  api::RouterConfig config;  // what is the same in every life
  std::uint64_t seed = 0;
};

class RouterMachine {
 public:
  // No outcome: its process ended first.
  using OnReply = std::function<void(std::optional<node::Outcome>&& outcome)>;
  struct Hooks {
    RouterCalls::Saw saw;  // empty: nobody looks on
    std::function<void(const std::string& invariant, const std::string& detail)> fail;
    std::function<void(const std::string& line)> trace;  // may be empty
    std::function<void()> ended;                         // by itself: after the calls it had left
  };

  RouterMachine(Events& events, RouterCalls& calls, RouterMachineOptions options, Hooks hooks);
  ~RouterMachine();

  bool lives() const { return process_ != nullptr; }
  bool whole() const { return lives() && router().whole(); }
  std::size_t in_hand() const;        // requests without a reply
  Time oldest_in_hand() const;        // since when the oldest of them is; kNever: there is none
  const api::Router& router() const;  // requires: lives()

  void start(const api::ShardMap& map);  // if it does not live
  void end();
  void end_after(std::uint32_t calls) { calls_left_ = calls; }  // that are more than reads
  void end_as_it_likes() { calls_left_.reset(); }
  void use(const api::ShardMap& map);  // likewise; requires: lives()
  void request(node::Command command, OnReply done);

 private:
  struct Process;

  crdt::Now now() const;
  void carry_out();
  void carry_out_soon();
  void arm();
  void tick();
  void reply(node::Reply&& reply);
  void send(api::RouterCall&& call);
  void note_call(const node::Command& command);
  void note_end();
  void count_up();
  void tell(const std::string& what) const;

  Events& events_;
  RouterCalls& calls_;
  RouterMachineOptions options_;
  Hooks hooks_;
  std::uint64_t life_ = 0;
  std::optional<std::uint32_t> calls_left_;
  std::unique_ptr<Process> process_;
};

}  // namespace holdfast::sim
