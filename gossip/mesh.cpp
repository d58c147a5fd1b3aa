#include "gossip/mesh.h"

#include <algorithm>
#include <set>

#include "crdt/boots.h"
#include "crdt/check.h"

namespace holdfast::gossip {

using crdt::Instant;
using crdt::Millis;
using crdt::Now;

namespace {

constexpr Millis kStartAgain{1000};  // and Resume
// Whole deltas on one link; a peer that leaves more unacknowledged acknowledges nothing.
constexpr std::size_t kUnacknowledgedMax = 50'000;
// Of a frame that comes before its sender has proved itself.
constexpr std::size_t kGreetingBytesMax = 16 << 10;
// Origins that a peer may speak of on one link: those that it knows, and those that this node does.
constexpr std::size_t kCursorsMax = 2 * crdt::kOriginsMax;

std::vector<crdt::VectorEntry> entries(const crdt::VersionVector& vector,
                                       const crdt::State& state) {
  std::vector<crdt::VectorEntry> list;
  for (const auto& [origin, sequence] : vector)
    list.push_back({origin, sequence, state.boot_of(origin, sequence)});
  return list;
}

}  // namespace

Mesh::Mesh(MeshConfig config, std::uint64_t seed)
    : config_(std::move(config)), rng_(seed), faults_(config_.region, config_.node) {
  for (const std::string& address : config_.peers) dialer_.add(address);
  for (const std::string& name : config_.names) dialer_.add_name(name);
  dialer_.never(config_.gossip_address);
}

// ── links ───────────────────────────────────────────────────────────────────────────────────────

Session* Mesh::session(LinkId link) {
  const auto at = sessions_.find(link);
  return at == sessions_.end() ? nullptr : at->second.get();
}

Session* Mesh::established(ReplicaId peer) {
  return const_cast<Session*>(std::as_const(*this).established(peer));
}

const Session* Mesh::established(ReplicaId peer) const {
  for (const auto& [link, session] : sessions_)
    if (session->established() && session->replica() == peer) return session.get();
  return nullptr;
}

void Mesh::on_event(Now now, NetEvent&& event, const crdt::State& state,
                    std::vector<MeshEvent>& events) {
  now_ = now;
  if (auto* up = std::get_if<LinkUp>(&event)) {
    wake(now.instant);
    on_link_up(now, std::move(*up));
  } else if (auto* down = std::get_if<LinkDown>(&event)) {
    wake(now.instant);
    on_link_down(now, *down, events);
  } else if (auto* resolved = std::get_if<Resolved>(&event)) {
    wake(now.instant);
    dialer_.resolved(resolved->name, resolved->addresses, now.instant);
  } else if (auto* sent = std::get_if<FramesSent>(&event)) {
    if (Session* on = session(sent->link)) {
      on->outstanding -= std::min(on->outstanding, sent->bytes);
      on->look = true;
    }
  } else {
    auto& in = std::get<FrameIn>(event);
    ++stats_.frames_received;
    stats_.bytes_received += in.bytes.size();
    Session* on = session(in.link);
    if (on == nullptr) return;
    if (on->established()) {
      const LinkFault fault = faults_.on(on->peer.region, on->peer.node);
      if (fault.drop || (fault.loss > 0 && rng_.chance(fault.loss))) return;
      if (fault.delay.count() > 0 || !on->delayed.empty())
        return hold_back(*on, now.instant + fault.delay, true,
                         std::make_shared<const std::string>(std::move(in.bytes)));
    }
    on_frame(now, in.link, in.bytes, state, events);
  }
}

void Mesh::on_link_up(Now now, LinkUp&& up) {
  const LinkId link = up.link;
  auto made = std::make_unique<Session>(std::move(up), now.instant, config_);
  Session& session = *made;
  sessions_[link] = std::move(made);
  send(session, session.own_hello());
}

void Mesh::on_link_down(Now now, const LinkDown& down, std::vector<MeshEvent>& events) {
  if (down.link == 0) return dialer_.failed(down.address, now.instant, rng_);
  const auto at = sessions_.find(down.link);
  if (at == sessions_.end()) return;
  const std::unique_ptr<Session> gone = std::move(at->second);
  sessions_.erase(at);
  if (gone->dialled) {
    if (gone->first_reachable && now.instant - *gone->first_reachable >= Dialer::kLasting)
      dialer_.lasted(gone->address);
    dialer_.failed(gone->address, now.instant, rng_);
  }
  if (gone->established())
    effects_.notes.push_back({false, "link to " + gone->peer.node + " ended: " + down.reason});
  lose_calls(down.link, events);
}

void Mesh::lose_calls(LinkId link, std::vector<MeshEvent>& events) {
  CallsLost lost;
  for (const auto& [id, call] : calls_)
    if (call.link == link) lost.ids.push_back(id);
  for (const std::uint64_t id : lost.ids) calls_.erase(id);
  if (!lost.ids.empty()) events.emplace_back(std::move(lost));
}

void Mesh::forget_old_calls(Now now, std::vector<MeshEvent>& events) {
  CallsLost lost;
  while (!calls_.empty() && now.instant - calls_.begin()->second.at >= config_.call_limit) {
    lost.ids.push_back(calls_.begin()->first);
    calls_.erase(calls_.begin());
  }
  if (!lost.ids.empty()) events.emplace_back(std::move(lost));
}

void Mesh::drop(Session& session, const std::string& reason, bool warning) {
  if (session.phase == Session::Phase::closing) return;
  session.phase = Session::Phase::closing;
  effects_.notes.push_back(
      {warning, "closing link" + (session.peer.node.empty() ? "" : " to " + session.peer.node) +
                    (session.address.empty() ? "" : " (" + session.address + ")") + ": " + reason});
  effects_.close.emplace_back(session.link, reason);
}

// ── frames ──────────────────────────────────────────────────────────────────────────────────────

void Mesh::send(Session& session, const Frame& frame) {
  send_bytes(session, std::make_shared<const std::string>(encode(frame)));
}

void Mesh::send_bytes(Session& session, FrameBytes bytes) {
  ++stats_.frames_sent;
  stats_.bytes_sent += bytes->size();
  if (session.established()) {
    const LinkFault fault = faults_.on(session.peer.region, session.peer.node);
    if (fault.drop || (fault.loss > 0 && rng_.chance(fault.loss))) return;
    if (fault.delay.count() > 0 || !session.delayed.empty()) {
      session.outstanding += bytes->size();
      hold_back(session, now_.instant + fault.delay, false, std::move(bytes));
      return;
    }
  }
  session.outstanding += bytes->size();
  effects_.send.emplace_back(session.link, std::move(bytes));
}

// In order, also while a delay is being shortened or lifted.
void Mesh::hold_back(Session& session, Instant due, bool inbound, FrameBytes bytes) {
  if (!session.delayed.empty()) due = std::max(due, session.delayed.back().due);
  session.delayed.push_back({due, inbound, std::move(bytes)});
  wake(due);
}

void Mesh::release_delayed(Now now, const crdt::State& state, std::vector<MeshEvent>& events) {
  for (auto& [link, session] : sessions_) {
    while (!session->delayed.empty() && session->delayed.front().due <= now.instant) {
      // One event at a time: the engine must merge a delta before that which follows it is judged.
      if (!events.empty()) break;
      Session::Delayed frame = std::move(session->delayed.front());
      session->delayed.pop_front();
      const bool dropped = faults_.on(session->peer.region, session->peer.node).drop;
      if (!frame.inbound && dropped) {
        session->outstanding -= std::min(session->outstanding, frame.bytes->size());
      } else if (!frame.inbound) {
        effects_.send.emplace_back(link, std::move(frame.bytes));
      } else if (!dropped) {
        on_frame(now, link, *frame.bytes, state, events);
      }
    }
    if (!session->delayed.empty()) wake(std::max(session->delayed.front().due, now.instant));
  }
}

void Mesh::on_frame(Now now, LinkId link, std::string_view bytes, const crdt::State& state,
                    std::vector<MeshEvent>& events) {
  Session* on = session(link);
  if (on == nullptr) return;
  if (on->phase == Session::Phase::closing) return;
  on->last_frame = now.instant;
  if (!on->established() && bytes.size() > kGreetingBytesMax)
    return drop(*on, "a greeting that is too long", true);
  auto frame = decode(bytes);
  if (!frame.ok()) {
    ++stats_.malformed_frames;
    return drop(*on, std::string(frame.status().message()), true);
  }
  act(now, *on, *std::move(frame), state, events);
}

void Mesh::act(Now now, Session& session, Frame&& frame, const crdt::State& state,
               std::vector<MeshEvent>& events) {
  if (auto* hello = std::get_if<Hello>(&frame)) {
    if (const absl::Status status = session.greet(std::move(*hello)); !status.ok())
      return drop(session, std::string(status.message()), true);
    if (session.replica() == config_.self) {
      if (session.dialled) dialer_.never(session.address);
      if (session.peer.boot != config_.boot)
        return drop(session,
                    "another live process has this node's identity: is its data "
                    "directory a copy of this one's?",
                    true);
      return drop(session, "it is this node itself", false);
    }
    if (faults_.on(session.peer.region, session.peer.node).drop)
      return drop(session, "a link fault is set", false);
    return send(session, session.proof(config_));
  }
  if (auto* prove = std::get_if<Prove>(&frame)) {
    if (session.phase != Session::Phase::proving)
      return drop(session, "a proof before a greeting", true);
    if (!session.proves(*prove, config_))
      return drop(session,
                  "wrong cluster secret: " + session.peer.node + " has another one than this node",
                  true);
    if (session.dialled) dialer_.reached(session.address, session.replica());
    if (!admit(session, state, events)) return;
    return beat(now, session, state);
  }
  if (!session.established()) return drop(session, "a frame before the handshake", true);

  if (!std::holds_alternative<Heartbeat>(frame)) session.look = true;
  if (auto* start = std::get_if<Start>(&frame)) {
    // A second one: the peer has not heard ours. Once in a while only: where both say it a second
    // time, each answer would call for another, for ever.
    if (session.started && now.instant - session.last_start >= kStartAgain)
      this->start(session, state);
    session.started = learn(start->vector, start->yours, session, state, events) || session.started;
  } else if (auto* news = std::get_if<News>(&frame)) {
    hear(now, session, std::move(*news), state, events);
  } else if (auto* resume = std::get_if<Resume>(&frame)) {
    session.news_out.restart();
    session.news_owed = true;  // it waits for them, even if it lacks no rows
    for (auto& [origin, told] : session.told) told = 0;
    session.tell_now = true;
    ++moves_;
    // It shows a fork, but not from which of its boots on the histories part: that is in a Start,
    // with which the peer answers another one. Nothing is sent until it has come.
    std::vector<MeshEvent> shown;
    if (!learn(resume->vector, {}, session, state, shown)) {
      session.started = false;
      this->start(session, state);
    }
  } else if (auto* beat_in = std::get_if<Heartbeat>(&frame)) {
    last_heard_[session.replica()] = now.instant;
    session.liveness.heard(now.instant, beat_in->number, beat_in->echo, Millis(beat_in->held_ms));
    session.marks.emplace_back(beat_in->sequence, beat_in->wall_ms);
    if (session.marks.size() > 64) session.marks.pop_front();
    const bool reachable = session.liveness.reachable(now.instant, config_.suspect_after);
    if (reachable && !session.was_reachable) {
      session.was_reachable = true;
      if (!session.first_reachable) session.first_reachable = now.instant;
      for (auto& [link, other] : sessions_)  // it brings its own rows from now on
        if (other->fed.erase(session.replica()) > 0) tell_at_once(*other, session.replica());
      ++moves_;
      // What was sent into the dark is sent again. A delta that is under way goes on: if a piece of
      // it was lost, the peer will say so, and one that is long must not begin anew at each hiccup.
      for (auto& [origin, cursor] : session.cursors)
        if (!cursor.open) cursor.sent = cursor.known;
      effects_.notes.push_back({false, session.peer.node + " is reachable"});
    }
    // An echo at once while the peer waits for its first one: reachable after one round trip.
    if (beat_in->echo == 0) beat(now, session, state);
  } else if (auto* call = std::get_if<Call>(&frame)) {
    events.push_back(CallIn{session.replica(), session.link, call->id, std::move(call->body)});
  } else if (auto* answer = std::get_if<Answer>(&frame)) {
    const auto at = calls_.find(answer->id);
    if (at == calls_.end() || at->second.link != session.link) return;  // given up long ago
    calls_.erase(at);
    events.push_back(AnswerIn{answer->id, std::move(answer->body)});
  }
  if (session.cursors.size() > kCursorsMax)
    drop(session, "it names more replicas than a cluster has", true);
}

// A link has proved itself. One stays between two replicas: that which the lower id dialled.
bool Mesh::admit(Session& session, const crdt::State& state, std::vector<MeshEvent>& events) {
  if (const crdt::Member* member = state.member(session.replica());
      member != nullptr && member->row.ended) {
    start(session, state);  // so it learns that its last row is here
    drop(session, "it was retired, and has written its last row", true);
    return false;
  }
  if (Session* other = established(session.replica())) {
    const bool other_alive = now_.instant - other->last_frame < config_.suspect_after;
    if (other->peer.boot != session.peer.boot && other_alive) {
      // If it is a copy that has gone its own way, it sees so from this, and stops.
      start(session, state);
      drop(session, "another live process has the identity of " + other->peer.node, true);
      return false;
    }
    const auto preferred = [&](const Session& candidate) {
      return candidate.dialled == (config_.self < candidate.replica());
    };
    if (other_alive && preferred(*other) && !preferred(session)) {
      drop(session, "a second link", false);
      return false;
    }
    // It is the same process that answered a moment ago: it does not become unreachable for the
    // round trip that would show it on this link too.
    if (other->peer.boot == session.peer.boot && other->was_reachable) {
      session.liveness.inherit(other->liveness);
      session.was_reachable = true;
      session.first_reachable = now_.instant;
    }
    drop(*other, "replaced by a newer link", false);
    lose_calls(other->link, events);
  }
  session.phase = Session::Phase::established;
  if (!session.peer.gossip_address.empty())
    dialer_.add(session.peer.gossip_address, session.replica());
  start(session, state);
  return true;
}

void Mesh::start(Session& session, const crdt::State& state) {
  session.last_start = now_.instant;
  // Own changes of this turn are stamped only at its end; the vector names what is stamped.
  send(session, Start{entries(state.vector(), state), state.boots(session.replica())});
}

// The peer stands at this vector. False: it shows that this replica is a fork.
bool Mesh::learn(const std::vector<crdt::VectorEntry>& vector,
                 const std::vector<crdt::Boot>& own_boots, Session& session,
                 const crdt::State& state, std::vector<MeshEvent>& events) {
  session.stated.clear();
  session.foreign.clear();
  for (auto& [origin, cursor] : session.cursors) {  // of those that it doesn't name it has nothing
    cursor.known = cursor.sent = 0;
    cursor.open = false;
  }
  for (const crdt::VectorEntry& entry : vector) {
    const Sequence head = state.head(entry.origin);
    if (entry.origin == config_.self &&
        !crdt::is_latest(state.boots(config_.self), head, entry.sequence, entry.boot)) {
      const std::string theirs = std::to_string(entry.sequence);
      events.push_back(
          Forked{entry.sequence > head
                     ? session.peer.node + " has writes of this replica up to " + theirs +
                           ", its own data directory only up to " + std::to_string(head)
                     : session.peer.node + " has write " + theirs +
                           " of this replica from a start that this data directory knows nothing "
                           "of, or knows otherwise",
                 own_boots});
      return false;
    }
    if (!state.retired(session.replica())) stated_.raise(entry.origin, entry.sequence);
    Cursor& cursor = session.cursors[entry.origin];
    cursor.known = cursor.sent = entry.sequence;
    session.stated[entry.origin] = entry;
    judge(session, entry, state);
  }
  return true;
}

// Whether the peer's copy of an origin and this node's belong together.
void Mesh::judge(Session& session, const crdt::VectorEntry& entry, const crdt::State& state) {
  if (!state.voided(entry.boot) &&
      crdt::same_history(state.boots(entry.origin), state.head(entry.origin), entry.sequence,
                         entry.boot))
    return;
  session.foreign.insert(entry.origin);
  if (!foreign_noted_.emplace(session.replica(), entry.origin).second) return;
  const crdt::Member* member = state.member(entry.origin);
  effects_.notes.push_back(
      {true, "what " + session.peer.node + " has of replica " + crdt::to_string(entry.origin) +
                 (member == nullptr ? "" : " (" + member->row.node + ")") +
                 " is not of the history that is here: its data directory was rolled back or "
                 "copied. Nothing of it is exchanged with " +
                 session.peer.node + " until one of the two is known to be void"});
}

// By the origin's member row: every boot begins with one. A delta that has none brings no boot: the
// one that wrote its end is in the history that is here, or it is of another. Its link may have
// compared both before one of the two ends took another copy's rows, on another link.
bool Mesh::belongs(const crdt::Delta& delta, const crdt::State& state) const {
  const auto& boots = state.boots(delta.origin);
  const Sequence head = state.head(delta.origin);
  for (const crdt::DecodedRow& row : delta.rows) {
    if (row.kind != crdt::RowKind::member) continue;
    const auto& theirs = std::get<crdt::MemberRow>(row.payload).boots;
    return !state.any_voided(theirs) && crdt::continues(boots, head, theirs, delta.to);
  }
  return !state.voided(delta.boot) &&
         crdt::same_history(boots, std::max(head, delta.to), delta.to, delta.boot);
}

void Mesh::forget(ReplicaId origin, const crdt::State& state) {
  ++moves_;
  for (auto& [link, session] : sessions_) {
    if (!session->established()) continue;
    session->news_in.ask_anew();
    session->staging.drop(origin);
    session->told.erase(origin);
    session->fed.erase(origin);
    Cursor& cursor = session->cursors[origin];
    cursor.known = cursor.sent = 0;
    cursor.open = false;
    session->foreign.erase(origin);
    if (const auto at = session->stated.find(origin); at != session->stated.end())
      judge(*session, at->second, state);
    session->look = true;
  }
  wake(now_.instant);
}

void Mesh::hear(Now now, Session& session, News&& news, const crdt::State& state,
                std::vector<MeshEvent>& events) {
  session.news_out.applied(news.applied, [&](ReplicaId origin, Sequence upto) {
    Cursor& cursor = session.cursors[origin];
    cursor.known = std::max(cursor.known, upto);
    cursor.last_progress = now.instant;
    cursor.feeds = true;
  });
  if (!session.news_in.follows(news)) return;
  if (session.news_in.names() > crdt::kOriginsMax)
    return drop(session, "news of too many replicas", true);
  for (const News::Has& has : news.has) {
    if (has.name >= session.news_in.names())
      return drop(session, "news of a replica without a name", true);
    const News::Name& name = session.news_in.name(has.name);
    judge(session, {name.origin, has.sequence, name.boot}, state);
    if (session.foreign.contains(name.origin)) continue;
    Cursor& cursor = session.cursors[name.origin];
    cursor.known = std::max(cursor.known, has.sequence);
    cursor.last_progress = now.instant;
    cursor.feeds = false;
  }
  session.news_owed = session.news_owed || !news.parts.empty();
  for (News::Part& part : news.parts) {
    if (session.phase == Session::Phase::closing || session.news_in.lost()) return;
    stage(session, session.news_in.piece(std::move(part)), state, events);
  }
}

void Mesh::stage(Session& session, crdt::Piece&& piece, const crdt::State& state,
                 std::vector<MeshEvent>& events) {
  const ReplicaId origin = piece.origin;
  if (origin == config_.self) return;  // nobody tells us what we wrote
  if (session.foreign.contains(origin)) return;
  auto delta = session.staging.add(std::move(piece));
  if (!delta.ok()) {
    if (absl::IsFailedPrecondition(delta.status())) return session.news_in.refuse();
    ++stats_.malformed_frames;
    return drop(session, std::string(delta.status().message()), true);
  }
  if (!delta->has_value()) return;
  if ((*delta)->from > state.head(origin)) return session.news_in.refuse();
  if (!belongs(**delta, state))  // a new link begins with a comparison
    return drop(
        session,
        "what it has of replica " + crdt::to_string(origin) + " is not of the history that is here",
        true);
  if (origin != session.replica()) {
    if ((*delta)->to <= state.head(origin) || reachable(origin)) {
      tell_at_once(session, origin);
    } else {
      session.told.erase(origin);
      session.fed.insert(origin);
    }
  }
  events.push_back(DeltaIn{session.link, session.replica(), **std::move(delta)});
}

void Mesh::merged(LinkId link, ReplicaId origin, Sequence to) {
  ++moves_;
  Session* on = session(link);
  if (on == nullptr) return;
  Cursor& cursor = on->cursors[origin];  // it had this when it sent it: never echo
  cursor.known = std::max(cursor.known, to);
  if (!cursor.open) cursor.sent = std::max(cursor.sent, cursor.known);
}

void Mesh::reject(LinkId link, const std::string& reason) {
  ++stats_.malformed_frames;
  if (Session* on = session(link)) drop(*on, reason, true);
}

// ── time ────────────────────────────────────────────────────────────────────────────────────────

void Mesh::beat(Now now, Session& session, const crdt::State& state) {
  session.last_beat = now.instant;
  send(
      session,
      Heartbeat{.number = session.liveness.next_number(now.instant),
                .echo = session.liveness.to_echo(),
                .sequence = state.head(config_.self),
                .wall_ms = now.wall.time_since_epoch().count(),
                .held_ms = static_cast<std::uint32_t>(session.liveness.held(now.instant).count())});
}

void Mesh::tick(Now now, const crdt::State& state, std::vector<MeshEvent>& events) {
  now_ = now;
  if (now.instant < wake_at_) return;
  wake_at_ = now.instant + config_.heartbeat;
  release_delayed(now, state, events);
  forget_old_calls(now, events);
  for (const auto& [replica, member] : state.members())
    if (replica != config_.self && !member->row.gossip_address.empty())
      dialer_.add(member->row.gossip_address, replica);

  std::set<ReplicaId> linked;
  for (auto& [link, session] : sessions_) {
    if (!session->established()) {
      if (now.instant - session->opened >= config_.handshake)
        drop(*session, "no handshake in time", true);
      continue;
    }
    linked.insert(session->replica());
    if (!session->started && now.instant - session->last_start >= kStartAgain)
      start(*session, state);  // the peer's was lost: it answers a second one of ours
    if (now.instant - session->last_beat >= config_.heartbeat) beat(now, *session, state);
    wake(session->last_beat + config_.heartbeat);
    const bool faulted = faults_.on(session->peer.region, session->peer.node).drop;
    if (now.instant - session->last_frame >= config_.silence && !faulted) {
      drop(*session, "silent for too long", true);
      lose_calls(link, events);
      continue;
    }
    const bool reachable = session->liveness.reachable(now.instant, config_.suspect_after);
    if (session->was_reachable && !reachable) {
      session->was_reachable = false;
      lose_calls(link, events);
      effects_.notes.push_back({true, session->peer.node + " is unreachable"});
    }
  }
  for (std::string& address : dialer_.due(now.instant, linked))
    effects_.dial.push_back(std::move(address));
  for (std::string& name : dialer_.names_due(now.instant))
    effects_.resolve.push_back(std::move(name));
  wake(std::max(dialer_.next(linked), now.instant + Millis(1)));
}

// ── what peers lack ─────────────────────────────────────────────────────────────────────────────

const crdt::Piece& Mesh::piece(const crdt::State& state, ReplicaId origin, Sequence from,
                               Sequence after) {
  for (const crdt::Piece& cached : cache_)
    if (cached.origin == origin && cached.from == from && cached.after == after) return cached;
  return cache_.emplace_back(crdt::cut_piece(state, origin, from, after, config_.piece_bytes));
}

void Mesh::cut_for(Now now, Session& session, const crdt::State& state, bool urgent) {
  if (!session.started || !session.was_reachable) return;
  const bool idle = session.outstanding == 0;
  bool may_push = urgent || now.instant - session.last_push >= config_.push;
  for (const auto& [origin, head] : state.vector()) {
    if (origin == session.replica() || session.foreign.contains(origin)) continue;
    Cursor& cursor = session.cursors[origin];
    if (idle && cursor.writing) {
      cursor.writing = false;
      cursor.last_progress = now.instant;
    }
    if (idle && cursor.sent > cursor.known && !cursor.open &&
        now.instant - cursor.last_progress >= config_.rewind_after) {
      cursor.sent = cursor.known;
      cursor.last_progress = now.instant;
    }
    if (!cursor.open) cursor.sent = std::max(cursor.sent, cursor.known);
    if (cursor.open && !crdt::still_whole(state, origin, cursor.from, cursor.begun)) {
      cursor.sent = 0;  // a full transfer, from its beginning
      cursor.open = false;
    }
    if (cursor.sent >= head && !cursor.open) continue;
    if (origin == config_.self) {
      if (!may_push && !cursor.open) {
        session.look_at = std::min(session.look_at, session.last_push + config_.push);
        continue;
      }
    } else if (!cursor.open && !cursor.feeds) {
      if (cursor.sent >= cursor.lacking) {  // has what was here then; what is new begins to count
        cursor.lacking = head;
        cursor.lacking_since = now.instant;
      }
      // From a peer far away, word that it has them takes a while.
      const Instant due =
          cursor.lacking_since + config_.relay_after + std::max(session.liveness.rtt(), Millis(0));
      if (now.instant < due) {
        session.look_at = std::min(session.look_at, due);
        continue;
      }
    }
    while (session.outstanding + session.news_out.bytes() < config_.window_bytes &&
           (cursor.open || cursor.sent < head)) {
      if (!cursor.open) {
        cursor.from = cursor.sent = crdt::begin_of_delta(state, origin, cursor.sent);
        cursor.begun = head;
      }
      const crdt::Piece& next = piece(state, origin, cursor.from, cursor.sent);
      session.news_out.put(next);
      cursor.sent = next.upto;
      cursor.open = !next.last;
      cursor.writing = true;
      cursor.last_progress = now.instant;
      session.last_push = now.instant;
      if (session.news_out.bytes() >= config_.piece_bytes) send_news(session);
    }
  }
}

void Mesh::send_news(Session& session) {
  session.news_owed = false;
  send(session, session.news_out.take(session.news_in.number()));
}

void Mesh::tell_at_once(Session& session, ReplicaId origin) {
  session.told[origin] = 0;
  session.tell_now = true;
  ++moves_;
}

// What the peer need not relay.
void Mesh::tell(Now now, Session& session, const crdt::State& state) {
  if (!session.was_reachable || session.moves_told == moves_) return;
  const Instant due = session.last_told + config_.relay_after / 2;
  // Rather beside something else than in a frame of its own.
  const bool beside = session.news_owed || !session.news_out.empty();
  if (!session.tell_now && now.instant < (beside ? due - config_.relay_after / 4 : due))
    return wake(due);
  session.tell_now = false;
  session.last_told = now.instant;
  session.moves_told = moves_;
  for (const auto& [link, other] : sessions_)
    if (other->was_reachable && other->replica() != session.replica())
      session.told.try_emplace(other->replica());
  for (auto& [origin, told] : session.told) {
    const Sequence head = state.head(origin);
    if (head <= told || session.cursors[origin].feeds || session.foreign.contains(origin)) continue;
    session.news_out.put_has(origin, head, state.boot_of(origin, head));
    told = head;
  }
}

void Mesh::ask_to_resume(Now now, Session& session, const crdt::State& state) {
  if (!session.news_in.lost()) return;
  // The answer to the last one may be on its way.
  const Millis pause = std::max(kStartAgain, 2 * session.liveness.rtt());
  if (session.last_resume && now.instant < *session.last_resume + pause)
    return wake(*session.last_resume + pause);
  session.last_resume = now.instant;
  send(session, Resume{entries(state.vector(), state)});
}

void Mesh::cut(Now now, const crdt::State& state, bool urgent) {
  now_ = now;
  for (auto& [link, session] : sessions_) {
    if (!session->established()) continue;
    while (!session->marks.empty() &&
           session->marks.front().first <= state.head(session->replica())) {
      std::int64_t& as_of = as_of_[session->replica()];
      as_of = std::max(as_of, session->marks.front().second);
      session->marks.pop_front();
    }
    ask_to_resume(now, *session, state);
    const Sequence own = state.head(config_.self);
    if (urgent || session->look || session->moves_looked != moves_ || session->own_looked != own ||
        now.instant >= std::min(session->look_at, session->looked + config_.heartbeat)) {
      session->look = false;
      session->looked = now.instant;
      session->look_at = Instant::max();
      session->moves_looked = moves_;
      session->own_looked = own;
      cut_for(now, *session, state, urgent);
    }
    wake(session->look_at);
    tell(now, *session, state);
    if (session->news_owed || !session->news_out.empty()) send_news(*session);
    if (session->news_out.unacknowledged() > kUnacknowledgedMax)
      drop(*session, "it acknowledges nothing", true);
  }
  cache_.clear();
}

// ── calls, views, faults ────────────────────────────────────────────────────────────────────────

Sequence Mesh::acknowledged_by(ReplicaId peer) const {
  const Session* on = established(peer);
  if (on == nullptr) return 0;
  const auto cursor = on->cursors.find(config_.self);
  return cursor == on->cursors.end() ? 0 : cursor->second.known;
}

bool Mesh::lacks(ReplicaId origin, const crdt::State& state) const {
  return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    const Session& on = *entry.second;
    if (!on.was_reachable || on.foreign.contains(origin)) return false;
    const auto cursor = on.cursors.find(origin);
    return !on.started || (cursor != on.cursors.end() && cursor->second.known > state.head(origin));
  });
}

