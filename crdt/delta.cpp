#include "crdt/delta.h"

#include "crdt/check.h"

namespace holdfast::crdt {

Piece cut_piece(const State& state, ReplicaId origin, Sequence from, Sequence after,
                std::size_t bytes_max) {
  HOLDFAST_CHECK(!state.has_unsealed());
  Piece piece;
  piece.origin = origin;
  piece.from = from;
  piece.after = after;
  piece.upto = std::max(after, state.head(origin));
  piece.boot = state.boot_of(origin, state.head(origin));
  const Feed* feed = state.feed(origin);
  if (feed == nullptr) return piece;
  // Rows above the head are of a delta that was refused halfway: they are not told on.
  for (auto at = feed->begin_after(after); at != feed->end() && at->first <= piece.upto; ++at) {
    if (piece.rows.size() >= bytes_max) {
      piece.last = false;
      piece.upto = piece.last_row;
      break;
    }
    append_item(*at->second, piece.rows);
    ++piece.count;
    piece.last_row = at->first;
  }
  return piece;
}

Sequence begin_of_delta(const State& state, ReplicaId origin, Sequence has) {
  return has < state.floor(origin) ? 0 : has;
}

bool still_whole(const State& state, ReplicaId origin, Sequence from, Sequence begun) {
  return state.floor(origin) <= (from == 0 ? begun : from);
}

State::HoldIds Delta::hold_ids() const {
  State::HoldIds ids;
  for (const DecodedRow& row : rows)
    if (row.kind == RowKind::hold) ids.insert(row.key);
  return ids;
}

absl::StatusOr<std::optional<Delta>> Staging::add(Piece&& piece) {
  if (!piece.origin) return absl::InvalidArgumentError("a piece of nobody's rows");
  if (piece.after < piece.from || piece.upto < piece.after)
    return absl::InvalidArgumentError("a piece that ends before it begins");
  auto rows = decode_rows(piece.rows, piece.count);
  if (!rows.ok()) return rows.status();
  Sequence before = piece.after;
  for (const DecodedRow& row : *rows) {
    if (row.sequence <= before || row.sequence > piece.upto)
      return absl::InvalidArgumentError("rows out of the order of their sequences");
    before = row.sequence;
  }

  if (piece.after == piece.from) {
    if (staged_.size() >= kOriginsMax && !staged_.contains(piece.origin))
      return absl::InvalidArgumentError("deltas of too many replicas at once");
    Staged fresh;
    fresh.delta.origin = piece.origin;
    fresh.delta.from = piece.from;
    staged_[piece.origin] = std::move(fresh);
  } else {
    const auto at = staged_.find(piece.origin);
    if (at == staged_.end() || at->second.delta.from != piece.from ||
        at->second.upto != piece.after) {
      staged_.erase(piece.origin);
      return absl::FailedPreconditionError("a piece of the delta is missing");
    }
  }
  Staged& staged = staged_[piece.origin];
  staged.upto = piece.upto;
  if (staged.delta.rows.empty()) {
    staged.delta.rows = *std::move(rows);
    staged.delta.bytes = std::move(piece.rows);
  } else {
    std::move(rows->begin(), rows->end(), std::back_inserter(staged.delta.rows));
    staged.delta.bytes += piece.rows;
  }
  if (!piece.last) return std::optional<Delta>();
  Delta whole = std::move(staged.delta);
  whole.to = piece.upto;
  whole.boot = piece.boot;
  staged_.erase(piece.origin);
  return std::optional<Delta>(std::move(whole));
}

}  // namespace holdfast::crdt
