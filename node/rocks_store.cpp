#include "node/rocks_store.h"

#include <pthread.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>
#include <spdlog/spdlog.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "absl/strings/numbers.h"
#include "crdt/check.h"

namespace holdfast::node {
namespace {

namespace fs = std::filesystem;

enum Family : std::size_t { kDefault = 0, kJournal = 1, kRows = 2 };

constexpr const char* kFormatKey = "format";
constexpr const char* kFormat = "holdfast store 1";
constexpr const char* kMetaKey = "meta";
constexpr std::size_t kHeaderBytes = 16;  // checksum and a batch number
constexpr std::size_t kRowKeyBytesMin = 9;

// One WriteBatch of the journal holds at most about this much; RocksDB copies it once.
constexpr std::size_t kGroupBytesMax = 16u << 20;
constexpr std::chrono::seconds kMarkSyncInterval{1};
// Unmerged files of rows. With forty RocksDB would slow the journal down, too.
constexpr std::uint64_t kRowsFilesMost = 30;
constexpr std::chrono::milliseconds kMergeWait{50};
constexpr std::int64_t kFreeBytesAgeMsMax = 200;

// ── bytes

void append_big_endian(std::string& out, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint64_t read_big_endian(const char* at) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

void append_little_endian(std::string& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint64_t read_little_endian(const char* at) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

std::string journal_key(std::uint64_t batch) {
  std::string key;
  append_big_endian(key, batch);
  return key;
}

std::string row_key(const RowAddress& address) {
  std::string key;
  key.reserve(kRowKeyBytesMin + address.key.size());
  append_big_endian(key, address.origin.value);
  key.push_back(static_cast<char>(address.kind));
  key += address.key;
  return key;
}

std::uint64_t checksum(const rocksdb::Slice& key, const rocksdb::Slice& bytes) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), XXH3_64bits(key.data(), key.size()));
}

// Checksum and number, for a value of journal or meta: covers the number too.
std::string numbered_header(const std::string& key, std::uint64_t number,
                            const std::string& bytes) {
  std::string seed = key;
  append_little_endian(seed, number);
  std::string header;
  append_little_endian(header, checksum(seed, bytes));
  append_little_endian(header, number);
  return header;
}

struct Numbered {
  std::uint64_t number;
  std::string_view bytes;
};

std::optional<Numbered> open_numbered(const rocksdb::Slice& key, const rocksdb::Slice& value) {
  if (value.size() < kHeaderBytes) return std::nullopt;
  std::string seed = key.ToString();
  seed.append(value.data() + 8, 8);
  const rocksdb::Slice bytes(value.data() + kHeaderBytes, value.size() - kHeaderBytes);
  if (read_little_endian(value.data()) != checksum(seed, bytes)) return std::nullopt;
  return Numbered{.number = read_little_endian(value.data() + 8),
                  .bytes = std::string_view(bytes.data(), bytes.size())};
}

// ── errors

absl::Status damaged(const std::string& what) {
  return absl::DataLossError(
      what +
      "; bring back a copy of it with `holdfast restore`, as a new replica, or "
      "start this node with an empty data directory: it joins as a new "
      "replica, and the others bring it their rows");
}

absl::Status from_rocksdb(const rocksdb::Status& status, const std::string& what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = what + ": " + status.ToString();
  if (status.IsCorruption()) return damaged(text);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(text + "; free space on the disk");
  return absl::InternalError(text);
}

absl::Status open_error(const rocksdb::Status& status, const std::string& data_dir) {
  const std::string text = status.ToString();
  // RocksDB has no code of its own for a held lock.
  if (status.IsIOError() && (text.find("While lock file") != std::string::npos ||
                             text.find("lock hold by current process") != std::string::npos)) {
    return absl::FailedPreconditionError(
        "data directory " + data_dir +
        " is in use by another process; stop that one, or give this node a directory of its own");
  }
  if (text.find("olumn famil") != std::string::npos ||
      text.find("create_if_missing") != std::string::npos || status.IsPathNotFound() ||
      text.find("No such file") != std::string::npos)
    return damaged("part of the store in " + data_dir + " is missing (" + text + ")");
  if (status.IsInvalidArgument()) {
    return absl::FailedPreconditionError("data directory " + data_dir +
                                         " was made by another version of holdfast: " + text);
  }
  return from_rocksdb(status, "cannot open the store in " + data_dir);
}

absl::Status make_directory(const std::string& data_dir) {
  std::error_code error;
  fs::create_directories(data_dir, error);
  if (error || !fs::is_directory(data_dir, error)) {
    return absl::InvalidArgumentError("data directory " + data_dir + " cannot be made: " +
                                      (error ? error.message() : "there is a file of that name") +
                                      "; set node.data_dir");
  }
  if (::access(data_dir.c_str(), R_OK | W_OK | X_OK) != 0) {
    return absl::InvalidArgumentError("data directory " + data_dir +
                                      " cannot be written by this user; change its owner or set "
                                      "node.data_dir");
  }
  return absl::OkStatus();
}

// ── RocksDB's options

// Memory: memtables are charged to the block cache, so one number bounds both.
constexpr std::size_t kMemoryBytesMax = 192u << 20;
// RocksDB aborts the process when its first write finds no space.
constexpr std::uint64_t kStartBytesMin = 16u << 20;
constexpr std::size_t kMemtablesBytesMax = 144u << 20;

// `fresh`: no store was ever opened here to its end. Only then may parts of it be missing; a store
// whose manifest has lost a column family must not come up with an empty one in its place.
rocksdb::DBOptions database_options(const std::shared_ptr<rocksdb::Cache>& cache, bool fresh) {
  rocksdb::DBOptions options;
  options.create_if_missing = fresh;
  options.create_missing_column_families = fresh;
  options.paranoid_checks = true;
  // What a kill or a power loss may leave behind is a prefix of the log with a torn end, and that
  // must open: point-in-time recovery replays up to the first bad record. (kAbsoluteConsistency
  // refuses every torn end; kTolerateCorruptedTailRecords refuses one whose pages reached the disk
  // out of order.) Damage in the middle of the log looks the same to RocksDB, and would cut off
  // batches that were acknowledged. We find that ourselves: a store that ends below its high-water
  // mark is refused. Damage in a log that was closed already also shows in RocksDB, by the sizes in
  // the manifest.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(kMemtablesBytesMax, cache);
  // The meta record alone would keep old logs alive; beyond this its memtable is flushed.
  options.max_total_wal_size = 192u << 20;
  options.max_background_jobs = 2;
  options.bytes_per_sync = 1u << 20;
  options.max_open_files = 256;
  options.max_manifest_file_size = 16u << 20;
  options.enable_write_thread_adaptive_yield = false;  // would spin: the cores have work to do
  options.allow_concurrent_memtable_write = false;     // rows_options
  options.avoid_flush_during_shutdown = true;  // a checkpoint that was cut off counts for nothing
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = 1u << 20;
  options.keep_log_file_num = 2;
  return options;
}

rocksdb::ColumnFamilyOptions family_options(const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t memtable_bytes,
                                            rocksdb::CompressionType compression) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.block_size = 16u << 10;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.write_buffer_size = memtable_bytes;
  options.max_write_buffer_number = 3;
  options.compression = compression;
  options.level0_slowdown_writes_trigger = 40;  // rows never come to that: kRowsFilesMost
  options.level0_stop_writes_trigger = 80;
  return options;
}

