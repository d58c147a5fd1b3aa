#pragma once
// RocksStore: the Store port on RocksDB 7.8.
//
// In the data directory:
//   mark    the high-water mark (high_water_mark.h)
//   store/  RocksDB, with three column families; every value begins with its XXH3-64, little endian
//     default  "format"   the name of this layout
//              "meta"     checksum, number of the last batch that it covers (u64 LE), the meta
//              record
//     journal  batch number (u64 BE)
//                         checksum, number of the journal entry before it (u64 LE), the journal
//                         value
//     rows     origin (u64 BE), kind (u8), key
//                         checksum, the encoded row
// A checksum is seeded with its key, so a value that turns up under another key is damage too.
// Since an entry names the one before it, a missing entry shows, while batches without a journal
// value leave no trace.
//
// Promises
//   P1  release() runs only after the batch's journal value, and those of all before it, are on
//   disk
//       (fdatasync), and in order.
//   P2  After a failed write nothing is ever released again, and on_failure is called, once.
//   P3  A checkpoint slice is written after its own batch was released, in order, and never before
//       the rows of earlier slices. When the journal is dropped all earlier slices are durable.
//   P4  A store that was cut, rolled back or damaged is not opened, or not read to its end:
//   kDataLoss.
//
// Memory  at most about 192 MiB of RocksDB's (memtables and block cache together), a rows file
//         (rows_file.h), what is queued, and what a checkpoint drops, twice.
//         Queued batches are the caller's to bound (pending()). One checkpoint slice outstanding at
//         a time is the caller's promise; if more than kSlicesWaitingMax wait, later batches wait
//         too.
// Threads write(), pending(), takes_slice(), free_bytes(): any. open(), recovered(), stop(): the
// owner's.
//         release() runs on the store's writer thread; on_failure on one of the store's two
//         threads. Neither may call stop().

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "node/high_water_mark.h"
#include "node/ports.h"
#include "node/reader_place.h"
#include "node/rows_file.h"
#include "node/zeroed_log.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace holdfast::node {

struct RocksStoreOptions {
  std::string data_dir;                          // made if absent
  std::function<void(absl::Status)> on_failure;  // the process should end; must not be empty
  // Only to be read, also while another process writes it: as it was at open(), whole batches that
  // are durable. Nothing is changed, and nothing is waited for but the last batch's fsync.
  bool read_only = false;
};

class RocksStore final : public Store {
 public:
  static constexpr std::size_t kSlicesWaitingMax = 8;

  // Errors: kFailedPrecondition (in use by another process; made by another version),
  // kInvalidArgument (data_dir is not a directory that can be written), kDataLoss (damaged or cut:
  // start with an empty directory), kInternal (the system refused).
  static absl::StatusOr<std::unique_ptr<RocksStore>> open(RocksStoreOptions options);
  ~RocksStore() override;  // as stop()

  // What the directory held at open(). To be read before the first write(); `read` must not outlive
  // the store. `read` ends at the first error of its callbacks, and returns it. Its own: kDataLoss
  // (a damaged value, a gap in the journal), kInternal.
  Recovered recovered();

  void write(Batch&& batch) override;
  std::size_t pending() const override;
  bool takes_slice() const override;
  std::uint64_t free_bytes() const override;  // at most 200 ms old

  // The store as it is now, what is queued not counted, as a data directory of its own: hard links,
  // so `data_dir` must be on the same file system and not exist. Only for read_only opens.
  absl::Status copy_to(const std::string& data_dir);

  // Writes and releases what is queued, then closes. Batches written later are dropped.
  void stop();

 private:
  using RowCallback = std::function<absl::Status(RowAddress&&, std::string_view)>;
  using EntryCallback = std::function<absl::Status(std::uint64_t, std::string_view)>;

  explicit RocksStore(RocksStoreOptions options);

  absl::Status open_database();
  absl::Status open_reader();
  absl::Status look_at_files();
  void close_database();
  absl::Status settle_meta();
  absl::Status wait_until_durable();
  absl::Status check_format();
  absl::Status read_meta();
  absl::Status find_last_batch();
  absl::Status check_mark();
  absl::Status read_rows(const RowCallback& row);
  absl::Status read_journal(const EntryCallback& entry);
  absl::Status write_durably(rocksdb::WriteBatch& batch, const std::string& what);

  void run_writer();
  bool write_group(std::vector<Batch>& group);
  bool hand_over(CheckpointSlice&& slice);
  void run_checkpointer();
  absl::Status write_slice(const CheckpointSlice& slice);
  absl::Status hand_over_rows();
  absl::Status sync_mark();
  void fail(const absl::Status& status);

  RocksStoreOptions options_;
  std::string path_;    // of RocksDB's own directory
  ReaderPlace reader_;  // of a store that is only read
  std::uint64_t mark_seen_ = 0;
  std::unique_ptr<HighWaterMark> mark_;
  const std::unique_ptr<rocksdb::Env> env_ = env_with_zeroed_logs();  // outlives db_
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> families_;  // in the order of enum Family
  std::string meta_;
  std::uint64_t meta_through_ = 0;  // the last batch that the meta record covers
  std::uint64_t last_entry_ = 0;    // the last journal entry, also if it was dropped since

  std::mutex mutex_;  // guards the queue and `stopping_`
  std::condition_variable wake_writer_;
  std::deque<Batch> queue_;
  bool stopping_ = false;
  std::atomic<std::size_t> pending_ = 0;
  std::atomic<std::size_t> slices_unwritten_ = 0;  // handed over with a batch and not yet taken in
  std::atomic<bool> failed_ = false;

  std::mutex slices_mutex_;  // guards the slices and `slices_end_`
  std::condition_variable slices_changed_;
  std::deque<CheckpointSlice> slices_;
  bool slices_end_ = false;
  RowsFile rows_file_;  // the checkpointer's
  std::atomic<bool> mark_moved_ = false;

  mutable std::atomic<std::int64_t> free_read_at_ms_ = 0;
  mutable std::atomic<std::uint64_t> free_bytes_ = 0;

  std::thread writer_;
  std::thread checkpointer_;
};

}  // namespace holdfast::node
