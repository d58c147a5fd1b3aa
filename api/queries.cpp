#include "api/queries.h"

#include <algorithm>
#include <boost/url/encode.hpp>
#include <boost/url/rfc/unreserved_chars.hpp>
#include <charconv>

#include "api/bodies.h"

namespace holdfast::api {
namespace {

using Refusal = std::optional<Problem>;

constexpr std::size_t kCursorBytesMax = 512;
constexpr std::uint32_t kPageMax = 1'000;

// The parameters are exactly these, each at most once.
template <std::size_t N, typename Take>
Refusal read_query(const Query& query, const std::string_view (&names)[N], Take&& take) {
  std::uint32_t seen = 0;
  for (const auto& [name, value] : query) {
    const auto at = static_cast<std::size_t>(std::find(names, names + N, name) - names);
    if (at == N) return invalid(name, "unknown query parameter: remove it or correct its name");
    if ((seen >> at & 1) != 0) return invalid(name, "given twice: send it once");
    seen |= 1u << at;
    if (Refusal refusal = take(at, value)) return refusal;
  }
  return std::nullopt;
}

Refusal take_limit(const std::string& text, std::uint32_t& limit) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kPageMax) {
    return invalid("limit", "must be an integer from 1 to 1000");
  }
  limit = value;
  return std::nullopt;
}

Refusal take_cursor(const std::string& text, std::string& cursor) {
  if (text.size() > kCursorBytesMax) return invalid("cursor", "must be a cursor as a page gave it");
  cursor = text;
  return std::nullopt;
}

Refusal take_state(const std::string& text, std::optional<crdt::HoldState>& state) {
  using crdt::HoldState;
  if (text == "held") {
    state = HoldState::held;
  } else if (text == "committed") {
    state = HoldState::committed;
  } else if (text == "released") {
    state = HoldState::released;
  } else if (text == "expired") {
    state = HoldState::expired;
  } else {
    return invalid("state", "must be held, committed, released or expired");
  }
  return std::nullopt;
}

Refusal take_copies(const std::string& text, node::ListReservations& command) {
  command.all_copies = text == "all";
  command.overruled = text == "overruled";
  if (command.all_copies || command.overruled) return std::nullopt;
  return invalid("copies", "must be all or overruled; left out, copies that stand are listed");
}

}  // namespace

std::string query_encoded(std::string_view text) {
  return boost::urls::encode(boost::urls::string_view(text.data(), text.size()),
                             boost::urls::unreserved_chars);
}

std::string page_base(Route route, const Query& query) {
  std::string base = canonical_path(route, "");
  char separator = '?';
  for (const auto& [name, value] : query) {
    if (name == "cursor") continue;
    base.push_back(std::exchange(separator, '&'));
    base.append(name).append("=").append(query_encoded(value));
  }
  base.push_back(separator);
  return base.append("cursor=");
}

std::optional<Problem> read_query(const Query& query, node::ListSkus& command) {
  static constexpr std::string_view kNames[] = {"prefix", "limit", "cursor"};
  return read_query(query, kNames, [&](std::size_t at, const std::string& value) -> Refusal {
    if (at == 1) return take_limit(value, command.limit);
    if (at == 2) return take_cursor(value, command.cursor);
    command.prefix = value;
    return value.empty() ? std::nullopt : check_name("prefix", value);
  });
}

std::optional<Problem> read_query(const Query& query, node::ListReservations& command) {
  static constexpr std::string_view kNames[] = {"state", "sku", "limit", "cursor", "copies"};
  return read_query(query, kNames, [&](std::size_t at, const std::string& value) -> Refusal {
    if (at == 0) return take_state(value, command.state);
    if (at == 2) return take_limit(value, command.limit);
    if (at == 3) return take_cursor(value, command.cursor);
    if (at == 4) return take_copies(value, command);
    command.sku = value;
    return check_name("sku", value);
  });
}

std::optional<Problem> read_query(const Query& query, node::GetAvailability& command) {
  for (const auto& [name, value] : query) {
    if (name != "sku") return invalid(name, "unknown query parameter: only sku, once for each SKU");
    if (Refusal refusal = check_name("sku", value)) return refusal;
    command.skus.push_back(value);
  }
  if (command.skus.empty()) return invalid("sku", "is required, once for each SKU");
  return std::nullopt;
}

}  // namespace holdfast::api
