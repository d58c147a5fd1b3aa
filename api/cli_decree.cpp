// region failover, region accounts, replica failover, replica retire: a decree is shown before it
// is confirmed, and confirmed with the plan that was shown.

#include <algorithm>
#include <charconv>
#include <iostream>

#include <boost/json/serialize.hpp>

#include "api/cli_calls.h"
#include "api/cli_console.h"
#include "api/cli_decree.h"
#include "api/cli_node_call.h"

namespace holdfast::api {
namespace {

namespace json = boost::json;

constexpr std::size_t kSkusShown = 20;

std::string units(crdt::Units count) { return grouped(count) + (count == 1 ? " unit" : " units"); }

std::string targets_text(const json::object& plan) {
  std::string text;
  for (const auto& value : array_at(plan, "targets")) {
    if (!value.is_object()) continue;
    const auto& target = value.get_object();
    if (!text.empty()) text += ", ";
    text += printable(text_at(target, "replica"));
    const std::string node = text_at(target, "node"), region = text_at(target, "region");
    if (!node.empty()) text += " (" + printable(node + (region.empty() ? "" : ", " + region)) + ")";
  }
  return text;
}

// What the caller asks for, as a call without dry_run and plan.
struct Decree {
  std::string path;
  json::object body;
  std::string confirmed_by;  // what is to be typed
  std::string named;         // what that is, for people
  DecreeVerb verb = DecreeVerb::declare_lost;

