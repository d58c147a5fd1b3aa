// The four facts that stock rests on, over random schedules of 2 – 5 replicas that write, and tell
// one another in pieces that are lost, repeated and late. A global observer sees all rows at every
// step.
//
//   conservation   Σ rights = available + allowance
//   safety         without seizures a replica never sees more rights of its own than it has, no
//   rights
//                  fall below 0, available ≥ −allowance
//   bound          with seizures available ≥ −allowance − Σ (unseen + debt), and that sum is at
//   most
//                  what was seized
//   convergence    once everyone has heard everything, all are equal, to the byte
//
// And of versions: V ≥ n means "has the effect of write n".

#include <deque>
#include <map>

#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

// One step of a schedule, as numbers that rapidcheck can shrink.
struct Step {
  std::uint8_t what = 0, who = 0, whom = 0, sku = 0;
  std::uint16_t amount = 0;
};
void showValue(const Step& step, std::ostream& out) {
  out << "{" << int(step.what) << ", " << int(step.who) << ", " << int(step.whom) << ", "
      << int(step.sku) << ", " << step.amount << "}";
}

constexpr int kSkus = 2;

// A one-way link: pieces in order, of which some are lost. A cursor for each origin, as gossip has
// it.
struct Link {
  struct Cursor {
    Sequence from = 0, sent = 0;
    bool open = false;
  };
  std::deque<Piece> flying;
  std::map<ReplicaId, Cursor> cursors;
  Staging staging;
};

class World {
 public:
  World(int size, bool seizures) : seizures_(seizures) {
    for (int i = 0; i < size; ++i) {
      ids_.push_back(replica(i));
      states_.push_back(std::make_unique<State>(replica(i)));
    }
    links_.resize(size * size);
  }

