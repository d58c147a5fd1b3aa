#pragma once
// Nodes of a cluster on loopback: real `holdfast serve` processes with directories of their own.

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/process/support/http.h"
#include "tests/process/support/process.h"

namespace process {

struct NodeOptions {
  std::string region = "eu";
  std::string name = "eu-1";
  std::string cluster = "process-test";
  std::string secret = "a secret of the process tests, long enough";
  std::vector<std::string> peers = {};      // gossip addresses, host:port
  std::vector<std::string> arguments = {};  // further ones, e.g. "--set", "store.min_free_bytes=1"
  bool faults = true;
};

// One node: its directory, ports and configuration stay the same from start to start.
class Node {
 public:
  Node(const std::filesystem::path& directory, NodeOptions options);

  void start();       // and waits until it is ready; throws, with its log, if that takes 30 s
  void launch();      // doesn't wait
  void wait_ready();  // as above
  void kill_now();    // SIGKILL
  int stop();  // SIGTERM; its exit status, or -1 if it still runs after 20 s (then it is killed)
  void restart();  // stop and start
  void signal(int number) { process_.signal(number); }
  std::optional<int> wait(Millis limit) { return process_.wait(limit); }
  void pause();  // SIGSTOP: the process lives and its sockets are open, but nothing answers
  void resume();
  bool running() { return process_.running(); }
  pid_t pid() const { return process_.pid(); }

  Client& http() { return client_; }
  int http_port() const { return http_port_; }
  int gossip_port() const { return gossip_port_; }
  std::string gossip_address() const { return "127.0.0.1:" + std::to_string(gossip_port_); }
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path data_directory() const { return directory_ / "data"; }
  std::filesystem::path config_path() const { return directory_ / "node.toml"; }
  std::string log() const { return read_file(directory_ / "log"); }
  std::size_t resident_bytes() const;
  NodeOptions& options() { return options_; }
  void write_config() const;  // from options(); start() does it

 private:
  std::filesystem::path directory_;
  NodeOptions options_;
  int http_port_;
  int gossip_port_;
  Process process_;
  Client client_;
};

// One node per region, each knowing all others' addresses. Started by start_all().
class Cluster {
 public:
  explicit Cluster(const std::vector<std::string>& regions);
  void start_all();  // and waits until every node sees every other
  std::size_t size() const { return nodes_.size(); }
  Node& operator[](std::size_t index) { return *nodes_.at(index); }
  const std::string& region(std::size_t index) const { return regions_.at(index); }
  const std::filesystem::path& directory() const { return directory_.path(); }

  // Drops all frames between node `index` and the others, by a fault on that node; and mends it.
  void cut(std::size_t index);
  void heal(std::size_t index);
  // Waits until the digests of all nodes' rows are equal; throws, with them, after 30 s.
  void wait_converged();
  void wait_joined();
  // Waits until node `index` has seen the SKU with this many units available there without asking.
  void wait_local(std::size_t index, const std::string& sku, std::int64_t local_available);

 private:
  TemporaryDirectory directory_;
  std::vector<std::string> regions_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

// ── bodies, said shortly ──
std::string reservation(const std::string& sku, std::int64_t quantity,
                        const std::string& more = "");
std::string quantity(std::int64_t units);  // {"quantity":units}
std::string delta(std::int64_t units);     // {"delta":units,"reason":"recount"}
// Creates the SKU and receives units of it at the node; throws if either is refused.
void stock_up(Node& node, const std::string& sku, std::int64_t units);
// on_hand, held … of GET /v1/skus/{sku}/stock
std::int64_t stock(Node& node, const std::string& sku, const std::string& field);
// Number of nodes that this one's GET /v1/cluster calls reachable, itself included.
std::size_t reachable_nodes(Node& node);

}  // namespace process
