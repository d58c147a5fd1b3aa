#include "node/durability.h"

#include "crdt/check.h"

namespace holdfast::node {

using crdt::Instant;
using crdt::Sequence;

void DurabilityWaits::wait(std::uint64_t token, Durability level, Sequence sequence,
                           Outcome&& outcome) {
  HOLDFAST_CHECK(level != Durability::node && !waits_.contains(token));
  HOLDFAST_CHECK(std::holds_alternative<std::unique_ptr<ReservationView>>(outcome.view));
  waits_.emplace(token, Wait{level, sequence, std::move(outcome)});
  fresh_.push_back(token);
  if (sequence == 0) {
    unsealed_.push_back(token);
  } else {
    stamped(level).emplace(sequence, token);
  }
}

void DurabilityWaits::sealed(Sequence head) {
  for (const std::uint64_t token : std::exchange(unsealed_, {})) {
    const auto at = waits_.find(token);
    if (at == waits_.end()) continue;
    at->second.sequence = head;
    stamped(at->second.level).emplace(head, token);
  }
}

void DurabilityWaits::tick(Instant now, const Reach& reach) {
  const auto fresh = std::exchange(fresh_, {});
  for (const std::uint64_t token : fresh) {
    waits_.at(token).until = now + limit_;
    deadlines_.emplace(now + limit_, token);
  }
  serve(Durability::region, reach.in_region);
  serve(Durability::remote, reach.elsewhere);
  for (const std::uint64_t token : fresh) {
    const auto at = waits_.find(token);
    if (at == waits_.end()) continue;
    const bool region = at->second.level == Durability::region;
    if (region ? !reach.region_has_others : !reach.other_regions) miss(token, reach);
  }
  while (!deadlines_.empty() && deadlines_.begin()->first <= now)
    miss(deadlines_.begin()->second, reach);
}

void DurabilityWaits::miss(std::uint64_t token, const Reach& reach) {
  ++missed_;
  Wait& wait = waits_.at(token);
  wait.outcome.code = Code::accepted;
  const bool in_region = wait.sequence != 0 && reach.in_region >= wait.sequence;
  end(token, in_region ? Durability::region : Durability::node);
}

void DurabilityWaits::serve(Durability level, Sequence reached) {
  BySequence& waiting = stamped(level);
  while (!waiting.empty() && waiting.begin()->first <= reached) end(waiting.begin()->second, level);
}

void DurabilityWaits::end(std::uint64_t token, Durability reached) {
  const auto at = waits_.find(token);
  Wait wait = std::move(at->second);
  waits_.erase(at);
  stamped(wait.level).erase({wait.sequence, token});
  deadlines_.erase({wait.until, token});
  std::get<std::unique_ptr<ReservationView>>(wait.outcome.view)->reached = reached;
  done_.push_back({token, std::move(wait.outcome)});
}

Instant DurabilityWaits::wake_at() const {
  return deadlines_.empty() ? Instant::max() : deadlines_.begin()->first;
}

}  // namespace holdfast::node
