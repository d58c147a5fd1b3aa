// The HTTP edge: raw bytes over loopback against a node that is scripted here. Waits are for
// something to happen, and bounded; nothing is asserted about how fast it is.
#include "api/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace holdfast::api {
namespace {

using std::chrono::milliseconds;

constexpr int kWaitMs = 20'000;
constexpr std::size_t kMiB = 1 << 20;

// ── a client ──

struct Answer {
  int status = 0;  // 0: none came
  std::string head, body;
  bool says(std::string_view text) const { return head.find(text) != std::string::npos; }
};

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval limit{kWaitMs / 1'000, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { leave(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  void leave() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  void leave_with_reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    leave();
  }

  // False: the other end does not take it (any more).
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  Answer read_answer(bool head_only = false) {
    while (input_.find("\r\n\r\n") == std::string::npos) {
      if (!receive()) return {};
    }
    Answer answer;
    answer.head = input_.substr(0, input_.find("\r\n\r\n") + 4);
    answer.status = std::stoi(answer.head.substr(9, 3));
    input_.erase(0, answer.head.size());
    const std::size_t length = answer.head.find("Content-Length: ");
    if (length == std::string::npos || head_only) return answer;
    const std::size_t bytes = std::stoul(answer.head.substr(length + 16));
    while (input_.size() < bytes) {
      if (!receive()) return {};
    }
    answer.body = input_.substr(0, bytes);
    input_.erase(0, bytes);
    return answer;
  }

  Answer ask(std::string_view bytes) {
    send(bytes);
    return read_answer();
  }

  // Reads on until the other end closes. True: nothing more came, and it closed without a reset.
  bool ended() {
    while (receive()) {
    }
    return input_.empty() && error_ == 0;
  }

  bool has_something_within(int ms) {
    pollfd poll{fd_, POLLIN, 0};
    return !input_.empty() || ::poll(&poll, 1, ms) > 0;
  }

 private:
  bool receive() {
    pollfd poll{fd_, POLLIN, 0};
    if (::poll(&poll, 1, kWaitMs) <= 0) {
      error_ = ETIMEDOUT;
      return false;
    }
    char bytes[16 << 10];
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
    error_ = count < 0 ? errno : 0;
    if (count > 0) input_.append(bytes, static_cast<std::size_t>(count));
    return count > 0;
  }

  int fd_;
  bool connected_ = false;
  int error_ = 0;
  std::string input_;
};

// ── a node ──

// Answers each request at once with a SKU view that names what the command was about; or keeps
// requests until it is told to; or refuses them.
class ScriptedNode {
 public:
  enum class Mode { answers, keeps, refuses, refuses_reservations };

  bool submit(std::vector<node::Request>&& requests) {
    const std::lock_guard lock(mutex_);
    if (mode_ == Mode::refuses) return false;
    if (mode_ == Mode::refuses_reservations &&
        std::any_of(requests.begin(), requests.end(), [](const node::Request& request) {
          return std::holds_alternative<node::Reserve>(request.command);
        }))
      return false;
    std::vector<node::Reply> replies;
    for (node::Request& request : requests) {
      seen_.push_back(name_of(request.command));
      if (mode_ == Mode::keeps) {
        kept_.push_back(reply_to(request));
      } else {
        replies.push_back(reply_to(request));
      }
    }
    changed_.notify_all();
    if (!replies.empty()) server_->deliver(std::move(replies));
    return true;
  }

  void serve(HttpServer* server) {
    const std::lock_guard lock(mutex_);
    server_ = server;
  }
  void set(Mode mode) {
    const std::lock_guard lock(mutex_);
    mode_ = mode;
  }
  // Whoever submits waits meanwhile.
  std::unique_lock<std::mutex> freeze() { return std::unique_lock(mutex_); }
  void set_padding(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    padding_ = bytes;
  }
  // The replies that are kept, once there are `count` of them.
  std::vector<node::Reply> take_kept(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, milliseconds(kWaitMs), [&] { return kept_.size() >= count; });
    CHECK(kept_.size() == count);
    return std::exchange(kept_, {});
  }
  std::vector<std::string> seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }

 private:
  static std::string name_of(const node::Command& command) {
    return std::visit(
        [](const auto& c) -> std::string {
          if constexpr (requires {
                          c.sku.size();
                          c.sku.data();
                        }) {
            return c.sku;
          } else if constexpr (requires { c.id.size(); }) {
            return c.id;
          } else {
            return "?";
          }
        },
        command);
  }
  node::Reply reply_to(const node::Request& request) const {
    node::Reply reply{.token = request.token};
    node::SkuView view{.sku = name_of(request.command)};
    if (const auto* receive = std::get_if<node::Receive>(&request.command)) {
      view.name = receive->key.text;
    }
    view.name.append(padding_, 'p');
    reply.outcome.view = std::move(view);
    return reply;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  HttpServer* server_ = nullptr;
  Mode mode_ = Mode::answers;
  std::size_t padding_ = 0;
  std::vector<node::Reply> kept_;
  std::vector<std::string> seen_;
};
using Mode = ScriptedNode::Mode;

