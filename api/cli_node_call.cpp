#include "api/cli_node_call.h"

#include <charconv>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_console.h"

namespace holdfast::api {
namespace {

bool outcome_unknown(const absl::Status& status) {
  return absl::IsDeadlineExceeded(status) || absl::IsUnknown(status);
}

// What makes a repetition of the call harmless, for people.
std::string advice(const HttpCall& call) {
  for (const auto& [name, value] : call.headers) {
    if (name == "Idempotency-Key") {
      return "; repeat the command with --key " + value + " (it takes effect once)";
    }
  }
  return "; repeat the same command (it takes effect once)";
}

}  // namespace

int ask(const NodeOptions& node, const HttpCall& call, const ShowAnswer& show) {
  const auto url = parse_http_url(node.url);
  if (!url.ok()) return usage_error(url.status());
  HttpClient client(*url);
  const auto answer = client.send(call);
  if (!answer.ok()) {
    const bool unknown = outcome_unknown(answer.status()) && call.method != "GET";
    print_error("error: " + std::string(answer.status().message()) + (unknown ? advice(call) : ""));
    return kExitFailed;
  }
  if (node.json && !answer->body.empty()) {
    print(answer->body.ends_with('\n') ? answer->body : answer->body + "\n");
  }
  if (!answer->ok()) {
    print_error(problem_text(*answer) + (answer->status == 504 ? advice(call) : ""));
    return kExitFailed;
  }
  if (node.json || answer->body.empty()) return kExitOk;
  const auto object = object_of(*answer, client.url());
  if (!object.ok()) return failed(object.status());
  show(*object);
  return kExitOk;
}

HttpCall json_call(std::string method, std::string target, const boost::json::object& body) {
  return {.method = std::move(method),
          .target = std::move(target),
          .body = boost::json::serialize(body)};
}

HttpCall with_key(HttpCall call, const std::string& key) {
  call.headers.emplace_back("Idempotency-Key", key.empty() ? random_key() : key);
  call.repeatable = true;
  return call;
}

absl::StatusOr<boost::json::array> parse_lines(const std::vector<std::string>& texts) {
  boost::json::array lines;
  for (const auto& text : texts) {
    const auto equals = text.rfind('=');
    crdt::Units quantity = 0;
    const char* const end = text.data() + text.size();
    const bool good = equals != std::string::npos && equals > 0 &&
                      std::from_chars(text.data() + equals + 1, end, quantity).ptr == end &&
                      quantity >= 1 && quantity <= crdt::kLineUnitsMax;
    if (!good) {
      return absl::InvalidArgumentError("line '" + text +
                                        "' is not SKU=QUANTITY with a quantity of 1 to 1000000000");
    }
    lines.push_back(boost::json::object{{"sku", text.substr(0, equals)}, {"quantity", quantity}});
  }
  return lines;
}

std::string time_at(const boost::json::object& object, std::string_view key) {
  const auto text = text_at(object, key);
  return text.empty() ? "-" : text;
}

}  // namespace holdfast::api
