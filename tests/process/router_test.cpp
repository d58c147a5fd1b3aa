// A router over shards: real processes; killed while carts are under way, and started again.

#include <doctest/doctest.h>

#include <signal.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

constexpr int kReceived = 1'000'000;  // more than any machine sells in a test

// Shards of one node each, and a router.
struct Shards {
  explicit Shards(std::size_t count) : port(free_port()), client(port) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name(1, static_cast<char>('a' + i));
      nodes.push_back(std::make_unique<Node>(directory.path() / name,
                                             NodeOptions{.name = name + "-1", .cluster = name}));
      nodes.back()->launch();
    }
    for (auto& node : nodes) node->wait_ready();
    write_map(1);
    route();
    for (const std::string& sku : skus) {
      REQUIRE(client.put("/v1/skus/" + sku, "{}").ok());
      REQUIRE(client
                  .post("/v1/skus/" + sku + "/receipts",
                        "{\"quantity\":" + std::to_string(kReceived) + "}")
                  .ok());
    }
  }
  void write_map(int version, std::size_t leave_out = 0) {
    std::ofstream map(map_path());
    map << "version = " << version << "\n";
    for (std::size_t i = leave_out; i < nodes.size(); ++i)
      map << "[[shard]]\nname = \"" << static_cast<char>('a' + i)
          << "\"\nnodes = [\"http://127.0.0.1:" << nodes[i]->http_port() << "\"]\n";
  }
  std::string map_path() const { return (directory.path() / "shards.toml").string(); }
  void launch_router() {
    router = Process(holdfast_binary(),
                     {"route", "--map", map_path(), "--listen", "127.0.0.1:" + std::to_string(port),
                      "--sweep-s", "1", "--settle-s", "2"},
                     directory.path() / "router.log");
  }
  void route() {
    launch_router();
    REQUIRE(eventually([&] {
      try {
        return client.get("/readyz").ok() && client.get("/v1/skus").ok();
      } catch (const NoAnswer&) {
        return false;
      }
    }));
  }
  std::string cart(int units) const {
    std::string lines;
    for (const std::string& sku : skus)
      lines += (lines.empty() ? "" : ",") + ("{\"sku\":\"" + sku) +
               "\",\"quantity\":" + std::to_string(units) + "}";
    return "{\"ttl_seconds\":5,\"lines\":[" + lines + "]}";
  }
  std::int64_t stock(const std::string& sku, const char* field) {
    return client.get("/v1/skus/" + sku + "/stock").number(std::string("/") + field);
  }
  std::string log() const { return read_file(directory.path() / "router.log"); }

  TemporaryDirectory directory;
  std::vector<std::unique_ptr<Node>> nodes;
  const std::vector<std::string> skus{"a", "b", "c", "d", "e", "f", "g", "h"};
  int port;
  Process router;
  Client client;
};

