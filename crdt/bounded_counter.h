#pragma once
// BoundedCounter: one SKU's stock, which several replicas sell from without asking each other.
//
// A replica sells only what it holds *rights* to. Receiving makes rights, holding uses them up,
// releasing and returning give them back, a grant hands them over, a seizure takes them from one
// that cannot be reached. State: one StockRow per origin, each written by its origin alone, every
// total in it only growing. With every term summed over the rows that are here:
//
//     on_hand   = Σ received − withdrawn − sold + returned + voided
//     held      = Σ held − released − sold
//     available = on_hand − held
//     allowance = Σ allowance_added − allowance_removed
//     rights(i) = received_i − withdrawn_i + allowance_i − (held_i − released_i)
//               + returned_i + voided_i
//               + Σj granted_j[i] − Σj granted_i[j] + Σj seized_i[j] − Σj seized_j[i]
//     unseen(t) = Σi max(0, seized_i[t] − seen_t[i])
//     debt(t)   = max(0, −(rights(t) + unseen(t)))
//
// Laws (tests/crdt/escrow_laws_test.cpp)
//   conservation  Σi rights(i) = available + allowance, over any set of rows.
//   safety        without seizures, a replica's view of its own rights is never above the truth, so
//                 spending only what it sees keeps every rights(i) ≥ 0 and available ≥ −allowance.
//   bound         available ≥ −allowance − Σt (unseen(t) + debt(t)).
//   convergence   equal rows give equal answers and equal bytes.
//
// A view is not causally closed: rights(other) may be too low here, even negative. Reads therefore
// count the rights of a replica that was never seized from as at least 0 (view_available); but not
// of one that may have spent more than it had (may_owe): a former fork, an heir, or one that has
// undone a duplicate receipt.
//
// Threads  none of its own. Cost  R = replicas that a row is of or names: sums and view_available
//          O(1), rights(i) O(log R), a change O(log R), and O(P log R) if it is to one of the P
//          peers that the row names; unseen and debt O(R) for each target that was seized from and
//          is not retired. So what a retired replica has left behind costs a request nothing.
// Papers   Balegas et al., SRDS 2015, arXiv:1503.09052 (a grant is its transfer); O'Neil, TODS 1986
//          (escrow). Seizures, seen and debt are ours.

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/container/inlined_vector.h"
#include "crdt/feed.h"
#include "crdt/pn_counter.h"
#include "crdt/rows.h"

namespace holdfast::crdt {

struct StockCell : FeedItem {
  StockRow row;
  struct Product* product = nullptr;  // whose stock it is
};

// A cell, and beside the pointer whose it is: a search follows none.
struct CellOf {
  ReplicaId origin;
  std::unique_ptr<StockCell> cell;
  StockCell* get() const { return cell.get(); }
  StockCell* operator->() const { return cell.get(); }
  StockCell& operator*() const { return *cell; }
};

using ReplicaSet = absl::flat_hash_set<ReplicaId>;

class BoundedCounter {
 public:
  const StockCell* find(ReplicaId origin) const;
  StockCell* find(ReplicaId origin);
  // The origin's cell, made empty if absent.
  StockCell& at(ReplicaId origin);
  const std::vector<CellOf>& cells() const { return cells_; }  // by origin

  // Changes one origin's row through `edit(StockRow&)`, which only raises totals.
  template <typename Edit>
  void change(StockCell& cell, Edit&& edit) {
    const Sums before = sums(cell.row);
    const Peers peers(cell.row.peers.begin(), cell.row.peers.end());
    edit(cell.row);
    grow(before, sums(cell.row));
    move_rights(cell, before, peers);
  }

  // The row that one origin has here leaves. Cost: that of all changes of the others, once.
  std::unique_ptr<StockCell> drop(ReplicaId origin);
  // This replica's rights may be below 0 though nobody has seized any (State::owing). Not undone
  // but by the drop of its row.
  void may_owe(ReplicaId replica);

  Units on_hand() const { return on_hand_.value(); }
  Units held() const { return held_.value(); }
  Units available() const { return on_hand() - held(); }
  Units allowance() const { return allowance_.value(); }
  Units sold() const { return sold_; }  // less what was voided
  Units returned() const { return returned_; }

  // Into the cache (State::expect_product): the arrays, and the cell that they name.
  void expect_arrays() const;
  void expect_cell(ReplicaId origin) const;

  Units rights(ReplicaId replica) const;
  // Of a retired replica nothing is unseen: it will not sell again.
  Units unseen(ReplicaId target, const ReplicaSet& retired = {}) const;
  Units debt(ReplicaId target, const ReplicaSet& retired = {}) const;
  bool ever_seized(ReplicaId target) const;
  Units exposure(const ReplicaSet& retired = {}) const;
  Units total_debt(const ReplicaSet& retired = {}) const;
  // What reads show: never the negative figure of a view that lacks a grant. rights(), but at least
  // 0 where they were never seized and may not be owed for; and the sum of these, less the
  // allowance.
  Units shown_rights(ReplicaId replica) const;
  Units view_available() const { return view_rights_ - allowance(); }
  Units oversold() const { return std::max<Units>(0, -view_available()); }
  // Raising any sum by `units` stays within the range of totals.
  bool has_room(Units units) const;

 private:
  struct Sums {
    PnPair on_hand, held, allowance;
    Units sold = 0, returned = 0;  // sold: less what was voided
    Units came = 0, went = 0;      // for has_room
    // What the row does to its origin's rights, peers aside.
    Units own_rights() const {
      return on_hand.up - on_hand.down - (held.up - held.down) + allowance.up - allowance.down;
    }
  };
  using Peers = absl::InlinedVector<PeerTotals, 8>;
  // One replica's rights, over all rows that are here.
  struct Standing {
    ReplicaId replica;
    Units rights = 0;
    bool seized = false;  // some of them were
    bool may_owe = false;
    Units shown() const { return rights < 0 && !seized && !may_owe ? 0 : rights; }
  };
  static bool standing_less(const Standing& entry, ReplicaId wanted) {
    return entry.replica < wanted;
  }
  static Sums sums(const StockRow& row);
  void grow(const Sums& before, const Sums& after);
  void move_rights(const StockCell& cell, const Sums& before, const Peers& peers_before);
  void move(ReplicaId replica, Units rights, bool seized = false);
  const Standing* standing(ReplicaId replica) const;
  Standing& make_standing(ReplicaId replica);
  template <typename Sum>
  Units over_targets(Sum&& sum) const;

  std::vector<CellOf> cells_;
  PnCounter on_hand_, held_, allowance_;
  Units sold_ = 0, returned_ = 0;
  Units came_ = 0, ever_held_ = 0, went_ = 0;
  std::vector<Standing> standings_;  // by replica
  Units view_rights_ = 0;            // Σ shown()
};

}  // namespace holdfast::crdt
