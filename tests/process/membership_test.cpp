// Nodes that join, leave and are killed under load: real processes, and customers that come through
// a router, or go to the nodes themselves and to another one only if a connection is refused.

#include <doctest/doctest.h>

#include <signal.h>

#include <atomic>
#include <fstream>
#include <vector>

#include "tests/process/support/buyer.h"
#include "tests/process/support/cluster.h"

using namespace process;

namespace {

constexpr int kSkus = 10;
constexpr std::int64_t kReceived = 100'000;  // of each: ample, so that every refusal is a failure

enum class By { router, nodes };

// One region of two nodes, with stock, and a router that knows the first.
struct Shop {
  explicit Shop(By way) : by(way), router_port(free_port()) {
    add("eu-1").start();
    add("eu-2").start();
    wait_joined();
    for (int i = 0; i < kSkus; ++i) stock_up(*nodes[0], "s" + std::to_string(i), kReceived);
    REQUIRE(same_rows());
    if (by == By::router) route();
  }
  ~Shop() { stop = true; }

  Node& add(const std::string& name) {
    std::vector<std::string> peers;
    if (!nodes.empty()) peers.push_back("localhost:" + std::to_string(nodes[0]->gossip_port()));
    nodes.push_back(std::make_unique<Node>(directory.path() / name,
                                           NodeOptions{.name = name, .peers = std::move(peers)}));
    return *nodes.back();
  }
  void wait_joined() {
    for (auto& node : nodes)
      REQUIRE(eventually([&] { return reachable_nodes(*node) == nodes.size(); }));
  }
  void route() {
    const std::string map = (directory.path() / "shards.toml").string();
    std::ofstream(map) << "version = 1\n[[shard]]\nname = \"all\"\nnodes = [\"http://127.0.0.1:"
                       << nodes[0]->http_port() << "\"]\n";
    router = Process(holdfast_binary(),
                     {"route", "--map", map, "--listen", "127.0.0.1:" + std::to_string(router_port),
                      "--region", "eu"},
                     directory.path() / "router.log");
    REQUIRE(eventually([&] { return routed().size() == nodes.size(); }));
  }
  // Replicas that the router sends to, by their names.
  std::vector<std::string> routed() {
    std::vector<std::string> up;
    try {
      const auto seen = Client(router_port).get("/v1/cluster").at("/shards/0/nodes");
      for (const auto& node : seen.as_array())
        if (node.at("up").as_bool()) up.emplace_back(node.at("node").as_string());
    } catch (const NoAnswer&) {
    }
    return up;
  }

  void sell(bool repeats = false) {
    for (int i = 0; i < 6; ++i) {
      std::vector<int> ports{router_port};
      if (by == By::nodes) ports = {nodes[i % 2]->http_port(), nodes[1 - i % 2]->http_port()};
      buyers.push_back(std::make_unique<Buyer>(BuyerOptions{.name = "b" + std::to_string(i),
                                                            .ports = ports,
                                                            .skus = kSkus,
                                                            .keeps_every = 7,
                                                            .repeats = repeats},
                                               stop));
    }
    until_all_sold_more();
  }
  // Every customer goes on.
  void until_all_sold_more() {
    std::vector<int> before;
    for (auto& buyer : buyers) before.push_back(buyer->sold());
    CHECK(eventually([&] {
      for (std::size_t i = 0; i < buyers.size(); ++i)
        if (buyers[i]->sold() < before[i] + 20) return false;
      return true;
    }));
  }
  void end_of_sales() {
    stop = true;
    for (auto& buyer : buyers) {
      buyer->join();
      CHECK(buyer->failed() == "");
    }
  }

  bool same_rows() {
    return eventually([&] {
      std::string first;
      for (auto& node : nodes) {
        if (!node->running()) continue;
        const std::string digest = node->http().get("/v1/cluster").text("/digest");
        if (first.empty()) first = digest;
        if (digest != first) return false;
      }
      return true;
    });
  }
  // Every node that lives says of everything what the customers were told.
  void check_account() {
    REQUIRE(same_rows());
    std::int64_t sold = 0, held = 0;
    for (auto& buyer : buyers)
      for (const auto& [id, state] : buyer->told()) ++(state == "held" ? held : sold);
    for (auto& node : nodes) {
      if (!node->running()) continue;
      CAPTURE(node->options().name);
      std::int64_t on_hand = 0, told_sold = 0, told_held = 0, available = 0;
      for (int i = 0; i < kSkus; ++i) {
        const std::string sku = "s" + std::to_string(i);
        on_hand += stock(*node, sku, "on_hand");
        told_sold += stock(*node, sku, "sold") - stock(*node, sku, "returned");
        told_held += stock(*node, sku, "held");
        available += stock(*node, sku, "available");
      }
      CHECK(told_sold == sold);
      CHECK(told_held == held);
      CHECK(on_hand == kSkus * kReceived - sold);
      CHECK(available == on_hand - held);
      for (auto& buyer : buyers)
        for (const auto& [id, state] : buyer->told()) {
          const Response answer = node->http().get("/v1/reservations/" + id);
          if (answer.status != 200 || answer.text("/state") != state)
            FAIL_CHECK(id << " was told to be " << state << ": " << answer.body);
        }
    }
  }

