// What is shown of all shards at once, and of the router itself.

#include <algorithm>
#include <set>

#include "api/json.h"
#include "api/router.h"

namespace holdfast::api {

using node::Code;
using node::Outcome;

// ── over all shards ─────────────────────────────────────────────────────────────────────────────

// What is known of the shards that answer; of the others, that it is not.
Task<Outcome> Router::availability(node::GetAvailability command) {
  std::map<std::size_t, node::GetAvailability> by_shard;
  for (const std::string& sku : std::set(command.skus.begin(), command.skus.end())) {
    by_shard[home_of(sku)].skus.push_back(sku);
    if (is_moving(sku)) by_shard[was_at(sku)].skus.push_back(sku);
  }
  std::vector<Task<Outcome>> asked;
  for (auto& [shard, part] : by_shard) asked.push_back(at_shard(shard, part, Hint()));
  std::map<std::string, node::AvailabilityItem> found;
  for (Task<Outcome>& one : asked) {
    Outcome outcome = co_await one;
    const auto* items = std::get_if<node::Availability>(&outcome.view);
    if (items == nullptr) co_return outcome;
    for (const node::AvailabilityItem& item : items->items) {
      node::AvailabilityItem& sum = found[item.sku];  // of two shards while it moves
      sum.sku = item.sku;
      sum.known = sum.known || item.known;
      sum.available += item.available;
      sum.local_available += item.local_available;
    }
  }
  node::Availability all;
  for (const std::string& sku : command.skus) all.items.push_back(found[sku]);
  Outcome outcome;
  outcome.view = std::move(all);
  co_return outcome;
}

Task<Outcome> Router::list(node::ListSkus command) {
  std::vector<Task<Outcome>> asked;
  for (const std::size_t shard : places_) asked.push_back(at_shard(shard, command, Hint()));
  node::SkuPage all;
  bool more = false;
  for (Task<Outcome>& one : asked) {
    Outcome outcome = co_await one;
    auto* page = std::get_if<node::SkuPage>(&outcome.view);
    if (page == nullptr) co_return outcome;
    more = more || !page->next.empty();
    std::move(page->items.begin(), page->items.end(), std::back_inserter(all.items));
  }
  std::sort(all.items.begin(), all.items.end(), [](const node::SkuView& a, const node::SkuView& b) {
    return std::pair(std::string_view(a.sku), !a.moved_to.empty()) <
           std::pair(std::string_view(b.sku), !b.moved_to.empty());
  });
  // What moves is in two shards: shown once, as where it is.
  all.items.erase(std::unique(all.items.begin(), all.items.end(),
                              [](const auto& a, const auto& b) { return a.sku == b.sku; }),
                  all.items.end());
  if (all.items.size() > command.limit) {
    all.items.resize(command.limit);
    more = true;
  }
  if (more && !all.items.empty()) all.next = all.items.back().sku;  // as a node's cursor is
  Outcome outcome;
  outcome.view = std::move(all);
  co_return outcome;
}

// One shard after the other: a cursor is "SHARD:cursor of that one". Parts of carts are shown with
// their carts.
Task<Outcome> Router::list(node::ListReservations command) {
  std::size_t shard = 0;
  if (!command.cursor.empty()) {
    const std::size_t colon = command.cursor.find(':');
    const auto named = shard_named(command.cursor.substr(0, colon));
    if (!named || colon == std::string::npos) {
      Outcome refused{.code = Code::invalid_cursor,
                      .detail = "cursor is not one that a page of this list gave"};
      co_return refused;
    }
    shard = *named;
    command.cursor = command.cursor.substr(colon + 1);
  }
  Outcome outcome = co_await at_shard(shard, command, Hint());
  auto* page = std::get_if<node::ReservationPage>(&outcome.view);
  if (page == nullptr) co_return outcome;
  node::ReservationPage shown;
  for (node::ReservationView& view : page->items) {
    if (view.copy) {  // as that shard's nodes have it
      shown.items.push_back(std::move(view));
      continue;
    }
    std::optional<Cart> cart = cart_of(view, shard);
    if (!cart && command.sku) {  // a part, and its cart's record has not that SKU
      std::string of = part_of(view);
      std::variant<Cart, Outcome> found = co_await locate(of);
      if (auto* missing = std::get_if<Outcome>(&found);
          missing != nullptr && missing->code != Code::unknown_reservation)
        co_return std::move(*missing);
      if (std::holds_alternative<Cart>(found)) cart = std::get<Cart>(found);
      view.id = std::move(of);
    }
    if (!cart) continue;
    if (cart->others.empty()) {
      shown.items.push_back(std::move(view));
      continue;
    }
    Outcome whole = co_await show(view.id, *cart, Code::ok);
    auto* all = std::get_if<std::unique_ptr<node::ReservationView>>(&whole.view);
    if (all == nullptr && whole.code != Code::unknown_reservation) co_return whole;
    if (all != nullptr) shown.items.push_back(std::move(**all));
  }
  if (!page->next.empty()) {
    shown.next = groups_[shard]->name + ":" + page->next;
  } else if (shard + 1 < groups_.size()) {
    shown.next = groups_[shard + 1]->name + ":";
  }
  outcome.view = std::move(shown);
  co_return outcome;
}

// ── about itself ────────────────────────────────────────────────────────────────────────────────

Outcome Router::cluster() const {
  std::string out =
      "{\"router\":true,\"map_version\":" + std::to_string(map_.version) + ",\"region\":";
  append_string(out, config_.region);
  if (map_.moving())
    out += ",\"moving\":{\"skus\":" + std::to_string(looked_.skus) +
           ",\"moved\":" + std::to_string(looked_.moved) +
           ",\"units_left\":" + std::to_string(looked_.left) +
           ",\"units_held\":" + std::to_string(looked_.held) + "}";
  out += ",\"shards\":[";
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto& group = groups_[places_[i]];
    out += i == 0 ? "{\"shard\":" : ",{\"shard\":";
    append_string(out, group->name);
    out += ",\"weight\":" + std::to_string(map_.shards[i].weight) + ",\"nodes\":[";
    bool first = true;
    for (const auto& [url, node] : group->nodes) {
      if (!node->known) continue;
      out += std::exchange(first, false) ? "{\"url\":" : ",{\"url\":";
      append_string(out, url);
      out += ",\"node\":";
      append_string(out, node->name);
      out += ",\"region\":";
      append_string(out, node->region);
      out += ",\"up\":";
      append_boolean(out, node->up && node->member);
      out += ",\"weight\":" + std::to_string(node->weight) +
             ",\"in_hand\":" + std::to_string(node->in_hand) + "}";
    }
    out += "]}";
  }
  Outcome outcome;
  outcome.view = node::Worded{200, out + "]}"};
  return outcome;
}

