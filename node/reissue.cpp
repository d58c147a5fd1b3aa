#include "node/reissue.h"

#include <algorithm>
#include <map>

#include "crdt/check.h"
#include "node/estate.h"
#include "node/ledger.h"
#include "node/undo_keys.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::PeerTotals;
using crdt::RowKind;
using crdt::State;
using crdt::StockRow;

namespace {

// What has moved to other shards, or from there, has been counted there: `moves` does not come
// again.
StockRow difference(const StockRow& before, const StockRow& after) {
  StockRow row;
  using Total = crdt::Units StockRow::*;
  for (const Total total : {&StockRow::received, &StockRow::withdrawn, &StockRow::allowance_added,
                            &StockRow::allowance_removed, &StockRow::held, &StockRow::released,
                            &StockRow::sold, &StockRow::returned, &StockRow::voided})
    row.*total = after.*total - before.*total;
  for (const PeerTotals& now : after.peers) {
    const PeerTotals* then = before.find(now.peer);
    const PeerTotals made{.peer = now.peer,
                          .granted = now.granted - (then == nullptr ? 0 : then->granted),
                          .seized = now.seized - (then == nullptr ? 0 : then->seized)};
    if (made.granted > 0 || made.seized > 0) row.peers.push_back(made);
  }
  return row;
}

const StockRow& own_stock(const State& state, std::string_view sku) {
  static const StockRow kNone;
  const crdt::Product* product = state.product(sku);
  const crdt::StockCell* cell = product == nullptr ? nullptr : product->stock.find(state.self());
  return cell == nullptr ? kNone : cell->row;
}

// What the new replica writes of the holds that the fork has written since; and what it holds
// besides, so that its totals say of its own copies what they should (estate.h).
class HoldsSince {
 public:
  HoldsSince(const State& base, const State& now) : base_(base), now_(now) {}

  void take(const Hold& hold) {
    const Hold* before = earlier(hold);
    HoldRow row = hold.row;
    row.extra.clear();
    if (before == nullptr) {
      // An estate that was taken over is the heir's again by the retirement of this one.
      if (!row.estate_of || row.state != HoldState::held || !row.freed.empty() ||
          !row.undone.empty())
        rows_.emplace_back(&hold, std::move(row));
      return;
    }
    std::erase_if(row.freed.edit(), [&](const crdt::FreedHold& freed) {
      return std::any_of(before->row.freed.begin(), before->row.freed.end(),
                         [&](const crdt::FreedHold& known) { return known.of == freed.of; });
    });
    undone_since(before->row, row);
    undo_taken_back(before->row, hold.row, hold.origin, row);
    const bool was_held = before->row.state == HoldState::held;
    const bool taken_back = before->row.estate_of && !row.estate_of;
    std::map<std::string, crdt::Units> lacking;
    count(hold.row, -1, lacking);
    count(before->row, 1, lacking);
    if (was_held && (row.state != HoldState::held || taken_back)) {
      if (!row.estate_of) row.adopted_from = hold.origin;  // with units of its own
      count(row, 1, lacking);
      rows_.emplace_back(&hold, std::move(row));
    } else if (!row.freed.empty() || !row.undone.empty()) {
      give_way(row, hold.origin);
      count(row, 1, lacking);
      rows_.emplace_back(&hold, std::move(row));
    }
    for (const auto& [sku, units] : lacking)
      if (units > 0) lacking_[sku] += units;
  }

  // Of holds that have ended and were purged since, nobody can tell how: they end once more, by the
  // heir. One that says what its replica has ended as an heir (`freed`, `estate_of`), or undone, is
  // never among them: it is kept as long as that end stands (purge.h), however long the fork was
  // alone.
  void take_purged() {
    const auto& all = base_.holds();
    for (auto at = all.lower_bound({base_.self(), 0}); at != all.end(); ++at) {
      const Hold* hold = at->second;
      if (hold->origin != base_.self()) break;
      if (hold->row.state != HoldState::held) continue;
      const Hold* later = now_.own_hold(hold->id);
      if (later != nullptr && earlier(*later) != nullptr) continue;
      for (const crdt::HoldLine& line : hold->row.lines) lacking_[line.sku] += line.held;
    }
  }

  void hold_lacking(std::map<std::string, StockRow>& stock) const {
    for (const auto& [sku, units] : lacking_) stock[sku].held += units;
  }

  std::vector<std::pair<std::string, HoldRow>> in_order() {
    std::sort(rows_.begin(), rows_.end(), [](const auto& a, const auto& b) {
      return a.first->row.number < b.first->row.number;
    });
    std::vector<std::pair<std::string, HoldRow>> holds;
    for (auto& [hold, row] : rows_) holds.emplace_back(hold->id, std::move(row));
    return holds;
  }

