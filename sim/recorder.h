#pragma once
// The hash and the trace of a run: everything that is sent, becomes durable, is answered, starts or
// ends. Equal runs have equal hashes. What it is told it hands on to the checks.

#include <functional>
#include <string>
#include <string_view>

#include "sim/checks.h"
#include "sim/seed_run.h"

namespace holdfast::sim {

class Recorder final : public Watcher {
 public:
  // `trace` may be empty; it must outlive this.
  Recorder(Checks& checks, const Trace& trace) : checks_(checks), trace_(trace) {}
  void attach(World& world);
  // Told of every batch that became durable, after the checks.
  using OnDurable = std::function<void(const Machine& machine)>;
  void also_tell(OnDurable on_durable) { on_durable_ = std::move(on_durable); }
  std::uint64_t hash() const { return hash_; }

  void on_started(Machine& machine, bool torn) override;
  void on_turn(Machine& machine) override;
  void on_durable(Machine& machine, const node::Batch& batch) override;
  void on_put_back(Machine& machine, const crdt::State& copy, bool fits) override;
  void on_rejoined(Machine& machine, const node::ForkMark& mark, const crdt::State* base,
                   const crdt::State& fresh) override;
  void on_reply(Machine& machine, const node::Outcome& outcome, bool released,
                bool may_be_early) override;
  void on_ended(Machine& machine, const std::string& why) override;

 private:
  void fold(std::string_view what, std::size_t place, std::string_view content);
  void tell(const Machine& machine, const std::string& what);

  Checks& checks_;
  const Trace& trace_;
  World* world_ = nullptr;
  OnDurable on_durable_;
  std::uint64_t hash_ = 0;
};

}  // namespace holdfast::sim
