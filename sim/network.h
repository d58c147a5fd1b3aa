#pragma once
// The network between places: every node is a place, and so are the customers of every region. For
// each directed pair of places there is one condition (Pair): how long what is sent takes, what is
// lost, what is stopped.
//
// Links are connections as gossip/transport.h promises them: frames whole and in order, or the link
// ends. Faults that TCP hides (a lost packet, a route that is cut for a while) show as delay: what
// is sent into a cut waits, and arrives after it is mended. `loss`, `duplicate` and `reorder` do
// more than TCP allows: they drop, repeat and overtake whole frames, to shake the protocol.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gossip/transport.h"
#include "sim/events.h"
#include "sim/random.h"

namespace holdfast::sim {

using Place = std::size_t;

struct Pair {
  Time latency = kMillisecond;  // one way
  Time jitter = 0;              // mean of what is added to it, exponentially distributed
  double loss = 0, duplicate = 0, reorder = 0;  // share of frames
  double bytes_per_second = 0;                  // 0: no limit
  Time clogged_until = 0;                       // nothing arrives before
  int cuts = 0;                                 // cuts that overlap; 0: open
  bool cut() const { return cuts > 0; }
};

// What the network tells a place. Called within an event.
class Receiver {
 public:
  virtual ~Receiver() = default;
  virtual void on_net(gossip::NetEvent&& event) = 0;
  virtual bool listens() const = 0;  // a process is there
};

class Network {
 public:
  // `trace` is told every frame that is sent.
  struct Sent {
    Place from = 0, to = 0;
    const std::string& bytes;
  };
  using OnSent = std::function<void(const Sent&)>;

  Network(Events& events, std::uint64_t seed, std::size_t places);

  Pair& pair(Place from, Place to) { return pairs_[from * places_ + to]; }
  void attach(Place place, std::string address, Receiver& receiver);
  void on_sent(OnSent on_sent) { on_sent_ = std::move(on_sent); }

  // ── what transports do ──
  void dial(Place from, const std::string& address);
  void send(Place from, gossip::LinkId link, gossip::FrameBytes frame);
  void close(Place from, gossip::LinkId link);
  // The process at `place` is gone. `silently`: as by loss of power; nobody is told until it is
  // back and answers with a reset.
  void vanish(Place place, bool silently);
  // Breaks the links of the two; what was on its way on them is lost.
  void reset(Place a, Place b);

  // ── faults ──
  void cut(Place from, Place to);
  void mend(Place from, Place to);  // ends one cut of it
  void clog(Place from, Place to, Time until);

  // A single message, outside of links: `arrive` runs when it is there. False: the way is cut, and
  // it never will be.
  bool post(Place from, Place to, std::size_t bytes, Events::Action arrive);

  std::uint64_t bytes_sent(Place from, Place to) const { return bytes_[from * places_ + to]; }
  // Frames on their way from one to the other, or stopped by a cut.
  std::size_t in_flight(Place from, Place to) const { return in_flight_[from * places_ + to]; }

 private:
  struct End {
    Place owner = 0, peer = 0;
    gossip::LinkId other = 0;
    bool up = true;
    bool closed_here = false;
    Time last_arrival = 0;                    // of what the owner has sent
    std::vector<gossip::FrameBytes> stopped;  // by a cut; nullptr: the end of the link
    std::size_t stopped_underway = 0;         // the first of them, which were on their way already
  };
  struct Way {
    Time arrival = 0;
    Time departure = 0;
  };
  Way way(Place from, Place to, std::size_t bytes);
  void carry(gossip::LinkId from, gossip::FrameBytes frame);
  void arrive(gossip::LinkId from, gossip::FrameBytes frame);
  void tell(Place place, gossip::NetEvent&& event);
  void down(gossip::LinkId end, const char* reason);
  std::size_t& flying(const End& end) { return in_flight_[end.owner * places_ + end.peer]; }

  Events& events_;
  Random random_;
  std::size_t places_;
  std::vector<Pair> pairs_;
  std::vector<Time> free_at_;  // when the pair's bandwidth is free again
  std::vector<std::uint64_t> bytes_;
  std::vector<std::size_t> in_flight_;
  std::vector<Receiver*> receivers_;
  std::map<std::string, Place> addresses_;
  std::map<gossip::LinkId, End> ends_;
  gossip::LinkId last_link_ = 0;
  OnSent on_sent_;
};

}  // namespace holdfast::sim
