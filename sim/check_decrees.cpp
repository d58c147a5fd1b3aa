// The terms of the budget: what decrees, adoptions, duplicates and heirs may cost, batch by batch.

#include <algorithm>
#include <utility>

#include "node/ledger.h"
#include "node/undo_keys.h"
#include "sim/checks.h"

namespace holdfast::sim {

using crdt::HoldState;
using crdt::PeerTotals;
using crdt::ReplicaId;
using crdt::Units;

void Checks::told_plan(const node::DecreePlan& plan) { plans_[plan.plan] = plan; }

// Before the row is merged into the ghost.
void Checks::note_changes(ReplicaId origin, const crdt::DecodedRow& row, Seizing& seizing) {
  if (const auto* stock = std::get_if<crdt::StockRow>(&row.payload)) {
    const crdt::Product* product = ghost_.product(row.key);
    const crdt::StockCell* before = product == nullptr ? nullptr : product->stock.find(origin);
    for (const PeerTotals& entry : stock->peers) {
      const PeerTotals* was = before == nullptr ? nullptr : before->row.find(entry.peer);
      const Units more = entry.seized - (was == nullptr ? 0 : was->seized);
      if (more > 0) seizing.seized[{entry.peer, row.key}] += more;
      if (entry.debt_at_seen > (was == nullptr ? 0 : was->debt_at_seen))
        saw("a seized replica returned in debt");
    }
  } else if (const auto* hold = std::get_if<crdt::HoldRow>(&row.payload)) {
    note_hold(origin, row.key, *hold, seizing);
  } else if (const auto* key = std::get_if<crdt::KeyRow>(&row.payload)) {
    const crdt::Key* before = ghost_.key_of(row.key, origin);
    if (const auto of = node::undone_by(row.key); before == nullptr && of) {
      saw(of->replica == origin ? "a key was done again that was undone for a void one"
                                : "an heir undid a retired replica's key");
      budget_[key->sku].undone += std::max<Units>(0, -key->units);
    }
    if (key->state == 0 || (before != nullptr && before->row.state != 0)) return;
    saw("a key that took effect twice was undone");
    budget_[key->sku].undone += std::max<Units>(0, key->units);
  } else if (const auto* decree = std::get_if<crdt::DecreeRow>(&row.payload)) {
    contested_.insert(decree->target);
    if (decree->closed_at != 0) {
      saw("a decree was closed");
      seizing.closed.push_back(*decree);
    }
    if (!ghost_.decrees().contains({decree->target, decree->generation, origin}))
      seizing.decrees.push_back(*decree);
  }
}

void Checks::check_undone(const crdt::UndoneEnd& was, const crdt::HoldRow& before,
                          const crdt::HoldRow& after, const std::string& where) {
  const auto is = std::find_if(after.undone.begin(), after.undone.end(), [&](const auto& one) {
    return one.of == was.of && one.root == was.root;
  });
  if (is == after.undone.end())
    return fail("not-monotone",
                where + "what was undone of " + crdt::to_string(was.of) + " is gone");
  for (std::size_t i = 0; i < before.lines.size(); ++i) {
    const crdt::HoldLine* line = after.find(before.lines[i].sku);
    const std::size_t now = line == nullptr ? 0 : line - after.lines.data();
    if (is->units[now] < was.units[i] || is->again[now] < was.again[i])
      fail("not-monotone", where + "less was undone of " + crdt::to_string(was.of));
  }
}

// What an heir has undone of a retired heir, or of a sale done again, may be its debt.
void Checks::note_undone(const crdt::Hold* before, const crdt::HoldRow& row) {
  for (const crdt::UndoneEnd& undone : row.undone) {
    Units units = 0, again = 0;
    for (std::size_t i = 0; i < row.lines.size(); ++i) {
      const std::string& sku = row.lines[i].sku;
      Units more = undone.units[i], more_again = undone.again[i];
      const crdt::HoldLine* line = before == nullptr ? nullptr : before->row.find(sku);
      if (line != nullptr)
        for (const crdt::UndoneEnd& one : before->row.undone)
          if (one.of == undone.of && one.root == undone.root) {
            more -= one.units[line - before->row.lines.data()];
            more_again -= one.again[line - before->row.lines.data()];
          }
      budget_[sku].taken_back += undone.root ? more : more_again;
      units += more;
      again += more_again;
    }
    if (units > 0)
      saw(undone.root ? "a retired heir's end was undone" : "a retired replica's sale was voided");
    if (again > 0) saw("what was undone was done again");
  }
}

void Checks::note_hold(ReplicaId origin, const std::string& id, const crdt::HoldRow& row,
                       Seizing& seizing) {
  const crdt::Hold* own = ghost_.hold_of(id, origin);
  note_undone(own, row);
  if (own == nullptr && row.adopted_from && !row.estate_of) {
    saw("a reservation was adopted");
    for (const crdt::HoldLine& line : row.lines)
      seizing.adoptable[{row.adopted_from, line.sku}] += line.held;
  }
  const auto roles = [](const crdt::HoldRow& of) {
    std::set<ReplicaId> all;
    if (of.estate_of) all.insert(of.estate_of);
    for (const crdt::FreedHold& freed : of.freed) all.insert(freed.of);
    return all;
  };
  const std::set<ReplicaId> after = roles(row);
  const std::set<ReplicaId> before = own == nullptr ? std::set<ReplicaId>{} : roles(own->row);
  for (const ReplicaId root : after)
    if (!before.contains(root)) saw("an heir took a hold over");
  if (own == nullptr) return;
  if (row.overruled && !own->row.overruled) saw("a copy of a reservation gave way");
  for (const ReplicaId root : before) {
    if (after.contains(root)) continue;
    saw("an heir took its own end back");
    for (std::size_t i = 0; i < own->row.lines.size(); ++i) {
      Units back = own->row.estate_of == root ? own->row.lines[i].held : 0;
      for (const crdt::FreedHold& freed : own->row.freed)
        if (freed.of == root) back += freed.units[i];
      budget_[own->row.lines[i].sku].taken_back += back;
    }
  }
}

// After the batch was merged.
void Checks::check_seizures(Machine& machine, const Seizing& seizing) {
  const ReplicaId self = machine.replica();
  const std::string where = machine.name() + ": ";
  for (const crdt::DecreeRow& decree : seizing.closed) check_closed(where, self, decree);
  if (seizing.seized.empty() && seizing.decrees.empty()) return;
  std::map<ReplicaId, Units> decreed;
  for (const crdt::DecreeRow& decree : seizing.decrees) {
    decreed[decree.target] += decree.seized;
    adoptions_left_[{self, decree.target}] += decree.open_holds;
    const auto other =
        std::count_if(ghost_.decrees().begin(), ghost_.decrees().end(), [&](const auto& entry) {
          return std::get<0>(entry.first) == decree.target && ghost_.is_open(*entry.second);
        });
    if (other > 1) saw("two decrees of one target were open at once");
    if (decree.kind == crdt::DecreeKind::retirement && ghost_.retired(decree.successor))
      saw("a successor was retired itself");
  }
  check_plans(where, seizing);
  std::map<ReplicaId, Units> taken;
  for (const auto& [by, units] : seizing.seized) {
    const auto& [target, sku] = by;
    const auto held = seizing.adoptable.find(by);
    const Units adoptable = held == seizing.adoptable.end() ? 0 : held->second;
    const bool has_decree = decreed.contains(target);
    if (!has_decree && units > adoptable && has_ended(target)) {
      take_inherited(where, self, target, sku, units - adoptable);
      continue;
    }
    if (!has_decree && units > adoptable)
      fail("seized-without-decree", where + std::to_string(units) + " of " + sku + " from " +
                                        crdt::to_string(target) + ", for holds of " +
                                        std::to_string(adoptable));
    taken[target] += units;
    Budget& budget = budget_[sku];
    if (has_decree) {
      budget.decreed += units;  // and what was adopted in the same batch, if anything was
    } else {
      budget.adopted += units;
      saw("an adopter seized what it lacked");
      Units& left = adoptions_left_[{self, target}];
      left -= units;
      if (left < 0)
        fail("seized-without-decree", where + "adoptions from " + crdt::to_string(target) +
                                          " add up to " + std::to_string(-left) +
                                          " more than dry runs counted");
    }
  }
  for (const auto& [target, units] : decreed)
    if (taken[target] < units)
      fail("seized-unlike-plan", where + "a decree of " + std::to_string(units) + " from " +
                                     crdt::to_string(target) + " took " +
                                     std::to_string(taken[target]));
}

// Retired, and has written its last row: in some history of its own, if a copy of its directory
// went another way. Which of them its heir has met, it can't know; the other one becomes a fork.
bool Checks::has_ended(ReplicaId replica) const {
  const auto ended = [&](const crdt::State& rows) {
    const crdt::Member* member = rows.member(replica);
    return member != nullptr && member->row.ended;
  };
  if (!ghost_.retired(replica)) return false;
  const auto apart = histories_.find(replica);
  return ended(ghost_) || (apart != histories_.end() &&
                           std::any_of(apart->second.begin(), apart->second.end(),
                                       [&](const auto& history) { return ended(*history->rows); }));
}

// An heir seized what a retired replica had left.
void Checks::take_inherited(const std::string& where, ReplicaId heir, ReplicaId retired,
                            const std::string& sku, Units units) {
  saw("an heir took what a retired replica had left");
  const crdt::BoundedCounter& stock = ghost_.product(sku)->stock;
  const Units beyond = std::min(units, std::max<Units>(0, -stock.rights(retired)));
  Units others = 0;  // of which it may not have heard
  for (const auto& cell : stock.cells())
    if (const PeerTotals* entry = cell->row.find(retired); entry && cell->origin != heir)
      others += entry->seized;
  budget_[sku].inherited += beyond;
  if (beyond > others && !histories_.contains(retired))
    fail("seized-without-decree", where + std::to_string(units) + " of " + sku + " that " +
                                      crdt::to_string(retired) + " had left, which is " +
                                      std::to_string(beyond) + " too many; others seized " +
                                      std::to_string(others));
}

void Checks::check_closed(const std::string& where, ReplicaId issuer,
                          const crdt::DecreeRow& decree) {
  const ReplicaId target = decree.target;
  // It will see nothing any more; or a history of it that is void by now has.
  if (ghost_.retired(target) || histories_.contains(target)) return;
  for (const auto& [sku, product] : ghost_.seized()) {
    Units others = 0, seized = 0;
    for (const auto& cell : product->stock.cells())
      if (const PeerTotals* entry = cell->row.find(target))
        (cell->origin == issuer ? seized : others) += entry->seized;
    if (seized == 0) continue;
    const crdt::StockCell* theirs = product->stock.find(target);
    const PeerTotals* entry = theirs == nullptr ? nullptr : theirs->row.find(issuer);
    const Units unseen = seized - (entry == nullptr ? 0 : entry->seen);
    // What a copy of a granter's directory granted it is in no history of the ghost's.
    const Units debt =
        std::max<Units>(0, product->stock.debt(target) - granted_apart(product->sku, target));
    // Another's seizure, or what was undone, may have made a debt that the issuer cannot know of.
    if (unseen > 0 ||
        (debt > 0 && others == 0 && undone(product->sku) == 0 && budget_[product->sku].forked == 0))
      fail("decree-closed-early", where + product->sku + ": of " + std::to_string(seized) + ", " +
                                      crdt::to_string(target) + " has not seen " +
                                      std::to_string(unseen) + ", and owes " +
                                      std::to_string(debt));
  }
}

void Checks::check_debt(const crdt::Product& product, ReplicaId debtor) {
  if (ghost_.retired(debtor)) return;
  const Units held = product.stock.rights(debtor) + product.stock.unseen(debtor);
  const Units debt = std::max<Units>(0, -(held + granted_apart(product.sku, debtor)));
  if (debt == 0) return;
  Units accounted = undone(product.sku) + budget_[product.sku].forked;
  if (const crdt::StockCell* cell = product.stock.find(debtor))
    for (const PeerTotals& entry : cell->row.peers) accounted += entry.debt_at_seen;
  if (debt > accounted)
    fail("debt-unaccounted", product.sku + ": " + crdt::to_string(debtor) + " owes " +
                                 std::to_string(debt) + ", of which " + std::to_string(accounted) +
                                 " was ever written down");
}

// After a turn. What was granted in it is judged if nothing else has changed that it depends on.
void Checks::check_grants(Machine& machine, const crdt::Product& product) {
  const crdt::State& state = machine.engine().state();
  const crdt::StockCell* own = product.stock.find(machine.replica());
  if (own == nullptr || state.decrees().empty()) return;
  auto& granted = known_[machine.place()].granted;
  std::uint64_t others = 0;
  for (const auto& cell : product.stock.cells())
    if (cell.get() != own) others += cell->sequence;
  for (const PeerTotals& entry : own->row.peers) {
    const bool retired = state.retired(entry.peer);
    if (!state.decreed(entry.peer) && !retired) {
      granted.erase({product.sku, entry.peer});
      continue;
    }
    const Granted now{entry.granted, entry.seized, others};
    const auto [at, first] = granted.try_emplace({product.sku, entry.peer}, now);
    const Granted before = std::exchange(at->second, now);
    const Units more = now.granted - before.granted;
    if (first || more == 0 || before.others != others || before.seized != now.seized) continue;
    const Units unseen = product.stock.unseen(entry.peer, state.retired());
    const Units debt =
        std::max<Units>(0, -(product.stock.rights(entry.peer) + unseen - more));  // before it
    const bool back = !retired && unseen == 0 && debt == 0;
    if (!back && more > debt)
      fail("lost-was-granted", machine.name() + ": " + product.sku + ": " + std::to_string(more) +
                                   " to " + crdt::to_string(entry.peer) + ", which owes " +
                                   std::to_string(debt) + " and has not seen " +
                                   std::to_string(unseen));
  }
}

std::set<ReplicaId> Checks::live_replicas() const {
  std::set<ReplicaId> live;
  for (std::size_t i = 0; i < world_->nodes(); ++i) live.insert(world_->node(i).replica());
  return live;
}

void Checks::check_settled() {
  const std::set<ReplicaId> live = live_replicas();
  for (const auto& [sku, product] : ghost_.catalogue()) {
    for (const ReplicaId replica : live) check_repaid(*product, replica);
    for (const ReplicaId replica : ghost_.retired())
      if (live.contains(ghost_.heir(replica))) check_repaid(*product, replica);
  }
  for (const ReplicaId replica : ghost_.retired())
    if (live.contains(ghost_.heir(replica)) && is_final(replica)) check_stranded(replica);
  for (const auto& [key, decree] : ghost_.decrees()) {
    const ReplicaId target = decree->row.target;
    const bool returned = live.contains(target) || ghost_.retired(target);
    if (!ghost_.is_open(*decree) || !live.contains(decree->origin) || !returned) continue;
    Units unseen = 0, debt = 0;
    for (const auto& [sku, product] : ghost_.seized()) {
      unseen += product->stock.unseen(target, ghost_.retired());
      debt += product->stock.debt(target, ghost_.retired());
    }
    if (unseen > 0 || debt == 0)
      fail("decree-not-closed", crdt::to_string(target) + " has not seen " +
                                    std::to_string(unseen) + ", and owes " + std::to_string(debt));
  }
}

// Its last row may have been lost with its disk, before it left.
bool Checks::all_know_its_end(ReplicaId retired) const {
  for (std::size_t i = 0; i < world_->nodes(); ++i) {
    const Machine& machine = world_->node(i);
    if (!machine.lives()) continue;
    const crdt::Member* member = machine.engine().state().member(retired);
    if (member == nullptr || !member->row.ended) return false;
  }
  return has_ended(retired);
}

// Of it, and of whoever was named its successor and is retired too, nothing comes any more.
bool Checks::is_final(ReplicaId retired) const {
  std::vector<ReplicaId> line{retired};
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (!ghost_.retired(line[i])) continue;
    if (!all_know_its_end(line[i]) || histories_.contains(line[i])) return false;
    for (const auto& [key, decree] : ghost_.decrees())
      if (decree->row.kind == crdt::DecreeKind::retirement && decree->row.target == line[i] &&
          std::find(line.begin(), line.end(), decree->row.successor) == line.end())
        line.push_back(decree->row.successor);
  }
  return true;
}

