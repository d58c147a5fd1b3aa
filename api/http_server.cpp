// Invariants
//   1. A connection belongs to one shard and is touched by that shard's thread alone.
//   2. At most one read or one write is pending on a connection, and at most one request in flight.
//   3. A token names (shard, slot, request number, batch index). The number differs for each
//      request of a shard, so a reply to a request that is gone finds nobody.
//   4. The parser sees a header only when it is whole, at most kHeaderBytesMax long, without folds
//      and without bare line feeds.
//   5. What a connection may hold beyond a fixed size (a body that arrives, an answer that is not
//      taken) counts against a budget that all connections share.
#include "api/http_server.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <charconv>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "api/handlers.h"
#include "api/http_fields.h"
#include "api/http_input.h"
#include "api/http_message.h"
#include "api/problem.h"
#include "api/process_metrics.h"
#include "api/routes.h"

namespace holdfast::api {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr std::size_t kDiscardBytesMax = 16 << 20;
constexpr std::size_t kReadBytes = 4 << 10;          // at least, at once
constexpr std::size_t kBodyReadBytesMax = 64 << 10;  // of a body of which that much is there
constexpr std::size_t kKeptBytes = Incoming::kKeptBytes;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// ── parsing ─────────────────────────────────────────────────────────────────────────────────────

// Beast's parser, with the rules that it lacks, keeping no more fields than are needed.
class RequestParser : public http::basic_parser<true> {
 public:
  explicit RequestParser(Incoming& incoming) : in_(incoming) {
    header_limit(kHeaderBytesMax + 1);
    eager(true);
  }

 private:
  using Text = boost::beast::string_view;
  static std::string_view view(Text text) { return {text.data(), text.size()}; }

  void on_request_impl(http::verb, Text method, Text target, int version, error_code& ec) override {
    in_.method = view(method);
    in_.old_client = version < 11;
    if (target.size() > kTargetBytesMax) {
      in_.problem = target_too_long();
      ec = http::error::bad_target;
      return;
    }
    in_.target = view(target);
    body_limit(body_bytes_max(in_.target));
  }
  void on_response_impl(int, Text, int, error_code&) override {}

  void on_field_impl(http::field, Text name, Text value, error_code&) override {
    if (!header_done_) rules_.take(in_, view(name), view(value));  // trailers change nothing
  }

  void on_header_impl(error_code& ec) override {
    header_done_ = true;
    in_.problem = rules_.judge(in_);
    if (in_.problem) ec = http::error::bad_field;
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(Text data, error_code&) override {
    in_.body.append(data.data(), data.size());
    return data.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text data, error_code&) override {
    in_.body.append(data.data(), data.size());
    return data.size();
  }
  void on_finish_impl(error_code&) override {}

  Incoming& in_;
  HeaderRules rules_;
  bool header_done_ = false;
};

Problem problem_of(error_code ec) {
  if (ec == http::error::body_limit) return body_too_large();
  if (ec == http::error::header_limit) return header_too_large();
  return {.detail = "this is no HTTP/1.1 request: " + ec.message()};
}

// ── bounded memory ──────────────────────────────────────────────────────────────────────────────

// Bytes that all connections together may hold of one kind.
struct Budget {
  std::atomic<std::uint64_t> used{0};
  std::uint64_t most = 0;
};

// One connection's part of it.
class Charge {
 public:
  explicit Charge(Budget& budget) : budget_(budget) {}
  ~Charge() { set(0); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

  // False: all together are beyond the budget now; the charge stands nevertheless.
  bool set(std::uint64_t bytes) {
    if (bytes == bytes_) return true;
    const std::uint64_t change = bytes - std::exchange(bytes_, bytes);  // modulo 2^64, as `used` is
    return budget_.used.fetch_add(change, std::memory_order_relaxed) + change <= budget_.most;
  }

 private:
  Budget& budget_;
  std::uint64_t bytes_ = 0;
};

// ── tokens ──────────────────────────────────────────────────────────────────────────────────────

struct Token {
  static constexpr unsigned kIndexBits = 14, kNumberBits = 24, kSlotBits = 20;
  std::uint64_t shard, slot, number, index;

