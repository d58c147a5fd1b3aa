// Copies of a data directory: made and brought back by command, put back by hand, in use twice.

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;
namespace fs = std::filesystem;

namespace {

Finished holdfast(const std::vector<std::string>& arguments) {
  return run(arguments, Millis(60'000));
}

boost::json::value json(const Finished& finished) {
  INFO(finished.output);
  REQUIRE(finished.status == 0);
  return boost::json::parse(finished.output);
}

std::string text(const boost::json::value& value, const char* key) {
  return value.as_object().at(key).as_string().c_str();
}

void sell(Node& node, const std::string& id, std::int64_t units) {
  const auto held = node.http().put("/v1/reservations/" + id, reservation("lamp", units));
  INFO(held);
  REQUIRE(held.status == 201);
  REQUIRE(node.http().post("/v1/reservations/" + id + "/commit").status == 200);
}

std::string own_replica(Node& node) {
  const auto regions = node.http().get("/v1/cluster").at("/regions");
  for (const auto& region : regions.as_array())
    for (const auto& entry : region.as_object().at("nodes").as_array())
      if (entry.as_object().at("self") == true) return text(entry, "replica");
  throw std::runtime_error("a node that does not see itself");
}

std::string state_of(Node& node, const std::string& replica) {
  const auto regions = node.http().get("/v1/cluster").at("/regions");
  for (const auto& region : regions.as_array())
    for (const auto& entry : region.as_object().at("nodes").as_array())
      if (text(entry, "replica") == replica) return text(entry, "state");
  return "unknown";
}

bool knows(Node& node, const std::string& id, const std::string& state) {
  const auto seen = node.http().get("/v1/reservations/" + id);
  return seen.status == 200 && seen.text("/state") == state;
}

// Rights over all regions, as a node sees them.
std::int64_t rights(Node& node) {
  std::int64_t sum = 0;
  const auto regions = node.http().get("/v1/skus/lamp/stock").at("/by_region");
  for (const auto& region : regions.as_array())
    sum += region.as_object().at("rights").to_number<std::int64_t>();
  return sum;
}

void check_stock(Cluster& cluster, std::int64_t on_hand, std::int64_t sold) {
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    CAPTURE(cluster.region(i));
    const auto seen = cluster[i].http().get("/v1/skus/lamp/stock");
    CHECK(seen.number("/sold") == sold);
    CHECK(seen.number("/on_hand") == on_hand);
    CHECK(seen.number("/held") == 0);
    CHECK(seen.number("/available") == on_hand);
    CHECK(rights(cluster[i]) == on_hand);
  }
}

void check_verified(Node& node) {
  const auto directory =
      holdfast({"verify", "--data-dir", node.data_directory().string(), "--json"});
  CHECK_MESSAGE(directory.status == 0, directory.output);
  const auto running = holdfast(
      {"verify", "--url", "http://127.0.0.1:" + std::to_string(node.http_port()), "--json"});
  CHECK_MESSAGE(running.status == 0, running.output);
}

// Ends by itself, having found out that it is a fork.
void wait_for_fork(Node& node) {
  const bool ended = eventually([&] { return !node.running(); }, Millis(30'000));
  INFO(node.log());
  REQUIRE(ended);
  CHECK(node.log().find("this data directory is not the latest of its replica") !=
        std::string::npos);
  CHECK(node.stop() != 0);
}

}  // namespace

TEST_SUITE("process/identity") {
  TEST_CASE("backup while it runs, the node is lost, restore: no unit twice, rights conserved") {
    Cluster cluster({"eu", "us"});
    cluster.start_all();
    stock_up(cluster[0], "lamp", 100);
    REQUIRE(cluster[0].http().post("/v1/skus/lamp/grants", R"({"to":"us","quantity":40})").ok());
    cluster.wait_local(1, "lamp", 40);
    sell(cluster[0], "before", 10);
    const std::string old = own_replica(cluster[0]);
    const fs::path file = cluster.directory() / "yesterday.backup";
    const auto made = json(holdfast({"backup", "--data-dir", cluster[0].data_directory().string(),
                                     "--to", file.string(), "--json"}));
    CHECK(text(made, "replica") == old);
    CHECK(made.at("skus") == 1);
    CHECK(made.at("reservations") == 1);
    check_verified(cluster[0]);
    sell(cluster[0], "after", 20);
    cluster.wait_converged();
    cluster[0].kill_now();
    fs::rename(cluster[0].data_directory(), cluster[0].directory() / "lost");

    const auto restored = json(holdfast({"restore", "--from", file.string(), "--data-dir",
                                         cluster[0].data_directory().string(), "--json"}));
    const std::string fresh = text(restored, "new_replica");
    CHECK(fresh != old);
    cluster[0].start();
    CHECK(own_replica(cluster[0]) == fresh);
    REQUIRE(eventually([&] { return knows(cluster[0], "after", "committed"); }));
    cluster.wait_converged();
    // It sees everything, and has no rights but what the other has given to it since; the rest of
    // them is the old replica's.
    CHECK(rights(cluster[0]) == 70);
    CHECK(stock(cluster[0], "lamp", "local_available") <= 40);
    CHECK(stock(cluster[0], "lamp", "available") == 70);
    CHECK(stock(cluster[0], "lamp", "sold") == 30);
    const std::string retire = "/v1/replicas/" + old + "/retire";
    const auto plan =
        cluster[0].http().post(retire, R"({"successor":")" + fresh + R"(","dry_run":true})");
    INFO(plan);
    REQUIRE(plan.status == 200);
    REQUIRE(cluster[0].http().post(retire, R"({"successor":")" + fresh + R"("})").status == 201);
    cluster.wait_converged();
    check_stock(cluster, 70, 30);
    const auto most = stock(cluster[0], "lamp", "local_available");
    CHECK(most + stock(cluster[1], "lamp", "local_available") == 70);
    CHECK(cluster[0].http().put("/v1/reservations/too-many", reservation("lamp", 71)).code() ==
          "insufficient_stock");
    sell(cluster[0], "all", 70);  // waits for what the other has
    cluster.wait_converged();
    check_stock(cluster, 0, 100);
    for (std::size_t i = 0; i < 2; ++i) check_verified(cluster[i]);
  }

  TEST_CASE("yesterday's copy put back by hand, alone: found out, nothing acknowledged is lost") {
    Cluster cluster({"eu", "us"});
    cluster.start_all();
    stock_up(cluster[0], "lamp", 100);
    REQUIRE(cluster[0].http().post("/v1/skus/lamp/grants", R"({"to":"us","quantity":40})").ok());
    cluster.wait_local(1, "lamp", 40);
    sell(cluster[0], "first", 10);
    cluster.wait_converged();
    const std::string old = own_replica(cluster[0]);
    REQUIRE(cluster[0].stop() == 0);
    const fs::path data = cluster[0].data_directory(), copy = cluster[0].directory() / "copy";
    fs::copy(data, copy, fs::copy_options::recursive);
    constexpr std::int64_t kRightsInTheCopy = 50;
    cluster[0].start();
    cluster.wait_joined();
    sell(cluster[0], "lost", 35);
    cluster.wait_converged();
    cluster[0].kill_now();
    fs::rename(data, cluster[0].directory() / "today");
    fs::rename(copy, data);

    cluster[1].pause();  // nobody to ask
    cluster[0].start();
    CHECK(own_replica(cluster[0]) == old);
    sell(cluster[0], "kept", 40);
    CHECK(cluster[0].running());
    for (int i = 0; i < 5; ++i) {  // in a restart loop, say
      REQUIRE(cluster[0].stop() == 0);
      cluster[0].start();
    }
    cluster[1].resume();
    wait_for_fork(cluster[0]);
    CHECK(fs::exists(data / "fork"));

    cluster[0].start();
    const std::string fresh = own_replica(cluster[0]);
    CHECK(fresh != old);
    CHECK_FALSE(fs::exists(data / "fork"));
    CHECK(fs::exists(data / ("fork-" + old) / "store"));
    REQUIRE(eventually([&] { return state_of(cluster[1], old) == "retired"; }, Millis(40'000)));
    cluster.wait_converged();
    for (const char* id : {"first", "lost", "kept"})
      for (std::size_t i = 0; i < 2; ++i) CHECK(knows(cluster[i], id, "committed"));
    // 10 + 35 + 40 of 100: both histories are within what there was.
    check_stock(cluster, 15, 85);
    // What both sold is at most the rights in the copy; here 75 of 50.
    const auto us = stock(cluster[1], "lamp", "local_available");
    CHECK(us <= 40);
    sell(cluster[1], "rest", us);
    cluster.wait_converged();
    const auto seen = cluster[1].http().get("/v1/skus/lamp/stock");
    CHECK(seen.number("/oversold") <= kRightsInTheCopy);
    for (std::size_t i = 0; i < 2; ++i) check_verified(cluster[i]);
  }

  TEST_CASE("a copy of a directory in use: refused, loudly, and it stops as soon as it differs") {
    Cluster cluster({"eu", "us"});
    cluster.start_all();
    stock_up(cluster[0], "lamp", 100);
    cluster.wait_converged();
    REQUIRE(cluster[0].stop() == 0);
    NodeOptions options = cluster[0].options();
    options.name = "eu-2";
    options.peers = {cluster[1].gossip_address()};
    Node clone(cluster.directory() / "clone", options);
    fs::copy(cluster[0].data_directory(), clone.data_directory(), fs::copy_options::recursive);
    cluster[0].start();
    cluster.wait_joined();
    clone.launch();
    REQUIRE(eventually([&] {
      return cluster[1].log().find("another live process has the identity of eu-1") !=
             std::string::npos;
    }));
    sell(cluster[0], "original", 10);
    wait_for_fork(clone);
    CHECK(cluster[0].running());
    // Started again it is a replica of its own, and the original goes on.
    const std::string original = own_replica(cluster[0]);
    clone.start();
    CHECK(own_replica(clone) != original);
    REQUIRE(eventually([&] { return knows(clone, "original", "committed"); }));
    REQUIRE(eventually(
        [&] {
          return clone.log().find("is in use: it goes on beside this one") != std::string::npos;
        },
        Millis(30'000)));
    CHECK(state_of(cluster[1], original) == "live");
    sell(cluster[0], "goes-on", 10);
    // Its home may be the clone, of which both have yet to hear that it was committed.
    for (std::size_t i = 0; i < cluster.size(); ++i)
      CHECK(eventually(
          [&] { return cluster[i].http().get("/v1/skus/lamp/stock").number("/sold") == 20; }));
    cluster.wait_converged();
    check_stock(cluster, 80, 20);
  }

  TEST_CASE("one directory, two processes: the second is refused") {
    TemporaryDirectory directory;
    Node node(directory.path(), NodeOptions{});
    node.start();
    const auto second = holdfast({"serve", "--config", node.config_path().string()});
    CHECK(second.status == 1);
    CHECK(second.output.find("in use by another process") != std::string::npos);
    CHECK(node.http().get("/readyz").status == 200);
  }

  TEST_CASE("restore where something is, or from what is no backup: exit 1, nothing changed") {
    TemporaryDirectory directory;
    Node node(directory.path(), NodeOptions{});
    node.start();
    stock_up(node, "lamp", 5);
    const std::string data = node.data_directory().string();
    const std::string file = (directory.path() / "b.backup").string();
    REQUIRE(holdfast({"backup", "--data-dir", data, "--to", file}).status == 0);
    const auto refused = [&](const std::vector<std::string>& arguments, const std::string& why) {
      const auto finished = holdfast(arguments);
      INFO(finished.output);
      CHECK(finished.status == 1);
      CHECK(finished.output.find(why) != std::string::npos);
    };
    refused({"restore", "--from", file, "--data-dir", data}, "nothing was changed");
    refused({"restore", "--from", file, "--data-dir", directory.path().string()}, "not empty");
    refused({"restore", "--from", file, "--data-dir", file}, "not a directory");
    refused({"backup", "--data-dir", data, "--to", file}, "exists already");
    refused({"backup", "--data-dir", directory.path().string(), "--to", file + "2"}, "no store");
    refused({"verify", "--data-dir", directory.path().string()}, "no store");
    refused({"verify", "--url", "http://127.0.0.1:1"}, "error");
    const std::string bytes = read_file(file);
    const auto bad = [&](const std::string& content, const std::string& why) {
      const fs::path path = directory.path() / "bad.backup";
      std::ofstream(path, std::ios::binary) << content;
      const std::string fresh = (directory.path() / "fresh").string();
      refused({"restore", "--from", path.string(), "--data-dir", fresh}, why);
      CHECK_FALSE(fs::exists(fresh));
    };
    bad(bytes.substr(0, bytes.size() - 1), "not whole");
    bad(bytes.substr(0, bytes.size() / 2), "not whole");
    bad("", "not a backup");
    bad(bytes + "x", "damaged");
    std::string flipped = bytes;
    flipped[flipped.size() / 2] ^= 1;
    bad(flipped, "damaged");
    CHECK(holdfast({"verify"}).status == 2);
    CHECK(holdfast({"restore", "--from", file}).status == 2);
    CHECK(stock(node, "lamp", "on_hand") == 5);
    node.restart();
    CHECK(stock(node, "lamp", "on_hand") == 5);
  }

  TEST_CASE("start_requires_peer: a node alone serves reads, and no writes until a peer is there") {
    Cluster cluster({"eu", "us"});
    cluster.start_all();
    stock_up(cluster[0], "lamp", 10);
    cluster.wait_converged();
    REQUIRE(cluster[0].stop() == 0);
    cluster[1].pause();
    cluster[0].options().arguments = {"--set", "node.start_requires_peer=true"};
    cluster[0].launch();
    REQUIRE(eventually([&] {
      try {
        return cluster[0].http().get("/healthz").status == 200;
      } catch (const NoAnswer&) {
        return false;
      }
    }));
    CHECK(cluster[0].http().get("/readyz").status == 503);
    CHECK(stock(cluster[0], "lamp", "on_hand") == 10);
    const auto refused = cluster[0].http().put("/v1/reservations/r", reservation("lamp", 1));
    CHECK(refused.status == 503);
    CHECK(refused.code() == "awaiting_peer");
    cluster[1].resume();
    cluster[0].wait_ready();
    sell(cluster[0], "r", 1);
  }
}
