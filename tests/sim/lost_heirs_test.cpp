#include "sim/lost_heirs.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace holdfast;
using crdt::HoldRow;
using crdt::HoldState;
using crdt::ReplicaId;
using sim::ended_twice;

namespace {

constexpr ReplicaId kHere{1}, kRoot{2}, kHeir{3}, kOther{4};

// Rows as they come from their origins, of one hold of 5 units of "a". kHeir has retired kRoot.
struct Rows {
  crdt::State state{kHere};
  explicit Rows(std::vector<std::pair<ReplicaId, ReplicaId>> retirements = {{kHeir, kRoot}}) {
    for (const auto& [successor, target] : retirements) {
      const crdt::DecreeRow decree{.kind = crdt::DecreeKind::retirement,
                                   .target = target,
                                   .generation = 1,
                                   .successor = successor,
                                   .issued_at = 1};
      put(successor, crdt::RowKind::decree, crdt::decree_key(decree), decree);
    }
  }
  template <typename Row>
  void put(ReplicaId origin, crdt::RowKind kind, const std::string& key, const Row& row) {
    std::string payload, bytes;
    crdt::append_payload(row, payload);
    crdt::append_row(kind, key, state.head(origin) + 1, crdt::kRowFormat, payload, bytes);
    const auto rows = crdt::decode_rows(bytes);
    REQUIRE(rows.ok());
    for (const crdt::DecodedRow& one : *rows) {
      crdt::DecodedRow copy = one;
      REQUIRE(state.merge(origin, std::move(copy)).ok());
    }
    state.advance(origin, state.head(origin) + 1);
  }
  Rows& hold(ReplicaId origin, HoldRow row) {
    put(origin, crdt::RowKind::hold, "cart", row);
    return *this;
  }
  crdt::Units held(const std::set<ReplicaId>& alive) const {
    return ended_twice(state, alive)["a"].held;
  }
};

HoldRow row(HoldState state, ReplicaId estate_of = {}) {
  HoldRow row;
  row.digest = 1;
  row.state = state;
  row.lines.push_back({.sku = "a", .requested = 5, .held = 5});
  if (state == HoldState::committed) row.lines[0].committed = 5;
  row.number = row.deadline = row.expires_at = row.created_at = 1;
  if (state != HoldState::held) row.ended_at = 2;
  row.estate_of = row.adopted_from = estate_of;
  return row;
}

HoldRow freed(std::uint32_t units, ReplicaId of) {
  HoldRow beside = row(HoldState::released);
  beside.freed.edit().push_back({.of = of, .units = {units}});
  return beside;
}

}  // namespace

TEST_SUITE("sim lost heirs") {
  TEST_CASE(
      "an end beside the retired home's own counts twice when its heir is gone, and only then") {
    Rows both;
    both.hold(kRoot, row(HoldState::expired)).hold(kHeir, row(HoldState::expired, kRoot));
    REQUIRE(both.state.heir(kRoot) == kHeir);
    CHECK(both.held({kHere}) == 5);
    CHECK(both.held({kHere, kHeir}) == 0);  // it takes its own back
    Rows released;
    released.hold(kRoot, row(HoldState::expired)).hold(kHeir, freed(5, kRoot));
    CHECK(released.held({kHere}) == 5);
  }

  TEST_CASE("the only end of a hold is no second one") {
    Rows heirs;
    heirs.hold(kRoot, row(HoldState::held)).hold(kHeir, row(HoldState::expired, kRoot));
    CHECK(heirs.held({kHere}) == 0);
    Rows homes;
    homes.hold(kRoot, row(HoldState::expired)).hold(kHeir, row(HoldState::held, kRoot));
    CHECK(homes.held({kHere}) == 0);
    // Adopted with units of its own.
    Rows adopted;
    adopted.hold(kRoot, row(HoldState::expired)).hold(kHeir, row(HoldState::expired));
    CHECK(adopted.held({kHere}) == 0);
  }

  TEST_CASE("of a copy that is not here every end is one too many") {
    Rows alone;
    alone.hold(kHeir, row(HoldState::expired, kRoot));
    CHECK(alone.held({kHere}) == 5);
  }

  TEST_CASE("of two heirs' ends one stands; whose own heir lives undoes it") {
    Rows two;
    two.hold(kRoot, row(HoldState::held))
        .hold(kHeir, row(HoldState::expired, kRoot))
        .hold(kOther, row(HoldState::expired, kRoot));
    CHECK(two.held({kHere}) == 5);
    CHECK(two.held({kHere, kOther}) == 5);
    Rows retired({{kHeir, kRoot}, {kOther, kHeir}});
    retired.hold(kRoot, row(HoldState::expired)).hold(kHeir, row(HoldState::expired, kRoot));
    CHECK(retired.held({kHere, kOther}) == 0);
    CHECK(retired.held({kHere}) == 5);
    HoldRow undone = row(HoldState::released);
    undone.undone.edit().push_back({.of = kHeir, .root = kRoot, .units = {5}, .again = {0}});
    retired.hold(kOther, undone);
    CHECK(retired.held({kHere}) == 0);
  }

  TEST_CASE("a sale beside another is told with its units") {
    Rows sold;
    sold.hold(kRoot, row(HoldState::committed)).hold(kHeir, row(HoldState::committed, kRoot));
    CHECK(ended_twice(sold.state, {kHere})["a"].sold == 5);
    CHECK(sold.held({kHere}) == 5);
    Rows one;
    one.hold(kRoot, row(HoldState::expired)).hold(kHeir, row(HoldState::committed, kRoot));
    CHECK(ended_twice(one.state, {kHere})["a"].sold == 0);
    CHECK(one.held({kHere}) == 5);
  }
}
