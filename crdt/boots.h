#pragma once
// Boots: whether two copies of one origin's rows belong to one history.
//
// Each start of a process under an identity appends (sequence, random nonce) to the boot list in
// its member row, durably, before any other write. So a place in an origin's history is named by
// (sequence, nonce of the boot that wrote it), and two histories that parted (a directory that was
// rolled back or copied, and started again) differ in a boot from there on.
//
// A replica's copy of another origin's member row is never older than its vector entry: a boot's
// first write is that row. It may be newer (a delta that was refused halfway), and its oldest boots
// may have been dropped; boots that are not known here are then judged by sequence alone.
//
// Pure. Cost  O(boots).

#include <cstdint>
#include <vector>

#include "crdt/rows.h"

namespace holdfast::crdt {

// Nonce of the boot that wrote `sequence`; 0: none of these did, or it has been dropped.
std::uint64_t boot_at(const std::vector<Boot>& boots, Sequence sequence);

// Whether somebody who stands at (sequence, boot) of an origin stands in the history that is here:
// written up to `head`, with these boots. boot 0: not known there; judged by sequence alone. False
// is proof. Above `head` true means no more than that nothing speaks against it.
bool same_history(const std::vector<Boot>& boots, Sequence head, Sequence sequence,
                  std::uint64_t boot);

// As above, about the origin's own rows, at the origin: nobody can have more of them. False: this
// replica is a fork of itself.
bool is_latest(const std::vector<Boot>& boots, Sequence head, Sequence sequence,
               std::uint64_t boot);

// Whether rows up to `to` of somebody whose copy has the boots `theirs` may follow, or repeat, what
// is here.
bool continues(const std::vector<Boot>& boots, Sequence head, const std::vector<Boot>& theirs,
               Sequence to);

// The boots of `mine` that are not in the history of `theirs`: those after the last one that both
// have. All of `mine` if they share none.
std::vector<Boot> parted(const std::vector<Boot>& mine, const std::vector<Boot>& theirs);

// Which boots are void when the one that wrote `mine` meets a history with the boots `theirs` that
// its own is none of: its own, as `parted` says, if one of them began where the two
// histories part, or before; all that was written since is theirs alone then. Else it parted in the
// middle of a boot (its directory was copied while it was in use), what it has written since
// cannot be told from what both have, and those of the copy are void: the copy began with one. (If
// it has written nothing since, nothing is void: that is for whoever knows its last write.)
std::vector<Boot> void_boots(const std::vector<Boot>& mine, const std::vector<Boot>& theirs);

// Drops boots that nobody stands in any more: those whose successor everybody has (`covered`: the
// least that any replica has acknowledged). The last four stay, so that somebody who has an older
// copy finds where it parted; and never more than kBootsMax.
inline constexpr std::size_t kBootsKept = 4;
inline constexpr std::size_t kBootsMax = 64;
void drop_covered(std::vector<Boot>& boots, Sequence covered);

}  // namespace holdfast::crdt
