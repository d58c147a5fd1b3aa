#include "gossip/ws_transport.h"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

namespace holdfast::gossip {
namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 15s;

// A transport and everything that it has told.
class Node {
 public:
  explicit Node(WsTransportOptions options = {.listen = "127.0.0.1:0"}) {
    auto started = WsTransport::start(options, [this](std::vector<NetEvent>&& events) {
      const std::lock_guard lock(mutex_);
      for (NetEvent& event : events) record(std::move(event));
      changed_.notify_all();
    });
    REQUIRE(started.ok());
    transport = *std::move(started);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(transport->port()); }

  template <typename Condition>
  bool wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return condition(*this); });
  }
  bool wait_up(std::size_t count) {
    return wait([&](const Node& node) { return node.ups.size() >= count; });
  }
  bool wait_down(std::size_t count) {
    return wait([&](const Node& node) { return node.downs.size() >= count; });
  }
  bool wait_frames(std::size_t count) {
    return wait([&](const Node& node) { return node.frames.size() >= count; });
  }
  std::size_t frame_count() {
    const std::lock_guard lock(mutex_);
    return frames.size();
  }

  std::vector<LinkUp> ups;
  std::vector<LinkDown> downs;
  std::vector<FrameIn> frames;
  std::vector<Resolved> resolved;
  std::size_t bytes_sent = 0;
  bool consume = true;  // set before the first frame
  std::unique_ptr<WsTransport> transport;

 private:
  void record(NetEvent&& event) {
    if (auto* up = std::get_if<LinkUp>(&event)) ups.push_back(std::move(*up));
    if (auto* down = std::get_if<LinkDown>(&event)) downs.push_back(std::move(*down));
    if (auto* found = std::get_if<Resolved>(&event)) resolved.push_back(std::move(*found));
    if (auto* sent = std::get_if<FramesSent>(&event)) bytes_sent += sent->bytes;
    if (auto* frame = std::get_if<FrameIn>(&event)) {
      if (consume) transport->consumed(frame->link, 1);
      frames.push_back(std::move(*frame));
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
};

FrameBytes frame(std::string bytes) {
  return std::make_shared<const std::string>(std::move(bytes));
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A client that knows nothing of websockets. Reads are bounded by the socket's timeout.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience{.tv_sec = 15, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~RawClient() { ::close(socket_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  void write(const std::string& bytes) {
    (void)::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  std::string read_some() {
    char bytes[4096];
    const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : "";
  }
  // True once the other side has closed, within the timeout.
  bool sees_end() {
    char bytes[4096];
    for (;;) {
      const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
      if (got == 0) return true;
      if (got < 0) return errno == ECONNRESET;
    }
  }
  void upgrade(const std::string& target = "/gossip/v1") {
    write("GET " + target +
          " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n");
  }
  // A masked frame with an all-zero mask.
  void write_frame(unsigned char first_byte, const std::string& payload) {
    REQUIRE(payload.size() < 126);
    std::string bytes{static_cast<char>(first_byte), static_cast<char>(0x80 | payload.size())};
    write(bytes + std::string(4, '\0') + payload);
  }

 private:
  int socket_;
};

}  // namespace

TEST_CASE("two transports carry frames whole and in order, both ways") {
  Node a, b;
  a.transport->dial(b.address());
  REQUIRE(a.wait_up(1));
  REQUIRE(b.wait_up(1));
  CHECK(a.ups[0].address == b.address());
  CHECK(b.ups[0].address.empty());
  CHECK(a.ups[0].nonce.size() == 32);
  CHECK(a.ups[0].nonce != b.ups[0].nonce);

  std::size_t bytes = 0;
  for (int i = 0; i < 500; ++i) {
    const std::string text = std::to_string(i) + std::string(static_cast<std::size_t>(i) * 7, 'x');
    bytes += text.size();
    a.transport->send(a.ups[0].link, frame(text));
    b.transport->send(b.ups[0].link, frame(text));
  }
  const std::string largest(kFrameBytesMax, 'L');
  a.transport->send(a.ups[0].link, frame(largest));
  REQUIRE(b.wait_frames(501));
  REQUIRE(a.wait_frames(500));
  for (std::size_t i = 0; i < 500; ++i) {
    const std::string text = std::to_string(i) + std::string(i * 7, 'x');
    CHECK(b.frames[i].bytes == text);
    CHECK(a.frames[i].bytes == text);
  }
  CHECK((b.frames[500].bytes == largest));
  CHECK(a.wait([&](const Node& node) { return node.bytes_sent == bytes + largest.size(); }));
}

