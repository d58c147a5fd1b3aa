#pragma once
// What is kept of a request's header, and what makes a header unacceptable. Pure: no sockets.
//
// Two programs that read one connection differently (this node and a proxy in front of it) let a
// client smuggle a request past the proxy. So whatever leaves a choice about where a body ends, or
// about which host or key is meant, is refused, and the connection closed.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.h"

namespace holdfast::api {

// A request as it arrives. Its strings are used again for the connection's next one.
struct Incoming {
  std::string method, target, content_type, idempotency_key, body;
  bool has_key = false;
  bool expects_continue = false;
  bool old_client = false;         // HTTP/1.0
  std::optional<Problem> problem;  // why the header is refused

  // For the next request. Strings keep up to kKeptBytes of memory each.
  static constexpr std::size_t kKeptBytes = 64 << 10;
  void clear();
};

// Fed with the fields of one header, in order; then asked once.
class HeaderRules {
 public:
  // Keeps in `incoming` what is needed of the field. `value`: without white space around it.
  void take(Incoming& incoming, std::string_view name, std::string_view value);
  // Problems: invalid_request with the header's name as `field`, expectation_failed.
  std::optional<Problem> judge(const Incoming& incoming) const;

 private:
  std::uint32_t hosts_ = 0, lengths_ = 0, encodings_ = 0, types_ = 0, keys_ = 0;
  bool list_of_lengths_ = false, foreign_encoding_ = false, foreign_expectation_ = false;
};

// The refusals of a request that is not read to its end.
Problem target_too_long();
Problem header_too_large();
Problem body_too_large();
Problem header_line_folded();
Problem bare_line_feed();
Problem request_timeout();

}  // namespace holdfast::api
