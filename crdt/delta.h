#pragma once
// Deltas: what a peer lacks of one origin, (from, to], cut into pieces of bounded size.
//
// A piece holds rows in order of sequence. The last piece of a delta names `to`, the origin's head
// when that piece was cut; a row that is rewritten meanwhile moves ahead of the cut, so none is
// missed. The receiver stages the pieces and applies them, together with `to`, at once, and only if
// it has everything up to `from`. So a version vector never rests inside a delta, and V ≥ n means
// "has the effect of write n" (delta-state CRDTs, Almeida et al. 2018, with Scuttlebutt's order).
//
// Rows that were dropped are missing from a feed. A delta that begins at or above the floor of the
// cutter is whole all the same: of what is gone the receiver has had the end. From below it only a
// full transfer is, a delta from 0: of what the receiver has beside it, it missed the end
// (State::drop_absent).

#include <optional>
#include <string>
#include <vector>

#include "crdt/state.h"

namespace holdfast::crdt {

struct Piece {
  ReplicaId origin;
  Sequence from = 0;   // of the whole delta
  Sequence after = 0;  // this piece holds rows above this; equals `from` in the first
  Sequence upto = 0;   // and up to this. In the last piece it is the delta's `to`
  bool last = true;
  std::uint32_t count = 0;  // of the rows
  Sequence last_row = 0;    // the sequence of the last of them
  std::uint64_t boot = 0;   // of the origin, which wrote the cutter's head; 0: not known (boots.h)
  std::string rows;         // as codec.h has them
};

// Cuts the next piece of the delta that began at `from` and has been sent up to `after`. At least
// one row, then no more once `bytes_max` is reached. Nothing may be unsealed. `bytes_max` > 0.
Piece cut_piece(const State& state, ReplicaId origin, Sequence from, Sequence after,
                std::size_t bytes_max);

// Where a delta begins for a peer that has come up to `has`: there, or at 0.
Sequence begin_of_delta(const State& state, ReplicaId origin, Sequence has);
// Whether a delta from `from`, begun when the head was `begun`, is still whole: nothing that it had
// to bring, and nothing that was open when it was sent, has been dropped since.
bool still_whole(const State& state, ReplicaId origin, Sequence from, Sequence begun);

// A whole delta, decoded and checked.
struct Delta {
  ReplicaId origin;
  Sequence from = 0;
  Sequence to = 0;
  std::uint64_t boot = 0;  // that wrote `to`, as in Piece
  std::vector<DecodedRow> rows;
  std::string bytes;  // of the rows, one behind the other
  // A full transfer: all that the sender has of the origin.
  bool full() const { return from == 0; }
  State::HoldIds hold_ids() const;
};

// Pieces that have come on one session, until their delta is whole.
class Staging {
 public:
  // The delta that `piece` completes, if it does. Errors:
  //   kInvalidArgument    malformed rows: end the session.
  //   kFailedPrecondition the piece does not follow what is staged, a frame was lost: resume.
  absl::StatusOr<std::optional<Delta>> add(Piece&& piece);
  void drop(ReplicaId origin) { staged_.erase(origin); }

 private:
  struct Staged {
    Delta delta;
    Sequence upto = 0;
  };
  absl::btree_map<ReplicaId, Staged> staged_;
};

}  // namespace holdfast::crdt
