// What arrives wrong: bodies, paths, headers, half requests, slow clients, configurations, disks.
// Each is refused with a reason, and the node goes on.

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

Node& node() {
  static TemporaryDirectory directory;
  static Node one(directory.path(), NodeOptions{});
  if (!one.running()) {
    one.start();
    stock_up(one, "good", 1'000'000);
  }
  return one;
}
Client& http() { return node().http(); }

void check_alive() {
  CHECK(node().running());
  CHECK(http().get("/readyz").status == 200);
  CHECK(http().get("/v1/skus/good").status == 200);
}

// Sends raw bytes on a connection of their own. `closed`: the answer said that it was the last, and
// it was: what followed the refused part was not taken for a request.
struct Raw {
  Response response;
  bool closed = false;
};
Raw raw(const std::string& bytes) {
  Connection connection(node().http_port());
  connection.send(bytes);
  Raw result{connection.read_response(), false};
  connection.finish_sending();
  const auto& headers = result.response.headers;
  const auto said = headers.find("connection");
  result.closed =
      said != headers.end() && said->second == "close" && connection.read_to_end().empty();
  return result;
}

void check_refused(const Response& answer, const std::string& field) {
  CAPTURE(answer.body);
  CHECK(answer.status == 400);
  CHECK(answer.code() == "invalid_request");
  CHECK_MESSAGE(answer.body.find(field) != std::string::npos, field);
}