  std::uint64_t packed() const {
    return ((shard << kSlotBits | slot) << kNumberBits | number) << kIndexBits | index;
  }
  static Token unpacked(std::uint64_t bits) {
    const auto take = [&bits](unsigned count) {
      const std::uint64_t part = bits & ((std::uint64_t{1} << count) - 1);
      bits >>= count;
      return part;
    };
    Token token{};
    token.index = take(kIndexBits);
    token.number = take(kNumberBits);
    token.slot = take(kSlotBits);
    token.shard = bits;
    return token;
  }
};
static_assert(kBatchLinesMax <= std::size_t{1} << Token::kIndexBits);

class Shard;

// What the shards share.
struct Shared {
  HttpServerOptions options;
  node::Submit submit;
  Budget arriving;  // bodies
  Budget unsent;    // answers
  std::atomic<std::uint32_t> connections{0};
  std::atomic<bool> accept_paused{false};
  std::function<void()> resume_accepting;
  std::mutex mutex;  // with `drained`
  std::condition_variable drained;
};

// ── a connection ────────────────────────────────────────────────────────────────────────────────

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shard& shard, Shared& shared, std::uint32_t slot, tcp::socket socket)
      : shard_(shard),
        slot_(slot),
        socket_(std::move(socket)),
        arriving_(shared.arriving),
        unsent_(shared.unsent) {}

  void start();
  void on_reply(const Token& token, node::Outcome&& outcome);
  void on_refused(const Token& token);  // the node took nothing
  void on_sweep(std::uint32_t tick);
  void on_drain();
  void close();

 private:
  enum class Phase : std::uint8_t { header, body, waiting, writing, lingering, closed };
  enum class Next : std::uint8_t { parse, wait };
  struct Batch {
    std::vector<std::string> results;
    std::size_t missing = 0;
    std::size_t bytes = 0;
    bool omits = false;  // too much of all answers is waiting: further results are told in short
  };

  void read();
  void on_read(error_code ec, std::size_t bytes);
  void advance();
  Next begin_header();
  void skip_blank_line();
  Next feed_parser();
  Next refuse(Problem problem);
  Next dispatch();
  Next dispatch_batch(BatchCall&& batch);
  Next finish_batch();
  Next respond(const Response& response);
  Next write();
  void write_rest(std::size_t written);
  Next on_written();
  void linger();
  void discard();
  void send_continue();
  void release_body();
  void set_deadline(milliseconds timeout);
  bool is_answering(const Token& token) const {
    return phase_ == Phase::waiting && token.number == number_;
  }

  Shard& shard_;
  const std::uint32_t slot_;
  tcp::socket socket_;
  Phase phase_ = Phase::header;
  bool last_ = false;  // the answer in hand closes the connection
  bool blank_line_skipped_ = false;
  std::uint32_t deadline_ = 0;  // in sweeps; 0: none
  std::uint64_t number_ = 0;
  InputBuffer input_;
  HeaderScan scan_;
  Incoming incoming_;
  std::optional<RequestParser> parser_;
  Charge arriving_;
  std::size_t discarded_ = 0;
  Call call_;
  std::unique_ptr<Batch> batch_;
  std::string out_;
  Charge unsent_;  // results of a batch, then what the kernel did not take at once
};

// ── a thread with its connections ───────────────────────────────────────────────────────────────

class Shard {
 public:
  Shard(Shared& shared, std::uint32_t index)
      : shared_(shared),
        index_(index),
        context_(1),
        work_(context_.get_executor()),
        sweep_timer_(context_) {}

  asio::io_context& context() { return context_; }
  void run() {
    sweep();
    context_.run();
  }
  // Closes what is left. The thread has been joined.
  void close_all();

  void add(tcp::socket socket);
  void remove(std::uint32_t slot);
  void on_replies(std::vector<node::Reply>&& replies);
  void drain();

