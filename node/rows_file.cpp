#include "node/rows_file.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/sst_file_writer.h>

#include <algorithm>
#include <boost/sort/pdqsort/pdqsort.hpp>
#include <utility>

namespace holdfast::node {

namespace {

// As many bytes as there are, up to eight, as a number that sorts as they do.
std::uint64_t rank_of(std::string_view bytes) {
  std::uint64_t rank = 0;
  for (std::size_t i = 0; i < 8; ++i)
    rank = rank << 8 | (i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0);
  return rank;
}

}  // namespace

RowsFile::RowsFile(std::string path) : path_(std::move(path)) {}

void RowsFile::add(std::string_view key, std::string_view head, std::string_view bytes) {
  if (bytes_.empty()) bytes_.reserve(kBytesEnough + (1u << 20));
  auto at = groups_.find(key.substr(0, kGroupBytes));
  if (at == groups_.end()) at = groups_.emplace(key.substr(0, kGroupBytes), Group()).first;
  Group& group = at->second;
  if (group.rows.empty()) group.shared = key.size();
  const std::string_view first = group.rows.empty() ? key : this->key(group.rows.front());
  group.shared = std::min(group.shared, key.size());
  while (key.substr(0, group.shared) != first.substr(0, group.shared)) --group.shared;
  group.rows.push_back({.at = bytes_.size(),
                        .key_size = static_cast<std::uint32_t>(key.size()),
                        .value_size = static_cast<std::uint32_t>(head.size() + bytes.size())});
  bytes_.append(key).append(head).append(bytes);
}

// Ascending by key; of one key the latest comes first.
void RowsFile::sort(Group& group) const {
  const auto rest = [&](const Row& row) { return key(row).substr(group.shared); };
  for (Row& row : group.rows) row.rank = rank_of(rest(row));
  boost::sort::pdqsort(group.rows.begin(), group.rows.end(), [&](const Row& a, const Row& b) {
    if (a.rank != b.rank) return a.rank < b.rank;
    const int order = rest(a).compare(rest(b));
    return order != 0 ? order < 0 : a.at > b.at;
  });
}

rocksdb::Status RowsFile::write(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
  const rocksdb::Options options = db.GetOptions(family);
  rocksdb::SstFileWriter file(rocksdb::EnvOptions(options), options, family,
                              /*invalidate_page_cache=*/false);
  if (auto status = file.Open(path_); !status.ok()) return status;
  for (auto& [name, group] : groups_) {
    sort(group);
    std::string_view before;
    for (const Row& row : group.rows) {
      if (key(row) == before) continue;
      before = key(row);
      const rocksdb::Slice value(before.data() + before.size(), row.value_size);
      auto status = file.Put(rocksdb::Slice(before.data(), before.size()), value);
      if (!status.ok()) return status;
    }
  }
  return file.Finish();
}

// Before it is written, too: one that was left behind may be the database's own by another name.
rocksdb::Status RowsFile::remove() {
  const rocksdb::Status status = rocksdb::Env::Default()->DeleteFile(path_);
  return status.IsPathNotFound() || status.IsNotFound() ? rocksdb::Status::OK() : status;
}

rocksdb::Status RowsFile::hand_over(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family) {
  if (groups_.empty()) return rocksdb::Status::OK();
  if (auto status = remove(); !status.ok()) return status;
  if (auto status = write(db, family); !status.ok()) return status;
  rocksdb::IngestExternalFileOptions as_it_is;
  as_it_is.move_files = true;
  as_it_is.write_global_seqno = false;
  if (auto status = db.IngestExternalFile(family, {path_}, as_it_is); !status.ok()) return status;
  groups_.clear();
  std::string().swap(bytes_);
  return remove();
}

}  // namespace holdfast::node
