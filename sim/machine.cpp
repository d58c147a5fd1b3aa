#include "sim/machine.h"

#include <algorithm>
#include <map>
#include <utility>

#include "crdt/check.h"

namespace holdfast::sim {

namespace {

constexpr std::size_t kFrameWorthATurn = 4096;

bool may_be_early(const node::Command& command) {
  return std::holds_alternative<node::GetStock>(command) ||
         std::holds_alternative<node::GetAvailability>(command) ||
         std::holds_alternative<node::GetStats>(command);
}

}  // namespace

struct Machine::Process {
  std::uint64_t life = 0;
  std::uint64_t boot = 0;
  Time began = 0;
  std::int64_t instant_begin_us = 0;  // what its steady clock showed then
  std::unique_ptr<Disk> disk;
  std::unique_ptr<node::Engine> engine;
  std::unique_ptr<node::Driver> driver;
  std::vector<node::Arrived> requests;
  std::vector<gossip::NetEvent> events;
  struct Pending {
    OnOutcome done;
    bool may_be_early = false;
  };
  std::map<std::uint64_t, Pending> pending;  // by token
  std::uint64_t last_token = 0;
  bool leaves = false;  // it was told to, as it may
  Time busy_until = 0;
  Time turn_at = kNever;
  std::vector<Time> armed;  // when an event will look whether a turn is due; the next one last
};

Machine::Machine(Events& events, Network& network, Watcher& watcher, Place place,
                 MachineOptions options)
    : events_(events),
      network_(network),
      watcher_(watcher),
      place_(place),
      options_(std::move(options)) {
  network_.attach(place_, options_.engine.mesh.gossip_address, *this);
}

Machine::~Machine() = default;

const node::Engine& Machine::engine() const { return *process_->engine; }
node::Stats Machine::stats() { return process_->engine->stats(now()); }

std::int64_t Machine::lived_ms() const {
  return static_cast<std::int64_t>(static_cast<double>(events_.now() - process_->began) *
                                   options_.clock.rate) /
         1000;
}
bool Machine::reaches(crdt::ReplicaId peer) const { return process_->engine->reaches(peer); }
bool Machine::writing() const { return process_->disk->pending() > 0; }
bool Machine::checkpointing() const { return !process_->disk->takes_slice(); }

// ── the process ─────────────────────────────────────────────────────────────────────────────────

void Machine::start_once_more() {
  stopped_for_.clear();
  start();
}

void Machine::start() {
  if (lives() || !stopped_for_.empty()) return;
  ++life_;
  calm_since_ = events_.now();
  Random random(options_.seed, "process", life_);
  if (!directory_.fork.boots.empty())
    if (const absl::Status status = rejoin(); !status.ok()) {
      stopped_for_ = std::string(status.message());
      return watcher_.on_ended(*this, stopped_for_);
    }
  if (directory_.image.empty() && directory_.image.mark == 0) {
    self_ = crdt::ReplicaId{Random(options_.seed, "replica", disks_).next() | 1};
  }
  auto process = std::make_unique<Process>();
  process->life = life_;
  process->began = events_.now();
  process->instant_begin_us = random.between(1, 1'000'000) * kSecond;
  process->last_token = life_ << 32;

  bool torn = false;
  const auto opened = Disk::open(directory_.image, torn);
  const auto refuse = [this](const absl::Status& status) {
    stopped_for_ = std::string(status.message());
    watcher_.on_ended(*this, stopped_for_);
  };
  if (!opened.ok()) return refuse(opened.status());
  const auto self = node::identity(*opened, self_);
  if (!self.ok()) return refuse(self.status());
  HOLDFAST_CHECK(*self == self_);

  node::EngineConfig config = options_.engine;
  config.self = config.mesh.self = self_;
  config.mesh.boot = random.next() | 1;
  process->boot = config.mesh.boot;
  config.seed = random.next();
  process->engine = std::make_unique<node::Engine>(std::move(config));
  const auto count = node::recover(*opened, *process->engine);
  if (!count.ok()) return refuse(count.status());
  process->disk = std::make_unique<Disk>(
      events_, directory_.image, options_.disk, random.next(),
      Disk::Hooks{
          .durable = [this](const node::Batch& batch) { watcher_.on_durable(*this, batch); },
          .failed =
              [this, life = life_] {
                events_.after(0, [this, life] {
                  if (process_ && process_->life == life)
                    end("a write to the disk failed", PowerLoss::forgets, false);
                });
              },
          .may_release = [this] { return !paused_; }});
  process->driver = std::make_unique<node::Driver>(
      *process->engine,
      node::DriverPorts{
          .store = *process->disk,
          .clock = *this,
          .transport = *this,
          .deliver = [this](std::vector<node::Reply>&& replies) { deliver(std::move(replies)); },
          .note = [](const gossip::Note&) {},
          .released = [this] { poke(events_.now()); }},
      node::DriverOptions{.inbox_delay_max = options_.inbox_delay_max, .min_free_bytes = 1});
  process_ = std::move(process);
  keep_base(process_->boot);
  watcher_.on_started(*this, torn);
  process_->engine->start(now());
  poke(events_.now());
}

void Machine::end(const std::string& why, PowerLoss loss, bool silently) {
  calm_since_ = events_.now();
  process_->disk->lose_power(loss);
  network_.vanish(place_, silently);
  paused_ = false;
  watcher_.on_ended(*this, why);
  process_.reset();
}

void Machine::crash(PowerLoss loss, bool silently) {
  if (lives()) end("", loss, silently);
}

void Machine::pause() {
  paused_ = lives();
  calm_since_ = events_.now();
}

void Machine::resume() {
  calm_since_ = events_.now();
  if (!std::exchange(paused_, false)) return;
  process_->disk->resume();
  poke(events_.now());
}

void Machine::lose_disk() {
  HOLDFAST_CHECK(!lives());
  directory_ = {};
  stopped_for_.clear();
  ++disks_;
}

// ── clocks ──────────────────────────────────────────────────────────────────────────────────────

std::int64_t Machine::wall_now_ms() const {
  return kWallBegin + options_.clock.wall_ms +
         static_cast<std::int64_t>(static_cast<double>(events_.now()) * options_.clock.rate) / 1000;
}

crdt::Now Machine::now() {
  const auto lived = static_cast<std::int64_t>(
      static_cast<double>(events_.now() - process_->began) * options_.clock.rate);
  return {crdt::Instant(crdt::Millis((process_->instant_begin_us + lived) / 1000)),
          crdt::WallTime(crdt::Millis(wall_now_ms()))};
}

// The first moment at which the steady clock shows `local`.
Time Machine::true_time(crdt::Instant local) const {
  const std::int64_t lived = local.time_since_epoch().count() * 1000 - process_->instant_begin_us;
  return process_->began + static_cast<Time>(static_cast<double>(lived) / options_.clock.rate) + 1;
}

// ── turns ───────────────────────────────────────────────────────────────────────────────────────

void Machine::poke(Time when) {
  Process& process = *process_;
  when = std::max({when, process.busy_until, events_.now()});
  if (when >= process.turn_at) return;
  process.turn_at = when;
  arm();
}

void Machine::arm() {
  Process& process = *process_;
  if (!process.armed.empty() && process.armed.back() <= process.turn_at) return;
  process.armed.push_back(process.turn_at);
  events_.at(process.turn_at, [this, life = process.life] {
    if (!process_ || process_->life != life) return;
    process_->armed.pop_back();
    if (process_->turn_at > events_.now()) return process_->turn_at == kNever ? void() : arm();
    process_->turn_at = kNever;
    if (!paused_) turn();
  });
}

void Machine::turn() {
  Process& process = *process_;
  const crdt::Instant now = this->now().instant;
  const auto late = std::count_if(
      process.requests.begin(), process.requests.end(), [&](const node::Arrived& arrived) {
        return now - arrived.at > options_.inbox_delay_max &&
               std::holds_alternative<node::Reserve>(arrived.request.command);
      });
  const Time work = options_.costs.turn + options_.costs.late * late +
                    options_.costs.request * (static_cast<Time>(process.requests.size()) - late) +
                    options_.costs.frame * static_cast<Time>(process.events.size());
  process.busy_until = events_.now() + work;
  const crdt::Instant wake =
      process.driver->turn(std::exchange(process.requests, {}), std::exchange(process.events, {}));
  watcher_.on_turn(*this);
  if (process.engine->fatal()) {
    const std::string why = *process.engine->fatal();
    directory_.fork = {self_, process.engine->forked()};
    if (!directory_.fork.boots.empty()) return end(why, PowerLoss::keeps, false);
    stopped_for_ = why;
    return end(why, PowerLoss::forgets, false);
  }
  if (process.engine->may_leave(now) && !std::exchange(process.leaves, true))
    ask(node::Leave{}, [](const node::Outcome&) {});
  if (process.engine->confirmed_by_all())
    std::erase_if(directory_.bases, [&](const auto& base) { return base.first != process.boot; });
  if (wake != crdt::Instant::max()) poke(true_time(wake));
}

void Machine::on_net(gossip::NetEvent&& event) {
  // That bytes have left is not worth a turn, unless there are many.
  const auto* sent = std::get_if<gossip::FramesSent>(&event);
  const bool worth = sent == nullptr || sent->bytes >= kFrameWorthATurn;
  process_->events.push_back(std::move(event));
  if (worth) poke(events_.now());
}

void Machine::dial(const std::string& address) { network_.dial(place_, address); }
void Machine::send(gossip::LinkId link, gossip::FrameBytes frame) {
  HOLDFAST_CHECK(process_->disk->releasing());
  network_.send(place_, link, std::move(frame));
}
void Machine::close(gossip::LinkId link, const std::string&) { network_.close(place_, link); }

// ── clients ─────────────────────────────────────────────────────────────────────────────────────

api::Parsed parsed_as_json(const HttpCall& call, api::JsonReader& reader) {
  return api::parse_request({.method = call.method,
                             .target = call.target,
                             .content_type = "application/json",
                             .idempotency_key = call.key,
                             .has_idempotency_key = !call.key.empty(),
                             .body = call.body},
                            reader);
}

void Machine::http(const HttpCall& call, OnResponse done) {
  Process& process = *process_;
  api::Parsed parsed = parsed_as_json(call, reader_);
  if (const auto* response = std::get_if<api::Response>(&parsed)) return done(*response);
  auto& ready = std::get<api::Call>(parsed);
  const bool sells = std::holds_alternative<node::Reserve>(ready.command);
  if (!node::inbox_takes(options_.inbox_max, process.requests.size(), 1, sells))
    return done(api::answer(ready, node::refused(node::Code::overloaded, "the inbox is full")));
  const std::uint64_t token = ++process.last_token;
  const bool early = may_be_early(ready.command);
  process.requests.push_back({{token, std::move(ready.command)}, now().instant});
  process.pending.emplace(
      token, Process::Pending{
                 [call = std::make_shared<api::Call>(std::move(ready)), done = std::move(done)](
                     const node::Outcome& outcome) { done(api::answer(*call, outcome)); },
                 early});
  poke(events_.now());
}

void Machine::ask(node::Command command, OnOutcome done) {
  const std::uint64_t token = ++process_->last_token;
  const bool early = may_be_early(command);
  process_->requests.push_back({{token, std::move(command)}, now().instant});
  process_->pending.emplace(token, Process::Pending{std::move(done), early});
  poke(events_.now());
}

void Machine::deliver(std::vector<node::Reply>&& replies) {
  for (const node::Reply& reply : replies) {
    const auto found = process_->pending.find(reply.token);
    HOLDFAST_CHECK(found != process_->pending.end());  // one request, one reply
    const Process::Pending pending = std::move(found->second);
    process_->pending.erase(found);
    watcher_.on_reply(*this, reply.outcome, process_->disk->releasing(), pending.may_be_early);
    pending.done(reply.outcome);
  }
}

}  // namespace holdfast::sim
