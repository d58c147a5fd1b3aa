#include "node/decrees.h"

#include <algorithm>

#include "crdt/check.h"
#include "crdt/digest.h"

namespace holdfast::node {

using crdt::Decree;
using crdt::DecreeKind;
using crdt::DecreeRow;
using crdt::Instant;
using crdt::Millis;
using crdt::PeerTotals;
using crdt::Product;
using crdt::StockRow;

namespace {

constexpr std::uint32_t kWhole = 1'000'000;
constexpr Millis kLookEvery{100}, kLookAtLeast{5'000};

Units part_of(Units units, std::uint32_t ppm) {
  return static_cast<Units>(static_cast<__int128>(units) * ppm / kWhole);
}

Outcome not_known(const std::string& target) {
  return refused(Code::unknown_target, "'" + target +
                                           "' is not a region or replica that this node has a view "
                                           "of; see GET /v1/cluster");
}

Outcome own(const std::string& target) {
  return refused(Code::own_region,
                 "'" + target +
                     "' is this node's own: it is not lost while it answers; ask a node of another "
                     "region");
}

Outcome is_retired(const std::string& target) {
  return refused(Code::replica_retired,
                 "'" + target + "' was retired: it has nothing left that could be seized");
}

Outcome is_not_to_be_decreed(const std::string& target) {
  return refused(
      Code::replica_retired,
      "'" + target +
          "' was retired, for ever: it cannot be declared lost. If something has come to "
          "light that it had left, retire it once more: POST /v1/replicas/{id}/retire");
}

}  // namespace

// ── what a decree would do ──────────────────────────────────────────────────────────────────────

std::uint32_t Decrees::next_generation(ReplicaId target) const {
  std::uint32_t last = 0;
  for (auto at = state_.decrees().lower_bound({target, 0, {}});
       at != state_.decrees().end() && std::get<0>(at->first) == target; ++at)
    last = std::max(last, std::get<1>(at->first));
  return last + 1;
}

Decrees::Amounts Decrees::amounts_of(std::vector<ReplicaId> targets, std::uint32_t fraction_ppm,
                                     ReplicaId successor) const {
  Amounts amounts;
  amounts.open_holds.resize(targets.size());
  std::map<std::string_view, Units> held;  // by SKU
  for (std::size_t i = 0; i < targets.size(); ++i) {
    amounts.generations.push_back(next_generation(targets[i]));
    amounts.holds_upto.push_back(0);
    const auto& holds = state_.holds();
    for (auto at = holds.lower_bound({targets[i], 0});
         at != holds.end() && at->first.first == targets[i]; ++at) {
      amounts.holds_upto.back() = at->first.second;
      if (at->second->row.state != crdt::HoldState::held || at->second->row.overruled) continue;
      for (const crdt::HoldLine& line : at->second->row.lines) {
        held[line.sku] += line.held;
        amounts.open_holds[i] += line.held;
      }
    }
  }
  std::string text;  // what the digest is of
  for (std::size_t i = 0; i < targets.size(); ++i)
    text += crdt::to_string(targets[i]) + "." + std::to_string(amounts.generations[i]) + " ";
  text += std::to_string(fraction_ppm);
  if (successor) text += " retired, to " + crdt::to_string(successor);
  DecreePlan& plan = amounts.plan;
  for (const auto& [sku, product] : state_.catalogue()) {
    std::vector<Units> units;
    Units all = 0;
    for (const ReplicaId target : targets) {
      units.push_back(part_of(std::max<Units>(0, product->stock.rights(target)), fraction_ppm));
      all += units.back();
    }
    const auto open = held.find(sku);
    const Units open_units = open == held.end() ? 0 : open->second;
    if (all == 0 && open_units == 0) continue;
    plan.skus.push_back({.sku = std::string(sku), .seize = all, .open_holds = open_units});
    plan.seize += all;
    plan.open_holds += open_units;
    if (all == 0) continue;
    text += "\n" + std::string(sku);
    for (const Units one : units) text += " " + std::to_string(one);
    amounts.seize.emplace_back(product, std::move(units));
  }
  plan.plan = crdt::to_string(ReplicaId{crdt::digest(text)});
  for (const ReplicaId target : targets) {
    const crdt::Member* member = state_.member(target);
    plan.names.push_back(member == nullptr ? DecreeTarget{}
                                           : DecreeTarget{member->row.node, member->row.region});
  }
  plan.targets = std::move(targets);
  return amounts;
}

Outcome Decrees::failover(const Failover& command, Times now) {
  if (command.region && command.target == region_) return own(command.target);
  std::vector<ReplicaId> targets;
  bool known = false;
  for (const auto& [replica, member] : state_.members()) {
    const bool meant = command.region ? member->row.region == command.target
                                      : crdt::to_string(replica) == command.target;
    if (!meant) continue;
    known = true;
    if (replica == state_.self()) return own(command.target);
    if (!state_.retired(replica)) targets.push_back(replica);
  }
  if (!known) return not_known(command.target);
  if (targets.empty()) return is_not_to_be_decreed(command.target);
  for (const ReplicaId target : targets)
    if (state_.decreed(target))
      return refused(Code::decree_open, "a decree for replica " + crdt::to_string(target) +
                                            " is open already; see GET /v1/failovers");
  Amounts amounts = amounts_of(std::move(targets), command.fraction_ppm, {});
  if (command.dry_run) {
    amounts.plan.dry_run = true;
    Outcome outcome;
    outcome.view = std::make_unique<DecreePlan>(std::move(amounts.plan));
    return outcome;
  }
  return carry_out(std::move(amounts), command.fraction_ppm, {}, command.plan, now);
}

bool Decrees::may_seize_for(const crdt::Hold& hold) const {
  return seizer_of(hold, [&](ReplicaId issuer) { return issuer == state_.self(); }) != ReplicaId{};
}

ReplicaId Decrees::who_may_seize_for(const crdt::Hold& hold) const {
  return seizer_of(hold, around_.reachable);
}

template <typename Fits>
ReplicaId Decrees::seizer_of(const crdt::Hold& hold, Fits&& fits) const {
  for (auto at = state_.decrees().lower_bound({hold.origin, 0, {}});
       at != state_.decrees().end() && std::get<0>(at->first) == hold.origin; ++at) {
    const DecreeRow& row = at->second->row;
    if (row.kind == DecreeKind::failover && row.closed_at == 0 &&
        hold.row.number <= row.holds_upto && fits(at->second->origin))
      return at->second->origin;
  }
  return {};
}

Outcome Decrees::retire(const Retire& command, Times now) {
  const auto target = crdt::parse_replica_id(command.replica);
  if (!target || state_.member(*target) == nullptr) return not_known(command.replica);
  if (*target == state_.self()) return own(command.replica);
  const bool again = state_.retired(*target) && state_.heir(*target);
  if (again && remains_.of(*target) == 0) return is_retired(command.replica);
  ReplicaId successor;
  bool known = false;
  for (const auto& [replica, member] : state_.members()) {
    if (member->row.node != command.successor && crdt::to_string(replica) != command.successor)
      continue;
    known = true;
    const bool live = replica == state_.self() || around_.reachable(replica);
    if (replica != *target && live && !state_.retired(replica) && !state_.decreed(replica))
      successor = replica;
  }
  if (!successor)
    return refused(Code::successor_not_live,
                   "'" + command.successor + "' is " +
                       (known ? "not a live node" : "no node of this cluster") +
                       " that could end the open holds of " + command.replica +
                       ": name one that this node can reach and that is not lost itself");
  // What has come to light since is seized; whoever ends its holds goes on to.
  if (again) successor = state_.heir(*target);
  Amounts amounts = amounts_of({*target}, kWhole, successor);
  if (command.dry_run) {
    amounts.plan.dry_run = true;
    Outcome outcome;
    outcome.view = std::make_unique<DecreePlan>(std::move(amounts.plan));
    return outcome;
  }
  return carry_out(std::move(amounts), kWhole, successor, command.plan, now);
}

void Decrees::leave(ReplicaId successor, Times now) {
  Amounts amounts = amounts_of({state_.self()}, kWhole, successor);
  amounts.seize.clear();
  carry_out(std::move(amounts), kWhole, successor, {}, now);
}

// ── the decree ──────────────────────────────────────────────────────────────────────────────────

Outcome Decrees::carry_out(Amounts&& amounts, std::uint32_t fraction_ppm, ReplicaId successor,
                           const std::string& confirmed, Times now) {
  DecreePlan& plan = amounts.plan;
  if (!confirmed.empty() && confirmed != plan.plan)
    return refused(Code::plan_changed, "the amounts are no longer those of plan " + confirmed +
                                           ": look at a new dry run, and confirm with its plan");
  std::vector<Units> seized(plan.targets.size());
  std::vector<std::uint32_t> skus(plan.targets.size());
  for (const auto& [product, units] : amounts.seize)
    for (std::size_t i = 0; i < units.size(); ++i) {
      seized[i] += units[i];
      if (units[i] > 0) ++skus[i];
    }
  std::vector<Units> spent_before;
  for (const ReplicaId target : plan.targets) spent_before.push_back(debts_to_me(target));
  seize(amounts);
  for (std::size_t i = 0; i < plan.targets.size(); ++i) {
    DecreeRow row{.kind = successor ? DecreeKind::retirement : DecreeKind::failover,
                  .target = plan.targets[i],
                  .generation = amounts.generations[i],
                  .fraction_ppm = fraction_ppm,
                  .successor = successor,
                  .issued_at = now.wall_ms,
                  .skus = skus[i],
                  .seized = seized[i],
                  .open_holds = amounts.open_holds[i],
                  .holds_upto = amounts.holds_upto[i],
                  .spent_before = spent_before[i]};
    row.plan = crdt::parse_replica_id(plan.plan).value_or(ReplicaId{}).value;
    state_.put_decree(std::move(row));
    ++issued_;
  }
  around_decrees_changed();
  find_unsettled();
  for (const auto& [product, units] : amounts.seize) {
    Units all = 0;
    for (const Units one : units) all += one;
    repay_from(*product);  // before anybody sells it
    share_out(*product, all, plan.targets);
    around_.gained(*product);
  }
  Outcome outcome;
  outcome.code = Code::created;
  outcome.view = std::make_unique<DecreePlan>(std::move(plan));
  return outcome;
}

void Decrees::seize(const Amounts& amounts) {
  for (const auto& [product, units] : amounts.seize)
    state_.change_stock(*product, [&, &units = units](StockRow& row) {
      for (std::size_t i = 0; i < units.size(); ++i)
        if (units[i] > 0) row.at(amounts.plan.targets[i]).seized += units[i];
    });
}

// What was seized goes to where customers are, as far as this node knows: by ordinary grants.
void Decrees::share_out(Product& product, Units units, const std::vector<ReplicaId>& targets) {
  const auto weight = [&](ReplicaId replica) {
    const crdt::StockCell* cell = product.stock.find(replica);
    return 1.0 + (cell == nullptr ? 0 : cell->row.demand_milli);
  };
  std::vector<ReplicaId> others;
  double weights = weight(state_.self());
  for (const ReplicaId peer : around_.peers()) {
    if (state_.retired(peer) || state_.decreed(peer) ||
        std::find(targets.begin(), targets.end(), peer) != targets.end())
      continue;
    others.push_back(peer);
    weights += weight(peer);
  }
  const Units most = std::min(units, ledger_.free(product));
  for (const ReplicaId peer : others) {
    const auto share = static_cast<Units>(static_cast<double>(most) * weight(peer) / weights);
    if (share > 0)
      state_.change_stock(product, [&](StockRow& row) { row.at(peer).granted += share; });
  }
}

// Σ debt_at_seen of `target` for seizures of this replica.
Units Decrees::debts_to_me(ReplicaId target) const {
  Units sum = 0;
  for (const auto& [sku, product] : state_.seized()) {
    const crdt::StockCell* cell = product->stock.find(target);
    const PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(state_.self());
    if (entry != nullptr) sum += entry->debt_at_seen;
  }
  return sum;
}

// ── the target ──────────────────────────────────────────────────────────────────────────────────

void Decrees::merged(Product& product, ReplicaId origin, const PeerTotals& before) {
  const crdt::StockCell* cell = product.stock.find(origin);
  const PeerTotals* now = cell->row.find(state_.self());
  if (now != nullptr && now->seized > before.seized) see(product, origin);
  if (now != nullptr && now->debt_at_seen > before.debt_at_seen) {
    const Units beyond =
        std::max<Units>(0, -(product.stock.available() + product.stock.allowance()));
    const Units realized = std::min(now->debt_at_seen - before.debt_at_seen, beyond);
    for (auto at = state_.decrees().lower_bound({origin, 0, {}});
         realized > 0 && at != state_.decrees().end() && std::get<0>(at->first) == origin; ++at) {
      if (at->second->origin != state_.self() || at->second->row.closed_at != 0) continue;
      DecreeRow row = at->second->row;
      row.realized += realized;
      state_.put_decree(std::move(row));
      break;
    }
  }
  debts_.merged(product);
  remains_.merged(product, origin);
  wake_at_ = Instant{};
  if (!product.seized) return;
  look_ = true;
  if (!estates_.empty()) estates_in_debt_.emplace(product.sku, &product);
}

// Nothing else acknowledges a seizure.
void Decrees::see(Product& product, ReplicaId seizer) {
  if (state_.retired(state_.self())) return;  // its last row is written, or is about to be
  const PeerTotals* taken = product.stock.find(seizer)->row.find(state_.self());
  const crdt::StockCell* own = product.stock.find(state_.self());
  const PeerTotals* entry = own == nullptr ? nullptr : own->row.find(seizer);
  const Units fresh = taken->seized - (entry == nullptr ? 0 : entry->seen);
  if (fresh <= 0) return;
  const Units after = product.stock.rights(state_.self());
  const Units spent = std::max<Units>(0, -after) - std::max<Units>(0, -(after + fresh));
  state_.change_stock(product, [&](StockRow& row) {
    PeerTotals& totals = row.at(seizer);
    totals.seen += fresh;
    totals.debt_at_seen += spent;
  });
  owes(product);
  around_.lost(product);
}

void Decrees::rights_changed() {
  remains_.find(state_.retired());
  for (const auto& [sku, product] : state_.catalogue()) owes(*product);
}

void Decrees::stock_came(Product& product) {
  if (estates_.empty()) return;
  estates_in_debt_.emplace(product.sku, &product);
  wake_at_ = Instant{};
}

void Decrees::owes(Product& product) {
  if (debts_.owes(product)) wake_at_ = Instant{};
}

Units Decrees::grantable(const Product& product, ReplicaId to) const {
  const Units debt = product.stock.debt(to, state_.retired());
  if (state_.retired(to)) return debt;
  // It has seen what was seized of this SKU, and owes nothing: it is back, as far as this one goes.
  const bool settled = debt == 0 && product.stock.unseen(to) == 0;
  return state_.decreed(to) && !settled ? debt : crdt::kUnitsMax;
}

void Decrees::ended(std::uint64_t call, const Granted* granted, Instant now) {
  debts_.ended(call, granted, now);
  wake_at_ = std::min(wake_at_, debts_.wake_at());
}

// What a retired replica had spent is repaid by whoever has its estate.
void Decrees::repay_retired() {
  std::size_t looks = kLooksAtOnce;
  while (!estates_in_debt_.empty() && looks-- > 0) {
    Product& product = *estates_in_debt_.begin()->second;
    estates_in_debt_.erase(estates_in_debt_.begin());
    repay_from(product);
  }
  if (!estates_in_debt_.empty()) wake_at_ = Instant{};
}

void Decrees::repay_from(Product& product) {
  for (const ReplicaId replica : estates_) {
    const Units give =
        std::min(ledger_.free(product), product.stock.debt(replica, state_.retired()));
    if (give > 0)
      state_.change_stock(product, [&](StockRow& row) { row.at(replica).granted += give; });
  }
}

// ── the end ─────────────────────────────────────────────────────────────────────────────────────

void Decrees::start(Instant now) {
  for (const auto& [sku, product] : state_.seized()) {
    for (const auto& cell : product->stock.cells())
      if (const PeerTotals* entry = cell->row.find(state_.self());
          entry != nullptr && entry->seized > 0)
        see(*product, cell->origin);
    estates_in_debt_.emplace(sku, product);
  }
  for (const auto& [sku, product] : state_.catalogue()) owes(*product);
  around_decrees_changed();
  find_unsettled();
  look_ = true;
  wake_at_ = now;
}

// Tells whose estate has an heir that it did not have before.
void Decrees::around_decrees_changed() {
  estates_.clear();
  std::erase_if(heirs_, [&](const auto& known) { return !state_.retired(known.first); });
  std::vector<ReplicaId> changed;
  for (const auto& [key, decree] : state_.decrees()) {
    if (decree->row.kind != DecreeKind::retirement) continue;
    const ReplicaId heir = state_.heir(decree->row.target);
    if (heir == state_.self()) estates_.insert(decree->row.target);
    const auto [at, fresh] = heirs_.try_emplace(decree->row.target, heir);
    if (!fresh && at->second == heir) continue;
    at->second = heir;
    changed.push_back(decree->row.target);
  }
  remains_.find(changed);
  for (const ReplicaId replica : changed) around_.retired(replica);
  if (!changed.empty())
    for (const auto& [sku, product] : state_.seized()) estates_in_debt_.emplace(sku, product);
  look_ = true;
  wake_at_ = Instant{};
}

void Decrees::find_unsettled() {
  for (const auto& [key, decree] : state_.decrees()) {
    const DecreeRow& row = decree->row;
    if (decree->origin != state_.self() || row.kind != DecreeKind::failover || row.closed_at != 0)
      continue;
    auto& products = unsettled_[row.target];
    for (const auto& [sku, product] : state_.seized())
      if (!settled(*product, row.target)) products.emplace(sku, product);
    // Just issued: the rows are stamped at the end of the batch, and are found seized from then on.
    for (const auto& [sku, product] : state_.catalogue())
      if (!product->seized && !settled(*product, row.target)) products.emplace(sku, product);
  }
}

bool Decrees::settled(const Product& product, ReplicaId target) const {
  const crdt::StockCell* mine = product.stock.find(state_.self());
  const PeerTotals* taken = mine == nullptr ? nullptr : mine->row.find(target);
  if (taken == nullptr || taken->seized == 0) return true;
  if (state_.retired(target)) return product.stock.debt(target, state_.retired()) == 0;
  const crdt::StockCell* theirs = product.stock.find(target);
  const PeerTotals* seen = theirs == nullptr ? nullptr : theirs->row.find(state_.self());
  return seen != nullptr && seen->seen >= taken->seized && product.stock.debt(target) == 0;
}

void Decrees::look_at_unsettled(Instant now, Times times) {
  if (unsettled_.empty()) return;
  if (now < look_at_) {
    wake_at_ = std::min(wake_at_, look_at_);
    return;
  }
  const bool wanted = std::exchange(look_, false);
  std::size_t looks = kLooksAtOnce;
  bool whole = true;
  std::vector<ReplicaId> closed;
  for (auto of = unsettled_.lower_bound(looked_.first); of != unsettled_.end(); ++of) {
    auto& [target, products] = *of;
    auto at = target == looked_.first ? products.upper_bound(looked_.second) : products.begin();
    while (at != products.end() && looks > 0) {
      --looks;
      looked_ = {target, std::string(at->first)};
      at = settled(*at->second, target) ? products.erase(at) : std::next(at);
    }
    whole = whole && at == products.end();
    if (products.empty()) closed.push_back(target);
  }
  if (whole) {
    looked_ = {};
  } else {
    look_ = look_ || wanted;
  }
  for (const ReplicaId target : closed) close(target, times);
  look_at_ = now + (whole && !look_ ? kLookAtLeast : kLookEvery);
  if (!unsettled_.empty()) wake_at_ = std::min(wake_at_, look_at_);
}

void Decrees::close(ReplicaId target, Times times) {
  auto& products = unsettled_[target];
  for (const auto& [sku, product] : state_.seized())  // and what was seized since, to adopt
    if (!settled(*product, target)) products.emplace(sku, product);
  if (!products.empty()) return;
  for (const auto& [key, decree] : state_.decrees()) {
    if (std::get<0>(key) != target || decree->origin != state_.self() ||
        decree->row.kind != DecreeKind::failover || decree->row.closed_at != 0)
      continue;
    DecreeRow row = decree->row;
    // Nothing that it could have seen: then it is back when it can be reached. Until that, what it
    // holds may be adopted.
    if (row.seized == 0 && !state_.retired(target) && !around_.reachable(target)) return;
    row.spent_unseen = debts_to_me(target) - row.spent_before;
    row.repaid = row.spent_unseen;
    row.closed_at = std::max<std::int64_t>(1, times.wall_ms);
    state_.put_decree(std::move(row));
    break;
  }
  unsettled_.erase(target);
}

void Decrees::tick(Instant now, Times times) {
  wake_at_ = Instant::max();
  if (look_ && look_at_ > now + kLookEvery) look_at_ = now + kLookEvery;
  look_at_unsettled(now, times);
  debts_.tick(now);
  wake_at_ = std::min(wake_at_, debts_.wake_at());
  if (!remains_.take(estates_, kLooksAtOnce)) wake_at_ = Instant{};
  repay_retired();
}

// ── accounts ────────────────────────────────────────────────────────────────────────────────────

std::uint64_t Decrees::open() const {
  std::uint64_t count = 0;
  for (const auto& [key, decree] : state_.decrees()) count += state_.is_open(*decree);
  return count;
}

Decrees::Sums Decrees::sums() const {
  Sums sums;
  for (const auto& [sku, product] : state_.seized()) {
    sums.exposure += product->stock.exposure(state_.retired());
    sums.debt += product->stock.total_debt(state_.retired());
    sums.oversold += product->stock.oversold();
  }
  return sums;
}

Outcome Decrees::accounts() const {
  DecreeAccounts accounts;
  for (const auto& [key, decree] : state_.decrees()) {
    const DecreeRow& row = decree->row;
    DecreeAccount account{.kind = row.kind,
                          .target = row.target,
                          .issuer = decree->origin,
                          .successor = row.successor,
                          .generation = row.generation,
                          .fraction = row.fraction_ppm / 1e6,
                          .issued_at = row.issued_at,
                          .closed_at = row.closed_at,
                          .open = state_.is_open(*decree),
                          .seized = row.seized,
                          .open_holds = row.open_holds,
                          .spent_unseen = row.spent_unseen,
                          .realized = row.realized,
                          .repaid = row.repaid};
    if (const crdt::Member* member = state_.member(row.target)) {
      account.region = member->row.region;
      account.node = member->row.node;
    }
    if (const crdt::Member* member = state_.member(decree->origin))
      account.issuer_node = member->row.node;
    if (row.closed_at == 0) {
      Units spent = 0;
      for (const auto& [sku, product] : state_.seized()) {
        account.unseen += product->stock.unseen(row.target, state_.retired());
        account.debt += product->stock.debt(row.target, state_.retired());
        const crdt::StockCell* cell = product->stock.find(row.target);
        const PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(decree->origin);
        spent += entry == nullptr ? 0 : entry->debt_at_seen;
      }
      account.spent_unseen = std::max<Units>(0, spent - row.spent_before);
      account.repaid = std::max<Units>(0, account.spent_unseen - account.debt);
    }
    accounts.items.push_back(std::move(account));
  }
  std::stable_sort(
      accounts.items.begin(), accounts.items.end(),
      [](const DecreeAccount& a, const DecreeAccount& b) { return a.issued_at > b.issued_at; });
  Outcome outcome;
  outcome.view = std::move(accounts);
  return outcome;
}

}  // namespace holdfast::node