bool Mesh::passed_on_all(const crdt::State& state) const {
  return std::all_of(state.vector().begin(), state.vector().end(), [&](const auto& entry) {
    const auto& [origin, head] = entry;
    if (stated_[origin] >= head) return true;
    return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& link) {
      const Session& to = *link.second;
      if (!to.established() || state.retired(to.replica())) return false;
      const auto cursor = to.cursors.find(origin);
      return to.replica() == origin || (cursor != to.cursors.end() && cursor->second.known >= head);
    });
  });
}

bool Mesh::reachable(ReplicaId peer) const {
  const Session* on = established(peer);
  return on != nullptr && on->was_reachable;
}

bool Mesh::unheard_of(const crdt::State& state) const {
  const std::vector<ReplicaId> reached = dialer_.reached_once();
  if (std::any_of(reached.begin(), reached.end(),
                  [&](ReplicaId replica) { return state.head(replica) == 0; }))
    return true;
  return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    const Session& on = *entry.second;
    if (!on.established()) return false;
    return !on.started || std::any_of(on.cursors.begin(), on.cursors.end(), [&](const auto& at) {
      return at.second.known > 0 && state.head(at.first) == 0;
    });
  });
}

bool Mesh::told_anything() const {
  return std::any_of(sessions_.begin(), sessions_.end(), [](const auto& entry) {
    return entry.second->established() && entry.second->started;
  });
}

