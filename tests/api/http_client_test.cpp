// The HTTP client against a listener that is scripted here: what its error codes promise.
#include "api/http_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

namespace holdfast::api {
namespace {

class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd_, 4) == 0);
    socklen_t length = sizeof address;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(); }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int accept() const { return ::accept(fd_, nullptr, nullptr); }
  std::uint16_t port() const { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

// True: a whole head has arrived.
bool read_head(int fd) {
  std::string head;
  char piece[1024];
  while (head.find("\r\n\r\n") == std::string::npos) {
    const auto count = ::read(fd, piece, sizeof piece);
    if (count <= 0) return false;
    head.append(piece, static_cast<std::size_t>(count));
  }
  return true;
}

void answer(int fd) {
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  CHECK(::write(fd, kAnswer.data(), kAnswer.size()) == static_cast<ssize_t>(kAnswer.size()));
}

TEST_CASE("a call whose first try may have arrived is never said to be not reached") {
  Listener listener;
  HttpClient client({"127.0.0.1", listener.port()});
  std::thread server([&listener] {
    const int fd = listener.accept();
    REQUIRE(read_head(fd));
    answer(fd);
    REQUIRE(read_head(fd));  // the second call: it has arrived, then the node is killed
    listener.close();
    ::close(fd);
  });
  REQUIRE(client.send({.target = "/"}).ok());
  const auto lost = client.send({.method = "PUT", .target = "/v1/reservations/a", .body = "{}"});
  server.join();
  CHECK(lost.status().code() == absl::StatusCode::kUnknown);
  CHECK(lost.status().message().find("outcome is unknown") != std::string_view::npos);
  const auto refused = client.send({.method = "PUT", .target = "/v1/reservations/b"});
  CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("a call that finds its idle connection closed goes out once more") {
  Listener listener;
  HttpClient client({"127.0.0.1", listener.port()});
  std::thread server([&listener] {
    for (int i = 0; i < 2; ++i) {
      const int fd = listener.accept();
      REQUIRE(read_head(fd));
      answer(fd);
      ::close(fd);
    }
  });
  REQUIRE(client.send({.target = "/"}).ok());
  CHECK(client.send({.target = "/"}).ok());
  server.join();
}

}  // namespace
}  // namespace holdfast::api