struct Served {
  explicit Served(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto started = HttpServer::start(options, [this](std::vector<node::Request>&& requests) {
      return node.submit(std::move(requests));
    });
    REQUIRE_MESSAGE(started.ok(), started.status().ToString());
    server = *std::move(started);
    node.serve(server.get());
  }
  std::uint16_t port() const { return server->port(); }
  // Returns when the (one) thread has read what was sent before.
  void settle() {
    Client other(port());
    for (int i = 0; i < 2; ++i) {
      CHECK(other.ask("GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").status == 200);
    }
  }

  ScriptedNode node;
  std::unique_ptr<HttpServer> server;
};

HttpServerOptions hasty() {
  return {.request_timeout = milliseconds(60),
          .idle_timeout = milliseconds(60),
          .write_timeout = milliseconds(60),
          .linger_timeout = milliseconds(60),
          .drain_timeout = milliseconds(60),
          .sweep_every = milliseconds(5)};
}

const std::string kHost = "Host: h\r\n";

std::string get(const std::string& sku, const std::string& more = kHost) {
  return "GET /v1/skus/" + sku + " HTTP/1.1\r\n" + more + "\r\n";
}
std::string post(const std::string& path, const std::string& body, const std::string& more = "") {
  return "POST " + path + " HTTP/1.1\r\n" + kHost + more +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string receipt(const std::string& sku) {
  return post("/v1/skus/" + sku + "/receipts", R"({"quantity":1})");
}
std::string chunked_receipt(const std::string& sku, const std::string& chunks) {
  return "POST /v1/skus/" + sku + "/receipts HTTP/1.1\r\n" + kHost +
         "Transfer-Encoding: chunked\r\n\r\n" + chunks;
}
const std::string kAlive = "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n";

void check_alive(const Served& served) {
  Client client(served.port());
  CHECK(client.ask(kAlive).status == 200);
}

}  // namespace

