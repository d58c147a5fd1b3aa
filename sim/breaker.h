#pragma once
// Breaks things as a plan says, and mends them. Whoever watches over processes in production is
// here too: a process that ended by itself is started again a while later.

#include <functional>
#include <map>
#include <vector>

#include "sim/checks.h"
#include "sim/plan.h"

namespace holdfast::sim {

class Breaker {
 public:
  using Told = std::function<void(std::size_t node)>;
  // `on_lost_disk`: told before the disk of a node is emptied. `on_retired`: a node has ended since
  // it was retired, and starts anew.
  Breaker(World& world, Checks& checks, const Plan& plan, Told on_lost_disk, Told on_retired);

  void schedule(Time begin);
  // Ends the faults of these nodes and of the ways between them, for good. The others stay as they
  // are or get worse, as the seed has it, and so do all ways to them.
  void mend_core(const std::vector<std::size_t>& core);
  void mend_all();

 private:
  void begin(const PlannedFault& fault);
  void crash(const PlannedFault& fault, bool silently);
  void await_moment(std::size_t node, Time limit, std::function<bool(const Machine&)> is_it,
                    std::function<void()> action);
  void cut(std::size_t a, std::size_t b, bool one_way, Time for_how_long);
  void cut_way(Place from, Place to, Time for_how_long);
  void isolate(const PlannedFault& fault);
  void swizzle(const PlannedFault& fault);
  void make_lossy(const PlannedFault& fault);
  void change_region_pair(const PlannedFault& fault, const std::function<void(Pair&)>& worse,
                          const std::function<void(Pair&)>& as_before);
  void lose_disk(const PlannedFault& fault);
  void roll_back(const PlannedFault& fault);
  void clone(const PlannedFault& fault);
  // The copy that was made for this fault; nullptr: none that may be used now.
  const Directory* copy_for(const PlannedFault& fault) const;
  void restore(std::size_t node);
  void decree(const PlannedFault& fault);
  void order(std::size_t node, node::Command command, bool by_plan, Time waits);
  void confirm(std::size_t node, node::Command command);
  void hold_down(std::size_t node, Time for_how_long);
  void watch_over();
  void replace_retired(std::size_t node);
  void replace_one_of_the_retired();
  void name_heirs();
  bool awaits(crdt::ReplicaId retired, crdt::ReplicaId heir) const;
  void mend_node(std::size_t node);
  void mend_way(Place from, Place to);
  // Runs when the fault's time is over, unless everything was mended meanwhile.
  void later(Time delay, std::function<void()> action);

  World& world_;
  Checks& checks_;
  const Plan& plan_;
  Told on_lost_disk_, on_retired_;
  Random random_;
  std::vector<int> held_down_;  // by node: faults that keep it from starting
  std::vector<Pair> healthy_;   // by from × places + to
  std::map<const PlannedFault*, std::pair<crdt::ReplicaId, Directory>> copies_;
  std::map<std::size_t, Image> to_restore_;  // by node: its store is not opened any more
  std::uint64_t generation_ = 0;
};

}  // namespace holdfast::sim
