#include "api/http_server_connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <span>
#include <utility>

#include "api/process_metrics.h"

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

Problem problem_of(error_code ec) {
  if (ec == http::error::body_limit) return body_too_large();
  if (ec == http::error::header_limit) return header_too_large();
  return {.detail = "this is no HTTP/1.1 request: " + ec.message()};
}

}  // namespace

// ── reading ───────────────────────────────────────────────────────────────────────

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

// ── answering ─────────────────────────────────────────────────────────────────────

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
  arriving_.set(incoming_.body.size());
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

// A large body is not kept for as long as its answer takes. It is charged for so long: what it
// asks for is kept, and is about as large.
void Connection::release_body() {
  if (incoming_.body.capacity() > kKeptBytes) std::string().swap(incoming_.body);
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
  if (next == Next::parse) shard_.go_on_later(slot_);
}

void Connection::on_refused(const Token& token) {
  if (!is_answering(token)) return;
  const auto self = shared_from_this();
  if (respond(to_response(overloaded())) == Next::parse) advance();
}

Connection::Next Connection::respond(const Response& response) {
  arriving_.set(0);
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

// ── its end ───────────────────────────────────────────────────────────────────────

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
  if (phase_ != Phase::header || !input_.empty()) return;
  if (shard_.drain_idle().count() == 0) return close();
  set_deadline(shard_.drain_idle());
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

}  // namespace holdfast::api
