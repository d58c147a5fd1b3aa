#include "node/crowd.h"

#include <algorithm>

namespace holdfast::node {

void Crowd::came(std::size_t writes, bool reads) {
  writes_ += writes;
  reads_ = reads_ || reads;
}

void Crowd::came_from_peers(std::size_t bytes) {
  bytes_ += bytes;
  events_ = true;
}

void Crowd::store_is_free(Instant now) {
  freed_ = true;
  pace_at_ = now + kPace;
}

bool Crowd::is_here(Instant now) const {
  return crowd_ == 1 || gathered_ + writes_ >= crowd_ || now >= pace_at_;
}

bool Crowd::worth_a_turn(Instant now) const {
  if (reads_ || writes_ >= worth_a_turn_ || bytes_ >= kBytesWorthATurn) return true;
  if (last_.busy && !freed_) return false;
  const bool some = last_.owes || writes_ > 0 || events_;
  return some && is_here(now);
}

Crowd::Instant Crowd::look_again_at(Instant now) const {
  if (crowd_ == 1) return Instant::max();
  if (last_.busy && !freed_) return now + kPace;
  return pace_at_ > now ? pace_at_ : Instant::max();
}

bool Crowd::begin_turn(Instant now) {
  const bool submits = is_here(now);
  gathered_ += writes_;
  writes_ = bytes_ = 0;
  reads_ = events_ = freed_ = false;
  return submits;
}

void Crowd::end_turn(const Turn& turn) {
  last_ = turn;
  if (!turn.submitted) return;
  worth_a_turn_ = std::max(kWorthATurn, gathered_ / 2);
  crowd_ = gathered_ >= kLeast ? std::min(gathered_, kEnough) : 1;
  gathered_ = 0;
}

}  // namespace holdfast::node