  std::uint64_t next_number() {
    return number_ = (number_ + 1) & ((std::uint64_t{1} << Token::kNumberBits) - 1);
  }
  Token token(std::uint32_t slot, std::uint64_t number) const { return {index_, slot, number, 0}; }
  void collect(std::uint64_t token, node::Command&& command);
  bool submit(std::vector<node::Request>&& requests) { return shared_.submit(std::move(requests)); }

  // Where bytes go that nobody will read: one place for all connections, never looked at.
  asio::mutable_buffer waste() { return asio::buffer(waste_); }

  const HttpServerOptions& options() const { return shared_.options; }
  JsonReader& reader() { return reader_; }
  std::uint32_t tick() const { return tick_; }
  bool draining() const { return draining_; }

 private:
  void sweep();
  void flush();
  void tell_drained();
  Connection* find(const Token& token) {
    return token.slot < slots_.size() ? slots_[token.slot].get() : nullptr;
  }

  Shared& shared_;
  const std::uint32_t index_;
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer sweep_timer_;
  std::vector<std::shared_ptr<Connection>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<node::Request> outbox_;
  std::vector<std::uint64_t> outbox_tokens_;
  bool flush_posted_ = false;
  JsonReader reader_;
  std::uint64_t number_ = 0;
  std::uint32_t tick_ = 1;
  bool draining_ = false;
  std::array<char, kBodyReadBytesMax> waste_;
};

void Shard::add(tcp::socket socket) {
  error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  socket.non_blocking(true, ignored);
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = std::make_shared<Connection>(*this, shared_, slot, std::move(socket));
  const std::shared_ptr<Connection> connection = slots_[slot];
  if (draining_) {
    connection->on_drain();
  } else {
    connection->start();
  }
}

void Shard::remove(std::uint32_t slot) {
  slots_[slot].reset();
  free_slots_.push_back(slot);
  const bool none_left = shared_.connections.fetch_sub(1) == 1;
  if (shared_.accept_paused.exchange(false)) shared_.resume_accepting();
  if (none_left && draining_) tell_drained();
}

void Shard::tell_drained() {
  const std::lock_guard lock(shared_.mutex);
  shared_.drained.notify_all();
}

void Shard::collect(std::uint64_t token, node::Command&& command) {
  outbox_.push_back({token, std::move(command)});
  outbox_tokens_.push_back(token);
  if (std::exchange(flush_posted_, true)) return;
  asio::post(context_, [this] { flush(); });  // after what is ready in this pass
}

void Shard::flush() {
  flush_posted_ = false;
  const std::vector<std::uint64_t> tokens = std::exchange(outbox_tokens_, {});
  if (submit(std::exchange(outbox_, {}))) return;
  for (const std::uint64_t bits : tokens) {
    const Token token = Token::unpacked(bits);
    if (Connection* connection = find(token)) connection->on_refused(token);
  }
}

void Shard::on_replies(std::vector<node::Reply>&& replies) {
  for (node::Reply& reply : replies) {
    const Token token = Token::unpacked(reply.token);
    if (Connection* connection = find(token)) connection->on_reply(token, std::move(reply.outcome));
  }
}

void Shard::sweep() {
  ++tick_;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (const std::shared_ptr<Connection> connection = slots_[i]) connection->on_sweep(tick_);
  }
  sweep_timer_.expires_after(options().sweep_every);
  sweep_timer_.async_wait([this](error_code ec) {
    if (!ec) sweep();
  });
}

void Shard::drain() {
  draining_ = true;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (const std::shared_ptr<Connection> connection = slots_[i]) connection->on_drain();
  }
  // The last one may have closed of its own accord before this shard knew that somebody waits.
  if (shared_.connections.load() == 0) tell_drained();
}

void Shard::close_all() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (const std::shared_ptr<Connection> connection = slots_[i]) connection->close();
  }
}

// ── a connection: reading ───────────────────────────────────────────────────────────────────────

void Connection::start() {
  set_deadline(shard_.options().idle_timeout);
  read();
}

