#include "sim/network.h"

#include <utility>

namespace holdfast::sim {

using gossip::FrameBytes;
using gossip::LinkId;

namespace {

constexpr Time kDialTimeout = 3 * kSecond;
// Told at once only for what fills a window; else with the node's next turn.
constexpr std::size_t kWorthTelling = 4096;

std::string nonce_of(LinkId link) {
  std::string text = std::to_string(link);
  return text.insert(0, 32 - text.size(), '.');
}

}  // namespace

Network::Network(Events& events, std::uint64_t seed, std::size_t places)
    : events_(events),
      random_(seed, "network"),
      places_(places),
      pairs_(places * places),
      free_at_(places * places),
      bytes_(places * places),
      in_flight_(places * places),
      receivers_(places) {}

void Network::attach(Place place, std::string address, Receiver& receiver) {
  receivers_[place] = &receiver;
  addresses_[std::move(address)] = place;
}

void Network::tell(Place place, gossip::NetEvent&& event) {
  if (receivers_[place] != nullptr && receivers_[place]->listens())
    receivers_[place]->on_net(std::move(event));
}

Network::Way Network::way(Place from, Place to, std::size_t bytes) {
  const Pair& pair = this->pair(from, to);
  Time departure = events_.now();
  if (pair.bytes_per_second > 0) {
    Time& free_at = free_at_[from * places_ + to];
    departure = std::max(departure, free_at) +
                static_cast<Time>(static_cast<double>(bytes) / pair.bytes_per_second * kSecond);
    free_at = departure;
  }
  Time arrival = departure + pair.latency;
  if (pair.jitter > 0)
    arrival += static_cast<Time>(random_.exponential(static_cast<double>(pair.jitter)));
  return {std::max(arrival, pair.clogged_until), departure};
}

bool Network::post(Place from, Place to, std::size_t bytes, Events::Action arrive) {
  if (from != to && pair(from, to).cut()) return false;
  bytes_[from * places_ + to] += bytes;
  events_.at(way(from, to, bytes).arrival, std::move(arrive));
  return true;
}

// ── links ───────────────────────────────────────────────────────────────────────────────────────

void Network::dial(Place from, const std::string& address) {
  const auto found = addresses_.find(address);
  const auto fails = [this, from, address](Time delay, const char* reason) {
    events_.after(delay, [this, from, address, reason] {
      tell(from, gossip::LinkDown{0, address, reason});
    });
  };
  if (found == addresses_.end()) return fails(kMillisecond, "no such host");
  const Place to = found->second;
  if (pair(from, to).cut() || pair(to, from).cut()) return fails(kDialTimeout, "timed out");
  const Time there = way(from, to, 100).arrival;
  events_.at(there, [this, from, to, address] {
    if (!receivers_[to]->listens()) {
      const Time back = way(to, from, 100).arrival;
      return events_.at(back, [this, from, address] {
        tell(from, gossip::LinkDown{0, address, "connection refused"});
      });
    }
    const LinkId out = ++last_link_, in = ++last_link_;
    ends_[out] = {.owner = from, .peer = to, .other = in};
    ends_[in] = {.owner = to, .peer = from, .other = out};
    tell(to, gossip::LinkUp{in, "", nonce_of(in)});
    const Time back = way(to, from, 100).arrival;
    ends_[in].last_arrival = back;  // the dialler hears of the link before it hears on it
    events_.at(back, [this, from, out, address] {
      End& end = ends_.at(out);
      if (!end.up) return tell(from, gossip::LinkDown{0, address, "connection reset"});
      tell(from, gossip::LinkUp{out, address, nonce_of(out)});
    });
  });
}

void Network::send(Place from, LinkId link, FrameBytes frame) {
  const auto found = ends_.find(link);
  if (found == ends_.end() || !found->second.up || found->second.closed_here) return;
  bytes_[from * places_ + found->second.peer] += frame->size();
  if (on_sent_) on_sent_({from, found->second.peer, *frame});
  const Pair& pair = this->pair(from, found->second.peer);
  if (pair.loss > 0 && random_.chance(pair.loss))
    return tell(from, gossip::FramesSent{link, frame->size()});
  const bool twice = pair.duplicate > 0 && random_.chance(pair.duplicate);
  carry(link, frame);
  if (twice) carry(link, std::move(frame));
}

void Network::carry(LinkId id, FrameBytes frame) {
  End& end = ends_.at(id);
  const Pair& pair = this->pair(end.owner, end.peer);
  ++flying(end);
  if (pair.cut()) {
    end.stopped.push_back(std::move(frame));
    return;
  }
  const std::size_t size = frame == nullptr ? 0 : frame->size();
  const Way way = this->way(end.owner, end.peer, size);
  if (frame != nullptr && (size >= kWorthTelling || way.departure > events_.now())) {
    events_.at(way.departure, [this, owner = end.owner, id, size] {
      tell(owner, gossip::FramesSent{id, size});
    });
  } else if (frame != nullptr) {
    tell(end.owner, gossip::FramesSent{id, size});
  }
  Time arrival = std::max(way.arrival, end.last_arrival);
  if (frame != nullptr && pair.reorder > 0 && random_.chance(pair.reorder)) {
    arrival += random_.between(0, 4 * pair.latency);  // what comes behind it overtakes it
  } else {
    end.last_arrival = arrival;
  }
  events_.at(arrival,
             [this, id, frame = std::move(frame)]() mutable { arrive(id, std::move(frame)); });
}

void Network::arrive(LinkId id, FrameBytes frame) {
  End& end = ends_.at(id);
  if (pair(end.owner, end.peer).cut()) {  // it was sent before what was stopped at once
    end.stopped.insert(end.stopped.begin() + static_cast<std::ptrdiff_t>(end.stopped_underway++),
                       std::move(frame));
    return;
  }
  --flying(end);
  const LinkId to = end.other;
  End& other = ends_.at(to);
  if (frame == nullptr) return down(to, "the other side closed");
  if (other.up) return tell(other.owner, gossip::FrameIn{to, *frame});
  // A process that has no such link says so.
  if (end.up && !other.closed_here && receivers_[other.owner]->listens()) {
    events_.after(pair(other.owner, end.owner).latency, [this, id] { down(id, "reset by peer"); });
  }
}

void Network::down(LinkId id, const char* reason) {
  End& end = ends_.at(id);
  if (!end.up) return;
  end.up = false;
  tell(end.owner, gossip::LinkDown{id, "", reason});
}

void Network::close(Place, LinkId link) {
  const auto found = ends_.find(link);
  if (found == ends_.end() || !found->second.up || found->second.closed_here) return;
  found->second.closed_here = true;
  carry(link, nullptr);
  events_.after(1, [this, link] { down(link, "closed"); });
}

void Network::vanish(Place place, bool silently) {
  for (auto& [id, end] : ends_) {
    if (end.owner != place || !end.up) continue;
    if (!silently && !end.closed_here) carry(id, nullptr);
    end.up = false;
  }
}

void Network::reset(Place a, Place b) {
  for (auto& [id, end] : ends_) {
    const bool theirs = (end.owner == a && end.peer == b) || (end.owner == b && end.peer == a);
    if (!theirs || !end.up) continue;
    flying(end) -= end.stopped.size();
    end.stopped.clear();
    end.stopped_underway = 0;
    down(id, "connection reset");
  }
}

// ── faults ──────────────────────────────────────────────────────────────────────────────────────

void Network::cut(Place from, Place to) { ++pair(from, to).cuts; }

void Network::mend(Place from, Place to) {
  Pair& pair = this->pair(from, to);
  if (pair.cuts == 0 || --pair.cuts > 0) return;
  for (auto& [id, end] : ends_) {
    if (end.owner != from || end.peer != to || end.stopped.empty()) continue;
    std::vector<FrameBytes> stopped = std::exchange(end.stopped, {});
    const std::size_t underway = std::exchange(end.stopped_underway, 0);
    flying(end) -= stopped.size() - underway;
    // At once: what was sent after them may be on its way still.
    for (std::size_t i = 0; i < underway; ++i) arrive(id, std::move(stopped[i]));
    for (std::size_t i = underway; i < stopped.size(); ++i) carry(id, std::move(stopped[i]));
  }
}

void Network::clog(Place from, Place to, Time until) {
  Pair& pair = this->pair(from, to);
  pair.clogged_until = std::max(pair.clogged_until, until);
}

}  // namespace holdfast::sim