  void run(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      take(step);
      check_laws();
    }
    check_versions();
    heal();
    check_laws();
    check_versions();
    check_convergence();
  }

 private:
  int size() const { return static_cast<int>(states_.size()); }
  Link& link(int from, int to) { return links_[from * size() + to]; }

  // ── operations: each replica spends what it sees of its own ──

  void take(const Step& step) {
    const int who = step.who % size();
    const int whom = (who + 1 + step.whom % (size() - 1)) % size();
    State& state = *states_[who];
    static const BoundedCounter kNone;
    const std::string sku = sku_name(step.sku % kSkus);
    Product* product = state.product(sku);
    const BoundedCounter& stock = product == nullptr ? kNone : product->stock;
    const StockCell* cell = stock.find(ids_[who]);
    const StockRow mine = cell == nullptr ? StockRow{} : cell->row;
    const Units rights = std::max<Units>(0, stock.rights(ids_[who]));
    const Units open = mine.held - mine.released - mine.sold;
    const Units allowed = mine.allowance_added - mine.allowance_removed;
    const Units amount = 1 + step.amount % 40;
    const auto change = [&](Units units, auto&& edit) {
      if (units > 0)
        state.change_stock(state.make_product(sku), [&](StockRow& row) { edit(row, units); });
    };
    switch (step.what % 24) {
      case 0:
      case 1:
        return change(amount, [](StockRow& row, Units n) { row.received += n; });
      case 2:
        return change(std::min(amount, rights - allowed),
                      [](StockRow& row, Units n) { row.withdrawn += n; });
      case 3:
        if (step.amount % 2 == 0)
          return change(amount, [](StockRow& row, Units n) { row.allowance_added += n; });
        return change(std::min({amount, rights, allowed}),
                      [](StockRow& row, Units n) { row.allowance_removed += n; });
      case 4:
      case 5:
      case 6:
        return change(std::min(amount, rights), [](StockRow& row, Units n) { row.held += n; });
      case 7:
        return change(std::min(amount, open), [](StockRow& row, Units n) { row.released += n; });
      case 8:
      case 9:
        return change(std::min(amount, open), [](StockRow& row, Units n) { row.sold += n; });
      case 10:
        return change(std::min(amount, mine.sold - mine.returned - mine.voided),
                      [](StockRow& row, Units n) { row.returned += n; });
      case 11:  // a copy that does not stand is undone
        return change(std::min(amount, mine.sold - mine.returned - mine.voided),
                      [](StockRow& row, Units n) { row.voided += n; });
      case 12:
      case 13:
        return change(std::min(amount, rights),
                      [&](StockRow& row, Units n) { row.at(ids_[whom]).granted += n; });
      case 14:
        if (!seizures_) return;
        return change(std::min(amount, stock.rights(ids_[whom])), [&](StockRow& row, Units n) {
          row.at(ids_[whom]).seized += n;
          seized_[step.sku % kSkus] += n;
        });
      case 15:
        return product == nullptr ? void() : see_seizures(state, *product, who);
      default:
        return gossip(step, who, whom);
    }
  }

  void see_seizures(State& state, Product& product, int who) {
    for (const ReplicaId taker : ids_) {
      const StockCell* theirs = product.stock.find(taker);
      const PeerTotals* entry = theirs == nullptr ? nullptr : theirs->row.find(ids_[who]);
      if (entry == nullptr || entry->seized == 0) continue;
      const Units seized = entry->seized, debt = product.stock.debt(ids_[who]);
      state.change_stock(product, [&](StockRow& row) {
        row.at(taker).seen = std::max(row.at(taker).seen, seized);
      });
      const Units spent = product.stock.debt(ids_[who]) - debt;
      if (spent > 0)
        state.change_stock(product, [&](StockRow& row) { row.at(taker).debt_at_seen += spent; });
    }
  }

  // ── telling one another ──

  void seal(int who) {
    State& state = *states_[who];
    if (!state.has_unsealed()) return;
    std::string bytes;
    state.seal(bytes);
    const auto rows = decode_rows(bytes);
    RC_ASSERT(rows.ok());
    for (const DecodedRow& row : *rows) written_[who].emplace_back(row.sequence, row.key);
  }

  void gossip(const Step& step, int from, int to) {
    Link& link = this->link(from, to);
    switch (step.what % 8) {
      case 0:
      case 1:
      case 2:
      case 3:
        return cut(link, from, to, step.amount);
      case 4:
        if (!link.flying.empty()) link.flying.pop_front();  // lost
        return;
      case 5:  // comes twice
        if (!link.flying.empty()) link.flying.push_front(link.flying.front());
        return;
      default:
        return deliver(link, to);
    }
  }

  // The next piece of some origin. Where a delta begins is by chance: where the receiver is, where
  // the sender believes it to be (what was sent may be lost), far behind, or at the beginning.
  void cut(Link& link, int from, int to, std::uint16_t dice) {
    seal(from);
    const State& state = *states_[from];
    const ReplicaId origin = ids_[dice % size()];
    if (origin == ids_[to]) return;
    Link::Cursor& cursor = link.cursors[origin];
    if (!cursor.open) {
      const Sequence there = states_[to]->head(origin);
      const Sequence starts[] = {there, there, cursor.sent, cursor.sent, there / 2, 0};
      cursor.from = cursor.sent = starts[dice / 8 % 6];
    }
    Piece piece = cut_piece(state, origin, cursor.from, cursor.sent, 1 + dice / 64 % 200);
    cursor.sent = piece.upto;
    cursor.open = !piece.last;
    link.flying.push_back(std::move(piece));
  }

  void deliver(Link& link, int to) {
    if (link.flying.empty()) return;
    Piece piece = std::move(link.flying.front());
    link.flying.pop_front();
    auto whole = link.staging.add(std::move(piece));
    if (!whole.ok()) {
      RC_ASSERT(absl::IsFailedPrecondition(whole.status()));
      for (auto& [origin, cursor] : link.cursors) cursor.open = false;  // it will ask to resume
      return;
    }
    State& state = *states_[to];
    if (!whole->has_value() || (*whole)->from > state.head((*whole)->origin)) return;
    const auto before = state.vector();
    for (DecodedRow& row : (*whole)->rows)
      RC_ASSERT(state.merge((*whole)->origin, std::move(row)).ok());
    state.advance((*whole)->origin, (*whole)->to);
    RC_ASSERT(state.vector().covers(before));
  }

  void heal() {
    for (int i = 0; i < size(); ++i) seal(i);
    for (int round = 0; round < size(); ++round)
      for (int from = 0; from < size(); ++from)
        for (int to = 0; to < size(); ++to)
          for (const ReplicaId origin : ids_) {
            if (from == to || origin == ids_[to]) continue;
            Link& link = this->link(from, to);
            while (!link.flying.empty()) deliver(link, to);  // what is late comes all the same
            const Sequence there = states_[to]->head(origin);
            link.flying.push_back(cut_piece(*states_[from], origin, there, there, 1 << 20));
            deliver(link, to);
          }
  }

  // ── what must hold ──

  void check_laws() {
    for (int s = 0; s < kSkus; ++s) {
      BoundedCounter truth;  // the join of what each replica has written, stamped or not
      for (int i = 0; i < size(); ++i)
        if (const Product* product = states_[i]->product(sku_name(s)))
          if (const StockCell* cell = product->stock.find(ids_[i]))
            truth.change(truth.at(ids_[i]), [&](StockRow& row) { row = cell->row; });
      Units rights = 0, budget = 0;
      for (const ReplicaId id : ids_) {
        rights += truth.rights(id);
        budget += truth.unseen(id) + truth.debt(id);
      }
      RC_ASSERT(rights == truth.available() + truth.allowance());
      RC_ASSERT(truth.available() >= -truth.allowance() - budget);
      RC_ASSERT(budget <= seized_[s]);
      RC_ASSERT(truth.exposure() + truth.total_debt() == budget);
      RC_ASSERT(truth.exposure() >= 0);
      for (int i = 0; i < size(); ++i) {
        if (!seizures_) RC_ASSERT(truth.rights(ids_[i]) >= 0);
        check_view(truth, i, s);
      }
      if (!seizures_) RC_ASSERT(truth.available() >= -truth.allowance());
    }
  }

  // A replica sees all of its own row, and of the others' gifts and seizures at most what there is.
  void check_view(const BoundedCounter& truth, int i, int s) {
    const Product* product = states_[i]->product(sku_name(s));
    if (product == nullptr) return;
    const BoundedCounter& view = product->stock;
    Units not_seen_here = 0;
    for (const ReplicaId taker : ids_) {
      const auto seized = [&](const BoundedCounter& stock) -> Units {
        const StockCell* cell = stock.find(taker);
        const PeerTotals* entry = cell == nullptr ? nullptr : cell->row.find(ids_[i]);
        return entry == nullptr ? 0 : entry->seized;
      };
      not_seen_here += seized(truth) - seized(view);
    }
    RC_ASSERT(not_seen_here >= 0);
    RC_ASSERT(seizures_ || not_seen_here == 0);
    RC_ASSERT(view.rights(ids_[i]) <= truth.rights(ids_[i]) + not_seen_here);
    Units rights = 0;
    for (const ReplicaId id : ids_) rights += view.rights(id);
    RC_ASSERT(rights == view.available() + view.allowance());  // of any set of rows
    if (!seizures_) RC_ASSERT(view.view_available() >= -view.allowance());
  }

  // V[o] ≥ n: every row that o wrote up to n is here, as it was then or later.
  void check_versions() {
    for (int reader = 0; reader < size(); ++reader)
      for (int writer = 0; writer < size(); ++writer) {
        const Sequence head = states_[reader]->head(ids_[writer]);
        std::map<std::string, Sequence> latest;
        for (const auto& [sequence, key] : written_[writer])
          if (sequence <= head) latest[key] = sequence;
        for (const auto& [key, sequence] : latest) {
          const Product* product = states_[reader]->product(key);
          RC_ASSERT(product != nullptr);
          const StockCell* cell = product->stock.find(ids_[writer]);
          RC_ASSERT(cell != nullptr);
          RC_ASSERT(cell->sequence >= sequence);
        }
        const Feed* feed = states_[reader]->feed(ids_[writer]);
        RC_ASSERT((feed == nullptr ? 0 : feed->size()) == latest.size());  // compacted
      }
  }

  void check_convergence() {
    const std::string first = fingerprint(*states_[0], ids_);
    for (const auto& state : states_) {
      RC_ASSERT(state->vector() == states_[0]->vector());
      RC_ASSERT(fingerprint(*state, ids_) == first);
    }
  }

  bool seizures_;
  std::vector<ReplicaId> ids_;
  std::vector<std::unique_ptr<State>> states_;
  std::vector<Link> links_;
  Units seized_[kSkus] = {};
  std::map<int, std::vector<std::pair<Sequence, std::string>>> written_;
};

}  // namespace
}  // namespace holdfast::crdt

