#include "api/http_message.h"

#include <charconv>

namespace holdfast::api {
namespace {

std::string_view status_line(int status) {
  switch (status) {
    case 200:
      return "HTTP/1.1 200 OK\r\n";
    case 201:
      return "HTTP/1.1 201 Created\r\n";
    case 202:
      return "HTTP/1.1 202 Accepted\r\n";
    case 204:
      return "HTTP/1.1 204 No Content\r\n";
    case 400:
      return "HTTP/1.1 400 Bad Request\r\n";
    case 403:
      return "HTTP/1.1 403 Forbidden\r\n";
    case 404:
      return "HTTP/1.1 404 Not Found\r\n";
    case 405:
      return "HTTP/1.1 405 Method Not Allowed\r\n";
    case 408:
      return "HTTP/1.1 408 Request Timeout\r\n";
    case 409:
      return "HTTP/1.1 409 Conflict\r\n";
    case 413:
      return "HTTP/1.1 413 Content Too Large\r\n";
    case 414:
      return "HTTP/1.1 414 URI Too Long\r\n";
    case 415:
      return "HTTP/1.1 415 Unsupported Media Type\r\n";
    case 417:
      return "HTTP/1.1 417 Expectation Failed\r\n";
    case 421:
      return "HTTP/1.1 421 Misdirected Request\r\n";
    case 422:
      return "HTTP/1.1 422 Unprocessable Content\r\n";
    case 431:
      return "HTTP/1.1 431 Request Header Fields Too Large\r\n";
    case 503:
      return "HTTP/1.1 503 Service Unavailable\r\n";
    case 504:
      return "HTTP/1.1 504 Gateway Timeout\r\n";
    case 507:
      return "HTTP/1.1 507 Insufficient Storage\r\n";
    default:
      return "HTTP/1.1 500 Internal Server Error\r\n";
  }
}

std::string_view content_type_line(ContentType type) {
  switch (type) {
    case ContentType::problem:
      return "Content-Type: application/problem+json\r\n";
    case ContentType::ndjson:
      return "Content-Type: application/x-ndjson\r\n";
    case ContentType::prometheus:
      return "Content-Type: text/plain; version=0.0.4\r\n";
    case ContentType::json:
      break;
  }
  return "Content-Type: application/json\r\n";
}

}  // namespace

void append_response(std::string& out, const Response& response, const Framing& framing) {
  out.append(status_line(response.status));
  const bool has_content = response.status != 204;  // which must not state a length
  if (has_content) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof digits, response.body.size()).ptr;
    out.append(content_type_line(response.type));
    out.append("Content-Length: ").append(digits, end).append("\r\n");
  }
  out.append(response.headers);
  if (framing.close) {
    out.append("Connection: close\r\n");
  } else if (framing.old_client) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  if (has_content && !framing.head_only) out.append(response.body);
}

}  // namespace holdfast::api
