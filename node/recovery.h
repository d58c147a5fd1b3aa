#pragma once
// Recovery: from what a data directory holds to an engine that has it all in memory. Pure but for
// the reading callbacks.

#include <memory>

#include "absl/status/statusor.h"
#include "node/engine.h"
#include "node/ports.h"

namespace holdfast::node {

struct RecoveryCount {
  std::size_t rows = 0;
  std::size_t entries = 0;  // of the journal
};

// The replica whose directory this is; `fresh` for a new one.
absl::StatusOr<ReplicaId> identity(const Recovered& recovered, ReplicaId fresh);

// Loads everything into an engine that was made with that identity.
// Errors: kDataLoss, saying what does not fit together.
absl::StatusOr<RecoveryCount> recover(const Recovered& recovered, Engine& engine);

}  // namespace holdfast::node
