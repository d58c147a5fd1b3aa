#include "sim/disk.h"

#include <iterator>
#include <utility>

#include <xxhash.h>

namespace holdfast::sim {

std::uint64_t Disk::checksum(std::uint64_t number, std::string_view bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), number);
}

Disk::Disk(Events& events, Image& image, DiskOptions& options, std::uint64_t seed, Hooks hooks)
    : events_(events),
      image_(image),
      options_(options),
      random_(seed, "disk"),
      rows_random_(seed, "disk rows"),
      hooks_(std::move(hooks)) {}

Disk::~Disk() { *lives_ = false; }

absl::StatusOr<node::Recovered> Disk::open(Image& image, bool& torn) {
  torn = false;
  while (!image.journal.empty()) {
    const auto last = std::prev(image.journal.end());
    if (last->second.checksum == checksum(last->first, last->second.bytes)) break;
    image.journal.erase(last);
    torn = true;
  }
  if (!image.journal.empty() && image.mark > image.journal.rbegin()->first)
    return absl::DataLossError("the store holds less than its high-water mark");
  node::Recovered recovered;
  recovered.meta = image.meta;
  recovered.read = [&image](const auto& row, const auto& entry) {
    for (const auto& [address, bytes] : image.rows) {
      const auto& [origin, kind, key] = address;
      if (absl::Status status = row(node::RowAddress{origin, kind, key}, bytes); !status.ok())
        return status;
    }
    for (const auto& [batch, value] : image.journal)
      if (absl::Status status = entry(batch, value.bytes); !status.ok()) return status;
    return absl::OkStatus();
  };
  return recovered;
}

// ── batches ─────────────────────────────────────────────────────────────────────────────────────

Time Disk::duration(std::size_t bytes) {
  const double base = static_cast<double>(options_.write) * (0.5 + random_.exponential(0.5));
  const double content = static_cast<double>(bytes) / options_.bytes_per_second * kSecond;
  return 1 + static_cast<Time>((base + content) * options_.slow);
}

void Disk::write(node::Batch&& batch) {
  queue_.push_back(std::move(batch));
  start();
}

void Disk::start() {
  if (writing_ || queue_.empty()) return;
  writing_ = true;
  const std::string& journal = queue_.front().journal;
  const Time takes = journal.empty() ? 1 : duration(journal.size());
  events_.after(takes, [this, lives = lives_, number = queue_.front().number] {
    if (*lives) finish(number);
  });
}

void Disk::keep(const node::Batch& batch) {
  if (batch.journal.empty()) return;
  image_.journal[batch.number] = {batch.journal, checksum(batch.number, batch.journal)};
}

void Disk::finish(std::uint64_t) {
  const node::Batch& batch = queue_.front();
  if (options_.failing > 0 && !batch.journal.empty() && random_.chance(options_.failing)) {
    // Whether a write whose fsync failed is there after all, nobody knows.
    if (random_.chance(0.5)) {
      keep(batch);
      hooks_.durable(batch);
    }
    queue_.clear();
    return hooks_.failed();
  }
  keep(batch);
  if (!batch.journal.empty()) hooks_.durable(batch);
  written_ = true;
  release();
}

void Disk::release() {
  if (!written_ || !hooks_.may_release()) return;
  written_ = false;
  writing_ = false;
  node::Batch batch = std::move(queue_.front());
  queue_.pop_front();
  if (!batch.journal.empty()) image_.mark = batch.number;
  const std::shared_ptr<bool> lives = lives_;
  releasing_ = true;
  batch.release();
  if (!*lives) return;
  releasing_ = false;
  if (batch.checkpoint) {
    slices_.push_back(*std::move(batch.checkpoint));
    start_slice();
  }
  start();
}

void Disk::resume() { release(); }

void Disk::lose_power(PowerLoss loss) {
  *lives_ = false;
  flush(rows_random_.below(unflushed_.size() + 1));
  if (queue_.empty() || queue_.front().journal.empty() || written_) return;
  const node::Batch& batch = queue_.front();
  if (loss == PowerLoss::keeps) {
    keep(batch);
    hooks_.durable(batch);
  } else if (loss == PowerLoss::tears) {
    image_.journal[batch.number] = {batch.journal.substr(0, batch.journal.size() / 2),
                                    checksum(batch.number, batch.journal)};
  }
}

// ── checkpoints ─────────────────────────────────────────────────────────────────────────────────

void Disk::start_slice() {
  if (writing_slice_ || slices_.empty()) return;
  writing_slice_ = true;
  std::size_t bytes = slices_.front().meta.size();
  for (const auto& [address, row] : slices_.front().put) bytes += row.size();
  events_.after(duration(bytes), [this, lives = lives_] {
    if (*lives) finish_slice();
  });
}

void Disk::flush(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto& [at, bytes] = unflushed_[i];
    image_.rows[{at.origin, at.kind, at.key}] = std::move(bytes);
  }
  unflushed_.clear();
}

void Disk::finish_slice() {
  writing_slice_ = false;
  node::CheckpointSlice slice = std::move(slices_.front());
  slices_.pop_front();
  std::move(slice.put.begin(), slice.put.end(), std::back_inserter(unflushed_));
  if (slice.journal_through) flush(unflushed_.size());
  for (const node::RowAddress& at : slice.drop) image_.rows.erase({at.origin, at.kind, at.key});
  if (slice.journal_through) {
    image_.meta = slice.meta;
    image_.journal.erase(image_.journal.begin(),
                         image_.journal.upper_bound(*slice.journal_through));
  }
  start_slice();
}

}  // namespace holdfast::sim
