#include "api/cli_shards.h"

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <fstream>

#include "api/cli_calls.h"
#include "api/cli_console.h"
#include "api/shard_map_file.h"
#include "api/wire.h"

namespace holdfast::api {
namespace {

constexpr std::chrono::milliseconds kLookEvery{500};

// What is left to move, by the nodes' catalogues.
struct Left {
  std::int64_t skus = 0, moved = 0;  // that move; of which nothing is left behind
  std::int64_t units = 0, held = 0;  // of those that are marked, in their old shard
  std::int64_t handed_over = 0, taken_in = 0;
  std::int64_t unlike = 0;  // SKUs that further nodes of an old shard do not say to have moved
  std::int64_t on_the_way() const { return handed_over - taken_in; }
  bool done() const { return moved == skus && unlike == 0 && on_the_way() == 0; }
};

void count(const ShardMap& map, std::size_t shard, const node::SkuView& item, Left& left) {
  left.handed_over += item.handed_over;
  left.taken_in += item.taken_in;
  if (map.shard_before(item.sku) != shard || map.shard_of(item.sku) == shard) return;
  ++left.skus;
  left.units += item.left;
  left.held += item.left_held;
  if (!item.moved_to.empty() && item.left == 0) ++left.moved;
}

// What one node says. Errors: kUnavailable.
absl::Status ask_node(const ShardMap& map, std::size_t shard, HttpClient& client, Left& left) {
  Left here = left;
  node::ListSkus list{.limit = 1'000};
  for (;;) {
    const auto answer = client.send(to_http(list));
    if (!answer.ok()) return answer.status();
    node::Outcome outcome = from_http(list, *answer);
    const auto* page = std::get_if<node::SkuPage>(&outcome.view);
    if (page == nullptr) return absl::UnavailableError(client.url() + ": " + problem_text(*answer));
    for (const node::SkuView& item : page->items) count(map, shard, item, here);
    if (page->next.empty()) break;
    list.cursor = page->next;
  }
  left = here;
  return absl::OkStatus();
}

// Each further node of a shard that SKUs leave is asked for itself: what it has may not have been
// heard of yet.
absl::Status ask_others(const ShardMap& map, std::size_t shard, HttpClient& client, Left& left) {
  const auto cluster = get_cluster(client);
  if (!cluster.ok()) return cluster.status();
  for (const SeenNode& node : cluster->nodes) {
    if (node.self || node.state == "retired") continue;
    const auto url = parse_http_url(node.http_url);
    Left here;
    absl::Status status = url.status();
    if (url.ok()) {
      HttpClient other(*url);
      status = ask_node(map, shard, other, here);
    }
    if (!status.ok())
      return absl::UnavailableError(
          "node '" + node.node + "' of shard '" + map.shards[shard].name +
          "' does not answer, and may have units that move: " + std::string(status.message()));
    left.unlike += here.skus - here.moved;
  }
  return absl::OkStatus();
}

absl::Status look_at(const ShardMap& map, std::size_t shard, Left& left) {
  absl::Status last = absl::UnavailableError("");
  for (const std::string& url : map.shards[shard].nodes) {
    HttpClient client(*parse_http_url(url));
    last = ask_node(map, shard, client, left);
    if (last.ok()) return map.moving() ? ask_others(map, shard, client, left) : last;
  }
  return absl::UnavailableError("of shard '" + map.shards[shard].name +
                                "' no node of the map answers: " + std::string(last.message()));
}

absl::StatusOr<Left> look(const ShardMap& map) {
  Left left;
  for (std::size_t shard = 0; shard < map.shards.size(); ++shard)
    if (absl::Status status = look_at(map, shard, left); !status.ok()) return status;
  return left;
}

std::string told(const Left& left) {
  return grouped(left.moved) + " of " + grouped(left.skus) + " SKUs have moved; " +
         grouped(left.units) + " units are left in their old shard, " + grouped(left.held) +
         " of them for open reservations; " + grouped(left.on_the_way()) + " on their way";
}

std::string as_json(const ShardMap& map, const Left& left) {
  return boost::json::serialize(boost::json::object{{"version", map.version},
                                                    {"moving", map.moving()},
                                                    {"skus", left.skus},
                                                    {"moved", left.moved},
                                                    {"units_left", left.units},
                                                    {"units_held", left.held},
                                                    {"units_on_the_way", left.on_the_way()},
                                                    {"done", left.done()}});
}

// Whole, or not at all: a router may read it at any time.
int put(const ShardMap& map, const std::string& path) {
  if (path.empty()) {
    print(written(map));
    return kExitOk;
  }
  const std::string fresh = path + ".new";
  std::ofstream file(fresh, std::ios::trunc);
  file << written(map);
  file.close();
  if (!file || std::rename(fresh.c_str(), path.c_str()) != 0)
    return failed(absl::UnavailableError(path + ": cannot be written"));
  return kExitOk;
}

std::string what_to_do(const Left& left) {
  if (left.held > 0 && left.units == left.held && left.moved < left.skus)
    return ": what is left follows when its reservations have ended (holdfast reservation list)";
  return ": is a router running that has this map? What cannot move, and why, is in its log";
}

}  // namespace

int shards_begin(const ShardsCall& call) {
  const auto now = load_shard_map(call.map);
  if (!now.ok()) return failed(now.status());
  const auto next = load_shard_map(call.next);
  if (!next.ok()) return failed(next.status());
  const auto moving = begin_move(*now, *next);
  if (!moving.ok())
    return failed(
        absl::InvalidArgumentError(call.next + ": " + std::string(moving.status().message())));
  return put(*moving, call.output);
}

int shards_status(const ShardsCall& call) {
  const auto map = load_shard_map(call.map);
  if (!map.ok()) return failed(map.status());
  StopSignals signals;
  Progress progress;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(call.wait_seconds);
  for (;;) {
    const auto left = look(*map);
    if (!left.ok()) return failed(left.status());
    const bool time_is_up = std::chrono::steady_clock::now() >= until;
    if (left->done() || time_is_up || signals.stopped()) {
      progress.finish("");
      if (call.json) {
        print_line(as_json(*map, *left));
      } else {
        print_line(map->moving() ? told(*left) + (left->done() ? "" : what_to_do(*left))
                                 : "no SKU moves by version " + std::to_string(map->version));
      }
      return left->done() || call.wait_seconds == 0 ? kExitOk : kExitFailed;
    }
    progress.show(told(*left));
    signals.wait(kLookEvery);
  }
}

int shards_finish(const ShardsCall& call) {
  const auto map = load_shard_map(call.map);
  if (!map.ok()) return failed(map.status());
  if (!map->moving())
    return failed(absl::FailedPreconditionError(call.map + ": no SKU moves by this map"));
  const auto left = look(*map);
  if (!left.ok()) return failed(left.status());
  if (!left->done())
    return failed(absl::FailedPreconditionError("not yet: " + told(*left) + what_to_do(*left)));
  return put(end_move(*map), call.output);
}

}  // namespace holdfast::api
