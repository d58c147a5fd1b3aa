#include "gossip/ws_transport.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

#include "crdt/check.h"

namespace holdfast::gossip {

// A TCP stream whose websocket teardown does not wait for the peer: Beast's own reads until the
// peer has closed too, up to its timeout, and a broken peer need not; then also the error that
// began it is lost. Found by Beast through argument-dependent lookup, hence not in the unnamed
// namespace.
class GossipStream : public boost::beast::tcp_stream {
 public:
  using boost::beast::tcp_stream::tcp_stream;
};

inline void teardown(boost::beast::role_type, GossipStream& stream,
                     boost::system::error_code& error) {
  stream.socket().shutdown(boost::asio::socket_base::shutdown_send, error);
  error = {};
}

template <typename Handler>
void async_teardown(boost::beast::role_type role, GossipStream& stream, Handler&& handler) {
  boost::system::error_code error;
  teardown(role, stream, error);
  boost::asio::post(stream.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler), error));
}

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr const char* kTarget = "/gossip/v1";
constexpr std::size_t kHandshakesMax = 100;
constexpr std::size_t kRequestBytesMax = 8u << 10;
constexpr std::size_t kUnreadBytesMax = 8u << 20;         // a link's
constexpr std::size_t kUnreadBytesMaxOfAll = 256u << 20;  // all links'
constexpr std::size_t kBufferBytesKept = 64u << 10;       // by a link that is quiet
constexpr std::size_t kEventsMax = 1'024;                 // handed over at a time
constexpr std::size_t kSentBytesTold = 64u << 10;         // fewer are told beside something else
constexpr std::size_t kNonceBytes = 32;
constexpr auto kConnectTimeout = 3s;
constexpr auto kHandshakeTimeout = 5s;
constexpr auto kIdleTimeout = 20s;
constexpr auto kCloseTimeout = 1s;
constexpr auto kAcceptPause = 100ms;
constexpr auto kRefusalLogInterval = 1s;

using Stream = websocket::stream<GossipStream, false>;

struct HostPort {
  std::string host, port;
};

std::optional<HostPort> split_address(const std::string& address) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos || colon == 0 || address.size() > 300) return std::nullopt;
  std::string host = address.substr(0, colon);
  const std::string port = address.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (host.empty() || !digits || std::stoul(port) > 65'535) return std::nullopt;
  return HostPort{.host = std::move(host), .port = port};
}

std::string to_text(const tcp::endpoint& endpoint) {
  std::string host = endpoint.address().to_string();
  if (endpoint.address().is_v6()) host = "[" + host + "]";
  return host + ":" + std::to_string(endpoint.port());
}

// A close frame takes 123 bytes of UTF-8.
websocket::close_reason close_frame(const std::string& reason) {
  std::string text = reason.substr(0, 120);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return {websocket::close_code::normal, text};
}

std::string describe_read_error(ErrorCode error, const websocket::close_reason& close) {
  if (error == websocket::error::closed) {
    std::string text = "closed by the peer";
    if (!close.reason.empty()) text += ": " + std::string(close.reason.data(), close.reason.size());
    return text;
  }
  if (error == beast::error::timeout) return "no sign of life for 20 s";
  if (error == websocket::error::message_too_big || error == websocket::error::buffer_overflow) {
    return "a frame of more than " + std::to_string(kFrameBytesMax) + " bytes";
  }
  return "connection lost: " + error.message();
}

enum class Phase { opening, up, closing, down };

struct Link {
  Link(asio::io_context& context, LinkId link_id, std::string dialled)
      : id(link_id), address(std::move(dialled)), ws(context), resolver(context), timer(context) {}
  Link(tcp::socket&& socket, asio::io_context& context, LinkId link_id)
      : id(link_id), inbound(true), ws(std::move(socket)), resolver(context), timer(context) {}

  const LinkId id;
  const std::string address;  // as dialled
  const bool inbound = false;
  std::string remote;  // for the log
  Phase phase = Phase::opening;
  Stream ws;
  tcp::resolver resolver;
  asio::steady_timer timer;  // of resolving, then of closing

  // Before the websocket: the upgrade request and a refusal.
  std::optional<http::request_parser<http::empty_body>> request;
  http::response<http::empty_body> refusal;