bool Mesh::has_what_was_told(const crdt::State& state) const {
  return std::all_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    const Session& on = *entry.second;
    if (!on.established() || state.retired(on.replica())) return true;
    return on.started && std::all_of(on.stated.begin(), on.stated.end(), [&](const auto& stated) {
             return on.foreign.contains(stated.first) ||
                    state.head(stated.first) >= stated.second.sequence;
           });
  });
}

std::vector<ReplicaId> Mesh::reachable_peers() const {
  std::vector<std::pair<Millis, ReplicaId>> peers;
  for (const auto& [link, session] : sessions_)
    if (session->established() && session->was_reachable)
      peers.emplace_back(session->liveness.rtt(), session->replica());
  std::sort(peers.begin(), peers.end());
  std::vector<ReplicaId> ids;
  for (const auto& [rtt, id] : peers) ids.push_back(id);
  return ids;
}

PeerView Mesh::view(Now now, ReplicaId peer) const {
  PeerView view;
  if (const auto at = as_of_.find(peer); at != as_of_.end()) view.as_of = at->second;
  if (const auto at = last_heard_.find(peer); at != last_heard_.end())
    view.last_heard_ms = (now.instant - at->second).count();
  const Session* on = established(peer);
  if (on == nullptr) return view;
  view.connected = true;
  view.reachable = on->was_reachable;
  if (on->liveness.ever_heard()) view.rtt_ms = on->liveness.rtt().count();
  if (const auto at = on->cursors.find(config_.self); at != on->cursors.end())
    view.acknowledged = at->second.known;
  return view;
}

std::uint64_t Mesh::call(ReplicaId peer, std::string body) {
  Session* on = established(peer);
  if (on == nullptr || !on->was_reachable) return 0;
  const std::uint64_t id = ++last_call_;
  calls_[id] = {on->link, now_.instant};
  send(*on, Call{id, std::move(body)});
  return id;
}

void Mesh::answer(LinkId link, std::uint64_t id, std::string body) {
  Session* on = session(link);
  if (on != nullptr && on->established()) send(*on, Answer{id, std::move(body)});
}

void Mesh::set_fault(Now now, const std::string& target, LinkFault fault) {
  faults_.set(target, fault);
  wake(now.instant);
}

bool Mesh::clear_fault(Now now, const std::string& target) {
  if (!faults_.clear(target)) return false;
  dialer_.retry_now(now.instant);
  for (auto& [link, session] : sessions_) session->last_beat = {};  // heartbeats at once
  wake(now.instant);
  return true;
}

}  // namespace holdfast::gossip
