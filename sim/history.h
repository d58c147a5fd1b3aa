#pragma once
// One of several histories of an origin: its data directory was put back, or copied and used twice,
// and what was written from there on is written under the same name as what was written before.
// The ghost of the checks has one of them; the others stand beside it, whole.

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "crdt/state.h"

namespace holdfast::sim {

// All rows that one origin wrote in one history.
struct Line {
  std::map<crdt::Sequence, std::uint64_t> contents;  // of each write, as a hash
  std::map<crdt::Sequence, std::uint64_t> boots;     // nonces; nothing is ever dropped
};

struct History {
  crdt::ReplicaId origin;
  crdt::Sequence parted = 0;                // what was written up to here, the ghost's has too
  std::unique_ptr<crdt::State> base, rows;  // of this origin alone: when it parted, and now
  Line line;
  std::optional<std::size_t> place;  // of the machine that writes it; none: nobody does
  bool reissued = false;             // under another name, which is in the ghost
  bool lost = false;                 // or could not be: what it was when it parted was gone
  // By SKU: the rights in the copy, what was granted to it there, and the units in its open holds.
  struct Bound {
    crdt::Units rights = 0, granted = 0, open = 0;
  };
  std::map<std::string, Bound> bounds;
};

}  // namespace holdfast::sim
