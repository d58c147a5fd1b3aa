#include "node/driver.h"

#include <map>
#include <memory>

namespace holdfast::node {

using crdt::Instant;
using crdt::Now;

Instant Driver::turn(std::vector<Arrived>&& requests, std::vector<gossip::NetEvent>&& events,
                     bool submits) {
  const Now now = ports_.clock.now();
  engine_.set_store_takes_slice(ports_.store.takes_slice());
  engine_.set_storage_full(ports_.store.free_bytes() < options_.min_free_bytes);

  std::map<gossip::LinkId, std::size_t> frames;
  for (gossip::NetEvent& event : events) {
    if (const auto* in = std::get_if<gossip::FrameIn>(&event)) ++frames[in->link];
    engine_.on_net(now, std::move(event));
  }
  std::vector<Reply> late;
  for (Arrived& arrived : requests) {
    if (now.instant - arrived.at > options_.inbox_delay_max &&
        std::holds_alternative<Reserve>(arrived.request.command)) {
      late.push_back(
          {arrived.request.token, refused(Code::overloaded,
                                          "this node has more work than it can do in time; try "
                                          "again in a second, or another node")});
      continue;
    }
    engine_.on_request(now, std::move(arrived.request));
  }
  engine_.tick(now);
  for (const auto& [link, count] : frames) ports_.transport.consumed(link, count);
  if (!late.empty()) ports_.deliver(std::move(late));
  if (std::vector<Reply> reads = engine_.take_reads(); !reads.empty())
    ports_.deliver(std::move(reads));
  owes_batch_ = !submits || !takes_batch();
  if (!owes_batch_ && !engine_.gathers(now)) submit(now);
  return engine_.wake_at();
}

void Driver::submit(Now now) {
  Sealed sealed = engine_.seal(now);
  if (sealed.empty()) return;
  Batch batch{.number = sealed.number,
              .journal = std::move(sealed.journal),
              .checkpoint = std::move(sealed.checkpoint)};
  struct Released {
    std::vector<Reply> replies;
    gossip::MeshEffects net;
  };
  auto released = std::make_shared<Released>();
  released->replies = std::move(sealed.replies);
  released->net = std::move(sealed.net);
  batch.release = [this, released] {
    if (!released->replies.empty()) ports_.deliver(std::move(released->replies));
    for (auto& [link, frame] : released->net.send) ports_.transport.send(link, std::move(frame));
    for (const auto& [link, reason] : released->net.close) ports_.transport.close(link, reason);
    for (const std::string& address : released->net.dial) ports_.transport.dial(address);
    for (const std::string& name : released->net.resolve) ports_.transport.resolve(name);
    for (const gossip::Note& note : released->net.notes) ports_.note(note);
    ports_.released();
  };
  ++batches_;
  ports_.store.write(std::move(batch));
}

}  // namespace holdfast::node
