#pragma once
// How the command line shows what a decree would do, or has done.

#include <string>

#include <boost/json/value.hpp>

#include "api/table.h"

namespace holdfast::api {

enum class DecreeVerb { declare_lost, retire };

// A dry run or decree as the node answers it: whom it is about, the SKUs with the largest amounts,
// the totals, and what they mean.
std::string plan_text(const boost::json::object& plan, DecreeVerb verb, Style style);

}  // namespace holdfast::api
