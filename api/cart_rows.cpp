#include "api/cart_rows.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>

#include "api/json.h"
#include "crdt/digest.h"
#include "crdt/ids.h"

namespace holdfast::api {

namespace json = boost::json;
using crdt::HoldState;
using node::Line;
using node::ReservationView;

static_assert(node::kRecordPrefix.starts_with(kRowPrefix));

std::optional<CartRow> cart_row(const std::string& metadata) {
  if (!metadata.starts_with(kRowPrefix)) return std::nullopt;
  boost::system::error_code error;
  const json::value value = json::parse(metadata, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::value* own = value.get_object().if_contains("holdfast");
  if (own == nullptr || !own->is_object()) return std::nullopt;
  const auto text = [&](std::string_view key) {
    const json::value* found = own->get_object().if_contains(key);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
  };
  CartRow row{.digest = text("digest"), .part_of = text("part_of"), .of_shard = text("shard")};
  if (const json::value* parts = own->get_object().if_contains("parts");
      parts != nullptr && parts->is_object())
    for (const auto& [shard, id] : parts->get_object())
      if (id.is_string()) row.parts.emplace_back(std::string(shard), std::string(id.get_string()));
  if (row.digest.empty() && row.part_of.empty()) return std::nullopt;
  if (const json::value* rest = value.get_object().if_contains("metadata"))
    row.metadata = json::serialize(*rest);
  return row;
}

std::string record_metadata(const node::Reserve& cart,
                            const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string named;
  for (const auto& [shard, id] : parts)
    named += (named.empty() ? "\"" : ",\"") + shard + "\":\"" + id + "\"";
  return std::string(node::kRecordPrefix) + cart_digest(cart) + "\",\"parts\":{" + named + "}}" +
         (cart.metadata.empty() ? "" : ",\"metadata\":" + cart.metadata) + "}";
}

std::string part_metadata(const std::string& of, const std::string& shard) {
  return std::string(kRowPrefix) + "{\"part_of\":\"" + of + "\",\"shard\":\"" + shard + "\"}}";
}

std::string cart_digest(const node::Reserve& cart) {
  std::map<std::string, node::Units> lines;
  for (const Line& line : cart.lines) lines[line.sku] += line.quantity;
  std::string text = std::to_string(cart.ttl_seconds) + (cart.partial ? " partial " : " whole ");
  for (const auto& [sku, quantity] : lines) text += sku + ' ' + std::to_string(quantity) + '\n';
  return crdt::to_string(crdt::ReplicaId{crdt::digest(text + cart.metadata)});
}

ReservationView joined(const std::vector<ReservationView>& views) {
  ReservationView whole = views.front();
  for (std::size_t i = 1; i < views.size(); ++i) {
    whole.lines.insert(whole.lines.end(), views[i].lines.begin(), views[i].lines.end());
    whole.final = whole.final && views[i].final;
    if (views[i].state == HoldState::committed) whole.state = HoldState::committed;
    whole.reached = std::min(whole.reached, views[i].reached);
    whole.expires_at = std::min(whole.expires_at, views[i].expires_at);
  }
  std::sort(whole.lines.begin(), whole.lines.end(),
            [](const auto& a, const auto& b) { return a.sku < b.sku; });
  if (const auto row = cart_row(whole.metadata)) whole.metadata = row->metadata;
  return whole;
}

node::Outcome shown(ReservationView view, node::Code code) {
  node::Outcome outcome{.code = code};
  outcome.view = std::make_unique<ReservationView>(std::move(view));
  return outcome;
}

std::vector<Line> sold_lines(const ReservationView& view) {
  std::vector<Line> lines;
  for (const crdt::HoldLine& line : view.lines)
    if (line.committed > line.returned) lines.push_back({line.sku, line.committed - line.returned});
  return lines;
}

}  // namespace holdfast::api
