#include "tests/node/support/memory_store.h"

#include <stdexcept>

namespace holdfast::tests {

node::Recovered MemoryDisk::recovered() const {
  node::Recovered recovered;
  recovered.meta = meta;
  recovered.read = [this](const auto& row, const auto& entry) {
    for (const auto& [address, bytes] : rows) {
      const auto& [origin, kind, key] = address;
      if (absl::Status status = row(node::RowAddress{origin, kind, key}, bytes); !status.ok())
        return status;
    }
    for (const auto& [batch, value] : journal)
      if (absl::Status status = entry(batch, value); !status.ok()) return status;
    return absl::OkStatus();
  };
  return recovered;
}

void MemoryStore::write(node::Batch&& batch) {
  const std::uint64_t wanted = last_written_ + (batch.journal.empty() ? 0 : 1);
  if (batch.number != wanted)
    complaint_ = "batch " + std::to_string(batch.number) + " came where " + std::to_string(wanted) +
                 " was due";
  last_written_ = batch.number;
  queue_.push_back(std::move(batch));
}

void MemoryStore::persist(const node::Batch& batch) {
  if (batch.journal.empty()) return;
  disk_.journal[batch.number] = batch.journal;
  disk_.history[batch.number] = batch.journal;
  disk_.last_batch = batch.number;
}

void MemoryStore::finish_batch() {
  if (queue_.empty()) throw std::logic_error("no batch waits for the disk");
  node::Batch batch = std::move(queue_.front());
  queue_.pop_front();
  persist(batch);
  releasing_ = true;
  batch.release();
  releasing_ = false;
  if (batch.checkpoint) slices_.push_back(*std::move(batch.checkpoint));
}

void MemoryStore::persist_batch() {
  persist(queue_.front());
  queue_.pop_front();
}

void MemoryStore::finish_slice() {
  const node::CheckpointSlice slice = std::move(slices_.front());
  slices_.pop_front();
  for (const auto& [at, bytes] : slice.put) disk_.rows[{at.origin, at.kind, at.key}] = bytes;
  for (const node::RowAddress& at : slice.drop) disk_.rows.erase({at.origin, at.kind, at.key});
  if (!slice.journal_through) return;
  disk_.meta = slice.meta;
  disk_.journal.erase(disk_.journal.begin(), disk_.journal.upper_bound(*slice.journal_through));
}

}  // namespace holdfast::tests
