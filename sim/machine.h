#pragma once
// One simulated node: the product's driver and engine on a simulated disk, clock and network, with
// a process that crashes, stands still and starts again. Its HTTP side is the product's own
// handlers.
//
// Its work takes time: a turn, each request and each frame cost microseconds of its one engine
// thread, so that a node has a capacity, and more load than that waits.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/handlers.h"
#include "node/driver.h"
#include "node/fork_mark.h"
#include "node/recovery.h"
#include "sim/disk.h"
#include "sim/network.h"

namespace holdfast::sim {

inline constexpr std::int64_t kWallBegin = 1'291'161'600'000;  // 2010-12-01, when the orders begin

struct Costs {  // µs of the engine's thread
  Time turn = 15;
  Time request = 12;
  Time frame = 5;
  Time late = 1;  // a reservation that waited too long for its turn, and is refused unread
};

// The node's own clocks, against true time.
struct SkewedClock {
  double rate = 1;           // of both; 1.0001: gains 100 µs a second
  std::int64_t wall_ms = 0;  // the wall clock is ahead by so much
};

struct MachineOptions {
  std::string region, node;
  node::EngineConfig engine;  // what is the same in every life; self and boot are set here
  std::uint64_t inbox_max = 131'072;
  crdt::Millis inbox_delay_max{1000};
  Costs costs;
  DiskOptions disk;
  SkewedClock clock;
  std::uint64_t seed = 0;
  bool keeps_bases = false;  // directories are copied by hand in this run: see Directory
};

// A data directory. Copied by hand it is another image of one replica: what node/rejoin.h is for.
struct Directory {
  Image image;
  // The store as it was when a boot began, by the boot; the last four at most.
  std::vector<std::pair<std::uint64_t, Image>> bases;
  node::ForkMark fork;  // with boots: the next start becomes another replica
};

struct HttpCall {
  std::string method, target, body;
  std::string key;  // Idempotency-Key; empty: none
};
using OnResponse = std::function<void(const api::Response& response)>;
// As an HTTP server would read it from the wire.
api::Parsed parsed_as_json(const HttpCall& call, api::JsonReader& reader);

class Machine;

// What is watched. Called within events; must not change anything.
class Watcher {
 public:
  virtual ~Watcher() = default;
  virtual void on_started(Machine&, bool torn) { (void)torn; }  // recovered; Engine::start is next
  virtual void on_turn(Machine&) {}
  // The directory was put back, or is a copy of another's. Before the start.
  // `fits`: false: it is not going to be opened, its high-water mark shows that it is older.
  virtual void on_put_back(Machine&, const crdt::State& copy, bool fits) { (void)copy, (void)fits; }
  // A fork becomes the replica of `fresh`; `base`: what it was when the first void boot began,
  // nullptr if that is not there any more. Before on_started().
  virtual void on_rejoined(Machine&, const node::ForkMark& mark, const crdt::State* base,
                           const crdt::State& fresh) {
    (void)mark, (void)base, (void)fresh;
  }
  virtual void on_durable(Machine&, const node::Batch&) {}
  // `released`: it leaves with a batch that is durable. `may_be_early`: a read that need not.
  virtual void on_reply(Machine&, const node::Outcome&, bool released, bool may_be_early) {
    (void)released, (void)may_be_early;
  }
  virtual void on_ended(Machine&, const std::string& why) { (void)why; }
};

class Machine final : public Receiver, private node::Clock, private gossip::Transport {
 public:
  Machine(Events& events, Network& network, Watcher& watcher, Place place, MachineOptions options);
  ~Machine() override;

  Place place() const { return place_; }
  const std::string& region() const { return options_.region; }
  const std::string& name() const { return options_.node; }
  crdt::ReplicaId replica() const { return self_; }
  bool lives() const { return process_ != nullptr; }
  bool paused() const { return paused_; }
  std::uint64_t life() const { return life_; }  // counts the processes
  const node::Engine& engine() const;           // requires: lives()
  node::Stats stats();                          // likewise
  const Image& image() const { return directory_.image; }
  const Directory& directory() const { return directory_; }
  DiskOptions& disk() {
    calm_since_ = events_.now();
    return options_.disk;
  }
  bool disk_is_well() const {
    return options_.disk.slow == 1 && options_.disk.failing == 0 && !options_.disk.full;
  }
  // Since when nothing has been done to its process, disk or clock.
  Time calm_since() const { return calm_since_; }
  Costs& costs() { return options_.costs; }
  std::int64_t lived_ms() const;             // by its own clock, since the process began. Likewise
  bool writing() const;                      // a batch is on its way to the disk. Requires: lives()
  bool checkpointing() const;                // and a slice of a checkpoint. Likewise
  bool reaches(crdt::ReplicaId peer) const;  // by its failure detector. Likewise
  // It has ended because it was retired. It is started once more, with the directory that it had,
  // if what it wrote is void.
  bool was_retired() const {
    return stopped_for_.starts_with("this replica was retired") ||
           stopped_for_.starts_with("this node was drained");
  }
  void start_once_more();
  // Why it does not start any more, by itself; empty: nothing.
  const std::string& stopped_for() const { return stopped_for_; }

  // ── the process ──
  void start();  // if it does not live
  void crash(PowerLoss loss, bool silently);
  void pause();
  void resume();
  // The disk is empty: the next start is a new replica. Requires: it does not live.
  void lose_disk();
  // Its directory is this one from now on, whosever it was. With `mark_stays` the store alone is
  // put back, beside the high-water mark that was there. Requires: it does not live.
  void put_back(const Directory& directory, bool mark_stays = false);
  // `holdfast restore`: a new replica that has the rows of this image. Likewise.
  void restore(const Image& image);
  void step_wall_clock(std::int64_t ms) { options_.clock.wall_ms += ms; }
  std::int64_t wall_now_ms() const;

  // ── clients ──
  // As the HTTP server takes it: parsed, submitted, answered in words. Nothing is answered if the
  // process ends first. Requires: listens(); and no batch, which clients here send singly.
  void http(const HttpCall& call, OnResponse done);
  // As an operator's tool asks, past HTTP. Likewise.
  using OnOutcome = std::function<void(const node::Outcome& outcome)>;
  void ask(node::Command command, OnOutcome done);

  bool listens() const override { return lives(); }
  void on_net(gossip::NetEvent&& event) override;

 private:
  struct Process;

  crdt::Now now() override;
  void dial(const std::string& address) override;
  void send(gossip::LinkId link, gossip::FrameBytes frame) override;
  void close(gossip::LinkId link, const std::string& reason) override;
  void consumed(gossip::LinkId, std::size_t) override {}

  Time true_time(crdt::Instant local) const;
  void poke(Time when);
  void arm();
  void turn();
  void end(const std::string& why, PowerLoss loss, bool silently);
  absl::StatusOr<std::unique_ptr<node::Engine>> load(const Image& image) const;
  void write_image(const crdt::State& state, std::int64_t life_ms);
  absl::Status rejoin();
  void keep_base(std::uint64_t boot);
  void deliver(std::vector<node::Reply>&& replies);

  Events& events_;
  Network& network_;
  Watcher& watcher_;
  Place place_;
  MachineOptions options_;
  // what outlives the process
  Directory directory_;
  crdt::ReplicaId self_;
  std::uint64_t life_ = 0, disks_ = 0;
  std::string stopped_for_;
  // the process
  std::unique_ptr<Process> process_;
  bool paused_ = false;
  Time calm_since_ = 0;
  api::JsonReader reader_;
};

}  // namespace holdfast::sim
