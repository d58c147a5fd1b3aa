#pragma once
// The engine's numbers in Prometheus text format 0.0.4. Names are stable: dashboards rely on them.

#include <string>

#include "node/command.h"

namespace holdfast::api {

std::string metrics_text(const node::Stats& stats);

}  // namespace holdfast::api
