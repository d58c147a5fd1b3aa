#pragma once
// A state as journal values of bounded size: replayed in order, they give it. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "crdt/state.h"

namespace holdfast::node {

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
