#include "tests/process/support/http.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <ostream>

namespace process {

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Response parse_head(const std::string& head) {
  Response response;
  if (head.rfind("HTTP/1.", 0) != 0) throw NoAnswer("not HTTP: " + head.substr(0, 80));
  response.status = std::stoi(head.substr(9, 3));
  std::size_t at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    const std::size_t start = at + 2;
    at = head.find("\r\n", start);
    const std::string line = head.substr(start, at == std::string::npos ? at : at - start);
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    response.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  return response;
}

}  // namespace

boost::json::value Response::json() const {
  boost::system::error_code error;
  auto value = boost::json::parse(body, error);
  if (error) throw std::runtime_error("not JSON: " + std::to_string(status) + " " + body);
  return value;
}

boost::json::value Response::at(std::string_view pointer) const {
  auto value = json();
  boost::system::error_code error;
  const auto* found = value.find_pointer({pointer.data(), pointer.size()}, error);
  if (found == nullptr) {
    throw std::runtime_error("no " + std::string(pointer) + " in " + std::to_string(status) + " " +
                             body);
  }
  return *found;
}

std::int64_t Response::number(std::string_view pointer) const {
  const auto value = at(pointer);
  if (!value.is_number())
    throw std::runtime_error(std::string(pointer) + " is no number in " + body);
  return value.to_number<std::int64_t>();
}

std::string Response::text(std::string_view pointer) const {
  const auto value = at(pointer);
  if (!value.is_string())
    throw std::runtime_error(std::string(pointer) + " is no string in " + body);
  return std::string(value.get_string());
}

bool Response::flag(std::string_view pointer) const {
  const auto value = at(pointer);
  if (!value.is_bool())
    throw std::runtime_error(std::string(pointer) + " is no boolean in " + body);
  return value.get_bool();
}

std::string Response::code() const {
  const auto type = headers.find("content-type");
  if (type == headers.end() || type->second.rfind("application/problem+json", 0) != 0) return "";
  return text("/code");
}

std::ostream& operator<<(std::ostream& out, const Response& response) {
  return out << response.status << ' ' << response.body.substr(0, 2'000);
}

Connection::Connection(int port) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close();
    throw NoAnswer("connect to port " + std::to_string(port) + ": " + std::strerror(errno));
  }
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Connection& Connection::operator=(Connection&& other) noexcept {
  if (this != &other) {
    close();
    fd_ = std::exchange(other.fd_, -1);
    buffer_ = std::move(other.buffer_);
  }
  return *this;
}

void Connection::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  buffer_.clear();
}

bool Connection::closed_by_peer() const {
  char byte = 0;
  const auto got = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

void Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw NoAnswer(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::string Connection::receive(std::size_t most, int seconds) {
  pollfd waiting{fd_, POLLIN, 0};
  if (poll(&waiting, 1, seconds * 1'000) <= 0) throw NoAnswer("nothing was received in time");
  std::string bytes(most, '\0');
  const auto got = recv(fd_, bytes.data(), bytes.size(), 0);
  if (got < 0) throw NoAnswer(std::string("receive: ") + std::strerror(errno));
  bytes.resize(static_cast<std::size_t>(got));
  return bytes;
}

void Connection::finish_sending() { shutdown(fd_, SHUT_WR); }

std::string Connection::read_to_end() {
  std::string rest = std::move(buffer_);
  buffer_.clear();
  for (;;) {
    const auto more = receive();
    if (more.empty()) return rest;
    rest += more;
  }
}

namespace {

// Reads on until `buffer` satisfies `enough`.
template <typename Enough>
void fill(Connection& connection, std::string& buffer, int seconds, Enough enough) {
  while (!enough()) {
    const auto more = connection.receive(65'536, seconds);
    if (more.empty()) throw NoAnswer("closed in the middle of an answer");
    buffer += more;
  }
}

}  // namespace

Response Connection::read_response(int seconds) {
  const auto has = [&](std::size_t bytes) {
    return [&, bytes] { return buffer_.size() >= bytes; };
  };
  fill(*this, buffer_, seconds, [&] { return buffer_.find("\r\n\r\n") != std::string::npos; });
  const auto head_end = buffer_.find("\r\n\r\n") + 4;
  Response response = parse_head(buffer_.substr(0, head_end - 2));
  buffer_.erase(0, head_end);
  if (response.status == 204 || response.status == 304 || response.status == 101) return response;
  const auto length = response.headers.find("content-length");
  if (length != response.headers.end()) {
    const auto bytes = std::stoul(length->second);
    fill(*this, buffer_, seconds, has(bytes));
    response.body = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return response;
  }
  if (response.headers.count("transfer-encoding") == 0) {
    throw NoAnswer("an answer with neither length nor chunks");
  }
  for (std::size_t size = 1; size != 0;) {
    fill(*this, buffer_, seconds, [&] { return buffer_.find("\r\n") != std::string::npos; });
    size = std::stoul(buffer_, nullptr, 16);
    buffer_.erase(0, buffer_.find("\r\n") + 2);
    fill(*this, buffer_, seconds, has(size + 2));
    response.body += buffer_.substr(0, size);
    buffer_.erase(0, size + 2);
  }
  return response;
}

Response Client::call(const std::string& method, const std::string& target, const std::string& body,
                      const Headers& headers) {
  if (!connection_.open() || connection_.closed_by_peer()) connection_ = Connection(port_);
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  bool has_type = false;
  for (const auto& [name, value] : headers) {
    has_type = has_type || lower(name) == "content-type";
    request += name + ": " + value + "\r\n";
  }
  if (!body.empty() && !has_type) request += "Content-Type: application/json\r\n";
  if (!body.empty() || method != "GET") {
    request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  try {
    connection_.send(request + "\r\n" + body);
    auto response = connection_.read_response();
    const auto close = response.headers.find("connection");
    if (close != response.headers.end() && lower(close->second) == "close") connection_.close();
    return response;
  } catch (...) {
    connection_.close();
    throw;
  }
}

}  // namespace process
