#pragma once
// An HTTP request and response as the pure part of api/ sees them: no sockets, no Beast.

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::api {

// Views stay valid until the request has been parsed (handlers.h keeps none of them).
struct Request {
  std::string_view method;  // as sent; methods are case-sensitive
  std::string_view target;  // origin form ("/v1/skus?limit=5") or absolute form, not yet decoded
  std::string_view content_type;     // empty: absent
  std::string_view idempotency_key;  // meaningful only if has_idempotency_key
  bool has_idempotency_key = false;
  std::string_view body;
};

enum class ContentType : std::uint8_t { json, problem, ndjson, prometheus };

struct Response {
  int status = 200;
  ContentType type = ContentType::json;
  std::string headers = {};  // further header lines, each ended by CRLF
  std::string body = {};     // ignored for 204
};

// How a response is put on the wire.
struct Framing {
  bool close = false;       // says Connection: close
  bool old_client = false;  // HTTP/1.0: keeping the connection has to be said
  bool head_only = false;   // answer to HEAD: the headers of the body, without it
};

// Appends status line, headers and body to `out`.
void append_response(std::string& out, const Response& response, const Framing& framing);

}  // namespace holdfast::api
