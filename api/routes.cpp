#include "api/routes.h"

#include <algorithm>
#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <optional>

#include "api/bodies.h"

namespace holdfast::api {
namespace {

constexpr std::size_t kSegmentsMax = 4;

// A segment in braces stands for any one segment; what is in the braces names it in problems.
struct Pattern {
  Route route;
  std::string_view method;
  std::array<std::string_view, kSegmentsMax> segments;

  std::size_t size() const {
    std::size_t n = 0;
    while (n < kSegmentsMax && !segments[n].empty()) ++n;
    return n;
  }
};

constexpr bool is_name(std::string_view segment) { return segment.starts_with('{'); }

constexpr std::array<Pattern, 33> kPatterns = {{
    {Route::reserve, "PUT", {"v1", "reservations", "{id}"}},
    {Route::commit, "POST", {"v1", "reservations", "{id}", "commit"}},
    {Route::release, "POST", {"v1", "reservations", "{id}", "release"}},
    {Route::extend, "POST", {"v1", "reservations", "{id}", "extend"}},
    {Route::return_units, "POST", {"v1", "reservations", "{id}", "return"}},
    {Route::get_reservation, "GET", {"v1", "reservations", "{id}"}},
    {Route::list_reservations, "GET", {"v1", "reservations"}},
    {Route::get_stock, "GET", {"v1", "skus", "{sku}", "stock"}},
    {Route::get_availability, "GET", {"v1", "availability"}},
    {Route::batch, "POST", {"v1", "batch"}},
    {Route::get_sku, "GET", {"v1", "skus", "{sku}"}},
    {Route::put_sku, "PUT", {"v1", "skus", "{sku}"}},
    {Route::list_skus, "GET", {"v1", "skus"}},
    {Route::receive, "POST", {"v1", "skus", "{sku}", "receipts"}},
    {Route::adjust, "POST", {"v1", "skus", "{sku}", "adjustments"}},
    {Route::allow, "POST", {"v1", "skus", "{sku}", "allowances"}},
    {Route::grant, "POST", {"v1", "skus", "{sku}", "grants"}},
    {Route::move_out, "POST", {"v1", "skus", "{sku}", "moves"}},
    {Route::move_in, "POST", {"v1", "skus", "{sku}", "arrivals"}},
    {Route::get_cluster, "GET", {"v1", "cluster"}},
    {Route::start_drain, "POST", {"v1", "cluster", "drain"}},
    {Route::get_drain, "GET", {"v1", "cluster", "drain"}},
    {Route::stop_drain, "DELETE", {"v1", "cluster", "drain"}},
    {Route::fail_region, "POST", {"v1", "regions", "{region}", "failover"}},
    {Route::fail_replica, "POST", {"v1", "replicas", "{id}", "failover"}},
    {Route::retire_replica, "POST", {"v1", "replicas", "{id}", "retire"}},
    {Route::list_failovers, "GET", {"v1", "failovers"}},
    {Route::list_faults, "GET", {"v1", "faults", "links"}},
    {Route::set_fault, "PUT", {"v1", "faults", "links", "{target}"}},
    {Route::clear_fault, "DELETE", {"v1", "faults", "links", "{target}"}},
    {Route::healthz, "GET", {"healthz"}},
    {Route::readyz, "GET", {"readyz"}},
    {Route::metrics, "GET", {"metrics"}},
}};

// The path's segments, decoded; one more than any pattern has means "too many".
struct Path {
  std::array<std::string_view, kSegmentsMax + 1> segments;
  std::size_t size = 0;
  std::array<std::string, kSegmentsMax + 1> decoded;  // of segments that had to be

