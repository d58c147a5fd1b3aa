#include "sim/shop_holdfast.h"

#include <algorithm>
#include <boost/json.hpp>

namespace holdfast::sim {

using crdt::ReplicaId;
using crdt::Units;

namespace {

constexpr int kVerbAttempts = 3;
constexpr Time kVerbPatience = 5 * kSecond;

std::string code_of(const api::Response& response) {
  if (response.type != api::ContentType::problem) return std::to_string(response.status);
  boost::system::error_code error;
  const boost::json::value body = boost::json::parse(response.body, error);
  if (error || !body.is_object() || !body.as_object().contains("code"))
    return std::to_string(response.status);
  return std::string(body.at("code").as_string());
}

}  // namespace

HoldfastShop::HoldfastShop(World& world, Checks& checks, const Scenario& scenario,
                           HoldfastShopOptions options)
    : world_(world), checks_(checks), scenario_(scenario), options_(options) {}

std::optional<std::size_t> HoldfastShop::node_for(std::size_t region) {
  const auto& nodes = world_.nodes_of(options_.central_region.value_or(region));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Machine& machine = world_.node(nodes[++turn_ % nodes.size()]);
    if (machine.lives() && !machine.paused()) return machine.place();
  }
  return std::nullopt;
}

// ── opening ─────────────────────────────────────────────────────────────────────────────────────

bool HoldfastShop::open(const OpeningStock& stock, Time limit) {
  world_.start_all();
  std::size_t open_calls = 0;
  const auto call = [&](std::size_t region, std::size_t node, HttpCall call) {
    ++open_calls;
    world_.http(region, node, std::move(call), [&](const api::Response&) { --open_calls; });
    // A few at a time, as an import would.
    world_.run_until([&] { return open_calls < 256; }, limit);
  };
  const auto finish = [&] {
    return world_.run_until([&] { return open_calls == 0; }, limit) &&
           world_.run_until([&] { return converged(); }, limit);
  };
  for (const std::string& sku : scenario_.skus)
    call(0, world_.nodes_of(0).front(), {"PUT", "/v1/skus/" + sku, "{}", ""});
  if (!finish()) return false;
  for (std::size_t region = 0; region < world_.options().regions.size(); ++region) {
    const std::size_t at = options_.central_region.value_or(region);
    for (std::size_t sku = 0; sku < scenario_.skus.size(); ++sku) {
      const auto& nodes = world_.nodes_of(at);
      const Units units = stock.units[region][sku], allowed = stock.allowance[region][sku];
      const std::string path = "/v1/skus/" + scenario_.skus[sku];
      for (std::size_t i = 0; i < nodes.size(); ++i) {
        const auto part = [&](Units of) {  // the first nodes have what does not divide
          const auto count = static_cast<Units>(nodes.size());
          return of / count + (static_cast<Units>(i) < of % count ? 1 : 0);
        };
        if (part(units) > 0)
          call(at, nodes[i],
               {"POST", path + "/receipts", R"({"quantity":)" + std::to_string(part(units)) + "}",
                ""});
        if (part(allowed) > 0)
          call(at, nodes[i],
               {"POST", path + "/allowances", R"({"delta":)" + std::to_string(part(allowed)) + "}",
                ""});
      }
    }
  }
  return finish();
}

// ── customers ───────────────────────────────────────────────────────────────────────────────────

void HoldfastShop::reserve(const Cart& cart, OnShopAnswer done) {
  const auto node = node_for(cart.region);
  if (!node) return done({ShopAnswer::Kind::failed, "region_down"});
  std::string body = R"({"wait_ms":)" + std::to_string(options_.wait_ms) + R"(,"ttl_seconds":)" +
                     std::to_string(scenario_.demand.ttl / kSecond) + R"(,"lines":[)";
  for (const OrderLineOfSku& line : cart.lines) {
    if (body.back() != '[') body += ',';
    body += R"({"sku":")" + scenario_.skus[line.sku] + R"(","quantity":)" +
            std::to_string(line.quantity) + "}";
  }
  body += "]}";
  homes_[cart.id] = *node;
  world_.http(
      cart.region, *node, {"PUT", "/v1/reservations/" + cart.id, std::move(body), ""},
      [done = std::move(done)](const api::Response& response) {
        if (response.status < 300) return done({ShopAnswer::Kind::held, ""});
        const bool refused = response.status == 409;
        done({refused ? ShopAnswer::Kind::refused : ShopAnswer::Kind::failed, code_of(response)});
      });
}