TEST_SUITE("api/http_server: what is understood") {
  TEST_CASE("an ambiguous or malformed request is refused, and what follows it is not a request") {
    Served served;
    const std::string line = "POST /v1/skus/a/receipts HTTP/1.1\r\n";
    const std::string body = R"({"quantity":1})";
    const std::string length = "Content-Length: 14\r\n";
    const std::string chunked = "Transfer-Encoding: chunked\r\n";
    const std::string chunks = "e\r\n" + body + "\r\n0\r\n\r\n";
    for (const std::string& bytes : std::vector<std::string>{
             line + length + "\r\n" + body,                              // no host
             line + kHost + kHost + length + "\r\n" + body,              // two hosts
             line + kHost + "X: a\r\n b\r\n" + length + "\r\n" + body,   // a fold
             line + kHost + "X: a\r\n\tb\r\n" + length + "\r\n" + body,  //
             line + " " + kHost + length + "\r\n" + body,                //
             line + kHost + "Transfer-Encoding: xchunked\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: gzip, chunked\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: chunked, chunked\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: chunked, identity\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: chunked;a=b\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: \vchunked\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding:\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding : chunked\r\n\r\n" + chunks,
             line + kHost + "Transfer-Encoding: identity\r\n" + length + "\r\n" + body,
             line + kHost + chunked + chunked + "\r\n" + chunks,
             line + kHost + chunked + length + "\r\n" + chunks,
             line + kHost + length + chunked + "\r\n" + chunks,
             "POST /v1/skus/a/receipts HTTP/1.0\r\n" + kHost + chunked + "\r\n" + chunks,
             line + kHost + length + "Content-Length: 15\r\n\r\n" + body,
             line + kHost + length + length + "\r\n" + body,
             line + kHost + "Content-Length: 14, 14\r\n\r\n" + body,
             line + kHost + "Content-Length: -1\r\n\r\n" + body,
             line + kHost + "Content-Length: +14\r\n\r\n" + body,
             line + kHost + "Content-Length: 0xe\r\n\r\n" + body,
             line + kHost + "Content-Length: 1 4\r\n\r\n" + body,
             line + kHost + "Content-Length:\r\n\r\n" + body,
             line + kHost + "Content-Length: 18446744073709551630\r\n\r\n" + body,
             line + kHost + "Content-Length : 14\r\n\r\n" + body,
             "GET /v1/skus/a HTTP/1.1\nHost: h\n\n",  // bare line feeds
             "GET /v1/skus/a HTTP/1.1\r\nHost: h\n\r\n",
             "GET /v1/skus/a HTTP/1.1\r\nHost: h\r\n\n",
             "GET /v1/skus/a HTTP/1.1\r\nHost: h\rX: y\r\n\r\n",  // a bare carriage return
             std::string("GET /v1/skus/a HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", 42),
             "GET /v1/skus/a HTTP/1.1\r\nHost: h\r\n: nameless\r\n\r\n",
             "GET /v1/skus/a HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
             "\r\n\r\n\r\n" + get("a"),
             "GET  /v1/skus/a HTTP/1.1\r\n" + kHost + "\r\n",
             "GET /v1/skus/a HTTP/1.1 \r\n" + kHost + "\r\n",
             "GET /v1/skus/a HTTP/2.0\r\n" + kHost + "\r\n",
             "GET /v1/skus/a\r\n" + kHost + "\r\n",
             "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
             chunked_receipt("a", "g\r\n"),
             chunked_receipt("a", "-e\r\n" + body + "\r\n0\r\n\r\n"),
             chunked_receipt("a", "0xe\r\n" + body + "\r\n0\r\n\r\n"),
             chunked_receipt("a", "e\n" + body + "\n0\n\n"),
             chunked_receipt("a", "e\r\n" + body + "0\r\n\r\n"),
             chunked_receipt("a", "1000000000000000e\r\n" + body + "\r\n0\r\n\r\n"),
             chunked_receipt("a", "e\r\n" + body + "\r\n0\r\nContent-Length: 5\r\n\r\n"),
         }) {
      CAPTURE(bytes);
      Client client(served.port());
      client.send(bytes + get("smuggled"));
      const Answer answer = client.read_answer();
      CHECK(answer.status == 400);
      CHECK(answer.says("Connection: close\r\n"));
      CHECK(answer.says("application/problem+json"));
      CHECK(client.ended());
    }
    CHECK(served.node.seen().empty());
  }

  TEST_CASE("the refusal of a header names it") {
    Served served;
    Client client(served.port());
    CHECK(client.ask("GET /healthz HTTP/1.1\r\n\r\n").body.find(R"("field":"Host")") !=
          std::string::npos);
    Client keys(served.port());
    const std::string key = "Idempotency-Key: k\r\n";
    CHECK(keys.ask(post("/v1/skus/a/receipts", "{}", key + key)).body.find("Idempotency-Key") !=
          std::string::npos);
  }

  TEST_CASE("unusual requests that are in order are answered") {
    Served served;
    const std::string body = R"({"quantity":1})";
    for (const std::string& bytes : std::vector<std::string>{
             "\r\n" + get("a"),
             "GET http://h/v1/skus/a HTTP/1.1\r\n" + kHost + "\r\n",
             get("a", "hOsT:h\r\n"),
             get("a", "Host: \t h \t \r\nX-Empty:\r\n"),
             get("a", "Host: h\r\nX: caf\xe9\r\n"),
             get("a", "Host: h\r\nContent-Length: 0\r\n"),
             chunked_receipt("a", "e\r\n" + body + "\r\n0\r\n\r\n"),
             chunked_receipt("a", "00E;x=\"y;z\"\r\n" + body + "\r\n0;last\r\n\r\n"),
             chunked_receipt("a", "1\r\n{\r\nd\r\n" + body.substr(1) + "\r\n0\r\nT: t\r\n\r\n"),
         }) {
      CAPTURE(bytes);
      Client client(served.port());
      CHECK(client.ask(bytes).status == 200);
      CHECK(client.ask(get("next")).status == 200);
    }
  }

  TEST_CASE("trailers change nothing") {
    Served served;
    Client client(served.port());
    const Answer answer = client.ask(chunked_receipt(
        "a", "e\r\n{\"quantity\":1}\r\n0\r\nIdempotency-Key: late\r\nHost: other\r\n\r\n"));
    CHECK(answer.status == 200);
    CHECK(answer.body.find("late") == std::string::npos);
  }

  TEST_CASE("HTTP/1.0: closes, unless asked not to") {
    Served served;
    Client client(served.port());
    const Answer kept = client.ask("GET /v1/skus/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    CHECK(kept.status == 200);
    CHECK(kept.says("Connection: keep-alive"));
    const Answer last = client.ask("GET /v1/skus/a HTTP/1.0\r\n\r\n");
    CHECK(last.status == 200);
    CHECK(last.says("Connection: close"));
    CHECK(client.ended());
  }

  TEST_CASE("HEAD, methods that are none here, and no content") {
    Served served;
    Client client(served.port());
    client.send("HEAD /v1/skus/a HTTP/1.1\r\nHost: h\r\n\r\n");
    const Answer head = client.read_answer(true);
    CHECK(head.status == 200);
    CHECK(client.ask(get("a")).head == head.head);  // and no byte of a body between them
    client.send("HEAD /v1/nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(client.read_answer(true).status == 404);
    const Answer unknown = client.ask("BREW /v1/skus/a HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(unknown.status == 405);
    CHECK(unknown.says("Allow: GET, HEAD, PUT\r\n"));
    CHECK(client.ask("get /healthz HTTP/1.1\r\nHost: h\r\n\r\n").status == 405);
    CHECK(client.ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").status == 400);
    const Answer none = client.ask("DELETE /v1/faults/links/eu HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(none.status == 204);
    CHECK_FALSE(none.says("Content-Length"));
    CHECK(client.ask(kAlive).status == 200);
  }
}

TEST_SUITE("api/http_server: how it arrives") {
  TEST_CASE("a request may be cut anywhere") {
    Served served;
    const std::string body = R"({"quantity":1})";
    for (const std::string& bytes :
         {"\r\n" + receipt("whole"),
          chunked_receipt("chunks",
                          "1\r\n{\r\nd;x\r\n" + body.substr(1) + "\r\n0\r\nT: t\r\n\r\n")}) {
      for (std::size_t first = 1; first < bytes.size(); ++first) {
        CAPTURE(bytes.substr(0, first));
        Client client(served.port());
        client.send(bytes.substr(0, first));
        served.settle();
        CHECK(client.ask(bytes.substr(first)).status == 200);
      }
      Client client(served.port());
      for (const char byte : bytes) {
        client.send({&byte, 1});
        served.settle();
      }
      CHECK(client.read_answer().status == 200);
    }
  }

  TEST_CASE("a bare line feed is refused at once, not when the client has lost patience") {
    Served served;
    Client client(served.port());
    CHECK(client.ask("GET /healthz HTTP/1.1\r\nHost: h\r\n\n").status == 400);
  }

  TEST_CASE("pipelined requests are answered in order, one in flight at a time") {
    Served served;
    served.node.set(Mode::keeps);
    Client client(served.port());
    std::string bytes;
    for (int i = 0; i < 300; ++i) bytes += i % 3 == 2 ? kAlive : receipt("s" + std::to_string(i));
    client.send(bytes);
    for (int i = 0; i < 300; ++i) {
      CAPTURE(i);
      if (i % 3 != 2) {
        served.server->deliver(served.node.take_kept(1));
      }
      const Answer answer = client.read_answer();
      CHECK(answer.status == 200);
      const std::string expected = i % 3 == 2 ? "ok" : "\"s" + std::to_string(i) + "\"";
      CHECK(answer.body.find(expected) != std::string::npos);
    }
  }

  TEST_CASE("what follows a request that closes is not answered") {
    Served served;
    Client client(served.port());
    client.send(get("a", kHost + "Connection: close\r\n") + get("b"));
    CHECK(client.read_answer().says("Connection: close"));
    CHECK(client.ended());
    CHECK(served.node.seen() == std::vector<std::string>{"a"});
  }

  TEST_CASE("a client may stop sending before it reads") {
    Served served;
    Client client(served.port());
    client.send(get("a") + get("b"));
    client.finish_sending();
    CHECK(client.read_answer().status == 200);
    CHECK(client.read_answer().status == 200);
    CHECK(client.ended());
  }

  TEST_CASE("Expect: 100-continue") {
    Served served;
    const std::string head = "POST /v1/skus/a/receipts HTTP/1.1\r\n" + kHost;
    const std::string expect = "Expect: 100-continue\r\n";
    const std::string body = R"({"quantity":1})";
    SUBCASE("is told to go on when the body has not come") {
      Client client(served.port());
      CHECK(client.ask(head + expect + "Content-Length: 14\r\n\r\n").status == 100);
      client.send(body.substr(0, 5));
      served.settle();
      CHECK(client.ask(body.substr(5)).status == 200);  // said once
    }
    SUBCASE("not when it has") {
      Client client(served.port());
      CHECK(client.ask(head + expect + "Content-Length: 14\r\n\r\n" + body).status == 200);
    }
    SUBCASE("not by HTTP/1.0") {
      Client client(served.port());
      client.send("POST /v1/skus/a/receipts HTTP/1.0\r\n" + expect + "Content-Length: 14\r\n\r\n");
      served.settle();
      CHECK(client.ask(body).status == 200);
    }
    SUBCASE("not when the body would be refused") {
      Client client(served.port());
      CHECK(client.ask(head + expect + "Content-Length: 1048577\r\n\r\n").status == 413);
    }
    SUBCASE("nothing else can be expected") {
      Client client(served.port());
      CHECK(client.ask(head + "Expect: luck\r\nContent-Length: 14\r\n\r\n").status == 417);
    }
  }

  TEST_CASE("a batch: results in the order of its lines, however the replies come") {
    Served served;
    served.node.set(Mode::keeps);
    Client client(served.port());
    client.send(post("/v1/batch",
                     "{\"op\":\"release\",\"id\":\"r0\"}\nnonsense\n\n"
                     "{\"op\":\"release\",\"id\":\"r2\"}\n{\"op\":\"release\",\"id\":\"r3\"}"));
    std::vector<node::Reply> replies = served.node.take_kept(3);
    std::reverse(replies.begin(), replies.end());
    for (node::Reply& reply : replies) {
      std::vector<node::Reply> one;
      one.push_back(std::move(reply));
      served.server->deliver(std::move(one));
    }
    const Answer answer = client.read_answer();
    CHECK(answer.status == 200);
    CHECK(answer.says("application/x-ndjson"));
    const std::size_t r0 = answer.body.find("\"r0\""), wrong = answer.body.find("invalid_request");
    const std::size_t r2 = answer.body.find("\"r2\""), r3 = answer.body.find("\"r3\"");
    CHECK(r0 < wrong);
    CHECK(wrong < r2);
    CHECK(r2 < r3);
    CHECK(r3 != std::string::npos);
    CHECK(std::count(answer.body.begin(), answer.body.end(), '\n') == 4);
    CHECK(client.ask(post("/v1/batch", "{}\n[]\n")).status == 200);  // nothing for the node
    CHECK(client.ask(post("/v1/batch", "")).status == 200);
  }

  TEST_CASE("several threads: each connection gets its own answers") {
    Served served({.threads = 3});
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 12; ++i) clients.push_back(std::make_unique<Client>(served.port()));
    for (int round = 0; round < 20; ++round) {
      for (std::size_t i = 0; i < clients.size(); ++i)
        clients[i]->send(get("c" + std::to_string(i)));
      for (std::size_t i = 0; i < clients.size(); ++i) {
        const Answer answer = clients[i]->read_answer();
        CHECK(answer.body.find("\"c" + std::to_string(i) + "\"") != std::string::npos);
      }
    }
  }
}

TEST_SUITE("api/http_server: limits") {
  TEST_CASE("413 is readable although the client sends everything first") {
    Served served;
    Client client(served.port());
    const std::string body(8 * kMiB, ' ');
    CHECK(client.send(post("/v1/skus/a/receipts", body)));
    const Answer answer = client.read_answer();
    CHECK(answer.status == 413);
    CHECK(answer.says("Connection: close"));
    CHECK(client.ended());
    Client chunks(served.port());
    std::string many;
    for (int i = 0; i < 20; ++i) many += "20000\r\n" + std::string(0x20000, ' ') + "\r\n";
    CHECK(chunks.send(chunked_receipt("a", many)));
    CHECK(chunks.read_answer().status == 413);
    CHECK(chunks.ended());
  }

  TEST_CASE("what is discarded is bounded") {
    Served served;
    Client client(served.port());
    client.send(
        "POST /v1/skus/a/receipts HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999999\r\n\r\n");
    const std::string piece(kMiB, ' ');
    int sent = 0;
    while (sent < 1'000 && client.send(piece)) ++sent;
    CHECK(sent < 100);  // 16, and what the kernel's buffers hold
    check_alive(served);
  }

  TEST_CASE("targets and headers that are too long, whole or without end") {
    Served served;
    const auto status = [&](const std::string& bytes) {
      Client client(served.port());
      client.send(bytes);
      const Answer answer = client.read_answer();
      CHECK(client.ended());
      return answer.status;
    };
    const std::string get_line = "GET /healthz HTTP/1.1\r\n";
    CHECK(status("GET /v1/skus?prefix=" + std::string(8'200, 'x') + " HTTP/1.1\r\n\r\n") == 414);
    CHECK(status("GET /" + std::string(16 << 10, 'x')) == 414);
    CHECK(status("GET /" + std::string(16 << 10, 'x') + " HTTP/1.1\r\n" + kHost + "\r\n") == 414);
    CHECK(status(get_line + "X: " + std::string(17 << 10, 'x')) == 431);
    CHECK(status(get_line + kHost + "X: " + std::string(17 << 10, 'x') + "\r\n\r\n") == 431);
    std::string fields;
    for (int i = 0; i < 4'000; ++i) fields += "X: y\r\n";
    CHECK(status(get_line + kHost + fields + "\r\n") == 431);
    CHECK(status(chunked_receipt("a", "1;" + std::string(20 << 10, 'x'))) == 431);
    CHECK(status(chunked_receipt("a", "0\r\nT: " + std::string(20 << 10, 'x'))) == 431);
    Client client(served.port());
    const std::string largest = get_line + kHost + "X: ";
    const std::string filler((16 << 10) - largest.size() - 4, 'x');
    CHECK(client.ask(largest + filler + "\r\n\r\n").status == 200);
    CHECK(client.ask(largest + filler + "y\r\n\r\n").status == 431);
  }

  TEST_CASE("a client that is too slow is told so; an idle one just loses its connection") {
    Served served(hasty());
    for (const std::string& half :
         {std::string("GET /healthz HTT"), std::string("G"),
          std::string("POST /v1/skus/a/receipts HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n"),
          std::string("POST /v1/batch HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{\"op\"")}) {
      CAPTURE(half);
      Client client(served.port());
      client.send(half);
      const Answer answer = client.read_answer();
      CHECK(answer.status == 408);
      CHECK(answer.says("Connection: close"));
      CHECK(client.ended());
    }
    Client second(served.port());
    CHECK(second.ask(kAlive).status == 200);
    second.send("GET /hea");
    CHECK(second.read_answer().status == 408);
    for (const char* nothing : {"", "\r\n"}) {
      Client idle(served.port());
      idle.send(nothing);
      CHECK(idle.ended());
    }
  }

  TEST_CASE("a request in flight has no deadline here") {
    Served served(hasty());
    served.node.set(Mode::keeps);
    Client client(served.port());
    client.send(get("a"));
    std::vector<node::Reply> replies = served.node.take_kept(1);
    Client idle(served.port());
    CHECK(idle.ended());  // so timeouts of that length have passed
    served.server->deliver(std::move(replies));
    CHECK(client.read_answer().status == 200);
  }

  TEST_CASE("a refused client that stays, and one that does not read, lose their place") {
    HttpServerOptions options = hasty();
    options.connections_max = 1;
    options.idle_timeout = milliseconds(kWaitMs);
    Served served(options);
    SUBCASE("stays") {
      Client stays(served.port());
      CHECK(stays.ask("GET /healthz HTTP/1.1\r\n\r\n").status == 400);
      check_alive(served);
    }
    SUBCASE("does not read") {
      served.node.set_padding(64 * kMiB);
      Client deaf(served.port());
      deaf.send(get("a"));
      check_alive(served);
    }
  }

  TEST_CASE("an answer that is larger than the kernel's buffers arrives whole") {
    Served served;
    served.node.set_padding(32 * kMiB);
    Client client(served.port());
    client.send(get("a") + kAlive);
    CHECK(client.read_answer().body.size() > 32 * kMiB);
    CHECK(client.read_answer().status == 200);
  }

  TEST_CASE("answers that nobody takes are bounded") {
    Served served({.answer_bytes_max = kMiB});
    served.node.set_padding(64 * kMiB);
    Client deaf(served.port());
    deaf.send(get("a"));
    served.settle();
    CHECK(deaf.read_answer().status == 0);  // cut short
    served.node.set_padding(0);
    check_alive(served);
  }

  TEST_CASE("a batch's results are told in short when too much of answers is waiting") {
    Served served({.answer_bytes_max = kMiB});
    served.node.set_padding(600'000);
    Client client(served.port());
    std::string lines;
    for (int i = 0; i < 5; ++i) lines += "{\"op\":\"release\",\"id\":\"r\"}\n";
    const Answer answer = client.ask(post("/v1/batch", lines));
    REQUIRE(answer.status == 200);
    CHECK(answer.body.size() < 2 * kMiB);
    CHECK(answer.body.ends_with("{\"status\":200,\"omitted\":true}\n"));
    CHECK(std::count(answer.body.begin(), answer.body.end(), '\n') == 5);
    served.node.set_padding(0);
    CHECK(client.ask(post("/v1/batch", lines)).body.find("omitted") == std::string::npos);
  }

  TEST_CASE("bodies that arrive are bounded all together, and free what they took") {
    Served served({.threads = 2, .body_bytes_max = 16 * kMiB});
    const std::string head =
        "POST /v1/batch HTTP/1.1\r\nHost: h\r\nContent-Length: 15728640\r\n\r\n";
    auto first = std::make_unique<Client>(served.port());
    CHECK(first->send(head + std::string(12 * kMiB, '\n')));
    Client second(served.port());
    CHECK(second.send(head + std::string(12 * kMiB, '\n')));
    bool first_refused = false;  // whose bytes were read last is chance
    for (int ms = 0; ms < kWaitMs && !first_refused && !second.has_something_within(1); ++ms)
      first_refused = first->has_something_within(0);
    Client& refused = first_refused ? *first : second;
    Client& goes_on = first_refused ? second : *first;
    const Answer answer = refused.read_answer();
    CHECK(answer.status == 503);
    CHECK(answer.says("Retry-After: 1"));
    CHECK(goes_on.ask(std::string(3 * kMiB, '\n')).status == 200);
    Client third(served.port());
    CHECK(third.ask(head + std::string(15 * kMiB, '\n')).status == 200);
  }

  TEST_CASE("a body is charged for until its call is answered") {
    Served served({.threads = 1, .body_bytes_max = 16 * kMiB});
    const std::string large =
        post("/v1/batch", "{\"op\":\"release\",\"id\":\"r\"}\n" + std::string(9 * kMiB, '\n'));
    served.node.set(ScriptedNode::Mode::keeps);
    Client waits(served.port());
    CHECK(waits.send(large));
    std::vector<node::Reply> kept = served.node.take_kept(1);
    Client second(served.port());
    CHECK(second.ask(large).status == 503);
    served.server->deliver(std::move(kept));
    CHECK(waits.read_answer().status == 200);
    served.node.set(ScriptedNode::Mode::answers);
    Client third(served.port());
    CHECK(third.ask(large).status == 200);
  }

  TEST_CASE("while the node has no room for reservations, what ends them goes on") {
    Served served({.threads = 1});
    served.node.set(ScriptedNode::Mode::refuses_reservations);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 40; ++i) {
      clients.push_back(std::make_unique<Client>(served.port()));
      CHECK(clients.back()->ask(get("a")).status == 200);  // it is accepted
    }
    auto frozen = served.node.freeze();  // what comes meanwhile is handed over together
    for (int i = 0; i < 40; ++i) {
      const std::string id = "/v1/reservations/r" + std::to_string(i);
      const std::string body = R"({"lines":[{"sku":"a","quantity":1}]})";
      const std::string put =
          "PUT " + id + " HTTP/1.1\r\n" + kHost +
          "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\n\r\n" + body;
      CHECK(clients[static_cast<std::size_t>(i)]->send(i % 2 == 0 ? put
                                                                  : post(id + "/commit", "{}")));
    }
    frozen.unlock();
    for (int i = 0; i < 40; ++i) {
      CAPTURE(i);
      CHECK(clients[static_cast<std::size_t>(i)]->read_answer().status == (i % 2 == 0 ? 503 : 200));
    }
  }

  TEST_CASE("with many threads, a large batch still fits") {
    Served served({.threads = 64});
    Client client(served.port());
    CHECK(client.ask(post("/v1/batch", std::string(15 * kMiB, '\n'))).status == 200);
  }

  TEST_CASE("beyond connections_max, clients wait until somebody leaves") {
    Served served({.connections_max = 2});
    auto first = std::make_unique<Client>(served.port());
    CHECK(first->ask(kAlive).status == 200);
    Client second(served.port());
    CHECK(second.ask(kAlive).status == 200);
    Client third(served.port());
    third.send(kAlive);
    CHECK(first->ask(kAlive).status == 200);
    CHECK_FALSE(third.has_something_within(30));
    first.reset();
    CHECK(third.read_answer().status == 200);
    CHECK(second.ask(kAlive).status == 200);
  }

  TEST_CASE("a node that takes nothing: 503, and the connection goes on") {
    Served served;
    Client client(served.port());
    for (const std::string& bytes :
         {get("a"), post("/v1/batch", "{\"op\":\"release\",\"id\":\"r\"}\n")}) {
      served.node.set(Mode::refuses);
      const Answer answer = client.ask(bytes + kAlive);
      CHECK(answer.status == 503);
      CHECK(answer.says("Retry-After: 1"));
      CHECK(answer.body.find("\"overloaded\"") != std::string::npos);
      CHECK(client.read_answer().status == 200);
      served.node.set(Mode::answers);
      CHECK(client.ask(bytes).status == 200);
    }
  }
}

TEST_SUITE("api/http_server: comings and goings") {
  TEST_CASE("a reply whose client has left finds nobody, not the next client") {
    Served served({.connections_max = 1});
    served.node.set(Mode::keeps);
    std::vector<node::Reply> late;
    {
      Client client(served.port());
      client.send(get("old"));
      late = served.node.take_kept(1);
      client.leave_with_reset();
    }
    std::vector<node::Reply> again;
    again.push_back({.token = late[0].token});
    served.server->deliver(std::move(late));
    Client next(served.port());  // in the place of the first
    next.send(get("new"));
    std::vector<node::Reply> own = served.node.take_kept(1);
    CHECK(own[0].token != again[0].token);
    again.push_back({.token = ~std::uint64_t{0}});
    served.server->deliver(std::move(again));
    served.server->deliver({});
    served.server->deliver(std::move(own));
    CHECK(next.read_answer().body.find("\"new\"") != std::string::npos);
    next.send(get("last"));
    served.server->deliver(served.node.take_kept(1));
    CHECK(next.read_answer().body.find("\"last\"") != std::string::npos);
  }

  TEST_CASE("stop: what is in flight is answered, idle connections close, new ones find nobody") {
    Served served;
    served.node.set(Mode::keeps);
    Client busy(served.port()), idle(served.port()), half(served.port());
    CHECK(idle.ask(kAlive).status == 200);
    busy.send(get("a") + get("never"));
    half.send(receipt("b").substr(0, 70));
    std::vector<node::Reply> replies = served.node.take_kept(1);
    served.settle();
    std::future<void> stopped = std::async(std::launch::async, [&] { served.server->stop(); });
    CHECK(idle.ended());
    half.send(receipt("b").substr(70));
    served.server->deliver(served.node.take_kept(1));
    CHECK(half.read_answer().says("Connection: close"));
    half.leave();
    served.server->deliver(std::move(replies));
    const Answer answer = busy.read_answer();
    CHECK(answer.status == 200);
    CHECK(answer.says("Connection: close"));
    CHECK(busy.ended());
    busy.leave();
    REQUIRE(stopped.wait_for(milliseconds(kWaitMs)) == std::future_status::ready);
    CHECK_FALSE(Client(served.port()).connected());
    std::vector<node::Reply> late;
    late.push_back({.token = 1});
    served.server->deliver(std::move(late));
    served.server->stop();  // again: nothing to do
    CHECK(served.node.seen() == std::vector<std::string>{"a", "b"});
  }

  TEST_CASE("stop does not wait for ever, and has then closed everything") {
    Served served(hasty());
    served.node.set(Mode::keeps);
    Client client(served.port());
    client.send(get("a"));
    served.node.take_kept(1);
    served.server->stop();
    CHECK(client.ended());
  }

  TEST_CASE("stop with nobody there, and with everybody leaving, ends at once") {
    for (int round = 0; round < 50; ++round) {
      Served served({.threads = 2, .drain_timeout = milliseconds(10 * kWaitMs)});
      auto client = std::make_unique<Client>(served.port());
      CHECK(client->ask(kAlive).status == 200);
      std::future<void> stopped = std::async(std::launch::async, [&] { served.server->stop(); });
      client.reset();
      REQUIRE(stopped.wait_for(milliseconds(kWaitMs)) == std::future_status::ready);
    }
  }

  TEST_CASE("what cannot be started says what to change") {
    const auto refused = [](HttpServerOptions options) {
      const auto started = HttpServer::start(options, [](auto&&) { return true; });
      REQUIRE_FALSE(started.ok());
      return started.status();
    };
    for (const char* listen : {"", "8080", "127.0.0.1", ":8080", "127.0.0.1:http",
                               "127.0.0.1:70000", "[::1", "256.0.0.1:1"}) {
      CAPTURE(listen);
      CHECK(absl::IsInvalidArgument(refused({.listen = listen})));
    }
    const std::string any = "127.0.0.1:0";
    CHECK(absl::IsInvalidArgument(refused({.listen = any, .threads = 0})));
    CHECK(absl::IsInvalidArgument(refused({.listen = any, .threads = 65})));
    CHECK(absl::IsInvalidArgument(refused({.listen = any, .connections_max = 0})));
    CHECK(absl::IsInvalidArgument(refused({.listen = any, .body_bytes_max = 1})));
    CHECK(absl::IsInvalidArgument(refused({.listen = any, .idle_timeout = milliseconds(-1)})));
    Served served;
    const absl::Status taken = refused({.listen = "127.0.0.1:" + std::to_string(served.port())});
    CHECK(absl::IsUnavailable(taken));
    CHECK(taken.ToString().find("free the port") != std::string::npos);
  }
}

}  // namespace holdfast::api
