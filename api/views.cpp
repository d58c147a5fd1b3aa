#include "api/views.h"

#include <cstring>

#include "api/json.h"

namespace holdfast::api {
namespace {

constexpr std::size_t kNameBytesMax = 32;

// One object being written. The names are literals of this file: short, and without anything to
// escape.
class ObjectText {
 public:
  explicit ObjectText(std::string& out) : out_(out) { out_.push_back('{'); }
  ~ObjectText() { out_.push_back('}'); }
  ObjectText(const ObjectText&) = delete;
  ObjectText& operator=(const ObjectText&) = delete;

  std::string& name(std::string_view name) {
    char text[kNameBytesMax + 4];
    std::size_t size = 0;
    if (!first_) text[size++] = ',';
    first_ = false;
    text[size++] = '"';
    std::memcpy(text + size, name.data(), name.size());
    size += name.size();
    text[size++] = '"';
    text[size++] = ':';
    out_.append(text, size);
    return out_;
  }
  void text(std::string_view name_, std::string_view value) { append_string(name(name_), value); }
  void integer(std::string_view name_, std::int64_t value) { append_integer(name(name_), value); }
  void count(std::string_view name_, std::uint64_t value) { append_unsigned(name(name_), value); }
  void boolean(std::string_view name_, bool value) { append_boolean(name(name_), value); }
  void time(std::string_view name_, std::int64_t wall_ms) { append_time(name(name_), wall_ms); }
  void raw(std::string_view name_, std::string_view json) { name(name_).append(json); }

  template <typename Items, typename Append>
  void list(std::string_view name_, const Items& items, Append&& append) {
    name(name_).push_back('[');
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_.push_back(',');
      first = false;
      append(out_, item);
    }
    out_.push_back(']');
  }

