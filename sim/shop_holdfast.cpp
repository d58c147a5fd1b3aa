#include "sim/shop_holdfast.h"

#include <algorithm>
#include <boost/json.hpp>

namespace holdfast::sim {

using crdt::ReplicaId;
using crdt::Units;

namespace {

constexpr int kVerbAttempts = 12;
constexpr Time kVerbPatience = 5 * kSecond;
constexpr std::size_t kImportsAtOnce = 256;
constexpr Time kImportPause = 100 * kMillisecond;
constexpr Time kReadinessEvery = 100 * kMillisecond;

}  // namespace

std::string code_of(const api::Response& response) {
  if (response.type != api::ContentType::problem) return std::to_string(response.status);
  boost::system::error_code error;
  const boost::json::value body = boost::json::parse(response.body, error);
  if (error || !body.is_object() || !body.as_object().contains("code"))
    return std::to_string(response.status);
  return std::string(body.at("code").as_string());
}

HoldfastShop::HoldfastShop(World& world, Checks& checks, const Scenario& scenario,
                           HoldfastShopOptions options)
    : world_(world),
      checks_(checks),
      scenario_(scenario),
      options_(options),
      decrees_(world, checks) {
  for (std::size_t node = 0; node < world.nodes(); ++node)
    if (scenario.joins_later(node)) aside_.insert(node);
}

std::optional<std::size_t> HoldfastShop::node_for(std::size_t region) {
  const auto& nodes = world_.nodes_of(options_.central_region.value_or(region));
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Machine& machine = world_.node(nodes[++turn_ % nodes.size()]);
    if (machine.lives() && !machine.paused() && !aside_.contains(machine.place()))
      return machine.place();
  }
  return std::nullopt;
}

// ── members come and go ─────────────────────────────────────────────────────────────────────────

void HoldfastShop::join(std::size_t node) {
  world_.node(node).start();
  take_when_ready(node);
}

void HoldfastShop::take_when_ready(std::size_t node) {
  Machine& machine = world_.node(node);
  if (machine.lives() && !machine.paused() && machine.stats().ready) {
    aside_.erase(node);
    return;
  }
  world_.events().after(kReadinessEvery, [this, node] { take_when_ready(node); });
}

bool HoldfastShop::drain(std::size_t node, Time wait, OnCommand done) {
  if (!world_.node(node).lives()) return false;
  aside_.insert(node);
  world_.http(world_.region_of(node), node,
              {"POST", "/v1/cluster/drain",
               R"({"wait_seconds":)" + std::to_string(wait / kSecond) + "}", ""},
              [this, node, done = std::move(done)](const api::Response& response) {
                if (response.status >= 300) aside_.erase(node);  // it stays
                done(response.status < 300 ? "" : code_of(response));
              });
  return true;
}

bool HoldfastShop::is_of_the_shop(const Machine& machine) const {
  return !machine.was_retired() && (machine.lives() || !aside_.contains(machine.place()));
}

// ── opening ─────────────────────────────────────────────────────────────────────────────────────

void HoldfastShop::import(std::size_t region, std::size_t node, HttpCall call) {
  world_.http(region, node, call, [this, region, node, call](const api::Response& response) {
    if (response.status == 503)
      return world_.events().after(kImportPause,
                                   [this, region, node, call] { import(region, node, call); });
    --imports_;
    if (response.status >= 300)
      import_status_.Update(
          absl::InvalidArgumentError("the shop could not be opened: " + call.target +
                                     " was answered with " + code_of(response)));
  });
}

