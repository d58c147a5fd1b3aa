// Decrees: replicas declared lost, or retired.

#include "node/engine.h"

namespace holdfast::node {

using crdt::Now;

void Engine::on(Now, const Caller& caller, Failover&&) { finish(caller, Outcome{}); }
void Engine::on(Now, const Caller& caller, Retire&&) { finish(caller, Outcome{}); }
void Engine::on(Now, const Caller& caller, ListFailovers&&) { finish(caller, Outcome{}); }

}  // namespace holdfast::node
