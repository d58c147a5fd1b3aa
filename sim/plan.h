#pragma once
// What a seed of the swarm draws before anything runs: the topology, what customers do, and what
// breaks. Each seed leaves about half of the kinds of faults and operations out and draws how much
// of the others there is (swarm testing, Groce et al., ISSTA 2012).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/seed_run.h"
#include "sim/world.h"

namespace holdfast::sim {

enum class FaultKind : std::uint8_t {
  crash,         // of a's process; it starts again after the time
  power_loss,    // likewise, of the machine: nobody is told
  pause,         // a's process stands still
  cut,           // between the nodes a and b; `one_way`: from a to b
  isolate,       // a's region
  swizzle,       // nodes are cut off one by one and come back in another order
  lossy,         // frames from a to b are lost, repeated or overtaken
  slow_link,     // between the regions of a and b
  narrow_link,   // likewise: bytes a second
  clog,          // nothing arrives from a at b for the time
  reset,         // the links between a and b break
  slow_disk,     // a's
  failing_disk,  // a's writes fail now and then
  full_disk,     // a's
  lost_disk,     // a's: it comes back empty, as a new replica
  wall_step,     // a's wall clock jumps
  // What operators do, rightly or not; drawn apart from the others.
  failover,         // b declares a lost
  failover_region,  // b declares a's region lost
  retire,           // b retires a; c is its successor
  // What hands do to data directories; drawn apart from both. The copy is of `copied_ms`.
  rollback,  // a's is put back; `one_way`: the store alone, beside the mark, and then restored
  clone,     // a copy of a's starts at the spare node; `one_way`: after a has died
  // Drawn apart from all others.
  drain,  // a leaves in good order; `amount`: of how long it waits for open holds
};
inline constexpr std::size_t kFaultKinds = 16;  // of the first, that of themselves happen
inline constexpr std::size_t kOperatorKinds = 3;
inline constexpr std::size_t kCopyKinds = 2;
inline constexpr std::size_t kAllFaultKinds = kFaultKinds + kOperatorKinds + kCopyKinds + 1;

struct PlannedFault {
  std::int64_t at_ms = 0, for_ms = 0;
  FaultKind kind = FaultKind::crash;
  std::size_t a = 0, b = 0, c = 0;
  double amount = 0;  // 0 … 1, how bad it is
  bool one_way = false;
  std::int64_t copied_ms = 0;  // of a copied directory: when
};

enum class OperationKind : std::uint8_t {
  receive,
  adjust,
  allow,
  grant,
  reserve,
  reserve_cart,
  commit,
  commit_part,
  commit_at_deadline,
  release,
  extend,
  give_back,
  read,
  // Drawn apart from the others: what two regions do that cannot see each other.
  receive_twice,  // one key at two nodes at once
  reserve_twice,  // one id, one body, at two nodes at once
};
inline constexpr std::size_t kOperationKinds = 13;  // of the first
inline constexpr std::size_t kTwiceKinds = 2;

struct PlannedOperation {
  std::int64_t at_ms = 0;
  OperationKind kind = OperationKind::receive;
  std::size_t node = 0;
  std::uint32_t x = 0, y = 0;  // which SKU or reservation, and how much
};

struct Plan {
  std::uint64_t seed = 0;
  WorldOptions world;
  std::size_t nodes = 0;  // of the world's; a spare may follow
  std::size_t skus = 1;
  std::uint32_t ttl_seconds_max = 60;
  std::vector<PlannedFault> faults;          // ascending by time
  std::vector<PlannedOperation> operations;  // likewise
  std::int64_t end_ms = 0;
  std::vector<std::size_t> core;  // nodes that are mended first; the others stay as they are
};

Plan draw_plan(std::uint64_t seed);
void omit(Plan& plan, const Omissions& omissions);
const char* name_of(FaultKind kind);
const char* name_of(OperationKind kind);

}  // namespace holdfast::sim
