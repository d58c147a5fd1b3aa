#include "node/journal_of.h"

#include "crdt/delta.h"
#include "node/codec.h"

namespace holdfast::node {

namespace {
constexpr std::size_t kPieceBytes = 1u << 20;
}  // namespace

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
  if (piece.last) ++origin_;
  value = encode(journal);
  return true;
}

}  // namespace holdfast::node
