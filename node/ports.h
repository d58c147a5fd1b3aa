#pragma once
// The driver's ports: Store, Clock (and gossip/transport.h). The product implements them with
// RocksDB, the system's clocks and Beast; the simulator with its own.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crdt/rows.h"
#include "crdt/time.h"

namespace holdfast::node {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual crdt::Now now() = 0;  // any thread
};

// Which row of the rows column family: its key there is origin, kind, key (big-endian, so that one
// origin's rows stand together).
struct RowAddress {
  crdt::ReplicaId origin;
  crdt::RowKind kind = crdt::RowKind::stock;
  std::string key;
};

// Part of a checkpoint: rows as they are in the batch that carries the slice (a whole encoded
// crdt::Row as `bytes`), and, with the last one, rows that are no longer there. All rows of a
// checkpoint are durable when its meta record is; of one that was cut off any may be.
struct CheckpointSlice {
  std::vector<std::pair<RowAddress, std::string>> put;
  std::vector<RowAddress> drop;
  // With the last slice of a checkpoint: the meta record, and the journal up to and with this batch
  // is dropped in the same durable write.
  std::optional<std::uint64_t> journal_through;
  std::string meta;
};

// One turn's worth of durable work. `release` is run by the store once the batch is durable.
struct Batch {
  std::uint64_t number = 0;  // contiguous, from 1
  std::string journal;       // opaque here; empty: nothing to write, release in order all the same
  std::optional<CheckpointSlice>
      checkpoint;  // written after the fsync and release, off the hot path
  std::function<void()> release;
};

// What a data directory held when it was opened.
struct Recovered {
  std::string meta;  // empty: a new directory
  // Calls `row` for each row, then `entry` for each journal value in order of batch number.
  std::function<absl::Status(
      const std::function<absl::Status(RowAddress&&, std::string_view)>& row,
      const std::function<absl::Status(std::uint64_t batch, std::string_view)>& entry)>
      read;
};

class Store {
 public:
  virtual ~Store() = default;
  // Queues a batch. Batches become durable, and are released, in order. Never blocks. A write or an
  // fsync that fails ends the process (on_failure): nothing of that batch, nor of later ones, is
  // released.
  virtual void write(Batch&& batch) = 0;
  // Batches that have been queued and not yet released.
  virtual std::size_t pending() const = 0;
  // Every checkpoint slice so far has been taken in: another may be handed over. Handing it over
  // sooner would make later batches wait for it.
  virtual bool takes_slice() const = 0;
  // Bytes free for this user on the file system that holds the data.
  virtual std::uint64_t free_bytes() const = 0;
};

}  // namespace holdfast::node
