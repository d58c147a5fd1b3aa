#pragma once
// Calls to nodes by HTTP/1.1 over connections that are kept, many at once. Edge (Boost.Beast).
//
// Everything runs on the io_context's one thread. Each call ends once: with an answer, or a status:
//   kUnavailable       not reached: nothing was sent
//   kDeadlineExceeded  sent, no complete answer in time
//   kUnknown           sent, the connection broke

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/http_client.h"

namespace holdfast::api {

class Upstream {
 public:
  using Done = std::function<void(absl::StatusOr<HttpAnswer>)>;
  explicit Upstream(boost::asio::io_context& io);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  void send(const std::string& url, HttpCall call, std::chrono::milliseconds within, Done done);

 private:
  class Connection;
  void give_back(std::shared_ptr<Connection> connection);

  boost::asio::io_context& io_;
  std::map<std::string, std::vector<std::shared_ptr<Connection>>> idle_;  // by URL
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace holdfast::api
