#pragma once
// How the command line shows what a decree would do, or has done.

#include <string>

#include <boost/json/value.hpp>

#include "api/table.h"

namespace holdfast::api {

// A dry run or decree as the node answers it: whom it declares lost, the SKUs with the largest
// amounts, the totals, and what they mean.
std::string plan_text(const boost::json::object& plan, Style style);

}  // namespace holdfast::api
