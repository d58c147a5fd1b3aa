#pragma once
// Query parameters of the contract → commands, checked for form. Unknown and repeated parameters
// and values out of range are refused by name.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/problem.h"
#include "api/routes.h"
#include "node/command.h"

namespace holdfast::api {

using Query = std::vector<std::pair<std::string, std::string>>;  // decoded, in order

std::optional<Problem> read_query(const Query& query, node::ListSkus& command);
std::optional<Problem> read_query(const Query& query, node::ListReservations& command);
std::optional<Problem> read_query(const Query& query, node::GetAvailability& command);

// Path and query of a list, less its cursor: where the next page's cursor is appended.
std::string page_base(Route route, const Query& query);
// A query value: everything but unreserved characters is percent-encoded.
std::string query_encoded(std::string_view text);

}  // namespace holdfast::api
