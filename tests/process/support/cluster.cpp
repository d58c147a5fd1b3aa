#include "tests/process/support/cluster.h"

#include <unistd.h>

#include <csignal>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace process {

namespace {

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string tail(const std::string& text, std::size_t bytes = 4'000) {
  return text.size() <= bytes ? text : "…" + text.substr(text.size() - bytes);
}

void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}

}  // namespace

Node::Node(const std::filesystem::path& directory, NodeOptions options)
    : directory_(directory),
      options_(std::move(options)),
      http_port_(free_port()),
      gossip_port_(free_port()),
      client_(http_port_) {
  std::filesystem::create_directories(directory_);
}

void Node::write_config() const {
  std::ofstream out(config_path());
  out << "[node]\nname = " << quoted(options_.name) << "\nregion = " << quoted(options_.region)
      << "\ndata_dir = " << quoted(data_directory().string())
      << "\n\n[http]\nlisten = " << quoted("127.0.0.1:" + std::to_string(http_port_))
      << "\n\n[gossip]\nlisten = " << quoted(gossip_address())
      << "\ncluster = " << quoted(options_.cluster) << "\nsecret = " << quoted(options_.secret)
      << "\nheartbeat_ms = 200\nsuspect_after_ms = 2000\npeers = [";
  for (std::size_t i = 0; i < options_.peers.size(); ++i) {
    out << (i > 0 ? ", " : "") << quoted(options_.peers[i]);
  }
  out << "]\n\n[store]\nmin_free_bytes = 1048576\n\n[faults]\nenabled = "
      << (options_.faults ? "true" : "false") << "\n";
}

void Node::launch() {
  write_config();
  client_.hang_up();
  std::vector<std::string> arguments{"serve", "--config", config_path().string()};
  arguments.insert(arguments.end(), options_.arguments.begin(), options_.arguments.end());
  process_ = Process(holdfast_binary(), arguments, directory_ / "log");
}

void Node::wait_ready() {
  const bool ready = eventually(
      [&] {
        require(process_.running(), options_.name + " ended while it started:\n" + tail(log()));
        try {
          return client_.get("/readyz").status == 200;
        } catch (const NoAnswer&) {
          return false;
        }
      },
      Millis(30'000));
  require(ready, options_.name + " isn't ready after 30 s:\n" + tail(log()));
}

void Node::start() {
  launch();
  wait_ready();
}

void Node::kill_now() {
  process_.kill_now();
  client_.hang_up();
}

int Node::stop() {
  process_.signal(SIGTERM);
  const auto status = process_.wait(Millis(20'000));
  kill_now();
  return status.value_or(-1);
}

void Node::restart() {
  const int status = stop();
  require(status == 0,
          options_.name + " stopped with " + std::to_string(status) + ":\n" + tail(log()));
  start();
}

void Node::pause() { process_.signal(SIGSTOP); }
void Node::resume() { process_.signal(SIGCONT); }

std::size_t Node::resident_bytes() const {
  std::istringstream pages(read_file("/proc/" + std::to_string(pid()) + "/statm"));
  std::size_t total = 0, resident = 0;
  pages >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

Cluster::Cluster(const std::vector<std::string>& regions) : regions_(regions) {
  for (const auto& region : regions) {
    NodeOptions options;
    options.region = region;
    options.name = region + "-1";
    nodes_.push_back(std::make_unique<Node>(directory_.path() / options.name, options));
  }
  for (auto& node : nodes_) {
    for (auto& peer : nodes_) {
      if (peer != node) node->options().peers.push_back(peer->gossip_address());
    }
  }
}

void Cluster::start_all() {
  for (auto& node : nodes_) node->launch();
  for (auto& node : nodes_) node->wait_ready();
  wait_joined();
}

void Cluster::wait_joined() {
  for (auto& node : nodes_) {
    const bool joined =
        eventually([&] { return reachable_nodes(*node) == size(); }, Millis(30'000));
    require(joined, node->options().name + " doesn't reach all nodes after 30 s: " +
                        node->http().get("/v1/cluster").body + "\n" + tail(node->log()));
  }
}

void Cluster::cut(std::size_t index) {
  for (std::size_t other = 0; other < size(); ++other) {
    if (other == index) continue;
    const auto answer =
        (*this)[index].http().put("/v1/faults/links/" + region(other), R"({"drop":true})");
    require(answer.ok(), "fault refused: " + answer.body);
  }
}

void Cluster::heal(std::size_t index) {
  for (std::size_t other = 0; other < size(); ++other) {
    if (other == index) continue;
    const auto answer = (*this)[index].http().call("DELETE", "/v1/faults/links/" + region(other));
    require(answer.ok(), "mending refused: " + answer.body);
  }
}

void Cluster::wait_converged() {
  std::string seen;
  const bool equal = eventually(
      [&] {
        seen.clear();
        std::string first;
        bool same = true;
        for (auto& node : nodes_) {
          const auto digest = node->http().get("/v1/cluster").text("/digest");
          seen += node->options().name + " " + digest + "\n";
          if (first.empty()) first = digest;
          same = same && digest == first;
        }
        return same;
      },
      Millis(30'000));
  require(equal, "digests still differ after 30 s:\n" + seen);
}

void Cluster::wait_local(std::size_t index, const std::string& sku, std::int64_t local_available) {
  Response last;
  const bool there = eventually([&] {
    last = (*this)[index].http().get("/v1/skus/" + sku + "/stock");
    return last.ok() && last.number("/local_available") == local_available;
  });
  require(there, "no " + std::to_string(local_available) + " units of " + sku + " at " +
                     region(index) + ": " + last.body);
}

std::string reservation(const std::string& sku, std::int64_t quantity, const std::string& more) {
  return R"({"lines":[{"sku":")" + sku + R"(","quantity":)" + std::to_string(quantity) + "}]" +
         (more.empty() ? "" : "," + more) + "}";
}

std::string quantity(std::int64_t units) { return R"({"quantity":)" + std::to_string(units) + "}"; }

std::string delta(std::int64_t units) {
  return R"({"delta":)" + std::to_string(units) + R"(,"reason":"recount"})";
}

void stock_up(Node& node, const std::string& sku, std::int64_t units) {
  const auto made = node.http().put("/v1/skus/" + sku, "{}");
  require(made.ok(), "PUT sku: " + std::to_string(made.status) + " " + made.body);
  if (units == 0) return;
  const auto received = node.http().post("/v1/skus/" + sku + "/receipts", quantity(units));
  require(received.ok(), "receipt: " + std::to_string(received.status) + " " + received.body);
}

std::int64_t stock(Node& node, const std::string& sku, const std::string& field) {
  return node.http().get("/v1/skus/" + sku + "/stock").number("/" + field);
}

std::size_t reachable_nodes(Node& node) {
  const auto regions = node.http().get("/v1/cluster").at("/regions");
  std::size_t count = 0;
  for (const auto& region : regions.as_array()) {
    for (const auto& entry : region.as_object().at("nodes").as_array()) {
      const auto& fields = entry.as_object();
      if (fields.at("self") == true || fields.at("reachable") == true) ++count;
    }
  }
  return count;
}

}  // namespace process
