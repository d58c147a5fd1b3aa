#pragma once
// Views of the engine → JSON text. Field names are those of the contract.

#include <string>
#include <string_view>

#include "node/command.h"

namespace holdfast::api {

// Appends the JSON object that stands for an outcome's view; "{}" if there is none.
void append_view(std::string& out, const node::Outcome& outcome);
void append_fault(std::string& out, const node::LinkFault& fault);
// "node", "region" or "remote", as requests and answers name it.
std::string_view durability_name(node::Durability durability);
// The cursor of the next page; empty if the view is no list, or its last page.
const std::string& next_cursor(const node::Outcome& outcome);

}  // namespace holdfast::api