 private:
  const Hold* earlier(const Hold& hold) const {
    const Hold* before = base_.own_hold(hold.id);
    return before != nullptr && before->row.number == hold.row.number ? before : nullptr;
  }
  // The new replica's totals get the difference of what the fork's row tells and told, and should
  // have what its own row tells.
  static void count(const HoldRow& row, int sign, std::map<std::string, crdt::Units>& sum) {
    for (std::size_t i = 0; i < row.lines.size(); ++i)
      sum[row.lines[i].sku] += sign * told_of(row, i);
  }
  // Leaves in `row` what was undone since.
  static void undone_since(const HoldRow& before, HoldRow& row) {
    for (crdt::UndoneEnd& undone : row.undone.edit())
      for (const crdt::UndoneEnd& known : before.undone)
        if (known.of == undone.of && known.root == undone.root)
          for (std::size_t i = 0; i < row.lines.size(); ++i) {
            const crdt::HoldLine* line = before.find(row.lines[i].sku);
            if (line == nullptr) continue;
            undone.units[i] -= known.units[line - before.lines.data()];
            undone.again[i] -= known.again[line - before.lines.data()];
          }
    const auto none = [](const std::vector<crdt::Units>& units) {
      return std::all_of(units.begin(), units.end(), [](crdt::Units one) { return one == 0; });
    };
    std::erase_if(row.undone.edit(), [&](const crdt::UndoneEnd& undone) {
      return none(undone.units) && none(undone.again);
    });
  }
  // Ends that the old name's row tells, and that were taken back since: undone, by whoever is its
  // heir, who does it itself if that is another (estate.h).
  static void undo_taken_back(const HoldRow& before, const HoldRow& now, ReplicaId former,
                              HoldRow& row) {
    std::vector<ReplicaId> roots{{}};
    for (const ReplicaId root : roots_of(before))
      if (!crdt::stands_for(now, root)) roots.push_back(root);
    for (const ReplicaId root : roots) {
      crdt::UndoneEnd undone{.of = former, .root = root};
      for (const crdt::HoldLine& line : row.lines) {
        const crdt::HoldLine *then = before.find(line.sku), *there = now.find(line.sku);
        const auto at = then == nullptr ? 0 : static_cast<std::size_t>(then - before.lines.data());
        Units units = then == nullptr ? 0 : ended_of(before, at, root);
        // A sale: what was voided of it, beside what customers brought back.
        if (!root && units > 0) units = now.overruled ? there->committed - there->returned : 0;
        undone.units.push_back(units);
        undone.again.push_back(0);
      }
      if (std::all_of(undone.units.begin(), undone.units.end(), [](Units n) { return n == 0; }))
        continue;
      std::vector<crdt::UndoneEnd>& all = row.undone.edit();
      const auto after = std::find_if(all.begin(), all.end(), [&](const auto& one) {
        return std::pair(one.of, one.root) > std::pair(undone.of, undone.root);
      });
      all.insert(after, std::move(undone));
    }
  }
  // Only what was freed or undone beside it counts; the heir may stand in by it.
  static void give_way(HoldRow& row, ReplicaId former) {
    row.state = HoldState::released;
    row.overruled = true;
    row.estate_of = {};
    row.adopted_from = former;
    for (crdt::HoldLine& line : row.lines) line.committed = line.returned = 0;
  }

  const State& base_;
  const State& now_;
  std::map<std::string, crdt::Units> lacking_;
  std::vector<std::pair<const Hold*, HoldRow>> rows_;
};

// A return of a sale that both histories know is in the totals alone, and can be undone
// if the other history has it under that key, too. nullptr: it is not, or is of several SKUs.
const std::string* returned_to(const State& base, const State& now, const std::string& id) {
  const Hold *before = base.own_hold(id), *after = now.own_hold(id);
  if (before == nullptr || after == nullptr || before->row.number != after->row.number ||
      before->row.state != HoldState::committed)
    return nullptr;
  const std::string* sku = nullptr;
  for (std::size_t i = 0; i < after->row.lines.size(); ++i) {
    if (after->row.lines[i].returned == before->row.lines[i].returned) continue;
    if (sku != nullptr) return nullptr;
    sku = &after->row.lines[i].sku;
  }
  return sku;
}

// What a key of both histories did was undone in this one: the withdrawal is in the new name, and
// so is the key that says so. The other history may have undone it, too.
void take_key(const State& base, const State& now, const crdt::Key& key, Reissue& rows) {
  const crdt::Key* then = base.own_key(key.key);
  if (then == nullptr) {
    crdt::KeyRow row = key.row;
    const std::string* sku = row.effect == static_cast<std::uint8_t>(RowEffect::returned)
                                 ? returned_to(base, now, row.sku)
                                 : nullptr;
    if (sku != nullptr) {
      row.effect = static_cast<std::uint8_t>(RowEffect::returned_apart);
      row.sku = *sku;
    }
    rows.keys.emplace_back(key.key, std::move(row));
  } else if (then->row.state == 0 && key.row.state != 0) {
    rows.keys.emplace_back(undo_name(key.origin, key.key), undo_row(key.row, key.row.created_at));
  }
}

}  // namespace

