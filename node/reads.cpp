#include "node/reads.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "node/estate.h"

namespace holdfast::node {

using crdt::Hold;
using crdt::HoldState;
using crdt::Member;
using crdt::Product;

namespace {

template <typename View>
Outcome ok(View view) {
  Outcome outcome;
  outcome.view = std::move(view);
  return outcome;
}

Outcome no_such_sku(const std::string& sku) {
  return refused(Code::unknown_sku, "no SKU '" + sku + "' is known here");
}

SkuView sku_view(const Product& product) {
  const crdt::SkuRow& row = product.description()->row;
  const crdt::MovedTo& moved = product.moved();
  Units out = 0, in = 0;
  for (const crdt::CellOf& cell : product.stock.cells())
    for (const crdt::Move& move : cell->row.moves) {
      out += move.out;
      in += move.in;
    }
  return {.sku = product.sku,
          .name = row.name,
          .attributes = row.attributes,
          .low_stock_threshold = row.low_stock_threshold,
          .created_at = row.created_at,
          .updated_at = static_cast<std::int64_t>(row.time >> 16),
          .moved_to = moved.shard,
          .moved_by = moved.version,
          .left = moved.shard.empty() ? 0 : product.stock.on_hand(),
          .left_held = moved.shard.empty() ? 0 : product.stock.held(),
          .handed_over = out,
          .taken_in = in};
}

CopyView copy_view(const Hold& hold, bool stands) {
  CopyView view{.stands = stands};
  for (std::size_t i = 0; i < hold.row.lines.size(); ++i)
    view.in_held.push_back(told_of(hold.row, i));
  return view;
}

// node.name is to be unique; two that live with one name are told apart by nobody who reads it.
void warn_of_namesakes(std::vector<NodeView>& nodes) {
  std::map<std::string, std::vector<NodeView*>> by_name;
  for (NodeView& node : nodes)
    if (node.reachable && node.state != "retired") by_name[node.node].push_back(&node);
  for (const auto& [name, same] : by_name) {
    if (same.size() < 2) continue;
    std::string ids;
    for (const NodeView* node : same)
      ids += (ids.empty() ? "" : ", ") + crdt::to_string(node->replica);
    for (NodeView* node : same)
      node->warning = "several live replicas have this name (" + ids +
                      "): node.name must be unique in the cluster";
  }
}

constexpr std::int64_t kClocksDriftMs = 1000;

std::int64_t wall_ms(const Readers& from) { return from.now.wall.time_since_epoch().count(); }

}  // namespace

Outcome read_sku(const Readers& from, const GetSku& command) {
  const Product* product = from.ledger.known(command.sku);
  return product == nullptr ? no_such_sku(command.sku) : ok(sku_view(*product));
}

Outcome list_skus(const Readers& from, const ListSkus& command) {
  if (!command.cursor.empty() && !crdt::valid_name(command.cursor))
    return refused(Code::invalid_cursor, "cursor is not one that a page of this list gave");
  SkuPage page;
  const auto& catalogue = from.state.catalogue();
  auto at = command.cursor.empty()
                ? catalogue.lower_bound(command.prefix)
                : catalogue.upper_bound(std::max(command.cursor, command.prefix));
  for (; at != catalogue.end() && at->first.starts_with(command.prefix); ++at) {
    if (at->second->descriptions.empty()) continue;
    if (page.items.size() == command.limit) {
      page.next = page.items.back().sku;
      break;
    }
    page.items.push_back(sku_view(*at->second));
  }
  return ok(std::move(page));
}

Outcome read_stock(const Readers& from, const GetStock& command) {
  const Product* product = from.ledger.known(command.sku);
  if (product == nullptr) return no_such_sku(command.sku);
  const crdt::BoundedCounter& stock = product->stock;
  StockView view{.sku = product->sku,
                 .on_hand = stock.on_hand(),
                 .held = stock.held(),
                 .sold = stock.sold(),
                 .returned = stock.returned(),
                 .available = stock.view_available(),
                 .local_available = from.ledger.free(*product),
                 .allowance = stock.allowance(),
                 .exposure = stock.exposure(from.state.retired()),
                 .debt = stock.total_debt(from.state.retired()),
                 .oversold = stock.oversold(),
                 .low_stock_threshold = product->description()->row.low_stock_threshold};
  const std::int64_t now = wall_ms(from);
  std::map<std::string, RegionStock> regions;
  for (const auto& [replica, member] : from.state.members()) {
    // One that is no more, and has left nothing: it would age its region's figures for ever.
    if (from.state.retired(replica) && stock.rights(replica) == 0) continue;
    const bool own = replica == from.state.self();
    const gossip::PeerView peer = from.mesh.view(from.now, replica);
    const std::int64_t as_of = own ? now : peer.as_of;
    const auto [at, first] = regions.try_emplace(member->row.region);
    RegionStock& region = at->second;
    region.region = member->row.region;
    region.rights += stock.shown_rights(replica);
    region.as_of = first ? as_of : std::min(region.as_of, as_of);
    region.reachable = region.reachable || own || peer.reachable;
  }
  for (auto& [name, region] : regions) {
    region.lag_ms = region.as_of == 0 ? -1 : std::max<std::int64_t>(0, now - region.as_of);
    view.by_region.push_back(std::move(region));
  }
  return ok(std::move(view));
}

Outcome read_availability(const Readers& from, const GetAvailability& command) {
  Availability availability;
  for (const std::string& sku : command.skus) {
    const Product* product = from.ledger.known(sku);
    AvailabilityItem item{.sku = sku};
    if (product != nullptr) {
      item.known = true;
      item.available = product->stock.view_available();
      item.local_available = from.ledger.free(*product);
    }
    availability.items.push_back(std::move(item));
  }
  return ok(std::move(availability));
}

Outcome read_hold(const Readers& from, const Hold& hold, Code code) {
  Outcome outcome = from.ledger.shown(hold, code);
  ReservationView& view = *std::get<std::unique_ptr<ReservationView>>(outcome.view);
  if (view.state == HoldState::held && hold.origin == from.state.self()) {
    // Downtime did not count: what the row says in wall time may have passed.
    const std::int64_t due = wall_ms(from) + hold.row.deadline - from.life_ms;
    if (std::abs(due - view.expires_at) > kClocksDriftMs) view.expires_at = due;
  }
  if (view.state == HoldState::held && hold.origin != from.state.self() &&
      view.expires_at <= wall_ms(from))
    view.state = HoldState::expired;
  return outcome;
}

Outcome list_reservations(const Readers& from, const ListReservations& command) {
  constexpr std::size_t kLookedAtMax = 20'000;
  const auto& holds = from.state.holds();
  auto at = holds.begin();
  if (!command.cursor.empty()) {  // "replica.number" of the last reservation looked at
    const std::string_view cursor = command.cursor;
    const auto home = crdt::parse_replica_id(cursor.substr(0, 16));
    std::uint64_t number = 0;
    const bool dotted = home && cursor.size() >= 18 && cursor[16] == '.';
    const char* digits = cursor.data() + (dotted ? 17 : 0);
    const char* end = cursor.data() + cursor.size();
    const auto [rest, error] = std::from_chars(digits, end, number);
    if (!dotted || error != std::errc{} || rest != end)
      return refused(Code::invalid_cursor, "cursor is not one that a page of this list gave");
    at = holds.upper_bound({*home, number});
  }
  ReservationPage page;
  for (std::size_t looked = 0; at != holds.end(); ++at, ++looked) {
    if (page.items.size() == command.limit || looked == kLookedAtMax) {
      const auto& [home, number] = std::prev(at)->first;
      page.next = crdt::to_string(home) + "." + std::to_string(number);
      break;
    }
    const Hold& hold = *at->second;
    const bool stands = from.state.hold(hold.id) == &hold;
    if (command.overruled ? !hold.row.overruled : !stands && !command.all_copies) continue;
    if (command.sku && std::none_of(hold.row.lines.begin(), hold.row.lines.end(),
                                    [&](const auto& line) { return line.sku == *command.sku; }))
      continue;
    Outcome shown = read_hold(from, hold, Code::ok);
    auto& view = std::get<std::unique_ptr<ReservationView>>(shown.view);
    if (command.state && view->state != *command.state) continue;
    if (command.all_copies || command.overruled) view->copy = copy_view(hold, stands);
    page.items.push_back(std::move(*view));
  }
  return ok(std::move(page));
}

Outcome read_cluster(const Readers& from) {
  auto view = std::make_unique<ClusterView>();
  view->cluster = from.mesh.config().cluster;
  view->skus = from.state.product_count();
  view->open_holds = from.state.open_holds();
  view->reservations = from.state.hold_count();
  view->digest = crdt::to_string(ReplicaId{from.state.digest()});
  const std::int64_t now = wall_ms(from);
  for (const auto& [replica, member] : from.state.members()) {
    NodeView node{.replica = replica,
                  .node = member->row.node,
                  .region = member->row.region,
                  .http_address = member->row.http_address,
                  .gossip_address = member->row.gossip_address,
                  .wire_version = member->row.wire_version,
                  .self = replica == from.state.self()};
    const gossip::PeerView peer = from.mesh.view(from.now, replica);
    node.reachable = node.self || peer.reachable;
    node.state = from.state.retired(replica)                               ? "retired"
                 : from.state.decreed(replica)                             ? "decreed"
                 : node.self && from.own_state != std::string_view("live") ? from.own_state
                 : !node.reachable                                         ? "unreachable"
                 : member->row.draining                                    ? "draining"
                                                                           : "live";
    node.weight = member->row.weight;
    node.last_heard_ms = node.self ? 0 : peer.last_heard_ms;
    node.lag_ms = node.self         ? 0
                  : peer.as_of == 0 ? -1
                                    : std::max<std::int64_t>(0, now - peer.as_of);
    node.sequence = from.state.head(replica);
    crdt::Sequence acknowledged = peer.acknowledged;
    if (!peer.connected)
      for (const crdt::VectorEntry& entry : member->row.acknowledged)
        if (entry.origin == from.state.self()) acknowledged = entry.sequence;
    const crdt::Sequence head = from.state.head(from.state.self());
    node.behind = node.self || acknowledged >= head ? 0 : head - acknowledged;
    view->nodes.push_back(std::move(node));
  }
  std::sort(view->nodes.begin(), view->nodes.end(), [](const NodeView& a, const NodeView& b) {
    return std::tie(a.region, a.node, a.replica) < std::tie(b.region, b.node, b.replica);
  });
  warn_of_namesakes(view->nodes);
  for (const auto& [target, fault] : from.mesh.faults())
    view->faults.push_back(
        {target, fault.drop, static_cast<std::uint32_t>(fault.delay.count()), fault.loss});
  return ok(std::move(view));
}

std::vector<ReplicaId> other_members(const crdt::State& state) {
  std::vector<ReplicaId> others;
  for (const auto& [replica, member] : state.members())
    if (replica != state.self() && !state.retired(replica)) others.push_back(replica);
  return others;
}

namespace {
bool is_named(const Member& member, ReplicaId replica, const std::string& name) {
  return member.row.region == name || member.row.node == name || crdt::to_string(replica) == name;
}
}  // namespace

std::optional<ReplicaId> resolve(const Readers& from, const std::string& name) {
  std::optional<ReplicaId> found;
  for (const ReplicaId replica : other_members(from.state)) {
    if (!is_named(*from.state.member(replica), replica, name)) continue;
    if (from.mesh.reachable(replica)) return replica;
    if (!found) found = replica;
  }
  return found;
}

bool names_retired(const crdt::State& state, const std::string& name) {
  bool any = false;
  for (const auto& [replica, member] : state.members()) {
    if (!is_named(*member, replica, name)) continue;
    if (!state.retired(replica)) return false;
    any = true;
  }
  return any;
}

}  // namespace holdfast::node
