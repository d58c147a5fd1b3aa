#pragma once
// A disk, and the Store port upon it, with the promises of node/ports.h and nothing more.
//
// One batch is written at a time and takes a while; a loss of power forgets what was not finished,
// and may leave the batch in hand half written. A half-written batch is found by its checksum when
// the directory is opened, and cut off, as RocksDB does with the tail of its log. Rows of a
// checkpoint are on disk, all of them, when its meta record is; of one that was cut off some of the
// first are.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "node/ports.h"
#include "sim/events.h"
#include "sim/random.h"

namespace holdfast::sim {

// What lies on the disk. Outlives the process.
struct Image {
  struct Entry {
    std::string bytes;
    std::uint64_t checksum = 0;
  };
  std::map<std::uint64_t, Entry> journal;
  absl::btree_map<std::tuple<crdt::ReplicaId, crdt::RowKind, std::string>, std::string> rows;
  std::string meta;
  std::uint64_t mark = 0;  // the last batch that was released, at least

  bool empty() const { return journal.empty() && rows.empty() && meta.empty(); }
};

struct DiskOptions {
  Time write = 300;                 // a batch without content: mean
  double bytes_per_second = 200e6;  // and beside it
  double slow = 1;                  // times all of it
  double failing = 0;               // share of writes that fail
  bool full = false;
};

enum class PowerLoss : std::uint8_t { forgets, tears, keeps };

class Disk final : public node::Store {
 public:
  struct Hooks {
    // The batch has become durable; nothing of it has been released.
    std::function<void(const node::Batch& batch)> durable;
    std::function<void()> failed;       // a write came back with an error
    std::function<bool()> may_release;  // false: the process is paused, ask again later
  };

  Disk(Events& events, Image& image, DiskOptions& options, std::uint64_t seed, Hooks hooks);
  ~Disk() override;

  // Opens the image: cuts a torn tail off. Error: what is there does not fit together.
  // `torn`: set if a tail was cut.
  static absl::StatusOr<node::Recovered> open(Image& image, bool& torn);
  // Of a batch, as an Image keeps it.
  static std::uint64_t checksum(std::uint64_t number, std::string_view bytes);

  void write(node::Batch&& batch) override;
  std::size_t pending() const override { return queue_.size(); }
  bool takes_slice() const override { return slices_.empty(); }
  std::uint64_t free_bytes() const override { return options_.full ? 0 : 1ull << 40; }

  // The process has been resumed: what became durable meanwhile is released.
  void resume();
  // Ends this process's use of the disk; what becomes of the batch in hand.
  void lose_power(PowerLoss loss);
  bool releasing() const { return releasing_; }

 private:
  Time duration(std::size_t bytes);
  void start();
  void finish(std::uint64_t number);
  void release();
  void start_slice();
  void finish_slice();
  void flush(std::size_t count);  // rows, the first ones; the others are gone
  void keep(const node::Batch& batch);

  Events& events_;
  Image& image_;
  DiskOptions& options_;
  Random random_, rows_random_;
  Hooks hooks_;
  std::shared_ptr<bool> lives_ = std::make_shared<bool>(true);
  std::deque<node::Batch> queue_;
  std::deque<node::CheckpointSlice> slices_;
  std::vector<std::pair<node::RowAddress, std::string>> unflushed_;
  bool writing_ = false, written_ = false, writing_slice_ = false, releasing_ = false;
};

}  // namespace holdfast::sim
