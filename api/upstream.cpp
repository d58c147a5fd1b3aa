#include "api/upstream.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>

namespace holdfast::api {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

constexpr std::size_t kIdleMax = 256;  // connections to one node
constexpr std::uint64_t kUpstreamBytesMax = 64ull << 20;

std::string request_text(const HttpUrl& url, const HttpCall& call) {
  std::string text =
      call.method + " " + call.target + " HTTP/1.1\r\nHost: " + to_string(url).substr(7) + "\r\n";
  for (const auto& [name, value] : call.headers) text += name + ": " + value + "\r\n";
  if (!call.body.empty())
    text += "Content-Type: " + call.content_type +
            "\r\nContent-Length: " + std::to_string(call.body.size()) + "\r\n";
  return text + "\r\n" + call.body;
}

}  // namespace

class Upstream::Connection : public std::enable_shared_from_this<Upstream::Connection> {
 public:
  Connection(Upstream& owner, std::string url, HttpUrl parsed)
      : owner_(owner),
        alive_(owner.alive_),
        url_(std::move(url)),
        parsed_(std::move(parsed)),
        stream_(owner.io_),
        resolver_(owner.io_) {}

  const std::string& url() const { return url_; }
  void start(const HttpCall& call, std::chrono::milliseconds within, Done done) {
    done_ = std::move(done);
    out_ = request_text(parsed_, call);
    stream_.expires_after(within);
    if (open_) return write();
    error_code error;
    const asio::ip::address address = asio::ip::make_address(parsed_.host, error);
    if (!error) return connect({address, parsed_.port});
    resolver_.async_resolve(parsed_.host, std::to_string(parsed_.port),
                            [self = shared_from_this()](error_code failed, auto results) {
                              if (failed || results.empty())
                                return self->end(absl::UnavailableError("no such host"));
                              self->connect(results.begin()->endpoint());
                            });
  }
  bool stale() const {  // closed by the other end while it was idle
    return !open_;
  }
  // While it is idle: whatever comes is its end.
  void watch() {
    stream_.expires_never();
    idle_ = true;
    stream_.socket().async_wait(asio::ip::tcp::socket::wait_read,
                                [self = shared_from_this()](error_code error) {
                                  if (!error && self->idle_) self->close();
                                });
  }
  void unwatch() {
    idle_ = false;
    stream_.socket().cancel();
  }
  void close() {
    open_ = false;
    error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  void connect(const asio::ip::tcp::endpoint& to) {
    stream_.async_connect(to, [self = shared_from_this()](error_code error) {
      if (error) return self->end(absl::UnavailableError("cannot connect: " + error.message()));
      self->open_ = true;
      error_code ignored;
      self->stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
      self->write();
    });
  }
  void write() {
    asio::async_write(stream_, asio::buffer(out_),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return self->broke(error);
                        self->read();
                      });
  }
  void read() {
    parser_.emplace();
    parser_->body_limit(kUpstreamBytesMax);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (error) return self->broke(error);
                       auto& message = self->parser_->get();
                       HttpAnswer answer{message.result_int(), std::move(message.body())};
                       if (!message.keep_alive()) self->close();
                       self->end(std::move(answer));
                     });
  }
  void broke(error_code error) {
    close();
    end(error == beast::error::timeout
            ? absl::DeadlineExceededError("no answer in time")
            : absl::UnknownError("the connection broke: " + error.message()));
  }
  void end(absl::StatusOr<HttpAnswer> result) {
    if (!result.ok()) close();
    parser_.reset();
    Done done = std::exchange(done_, nullptr);
    if (!*alive_) return;
    if (open_) owner_.give_back(shared_from_this());
    done(std::move(result));
  }

  Upstream& owner_;
  std::shared_ptr<bool> alive_;
  const std::string url_;
  const HttpUrl parsed_;
  beast::tcp_stream stream_;
  asio::ip::tcp::resolver resolver_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  std::string out_;
  bool open_ = false, idle_ = false;
  Done done_;
};

Upstream::Upstream(asio::io_context& io) : io_(io) {}

Upstream::~Upstream() {
  *alive_ = false;
  for (auto& [url, connections] : idle_)
    for (auto& connection : connections) connection->close();
}

void Upstream::send(const std::string& url, HttpCall call, std::chrono::milliseconds within,
                    Done done) {
  auto& idle = idle_[url];
  while (!idle.empty()) {
    std::shared_ptr<Connection> connection = std::move(idle.back());
    idle.pop_back();
    if (connection->stale()) continue;
    connection->unwatch();
    return connection->start(call, within, std::move(done));
  }
  auto parsed = parse_http_url(url);
  if (!parsed.ok()) return done(absl::UnavailableError(std::string(parsed.status().message())));
  std::make_shared<Connection>(*this, url, *std::move(parsed))
      ->start(call, within, std::move(done));
}

void Upstream::give_back(std::shared_ptr<Connection> connection) {
  auto& idle = idle_[connection->url()];
  if (idle.size() >= kIdleMax) return connection->close();
  connection->watch();
  idle.push_back(std::move(connection));
}

}  // namespace holdfast::api
