#pragma once
// Crowd: when the engine takes a turn, and which turns end with a batch for the store. Pure.
//
// A batch costs as much as some ten writes, whatever is in it (a write, an fsync, three wake-ups).
// Once so many writes went into one, the next waits for as many (64 do), and peers' frames with it,
// but at most kPace after the store is free. Meanwhile turns without a batch decide what has come,
// so that little is left to do when the last one comes. Who writes alone, or beside two others,
// waits for nobody, and a read never does.
//
// A turn that cannot end with a batch, because the crowd is not here or the store writes one, is
// worth its wake-up for half of the last batch, sixteen writes or more, or 64 KiB from peers. (A
// quarter: 5 % more CPU at 256 connections.)
//
// Threads  none of its own: its owner's lock. Cost  O(1).

#include <chrono>
#include <cstddef>

namespace holdfast::node {

class Crowd {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kWorthATurn = 16;
  static constexpr std::size_t kBytesWorthATurn = 64u << 10;
  static constexpr std::size_t kLeast = 4;    // writes in a batch that are a crowd
  static constexpr std::size_t kEnough = 64;  // more gain nothing
  static constexpr std::chrono::milliseconds kPace{2};

  void came(std::size_t writes, bool reads);
  void came_from_peers(std::size_t bytes);  // in frames; 0: something else of a link
  void store_is_free(Instant now);

  bool worth_a_turn(Instant now) const;
  // Until then no turn is worth it unless something is told; maximum: for ever.
  Instant look_again_at(Instant now) const;
  // A turn takes all that has come. True: it may end with a batch.
  bool begin_turn(Instant now);
  // What it has come to.
  struct Turn {
    bool submitted = false;  // it ended with a batch
    bool busy = false;       // the store writes one
    bool owes = false;       // it left something for the next
  };
  void end_turn(const Turn& turn);

 private:
  bool is_here(Instant now) const;

  std::size_t writes_ = 0, bytes_ = 0;   // that have come for the next turn
  bool reads_ = false, events_ = false;  // likewise
  std::size_t worth_a_turn_ = kWorthATurn;
  std::size_t gathered_ = 0;          // writes in turns since the last batch
  std::size_t crowd_ = 1;             // the next batch waits for so many
  Instant pace_at_ = Instant::min();  // till then
  Turn last_;
  bool freed_ = false;  // the store, since that turn
};

}  // namespace holdfast::node