// Rows are read when a store is opened and never else. So many files of them may lie beside each
// other before they are merged. Only drops go through memory, as many as a million in one write
// that the journal waits for: a list takes them in 0.2 s, a tree in 5 s.
rocksdb::ColumnFamilyOptions rows_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions options = family_options(cache, 24u << 20, rocksdb::kLZ4Compression);
  options.memtable_factory = std::make_shared<rocksdb::VectorRepFactory>();
  options.level0_file_num_compaction_trigger = 16;
  return options;
}

// In the order of enum Family.
std::vector<rocksdb::ColumnFamilyDescriptor> column_families(
    const std::shared_ptr<rocksdb::Cache>& cache) {
  return {
      {rocksdb::kDefaultColumnFamilyName, family_options(cache, 1u << 20, rocksdb::kNoCompression)},
      {"journal", family_options(cache, 48u << 20, rocksdb::kNoCompression)},
      {"rows", rows_options(cache)}};
}

rocksdb::WriteOptions durable() {
  rocksdb::WriteOptions options;
  options.sync = true;
  return options;
}

rocksdb::ReadOptions scanning() {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  options.readahead_size = 2u << 20;
  return options;
}

constexpr int kReadAttempts = 5;
constexpr int kLooksMost = 100;
constexpr int kMarkWaits = 50;
constexpr std::chrono::milliseconds kMarkWait{10};

