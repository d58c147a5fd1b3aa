#include "api/http_fields.h"

#include <algorithm>

namespace holdfast::api {
namespace {

char lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool same_name(std::string_view name, std::string_view lower) {
  return std::equal(name.begin(), name.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return lowered(a) == b; });
}

}  // namespace

void Incoming::clear() {
  for (std::string* text : {&method, &target, &content_type, &idempotency_key, &body}) {
    if (text->capacity() > kKeptBytes) {
      std::string().swap(*text);
    } else {
      text->clear();
    }
  }
  has_key = expects_continue = old_client = false;
  problem.reset();
}

void HeaderRules::take(Incoming& incoming, std::string_view name, std::string_view value) {
  switch (name.size()) {  // most fields are none of these, and not even compared
    case 4:
      hosts_ += same_name(name, "host");
      break;
    case 6:
      if (same_name(name, "expect")) {
        incoming.expects_continue = same_name(value, "100-continue");
        foreign_expectation_ |= !incoming.expects_continue;
      }
      break;
    case 12:
      if (same_name(name, "content-type")) {
        ++types_;
        incoming.content_type = value;
      }
      break;
    case 14:
      if (same_name(name, "content-length")) {
        ++lengths_;
        list_of_lengths_ |= value.find(',') != std::string_view::npos;
      }
      break;
    case 15:
      if (same_name(name, "idempotency-key")) {
        ++keys_;
        incoming.has_key = true;
        incoming.idempotency_key = value;
      }
      break;
    case 17:
      if (same_name(name, "transfer-encoding")) {
        ++encodings_;
        foreign_encoding_ |= !same_name(value, "chunked");
      }
      break;
    default:
      break;
  }
}

std::optional<Problem> HeaderRules::judge(const Incoming& incoming) const {
  if (hosts_ > 1 || (hosts_ == 0 && !incoming.old_client)) {
    return invalid("Host", "a request has exactly one Host header: send one");
  }
  if (encodings_ > 1 || foreign_encoding_ ||
      (encodings_ > 0 && (incoming.old_client || lengths_ > 0))) {
    return invalid("Transfer-Encoding",
                   "only \"chunked\" is understood: send it once, in HTTP/1.1, and without a "
                   "Content-Length");
  }
  if (lengths_ > 1 || list_of_lengths_) {
    return invalid("Content-Length", "a request has one length at most: send it once");
  }
  if (keys_ > 1) return invalid("Idempotency-Key", "given twice: send it once");
  if (types_ > 1) return invalid("Content-Type", "given twice: send it once");
  if (foreign_expectation_) {
    return Problem{.status = 417,
                   .code = "expectation_failed",
                   .detail = "only Expect: 100-continue is understood: leave the header out"};
  }
  return std::nullopt;
}

Problem target_too_long() {
  return {.status = 414,
          .code = "target_too_long",
          .detail = "a request target has at most 8 KiB: ask for fewer things at once"};
}

Problem header_too_large() {
  return {.status = 431,
          .code = "header_too_large",
          .detail =
              "a header has at most 16 KiB, and so have a chunk's header and the trailers: "
              "send fewer or shorter ones"};
}

Problem body_too_large() {
  return {.status = 413,
          .code = "body_too_large",
          .detail = "a body has at most 1 MiB, a batch 16 MiB: send it in parts"};
}

Problem header_line_folded() {
  return invalid("header", "a header line is continued on the next: send it as one line");
}

Problem bare_line_feed() {
  return invalid("header", "a header line ends with a line feed alone: end it with CR LF");
}

Problem request_timeout() {
  return {.status = 408,
          .code = "request_timeout",
          .detail = "the request did not arrive in time: send it again, in one go"};
}

}  // namespace holdfast::api
