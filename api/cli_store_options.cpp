// The options of backup, restore and verify.

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "api/cli_options.h"

namespace holdfast::api {

namespace {

void add_data_dir(CLI::App* app, Arguments& a) {
  app->add_option("--data-dir", a.store.data_dir, "A node's data directory (node.data_dir)");
}

}  // namespace

// What works on a data directory instead of a node.
void add_store_commands(CLI::App& root, Arguments& a, const CliHooks& hooks) {
  CLI::App* backup = command(
      root, "backup", "Write every row that a node has into one file; the node may run meanwhile",
      "holdfast backup --data-dir /var/lib/holdfast --to /backups");
  add_data_dir(backup, a);
  backup->get_option("--data-dir")->required();
  backup->add_option("--to", a.store.to, "A new file, or a directory to make one in")->required();
  CLI::App* restore =
      command(root, "restore", "Make a new replica's data directory from a backup",
              "holdfast restore --from yesterday.backup --data-dir /var/lib/holdfast-2");
  restore->add_option("--from", a.store.from, "A file that `holdfast backup` made")->required();
  restore->add_option("--data-dir", a.store.data_dir, "A directory that is absent or empty")
      ->required();
  CLI::App* verify =
      command(root, "verify",
              "Compute every total again from holds, key rows and stock rows, and say what differs",
              "holdfast verify --data-dir /var/lib/holdfast");
  add_data_dir(verify, a);
  verify
      ->add_option("--url", a.store.url,
                   "Ask a running node instead, and use its public lists: fewer totals can be "
                   "computed from those")
      ->excludes("--data-dir");
  for (CLI::App* app : {backup, restore, verify})
    app->add_flag("--json", a.store.json, "Print the result as JSON");
  backup->callback(
      [&a, &hooks] { a.action = [&a, &hooks] { return run_backup(a.store, hooks); }; });
  restore->callback(
      [&a, &hooks] { a.action = [&a, &hooks] { return run_restore(a.store, hooks); }; });
  verify->callback(
      [&a, &hooks] { a.action = [&a, &hooks] { return run_verify(a.store, hooks); }; });
}

}  // namespace holdfast::api
