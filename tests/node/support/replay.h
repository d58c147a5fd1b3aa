#pragma once
// What recovery from a disk must give: the same as replaying every journal value that there ever
// was.

#include <rapidcheck.h>

#include <memory>
#include <string>

#include "tests/node/support/cluster.h"

namespace holdfast::tests {

// An engine that has replayed every journal value there ever was, and knows no checkpoint.
inline std::unique_ptr<Engine> replayed(const MemoryDisk& disk, ReplicaId self) {
  MemoryDisk all;
  all.journal = disk.history;
  node::EngineConfig config{.self = self};
  config.mesh.self = self;
  config.mesh.boot = 1;
  auto engine = std::make_unique<Engine>(std::move(config));
  const auto count = node::recover(all.recovered(), *engine);
  if (!count.ok()) throw std::logic_error(std::string(count.status().message()));
  return engine;
}

// Batch numbers without gaps, and a life that never goes back, over all processes of a disk.
inline std::string history_of(const MemoryDisk& disk) {
  std::uint64_t number = 0;
  std::int64_t life_ms = 0;
  for (const auto& [batch, bytes] : disk.history) {
    if (batch != ++number)
      return "batch " + std::to_string(batch) + " after " + std::to_string(number - 1);
    const auto value = node::decode_journal_value(bytes);
    if (!value.ok()) return std::string(value.status().message());
    if (value->life_ms < life_ms) return "life went back in batch " + std::to_string(batch);
    life_ms = value->life_ms;
  }
  return "";
}

// Digests do not depend on what is not stamped: an engine that was not started has stamped
// everything.
inline void crash_and_compare(Cluster& cluster, std::size_t node, std::size_t durable) {
  cluster.crash(node, durable);
  const auto reference = replayed(cluster.disk(node), cluster.replica(node));
  RC_ASSERT(cluster.state(node).digest() == reference->state().digest());
  RC_ASSERT(cluster.state(node).vector() == reference->state().vector());
  RC_ASSERT(bytes_of(cluster.state(node)) == bytes_of(reference->state()));
  RC_ASSERT(cluster.state(node).own_open_holds() == reference->state().own_open_holds());
  RC_ASSERT(history_of(cluster.disk(node)) == "");
}

}  // namespace holdfast::tests