void Connection::set_deadline(milliseconds timeout) {
  const auto sweeps = timeout / shard_.options().sweep_every;
  deadline_ = shard_.tick() + static_cast<std::uint32_t>(sweeps) + 1;
}

// A buffer grows with what has arrived, not with what a client claims that it will send.
void Connection::read() {
  const std::size_t least = phase_ == Phase::body
                                ? std::clamp(incoming_.body.size(), kReadBytes, kBodyReadBytesMax)
                                : kReadBytes;
  const std::span<char> room = input_.prepare(least);
  socket_.async_read_some(
      asio::buffer(room.data(), room.size()),
      [self = shared_from_this()](error_code ec, std::size_t bytes) { self->on_read(ec, bytes); });
}

void Connection::on_read(error_code ec, std::size_t bytes) {
  if (phase_ != Phase::header && phase_ != Phase::body) return;  // timed out meanwhile
  if (ec == asio::error::eof && (phase_ == Phase::body || !input_.empty())) {
    refuse(
        invalid("body", "the connection's sending side was closed before the request was whole"));
    return;
  }
  if (ec) return close();
  if (phase_ == Phase::header && input_.empty()) set_deadline(shard_.options().request_timeout);
  input_.commit(bytes);
  advance();
}

// Parses and answers as long as there is something to do without waiting.
void Connection::advance() {
  while (phase_ == Phase::header || phase_ == Phase::body) {
    const Next next = phase_ == Phase::header ? begin_header() : feed_parser();
    if (next == Next::wait) return;
  }
}

Connection::Next Connection::begin_header() {
  skip_blank_line();
  using Found = HeaderScan::Found;
  const Found found = scan_.look(input_.text());
  if (found == Found::folded) return refuse(header_line_folded());
  if (found == Found::bare_line_feed) return refuse(bare_line_feed());
  const std::size_t bytes = found == Found::whole ? scan_.header_bytes() : input_.size();
  if (bytes > kHeaderBytesMax) {
    const bool long_target = scan_.first_line_exceeds(kTargetBytesMax);
    return refuse(long_target ? target_too_long() : header_too_large());
  }
  if (found == Found::more) {
    read();
    return Next::wait;
  }
  parser_.emplace(incoming_);
  phase_ = Phase::body;
  set_deadline(shard_.options().request_timeout);
  return Next::parse;
}

// One before a request is no error: RFC 9112, 2.2.
void Connection::skip_blank_line() {
  if (blank_line_skipped_ || !input_.text().starts_with("\r\n")) return;
  blank_line_skipped_ = true;
  input_.consume(2);
  scan_ = HeaderScan();  // it may have seen the first half
  if (input_.empty()) set_deadline(shard_.options().idle_timeout);
}

Connection::Next Connection::feed_parser() {
  error_code ec;
  if (!input_.empty()) {
    const std::string_view text = input_.text();
    input_.consume(parser_->put(asio::const_buffer(text.data(), text.size()), ec));
  }
  if (incoming_.problem) return refuse(*std::move(incoming_.problem));
  if (ec && ec != http::error::need_more) return refuse(problem_of(ec));
  if (parser_->is_done()) return dispatch();
  // Data is always consumed; what may pile up is a chunk's header or the trailers.
  if (input_.size() > kHeaderBytesMax) return refuse(header_too_large());
  if (!arriving_.set(incoming_.body.size())) return refuse(overloaded());
  if (std::exchange(incoming_.expects_continue, false)) send_continue();
  if (phase_ == Phase::closed) return Next::wait;
  read();
  return Next::wait;
}

// The kernel's send buffer is empty here, but for a client that reads no answers; that one is not
// waited for.
void Connection::send_continue() {
  if (incoming_.old_client) return;
  error_code ec;
  const auto bytes = socket_.write_some(asio::buffer(kContinue.data(), kContinue.size()), ec);
  if (ec || bytes < kContinue.size()) close();
}

// ── a connection: answering ─────────────────────────────────────────────────────────────────────

Connection::Next Connection::refuse(Problem problem) {
  last_ = true;
  return respond(to_response(problem));
}

