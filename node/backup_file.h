#pragma once
// Edge: a backup, one file with every row that a node has.
//
//     magic   "HOLDFAST BACKUP 1\n"
//     record* length:4  checksum:8  kind:1  payload      little endian; checksum: XXH3-64 of kind
//     and
//                                                        payload, seeded with the record's number
// Kinds: 2 a journal value, any number of them in the order in which they apply; 3, the last one,
// the meta record of the state that they give. A file without that one is not whole.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "crdt/state.h"
#include "node/codec.h"

namespace holdfast::node {

// Told now and then: bytes so far.
using ToldBytes = std::function<void(std::uint64_t)>;

// The directory that `path` is in.
std::string parent_of(const std::string& path);
// A name that no whole backup may have.
bool is_draft(const std::string& path);

// Makes `path`, which must not exist; under that name it is whole, durable, and has been read back.
// Until then it is `path`.part, which is locked; others in that directory that nobody has locked,
// of backups that were killed, are removed. How many bytes it has. Errors: kNotFound (no such
// directory), kAlreadyExists, kResourceExhausted, kInternal.
absl::StatusOr<std::uint64_t> write_backup(const std::string& path, const crdt::State& state,
                                           std::int64_t life_ms, const ToldBytes& told);

struct Backup {
  Meta meta;                           // whose it is, and how far it goes
  std::unique_ptr<crdt::State> state;  // all rows of it, as seen by `self`
};
// Errors: kNotFound, kDataLoss (cut, damaged, or not a backup).
absl::StatusOr<Backup> read_backup(const std::string& path, crdt::ReplicaId self,
                                   const ToldBytes& told);

}  // namespace holdfast::node
