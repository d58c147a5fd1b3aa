#include "node/audit.h"

#include <cstdlib>
#include <map>

#include "node/estate.h"
#include "node/ledger.h"

namespace holdfast::node {

using crdt::HoldState;
using crdt::StockRow;

namespace {

// What the holds and key rows of one origin say about one SKU.
struct Told {
  Units open = 0;  // held − released − sold
  Units sold = 0, returned = 0, voided = 0;
  Units received = 0, withdrawn = 0, granted = 0;  // by keys
};

class Audit {
 public:
  explicit Audit(const crdt::State& state) : state_(state) {}

  std::vector<Difference> run() {
    read_rows();
    for (const auto& [sku, product] : state_.catalogue()) {
      check_sums(*product);
      for (const auto& cell : product->stock.cells()) check_origin(*product, *cell);
    }
    for (const auto& [where, told] : told_)
      if (told.open != 0 || told.sold != 0)  // and no stock row at all
        equal("held", where.second, where.first, 0, told.open + told.sold);
    return std::move(found_);
  }

 private:
  void equal(const std::string& what, std::string_view sku, ReplicaId replica, Units is,
             Units should) {
    if (is != should) found_.push_back({what, std::string(sku), replica, is, should, false});
  }
  void at_least(const std::string& what, std::string_view sku, ReplicaId replica, Units is,
                Units should) {
    if (is < should) found_.push_back({what, std::string(sku), replica, is, should, true});
  }

  void read_rows() {
    std::uint64_t digest = 0;
    Units open = 0, holds = 0;
    for (const auto& [origin, head] : state_.vector()) {
      const crdt::Feed& feed = *state_.feed(origin);
      for (auto at = feed.begin_after(0); at != feed.end(); ++at) {
        const crdt::FeedItem& item = *at->second;
        if (crdt::counts_in_digest(item.kind)) digest ^= crdt::row_digest(item, item.sequence);
        if (item.kind == crdt::RowKind::key) read(static_cast<const crdt::Key&>(item));
        if (item.kind != crdt::RowKind::hold) continue;
        const auto& hold = static_cast<const crdt::Hold&>(item);
        ++holds;
        open += hold.row.state == HoldState::held && !state_.superseded(hold);
        read(hold);
      }
    }
    equal("reservations", "", {}, static_cast<Units>(state_.hold_count()), holds);
    equal("open_holds", "", {}, static_cast<Units>(state_.open_holds()), open);
    if (digest != state_.digest()) found_.push_back({.what = "digest"});
  }

  void read(const crdt::Hold& hold) {
    const crdt::HoldRow& row = hold.row;
    for (std::size_t i = 0; i < row.lines.size(); ++i) {
      const crdt::HoldLine& line = row.lines[i];
      Told& told = told_[{hold.origin, line.sku}];
      told.open += told_of(row, i);
      for (const crdt::UndoneEnd& undone : row.undone) {
        if (undone.root) continue;
        told.voided += undone.units[i];
        told.sold += undone.again[i];
      }
      if (row.state != HoldState::committed) continue;
      told.sold += line.committed;
      told.returned += line.returned;
      if (row.overruled) told.voided += line.committed - line.returned;
    }
  }

  void read(const crdt::Key& key) {
    const crdt::KeyRow& row = key.row;
    const auto effect = static_cast<RowEffect>(row.effect);
    Told& told = told_[{key.origin, row.sku}];
    if (effect == RowEffect::granted) told.granted += row.units;
    const bool returned = effect == RowEffect::returned_apart;
    if (!returned && effect != RowEffect::received && effect != RowEffect::adjusted) return;
    (returned ? told.returned : row.units > 0 ? told.received : told.withdrawn) +=
        std::abs(row.units);
    if (row.state == 1) (row.units > 0 ? told.withdrawn : told.received) += std::abs(row.units);
  }

  void check_sums(const crdt::Product& product) {
    Units on_hand = 0, held = 0, allowance = 0, sold = 0, returned = 0, rights = 0;
    std::map<ReplicaId, bool> replicas;
    for (const auto& cell : product.stock.cells()) {
      const StockRow& row = cell->row;
      on_hand += row.received - row.withdrawn - row.sold + row.returned + row.voided;
      held += row.held - row.released - row.sold;
      allowance += row.allowance_added - row.allowance_removed;
      sold += row.sold - row.voided;
      returned += row.returned;
      replicas[cell->origin] = true;
      for (const crdt::PeerTotals& peer : row.peers) replicas[peer.peer] = true;
    }
    for (const auto& [replica, known] : replicas) rights += product.stock.rights(replica);
    equal("on_hand", product.sku, {}, product.stock.on_hand(), on_hand);
    equal("held", product.sku, {}, product.stock.held(), held);
    equal("allowance", product.sku, {}, product.stock.allowance(), allowance);
    equal("sold", product.sku, {}, product.stock.sold(), sold);
    equal("returned", product.sku, {}, product.stock.returned(), returned);
    equal("rights", product.sku, {}, rights, on_hand - held + allowance);
  }

  // Now or once: it may have ended holds that are in another's `held`.
  bool is_heir(ReplicaId origin) const {
    for (const auto& [key, decree] : state_.decrees())
      if (decree->row.kind == crdt::DecreeKind::retirement && decree->row.successor == origin)
        return true;
    return false;
  }

  void check_origin(const crdt::Product& product, const crdt::StockCell& cell) {
    const StockRow& row = cell.row;
    Told told;
    if (const auto at = told_.find({cell.origin, product.sku}); at != told_.end()) {
      told = at->second;
      told_.erase(at);
    }
    const crdt::Member* member = state_.member(cell.origin);
    // Rows that are not here yet explain anything; a copy of another replica is whole up to its
    // entry in the vector, so only an own member row can be missing.
    const bool purged = state_.floor(cell.origin) > 0;
    const bool again = purged || (member != nullptr && bool(member->row.forked_from));
    const Units open = row.held - row.released - row.sold;
    if (purged && is_heir(cell.origin)) {
      at_least("open holds", product.sku, cell.origin, told.open, open);
    } else {
      equal("open holds", product.sku, cell.origin, open, told.open);
    }
    const auto check = [&](const char* what, bool least, Units is, Units should) {
      least ? at_least(what, product.sku, cell.origin, is, should)
            : equal(what, product.sku, cell.origin, is, should);
    };
    check("sold", purged, row.sold, told.sold);
    check("returned", again, row.returned, told.returned);
    check("voided", again, row.voided, told.voided);
    Units granted = 0;
    for (const crdt::PeerTotals& peer : row.peers) granted += peer.granted;
    check("received by keys", true, row.received, told.received);
    check("withdrawn by keys", true, row.withdrawn, told.withdrawn);
    check("granted by keys", true, granted, told.granted);
  }

  const crdt::State& state_;
  std::map<std::pair<ReplicaId, std::string>, Told> told_;
  std::vector<Difference> found_;
};

}  // namespace

std::vector<Difference> audit(const crdt::State& state) { return Audit(state).run(); }

}  // namespace holdfast::node