Connection::Next Connection::dispatch() {
  last_ = !parser_->keep_alive();
  const Request request{.method = incoming_.method,
                        .target = incoming_.target,
                        .content_type = incoming_.content_type,
                        .idempotency_key = incoming_.idempotency_key,
                        .has_idempotency_key = incoming_.has_key,
                        .body = incoming_.body};
  Parsed parsed = parse_request(request, shard_.reader());
  release_body();
  if (const auto* response = std::get_if<Response>(&parsed)) return respond(*response);
  phase_ = Phase::waiting;
  deadline_ = 0;  // the node answers in its own time, wait_ms included
  number_ = shard_.next_number();
  if (auto* batch = std::get_if<BatchCall>(&parsed)) return dispatch_batch(std::move(*batch));
  call_ = std::get<Call>(std::move(parsed));
  shard_.collect(shard_.token(slot_, number_).packed(), std::move(call_.command));
  return Next::wait;
}

// A large body is not kept for as long as its answer takes.
void Connection::release_body() {
  if (incoming_.body.capacity() > kKeptBytes) std::string().swap(incoming_.body);
  arriving_.set(0);
}

Connection::Next Connection::dispatch_batch(BatchCall&& call) {
  batch_ = std::make_unique<Batch>();
  batch_->results.resize(call.lines.size());
  std::vector<node::Request> requests;
  Token token = shard_.token(slot_, number_);
  for (std::size_t i = 0; i < call.lines.size(); ++i) {
    if (call.lines[i].command) {
      token.index = i;
      requests.push_back({token.packed(), *std::move(call.lines[i].command)});
    } else {
      batch_->bytes += call.lines[i].refusal.size();
      batch_->results[i] = std::move(call.lines[i].refusal);
    }
  }
  batch_->missing = requests.size();
  unsent_.set(batch_->bytes);
  if (requests.empty()) return finish_batch();
  if (shard_.submit(std::move(requests))) return Next::wait;
  batch_.reset();
  return respond(to_response(overloaded()));
}

Connection::Next Connection::finish_batch() {
  Response response{.type = ContentType::ndjson};
  response.body.reserve(batch_->bytes + batch_->results.size());
  for (const std::string& result : batch_->results) response.body.append(result).push_back('\n');
  batch_.reset();
  return respond(response);
}

void Connection::on_reply(const Token& token, node::Outcome&& outcome) {
  if (!is_answering(token)) return;
  const auto self = shared_from_this();
  Next next = Next::wait;
  if (batch_ == nullptr) {
    Response response = answer(call_, outcome);
    if (call_.wording == Wording::metrics) response.body += process_metrics_text();
    next = respond(std::move(response));
  } else {
    std::string& result = batch_->results[token.index];
    if (!result.empty()) return;  // answered already
    if (batch_->bytes > kBatchAnswerBytesMax || batch_->omits) {
      append_batch_result_omitted(result, outcome);
    } else {
      append_batch_result(result, outcome);
    }
    batch_->bytes += result.size();
    batch_->omits = !unsent_.set(batch_->bytes);
    if (--batch_->missing == 0) next = finish_batch();
  }
  if (next == Next::parse) advance();
}

void Connection::on_refused(const Token& token) {
  if (!is_answering(token)) return;
  const auto self = shared_from_this();
  if (respond(to_response(overloaded())) == Next::parse) advance();
}

Connection::Next Connection::respond(const Response& response) {
  last_ |= shard_.draining();
  const Framing framing{
      .close = last_, .old_client = incoming_.old_client, .head_only = incoming_.method == "HEAD"};
  append_response(out_, response, framing);
  return write();
}

// Most answers fit into the kernel's buffer, and need no trip through the loop.
Connection::Next Connection::write() {
  error_code ec;
  const std::size_t bytes = socket_.write_some(asio::buffer(out_), ec);
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) {
    close();
    return Next::wait;
  }
  if (!ec && bytes == out_.size()) return on_written();
  if (!unsent_.set(out_.size())) {  // nothing can be said to a client that takes nothing
    close();
    return Next::wait;
  }
  phase_ = Phase::writing;
  write_rest(ec ? 0 : bytes);
  return Next::wait;
}