 private:
  std::string& out_;
  bool first_ = true;
};

std::string_view state_name(crdt::HoldState state) {
  switch (state) {
    case crdt::HoldState::committed:
      return "committed";
    case crdt::HoldState::released:
      return "released";
    case crdt::HoldState::expired:
      return "expired";
    case crdt::HoldState::held:
      break;
  }
  return "held";
}

void append(std::string& out, const node::SkuView& sku) {
  ObjectText object(out);
  object.text("sku", sku.sku);
  object.text("name", sku.name);
  object.raw("attributes", sku.attributes.empty() ? "{}" : sku.attributes);
  object.integer("low_stock_threshold", sku.low_stock_threshold);
  object.time("created_at", sku.created_at);
  object.time("updated_at", sku.updated_at);
  if (sku.handed_over != 0) object.integer("handed_over", sku.handed_over);
  if (sku.taken_in != 0) object.integer("taken_in", sku.taken_in);
  if (sku.moved_by == 0) return;
  object.integer("moved_by", static_cast<std::int64_t>(sku.moved_by));
  if (sku.moved_to.empty()) return;
  object.text("moved_to", sku.moved_to);
  object.integer("left", sku.left);
  object.integer("left_held", sku.left_held);
}

void append(std::string& out, const node::MoveView& move) {
  ObjectText object(out);
  object.text("sku", move.sku);
  object.text("replica", crdt::to_string(move.self));
  object.text("peer", crdt::to_string(move.peer));
  object.integer("total", move.total);
  object.integer("left", move.left);
  object.integer("on_hand", move.on_hand);
  object.integer("held", move.held);
}

void append(std::string& out, const node::StockChange& change) {
  ObjectText object(out);
  object.text("sku", change.sku);
  object.integer("delta", change.delta);
  object.integer("on_hand", change.on_hand);
  object.integer("available", change.available);
  object.integer("local_available", change.local_available);
  object.integer("allowance", change.allowance);
  if (!change.to.empty()) object.text("to", change.to);
}

void append(std::string& out, const node::RegionStock& region) {
  ObjectText object(out);
  object.text("region", region.region);
  object.integer("rights", region.rights);
  if (region.as_of == 0) {  // never heard from
    object.raw("as_of", "null");
    object.raw("lag_ms", "null");
  } else {
    object.time("as_of", region.as_of);
    object.integer("lag_ms", region.lag_ms);
  }
  object.boolean("reachable", region.reachable);
}

void append(std::string& out, const node::StockView& stock) {
  ObjectText object(out);
  object.text("sku", stock.sku);
  object.integer("on_hand", stock.on_hand);
  object.integer("held", stock.held);
  object.integer("sold", stock.sold);
  object.integer("returned", stock.returned);
  object.integer("available", stock.available);
  object.integer("local_available", stock.local_available);
  object.integer("allowance", stock.allowance);
  object.integer("exposure", stock.exposure);
  object.integer("debt", stock.debt);
  object.integer("oversold", stock.oversold);
  object.integer("low_stock_threshold", stock.low_stock_threshold);
  object.list("by_region", stock.by_region,
              [](std::string& o, const node::RegionStock& region) { append(o, region); });
}

void append(std::string& out, const node::AvailabilityItem& item) {
  ObjectText object(out);
  object.text("sku", item.sku);
  object.boolean("known", item.known);
  object.integer("available", item.available);
  object.integer("local_available", item.local_available);
}

void append(std::string& out, const node::Availability& availability) {
  ObjectText object(out);
  object.list("items", availability.items,
              [](std::string& o, const node::AvailabilityItem& item) { append(o, item); });
}

void append(std::string& out, const crdt::HoldLine& line, const node::Units* in_held) {
  ObjectText object(out);
  object.text("sku", line.sku);
  object.integer("requested", line.requested);
  object.integer("held", line.held);
  object.integer("committed", line.committed);
  object.integer("returned", line.returned);
  if (in_held != nullptr) object.integer("in_held", *in_held);
}

// Pages and reads don't tell how durable a reservation is: that is said of writes alone.
void append(std::string& out, const node::ReservationView& reservation, bool accepted = false) {
  ObjectText object(out);
  object.text("id", reservation.id);
  object.text("state", state_name(reservation.state));
  object.boolean("final", reservation.final);
  object.text("home", crdt::to_string(reservation.home));
  object.text("home_node", reservation.home_node);
  object.text("home_region", reservation.home_region);
  const auto& copy = reservation.copy;
  std::size_t at = 0;
  object.list("lines", reservation.lines, [&](std::string& o, const crdt::HoldLine& line) {
    append(o, line, copy && at < copy->in_held.size() ? &copy->in_held[at] : nullptr);
    ++at;
  });
  object.time("created_at", reservation.created_at);
  object.time("expires_at", reservation.expires_at);
  if (reservation.ended_at == 0) {
    object.raw("ended_at", "null");
  } else {
    object.time("ended_at", reservation.ended_at);
  }
  if (!reservation.metadata.empty()) object.raw("metadata", reservation.metadata);
  if (accepted || reservation.reached != node::Durability::node) {
    object.text("durability", durability_name(reservation.reached));
  }
  if (copy) object.boolean("stands", copy->stands);
}

template <typename Page>
void append_page(std::string& out, const Page& page) {
  ObjectText object(out);
  object.list("items", page.items, [](std::string& o, const auto& item) { append(o, item); });
  if (page.next.empty()) {
    object.raw("next", "null");
  } else {
    object.text("next", page.next);
  }
}
void append(std::string& out, const node::SkuPage& page) { append_page(out, page); }
void append(std::string& out, const node::ReservationPage& page) { append_page(out, page); }

void append(std::string& out, const node::NodeView& node) {
  ObjectText object(out);
  object.text("replica", crdt::to_string(node.replica));
  object.text("node", node.node);
  object.text("region", node.region);
  object.text("state", node.state);
  object.boolean("self", node.self);
  object.boolean("reachable", node.reachable);
  object.text("http_address", node.http_address);
  object.text("gossip_address", node.gossip_address);
  object.count("wire_version", node.wire_version);
  object.count("weight", node.weight);
  object.integer("last_heard_ms", node.last_heard_ms);
  object.integer("lag_ms", node.lag_ms);
  object.count("sequence", node.sequence);
  object.count("behind", node.behind);
  if (!node.warning.empty()) object.text("warning", node.warning);
}

// Nodes come sorted by region; each run of one region becomes one object.
void append_regions(std::string& out, const std::vector<node::NodeView>& nodes) {
  out.push_back('[');
  for (std::size_t i = 0; i < nodes.size();) {
    std::size_t end = i;
    while (end < nodes.size() && nodes[end].region == nodes[i].region) ++end;
    if (i > 0) out.push_back(',');
    ObjectText object(out);
    object.text("region", nodes[i].region);
    object.name("nodes").push_back('[');
    for (std::size_t k = i; k < end; ++k) {
      if (k > i) out.push_back(',');
      append(out, nodes[k]);
    }
    out.push_back(']');
    i = end;
  }
  out.push_back(']');
}

void append(std::string& out, const node::ClusterView& cluster) {
  ObjectText object(out);
  object.text("cluster", cluster.cluster);
  object.text("digest", cluster.digest);
  object.count("skus", cluster.skus);
  object.count("open_holds", cluster.open_holds);
  object.count("reservations", cluster.reservations);
  object.integer("exposure", cluster.exposure);
  object.integer("debt", cluster.debt);
  object.integer("oversold", cluster.oversold);
  object.integer("stranded", cluster.stranded);
  object.count("open_decrees", cluster.open_decrees);
  append_regions(object.name("regions"), cluster.nodes);
  object.list("faults", cluster.faults, append_fault);
}

void append(std::string& out, const node::Faults& faults) {
  ObjectText object(out);
  object.list("items", faults.items, append_fault);
}

void append(std::string& out, const node::DecreeSku& sku) {
  ObjectText object(out);
  object.text("sku", sku.sku);
  object.integer("seize", sku.seize);
  object.integer("open_holds", sku.open_holds);
}

void append(std::string& out, node::ReplicaId replica, const node::DecreeTarget& name) {
  ObjectText object(out);
  object.text("replica", crdt::to_string(replica));
  if (!name.node.empty()) object.text("node", name.node);
  if (!name.region.empty()) object.text("region", name.region);
}

void append(std::string& out, const node::DecreePlan& plan) {
  ObjectText object(out);
  object.boolean("dry_run", plan.dry_run);
  object.text("plan", plan.plan);
  std::size_t at = 0;
  object.list("targets", plan.targets, [&](std::string& o, crdt::ReplicaId replica) {
    static const node::DecreeTarget kUnheard;
    append(o, replica, at < plan.names.size() ? plan.names[at] : kUnheard);
    ++at;
  });
  object.integer("seize", plan.seize);
  object.integer("open_holds", plan.open_holds);
  object.list("skus", plan.skus,
              [](std::string& o, const node::DecreeSku& sku) { append(o, sku); });
}

void append(std::string& out, const node::DecreeAccount& account) {
  const bool retirement = account.kind == crdt::DecreeKind::retirement;
  ObjectText object(out);
  object.text("kind", retirement ? "retirement" : "failover");
  object.text("state", retirement ? "retired" : account.open ? "open" : "closed");
  object.text("target", crdt::to_string(account.target));
  object.text("node", account.node);
  object.text("region", account.region);
  object.integer("generation", account.generation);
  object.text("issuer", crdt::to_string(account.issuer));
  object.text("issuer_node", account.issuer_node);
  if (retirement) object.text("successor", crdt::to_string(account.successor));
  append_number(object.name("fraction"), account.fraction);
  object.time("issued_at", account.issued_at);
  if (account.closed_at == 0) {
    object.raw("closed_at", "null");
  } else {
    object.time("closed_at", account.closed_at);
  }
  object.integer("seized", account.seized);
  object.integer("open_holds", account.open_holds);
  object.integer("unseen", account.unseen);
  object.integer("spent_unseen", account.spent_unseen);
  object.integer("realized", account.realized);
  object.integer("repaid", account.repaid);
  object.integer("debt", account.debt);
}

void append(std::string& out, const node::DecreeAccounts& accounts) {
  ObjectText object(out);
  object.list("failovers", accounts.items,
              [](std::string& o, const node::DecreeAccount& account) { append(o, account); });
}

void append(std::string& out, const node::DrainView& drain) {
  ObjectText object(out);
  object.text("state", drain.state);
  if (!drain.successor) return;
  object.text("successor", crdt::to_string(drain.successor));
  object.text("successor_node", drain.node);
  object.count("open_holds", drain.open_holds);
  object.integer("units_given", drain.units);
  object.integer("wait_ms", drain.wait_ms);
}

struct AppendView {
  std::string& out;
  node::Code code;
  void operator()(std::monostate) const { out.append("{}"); }
  void operator()(const node::Worded& worded) const { out.append(worded.body); }
  void operator()(const node::Place&) const { out.append("{}"); }  // of refusals: problem.h
  // Numbers of the engine go out as metrics, see metrics.h.
  void operator()(const std::unique_ptr<node::Stats>&) const { out.append("{}"); }
  void operator()(const std::unique_ptr<node::ReservationView>& view) const {
    if (!view) return void(out.append("{}"));
    append(out, *view, code == node::Code::accepted);
  }
  template <typename View>
  void operator()(const View& view) const {
    append(out, view);
  }
  template <typename View>
  void operator()(const std::unique_ptr<View>& view) const {
    if (view) {
      append(out, *view);
    } else {
      out.append("{}");
    }
  }
};

}  // namespace

void append_fault(std::string& out, const node::LinkFault& fault) {
  ObjectText object(out);
  object.text("target", fault.target);
  object.boolean("drop", fault.drop);
  object.count("delay_ms", fault.delay_ms);
  append_number(object.name("loss"), fault.loss);
}

void append_view(std::string& out, const node::Outcome& outcome) {
  std::visit(AppendView{out, outcome.code}, outcome.view);
}

std::string_view durability_name(node::Durability durability) {
  switch (durability) {
    case node::Durability::region:
      return "region";
    case node::Durability::remote:
      return "remote";
    case node::Durability::node:
      break;
  }
  return "node";
}

const std::string& next_cursor(const node::Outcome& outcome) {
  static const std::string kNone;
  if (const auto* skus = std::get_if<node::SkuPage>(&outcome.view)) return skus->next;
  if (const auto* holds = std::get_if<node::ReservationPage>(&outcome.view)) return holds->next;
  return kNone;
}

}  // namespace holdfast::api
