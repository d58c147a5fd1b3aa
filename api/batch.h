#pragma once
// NDJSON bodies of POST /v1/batch.

#include <string_view>
#include <variant>

#include "api/handlers.h"
#include "api/problem.h"

namespace holdfast::api {

// One BatchLine per line that is not blank. A problem only if there are more than kBatchLinesMax.
std::variant<BatchCall, Problem> parse_batch(std::string_view body, JsonReader& reader);

}  // namespace holdfast::api
