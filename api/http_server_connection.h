#pragma once
// An HTTP/1.1 connection: reads, parses, hands over, answers.
//
// Invariants
//   1. At most one read or one write is pending, and at most one request in flight.
//   2. The parser sees a header only when it is whole, at most kHeaderBytesMax long, without folds
//      and without bare line feeds.
//   3. What it may hold beyond a fixed size (a body until it is answered, an answer that is not
//      taken) counts against a budget that all connections share.

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/handlers.h"
#include "api/http_fields.h"
#include "api/http_input.h"
#include "api/http_message.h"
#include "api/http_server_budget.h"
#include "api/http_server_parser.h"
#include "api/http_server_shard.h"
#include "api/http_server_token.h"

namespace holdfast::api {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shard& shard, Shared& shared, std::uint32_t slot, boost::asio::ip::tcp::socket socket)
      : shard_(shard),
        slot_(slot),
        socket_(std::move(socket)),
        arriving_(shared.arriving),
        unsent_(shared.unsent) {}

  void start();
  void on_reply(const Token& token, node::Outcome&& outcome);
  void on_refused(const Token& token);  // the node took nothing
  // Parses and answers as long as there is something to do without waiting.
  void advance();
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
  void on_read(boost::system::error_code ec, std::size_t bytes);
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
  void set_deadline(std::chrono::milliseconds timeout);
  bool is_answering(const Token& token) const {
    return phase_ == Phase::waiting && token.number == number_;
  }

  Shard& shard_;
  const std::uint32_t slot_;
  boost::asio::ip::tcp::socket socket_;
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

}  // namespace holdfast::api