absl::Status HoldfastShop::open(const OpeningStock& stock, Time limit) {
  world_.start_all();
  const auto call = [&](std::size_t region, std::size_t node, HttpCall call) {
    ++imports_;
    import(region, node, std::move(call));
    // A few at a time, as an import would.
    world_.run_until([&] { return imports_ < kImportsAtOnce; }, limit);
  };
  const auto finish = [&]() -> absl::Status {
    if (!world_.run_until([&] { return imports_ == 0; }, limit) ||
        !world_.run_until([&] { return converged(); }, limit))
      return absl::DeadlineExceededError(
          "the shop could not be opened: its nodes did not agree within an hour; look at the "
          "network's latency and loss, and at capacity");
    return import_status_;
  };
  const auto& first = world_.nodes_of(0);
  const std::size_t catalogue_at = *std::find_if(
      first.begin(), first.end(), [&](std::size_t node) { return !aside_.contains(node); });
  for (std::size_t sku = 0; sku < scenario_.skus.size(); ++sku)
    if (opens_with(sku))
      call(0, catalogue_at, {"PUT", "/v1/skus/" + scenario_.skus[sku], "{}", ""});
  if (absl::Status status = finish(); !status.ok()) return status;
  for (std::size_t region = 0; region < world_.options().regions.size(); ++region) {
    const std::size_t at = options_.central_region.value_or(region);
    for (std::size_t sku = 0; sku < scenario_.skus.size(); ++sku) {
      if (!opens_with(sku)) continue;
      std::vector<std::size_t> nodes;
      for (const std::size_t node : world_.nodes_of(at))
        if (!aside_.contains(node)) nodes.push_back(node);
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

std::string HoldfastShop::words_of(const Cart& cart) const {
  std::string body = R"({"wait_ms":)" + std::to_string(options_.wait_ms) + R"(,"ttl_seconds":)" +
                     std::to_string(scenario_.demand.ttl / kSecond) + R"(,"lines":[)";
  for (const OrderLineOfSku& line : cart.lines) {
    if (body.back() != '[') body += ',';
    body += R"({"sku":")" + scenario_.skus[line.sku] + R"(","quantity":)" +
            std::to_string(line.quantity) + "}";
  }
  return body + "]}";
}

void HoldfastShop::reserve(const Cart& cart, OnShopAnswer done) {
  const auto node = node_for(cart.region);
  if (!node) return done({ShopAnswer::Kind::failed, "region_down"});
  homes_[cart.id] = *node;
  world_.http(
      cart.region, *node, {"PUT", "/v1/reservations/" + cart.id, words_of(cart), ""},
      [done = std::move(done)](const api::Response& response) {
        if (response.status < 300) return done({ShopAnswer::Kind::held, ""});
        const bool refused = response.status == 409;
        done({refused ? ShopAnswer::Kind::refused : ShopAnswer::Kind::failed, code_of(response)});
      });
}

void HoldfastShop::commit(const Cart& cart, OnShopDone done) {
  verb(cart, "commit", std::move(done));
}
void HoldfastShop::release(const Cart& cart, OnShopDone done) {
  verb(cart, "release", std::move(done));
}

// To the node that was asked for the hold, and again after silence or a 5xx: verbs are idempotent.
void HoldfastShop::verb(const Cart& cart, const char* what, OnShopDone done) {
  const auto home = homes_.find(cart.id);
  if (home == homes_.end()) return;
  try_verb(std::make_shared<Verb>(Verb{
      cart.region, home->second, "/v1/reservations/" + cart.id + "/" + what, std::move(done)}));
  homes_.erase(home);
}

void HoldfastShop::try_verb(const std::shared_ptr<Verb>& verb) {
  if (verb->answered || verb->attempts++ == kVerbAttempts) return;
  // What it had is its heir's, once it has left.
  if (world_.node(verb->home).was_retired())
    verb->home = node_for(verb->region).value_or(verb->home);
  world_.http(verb->region, verb->home, {"POST", verb->target, "{}", ""},
              [verb](const api::Response& response) {
                if (response.status >= 500 || std::exchange(verb->answered, true)) return;
                if (response.status < 300) verb->done();
              });
  world_.events().after(kVerbPatience, [this, verb] { try_verb(verb); });
}

bool HoldfastShop::post(std::size_t region, const std::string& target, const std::string& body,
                        OnCommand done) {
  const auto node = node_for(region);
  if (!node) return false;
  world_.http(world_.region_of(*node), *node,
              {"POST", target, body, "operator-" + std::to_string(++commands_)},
              [done = std::move(done)](const api::Response& response) {
                done(response.status < 300 ? "" : code_of(response));
              });
  return true;
}

// ── the truth ───────────────────────────────────────────────────────────────────────────────────

crdt::Product* HoldfastShop::product(const std::string& sku) const {
  return checks_.ghost().product(sku);
}

TrueStock HoldfastShop::stock(std::uint32_t sku) const {
  const crdt::Product* product = this->product(scenario_.skus[sku]);
  if (product == nullptr) return {};
  return {product->stock.on_hand(), product->stock.available(), product->stock.allowance()};
}

template <typename Visit>
void HoldfastShop::for_each_right(const Visit& visit) const {
  for (const auto& [sku, product] : checks_.ghost().catalogue()) {
    for (const auto& cell : product->stock.cells()) {
      const crdt::StockRow& row = cell->row;
      visit(cell->origin, row.received - row.withdrawn + row.allowance_added -
                              row.allowance_removed - (row.held - row.released) + row.returned +
                              row.voided);
      for (const crdt::PeerTotals& entry : row.peers) {
        visit(cell->origin, entry.seized - entry.granted);
        visit(entry.peer, entry.granted - entry.seized);
      }
    }
  }
}

// A replica whose disk was lost is no node any more: its rights are nobody's.
bool HoldfastShop::is_a_node(ReplicaId replica) const {
  const auto place = place_of_.find(replica);
  return place != place_of_.end() && world_.node(place->second).replica() == replica;
}

std::vector<Units> HoldfastShop::rights_by_region() const {
  std::vector<Units> rights(world_.options().regions.size());
  for (const auto& [sku, product] : checks_.ghost().catalogue())
    for (std::size_t i = 0; i < world_.nodes(); ++i)
      rights[world_.region_of(i)] += product->stock.rights(world_.node(i).replica());
  return rights;
}

DiskLoss HoldfastShop::lost() const {
  DiskLoss loss;
  for_each_right([&](ReplicaId replica, Units units) {
    if (!is_a_node(replica)) loss.rights += units;
  });
  for (const auto& [sku, product] : checks_.ghost().catalogue())
    for (const auto& cell : product->stock.cells())
      // Of a retired one its heir ends them.
      if (!is_a_node(checks_.ghost().heir(cell->origin)))
        loss.held += cell->row.held - cell->row.released - cell->row.sold;
  for (const auto& [replica, place] : place_of_) {
    if (is_a_node(replica)) continue;
    crdt::Sequence kept = 0;
    for (std::size_t i = 0; i < world_.nodes(); ++i)
      if (world_.node(i).lives())
        kept = std::max(kept, world_.node(i).engine().state().head(replica));
    loss.writes += checks_.ghost().head(replica) - kept;
  }
  return loss;
}

void HoldfastShop::on_durable(const Machine& machine) {
  const crdt::Sequence head = checks_.ghost().head(machine.replica());
  place_of_[machine.replica()] = machine.place();
  decrees_.on_durable(machine);
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
      if (world_.region_of(place_of_.at(origin)) == region) continue;
      const auto missing = std::upper_bound(
          written.heads.begin(), written.heads.end(), vector[origin],
          [](crdt::Sequence have, const auto& entry) { return have < entry.first; });
      if (missing != written.heads.end()) lag = std::max(lag, world_.now() - missing->second);
    }
  }
  return lag;
}

bool HoldfastShop::converged() const {
  std::optional<std::uint64_t> digest;
  for (std::size_t i = 0; i < world_.nodes(); ++i) {
    const Machine& machine = world_.node(i);
    if (!is_of_the_shop(machine)) continue;
    if (!machine.lives() || machine.engine().state().has_unsealed()) return false;
    const std::uint64_t of = machine.engine().state().digest();
    if (digest.value_or(of) != of) return false;
    digest = of;
  }
  return true;
}

}  // namespace holdfast::sim
