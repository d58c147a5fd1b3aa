#include "node/driver.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>

namespace holdfast::node {

using crdt::Instant;
using crdt::Now;

bool sells(const std::vector<Request>& requests) {
  return std::any_of(requests.begin(), requests.end(), [](const Request& request) {
    return std::holds_alternative<Reserve>(request.command);
  });
}

bool inbox_takes(std::size_t inbox_max, std::size_t waiting, std::size_t more, bool sell) {
  return waiting + more <= (sell ? std::max<std::size_t>(inbox_max / 2, 1) : inbox_max);
}

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
  expect_first(requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    Arrived& arrived = requests[i];
    expect_after(requests, i);
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

namespace {
using Ahead = crdt::State::Ahead;
constexpr std::array kSteps{Ahead::tables, Ahead::items, Ahead::arrays, Ahead::cells};
constexpr std::size_t kApart = 4;  // requests from one step to the next
}  // namespace

// Of the first ones each step that comes before theirs in expect_after.
void Driver::expect_first(const std::vector<Arrived>& requests) const {
  std::size_t reach = kApart * kSteps.size();
  for (const Ahead step : kSteps) {
    for (std::size_t i = 0; i < std::min(reach, requests.size()); ++i)
      engine_.expect(requests[i].request.command, step);
    reach -= kApart;
  }
}

// Of those that come after the i-th, each at its step.
void Driver::expect_after(const std::vector<Arrived>& requests, std::size_t i) const {
  for (auto step = kSteps.rbegin(); step != kSteps.rend(); ++step) {
    i += kApart;
    if (i >= requests.size()) return;
    engine_.expect(requests[i].request.command, *step);
  }
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
