#include "api/http_server_shard.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <iterator>

#include "api/http_server_connection.h"

namespace holdfast::api {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

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
  if (outbox_.size() >= kWorthAHandOver) return hand_over();
  if (std::exchange(hand_over_posted_, true)) return;
  asio::post(context_, [this] {  // after what is ready in this pass
    hand_over_posted_ = false;
    if (!outbox_.empty()) hand_over();
  });
}

// What is refused is told later: the connection that gave the last call is still about it.
void Shard::hand_over() {
  std::vector<node::Request> calls = std::exchange(outbox_, {});
  if (submit(std::move(calls))) return;
  // Nothing was taken: `calls` is as it was. New reservations are refused first: the others may
  // still fit without them.
  auto refused = std::stable_partition(calls.begin(), calls.end(), [](const node::Request& call) {
    return std::holds_alternative<node::Reserve>(call.command);
  });
  std::vector<node::Request> others(std::make_move_iterator(refused),
                                    std::make_move_iterator(calls.end()));
  const bool sells = refused != calls.begin();
  if (!sells || others.empty() || !submit(std::move(others))) refused = calls.end();
  std::vector<std::uint64_t> tokens;
  for (auto call = calls.begin(); call != refused; ++call) tokens.push_back(call->token);
  asio::post(context_, [this, tokens = std::move(tokens)] {
    for (const std::uint64_t bits : tokens) {
      const Token token = Token::unpacked(bits);
      if (Connection* connection = find(token)) connection->on_refused(token);
    }
  });
}

void Shard::on_replies(std::vector<node::Reply>&& replies) {
  for (node::Reply& reply : replies) {
    const Token token = Token::unpacked(reply.token);
    if (Connection* connection = find(token)) connection->on_reply(token, std::move(reply.outcome));
  }
  for (const std::uint32_t slot : answered_)
    if (const std::shared_ptr<Connection> connection = slots_[slot]) connection->advance();
  answered_.clear();
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

void Shard::drain(std::chrono::milliseconds idle) {
  draining_ = true;
  drain_idle_ = idle;
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

}  // namespace holdfast::api
