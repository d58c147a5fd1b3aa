#pragma once
// Edge: a data directory that turned out to be a fork of its replica becomes another replica.
//
// In the data directory, beside store/ and mark (rocks_store.h):
//   bases/BOOT/      the store as it was when that start of the process began, by hard links; until
//                    every other member has taken a write of a later process, at most kBasesMax;
//                    that of the process that runs stays
//   fork             who it was, and which boots are void (fork_mark.h)
//   rejoin/          the new replica's store: whole as soon as it has this name
//   fork-REPLICA/    what was there before, kept for people
//
// Every step can be repeated: a crash anywhere leaves a directory whose next start goes on.

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "node/fork_mark.h"
#include "node/rocks_store.h"

namespace holdfast::node {

// Histories part at the first start after a copy was put back: the oldest are what is needed, and a
// node that starts again and again while it reaches nobody keeps them.
inline constexpr std::size_t kBasesMax = 64;

// Keeps the store as it is now, as the base of this boot. Before the boot's first write.
absl::Status keep_base(RocksStore& store, const std::string& data_dir, std::uint64_t boot);
// All but that of `but`, the boot of this process: should its directory be a copy of one in use
// elsewhere, that one knows better than all members that have confirmed it.
void drop_bases(const std::string& data_dir, std::uint64_t but);

// Durable when it returns.
absl::Status mark_fork(const std::string& data_dir, const ForkMark& mark);
bool is_marked(const std::string& data_dir);

// Requires: is_marked(). `fresh` and `boot`: who it becomes, random. `note`: for the log.
// Errors: kFailedPrecondition (another process is at it), kDataLoss, kInternal; nothing that was
// there is lost, and the call may be repeated.
absl::Status rejoin(const std::string& data_dir, crdt::ReplicaId fresh, std::uint64_t boot,
                    const std::function<void(const std::string&)>& note);

}  // namespace holdfast::node
