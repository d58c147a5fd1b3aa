#pragma once
// A small synchronous HTTP/1.1 client over a plain socket, so that tests can also say what no
// client library would send.

#include <boost/json.hpp>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace process {

// No answer: refused, reset, closed in the middle, or nothing for 15 s.
struct NoAnswer : std::runtime_error {
  using std::runtime_error::runtime_error;
};

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;

  bool ok() const { return status >= 200 && status < 300; }
  boost::json::value json() const;
  // The value at a JSON pointer; they throw, with the body, if it isn't there or of that type.
  boost::json::value at(std::string_view pointer) const;
  std::int64_t number(std::string_view pointer) const;
  std::string text(std::string_view pointer) const;
  bool flag(std::string_view pointer) const;
  // `code` of a problem; empty if the body isn't application/problem+json.
  std::string code() const;
};

std::ostream& operator<<(std::ostream& out, const Response& response);

// One TCP connection to 127.0.0.1.
class Connection {
 public:
  Connection() = default;
  explicit Connection(int port);
  Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Connection& operator=(Connection&& other) noexcept;
  ~Connection() { close(); }

  bool open() const { return fd_ >= 0; }
  bool closed_by_peer() const;  // without waiting
  void send(std::string_view bytes);
  // Up to `most` bytes; empty: the peer closed. Throws NoAnswer after `seconds`.
  std::string receive(std::size_t most = 65'536, int seconds = 15);
  // A whole HTTP response, with what was read beyond it left in the buffer.
  Response read_response(int seconds = 15);
  void finish_sending();      // the other side reads to an end, and can still answer
  std::string read_to_end();  // whatever is left until the peer closes
  void close();

 private:
  int fd_ = -1;
  std::string buffer_;
};

// Keeps its connection; connects again when the server has closed it. One thread at a time.
class Client {
 public:
  explicit Client(int port) : port_(port) {}
  Response call(const std::string& method, const std::string& target, const std::string& body = "",
                const Headers& headers = {});
  Response get(const std::string& target) { return call("GET", target); }
  Response put(const std::string& target, const std::string& body) {
    return call("PUT", target, body);
  }
  Response post(const std::string& target, const std::string& body = "",
                const Headers& headers = {}) {
    return call("POST", target, body, headers);
  }
  void hang_up() { connection_.close(); }

 private:
  int port_;
  Connection connection_;
};

}  // namespace process