  // Reading.
  beast::flat_buffer buffer{kFrameBytesMax};
  bool reading = false;
  std::deque<std::size_t> unread;  // sizes of the frames that were handed over and not consumed
  std::size_t unread_bytes = 0;

  // Writing.
  std::deque<FrameBytes> queue;  // the first is being written
  std::size_t queued_bytes = 0;
  std::size_t sent_bytes = 0;  // not yet told
  bool writing = false;
  bool close_sent = false;
  std::string close_reason;
};
using LinkPtr = std::shared_ptr<Link>;

struct Dial {
  std::string address;
};
struct Resolve {
  std::string name;
};
struct Send {
  LinkId link;
  FrameBytes frame;
};
struct Close {
  LinkId link;
  std::string reason;
};
struct Consumed {
  LinkId link;
  std::size_t frames;
};
using Order = std::variant<Dial, Resolve, Send, Close, Consumed>;

}  // namespace

// Everything below the line "own thread" runs there alone, and needs no lock.
class WsTransport::Core {
 public:
  Core(WsTransportOptions options, OnNetEvents on_events)
      : options_(std::move(options)), on_events_(std::move(on_events)) {}
  ~Core() { stop(); }

  absl::Status listen();
  void run();
  void give(Order&& order);
  void stop();
  std::uint16_t port() const { return port_; }

 private:
  // ── own thread ──
  void take_orders();
  void want_consumed();
  void take(Dial&& order);
  void take(Resolve&& order);
  void take(Send&& order);
  void take(Close&& order);
  void take(Consumed&& order);

  void accept();
  void on_accept(tcp::socket&& socket);
  void read_request(const LinkPtr& link);
  void on_request(const LinkPtr& link);
  void refuse_request(const LinkPtr& link);

  void connect(const LinkPtr& link, const tcp::resolver::results_type& endpoints);
  void set_websocket_options(const LinkPtr& link);
  void come_up(const LinkPtr& link);

  bool may_read(const Link& link) const;
  void read(const LinkPtr& link);
  void on_read(const LinkPtr& link, ErrorCode error);
  void resume_paused();
  void write(const LinkPtr& link);
  void send_close(const LinkPtr& link);
  void end(const LinkPtr& link, const std::string& reason);
  void log_refusal(const std::string& text);

  void tell(NetEvent&& event);
  void tell_sent(Link& link);
  void hand_over();
  void stop_here();

  WsTransportOptions options_;
  OnNetEvents on_events_;
  std::uint16_t port_ = 0;
  asio::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  asio::steady_timer accept_timer_{context_};
  tcp::resolver names_{context_};

  std::mutex orders_mutex_;  // guards the next three
  std::vector<Order> orders_;
  bool orders_posted_ = false;
  bool consumed_wanted_ = false;  // links wait for consumed()

  LinkId next_link_ = 1;
  std::unordered_map<LinkId, LinkPtr> links_;
  std::size_t inbound_ = 0;
  std::size_t handshakes_ = 0;  // inbound links that are not up yet
  std::size_t unread_bytes_ = 0;
  std::set<LinkId> paused_;    // links that wait for consumed()
  std::vector<LinkPtr> sent_;  // links with bytes sent and not told
  std::vector<NetEvent> events_;
  bool hand_over_posted_ = false;
  bool stopping_ = false;
  Clock::time_point refusal_logged_at_{};
  std::size_t refusals_unlogged_ = 0;

  std::thread thread_;  // last: it uses all of the above
};

// ── from other threads
// ──────────────────────────────────────────────────────────────────────────────

absl::Status WsTransport::Core::listen() {
  const auto address = split_address(options_.listen);
  if (!address) {
    return absl::InvalidArgumentError("cannot listen on '" + options_.listen +
                                      "': must be host:port, e.g. 127.0.0.1:7940");
  }
  ErrorCode error;
  tcp::resolver resolver(context_);
  const auto endpoints =
      resolver.resolve(address->host, address->port, tcp::resolver::passive, error);
  if (error || endpoints.empty()) {
    return absl::InvalidArgumentError("cannot listen on " + options_.listen + ": " +
                                      error.message() + "; set gossip.listen");
  }
  const tcp::endpoint endpoint = endpoints.begin()->endpoint();
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (!error) port_ = acceptor_.local_endpoint(error).port();
  if (!error) return absl::OkStatus();
  return absl::UnavailableError("cannot listen on " + options_.listen + ": " + error.message() +
                                "; stop what uses it, or set gossip.listen");
}