// A serve that must not come up: its exit status and what it said.
Finished serve(Node& unused_ports, const std::vector<std::string>& more = {}) {
  unused_ports.write_config();
  std::vector<std::string> arguments{"serve", "--config", unused_ports.config_path().string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments, Millis(20'000));
}

}  // namespace

TEST_SUITE("process/bad input") {
  TEST_CASE("bodies are refused with the name of the field") {
    struct Case {
      std::string body, field;
    };
    for (const Case& c : std::vector<Case>{
             {"", "lines"},
             {"{", "JSON"},
             {"[]", "object"},
             {"null", "object"},
             {"{}", "lines"},
             {R"({"lines":[]})", "lines"},
             {R"({"lines":{}})", "lines"},
             {R"({"lines":[1]})", "lines[0]"},
             {R"({"lines":[{"sku":"good"}]})", "quantity"},
             {R"({"lines":[{"quantity":1}]})", "sku"},
             {R"({"lines":[{"sku":"","quantity":1}]})", "sku"},
             {R"({"lines":[{"sku":"a b","quantity":1}]})", "sku"},
             {R"({"lines":[{"sku":7,"quantity":1}]})", "sku"},
             {reservation("good", 0), "quantity"},
             {reservation("good", -1), "quantity"},
             {reservation("good", 1'000'000'001), "quantity"},
             {R"({"lines":[{"sku":"good","quantity":1.5}]})", "quantity"},
             {R"({"lines":[{"sku":"good","quantity":1e400}]})", "quantity"},
             {R"({"lines":[{"sku":"good","quantity":18446744073709551617}]})", "quantity"},
             {R"({"lines":[{"sku":"good","quantity":"1"}]})", "quantity"},
             {R"({"lines":[{"sku":"good","quantity":1,"quantity":2}]})", "quantity"},
             {R"({"lines":[{"sku":"good","quantity":1,"colour":2}]})", "colour"},
             {reservation("good", 1, R"("surprise":1)"), "surprise"},
             {reservation("good", 1, R"("ttl_seconds":5,"ttl_seconds":6)"), "ttl_seconds"},
             {reservation("good", 1, R"("ttl_seconds":0)"), "ttl_seconds"},
             {reservation("good", 1, R"("ttl_seconds":"9")"), "ttl_seconds"},
             {reservation("good", 1, R"("wait_ms":-1)"), "wait_ms"},
             {reservation("good", 1, R"("partial":"yes")"), "partial"},
             {reservation("good", 1, R"("metadata":7)"), "metadata"},
             {reservation("good", 1, R"("metadata":{"a":1,"a":2})"), "metadata"},
             {reservation("good", 1, R"("durability":"moon")"), "durability"},
             {"{\"lines\":[{\"sku\":\"good\",\"quantity\":1}],\"metadata\":{\"a\":\"\xff\xfe\"}}",
              "JSON"},
             {std::string(10'000, '['), "JSON"},
             {reservation("good", 1) + "{}", "JSON"}}) {
      CAPTURE(c.body.substr(0, 200));
      check_refused(http().put("/v1/reservations/bad-body", c.body), c.field);
    }
    std::string many = R"({"lines":[)";
    for (int i = 0; i < 4'097; ++i) {
      many += (i > 0 ? "," : "") + (R"({"sku":"s)" + std::to_string(i) + R"(","quantity":1})");
    }
    check_refused(http().put("/v1/reservations/bad-body", many + "]}"), "lines");
    CHECK(http().get("/v1/reservations/bad-body").status == 404);
    CHECK(stock(node(), "good", "held") == 0);
  }

  TEST_CASE("other bodies") {
    check_refused(http().put("/v1/skus/x", R"({"price":5})"), "price");
    check_refused(http().put("/v1/skus/x", R"({"name":5})"), "name");
    check_refused(http().put("/v1/skus/x", R"({"low_stock_threshold":-5})"), "low_stock_threshold");
    check_refused(http().post("/v1/skus/good/receipts", R"({"quantity":0})"), "quantity");
    check_refused(http().post("/v1/skus/good/receipts", "{}"), "quantity");
    check_refused(http().post("/v1/skus/good/adjustments", R"({"delta":0})"), "delta");
    check_refused(http().post("/v1/skus/good/allowances", R"({"delta":"1"})"), "delta");
    check_refused(http().post("/v1/skus/good/grants", R"({"quantity":1})"), "to");
    check_refused(http().post("/v1/reservations/x/release", R"({"now":true})"), "now");
    check_refused(http().put("/v1/faults/links/eu", R"({"loss":2})"), "loss");
    CHECK(http().post("/v1/skus/good/receipts", quantity(1), {{"Idempotency-Key", ""}}).status ==
          400);
    CHECK(http()
              .post("/v1/skus/good/receipts", quantity(1),
                    {{"Idempotency-Key", std::string(1'000, 'k')}})
              .status == 400);
    CHECK(stock(node(), "good", "on_hand") == 1'000'000);
  }

  TEST_CASE("paths and queries") {
    for (const std::string target :
         {"/v1/skus/%", "/v1/skus/%zz", "/v1/skus/a%00b", "/v1/skus/..%2f..%2fetc",
          "/v1/skus/a/b/c", "/v1/skus//stock", "/v1/skus?limit=many", "/v1/skus?limit=-1",
          "/v1/skus?limit=99999999999", "/v1/skus?surprise=1", "/v1/availability?sku=a%20b",
          "/v1/reservations?sku=%01"}) {
      CAPTURE(target);
      const auto answer = http().get(target);
      CHECK(answer.status >= 400);
      CHECK(answer.status < 500);
      CHECK_FALSE(answer.code().empty());
    }
    const auto long_target = http().get("/v1/skus/" + std::string(20'000, 'x'));
    CHECK(long_target.status >= 400);
    CHECK(long_target.status < 500);
    check_alive();
  }

  TEST_CASE("ambiguous framing is refused, and the connection closed") {
    const std::string put = "PUT /v1/reservations/smuggled HTTP/1.1\r\n";
    const std::string host = "Host: 127.0.0.1\r\n";
    const std::string body = reservation("good", 1);
    const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n";
    for (const auto& bytes :
         {put + length + "\r\n" + body,                                      // no host
          put + host + "Host: other\r\n" + length + "\r\n" + body,           // two hosts
          put + host + "X-Folded: a\r\n b\r\n" + length + "\r\n" + body,     // folded
          put + host + "Transfer-Encoding: xchunked\r\n\r\n" + body,         // unknown coding
          put + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",  // two codings
          put + host + "Transfer-Encoding: chunked\r\n" + length + "\r\n0\r\n\r\n",  // both
          put + host + length + "Content-Length: 7\r\n\r\n" + body,                  // two lengths
          put + host + "Content-Length: -5\r\n\r\n" + body,
          put + host + "Content-Length: 5x\r\n\r\n" + body}) {
      CAPTURE(bytes);
      const auto answer = raw(bytes);
      CHECK(answer.response.status == 400);
      CHECK(answer.closed);
    }
    CHECK(http().get("/v1/reservations/smuggled").status == 404);
    check_alive();
  }

  TEST_CASE("well-formed oddities work: chunked bodies, pipelining, 1.0, absolute form") {
    const std::string host = "Host: 127.0.0.1\r\n";
    const std::string body = reservation("good", 1);
    Connection connection(node().http_port());
    char size[16];
    std::snprintf(size, sizeof size, "%zx", body.size());
    connection.send("PUT /v1/reservations/chunked HTTP/1.1\r\n" + host +
                    "Transfer-Encoding: chunked\r\n\r\n" + size + "\r\n" + body + "\r\n0\r\n\r\n");
    CHECK(connection.read_response().status == 201);
    connection.send("GET /v1/skus/good HTTP/1.1\r\n" + host + "\r\nGET /healthz HTTP/1.1\r\n" +
                    host + "\r\nGET /v1/skus/nobody HTTP/1.1\r\n" + host + "\r\n");
    CHECK(connection.read_response().status == 200);
    CHECK(connection.read_response().status == 200);
    CHECK(connection.read_response().status == 404);
    Connection old(node().http_port());
    old.send("GET /healthz HTTP/1.0\r\n" + host + "\r\n");
    CHECK(old.read_response().status == 200);
    CHECK(raw("GET /healthz HTTP/1.1\r\n" + host + "Connection: close\r\n\r\n").closed);
  }

  TEST_CASE("not HTTP at all") {
    for (const std::string& bytes :
         {std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
          std::string("EHLO example.org\r\n\r\n"), std::string(9'000, 'A'),
          std::string("GET / HTTP/9.9\r\n\r\n"), std::string("\r\n\r\n\r\n"),
          "GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + std::string(70'000, 'x')}) {
      Connection connection(node().http_port());
      try {
        connection.send(bytes);
        connection.finish_sending();
        const auto answer = connection.receive(65'536, 3);
        const bool refused = answer.empty() || answer.rfind("HTTP/1.1 4", 0) == 0 ||
                             answer.rfind("HTTP/1.1 5", 0) == 0;
        CHECK_MESSAGE(refused, answer.substr(0, 100));
      } catch (const NoAnswer&) {  // hung up on, or still waiting for more: both will do
      }
    }
    check_alive();
  }

  TEST_CASE("too large is 413, and the refusal can be read") {
    const auto over = http().put("/v1/reservations/large", std::string((1 << 20) + 1, ' '));
    CHECK(over.status == 413);
    CHECK(over.code() == "body_too_large");
    const auto padded =
        http().put("/v1/reservations/padded", reservation("good", 1) + std::string(1'000'000, ' '));
    CHECK(padded.status == 201);
    const auto batch = http().call("POST", "/v1/batch", std::string((16 << 20) + 1, '\n'),
                                   {{"Content-Type", "application/x-ndjson"}});
    CHECK(batch.status == 413);
    const auto claimed = raw(
        "PUT /v1/reservations/claim HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n{");
    CHECK(claimed.response.status == 413);
    CHECK(claimed.closed);
    std::string chunks;
    for (int i = 0; i < 40; ++i) chunks += "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
    const auto chunked = raw(
        "PUT /v1/reservations/chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
        chunks + "0\r\n\r\n");
    CHECK(chunked.response.status == 413);
    check_alive();
  }

  TEST_CASE("half a request changes nothing; slow clients hold nobody up") {
    const std::string half =
        "PUT /v1/reservations/half HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\n{\"lines\":[";
    for (std::size_t bytes = 1; bytes <= half.size(); bytes += 9) {
      Connection connection(node().http_port());
      connection.send(half.substr(0, bytes));
    }
    std::vector<Connection> slow;
    for (int i = 0; i < 300; ++i) {
      slow.emplace_back(node().http_port());
      slow.back().send(half.substr(0, static_cast<std::size_t>(i) % half.size()));
    }
    for (int i = 0; i < 50; ++i) {
      CHECK(http()
                .put("/v1/reservations/brisk-" + std::to_string(i), reservation("good", 1))
                .status == 201);
    }
    CHECK(http().get("/v1/reservations/half").status == 404);
    slow.clear();
    check_alive();
  }

  TEST_CASE("a client that hangs up before its answer") {
    for (int i = 0; i < 100; ++i) {
      Connection connection(node().http_port());
      connection.send("GET /v1/skus?limit=100 HTTP/1.1\r\nHost: h\r\n\r\n");
    }
    check_alive();
  }
}

TEST_SUITE("process/bad configuration") {
  TEST_CASE("a wrong configuration is named, and the node doesn't start") {
    TemporaryDirectory directory;
    Node one(directory.path(), NodeOptions{});
    struct Case {
      std::string setting, named;
    };
    for (const Case& c :
         {Case{"gossip.bogus=1", "gossip.bogus"}, Case{"bogus.key=1", "bogus"},
          Case{"http.threads=0", "http.threads"}, Case{"http.threads=\"two\"", "http.threads"},
          Case{"gossip.secret=short", "gossip.secret"},
          Case{"http.listen=0.0.0.0:1", "http.listen"}, Case{"http.listen=nonsense", "http.listen"},
          Case{"node.region=a b", "node.region"},
          Case{"gossip.heartbeat_ms=1", "gossip.heartbeat_ms"}, Case{"nothing", "nothing"}}) {
      CAPTURE(c.setting);
      const auto result = serve(one, {"--set", c.setting});
      CHECK(result.status >= 1);
      CHECK(result.status <= 2);
      CHECK_MESSAGE(result.output.find(c.named) != std::string::npos, result.output);
    }
    const auto missing = run({"serve", "--config", "/nonexistent/node.toml"}, Millis(20'000));
    CHECK(missing.status >= 1);
    CHECK(missing.output.find("/nonexistent/node.toml") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(one.data_directory()));
  }

  TEST_CASE("usage: help is 0, a wrong word is 2") {
    CHECK(run({"--help"}, Millis(20'000)).status == 0);
    CHECK(run({"serve", "--help"}, Millis(20'000)).status == 0);
    CHECK(run({"dance"}, Millis(20'000)).status == 2);
    CHECK(run({"serve"}, Millis(20'000)).status == 2);
    CHECK(run({"serve", "--config"}, Millis(20'000)).status == 2);
  }

  TEST_CASE("one data directory, one node; one port, one node") {
    TemporaryDirectory directory;
    Node first(directory.path() / "first", NodeOptions{});
    first.start();
    Node second(directory.path() / "second", NodeOptions{});
    const auto shared =
        serve(second, {"--set", "node.data_dir=" + first.data_directory().string()});
    CHECK(shared.status == 1);
    CHECK_MESSAGE(shared.output.find(first.data_directory().string()) != std::string::npos,
                  shared.output);
    const auto port = std::to_string(first.http_port());
    const auto taken = serve(second, {"--set", "http.listen=127.0.0.1:" + port});
    CHECK(taken.status == 1);
    CHECK_MESSAGE(taken.output.find(port) != std::string::npos, taken.output);
    CHECK(first.http().get("/readyz").status == 200);
    CHECK(first.stop() == 0);
  }

  TEST_CASE("nodes with another secret or of another cluster don't join, and say so") {
    TemporaryDirectory directory;
    Node home(directory.path() / "home", NodeOptions{.region = "eu", .name = "home"});
    NodeOptions stranger{.region = "us", .name = "stranger"};
    stranger.secret = "another secret, also long enough";
    stranger.peers = {home.gossip_address()};
    Node with_other_secret(directory.path() / "stranger", stranger);
    NodeOptions foreigner{.region = "ap", .name = "foreigner"};
    foreigner.cluster = "another-cluster";
    foreigner.peers = {home.gossip_address()};
    Node of_other_cluster(directory.path() / "foreigner", foreigner);
    home.start();
    with_other_secret.start();
    of_other_cluster.start();
    stock_up(home, "private", 5);
    CHECK(eventually([&] {
      return (with_other_secret.log() + home.log()).find("secret") != std::string::npos;
    }));
    CHECK(eventually([&] {
      return (of_other_cluster.log() + home.log()).find("cluster") != std::string::npos;
    }));
    CHECK(home.log().find("a secret of the process tests") == std::string::npos);
    for (Node* other : {&with_other_secret, &of_other_cluster}) {
      CHECK(reachable_nodes(*other) == 1);
      CHECK(other->http().get("/v1/skus/private").status == 404);
    }
    CHECK(reachable_nodes(home) == 1);
  }

  TEST_CASE("a full disk: writes are refused with 507, reads go on, nothing is lost") {
    TemporaryDirectory directory;
    Node one(directory.path(), NodeOptions{});
    one.start();
    stock_up(one, "disk", 5);
    REQUIRE(one.http().put("/v1/reservations/before", reservation("disk", 1)).status == 201);
    REQUIRE(one.stop() == 0);
    one.options().arguments = {"--set", "store.min_free_bytes=1000000000000000000"};
    one.launch();
    REQUIRE(eventually([&] {
      try {
        return one.http().get("/healthz").status == 200 &&
               one.http().get("/v1/skus/disk").status == 200;
      } catch (const NoAnswer&) {
        return false;
      }
    }));
    const auto refused = one.http().put("/v1/reservations/during", reservation("disk", 1));
    CHECK(refused.status == 507);
    CHECK(refused.code() == "storage_full");
    CHECK(one.http().put("/v1/skus/another", "{}").status == 507);
    CHECK(one.http().post("/v1/skus/disk/receipts", quantity(1)).status == 507);
    CHECK(one.http().get("/v1/reservations/before").text("/state") == "held");
    CHECK(stock(one, "disk", "held") == 1);
    CHECK(one.stop() == 0);
    one.options().arguments.clear();
    one.start();
    CHECK(one.http().get("/v1/reservations/during").status == 404);
    CHECK(one.http().put("/v1/reservations/during", reservation("disk", 4)).status == 201);
    CHECK(stock(one, "disk", "available") == 0);
  }
}
