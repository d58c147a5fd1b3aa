#include "sim/recorder.h"

#include <xxhash.h>

#include <cstdio>
#include <iterator>

namespace holdfast::sim {

namespace {

const char* frame_name(std::string_view bytes) {
  static constexpr const char* kNames[] = {"hello",  "prove",     "start", "news",
                                           "resume", "heartbeat", "call",  "answer"};
  const auto kind = bytes.empty() ? 255u : static_cast<unsigned char>(bytes[0]);
  return kind < std::size(kNames) ? kNames[kind] : "unknown";
}

}  // namespace

void Recorder::attach(World& world) {
  world_ = &world;
  world.network().on_sent([this](const Network::Sent& sent) {
    fold("sent", sent.from, sent.bytes);
    if (trace_)
      tell(world_->node(sent.from), std::string("sends ") + frame_name(sent.bytes) + " of " +
                                        std::to_string(sent.bytes.size()) + " bytes to " +
                                        world_->node(sent.to).name());
  });
}

void Recorder::on_started(Machine& machine, bool torn) {
  fold("started", machine.place(), torn ? "torn" : "");
  if (trace_)
    tell(machine, "starts as replica " + crdt::to_string(machine.replica()) +
                      (torn ? ", a torn batch was cut off" : ""));
  checks_.on_started(machine, torn);
}

void Recorder::on_turn(Machine& machine) { checks_.on_turn(machine); }

void Recorder::on_put_back(Machine& machine, const crdt::State& copy, bool fits) {
  fold("put back", machine.place(), crdt::to_string(copy.self()));
  if (trace_)
    tell(machine, "has a copy of replica " + crdt::to_string(copy.self()) + ", which had written " +
                      std::to_string(copy.head(copy.self())));
  checks_.on_put_back(machine, copy, fits);
}

void Recorder::on_rejoined(Machine& machine, const node::ForkMark& mark, const crdt::State* base,
                           const crdt::State& fresh) {
  fold("rejoined", machine.place(), crdt::to_string(fresh.self()));
  if (trace_)
    tell(machine, "was a fork of " + crdt::to_string(mark.replica) + ", and becomes " +
                      crdt::to_string(fresh.self()));
  checks_.on_rejoined(machine, mark, base, fresh);
}

void Recorder::on_durable(Machine& machine, const node::Batch& batch) {
  fold("durable", machine.place(), batch.journal);
  if (trace_)
    tell(machine, "batch " + std::to_string(batch.number) + " of " +
                      std::to_string(batch.journal.size()) + " bytes is durable");
  checks_.on_durable(machine, batch);
  if (on_durable_) on_durable_(machine);
}

void Recorder::on_reply(Machine& machine, const node::Outcome& outcome, bool released,
                        bool may_be_early) {
  fold("reply", machine.place(), outcome.detail);
  if (trace_)
    tell(machine, "answers with code " + std::to_string(static_cast<int>(outcome.code)) +
                      (outcome.detail.empty() ? "" : ": " + outcome.detail));
  checks_.on_reply(machine, outcome, released, may_be_early);
}

void Recorder::on_ended(Machine& machine, const std::string& why) {
  fold("ended", machine.place(), why);
  if (trace_) tell(machine, "its process ends" + (why.empty() ? "" : ": " + why));
  checks_.on_ended(machine, why);
}

void Recorder::fold(std::string_view what, std::size_t place, std::string_view content) {
  const std::uint64_t words[] = {hash_, static_cast<std::uint64_t>(world_->now()), place,
                                 XXH3_64bits(what.data(), what.size()),
                                 XXH3_64bits(content.data(), content.size())};
  hash_ = XXH3_64bits(words, sizeof words);
}

void Recorder::tell(const Machine& machine, const std::string& what) {
  char head[64];
  std::snprintf(head, sizeof head, "%12.6f s  #%-8llu ",
                static_cast<double>(world_->now()) / kSecond,
                static_cast<unsigned long long>(world_->events().done()));
  trace_(head + machine.name() + " " + what);
}

}  // namespace holdfast::sim
