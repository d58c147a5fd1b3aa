#include "sim/router_machine.h"

#include <cstdio>
#include <set>

#include "api/wire.h"

namespace holdfast::sim {

namespace {

constexpr Time kTickWithin = kSecond, kTickAfter = kMillisecond;  // as api/router_process.cpp

// Of a situation by the words in which a router notes it.
const char* settled_as(const std::string& note) {
  if (note.find("left over") != note.npos) return "a sweep released a part that was left over";
  if (note.find("the rest of it is, too") != note.npos) return "a sweep sold the rest of a cart";
  if (note.find("ended in part") != note.npos) return "a sweep undid a cart that ended in part";
  return nullptr;
}

std::uint64_t count_in(const std::string& metrics, const std::string& name) {
  const std::string line = "\nholdfast_router_" + name + " ";
  const std::size_t at = metrics.find(line);
  return at == metrics.npos ? 0 : std::stoull(metrics.substr(at + line.size(), 20));
}

bool moves_units(const node::Command& command) {
  const auto* in = std::get_if<node::MoveIn>(&command);
  return std::holds_alternative<node::MoveOut>(command) || (in != nullptr && in->total > 0);
}

std::string id_of(const node::Command& command) {
  return std::visit(
      [](const auto& c) -> std::string {
        if constexpr (requires { c.id; }) return c.id;
        return "";
      },
      command);
}

}  // namespace

struct RouterMachine::Process {
  std::uint64_t life = 0;
  Time began = 0;
  std::int64_t instant_begin_ms = 0;
  std::unique_ptr<api::Router> router;
  struct Pending {
    OnReply done;
    Time since = 0;
    std::string id;
    std::size_t command = 0;  // its place in node::Command
  };
  std::map<std::uint64_t, Pending> pending;
  std::uint64_t last_token = 0;
  Time armed_at = kNever;
  bool soon = false;
  std::size_t handing_over = 0;  // calls that move units and have no answer yet
  // Ids of carts of which it asked for parts, their record, their commits.
  std::set<std::string> parts, records, record_commits, part_commits;
};

RouterMachine::RouterMachine(Events& events, RouterCalls& calls, RouterMachineOptions options,
                             Hooks hooks)
    : events_(events), calls_(calls), options_(std::move(options)), hooks_(std::move(hooks)) {}

RouterMachine::~RouterMachine() = default;

const api::Router& RouterMachine::router() const { return *process_->router; }

std::size_t RouterMachine::in_hand() const { return lives() ? process_->pending.size() : 0; }

Time RouterMachine::oldest_in_hand() const {
  return in_hand() == 0 ? kNever : process_->pending.begin()->second.since;
}

void RouterMachine::tell(const std::string& what) const {
  if (!hooks_.trace) return;
  char head[64];
  std::snprintf(head, sizeof head, "%12.6f s  #%-8llu router-%zu ",
                static_cast<double>(events_.now()) / kSecond,
                static_cast<unsigned long long>(events_.done()), options_.index);
  hooks_.trace(head + what);
}

// ── the process ─────────────────────────────────────────────────────────────────────────────────

void RouterMachine::start(const api::ShardMap& map) {
  if (lives()) return;
  ++life_;
  calls_left_.reset();
  Random random(options_.seed, "router", life_);
  process_ = std::make_unique<Process>();
  process_->life = life_;
  process_->began = events_.now();
  process_->instant_begin_ms = random.between(1, 1'000'000) * 1'000;
  api::RouterConfig config = options_.config;
  config.seed = random.next();
  process_->router = std::make_unique<api::Router>(std::move(config), map);
  tell("starts");
  tick();
}

void RouterMachine::end() {
  if (!lives()) return;
  tell("ends");
  if (hooks_.saw) {
    count_up();
    note_end();
  }
  calls_.forget(options_.index);
  const std::unique_ptr<Process> process = std::move(process_);
  for (auto& [token, pending] : process->pending)
    events_.after(kMillisecond, [done = std::move(pending.done)] { done(std::nullopt); });
}

void RouterMachine::use(const api::ShardMap& map) {
  if (const absl::Status status = process_->router->use(map); !status.ok())
    return hooks_.fail("map-refused", std::string(status.message()));
  tell("uses version " + std::to_string(map.version) + " of the map");
  tick();
}

crdt::Now RouterMachine::now() const {
  return {crdt::Instant(crdt::Millis(process_->instant_begin_ms +
                                     (events_.now() - process_->began) / kMillisecond)),
          crdt::WallTime(crdt::Millis(kWallBegin + events_.now() / kMillisecond))};
}

void RouterMachine::tick() {
  process_->router->tick(now());
  carry_out();
}

void RouterMachine::carry_out() {
  for (bool some = true; some;) {
    std::vector<api::RouterCall> calls = process_->router->take_calls();
    some = !calls.empty();
    for (node::Reply& one : process_->router->take_replies()) reply(std::move(one));
    for (const std::string& note : process_->router->take_notes()) {
      tell("notes: " + note);
      if (const char* situation = settled_as(note); situation && hooks_.saw) hooks_.saw(situation);
    }
    for (api::RouterCall& call : calls) {
      const bool counts = api::to_http(call.command).method != "GET";
      send(std::move(call));
      if (!counts || !calls_left_ || --*calls_left_ > 0) continue;
      end();
      return hooks_.ended();
    }
  }
  arm();
}

void RouterMachine::arm() {
  Process& process = *process_;
  const auto wait = (process.router->wake_at() - now().instant).count() * kMillisecond;
  const Time at = events_.now() + std::clamp<Time>(wait, kTickAfter, kTickWithin);
  if (at >= process.armed_at) return;
  process.armed_at = at;
  events_.at(at, [this, life = life_, at] {
    if (!process_ || process_->life != life || process_->armed_at != at) return;
    process_->armed_at = kNever;
    tick();
  });
}

// Once for all that has come.
void RouterMachine::carry_out_soon() {
  if (std::exchange(process_->soon, true)) return;
  events_.after(0, [this, life = life_] {
    if (!process_ || process_->life != life) return;
    process_->soon = false;
    tick();
  });
}

// ── requests and calls ──────────────────────────────────────────────────────────────────────────

void RouterMachine::request(node::Command command, OnReply done) {
  const std::uint64_t token = (life_ << 32) | ++process_->last_token;
  if (hooks_.trace)
    tell("is asked " + api::to_http(command).target + " as " + std::to_string(token));
  process_->pending[token] = {std::move(done), events_.now(), id_of(command), command.index()};
  process_->router->on_request(now(), {token, std::move(command)});
  carry_out();
}

void RouterMachine::reply(node::Reply&& reply) {
  const auto at = process_->pending.find(reply.token);
  if (at == process_->pending.end())
    return hooks_.fail("replied-twice", "router " + std::to_string(options_.index) +
                                            " answers what it was not asked, or once more");
  tell("answers " + std::to_string(reply.token) + " with code " +
       std::to_string(static_cast<int>(reply.outcome.code)) + ": " + reply.outcome.detail);
  const OnReply done = std::move(at->second.done);
  process_->pending.erase(at);
  done(std::move(reply.outcome));
}

void RouterMachine::send(api::RouterCall&& call) {
  if (hooks_.trace && !std::holds_alternative<node::GetCluster>(call.command)) {
    const api::HttpCall words = api::to_http(call.command);
    tell("calls " + call.url + " " + words.method + " " + words.target + " " + words.body);
  }
  const node::Command command = hooks_.saw ? call.command : node::Command();
  const bool moves = moves_units(call.command);
  process_->handing_over += moves ? 1 : 0;
  calls_.send(
      options_.index, std::move(call),
      [this, life = life_, id = call.id, moves](std::optional<node::Outcome>&& outcome, bool sent) {
        if (!process_ || process_->life != life) return;
        process_->handing_over -= moves ? 1 : 0;
        if (outcome) {
          process_->router->on_answer(now(), id, *std::move(outcome));
        } else {
          process_->router->on_lost(now(), id, sent);
        }
        carry_out_soon();
      });
  if (hooks_.saw) note_call(command);
}

// ── what an onlooker sees ───────────────────────────────────────────────────────────────────────

void RouterMachine::note_call(const node::Command& command) {
  Process& process = *process_;
  const std::string id = id_of(command);
  const std::string* const cart = calls_.cart_of_part(id);
  if (std::holds_alternative<node::Reserve>(command)) {
    (cart == nullptr ? process.records : process.parts).insert(cart == nullptr ? id : *cart);
  } else if (std::holds_alternative<node::Commit>(command)) {
    (cart == nullptr ? process.record_commits : process.part_commits)
        .insert(cart == nullptr ? id : *cart);
  }
}

void RouterMachine::note_end() {
  if (process_->handing_over > 0) hooks_.saw("a router ended while units were handed over");
  for (const auto& [token, pending] : process_->pending) {
    if (!calls_.spread(pending.id)) continue;
    const bool makes = pending.command == node::Command(node::Reserve()).index();
    const bool commits = pending.command == node::Command(node::Commit()).index();
    const bool made = process_->records.contains(pending.id);
    if (makes && !made && process_->parts.contains(pending.id))
      hooks_.saw("a router ended between the parts and the record");
    if (makes && made) hooks_.saw("a router ended between the record and its answer");
    const bool record = process_->record_commits.contains(pending.id);
    const bool parts = process_->part_commits.contains(pending.id);
    if (commits && record && !parts)
      hooks_.saw("a router ended between the record's commit and the parts'");
    if (commits && parts) hooks_.saw("a router ended while parts were committed");
  }
}

// What it counted, as its metrics say.
void RouterMachine::count_up() {
  std::string metrics;
  process_->router->on_request(now(), {0, node::GetStats()});
  for (node::Reply& one : process_->router->take_replies())
    if (one.token == 0) metrics = std::get<node::Worded>(one.outcome.view).body;
  for (std::uint64_t i = count_in(metrics, "reads_hedged_total"); i > 0; --i)
    hooks_.saw("a read was asked of a second node");
  for (std::uint64_t i = count_in(metrics, "calls_again_total"); i > 0; --i)
    hooks_.saw("a call was sent once more");
}

}  // namespace holdfast::sim
