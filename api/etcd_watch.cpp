#include "api/etcd_watch.h"

#include <algorithm>
#include <utility>

namespace holdfast::api {

using crdt::Instant;

EtcdEffects EtcdWatch::tick(Instant now) {
  EtcdEffects effects;
  if (phase_ == Phase::reading || now < due_) return effects;
  effects.hang_up = phase_ == Phase::watching;
  effects.read = true;
  phase_ = Phase::reading;
  return effects;
}

EtcdEffects EtcdWatch::on_read(Instant now, absl::StatusOr<EtcdValue> value) {
  EtcdEffects effects;
  if (!value.ok()) {
    lost(now, std::string(value.status().message()), effects);
    return effects;
  }
  effects.watch_from = value->revision + 1;
  offer(*std::move(value), effects);
  stream_ = EtcdStream();
  phase_ = Phase::watching;
  since_ = now;
  due_ = now + kRenewEvery;
  return effects;
}

EtcdEffects EtcdWatch::on_bytes(Instant now, std::string_view bytes) {
  EtcdEffects effects;
  if (phase_ != Phase::watching) return effects;
  auto values = stream_.feed(bytes);
  if (!values.ok()) {
    effects.hang_up = true;
    lost(now, std::string(values.status().message()), effects);
    return effects;
  }
  if (stream_.created() && !trouble_.empty()) {
    effects.notes.push_back(name_ + " is watched again");
    trouble_.clear();
  }
  for (EtcdValue& value : *values) offer(std::move(value), effects);
  return effects;
}

EtcdEffects EtcdWatch::on_end(Instant now, std::string_view why) {
  EtcdEffects effects;
  if (phase_ == Phase::watching) lost(now, why, effects);
  return effects;
}

std::optional<Instant> EtcdWatch::wake_at() const {
  if (phase_ == Phase::reading) return std::nullopt;
  return due_;
}

void EtcdWatch::offer(EtcdValue&& value, EtcdEffects& effects) {
  if (!value.text) {
    if (!std::exchange(deleted_, true))
      effects.notes.push_back(name_ + ": the key was deleted; put it again: " + put_command_);
    return;
  }
  deleted_ = false;
  if (*value.text == last_) return;
  last_ = *std::move(value.text);
  effects.values.push_back(last_);
}

void EtcdWatch::lost(Instant now, std::string_view why, EtcdEffects& effects) {
  // A watch that lasted was no part of the trouble before; one that ends at once is.
  if (phase_ == Phase::watching && now - since_ >= kWaitMax) wait_ = kWaitMin;
  phase_ = Phase::waiting;
  due_ = now + wait_;
  wait_ = std::min(2 * wait_, kWaitMax);
  if (trouble_ == why) return;
  trouble_ = why;
  effects.notes.push_back(name_ + " is not watched (" + trouble_ + "), tried again");
}

}  // namespace holdfast::api
