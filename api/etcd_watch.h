#pragma once
// One key of etcd, watched for as long as the process runs: read, then watched from the revision
// after the one that was read, so that no change is missed. A state machine: (event, now) → what
// to do next. Whatever goes wrong ends in the same place: wait, read again, watch again; so etcd
// may be away, or lose its history, and what was last read stays in use meanwhile.
//
//   reading ──value──▶ watching ──30 s: a connection that died silently costs no more──▶ reading
//      │                  │
//      └──────lost────────┴──▶ waiting, 100 ms and twice as long each time, at most 5 s ──▶ reading
//
// A value is handed out if it differs from the one before, whatever its revision.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/etcd_wire.h"
#include "crdt/time.h"

namespace holdfast::api {

// To be carried out in this order.
struct EtcdEffects {
  bool hang_up = false;                    // on the watch that runs
  std::vector<std::string> values;         // new ones, in order
  std::vector<std::string> notes;          // what people should read in the log
  bool read = false;                       // answer by on_read()
  std::optional<std::int64_t> watch_from;  // a revision; on_bytes() until on_end()
};

class EtcdWatch {
 public:
  static constexpr crdt::Millis kRenewEvery{30'000}, kWaitMin{100}, kWaitMax{5'000};

  // `name` and `put_command` are for people; `in_use`: the value that the caller has already. The
  // first tick() begins.
  EtcdWatch(std::string name, std::string put_command, std::string in_use)
      : name_(std::move(name)), put_command_(std::move(put_command)), last_(std::move(in_use)) {}

  EtcdEffects on_read(crdt::Instant now, absl::StatusOr<EtcdValue> value);
  EtcdEffects on_bytes(crdt::Instant now, std::string_view bytes);
  EtcdEffects on_end(crdt::Instant now, std::string_view why);
  EtcdEffects tick(crdt::Instant now);
  // Not while it reads: the answer, or its loss, comes next.
  std::optional<crdt::Instant> wake_at() const;

 private:
  enum class Phase { waiting, reading, watching };

  void offer(EtcdValue&& value, EtcdEffects& effects);
  void lost(crdt::Instant now, std::string_view why, EtcdEffects& effects);

  const std::string name_, put_command_;
  std::string last_;
  Phase phase_ = Phase::waiting;
  crdt::Instant due_{};    // waiting: when to read; watching: when to renew
  crdt::Instant since_{};  // watching
  crdt::Millis wait_ = kWaitMin;
  EtcdStream stream_;
  bool deleted_ = false;
  std::string trouble_;  // that people have been told of; empty: none
};

}  // namespace holdfast::api
