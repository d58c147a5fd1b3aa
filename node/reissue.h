#pragma once
// Re-issue: what a fork of a replica did since it parted, as rows of the new replica that it
// becomes. Pure: (state when the first void boot began, state now) -> rows.
//
// The new replica writes, as its own totals, every change of the fork's; the holds that the fork
// made, as its own; and the ends of holds that are older, as adopted copies with units of its own,
// which are ranked against whatever became of them in the other history (crdt/state.h). So nothing
// that was acknowledged is lost. What both histories spent is a debt of the new replica: its
// rights may begin below 0, by at most the rights in the copy and the grants that the copy lacks.
//
// An end of an older hold that was taken back since (its own sale voided, or an heir's end) still
// stands in the old name's rows. It is told as `undone`, as the old one's heir would (estate.h): if
// that is this one, it is undone once; if it is another, this one does it again, and leaves it to
// that.
//
// Not re-issued: seen[] (about the old identity), later deadlines of older holds, and that units of
// an older hold were returned, in that hold's row (they are in the totals). What the totals need so
// that they fit the holds (estate.h) is held besides: the heir of the old replica, which is the new
// one, gives it back by ending the old one's copies. The key of such a return, if it is of one SKU,
// names that: it is undone if the other history has that key, too (copies.h).
//
// Cost  O(rows of the fork's own since then).

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "crdt/state.h"
#include "node/fork_mark.h"

namespace holdfast::node {

struct Reissue {
  std::vector<std::pair<std::string, crdt::StockRow>> stock;  // by SKU
  std::vector<std::pair<std::string, crdt::HoldRow>> holds;   // by id, in the order of their making
  std::vector<std::pair<std::string, crdt::KeyRow>> keys;
  std::vector<std::pair<std::string, crdt::SkuRow>> skus;
  std::vector<crdt::DecreeRow> decrees;
};

// `base` and `now` are states of one replica, `now` the later one. Nothing may be unsealed.
Reissue reissue(const crdt::State& base, const crdt::State& now);

// As own rows of `fresh`, which has none yet.
void put(crdt::State& fresh, Reissue&& rows);

// Whether the void boots are of the history that is here. If not, a copy of this directory was
// started elsewhere while it was in use, and is void: all that is here stands under the old name,
// and nothing is written again.
bool voids_own(const crdt::State& now, const ForkMark& mark);

// Whether anything that is here was written since the histories parted. If not, no boots are void
// after all: the copy goes on under the old name, or has come to its end under it.
bool has_parted(const crdt::State& now, const ForkMark& mark);

// The replica that a fork becomes: all rows of others; those of the old replica as they were before
// the histories parted (none, if `base` is not there: peers bring them); as its own, what the fork
// has done since, and a member row that names the void boots, if anything has parted. Stamped.
// Error: rows that contradict themselves.
absl::StatusOr<std::unique_ptr<crdt::State>> successor(const crdt::State& now,
                                                       const crdt::State* base,
                                                       const ForkMark& mark, crdt::ReplicaId fresh,
                                                       std::uint64_t boot);

}  // namespace holdfast::node
