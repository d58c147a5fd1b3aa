// cluster …

#include "api/cli_calls.h"
#include "api/cli_commands.h"
#include "api/cli_console.h"
#include "api/cli_node_call.h"

namespace holdfast::api {
namespace {

void show_cluster(const boost::json::object& body) {
  const SeenCluster cluster = cluster_of(body);
  Table table({{"region"},
               {"node"},
               {"state"},
               {"lag ms", Align::right},
               {"behind", Align::right},
               {"rows", Align::right},
               {"http"},
               {"gossip"},
               {"replica"}});
  for (const auto& node : cluster.nodes) {
    table.add({node.region, node.node + (node.self ? " *" : ""), node.state, grouped(node.lag_ms),
               grouped(node.behind), grouped(node.sequence), node.http_url, node.gossip_address,
               node.replica});
  }
  print(table.text(stdout_style()));
  print_line("\ncluster " + printable(cluster.cluster) + ": " + grouped(cluster.skus) + " SKUs, " +
             grouped(cluster.open_holds) + " open holds, " + grouped(cluster.reservations) +
             " reservations; digest " + printable(cluster.digest) + "; * answers");
  if (cluster.open_decrees != 0 || cluster.exposure != 0 || cluster.debt != 0 ||
      cluster.oversold != 0) {
    print_line(grouped(cluster.open_decrees) + " open decrees: exposure " +
               grouped(cluster.exposure) + " units, debt " + grouped(cluster.debt) + ", oversold " +
               grouped(cluster.oversold) + " (`holdfast region accounts`)");
  }
  if (cluster.stranded != 0)
    print_line(grouped(cluster.stranded) +
               " units stand at retired replicas: if that lasts, retire these once more "
               "(`holdfast replica retire`)");
  for (const auto& node : cluster.nodes) {
    if (!node.warning.empty())
      print_line("warning: " + printable(node.node + " in " + node.region + ": " + node.warning));
  }
  for (const auto& fault : cluster.faults)
    print_line("link fault on this node: " + printable(fault));
}

void show_faults(const boost::json::object& body) {
  Table table({{"target"}, {"drop"}, {"delay ms", Align::right}, {"loss %", Align::right}});
  for (const auto& value : array_at(body, "items")) {
    if (!value.is_object()) continue;
    const auto& fault = value.get_object();
    table.add({text_at(fault, "target"), flag_at(fault, "drop") ? "yes" : "no",
               grouped(number_at(fault, "delay_ms")), short_number(share_at(fault, "loss") * 100)});
  }
  table.empty() ? print_line("no link faults on this node") : print(table.text(stdout_style()));
}

void show_fault(const boost::json::object& fault) {
  print_line("set on this node, for links to " + text_at(fault, "target") + ": " +
             (flag_at(fault, "drop")
                  ? "everything is dropped"
                  : grouped(number_at(fault, "delay_ms")) + " ms of delay, " +
                        short_number(share_at(fault, "loss") * 100) + " % lost"));
}

std::string fault_target(const std::string& target) {
  return "/v1/faults/links/" + percent_encoded(target);
}

}  // namespace

int cluster_show(const NodeOptions& node) {
  return ask(node, {.target = "/v1/cluster"}, show_cluster);
}

int faults_set(const NodeOptions& node, const FaultSet& fault) {
  const boost::json::object body{
      {"drop", fault.drop}, {"delay_ms", fault.delay_ms}, {"loss", fault.loss}};
  return ask(node, json_call("PUT", fault_target(fault.target), body), show_fault);
}

int faults_clear(const NodeOptions& node, const std::string& target) {
  return ask(node, {.method = "DELETE", .target = fault_target(target)},
             [&](const boost::json::object&) { print_line("no fault on links to " + target); });
}

int faults_list(const NodeOptions& node) {
  return ask(node, {.target = "/v1/faults/links"}, show_faults);
}

}  // namespace holdfast::api
