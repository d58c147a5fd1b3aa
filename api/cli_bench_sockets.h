#pragma once
// The sockets of a load: plain, non-blocking, one epoll, one thread; two system calls a request.
// Edge.
//
// Not Asio: a handler, a completion and a timer for each of 100,000 requests a second would cost
// about as much again as the calls to the kernel.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/bench_load.h"
#include "api/http_client.h"

namespace holdfast::api {

Nanos steady_nanos();

class BenchSockets {
 public:
  BenchSockets();
  ~BenchSockets();
  BenchSockets(const BenchSockets&) = delete;
  BenchSockets& operator=(const BenchSockets&) = delete;

  // Connection i goes to urls[i % size]. Errors: kUnavailable (not reached, with the reason),
  // kResourceExhausted (no more open files).
  absl::Status open(const std::vector<HttpUrl>& urls, std::uint32_t connections);
  // Tells the load that all connections are free; once, before the first run().
  void free_all(BenchLoad& load, Nanos now);

  // Sends and receives until then; false if `tick`, asked every tenth of a second, gave false
  // before. A connection that breaks, or gives no answer for 10 s, is an error of the load and is
  // opened again, as often as it takes.
  bool run(BenchLoad& load, Nanos until, const std::function<bool()>& tick);
  // Until all that is in flight is answered, at most until then; what is left is an error.
  void drain(BenchLoad& load, Nanos until);

 private:
  struct Connection;
  struct Target;

  void free(BenchLoad& load, std::uint32_t index, Nanos now);
  absl::Status connect(std::uint32_t index, int wait_ms);
  void send_what_is_due(BenchLoad& load);
  void send(BenchLoad& load, std::uint32_t index, std::string_view bytes);
  void go_on_sending(BenchLoad& load, std::uint32_t index);
  void receive(BenchLoad& load, std::uint32_t index);
  void broken(BenchLoad& load, std::uint32_t index);
  void tend(BenchLoad& load, Nanos now);
  void wait_and_handle(BenchLoad& load, Nanos until);

  int epoll_ = -1;
  std::vector<Target> targets_;
  std::vector<Connection> connections_;
  std::string out_;
};

}  // namespace holdfast::api