class SilentLog final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

std::int64_t steady_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

RocksStore::RocksStore(RocksStoreOptions options)
    : options_(std::move(options)), rows_file_(options_.data_dir + "/rows.new") {}

// ── opening

absl::StatusOr<std::unique_ptr<RocksStore>> RocksStore::open(RocksStoreOptions options) {
  HOLDFAST_CHECK(options.on_failure || options.read_only);
  std::unique_ptr<RocksStore> store(new RocksStore(std::move(options)));
  if (store->options_.read_only) {
    if (auto s = store->open_reader(); !s.ok()) return s;
    return store;
  }
  if (auto s = make_directory(store->options_.data_dir); !s.ok()) return s;
  if (store->free_bytes() < kStartBytesMin)
    return absl::ResourceExhaustedError("the disk under data directory " +
                                        store->options_.data_dir +
                                        " is full: free at least 16 MiB and start again");
  if (auto s = store->open_database(); !s.ok()) return s;
  if (auto s = store->rows_file_.remove(); !s.ok())
    return from_rocksdb(s, "cannot remove " + store->options_.data_dir + "/rows.new");
  if (auto s = store->check_format(); !s.ok()) return s;
  if (auto s = store->read_meta(); !s.ok()) return s;
  if (auto s = store->find_last_batch(); !s.ok()) return s;
  if (auto s = store->check_mark(); !s.ok()) return s;
  store->writer_ = std::thread([raw = store.get()] { raw->run_writer(); });
  store->checkpointer_ = std::thread([raw = store.get()] { raw->run_checkpointer(); });
  pthread_setname_np(store->writer_.native_handle(), "journal");
  pthread_setname_np(store->checkpointer_.native_handle(), "checkpoints");
  return store;
}

absl::Status RocksStore::open_database() {
  path_ = options_.data_dir + "/store";
  const auto cache = rocksdb::NewLRUCache(kMemoryBytesMax);
  const auto families = column_families(cache);
  std::error_code error;
  const bool fresh = !fs::exists(options_.data_dir + "/mark", error);
  rocksdb::DB* db = nullptr;
  rocksdb::DBOptions options = database_options(cache, fresh);
  options.env = env_.get();
  const auto status = rocksdb::DB::Open(options, path_, families, &families_, &db);
  if (!status.ok()) return open_error(status, options_.data_dir);
  db_.reset(db);
  return absl::OkStatus();
}

// A secondary instance of RocksDB: made for stores that another process may be writing.
absl::Status RocksStore::open_reader() {
  path_ = options_.data_dir + "/store";
  std::error_code error;
  if (!fs::is_directory(path_, error))
    return absl::NotFoundError("there is no store in " + options_.data_dir);
  auto mark = HighWaterMark::read_only(options_.data_dir + "/mark");
  if (!mark.ok()) return mark.status();
  mark_seen_ = *mark;  // before the store is read: it may only grow meanwhile
  auto place = ReaderPlace::make(fs::temp_directory_path(error).string());
  if (!place.ok()) return place.status();
  reader_ = *std::move(place);
  if (auto s = look_at_files(); !s.ok()) return s;
  std::string format;
  if (!db_->Get({}, families_[kDefault], kFormatKey, &format).ok() || format != kFormat)
    return absl::FailedPreconditionError("data directory " + options_.data_dir +
                                         " was made by another version of holdfast, or is not one");
  if (auto s = settle_meta(); !s.ok()) return s;
  if (auto s = find_last_batch(); !s.ok()) return s;
  if (mark_seen_ > last_entry_)
    return damaged("the store in " + options_.data_dir + " ends with batch " +
                   std::to_string(last_entry_) + ", but batch " + std::to_string(mark_seen_) +
                   " had been made durable: it was cut or rolled back");
  return wait_until_durable();
}

