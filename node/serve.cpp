#include "node/serve.h"

#include <openssl/rand.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>

#include "api/http_server.h"
#include "gossip/ws_transport.h"
#include "node/config.h"
#include "node/driver.h"
#include "node/log.h"
#include "node/recovery.h"
#include "node/rejoin.h"
#include "node/rocks_store.h"
#include "node/runtime.h"
#include "node/system_clock.h"

namespace holdfast::node {

namespace {

// Clients that are connected, and ask for nothing just now, may still ask until then.
constexpr std::chrono::milliseconds kLastRequests{1'000};

std::uint64_t random_number() {
  std::uint64_t number = 0;
  while (number == 0)
    if (RAND_bytes(reinterpret_cast<unsigned char*>(&number), sizeof number) != 1) ::abort();
  return number;
}

int failed(const absl::Status& status) {
  spdlog::critical("{}", std::string(status.message()));
  spdlog::shutdown();
  return 1;
}

// Signals are waited for in the main thread; threads made later inherit that they are blocked.
sigset_t block_stop_signals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return stop;
}

bool told_to_stop(const sigset_t& stop) {
  const timespec each{.tv_sec = 0, .tv_nsec = 200'000'000};
  return sigtimedwait(&stop, nullptr, &each) >= 0;
}

void wait_for_end(const sigset_t& stop, const Runtime& runtime, const std::string& data_dir,
                  std::uint64_t boot) {
  bool bases = true;
  while (!told_to_stop(stop) && !runtime.failed() && !runtime.may_leave() && !runtime.has_left()) {
    if (bases && runtime.confirmed()) {
      drop_bases(data_dir, boot);
      bases = false;
    }
  }
}

// Whoever sends requests here looks at /readyz, and has so long to send them elsewhere. A second
// signal ends that, too.
void serve_on(const sigset_t& stop, Runtime& runtime, std::chrono::milliseconds stop_after) {
  runtime.stop_soon();
  const auto end = std::chrono::steady_clock::now() + stop_after;
  while (std::chrono::steady_clock::now() < end && !told_to_stop(stop) && !runtime.failed()) {
  }
}

// Nobody is listened to any more. True: the process is to end, as its peers have all that it has
// written, or as it was told to stop (it goes on when it is started again). False: it does not
// leave now, as its successor has gone meanwhile, or somebody has told it to stay.
bool leave(const sigset_t& stop, Runtime& runtime) {
  constexpr int kLooksForAnswer = 10;   // two seconds
  constexpr int kLooksPerWarning = 50;  // ten
  std::vector<Request> last;
  last.push_back({.command = Leave{}});
  bool told = !runtime.submit(std::move(last));
  for (int look = 0; look < kLooksForAnswer && !runtime.has_left() && !told; ++look)
    told = told_to_stop(stop);
  if (!told && !runtime.has_left()) return false;
  for (int look = 1; !runtime.failed() && !told; ++look) {
    told = told_to_stop(stop);
    if (look % kLooksPerWarning == 0)
      spdlog::warn(
          "leaving: waits until its successor has all that it wrote; if that one never comes back, "
          "retire it at another node, with a live successor");
  }
  return true;
}

// Where replies go: to the HTTP server, if there is one. While it starts they wait for it.
class HttpPort {
 public:
  void starts() {
    const std::lock_guard lock(mutex_);
    starting_ = true;
  }
  void is(api::HttpServer* server) {
    {
      const std::lock_guard lock(mutex_);
      starting_ = false;
      server_ = server;
    }
    changed_.notify_all();
  }
  void deliver(std::vector<Reply>&& replies) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !starting_; });
    if (server_ != nullptr) server_->deliver(std::move(replies));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool starting_ = true;
  api::HttpServer* server_ = nullptr;
};

// A directory that was found to be a fork becomes another replica before anything else.
absl::Status rejoin_if_marked(const Config& config) {
  if (!is_marked(config.data_dir)) return absl::OkStatus();
  return rejoin(config.data_dir, ReplicaId{random_number()}, random_number(),
                [](const std::string& text) { spdlog::warn("{}", text); });
}

int failed_as_fork(const Engine& engine, ReplicaId self, const std::string& data_dir) {
  if (!engine.forked().empty())
    if (absl::Status status = mark_fork(data_dir, {self, engine.forked()}); !status.ok())
      spdlog::error("{}: the next start will find it out again", std::string(status.message()));
  return failed(absl::InternalError(*engine.fatal()));
}

