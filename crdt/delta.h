#pragma once
// Deltas: what a peer lacks of one origin, (from, to], cut into pieces of bounded size.
//
// A piece holds rows in order of sequence. The last piece of a delta names `to`, the origin's head
// when that piece was cut; a row that is rewritten meanwhile moves ahead of the cut, so none is
// missed. The receiver stages the pieces and applies them, together with `to`, at once, and only if
// it has everything up to `from`. So a version vector never rests inside a delta, and V ≥ n means
// "has the effect of write n" (delta-state CRDTs, Almeida et al. 2018, with Scuttlebutt's order).

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
  std::string rows;         // as codec.h has them
};

// Cuts the next piece of the delta that began at `from` and has been sent up to `after`. At least
// one row, then no more once `bytes_max` is reached. Nothing may be unsealed. `bytes_max` > 0.
Piece cut_piece(const State& state, ReplicaId origin, Sequence from, Sequence after,
                std::size_t bytes_max);

// A whole delta, decoded and checked.
struct Delta {
  ReplicaId origin;
  Sequence from = 0;
  Sequence to = 0;
  std::vector<DecodedRow> rows;
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
