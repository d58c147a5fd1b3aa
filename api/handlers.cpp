#include "api/handlers.h"

#include <algorithm>

#include "api/batch.h"
#include "api/bodies.h"
#include "api/metrics.h"
#include "api/problem.h"
#include "api/queries.h"
#include "api/routes.h"
#include "api/views.h"

namespace holdfast::api {
namespace {

using Refusal = std::optional<Problem>;

constexpr std::size_t kUsualBodyBytes = 500;  // a reservation of one line has about 400

// ── headers and bodies ──

bool is_media_type(std::string_view content_type, std::string_view wanted) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  const std::size_t last = type.find_last_not_of(" \t");
  const std::size_t size = last == std::string_view::npos ? 0 : last + 1;
  return std::equal(
      type.begin(), type.begin() + static_cast<std::ptrdiff_t>(size), wanted.begin(), wanted.end(),
      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + 32) : a) == b; });
}

// No type, or the one that curl sends by itself with -d, names nothing: the route knows what it
// takes.
bool takes_media_type(std::string_view content_type, std::string_view wanted) {
  return content_type.empty() || is_media_type(content_type, wanted) ||
         is_media_type(content_type, "application/x-www-form-urlencoded");
}

Problem unsupported_media_type(std::string_view wanted) {
  return {.status = 415,
          .code = "unsupported_media_type",
          .detail = "send the body as Content-Type: " + std::string(wanted)};
}

Refusal take_key(const Request& request, const Match& match, node::IdempotencyKey& key) {
  constexpr std::string_view kHeader = "Idempotency-Key";
  if (!request.has_idempotency_key) return std::nullopt;
  if (Refusal refusal = check_key(kHeader, request.idempotency_key)) return refusal;
  key.scope = "POST " + canonical_path(match.route, match.name);
  key.text = request.idempotency_key;
  return std::nullopt;
}

// An absent body counts as {}.
template <typename Command>
Refusal read_body(const Request& request, JsonReader& reader, Command& command) {
  std::string_view body = request.body;
  if (body.empty()) {
    body = "{}";
  } else if (!takes_media_type(request.content_type, "application/json")) {
    return unsupported_media_type("application/json");
  }
  const auto value = reader.read(body);
  if (!value) return invalid("body", reader.error());
  return read(command, *value);
}

// ── one route after the other ──

struct Input {
  const Request& request;
  const Match& match;
  JsonReader& reader;
};

template <typename Command>
Refusal fill_with_key(const Input& in, Command& command) {
  command.sku = in.match.name;
  if (Refusal refusal = take_key(in.request, in.match, command.key)) return refusal;
  return read_body(in.request, in.reader, command);
}

template <typename Command>
Refusal fill_by_id(const Input& in, Command& command) {
  command.id = in.match.name;
  return read_body(in.request, in.reader, command);
}

template <typename Command>
Refusal fill_list(const Input& in, Call& call) {
  call.page_base = page_base(in.match.route, in.match.query);
  return read_query(in.match.query, call.command.emplace<Command>());
}

Refusal fill_return(const Input& in, node::Return& command) {
  command.id = in.match.name;
  if (!in.request.has_idempotency_key) {
    Problem problem = invalid("Idempotency-Key",
                              "a return needs this header, so that a repeated call "
                              "does not return the units twice");
    problem.code = "idempotency_key_required";
    return problem;
  }
  if (Refusal refusal = take_key(in.request, in.match, command.key)) return refusal;
  return read_body(in.request, in.reader, command);
}

Refusal fill_fault(const Input& in, Call& call) {
  auto& command = call.command.emplace<node::SetFault>();
  command.target = in.match.name;
  Refusal refusal = read_body(in.request, in.reader, command);
  call.wording = Wording::fault;
  call.fault = {command.target, command.drop, command.delay_ms, command.loss};
  return refusal;
}

template <typename Command>
Refusal fill_by_sku(const Input& in, Command& command) {
  command.sku = in.match.name;
  return read_body(in.request, in.reader, command);
}

Refusal fill_failover(const Input& in, node::Failover& command) {
  command.target = in.match.name;
  command.region = in.match.route == Route::fail_region;
  return read_body(in.request, in.reader, command);
}

Refusal fill_retire(const Input& in, node::Retire& command) {
  command.replica = in.match.name;
  return read_body(in.request, in.reader, command);
}