Reissue reissue(const State& base, const State& now) {
  HOLDFAST_CHECK(base.self() == now.self());
  HOLDFAST_CHECK(base.head(base.self()) <= now.head(now.self()));
  Reissue rows;
  std::map<std::string, StockRow> stock;
  HoldsSince holds(base, now);
  const crdt::Feed& feed = *now.feed(now.self());
  for (auto at = feed.begin_after(base.head(base.self())); at != feed.end(); ++at) {
    const crdt::FeedItem& item = *at->second;
    const std::string key(crdt::row_key(item));
    switch (item.kind) {
      case RowKind::stock:
        stock[key] =
            difference(own_stock(base, key), static_cast<const crdt::StockCell&>(item).row);
        break;
      case RowKind::hold:
        holds.take(static_cast<const Hold&>(item));
        break;
      case RowKind::key:
        take_key(base, now, static_cast<const crdt::Key&>(item), rows);
        break;
      case RowKind::sku:
        rows.skus.emplace_back(key, static_cast<const crdt::SkuCell&>(item).row);
        break;
      case RowKind::decree:
        rows.decrees.push_back(static_cast<const crdt::Decree&>(item).row);
        break;
      default:
        break;  // its member row is about the old identity
    }
  }
  holds.take_purged();
  holds.hold_lacking(stock);
  rows.holds = holds.in_order();
  for (auto& [sku, row] : stock)
    if (row != StockRow{}) rows.stock.emplace_back(sku, std::move(row));
  return rows;
}

void put(State& fresh, Reissue&& rows) {
  HOLDFAST_CHECK(fresh.head(fresh.self()) == 0);
  for (auto& [sku, row] : rows.skus) fresh.put_sku(fresh.make_product(sku), std::move(row));
  for (auto& [sku, row] : rows.stock)
    fresh.change_stock(fresh.make_product(sku), [&](StockRow& own) { own = std::move(row); });
  for (auto& [id, row] : rows.holds) fresh.add_hold(id, std::move(row));
  for (auto& [key, row] : rows.keys) fresh.put_key(key, std::move(row));
  for (crdt::DecreeRow& row : rows.decrees) fresh.put_decree(std::move(row));
}

namespace {

absl::Status copy_rows(const crdt::State& from, crdt::ReplicaId origin, crdt::State& to) {
  const crdt::Feed* feed = from.feed(origin);
  if (feed == nullptr) return absl::OkStatus();
  std::string bytes;
  for (auto at = feed->begin_after(0); at != feed->end(); ++at) {
    bytes.clear();
    crdt::append_item(*at->second, bytes);
    auto row = crdt::decode_row(bytes);
    if (!row.ok()) return row.status();
    if (auto merged = to.merge(origin, *std::move(row)); !merged.ok()) return merged.status();
  }
  to.advance(origin, from.head(origin));
  to.raise_floor(origin, from.floor(origin));
  return absl::OkStatus();
}

}  // namespace

bool voids_own(const crdt::State& now, const ForkMark& mark) {
  const auto& boots = now.boots(now.self());
  return std::any_of(boots.begin(), boots.end(), [&](const crdt::Boot& boot) {
    return boot.nonce == mark.boots.front().nonce;
  });
}

bool has_parted(const crdt::State& now, const ForkMark& mark) {
  return now.head(now.self()) >= mark.boots.front().sequence;
}

absl::StatusOr<std::unique_ptr<crdt::State>> successor(const crdt::State& now,
                                                       const crdt::State* base,
                                                       const ForkMark& mark, crdt::ReplicaId fresh,
                                                       std::uint64_t boot) {
  auto state = std::make_unique<crdt::State>(fresh);
  if (!voids_own(now, mark)) base = &now;
  for (const auto& [origin, head] : now.vector())
    if (origin != now.self())
      if (auto s = copy_rows(now, origin, *state); !s.ok()) return s;
  if (base != nullptr)
    if (auto s = copy_rows(*base, now.self(), *state); !s.ok()) return s;
  crdt::MemberRow member;
  if (const crdt::Member* old = now.member(now.self())) {
    member.region = old->row.region;
    member.node = old->row.node;
    member.http_address = old->row.http_address;
    member.gossip_address = old->row.gossip_address;
  }
  member.wire_version = crdt::kWireVersion;
  member.boots = {{1, boot}};
  member.forked_from = now.self();
  if (has_parted(now, mark))
    for (const crdt::Boot& void_boot : mark.boots) member.voided_boots.push_back(void_boot.nonce);
  state->put_member(std::move(member));
  if (base != nullptr) put(*state, reissue(*base, now));
  std::string rows;
  state->seal(rows);
  return state;
}

}  // namespace holdfast::node
