// A router whose shard map is a key of etcd: a real etcd server, killed and started again.

#include <doctest/doctest.h>

#include <signal.h>

#include <filesystem>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

constexpr const char* kEtcd = "/usr/bin/etcd";
// A router makes its watch anew every 30 s: what comes sooner was told by the watch.
constexpr Millis kSoon{15'000};

std::string base64(const std::string& bytes) {
  static const std::string digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  unsigned bits = 0, count = 0;
  for (const char c : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (count += 8; count >= 6; count -= 6) text += digits[bits >> (count - 6) & 63];
  }
  if (count > 0) text += digits[bits << (6 - count) & 63];
  return text.append((4 - text.size() % 4) % 4, '=');
}

class Etcd {
 public:
  explicit Etcd(std::filesystem::path directory)
      : directory_(std::move(directory)),
        port_(free_port()),
        peer_port_(free_port()),
        client_(port_) {
    REQUIRE_MESSAGE(std::filesystem::exists(kEtcd),
                    kEtcd << " is not there: deploy/install-packages tests installs it");
    std::filesystem::create_directories(directory_);
    start();
  }
  void start() {
    const std::string url = "http://127.0.0.1:" + std::to_string(port_);
    const std::string peer_url = "http://127.0.0.1:" + std::to_string(peer_port_);
    process_ = Process(
        kEtcd,
        {"--data-dir", data().string(), "--listen-client-urls", url, "--advertise-client-urls", url,
         "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
         "--initial-cluster", "default=" + peer_url},
        directory_ / "log");
    REQUIRE_MESSAGE(eventually([&] { return healthy(); }, Millis(60'000)),
                    read_file(directory_ / "log"));
  }
  void kill_now() { process_.kill_now(); }
  void lose_data() { std::filesystem::remove_all(data()); }
  void put(const std::string& value) {
    const Response answer = client_.post(
        "/v3/kv/put", "{\"key\":\"" + base64(kKey) + "\",\"value\":\"" + base64(value) + "\"}");
    REQUIRE_MESSAGE(answer.ok(), answer);
  }
  void remove() {
    const Response answer =
        client_.post("/v3/kv/deleterange", "{\"key\":\"" + base64(kKey) + "\"}");
    REQUIRE_MESSAGE(answer.ok(), answer);
  }
  std::string place() const { return "etcd://127.0.0.1:" + std::to_string(port_) + "/" + kKey; }
  std::string put_command() const {
    return "etcdctl --endpoints 127.0.0.1:" + std::to_string(port_) + " put " + kKey;
  }

 private:
  static constexpr const char* kKey = "shop/shards";
  std::filesystem::path data() const { return directory_ / "data"; }
  bool healthy() {
    try {
      return client_.get("/health").body.find("true") != std::string::npos;
    } catch (const NoAnswer&) {
      return false;
    }
  }

  const std::filesystem::path directory_;
  const int port_, peer_port_;
  Client client_;
  Process process_;
};

// One node, etcd, and a router that is started by start().
struct Shop {
  Shop()
      : node(directory.path() / "node", {.name = "a-1", .cluster = "a"}),
        etcd(directory.path() / "etcd"),
        port(free_port()),
        client(port) {
    node.start();
  }
  void start() {
    router =
        Process(holdfast_binary(),
                {"route", "--map", etcd.place(), "--listen", "127.0.0.1:" + std::to_string(port)},
                directory.path() / "router.log");
    REQUIRE_MESSAGE(eventually([&] { return answers(); }), log());
  }
  std::string map(int version) const {
    return "version = " + std::to_string(version) +
           "\n[[shard]]\nname = \"a\"\nnodes = [\"http://127.0.0.1:" +
           std::to_string(node.http_port()) + "\"]\n";
  }
  std::int64_t version() { return client.get("/v1/cluster").number("/map_version"); }
  bool takes(int wanted) {
    return eventually([&] { return version() == wanted; }, kSoon);
  }
  bool logs(const std::string& what) {
    return eventually([&] { return log().find(what) != std::string::npos; }, kSoon);
  }
  bool answers() {
    try {
      return client.get("/readyz").ok();
    } catch (const NoAnswer&) {
      return false;
    }
  }
  std::string log() const { return read_file(directory.path() / "router.log"); }

  TemporaryDirectory directory;
  Node node;
  Etcd etcd;
  int port;
  Client client;
  Process router;
};

}  // namespace

TEST_SUITE("router, its map in etcd") {
  TEST_CASE("no start without a map: the key is not there, is no map, or etcd is away") {
    TemporaryDirectory directory;
    Etcd etcd(directory.path() / "etcd");
    const auto route = [&] { return run({"route", "--map", etcd.place()}, Millis(20'000)); };
    const auto fails = [&](const std::string& what) {
      const Finished finished = route();
      CHECK(finished.status == 1);
      CHECK_MESSAGE(finished.output.find(what) != std::string::npos, finished.output);
    };
    fails("there is no such key; put the shard map: " + etcd.put_command() + " < shards.toml");
    etcd.put("version = 1\nshards = 2\n");
    fails(etcd.place() + ":2: unknown key 'shards'");
    etcd.kill_now();
    fails("connection refused");
    const Finished wrong = run({"route", "--map", "etcd://localhost"}, Millis(20'000));
    CHECK(wrong.status == 2);
    CHECK_MESSAGE(wrong.output.find("etcd://HOST[:PORT]/KEY") != std::string::npos, wrong.output);
  }

  TEST_CASE("a newer map is taken; a bad one or none changes nothing") {
    Shop shop;
    shop.etcd.put(shop.map(1));
    shop.start();
    CHECK(shop.version() == 1);
    CHECK(shop.client.put("/v1/skus/lamp", "{}").status == 201);
    shop.etcd.put(shop.map(3));
    CHECK_MESSAGE(shop.takes(3), shop.log());
    shop.etcd.put(shop.map(2));
    CHECK_MESSAGE(shop.logs("is lower than 3"), shop.log());
    shop.etcd.put("version = 4\n[[shard]]\nname = 4\n");
    CHECK_MESSAGE(shop.logs(shop.etcd.place() + ":3: 'name' must be a text"), shop.log());
    shop.etcd.remove();
    CHECK_MESSAGE(shop.logs("the key was deleted; put it again: " + shop.etcd.put_command()),
                  shop.log());
    CHECK(shop.version() == 3);
    CHECK(shop.client.put("/v1/skus/lamp", "{}").status == 200);
    shop.etcd.put(shop.map(5));
    CHECK_MESSAGE(shop.takes(5), shop.log());
    shop.router.signal(SIGTERM);
    CHECK(shop.router.wait(Millis(20'000)) == 0);
  }

  TEST_CASE("etcd is killed: the map stays in use; back again, also without its data") {
    Shop shop;
    shop.etcd.put(shop.map(1));
    shop.start();
    shop.etcd.put(shop.map(2));
    CHECK_MESSAGE(shop.takes(2), shop.log());
    shop.etcd.kill_now();
    CHECK_MESSAGE(shop.logs("is not watched"), shop.log());
    CHECK(shop.version() == 2);
    CHECK(shop.client.put("/v1/skus/lamp", "{}").status == 201);
    shop.etcd.start();
    CHECK_MESSAGE(shop.logs("is watched again; shard map version 2 is in use"), shop.log());
    shop.etcd.put(shop.map(3));
    CHECK_MESSAGE(shop.takes(3), shop.log());
    shop.etcd.kill_now();
    shop.etcd.lose_data();
    shop.etcd.start();
    CHECK_MESSAGE(shop.logs("the key was deleted"), shop.log());
    shop.etcd.put(shop.map(4));
    CHECK_MESSAGE(shop.takes(4), shop.log());
  }
}
