#pragma once
// An HTTP call and its answer from the client's side, as values: who sends them is http_client.h,
// upstream.h, or the simulator. Pure.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::api {

struct HttpCall {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded
  std::string body;    // empty: none is sent, unless the method is POST or PUT
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  bool repeatable = false;  // GET, PUT and DELETE always are
};

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
  bool ok() const { return status >= 200 && status < 300; }
};

// One path segment or query value: everything but A–Z a–z 0–9 - . _ ~ : is percent-encoded.
std::string percent_encoded(std::string_view text);

}  // namespace holdfast::api