void Connection::write_rest(std::size_t written) {
  set_deadline(shard_.options().write_timeout);
  socket_.async_write_some(asio::buffer(out_) + written,
                           [self = shared_from_this(), written](error_code ec, std::size_t bytes) {
                             if (self->phase_ != Phase::writing) return;
                             if (ec) return self->close();
                             const std::size_t total = written + bytes;
                             if (total < self->out_.size()) return self->write_rest(total);
                             if (self->on_written() == Next::parse) self->advance();
                           });
}

Connection::Next Connection::on_written() {
  if (out_.capacity() > kKeptBytes) std::string().swap(out_);
  out_.clear();
  unsent_.set(0);
  if (last_) {
    linger();
    return Next::wait;
  }
  parser_.reset();
  incoming_.clear();
  input_.shrink();
  scan_ = HeaderScan();
  blank_line_skipped_ = false;
  phase_ = Phase::header;
  set_deadline(input_.empty() ? shard_.options().idle_timeout : shard_.options().request_timeout);
  return Next::parse;
}

// ── a connection: its end ───────────────────────────────────────────────────────────────────────

// Closing while the client still sends would reset the connection, and could destroy the answer
// before the client has read it. So: say that no more comes, and read what is left, within bounds.
void Connection::linger() {
  phase_ = Phase::lingering;
  discarded_ = input_.size();
  input_.clear();
  release_body();
  set_deadline(shard_.options().linger_timeout);
  error_code ec;
  socket_.shutdown(tcp::socket::shutdown_send, ec);
  if (ec) return close();
  discard();
}

void Connection::discard() {
  socket_.async_read_some(shard_.waste(),
                          [self = shared_from_this()](error_code ec, std::size_t bytes) {
                            if (self->phase_ != Phase::lingering) return;
                            self->discarded_ += bytes;
                            if (ec || self->discarded_ > kDiscardBytesMax) return self->close();
                            self->discard();
                          });
}

void Connection::on_sweep(std::uint32_t tick) {
  if (deadline_ == 0 || tick < deadline_) return;
  const bool receiving = phase_ == Phase::body || (phase_ == Phase::header && !input_.empty());
  if (!receiving) return close();
  error_code ignored;
  socket_.cancel(ignored);  // the read; its handler sees another phase
  refuse(request_timeout());
}

void Connection::on_drain() {
  if (phase_ == Phase::header && input_.empty()) close();
}

void Connection::close() {
  if (phase_ == Phase::closed) return;
  phase_ = Phase::closed;
  error_code ignored;
  socket_.close(ignored);
  arriving_.set(0);
  unsent_.set(0);
  const auto self = weak_from_this().lock();  // outlives its slot until the caller is done
  shard_.remove(slot_);
}

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
    for (const auto& shard : shards_) threads_.emplace_back([&shard = *shard] { shard.run(); });
  }
  void stop();
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

void HttpServer::Server::stop() {
  if (threads_.empty()) return;
  asio::post(shards_[0]->context(), [this] {
    error_code ignored;
    acceptor_->close(ignored);
    retry_timer_->cancel();
  });
  for (const auto& shard : shards_) {
    asio::post(shard->context(), [&shard = *shard] { shard.drain(); });
  }
  {
    std::unique_lock lock(shared_.mutex);
    shared_.drained.wait_for(lock, shared_.options.drain_timeout,
                             [this] { return shared_.connections.load() == 0; });
  }
  for (const auto& shard : shards_) shard->context().stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
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
HttpServer::~HttpServer() { server_->stop(); }
void HttpServer::deliver(std::vector<node::Reply>&& replies) {
  server_->deliver(std::move(replies));
}
void HttpServer::stop() { server_->stop(); }
std::uint16_t HttpServer::port() const { return server_->port(); }

}  // namespace holdfast::api
