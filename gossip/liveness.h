#pragma once
// Liveness: whether a peer answers, as a pure state machine.
//
// Each side sends numbered heartbeats and echoes the last number that it got. A peer is reachable
// while a heartbeat sent less than `suspect_after` ago has been echoed: a round trip, so a link
// that carries only one way counts as down on both sides. There is no verdict of death, and nothing
// about stock depends on it: it decides only whom to ask, and what is shown.

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "crdt/time.h"

namespace holdfast::gossip {

class Liveness {
 public:
  std::uint64_t next_number(crdt::Instant now) {
    sent_.emplace_back(++last_number_, now);
    if (sent_.size() > kRemembered) sent_.pop_front();
    return last_number_;
  }
  // A heartbeat came. `held`: how long its echo had waited at the peer.
  void heard(crdt::Instant now, std::uint64_t number, std::uint64_t echo, crdt::Millis held) {
    last_heard_ = now;
    ever_heard_ = true;
    to_echo_ = number;
    while (!sent_.empty() && sent_.front().first <= echo) {
      if (sent_.front().first == echo) {
        echoed_sent_at_ = sent_.front().second;
        ever_echoed_ = true;
        rtt_ = std::max(now - echoed_sent_at_ - held, crdt::Millis(0));
      }
      sent_.pop_front();
    }
  }
  bool reachable(crdt::Instant now, crdt::Millis suspect_after) const {
    return ever_echoed_ && now - echoed_sent_at_ <= suspect_after;
  }
  // A new link to a process that answers on another one: what is known of it holds on. Numbers are
  // each link's own.
  void inherit(const Liveness& other) {
    echoed_sent_at_ = other.echoed_sent_at_;
    ever_echoed_ = other.ever_echoed_;
    rtt_ = other.rtt_;
  }
  std::uint64_t to_echo() const { return to_echo_; }
  // How long that number has been waiting.
  crdt::Millis held(crdt::Instant now) const {
    return ever_heard_ ? now - last_heard_ : crdt::Millis(0);
  }
  bool ever_heard() const { return ever_heard_; }
  crdt::Instant last_heard() const { return last_heard_; }
  crdt::Millis rtt() const { return rtt_; }

 private:
  static constexpr std::size_t kRemembered = 256;
  std::deque<std::pair<std::uint64_t, crdt::Instant>> sent_;
  std::uint64_t last_number_ = 0, to_echo_ = 0;
  crdt::Instant last_heard_{}, echoed_sent_at_{};
  crdt::Millis rtt_{-1};
  bool ever_heard_ = false, ever_echoed_ = false;
};

}  // namespace holdfast::gossip
