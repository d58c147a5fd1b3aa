#pragma once
// Edge: whole data directories, read into memory and written anew.

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crdt/state.h"
#include "node/engine.h"

namespace holdfast::node {

// What a data directory holds, in an engine that is not started; also while a node is running on
// it. Errors: as RocksStore::open and recover(); kNotFound: there is no store.
absl::StatusOr<std::unique_ptr<Engine>> read_directory(const std::string& data_dir);

// Makes `data_dir`, which must not exist or be empty, the data directory of state.self(), with the
// rows of `state`. Durable when it returns. Nothing may be unsealed.
absl::Status write_directory(const std::string& data_dir, const crdt::State& state,
                             std::int64_t life_ms);

// fsync of a directory: what was made, renamed or removed in it.
absl::Status sync_directory(const std::string& directory);

}  // namespace holdfast::node
