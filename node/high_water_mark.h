#pragma once
// The high-water mark: the number of the last batch that was made durable, kept in a small file
// beside the store. A store that holds less than its mark was cut or rolled back; it must not be
// used.
//
// The file has two slots, written in turn, so that a write torn by a power loss leaves the other
// one:
//   offset 0, 512   8 bytes magic "HFMARK01", 8 bytes batch number LE, 8 bytes XXH3-64 of those 16
//   LE
//
// set() writes to the page cache only: after a crash of the process the mark is exact, after a
// power loss it may be older than the store, which is harmless. sync() makes it durable.
//
// Threads: set() from one, sync() from one other.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast::node {

class HighWaterMark {
 public:
  // Opens the file, or makes it, durably and at once whole, with the mark 0.
  // Errors: kDataLoss when the file is there and no slot of it is whole; kInternal from the system.
  static absl::StatusOr<std::unique_ptr<HighWaterMark>> open(const std::string& path);
  // The mark in a file that another process may be writing; the file is not touched. Errors: as
  // open(), and kDataLoss when there is no file.
  static absl::StatusOr<std::uint64_t> read_only(const std::string& path);
  ~HighWaterMark();
  HighWaterMark(const HighWaterMark&) = delete;
  HighWaterMark& operator=(const HighWaterMark&) = delete;

  // The mark as it was when the file was opened.
  std::uint64_t found() const { return found_; }
  absl::Status set(std::uint64_t batch);
  absl::Status sync();

 private:
  HighWaterMark(int file, std::string path) : file_(file), path_(std::move(path)) {}
  static absl::Status make(const std::string& path);
  absl::Status read();

  int file_;
  std::string path_;
  std::uint64_t found_ = 0;
  unsigned next_slot_ = 0;
};

}  // namespace holdfast::node