absl::Status RocksStore::look_at_files() {
  const auto cache = rocksdb::NewLRUCache(8u << 20);
  rocksdb::DBOptions options;
  options.max_open_files = -1;  // files that the writer drops meanwhile stay readable
  options.allow_concurrent_memtable_write = false;
  options.track_and_verify_wals_in_manifest = true;  // else it aborts over a writer's that does
  options.info_log = std::make_shared<SilentLog>();
  options.paranoid_checks = true;
  const auto families = column_families(cache);
  rocksdb::DB* db = nullptr;
  rocksdb::Status status;
  close_database();
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {  // files may go while it opens
    status =
        rocksdb::DB::OpenAsSecondary(options, path_, reader_.path(), families, &families_, &db);
    // That reader takes a torn record for damage where zeros follow it (zeroed_log.h). This one
    // reads as a start would, from the files as they are now.
    if (status.IsCorruption())
      status = rocksdb::DB::OpenForReadOnly(options, path_, families, &families_, &db);
    if (status.ok()) break;
    families_.clear();
  }
  if (!status.ok()) return open_error(status, options_.data_dir);
  db_.reset(db);
  return absl::OkStatus();
}

// A look finds the files that the manifest names, then what the logs say. Rows are in a file before
// the meta record that counts on them is in a log: one that came between the two tells of rows that
// this look has missed. The next has them all; so it is looked until two find the same record.
// (TryCatchUpWithPrimary would be the next look, but loses the end of a log that was closed.)
absl::Status RocksStore::settle_meta() {
  if (auto s = read_meta(); !s.ok()) return s;
  for (int look = 0; look < kLooksMost; ++look) {
    const std::uint64_t before = meta_through_;
    if (auto s = look_at_files(); !s.ok()) return s;
    if (auto s = read_meta(); !s.ok()) return s;
    if (meta_through_ == before) return absl::OkStatus();
  }
  return absl::UnavailableError("the store in " + options_.data_dir +
                                " is written to so fast that it cannot be read as it is at one "
                                "moment; try again when its node has less to do");
}

// The writer's last batch may have been read before its fsync has returned. Where nobody writes,
// the mark may be older than the store, and nothing is lost by waiting a little.
absl::Status RocksStore::wait_until_durable() {
  for (int wait = 0; wait < kMarkWaits; ++wait) {
    const auto mark = HighWaterMark::read_only(options_.data_dir + "/mark");
    if (!mark.ok()) return mark.status();
    if (*mark >= last_entry_) break;
    std::this_thread::sleep_for(kMarkWait);
  }
  return absl::OkStatus();
}

absl::Status RocksStore::copy_to(const std::string& data_dir) {
  std::error_code error;
  fs::create_directories(data_dir, error);
  rocksdb::Checkpoint* made = nullptr;
  auto status = rocksdb::Checkpoint::Create(db_.get(), &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(data_dir + "/store");
  if (!status.ok()) return from_rocksdb(status, "cannot copy the store to " + data_dir);
  return HighWaterMark::open(data_dir + "/mark").status();
}

absl::Status RocksStore::check_format() {
  std::string format;
  const auto status = db_->Get({}, families_[kDefault], kFormatKey, &format);
  if (status.IsNotFound()) {
    rocksdb::WriteBatch batch;
    batch.Put(families_[kDefault], kFormatKey, kFormat);
    return write_durably(batch, "the format record");
  }
  if (!status.ok()) return from_rocksdb(status, "cannot read " + path_);
  if (format == kFormat) return absl::OkStatus();
  return absl::FailedPreconditionError("data directory " + options_.data_dir +
                                       " was made by another version of holdfast (its format is '" +
                                       format.substr(0, 40) + "', this one's is '" + kFormat +
                                       "')");
}

absl::Status RocksStore::read_meta() {
  std::string value;
  const auto status = db_->Get({}, families_[kDefault], kMetaKey, &value);
  if (status.IsNotFound()) return absl::OkStatus();
  if (!status.ok()) return from_rocksdb(status, "cannot read the meta record in " + path_);
  const auto meta = open_numbered(kMetaKey, value);
  if (!meta) return damaged("the meta record in " + path_ + " is damaged");
  meta_through_ = meta->number;
  meta_ = meta->bytes;
  return absl::OkStatus();
}

absl::Status RocksStore::find_last_batch() {
  last_entry_ = meta_through_;
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(scanning(), families_[kJournal]));
  it->SeekToLast();
  if (!it->Valid()) return from_rocksdb(it->status(), "cannot read the journal in " + path_);
  if (it->key().size() != 8) return damaged("the journal in " + path_ + " has a damaged key");
  last_entry_ = std::max(last_entry_, read_big_endian(it->key().data()));
  return absl::OkStatus();
}