EngineConfig engine_config(const Config& config, ReplicaId self, const std::string& address) {
  EngineConfig engine;
  engine.self = self;
  engine.http_address = config.http_advertise;
  engine.checkpoint_bytes = config.checkpoint_bytes;
  engine.open_holds_max = config.open_holds_max;
  engine.faults_enabled = config.faults_enabled;
  engine.durability_wait = crdt::Millis(config.durability_wait_ms);
  engine.keep_finished = std::chrono::seconds(config.keep_finished_s);
  engine.requires_peer = config.start_requires_peer;
  engine.weight = config.weight;
  engine.rebalance = {.policy = find_policy(config.rebalance_policy),
                      .window = std::chrono::seconds(config.rebalance_window_s),
                      .cooldown = crdt::Millis(config.rebalance_cooldown_ms),
                      .gather_below = config.rebalance_gather_below};
  engine.seed = random_number();
  gossip::MeshConfig& mesh = engine.mesh;
  mesh.self = self;
  mesh.boot = random_number();
  mesh.region = config.region;
  mesh.node = config.name;
  mesh.gossip_address = address;
  mesh.cluster = config.cluster;
  mesh.secret = config.secret;
  for (const std::string& peer : config.peers)
    (is_name(peer) ? mesh.names : mesh.peers).push_back(peer);
  mesh.heartbeat = crdt::Millis(config.heartbeat_ms);
  mesh.suspect_after = crdt::Millis(config.suspect_after_ms);
  mesh.push = crdt::Millis(config.push_ms);
  mesh.relay_after = crdt::Millis(config.relay_after_ms);
  return engine;
}

}  // namespace

int serve(const std::string& config_path, const std::vector<std::string>& overrides) {
  auto config = load_config(config_path, overrides);
  if (!config.ok()) {
    fprintf(stderr, "holdfast: %s\n", std::string(config.status().message()).c_str());
    return 1;
  }
  if (absl::Status log = set_up_log(config->log_level); !log.ok()) return failed(log);
  const sigset_t stop = block_stop_signals();
  SystemClock clock;
  if (absl::Status status = rejoin_if_marked(*config); !status.ok()) return failed(status);

  auto store = RocksStore::open(
      {.data_dir = config->data_dir, .on_failure = [](absl::Status status) {
         spdlog::critical("the store failed, this node stops: {}", std::string(status.message()));
         spdlog::default_logger()->flush();
         ::_exit(1);  // nothing may be acknowledged any more
       }});
  if (!store.ok()) return failed(store.status());
  const crdt::Instant began = clock.now().instant;
  const Recovered recovered = (*store)->recovered();
  auto self = identity(recovered, ReplicaId{random_number()});
  if (!self.ok()) return failed(self.status());
  const EngineConfig engine_options = engine_config(*config, *self, config->gossip_advertise);
  Engine engine(engine_options);
  auto count = recover(recovered, engine);
  if (!count.ok()) return failed(count.status());
  spdlog::info("replica {} of node {} in region {}: {} rows and {} journal entries in {} ms",
               crdt::to_string(*self), config->name, config->region, count->rows, count->entries,
               (clock.now().instant - began).count());

  if (count->rows + count->entries > 0)
    if (absl::Status status = keep_base(**store, config->data_dir, engine_options.mesh.boot);
        !status.ok())
      return failed(status);

  Runtime runtime(engine, clock, config->inbox_max);
  auto transport = gossip::WsTransport::start(
      {.listen = config->gossip_listen},
      [&runtime](std::vector<gossip::NetEvent>&& events) { runtime.on_net(std::move(events)); });
  if (!transport.ok()) return failed(transport.status());

  HttpPort port;
  Driver driver(
      engine,
      {.store = **store,
       .clock = clock,
       .transport = **transport,
       .deliver = [&port](std::vector<Reply>&& replies) { port.deliver(std::move(replies)); },
       .note =
           [](const gossip::Note& note) {
             spdlog::log(note.warning ? spdlog::level::warn : spdlog::level::info, "{}", note.text);
           },
       .released = [&runtime] { runtime.released(); }},
      {.inbox_delay_max = crdt::Millis(config->inbox_delay_ms_max),
       .min_free_bytes = config->min_free_bytes});
  engine.start(clock.now());
  runtime.start(driver);
  absl::StatusOr<std::unique_ptr<api::HttpServer>> http = nullptr;
  for (bool ends = false; !ends;) {
    port.starts();
    http = api::HttpServer::start(
        {.listen = config->http_listen,
         .threads = config->http_threads,
         .connections_max = config->http_connections_max},
        [&runtime](std::vector<Request>&& asked) { return runtime.submit(std::move(asked)); });
    port.is(http.ok() ? http->get() : nullptr);
    if (!http.ok()) break;
    spdlog::info("HTTP on {}, gossip on {}", config->http_listen, config->gossip_listen);
    wait_for_end(stop, runtime, config->data_dir, engine_options.mesh.boot);
    const bool leaves = runtime.may_leave() || runtime.has_left();
    spdlog::info(leaves ? "leaving" : "stopping");
    const std::chrono::milliseconds stop_after(leaves ? 0 : config->stop_after_ms);
    if (stop_after.count() > 0) serve_on(stop, runtime, stop_after);
    (*http)->stop(leaves || stop_after.count() > 0 ? kLastRequests : std::chrono::milliseconds(0));
    port.is(nullptr);
    ends = !leaves || leave(stop, runtime);
    if (!ends) spdlog::warn("its successor has gone, or it was told to stay: it serves on");
  }
  runtime.stop();
  (*store)->stop();
  (*transport)->stop();
  if (!http.ok()) return failed(http.status());
  if (engine.fatal() && engine.has_left()) {
    spdlog::info("{}", *engine.fatal());
    spdlog::shutdown();
    return 0;
  }
  if (engine.fatal()) return failed_as_fork(engine, *self, config->data_dir);
  spdlog::info("stopped");
  spdlog::shutdown();
  return 0;
}

}  // namespace holdfast::node