void Checks::check_stranded(ReplicaId retired) {
  for (const auto& [sku, product] : ghost_.catalogue()) {
    const Units rights = product->stock.rights(retired);
    if (rights <= 0) continue;
    // What others did to its rights last may have been lost with their disks.
    bool known = true;
    for (const auto& cell : product->stock.cells())
      if (cell->origin == retired || cell->row.find(retired) != nullptr)
        known = known && !histories_.contains(cell->origin) &&
                is_known_to_all(product->sku, cell->origin);
    if (known)
      fail("stranded", product->sku + ": " + crdt::to_string(retired) +
                           ", which was retired and has ended, has " + std::to_string(rights));
  }
}

void Checks::check_repaid(const crdt::Product& product, ReplicaId debtor) {
  const crdt::BoundedCounter& stock = product.stock;
  const Units debt = stock.debt(debtor, ghost_.retired());
  if (debt == 0) return;
  // What it spent last, or what was seized of it, may have been lost with a disk: nobody knows of
  // that debt.
  for (const auto& cell : stock.cells())
    if ((cell->origin == debtor || cell->row.find(debtor) != nullptr) &&
        !is_known_to_all(product.sku, cell->origin))
      return;
  const bool retired = ghost_.retired(debtor);
  for (const ReplicaId other : live_replicas())
    if (other != debtor && stock.rights(other) > 0 && (!retired || ghost_.heir(debtor) == other))
      fail("debt-not-repaid", product.sku + ": " + crdt::to_string(debtor) + " owes " +
                                  std::to_string(debt) + ", and " + crdt::to_string(other) +
                                  " has " + std::to_string(stock.rights(other)));
}

void Checks::check_plans(const std::string& where, const Seizing& seizing) {
  std::set<std::string> done;
  for (const crdt::DecreeRow& decree : seizing.decrees) {
    const std::string digest = crdt::to_string(ReplicaId{decree.plan});
    const auto told = plans_.find(digest);
    if (told == plans_.end() || !done.insert(digest).second) continue;
    const node::DecreePlan& plan = told->second;
    for (const node::DecreeSku& of : plan.skus) {
      Units took = 0, adoptable = 0;
      for (const ReplicaId target : plan.targets) {
        const auto at = seizing.seized.find({target, of.sku});
        if (at != seizing.seized.end()) took += at->second;
        const auto held = seizing.adoptable.find({target, of.sku});
        if (held != seizing.adoptable.end()) adoptable += held->second;
      }
      if (took < of.seize || took > of.seize + adoptable)
        fail("seized-unlike-plan", where + of.sku + ": " + std::to_string(took) +
                                       " were seized, the dry run said " +
                                       std::to_string(of.seize));
    }
  }
}

}  // namespace holdfast::sim
