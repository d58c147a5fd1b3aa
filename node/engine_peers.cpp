// What peers bring, ask and answer.

#include <algorithm>

#include "crdt/boots.h"
#include "crdt/check.h"
#include "node/engine.h"

namespace holdfast::node {

using crdt::Now;

namespace {

// That node is in no state to decide about a reservation, or has not heard yet of its SKUs.
bool cannot_say(Code code) {
  return code == Code::unknown_sku || code == Code::overloaded || code == Code::storage_full ||
         code == Code::stopping || code == Code::awaiting_peer || code == Code::home_unreachable;
}

}  // namespace

void Engine::on_net(Now now, gossip::NetEvent&& event) {
  std::vector<gossip::MeshEvent> events;
  mesh_.on_event(now, std::move(event), state_, events);
  on_mesh(now, std::move(events));
  deliver_served(now);
}

void Engine::on_mesh(Now now, std::vector<gossip::MeshEvent>&& events) {
  for (gossip::MeshEvent& event : events) {
    if (auto* delta = std::get_if<gossip::DeltaIn>(&event)) {
      on_delta(now, std::move(*delta));
    } else if (auto* call = std::get_if<gossip::CallIn>(&event)) {
      on_call(now, std::move(*call));
    } else if (auto* answer = std::get_if<gossip::AnswerIn>(&event)) {
      on_answer(now, answer->id, answer->body);
    } else if (auto* lost = std::get_if<gossip::CallsLost>(&event)) {
      for (const std::uint64_t call : lost->ids) on_lost(now, call);
    } else if (auto* forked = std::get_if<gossip::Forked>(&event)) {
      note_fork(forked->detail, crdt::void_boots(state_.boots(state_.self()), forked->theirs));
    }
  }
}

void Engine::on_delta(Now now, gossip::DeltaIn&& in) {
  const ReplicaId origin = in.delta.origin;
  times_ = times(now);
  // Judged when it came; a delta before it in the same frame may have made its origin's rows void.
  if (in.delta.from > state_.head(origin) || !mesh_.belongs(in.delta, state_)) return;
  if (in.delta.to <= state_.head(origin) && in.delta.rows.empty()) {
    return mesh_.merged(in.link, origin, in.delta.to);
  }
  std::vector<crdt::StockCell*> known(in.delta.rows.size());  // what they replace
  for (std::size_t i = 0; i < known.size(); ++i)              // all of it, or nothing
    if (const absl::Status status = state_.fits(origin, in.delta.rows[i], &known[i]); !status.ok())
      return mesh_.reject(in.link, std::string(status.message()));
  const bool replaces = in.delta.full() && state_.head(origin) > 0;
  const auto present = replaces ? in.delta.hold_ids() : crdt::State::HoldIds();
  std::vector<crdt::Product*> changed;  // that carts may wait for
  bool void_boots = false;
  JournalPart& part = merged_[origin];
  part.origin = origin;
  std::string_view left = in.delta.bytes;
  for (std::size_t i = 0; i < known.size(); ++i) {
    crdt::DecodedRow& row = in.delta.rows[i];
    const std::string_view bytes = left.substr(0, row.bytes);
    left.remove_prefix(row.bytes);
    const bool stock = row.kind == crdt::RowKind::stock;
    crdt::PeerTotals before;  // what its last version said of this replica
    if (stock)
      if (const crdt::StockCell* cell = known[i] != nullptr ? known[i] : stock_of(origin, row.key))
        if (const crdt::PeerTotals* mine = cell->row.find(state_.self())) before = *mine;
    auto merged = state_.merge(origin, std::move(row), known[i]);
    if (!merged.ok())  // it contradicts itself: the vector does not move
      return mesh_.reject(in.link, std::string(merged.status().message()));
    if (*merged == nullptr) continue;
    // Member rows alone must not make member rows move, or they would cause one another for ever.
    moved_since_member_ = moved_since_member_ || (*merged)->kind != crdt::RowKind::member;
    ++counted_.rows_merged;
    part.rows += bytes;  // as they came: nothing is written anew
    if (!stock) {
      if ((*merged)->kind == crdt::RowKind::member)
        void_boots =
            void_boots || !static_cast<const crdt::Member&>(**merged).row.voided_boots.empty();
      on_merged(**merged);
      continue;
    }
    auto& cell = static_cast<crdt::StockCell&>(**merged);
    rebalancer_.changed(*cell.product);
    decrees_.merged(*cell.product, origin, before);
    if (rights_.size() > 0) changed.push_back(cell.product);
    const crdt::PeerTotals* mine = cell.row.find(state_.self());
    if (mine == nullptr || mine->granted == before.granted) continue;
    ++counted_.grants_received;
    counted_.units_received_by_grant += mine->granted - before.granted;
  }
  state_.advance(origin, in.delta.to);
  if (replaces)
    if (auto holds = state_.drop_absent(origin, in.delta.to, present); !holds.empty()) {
      for (const crdt::HoldVersion& hold : holds) estate_.gone(hold.id, times_);
      dropped_.push_back({.origin = origin, .holds = std::move(holds)});
    }
  part.upto = std::max(part.upto, in.delta.to);
  ++counted_.deltas_applied;
  mesh_.merged(in.link, origin, in.delta.to);
  if (void_boots) drop_void_rows();
  if (!taken_anew_.empty()) look_for_what_is_gone(origin);
  for (crdt::Product* product : changed) rights_.gained(*product, times(now));
}

// Not known before its delta came; nullptr: nor now. (One SKU may come twice in one delta.)
const crdt::StockCell* Engine::stock_of(ReplicaId origin, const std::string& sku) const {
  const crdt::Product* product = state_.product(sku);
  return product == nullptr ? nullptr : std::as_const(product->stock).find(origin);
}

void Engine::on_merged(const crdt::FeedItem& item) {
  if (item.kind == crdt::RowKind::hold) {
    const auto& hold = static_cast<const crdt::Hold&>(item);
    estate_.merged(hold, times_);
    if (hold.copied) copies_.settle(hold.id, times_);
  } else if (item.kind == crdt::RowKind::key) {
    copies_.settle_key(static_cast<const crdt::Key&>(item).key, times_);
  } else if (item.kind == crdt::RowKind::decree) {
    decrees_.merged_decree();
  } else if (item.kind == crdt::RowKind::member) {
    decrees_.merged_member();
  }
}

void Engine::on_call(Now now, gossip::CallIn&& in) {
  auto body = decode_call(in.body);
  if (!body.ok()) return mesh_.reject(in.link, std::string(body.status().message()));
  const Caller caller{.token = in.id, .link = in.link};
  if (auto* forwarded = std::get_if<Forward>(&*body)) {
    Command command;
    std::visit([&](auto&& c) { command = std::move(c); }, std::move(forwarded->command));
    run(now, caller, std::move(command));
  } else if (auto* find = std::get_if<Find>(&*body)) {
    const crdt::Hold* hold = state_.hold(find->id);
    const bool here = hold != nullptr || rights_.waiting(find->id);
    mesh_.answer(in.link, in.id,
                 encode_answer(Found{here, hold != nullptr ? hold->origin : state_.self()}));
  } else {
    const AskRights& ask = std::get<AskRights>(*body);
    const Granted granted = grant_on_request(ask, in.peer);
    if (granted.given > 0) {
      urgent_ = true;
      ++counted_.grants_given;
      counted_.units_granted += granted.given;
    } else {
      ++counted_.rights_requests_refused;
    }
    mesh_.answer(in.link, in.id, encode_answer(granted));
  }
}

Granted Engine::grant_on_request(const AskRights& ask, ReplicaId to) {
  const crdt::Product* product = state_.product(ask.sku);
  if (product == nullptr || is_over() || awaits_peer()) return {};
  const Units most = decrees_.grantable(*product, to);
  if (most < crdt::kUnitsMax || product->stock.rights(to) < 0)
    return ledger_.grant_on_request(
        {.sku = ask.sku, .need = std::min(ask.need, most), .granted_seen = ask.granted_seen}, 0,
        to);
  if (!rebalancer_.policy().moves_for_customers()) return {};
  const Units spare = product == nullptr || ask.ahead == 0 ? 0 : rebalancer_.spare(*product, to);
  return ledger_.grant_on_request(ask, spare, to);
}

void Engine::on_answer(Now now, std::uint64_t call, std::string_view bytes) {
  auto body = decode_answer(bytes);
  if (!body.ok()) return on_lost(now, call);
  if (rebalancer_.owns(call)) {
    const auto* granted = std::get_if<Granted>(&*body);
    return rebalancer_.ended(call, granted != nullptr && granted->given == 0);
  }
  if (decrees_.owns(call)) return decrees_.ended(call, std::get_if<Granted>(&*body), now.instant);
  if (rights_.owns(call)) {
    const auto* granted = std::get_if<Granted>(&*body);
    return granted != nullptr ? rights_.answered(call, *granted, times(now)) : on_lost(now, call);
  }
  if (const auto at = away_.find(call); at != away_.end()) {
    auto* outcome = std::get_if<Outcome>(&*body);
    if (outcome == nullptr) return on_lost(now, call);
    Away away = std::move(at->second);
    away_.erase(at);
    if (away.can_be_made_here &&
        (cannot_say(outcome->code) ||
         (outcome->code == Code::insufficient_stock && may_get_more(now, away))))
      return make_here(now, std::move(away), true);
    return finish(away.caller, std::move(*outcome));
  }
  const auto at = search_calls_.find(call);
  if (at == search_calls_.end()) return;
  Search& search = searches_.at(at->second);
  const auto* found = std::get_if<Found>(&*body);
  if (found == nullptr) return on_lost(now, call);
  if (found->known) {
    Search done = std::move(search);
    searches_.erase(at->second);
    for (const std::uint64_t other : done.calls) search_calls_.erase(other);
    return forward(now, done.caller, found->home, std::move(done.command));
  }
  std::erase(search.calls, call);
  if (search.calls.empty()) {
    Search done = std::move(search);
    searches_.erase(at->second);
    end_search(std::move(done));
  }
  search_calls_.erase(call);
}

void Engine::on_lost(Now now, std::uint64_t call) {
  if (decrees_.owns(call)) return decrees_.ended(call, nullptr, now.instant);
  if (rebalancer_.owns(call)) return rebalancer_.ended(call, false);
  if (rights_.owns(call)) return rights_.lost(call, times(now));
  if (const auto at = away_.find(call); at != away_.end()) {
    Away away = std::move(at->second);
    away_.erase(at);
    return lost_away(now, std::move(away), true);
  }
  const auto at = search_calls_.find(call);
  if (at == search_calls_.end()) return;
  const std::uint64_t number = at->second;
  Search& search = searches_.at(number);
  search_calls_.erase(at);
  std::erase(search.calls, call);
  search.some_missing = true;
  if (!search.calls.empty()) return;
  Search done = std::move(search);
  searches_.erase(number);
  end_search(std::move(done));
}

// Calls that nobody answered in time.
void Engine::check_calls(Now now) {
  std::vector<std::uint64_t> late;
  for (const auto& [call, away] : away_)
    if (away.until <= now.instant)
      late.push_back(call);
    else
      wake(away.until);
  for (const auto& [number, search] : searches_)
    if (search.until <= now.instant)
      late.insert(late.end(), search.calls.begin(), search.calls.end());
    else
      wake(search.until);
  for (const std::uint64_t call : late) on_lost(now, call);
}

}  // namespace holdfast::node