absl::Status RocksStore::check_mark() {
  const std::string path = options_.data_dir + "/mark";
  std::error_code error;
  if (last_entry_ > 0 && !fs::exists(path, error)) {
    return damaged(path + " is missing, so it cannot be told whether the store is complete");
  }
  auto mark = HighWaterMark::open(path);
  if (!mark.ok()) return mark.status();
  mark_ = *std::move(mark);
  if (mark_->found() <= last_entry_) return absl::OkStatus();
  return damaged("the store in " + options_.data_dir + " ends with batch " +
                 std::to_string(last_entry_) + ", but batch " + std::to_string(mark_->found()) +
                 " had been made durable: it was cut or rolled back");
}

// ── reading ──

Recovered RocksStore::recovered() {
  return {.meta = meta_, .read = [this](const RowCallback& row, const EntryCallback& entry) {
            if (auto s = read_rows(row); !s.ok()) return s;
            return read_journal(entry);
          }};
}

absl::Status RocksStore::read_rows(const RowCallback& row) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(scanning(), families_[kRows]));
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    const rocksdb::Slice key = it->key();
    const rocksdb::Slice value = it->value();
    const rocksdb::Slice bytes(value.data() + 8, value.size() < 8 ? 0 : value.size() - 8);
    if (key.size() < kRowKeyBytesMin || value.size() < 8 ||
        read_little_endian(value.data()) != checksum(key, bytes)) {
      return damaged("row " + key.ToString(true) + " in " + path_ + " is damaged");
    }
    RowAddress address{.origin = {read_big_endian(key.data())},
                       .kind = static_cast<crdt::RowKind>(static_cast<std::uint8_t>(key[8])),
                       .key = std::string(key.data() + 9, key.size() - 9)};
    auto s = row(std::move(address), std::string_view(bytes.data(), bytes.size()));
    if (!s.ok()) return s;
  }
  return from_rocksdb(it->status(), "cannot read the rows in " + path_);
}

absl::Status RocksStore::read_journal(const EntryCallback& entry) {
  const std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(scanning(), families_[kJournal]));
  std::uint64_t before = meta_through_;
  bool first = true;
  for (it->Seek(journal_key(meta_through_ + 1)); it->Valid(); it->Next()) {
    const bool whole_key = it->key().size() == 8;
    const std::uint64_t number = whole_key ? read_big_endian(it->key().data()) : 0;
    const auto value = open_numbered(it->key(), it->value());
    if (!whole_key || !value) {
      return damaged("journal entry " + std::to_string(number) + " in " + path_ + " is damaged");
    }
    // The first one's predecessor was dropped with the journal's prefix, if meta covers it.
    if (first ? value->number > before : value->number != before) {
      return damaged("the journal in " + path_ + " is not contiguous: entry " +
                     std::to_string(number) + " follows " + std::to_string(value->number) +
                     ", which is missing");
    }
    if (auto s = entry(number, value->bytes); !s.ok()) return s;
    before = number;
    first = false;
  }
  return from_rocksdb(it->status(), "cannot read the journal in " + path_);
}

// ── writing

absl::Status RocksStore::write_durably(rocksdb::WriteBatch& batch, const std::string& what) {
  return from_rocksdb(db_->Write(durable(), &batch), "cannot write " + what + " to " + path_);
}

