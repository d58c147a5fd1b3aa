#include "node/journal_of.h"

#include "crdt/delta.h"

namespace holdfast::node {

namespace {
constexpr std::size_t kPieceBytes = 1u << 20;
}  // namespace

absl::Status replay(JournalValue&& value, crdt::State& state, Misfits* misfits) {
  for (JournalPart& part : value.parts) {
    const bool own = part.origin == state.self();
    if (part.anew && !own) state.drop_origin(part.origin);
    if (part.anew && misfits != nullptr) misfits->erase(part.origin);
    auto rows = crdt::decode_rows(part.rows);
    if (!rows.ok()) return rows.status();
    for (crdt::DecodedRow& row : *rows)
      if (auto merged = state.merge(part.origin, std::move(row)); !merged.ok()) {
        if (own || misfits == nullptr) return merged.status();
        misfits->emplace(part.origin, merged.status().message());
      }
    state.advance(part.origin, part.upto);
  }
  for (const JournalDrop& drop : value.drops) {
    if (drop.floor > state.head(drop.origin))
      return absl::InvalidArgumentError("a floor above what was written");
    state.raise_floor(drop.origin, drop.floor);
    for (const crdt::HoldVersion& hold : drop.holds) state.drop_version(drop.origin, hold);
  }
  return absl::OkStatus();
}

JournalOf::JournalOf(const crdt::State& state, std::int64_t life_ms)
    : state_(state), life_ms_(life_ms) {
  for (const auto& [origin, head] : state.vector()) origins_.push_back({origin, head, 0});
}

bool JournalOf::next(std::string& value) {
  if (origin_ == origins_.size()) return false;
  JournalValue journal{.self = state_.self(), .life_ms = life_ms_};
  const ReplicaId origin = origins_[origin_].origin;
  crdt::Piece piece = crdt::cut_piece(state_, origin, 0, after_, kPieceBytes);
  journal.parts.push_back({.origin = origin, .upto = piece.upto, .rows = std::move(piece.rows)});
  after_ = piece.last ? 0 : piece.upto;
  if (piece.last) {
    ++origin_;
    // Of a retired origin no row says it.
    if (const crdt::Sequence floor = state_.floor(origin); floor > 0)
      journal.drops.push_back({.origin = origin, .floor = floor, .holds = {}});
  }
  value = encode(journal);
  return true;
}

}  // namespace holdfast::node
