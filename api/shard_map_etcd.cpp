#include "api/shard_map_etcd.h"

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
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

constexpr std::chrono::milliseconds kWithin{5'000};  // an answer, or the begin of one

crdt::Instant now() {
  using namespace std::chrono;
  return crdt::Instant(duration_cast<crdt::Millis>(steady_clock::now().time_since_epoch()));
}

HttpCall range_call(const EtcdPlace& place) {
  return {.method = "POST",
          .target = "/v3/kv/range",
          .body = range_body(place.key),
          .repeatable = true};
}

absl::StatusOr<EtcdValue> value_in(const absl::StatusOr<HttpAnswer>& answer) {
  if (!answer.ok()) return answer.status();
  return read_range(answer->status, answer->body);
}

}  // namespace

absl::StatusOr<std::string> read_etcd(const EtcdPlace& place) {
  HttpClient client(place.server, {.connect = kWithin, .answer = kWithin});
  auto value = value_in(client.send(range_call(place)));
  if (!value.ok())
    return absl::Status(value.status().code(),
                        place.name() + ": " + std::string(value.status().message()));
  if (!value->text)
    return absl::NotFoundError(place.name() +
                               ": there is no such key; put the shard map: " + place.put_command());
  return *std::move(value->text);
}

// One watch, from its connection to its end. Its owner may hang up at any time, also while it is
// being told of something.
class ShardMapEtcd::Stream : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(ShardMapEtcd& owner) : owner_(&owner), stream_(owner.io_), resolver_(owner.io_) {}

  void start(std::int64_t from_revision) {
    const EtcdPlace& place = owner_->place_;
    const std::string body = watch_body(place.key, from_revision);
    out_ = "POST /v3/watch HTTP/1.1\r\nHost: " + place.host_and_port() +
           "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
    parser_.body_limit(boost::none);
    resolver_.async_resolve(place.server.host, std::to_string(place.server.port),
                            [self = shared_from_this()](error_code error, auto results) {
                              if (error)
                                return self->end("no address for its name: " + error.message());
                              if (self->owner_ != nullptr) self->connect(results);
                            });
  }
  void close() {
    owner_ = nullptr;
    resolver_.cancel();
    stream_.close();
  }

 private:
  void connect(const asio::ip::tcp::resolver::results_type& to) {
    stream_.expires_after(kWithin);
    stream_.async_connect(to, [self = shared_from_this()](error_code error, auto&&) {
      if (error) return self->end("cannot connect: " + error.message());
      asio::async_write(self->stream_, asio::buffer(self->out_),
                        [self](error_code failed, std::size_t) {
                          if (failed) return self->end(failed.message());
                          self->read_header();
                        });
    });
  }
  void read_header() {
    http::async_read_header(stream_, buffer_, parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              if (error) return self->end(error.message());
                              const unsigned status = self->parser_.get().result_int();
                              if (status != 200)
                                return self->end("it answered " + std::to_string(status));
                              self->stream_.expires_never();
                              self->read();
                            });
  }
  void read() {
    if (parser_.is_done()) return end("the watch ended");
    http::async_read_some(stream_, buffer_, parser_,
                          [self = shared_from_this()](error_code error, std::size_t) {
                            const std::string bytes = std::exchange(self->parser_.get().body(), {});
                            if (self->owner_ == nullptr) return;
                            self->owner_->carry_out(self->owner_->watch_.on_bytes(now(), bytes));
                            if (error) return self->end(error.message());
                            if (self->owner_ != nullptr) self->read();
                          });
  }
  void end(const std::string& why) {
    ShardMapEtcd* owner = owner_;
    if (owner == nullptr) return;
    close();
    owner->stream_.reset();
    owner->carry_out(owner->watch_.on_end(now(), why));
  }

  ShardMapEtcd* owner_;  // null: nobody wants to hear of it any more
  beast::tcp_stream stream_;
  asio::ip::tcp::resolver resolver_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  std::string out_;
};

ShardMapEtcd::ShardMapEtcd(asio::io_context& io, EtcdPlace place, std::string in_use, Say take,
                           Say note)
    : io_(io),
      place_(std::move(place)),
      take_(std::move(take)),
      note_(std::move(note)),
      watch_(place_.name(), place_.put_command(), std::move(in_use)),
      upstream_(io),
      timer_(io) {}

ShardMapEtcd::~ShardMapEtcd() { hang_up(); }

void ShardMapEtcd::start() { carry_out(watch_.tick(now())); }

void ShardMapEtcd::carry_out(EtcdEffects effects) {
  if (effects.hang_up) hang_up();
  for (const std::string& value : effects.values) take_(value);
  for (const std::string& note : effects.notes) note_(note);
  if (effects.read) read();
  if (effects.watch_from) {
    stream_ = std::make_shared<Stream>(*this);
    stream_->start(*effects.watch_from);
  }
  const auto wake = watch_.wake_at();
  if (!wake) return;
  timer_.expires_after(std::max(crdt::Millis(0), *wake - now()));
  timer_.async_wait([this](error_code error) {
    if (!error) carry_out(watch_.tick(now()));
  });
}

void ShardMapEtcd::read() {
  upstream_.send(to_string(place_.server), range_call(place_), kWithin,
                 [this](const absl::StatusOr<HttpAnswer>& answer) {
                   carry_out(watch_.on_read(now(), value_in(answer)));
                 });
}

void ShardMapEtcd::hang_up() {
  if (stream_ == nullptr) return;
  stream_->close();
  stream_.reset();
}

}  // namespace holdfast::api