TEST_CASE("a closed link writes what is queued, then both sides are told why") {
  Node a, b;
  a.transport->dial(b.address());
  REQUIRE(a.wait_up(1));
  REQUIRE(b.wait_up(1));
  const LinkId link = a.ups[0].link;
  for (int i = 0; i < 50; ++i) a.transport->send(link, frame(std::string(100'000, 'q')));
  a.transport->close(link, "had enough");
  a.transport->send(link, frame("too late"));
  REQUIRE(a.wait_down(1));
  REQUIRE(b.wait_down(1));
  CHECK(b.frames.size() == 50);
  CHECK(a.downs[0].link == link);
  CHECK(a.downs[0].address == b.address());
  CHECK(a.downs[0].reason == "had enough");
  CHECK(contains(b.downs[0].reason, "had enough"));
  a.transport->close(link, "again");
  a.transport->consumed(link, 1);
}

TEST_CASE("closing ends within its time although the peer does not answer") {
  Node node;
  RawClient client(node.transport->port());
  client.upgrade();
  REQUIRE(node.wait_up(1));
  const auto before = std::chrono::steady_clock::now();
  node.transport->close(node.ups[0].link, "silence");
  REQUIRE(node.wait_down(1));
  CHECK(std::chrono::steady_clock::now() - before < 5s);
  CHECK(node.downs[0].reason == "silence");
}

TEST_CASE("a dial to nowhere ends in one LinkDown without a link") {
  Node node;
  std::string nowhere;
  {
    Node gone;
    nowhere = gone.address();
  }
  node.transport->dial(nowhere);
  node.transport->dial("no port here");
  node.transport->dial("127.0.0.1:99999");
  REQUIRE(node.wait_down(3));
  for (const LinkDown& down : node.downs) {
    CHECK(down.link == 0);
    CHECK(!down.reason.empty());
  }
  CHECK(node.ups.empty());
}

TEST_CASE("a name is resolved to addresses; one that is none, to nothing") {
  Node node;
  node.transport->resolve("localhost:7940");
  node.transport->resolve("no-such-host.invalid:7940");
  node.transport->resolve("no port here");
  REQUIRE(node.wait([](const Node& on) { return on.resolved.size() == 3; }));
  for (const Resolved& resolved : node.resolved) {
    if (resolved.name != "localhost:7940") {
      CHECK(resolved.addresses.empty());
      continue;
    }
    REQUIRE(!resolved.addresses.empty());
    for (const std::string& address : resolved.addresses)
      CHECK((address == "127.0.0.1:7940" || address == "[::1]:7940"));
  }
}

TEST_CASE("a dial to a port that never answers ends in time") {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  Node node;
  node.transport->dial("127.0.0.1:" + std::to_string(ntohs(address.sin_port)));
  CHECK(node.wait_down(1));
  CHECK(node.ups.empty());
  ::close(listener);
}

TEST_CASE("garbage and other targets are turned away, and the port goes on") {
  Node node;
  {
    RawClient garbage(node.transport->port());
    garbage.write(std::string("\x16\x03\x01\x00\xff\r\n\r\n", 9));
    CHECK(garbage.sees_end());
    RawClient endless(node.transport->port());
    endless.write("GET / HTTP/1.1\r\nX: " + std::string(100'000, 'a'));
    CHECK(endless.sees_end());
    RawClient plain(node.transport->port());
    plain.write("GET /gossip/v1 HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(contains(plain.read_some(), "404"));
    RawClient elsewhere(node.transport->port());
    elsewhere.upgrade("/other");
    CHECK(contains(elsewhere.read_some(), "404"));
    CHECK(elsewhere.sees_end());
    RawClient hasty(node.transport->port());
    hasty.write(
        "GET /gossip/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\nfoo");
    CHECK(contains(hasty.read_some(), "404"));
  }
  Node other;
  other.transport->dial(node.address());
  REQUIRE(node.wait_up(1));
  CHECK(node.ups.size() == 1);
  CHECK(node.downs.empty());
}

TEST_CASE("frames that break the rules end the link") {
  Node node;
  RawClient client(node.transport->port());
  client.upgrade();
  REQUIRE(contains(client.read_some(), "101"));
  REQUIRE(node.wait_up(1));
  std::string expected;
  SUBCASE("a claim of more than a frame may measure") {
    client.write(std::string("\x82\xff\x00\x00\x00\x7f\xff\xff\xff\xff\x00\x00\x00\x00", 14));
    expected = "a frame of more than";
  }
  SUBCASE("text") {
    client.write_frame(0x81, "hello");
    expected = "text";
  }
  SUBCASE("not masked") { client.write(std::string("\x82\x01x", 3)); }
  SUBCASE("an unknown kind") { client.write_frame(0x8f, "x"); }
  SUBCASE("a close frame") {
    client.write_frame(0x88, "");
    expected = "closed by the peer";
  }
  REQUIRE(node.wait_down(1));
  CHECK(node.downs[0].link == node.ups[0].link);
  INFO(node.downs[0].reason);
  CHECK(contains(node.downs[0].reason, expected));
  CHECK(node.frames.empty());
}

TEST_CASE("a message in pieces is one frame; a good frame before a bad one arrives") {
  Node node;
  RawClient client(node.transport->port());
  client.upgrade();
  REQUIRE(node.wait_up(1));
  client.write_frame(0x02, "one ");
  client.write_frame(0x89, "ping");
  client.write_frame(0x80, "frame");
  REQUIRE(node.wait_frames(1));
  CHECK(node.frames[0].bytes == "one frame");
}

TEST_CASE("frames wait at the sender until the receiver has taken what it has") {
  Node a, b;
  b.consume = false;
  a.transport->dial(b.address());
  REQUIRE(a.wait_up(1));
  REQUIRE(b.wait_up(1));
  for (std::size_t i = 0; i < 3 * kFramesUnread; ++i) {
    a.transport->send(a.ups[0].link, frame(std::string(1024, 'f')));
  }
  // All are sent (the last 64 KiB are told with something else); of those no more than
  // kFramesUnread may be handed over.
  REQUIRE(b.wait_frames(kFramesUnread));
  REQUIRE(a.wait([](const Node& node) {
    return node.bytes_sent >= 3 * kFramesUnread * 1024 - (64u << 10);
  }));
  // A second link's frame comes through after all of that: the first link has really paused.
  Node c;
  c.transport->dial(b.address());
  REQUIRE(c.wait_up(1));
  c.transport->send(c.ups[0].link, frame("from c"));
  REQUIRE(b.wait_frames(kFramesUnread + 1));
  CHECK(b.frame_count() == kFramesUnread + 1);
  const LinkId link = b.ups[0].link;
  b.transport->consumed(link, 10);
  REQUIRE(b.wait_frames(kFramesUnread + 11));
  b.transport->consumed(link, kFramesUnread);
  b.transport->consumed(link, kFramesUnread);
  REQUIRE(b.wait_frames(2 * kFramesUnread + 11));
}

TEST_CASE("a peer that does not read is cut off when its queue is full") {
  Node node({.listen = "127.0.0.1:0", .queue_bytes_max = 16u << 20});
  RawClient client(node.transport->port());
  client.upgrade();
  REQUIRE(node.wait_up(1));
  const FrameBytes big = frame(std::string(1u << 20, 'b'));
  for (int i = 0; i < 40; ++i) node.transport->send(node.ups[0].link, big);
  REQUIRE(node.wait_down(1));
  CHECK(contains(node.downs[0].reason, "peer too slow"));
}

TEST_CASE("no more than accept_max inbound links") {
  Node node({.listen = "127.0.0.1:0", .accept_max = 2});
  RawClient first(node.transport->port());
  RawClient second(node.transport->port());
  first.upgrade();
  second.upgrade();
  REQUIRE(node.wait_up(2));
  {
    RawClient third(node.transport->port());
    CHECK(third.sees_end());
  }
  node.transport->close(node.ups[0].link, "make room");
  REQUIRE(node.wait_down(1));
  RawClient fourth(node.transport->port());
  fourth.upgrade();
  CHECK(node.wait_up(3));
}

TEST_CASE("connections that never speak do not fill the port") {
  Node node;
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 100; ++i)
    silent.push_back(std::make_unique<RawClient>(node.transport->port()));
  {
    RawClient refused(node.transport->port());
    CHECK(refused.sees_end());
  }
  CHECK(silent.front()->sees_end());  // after the handshake's 5 s
  RawClient late(node.transport->port());
  late.upgrade();
  CHECK(node.wait_up(1));
}

TEST_CASE("stop tells the links' end, and ends while dials are under way") {
  Node a, b;
  a.transport->dial(b.address());
  REQUIRE(a.wait_up(1));
  a.transport->dial(b.address());
  a.transport->dial("127.0.0.1:1");
  a.transport->stop();
  CHECK(a.downs.size() >= 1);
  const std::size_t told = a.downs.size();
  a.transport->dial(b.address());
  a.transport->send(a.ups[0].link, frame("late"));
  a.transport->stop();
  CHECK(a.downs.size() == told);
  CHECK(b.wait_down(1));
}

TEST_CASE("addresses that cannot be listened on are named") {
  Node node;
  const auto ignore = [](std::vector<NetEvent>&&) {};
  CHECK(absl::IsUnavailable(WsTransport::start({.listen = node.address()}, ignore).status()));
  CHECK(absl::IsInvalidArgument(WsTransport::start({.listen = "7940"}, ignore).status()));
  CHECK(absl::IsInvalidArgument(WsTransport::start({.listen = ""}, ignore).status()));
}

}  // namespace holdfast::gossip
