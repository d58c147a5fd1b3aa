#pragma once
// A thread with its connections, and what the threads share. A connection belongs to one shard and
// is touched by that shard's thread alone.

#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "api/handlers.h"
#include "api/http_server.h"
#include "api/http_server_budget.h"
#include "api/http_server_token.h"

namespace holdfast::api {

class Connection;

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

class Shard {
 public:
  Shard(Shared& shared, std::uint32_t index)
      : shared_(shared),
        index_(index),
        context_(1),
        work_(context_.get_executor()),
        sweep_timer_(context_) {}

  boost::asio::io_context& context() { return context_; }
  void run() {
    sweep();
    context_.run();
  }
  // Closes what is left. The thread has been joined.
  void close_all();

  void add(boost::asio::ip::tcp::socket socket);
  void remove(std::uint32_t slot);
  void on_replies(std::vector<node::Reply>&& replies);
  void drain(std::chrono::milliseconds idle);

  std::uint64_t next_number() {
    return number_ = (number_ + 1) & ((std::uint64_t{1} << Token::kNumberBits) - 1);
  }
  Token token(std::uint32_t slot, std::uint64_t number) const { return {index_, slot, number, 0}; }
  void collect(std::uint64_t token, node::Command&& command);
  // That connection has answered, and goes on once all replies in hand have been written: the first
  // client's next request has come by then, and reading it needs no trip through the loop.
  void go_on_later(std::uint32_t slot) { answered_.push_back(slot); }
  bool submit(std::vector<node::Request>&& requests) { return shared_.submit(std::move(requests)); }

  // Where bytes go that nobody will read: one place for all connections, never looked at.
  boost::asio::mutable_buffer waste() { return boost::asio::buffer(waste_); }

  const HttpServerOptions& options() const { return shared_.options; }
  JsonReader& reader() { return reader_; }
  std::uint32_t tick() const { return tick_; }
  bool draining() const { return draining_; }
  // How long a connection may be idle while the server drains.
  std::chrono::milliseconds drain_idle() const { return drain_idle_; }

 private:
  // So many calls are handed over at once, while more are being read: the node decides them
  // meanwhile. All that are ready at once made one large batch after the other, each waiting for
  // its fsync with nothing else to do (11 % fewer requests a second). Half as many wake it so often
  // that 256 connections get 6 % less.
  static constexpr std::size_t kWorthAHandOver = 32;

  void sweep();
  void hand_over();
  void tell_drained();
  Connection* find(const Token& token) {
    return token.slot < slots_.size() ? slots_[token.slot].get() : nullptr;
  }

  Shared& shared_;
  const std::uint32_t index_;
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer sweep_timer_;
  std::vector<std::shared_ptr<Connection>> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<node::Request> outbox_;
  std::vector<std::uint32_t> answered_;
  bool hand_over_posted_ = false;
  JsonReader reader_;
  std::uint64_t number_ = 0;
  std::uint32_t tick_ = 1;
  bool draining_ = false;
  std::chrono::milliseconds drain_idle_{0};
  std::array<char, 64 << 10> waste_;
};

}  // namespace holdfast::api