  bool add(std::string_view segment) {
    if (size > kSegmentsMax) return false;
    segments[size++] = segment;
    return true;
  }
};

bool same_path(const Pattern& pattern, const Path& path) {
  if (pattern.size() != path.size) return false;
  for (std::size_t i = 0; i < path.size; ++i) {
    if (!is_name(pattern.segments[i]) && pattern.segments[i] != path.segments[i]) return false;
  }
  return true;
}

std::string_view name_of(const Path& path, const Pattern& pattern, std::string_view& field) {
  for (std::size_t i = 0; i < path.size; ++i) {
    if (!is_name(pattern.segments[i])) continue;
    field = pattern.segments[i].substr(1, pattern.segments[i].size() - 2);
    return path.segments[i];
  }
  return {};
}

// Nearly all targets: a path that needs no decoding, and no query. Then a slash is all that counts.
bool is_plain(std::string_view target) {
  return target.starts_with('/') && std::all_of(target.begin(), target.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '/' && c <= ':') || (c >= 'A' && c <= 'Z') ||
                  c == '-' || c == '.' || c == '_' || c == '~';
         });
}

void split(std::string_view target, Path& path) {
  for (std::size_t at = 1;;) {
    const std::size_t end = std::min(target.find('/', at), target.size());
    if (!path.add(target.substr(at, end - at)) || end == target.size()) return;
    at = end + 1;
  }
}

void decode(const boost::urls::url_view& url, Path& path) {
  for (const auto segment : url.encoded_segments()) {
    if (path.size > kSegmentsMax) return;
    std::string& text = path.decoded[path.size];
    segment.decode({}, boost::urls::string_token::assign_to(text));
    path.add(text);
  }
}

std::optional<boost::urls::url_view> parse_target(std::string_view target) {
  const boost::urls::string_view text(target.data(), target.size());
  if (target.starts_with('/')) {
    auto url = boost::urls::parse_origin_form(text);
    if (url) return *url;
    return std::nullopt;
  }
  auto url = boost::urls::parse_absolute_uri(text);
  if (url && (url->scheme() == "http" || url->scheme() == "https")) return *url;
  return std::nullopt;
}

Problem refuse_method(std::string_view method, const Path& path) {
  std::string allowed;
  for (const Pattern& pattern : kPatterns) {
    if (!same_path(pattern, path)) continue;
    if (!allowed.empty()) allowed.append(", ");
    allowed.append(pattern.method);
    if (pattern.method == "GET") allowed.append(", HEAD");
  }
  const std::string shown(method.substr(0, 32));
  return {.status = 405,
          .code = "method_not_allowed",
          .detail = shown + " is not offered here; use " + allowed,
          .headers = "Allow: " + allowed + "\r\n"};
}

}  // namespace

std::variant<Match, Problem> match_route(std::string_view method, std::string_view target) {
  if (target.size() > kTargetBytesMax) {
    return Problem{
        .status = 414,
        .code = "target_too_long",
        .detail = "the request target is longer than 8 KiB: ask for fewer things at once"};
  }
  std::optional<boost::urls::url_view> url;
  Path path;
  if (is_plain(target)) {
    split(target, path);
  } else if (url = parse_target(target); url) {
    decode(*url, path);
  } else {
    return Problem{.detail =
                       "the request target is not a path, with or without a query: "
                       "percent-encode what is not allowed in a URL"};
  }
  if (method == "HEAD") method = "GET";
  const Pattern* found = nullptr;
  bool known_path = false;
  for (const Pattern& pattern : kPatterns) {
    if (!same_path(pattern, path)) continue;
    known_path = true;
    if (pattern.method == method) {
      found = &pattern;
      break;
    }
  }
  if (!known_path) {
    return Problem{.status = 404, .code = "not_found", .detail = "there is nothing at this path"};
  }
  if (found == nullptr) return refuse_method(method, path);

  Match match{.route = found->route};
  std::string_view field;
  match.name = name_of(path, *found, field);
  if (!field.empty()) {
    if (auto problem = check_name(field, match.name)) return *std::move(problem);
  }
  if (url && url->has_query()) {
    for (const auto param : url->encoded_params()) {
      match.query.emplace_back(param.key.decode(), param.has_value ? param.value.decode() : "");
    }
  }
  return match;
}

std::string canonical_path(Route route, std::string_view name) {
  std::string path;
  for (const Pattern& pattern : kPatterns) {
    if (pattern.route != route) continue;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      path.append("/").append(is_name(pattern.segments[i]) ? name : pattern.segments[i]);
    }
  }
  return path;
}

}  // namespace holdfast::api
