#include "sim/shoppers.h"

#include <algorithm>
#include <boost/json.hpp>

#include "sim/lost_heirs.h"

namespace holdfast::sim {

namespace json = boost::json;

using crdt::HoldState;
using crdt::ReplicaId;
using crdt::Units;

namespace {

constexpr Time kPatience = 4 * kSecond;  // for an answer
constexpr int kAttempts = 3;
constexpr Time kCalmFor = 10 * kSecond;
constexpr Time kSlack = 2 * kSecond;

bool is_success(int status) { return status >= 200 && status < 300; }

// After these the customer knows what has happened. The others: ask again.
bool is_clear(int status) { return status < 500; }

// The lines of a reservation as told: one of their numbers, by SKU.
std::map<std::string, Units> lines_of(const std::string& body, const char* field) {
  std::map<std::string, Units> units;
  const json::value parsed = json::parse(body);
  for (const json::value& line : parsed.at("lines").as_array())
    units[std::string(line.at("sku").as_string())] = line.at(field).to_number<Units>();
  return units;
}

std::string lines_text(const std::vector<std::pair<std::string, Units>>& lines) {
  std::string text = "[";
  for (const auto& [sku, units] : lines) {
    if (text.size() > 1) text += ",";
    text += R"({"sku":")" + sku + R"(","quantity":)" + std::to_string(units) + "}";
  }
  return text + "]";
}

std::string told(int status, const std::string& body) {
  return std::to_string(status) + " " + body.substr(0, 300);
}

}  // namespace

Shoppers::Shoppers(World& world, Checks& checks, const Plan& plan)
    : world_(world), checks_(checks), plan_(plan), skus_(plan.skus) {}

void Shoppers::schedule(Time begin) {
  for (const PlannedOperation& planned : plan_.operations)
    world_.events().at(begin + planned.at_ms * kMillisecond,
                       [this, &planned] { carry_out(planned); });
}

void Shoppers::lost_disk(std::size_t node) { lost_.insert(node); }

// What it said last is with one other node at least; which may have lost its disk.
void Shoppers::retired(std::size_t node) {
  if (!lost_.empty()) lost_.insert(node);
}

void Shoppers::lost_suffix(std::size_t node, const std::set<std::string>& keys,
                           const std::set<std::string>& holds) {
  rolled_back_.insert(node);
  for (Asked& asked : asked_)
    if (!asked.call.key.empty() &&
        keys.contains(asked.call.method + " " + asked.call.target + "\n" + asked.call.key))
      asked.lost = true;
  for (Cart& cart : carts_) cart.lost = cart.lost || holds.contains(cart.id);
}

// More than one may have decided on it.
bool Shoppers::contested(const Cart& cart) const {
  if (cart.twice || cart.contested) return true;
  for (const crdt::Hold* copy = checks_.ghost().first_copy(cart.id); copy != nullptr;
       copy = copy->next_copy.get())
    if (copy->next_copy || checks_.contested(copy->origin)) return true;
  return false;
}

// Its home is gone for good, and nobody is its heir.
bool Shoppers::decided_by_nobody(const Cart& cart) const {
  const crdt::Hold* hold = checks_.hold(cart.id);
  if (hold == nullptr) return false;
  const ReplicaId home = checks_.ghost().heir(hold->origin);
  for (std::size_t node = 0; node < world_.nodes(); ++node)
    if (world_.node(node).replica() == home) return false;
  return true;
}

std::size_t Shoppers::other_node(const PlannedOperation& planned) const {
  return (planned.node + 1 + planned.x % (plan_.nodes - 1)) % plan_.nodes;
}

// One key, by a customer who has no patience: counted once.
void Shoppers::receive_twice(const PlannedOperation& planned) {
  const std::string sku = this->sku(planned.x);
  const Units units = 1 + planned.y % 40;
  Asked asked{
      .kind = planned.kind,
      .node = planned.node,
      .call = {"POST", "/v1/skus/" + sku + "/receipts",
               R"({"quantity":)" + std::to_string(units) + "}", "k" + std::to_string(++keys_)},
      .sku = sku,
      .units = units};
  ask(asked);
  asked.node = other_node(planned);
  asked.units = 0;  // it is the same receipt
  asked.first = asked_.size() - 1;
  ask(std::move(asked));
}

// ── asking ──────────────────────────────────────────────────────────────────────────────────────

std::size_t Shoppers::known_cart(std::uint32_t x) const {
  if (carts_.empty()) return SIZE_MAX;
  // Mostly a late one: what has just been made is what races.
  const std::size_t back =
      x % 3 == 0 ? x % carts_.size() : x % std::min<std::size_t>(4, carts_.size());
  return carts_.size() - 1 - back;
}

void Shoppers::carry_out(const PlannedOperation& planned) {
  if (!world_.takes_part(planned.node)) return;
  const Units few = 1 + planned.y % 6;
  const std::string sku = this->sku(planned.x);
  const auto change = [&](const char* what, const std::string& body, Units units) {
    ask({.kind = planned.kind,
         .node = planned.node,
         .call = {"POST", "/v1/skus/" + sku + "/" + what, body, "k" + std::to_string(++keys_)},
         .sku = sku,
         .units = units});
  };
  switch (planned.kind) {
    case OperationKind::receive: {
      const Units units = 1 + planned.y % 40;
      return change("receipts", R"({"quantity":)" + std::to_string(units) + "}", units);
    }
    case OperationKind::adjust: {
      const Units units = planned.y % 3 == 0 ? few : -few;
      return change("adjustments", R"({"reason":"recount","delta":)" + std::to_string(units) + "}",
                    units);
    }
    case OperationKind::allow: {
      const Units units = planned.y % 3 == 0 ? -few : few;
      return change("allowances", R"({"delta":)" + std::to_string(units) + "}", units);
    }
    case OperationKind::grant: {
      const std::string to = world_.node(planned.y / 7 % plan_.nodes).name();
      return change("grants", R"({"to":")" + to + R"(","quantity":)" + std::to_string(few) + "}",
                    0);
    }
    case OperationKind::reserve:
    case OperationKind::reserve_cart:
    case OperationKind::reserve_twice:
      return reserve(planned);
    case OperationKind::receive_twice:
      return receive_twice(planned);
    case OperationKind::read:
      return ask({.kind = planned.kind,
                  .node = planned.node,
                  .call = {"GET", "/v1/skus/" + sku + "/stock", "", ""},
                  .mutates = false});
    default:
      return verb(planned);
  }
}

void Shoppers::reserve(const PlannedOperation& planned) {
  Cart cart{.id = "c" + std::to_string(carts_.size()),
            .node = planned.node,
            .ttl_seconds = 1 + planned.y % plan_.ttl_seconds_max,
            .partial = planned.x % 5 == 0};
  cart.twice = planned.kind == OperationKind::reserve_twice;
  const std::size_t lines = planned.kind != OperationKind::reserve_cart ? 1 : 1 + planned.y % skus_;
  for (std::size_t i = 0; i < lines; ++i)
    cart.lines.emplace_back(sku(planned.x + static_cast<std::uint32_t>(i)),
                            1 + (planned.y >> i) % 8);
  const int wait_ms = planned.y % 4 == 0 ? 0 : 50 + static_cast<int>(planned.y % 500);
  const std::string body = R"({"lines":)" + lines_text(cart.lines) + R"(,"ttl_seconds":)" +
                           std::to_string(cart.ttl_seconds) + R"(,"wait_ms":)" +
                           std::to_string(wait_ms) + R"(,"partial":)" +
                           (cart.partial ? "true" : "false") + "}";
  const std::string target = "/v1/reservations/" + cart.id;
  carts_.push_back(std::move(cart));
  Asked asked{.kind = planned.kind,
              .node = planned.node,
              .call = {"PUT", target, body, ""},
              .cart = carts_.size() - 1,
              .wait = wait_ms * kMillisecond};
  ask(asked);
  if (!carts_[asked.cart].twice) return;
  asked.node = other_node(planned);
  ask(std::move(asked));
}

void Shoppers::verb(const PlannedOperation& planned) {
  const std::size_t number = known_cart(planned.x);
  if (number == SIZE_MAX) return;
  Cart& cart = carts_[number];
  const std::string target = "/v1/reservations/" + cart.id;
  const auto& [sku, units] = cart.lines[planned.y % cart.lines.size()];
  const Units some = 1 + planned.y % units;
  Asked asked{.kind = planned.kind, .node = planned.node, .cart = number};
  switch (planned.kind) {
    case OperationKind::commit:
      asked.call = {"POST", target + "/commit", "{}", ""};
      break;
    case OperationKind::commit_part:
      asked.call = {"POST", target + "/commit", R"({"lines":)" + lines_text({{sku, some}}) + "}",
                    ""};
      break;
    case OperationKind::commit_at_deadline: {
      const crdt::Hold* hold = checks_.hold(cart.id);
      if (hold == nullptr || hold->row.state != HoldState::held) return;
      asked.node = cart.node;
      asked.call = {"POST", target + "/commit", "{}", ""};
      const Machine& home = world_.node(cart.node);
      const Time left = (hold->row.expires_at - home.wall_now_ms()) * kMillisecond;
      const Time aim =
          left - world_.options().client_latency + (static_cast<Time>(planned.y % 41) - 20) * 100;
      return world_.events().after(std::max<Time>(aim, 0), [this, asked] { ask(asked); });
    }
    case OperationKind::release:
      asked.call = {"POST", target + "/release", "", ""};
      break;
    case OperationKind::extend:
      asked.call = {
          "POST", target + "/extend",
          R"({"ttl_seconds":)" + std::to_string(1 + planned.y % plan_.ttl_seconds_max) + "}", ""};
      break;
    default:
      asked.sku = sku;
      asked.units = some;
      asked.call = {"POST", target + "/return", R"({"lines":)" + lines_text({{sku, some}}) + "}",
                    "k" + std::to_string(++keys_)};
  }
  ask(std::move(asked));
}

void Shoppers::ask(Asked asked) {
  asked_.push_back(std::move(asked));
  send(asked_.size() - 1);
}

void Shoppers::send(std::size_t number) {
  Asked& asked = asked_[number];
  const int attempt = ++asked.attempts;
  // One that a copy of a directory has made is known to nobody else before that is found out.
  const bool existed = asked.cart != SIZE_MAX && can_know(asked.node, carts_[asked.cart].id);
  if (attempt > 1 && !asked.call.key.empty() &&
      checks_.ghost().key(asked.call.method + " " + asked.call.target + "\n" + asked.call.key))
    checks_.saw("a key was repeated on another connection after its effect");
  if (attempt > 1 && asked.call.method == "PUT" && checks_.hold(carts_[asked.cart].id))
    checks_.saw("a reservation was asked for again after it was held");
  world_.http(world_.region_of(asked.node), asked.node, asked.call,
              [this, number, existed](const api::Response& response) {
                // Of a retired home nobody asks any more, once its rows are not here they may
                // never be.
                const bool retired =
                    asked_[number].cart != SIZE_MAX && contested(carts_[asked_[number].cart]);
                if (response.status == 404 && existed && lost_.empty() && !retired && !purges() &&
                    (asked_[number].cart == SIZE_MAX || !carts_[asked_[number].cart].lost))
                  checks_.fail("acknowledged-and-unknown",
                               asked_[number].call.target + ": " + response.body);
                on_answer(number, response);
              });
  if (resolving_) return;
  expect_answer(number);
  world_.events().after(kPatience, [this, number, attempt] {
    const Asked& late = asked_[number];
    if (!resolving_ && !late.clear && late.attempts == attempt && attempt < kAttempts) send(number);
  });
}

// Some copy of it is durable, and not only at a copy of a directory of which this node has never
// heard: nobody expects that one, so nobody waits for it either.
bool Shoppers::can_know(std::size_t node, const std::string& id) const {
  const crdt::Hold* hold = checks_.ghost().hold(id);
  if (hold == nullptr) return false;
  const Machine& asked = world_.node(node);
  // One of two histories, cut off, has not heard of those who joined by way of the other.
  bool may_not = checks_.is_forked(asked);
  for (std::size_t i = 0; i < world_.nodes(); ++i)
    may_not =
        may_not || (i != node && world_.is_spare(i) && world_.node(i).replica() == hold->origin);
  return !may_not || (asked.lives() && asked.engine().state().member(hold->origin) != nullptr);
}

// A node that nothing happens to answers a reservation when its wait is over, whatever the others
// do.
void Shoppers::expect_answer(std::size_t number) {
  const Asked& asked = asked_[number];
  const Machine& machine = world_.node(asked.node);
  const bool new_here = asked.call.method == "PUT" && asked.attempts == 1;
  const bool well = machine.lives() && !machine.paused() && machine.disk_is_well();
  if (!new_here || !well || machine.calm_since() > world_.now() - kCalmFor) return;
  judge_lateness(number, asked.wait + kSlack, machine.calm_since(), false);
}

bool Shoppers::has_neighbours(std::size_t node) const {
  for (std::size_t other = 0; other < world_.nodes(); ++other)
    if (other != node && world_.node(other).region() == world_.node(node).region()) return true;
  return false;
}

// One that asks another of its region first, which may be out of reach, has twice as long.
void Shoppers::judge_lateness(std::size_t number, Time after, Time since, bool again) {
  world_.events().after(after, [this, number, since, again] {
    const Asked& late = asked_[number];
    const Machine& machine = world_.node(late.node);
    if (late.answers > 0 || !machine.lives() || machine.calm_since() != since) return;
    if (has_neighbours(late.node) && !again)
      return judge_lateness(number, late.wait + kSlack, since, true);
    checks_.fail("answered-late", late.call.target + " has no answer " +
                                      std::to_string(kSlack / kMillisecond) +
                                      " ms after the end of its wait");
  });
}

// ── the books ───────────────────────────────────────────────────────────────────────────────────

void Shoppers::on_answer(std::size_t number, const api::Response& response) {
  Asked& asked = asked_[number];
  ++asked.answers;
  const bool success = is_success(response.status);
  if (asked.clear && is_success(asked.status)) {
    if (success) check_repeated(asked, response);
    return;
  }
  if (!is_clear(response.status)) return;
  if (response.status == 400 || response.status == 405 || response.status == 413)
    checks_.fail("refused-a-valid-call", asked.call.method + " " + asked.call.target + ": " +
                                             told(response.status, response.body));
  asked.clear = true;
  asked.status = response.status;
  asked.answer = response.body;
  check_durable(asked);
  if (success) note(asked);
}

// A retry has the same outcome.
void Shoppers::check_repeated(const Asked& asked, const api::Response& response) {
  if (doubtful(asked) || (asked.cart != SIZE_MAX && doubtful(carts_[asked.cart]))) return;
  bool same = true;
  if (!asked.call.key.empty()) {
    // Of a key that took effect twice the lower replica's answer stands.
    same = response.body == asked.answer || asked.kind == OperationKind::receive_twice;
  } else if (asked.cart != SIZE_MAX && asked.kind != OperationKind::extend) {
    const Cart& cart = carts_[asked.cart];
    if (cart.partial && contested(cart)) return;  // each copy holds what there was
    same = lines_of(response.body, "held") == lines_of(asked.answer, "held");
  }
  if (!same)
    checks_.fail("retry-differs", asked.call.method + " " + asked.call.target + ": first " +
                                      told(asked.status, asked.answer) + ", then " +
                                      told(response.status, response.body));
}

// What is answered is durable already, somewhere.
void Shoppers::check_durable(const Asked& asked) {
  const crdt::Hold* hold = asked.cart == SIZE_MAX ? nullptr : checks_.hold(carts_[asked.cart].id);
  const bool commits = asked.call.target.ends_with("/commit");
  if (commits && hold != nullptr) {
    const bool in_time =
        hold->row.state == HoldState::committed && hold->row.expires_at - hold->row.ended_at <= 1;
    const bool too_late = hold->row.state == HoldState::expired && asked.status == 409 &&
                          asked.kind == OperationKind::commit_at_deadline &&
                          world_.node(asked.node).wall_now_ms() - hold->row.ended_at <=
                              2 + world_.options().client_latency / kMillisecond;
    if (in_time || too_late) checks_.saw("expiry and commit in one tick");
  }
  if (!is_success(asked.status) || !asked.mutates) return;
  bool durable = true;
  if (!asked.call.key.empty()) {
    durable = checks_.has_key(asked.call.method + " " + asked.call.target + "\n" + asked.call.key);
  } else if (asked.kind != OperationKind::extend) {
    durable = hold != nullptr && (!commits || hold->row.state == HoldState::committed) &&
              (asked.kind != OperationKind::release || hold->row.state == HoldState::released);
  }
  // It was purged, or its disk was put back, while the answer was on its way.
  if (asked.cart != SIZE_MAX && purged(carts_[asked.cart])) return;
  if (asked.lost || (asked.cart != SIZE_MAX && carts_[asked.cart].lost)) return;
  if (!durable && (asked.cart == SIZE_MAX || hold == nullptr || !contested(carts_[asked.cart])))
    checks_.fail("acknowledged-and-not-durable", asked.call.method + " " + asked.call.target +
                                                     ": " + told(asked.status, asked.answer));
}

void Shoppers::note(const Asked& asked) {
  if (asked.cart == SIZE_MAX) return;  // counted in audit()
  note_reservation(asked);
}

void Shoppers::note_reservation(const Asked& asked) {
  Cart& cart = carts_[asked.cart];
  cart.contested = contested(cart);
  const std::map<std::string, Units> held = lines_of(asked.answer, "held");
  const bool in_parts_twice = cart.contested && cart.partial;  // each holds what it had
  if (!cart.held.empty() && cart.held != held && !in_parts_twice)
    checks_.fail("retry-differs", cart.id + ": what is held has changed");
  cart.held = held;
  if (!cart.answered_at) cart.answered_at = world_.now();
  if (!cart.partial && asked.call.method == "PUT") {
    std::map<std::string, Units> wanted;
    for (const auto& [sku, units] : cart.lines) wanted[sku] += units;
    if (held != wanted) checks_.fail("held-something-else", cart.id + ": " + asked.answer);
  } else if (cart.partial && asked.call.method == "PUT") {
    std::map<std::string, Units> wanted;
    for (const auto& [sku, units] : cart.lines) wanted[sku] += units;
    if (held != wanted) checks_.saw("a cart was held in part");
  }
  if (asked.call.target.ends_with("/commit")) {
    const auto committed = lines_of(asked.answer, "committed");
    cart.sold.push_back(committed);
    if (cart.committed && *cart.committed != committed && !contested(cart))
      checks_.fail("retry-differs", cart.id + ": what was sold has changed");
    cart.committed = committed;
  }
  if (asked.kind == OperationKind::release) cart.released = true;
  if (asked.kind == OperationKind::give_back) cart.returned[asked.sku] += asked.units;
  if (cart.committed && cart.released && contested(cart))
    checks_.saw("a reservation was committed here and released there");
  if (cart.committed && cart.released && !contested(cart))
    checks_.fail("hold-ended-twice", cart.id + ": acknowledged as committed and as released");
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

std::optional<api::Response> Shoppers::call(std::size_t node, const HttpCall& call, Time limit) {
  auto answer = std::make_shared<std::optional<api::Response>>();
  world_.http(world_.region_of(node), node, call,
              [answer](const api::Response& response) { *answer = response; });
  world_.run_until([&] { return answer->has_value(); }, world_.now() + limit);
  return *answer;
}

// An id that no row names is 503, not 404, for as long as a member is away; a lost disk's is for
// ever.
bool Shoppers::can_be_resolved(const Cart& cart) const {
  return !doubtful(cart) && (lost_.empty() || checks_.hold(cart.id) != nullptr) &&
         !decided_by_nobody(cart) && !purged(cart);
}

void Shoppers::resolve() {
  resolving_ = true;
  for (std::size_t number = 0; number < asked_.size(); ++number) {
    const bool again = asked_[number].attempts > 1 || !asked_[number].clear;
    if (!again || !asked_[number].mutates || doubtful(asked_[number])) continue;
    if (asked_[number].cart != SIZE_MAX && !can_be_resolved(carts_[asked_[number].cart])) continue;
    for (int tries = 0; tries < 10 && !checks_.violation(); ++tries) {
      const bool was_success = asked_[number].clear && is_success(asked_[number].status);
      asked_[number].clear = was_success;
      auto answered = std::make_shared<int>(0);
      ++asked_[number].attempts;
      world_.http(world_.region_of(asked_[number].node), asked_[number].node, asked_[number].call,
                  [this, number, answered](const api::Response& response) {
                    *answered = response.status;
                    on_answer(number, response);
                  });
      world_.run_until([&] { return *answered != 0; }, world_.now() + kPatience);
      if (*answered == 0 || !is_clear(*answered)) continue;
      if (was_success && !is_success(*answered) && asked_[number].kind != OperationKind::extend &&
          (asked_[number].cart == SIZE_MAX || !contested(carts_[asked_[number].cart])))
        checks_.fail("retry-differs", asked_[number].call.method + " " +
                                          asked_[number].call.target + ": acknowledged, and then " +
                                          std::to_string(*answered));
      break;
    }
    // With as many open holds as may be, a reservation is refused for now, and not recorded.
    const bool no_room = asked_[number].call.method == "PUT" && few_holds() &&
                         (carts_[asked_[number].cart].twice ||
                          checks_.hold(carts_[asked_[number].cart].id) == nullptr);
    // What a retired home sold cannot be returned there: 503, and what to do instead.
    // And a commit may lack rights: 503, until somebody has some to give.
    const bool nowhere = asked_[number].cart != SIZE_MAX &&
                         contested(carts_[asked_[number].cart]) &&
                         (asked_[number].kind == OperationKind::give_back || checks_.any_forks());
    if (!asked_[number].clear && !no_room && !nowhere)
      checks_.fail("no-clear-answer", asked_[number].call.method + " " +
                                          asked_[number].call.target + " at " +
                                          world_.node(asked_[number].node).name());
    if (checks_.violation()) return;
  }
}

void Shoppers::audit() {
  std::map<std::string, Figures> figures;
  for (std::size_t i = 0; i < skus_; ++i) figures[sku(static_cast<std::uint32_t>(i))];
  for (const Asked& asked : asked_) {
    if (asked.kind == OperationKind::receive_twice) {
      if (asked.first != SIZE_MAX) count_twice(asked_[asked.first], asked, figures[asked.sku]);
      continue;
    }
    const bool sure = asked.clear && !doubtful(asked);
    if (asked.clear && !is_success(asked.status) && sure) continue;
    Figures& of = figures[asked.sku];
    if (asked.kind == OperationKind::receive || asked.kind == OperationKind::adjust)
      of.received.add(asked.units, sure);
    if (asked.cart != SIZE_MAX && !asked.clear) carts_[asked.cart].end_in_doubt = true;
    if (asked.kind == OperationKind::allow) of.allowance.add(asked.units, sure);
    if (asked.kind == OperationKind::give_back && !sure &&
        !(asked.clear && !is_success(asked.status)))
      carts_[asked.cart].returns_in_doubt = true;
  }
  figures.erase("");
  audit_carts(figures);
  if (!checks_.violation()) audit_stock(figures);
}

// One receipt, asked for at two nodes.
void Shoppers::count_twice(const Asked& one, const Asked& other, Figures& of) const {
  const auto done = [&](const Asked& asked) {
    return asked.clear && is_success(asked.status) && !doubtful(asked);
  };
  const auto refused = [&](const Asked& asked) {
    return asked.clear && !is_success(asked.status) && !doubtful(asked);
  };
  if (!refused(one) || !refused(other)) of.received.add(one.units, done(one) || done(other));
  // Who should undo the second may be gone, and nobody is its heir.
  if (!lost_.empty()) of.received.add(one.units, false);
}

void Shoppers::audit_carts(std::map<std::string, Figures>& figures) {
  for (const Cart& cart : carts_) {
    audit_cart(cart, figures);
    if (checks_.violation()) return;
  }
}

// Its row is gone: what was told of it, or would have been, is all there is.
void Shoppers::count_purged(const Cart& cart, std::map<std::string, Figures>& figures) const {
  checks_.saw("a reservation was purged");
  const bool sure = !contested(cart) && !cart.end_in_doubt && !cart.returns_in_doubt;
  for (const auto& [sku, units] : cart.lines) {
    if (sure) continue;
    figures[sku].sold.add(units, false);
    figures[sku].returned.add(units, false);
  }
  if (!sure || !cart.committed) return;
  for (const auto& [sku, units] : *cart.committed) figures[sku].sold.add(units, true);
  for (const auto& [sku, units] : cart.returned) figures[sku].returned.add(units, true);
}

void Shoppers::audit_cart(const Cart& cart, std::map<std::string, Figures>& figures) {
  if (purged(cart) && !doubtful(cart)) return count_purged(cart, figures);
  // Whoever decided on it elsewhere may have lost its disk since.
  const bool contested = this->contested(cart);
  if (doubtful(cart) || decided_by_nobody(cart) || (contested && !lost_.empty())) {
    for (const auto& [sku, units] : cart.lines) {
      figures[sku].held.add(units, false);
      figures[sku].sold.add(units, false);
      figures[sku].returned.add(units, false);
    }
    return;
  }
  const std::size_t at = (cart.node + cart.id.size()) % plan_.nodes;
  const auto answer = call(at, {"GET", "/v1/reservations/" + cart.id, "", ""}, 10 * kSecond);
  const auto wrong = [&](const std::string& what) {
    checks_.fail(
        "reservation-unlike-answers",
        cart.id + " " + what + ": " + (answer ? told(answer->status, answer->body) : "no answer"));
  };
  if (!answer) return wrong("cannot be read");
  if (purged(cart)) return count_purged(cart, figures);  // this very moment
  if (cart.held.empty()) {
    const bool unknown =
        answer->status == 404 || (answer->status == 503 && (!lost_.empty() || purges()));
    return unknown ? void() : wrong("was never acknowledged, and is there");
  }
  if (answer->status != 200) return wrong("was acknowledged, and is gone");
  const json::value shown = json::parse(answer->body);
  const std::string state(shown.at("state").as_string());
  if (cart.committed && state != "committed") return wrong("was committed");
  const bool overruled = contested && state == "committed" && (cart.committed || cart.end_in_doubt);
  if (cart.released && state != "released" && !overruled) return wrong("was released");
  const bool nobody_was_told = !cart.committed && !cart.released && !cart.end_in_doubt;
  // Of two copies one may have given way, and the other's customer never come.
  if (nobody_was_told && state != "expired" && state != "held" && !contested)
    return wrong("ended in a way that nobody was told of");
  if (nobody_was_told && state == "committed") return wrong("was sold, and nobody was told");
  if (lines_of(answer->body, "held") != cart.held && !(contested && cart.partial))
    return wrong("holds something else");
  const auto sold = lines_of(answer->body, "committed");
  if (cart.committed && std::find(cart.sold.begin(), cart.sold.end(), sold) == cart.sold.end() &&
      !(contested && cart.end_in_doubt))
    return wrong("sold something else");
  if (state == "held") return wrong("is past its deadline, and held");
  for (const auto& [sku, units] : lines_of(answer->body, "returned")) {
    const auto told = cart.returned.find(sku);
    const Units by_answers = told == cart.returned.end() ? 0 : told->second;
    if (!cart.returns_in_doubt && units != by_answers && !contested)
      return wrong("has other returns");
    figures[sku].returned.add(units, true);
    // What was returned of a copy that gave way afterwards is in its own totals.
    if (!contested) continue;
    for (const auto& line : cart.lines) {
      if (line.first != sku) continue;
      figures[sku].returned.add(line.second, false);
      figures[sku].sold.add(line.second, false);
    }
  }
  for (const auto& [sku, units] : sold) figures[sku].sold.add(units, true);
}

void Shoppers::audit_stock(const std::map<std::string, Figures>& figures) {
  std::set<ReplicaId> alive;
  for (std::size_t node = 0; node < world_.nodes(); ++node)
    if (world_.takes_part(node)) alive.insert(world_.node(node).replica());
  for (const auto& [sku, sums] : figures) {
    for (std::size_t node = 0; node < world_.nodes(); ++node) {
      if (!world_.takes_part(node)) continue;
      const auto answer = call(node, {"GET", "/v1/skus/" + sku + "/stock", "", ""}, 10 * kSecond);
      if (!answer || answer->status != 200)
        return checks_.fail("account", sku + " cannot be read at node " + std::to_string(node));
      const json::value shown = json::parse(answer->body);
      const auto units = [&](const char* field) { return shown.at(field).to_number<Units>(); };
      const auto within = [&](const char* field, Units low, Units high) {
        if (units(field) < low || units(field) > high)
          checks_.fail("account", sku + " at " + world_.node(node).name() + ": " + field + " is " +
                                      std::to_string(units(field)) + ", must be " +
                                      std::to_string(low) +
                                      (low == high ? "" : " to " + std::to_string(high)));
      };
      // What an heir that is gone ended besides counts twice, as long as nobody may take it back.
      const EndedTwice besides = ended_twice(world_.node(node).engine().state(), alive)[sku];
      const Units sold = sums.sold.high + besides.sold;
      const Units returned = sums.returned.high + besides.returned;
      within("on_hand", sums.received.low - sold + sums.returned.low,
             sums.received.high - sums.sold.low + returned);
      within("held", sums.held.low - besides.held, sums.held.high);
      within("sold", sums.sold.low, sold);
      within("returned", sums.returned.low, returned);
      within("allowance", sums.allowance.low, sums.allowance.high);
      // Of rights that one lost disk gave to another, nobody knows both ends any more: the other's
      // show as less than none, and count as none. So they tell of stock whose rows are lost.
      const Units left = units("on_hand") - units("held");
      const Units undone = checks_.undone(sku);
      const bool exact = lost_.empty() && !checks_.any_forks();
      const Units came =
          lost_.empty() ? units("on_hand") : sums.received.high - sums.sold.low + returned;
      within("available", left, exact ? left : came + besides.held + undone + checks_.forked(sku));
      if (exact && undone == 0 && units("available") < -units("allowance"))
        within("available", 0, 0);
    }
  }
}

// ── progress ────────────────────────────────────────────────────────────────────────────────────

void Shoppers::check_progress(const std::vector<std::size_t>& nodes) {
  if (few_holds()) return;  // more may be refused
  for (const std::size_t node : nodes) {
    if (!world_.node(node).lives()) continue;  // it was retired, and is replaced just now
    const crdt::State& own = world_.node(node).engine().state();
    // A retired one that no peer has heard to its end serves nobody; who is declared lost is given
    // nothing but what it owes.
    if (own.retired(own.self())) continue;
    if (!world_.node(node).stats().ready) continue;  // it waits for a peer to confirm it
    try_for_too_much(node);
    if (own.decreed(own.self())) continue;
    for (std::size_t i = 0; i < skus_ && !checks_.violation(); ++i) {
      if (!world_.node(node).lives()) break;
      try_to_hold(node, sku(static_cast<std::uint32_t>(i)), nodes);
    }
  }
}

// Why `node` should hold a unit for its customers now; empty: nothing says that it should.
std::string Shoppers::why_it_should_hold(std::size_t node, const std::string& sku,
                                         const std::vector<std::size_t>& nodes) const {
  const crdt::State& state = world_.node(node).engine().state();
  const crdt::Product* product = state.product(sku);
  if (product == nullptr) return "";
  // Written by one that became a fork, and not come anew: who has it may be out of reach.
  if (checks_.any_forks() && product->descriptions.empty()) return "";
  if (product->stock.rights(state.self()) > 0) return "it has rights";
  // Under a policy that never moves rights a region has what it has.
  if (!world_.options().rebalance.policy->moves_for_customers()) return "";
  for (const std::size_t other : nodes) {
    const ReplicaId peer = world_.node(other).replica();
    // What a retired one has left is its heir's, who may be out of reach.
    if (other != node && !state.retired(peer) && product->stock.rights(peer) > 0)
      return "its peers have rights";
  }
  return "";
}

// More than there is: refused, and not after more than wait_ms. A few times it may be unknown
// whether a home of the SKU has decided: links that were cut may end only now.
void Shoppers::try_for_too_much(std::size_t node) {
  const HttpCall too_much{"PUT", "/v1/reservations/probe" + std::to_string(++probes_),
                          R"({"wait_ms":300,"lines":)" + lines_text({{sku(0), 900'000}}) + "}", ""};
  auto answer = call(node, too_much, 3 * kSecond);
  for (int again = 0; again < 3 && answer && answer->status == 504; ++again)
    answer = call(node, too_much, 3 * kSecond);
  // The SKU, with a disk or with a replica that was retired.
  const bool lost =
      answer && answer->status == 404 && (!lost_.empty() || !checks_.ghost().retired().empty());
  if (!lost && (!answer || answer->status != 409))
    checks_.fail("no-progress", world_.node(node).name() + " does not refuse a cart in time: " +
                                    (answer ? told(answer->status, answer->body) : "no answer"));
}

void Shoppers::try_to_hold(std::size_t node, const std::string& sku,
                           const std::vector<std::size_t>& nodes) {
  std::string why = why_it_should_hold(node, sku, nodes), last = "no answer";
  // Another holder may be first, or a peer's rights set aside for its own customers: a few times.
  for (int tries = 0; tries < 5 && !why.empty(); ++tries) {
    const std::string id = "probe" + std::to_string(++probes_);
    const HttpCall hold{
        "PUT", "/v1/reservations/" + id,
        R"({"wait_ms":2000,"ttl_seconds":10,"lines":)" + lines_text({{sku, 1}}) + "}", ""};
    const auto answer = call(node, hold, 10 * kSecond);
    if (answer) last = told(answer->status, answer->body);
    if (!answer || answer->status != 201) {
      world_.run_until(world_.now() + kSecond);
      // A customer who waited since before the mending may have taken all that there was.
      if (answer && answer->status == 409 && world_.node(node).lives())
        why = why_it_should_hold(node, sku, nodes);
      continue;
    }
    const auto freed =
        call(node, {"POST", "/v1/reservations/" + id + "/release", "", ""}, 10 * kSecond);
    if (freed && freed->status == 200) return;
    last = freed ? told(freed->status, freed->body) : "no answer to the release";
  }
  if (!why.empty())
    checks_.fail("no-progress", world_.node(node).name() + " does not hold " + sku + " although " +
                                    why + ": " + last);
}

}  // namespace holdfast::sim