Outcome Router::metrics() const {
  static constexpr const char* kNames[] = {
      "requests_total",   "calls_total",         "calls_again_total", "reads_hedged_total",
      "cart_parts_total", "carts_settled_total", "units_moved_total"};
  static constexpr const char* kHelp[] = {
      "Requests of clients",
      "Calls to nodes",
      "Calls that were sent once more",
      "Reads of which a second node was asked",
      "Parts of carts over several shards",
      "Parts and carts that a sweep has found half done, and has ended",
      "Units handed over to the shard where their SKU belongs"};
  std::string out;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    const std::string name = std::string("holdfast_router_") + kNames[i];
    out += "# HELP " + name + " " + kHelp[i] + "\n# TYPE " + name + " counter\n" + name + " " +
           std::to_string(counts_[i]) + "\n";
  }
  out +=
      "# HELP holdfast_router_nodes_up Nodes of a shard that answer\n"
      "# TYPE holdfast_router_nodes_up gauge\n";
  for (const std::size_t place : places_) {
    const auto& group = groups_[place];
    std::size_t up = 0;
    for (const auto& [url, node] : group->nodes) up += node->serves() ? 1 : 0;
    out += "holdfast_router_nodes_up{shard=\"" + group->name + "\"} " + std::to_string(up) + "\n";
  }
  Outcome outcome;
  outcome.view = node::Worded{ready() ? 200 : 503, std::move(out)};
  return outcome;
}

}  // namespace holdfast::api