Finished shards_command(std::vector<std::string> arguments) {
  std::vector<std::string> all{"shards"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return run(all, Millis(40'000));
}

// Buys carts over all shards until it is told to stop; repeats what got no answer.
class Buyer {
 public:
  Buyer(Shards& shards, std::string name, const std::atomic<bool>& stop)
      : name_(std::move(name)), thread_([this, &shards, &stop] {
          Client client(shards.port);
          for (int i = 0; !stop; ++i) buy(client, shards, name_ + std::to_string(i), stop);
        }) {}
  void join() { thread_.join(); }
  int sold() const { return sold_; }
  int refused() const { return refused_; }  // carts and commits, for whatever reason

 private:
  void buy(Client& client, Shards& shards, const std::string& id, const std::atomic<bool>& stop) {
    bool asked = false;
    while (!stop) {
      try {
        const std::string path = "/v1/reservations/" + id;
        if (!asked) asked = client.put(path, shards.cart(1)).ok();
        if (!asked) ++refused_;
        if (!asked) return;
        const Response answer = client.post(path + "/commit", "{}");
        ++(answer.ok() ? sold_ : refused_);
        if (answer.status < 500) return;
      } catch (const NoAnswer&) {
        std::this_thread::sleep_for(Millis(20));  // the router is down
      }
    }
  }
  std::string name_;
  int sold_ = 0, refused_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_SUITE("router, real processes") {
  TEST_CASE("killed again and again under load: no cart is half sold, nothing stays held") {
    Shards shards(3);
    std::atomic<bool> stop = false;
    std::vector<std::unique_ptr<Buyer>> buyers;
    for (const char* name : {"x", "y", "z"})
      buyers.push_back(std::make_unique<Buyer>(shards, name, stop));
    for (int kill = 0; kill < 12; ++kill) {
      std::this_thread::sleep_for(Millis(150 + 37 * kill));
      shards.router.kill_now();
      shards.launch_router();
    }
    std::this_thread::sleep_for(Millis(500));
    stop = true;
    int sold = 0;
    for (auto& buyer : buyers) {
      buyer->join();
      sold += buyer->sold();
    }
    CHECK(sold > 0);
    shards.router.kill_now();
    shards.route();
    CHECK(eventually(
        [&] {
          for (const std::string& sku : shards.skus)
            if (shards.stock(sku, "held") != 0) return false;
          return true;
        },
        Millis(30'000)));
    const auto net = [&](const std::string& sku) {
      return shards.stock(sku, "sold") - shards.stock(sku, "returned");
    };
    CHECK(eventually(
        [&] {
          for (const std::string& sku : shards.skus)
            if (net(sku) != net("a")) return false;
          return true;
        },
        Millis(30'000)));
    CHECK(net("a") >= sold);  // one whose answer was lost may be sold, too
    for (const std::string& sku : shards.skus)
      CHECK(shards.stock(sku, "available") == kReceived - net(sku));
  }

  TEST_CASE("a shard is down: a clear 503 for its SKUs, the rest goes on; back again") {
    Shards shards(3);
    shards.nodes[0]->kill_now();
    int refused = 0, served = 0;
    for (const std::string& sku : shards.skus) {
      const Response answer = shards.client.put(
          "/v1/reservations/r-" + sku, "{\"lines\":[{\"sku\":\"" + sku + "\",\"quantity\":1}]}");
      if (answer.ok()) ++served;
      if (answer.status != 503) continue;
      ++refused;
      CHECK(answer.code() == "shard_unreachable");
    }
    CHECK(refused > 0);
    CHECK(refused + served == 8);
    CHECK(shards.client.get("/readyz").ok());  // for what the others have
    shards.nodes[0]->start();
    CHECK(
        eventually([&] { return shards.client.put("/v1/reservations/all", shards.cart(1)).ok(); }));
  }

  TEST_CASE("maps: a newer one is taken while it runs; a bad one changes nothing") {
    Shards shards(2);
    const auto version = [&] { return shards.client.get("/v1/cluster").number("/map_version"); };
    shards.write_map(3);
    CHECK(eventually([&] { return version() == 3; }));
    shards.write_map(2);
    CHECK(eventually([&] { return shards.log().find("is lower than 3") != std::string::npos; }));
    std::ofstream(shards.map_path()) << "version = 4\n[[range]]\nfrom = \"a\"\nshard = \"q\"\n";
    CHECK(eventually([&] { return shards.log().find("shard 'q'") != std::string::npos; }));
    CHECK(version() == 3);
    CHECK(shards.client.put("/v1/reservations/all", shards.cart(1)).ok());
    const Finished none = run({"route", "--map", "/nonexistent"}, Millis(5'000));
    CHECK(none.status == 1);
    CHECK(none.output.find("cannot be read") != std::string::npos);
    CHECK(shards.router.running());
    shards.router.signal(SIGTERM);
    CHECK(shards.router.wait(Millis(10'000)) == 0);
  }

  TEST_CASE("SKUs move to a new shard under load: no request is refused, every unit is somewhere") {
    Shards shards(3);
    const std::string map = shards.map_path(), next = map + ".next";
    std::ofstream(next) << read_file(map)
                        << "[[range]]\nfrom = \"a\"\nshard = \"c\"\n";  // all of them
    std::atomic<bool> stop = false;
    std::vector<std::unique_ptr<Buyer>> buyers;
    for (const char* name : {"x", "y"})
      buyers.push_back(std::make_unique<Buyer>(shards, name, stop));
    CHECK(shards_command({"finish", map}).status == 1);
    CHECK(shards_command({"begin", map, next, "-o", map}).status == 0);
    CHECK(shards_command({"begin", map, next}).status == 1);  // it moves already
    const auto moved = shards_command({"status", map, "--wait", "30", "--json"});
    CHECK(moved.status == 0);
    CHECK(moved.output.find("\"done\":true") != std::string::npos);
    CHECK(shards_command({"finish", map, "-o", map}).status == 0);
    CHECK(eventually([&] {
      const Response cluster = shards.client.get("/v1/cluster");
      return cluster.number("/map_version") == 3 &&
             cluster.body.find("moving") == std::string::npos;
    }));
    stop = true;
    int sold = 0;
    for (auto& buyer : buyers) {
      buyer->join();
      sold += buyer->sold();
      CHECK(buyer->refused() == 0);
    }
    CHECK(sold > 0);
    for (const std::string& sku : shards.skus)
      CHECK(shards.stock(sku, "on_hand") == kReceived - sold);
    // The old shard says where it is.
    Client old_shard(shards.nodes[0]->http_port());
    const std::string sku = old_shard.get("/v1/skus").text("/items/0/sku");
    const Response elsewhere = old_shard.post("/v1/skus/" + sku + "/receipts", "{\"quantity\":1}");
    CHECK(elsewhere.status == 421);
    CHECK(elsewhere.code() == "moved");
    CHECK(elsewhere.text("/shard") == "c");
  }
}
