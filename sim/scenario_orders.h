#pragma once
// Real orders as the demand of a scenario. Pure; scenario_file.h reads the file.

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "sim/scenario.h"

namespace holdfast::sim {

// Fills scenario.skus and scenario.demand.orders from `csv` (api/orders.h has the columns), as the
// scenario's [demand.orders] says: its days, countries, speed and repetitions. The orders' clock is
// that of `start`; on the first day, virtual time 0 is `start`.
// `path`: what messages call the orders.
// Errors: kInvalidArgument: not orders; a broken line, named (unless skip_broken); a day without
// orders; no order between start and end; an event names a SKU that nobody orders.
absl::Status add_orders(Scenario& scenario, std::string_view csv, const std::string& path);

}  // namespace holdfast::sim
