#include "api/problem.h"

#include <array>

#include "api/json.h"

namespace holdfast::api {
namespace {

constexpr std::string_view kRetryAfter = "Retry-After: 1\r\n";

struct CodeText {
  int status;
  std::string_view code;
  std::string_view title;
};

// In the order of node::Code.
constexpr std::array<CodeText, 31> kEngineCodes = {{
    {200, "ok", "OK"},
    {201, "created", "Created"},
    {202, "accepted", "Accepted"},
    {404, "unknown_sku", "Unknown SKU"},
    {404, "unknown_reservation", "Unknown reservation"},
    {409, "insufficient_stock", "Insufficient stock"},
    {409, "insufficient_rights", "Beyond this node's rights"},
    {409, "reservation_conflict", "The reservation exists with another body"},
    {409, "reservation_closed", "The reservation has ended"},
    {422, "idempotency_key_reused", "The idempotency key stands for another request"},
    {422, "out_of_range", "Out of range"},
    {404, "unknown_target", "Unknown target"},
    {503, "home_unreachable", "The reservation's home is unreachable"},
    {504, "outcome_unknown", "The outcome is unknown"},
    {503, "overloaded", "Overloaded"},
    {507, "storage_full", "Storage is full"},
    {403, "faults_disabled", "Fault injection is disabled"},
    {503, "stopping", "The node is stopping"},
    {400, "invalid_cursor", "Invalid cursor"},
    {503, "target_unreachable", "The target is unreachable"},
    {409, "plan_changed", "The amounts have changed since the dry run"},
    {409, "decree_open", "A decree is open for this target"},
    {409, "own_region", "A node cannot declare its own region lost"},
    {409, "replica_retired", "The replica was retired"},
    {409, "successor_not_live", "The successor is not a live member"},
    {503, "awaiting_peer", "No peer has confirmed this node yet"},
    {409, "last_of_region", "The last live node of its region"},
    {409, "drain_running", "The node is being drained already"},
    {503, "shard_unreachable", "No node of the shard can be reached"},
    {502, "elsewhere", "Refused by another node"},
    {421, "moved", "The SKU is in another shard"},
}};

// What no engine says, in no particular order.
constexpr std::array<CodeText, 11> kOwnCodes = {{
    {400, "invalid_request", "Invalid request"},
    {400, "idempotency_key_required", "An Idempotency-Key is required"},
    {404, "not_found", "Not found"},
    {405, "method_not_allowed", "Method not allowed"},
    {408, "request_timeout", "The request took too long to arrive"},
    {413, "body_too_large", "The body is too large"},
    {414, "target_too_long", "The request target is too long"},
    {415, "unsupported_media_type", "Unsupported media type"},
    {417, "expectation_failed", "Expectation failed"},
    {431, "header_too_large", "The header is too large"},
    {503, "not_ready", "Not ready"},
}};

const CodeText& text_of(node::Code code) {
  const auto index = static_cast<std::size_t>(code);
  static constexpr CodeText kUnnamed{500, "internal_error", "Internal error"};
  return index < kEngineCodes.size() ? kEngineCodes[index] : kUnnamed;
}

std::string_view title_of(std::string_view code) {
  for (const CodeText& text : kOwnCodes) {
    if (text.code == code) return text.title;
  }
  for (const CodeText& text : kEngineCodes) {
    if (text.code == code) return text.title;
  }
  return "Error";
}

// Names that a client sent are repeated in answers, but not without bound; cut between characters.
std::string_view shortened(std::string_view text) {
  constexpr std::size_t kBytesMax = 256;
  if (text.size() <= kBytesMax) return text;
  std::size_t end = kBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

void append_head(std::string& out, int status, std::string_view code, std::string_view title,
                 std::string_view detail) {
  out.append("{\"status\":");
  append_integer(out, status);
  out.append(",\"type\":\"urn:holdfast:problem:").append(code);
  out.append("\",\"title\":");
  append_string(out, title);
  if (!detail.empty()) {
    out.append(",\"detail\":");
    append_string(out, detail);
  }
  out.append(",\"code\":\"").append(code).append("\"");
}

}  // namespace

Problem invalid(std::string_view field, std::string_view detail) {
  const std::string name(shortened(field));
  return {.detail = name + ": " + std::string(shortened(detail)), .field = name};
}

Problem overloaded() {
  return {.status = 503,
          .code = "overloaded",
          .detail = "this node has more work waiting than it can do in time: retry after a second",
          .headers = std::string(kRetryAfter)};
}

void append_problem(std::string& out, const Problem& problem) {
  append_head(out, problem.status, problem.code, title_of(problem.code), problem.detail);
  if (!problem.field.empty()) {
    out.append(",\"field\":");
    append_string(out, problem.field);
  }
  out.append("}");
}

Response to_response(const Problem& problem) {
  Response response{.status = problem.status, .type = ContentType::problem};
  response.headers = problem.headers;
  append_problem(response.body, problem);
  return response;
}

void append_problem(std::string& out, const node::Outcome& outcome) {
  if (const auto* worded = std::get_if<node::Worded>(&outcome.view)) {
    out.append(worded->body);
    return;
  }
  const CodeText& text = text_of(outcome.code);
  append_head(out, text.status, text.code, text.title, outcome.detail);
  if (outcome.code == node::Code::insufficient_stock) {
    out.append(",\"shortages\":[");
    bool first = true;
    for (const node::Shortage& shortage : outcome.shortages) {
      if (!std::exchange(first, false)) out.append(",");
      out.append("{\"sku\":");
      append_string(out, shortage.sku);
      out.append(",\"requested\":");
      append_integer(out, shortage.requested);
      out.append(",\"available\":");
      append_integer(out, shortage.available);
      out.append("}");
    }
    out.append("]");
  }
  if (const auto* place = std::get_if<node::Place>(&outcome.view)) {
    out.append(",\"skus\":[");
    for (const std::string& sku : place->skus) {
      if (out.back() != '[') out.append(",");
      append_string(out, sku);
    }
    out.append("],\"shard\":");
    append_string(out, place->shard);
    out.append(",\"url\":");
    append_string(out, place->url);
  }
  out.append("}");
}

Response problem_response(const node::Outcome& outcome) {
  Response response{.status = http_status(outcome.code), .type = ContentType::problem};
  if (outcome.code == node::Code::overloaded) response.headers = kRetryAfter;
  if (const auto* worded = std::get_if<node::Worded>(&outcome.view))
    response.status = worded->status;
  append_problem(response.body, outcome);
  return response;
}

int http_status(node::Code code) { return text_of(code).status; }
std::string_view code_name(node::Code code) { return text_of(code).code; }

}  // namespace holdfast::api
