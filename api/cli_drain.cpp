// holdfast cluster drain: asks a node to leave in good order, and waits until it has.

#include <optional>
#include <string>

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
constexpr int kLooksAtSuccessor = 240;  // a minute

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

struct Seen {
  SeenNode self;
  std::optional<HttpUrl> successor;
};

// The node as it calls itself, and where its successor answers.
std::optional<Seen> seen(HttpClient& client, const std::string& successor) {
  const auto cluster = get_cluster(client);
  if (!cluster.ok()) return std::nullopt;
  Seen seen;
  for (const SeenNode& node : cluster->nodes) {
    if (node.self) seen.self = node;
    if (node.replica != successor) continue;
    if (auto url = parse_http_url(node.http_url); url.ok()) seen.successor = *url;
  }
  return seen;
}

// By what its successor says: a node that only cannot be reached may have crashed.
int judge(const Seen& before, const json::object& last, bool as_json) {
  const std::string name = printable(before.self.node), to = text_at(last, "successor_node");
  StopSignals signals;
  for (int look = 0; before.successor && look < kLooksAtSuccessor; ++look) {
    HttpClient client(*before.successor);
    if (const auto cluster = get_cluster(client); cluster.ok())
      for (const SeenNode& node : cluster->nodes) {
        if (node.replica != before.self.replica || node.state != "retired") continue;
        if (as_json) {
          json::object done = last;
          done["state"] = "left";
          done["node"] = before.self.node;
          print_line(json::serialize(done));
        } else {
          print_line(name + " has left; " + printable(to) + " goes on with what it had");
        }
        return kExitOk;
      }
    if (signals.wait(kLookEvery)) break;
  }
  print_error("error: " + name + " answers no more, and " + printable(to) +
              " does not say that it has left: look at `holdfast cluster` there. If " + name +
              " crashed, start it again, and drain it once more");
  return kExitFailed;
}

}  // namespace

int cluster_drain(const NodeOptions& node, const DrainCall& call) {
  const auto show = [](const json::object& body) {
    print_line(text_at(body, "state") == "none" ? "it is not being drained" : told(body));
  };
  if (call.cancel)
    return ask(node, {.method = "DELETE", .target = "/v1/cluster/drain"}, show);
  const auto url = parse_http_url(node.url);
  if (!url.ok()) return usage_error(url.status());
  HttpClient client(*url);
  json::object body{{"wait_seconds", call.wait_seconds}};
  if (!call.successor.empty()) body["successor"] = call.successor;
  HttpCall start = json_call("POST", "/v1/cluster/drain", body);
  start.repeatable = true;
  auto answer = client.send(start);
  if (!answer.ok()) return failed(answer.status());
  if (!answer->ok()) {
    print_error(problem_text(*answer));
    return kExitFailed;
  }
  auto state = object_of(*answer, client.url());
  if (!state.ok()) return failed(state.status());
  const auto before = seen(client, text_at(*state, "successor"));
  if (!before) return failed(absl::UnavailableError("the node does not answer GET /v1/cluster"));

  StopSignals signals;
  Progress progress;
  for (;;) {
    progress.show(told(*state));
    if (signals.wait(kLookEvery)) {
      progress.finish("");
      print_error("it goes on being drained; to cancel that: holdfast cluster drain --cancel");
      return kExitFailed;
    }
    answer = client.send({.target = "/v1/cluster/drain"});
    if (!answer.ok() || !answer->ok()) break;  // it listens no more
    const auto next = object_of(*answer, client.url());
    if (!next.ok()) return failed(next.status());
    if (text_at(*next, "state") == "none") {
      progress.finish("");
      print_error("error: the drain was cancelled, or the node was started again");
      return kExitFailed;
    }
    state = *next;
  }
  progress.finish(told(*state));
  return judge(*before, *state, node.json);
}

}  // namespace holdfast::api