template <typename Command>
Refusal fill_plain(Call& call, Command command, Wording wording = Wording::view) {
  call.command = std::move(command);
  call.wording = wording;
  return std::nullopt;
}

Refusal fill(const Input& in, Call& call) {
  const std::string& name = in.match.name;
  node::Command& command = call.command;
  switch (in.match.route) {
    case Route::put_sku:
      return fill_by_sku(in, command.emplace<node::PutSku>());
    case Route::get_sku:
      return fill_plain(call, node::GetSku{name});
    case Route::list_skus:
      return fill_list<node::ListSkus>(in, call);
    case Route::receive:
      return fill_with_key(in, command.emplace<node::Receive>());
    case Route::adjust:
      return fill_with_key(in, command.emplace<node::Adjust>());
    case Route::allow:
      return fill_with_key(in, command.emplace<node::Allow>());
    case Route::grant:
      return fill_with_key(in, command.emplace<node::GrantTo>());
    case Route::move_out:
      return fill_by_sku(in, command.emplace<node::MoveOut>());
    case Route::move_in:
      return fill_by_sku(in, command.emplace<node::MoveIn>());
    case Route::get_stock:
      return fill_plain(call, node::GetStock{name});
    case Route::get_availability:
      return read_query(in.match.query, command.emplace<node::GetAvailability>());
    case Route::reserve:
      return fill_by_id(in, command.emplace<node::Reserve>());
    case Route::get_reservation:
      return fill_plain(call, node::GetReservation{name});
    case Route::list_reservations:
      return fill_list<node::ListReservations>(in, call);
    case Route::commit:
      return fill_by_id(in, command.emplace<node::Commit>());
    case Route::release:
      return fill_by_id(in, command.emplace<node::Release>());
    case Route::extend:
      return fill_by_id(in, command.emplace<node::Extend>());
    case Route::return_units:
      return fill_return(in, command.emplace<node::Return>());
    case Route::fail_region:
    case Route::fail_replica:
      return fill_failover(in, command.emplace<node::Failover>());
    case Route::retire_replica:
      return fill_retire(in, command.emplace<node::Retire>());
    case Route::start_drain:
      return read_body(in.request, in.reader, command.emplace<node::StartDrain>());
    case Route::get_drain:
      return fill_plain(call, node::GetDrain{});
    case Route::stop_drain:
      return fill_plain(call, node::StopDrain{});
    case Route::list_failovers:
      return fill_plain(call, node::ListFailovers{});
    case Route::get_cluster:
      return fill_plain(call, node::GetCluster{});
    case Route::list_faults:
      return fill_plain(call, node::ListFaults{});
    case Route::set_fault:
      return fill_fault(in, call);
    case Route::clear_fault:
      return fill_plain(call, node::ClearFault{name}, Wording::nothing);
    case Route::readyz:
      return fill_plain(call, node::GetStats{}, Wording::readiness);
    case Route::metrics:
      return fill_plain(call, node::GetStats{}, Wording::metrics);
    case Route::batch:
    case Route::healthz:
      break;  // have no one command
  }
  return std::nullopt;
}

bool takes_query(Route route) {
  return route == Route::list_skus || route == Route::list_reservations ||
         route == Route::get_availability;
}

Parsed parse_batch_request(const Request& request, JsonReader& reader) {
  constexpr std::string_view kType = "application/x-ndjson";
  if (!takes_media_type(request.content_type, kType)) {
    return to_response(unsupported_media_type(kType));
  }
  if (request.has_idempotency_key)
    return to_response(invalid("Idempotency-Key",
                               "a batch takes none: give each receive line a \"key\" of its own"));
  auto batch = parse_batch(request.body, reader);
  if (const auto* problem = std::get_if<Problem>(&batch)) return to_response(*problem);
  return std::get<BatchCall>(std::move(batch));
}

// Of a node that waits for a peer to confirm it.
std::string awaited_text(const node::Stats& stats) {
  constexpr std::size_t kNamed = 8;
  const std::string what =
      "the node waits until a peer has confirmed that its data is the latest "
      "(node.start_requires_peer)";
  const auto& peers = stats.awaited;
  if (peers.empty()) return what + ", and gossip.peers names none: set it, or wait to be dialled";
  std::string names;
  for (std::size_t i = 0; i < std::min(peers.size(), kNamed); ++i)
    names += (i == 0 ? "" : ", ") + peers[i];
  if (peers.size() > kNamed) names += " and " + std::to_string(peers.size() - kNamed) + " more";
  return what + ": of " + names + " none has; does one of them run, and can it be reached?";
}

