#include "node/recovery.h"

namespace holdfast::node {

absl::StatusOr<ReplicaId> identity(const Recovered& recovered, ReplicaId fresh) {
  if (!recovered.meta.empty()) {
    auto meta = decode_meta(recovered.meta);
    if (!meta.ok()) return absl::DataLossError(std::string(meta.status().message()));
    return meta->self;
  }
  // Before its first checkpoint a directory has only a journal, and each entry of it says whose it
  // is.
  ReplicaId found = fresh;
  bool any = false;
  const absl::Status read =
      recovered.read([](RowAddress&&, std::string_view) { return absl::OkStatus(); },
                     [&](std::uint64_t, std::string_view value) {
                       if (any) return absl::OkStatus();
                       auto entry = decode_journal_value(value);
                       if (!entry.ok())
                         return absl::DataLossError(std::string(entry.status().message()));
                       found = entry->self;
                       any = true;
                       return absl::OkStatus();
                     });
  if (!read.ok()) return read;
  return found;
}

absl::StatusOr<RecoveryCount> recover(const Recovered& recovered, Engine& engine) {
  RecoveryCount count;
  if (!recovered.meta.empty())
    if (absl::Status status = engine.load_meta(recovered.meta); !status.ok()) return status;
  const auto rows_done = [&] {
    return count.entries == 0 ? engine.rows_loaded() : absl::OkStatus();
  };
  absl::Status read = recovered.read(
      [&](RowAddress&& address, std::string_view bytes) {
        ++count.rows;
        return engine.load_row(address, bytes);
      },
      [&](std::uint64_t batch, std::string_view value) {
        if (absl::Status status = rows_done(); !status.ok()) return status;
        ++count.entries;
        return engine.load_entry(batch, value);
      });
  if (read.ok()) read = rows_done();
  if (read.ok()) read = engine.loaded();
  if (!read.ok()) return read;
  return count;
}

}  // namespace holdfast::node
