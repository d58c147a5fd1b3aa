#pragma once
// Rows file (edge): rows of a checkpoint on their way into RocksDB, sorted into a table file that
// it takes over as it is.
//
// Nothing but a start reads rows. In RocksDB's memory each would be copied twice more, and sorted
// by comparisons that cost a call and a decoding; and the journal would wait for every write of
// them.
//
// Room     until it is handed over: kBytesEnough, and 24 to 72 bytes a row.
// Cost     a row: 0.1 µs to add, 0.1 µs to sort (nearly all comparisons are of two numbers), 0.4 µs
//          to write.
// Threads  one.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "rocksdb/status.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
}  // namespace rocksdb

namespace holdfast::node {

class RowsFile {
 public:
  static constexpr std::size_t kBytesEnough = 32u << 20;  // of keys and values: time to hand over
  static constexpr std::size_t kGroupBytes = 9;           // of a key: origin and kind

  // The file is at `path` until it is handed over: on the database's file system, and not in its
  // directory.
  explicit RowsFile(std::string path);

  // The value is `head` and `bytes`. A key has at least kGroupBytes. It takes the place of one that
  // was added before for that key.
  void add(std::string_view key, std::string_view head, std::string_view bytes);
  bool has_enough() const { return bytes_.size() >= kBytesEnough; }

  // All that was added is in `family`, durably and instead of what it had for these keys, and this
  // is empty again. The database's writers wait while it looks what the file overlaps, and while
  // its manifest is written.
  rocksdb::Status hand_over(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family);
  // The file that a process has left which was killed; fine if there is none.
  rocksdb::Status remove();

 private:
  struct Row {
    std::uint64_t rank = 0;  // the eight bytes of the key behind what the group's keys begin with
    std::size_t at = 0;
    std::uint32_t key_size = 0, value_size = 0;
  };
  // Keys of one origin and kind: often alike in more than these, and told apart by a few bytes.
  struct Group {
    std::vector<Row> rows;
    std::size_t shared = 0;  // all keys begin with so many bytes
  };
  std::string_view key(const Row& row) const { return {bytes_.data() + row.at, row.key_size}; }
  void sort(Group& group) const;
  rocksdb::Status write(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family);

  std::string path_;
  std::string bytes_;                                        // key, value, key, value …
  absl::btree_map<std::string, Group, std::less<>> groups_;  // by what their keys begin with
};

}  // namespace holdfast::node
