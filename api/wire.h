#pragma once
// Commands as HTTP calls of the contract, and the answers as outcomes: what one node (or the
// router) asks another by HTTP. Pure.
//
// What the router must understand is read (reservations, shortages, availability, lists, the
// cluster); any other answer is passed on as it is worded (node::Worded).

#include "api/http_call.h"
#include "node/command.h"

namespace holdfast::api {

// Requires: a command of the contract that the router passes on (not Leave, GetStats).
HttpCall to_http(const node::Command& command);
// An answer that cannot be read is an outcome of code `elsewhere`, worded as a 502.
node::Outcome from_http(const node::Command& asked, const HttpAnswer& answer);

}  // namespace holdfast::api