  HttpCall call(const std::string& plan, bool dry_run) const {
    json::object sent = body;
    if (dry_run) sent["dry_run"] = true;
    if (!plan.empty()) sent["plan"] = plan;
    return json_call("POST", path, sent);
  }
};

Decree failover(const std::string& what, const DecreeCall& call) {
  Decree decree{.path = "/v1/" + what + "s/" + percent_encoded(call.target) + "/failover",
                .confirmed_by = call.target,
                .named = what == "region" ? "the region's name" : "the same id or name"};
  if (call.fraction) decree.body["fraction"] = *call.fraction;
  return decree;
}

bool typed(const Decree& decree) {
  print_error("type " + decree.named + " to go on:");
  std::string line;
  return std::getline(std::cin, line) && line == decree.confirmed_by;
}

// Shows the dry run on stderr if stdout is for machines.
absl::StatusOr<std::string> shown_plan(const NodeOptions& node, const Decree& decree) {
  const auto url = parse_http_url(node.url);
  if (!url.ok()) return url.status();
  HttpClient client(*url);
  const auto answer = client.send(decree.call({}, /*dry_run=*/true));
  if (!answer.ok()) return answer.status();
  if (!answer->ok()) return absl::FailedPreconditionError(problem_text(*answer));
  const auto plan = object_of(*answer, client.url());
  if (!plan.ok()) return plan.status();
  node.json ? print_error(plan_text(*plan, decree.verb, Style::plain))
            : print(plan_text(*plan, decree.verb, stdout_style()));
  return text_at(*plan, "plan");
}

int carry_out(const NodeOptions& node, const DecreeCall& call, const Decree& decree) {
  const auto show = [&](const json::object& plan) {
    print(plan_text(plan, decree.verb, stdout_style()));
    const std::string digest = printable(text_at(plan, "plan"));
    print_line(call.dry_run
                   ? "\nnothing was done; to do exactly this, pass " + options_of(call, digest)
                   : "\ndone: plan " + digest +
                         "; `holdfast region accounts` shows what becomes of it");
  };
  if (call.dry_run || call.yes) return ask(node, decree.call(call.plan, call.dry_run), show);
  const auto plan = shown_plan(node, decree);
  if (!plan.ok()) {
    if (absl::IsInvalidArgument(plan.status())) return usage_error(plan.status());
    const std::string why(plan.status().message());
    print_error(why.starts_with("error") ? why : "error: " + why);
    return kExitFailed;
  }
  if (!call.plan.empty() && call.plan != *plan) {
    print_error("error: the amounts are no longer those of plan " + call.plan +
                ", or the options (the share, the kind, the successor) are not: what is shown is "
                "plan " +
                *plan + "; nothing was done");
    return kExitFailed;
  }
  if (!stdin_is_terminal()) {
    print_error("error: nobody is there to confirm this: pass --yes " + options_of(call, *plan) +
                " to do it; nothing was done");
    return kExitFailed;
  }
  if (!typed(decree)) {
    print_error("not confirmed: nothing was done");
    return kExitFailed;
  }
  return ask(node, decree.call(*plan, false), show);
}

void show_accounts(const json::object& body) {
  Table table({{"target"},
               {"kind"},
               {"state"},
               {"issued by"},
               {"issued"},
               {"closed"},
               {"%", Align::right},
               {"seized", Align::right},
               {"open holds", Align::right},
               {"unseen", Align::right},
               {"spent unseen", Align::right},
               {"realized", Align::right},
               {"repaid", Align::right},
               {"debt", Align::right},
               {"successor"}});
  for (const auto& value : array_at(body, "failovers")) {
    if (!value.is_object()) continue;
    const auto& account = value.get_object();
    const auto named = [&](const char* name, const char* id) {
      const std::string text = text_at(account, name);
      return text.empty() ? text_at(account, id) : text;
    };
    table.add({named("node", "target"), text_at(account, "kind"), text_at(account, "state"),
               named("issuer_node", "issuer"), time_at(account, "issued_at"),
               time_at(account, "closed_at"), short_number(share_at(account, "fraction") * 100),
               grouped(number_at(account, "seized")), grouped(number_at(account, "open_holds")),
               grouped(number_at(account, "unseen")), grouped(number_at(account, "spent_unseen")),
               grouped(number_at(account, "realized")), grouped(number_at(account, "repaid")),
               grouped(number_at(account, "debt")), text_at(account, "successor")});
  }
  table.empty() ? print_line("no decree was ever issued") : print(table.text(stdout_style()));
}

}  // namespace

std::string plan_text(const json::object& plan, DecreeVerb verb, Style style) {
  struct Row {
    std::string sku;
    crdt::Units seize = 0, open_holds = 0;
  };
  std::vector<Row> rows;
  for (const auto& value : array_at(plan, "skus")) {
    if (!value.is_object()) continue;
    const auto& sku = value.get_object();
    rows.push_back({text_at(sku, "sku"), number_at(sku, "seize"), number_at(sku, "open_holds")});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a.seize + a.open_holds > b.seize + b.open_holds;
  });
  Table table({{"sku"}, {"seize", Align::right}, {"in open holds", Align::right}});
  Row rest;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i < kSkusShown) {
      table.add({rows[i].sku, grouped(rows[i].seize), grouped(rows[i].open_holds)});
    } else {
      rest.seize += rows[i].seize;
      rest.open_holds += rows[i].open_holds;
    }
  }
  if (rows.size() > kSkusShown) {
    table.add({grouped(static_cast<std::int64_t>(rows.size() - kSkusShown)) + " more",
               grouped(rest.seize), grouped(rest.open_holds)});
  }
  const auto seize = number_at(plan, "seize"), open_holds = number_at(plan, "open_holds");
  table.add({"total", grouped(seize), grouped(open_holds)});
  const bool lost = verb == DecreeVerb::declare_lost;
  std::string head = lost ? "declared lost: " : "retired for ever: ";
  if (flag_at(plan, "dry_run")) head = lost ? "would declare lost: " : "would retire for ever: ";
  return head + targets_text(plan) + "\n\n" + table.text(style) + "\nat most " + units(seize) +
         " can be oversold by this, plus at most " + grouped(open_holds) + " in open holds\n";
}

std::string options_of(const DecreeCall& call, const std::string& plan) {
  std::string text;
  if (call.fraction) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, *call.fraction).ptr;
    text += "--fraction " + std::string(digits, end) + " ";
  }
  if (!call.successor.empty()) text += "--successor " + printable(call.successor) + " ";
  return text + "--plan " + plan;
}

int region_failover(const NodeOptions& node, const DecreeCall& call) {
  return carry_out(node, call, failover("region", call));
}

int replica_failover(const NodeOptions& node, const DecreeCall& call) {
  return carry_out(node, call, failover("replica", call));
}

int replica_retire(const NodeOptions& node, const DecreeCall& call) {
  return carry_out(node, call,
                   {.path = "/v1/replicas/" + percent_encoded(call.target) + "/retire",
                    .body = {{"successor", call.successor}},
                    .confirmed_by = call.target,
                    .named = "the same id or name (it can never come back)",
                    .verb = DecreeVerb::retire});
}

int region_accounts(const NodeOptions& node) {
  return ask(node, {.target = "/v1/failovers"}, show_accounts);
}

}  // namespace holdfast::api
