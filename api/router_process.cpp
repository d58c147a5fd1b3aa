#include "api/router_process.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <random>
#include <thread>

#include "api/http_server.h"
#include "api/router.h"
#include "api/shard_map_etcd.h"
#include "api/shard_map_file.h"
#include "api/upstream.h"
#include "api/wire.h"

namespace holdfast::api {
namespace {

namespace asio = boost::asio;
using crdt::Instant;
using crdt::Millis;

crdt::Now now() {
  using namespace std::chrono;
  return {.instant = Instant(duration_cast<Millis>(steady_clock::now().time_since_epoch())),
          .wall = crdt::WallTime(duration_cast<Millis>(system_clock::now().time_since_epoch()))};
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) ^ device();
}

// A file's change, as far as its times show it.
std::pair<std::int64_t, std::int64_t> changed_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return {0, 0};
  return {info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
          static_cast<std::int64_t>(info.st_ino)};
}

// More requests than these are refused as overload; a batch counts by its lines.
constexpr std::size_t kInHandMax = 65'536;

// The router on its thread: carries out what it says.
class Process {
 public:
  Process(const RouteOptions& options, ShardMap map)
      : options_(options),
        read_(changed_at(options.map)),
        router_({.region = options.region,
                 .fallback = options.fallback,
                 .hedge_after = Millis(options.hedge_ms),
                 .sweep_every = std::chrono::seconds(options.sweep_s),
                 .settle_after = std::chrono::seconds(options.settle_s),
                 .seed = random_seed()},
                std::move(map)),
        upstream_(io_),
        timer_(io_),
        file_timer_(io_),
        signals_(io_, SIGINT, SIGTERM) {}

  absl::Status listen() {
    auto http =
        HttpServer::start({.listen = options_.listen, .threads = options_.threads},
                          [this](std::vector<node::Request>&& requests) {
                            if (in_hand_ + requests.size() > kInHandMax) return false;
                            in_hand_ += requests.size();
                            asio::post(io_, [this, requests = std::move(requests)]() mutable {
                              for (node::Request& request : requests)
                                router_.on_request(now(), std::move(request));
                              carry_out();
                            });
                            return true;
                          });
    if (!http.ok()) return http.status();
    http_ = *std::move(http);
    return absl::OkStatus();
  }
  std::uint16_t port() const { return http_->port(); }
  // Instead of the file; `in_use` is the text of the map that the router has.
  void watch_etcd(EtcdPlace place, std::string in_use) {
    etcd_.emplace(
        io_, std::move(place), std::move(in_use),
        [this](const std::string& text) { take(parse_shard_map(text, options_.map)); },
        [this](const std::string& note) {
          spdlog::warn("{}; shard map version {} is in use", note, router_.map().version);
        });
  }

  void run() {
    signals_.async_wait([this](auto, int) {
      // Requests in hand are answered: they need this loop.
      stopper_ = std::thread([this] {
        http_->stop();
        asio::post(io_, [this] { io_.stop(); });
      });
    });
    if (etcd_) {
      etcd_->start();
    } else {
      watch_file();
    }
    router_.tick(now());
    carry_out();
    const auto work = asio::make_work_guard(io_);
    io_.run();
    if (stopper_.joinable()) stopper_.join();
  }

 private:
  void carry_out() {
    for (;;) {
      std::vector<RouterCall> calls = router_.take_calls();
      for (RouterCall& call : calls) send(std::move(call));
      if (std::vector<node::Reply> replies = router_.take_replies(); !replies.empty()) {
        in_hand_ -= replies.size();
        http_->deliver(std::move(replies));
      }
      for (const std::string& note : router_.take_notes()) spdlog::warn("{}", note);
      if (calls.empty()) break;
    }
    const auto wait = std::max(Millis(1), router_.wake_at() - now().instant);
    timer_.expires_after(std::min(wait, Millis(1'000)));
    timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      router_.tick(now());
      carry_out();
    });
  }

  void send(RouterCall&& call) {
    HttpCall http = to_http(call.command);
    upstream_.send(
        call.url, std::move(http), call.timeout,
        [this, id = call.id, command = std::move(call.command)](absl::StatusOr<HttpAnswer> answer) {
          if (answer.ok()) {
            router_.on_answer(now(), id, from_http(command, *answer));
          } else {
            router_.on_lost(now(), id, answer.status().code() != absl::StatusCode::kUnavailable);
          }
          carry_out_soon();
        });
  }
  // Once for all that has come.
  void carry_out_soon() {
    if (std::exchange(posted_, true)) return;
    asio::post(io_, [this] {
      posted_ = false;
      router_.tick(now());
      carry_out();
    });
  }

  void watch_file() {
    file_timer_.expires_after(std::chrono::milliseconds(500));
    file_timer_.async_wait([this](boost::system::error_code error) {
      if (error) return;
      if (const auto at = changed_at(options_.map); at != read_) {
        read_ = at;
        take(load_shard_map(options_.map));
      }
      watch_file();
    });
  }
  void take(absl::StatusOr<ShardMap> map) {
    absl::Status status = map.ok() ? router_.use(*std::move(map)) : map.status();
    if (status.ok()) {
      spdlog::info("shard map version {} is in use", router_.map().version);
      router_.tick(now());
      return carry_out();
    }
    spdlog::error("{}; version {} stays in use", std::string(status.message()),
                  router_.map().version);
  }

  const RouteOptions options_;
  std::pair<std::int64_t, std::int64_t> read_;
  asio::io_context io_{1};
  Router router_;
  Upstream upstream_;
  asio::steady_timer timer_, file_timer_;
  std::optional<ShardMapEtcd> etcd_;
  asio::signal_set signals_;
  bool posted_ = false;
  std::atomic<std::size_t> in_hand_{0};  // requests that have no reply yet
  std::unique_ptr<HttpServer> http_;
  std::thread stopper_;
};

// The map to begin with. In etcd: `place` and `text` are where it was found, and as what.
absl::StatusOr<ShardMap> first_map(const std::string& from, std::optional<EtcdPlace>& place,
                                   std::string& text) {
  if (!is_etcd_place(from)) return load_shard_map(from);
  auto parsed = parse_etcd_place(from);
  if (!parsed.ok()) return parsed.status();
  auto value = read_etcd(*parsed);
  if (!value.ok()) return value.status();
  place = *std::move(parsed);
  text = *std::move(value);
  return parse_shard_map(text, from);
}

}  // namespace

int route(const RouteOptions& options) {
  const auto listen = parse_http_url("http://" + options.listen);
  const bool local = listen.ok() && (listen->host == "localhost" || listen->host == "::1" ||
                                     listen->host.starts_with("127."));
  if (!local) {
    spdlog::critical(
        "--listen must be a loopback address with a port, like 127.0.0.1:8090: there is no "
        "authentication yet; put a proxy that authenticates in front of it");
    return 1;
  }
  ::signal(SIGPIPE, SIG_IGN);
  std::optional<EtcdPlace> etcd;
  std::string text;
  auto map = first_map(options.map, etcd, text);
  if (!map.ok()) {
    spdlog::critical("{}", std::string(map.status().message()));
    return 1;
  }
  Process process(options, *std::move(map));
  if (absl::Status status = process.listen(); !status.ok()) {
    spdlog::critical("{}", std::string(status.message()));
    return 1;
  }
  if (etcd) process.watch_etcd(*std::move(etcd), std::move(text));
  spdlog::info("routing on port {}", process.port());
  process.run();
  return 0;
}

}  // namespace holdfast::api
