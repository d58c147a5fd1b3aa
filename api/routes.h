#pragma once
// (method, target) → which call it is, and its decoded parts.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "api/problem.h"

namespace holdfast::api {

inline constexpr std::size_t kTargetBytesMax = 8 << 10;

enum class Route : std::uint8_t {
  put_sku,
  get_sku,
  list_skus,
  receive,
  adjust,
  allow,
  grant,
  move_out,
  move_in,
  get_stock,
  get_availability,
  reserve,
  get_reservation,
  list_reservations,
  commit,
  release,
  extend,
  return_units,
  fail_region,
  fail_replica,
  retire_replica,
  start_drain,
  get_drain,
  stop_drain,
  list_failovers,
  batch,
  get_cluster,
  list_faults,
  set_fault,
  clear_fault,
  healthz,
  readyz,
  metrics,
};

struct Match {
  Route route = Route::healthz;
  std::string name;  // what stands for the path's {…}, decoded and checked; else empty
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order
};

// Problems: not_found, method_not_allowed (with Allow), target_too_long, and invalid_request for a
// malformed target or a name out of its alphabet (`field`: sku, id, region or target). The query's
// names are not looked at here. HEAD counts as GET.
std::variant<Match, Problem> match_route(std::string_view method, std::string_view target);

// "/v1/skus/{sku}/receipts" with its name filled in, decoded: scopes idempotency keys.
std::string canonical_path(Route route, std::string_view name);

}  // namespace holdfast::api
