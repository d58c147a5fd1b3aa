#pragma once
// A small HTTP/1.1 client for the command line: one connection, kept alive; one request in flight;
// every call bounded in time. Edge: the sole user of Boost.Beast on the client's side.
//
// A connection that was idle may have been closed by the other end meanwhile. A call that may be
// repeated is then sent once more over a fresh connection; every other failure is the caller's to
// judge, by its code:
//   kUnavailable       not reached: nothing was sent
//   kDeadlineExceeded  sent, no complete answer in time: the outcome is unknown
//   kUnknown           sent, the connection broke: the outcome is unknown
//   kResourceExhausted the answer is longer than kAnswerBytesMax
// One thread at a time.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/http_call.h"

namespace holdfast::api {

inline constexpr std::uint64_t kAnswerBytesMax = 256ull << 20;

struct HttpUrl {
  std::string host;  // a name or an address; IPv6 without brackets
  std::uint16_t port = 80;
};
// Errors: kInvalidArgument, unless it is http://HOST[:PORT] with nothing (or "/") behind.
absl::StatusOr<HttpUrl> parse_http_url(std::string_view url);
std::string to_string(const HttpUrl& url);  // http://HOST:PORT

struct HttpTimeouts {
  std::chrono::milliseconds connect{2'000};
  std::chrono::milliseconds answer{10'000};  // from the first byte sent to the last one received
};

class HttpClient {
 public:
  explicit HttpClient(HttpUrl url, HttpTimeouts timeouts = {});
  ~HttpClient();
  HttpClient(HttpClient&&) noexcept;
  HttpClient& operator=(HttpClient&&) noexcept;

  absl::StatusOr<HttpAnswer> send(const HttpCall& call);
  std::string url() const { return to_string(url_); }

 private:
  struct Connection;
  absl::StatusOr<std::unique_ptr<Connection>> connect();
  absl::StatusOr<HttpAnswer> exchange(const HttpCall& call, bool& stale);

  HttpUrl url_;
  HttpTimeouts timeouts_;
  std::unique_ptr<Connection> connection_;  // null: none is open
};

}  // namespace holdfast::api
