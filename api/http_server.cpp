#include "api/http_server.h"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <charconv>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "api/http_server_shard.h"

namespace holdfast::api {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

bool in_range(std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  return value >= least && value <= most;
}

// The resolver would take a larger one modulo 65,536.
bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size();
}

absl::Status check(const HttpServerOptions& options) {
  if (!in_range(options.threads, 1, 64)) {
    return absl::InvalidArgumentError("http.threads must be from 1 to 64");
  }
  if (!in_range(options.connections_max, 1, 1'000'000)) {
    return absl::InvalidArgumentError("http.connections_max must be from 1 to 1000000");
  }
  if (options.body_bytes_max < kBatchBodyBytesMax || options.answer_bytes_max < kBodyBytesMax) {
    return absl::InvalidArgumentError(
        "body_bytes_max must be at least 16 MiB, answer_bytes_max at least 1 MiB");
  }
  for (const milliseconds timeout :
       {options.request_timeout, options.idle_timeout, options.write_timeout,
        options.linger_timeout, options.drain_timeout, options.sweep_every}) {
    if (timeout < milliseconds(1) || timeout > std::chrono::hours(24)) {
      return absl::InvalidArgumentError("a timeout must be from 1 ms to 24 h");
    }
  }
  return absl::OkStatus();
}

}  // namespace

// ── the server ──────────────────────────────────────────────────────────────────────────────────

class HttpServer::Server {
 public:
  Server(HttpServerOptions options, node::Submit submit) {
    shared_.options = std::move(options);
    shared_.submit = std::move(submit);
    shared_.arriving.most = shared_.options.body_bytes_max;
    shared_.unsent.most = shared_.options.answer_bytes_max;
    shared_.resume_accepting = [this] { asio::post(shards_[0]->context(), [this] { accept(); }); };
    for (std::uint32_t i = 0; i < shared_.options.threads; ++i) {
      shards_.push_back(std::make_unique<Shard>(shared_, i));
    }
    acceptor_.emplace(shards_[0]->context());
    retry_timer_.emplace(shards_[0]->context());
  }

  absl::Status listen();
  void run() {
    asio::post(shards_[0]->context(), [this] { accept(); });
    for (const auto& shard : shards_) {
      threads_.emplace_back([&shard = *shard] { shard.run(); });
      pthread_setname_np(threads_.back().native_handle(), "http");
    }
  }
  void stop(std::chrono::milliseconds idle);
  void deliver(std::vector<node::Reply>&& replies);
  std::uint16_t port() const { return port_; }

 private:
  void accept();
  void on_accept(error_code ec, tcp::socket socket, std::uint32_t shard);

  Shared shared_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::optional<tcp::acceptor> acceptor_;  // of shard 0, like all that accepts
  std::optional<asio::steady_timer> retry_timer_;
  std::uint32_t next_shard_ = 0;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;
};

absl::Status HttpServer::Server::listen() {
  const std::string& address = shared_.options.listen;
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  const std::string port = colon == std::string::npos ? "" : address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host.empty() || !is_port(port)) {
    return absl::InvalidArgumentError("\"" + address +
                                      "\" is no address to listen on: write host:port or "
                                      "[v6]:port, with a port from 0 to 65535");
  }
  error_code ec;
  tcp::resolver resolver(shards_[0]->context());
  const auto found =
      resolver.resolve(host, port, tcp::resolver::passive | tcp::resolver::numeric_service, ec);
  if (ec || found.empty()) {
    return absl::InvalidArgumentError("cannot listen on \"" + address + "\": \"" + host +
                                      "\" is no address of this machine: " + ec.message());
  }
  const tcp::endpoint endpoint = found.begin()->endpoint();
  acceptor_->open(endpoint.protocol(), ec);
  if (!ec) acceptor_->set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor_->bind(endpoint, ec);
  if (!ec) acceptor_->listen(asio::socket_base::max_listen_connections, ec);
  if (ec) {
    return absl::UnavailableError("cannot listen on " + address + ": " + ec.message() +
                                  "; free the port or listen on another");
  }
  port_ = acceptor_->local_endpoint(ec).port();
  return absl::OkStatus();
}

