#pragma once
// One call to one node, from the options to the exit status.

#include <functional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "api/cli_commands.h"
#include "api/http_client.h"

namespace holdfast::api {

// Shows an answer's body to people.
using ShowAnswer = std::function<void(const boost::json::object& body)>;

// Sends the call; prints the body as it came with --json, else through `show`. A body that is empty
// prints nothing. Problems, and what to do about an unknown outcome, go to stderr.
int ask(const NodeOptions& node, const HttpCall& call, const ShowAnswer& show);

// The body of a call that takes JSON. Made repeatable by `key`, which becomes its Idempotency-Key.
HttpCall json_call(std::string method, std::string target, const boost::json::object& body);
HttpCall with_key(HttpCall call, const std::string& key);  // an empty key: a random one

// "SKU=QUANTITY" → {"sku", "quantity"}. Errors: kInvalidArgument.
absl::StatusOr<boost::json::array> parse_lines(const std::vector<std::string>& texts);

// A time as the node tells it: its text, or "-".
std::string time_at(const boost::json::object& object, std::string_view key);

}  // namespace holdfast::api