void RocksStore::write(Batch&& batch) {
  HOLDFAST_CHECK(!options_.read_only);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || failed_) return;
    pending_.fetch_add(1, std::memory_order_relaxed);
    if (batch.checkpoint) slices_unwritten_.fetch_add(1, std::memory_order_relaxed);
    queue_.push_back(std::move(batch));
  }
  wake_writer_.notify_one();
}

std::size_t RocksStore::pending() const { return pending_.load(std::memory_order_relaxed); }

bool RocksStore::takes_slice() const {
  return slices_unwritten_.load(std::memory_order_relaxed) == 0;
}

void RocksStore::run_writer() {
  std::vector<Batch> group;
  for (;;) {
    group.clear();
    {
      std::unique_lock lock(mutex_);
      wake_writer_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      for (std::size_t bytes = 0; !queue_.empty() && bytes < kGroupBytesMax;) {
        bytes += queue_.front().journal.size();
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    if (!write_group(group)) return;
  }
}

// All of `group` in one write and one fsync, then their releases, then their slices.
bool RocksStore::write_group(std::vector<Batch>& group) {
  rocksdb::WriteBatch journal;
  for (const Batch& batch : group) {
    if (batch.journal.empty()) continue;
    HOLDFAST_CHECK(batch.number > last_entry_);
    const std::string key = journal_key(batch.number);
    const std::string header = numbered_header(key, last_entry_, batch.journal);
    const rocksdb::Slice key_part(key);
    const rocksdb::Slice value_parts[] = {header, batch.journal};
    const auto status = journal.Put(families_[kJournal], rocksdb::SliceParts(&key_part, 1),
                                    rocksdb::SliceParts(value_parts, 2));
    if (!status.ok()) {
      fail(from_rocksdb(status, "batch " + std::to_string(batch.number) + " cannot be written"));
      return false;
    }
    last_entry_ = batch.number;
  }
  if (journal.Count() > 0) {
    absl::Status status = write_durably(journal, "the journal");
    if (status.ok()) status = mark_->set(last_entry_);
    if (!status.ok()) {
      fail(status);
      return false;
    }
    mark_moved_.store(true, std::memory_order_relaxed);
  }
  for (Batch& batch : group) {
    if (failed_) return false;                         // a slice may fail meanwhile
    pending_.fetch_sub(1, std::memory_order_relaxed);  // first: who is told looks at once
    if (batch.release) batch.release();
    if (batch.checkpoint && !hand_over(*std::move(batch.checkpoint))) return false;
  }
  return true;
}

bool RocksStore::hand_over(CheckpointSlice&& slice) {
  std::unique_lock lock(slices_mutex_);
  slices_changed_.wait(lock, [this] { return failed_ || slices_.size() < kSlicesWaitingMax; });
  if (failed_) return false;
  slices_.push_back(std::move(slice));
  slices_changed_.notify_all();
  return true;
}

// Writes slices, and makes the mark durable now and then.
void RocksStore::run_checkpointer() {
  for (;;) {
    CheckpointSlice slice;
    bool has_slice = false;
    {
      std::unique_lock lock(slices_mutex_);
      slices_changed_.wait_for(lock, kMarkSyncInterval,
                               [this] { return slices_end_ || failed_ || !slices_.empty(); });
      if (failed_ || (slices_end_ && slices_.empty())) return;
      if (!slices_.empty()) {
        has_slice = true;
        slice = std::move(slices_.front());
        slices_.pop_front();
      }
    }
    slices_changed_.notify_all();
    absl::Status status;
    if (has_slice) {
      status = write_slice(slice);
      slices_unwritten_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      status = sync_mark();
    }
    if (!status.ok()) {
      fail(status);
      return;
    }
  }
}

absl::Status RocksStore::write_slice(const CheckpointSlice& slice) {
  for (const auto& [address, bytes] : slice.put) {
    const std::string key = row_key(address);
    std::string sum;
    append_little_endian(sum, checksum(key, bytes));
    rows_file_.add(key, sum, bytes);
    if (!rows_file_.has_enough()) continue;
    if (auto s = hand_over_rows(); !s.ok()) return s;
  }
  HOLDFAST_CHECK(slice.drop.empty() || slice.journal_through);
  if (!slice.journal_through) return absl::OkStatus();
  if (auto s = hand_over_rows(); !s.ok()) return s;

  // All rows are durable when the prefix goes. Those that are dropped go with the record that no
  // longer counts them.
  rocksdb::WriteBatch last;
  for (const RowAddress& address : slice.drop) last.Delete(families_[kRows], row_key(address));
  const std::uint64_t through = *slice.journal_through;
  last.Put(families_[kDefault], kMetaKey,
           numbered_header(kMetaKey, through, slice.meta) + slice.meta);
  last.DeleteRange(families_[kJournal], journal_key(0), journal_key(through + 1));
  if (auto s = write_durably(last, "a checkpoint"); !s.ok() || slice.drop.empty()) return s;
  // Else the journal would wait for this when the next rows are handed over.
  rocksdb::FlushOptions at_once;
  at_once.allow_write_stall = true;
  return from_rocksdb(db_->Flush(at_once, families_[kRows]), "cannot drop rows in " + path_);
}

absl::Status RocksStore::sync_mark() {
  if (!mark_moved_.exchange(false, std::memory_order_relaxed)) return absl::OkStatus();
  return mark_->sync();
}

// Waits while merging is behind: so no other slice is taken, and the checkpoint takes longer.
absl::Status RocksStore::hand_over_rows() {
  const auto behind = [this] {
    std::uint64_t files = 0;
    std::string text;
    return db_->GetProperty(families_[kRows], rocksdb::DB::Properties::kNumFilesAtLevelPrefix + "0",
                            &text) &&
           absl::SimpleAtoi(text, &files) && files >= kRowsFilesMost;
  };
  while (behind()) {
    std::unique_lock lock(slices_mutex_);
    if (slices_changed_.wait_for(lock, kMergeWait, [this] { return slices_end_ || failed_; }))
      break;
    lock.unlock();
    if (auto s = sync_mark(); !s.ok()) return s;
  }
  return from_rocksdb(rows_file_.hand_over(*db_, families_[kRows]),
                      "cannot write a checkpoint to " + path_);
}

// ── the end

void RocksStore::fail(const absl::Status& status) {
  {
    const std::scoped_lock lock(mutex_, slices_mutex_);
    if (failed_.exchange(true)) return;
  }
  slices_changed_.notify_all();
  spdlog::error("the store has failed, nothing more will be acknowledged: {}",
                std::string(status.message()));
  options_.on_failure(status);
}

std::uint64_t RocksStore::free_bytes() const {
  const std::int64_t now = steady_ms();
  std::int64_t read_at = free_read_at_ms_.load(std::memory_order_relaxed);
  const bool fresh = read_at != 0 && now - read_at < kFreeBytesAgeMsMax;
  // One caller reads anew; the others meanwhile take the last figure (the first ones wait for
  // theirs).
  if (fresh || !free_read_at_ms_.compare_exchange_strong(read_at, now)) {
    if (read_at != 0) return free_bytes_.load(std::memory_order_relaxed);
  }
  struct statvfs info {};
  if (::statvfs(options_.data_dir.c_str(), &info) == 0) {
    free_bytes_.store(std::uint64_t{info.f_bavail} * info.f_frsize, std::memory_order_relaxed);
  }
  return free_bytes_.load(std::memory_order_relaxed);
}

void RocksStore::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_writer_.notify_all();
  if (writer_.joinable()) writer_.join();
  {
    const std::lock_guard lock(slices_mutex_);
    slices_end_ = true;
  }
  slices_changed_.notify_all();
  if (checkpointer_.joinable()) checkpointer_.join();
  if (!db_) return;
  if (mark_ && !failed_ && !mark_->sync().ok()) spdlog::warn("the high-water mark was not synced");
  close_database();
  reader_ = ReaderPlace();
}

void RocksStore::close_database() {
  if (!db_) return;
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
  families_.clear();
  if (const auto status = db_->Close(); !status.ok()) {
    spdlog::warn("closing the store: {}", status.ToString());
  }
  db_.reset();
}

RocksStore::~RocksStore() { stop(); }

}  // namespace holdfast::node
