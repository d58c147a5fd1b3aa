#include "crdt/state.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "crdt/boots.h"
#include "crdt/check.h"
#include "crdt/digest.h"
#include "crdt/prefetch.h"

namespace holdfast::crdt {

bool stands_before(const Hold& a, const Hold& b) {
  static constexpr int kByState[] = {2, 0, 1, 3};  // held, committed, released, expired
  const auto rank = [](const Hold& hold) {
    const HoldRow& row = hold.row;
    const bool held = row.state == HoldState::held;
    // An heir that takes its end back is an adopter from then on: no matter once it has ended.
    const int line =
        held ? (in_line(row) ? (row.estate_of ? 0 : 1) : 2) : (row.adopted_from ? 2 : 1);
    return std::tuple(row.overruled, kByState[static_cast<int>(row.state)],
                      held ? -row.expires_at : 0, line, hold.origin);
  };
  return rank(a) < rank(b);
}

bool counts_in_digest(RowKind kind) {
  return kind == RowKind::stock || kind == RowKind::hold || kind == RowKind::sku;
}

namespace {

std::uint64_t name_digest(const FeedItem& item) {
  return digest(row_key(item), item.origin.value * 31 + static_cast<std::uint64_t>(item.kind));
}

std::uint64_t version_digest(std::uint64_t name, Sequence sequence) {
  std::uint64_t mixed = name + sequence * 0x9e3779b97f4a7c15ull;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ull;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebull;
  return mixed ^ (mixed >> 31);
}

}  // namespace

std::uint64_t row_digest(const FeedItem& item, Sequence sequence) {
  return version_digest(name_digest(item), sequence);
}

const SkuCell* Product::description() const {
  const auto later = [](const auto& a, const auto& b) {
    return std::pair(a->row.time, a->origin) < std::pair(b->row.time, b->origin);
  };
  const auto last = std::max_element(descriptions.begin(), descriptions.end(), later);
  return last == descriptions.end() ? nullptr : last->get();
}

const MovedTo& Product::moved() const {
  static const MovedTo kNever;
  const MovedTo* latest = &kNever;
  if (!ever_moved) return *latest;
  for (const auto& cell : descriptions)
    if (cell->row.moved.version > latest->version) latest = &cell->row.moved;
  return *latest;
}

std::string_view row_key(const FeedItem& item) {
  switch (item.kind) {
    case RowKind::stock:
      return static_cast<const StockCell&>(item).product->sku;
    case RowKind::hold:
      return static_cast<const Hold&>(item).id;
    case RowKind::key:
      return static_cast<const Key&>(item).key;
    case RowKind::sku:
      return static_cast<const SkuCell&>(item).product->sku;
    case RowKind::decree:
      return static_cast<const Decree&>(item).key;
    case RowKind::member: {
      thread_local std::string text;
      text = to_string(item.origin);
      return text;
    }
    default:
      return static_cast<const Opaque&>(item).key;
  }
}

void append_item(const FeedItem& item, std::string& out) {
  thread_local std::string payload;
  payload.clear();
  switch (item.kind) {
    case RowKind::stock:
      append_payload(static_cast<const StockCell&>(item).row, payload);
      break;
    case RowKind::hold:
      append_payload(static_cast<const Hold&>(item).row, payload);
      break;
    case RowKind::key:
      append_payload(static_cast<const Key&>(item).row, payload);
      break;
    case RowKind::sku:
      append_payload(static_cast<const SkuCell&>(item).row, payload);
      break;
    case RowKind::member:
      append_payload(static_cast<const Member&>(item).row, payload);
      break;
    case RowKind::decree:
      append_payload(static_cast<const Decree&>(item).row, payload);
      break;
    default:
      payload = static_cast<const Opaque&>(item).bytes;
  }
  append_row(item.kind, row_key(item), item.sequence, item.format, payload, out);
}

State::State(ReplicaId self) : self_(self), own_(&origin(self)) { HOLDFAST_CHECK(bool(self)); }
State::~State() = default;

State::Origin& State::origin(ReplicaId id) {
  std::unique_ptr<Origin>& entry = origins_[id];
  if (!entry) entry = std::make_unique<Origin>();
  return *entry;
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

Product* State::product(std::string_view sku) const { return products_.find(sku); }

Hold* State::hold(std::string_view id) const {
  Hold* best = first_copy(id);
  if (best == nullptr || !best->next_copy) return best;
  // Two that were retired in favour of each other may each end the other's: then one of them
  // stands.
  for (Hold* copy = best->next_copy.get(); copy != nullptr; copy = copy->next_copy.get())
    if (superseded(*copy) != superseded(*best) ? superseded(*best) : stands_before(*copy, *best))
      best = copy;
  return best;
}

bool State::superseded(const Hold& copy) const {
  if (!copy.copied || copy.row.state != HoldState::held) return false;
  // A retired heir's place is taken by the next, under the name of the same root; or by nobody, if
  // that had ended its hold itself.
  const ReplicaId root = retired(copy.origin) ? copy.row.estate_of : ReplicaId{};
  for (const Hold* other = first_copy(copy.id); other != nullptr; other = other->next_copy.get()) {
    if (other == &copy) continue;
    if (stands_for(other->row, copy.origin)) return true;
    const bool waits = other->row.estate_of == root && other->row.state == HoldState::held &&
                       retired(other->origin);
    if (root && !waits && stands_for(other->row, root)) return true;
    const bool has_own_units = other->row.state == HoldState::held && !other->row.estate_of;
    if (root && other->origin == root && !has_own_units) return true;
  }
  return false;
}

Hold* State::hold_of(std::string_view id, ReplicaId origin) const {
  Hold* copy = first_copy(id);
  while (copy != nullptr && copy->origin != origin) copy = copy->next_copy.get();
  return copy;
}

Hold* State::first_copy(std::string_view id) const { return holds_.find(id); }

Hold* State::own_hold(std::string_view id) const { return hold_of(id, self_); }

Key* State::key(std::string_view key) const {
  Key* best = first_key(key);
  for (Key* copy = best; copy != nullptr; copy = copy->next_copy.get())
    if (copy->origin < best->origin) best = copy;
  return best;
}

Key* State::first_key(std::string_view key) const { return keys_.find(key); }

Key* State::key_of(std::string_view key, ReplicaId origin) const {
  Key* copy = first_key(key);
  while (copy != nullptr && copy->origin != origin) copy = copy->next_copy.get();
  return copy;
}

const Member* State::member(ReplicaId replica) const {
  const auto at = members_.find(replica);
  return at == members_.end() ? nullptr : at->second.get();
}

Sequence State::head(ReplicaId id) const {
  const auto at = origins_.find(id);
  return at == origins_.end() ? 0 : at->second->head;
}

Sequence State::floor(ReplicaId id) const {
  const auto at = origins_.find(id);
  return at == origins_.end() ? 0 : at->second->floor;
}

const Feed* State::feed(ReplicaId id) const {
  const auto at = origins_.find(id);
  return at == origins_.end() ? nullptr : &at->second->feed;
}

std::size_t State::lasting_rows() const {
  std::size_t rows = 0;
  for (const auto& [id, origin] : origins_) rows += origin->feed.size();
  return rows - keys_by_age_.size();
}

std::uint64_t State::boot_of(ReplicaId replica, Sequence sequence) const {
  return boot_at(boots(replica), sequence);
}

const std::vector<Boot>& State::boots(ReplicaId origin) const {
  static const std::vector<Boot> kNone;
  const Member* row = member(origin);
  return row == nullptr ? kNone : row->row.boots;
}

bool State::any_voided(const std::vector<Boot>& boots) const {
  return !voided_.empty() && std::any_of(boots.begin(), boots.end(),
                                         [&](const Boot& boot) { return voided(boot.nonce); });
}

void State::note_former_fork(const Member& member) {
  voided_.insert(member.row.voided_boots.begin(), member.row.voided_boots.end());
  if (!member.row.forked_from) return;
  note_owing(member.origin);
  // It had all that stood when the histories parted: of use after a crash, when nothing else tells
  // how far the rows reached that were dropped here.
  for (const VectorEntry& entry : member.row.acknowledged)
    if (entry.origin == member.row.forked_from && !voided(entry.boot))
      await_rows(entry.origin, entry.sequence);
}

void State::note_owing(ReplicaId replica) {
  if (!owing_.insert(replica).second) return;
  const Feed& rows = origin(replica).feed;
  for (auto at = rows.begin_after(0); at != rows.end(); ++at)
    if (at->second->kind == RowKind::stock)
      note_seizures(static_cast<const StockCell&>(*at->second));
}

// Its units may have been sold meanwhile.
void State::note_undone(const Key& key) {
  if (key.row.state == 0 || !valid_name(key.row.sku)) return;  // a peer's row may say anything
  Product& product = make_product(key.row.sku);
  product.stock.may_owe(key.origin);
  product.seized = true;
  seized_.emplace(product.sku, &product);
}

// ── own writes ──────────────────────────────────────────────────────────────────────────────────

Product& State::make_product(std::string_view sku) {
  if (Product* found = product(sku)) return *found;
  auto made = std::make_unique<Product>();
  made->sku = sku;
  Product& product = *made;
  products_.owner(product.sku) = std::move(made);
  catalogue_.emplace(product.sku, &product);
  return product;
}

StockCell& State::own_stock(Product& product) {
  StockCell& cell = product.stock.at(self_);
  cell.product = &product;
  return cell;
}

void State::touch(FeedItem& item) {
  HOLDFAST_CHECK(item.origin == self_);
  if (item.dirty) return;
  item.dirty = true;
  dirty_.push_back(&item);
}

void State::count_open(Hold& hold, bool open) {
  if (std::exchange(hold.counted, open) == open) return;
  const std::size_t step = open ? 1 : std::size_t(-1);
  open_holds_ += step;
  if (hold.origin == self_) own_open_holds_ += step;
}

// A copy has changed, and with it whether others are superseded.
void State::recount(Hold& changed) {
  if (!changed.copied) return count_open(changed, changed.row.state == HoldState::held);
  for (Hold* copy = first_copy(changed.id); copy != nullptr; copy = copy->next_copy.get())
    count_open(*copy, copy->row.state == HoldState::held && !superseded(*copy));
}

Hold& State::insert_hold(std::string&& id, ReplicaId origin, HoldRow&& row) {
  auto made = std::make_unique<Hold>();
  made->kind = RowKind::hold;
  made->origin = origin;
  made->id = std::move(id);
  made->row = std::move(row);
  Hold& hold = *made;
  std::unique_ptr<Hold>& first = holds_.owner(hold.id);
  if (!first) {
    first = std::move(made);
  } else {
    HOLDFAST_CHECK(hold_of(hold.id, origin) == nullptr);
    hold.next_copy = std::move(first->next_copy);
    first->next_copy = std::move(made);
    first->copied = hold.copied = true;
  }
  holds_by_number_.emplace(std::pair(origin, hold.row.number), &hold);
  if (origin == self_) last_number_ = std::max(last_number_, hold.row.number);
  recount(hold);
  return hold;
}

Hold& State::add_hold(std::string id, HoldRow&& row) {
  row.number = last_number_ + 1;
  Hold& hold = insert_hold(std::move(id), self_, std::move(row));
  touch(hold);
  return hold;
}

Key& State::insert_key(std::string key, ReplicaId origin, KeyRow row) {
  auto made = std::make_unique<Key>();
  made->kind = RowKind::key;
  made->origin = origin;
  made->key = std::move(key);
  made->row = std::move(row);
  Key& inserted = *made;
  std::unique_ptr<Key>& first = keys_.owner(inserted.key);
  if (!first) {
    first = std::move(made);
  } else {
    inserted.next_copy = std::move(first->next_copy);
    first->next_copy = std::move(made);
  }
  keys_by_age_.emplace(inserted.row.created_at, &inserted);
  note_undone(inserted);
  return inserted;
}

void State::put_key(std::string key, KeyRow row) {
  touch(insert_key(std::move(key), self_, std::move(row)));
}

void State::undo_key(Key& key) {
  key.row.state = 1;
  note_undone(key);
  touch(key);
}

void State::put_sku(Product& product, SkuRow row) {
  SkuCell* cell = nullptr;
  for (const auto& candidate : product.descriptions)
    if (candidate->origin == self_) cell = candidate.get();
  if (cell == nullptr) {
    cell = product.descriptions.emplace_back(std::make_unique<SkuCell>()).get();
    cell->kind = RowKind::sku;
    cell->origin = self_;
    cell->product = &product;
  }
  product.ever_moved = product.ever_moved || row.moved.version != 0;
  cell->row = std::move(row);
  touch(*cell);
}

void State::put_member(MemberRow row) {
  std::unique_ptr<Member>& member = members_[self_];
  if (!member) {
    member = std::make_unique<Member>();
    member->kind = RowKind::member;
    member->origin = self_;
  }
  member->row = std::move(row);
  note_former_fork(*member);
  touch(*member);
}

void State::put_decree(DecreeRow row) {
  std::unique_ptr<Decree>& decree = decrees_[{row.target, row.generation, self_}];
  if (!decree) {
    decree = std::make_unique<Decree>();
    decree->kind = RowKind::decree;
    decree->origin = self_;
    decree->key = decree_key(row);
  }
  decree->row = std::move(row);
  index_decrees();
  touch(*decree);
}

void State::index_decrees() {
  const ReplicaSet before = retired_;
  decreed_.clear();
  retired_.clear();
  successors_.clear();
  for (const auto& [key, decree] : decrees_) {
    const DecreeRow& row = decree->row;
    if (row.kind != DecreeKind::retirement) continue;
    retired_.insert(row.target);
    const auto [at, first] = successors_.try_emplace(row.target, row.successor);
    if (!first) at->second = std::min(at->second, row.successor);
    note_owing(row.successor);
  }
  for (const auto& [key, decree] : decrees_)
    if (is_open(*decree)) decreed_.insert(decree->row.target);
  for (const ReplicaId replica : retired_)
    if (!before.contains(replica)) recount_stand_ins(replica);
}

// What a replica that was retired just now stood in for may have another heir here already.
void State::recount_stand_ins(ReplicaId retired) {
  for (auto at = holds_by_number_.lower_bound({retired, 0});
       at != holds_by_number_.end() && at->first.first == retired; ++at)
    if (at->second->row.estate_of) recount(*at->second);
}

bool State::is_open(const Decree& decree) const {
  return decree.row.kind == DecreeKind::failover && decree.row.closed_at == 0 &&
         !retired(decree.origin);
}

ReplicaId State::heir(ReplicaId of) const {
  ReplicaId replica = of;
  for (std::size_t steps = 0; steps <= successors_.size(); ++steps) {
    const auto at = successors_.find(replica);
    if (at == successors_.end()) return replica;
    replica = at->second;
  }
  return least_named(of);
}

ReplicaId State::least_named(ReplicaId of) const {
  ReplicaId heir;
  std::vector<ReplicaId> line{of};
  for (std::size_t i = 0; i < line.size(); ++i)
    for (auto at = decrees_.lower_bound({line[i], 0, {}});
         at != decrees_.end() && std::get<0>(at->first) == line[i]; ++at) {
      const ReplicaId next = at->second->row.successor;
      if (!next || std::find(line.begin(), line.end(), next) != line.end()) continue;
      if (retired(next)) {
        line.push_back(next);
      } else if (!heir || next < heir) {
        heir = next;
      }
    }
  return heir;
}

bool State::place(FeedItem& item, Sequence sequence) {
  const Sequence before = item.sequence;
  Origin& of = item.origin == self_ ? *own_ : origin(item.origin);
  if (!of.feed.place(item, sequence)) return false;
  if (counts_in_digest(item.kind)) {
    const std::uint64_t name = name_digest(item);
    if (before != 0) digest_ ^= version_digest(name, before);
    digest_ ^= version_digest(name, sequence);
  }
  mark_unsaved(item);
  return true;
}

void State::note_seizures(const StockCell& cell) {
  const bool owing = owing_.contains(cell.origin);
  if (owing) cell.product->stock.may_owe(cell.origin);
  if (cell.product->seized) return;
  const auto& peers = cell.row.peers;
  if (!owing &&
      std::none_of(peers.begin(), peers.end(), [](const PeerTotals& p) { return p.seized > 0; }))
    return;
  cell.product->seized = true;
  seized_.emplace(cell.product->sku, cell.product);
}

void State::mark_unsaved(FeedItem& item) {
  if (item.unsaved) return;
  item.unsaved = true;
  unsaved_.push_back(&item);
}

void State::seal(std::string& out) {
  constexpr std::size_t kAhead = 8;
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    if (i + kAhead < dirty_.size()) prefetch(dirty_[i + kAhead], sizeof(Hold));
    if (i + kAhead / 2 < dirty_.size()) own_->feed.expect(*dirty_[i + kAhead / 2]);
    FeedItem* item = dirty_[i];
    item->dirty = false;
    item->format = kRowFormat;
    HOLDFAST_CHECK(place(*item, own_->head + 1));
    if (item->kind == RowKind::stock) note_seizures(static_cast<const StockCell&>(*item));
    ++own_->head;
    append_item(*item, out);
  }
  dirty_.clear();
  vector_.raise(self_, own_->head);
}

// ── ahead of a request ──────────────────────────────────────────────────────────────────────────

void State::expect_hold(std::string_view id, Ahead step) const {
  if (step == Ahead::tables) return holds_.prefetch(id);
  if (step != Ahead::items) return;
  if (const Hold* hold = holds_.glance(id)) prefetch(hold, sizeof(Hold));
}

const Product* State::expect_product(std::string_view sku, Ahead step) const {
  if (step == Ahead::tables) {
    products_.prefetch(sku);
    return nullptr;
  }
  const Product* product = products_.glance(sku);
  if (product == nullptr) return nullptr;
  if (step == Ahead::arrays) product->stock.expect_arrays();
  if (step == Ahead::cells) product->stock.expect_cell(self_);
  if (step != Ahead::items) return nullptr;
  prefetch(product, sizeof(Product));
  return product;
}

// ── merging ─────────────────────────────────────────────────────────────────────────────────────

FeedItem& State::cell_for(ReplicaId from, DecodedRow& row, bool& made) {
  made = false;
  switch (row.kind) {
    case RowKind::stock: {
      Product& product = make_product(row.key);
      StockCell& cell = product.stock.at(from);
      cell.product = &product;
      return cell;
    }
    case RowKind::hold: {
      if (Hold* found = hold_of(row.key, from)) return *found;
      made = true;
      return insert_hold(std::string(row.key), from, std::get<HoldRow>(std::move(row.payload)));
    }
    case RowKind::key: {
      if (Key* found = key_of(row.key, from)) return *found;
      made = true;
      return insert_key(row.key, from, std::get<KeyRow>(std::move(row.payload)));
    }
    case RowKind::sku: {
      Product& product = make_product(row.key);
      for (const auto& cell : product.descriptions)
        if (cell->origin == from) return *cell;
      SkuCell& cell = *product.descriptions.emplace_back(std::make_unique<SkuCell>());
      cell.product = &product;
      return cell;
    }
    case RowKind::member: {
      std::unique_ptr<Member>& member = members_[from];
      if (!member) member = std::make_unique<Member>();
      return *member;
    }
    case RowKind::decree: {
      const auto& decreed = std::get<DecreeRow>(row.payload);
      std::unique_ptr<Decree>& decree = decrees_[{decreed.target, decreed.generation, from}];
      if (!decree) decree = std::make_unique<Decree>();
      decree->key = row.key;
      return *decree;
    }
    default: {
      std::unique_ptr<Opaque>& opaque = origin(from).opaque[{row.kind, row.key}];
      if (!opaque) opaque = std::make_unique<Opaque>();
      opaque->key = row.key;
      return *opaque;
    }
  }
}

void State::set_payload(FeedItem& item, DecodedRow&& row) {
  switch (row.kind) {
    case RowKind::stock: {
      auto& cell = static_cast<StockCell&>(item);
      cell.product->stock.change(
          cell, [&](StockRow& stock) { stock = std::get<StockRow>(std::move(row.payload)); });
      break;
    }
    case RowKind::hold: {
      auto& hold = static_cast<Hold&>(item);
      const std::uint64_t number = hold.row.number;
      hold.row = std::get<HoldRow>(std::move(row.payload));
      if (hold.row.number != number) {  // the id was purged at its origin, and is new again
        unlist(hold, number);
        holds_by_number_.emplace(std::pair(hold.origin, hold.row.number), &hold);
        if (hold.origin == self_) last_number_ = std::max(last_number_, hold.row.number);
      }
      recount(hold);
      break;
    }
    case RowKind::key: {
      auto& key = static_cast<Key&>(item);
      unlist(key);
      key.row = std::get<KeyRow>(std::move(row.payload));
      keys_by_age_.emplace(key.row.created_at, &key);  // dropped at its origin, it is new again
      note_undone(key);
      break;
    }
    case RowKind::sku:
      static_cast<SkuCell&>(item).row = std::get<SkuRow>(std::move(row.payload));
      if (auto& cell = static_cast<SkuCell&>(item); cell.row.moved.version != 0)
        cell.product->ever_moved = true;
      break;
    case RowKind::member:
      static_cast<Member&>(item).row = std::get<MemberRow>(std::move(row.payload));
      note_former_fork(static_cast<Member&>(item));
      break;
    case RowKind::decree:
      static_cast<Decree&>(item).row = std::get<DecreeRow>(std::move(row.payload));
      index_decrees();
      break;
    default:
      static_cast<Opaque&>(item).bytes = std::get<std::string>(std::move(row.payload));
  }
}

namespace {

// A later version of a row never takes back a total.
bool grows(const StockRow& before, const StockRow& after) {
  using Total = Units StockRow::*;
  for (const Total total : {&StockRow::received, &StockRow::withdrawn, &StockRow::allowance_added,
                            &StockRow::allowance_removed, &StockRow::held, &StockRow::released,
                            &StockRow::sold, &StockRow::returned, &StockRow::voided})
    if (after.*total < before.*total) return false;
  return std::all_of(before.peers.begin(), before.peers.end(),
                     [&](const PeerTotals& old) {
                       const PeerTotals* now = after.find(old.peer);
                       return now != nullptr && now->granted >= old.granted &&
                              now->seized >= old.seized && now->seen >= old.seen &&
                              now->debt_at_seen >= old.debt_at_seen;
                     }) &&
         std::all_of(before.moves.begin(), before.moves.end(), [&](const Move& old) {
           const Move* now = after.move_with(old.peer);
           return now != nullptr && now->out >= old.out && now->in >= old.in;
         });
}

absl::Status follows(const StockCell& cell, const DecodedRow& row) {
  if (cell.sequence >= row.sequence || grows(cell.row, std::get<StockRow>(row.payload)))
    return absl::OkStatus();
  return absl::InvalidArgumentError("a stock row whose totals fall: " + row.key);
}

}  // namespace

absl::Status State::fits_feed(ReplicaId from, const DecodedRow& row) const {
  if (origins_.size() >= kOriginsMax && !origins_.contains(from))
    return absl::ResourceExhaustedError("more than " + std::to_string(kOriginsMax) + " replicas");
  if (row.kind == RowKind::member && row.key != to_string(from))
    return absl::InvalidArgumentError("a member row about another replica");
  if (row.kind == RowKind::member && std::get<MemberRow>(row.payload).purge_floor >= row.sequence)
    return absl::InvalidArgumentError("a purge floor above what was written");
  // Most rows come behind all others, where none can be in the way.
  if (const Feed* rows = feed(from); rows != nullptr && row.sequence <= rows->last()) {
    const FeedItem* there = rows->at(row.sequence);
    if (there != nullptr && (there->kind != row.kind || row_key(*there) != row.key))
      return absl::InvalidArgumentError("two rows of one origin with one sequence: " + row.key);
  }
  return absl::OkStatus();
}

absl::Status State::fits(ReplicaId from, const DecodedRow& row, StockCell** known) const {
  if (absl::Status status = fits_feed(from, row); !status.ok()) return status;
  if (row.kind != RowKind::stock) return absl::OkStatus();
  Product* of = product(row.key);
  StockCell* cell = of == nullptr ? nullptr : of->stock.find(from);
  if (cell == nullptr) return absl::OkStatus();
  if (known != nullptr) *known = cell;
  return follows(*cell, row);
}

absl::StatusOr<FeedItem*> State::merge(ReplicaId from, DecodedRow&& row, StockCell* known) {
  if (absl::Status status = fits_feed(from, row); !status.ok()) return status;
  if (row.kind == RowKind::hold && row.sequence <= floor(from) && !hold_of(row.key, from))
    return nullptr;  // of one that was purged, told by a peer that does not know it yet
  bool made = false;
  FeedItem& item = known != nullptr ? *known : cell_for(from, row, made);
  if (!made && item.sequence >= row.sequence) return nullptr;
  // One that was made just now holds nothing that could fall.
  if (row.kind == RowKind::stock)
    if (absl::Status status = follows(static_cast<StockCell&>(item), row); !status.ok())
      return status;
  item.kind = row.kind;
  item.origin = from;
  item.format = row.format;
  HOLDFAST_CHECK(place(item, row.sequence));
  if (!made) set_payload(item, std::move(row));
  if (item.kind == RowKind::stock) note_seizures(static_cast<StockCell&>(item));
  return &item;
}

void State::advance(ReplicaId from, Sequence to) {
  Origin& entry = origin(from);
  entry.head = std::max(entry.head, to);
  vector_.raise(from, entry.head);
  if (!awaited_.empty())
    if (const auto at = awaited_.find(from); at != awaited_.end() && at->second <= entry.head)
      awaited_.erase(at);
  // At recovery. A hold takes a sequence at least, so its number is no higher than that; and those
  // of holds that were purged are not given again.
  if (from == self_) last_number_ = std::max(last_number_, entry.head);
  const Member* about = member(from);
  if (about != nullptr && about->row.purge_floor <= entry.head)
    raise_floor(from, about->row.purge_floor);
}

// ── checkpoints ─────────────────────────────────────────────────────────────────────────────────

void State::begin_checkpoint() {
  HOLDFAST_CHECK(saving_.empty());
  saving_.swap(unsaved_);
  for (Gone& gone : gone_) gone.is_back = is_here(*gone.item);
}

bool State::save(std::size_t rows_max, const SaveRow& put, const DropRow& drop) {
  constexpr std::size_t kAhead = 8, kKeyBytes = 32;
  HOLDFAST_CHECK(dirty_.empty());
  for (; rows_max > 0 && !saving_.empty(); --rows_max) {
    const std::size_t left = saving_.size();
    if (left > kAhead) prefetch(saving_[left - 1 - kAhead], sizeof(Hold));
    if (left > kAhead / 2) prefetch(row_key(*saving_[left - 1 - kAhead / 2]).data(), kKeyBytes);
    FeedItem& item = *saving_.back();
    saving_.pop_back();
    item.unsaved = false;
    if (item.gone) continue;
    std::string bytes;
    append_item(item, bytes);
    put(item, row_key(item), std::move(bytes));
  }
  if (!saving_.empty()) return false;
  std::erase_if(gone_, [&](const Gone& gone) {
    if (gone.item->unsaved) return false;  // still listed for the next checkpoint
    if (!gone.is_back) drop(*gone.item, row_key(*gone.item));
    return true;
  });
  return true;
}

void State::all_saved() {
  for (FeedItem* item : unsaved_) item->unsaved = false;
  unsaved_.clear();
}

}  // namespace holdfast::crdt