void WsTransport::Core::run() {
  accept();
  thread_ = std::thread([this] {
    const auto work = asio::make_work_guard(context_);
    context_.run();
  });
  pthread_setname_np(thread_.native_handle(), "gossip");
}

// One post for many orders. What was consumed is not worth a wake-up while no link waits for it:
// there is little of it, since a link that had no word of it would wait after kFramesUnread.
void WsTransport::Core::give(Order&& order) {
  {
    const std::lock_guard lock(orders_mutex_);
    const bool can_wait = !consumed_wanted_ && std::holds_alternative<Consumed>(order);
    orders_.push_back(std::move(order));
    if (can_wait || std::exchange(orders_posted_, true)) return;
  }
  asio::post(context_, [this] { take_orders(); });
}

void WsTransport::Core::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] { stop_here(); });
  thread_.join();
}

// ── own thread: orders
// ──────────────────────────────────────────────────────────────────────────────

void WsTransport::Core::stop_here() {
  stopping_ = true;
  ErrorCode ignored;
  acceptor_.close(ignored);
  accept_timer_.cancel();
  const auto links = links_;
  for (const auto& [id, link] : links) end(link, "this node stops");
  hand_over();
  context_.stop();
}

void WsTransport::Core::take_orders() {
  std::vector<Order> orders;
  {
    const std::lock_guard lock(orders_mutex_);
    orders.swap(orders_);
    orders_posted_ = false;
    consumed_wanted_ = !paused_.empty();
  }
  if (stopping_) return;
  for (Order& order : orders) {
    std::visit([this](auto&& one) { take(std::move(one)); }, std::move(order));
  }
}

// A link waits. What it waits for may have been given already.
void WsTransport::Core::want_consumed() {
  {
    const std::lock_guard lock(orders_mutex_);
    consumed_wanted_ = true;
    if (orders_.empty() || std::exchange(orders_posted_, true)) return;
  }
  asio::post(context_, [this] { take_orders(); });
}

void WsTransport::Core::take(Dial&& order) {
  const auto link = std::make_shared<Link>(context_, next_link_++, std::move(order.address));
  links_.emplace(link->id, link);
  link->remote = link->address;
  const auto address = split_address(link->address);
  if (!address) return end(link, "not an address; must be host:port");
  link->timer.expires_after(kConnectTimeout);
  link->timer.async_wait([this, link](ErrorCode error) {
    if (!error && link->phase == Phase::opening) end(link, "no connection within 3 s");
  });
  ErrorCode not_numeric;
  const auto ip = asio::ip::make_address(address->host, not_numeric);
  if (!not_numeric) {
    const tcp::endpoint endpoint(ip, static_cast<std::uint16_t>(std::stoul(address->port)));
    return connect(link,
                   tcp::resolver::results_type::create(endpoint, address->host, address->port));
  }
  link->resolver.async_resolve(
      address->host, address->port,
      [this, link](ErrorCode error, const tcp::resolver::results_type& endpoints) {
        if (link->phase != Phase::opening) return;
        if (error) return end(link, "cannot resolve: " + error.message());
        connect(link, endpoints);
      });
}

void WsTransport::Core::take(Resolve&& order) {
  const auto address = split_address(order.name);
  if (!address) return tell(Resolved{.name = std::move(order.name)});
  names_.async_resolve(address->host, address->port,
                       [this, name = std::move(order.name)](
                           ErrorCode error, const tcp::resolver::results_type& endpoints) {
                         if (stopping_) return;
                         if (error) spdlog::debug("cannot resolve {}: {}", name, error.message());
                         std::set<std::string> found;
                         if (!error)
                           for (const auto& entry : endpoints)
                             found.insert(to_text(entry.endpoint()));
                         tell(Resolved{.name = name, .addresses = {found.begin(), found.end()}});
                       });
}

void WsTransport::Core::take(Send&& order) {
  const auto found = links_.find(order.link);
  if (found == links_.end() || found->second->phase != Phase::up) return;
  const LinkPtr link = found->second;
  const std::size_t bytes = order.frame->size();
  if (link->queued_bytes + bytes > options_.queue_bytes_max) {
    return end(link, "peer too slow: " + std::to_string(link->queued_bytes) +
                         " bytes wait to be sent to it");
  }
  link->queued_bytes += bytes;
  link->queue.push_back(std::move(order.frame));
  write(link);
}

