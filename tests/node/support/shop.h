#pragma once
// Shop: some regions of one node each that sell "a", of which some are lost, declared lost, and
// come back. For tests of decrees, copies and estates.

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/node/support/cluster.h"

namespace holdfast::tests {

struct Shop {
  // Node i receives units[i] of "a"; none are made of the other SKUs.
  explicit Shop(const std::vector<Units>& units, ClusterOptions options = {},
                const std::vector<std::string>& skus = {"a"})
      : cluster(with(options, units.size())) {
    cluster.settle();
    for (const std::string& sku : skus) cluster.call(0, node::PutSku{.sku = sku});
    CHECK(cluster.converge());
    for (std::size_t i = 0; i < units.size(); ++i)
      if (units[i] > 0) receive(i, units[i]);
    CHECK(cluster.converge());
  }
  ~Shop() { CHECK(cluster.complaints() == ""); }
  static ClusterOptions with(ClusterOptions options, std::size_t nodes) {
    options.nodes = nodes;
    options.seizes = true;
    return options;
  }

  // ── customers ──
  node::Code code(std::size_t node, Command command) {
    return cluster.call(node, std::move(command)).code;
  }
  void receive(std::size_t node, Units units, const std::string& sku = "a") {
    CHECK(code(node, node::Receive{.sku = sku, .quantity = units}) == node::Code::created);
  }
  node::Code reserve(std::size_t node, const std::string& id, Units units,
                     const std::string& sku = "a", std::uint32_t ttl_seconds = 3'600) {
    return code(
        node,
        node::Reserve{.id = id, .lines = {{sku, units}}, .ttl_seconds = ttl_seconds, .wait_ms = 0});
  }
  void hold(std::size_t node, const std::string& id, Units units, const std::string& sku = "a",
            std::uint32_t ttl_seconds = 3'600) {
    CHECK(reserve(node, id, units, sku, ttl_seconds) == node::Code::created);
  }
  node::Code commit(std::size_t node, const std::string& id) {
    return code(node, node::Commit{.id = id});
  }
  node::Code release(std::size_t node, const std::string& id) {
    return code(node, node::Release{id});
  }
  void sell(std::size_t node, const std::string& id, Units units, const std::string& sku = "a") {
    hold(node, id, units, sku);
    CHECK(commit(node, id) == node::Code::ok);
  }
  crdt::HoldState state_of(std::size_t node, const std::string& id) {
    return reservation(cluster.call(node, node::GetReservation{id})).state;
  }

  // ── operators ──
  std::string id(std::size_t node) const { return crdt::to_string(cluster.replica(node)); }
  std::string region(std::size_t node) const { return "region-" + std::to_string(node); }
  Outcome failover(std::size_t node, const std::string& region, bool dry_run = false,
                   const std::string& plan = "") {
    return cluster.call(
        node, node::Failover{.target = region, .region = true, .dry_run = dry_run, .plan = plan});
  }
  node::Code retire(std::size_t node, std::size_t target, std::size_t successor) {
    return code(node, node::Retire{.replica = id(target),
                                   .successor = "node-" + std::to_string(successor)});
  }
  std::vector<node::DecreeAccount> accounts(std::size_t node) {
    const Outcome outcome = cluster.call(node, node::ListFailovers{});
    return std::get<node::DecreeAccounts>(outcome.view).items;
  }
  // Of the target's only decree, as that node sees it.
  node::DecreeAccount account(std::size_t node, std::size_t target) {
    for (const node::DecreeAccount& one : accounts(node))
      if (one.target == cluster.replica(target)) return one;
    FAIL_CHECK("no decree of node " << target);
    return {};
  }
  // Until that node sees all its decrees closed.
  bool until_closed(std::size_t node, std::int64_t limit_ms = 60'000) {
    return cluster.run_until([&] { return cluster.stats(node).open_decrees == 0; }, limit_ms);
  }

  // ── the network ──
  // Cuts a node off from all others, until they take note.
  void lose(std::size_t lost) {
    for (std::size_t other = 0; other < cluster.size(); ++other) cluster.cut(lost, other);
    cluster.run_for(4'000);
  }
  void crash(std::size_t lost) {
    cluster.crash(lost);
    cluster.run_for(4'000);
  }
  // Everybody is back, and knows everything.
  void back() {
    cluster.heal_all();
    for (std::size_t i = 0; i < cluster.size(); ++i)
      if (!cluster.lives(i) && cluster.ended(i).empty()) cluster.restart(i);
    cluster.settle();
    CHECK(same());
  }
  // Until all nodes that live have the same rows, and go on having them.
  bool same(std::int64_t limit_ms = 60'000) {
    const auto equal = [&] {
      std::size_t first = 0;
      while (!cluster.lives(first)) ++first;
      for (std::size_t i = first; i < cluster.size(); ++i)
        if (cluster.lives(i) && (cluster.state(i).has_unsealed() ||
                                 cluster.state(i).digest() != cluster.state(first).digest()))
          return false;
      return true;
    };
    if (!cluster.run_until(equal, limit_ms)) return false;
    cluster.run_for(1'000);
    return cluster.run_until(equal, limit_ms);
  }
  Truth truth(const std::string& sku = "a") const { return cluster.truth(sku); }
  std::string fingerprint() const {
    std::string all;
    for (std::size_t i = 0; i < cluster.size(); ++i)
      all += std::to_string(cluster.state(i).digest()) + " " +
             std::to_string(cluster.state(i).decrees().size()) + "; ";
    return all;
  }

  Cluster cluster;
};

inline const node::DecreePlan& plan(const Outcome& outcome) {
  return *std::get<std::unique_ptr<node::DecreePlan>>(outcome.view);
}

}  // namespace holdfast::tests
