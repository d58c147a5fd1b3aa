#pragma once
// Edge: a directory for what RocksDB writes beside a store that it only reads. Its process has it
// locked; what is found unlocked was left by one that was killed, and is removed by the next.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace holdfast::node {

class ReaderPlace {
 public:
  ReaderPlace() = default;  // none
  // A directory of its own in `parent`, after those that were left there by this user are gone.
  // Errors: kInternal, naming `parent`.
  static absl::StatusOr<ReaderPlace> make(const std::string& parent);
  ReaderPlace(ReaderPlace&& other) noexcept { *this = std::move(other); }
  ReaderPlace& operator=(ReaderPlace&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(lock_, other.lock_);
    return *this;
  }
  ~ReaderPlace();  // removes it, with what is in it

  const std::string& path() const { return path_; }

 private:
  std::string path_;  // empty: none
  int lock_ = -1;     // the directory, open and locked
};

}  // namespace holdfast::node
