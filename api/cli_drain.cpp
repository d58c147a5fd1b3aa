// holdfast cluster drain: asks a node to leave in good order, and waits until it has.

#include <optional>
#include <string>
#include <vector>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_commands.h"
#include "api/cli_console.h"
#include "api/cli_node_call.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr milliseconds kLookEvery{250};
constexpr int kLooksAtSilent = 240;  // a minute

std::string told(const json::object& drain) {
  const std::string to = printable(text_at(drain, "successor_node"));
  const std::string state = text_at(drain, "state");
  std::string text = grouped(number_at(drain, "units_given")) + " units given to " + to + ", " +
                     grouped(number_at(drain, "open_holds")) + " holds open here";
  if (state == "waiting_for_successor") return to + " cannot be reached, or is lost; " + text;
  if (state == "waiting_for_holds")
    return text + ", handed over in " + grouped(number_at(drain, "wait_ms") / 1'000) + " s at most";
  return text;
}

struct Around {
  SeenNode self;
  std::vector<HttpUrl> others;  // of whom one says, in the end, that it has left
};

std::optional<Around> around(HttpClient& client) {
  const auto cluster = get_cluster(client);
  if (!cluster.ok()) return std::nullopt;
  Around around;
  for (const SeenNode& node : cluster->nodes) {
    if (node.self) around.self = node;
    if (auto url = parse_http_url(node.http_url); !node.self && node.reachable && url.ok())
      around.others.push_back(*url);
  }
  return around;
}

// By what others say: a node that only cannot be reached may have crashed.
bool has_left(const Around& around) {
  for (const HttpUrl& url : around.others) {
    HttpClient client(url);
    const auto cluster = get_cluster(client);
    if (!cluster.ok()) continue;
    for (const SeenNode& node : cluster->nodes)
      if (node.replica == around.self.replica && node.state == "retired") return true;
  }
  return false;
}

int show_left(const Around& around, const json::object& last, bool as_json) {
  if (as_json) {
    json::object done = last;
    done["state"] = "left";
    done["node"] = around.self.node;
    print_line(json::serialize(done));
  } else {
    print_line(printable(around.self.node) + " has left; " +
               printable(text_at(last, "successor_node")) + " goes on with what it had");
  }
  return kExitOk;
}

// Until it has left, or will not.
int follow(HttpClient& client, const Around& around, json::object state, bool as_json) {
  StopSignals signals;
  Progress progress;
  const std::string name = printable(around.self.node);
  for (int silent = 0; silent < kLooksAtSilent;) {
    progress.show(told(state));
    if (signals.wait(kLookEvery)) {
      progress.finish("");
      print_error("it goes on being drained; to cancel that: holdfast cluster drain --cancel");
      return kExitFailed;
    }
    const auto answer = client.send({.target = "/v1/cluster/drain"});
    const auto next = answer.ok() && answer->ok()
                          ? object_of(*answer, client.url())
                          : absl::StatusOr<json::object>(absl::UnavailableError(""));
    if (!next.ok()) {  // it listens no more
      ++silent;
      if (!has_left(around)) continue;
      progress.finish(told(state));
      return show_left(around, state, as_json);
    }
    silent = 0;
    if (text_at(*next, "state") == "none") {
      progress.finish("");
      print_error("error: the drain was cancelled, or " + name + " was started again");
      return kExitFailed;
    }
    state = *next;
  }
  progress.finish("");
  print_error("error: " + name +
              " answers no more, and nobody says that it has left: look at `holdfast cluster` of "
              "another node. If it crashed, start it again, and drain it once more");
  return kExitFailed;
}

}  // namespace

int cluster_drain(const NodeOptions& node, const DrainCall& call) {
  const auto show = [](const json::object& body) {
    print_line(text_at(body, "state") == "none" ? "it is not being drained" : told(body));
  };
  if (call.cancel) return ask(node, {.method = "DELETE", .target = "/v1/cluster/drain"}, show);
  const auto url = parse_http_url(node.url);
  if (!url.ok()) return usage_error(url.status());
  HttpClient client(*url);
  json::object body{{"wait_seconds", call.wait_seconds}};
  if (!call.successor.empty()) body["successor"] = call.successor;
  HttpCall start = json_call("POST", "/v1/cluster/drain", body);
  start.repeatable = true;
  const auto answer = client.send(start);
  if (!answer.ok()) return failed(answer.status());
  if (!answer->ok()) {
    print_error(problem_text(*answer));
    return kExitFailed;
  }
  const auto state = object_of(*answer, client.url());
  if (!state.ok()) return failed(state.status());
  const auto others = around(client);
  if (!others) return failed(absl::UnavailableError("the node does not answer GET /v1/cluster"));
  return follow(client, *others, *state, node.json);
}

}  // namespace holdfast::api
