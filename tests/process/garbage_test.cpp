// Bytes at the gossip port that no node would send: that session ends, nothing changes, and the
// node goes on, in memory that stays bounded.

#include <random>

#include <doctest/doctest.h>

#include "tests/process/support/cluster.h"

using namespace process;

namespace {

constexpr std::size_t kMebi = 1 << 20;

struct Pair {
  Cluster cluster{{"eu", "us"}};
  std::string digest;
  std::size_t resident = 0;

  Pair() {
    cluster.start_all();
    stock_up(cluster[0], "calm", 10);
    REQUIRE(cluster[0].http().put("/v1/reservations/calm-1", reservation("calm", 3)).status == 201);
    cluster.wait_converged();
    resident = cluster[0].resident_bytes();
  }

  int port() { return cluster[0].gossip_port(); }

  void check_unharmed() {
    CHECK(cluster[0].running());
    CHECK(cluster[0].http().get("/readyz").status == 200);
    CHECK(stock(cluster[0], "calm", "held") == 3);
    CHECK(cluster[0].resident_bytes() < resident + 200 * kMebi);
    // The link between the two still carries.
    static int number = 0;
    const std::string id = "/v1/reservations/after-" + std::to_string(++number);
    stock_up(cluster[1], "other", 1);
    CHECK(cluster[1].http().put(id, reservation("other", 1)).status == 201);
    CHECK(eventually([&] { return cluster[0].http().get(id).status == 200; }));
    CHECK(cluster[0].http().call("POST", id + "/release").status == 200);
    cluster.wait_converged();
  }
};

std::string upgrade(const std::string& target) {
  return "GET " + target +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
}

// A websocket frame from a client (masked with zeros, so that the bytes stay readable).
std::string frame(int opcode, const std::string& payload, bool last = true,
                  std::optional<std::uint64_t> claimed = {}) {
  std::string bytes;
  bytes.push_back(static_cast<char>((last ? 0x80 : 0) | opcode));
  const std::uint64_t size = claimed.value_or(payload.size());
  if (size < 126) {
    bytes.push_back(static_cast<char>(0x80 | size));
  } else {
    bytes.push_back(static_cast<char>(0x80 | 127));
    for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  }
  return bytes + std::string(4, '\0') + payload;
}

// Sends, ignoring that the node may hang up in the middle; true once it has hung up.
bool sent_and_closed(Connection& connection, const std::string& bytes) {
  try {
    connection.send(bytes);
    for (int i = 0; i < 200; ++i) {
      if (connection.receive(65'536, 12).empty()) return true;
    }
    return false;
  } catch (const NoAnswer& error) {
    return std::string(error.what()).find("in time") == std::string::npos;
  }
}

// A connection on which the websocket handshake has been made; closed if the node refused it.
Connection websocket(int port) {
  try {
    Connection connection(port);
    connection.send(upgrade("/gossip/v1"));
    if (connection.read_response(12).status == 101) return connection;
  } catch (const NoAnswer&) {
  }
  return {};
}

std::string noise(std::mt19937& random, std::size_t size) {
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

}  // namespace

TEST_SUITE("process/garbage") {
  TEST_CASE_FIXTURE(Pair, "noise instead of a handshake") {
    std::mt19937 random(7);
    for (int round = 0; round < 60; ++round) {
      Connection connection(port());
      try {
        connection.send(noise(random, 1 + random() % 5'000));
      } catch (const NoAnswer&) {
      }
    }
    Connection http(port());
    http.send("GET /v1/skus HTTP/1.1\r\nHost: h\r\n\r\n");
    try {
      const auto answer = http.receive(65'536, 3);
      CHECK(answer.rfind("HTTP/1.1 2", 0) == std::string::npos);
    } catch (const NoAnswer&) {
    }
    Connection endless(port());
    CHECK(sent_and_closed(endless, "GET / HTTP/1.1\r\nX: " + std::string(2 * kMebi, 'x')));
    check_unharmed();
  }

  TEST_CASE_FIXTURE(Pair, "silent connections") {
    std::vector<Connection> silent;
    for (int i = 0; i < 200; ++i) silent.emplace_back(port());
    for (int i = 0; i < 20; ++i) {
      auto upgraded = websocket(port());
      if (upgraded.open()) silent.push_back(std::move(upgraded));
    }
    check_unharmed();
  }

  TEST_CASE_FIXTURE(Pair, "a handshake, then frames that mean nothing") {
    std::mt19937 random(11);
    int upgraded = 0;
    for (int round = 0; round < 60; ++round) {
      auto connection = websocket(port());
      if (!connection.open()) continue;
      ++upgraded;
      std::string bytes;
      for (int n = 0; n < 4; ++n) bytes += frame(2, noise(random, random() % 3'000));
      CHECK(sent_and_closed(connection, bytes));
    }
    CHECK(upgraded > 0);
    check_unharmed();
  }

  TEST_CASE_FIXTURE(Pair, "broken websocket frames") {
    for (const auto& bytes : std::vector<std::string>{
             frame(2, "", true, std::uint64_t{1} << 62),  // claims exabytes
             frame(2, "abc", true, 64 * kMebi),           // more than any frame may have
             frame(1, "text"),                            // no such thing here
             frame(2, ""),                                // empty
             frame(3, "reserved"), frame(0, "continues nothing"),
             frame(9, std::string(126, 'p')),              // a ping that is too long
             std::string("\x82\x05hello", 7),              // not masked
             std::string("\xf2\x85\0\0\0\0hello", 11)}) {  // reserved bits
      auto connection = websocket(port());
      REQUIRE(connection.open());
      connection.send(bytes + frame(2, std::string(64, 'z')));
      connection.close();
    }
    auto endless = websocket(port());  // one message in fragments without end
    REQUIRE(endless.open());
    std::string fragments = frame(2, std::string(60'000, 'f'), false);
    for (int i = 0; i < 300; ++i) fragments += frame(0, std::string(60'000, 'f'), false);
    CHECK(sent_and_closed(endless, fragments));
    check_unharmed();
  }

  TEST_CASE_FIXTURE(Pair, "what a peer said, cut off and said again") {
    // The node speaks first or answers our noise: whatever it says is sent back, whole, cut and
    // twice.
    auto listener = websocket(port());
    REQUIRE(listener.open());
    std::string said;
    try {
      said = listener.receive(65'536, 3);
    } catch (const NoAnswer&) {
    }
    for (std::size_t cut : {said.size(), said.size() / 2, std::size_t{3}}) {
      auto connection = websocket(port());
      REQUIRE(connection.open());
      std::string echo = said.size() > 2 ? said.substr(2, cut) : std::string("?");
      try {
        connection.send(frame(2, echo) + frame(2, echo));
      } catch (const NoAnswer&) {
      }
    }
    check_unharmed();
  }
}
