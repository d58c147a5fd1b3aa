#pragma once
// Errors as RFC 9457 problem documents.
//
// `code` is the stable name that clients may rely on; `title` and `detail` are for people and may
// be reworded. The codes of the engine are the names of node::Code; those below are the rest:
//
//   invalid_request 400           `field` names the JSON field, query parameter or header
//   idempotency_key_required 400  a return without Idempotency-Key
//   not_found 404                 no such path
//   method_not_allowed 405        with Allow
//   request_timeout 408, body_too_large 413, target_too_long 414, unsupported_media_type 415,
//   expectation_failed 417, header_too_large 431, not_ready 503

#include <string>
#include <string_view>

#include "api/http_message.h"
#include "node/command.h"

namespace holdfast::api {

struct Problem {
  int status = 400;
  std::string_view code = "invalid_request";  // a literal
  std::string detail = {};
  std::string field = {};    // empty: none is to blame
  std::string headers = {};  // further header lines, each ended by CRLF
};

// A 400 that names what is wrong with which field.
Problem invalid(std::string_view field, std::string_view detail);
// 503: the inbox is full, or too much is being received at once.
Problem overloaded();

// Appends the document as one JSON object, `status` first.
void append_problem(std::string& out, const Problem& problem);
Response to_response(const Problem& problem);

// The same for an outcome that did not succeed.
void append_problem(std::string& out, const node::Outcome& outcome);
Response problem_response(const node::Outcome& outcome);

// 200, 201, 202 … as listed in node/command.h.
int http_status(node::Code code);
// The name of the enumerator.
std::string_view code_name(node::Code code);

}  // namespace holdfast::api
