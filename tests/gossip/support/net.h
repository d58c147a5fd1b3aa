#pragma once
// A network of meshes in memory: virtual time, ordered links, cuts, lost frames. Each node does
// what the engine and its driver do: act on events, merge, seal, cut, and release effects a little
// later, as after an fsync.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gossip/mesh.h"

namespace holdfast::gossip {

struct Node {
  MeshConfig config;
  std::unique_ptr<crdt::State> state;
  std::unique_ptr<Mesh> mesh;
  bool alive = true;
  // What has happened to it.
  std::vector<CallIn> calls;
  std::map<std::uint64_t, std::string> answers;
  std::vector<std::uint64_t> lost;
  std::vector<std::string> forks;
  std::vector<Note> notes;
  std::size_t deltas = 0, dials = 0;
  bool noted(const std::string& text) const;
};

// A row in a piece that was given to the network.
struct RowSent {
  int from = 0, to = 0;
  crdt::ReplicaId origin;
  std::string key;
  crdt::Sequence sequence = 0;
  crdt::RowKind kind = crdt::RowKind::stock;
};

class Net {
 public:
  enum class Cut { none, reset, silent };  // silent: frames stay where they are, nobody is told

  explicit Net(std::uint64_t seed) : rng_(seed) {}
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  // Nodes know the addresses of all that were added before them. Replica ids rise with the index.
  int add(std::function<void(MeshConfig&)> adapt = [](MeshConfig&) {});
  Node& operator[](int index) { return *nodes_[index]; }
  int size() const { return static_cast<int>(nodes_.size()); }
  static crdt::ReplicaId id(int index) { return {0x100u + index}; }

  void write(int node, std::uint64_t sku, crdt::Units units = 1);
  // A turn of the node in which `act` is done, as for a request.
  void turn(int node, const std::function<void(Node&)>& act);
  void kill(int node);
  // A new process with the same identity and configuration, on a state of the given rows.
  void start_again(int node, std::unique_ptr<crdt::State> state);
  static std::unique_ptr<crdt::State> copy(const crdt::State& state);

  void cut(int a, int b, Cut cut);
  void heal();
  // Frames for which this says true are lost; it sees each once.
  std::function<bool(int from, int to, const Frame& frame)> lose;
  // Milliseconds that frames take one way, beside a few by chance.
  std::function<std::int64_t(int from, int to)> latency = [](int, int) { return 0; };
  // Bytes given to the network on links of `node` are not written as long as this is set.
  void stall(int node, bool stalled);
  void dial(int node, const std::string& address);
  // What names stand for, as a node is told.
  std::function<std::vector<std::string>(int node, const std::string& name)> resolve =
      [](int, const std::string&) { return std::vector<std::string>(); };
  // Raw bytes on the first link from `from` to `to`.
  void inject(int from, int to, std::string bytes);

  void run(std::int64_t ms);
  bool run_until(const std::function<bool()>& condition, std::int64_t ms_max);
  crdt::Now now() const;

  bool converged() const;
  bool all_reachable() const;
  int links(int a, int b) const;
  bool dialled_by(int dialler, int acceptor) const;  // the link between them, if it is one

  std::vector<RowSent> rows_sent;
  std::map<std::size_t, std::size_t> frames_sent;  // by kind
  std::size_t stalled_bytes(int node) const;

 private:
  struct End {
    int node = 0;
    LinkId link = 0;
  };
  struct Wire {
    End ends[2];  // the dialler's first
    bool up = true, told_down = false;
    std::int64_t busy_until[2] = {0, 0};
    std::deque<std::pair<int, FrameBytes>> held;     // while silent: (side that sent it, bytes)
    std::deque<std::pair<int, FrameBytes>> stalled;  // while its sender is stalled
  };

  void at(std::int64_t ms, std::function<void()> what);
  void event(int node, NetEvent&& event);
  void after_turn(int node, std::vector<MeshEvent>&& events, bool urgent = false);
  void act_on(int node, std::vector<MeshEvent>&& events);
  void release(int node, MeshEffects&& effects);
  void send(int node, LinkId link, const FrameBytes& bytes);
  void carry(const std::shared_ptr<Wire>& wire, int side, const FrameBytes& bytes);
  void deliver(const std::shared_ptr<Wire>& wire, int side, const FrameBytes& bytes);
  void down(const std::shared_ptr<Wire>& wire, const std::string& reason);
  std::shared_ptr<Wire> find(int node, LinkId link, int& side);
  Cut cut_between(int a, int b) const;

  Rng rng_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::multimap<std::int64_t, std::function<void()>> queue_;
  std::vector<std::shared_ptr<Wire>> wires_;
  std::map<std::pair<int, int>, Cut> cuts_;
  std::map<int, bool> stalled_;
  std::map<int, std::int64_t> wakes_;
  std::map<int, std::uint64_t> lives_;  // effects of an earlier life are not released
  std::int64_t now_ = 1'000'000;
  LinkId last_link_ = 0;
  std::map<std::pair<LinkId, int>, std::vector<ReplicaId>> names_;  // by link and sender: its News'
};

}  // namespace holdfast::gossip
