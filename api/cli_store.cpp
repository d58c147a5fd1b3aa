// backup, restore, verify

#include "api/cli_store.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "api/cli_console.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

using node::StoreReport;

boost::json::object json_of(const StoreReport& report) {
  boost::json::object body;
  for (const auto& [name, text] : report.texts) body[name] = text;
  for (const auto& [name, number] : report.numbers) body[name] = number;
  if (!report.verified) return body;
  boost::json::array differences;
  for (const auto& one : report.differences)
    differences.push_back(boost::json::object{{"what", one.what},
                                              {"sku", one.sku},
                                              {"replica", one.replica},
                                              {"is", one.is},
                                              {"should", one.should},
                                              {"at_least", one.at_least}});
  body["differences"] = std::move(differences);
  return body;
}

void show_differences(const StoreReport& report) {
  Table table({{"what"}, {"SKU"}, {"replica"}, {"is", Align::right}, {"should be", Align::right}});
  for (const auto& one : report.differences)
    table.add({one.what, one.sku, one.replica, grouped(one.is),
               (one.at_least ? "at least " : "") + grouped(one.should)});
  print(table.text(stdout_style()));
}

int show(const StoreReport& report, bool json) {
  if (!report.problem.empty()) {
    print_error("error: " + report.problem);
    return kExitFailed;
  }
  const int status = report.differences.empty() ? kExitOk : kExitFailed;
  if (json) {
    print_line(boost::json::serialize(json_of(report)));
    return status;
  }
  Table table({{""}, {""}});
  for (const auto& [name, text] : report.texts) table.add({name, text});
  for (const auto& [name, number] : report.numbers) table.add({name, grouped(number)});
  print(table.text(stdout_style()));
  if (!report.differences.empty()) show_differences(report);
  if (report.verified)
    print_line(report.differences.empty()
                   ? "every total is what its rows say"
                   : grouped(static_cast<std::int64_t>(report.differences.size())) +
                         " totals are not what their rows say");
  if (!report.advice.empty()) print_line(report.advice);
  return status;
}

template <typename Work>
int run(bool json, Work&& work) {
  Progress progress;
  bool shown = false;
  const StoreReport report = work([&](const std::string& line) {
    if (!stderr_is_terminal()) return;
    progress.show(line);
    shown = true;
  });
  if (shown) progress.finish("");
  return show(report, json);
}

}  // namespace

int run_backup(const StoreOptions& options, const CliHooks& hooks) {
  return run(options.json, [&](const CliProgress& show) {
    return hooks.backup(options.data_dir, options.to, show);
  });
}

int run_restore(const StoreOptions& options, const CliHooks& hooks) {
  return run(options.json, [&](const CliProgress& show) {
    return hooks.restore(options.from, options.data_dir, show);
  });
}

int run_verify(const StoreOptions& options, const CliHooks& hooks) {
  if (options.data_dir.empty() == options.url.empty())
    return usage_error(absl::InvalidArgumentError("say what to verify: --data-dir or --url"));
  return run(options.json, [&](const CliProgress& show) {
    return options.url.empty() ? hooks.verify(options.data_dir, show)
                               : verify_node(options.url, show);
  });
}

}  // namespace holdfast::api
