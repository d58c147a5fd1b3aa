#pragma once
// A drill's failover: the calls and what they answer.

#include <string>

#include <boost/json/value.hpp>

#include "absl/status/statusor.h"
#include "api/cli_drill_account.h"
#include "api/cli_drill_stock.h"

namespace holdfast::api {

// An answer's object. Errors: kAborted for 409, kUnavailable for 503 and 504,
// kInternal for other refusals, or the client's.
absl::StatusOr<boost::json::object> json_answer(HttpClient& client, const HttpCall& call);
// The same, again and again while the answer is 503 or 504, for at most 10 s, or until a signal.
absl::StatusOr<boost::json::object> insistent_answer(HttpClient& client, const HttpCall& call,
                                                     StopSignals& signals);
HttpCall json_post(const std::string& target, const boost::json::object& body);

// Dry run, then the decree with its plan; again if the amounts changed in between. `watch` allows
// what the dry run said from just before the decree on.
absl::StatusOr<DecreeFigures> fail_over(HttpClient& issuer, const std::string& region,
                                        double fraction, BoundWatch& watch);

// Brings `figures` up to date from the latest account of each target; false if it can't.
bool read_accounts(HttpClient& issuer, DecreeFigures& figures);

}  // namespace holdfast::api
