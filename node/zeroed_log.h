#pragma once
// Zeroed log (edge): a file system for RocksDB whose logs are filled with zeros a little ahead.
//
// An fsync of a log that grows writes its inode beside its data: two waits for the disk, one after
// the other, a batch. Where zeros stand already, it writes data alone. RocksDB's own preallocation
// reserves blocks, but leaves the size as it is; its own way, used logs again, it refuses beside
// point-in-time recovery.
//
// Promise  what RocksDB reads back is what it wrote, with zeros behind it if the process was
//          killed; a start passes over those. (A secondary instance does, too, but refuses a torn
//          record before them.) A log that was closed has no zeros. If there is no space for zeros,
//          logs grow as they do elsewhere.
// Cost     kAhead more bytes written for as many of log; one fsync in so many bytes is dearer.
// Threads  as rocksdb::FileSystem.

#include <memory>

#include "rocksdb/env.h"

namespace holdfast::node {

std::unique_ptr<rocksdb::Env> env_with_zeroed_logs();

}  // namespace holdfast::node
