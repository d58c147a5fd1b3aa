#include "api/http_client.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace holdfast::api {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

absl::Status bad_url(std::string_view url) {
  return absl::InvalidArgumentError("'" + std::string(url) +
                                    "' is not a URL of the form http://HOST[:PORT]");
}

std::string seconds(std::chrono::milliseconds time) {
  const auto ms = time.count();
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

bool repeatable(const HttpCall& call) { return call.repeatable || call.method != "POST"; }

http::request<http::string_body> message_of(const HttpUrl& url, const HttpCall& call) {
  http::request<http::string_body> message;
  message.version(11);
  message.method_string(call.method);
  message.target(call.target);
  message.set(http::field::host, to_string(url).substr(7));
  message.set(http::field::user_agent, "holdfast");
  message.set(http::field::accept, "application/json, application/problem+json, */*");
  for (const auto& [name, value] : call.headers) message.set(name, value);
  if (!call.body.empty()) {
    message.set(http::field::content_type, call.content_type);
    message.body() = call.body;
  }
  message.prepare_payload();
  return message;
}

}  // namespace

absl::StatusOr<HttpUrl> parse_http_url(std::string_view url) {
  std::string_view rest = url;
  if (!rest.starts_with("http://")) return bad_url(url);
  rest.remove_prefix(7);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  HttpUrl parsed;
  std::string_view port;
  if (rest.starts_with('[')) {
    const auto close = rest.find(']');
    if (close == std::string_view::npos) return bad_url(url);
    parsed.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    const auto colon = rest.find(':');
    parsed.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon);
  }
  if (parsed.host.empty() || parsed.host.find_first_of("/?#@\\ \t\r\n") != std::string::npos) {
    return bad_url(url);
  }
  if (port.empty()) return parsed;
  const auto [end, error] =
      std::from_chars(port.data() + 1, port.data() + port.size(), parsed.port);
  if (port[0] != ':' || error != std::errc{} || end != port.data() + port.size() ||
      parsed.port == 0) {
    return bad_url(url);
  }
  return parsed;
}

std::string to_string(const HttpUrl& url) {
  const bool bracket = url.host.find(':') != std::string::npos;
  return "http://" + (bracket ? "[" + url.host + "]" : url.host) + ":" + std::to_string(url.port);
}

// Beast's timeouts act on asynchronous calls alone; so each step is started and its loop run to the
// end.
struct HttpClient::Connection {
  asio::io_context io{1};
  beast::tcp_stream stream{io};
  beast::flat_buffer buffer;
  bool used = false;  // an answer has come over it

  template <typename Start>
  error_code run(std::chrono::milliseconds timeout, const Start& start) {
    error_code result;
    stream.expires_after(timeout);
    start([&result](error_code error, auto&&...) { result = error; });
    io.restart();
    io.run();
    return result;
  }
};

HttpClient::HttpClient(HttpUrl url, HttpTimeouts timeouts)
    : url_(std::move(url)), timeouts_(timeouts) {}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

absl::StatusOr<std::unique_ptr<HttpClient::Connection>> HttpClient::connect() {
  auto connection = std::make_unique<Connection>();
  const auto unreachable = [this](const std::string& why) {
    return absl::UnavailableError("cannot reach " + url() + ": " + why);
  };
  error_code error;
  asio::ip::tcp::resolver resolver(connection->io);
  const auto addresses = resolver.resolve(url_.host, std::to_string(url_.port), error);
  if (error)
    return unreachable("no address for the name '" + url_.host + "' (" + error.message() + ")");
  error = connection->run(timeouts_.connect, [&](auto done) {
    connection->stream.async_connect(addresses, std::move(done));
  });
  if (error == asio::error::connection_refused) {
    return unreachable("connection refused; is the node running?");
  }
  if (error == beast::error::timeout) {
    return unreachable("no connection within " + seconds(timeouts_.connect));
  }
  if (error) return unreachable(error.message());
  connection->stream.socket().set_option(asio::ip::tcp::no_delay(true), error);
  return connection;
}

absl::StatusOr<HttpAnswer> HttpClient::exchange(const HttpCall& call, bool& stale) {
  stale = false;
  if (!connection_) {
    auto made = connect();
    if (!made.ok()) return made.status();
    connection_ = *std::move(made);
  }
  Connection& c = *connection_;
  const auto message = message_of(url_, call);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerBytesMax);
  const auto begin = std::chrono::steady_clock::now();
  error_code error = c.run(
      timeouts_.answer, [&](auto done) { http::async_write(c.stream, message, std::move(done)); });
  // A node that refuses a long body answers before it has read all of it: look for that answer.
  if (!error || error == asio::error::broken_pipe || error == asio::error::connection_reset) {
    const auto left = timeouts_.answer - std::chrono::duration_cast<std::chrono::milliseconds>(
                                             std::chrono::steady_clock::now() - begin);
    const error_code read = c.run(std::max(left, std::chrono::milliseconds(1)), [&](auto done) {
      http::async_read(c.stream, c.buffer, parser, std::move(done));
    });
    error = read;
  }
  if (!error) {
    c.used = true;
    HttpAnswer answer{parser.get().result_int(), std::move(parser.get().body())};
    if (!parser.get().keep_alive()) connection_.reset();
    return answer;
  }
  stale = c.used && !parser.got_some() && error != beast::error::timeout;
  connection_.reset();
  if (error == beast::error::timeout) {
    return absl::DeadlineExceededError(url() + " did not answer within " +
                                       seconds(timeouts_.answer) + "; the outcome is unknown");
  }
  if (error == http::error::body_limit) {
    return absl::ResourceExhaustedError("the answer of " + url() + " is longer than 256 MiB");
  }
  return absl::UnknownError("the connection to " + url() + " broke before the answer came (" +
                            error.message() + "); the outcome is unknown");
}

absl::StatusOr<HttpAnswer> HttpClient::send(const HttpCall& call) {
  bool stale = false;
  auto answer = exchange(call, stale);
  if (answer.ok() || !stale || !repeatable(call)) return answer;
  auto again = exchange(call, stale);
  // The first one may have arrived: "not reached" would say too much.
  if (absl::IsUnavailable(again.status())) {
    return absl::UnknownError(std::string(answer.status().message()) +
                              "; then: " + std::string(again.status().message()));
  }
  return again;
}

}  // namespace holdfast::api
