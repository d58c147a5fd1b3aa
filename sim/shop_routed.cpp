#include "sim/shop_routed.h"

#include <algorithm>
#include <set>

#include "api/handlers.h"

namespace holdfast::sim {

using crdt::Units;

namespace {

constexpr Time kAgainAfter = 100 * kMillisecond;
constexpr Time kVerbPatience = 60 * kSecond, kCommandPatience = 10 * kSecond;
constexpr Time kLookAtMove = kSecond;  // and a router hears of a new map within so long

api::ShardMap first_map(const Scenario& scenario) {
  api::ShardMap map{.version = 1};
  for (std::size_t shard = 0; shard < scenario.shards.count(); ++shard) {
    api::Shard one{.name = shard_name(shard), .weight = scenario.shards.weights[shard]};
    for (std::size_t node = 0; node < scenario.nodes_of_shard(); ++node)
      one.nodes.push_back("http://" + shard_name(shard) + "-http-" + std::to_string(node));
    map.shards.push_back(std::move(one));
  }
  std::sort(map.shards.begin(), map.shards.end(),
            [](const api::Shard& a, const api::Shard& b) { return a.name < b.name; });
  return map;
}

// Maps have their shards by name: s10 comes before s2.
std::size_t shard_called(const std::string& name) { return std::stoul(name.substr(1)) - 1; }

}  // namespace

std::vector<std::vector<bool>> skus_by_shard(const Scenario& scenario) {
  const api::ShardMap map = first_map(scenario);
  std::vector<std::vector<bool>> has(scenario.shards.count(),
                                     std::vector<bool>(scenario.skus.size()));
  for (std::size_t sku = 0; sku < scenario.skus.size(); ++sku)
    has[shard_called(map.shards[map.shard_of(scenario.skus[sku])].name)][sku] = true;
  return has;
}

RoutedShop::RoutedShop(Events& events, const Scenario& scenario, std::vector<Shard> shards)
    : events_(events), scenario_(scenario), shards_(std::move(shards)), map_(first_map(scenario)) {
  std::vector<World*> worlds;
  for (const Shard& shard : shards_) worlds.push_back(shard.world);
  const std::size_t each = scenario.shards.routers, regions = scenario.regions.size();
  calls_ = std::make_unique<RouterCalls>(events, scenario.seed, each * regions, std::move(worlds),
                                         nullptr);
  for (std::size_t i = 0; i < each * regions; ++i) {
    api::RouterConfig config{.region = scenario.regions[i / each].name};
    for (std::size_t next = 1; next < regions; ++next)
      config.fallback.push_back(scenario.regions[(i / each + next) % regions].name);
    routers_.push_back(std::make_unique<RouterMachine>(
        events, *calls_,
        RouterMachineOptions{i, std::move(config), Random(scenario.seed, "router", i).next()},
        RouterMachine::Hooks{.saw = {},
                             .fail =
                                 [this](const std::string& what, const std::string& detail) {
                                   if (broken_.empty()) broken_ = what + ": " + detail;
                                 },
                             .trace = {},
                             .ended = [] {}}));
  }
}

absl::Status RoutedShop::open(const OpeningStock& stock, Time limit) {
  for (const Shard& shard : shards_)
    if (absl::Status status = shard.shop->open(stock, limit); !status.ok()) return status;
  start_routers();
  const auto whole = [this] {
    return std::all_of(routers_.begin(), routers_.end(),
                       [](const auto& router) { return router->whole(); });
  };
  while (!whole())
    if (!events_.step(limit))
      return absl::DeadlineExceededError(
          "the shop could not be opened: a router did not find all shards within an hour; look at "
          "the network's latency and loss");
  return absl::OkStatus();
}

// ── customers ───────────────────────────────────────────────────────────────────────────────────

RouterMachine* RoutedShop::router_for(std::size_t region) {
  const std::size_t each = scenario_.shards.routers;
  for (std::size_t i = 0; i < each; ++i)
    if (RouterMachine& router = *routers_[region * each + ++turn_ % each]; router.lives())
      return &router;
  return nullptr;
}

void RoutedShop::call(std::shared_ptr<Call> call) {
  if (events_.now() >= call->until) return;
  RouterMachine* const router = router_for(call->region);
  if (router == nullptr) return call_again(call);
  events_.after(scenario_.customers_one_way, [this, call, router] {
    if (!router->lives()) return call_again(call);
    api::Parsed parsed = parsed_as_json(call->http, reader_);
    if (const auto* response = std::get_if<api::Response>(&parsed)) return call->done(*response);
    auto ready = std::make_shared<api::Call>(std::move(std::get<api::Call>(parsed)));
    node::Command command = ready->command;
    router->request(
        std::move(command), [this, call, ready](std::optional<node::Outcome>&& outcome) {
          if (!outcome) return call_again(call);
          const api::Response response = api::answer(*ready, *outcome);
          if (response.status >= 500) return call_again(call);
          events_.after(scenario_.customers_one_way, [call, response] { call->done(response); });
        });
  });
}

void RoutedShop::call_again(const std::shared_ptr<Call>& call) {
  events_.after(kAgainAfter, [this, call] { this->call(call); });
}

void RoutedShop::reserve(const Cart& cart, OnShopAnswer done) {
  std::set<std::size_t> in;
  for (const OrderLineOfSku& line : cart.lines) in.insert(map_.shard_of(scenario_.skus[line.sku]));
  const std::string body =
      shards_.front().shop->words_of(cart);  // they are the same in front of every shard
  call(std::make_shared<Call>(Call{cart.region,
                                   {"PUT", "/v1/reservations/" + cart.id, body, ""},
                                   events_.now() + scenario_.demand.timeout,
                                   [this, spread = in.size() > 1 && cart.at >= scenario_.warm_up,
                                    done = std::move(done)](const api::Response& response) {
                                     if (response.status >= 300)
                                       return done({response.status == 409
                                                        ? ShopAnswer::Kind::refused
                                                        : ShopAnswer::Kind::failed,
                                                    code_of(response)});
                                     spread_ += spread ? 1 : 0;
                                     done({ShopAnswer::Kind::held, ""});
                                   }}));
}

void RoutedShop::verb(const Cart& cart, const char* what, OnShopDone done) {
  call(std::make_shared<Call>(Call{cart.region,
                                   {"POST", "/v1/reservations/" + cart.id + "/" + what, "{}", ""},
                                   events_.now() + kVerbPatience,
                                   [done = std::move(done)](const api::Response& response) {
                                     if (response.status < 300) done();
                                   }}));
}
void RoutedShop::commit(const Cart& cart, OnShopDone done) {
  verb(cart, "commit", std::move(done));
}
void RoutedShop::release(const Cart& cart, OnShopDone done) {
  verb(cart, "release", std::move(done));
}

// ── operators ───────────────────────────────────────────────────────────────────────────────────

bool RoutedShop::post(std::size_t region, const std::string& target, const std::string& body,
                      OnCommand done) {
  if (router_for(region) == nullptr) return false;
  call(
      std::make_shared<Call>(Call{region,
                                  {"POST", target, body, "operator-" + std::to_string(++commands_)},
                                  events_.now() + kCommandPatience,
                                  [done = std::move(done)](const api::Response& response) {
                                    done(response.status < 300 ? "" : code_of(response));
                                  }}));
  return true;
}

void RoutedShop::reshard(const std::vector<std::uint32_t>& weights, OnCommand done) {
  api::ShardMap next = map_;
  for (api::Shard& shard : next.shards) shard.weight = weights[shard_called(shard.name)];
  absl::StatusOr<api::ShardMap> moving = api::begin_move(map_, next);
  if (!moving.ok()) return done("SKUs move already");
  Moved move;
  for (const std::string& sku : scenario_.skus)
    move.skus += moving->shard_of(sku) != moving->shard_before(sku) ? 1 : 0;
  if (move.skus == 0) return done("no SKU would move");
  moves_.push_back(move);
  move_began_ = events_.now();
  on_moved_ = std::move(done);
  use(*std::move(moving));
  watch_move();
}

// One router after the other hears of it, as of a file or a key that they watch.
void RoutedShop::use(api::ShardMap map) {
  map_ = std::move(map);
  for (std::size_t i = 0; i < routers_.size(); ++i)
    events_.after(kLookAtMove * static_cast<Time>(i + 1) / static_cast<Time>(routers_.size()),
                  [&router = *routers_[i], this] {
                    if (router.lives() && router.router().map().version < map_.version)
                      router.use(map_);
                  });
}

void RoutedShop::watch_move() {
  const auto& skus = scenario_.skus;
  if (std::any_of(skus.begin(), skus.end(),
                  [this](const std::string& sku) { return has_to_move(sku); }))
    return events_.after(kLookAtMove, [this] { watch_move(); });
  moves_.back().took = events_.now() - move_began_;
  use(api::end_move(map_));
  on_moved_("");
}

// Units are in another shard than its own, or between two.
bool RoutedShop::has_to_move(const std::string& sku) const {
  const std::size_t there = map_.shard_of(sku);
  if (there == map_.shard_before(sku)) return false;
  Units on_the_way = 0;
  for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
    const crdt::Product* const product = shards_[shard].shop->product(sku);
    if (product == nullptr) continue;
    if (shard != shard_called(map_.shards[there].name) && product->stock.on_hand() != 0)
      return true;
    for (const auto& cell : product->stock.cells())
      for (const crdt::Move& move : cell->row.moves) on_the_way += move.out - move.in;
  }
  return on_the_way != 0;
}

