#pragma once
// A state as journal values of bounded size: replayed in order, they give it. And the replay. Pure.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "crdt/state.h"
#include "node/codec.h"

namespace holdfast::node {

// In the order in which the value has it: its parts, each of them its origin's rows forgotten, if
// it says so, its rows, the head; then its drops. Error: it is not one that a state could have
// written after what is here; the state is void then.
//
// `misfits`, by origin: rows of others that contradict what is here are put there instead, until a
// part forgets their origin.
using Misfits = std::map<ReplicaId, std::string>;
absl::Status replay(JournalValue&& value, crdt::State& state, Misfits* misfits = nullptr);

class JournalOf {
 public:
  JournalOf(const crdt::State& state, std::int64_t life_ms);
  bool next(std::string& value);  // false: there is no more

 private:
  const crdt::State& state_;
  std::int64_t life_ms_;
  std::vector<crdt::VectorEntry> origins_;
  std::size_t origin_ = 0;
  crdt::Sequence after_ = 0;
};

}  // namespace holdfast::node