void WsTransport::Core::take(Close&& order) {
  const auto found = links_.find(order.link);
  if (found == links_.end() || found->second->phase != Phase::up) return;
  const LinkPtr link = found->second;
  link->phase = Phase::closing;
  link->close_reason = std::move(order.reason);
  link->timer.expires_after(kCloseTimeout);
  link->timer.async_wait([this, link](ErrorCode error) {
    if (!error) end(link, link->close_reason);
  });
  if (link->queue.empty()) send_close(link);
}

void WsTransport::Core::take(Consumed&& order) {
  const auto found = links_.find(order.link);
  if (found == links_.end()) return;
  const LinkPtr link = found->second;
  for (; order.frames > 0 && !link->unread.empty(); --order.frames) {
    link->unread_bytes -= link->unread.front();
    unread_bytes_ -= link->unread.front();
    link->unread.pop_front();
  }
  resume_paused();
}

// ── own thread: inbound
// ─────────────────────────────────────────────────────────────────────────────

void WsTransport::Core::accept() {
  acceptor_.async_accept([this](ErrorCode error, tcp::socket socket) {
    if (stopping_) return;
    if (!error) {
      on_accept(std::move(socket));
      return accept();
    }
    // Out of descriptors, most likely: trying again at once would only burn the processor.
    log_refusal("cannot accept a connection: " + error.message());
    accept_timer_.expires_after(kAcceptPause);
    accept_timer_.async_wait([this](ErrorCode) {
      if (!stopping_) accept();
    });
  });
}

void WsTransport::Core::on_accept(tcp::socket&& socket) {
  ErrorCode error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return;
  const std::string remote = endpoint.address().to_string() + ":" + std::to_string(endpoint.port());
  if (inbound_ >= options_.accept_max) {
    return log_refusal("refused " + remote + ": there are " + std::to_string(inbound_) +
                       " inbound links already");
  }
  if (handshakes_ >= kHandshakesMax) {
    return log_refusal("refused " + remote + ": " + std::to_string(handshakes_) +
                       " connections have not finished their handshake");
  }
  const auto link = std::make_shared<Link>(std::move(socket), context_, next_link_++);
  links_.emplace(link->id, link);
  link->remote = remote;
  ++inbound_;
  ++handshakes_;
  read_request(link);
}

void WsTransport::Core::read_request(const LinkPtr& link) {
  link->request.emplace();
  link->request->header_limit(kRequestBytesMax);
  beast::get_lowest_layer(link->ws).expires_after(kHandshakeTimeout);
  http::async_read(link->ws.next_layer(), link->buffer, *link->request,
                   [this, link](ErrorCode error, std::size_t) {
                     if (link->phase != Phase::opening) return;
                     if (error) return end(link, "no upgrade request: " + error.message());
                     on_request(link);
                   });
}

void WsTransport::Core::on_request(const LinkPtr& link) {
  const auto& request = link->request->get();
  // Nobody may send frames before the upgrade was answered.
  if (!websocket::is_upgrade(request) || request.target() != kTarget || link->buffer.size() != 0) {
    return refuse_request(link);
  }
  set_websocket_options(link);
  link->ws.async_accept(request, [this, link](ErrorCode error) {
    if (link->phase != Phase::opening) return;
    if (error) return end(link, "the websocket handshake failed: " + error.message());
    link->request.reset();
    come_up(link);
  });
}

void WsTransport::Core::refuse_request(const LinkPtr& link) {
  link->refusal = {http::status::not_found, 11};
  link->refusal.keep_alive(false);
  link->refusal.content_length(0);
  http::async_write(link->ws.next_layer(), link->refusal, [this, link](ErrorCode, std::size_t) {
    if (link->phase == Phase::opening) end(link, std::string("not an upgrade of ") + kTarget);
  });
}

// ── own thread: outbound
// ────────────────────────────────────────────────────────────────────────────

