// Nodes that leave a region in good order, under load: real processes, and clients that go to
// another node only if a connection is refused.

#include <doctest/doctest.h>

#include <atomic>
#include <vector>

#include "tests/process/support/buyer.h"
#include "tests/process/support/cluster.h"

using namespace process;

namespace {

struct Region {
  explicit Region(const std::vector<std::string>& names) {
    std::vector<std::string> peers;
    for (const std::string& name : names) {
      NodeOptions options{.region = name.substr(0, 2), .name = name, .peers = peers};
      nodes.push_back(std::make_unique<Node>(directory.path() / name, options));
      peers.push_back(nodes.back()->gossip_address());
      nodes.back()->start();
    }
    for (auto& node : nodes)
      REQUIRE(eventually([&] { return reachable_nodes(*node) == names.size(); }));
  }
  Node& operator[](std::size_t i) { return *nodes[i]; }
  std::string drain(std::size_t node, const std::string& body = "{}") {
    const Response answer = nodes[node]->http().post("/v1/cluster/drain", body);
    return answer.ok() ? answer.text("/state") : answer.code();
  }
  Finished drain_to_its_end(std::size_t node, const std::vector<std::string>& options = {}) {
    std::vector<std::string> command = {
        "cluster", "drain", "--url",
        "http://127.0.0.1:" + std::to_string(nodes[node]->http_port())};
    command.insert(command.end(), options.begin(), options.end());
    return run(command, Millis(60'000));
  }
  bool same_rows(std::size_t a, std::size_t b) {
    return eventually([&] {
      return nodes[a]->http().get("/v1/cluster").text("/digest") ==
             nodes[b]->http().get("/v1/cluster").text("/digest");
    });
  }

  TemporaryDirectory directory;
  std::vector<std::unique_ptr<Node>> nodes;
};

}  // namespace

TEST_SUITE("process/drain") {
  TEST_CASE("a node that joins under load, with one peer's address: no request fails there") {
    Region all({"eu-1", "us-1"});
    for (int i = 0; i < 10; ++i) stock_up(all[0], "s" + std::to_string(i), 100'000);
    std::atomic<bool> stop = false;
    Buyer before({.name = "before", .ports = {all[0].http_port()}}, stop);
    all.nodes.push_back(std::make_unique<Node>(
        all.directory.path() / "eu-2",
        NodeOptions{.region = "eu", .name = "eu-2", .peers = {all[0].gossip_address()}}));
    Node& joined = *all.nodes.back();
    joined.start();
    REQUIRE(eventually([&] {  // membership and catalogue come by gossip
      return reachable_nodes(joined) == 3 &&
             joined.http().get("/v1/skus?limit=100").at("/items").as_array().size() == 10;
    }));
    Buyer after({.name = "after", .ports = {joined.http_port()}}, stop);
    CHECK(eventually([&] { return stock(joined, "s1", "sold") > 40; }));
    stop = true;
    before.join();
    after.join();
    CHECK(before.failed() == "");
    CHECK(after.failed() == "");
    CHECK(after.sold() > 0);
    REQUIRE(all.same_rows(0, 2));
    std::int64_t sold = 0;
    for (int i = 0; i < 10; ++i) sold += stock(joined, "s" + std::to_string(i), "sold");
    CHECK(sold == before.sold() + after.sold());
  }

  TEST_CASE("under load no request fails, and nothing is lost or owed") {
    Region all({"eu-1", "eu-2", "us-1"});
    for (int i = 0; i < 10; ++i) stock_up(all[0], "s" + std::to_string(i), 100'000);
    REQUIRE(all.same_rows(0, 1));
    for (const std::string id : {"kept-1", "kept-2"})
      REQUIRE(all[0].http().put("/v1/reservations/" + id, reservation("s1", 7)).status == 201);

    std::atomic<bool> stop = false;
    std::vector<std::unique_ptr<Buyer>> buyers;
    for (int i = 0; i < 6; ++i) {
      std::vector<int> ports{all[0].http_port(), all[1].http_port()};
      if (i % 3 == 2) std::swap(ports[0], ports[1]);
      buyers.push_back(std::make_unique<Buyer>(
          BuyerOptions{.name = "b" + std::to_string(i), .ports = ports}, stop));
    }
    REQUIRE(eventually([&] { return stock(all[0], "s1", "sold") > 20; }));
    const Finished drained = all.drain_to_its_end(0);
    const auto until_more = [&](std::size_t node) {
      const auto before = stock(all[node], "s1", "sold");
      return eventually([&] { return stock(all[node], "s1", "sold") > before + 20; });
    };
    CHECK(until_more(1));
    stop = true;
    int sold = 0;
    for (auto& buyer : buyers) {
      buyer->join();
      CHECK(buyer->failed() == "");
      sold += buyer->sold();
    }
    CHECK(drained.status == 0);
    CHECK(drained.output.find("eu-1 has left; eu-2 goes on") != std::string::npos);
    CHECK(eventually([&] { return !all[0].running(); }));
    CHECK(all[0].log().find("this node was drained: 'eu-2' goes on") != std::string::npos);

    CHECK(all[2].http().post("/v1/reservations/kept-1/commit").status == 200);
    CHECK(all[1].http().post("/v1/reservations/kept-2/release").status == 200);
    REQUIRE(all.same_rows(1, 2));
    for (const std::size_t node : {1, 2}) {
      std::int64_t on_hand = 0, told = 0, available = 0;
      for (int i = 0; i < 10; ++i) {
        const std::string sku = "s" + std::to_string(i);
        on_hand += stock(all[node], sku, "on_hand");
        told += stock(all[node], sku, "sold");
        available += stock(all[node], sku, "available");
        CHECK(stock(all[node], sku, "held") == 0);
      }
      CHECK(told == sold + 7);
      CHECK(on_hand == 1'000'000 - sold - 7);
      CHECK(available == on_hand);
      const Response view = all[node].http().get("/v1/cluster");
      for (const char* name : {"/exposure", "/debt", "/oversold", "/stranded"})
        CHECK(view.number(name) == 0);
    }
  }

  TEST_CASE("open holds may end first; it can be cancelled; and what is refused changes nothing") {
    Region all({"eu-1", "eu-2", "us-1"});
    stock_up(all[0], "a", 100);
    REQUIRE(all[0].http().put("/v1/reservations/r", reservation("a", 5)).status == 201);
    CHECK(all.drain(2) == "last_of_region");
    CHECK(all.drain(0, R"({"successor":"us-1"})") == "successor_not_live");
    CHECK(all.drain(0, R"({"successor":"eu-1"})") == "successor_not_live");
    CHECK(all.drain(0, R"({"successor":"nobody"})") == "successor_not_live");
    CHECK(all.drain(0, R"({"wait_seconds":-1})") == "invalid_request");
    CHECK(all.drain(0, R"({"force":true})") == "invalid_request");
    CHECK(all[0].http().get("/v1/cluster/drain").text("/state") == "none");
    CHECK(stock(all[0], "a", "local_available") == 95);

    CHECK(all.drain(0, R"({"wait_seconds":3600})") == "handing_over");
    CHECK(eventually([&] {
      return all[0].http().get("/v1/cluster/drain").text("/state") == "waiting_for_holds";
    }));
    CHECK(all.drain(0, R"({"successor":"eu-1"})") == "successor_not_live");
    CHECK(all[0].http().get("/readyz").status == 503);
    CHECK(eventually([&] { return stock(all[1], "a", "local_available") == 95; }));
    // A new one is the successor's, though it was asked for here.
    const Response passed_on = all[0].http().put("/v1/reservations/n", reservation("a", 1));
    CHECK(passed_on.status == 201);
    CHECK(passed_on.text("/home_node") == "eu-2");
    CHECK(all[0].http().call("DELETE", "/v1/cluster/drain").text("/state") == "none");
    CHECK(all[0].http().get("/readyz").status == 200);
    CHECK(all[0].http().call("DELETE", "/v1/cluster/drain").text("/state") == "none");

    CHECK(all.drain(0, R"({"wait_seconds":3600})") != "");
    CHECK(all[0].running());
    CHECK(all[0].http().post("/v1/reservations/r/commit").status == 200);
    CHECK(eventually([&] { return !all[0].running(); }));
    CHECK(all.drain(1) == "last_of_region");
    CHECK(stock(all[1], "a", "sold") == 5);
    CHECK(stock(all[1], "a", "available") == 94);
  }

  TEST_CASE("its successor is killed just before it leaves: it serves on, and leaves in the end") {
    Region all({"eu-1", "eu-2"});
    stock_up(all[0], "a", 100);
    CHECK(all.drain(0) == "handing_over");
    const auto logged = [&](const char* what) {
      return all[0].log().find(what) != std::string::npos;
    };
    CHECK(eventually([&] { return logged("leaving"); }));
    all[1].kill_now();  // within the second in which clients are heard out
    // Or it had left before that, and waits for its successor, which has nobody else to go on.
    REQUIRE(eventually([&] { return logged("it serves on") || logged("leaving: waits"); },
                       Millis(30'000)));
    if (logged("it serves on")) {
      all[0].http().hang_up();
      REQUIRE(eventually([&] {
        const std::string log = all[0].log();
        return log.rfind("HTTP on") > log.find("serves on");
      }));
      CHECK(all[0].http().post("/v1/skus/a/receipts", quantity(5)).ok());
      CHECK(all[0].http().put("/v1/reservations/r", reservation("a", 5)).status == 201);
    }
    all[1].start();
    CHECK(eventually([&] { return !all[0].running(); }, Millis(40'000)));
    CHECK(eventually([&] { return stock(all[1], "a", "local_available") == 100; }));
  }

  TEST_CASE("killed while it leaves: started again, it comes to its end") {
    Region all({"eu-1", "eu-2"});
    stock_up(all[0], "a", 100);
    REQUIRE(all[0].http().put("/v1/reservations/r", reservation("a", 5)).status == 201);
    all[1].pause();  // nobody takes what is given
    CHECK(all.drain(0) == "handing_over");
    all[0].kill_now();
    all[1].resume();
    all[0].start();
    CHECK(all[0].http().get("/v1/cluster/drain").text("/state") == "none");
    CHECK(all.drain_to_its_end(0).status == 0);
    CHECK(all[1].http().post("/v1/reservations/r/commit").status == 200);
    CHECK(eventually([&] { return stock(all[1], "a", "available") == 95; }));
  }
}
