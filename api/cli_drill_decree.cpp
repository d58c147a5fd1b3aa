#include "api/cli_drill_decree.h"

#include <chrono>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

constexpr int kPlansTried = 20;

DecreeFigures figures_of(const json::object& plan) {
  DecreeFigures figures;
  figures.plan = text_at(plan, "plan");
  figures.seize = number_at(plan, "seize");
  figures.open_holds = number_at(plan, "open_holds");
  for (const auto& value : array_at(plan, "skus")) {
    if (!value.is_object()) continue;
    const auto& sku = value.get_object();
    figures.most[text_at(sku, "sku")] = number_at(sku, "seize") + number_at(sku, "open_holds");
  }
  for (const auto& value : array_at(plan, "targets")) {
    if (value.is_object()) figures.targets.push_back(text_at(value.get_object(), "replica"));
  }
  return figures;
}

}  // namespace

absl::StatusOr<json::object> json_answer(HttpClient& client, const HttpCall& call) {
  const auto answer = client.send(call);
  if (!answer.ok()) return answer.status();
  if (answer->ok()) return object_of(*answer, client.url());
  const std::string why = client.url() + ": " + problem_text(*answer);
  if (answer->status == 409) return absl::AbortedError(why);
  if (answer->status == 503 || answer->status == 504) return absl::UnavailableError(why);
  return absl::InternalError(why);
}

absl::StatusOr<json::object> insistent_answer(HttpClient& client, const HttpCall& call,
                                              StopSignals& signals) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    auto answer = json_answer(client, call);
    if (!absl::IsUnavailable(answer.status()) || std::chrono::steady_clock::now() > deadline)
      return answer;
    if (signals.wait(std::chrono::milliseconds(100))) return answer;
  }
}

HttpCall json_post(const std::string& target, const json::object& body) {
  return {.method = "POST", .target = target, .body = json::serialize(body), .repeatable = true};
}

absl::StatusOr<DecreeFigures> fail_over(HttpClient& issuer, const std::string& region,
                                        double fraction, BoundWatch& watch) {
  const std::string target = "/v1/regions/" + percent_encoded(region) + "/failover";
  for (int tries = 1;; ++tries) {
    const auto plan =
        json_answer(issuer, json_post(target, {{"fraction", fraction}, {"dry_run", true}}));
    if (!plan.ok()) return plan.status();
    DecreeFigures figures = figures_of(*plan);
    watch.allow(figures.most);
    const auto decree =
        json_answer(issuer, json_post(target, {{"fraction", fraction}, {"plan", figures.plan}}));
    if (decree.ok()) return figures;
    // Rows of the lost region may still be on their way over a relay.
    if (!absl::IsAborted(decree.status()) || tries == kPlansTried) return decree.status();
  }
}

bool read_accounts(HttpClient& issuer, DecreeFigures& figures) {
  const auto body = json_answer(issuer, {.target = "/v1/failovers"});
  if (!body.ok()) return false;
  DecreeFigures& sum = figures;
  sum.seized = sum.spent_unseen = sum.realized = sum.repaid = sum.unseen = sum.debt = 0;
  sum.accounts = sum.closed = 0;
  std::vector<std::string> wanted = figures.targets;
  for (const auto& value : array_at(*body, "failovers")) {  // the latest first
    if (!value.is_object()) continue;
    const auto& account = value.get_object();
    if (std::erase(wanted, text_at(account, "target")) == 0) continue;
    ++sum.accounts;
    sum.closed += text_at(account, "state") == "closed";
    sum.seized += number_at(account, "seized");
    sum.spent_unseen += number_at(account, "spent_unseen");
    sum.realized += number_at(account, "realized");
    sum.repaid += number_at(account, "repaid");
    sum.unseen += number_at(account, "unseen");
    sum.debt += number_at(account, "debt");
  }
  return sum.accounts == figures.targets.size();
}

}  // namespace holdfast::api
