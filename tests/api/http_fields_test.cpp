// Which headers are refused, and what is kept of the others.
#include "api/http_fields.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace holdfast::api {
namespace {

using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

// The field that is blamed, the code if none is, or "" for a header in order.
std::string judge(const Fields& fields, bool old_client = false) {
  Incoming incoming{.old_client = old_client};
  HeaderRules rules;
  for (const auto& [name, value] : fields) rules.take(incoming, name, value);
  const auto problem = rules.judge(incoming);
  if (!problem) return "";
  return problem->field.empty() ? std::string(problem->code) : problem->field;
}

}  // namespace

TEST_SUITE("api/http_fields") {
  TEST_CASE("exactly one host, but for HTTP/1.0") {
    CHECK(judge({{"Host", "h"}}) == "");
    CHECK(judge({}) == "Host");
    CHECK(judge({{"Host", "a"}, {"hOST", "a"}}) == "Host");
    CHECK(judge({}, true) == "");
    CHECK(judge({{"Host", "a"}, {"Host", "b"}}, true) == "Host");
  }

  TEST_CASE("one way to tell where the body ends") {
    const auto with = [](Fields fields, bool old_client = false) {
      fields.push_back({"Host", "h"});
      return judge(fields, old_client);
    };
    CHECK(with({{"Transfer-Encoding", "chunked"}}) == "");
    CHECK(with({{"TRANSFER-encoding", "Chunked"}}) == "");
    for (const char* other : {"", "xchunked", "chunked, chunked", "gzip", "gzip, chunked",
                              "chunked, identity", "identity", "chunked;q=1", "\"chunked\""}) {
      CAPTURE(other);
      CHECK(with({{"Transfer-Encoding", other}}) == "Transfer-Encoding");
    }
    const std::pair<std::string_view, std::string_view> chunked{"Transfer-Encoding", "chunked"};
    CHECK(with({chunked, chunked}) == "Transfer-Encoding");
    CHECK(with({chunked, {"Content-Length", "5"}}) == "Transfer-Encoding");
    CHECK(with({{"Content-Length", "5"}, chunked}) == "Transfer-Encoding");
    CHECK(with({chunked}, true) == "Transfer-Encoding");
    CHECK(with({{"Content-Length", "5"}, {"Content-Length", "5"}}) == "Content-Length");
    CHECK(with({{"Content-Length", "5, 5"}}) == "Content-Length");
  }

  TEST_CASE("what is meant to be one is sent once") {
    CHECK(judge({{"Host", "h"}, {"Idempotency-Key", "a"}, {"idempotency-key", "a"}}) ==
          "Idempotency-Key");
    CHECK(judge({{"Host", "h"}, {"Content-Type", "a"}, {"Content-Type", "b"}}) == "Content-Type");
    CHECK(judge({{"Host", "h"}, {"Expect", "a cake"}}) == "expectation_failed");
    CHECK(judge({{"Host", "h"}, {"Expect", "100-Continue"}}) == "");
  }

  TEST_CASE("kept is what is needed, and nothing of it for the next request") {
    Incoming incoming;
    HeaderRules rules;
    for (const auto& [name, value] : Fields{{"CONTENT-TYPE", "text/plain"},
                                            {"Idempotency-key", ""},
                                            {"Expect", "100-continue"},
                                            {"X-Other", "other"}}) {
      rules.take(incoming, name, value);
    }
    CHECK(incoming.content_type == "text/plain");
    CHECK(incoming.has_key);
    CHECK(incoming.expects_continue);
    incoming.body.assign(1 << 20, 'x');
    incoming.problem = request_timeout();
    incoming.clear();
    CHECK(incoming.content_type.empty());
    CHECK_FALSE(incoming.has_key);
    CHECK_FALSE(incoming.expects_continue);
    CHECK_FALSE(incoming.problem);
    CHECK(incoming.body.empty());
    CHECK(incoming.body.capacity() <= Incoming::kKeptBytes);
  }
}

}  // namespace holdfast::api
