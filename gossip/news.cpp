#include "gossip/news.h"

#include <algorithm>
#include <utility>

namespace holdfast::gossip {

std::uint32_t NewsOut::name(ReplicaId origin, std::uint64_t boot) {
  const auto [at, fresh] =
      names_.try_emplace(origin, Name{static_cast<std::uint32_t>(names_.size()), boot});
  if (fresh) ended_.push_back(0);
  if (fresh || at->second.boot != boot) new_names_.push_back({origin, boot});
  at->second.boot = boot;
  return at->second.place;
}

void NewsOut::put(const crdt::Piece& piece) {
  News::Part part{.name = name(piece.origin, piece.boot)};
  Sequence& ended = ended_[part.name];
  part.begins = piece.from != piece.after || piece.after != ended;
  part.ends = !piece.last || piece.count == 0 || piece.last_row != piece.upto;
  part.from = part.begins ? piece.from : 0;
  part.after = part.begins ? piece.after : 0;
  part.upto = part.ends ? piece.upto : 0;
  part.last = part.ends ? piece.last : true;
  part.count = piece.count;
  part.rows = piece.rows;
  ended = piece.upto;
  bytes_ += part.rows.size();
  parts_.push_back(std::move(part));
  if (piece.last) unacknowledged_.push_back({number_ + 1, piece.origin, piece.upto});
}

void NewsOut::put_has(ReplicaId origin, Sequence sequence, std::uint64_t boot) {
  has_.push_back({name(origin, boot), sequence});
}

News NewsOut::take(std::uint64_t applied) {
  bytes_ = 0;
  return {.number = ++number_,
          .anew = std::exchange(anew_, false),
          .applied = applied,
          .names = std::exchange(new_names_, {}),
          .has = std::exchange(has_, {}),
          .parts = std::exchange(parts_, {})};
}

bool NewsIn::follows(const News& news) {
  const bool next = news.number > number_ && (news.anew || (!lost_ && news.number - number_ == 1));
  lost_ = !next;
  if (lost_) return false;
  number_ = news.number;
  if (news.anew) {
    names_.clear();
    ended_.clear();
  }
  for (const News::Name& name : news.names) {
    const auto known = std::find_if(names_.begin(), names_.end(), [&](const News::Name& other) {
      return other.origin == name.origin;
    });
    known == names_.end() ? names_.push_back(name) : void(known->boot = name.boot);
  }
  ended_.resize(names_.size());
  return true;
}

crdt::Piece NewsIn::piece(News::Part&& part) {
  crdt::Piece piece;
  if (part.name >= names_.size() || (!part.ends && part.count == 0)) return piece;
  Sequence& ended = ended_[part.name];
  piece.origin = names_[part.name].origin;
  piece.boot = names_[part.name].boot;
  piece.from = part.begins ? part.from : ended;
  piece.after = part.begins ? part.after : ended;
  piece.upto = part.ends ? part.upto : part.last_row;
  piece.last = part.last;
  piece.count = part.count;
  piece.rows = std::move(part.rows);
  ended = piece.upto;
  return piece;
}

}  // namespace holdfast::gossip
