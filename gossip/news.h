#pragma once
// One link's News, in each direction: names for origins, numbers, and what is not acknowledged yet.
// So a row costs its own bytes and about two more, however long the ids of replicas are, and an
// acknowledgement costs one number. Pure; used by session.h and mesh.h.

#include <deque>
#include <map>
#include <vector>

#include "crdt/delta.h"
#include "gossip/frame.h"

namespace holdfast::gossip {

class NewsOut {
 public:
  void put(const crdt::Piece& piece);
  void put_has(ReplicaId origin, Sequence sequence, std::uint64_t boot);
  std::size_t bytes() const { return bytes_; }  // of rows that wait
  bool empty() const { return parts_.empty() && has_.empty(); }
  // What waits, as one frame.
  News take(std::uint64_t applied);
  // The peer has applied what came up to that number: tells (origin, sequence) of each whole delta.
  template <typename Told>
  void applied(std::uint64_t number, Told&& told) {
    for (; !unacknowledged_.empty() && unacknowledged_.front().number <= number;
         unacknowledged_.pop_front())
      told(unacknowledged_.front().origin, unacknowledged_.front().upto);
  }
  std::size_t unacknowledged() const { return unacknowledged_.size(); }
  // The peer has lost some: what comes refers to nothing that was, and what was is no longer waited
  // for. Numbers go on. Requires: empty().
  void restart() {
    const std::uint64_t number = number_;
    *this = NewsOut();
    number_ = number;
    anew_ = true;
  }

 private:
  struct Sent {
    std::uint64_t number = 0;
    ReplicaId origin;
    Sequence upto = 0;
  };
  struct Name {
    std::uint32_t place = 0;
    std::uint64_t boot = 0;
  };
  std::uint32_t name(ReplicaId origin, std::uint64_t boot);

  std::uint64_t number_ = 0;
  bool anew_ = false;
  std::map<ReplicaId, Name> names_;
  std::vector<Sequence> ended_;  // by name: where the last piece ended
  std::vector<News::Name> new_names_;
  std::vector<News::Has> has_;
  std::vector<News::Part> parts_;
  std::size_t bytes_ = 0;
  std::deque<Sent> unacknowledged_;
};

class NewsIn {
 public:
  // False: it does not follow, and nothing of it may be used but `applied`; nor of those after it,
  // until News begin anew.
  bool follows(const News& news);
  // Requires: name < names().
  const News::Name& name(std::uint32_t name) const { return names_[name]; }
  // Nobody's piece if the name stands for none.
  crdt::Piece piece(News::Part&& part);
  std::size_t names() const { return names_.size(); }
  // All up to this, since News began (anew), could be used: what may be acknowledged once the
  // deltas that it made whole are merged.
  std::uint64_t number() const { return number_; }
  bool lost() const { return lost_; }
  // What is here is to be taken anew.
  void ask_anew() { lost_ = true; }
  // The last that followed could not be used: it is not acknowledged, and News must begin anew.
  void refuse() {
    --number_;
    lost_ = true;
  }

 private:
  std::uint64_t number_ = 0;
  bool lost_ = false;
  std::vector<News::Name> names_;
  std::vector<Sequence> ended_;
};

}  // namespace holdfast::gossip
