#pragma once
// The Clock port on the system's clocks: the steady clock for instants, the system clock for wall
// time.

#include "node/ports.h"

namespace holdfast::node {

// Threads: any, at once.
class SystemClock final : public Clock {
 public:
  crdt::Now now() override;
};

}  // namespace holdfast::node
