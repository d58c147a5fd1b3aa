// Forks that become other replicas: what they wrote under the old name is written again under the
// new one (node/reissue.h), and no more than that.
//
//   reissued-too-much    what it writes again under another name (F) is at most P and the units in
//                        holds that were open in the copy
//   fork-not-reissued    every change of its totals, every key, every hold that it made and every
//                        end of an older one is written again
//
// What is written again is in the ghost like all rows, and a debt of it in the budget as `forked`.

#include <algorithm>

#include "node/undo_keys.h"
#include "sim/checks.h"
#include "sim/origin_rows.h"

namespace holdfast::sim {

using crdt::HoldState;
using crdt::ReplicaId;
using crdt::RowKind;
using crdt::State;
using crdt::StockRow;
using crdt::Units;

namespace {

std::string at_node(const Machine& machine) { return machine.name() + ": "; }

}  // namespace

void Checks::on_rejoined(Machine& machine, const node::ForkMark& mark, const State* base,
                         const State& fresh) {
  const ReplicaId origin = mark.replica;
  const ReplicaId self = fresh.self();
  const auto of = histories_.find(origin);
  if (of == histories_.end()) return;  // said already
  History* own = nullptr;
  for (const auto& history : of->second)
    if (history->place == machine.place()) own = history.get();
  if (fresh.member(self)->row.voided_boots.empty()) return take_unparted(machine, own, fresh);
  const bool mine_void =
      own != nullptr
          ? was_at(own->line.boots, mark.boots.front().sequence, mark.boots.front().nonce)
          : was_at(boots_[origin], mark.boots.front().sequence, mark.boots.front().nonce);
  if (mine_void && own == nullptr) {  // what it wrote stood, and does not any more
    for (const auto& history : of->second)
      if (!history->reissued && (own == nullptr || history->place)) own = history.get();
    if (own == nullptr && base == nullptr)
      return fail("fork-without-cause", at_node(machine) + "all other histories are over");
    if (own == nullptr) {  // both found out at once, and both are void
      of->second.push_back(history_from(*base));
      own = of->second.back().get();
    }
    exchange(*own);
  } else if (!mine_void && own != nullptr) {  // and the other way round
    exchange(*own);
    own = nullptr;
  }
  if (own != nullptr) {
    own->place.reset();
    if (base == nullptr) {
      saw("a fork's suffix was lost: its base was gone");
      own->lost = true;
      note_lost(machine.place(), *own->rows, origin, own->parted);
    } else {
      if (base->head(origin) != own->parted)
        fail("fork-not-reissued", at_node(machine) + "parted after " + std::to_string(own->parted) +
                                      ", and writes again what came after " +
                                      std::to_string(base->head(origin)));
      check_reissued(*own, fresh);
    }
    take_reissued(*own, fresh, base != nullptr);
  } else {
    copy_rows(fresh, self, ghost_);
  }
  know_successor(machine, fresh);
}

// It has written nothing since a copy of its directory was made: the copy's history stands.
void Checks::take_unparted(Machine& machine, History* own, const State& fresh) {
  const ReplicaId origin = fresh.member(fresh.self())->row.forked_from;
  if (own == nullptr) {  // the ghost has this one
    for (const auto& history : histories_.at(origin))
      if (!history->reissued && (own == nullptr || history->place)) own = history.get();
    if (own == nullptr)
      return fail("fork-without-cause", at_node(machine) + "all other histories are over");
    exchange(*own);
  }
  if (own->rows->head(origin) > own->parted)
    fail("fork-not-reissued", at_node(machine) + "has written up to " +
                                  std::to_string(own->rows->head(origin)) +
                                  ", and names no boots void");
  own->place.reset();
  own->reissued = true;
  copy_rows(fresh, fresh.self(), ghost_);
  saw("an original that had written nothing since it was copied gave way to the copy");
  know_successor(machine, fresh);
}

void Checks::know_successor(Machine& machine, const State& fresh) {
  const ReplicaId self = fresh.self();
  Known& known = known_[machine.place()];
  known = {};
  known.replica = self;
  known.batch = machine.image().mark;
  for (const auto& [replica, head] : fresh.vector()) known.durable.raise(replica, head);
  for (const auto& [batch, entry] : machine.image().journal)
    if (const auto value = node::decode_journal_value(entry.bytes); value.ok())
      known.life_ms = std::max(known.life_ms, value->life_ms);
  for (const crdt::Boot& boot : fresh.boots(self)) boots_[self][boot.sequence] = boot.nonce;
  if (const crdt::Feed* feed = fresh.feed(self))
    for (auto at = feed->begin_after(0); at != feed->end(); ++at)
      contents_[{self, at->first}] = content_of(decoded(*at->second));
  for (const auto& [sku, product] : ghost_.catalogue()) check_product(std::string(sku));
}

void Checks::check_reissued(const History& history, const State& fresh) {
  const ReplicaId origin = history.origin, self = fresh.self();
  const std::string where = crdt::to_string(origin) + " as " + crdt::to_string(self) + ": ";
  const auto lacks = [&](const std::string& what) {
    fail("fork-not-reissued", where + what + " is not written again");
  };
  const crdt::Feed* feed = history.rows->feed(origin);
  for (auto at = feed->begin_after(history.parted); at != feed->end(); ++at) {
    const std::string key(crdt::row_key(*at->second));
    if (at->second->kind == RowKind::key) {
      // One that both have, undone since, is a withdrawal in the new name.
      const crdt::Key* then = history.base->key_of(key, origin);
      const bool undone = then != nullptr && then->row.state == 0 &&
                          static_cast<const crdt::Key&>(*at->second).row.state != 0;
      if (then == nullptr && fresh.own_key(key) == nullptr) lacks("key " + key);
      if (undone && fresh.own_key(node::undo_name(origin, key)) == nullptr)
        lacks("what undid key " + key);
    }
    if (at->second->kind == RowKind::hold) {
      const auto& now = static_cast<const crdt::Hold&>(*at->second).row;
      const crdt::Hold* then = history.base->hold_of(key, origin);
      const crdt::Hold* again = fresh.own_hold(key);
      const bool made = then == nullptr && !now.estate_of;
      const bool ended = then != nullptr && then->row.state == HoldState::held &&
                         now.state != HoldState::held && !now.estate_of;
      if ((made || ended) &&
          (again == nullptr || again->row.state != now.state || again->row.lines != now.lines))
        lacks("reservation " + key);
    }
    if (at->second->kind != RowKind::stock) continue;
    const StockRow &was = stock_of(*history.base, origin, key),
                   &now = stock_of(*history.rows, origin, key), &is = stock_of(fresh, self, key);
    using Total = Units StockRow::*;
    for (const Total total : {&StockRow::received, &StockRow::withdrawn, &StockRow::allowance_added,
                              &StockRow::allowance_removed, &StockRow::released, &StockRow::sold,
                              &StockRow::returned, &StockRow::voided})
      if (is.*total != now.*total - was.*total) lacks("a change of the stock of " + key);
    if (is.held < now.held - was.held) lacks("what is held of " + key);
    for (const crdt::PeerTotals& entry : now.peers) {
      const crdt::PeerTotals *before = was.find(entry.peer), *after = is.find(entry.peer);
      if ((after == nullptr ? 0 : after->granted) !=
          entry.granted - (before == nullptr ? 0 : before->granted))
        lacks("a grant of " + key);
    }
  }
}

// Into the ghost, with what it may cost.
void Checks::take_reissued(const History& history, const State& fresh, bool whole) {
  const ReplicaId origin = history.origin, self = fresh.self();
  bool any = false;
  for (const auto& [sku_view, product] : history.rows->catalogue()) {
    const std::string sku(sku_view);
    const StockRow& row = stock_of(fresh, self, sku);
    const auto at = history.bounds.find(sku);
    const History::Bound bound = at == history.bounds.end() ? History::Bound{} : at->second;
    const Units since =
        granted_to(ghost_, sku, origin) + granted_apart(sku, origin) - bound.granted;
    const Units forked = std::max<Units>(0, -own_rights(row));
    const Units most = std::max<Units>(0, bound.rights) + since + bound.open + budget_[sku].sum();
    if (forked > most)
      fail("reissued-too-much", sku + ": a fork of " + crdt::to_string(origin) + " writes again " +
                                    std::to_string(forked) + ", of " +
                                    std::to_string(bound.rights) + " in the copy, " +
                                    std::to_string(since) + " granted since and " +
                                    std::to_string(bound.open) + " in open holds");
    budget_[sku].forked += forked;
    for (const crdt::PeerTotals& entry : row.peers) {
      budget_[sku].decreed += entry.seized;
      any = any || entry.granted > 0;
    }
    // What it gave and nobody wrote again is nobody's debt but that of whoever sold it.
    if (!whole)
      for (const crdt::PeerTotals& entry : stock_of(*history.rows, origin, sku).peers) {
        const crdt::PeerTotals* then = stock_of(*history.base, origin, sku).find(entry.peer);
        budget_[sku].forked += entry.granted - (then == nullptr ? 0 : then->granted);
      }
    any = any || forked > 0 || row.received > 0 || row.released > 0;
    sums_[{self, sku}] = told_by(row);
  }
  copy_rows(fresh, self, ghost_);
  // Of its decrees: what adoptions may still seize.
  for (const auto& [key, decree] : ghost_.decrees())
    if (decree->origin == self)
      adoptions_left_[{self, decree->row.target}] += decree->row.open_holds + decree->row.seized;
  for (const auto& [sku, product] : history.rows->catalogue())
    for (const crdt::PeerTotals& entry : stock_of(fresh, self, std::string(sku)).peers)
      adoptions_left_[{self, entry.peer}] -= entry.seized;
  if (any && whole) saw("a fork's suffix was written again by its successor");
  const_cast<History&>(history).reissued = true;
}

}  // namespace holdfast::sim