void HoldfastShop::commit(const Cart& cart) { verb(cart, "commit", 1); }
void HoldfastShop::release(const Cart& cart) { verb(cart, "release", 1); }

// To the node that was asked for the hold, and again if nothing is heard: verbs are idempotent.
void HoldfastShop::verb(const Cart& cart, const char* what, int attempt) {
  const auto answered = std::make_shared<bool>(false);
  const auto home = homes_.find(cart.id);
  if (home == homes_.end()) return;
  world_.http(cart.region, home->second,
              {"POST", "/v1/reservations/" + cart.id + "/" + what, "{}", ""},
              [this, answered, id = cart.id](const api::Response& response) {
                *answered = true;
                if (response.status < 500) homes_.erase(id);
              });
  if (attempt == kVerbAttempts) return;
  world_.events().after(kVerbPatience, [this, answered, cart, what, attempt] {
    if (!*answered) verb(cart, what, attempt + 1);
  });
}

void HoldfastShop::post(std::size_t region, const std::string& target, const std::string& body) {
  if (const auto node = node_for(region))
    world_.http(world_.region_of(*node), *node,
                {"POST", target, body, "operator-" + std::to_string(++commands_)},
                [](const api::Response&) {});
}

// ── the truth ───────────────────────────────────────────────────────────────────────────────────

crdt::Product* HoldfastShop::product(std::uint32_t sku) const {
  return checks_.ghost().product(scenario_.skus[sku]);
}

TrueStock HoldfastShop::stock(std::uint32_t sku) const {
  const crdt::Product* product = this->product(sku);
  if (product == nullptr) return {};
  return {product->stock.on_hand(), product->stock.available(), product->stock.allowance()};
}

std::vector<Units> HoldfastShop::rights_by_region() const {
  std::vector<Units> rights(world_.options().regions.size());
  const auto add = [&](ReplicaId replica, Units units) {
    const auto region = region_of_.find(replica);
    if (region != region_of_.end()) rights[region->second] += units;
  };
  for (const auto& [sku, product] : checks_.ghost().catalogue()) {
    for (const auto& cell : product->stock.cells()) {
      const crdt::StockRow& row = cell->row;
      add(cell->origin, row.received - row.withdrawn + row.allowance_added - row.allowance_removed -
                            (row.held - row.released) + row.returned + row.voided);
      for (const crdt::PeerTotals& entry : row.peers) {
        add(cell->origin, entry.seized - entry.granted);
        add(entry.peer, entry.granted - entry.seized);
      }
    }
  }
  return rights;
}

void HoldfastShop::on_durable(const Machine& machine) {
  const crdt::Sequence head = checks_.ghost().head(machine.replica());
  region_of_[machine.replica()] = world_.region_of(machine.place());
  auto& heads = written_[machine.replica()].heads;
  if (heads.empty() || heads.back().first < head) heads.emplace_back(head, world_.now());
}

Time HoldfastShop::lag(std::size_t region) const {
  Time lag = 0;
  for (const std::size_t node : world_.nodes_of(region)) {
    const Machine& machine = world_.node(node);
    if (!machine.lives()) continue;
    const crdt::VersionVector& vector = machine.engine().state().vector();
    for (const auto& [origin, written] : written_) {
      if (region_of_.at(origin) == region) continue;
      const auto missing = std::upper_bound(
          written.heads.begin(), written.heads.end(), vector[origin],
          [](crdt::Sequence have, const auto& entry) { return have < entry.first; });
      if (missing != written.heads.end()) lag = std::max(lag, world_.now() - missing->second);
    }
  }
  return lag;
}

bool HoldfastShop::converged() const {
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    const Machine& machine = world_.node(i);
    if (!machine.lives() || machine.engine().state().has_unsealed() ||
        machine.engine().state().digest() != world_.node(0).engine().state().digest())
      return false;
  }
  return true;
}

}  // namespace holdfast::sim