void WsTransport::Core::connect(const LinkPtr& link, const tcp::resolver::results_type& endpoints) {
  beast::get_lowest_layer(link->ws).async_connect(
      endpoints, [this, link](ErrorCode error, const tcp::endpoint&) {
        if (link->phase != Phase::opening) return;
        if (error) return end(link, "cannot connect: " + error.message());
        link->timer.cancel();
        set_websocket_options(link);
        link->ws.async_handshake(link->address, kTarget, [this, link](ErrorCode failed) {
          if (link->phase != Phase::opening) return;
          if (failed) return end(link, "the websocket handshake failed: " + failed.message());
          come_up(link);
        });
      });
}

// ── own thread: links that are up
// ───────────────────────────────────────────────────────────────────

void WsTransport::Core::set_websocket_options(const LinkPtr& link) {
  beast::get_lowest_layer(link->ws).expires_never();  // the websocket has timers of its own
  ErrorCode ignored;
  beast::get_lowest_layer(link->ws).socket().set_option(tcp::no_delay(true), ignored);
  link->ws.set_option(websocket::stream_base::timeout{.handshake_timeout = kHandshakeTimeout,
                                                      .idle_timeout = kIdleTimeout,
                                                      .keep_alive_pings = true});
  link->ws.read_message_max(kFrameBytesMax);
  link->ws.auto_fragment(false);
  link->ws.binary(true);
  link->ws.write_buffer_bytes(16u << 10);  // what a dialler masks and writes at a time
}

void WsTransport::Core::come_up(const LinkPtr& link) {
  std::string nonce(kNonceBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), static_cast<int>(nonce.size())) !=
      1) {
    return end(link, "the system has no random numbers");
  }
  link->phase = Phase::up;
  if (link->inbound) --handshakes_;
  spdlog::info("link {} is up: {} {}", link->id, link->inbound ? "from" : "to", link->remote);
  tell(LinkUp{.link = link->id, .address = link->address, .nonce = std::move(nonce)});
  read(link);
}

bool WsTransport::Core::may_read(const Link& link) const {
  // A link that owes nothing may always read, so none is starved by the others' frames for good.
  return link.unread.empty() ||
         (link.unread.size() < kFramesUnread && link.unread_bytes < kUnreadBytesMax &&
          unread_bytes_ < kUnreadBytesMaxOfAll);
}

void WsTransport::Core::read(const LinkPtr& link) {
  if (link->reading || link->phase != Phase::up) return;
  if (!may_read(*link)) {
    paused_.insert(link->id);
    return want_consumed();
  }
  link->reading = true;
  link->ws.async_read(link->buffer,
                      [this, link](ErrorCode error, std::size_t) { on_read(link, error); });
}

void WsTransport::Core::on_read(const LinkPtr& link, ErrorCode error) {
  link->reading = false;
  if (link->phase == Phase::down) return;
  if (error) {
    const bool ours = link->phase == Phase::closing;
    return end(link, ours ? link->close_reason : describe_read_error(error, link->ws.reason()));
  }
  if (link->phase == Phase::closing) return;  // nobody wants it any more
  if (!link->ws.got_binary()) return end(link, "a text message; frames are binary");
  std::string bytes(static_cast<const char*>(link->buffer.data().data()), link->buffer.size());
  link->buffer.clear();
  if (link->buffer.capacity() > kBufferBytesKept) link->buffer.shrink_to_fit();
  link->unread.push_back(bytes.size());
  link->unread_bytes += bytes.size();
  unread_bytes_ += bytes.size();
  tell(FrameIn{.link = link->id, .bytes = std::move(bytes)});
  read(link);
}

void WsTransport::Core::resume_paused() {
  const auto paused = std::exchange(paused_, {});
  for (const LinkId id : paused) {
    const auto found = links_.find(id);
    if (found != links_.end()) read(found->second);
  }
}

void WsTransport::Core::write(const LinkPtr& link) {
  if (link->writing || link->queue.empty()) return;
  link->writing = true;
  link->ws.async_write(
      asio::buffer(*link->queue.front()), [this, link](ErrorCode error, std::size_t) {
        link->writing = false;
        if (link->phase == Phase::down) return;
        if (error) return end(link, "cannot send: " + error.message());
        if (link->sent_bytes == 0) sent_.push_back(link);
        link->sent_bytes += link->queue.front()->size();
        link->queued_bytes -= link->queue.front()->size();
        link->queue.pop_front();
        // A peer that lives says something every heartbeat.
        if (link->sent_bytes >= kSentBytesTold && !std::exchange(hand_over_posted_, true))
          asio::post(context_, [this] { hand_over(); });
        if (!link->queue.empty()) return write(link);
        if (link->phase == Phase::closing) send_close(link);
      });
}

