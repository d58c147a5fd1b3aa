#pragma once
// How the command line shows what a decree would do, or has done.

#include <string>

#include <boost/json/value.hpp>

#include "api/cli_commands.h"
#include "api/table.h"

namespace holdfast::api {

enum class DecreeVerb { declare_lost, retire };

// A dry run or decree as the node answers it: whom it is about, the SKUs with the largest amounts,
// the totals, and what they mean.
std::string plan_text(const boost::json::object& plan, DecreeVerb verb, Style style);

// The options that make a call do exactly what `plan` is the digest of. What a digest covers has to
// be said again: the share, and the successor.
std::string options_of(const DecreeCall& call, const std::string& plan);

}  // namespace holdfast::api
