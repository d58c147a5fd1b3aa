#include "api/cli.h"

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "api/cli_options.h"
#include "api/country_map.h"
#include "api/etcd_place.h"
#include "api/table.h"

namespace holdfast::api {
namespace {

void add_page(CLI::App* app, Arguments& a) {
  app->add_option("--limit", a.page.limit, "At most so many")->capture_default_str();
  app->add_option("--cursor", a.page.cursor, "Go on where the page before ended");
}

void add_key(CLI::App* app, std::string& key) {
  app->add_option("--key", key,
                  "Idempotency key: the command takes effect once per key (random if left out)");
}

void add_serve(CLI::App& root, Arguments& a, const CliHooks& hooks) {
  CLI::App* app = command(root, "serve", "Run one node until SIGTERM or Ctrl-C",
                          "holdfast serve --config node.toml --set log.level=debug");
  app->add_option("--config", a.serve_config, "The node's configuration (TOML)")->required();
  repeated(app, "--set", a.serve_set, "section.key=value, over the file; may be repeated");
  app->callback([&a, &hooks] {
    a.action = [&a, &hooks] { return hooks.serve(a.serve_config, a.serve_set); };
  });
}

void add_route(CLI::App& root, Arguments& a) {
  CLI::App* app = command(root, "route", "Run a router over shards until SIGTERM or Ctrl-C",
                          "holdfast route --map shards.toml --region eu --fallback us");
  RouteOptions& r = a.route;
  app->add_option(
         "--map", r.map,
         "The shard map (TOML: version, [[shard]] name, weight, nodes; [[range]] from, to, "
         "shard): a file, read again when it changes, or etcd://HOST[:PORT]/KEY, a key of etcd "
         "with such a text, watched. Put there by: etcdctl put KEY < shards.toml")
      ->check([](const std::string& map) {
        if (!is_etcd_place(map)) return std::string();
        return std::string(parse_etcd_place(map).status().message());
      })
      ->required();
  app->add_option("--listen", r.listen, "host:port")->capture_default_str();
  app->add_option("--region", r.region, "Whose nodes are asked (any, if left out)");
  repeated(app, "--fallback", r.fallback,
           "A further region, for when no node of the region can be reached; may be repeated");
  app->add_option("--threads", r.threads, "Threads that parse and answer HTTP")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app->add_option("--hedge-ms", r.hedge_ms, "After this long a read is asked of a second node, too")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app->add_option("--sweep-s", r.sweep_s,
                  "How often carts are looked for that a router left half done")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app->add_option("--settle-s", r.settle_s,
                  "How long a cart must have been half done for that; longer than a call takes")
      ->check(CLI::Range(1, 86'400))
      ->capture_default_str();
  app->callback([&a] { a.action = [&a] { return route(a.route); }; });
}

void add_shards(CLI::App& root, Arguments& a) {
  CLI::App* group = command(root, "shards", "Move SKUs from shard to shard under load",
                            "holdfast shards begin shards.toml next.toml -o shards.toml");
  group->require_subcommand(1);
  ShardsCall& c = a.shards;
  const auto verb = [&](const char* name, const char* what, const char* example,
                        int (*run)(const ShardsCall&)) {
    CLI::App* app = command(*group, name, what, example);
    app->add_option("map", c.map, "The shard map that routers use (a file)")->required();
    app->callback([&a, run] { a.action = [&a, run] { return run(a.shards); }; });
    return app;
  };
  CLI::App* begin =
      verb("begin", "The map that makes routers move SKUs to where NEXT wants them",
           "holdfast shards begin shards.toml next.toml -o shards.toml", shards_begin);
  begin->add_option("next", c.next, "The map as it should be in the end")->required();
  CLI::App* status = verb("status", "How many SKUs have moved, and what is left",
                          "holdfast shards status shards.toml --wait 600", shards_status);
  status->add_option("--wait", c.wait_seconds, "Seconds to wait for the end; exit status 1 if not")
      ->check(CLI::Range(0, 1'000'000));
  status->add_flag("--json", c.json, "For machines");
  CLI::App* finish = verb("finish", "The map without the move, once nothing is left to move",
                          "holdfast shards finish shards.toml -o shards.toml", shards_finish);
  for (CLI::App* writes : {begin, finish})
    writes->add_option("-o,--output", c.output, "A file to write it to (stdout, if left out)");
}

void add_dev(CLI::App& root, Arguments& a) {
  CLI::App* app = command(root, "dev", "Run a whole cluster on this machine until Ctrl-C",
                          "holdfast dev --regions us,eu,ap --nodes 2");
  add_local_cluster(app, a.dev.cluster);
  app->add_option("--data", a.dev.cluster.dir,
                  "Where nodes keep their data; the same directory resumes the same cluster")
      ->capture_default_str();
  app->add_flag("--json", a.dev.json, "One JSON object a line instead of text");
  app->callback([&a] { a.action = [&a] { return run_dev(a.dev); }; });
}

void add_selling(CLI::App* app, ReplayOptions& replay) {
  app->add_option("--day", replay.day, "Only the orders of that day, YYYY-MM-DD");
  repeated(app, "--map", replay.map, "COUNTRY=REGION; may be repeated");
  repeated(
      app, "--cut", replay.cuts,
      "REGION@FROM..TO: cut the region off from the others while that share of the orders is done "
      "(0 to 1), like us@0.5..0.75; needs [faults] enabled; may be repeated");
  app->add_option("--speed", replay.speed, "Times real time; 0: as fast as possible")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app->add_option("--margin", replay.margin_percent,
                  "Stock beyond the demand of the orders, in percent, where stock is received")
      ->check(CLI::Range(0, 10'000))
      ->capture_default_str();
  app->add_option("--wait-ms", replay.seller.wait_ms,
                  "How long a cart may wait for other regions' stock")
      ->check(CLI::Range(0, 60'000))
      ->capture_default_str();
  app->add_option("--retries", replay.seller.retries_max,
                  "Repetitions of a call that got no answer")
      ->check(CLI::Range(0, 1'000))
      ->capture_default_str();
  app->add_flag("--skip-broken", replay.skip_broken, "Leave lines out that cannot be read");
  app->add_flag("--per-sku", replay.per_sku, "Also print the account per SKU");
  app->add_flag("--json", replay.json, "Print the account as JSON (always per SKU)");
}

void add_replay(CLI::App& root, Arguments& a) {
  CLI::App* app = root.add_subcommand("replay", "Sell real orders: one invoice is one cart");
  ReplayOptions& r = a.replay;
  app->add_option(
         "ORDERS", r.orders_path,
         "CSV (.csv or .csv.gz) with the columns InvoiceNo, StockCode, Description, Quantity, "
         "InvoiceDate, CustomerID, Country")
      ->required();
  repeated(
      app, "--endpoint", r.endpoints,
      "REGION=URL of a node that takes the region's carts; may be repeated. Without: one node of "
      "each region that --url sees");
  add_url(app, a);
  app->add_flag(
      "--receive", r.receive,
      "First make the SKUs and receive the orders' demand and the margin, spread evenly over "
      "the regions");
  app->add_option(
      "--prefix", r.seller.prefix,
      "Of reservation ids and idempotency keys. The same orders with the same prefix are the "
      "same reservations: nothing is sold twice");
  add_selling(app, r);
  app->footer(
      "\nEach region's invoices are sold in the order of their time: reserved, then committed. "
      "Lines of\n"
      "an invoice that begins with C come back: to the customer's latest reservation of this "
      "replay\n"
      "that has as many, else as units that arrive (they were sold before). Other negative lines "
      "are\n"
      "losses. Fees and postage are left out. A StockCode becomes a SKU in upper case, with '-' "
      "for\n"
      "each byte that a SKU may not have.\n\n" +
      std::string(kCountryMapHelp) +
      "\n\nExit status 1 if a call failed otherwise than for lack of stock.\n\n"
      "Example:\n"
      "  holdfast replay sim/data/online-retail-2010-12-01.csv.gz --receive \\\n"
      "      --endpoint eu=http://127.0.0.1:8081 --endpoint us=http://127.0.0.1:8080");
  app->callback([&a] {
    a.action = [&a] {
      a.replay.url = a.node.url;
      return run_replay(a.replay);
    };
  });
}

void add_demo(CLI::App& root, Arguments& a) {
  CLI::App* app =
      command(root, "demo",
              "Sell a real day on a fresh cluster of three regions, with a partition, and "
              "check every figure",
              "holdfast demo sim/data/online-retail-2010-12-01.csv.gz --stay");
  app->group("");  // deploy/demo is the way to it
  DemoOptions& d = a.demo;
  d.cluster.http_port = 18080;
  d.cluster.gossip_port = 17940;
  d.cluster.dir.clear();
  d.replay.speed = 1'650;
  d.replay.cuts = {"us@0.5..0.75"};
  app->add_option("ORDERS", d.replay.orders_path, "CSV of orders, see `holdfast replay`")
      ->required();
  add_local_cluster(app, d.cluster);
  app->add_option("--data", d.cluster.dir, "Fresh directory (a temporary one, removed at the end)");
  app->add_flag("--stay", d.stay, "Leave the cluster running until Ctrl-C");
  add_selling(app, d.replay);
  app->callback([&a] { a.action = [&a] { return run_demo(a.demo); }; });
}

void add_stock_changes(CLI::App& sku, Arguments& a) {
  UnitsCall& u = a.units;
  auto* receive =
      node_command(sku, a, "receive", "Units arrive at this node", "holdfast sku receive lamp 100",
                   [&a] { return sku_receive(a.node, a.units); });
  auto* adjust = node_command(sku, a, "adjust", "Correct the stock of this node (loss, recount)",
                              "holdfast sku adjust lamp -3 --reason damaged",
                              [&a] { return sku_adjust(a.node, a.units); });
  auto* allow =
      node_command(sku, a, "allow", "Change how many units may be oversold here",
                   "holdfast sku allow lamp 10", [&a] { return sku_allow(a.node, a.units); });
  auto* grant =
      node_command(sku, a, "grant", "Move rights from this node to a region or node",
                   "holdfast sku grant lamp eu 20", [&a] { return sku_grant(a.node, a.units); });
  for (CLI::App* app : {receive, adjust, allow, grant}) {
    app->add_option("SKU", u.sku, "The SKU")->required();
  }
  grant->add_option("TO", u.to, "A region, a node's name or a replica id")->required();
  for (CLI::App* app : {receive, grant}) app->add_option("QUANTITY", u.units, "Units")->required();
  for (CLI::App* app : {adjust, allow}) {
    app->add_option("DELTA", u.units, "Units more, or less if negative")->required();
  }
  adjust->add_option("--reason", u.reason, "Why, for the record");
  for (CLI::App* app : {receive, adjust, allow, grant}) add_key(app, u.key);
}

void add_sku(CLI::App& root, Arguments& a) {
  CLI::App* sku = command(root, "sku", "Describe SKUs and change their stock", "holdfast sku list");
  sku->require_subcommand(1);
  auto* put = node_command(*sku, a, "put", "Create or change a SKU",
                           "holdfast sku put lamp --name 'Desk lamp' --low-stock-threshold 20",
                           [&a] { return sku_put(a.node, a.sku_put); });
  put->add_option("SKU", a.sku_put.sku, "1–128 of A–Z a–z 0–9 . _ : -")->required();
  put->add_option("--name", a.sku_put.name, "For people");
  put->add_option("--attributes", a.sku_put.attributes, "A JSON object");
  put->add_option("--low-stock-threshold", a.sku_put.low_stock_threshold, "Units");
  auto* get = node_command(*sku, a, "get", "Show a SKU", "holdfast sku get lamp",
                           [&a] { return sku_get(a.node, a.name); });
  get->add_option("SKU", a.name, "The SKU")->required();
  auto* list =
      node_command(*sku, a, "list", "List SKUs", "holdfast sku list --prefix lamp --limit 20",
                   [&a] { return sku_list(a.node, a.prefix, a.page); });
  list->add_option("--prefix", a.prefix, "Only SKUs that begin so");
  add_page(list, a);
  add_stock_changes(*sku, a);
  auto* stock_app =
      node_command(root, a, "stock", "Show the stock of SKUs as a node sees it",
                   "holdfast stock lamp chair", [&a] { return stock(a.node, a.skus); });
  stock_app->add_option("SKU", a.skus, "One (with its regions) or several")->required();
}

void add_reservation_put(CLI::App& reservation, Arguments& a) {
  ReservationPut& p = a.reservation_put;
  auto* put = node_command(reservation, a, "put", "Hold units for a cart",
                           "holdfast reservation put cart-1 lamp=2 chair=1 --ttl 600",
                           [&a] { return reservation_put(a.node, a.reservation_put); });
  put->add_option("ID", p.id, "1–128 of A–Z a–z 0–9 . _ : -")->required();
  put->add_option("LINES", p.lines, "SKU=QUANTITY …")->required();
  put->add_option("--ttl", p.ttl_seconds, "Seconds until it expires (900)");
  put->add_option("--wait-ms", p.wait_ms, "How long it may wait for other nodes' stock (250)");
  put->add_flag("--partial", p.partial, "Hold what can be had");
  put->add_option("--durability", p.durability, "node, region or remote");
  put->add_option("--metadata", p.metadata, "JSON, kept with it");
}

void add_reservation(CLI::App& root, Arguments& a) {
  CLI::App* reservation = command(root, "reservation", "Hold units, sell them, give them back",
                                  "holdfast reservation list --state held");
  reservation->require_subcommand(1);
  ReservationVerb& v = a.reservation;
  add_reservation_put(*reservation, a);
  auto* get =
      node_command(*reservation, a, "get", "Show a reservation", "holdfast reservation get cart-1",
                   [&a] { return reservation_get(a.node, a.reservation.id); });
  auto* list = node_command(*reservation, a, "list", "List reservations",
                            "holdfast reservation list --state held --sku lamp",
                            [&a] { return reservation_list(a.node, a.state, a.sku, a.page); });
  list->add_option("--state", a.state, "held, committed, released or expired");
  list->add_option("--sku", a.sku, "Only those with a line of this SKU");
  add_page(list, a);
  auto* commit = node_command(*reservation, a, "commit", "Sell what is held, or these lines of it",
                              "holdfast reservation commit cart-1",
                              [&a] { return reservation_commit(a.node, a.reservation); });
  auto* release = node_command(*reservation, a, "release", "Give back what is held",
                               "holdfast reservation release cart-1",
                               [&a] { return reservation_release(a.node, a.reservation); });
  auto* extend = node_command(*reservation, a, "extend", "Move the expiry, counted from now",
                              "holdfast reservation extend cart-1 --ttl 600",
                              [&a] { return reservation_extend(a.node, a.reservation); });
  auto* give_back =
      node_command(*reservation, a, "return", "Sold units come back from the customer",
                   "holdfast reservation return cart-1 lamp=1 --key return-77",
                   [&a] { return reservation_return(a.node, a.reservation); });
  for (CLI::App* app : {get, commit, release, extend, give_back}) {
    app->add_option("ID", v.id, "The reservation")->required();
  }
  commit->add_option("LINES", v.lines, "SKU=QUANTITY …; the rest is released");
  give_back->add_option("LINES", v.lines, "SKU=QUANTITY …")->required();
  add_key(give_back, v.key);
  extend->add_option("--ttl", v.ttl_seconds, "Seconds from now (900)");
}

// A word in the place of a command that is none: CLI11 would only say that one is missing.
std::optional<std::string> unknown_command(const CLI::App& root, int argc, char** argv) {
  const CLI::App* app = &root;
  for (int i = 1; i < argc && app->get_require_subcommand_min() > 0; ++i) {
    const std::string word = argv[i];
    if (word.starts_with('-')) return std::nullopt;  // --help and the like
    const CLI::App* next = nullptr;
    std::string known;
    const std::function<bool(const CLI::App*)> all;
    for (const CLI::App* command : app->get_subcommands(all)) {
      if (command->check_name(word)) next = command;
      if (command->get_group().empty()) continue;  // hidden
      known += (known.empty() ? "" : ", ") + command->get_name();
    }
    if (next == nullptr) {
      const std::string name = app == &root ? "" : app->get_name() + " ";
      return "'" + name + word + "' is not a command; known here: " + known;
    }
    app = next;
  }
  return std::nullopt;
}

}  // namespace

int run_cli(int argc, char** argv, const CliHooks& hooks) {
  CLI::App root(
      "Holdfast: a multi-region inventory service that sells on through partitions and states "
      "in advance what can be oversold.",
      "holdfast");
  root.set_version_flag("--version", hooks.version);
  root.require_subcommand(1);
  root.footer(
      "\nExit status: 0 done, 1 refused or failed, 2 wrong usage. `holdfast COMMAND --help` says "
      "more.\nStart here: holdfast dev");
  Arguments arguments;
  // Not CLI11's envname(): it would override --url through the same option of the other commands.
  if (const char* url = std::getenv("HOLDFAST_URL"); url != nullptr && *url != '\0') {
    arguments.node.url = url;
  }
  add_serve(root, arguments, hooks);
  add_dev(root, arguments);
  add_route(root, arguments);
  add_shards(root, arguments);
  add_replay(root, arguments);
  add_demo(root, arguments);
  add_sku(root, arguments);
  add_reservation(root, arguments);
  add_operating(root, arguments);
  add_bench(root, arguments);
  add_plan(root, arguments);
  if (hooks.backup) add_store_commands(root, arguments, hooks);
  if (hooks.add_commands) hooks.add_commands(root, arguments.action);
  if (const auto unknown = unknown_command(root, argc, argv)) {
    return usage_error(absl::InvalidArgumentError(*unknown));
  }
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return root.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  return all_printed(arguments.action ? arguments.action() : kExitUsage);
}

}  // namespace holdfast::api