// ── faults ──────────────────────────────────────────────────────────────────────────────────────

void RoutedShop::start_routers() {
  for (std::size_t i = 0; i < routers_.size(); ++i) start_router(i);
}

void RoutedShop::node_ended(std::size_t node) {
  calls_->reset(scenario_.shard_of_node(node), node % scenario_.nodes_of_shard());
}

// ── the truth ───────────────────────────────────────────────────────────────────────────────────

TrueStock RoutedShop::stock(std::uint32_t sku) const {
  TrueStock all;
  for (const Shard& shard : shards_) {
    const TrueStock one = shard.shop->stock(sku);
    all.on_hand += one.on_hand;
    all.available += one.available;
    all.allowance += one.allowance;
  }
  return all;
}

std::vector<Units> RoutedShop::rights_by_region() const {
  std::vector<Units> all(scenario_.regions.size());
  for (const Shard& shard : shards_) {
    const std::vector<Units> one = shard.shop->rights_by_region();
    for (std::size_t region = 0; region < all.size(); ++region) all[region] += one[region];
  }
  return all;
}

Time RoutedShop::lag(std::size_t region) const {
  Time lag = 0;
  for (const Shard& shard : shards_) lag = std::max(lag, shard.shop->lag(region));
  return lag;
}

bool RoutedShop::converged() const {
  return std::all_of(shards_.begin(), shards_.end(),
                     [](const Shard& shard) { return shard.shop->converged(); });
}

DiskLoss RoutedShop::lost() const {
  DiskLoss all;
  for (const Shard& shard : shards_) {
    const DiskLoss one = shard.shop->lost();
    all.rights += one.rights;
    all.held += one.held;
    all.writes += one.writes;
  }
  return all;
}

Units RoutedShop::decreed() const {
  Units all = 0;
  for (const Shard& shard : shards_) all += shard.shop->decreed();
  return all;
}

}  // namespace holdfast::sim