namespace rc {
template <>
struct Arbitrary<holdfast::crdt::Step> {
  static Gen<holdfast::crdt::Step> arbitrary() {
    using holdfast::crdt::Step;
    // Always of full range: a step's numbers are choices, not sizes.
    const auto byte = gen::resize(kNominalSize, gen::arbitrary<std::uint8_t>());
    const auto word = gen::resize(kNominalSize, gen::arbitrary<std::uint16_t>());
    return gen::build<Step>(gen::set(&Step::what, byte), gen::set(&Step::who, byte),
                            gen::set(&Step::whom, byte), gen::set(&Step::sku, byte),
                            gen::set(&Step::amount, word));
  }
};
}  // namespace rc

namespace holdfast::crdt {
namespace {

std::vector<Step> schedule() {
  // Long ones: what goes wrong needs a history.
  return *rc::gen::scale(6, rc::gen::arbitrary<std::vector<Step>>());
}

TEST_SUITE("escrow laws") {
  TEST_CASE("without seizures nothing is oversold, and all agree in the end") {
    for (int size = 2; size <= 5; ++size)
      check_property("safety, " + std::to_string(size) + " replicas",
                     [size] { World(size, false).run(schedule()); });
  }

  TEST_CASE("with seizures the oversell is bounded by what was seized") {
    for (int size = 2; size <= 5; ++size)
      check_property("bound, " + std::to_string(size) + " replicas",
                     [size] { World(size, true).run(schedule()); });
  }

  // ── by hand ──

  struct Pair {
    State a{replica(0)}, b{replica(1)};
    void tell(State& from, State& to) {
      std::string bytes;
      from.seal(bytes);
      auto rows = decode_rows(bytes);
      REQUIRE(rows.ok());
      for (DecodedRow& row : *rows) REQUIRE(to.merge(from.self(), std::move(row)).ok());
      to.advance(from.self(), from.head(from.self()));
    }
    template <typename Edit>
    static void edit(State& state, Edit&& edit) {
      state.change_stock(state.make_product("sku"), std::forward<Edit>(edit));
    }
    const BoundedCounter& at(const State& state) { return state.product("sku")->stock; }
  };

  TEST_CASE("a seizure of what was spent already is debt, and a receipt repays it") {
    Pair two;
    two.edit(two.a, [](StockRow& row) { row.received += 10; });
    two.tell(two.a, two.b);
    two.edit(two.a, [](StockRow& row) { row.held += 7, row.sold += 7; });  // b can't see it
    two.edit(two.b, [](StockRow& row) { row.at(replica(0)).seized += 10; });
    CHECK(two.at(two.b).rights(replica(1)) == 10);
    CHECK(two.at(two.b).exposure() == 10);
    two.tell(two.b, two.a);
    CHECK(two.at(two.a).rights(replica(0)) == -7);
    CHECK(two.at(two.a).unseen(replica(0)) == 10);
    CHECK(two.at(two.a).debt(replica(0)) == 0);
    two.edit(two.a, [](StockRow& row) { row.at(replica(1)).seen = 10; });
    CHECK(two.at(two.a).unseen(replica(0)) == 0);
    CHECK(two.at(two.a).debt(replica(0)) == 7);
    CHECK(two.at(two.a).available() == 3);
    two.edit(two.a, [](StockRow& row) { row.received += 7; });
    CHECK(two.at(two.a).debt(replica(0)) == 0);
    CHECK(two.at(two.a).total_debt() == 0);
    CHECK(two.at(two.a).ever_seized(replica(0)));
    CHECK_FALSE(two.at(two.a).ever_seized(replica(1)));
  }

  TEST_CASE("a view that lacks a grant does not show a negative figure") {
    Pair two;
    State c(replica(2));
    two.edit(two.a, [](StockRow& row) { row.received += 10, row.at(replica(1)).granted += 6; });
    two.tell(two.a, two.b);
    two.edit(two.b, [](StockRow& row) { row.held += 6, row.sold += 6; });
    two.tell(two.b, c);  // c hears of the sale, not of the grant
    const BoundedCounter& view = c.product("sku")->stock;
    CHECK(view.rights(replica(1)) == -6);
    CHECK(view.available() == -6);
    CHECK(view.view_available() == 0);
    CHECK(view.oversold() == 0);
  }

  TEST_CASE("an allowance may be oversold, and is shown") {
    Pair two;
    two.edit(two.a, [](StockRow& row) { row.received += 3, row.allowance_added += 2; });
    CHECK(two.at(two.a).rights(replica(0)) == 5);
    two.edit(two.a, [](StockRow& row) { row.held += 5, row.sold += 5; });
    CHECK(two.at(two.a).available() == -2);
    CHECK(two.at(two.a).view_available() == -2);
    CHECK(two.at(two.a).oversold() == 2);
    CHECK(two.at(two.a).allowance() == 2);
  }
}

}  // namespace
}  // namespace holdfast::crdt
