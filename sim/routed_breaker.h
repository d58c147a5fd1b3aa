#pragma once
// Breaks shards, routers and the ways between them as a plan says, and mends each again.
//
// One more kind of fault is a case in apply().

#include "sim/routed_world.h"

namespace holdfast::sim {

class RoutedBreaker {
 public:
  explicit RoutedBreaker(RoutedWorld& world);
  void schedule(Time begin);  // all of the plan
  void mend_all();            // what is under way has ended with the plan; what ended starts

 private:
  void apply(const PlannedRoutedFault& fault);
  void end_router(const PlannedRoutedFault& fault);
  void end_node(const PlannedRoutedFault& fault);
  void leave(const PlannedRoutedFault& fault);
  void cut(std::size_t router, std::size_t shard, std::size_t node, bool one_way, Time until);
  void cut_shard(const PlannedRoutedFault& fault);
  void lose(const PlannedRoutedFault& fault);
  void slow_down(const PlannedRoutedFault& fault);
  void part_nodes(const PlannedRoutedFault& fault);
  void new_map();
  void move_skus(const PlannedRoutedFault& fault);

  RoutedWorld& world_;
  Random random_;
};

}  // namespace holdfast::sim