  TemporaryDirectory directory;
  const By by;
  const int router_port;
  std::vector<std::unique_ptr<Node>> nodes;
  Process router;
  std::atomic<bool> stop = false;
  std::vector<std::unique_ptr<Buyer>> buyers;  // they end before what they ask
};

void join_and_leave(By by) {
  Shop shop(by);
  shop.sell();
  Node& joined = shop.add("eu-3");
  joined.start();  // until it says that it is ready: from then on it must serve
  shop.buyers.push_back(std::make_unique<Buyer>(
      BuyerOptions{.name = "there", .ports = {joined.http_port()}, .skus = kSkus}, shop.stop));
  if (by == By::router) CHECK(eventually([&] { return shop.routed().size() == 3; }));
  shop.until_all_sold_more();
  const Finished drained = run({"cluster", "drain", "--url",
                                "http://127.0.0.1:" + std::to_string(shop.nodes[1]->http_port())},
                               Millis(60'000));
  CHECK(drained.status == 0);
  CHECK(eventually([&] { return !shop.nodes[1]->running(); }));
  shop.until_all_sold_more();
  shop.end_of_sales();
  shop.check_account();
}

void kill_and_start(By by) {
  Shop shop(by);
  shop.sell(true);
  shop.nodes[1]->kill_now();
  shop.nodes[1]->start();
  shop.until_all_sold_more();
  shop.end_of_sales();
  shop.check_account();
}

}  // namespace

TEST_SUITE("process/membership") {
  TEST_CASE("a node joins, and another leaves, under load through a router: no request fails") {
    join_and_leave(By::router);
  }
  TEST_CASE("a node joins, and another leaves, under load to the nodes: no request fails") {
    join_and_leave(By::nodes);
  }

  TEST_CASE("SIGTERM: who goes elsewhere once it is not ready has no failed request; exit 0") {
    TemporaryDirectory directory;
    Node node(directory.path() / "eu-1", {.arguments = {"--set", "node.stop_after_ms=60000"}});
    node.start();
    for (int i = 0; i < kSkus; ++i) stock_up(node, "s" + std::to_string(i), kReceived);
    std::atomic<bool> stop = false;
    std::vector<std::unique_ptr<Buyer>> buyers;
    for (const char* name : {"a", "b", "c", "d"})
      buyers.push_back(std::make_unique<Buyer>(
          BuyerOptions{.name = name, .ports = {node.http_port()}, .skus = kSkus}, stop));
    Client idle(node.http_port());
    CHECK(idle.get("/readyz").status == 200);
    CHECK(eventually([&] { return buyers[0]->sold() > 20; }));
    node.signal(SIGTERM);
    CHECK(eventually([&] { return idle.get("/readyz").status == 503; }));
    CHECK(node.http().get("/v1/cluster").text("/regions/0/nodes/0/state") == "stopping");
    const int sold = buyers[0]->sold();
    CHECK(eventually([&] { return buyers[0]->sold() > sold; }));  // it serves on
    stop = true;
    int all = 0;
    for (auto& buyer : buyers) {
      buyer->join();
      CHECK(buyer->failed() == "");
      all += buyer->sold();
    }
    CHECK(node.running());
    node.signal(SIGTERM);  // the second ends the wait
    CHECK(node.wait(Millis(15'000)) == 0);
    node.start();
    std::int64_t told = 0;
    for (int i = 0; i < kSkus; ++i) told += stock(node, "s" + std::to_string(i), "sold");
    CHECK(told == all);
  }

  TEST_CASE(
      "SIGTERM: what comes until it listens no more is answered, and says that it is the last") {
    TemporaryDirectory directory;
    Node node(directory.path() / "eu-1", {.arguments = {"--set", "node.stop_after_ms=200"}});
    node.start();
    Connection connection(node.http_port());
    const auto last = [&] {
      connection.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
      const Response answer = connection.read_response();
      CHECK(answer.status == 200);
      return answer.headers.contains("connection");
    };
    CHECK_FALSE(last());
    node.signal(SIGTERM);
    CHECK(eventually(last));
    CHECK(connection.receive().empty());
    connection.close();
    CHECK(node.wait(Millis(15'000)) == 0);
  }

  TEST_CASE("a node is killed under load through a router: what was acknowledged is there, once") {
    kill_and_start(By::router);
  }
  TEST_CASE("a node is killed under load to the nodes: what was acknowledged is there, once") {
    kill_and_start(By::nodes);
  }
}
