#include "sim/scale.h"

#include <algorithm>

#include "sim/recorder.h"

namespace holdfast::sim {

namespace {

constexpr Time kOneWay = 50 * kMillisecond;
constexpr Time kIdle = 20 * kSecond;
constexpr Time kWriting = 20 * kSecond;
constexpr std::uint64_t kUpdatesPerReplica = 40;
constexpr Time kMeshedWithin = 120 * kSecond, kConvergedWithin = 60 * kSecond;

std::uint64_t sent_by_nodes(const World& world) {
  std::uint64_t bytes = 0;
  for (Place from = 0; from < world.nodes(); ++from)
    for (Place to = 0; to < world.nodes(); ++to) bytes += world.bytes_of_pair(from, to);
  return bytes;
}

bool converged(World& world) {
  for (std::size_t i = 0; i < world.nodes(); ++i)
    if (world.node(i).engine().state().has_unsealed() ||
        world.node(i).engine().state().digest() != world.node(0).engine().state().digest())
      return false;
  return true;
}

bool meshed(World& world) {
  for (std::size_t i = 0; i < world.nodes(); ++i)
    if (world.node(i).stats().peers_reachable + 1 < world.nodes()) return false;
  return true;
}

ScalePoint measure(std::uint32_t replicas, std::uint64_t seed) {
  WorldOptions options{.seed = seed, .between_regions = kOneWay};
  for (std::uint32_t i = 0; i < replicas; ++i) {
    options.regions.push_back("r" + std::to_string(i));
    options.nodes.push_back({.region = options.regions.back()});
  }
  Checks checks;
  const Trace no_trace;
  Recorder recorder(checks, no_trace);
  World world(std::move(options), recorder);
  checks.attach(world);
  recorder.attach(world);
  world.start_all();
  while (!meshed(world) && world.now() < kMeshedWithin) world.run_until(world.now() + kSecond);
  ScalePoint point{.replicas = replicas};
  if (!meshed(world)) point.problem = "not every node reached every other one";
  for (std::size_t i = 0; i < replicas; ++i)
    world.http(i, i, {"PUT", "/v1/skus/s" + std::to_string(i), "{}", ""},
               [&](const api::Response& response) {
                 if (response.status != 201) point.problem = "a SKU could not be made";
               });
  world.run_until(world.now() + 15 * kSecond);

  std::uint64_t before = sent_by_nodes(world);
  world.run_until(world.now() + kIdle);
  const double idle =
      static_cast<double>(sent_by_nodes(world) - before) / (static_cast<double>(kIdle) / kSecond);
  point.idle_bytes_per_second = idle / replicas;

  before = sent_by_nodes(world);
  Random random(seed, "updates");
  const Time begin = world.now();
  Time last_answer = begin;
  for (std::size_t node = 0; node < replicas; ++node)
    for (std::uint64_t i = 0; i < kUpdatesPerReplica; ++i)
      world.events().at(begin + random.between(0, kWriting), [&, node] {
        const std::string sku = "s" + std::to_string(random.below(replicas));
        world.http(node, node, {"POST", "/v1/skus/" + sku + "/receipts", R"({"quantity":1})", ""},
                   [&](const api::Response& response) {
                     if (response.status != 201) point.problem = "an update was refused";
                     ++point.updates;
                     last_answer = world.now();
                   });
      });
  world.run_until([&] { return point.updates == replicas * kUpdatesPerReplica; },
                  begin + 2 * kWriting);
  if (point.updates < replicas * kUpdatesPerReplica) point.problem = "updates without an answer";
  world.run_until([&] { return converged(world); }, world.now() + kConvergedWithin);
  if (!converged(world)) point.problem = "the nodes do not agree within a minute";
  point.converged_ms = static_cast<double>(std::max<Time>(0, world.now() - last_answer)) /
                       static_cast<double>(kMillisecond);
  const double took = static_cast<double>(world.now() - begin) / kSecond;
  point.gossip_bytes_per_update =
      (static_cast<double>(sent_by_nodes(world) - before) - idle * took) /
      static_cast<double>(point.updates);
  if (const auto& violation = checks.violation())
    point.problem = violation->invariant + ": " + violation->detail;
  point.virtual_ms = world.now() / kMillisecond;
  point.hash = recorder.hash();
  return point;
}

}  // namespace

std::vector<ScalePoint> scale(const std::vector<std::uint32_t>& replicas, std::uint64_t seed,
                              const std::function<void(std::size_t done)>& on_progress) {
  std::vector<ScalePoint> points;
  for (const std::uint32_t count : replicas) {
    points.push_back(measure(count, seed));
    if (on_progress) on_progress(points.size());
  }
  return points;
}

Study study_of(const std::vector<ScalePoint>& points, std::uint64_t seed) {
  Study study;
  study.title = "Gossip against the number of replicas";
  study.teaches =
      "What an update costs on the wire, and how soon all have it, as the full mesh grows.";
  study.policy = "one node a region, 50 ms one way, two updates a second and node";
  study.seed = seed;
  for (const ScalePoint& point : points) {
    study.virtual_ms += point.virtual_ms;
    study.hash = study.hash * 31 + point.hash;
    study.checks.push_back(
        {std::to_string(point.replicas) + " replicas agree", point.problem.empty(), point.problem});
  }
  const auto curves = [&](const char* title, const char* y, double ScalePoint::*field) {
    Curves one{.title = title, .x_label = "replicas", .y_label = y};
    Curves::Line line{.name = title};
    for (const ScalePoint& point : points) {
      one.x.push_back(point.replicas);
      line.y.push_back(point.*field);
    }
    one.lines.push_back(std::move(line));
    study.curves.push_back(std::move(one));
  };
  curves("bytes per update", "bytes", &ScalePoint::gossip_bytes_per_update);
  curves("time to converge", "ms", &ScalePoint::converged_ms);
  curves("heartbeats, bytes per node and second", "bytes", &ScalePoint::idle_bytes_per_second);
  return study;
}

}  // namespace holdfast::sim