void WsTransport::Core::send_close(const LinkPtr& link) {
  if (std::exchange(link->close_sent, true)) return;
  link->ws.async_close(close_frame(link->close_reason),
                       [this, link](ErrorCode) { end(link, link->close_reason); });
}

// The one way out of every phase.
void WsTransport::Core::end(const LinkPtr& link, const std::string& reason) {
  const Phase before = std::exchange(link->phase, Phase::down);
  if (before == Phase::down) return;
  link->timer.cancel();
  link->resolver.cancel();
  beast::get_lowest_layer(link->ws).close();
  unread_bytes_ -= link->unread_bytes;
  paused_.erase(link->id);
  links_.erase(link->id);
  if (link->inbound) --inbound_;
  if (before != Phase::opening) {
    tell_sent(*link);
    spdlog::info("link {} is down: {}: {}", link->id, link->remote, reason);
    tell(LinkDown{.link = link->id, .address = link->address, .reason = reason});
  } else if (link->inbound) {
    --handshakes_;
    log_refusal("refused " + link->remote + ": " + reason);
  } else {
    spdlog::debug("no link to {}: {}", link->address, reason);
    tell(LinkDown{.link = 0, .address = link->address, .reason = reason});
  }
  resume_paused();
}

// Anybody can provoke these, so at most one a second is written.
void WsTransport::Core::log_refusal(const std::string& text) {
  const auto now = Clock::now();
  if (now - refusal_logged_at_ < kRefusalLogInterval) {
    ++refusals_unlogged_;
    return;
  }
  refusal_logged_at_ = now;
  const std::size_t others = std::exchange(refusals_unlogged_, 0);
  spdlog::warn("{}{}", text, others ? " (and " + std::to_string(others) + " others before)" : "");
}

// ── own thread: events
// ──────────────────────────────────────────────────────────────────────────────

// Events are collected while handlers are ready, then handed over together.
void WsTransport::Core::tell(NetEvent&& event) {
  events_.push_back(std::move(event));
  if (events_.size() >= kEventsMax) return hand_over();
  if (!std::exchange(hand_over_posted_, true)) asio::post(context_, [this] { hand_over(); });
}

void WsTransport::Core::tell_sent(Link& link) {
  const std::size_t bytes = std::exchange(link.sent_bytes, 0);
  if (bytes > 0) events_.push_back(FramesSent{.link = link.id, .bytes = bytes});
}

void WsTransport::Core::hand_over() {
  hand_over_posted_ = false;
  for (const LinkPtr& link : std::exchange(sent_, {})) tell_sent(*link);
  if (!events_.empty()) on_events_(std::exchange(events_, {}));
}

// ── the transport
// ───────────────────────────────────────────────────────────────────────────────────

WsTransport::WsTransport(std::unique_ptr<Core> core) : core_(std::move(core)) {}
WsTransport::~WsTransport() = default;

absl::StatusOr<std::unique_ptr<WsTransport>> WsTransport::start(WsTransportOptions options,
                                                                OnNetEvents on_events) {
  auto core = std::make_unique<Core>(std::move(options), std::move(on_events));
  if (auto s = core->listen(); !s.ok()) return s;
  core->run();
  return std::unique_ptr<WsTransport>(new WsTransport(std::move(core)));
}

void WsTransport::dial(const std::string& address) { core_->give(Dial{address}); }

void WsTransport::resolve(const std::string& name) { core_->give(Resolve{name}); }

void WsTransport::send(LinkId link, FrameBytes frame) {
  HOLDFAST_CHECK(frame && !frame->empty() && frame->size() <= kFrameBytesMax);
  core_->give(Send{link, std::move(frame)});
}

void WsTransport::close(LinkId link, const std::string& reason) {
  core_->give(Close{link, reason});
}

void WsTransport::consumed(LinkId link, std::size_t frames) { core_->give(Consumed{link, frames}); }

void WsTransport::stop() { core_->stop(); }

std::uint16_t WsTransport::port() const { return core_->port(); }

}  // namespace holdfast::gossip
