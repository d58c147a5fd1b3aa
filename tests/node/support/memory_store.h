#pragma once
// The Store port in memory, with the promises of node/ports.h and nothing more: a batch becomes
// durable when the test says so, in order; a checkpoint slice is written after its batch was
// released; a crash forgets whatever was not written. The disk outlives the store.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <tuple>

#include "node/ports.h"

namespace holdfast::tests {

struct MemoryDisk {
  std::map<std::uint64_t, std::string> journal;
  std::map<std::tuple<crdt::ReplicaId, crdt::RowKind, std::string>, std::string> rows;
  std::string meta;
  std::uint64_t last_batch = 0;                  // as the high-water mark
  std::map<std::uint64_t, std::string> history;  // every journal value ever, for the tests

  node::Recovered recovered() const;  // a view: the disk must outlive it and stay as it is
};

class MemoryStore final : public node::Store {
 public:
  explicit MemoryStore(MemoryDisk& disk) : disk_(disk), last_written_(disk.last_batch) {}

  void write(node::Batch&& batch) override;
  std::size_t pending() const override { return queue_.size(); }
  bool takes_slice() const override { return slices_.empty(); }
  std::uint64_t free_bytes() const override { return free_bytes_; }
  void set_free_bytes(std::uint64_t bytes) { free_bytes_ = bytes; }

  // The oldest batch becomes durable and is released. Requires: pending() > 0.
  void finish_batch();
  // The oldest batch becomes durable, and the process dies before it is released. Likewise.
  void persist_batch();
  std::size_t slices() const { return slices_.size(); }
  void finish_slice();  // requires: slices() > 0
  bool releasing() const { return releasing_; }
  // What the driver may not do (batch numbers out of order); empty: nothing wrong.
  const std::string& complaint() const { return complaint_; }

 private:
  void persist(const node::Batch& batch);

  MemoryDisk& disk_;
  std::deque<node::Batch> queue_;
  std::deque<node::CheckpointSlice> slices_;
  std::uint64_t last_written_;
  std::uint64_t free_bytes_ = 1ull << 40;
  bool releasing_ = false;
  std::string complaint_;
};

}  // namespace holdfast::tests
