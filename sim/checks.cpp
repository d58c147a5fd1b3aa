#include "sim/checks.h"

#include <xxhash.h>

#include <algorithm>

namespace holdfast::sim {

using crdt::DecodedRow;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::Product;
using crdt::ReplicaId;
using crdt::RowKind;
using crdt::StockRow;
using crdt::Units;

namespace {

// With more SKUs than this only those that a batch names are looked at, not all after each turn.
constexpr std::size_t kLookAtAll = 16;
constexpr std::int64_t kKeysKeptMs = 23 * 3'600'000;  // they are dropped after 24 h

constexpr std::int64_t kLifeSlackMs = 5;  // readings are rounded

}  // namespace

std::uint64_t Checks::content_of(const DecodedRow& row) {
  std::string bytes(1, static_cast<char>(row.kind));
  bytes += row.key;
  bytes += '\n';
  std::visit(
      [&](const auto& payload) {
        if constexpr (std::is_same_v<std::decay_t<decltype(payload)>, std::string>) {
          bytes += payload;
        } else {
          crdt::append_payload(payload, bytes);
        }
      },
      row.payload);
  return XXH3_64bits(bytes.data(), bytes.size());
}

namespace {

// A replica's rights by its own row and the rows of the others in `products`.
Units rights_with(ReplicaId self, const StockRow& own, const Product* others) {
  Units rights = own.received - own.withdrawn + own.allowance_added - own.allowance_removed -
                 (own.held - own.released) + own.returned + own.voided;
  for (const crdt::PeerTotals& entry : own.peers) rights += entry.seized - entry.granted;
  if (others == nullptr) return rights;
  for (const auto& cell : others->stock.cells()) {
    if (cell->origin == self) continue;
    if (const crdt::PeerTotals* entry = cell->row.find(self))
      rights += entry->granted - entry->seized;
  }
  return rights;
}

// What others seized from it, in `products`, beyond what its own row has seen.
Units unseen_with(ReplicaId self, const crdt::StockCell* own, const Product* others) {
  Units unseen = 0;
  if (others == nullptr) return 0;
  for (const auto& cell : others->stock.cells()) {
    const crdt::PeerTotals* entry = cell->row.find(self);
    if (entry == nullptr || entry->seized == 0) continue;
    const crdt::PeerTotals* seen = own == nullptr ? nullptr : own->row.find(cell->origin);
    unseen += std::max<Units>(0, entry->seized - (seen == nullptr ? 0 : seen->seen));
  }
  return unseen;
}

std::string at_node(const Machine& machine) { return machine.name() + ": "; }

}  // namespace

void Checks::fail(const std::string& invariant, const std::string& detail) {
  if (violation_) return;
  violation_ = Violation{invariant, detail, world_->now(), world_->events().done()};
}

// ── what became durable ─────────────────────────────────────────────────────────────────────────

void Checks::on_durable(Machine& machine, const node::Batch& batch) {
  Known& known = known_[machine.place()];
  if (batch.number != ++known.batch)
    fail("not-monotone", at_node(machine) + "batch " + std::to_string(batch.number) +
                             " became durable where " + std::to_string(known.batch) + " was due");
  const auto value = node::decode_journal_value(batch.journal);
  if (!value.ok() || value->self != machine.replica())
    return fail("not-monotone", at_node(machine) + "a journal value that is none of its own");
  if (value->life_ms < known.life_ms) fail("not-monotone", at_node(machine) + "its life went back");
  known.life_ms = value->life_ms;
  if (known.life_ms > known.life_at_start_ms + machine.lived_ms() + kLifeSlackMs)
    fail("life-too-fast", at_node(machine) + "its life is " + std::to_string(known.life_ms) + ", " +
                              std::to_string(machine.lived_ms()) + " after a start at " +
                              std::to_string(known.life_at_start_ms));
  std::vector<Copy> copies;
  for (const node::JournalPart& part : value->parts) {
    if (part.origin == machine.replica()) {
      History* apart = history_at(machine);
      apart != nullptr ? take_own_apart(machine, *value, part, *apart)
                       : take_own(machine, *value, part);
    } else {
      if (part.anew) known.durable.drop(part.origin);  // it takes that origin's rows once more
      take_others(machine, part, copies);
    }
    known.durable.raise(part.origin, part.upto);
  }
  if (history_at(machine) != nullptr) return;
  for (Copy& copy : copies) check_gives_way(at_node(machine), machine.replica(), std::move(copy));
}

void Checks::take_own(Machine& machine, const node::JournalValue& value,
                      const node::JournalPart& part) {
  auto rows = crdt::decode_rows(part.rows);
  if (!rows.ok()) return fail("not-monotone", at_node(machine) + "rows that cannot be read");
  const ReplicaId self = machine.replica();
  std::set<std::string> skus;
  Seizing seizing;
  for (DecodedRow& row : *rows) {
    if (row.sequence <= ghost_.head(self) || row.sequence > part.upto)
      fail("not-monotone", at_node(machine) + "sequence " + std::to_string(row.sequence) +
                               " was written after " + std::to_string(ghost_.head(self)));
    contents_[{self, row.sequence}] = content_of(row);
    check_row(machine, row, value.life_ms);
    note_changes(self, row, seizing);
    if (row.kind == RowKind::stock) skus.insert(row.key);
    bool gave_way = false;
    if (const auto* member = std::get_if<crdt::MemberRow>(&row.payload))
      for (const crdt::Boot& boot : member->boots) boots_[self][boot.sequence] = boot.nonce;
    if (const auto* hold = std::get_if<HoldRow>(&row.payload)) {
      held_ever_.insert(row.key);
      const crdt::Hold* before = ghost_.hold_of(row.key, self);
      gave_way = hold->overruled && before != nullptr && !before->row.overruled;
      count_hold(self, before == nullptr ? nullptr : &before->row, *hold);
      for (const crdt::HoldLine& line : hold->lines) skus.insert(line.sku);
    }
    auto merged = ghost_.merge(self, std::move(row));
    if (!merged.ok())
      fail("not-monotone", at_node(machine) + std::string(merged.status().message()));
    else if (gave_way)
      check_gave_way(at_node(machine), static_cast<const crdt::Hold&>(**merged));
  }
  ghost_.advance(self, part.upto);
  check_seizures(machine, seizing);
  for (const std::string& sku : skus) {
    check_sums(self, sku);
    check_product(sku);
  }
}

void Checks::take_others(Machine& machine, const node::JournalPart& part,
                         std::vector<Copy>& copies) {
  if (histories_.contains(part.origin)) return take_forked(machine, part);
  if (part.upto > ghost_.head(part.origin))
    fail("exported-before-durable", at_node(machine) + "has " + crdt::to_string(part.origin) +
                                        " up to " + std::to_string(part.upto) + ", of which " +
                                        std::to_string(ghost_.head(part.origin)) + " is durable");
  auto rows = crdt::decode_rows(part.rows);
  if (!rows.ok()) return fail("copies-differ", at_node(machine) + "rows that cannot be read");
  for (DecodedRow& row : *rows) {
    const auto content = contents_.find({part.origin, row.sequence});
    if (content == contents_.end()) {
      fail("exported-before-durable", at_node(machine) + "has row " + row.key + " of sequence " +
                                          std::to_string(row.sequence) +
                                          ", which its origin has not");
    } else if (content->second != content_of(row)) {
      fail("copies-differ", at_node(machine) + "row " + row.key + " of sequence " +
                                std::to_string(row.sequence) + " is not as its origin wrote it");
    }
    if (auto* hold = std::get_if<HoldRow>(&row.payload);
        hold != nullptr && hold->state != HoldState::held)
      copies.push_back({part.origin, std::move(row.key), std::move(*hold)});
  }
}

void Checks::check_row(Machine& machine, const DecodedRow& row, std::int64_t life_ms) {
  const std::string where = at_node(machine) + row.key + ": ";
  const ReplicaId self = machine.replica();
  if (const auto* stock = std::get_if<StockRow>(&row.payload)) {
    const Product* product = ghost_.product(row.key);
    const crdt::StockCell* before = product == nullptr ? nullptr : product->stock.find(self);
    static const StockRow kNone;
    check_stock_row(before == nullptr ? kNone : before->row, *stock, where);
  } else if (const auto* hold = std::get_if<HoldRow>(&row.payload)) {
    const crdt::Hold* before = ghost_.hold_of(row.key, self);
    if (before != nullptr) check_hold_row(before->row, *hold, life_ms, where);
  }
}

void Checks::check_stock_row(const StockRow& before, const StockRow& after,
                             const std::string& where) {
  const auto grows = [&](const char* name, Units was, Units is) {
    if (is < was)
      fail("not-monotone",
           where + name + " went from " + std::to_string(was) + " to " + std::to_string(is));
  };
  grows("received", before.received, after.received);
  grows("withdrawn", before.withdrawn, after.withdrawn);
  grows("allowance_added", before.allowance_added, after.allowance_added);
  grows("allowance_removed", before.allowance_removed, after.allowance_removed);
  grows("held", before.held, after.held);
  grows("released", before.released, after.released);
  grows("sold", before.sold, after.sold);
  grows("returned", before.returned, after.returned);
  grows("voided", before.voided, after.voided);
  for (const crdt::PeerTotals& was : before.peers) {
    const crdt::PeerTotals* is = after.find(was.peer);
    grows("granted", was.granted, is == nullptr ? 0 : is->granted);
    grows("seized", was.seized, is == nullptr ? 0 : is->seized);
    grows("seen", was.seen, is == nullptr ? 0 : is->seen);
    grows("debt_at_seen", was.debt_at_seen, is == nullptr ? 0 : is->debt_at_seen);
  }
}

void Checks::check_hold_row(const HoldRow& before, const HoldRow& after, std::int64_t life_ms,
                            const std::string& where) {
  // A copy that had given way, and takes the place of one whose home is retired now.
  const bool taken_up = before.overruled && before.state == HoldState::released && after.estate_of;
  bool same = before.digest == after.digest && before.lines.size() <= after.lines.size() &&
              before.number == after.number && before.created_at == after.created_at;
  std::size_t known = 0;
  for (const crdt::HoldLine& is : after.lines) {
    const crdt::HoldLine* was = before.find(is.sku);
    known += was != nullptr;
    // A line of nothing says what was freed beside it.
    const crdt::HoldLine none{.sku = is.sku};
    if (was == nullptr) was = &none;
    same = same && (was->held == is.held || taken_up) && is.committed <= is.held &&
           is.returned >= was->returned && is.returned <= is.committed;
    if (before.state != HoldState::held && !taken_up) same = same && was->committed == is.committed;
  }
  same = same && (known == before.lines.size() || taken_up);
  if (!same) fail("hold-ended-twice", where + "what was held or sold has changed");
  if (before.state != HoldState::held && !taken_up &&
      (after.state != before.state || after.ended_at != before.ended_at))
    fail("hold-ended-twice", where + "ended once more");
  if (before.overruled && !after.overruled && !taken_up)
    fail("hold-ended-twice", where + "had given way, and stands again");
  if (after.estate_of && after.estate_of != before.estate_of && !taken_up)
    fail("hold-ended-twice", where + "has units of its own, and became another's");
  for (const crdt::UndoneEnd& was : before.undone) check_undone(was, before, after, where);
  // An extension may be of the same batch, and to an earlier moment: what was due is in the row.
  if (before.state == HoldState::held && after.state == HoldState::expired &&
      life_ms < after.deadline)
    fail("expired-early", where + "at " + std::to_string(life_ms) + " of a life, deadline " +
                              std::to_string(after.deadline));
}

// What an own copy adds to the totals of its origin (node/estate.h).
Checks::HoldSums Checks::counted(const HoldRow& row, std::size_t line) {
  const crdt::HoldLine& of = row.lines[line];
  const Units held = of.held;
  const bool is_held = row.state == HoldState::held;
  HoldSums sums{.open = row.estate_of ? (is_held ? 0 : -held) : (is_held ? held : 0),
                .sold = of.committed,
                .returned = of.returned};
  for (const crdt::FreedHold& freed : row.freed) sums.open -= freed.units[line];
  sums.held = held;
  if (!is_held) sums.released = held - sums.sold;
  sums.estates = row.estate_of || !row.freed.empty() || !row.undone.empty();
  if (row.overruled && row.state == HoldState::committed) sums.voided = of.committed - of.returned;
  for (const crdt::UndoneEnd& undone : row.undone) {
    if (undone.root) {
      sums.open += undone.units[line] - undone.again[line];
    } else {
      sums.voided += undone.units[line];
      sums.sold += undone.again[line];
    }
  }
  return sums;
}

void Checks::count_hold(ReplicaId origin, const HoldRow* before, const HoldRow& after) {
  for (std::size_t i = 0; i < after.lines.size(); ++i) {
    HoldSums& sums = sums_[{origin, after.lines[i].sku}];
    const HoldSums now = counted(after, i);
    const crdt::HoldLine* line = before == nullptr ? nullptr : before->find(after.lines[i].sku);
    const HoldSums was =
        line == nullptr ? HoldSums{}
                        : counted(*before, static_cast<std::size_t>(line - before->lines.data()));
    sums.open += now.open - was.open;
    sums.sold += now.sold - was.sold;
    sums.returned += now.returned - was.returned;
    sums.voided += now.voided - was.voided;
    sums.held += now.held - was.held;
    sums.released += now.released - was.released;
    sums.estates = sums.estates || was.estates || now.estates;
  }
}

void Checks::check_sums(ReplicaId origin, const std::string& sku) {
  const Product* product = ghost_.product(sku);
  const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(origin);
  static const StockRow kNone;
  const StockRow& row = cell == nullptr ? kNone : cell->row;
  const HoldSums& sums = sums_[{origin, sku}];
  const auto equal = [&](const char* name, Units total, Units sum) {
    if (total != sum)
      fail("totals-unlike-holds", sku + " of " + crdt::to_string(origin) + ": " + name + " is " +
                                      std::to_string(total) + ", its holds add up to " +
                                      std::to_string(sum));
  };
  equal("held - released - sold", row.held - row.released - row.sold, sums.open);
  if (!sums.estates) equal("held", row.held, sums.held);
  if (!sums.estates) equal("released", row.released, sums.released);
  equal("sold", row.sold, sums.sold);
  equal("returned", row.returned, sums.returned);
  equal("voided", row.voided, sums.voided);
}

void Checks::check_product(const std::string& sku) {
  const Product* product = ghost_.product(sku);
  if (product == nullptr) return;
  if (on_stock_) on_stock_(*product);
  const crdt::BoundedCounter& stock = product->stock;
  // Rights may stand at some that have no stock row of their own yet.
  absl::InlinedVector<ReplicaId, 32> replicas;
  for (const auto& cell : stock.cells()) {
    replicas.push_back(cell->origin);
    for (const crdt::PeerTotals& entry : cell->row.peers) replicas.push_back(entry.peer);
  }
  std::sort(replicas.begin(), replicas.end());
  replicas.erase(std::unique(replicas.begin(), replicas.end()), replicas.end());
  const Units budget = budget_[sku].sum();
  Units sum = 0, short_of = 0, counted = 0;
  for (const ReplicaId replica : replicas) {
    const Units rights = stock.rights(replica);
    sum += rights;
    const Units unseen = stock.unseen(replica, ghost_.retired());
    const Units debt = stock.debt(replica, ghost_.retired());
    short_of += unseen + debt;
    // What a fork gave it is not in the ghost before the fork has written it again.
    const Units apart = granted_apart(sku, replica);
    counted += unseen + (apart == 0 ? debt : std::max<Units>(0, -(rights + apart + unseen)));
    if (rights + apart < 0 && budget == 0)
      fail("rights-below-zero",
           sku + ": " + crdt::to_string(replica) + " has " + std::to_string(rights));
  }
  if (counted > budget)
    fail("budget", sku + ": unseen and debts are " + std::to_string(counted) + ", of " +
                       std::to_string(budget_[sku].decreed) + " decreed, " +
                       std::to_string(budget_[sku].adopted) + " adopted, " +
                       std::to_string(budget_[sku].undone) + " undone, " +
                       std::to_string(budget_[sku].taken_back) + " taken back, " +
                       std::to_string(budget_[sku].inherited) + " inherited twice, " +
                       std::to_string(budget_[sku].forked) + " written again by forks");
  for (const ReplicaId replica : replicas) check_debt(*product, replica);
  const Units available = stock.available(), allowance = stock.allowance();
  if (sum != available + allowance)
    fail("conservation", sku + ": rights are " + std::to_string(sum) + ", available " +
                             std::to_string(available) + ", allowance " +
                             std::to_string(allowance));
  if (available < -allowance - short_of)
    fail("oversold", sku + ": available " + std::to_string(available) + ", allowance " +
                         std::to_string(allowance) + ", unseen and debts " +
                         std::to_string(short_of));
  if (available < -allowance) saw("a decree oversold");
  if (world_->options().regions.size() < 2 || product->stock.on_hand() <= 0) return;
  std::map<std::size_t, Units> by_region;
  for (std::size_t i = 0; i < world_->nodes(); ++i)
    by_region[world_->region_of(i)] += product->stock.rights(world_->node(i).replica());
  const auto at_zero = std::count_if(by_region.begin(), by_region.end(),
                                     [](const auto& entry) { return entry.second == 0; });
  if (at_zero >= 2) saw("two regions at zero rights at once");
}

// ── what a node believes ────────────────────────────────────────────────────────────────────────

void Checks::on_turn(Machine& machine) {
  check_rows_up_to_vector(machine);
  const crdt::State& state = machine.engine().state();
  if (state.product_count() > kLookAtAll) return;
  for (const auto& [sku, product] : state.catalogue()) {
    check_own_rights(machine, *product);
    check_grants(machine, *product);
  }
}

void Checks::check_own_rights(Machine& machine, const Product& product) {
  const ReplicaId self = machine.replica();
  const crdt::StockCell* cell = product.stock.find(self);
  const Units truth =
      rights_with(self, cell == nullptr ? StockRow{} : cell->row, ghost_.product(product.sku));
  // What it may spend. A seizure that it has seen counts there also while its seizer's rows, which
  // were dropped with those of a fork, have not come again; its rights, a sum over the rows that
  // are here, are too high by that much until then.
  const Units view = product.stock.rights(self) - machine.engine().state().withheld(product);
  const Units unseen = unseen_with(self, cell, ghost_.product(product.sku)) +
                       granted_apart(product.sku, self) + granted_in_vain(machine, product.sku);
  if (view > truth + unseen)
    fail("view-above-truth", at_node(machine) + product.sku + ": believes in " +
                                 std::to_string(view) + " and has " + std::to_string(truth) +
                                 ", without " + std::to_string(unseen) + " that were seized");
  // What was undone is in the budget when it is durable.
  const crdt::State& state = machine.engine().state();
  const bool all_durable = !state.has_unsealed() && state.head(self) == rows_of(machine).head(self);
  const auto budget = budget_.find(product.sku);
  if (view < 0 && all_durable && histories_.empty() &&
      (budget == budget_.end() || budget->second.sum() == 0))
    fail("rights-below-zero", at_node(machine) + product.sku + ": has " + std::to_string(view));
}

void Checks::check_rows_up_to_vector(Machine& machine) {
  const crdt::State& state = machine.engine().state();
  Known& known = known_[machine.place()];
  for (const auto& [origin, head] : state.vector()) {
    const crdt::Sequence before = known.checked[origin];
    if (head == before || origin == machine.replica()) continue;
    const bool forked = histories_.contains(origin);
    const crdt::State* rows = forked ? rows_at(origin, head, state.boot_of(origin, head)) : &ghost_;
    if (head < before && !forked)
      fail("row-lost-below-vector", at_node(machine) + "its vector went back");
    if (rows == nullptr || head > rows->head(origin))
      return fail("exported-before-durable", at_node(machine) + "has " + crdt::to_string(origin) +
                                                 " up to " + std::to_string(head) + ", of which " +
                                                 std::to_string(ghost_.head(origin)) +
                                                 " is durable");
    const crdt::Feed* feed = rows->feed(origin);
    for (auto at = feed->begin_after(forked ? 0 : before); at != feed->end() && at->first <= head;
         ++at)
      check_has(machine, *at->second);
    known.checked.drop(origin);
    known.checked.raise(origin, head);
  }
}

void Checks::check_has(Machine& machine, const crdt::FeedItem& item) {
  const crdt::State& state = machine.engine().state();
  const crdt::Feed* feed = state.feed(item.origin);
  if (feed != nullptr && feed->at(item.sequence) != nullptr) return;
  const std::string key(crdt::row_key(item));
  const crdt::FeedItem* found = nullptr;
  if (item.kind == RowKind::stock) {
    const Product* product = state.product(key);
    found = product == nullptr ? nullptr : product->stock.find(item.origin);
  } else if (item.kind == RowKind::hold) {
    found = state.hold_of(key, item.origin);
    // Nobody tells of a retired replica's finished holds that they may go: each judges by itself.
    const auto& hold = static_cast<const crdt::Hold&>(item);
    if (found == nullptr && hold.row.state != HoldState::held && ghost_.retired(item.origin))
      return;
  } else if (item.kind == RowKind::key) {
    const auto& row = static_cast<const crdt::Key&>(item).row;
    if (machine.wall_now_ms() - row.created_at >= kKeysKeptMs) return;
  }
  if (found == nullptr || found->sequence < item.sequence)
    fail("row-lost-below-vector", at_node(machine) + "lacks row " + key + " of " +
                                      crdt::to_string(item.origin) + ", sequence " +
                                      std::to_string(item.sequence));
}

// ── processes ───────────────────────────────────────────────────────────────────────────────────

void Checks::on_started(Machine& machine, bool torn) {
  if (torn) saw("a torn journal tail was cut off");
  Known& known = known_[machine.place()];
  const ReplicaId self = machine.replica();
  if (known.replica != self) {
    known = {};
    known.replica = self;
    known.batch = machine.image().mark;  // of a restored copy
  }
  known.checked = {};
  known.granted.clear();
  known.life_at_start_ms = known.life_ms;
  if (const auto meta = node::decode_meta(machine.image().meta); meta.ok())
    known.life_at_start_ms = std::max(known.life_at_start_ms, meta->life_ms);
  const crdt::State& state = machine.engine().state();
  const crdt::State& rows = rows_of(machine);
  if (state.head(self) != rows.head(self))
    fail("durable-row-lost", at_node(machine) + "starts with " + std::to_string(state.head(self)) +
                                 " writes, of which " + std::to_string(rows.head(self)) +
                                 " were durable");
  if (const crdt::Feed* feed = rows.feed(self))
    for (auto at = feed->begin_after(0); at != feed->end(); ++at) check_has(machine, *at->second);
  for (const auto& [origin, sequence] : known.durable)
    if (state.head(origin) < sequence)
      fail("durable-row-lost", at_node(machine) + "had " + crdt::to_string(origin) + " up to " +
                                   std::to_string(sequence) + ", and starts with " +
                                   std::to_string(state.head(origin)));
  check_rows_up_to_vector(machine);
}

void Checks::on_ended(Machine& machine, const std::string& why) {
  if (why == "a write to the disk failed") {
    saw("a failed fsync ended a process");
  } else if (why.starts_with("this node was drained")) {
    saw("a node left in good order");
  } else if (why.starts_with("this replica was retired")) {
    saw("a retired node came back, and ended");
  } else if (why.starts_with("this data directory is not the latest of its replica")) {
    saw("a fork was found out by a peer");
    if (!histories_.contains(machine.replica())) fail("fork-without-cause", at_node(machine) + why);
  } else if (refused_.erase(machine.place()) > 0) {
    saw("a fork was found at its own start");
  } else if (!why.empty()) {
    fail("stopped", at_node(machine) + why);
  }
}

void Checks::on_reply(Machine& machine, const node::Outcome& outcome, bool released,
                      bool may_be_early) {
  if (!released && !may_be_early && outcome.code != node::Code::overloaded)
    fail("early-reply", at_node(machine) + "answered before it was durable");
  if (outcome.code == node::Code::storage_full) saw("new work was refused on a full disk");
  if (outcome.code == node::Code::outcome_unknown) saw("a forwarded call had no answer");
  if (outcome.code == node::Code::home_unreachable) saw("a reservation's home was out of reach");
}

bool Checks::grant_in_flight(std::size_t from, std::size_t to) const {
  const Machine &giver = world_->node(from), &taker = world_->node(to);
  if (!taker.lives()) return false;
  for (const auto& [sku, product] : ghost_.catalogue()) {
    const crdt::StockCell* given = product->stock.find(giver.replica());
    const crdt::PeerTotals* gave = given == nullptr ? nullptr : given->row.find(taker.replica());
    if (gave == nullptr) continue;
    const Product* there = taker.engine().state().product(sku);
    const crdt::StockCell* copy = there == nullptr ? nullptr : there->stock.find(giver.replica());
    const crdt::PeerTotals* seen = copy == nullptr ? nullptr : copy->row.find(taker.replica());
    if ((seen == nullptr ? 0 : seen->granted) < gave->granted) return true;
  }
  return false;
}

}  // namespace holdfast::sim
