#include "node/engine.h"

#include <algorithm>

#include "crdt/check.h"
#include "node/journal_of.h"
#include "node/moves.h"

namespace holdfast::node {

using crdt::Instant;
using crdt::Millis;
using crdt::Now;

namespace {

constexpr Millis kMemberEvery{5000};
constexpr Millis kGather{3};  // peers' rows alone make no batch sooner after another
constexpr Millis kKeysEvery{1000};
constexpr Millis kLeaveEvery{100};
constexpr std::int64_t kKeyLifeMs = 24 * 3600 * 1000;
constexpr std::size_t kKeysDroppedAtOnce = 2000;
constexpr std::size_t kExpiriesAtOnce = 5000;
// Rows of a checkpoint's slice: by the clock, and by the journal (slice_rows). The most take 2 ms.
constexpr std::size_t kSliceRows = 2000, kSliceRowsLeast = 256, kSliceRowsMost = 8000;
constexpr Millis kSliceEvery{10}, kSliceEveryHurried{1};
constexpr std::size_t kLinesAhead = 4;  // of a cart: more would push each other out of the cache

const std::string kWithoutDirectory =
    "bring back a copy of it with `holdfast restore`, as a new replica, or start this node with an "
    "empty data directory: it joins as a new replica, and the others bring it their rows";

std::int64_t wall_ms(Now now) { return now.wall.time_since_epoch().count(); }

// Whoever is known here by now: the rows that name the others come one after the other.
bool known_to_all(const gossip::Mesh& mesh, const crdt::State& state, crdt::Sequence own) {
  return std::all_of(state.members().begin(), state.members().end(), [&](const auto& entry) {
    const ReplicaId replica = entry.first;
    return replica == state.self() || state.retired(replica) ||
           (mesh.reachable(replica) && mesh.acknowledged_by(replica) >= own);
  });
}

}  // namespace

Engine::Engine(EngineConfig config)
    : config_(std::move(config)),
      state_(config_.self),
      mesh_(config_.mesh, config_.seed),
      ledger_(state_, [this](const crdt::Product& product) { return rights_.aside(product); }),
      rights_(
          state_,
          [this](ReplicaId peer, const AskRights& ask) {
            const std::uint64_t call = mesh_.call(peer, encode_call(ask));
            if (call != 0) ++counted_.rights_requests_sent;
            return call;
          },
          [this] { return mesh_.reachable_peers(); },
          [this](const crdt::Product& product, Units lacking) {
            return rebalancer_.ahead(product, lacking);
          }),
      rebalancer_(
          state_, ledger_, config_.rebalance,
          [this](ReplicaId peer, const AskRights& ask) {
            const std::uint64_t call = mesh_.call(peer, encode_call(ask));
            if (call != 0) ++counted_.rebalance_requests_sent;
            return call;
          },
          [this](ReplicaId peer) { return mesh_.reachable(peer); }),
      decrees_(state_, ledger_, config_.mesh.region,
               {.reachable = [this](ReplicaId peer) { return mesh_.reachable(peer); },
                .peers = [this] { return mesh_.reachable_peers(); },
                .ask = [this](ReplicaId peer,
                              const AskRights& ask) { return mesh_.call(peer, encode_call(ask)); },
                .gained = [this](crdt::Product& product) { rights_.gained(product, times_); },
                .lost = [this](crdt::Product& product) { rights_.lost(product, times_); },
                .retired =
                    [this](ReplicaId replica) {
                      estate_.heir_changed(replica, times_);
                      copies_.heir_changed(replica, times_);
                    }}),
      copies_(
          state_, ledger_,
          {.freed = [this](const crdt::Hold& own) { offer_freed(own, times_); },
           .owes = [this](crdt::Product& product) { decrees_.owes(product); },
           .tell =
               [this](std::string conflict) {
                 notes_.push_back({true, std::move(conflict)});
               },
           .may_seize = [this](const crdt::Hold& hold) { return decrees_.may_seize_for(hold); }}),
      estate_(state_, ledger_, copies_, [this](crdt::Product& product) { decrees_.owes(product); }),
      purge_(state_, config_.keep_finished),
      drain_(state_, ledger_,
             {.live = [this](ReplicaId peer) { return is_live(peer); },
              .acknowledged = [this](ReplicaId peer) { return mesh_.acknowledged_by(peer); },
              .grantable = [this](const crdt::Product& product,
                                  ReplicaId to) { return decrees_.grantable(product, to); },
              .granted =
                  [this](Units units) {
                    ++counted_.grants_given;
                    counted_.units_granted += units;
                    urgent_ = true;
                  }}),
      durability_waits_(config_.durability_wait) {
  rights_.serve_from(ledger_);
}

// ── recovery ────────────────────────────────────────────────────────────────────────────────────

absl::Status Engine::load_meta(std::string_view bytes) {
  auto meta = decode_meta(bytes);
  if (!meta.ok()) return absl::DataLossError(std::string(meta.status().message()));
  if (meta->self != config_.self)
    return absl::DataLossError("the meta record names another replica");
  batch_ = meta->batch;
  life_before_ms_ = meta->life_ms;
  rows_saved_ = meta->rows;
  for (const crdt::VectorEntry& entry : meta->vector) {
    if (entry.boot > entry.sequence) return absl::DataLossError("a floor above what was written");
    state_.advance(entry.origin, entry.sequence);
  }
  checkpoint_meta_ = *std::move(meta);
  return absl::OkStatus();
}

absl::Status Engine::load_row(const RowAddress& address, std::string_view bytes) {
  auto row = crdt::decode_row(bytes);
  if (!row.ok()) return absl::DataLossError(std::string(row.status().message()));
  const auto merged = state_.merge(address.origin, *std::move(row));
  if (merged.ok()) return absl::OkStatus();
  const std::string problem(merged.status().message());
  if (address.origin == state_.self()) return absl::DataLossError(problem);
  misfits_.emplace(address.origin, problem);
  ++misfit_rows_;
  return absl::OkStatus();
}

absl::Status Engine::loaded() const {
  return misfits_.empty() ? absl::OkStatus() : absl::DataLossError(misfits_.begin()->second);
}

absl::Status Engine::rows_loaded() {
  state_.all_saved();
  const bool whole = state_.lasting_rows() + misfit_rows_ >= rows_saved_;
  for (const crdt::VectorEntry& entry : checkpoint_meta_.vector) {
    state_.raise_floor(entry.origin, entry.boot);
    state_.advance(entry.origin, entry.sequence);  // to the floor in its member row
  }
  if (whole) return absl::OkStatus();
  return absl::DataLossError("the data directory holds " + std::to_string(state_.lasting_rows()) +
                             " rows, but " + std::to_string(rows_saved_) +
                             " had been saved: part of the store is lost; " + kWithoutDirectory);
}

absl::Status Engine::load_entry(std::uint64_t batch, std::string_view value) {
  auto entry = decode_journal_value(value);
  if (!entry.ok()) return absl::DataLossError(std::string(entry.status().message()));
  const std::int64_t life_ms = entry->life_ms;
  if (absl::Status status = replay(*std::move(entry), state_, &misfits_); !status.ok())
    return absl::DataLossError(std::string(status.message()));
  batch_ = batch;
  life_before_ms_ = std::max(life_before_ms_, life_ms);
  journal_since_checkpoint_ += value.size();
  return absl::OkStatus();
}

void Engine::start(Now now) {
  HOLDFAST_CHECK(!running_);
  running_ = true;
  started_ = now.instant;
  for (const auto& [key, hold] : state_.holds())
    if (hold->origin == state_.self() && hold->row.state == crdt::HoldState::held)
      ledger_.watch(*hold);
  crdt::MemberRow row;
  if (const crdt::Member* before = state_.member(state_.self())) row = before->row;
  row.region = config_.mesh.region;
  row.node = config_.mesh.node;
  row.http_address = config_.http_address;
  row.gossip_address = config_.mesh.gossip_address;
  row.wire_version = crdt::kWireVersion;
  row.weight = config_.weight;
  row.draining = false;
  row.extra.clear();
  row.acknowledged = acknowledged();  // a crash forgot that there was something to say
  boot_sequence_ = state_.head(state_.self()) + 1;
  row.boots.push_back({boot_sequence_, config_.mesh.boot});
  drop_covered_boots(row);
  if (!row.ended) state_.put_member(std::move(row));  // that was its last, and peers take no other
  times_ = times(now);
  decrees_.start(now.instant);
  if (state_.member(state_.self())->row.forked_from) decrees_.rights_changed();
  copies_.start(times_);
  for (const crdt::ReplicaId replica : state_.retired())
    if (state_.head(replica) == 0) taken_anew_[replica];
  catch_up_.start(now.instant, !config_.mesh.peers.empty() || !config_.mesh.names.empty() ||
                                   !other_members(state_).empty());
  member_due_ = now.instant + kMemberEvery;
  keys_due_ = now.instant + kKeysEvery;
  wake(now.instant);
}

// ── events ──────────────────────────────────────────────────────────────────────────────────────

Times Engine::times(Now now) const {
  return {.life_ms = life_before_ms_ + (now.instant - started_).count(),
          .wall_ms = wall_ms(now),
          .instant = now.instant};
}

void Engine::finish(const Caller& caller, Outcome&& outcome) {
  if (caller.durability == Durability::node || !outcome.succeeded())
    return answer(caller, std::move(outcome));
  const auto& view = std::get<std::unique_ptr<ReservationView>>(outcome.view);
  const crdt::Hold* own = state_.own_hold(view->id);
  if (own == nullptr) {  // its home is lost, and nobody can promise anything about its row
    outcome.code = Code::accepted;
    return answer(caller, std::move(outcome));
  }
  durability_waits_.wait(hold_token(caller), caller.durability, own->dirty ? 0 : own->sequence,
                         std::move(outcome));
  urgent_ = true;
}

Outcome Engine::not_known_yet() {
  return refused(Code::outcome_unknown,
                 "another node was to decide about this reservation and did not answer in time; "
                 "repeat the same call to learn the outcome");
}

void Engine::answer(const Caller& caller, Outcome&& outcome) {
  if (caller.perhaps_made && !outcome.succeeded()) outcome = not_known_yet();
  if (caller.link != 0) {
    mesh_.answer(caller.link, caller.token, encode_answer(AnswerBody(std::move(outcome))));
  } else {
    replies_.push_back({caller.token, std::move(outcome)});
  }
}

// Reasons to refuse new work that do not depend on what it is about. What ends a hold goes on.
std::optional<Outcome> Engine::refuse_write(const Command& command) const {
  const bool adds =
      std::holds_alternative<PutSku>(command) || std::holds_alternative<Receive>(command) ||
      std::holds_alternative<Adjust>(command) || std::holds_alternative<Allow>(command) ||
      std::holds_alternative<GrantTo>(command) || std::holds_alternative<MoveOut>(command) ||
      std::holds_alternative<MoveIn>(command) || std::holds_alternative<Reserve>(command) ||
      std::holds_alternative<Extend>(command);
  const bool reads =
      std::holds_alternative<GetSku>(command) || std::holds_alternative<ListSkus>(command) ||
      std::holds_alternative<GetStock>(command) ||
      std::holds_alternative<GetAvailability>(command) ||
      std::holds_alternative<GetReservation>(command) ||
      std::holds_alternative<ListReservations>(command) ||
      std::holds_alternative<ListFailovers>(command) || std::holds_alternative<GetDrain>(command) ||
      std::holds_alternative<StopDrain>(command) || std::holds_alternative<GetCluster>(command) ||
      std::holds_alternative<GetStats>(command) || std::holds_alternative<SetFault>(command) ||
      std::holds_alternative<ClearFault>(command) || std::holds_alternative<ListFaults>(command);
  if (awaits_peer() && !reads)
    return refused(
        Code::awaiting_peer,
        "this node writes nothing until a peer has confirmed that its data is the latest "
        "(node.start_requires_peer); is a peer of gossip.peers reachable?");
  if (adds && storage_full_)
    return refused(
        Code::storage_full,
        "the disk of this node is nearly full; free space and try again (reads, commits, "
        "releases and returns go on)");
  return std::nullopt;
}

Outcome Engine::serves_nobody() const {
  const auto& members = state_.members();
  const bool anybody = std::any_of(members.begin(), members.end(), [&](const auto& member) {
    return !state_.retired(member.first);
  });
  return refused(Code::stopping,
                 anybody ? "this replica was retired: it serves nobody any more; ask another node"
                         : "this replica was retired, and so was every other: start a node with "
                           "an empty data directory, and retire one of these once more there, "
                           "with the new node as successor; it takes over what all of them have");
}

// Retired: everything that it could still say would contradict its heir.
bool Engine::is_over() const { return state_.retired(state_.self()); }

// Of this history: should another process have a copy of this directory, one of them is found out
// by the heir, and no two histories come to an end.
bool Engine::heir_has_all() const {
  const ReplicaId heir = state_.heir(state_.self());
  const crdt::Sequence head = state_.head(state_.self());
  if (mesh_.acknowledged_by(heir) >= head) return true;
  const crdt::Member* member = state_.member(heir);
  if (member == nullptr) return false;
  const auto& entries = member->row.acknowledged;
  return std::any_of(entries.begin(), entries.end(), [&](const crdt::VectorEntry& entry) {
    return entry.origin == state_.self() && entry.sequence >= head &&
           entry.boot == state_.boot_of(state_.self(), entry.sequence);
  });
}

void Engine::leave_for_good(Now now) {
  crdt::MemberRow row = state_.member(state_.self())->row;
  if (!row.ended) {
    rights_.refuse_all(serves_nobody());
    // Of others, too: after its last row peers take no link of this replica any more.
    const bool busy =
        !away_.empty() || !held_back_.empty() || (drain_.has_left() && state_.has_unsealed());
    if (busy || !heir_has_all() || !mesh_.passed_on_all(state_))
      return wake(now.instant + kLeaveEvery);
    row.ended = true;
    state_.put_member(std::move(row));
    return;
  }
  if (state_.has_unsealed() || !mesh_.passed_on_all(state_)) {
    wake(now.instant + kLeaveEvery);
    return;
  }
  if (drain_.has_left()) {
    fatal_ = "this node was drained: '" + state_.member(drain_.successor())->row.node +
             "' goes on with what it had. Its name may be used again, with an empty data directory";
    return;
  }
  fatal_ =
      "this replica was retired, and its last writes are with its peers. Start this node with an "
      "empty data directory, or with one that `holdfast restore` made: it joins as a new replica. "
      "(If this directory is a copy of one that is in use, keep it: the other nodes may ask for "
      "it)";
}

void Engine::run(Now now, const Caller& caller, Command&& command) {
  ++counted_.commands;
  times_ = times(now);
  if (is_over()) {
    if (!pass_on(now, caller, std::move(command))) finish(caller, serves_nobody());
    return;
  }
  if (auto refusal = refuse_write(command)) return finish(caller, *std::move(refusal));
  std::visit([&](auto&& alternative) { on(now, caller, std::move(alternative)); },
             std::move(command));
}

void Engine::expect(const Command& command, crdt::State::Ahead step) const {
  if (const auto* commit = std::get_if<Commit>(&command)) state_.expect_hold(commit->id, step);
  if (const auto* release = std::get_if<Release>(&command)) state_.expect_hold(release->id, step);
  const auto* made = std::get_if<Reserve>(&command);
  if (made == nullptr) return;
  if (step == crdt::State::Ahead::tables) state_.expect_hold(made->id, step);
  for (std::size_t i = 0; i < std::min(made->lines.size(), kLinesAhead); ++i)
    if (const crdt::Product* product = state_.expect_product(made->lines[i].sku, step))
      rebalancer_.expect(*product);
}

void Engine::on_request(Now now, Request&& request) {
  run(now, {.token = request.token}, std::move(request.command));
  deliver_served(now);
}

void Engine::on(Now now, const Caller& caller, PutSku&& command) {
  Outcome outcome = ledger_.put_sku(command, times(now));
  urgent_ = urgent_ || outcome.succeeded();  // clients may ask another node for it next
  finish(caller, std::move(outcome));
}

void Engine::stock_came(Now now, const std::string& sku) {
  crdt::Product* product = state_.product(sku);
  if (product == nullptr) return;
  rights_.gained(*product, times(now));
  decrees_.stock_came(*product);
}

void Engine::on(Now now, const Caller& caller, Receive&& command) {
  Outcome outcome = ledger_.receive(command, times(now));
  if (outcome.succeeded()) ++counted_.receipts;
  finish(caller, std::move(outcome));
  stock_came(now, command.sku);
}

void Engine::on(Now now, const Caller& caller, Adjust&& command) {
  Outcome outcome = ledger_.adjust(command, times(now));
  if (outcome.succeeded()) ++counted_.adjustments;
  finish(caller, std::move(outcome));
  stock_came(now, command.sku);
}

void Engine::on(Now now, const Caller& caller, Allow&& command) {
  finish(caller, ledger_.allow(command, times(now)));
  stock_came(now, command.sku);
}

void Engine::on(Now now, const Caller& caller, MoveOut&& command) {
  finish(caller, move_out(state_, ledger_, command, times(now)));
}

void Engine::on(Now now, const Caller& caller, MoveIn&& command) {
  finish(caller, move_in(state_, ledger_, command, times(now)));
  stock_came(now, command.sku);
}

void Engine::on(Now now, const Caller& caller, GrantTo&& command) {
  // A repetition has the answer of the first, whatever has become of the target since.
  if (auto answer = ledger_.answered(command.key, digest_of(command)))
    return finish(caller, *std::move(answer));
  if (crdt::Product* product = ledger_.known(command.sku))
    if (auto elsewhere = moved_away(*product)) return finish(caller, *std::move(elsewhere));
  const auto to = resolve(readers(now), command.to);
  if (!to && names_retired(state_, command.to))
    return finish(caller, refused(Code::replica_retired,
                                  "'" + command.to + "' was retired: it sells nothing any more"));
  if (!to)
    return finish(caller,
                  refused(Code::unknown_target, "'" + command.to +
                                                    "' is not another region, node or replica that "
                                                    "this node knows; see GET /v1/cluster"));
  if (!mesh_.reachable(*to) && state_.member(*to)->row.region == command.to)
    return finish(caller,
                  refused(Code::target_unreachable,
                          "no node of region '" + command.to +
                              "' can be reached now, so nobody could sell what it is given; "
                              "try again later, or name one of its nodes to insist"));
  if (const auto* product = state_.product(command.sku);
      product != nullptr && command.quantity > decrees_.grantable(*product, *to))
    return finish(caller,
                  refused(Code::decree_open,
                          "'" + command.to +
                              "' is declared lost: it is given no more than "
                              "its debt until the decree is closed; see GET /v1/failovers"));
  Outcome outcome = ledger_.grant(command, *to, times(now));
  if (outcome.succeeded()) {
    ++counted_.grants_given;
    counted_.units_granted += command.quantity;
    urgent_ = true;
  }
  finish(caller, std::move(outcome));
}

void Engine::on(Now now, const Caller& caller, GetSku&& command) {
  finish(caller, read_sku(readers(now), command));
}

void Engine::on(Now now, const Caller& caller, ListSkus&& command) {
  finish(caller, list_skus(readers(now), command));
}

void Engine::on(Now now, const Caller& caller, GetStock&& command) {
  reads_.push_back({caller.token, read_stock(readers(now), command)});
}

void Engine::on(Now now, const Caller& caller, GetAvailability&& command) {
  reads_.push_back({caller.token, read_availability(readers(now), command)});
}

void Engine::on(Now now, const Caller& caller, ListReservations&& command) {
  finish(caller, list_reservations(readers(now), command));
}

void Engine::on(Now now, const Caller& caller, GetCluster&&) {
  Outcome outcome = read_cluster(readers(now));
  ClusterView& view = *std::get<std::unique_ptr<ClusterView>>(outcome.view);
  const Decrees::Sums sums = decrees_.sums();
  view.exposure = sums.exposure;
  view.debt = sums.debt;
  view.oversold = sums.oversold;
  view.stranded = decrees_.stranded();
  view.open_decrees = decrees_.open();
  finish(caller, std::move(outcome));
}

void Engine::on(Now now, const Caller& caller, GetStats&&) {
  Outcome outcome;
  outcome.view = std::make_unique<Stats>(stats(now));
  reads_.push_back({caller.token, std::move(outcome)});
}

namespace {
Outcome faults_are_off() {
  return refused(Code::faults_disabled,
                 "fault injection is off on this node; start it with [faults] enabled = true");
}
}  // namespace

void Engine::on(Now now, const Caller& caller, SetFault&& command) {
  if (!config_.faults_enabled) return finish(caller, faults_are_off());
  const bool known = resolve(readers(now), command.target).has_value() ||
                     command.target == config_.mesh.region || command.target == config_.mesh.node;
  if (!known)
    return finish(caller, refused(Code::unknown_target,
                                  "no region or node '" + command.target + "' is known here"));
  mesh_.set_fault(now, command.target,
                  {.drop = command.drop, .delay = Millis(command.delay_ms), .loss = command.loss});
  Outcome outcome;
  outcome.view = Faults{{{command.target, command.drop, command.delay_ms, command.loss}}};
  finish(caller, std::move(outcome));
}

void Engine::on(Now now, const Caller& caller, ClearFault&& command) {
  if (!config_.faults_enabled) return finish(caller, faults_are_off());
  mesh_.clear_fault(now, command.target);
  finish(caller, Outcome{});
}

void Engine::on(Now, const Caller& caller, ListFaults&&) {
  if (!config_.faults_enabled) return finish(caller, faults_are_off());
  Faults faults;
  for (const auto& [target, fault] : mesh_.faults())
    faults.items.push_back(
        {target, fault.drop, static_cast<std::uint32_t>(fault.delay.count()), fault.loss});
  Outcome outcome;
  outcome.view = std::move(faults);
  finish(caller, std::move(outcome));
}

void Engine::tick(Now now) {
  wake_at_ = Instant::max();
  std::vector<gossip::MeshEvent> events;
  mesh_.tick(now, state_, events);
  on_mesh(now, std::move(events));
  look_for_confirmation();
  if (!catch_up_.over()) {
    // Nor before all others know of it: who has not heard of this node grants it no rights. One of
    // them may be away, and is not waited for.
    const bool known =
        known_to_all(mesh_, state_, boot_sequence_) || now.instant - started_ >= CatchUp::kAlone;
    catch_up_.tick(now.instant, mesh_.told_anything(), known && mesh_.has_what_was_told(state_));
  }
  const Times at = times_ = times(now);
  if (is_over()) {
    pass_on_held_back(now);
    leave_for_good(now);
    check_calls(now);
    deliver_served(now);
    check_durability(now);
    return wake(mesh_.wake_at());
  }
  const std::size_t ended =
      ledger_.expire(at, kExpiriesAtOnce, [&](const crdt::Hold& hold) { offer_freed(hold, at); });
  counted_.expiries += ended;
  if (ended == kExpiriesAtOnce) wake(now.instant);
  rights_.tick(at);
  check_calls(now);
  deliver_served(now);
  replace_successor(now);
  drain_.tick(now.instant);
  if (!drain_.running()) rebalancer_.tick(now.instant);
  retire_former_self(now);
  decrees_.tick(now.instant, at);
  check_durability(now);
  refresh_member(now);
  purge_.tick(now.instant, at);
  if (now.instant >= keys_due_) {
    state_.drop_keys_before(at.wall_ms - kKeyLifeMs, kKeysDroppedAtOnce);
    copies_.tick();
    look_for_namesakes();
    keys_due_ = now.instant + kKeysEvery;
  }
  wake(mesh_.wake_at());
  wake(rights_.wake_at());
  wake(decrees_.wake_at());
  wake(drain_.running() ? drain_.wake_at() : rebalancer_.wake_at());
  wake(purge_.wake_at());
  if (const std::int64_t due = ledger_.next_deadline(); due != INT64_MAX)
    wake(now.instant +
         Millis(std::max<std::int64_t>(1, std::min<std::int64_t>(due - at.life_ms, 3'600'000))));
  if (moved_since_member_) wake(member_due_);
}

std::vector<crdt::VectorEntry> Engine::acknowledged() const {
  std::vector<crdt::VectorEntry> entries;
  for (const auto& [origin, sequence] : state_.vector())
    entries.push_back({origin, sequence, state_.boot_of(origin, sequence)});
  return entries;
}

void Engine::refresh_member(Now now) {
  if (!moved_since_member_ || now.instant < member_due_) return;
  crdt::MemberRow row = state_.member(state_.self())->row;
  row.acknowledged = acknowledged();
  row.demand_milli = rebalancer_.overall_milli(now.instant);
  drop_covered_boots(row);
  state_.put_member(std::move(row));
  moved_since_member_ = false;
  member_due_ = now.instant + kMemberEvery;
}

// ── batches ─────────────────────────────────────────────────────────────────────────────────────

bool Engine::gathers(Now now) {
  const bool peers_rows_alone = !merged_.empty() && dropped_.empty() && replies_.empty() &&
                                notes_.empty() && !state_.has_unsealed() && !mesh_.has_effects() &&
                                !urgent_ && !checkpoint_hurries() && !fatal_;
  if (!peers_rows_alone || now.instant >= sealed_at_ + kGather) return false;
  wake(sealed_at_ + kGather);
  return true;
}

Sealed Engine::seal(Now now) {
  Sealed sealed;
  JournalValue value{.self = state_.self(), .life_ms = times(now).life_ms};
  for (auto& [origin, part] : merged_) value.parts.push_back(std::move(part));
  merged_.clear();
  value.drops = std::exchange(dropped_, {});
  for (JournalDrop& drop : purge_.take_untold()) value.drops.push_back(std::move(drop));
  if (state_.has_unsealed()) {
    const crdt::Sequence before = state_.head(state_.self());
    JournalPart own{.origin = state_.self()};
    state_.seal(own.rows);
    own.upto = state_.head(state_.self());
    const auto* feed = state_.feed(state_.self());
    for (auto at = feed->begin_after(before); at != feed->end() && !moved_since_member_; ++at)
      moved_since_member_ = at->second->kind != crdt::RowKind::member;
    value.parts.push_back(std::move(own));
  }
  durability_waits_.sealed(state_.head(state_.self()));
  if (!value.parts.empty() || !value.drops.empty()) {
    ++batch_;
    sealed_at_ = now.instant;
    ++counted_.batches;
    sealed.journal = encode(value);
    counted_.journal_bytes += sealed.journal.size();
    journal_since_checkpoint_ += sealed.journal.size();
  }
  sealed.number = batch_;
  add_checkpoint_slice(now, sealed);
  mesh_.cut(now, state_, std::exchange(urgent_, false));
  wake(mesh_.wake_at());
  sealed.replies = std::exchange(replies_, {});
  replies_.reserve(sealed.replies.size());  // the next batch is about as large: none moves
  sealed.net = mesh_.take_effects();
  for (gossip::Note& note : notes_) sealed.net.notes.push_back(std::move(note));
  notes_.clear();
  if (moved_since_member_ && !is_over()) wake(member_due_);
  if (checkpoint_hurries()) {
    wake(now.instant + kSliceEveryHurried);
  } else if (checkpointing_) {
    wake(slice_due_);
  }
  return sealed;
}

void Engine::begin_checkpoint(Now now) {
  checkpoint_is_wanted_ = std::exchange(checkpoint_wanted_, false);
  checkpointing_ = true;
  journal_since_checkpoint_ = 0;
  rows_to_save_ = state_.unsaved();
  rows_taken_ = 0;
  slice_due_ = now.instant + kSliceEvery;
  checkpoint_meta_ = {.self = state_.self(),
                      .batch = batch_,
                      .life_ms = times(now).life_ms,
                      .rows = state_.lasting_rows()};
  dropped_before_it_ = state_.rows_dropped();
  for (const auto& [origin, sequence] : state_.vector())
    checkpoint_meta_.vector.push_back({origin, sequence, state_.floor(origin)});
  state_.begin_checkpoint();
}

// A checkpoint keeps pace with the journal, and is through when that has grown by half of what
// brings the next one. So requests share its cost evenly; that of all rows at once would take a
// fifth of the CPU for seconds. Where little is written, slices come by the clock.
std::size_t Engine::slice_rows(Now now, std::size_t journal_bytes) const {
  if (checkpoint_hurries()) return kSliceRows;
  const double rows_a_byte =
      2.0 * static_cast<double>(rows_to_save_) / static_cast<double>(config_.checkpoint_bytes);
  const auto share = [&](std::uint64_t bytes) {
    return static_cast<std::size_t>(rows_a_byte * static_cast<double>(bytes));
  };
  const bool all = 2 * journal_since_checkpoint_ >= config_.checkpoint_bytes;
  const std::size_t by_now = all ? rows_to_save_ : share(journal_since_checkpoint_);
  const std::size_t due = by_now - std::min(by_now, rows_taken_);
  // A batch of thousands carries twice its own share, or it would outrun the checkpoint.
  if (due >= kSliceRowsLeast || all)
    return std::clamp(due, kSliceRowsLeast, std::max(kSliceRowsMost, 2 * share(journal_bytes)));
  return now.instant >= slice_due_ ? kSliceRows : 0;
}

void Engine::add_checkpoint_slice(Now now, Sealed& sealed) {
  if (!checkpointing_) {
    if (!checkpoint_wanted_ && journal_since_checkpoint_ < config_.checkpoint_bytes) return;
    begin_checkpoint(now);
  }
  const std::size_t rows = store_takes_slice_ ? slice_rows(now, sealed.journal.size()) : 0;
  if (rows > 0 || now.instant >= slice_due_) slice_due_ = now.instant + kSliceEvery;
  if (rows == 0) return;
  rows_taken_ += rows;
  CheckpointSlice slice;
  slice.put.reserve(rows);
  const bool last = state_.save(
      rows,
      [&](const crdt::FeedItem& item, std::string_view key, std::string&& bytes) {
        slice.put.emplace_back(RowAddress{item.origin, item.kind, std::string(key)},
                               std::move(bytes));
      },
      [&](const crdt::FeedItem& item, std::string_view key) {
        slice.drop.push_back({item.origin, item.kind, std::string(key)});
      });
  if (last) {
    checkpointing_ = false;
    slice.journal_through = checkpoint_meta_.batch;
    // Those that were dropped since it began leave the store with this record.
    checkpoint_meta_.rows -=
        std::min(checkpoint_meta_.rows, state_.rows_dropped() - dropped_before_it_);
    slice.meta = encode(checkpoint_meta_);
  }
  sealed.checkpoint = std::move(slice);
}

Stats Engine::stats(Now) const {
  Stats stats = counted_;
  const gossip::MeshStats& net = mesh_.stats();
  stats.frames_received = net.frames_received;
  stats.frames_sent = net.frames_sent;
  stats.bytes_received = net.bytes_received;
  stats.bytes_sent = net.bytes_sent;
  stats.malformed_frames = net.malformed_frames;
  stats.skus = state_.product_count();
  stats.open_holds = state_.open_holds();
  stats.reservations = state_.hold_count();
  stats.waiting = rights_.size();
  stats.peers_known = other_members(state_).size();
  stats.peers_reachable = mesh_.reachable_peers().size();
  stats.decrees_issued = decrees_.issued();
  stats.adoptions = copies_.adoptions();
  stats.copies_overruled = copies_.overruled();
  stats.conflicts = copies_.conflicts();
  stats.keys_undone = copies_.keys_undone();
  stats.holds_purged = state_.purged();
  stats.durability_missed = durability_waits_.missed();
  stats.open_decrees = decrees_.open();
  const Decrees::Sums sums = decrees_.sums();
  stats.exposure = sums.exposure;
  stats.debt = sums.debt;
  stats.oversold = sums.oversold;
  stats.stranded = decrees_.stranded();
  stats.storage_full = storage_full_;
  stats.degraded =
      storage_full_ || stats.peers_reachable < stats.peers_known || mesh_.never_reached() > 0;
  stats.draining = drain_.running();
  stats.ready =
      running_ && !fatal_ && !awaits_peer() && !stats.draining && !stopping_ && catch_up_.over();
  stats.awaits_peer = running_ && !fatal_ && awaits_peer();
  if (stats.awaits_peer) stats.awaited = config_.mesh.peers;
  if (stats.awaits_peer)
    stats.awaited.insert(stats.awaited.end(), config_.mesh.names.begin(), config_.mesh.names.end());
  return stats;
}

}  // namespace holdfast::node