Response answer_readiness(const node::Stats& stats) {
  if (stats.awaits_peer)
    return to_response({.status = 503, .code = "not_ready", .detail = awaited_text(stats)});
  if (!stats.ready) {
    return to_response({.status = 503,
                        .code = "not_ready",
                        .detail = "the node is starting or stopping: send traffic elsewhere"});
  }
  Response response{.body = "{\"status\":\"ready\",\"degraded\":"};
  append_boolean(response.body, stats.degraded);
  response.body.push_back('}');
  return response;
}

// The router's: it is ready while of some shard a node can be reached.
Response answer_routed_stats(const Call& call, const node::Worded& metrics) {
  if (call.wording == Wording::metrics)
    return {.type = ContentType::prometheus, .body = metrics.body};
  if (metrics.status == 200) return {.body = "{\"status\":\"ready\"}"};
  return to_response({.status = metrics.status,
                      .code = "not_ready",
                      .detail = "of no shard a node can be reached: see GET /v1/cluster"});
}

Response answer_stats(const Call& call, const node::Outcome& outcome) {
  if (const auto* routed = std::get_if<node::Worded>(&outcome.view))
    return answer_routed_stats(call, *routed);
  const auto* stats = std::get_if<std::unique_ptr<node::Stats>>(&outcome.view);
  if (stats == nullptr || *stats == nullptr) return answer_readiness({});
  if (call.wording == Wording::readiness) return answer_readiness(**stats);
  return {.type = ContentType::prometheus, .body = metrics_text(**stats)};
}

}  // namespace

Parsed parse_request(const Request& request, JsonReader& reader) {
  auto matched = match_route(request.method, request.target);
  if (const auto* problem = std::get_if<Problem>(&matched)) return to_response(*problem);
  const Match& match = std::get<Match>(matched);
  if (!match.query.empty() && !takes_query(match.route)) {
    return to_response(invalid(match.query.front().first, "this call takes no query parameters"));
  }
  if (match.route == Route::healthz) return Response{.body = "{\"status\":\"ok\"}"};
  if (match.route == Route::batch) return parse_batch_request(request, reader);
  Parsed parsed(std::in_place_type<Call>);
  if (const Refusal refusal = fill({request, match, reader}, std::get<Call>(parsed))) {
    return to_response(*refusal);
  }
  return parsed;
}

Response answer(const Call& call, const node::Outcome& outcome) {
  if (!outcome.succeeded()) return problem_response(outcome);
  Response response{.status = http_status(outcome.code)};
  switch (call.wording) {
    case Wording::nothing:
      response.status = 204;
      return response;
    case Wording::fault:
      append_fault(response.body, call.fault);
      return response;
    case Wording::readiness:
    case Wording::metrics:
      return answer_stats(call, outcome);
    case Wording::view:
      break;
  }
  response.body.reserve(kUsualBodyBytes);
  append_view(response.body, outcome);
  if (!call.page_base.empty()) {
    if (const std::string& cursor = next_cursor(outcome); !cursor.empty()) {
      response.headers = "Link: <" + call.page_base + query_encoded(cursor) + ">; rel=\"next\"\r\n";
    }
  }
  return response;
}

void append_batch_result(std::string& out, const node::Outcome& outcome) {
  if (!outcome.succeeded()) return append_problem(out, outcome);
  out.append("{\"status\":");
  append_integer(out, http_status(outcome.code));
  const std::size_t at = out.size();
  append_view(out, outcome);
  const bool empty = out.size() == at + 2;  // {}
  if (empty) {
    out.erase(at, 1);
  } else {
    out[at] = ',';  // in place of the view's brace
  }
}

void append_batch_result_omitted(std::string& out, const node::Outcome& outcome) {
  out.append("{\"status\":");
  append_integer(out, http_status(outcome.code));
  out.append(",\"omitted\":true}");
}

std::size_t body_bytes_max(std::string_view target) {
  return target.substr(0, target.find('?')) == "/v1/batch" ? kBatchBodyBytesMax : kBodyBytesMax;
}

}  // namespace holdfast::api
