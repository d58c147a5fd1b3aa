// Data directories that were put back or copied: several histories under one name.
//
//   fork-without-cause   a replica that ended as a fork has another history
//   copies-differ        what a node takes of such an origin is of one history
//   fork-spent-too-much  before it is found out, a fork spends no more than P: the rights in the
//                        copy, and what was granted to it since
//
// The ghost has, of each origin, the history that stands. One that goes on beside it, or went on,
// is kept whole (History), until the replica that it became has written again what it did: that is
// in the ghost like all rows, and a debt of it in the budget as `forked`.

#include <algorithm>

#include "node/undo_keys.h"
#include "sim/checks.h"
#include "sim/origin_rows.h"

namespace holdfast::sim {

using crdt::DecodedRow;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::ReplicaId;
using crdt::RowKind;
using crdt::Sequence;
using crdt::State;
using crdt::StockRow;
using crdt::Units;

namespace {

std::unique_ptr<State> rows_of_origin(const State& from, ReplicaId origin) {
  auto rows = std::make_unique<State>(ReplicaId{1});
  copy_rows(from, origin, *rows);
  return rows;
}

std::string at_node(const Machine& machine) { return machine.name() + ": "; }

Units granted_since(const History& history, const std::string& sku, ReplicaId to) {
  const auto* now = stock_of(*history.rows, history.origin, sku).find(to);
  const auto* then = stock_of(*history.base, history.origin, sku).find(to);
  return now == nullptr ? 0 : now->granted - (then == nullptr ? 0 : then->granted);
}

}  // namespace

// ── who is where ────────────────────────────────────────────────────────────────────────────────

History* Checks::history_at(const Machine& machine) const {
  const auto of = histories_.find(machine.replica());
  if (of == histories_.end()) return nullptr;
  for (const auto& history : of->second)
    if (history->place == machine.place()) return history.get();
  return nullptr;
}

const State& Checks::rows_of(const Machine& machine) const {
  const History* apart = history_at(machine);
  return apart == nullptr ? ghost_ : *apart->rows;
}

bool Checks::is_forked(const Machine& machine) const {
  const auto of = histories_.find(machine.replica());
  return of != histories_.end() &&
         std::any_of(of->second.begin(), of->second.end(),
                     [](const auto& history) { return !history->reissued; });
}

// A process has ended, and what it wrote is void: nodes ask that it is started once more.
bool Checks::is_asked_for(const Machine& machine) const {
  const History* history = history_at(machine);
  if (history == nullptr || history->line.boots.empty()) return false;
  const std::uint64_t boot = history->line.boots.rbegin()->second;
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (const Machine& other = world_->node(i); other.lives() && other.replica() != history->origin)
      if (other.engine().state().voided(boot)) return true;
  return false;
}

const crdt::Hold* Checks::hold(const std::string& id) const {
  if (const crdt::Hold* hold = ghost_.hold(id)) return hold;
  for (const auto& [origin, all] : histories_)
    for (const auto& history : all)
      if (history->place && !history->reissued)
        if (const crdt::Hold* hold = history->rows->hold(id)) return hold;
  return nullptr;
}

bool Checks::has_key(const std::string& key) const {
  if (ghost_.key(key) != nullptr) return true;
  for (const auto& [origin, all] : histories_)
    for (const auto& history : all)
      if (history->rows->key(key) != nullptr) return true;
  return false;
}

// The history in which `boot` wrote `sequence`; nullptr: none.
const State* Checks::rows_at(ReplicaId origin, Sequence sequence, std::uint64_t boot) const {
  const auto boots = boots_.find(origin);
  if (boots == boots_.end()) return &ghost_;
  if (sequence <= ghost_.head(origin) && was_at(boots->second, sequence, boot)) return &ghost_;
  for (const auto& history : histories_.at(origin))
    if (sequence <= history->rows->head(origin) && was_at(history->line.boots, sequence, boot))
      return history->rows.get();
  return nullptr;
}

// How far the machine at this place has the ghost's history of that origin; 0: it has another.
Sequence Checks::has_of_ghost(std::size_t place, ReplicaId origin) const {
  const Machine& machine = world_->node(place);
  Sequence has = 0;
  std::uint64_t boot = 0;
  if (machine.lives()) {
    const State& state = machine.engine().state();
    has = state.head(origin);
    boot = state.boot_of(origin, has);
  } else if (const auto known = known_.find(place); known != known_.end()) {
    has = known->second.durable[origin];
  }
  const auto boots = boots_.find(origin);
  const bool stands =
      has <= ghost_.head(origin) && (boots == boots_.end() || was_at(boots->second, has, boot));
  return stands ? has : 0;
}

// Some other machine has rows of the ghost's history that this one lacks.
bool Checks::somebody_has(const History& history) const {
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (i != history.place && (world_->node(i).replica() == history.origin ||
                               has_of_ghost(i, history.origin) > history.parted))
      return true;
  return false;
}

// It has rows of this history that the ghost's lacks.
bool Checks::stands_in(const Machine& machine, const History& history) const {
  if (!machine.lives()) return false;
  const State& state = machine.engine().state();
  const Sequence head = state.head(history.origin);
  return head > history.parted && head <= history.rows->head(history.origin) &&
         was_at(history.line.boots, head, state.boot_of(history.origin, head));
}

bool Checks::somebody_stands_in(const History& history) const {
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (stands_in(world_->node(i), history)) return true;
  return false;
}

// What forks gave, in rows that are not in the ghost, under whatever name.
Units Checks::granted_apart(const std::string& sku, ReplicaId to) const {
  Units granted = 0;
  for (const auto& [origin, all] : histories_)
    for (const auto& history : all)
      if (!history->reissued) granted += granted_since(*history, sku, to);
  return granted;
}

// What a fork gave it in rows that nobody can write again, as long as it does not know them void.
Units Checks::granted_in_vain(const Machine& machine, const std::string& sku) const {
  Units granted = 0;
  for (const auto& [origin, all] : histories_)
    for (const auto& history : all)
      if (history->lost && stands_in(machine, *history))
        granted += granted_since(*history, sku, machine.replica());
  return granted;
}

// ── what is written and taken ───────────────────────────────────────────────────────────────────

void Checks::take_own_apart(Machine& machine, const node::JournalValue& value,
                            const node::JournalPart& part, History& history) {
  auto rows = crdt::decode_rows(part.rows);
  if (!rows.ok()) return fail("not-monotone", at_node(machine) + "rows that cannot be read");
  const ReplicaId self = machine.replica();
  std::set<std::string> skus;
  for (DecodedRow& row : *rows) {
    const std::string where = at_node(machine) + row.key + ": ";
    if (row.sequence <= history.rows->head(self) || row.sequence > part.upto)
      fail("not-monotone", where + "sequence " + std::to_string(row.sequence) +
                               " was written after " + std::to_string(history.rows->head(self)));
    history.line.contents[row.sequence] = content_of(row);
    if (const auto* stock = std::get_if<StockRow>(&row.payload)) {
      check_stock_row(stock_of(*history.rows, self, row.key), *stock, where);
      skus.insert(row.key);
    } else if (const auto* hold = std::get_if<HoldRow>(&row.payload)) {
      held_ever_.insert(row.key);
      const crdt::Hold* before = history.rows->hold_of(row.key, self);
      if (before != nullptr) check_hold_row(before->row, *hold, value.life_ms, where);
    } else if (const auto* member = std::get_if<crdt::MemberRow>(&row.payload)) {
      for (const crdt::Boot& boot : member->boots) history.line.boots[boot.sequence] = boot.nonce;
    } else if (const auto* key = std::get_if<crdt::KeyRow>(&row.payload)) {
      if (key->state != 0) budget_[key->sku].undone += std::max<Units>(0, key->units);
      if (node::undone_by(row.key)) budget_[key->sku].undone += std::max<Units>(0, -key->units);
    } else if (const auto* decree = std::get_if<crdt::DecreeRow>(&row.payload)) {
      contested_.insert(decree->target);
    }
    if (auto merged = history.rows->merge(self, std::move(row)); !merged.ok())
      fail("not-monotone", where + std::string(merged.status().message()));
  }
  history.rows->advance(self, part.upto);
  for (const std::string& sku : skus) check_spent(history, sku);
}

// Of an origin with several histories: all that is taken together is of one.
void Checks::take_forked(Machine& machine, const node::JournalPart& part) {
  const auto rows = crdt::decode_rows(part.rows);
  if (!rows.ok()) return fail("copies-differ", at_node(machine) + "rows that cannot be read");
  const auto is_of = [&](Sequence head, const auto& content_at) {
    return part.upto <= head && std::all_of(rows->begin(), rows->end(), [&](const auto& row) {
             return content_at(row.sequence) == content_of(row);
           });
  };
  bool found = is_of(ghost_.head(part.origin), [&](Sequence sequence) {
    const auto at = contents_.find({part.origin, sequence});
    return at == contents_.end() ? 0 : at->second;
  });
  for (const auto& history : histories_.at(part.origin))
    found = found || is_of(history->rows->head(part.origin), [&](Sequence sequence) {
              const auto at = history->line.contents.find(sequence);
              return at == history->line.contents.end() ? 0 : at->second;
            });
  if (!found)
    fail("copies-differ", at_node(machine) + "what it has of " + crdt::to_string(part.origin) +
                              " up to " + std::to_string(part.upto) +
                              " is of no history of it, or not durable there");
}

void Checks::check_spent(const History& history, const std::string& sku) {
  const auto at = history.bounds.find(sku);
  const History::Bound bound = at == history.bounds.end() ? History::Bound{} : at->second;
  const Units spent = own_rights(stock_of(*history.base, history.origin, sku)) -
                      own_rights(stock_of(*history.rows, history.origin, sku));
  const Units since =
      granted_to(ghost_, sku, history.origin) + granted_apart(sku, history.origin) - bound.granted;
  const Units most = std::max<Units>(0, bound.rights) + since + budget_[sku].sum();
  if (spent > most)
    fail("fork-spent-too-much", sku + ": a fork of " + crdt::to_string(history.origin) + " spent " +
                                    std::to_string(spent) + ", of " + std::to_string(bound.rights) +
                                    " in the copy and " + std::to_string(since) + " granted since");
}

// As it was when the copy was made.
std::unique_ptr<History> Checks::history_from(const State& copy) {
  const ReplicaId origin = copy.self();
  auto history = std::make_unique<History>();
  history->origin = origin;
  history->parted = copy.head(origin);
  history->base = rows_of_origin(copy, origin);
  history->rows = rows_of_origin(copy, origin);
  for (Sequence sequence = 1; sequence <= history->parted; ++sequence)
    if (const auto at = contents_.find({origin, sequence}); at != contents_.end())
      history->line.contents[sequence] = at->second;
  for (const auto& [sequence, boot] : boots_[origin])
    if (sequence <= history->parted) history->line.boots[sequence] = boot;
  for (const auto& [sku, product] : copy.catalogue())
    history->bounds[std::string(sku)] = {.rights = product->stock.rights(origin),
                                         .granted = granted_to(copy, std::string(sku), origin)};
  for (const auto& [at, hold] : copy.holds())
    if (hold->origin == origin && hold->row.state == HoldState::held)
      for (const crdt::HoldLine& line : hold->row.lines)
        history->bounds[line.sku].open += line.held;
  return history;
}

// ── copies ──────────────────────────────────────────────────────────────────────────────────────

void Checks::on_put_back(Machine& machine, const State& copy, bool fits) {
  const ReplicaId origin = copy.self();
  Known& known = known_[machine.place()];
  if (!fits) {
    refused_.insert(machine.place());
    return;
  }
  known = {};
  known.replica = origin;
  for (const auto& [replica, head] : copy.vector()) known.durable.raise(replica, head);
  if (const auto meta = node::decode_meta(machine.image().meta); meta.ok()) {
    known.batch = meta->batch;
    known.life_ms = meta->life_ms;
  }
  for (const auto& [batch, entry] : machine.image().journal)
    if (const auto value = node::decode_journal_value(entry.bytes); value.ok()) {
      known.batch = std::max(known.batch, batch);
      known.life_ms = std::max(known.life_ms, value->life_ms);
    }
  note_lost_of_others(machine);
  bool alone = true;
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    alone = alone && (i == machine.place() || world_->node(i).replica() != origin);
  const Sequence parted = copy.head(origin);
  if (alone && parted == ghost_.head(origin)) return;  // as after any crash
  auto history = history_from(copy);
  history->place = machine.place();
  contested_.insert(origin);
  History& made = *history;
  histories_[origin].push_back(std::move(history));
  if (!alone) return saw("a clone ran beside its original");
  saw("a disk was put back");
  Sequence kept = parted;  // of what was written since, that others have
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (i != machine.place())
      if (const auto other = known_.find(i); other != known_.end())
        kept = std::max(kept, other->second.durable[origin]);
  note_lost(machine.place(), ghost_, origin, kept);
  if (!somebody_has(made)) exchange(made);
}

// Of origins whose own directories were put back before: what nobody has any more, now that this
// one has been put back, too.
void Checks::note_lost_of_others(const Machine& put_back) {
  for (const auto& [origin, all] : histories_) {
    if (origin == put_back.replica()) continue;
    bool goes_on = false;  // somewhere the ghost's history is its own writer's
    Sequence kept = 0;
    for (std::size_t i = 0; i < world_->nodes(); ++i) {
      const Machine& machine = world_->node(i);
      goes_on = goes_on || (machine.replica() == origin && history_at(machine) == nullptr);
      kept = std::max(kept, has_of_ghost(i, origin));
    }
    if (!goes_on) note_lost(put_back.place(), ghost_, origin, kept);
  }
}

void Checks::note_lost(std::size_t node, const State& rows, ReplicaId origin, Sequence after) {
  std::set<std::string> keys, holds;
  const crdt::Feed* feed = rows.feed(origin);
  if (feed == nullptr || rows.head(origin) <= after) return;
  for (auto at = feed->begin_after(after); at != feed->end(); ++at) {
    const std::string key(crdt::row_key(*at->second));
    if (at->second->kind == RowKind::key) keys.insert(key);
    if (at->second->kind == RowKind::hold) holds.insert(key);
  }
  if (!keys.empty() || !holds.empty()) saw("what was acknowledged was lost with a disk put back");
  if (on_lost_) on_lost_(node, keys, holds);
}

// The ghost's history of this origin and the other one take each other's place.
void Checks::exchange(History& history) {
  const ReplicaId origin = history.origin;
  auto was = rows_of_origin(ghost_, origin);
  Line line{.contents = {}, .boots = boots_[origin]};
  for (Sequence sequence = 1; sequence <= ghost_.head(origin); ++sequence)
    if (const auto at = contents_.find({origin, sequence}); at != contents_.end()) {
      line.contents[sequence] = at->second;
      contents_.erase(at);
    }
  ghost_.drop_origin(origin);
  copy_rows(*history.rows, origin, ghost_);
  boots_[origin] = history.line.boots;
  for (const auto& [sequence, content] : history.line.contents)
    contents_[{origin, sequence}] = content;
  absl::erase_if(sums_, [&](const auto& entry) { return entry.first.first == origin; });
  for (const auto& [sku, product] : history.rows->catalogue())
    sums_[{origin, std::string(sku)}] = told_by(stock_of(*history.rows, origin, std::string(sku)));
  const std::optional<std::size_t> here = history.place;
  history.place.reset();
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (i != here && world_->node(i).replica() == origin) history.place = i;
  history.rows = std::move(was);
  history.line = std::move(line);
}

Checks::HoldSums Checks::told_by(const StockRow& row) {
  return {.open = row.held - row.released - row.sold,
          .sold = row.sold,
          .returned = row.returned,
          .voided = row.voided,
          .held = row.held,
          .released = row.released};
}

// All of its last writes are at every machine that lives.
bool Checks::is_known_to_all(const std::string& sku, ReplicaId debtor) const {
  const crdt::Product* product = ghost_.product(sku);
  const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(debtor);
  if (cell == nullptr) return true;
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    if (const Machine& machine = world_->node(i); machine.lives())
      if (machine.engine().state().head(debtor) < cell->sequence) return false;
  return true;
}

std::set<ReplicaId> Checks::undecided(const std::vector<std::size_t>& nodes) const {
  std::set<ReplicaId> origins;
  for (const auto& [origin, all] : histories_) {
    // By history, the ghost's first: whether all of the nodes stand in it.
    std::vector<bool> common(1 + all.size(), true);
    std::vector<std::uint64_t> standing;
    bool decided = false;
    for (const std::size_t node : nodes) {
      const Machine& machine = world_->node(node);
      decided = decided || machine.replica() == origin;
      if (!machine.lives()) continue;
      const Sequence head = machine.engine().state().head(origin);
      if (head == 0) continue;
      const std::uint64_t boot =
          standing.emplace_back(machine.engine().state().boot_of(origin, head));
      common[0] = common[0] && head <= ghost_.head(origin) && was_at(boots_.at(origin), head, boot);
      for (std::size_t i = 0; i < all.size(); ++i)
        common[i + 1] = common[i + 1] && head <= all[i]->rows->head(origin) &&
                        was_at(all[i]->line.boots, head, boot);
    }
    for (const std::size_t node : nodes)
      for (const std::uint64_t boot : standing)
        if (const Machine& machine = world_->node(node); machine.lives())
          decided = decided || machine.engine().state().voided(boot);
    if (!decided && std::find(common.begin(), common.end(), true) == common.end())
      origins.insert(origin);
  }
  return origins;
}

void Checks::settle_forks() {
  for (const auto& [origin, all] : histories_)
    for (const auto& history : all) {
      if (history->reissued || !history->place) continue;
      const Machine& machine = world_->node(*history->place);
      // Or it has left since, and the others have what it wrote.
      const bool goes_on =
          machine.replica() == origin ? machine.lives() : somebody_stands_in(*history);
      if (!goes_on || somebody_has(*history)) continue;
      saw("a disk put back was never found out");
      const std::size_t place = *history->place;
      exchange(*history);
      note_lost(place, *history->rows, origin, history->parted);
    }
}

}  // namespace holdfast::sim
