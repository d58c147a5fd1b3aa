#pragma once
// HTTP/1.1 over TCP: bytes → api::Request → node, and the answers back. It decides nothing about
// what a request means (handlers.h does).
//
// Each thread has its own io_context and its own connections, so nothing is locked. What one pass
// of a thread's loop has parsed goes to the node in one call; replies come back many at a time.
// A connection has at most one request in flight; meanwhile its client's bytes wait in the socket.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "node/command.h"

namespace holdfast::api {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8080";  // host:port or [v6]:port; port 0: any that is free
  std::uint32_t threads = 1;              // 1 … 64
  // 1 … 1,000,000; beyond: not accepted until one closes
  std::uint32_t connections_max = 10'000;
  // Of bodies that arrive or wait for their answer, all together; at least 16 MiB; beyond: 503.
  std::uint64_t body_bytes_max = 256u << 20;
  // Of answers that their clients have not yet taken, all together; at least 1 MiB; beyond: batch
  // results are told in short, and a client that lags behind its answer is hung up on.
  std::uint64_t answer_bytes_max = 256u << 20;

  // Each 1 ms … 24 h, kept to within one sweep.
  std::chrono::milliseconds request_timeout{10'000};  // for a header to arrive, then for its body
  std::chrono::milliseconds idle_timeout{75'000};     // between requests
  std::chrono::milliseconds write_timeout{10'000};    // without progress
  std::chrono::milliseconds linger_timeout{5'000};    // discarding, after an answer that closes
  std::chrono::milliseconds drain_timeout{5'000};     // stop() waits for requests in flight
  std::chrono::milliseconds sweep_every{1'000};
};

class HttpServer {
 public:
  // Listens and starts its threads. `submit` is called from them; see node::Submit.
  // Errors: kInvalidArgument (an option out of range, an address that is none), kUnavailable
  // (cannot listen there), each saying what to change.
  static absl::StatusOr<std::unique_ptr<HttpServer>> start(HttpServerOptions options,
                                                           node::Submit submit);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Replies to what was submitted. Any thread; never blocks. A reply whose client has gone, or that
  // comes after stop(), is dropped.
  void deliver(std::vector<node::Reply>&& replies);

  // Stops accepting, closes connections that have been idle for `idle` (kept to within one sweep),
  // lets requests in flight be answered within drain_timeout after that, then closes. An answer
  // that is given meanwhile closes its connection. Blocks until done; once; not from a thread that
  // `submit` runs on. The node must go on answering meanwhile.
  void stop(std::chrono::milliseconds idle = {});

  std::uint16_t port() const;  // the one that it listens on

 private:
  class Server;
  explicit HttpServer(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace holdfast::api
