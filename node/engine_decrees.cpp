// Commands about decrees.

#include "node/engine.h"

namespace holdfast::node {

using crdt::Now;

void Engine::on(Now now, const Caller& caller, Failover&& command) {
  urgent_ = true;  // shares are passed on
  finish(caller, decrees_.failover(command, times(now)));
}

void Engine::on(Now now, const Caller& caller, Retire&& command) {
  urgent_ = true;
  finish(caller, decrees_.retire(command, times(now)));
}

void Engine::on(Now, const Caller& caller, ListFailovers&&) { finish(caller, decrees_.accounts()); }

}  // namespace holdfast::node