void HttpServer::Server::accept() {
  if (!acceptor_->is_open()) return;
  if (shared_.connections.load() >= shared_.options.connections_max) {
    shared_.accept_paused = true;
    // One may have closed before it could see that.
    if (shared_.connections.load() >= shared_.options.connections_max) return;
    if (!shared_.accept_paused.exchange(false)) return;  // it did, and has resumed
  }
  const std::uint32_t shard = next_shard_++ % shards_.size();
  acceptor_->async_accept(shards_[shard]->context(),
                          [this, shard](error_code ec, tcp::socket socket) {
                            on_accept(ec, std::move(socket), shard);
                          });
}

void HttpServer::Server::on_accept(error_code ec, tcp::socket socket, std::uint32_t shard) {
  if (ec == asio::error::operation_aborted) return;
  if (ec) {
    spdlog::warn("http: cannot accept a connection: {}; trying again in 100 ms", ec.message());
    retry_timer_->expires_after(milliseconds(100));
    retry_timer_->async_wait([this](error_code cancelled) {
      if (!cancelled) accept();
    });
    return;
  }
  shared_.connections.fetch_add(1);
  if (shard == 0) {
    shards_[0]->add(std::move(socket));
  } else {
    Shard& home = *shards_[shard];
    asio::post(home.context(),
               [&home, s = std::move(socket)]() mutable { home.add(std::move(s)); });
  }
  accept();
}

void HttpServer::Server::deliver(std::vector<node::Reply>&& replies) {
  if (replies.empty()) return;
  const auto hand_over = [this](std::size_t index, std::vector<node::Reply>&& part) {
    Shard& shard = *shards_[index];
    asio::post(shard.context(),
               [&shard, part = std::move(part)]() mutable { shard.on_replies(std::move(part)); });
  };
  if (shards_.size() == 1) return hand_over(0, std::move(replies));
  std::vector<std::vector<node::Reply>> parts(shards_.size());
  for (node::Reply& reply : replies) {
    const std::uint64_t shard = Token::unpacked(reply.token).shard;
    if (shard < parts.size()) parts[shard].push_back(std::move(reply));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].empty()) hand_over(i, std::move(parts[i]));
  }
}

void HttpServer::Server::stop(std::chrono::milliseconds idle) {
  if (threads_.empty()) return;
  asio::post(shards_[0]->context(), [this] {
    error_code ignored;
    acceptor_->close(ignored);
    retry_timer_->cancel();
  });
  for (const auto& shard : shards_) {
    asio::post(shard->context(), [&shard = *shard, idle] { shard.drain(idle); });
  }
  {
    std::unique_lock lock(shared_.mutex);
    shared_.drained.wait_for(lock, idle + shared_.options.drain_timeout,
                             [this] { return shared_.connections.load() == 0; });
  }
  for (const auto& shard : shards_) shard->context().stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  error_code ignored;
  acceptor_->close(ignored);  // a thread without connections may have ended before it got to that
  for (const auto& shard : shards_) shard->close_all();
}

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options,
                                                              node::Submit submit) {
  if (absl::Status status = check(options); !status.ok()) return status;
  auto server = std::make_unique<Server>(std::move(options), std::move(submit));
  if (absl::Status status = server->listen(); !status.ok()) return status;
  server->run();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(server)));
}

HttpServer::HttpServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
HttpServer::~HttpServer() { server_->stop({}); }
void HttpServer::deliver(std::vector<node::Reply>&& replies) {
  server_->deliver(std::move(replies));
}
void HttpServer::stop(std::chrono::milliseconds idle) { server_->stop(idle); }
std::uint16_t HttpServer::port() const { return server_->port(); }

}  // namespace holdfast::api
