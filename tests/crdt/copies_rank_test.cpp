// Which of two copies stands, who inherits, and what is open: questions to a state about decrees.

#include <algorithm>
#include <memory>

#include "crdt/state.h"
#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

DecodedRow decree_row(Sequence sequence, DecreeRow row) {
  std::string key = to_string(row.target) + "." + std::to_string(row.generation);
  return {.kind = RowKind::decree,
          .key = std::move(key),
          .sequence = sequence,
          .payload = std::move(row)};
}

// Replica 9, which is told of decrees.
struct Told {
  State state{replica(9)};
  Sequence last = 0;
  void retire(std::uint64_t by, std::uint64_t target, std::uint64_t successor) {
    REQUIRE(state
                .merge(replica(by), decree_row(++last, {.kind = DecreeKind::retirement,
                                                        .target = replica(target),
                                                        .generation = 1,
                                                        .successor = replica(successor)}))
                .ok());
  }
  void failover(std::uint64_t by, std::uint64_t target, std::uint32_t generation = 1,
                std::int64_t closed_at = 0) {
    REQUIRE(state
                .merge(replica(by), decree_row(++last, {.target = replica(target),
                                                        .generation = generation,
                                                        .closed_at = closed_at}))
                .ok());
  }
  ReplicaId heir(std::uint64_t of) const { return state.heir(replica(of)); }
};

std::unique_ptr<Hold> copy(std::uint64_t at, HoldState state, HoldRow row = {}) {
  auto hold = std::make_unique<Hold>();
  hold->origin = replica(at);
  hold->row = std::move(row);
  hold->row.state = state;
  return hold;
}

TEST_SUITE("heirs") {
  TEST_CASE("who is not retired is its own; a chain ends at the first that lives") {
    Told told;
    CHECK(told.heir(1) == replica(1));
    told.retire(5, 1, 2);
    CHECK(told.heir(1) == replica(2));
    told.retire(5, 2, 3);
    told.retire(5, 3, 4);
    for (const std::uint64_t of : {1u, 2u, 3u, 4u}) CHECK(told.heir(of) == replica(4));
    CHECK(told.state.retired().size() == 3);
    CHECK_FALSE(told.state.retired(replica(4)));
  }

  TEST_CASE("of two retirements the lowest successor stands, in whatever order they come") {
    for (const bool lower_first : {true, false}) {
      Told told;
      told.retire(5, 1, lower_first ? 2 : 3);
      told.retire(6, 1, lower_first ? 3 : 2);
      CHECK(told.heir(1) == replica(2));
      told.retire(5, 2, 4);  // and the higher one does not come back with it
      CHECK(told.heir(1) == replica(4));
    }
  }

  TEST_CASE("those that name one another have nobody, until one of them is retired once more") {
    Told told;
    told.retire(5, 1, 2);
    told.retire(6, 2, 3);
    told.retire(7, 3, 1);
    told.retire(5, 4, 1);
    for (const std::uint64_t of : {1u, 2u, 3u, 4u}) CHECK(told.heir(of) == ReplicaId{});
    CHECK(told.heir(8) == replica(8));
    told.retire(9, 2, 9);  // of the ring: all that it leads to
    for (const std::uint64_t of : {1u, 2u, 3u, 4u}) CHECK(told.heir(of) == replica(9));
    told.retire(8, 3, 8);
    for (const std::uint64_t of : {1u, 2u, 3u, 4u}) CHECK(told.heir(of) == replica(8));
  }

  TEST_CASE("one that leads into a ring has an heir once it is retired once more (seed 1184)") {
    Told told;
    told.retire(5, 1, 2);
    told.retire(5, 2, 3);
    told.retire(6, 3, 2);
    CHECK(told.heir(1) == ReplicaId{});
    told.retire(9, 1, 9);  // a higher successor than the first
    CHECK(told.heir(1) == replica(9));
    CHECK(told.heir(2) == ReplicaId{});
  }
}

TEST_SUITE("open decrees") {
  TEST_CASE("a failover is open until its issuer closes it") {
    Told told;
    CHECK_FALSE(told.state.decreed(replica(1)));
    told.failover(5, 1);
    told.failover(6, 1);
    CHECK(told.state.decreed(replica(1)));
    told.failover(5, 1, 1, 77);
    CHECK(told.state.decreed(replica(1)));  // by the other
    told.failover(6, 1, 1, 78);
    CHECK_FALSE(told.state.decreed(replica(1)));
    told.failover(5, 1, 2);
    CHECK(told.state.decreed(replica(1)));
    CHECK(told.state.decrees().size() == 3);
  }

  TEST_CASE("that of a retired issuer counts as closed, whichever comes first") {
    for (const bool retired_first : {true, false}) {
      Told told;
      if (retired_first) told.retire(6, 5, 6);
      told.failover(5, 1);
      if (!retired_first) told.retire(6, 5, 6);
      CHECK_FALSE(told.state.decreed(replica(1)));
      for (const auto& [key, decree] : told.state.decrees())
        CHECK_FALSE(told.state.is_open(*decree));
    }
  }

  TEST_CASE("a retirement is no open decree") {
    Told told;
    told.retire(5, 1, 2);
    CHECK(told.state.retired(replica(1)));
    CHECK_FALSE(told.state.decreed(replica(1)));
  }
}

TEST_SUITE("ranks of copies") {
  TEST_CASE("each rule, from the strongest") {
    const auto before = [](const std::unique_ptr<Hold>& a, const std::unique_ptr<Hold>& b) {
      return stands_before(*a, *b) && !stands_before(*b, *a);
    };
    using enum HoldState;
    CHECK(before(copy(9, expired), copy(1, committed, {.overruled = true})));
    CHECK(before(copy(9, committed), copy(1, released)));
    CHECK(before(copy(9, released), copy(1, held, {.expires_at = 99})));
    CHECK(before(copy(9, held), copy(1, expired)));
    CHECK(before(copy(9, held, {.expires_at = 2, .adopted_from = replica(1)}),
                 copy(1, held, {.expires_at = 1})));
    const HoldRow of_an_heir{.adopted_from = replica(2), .estate_of = replica(2)};
    const HoldRow adopted{.adopted_from = replica(2)};
    CHECK(before(copy(9, held, of_an_heir), copy(1, held)));
    CHECK(before(copy(9, held), copy(1, held, adopted)));
    CHECK(before(copy(9, committed), copy(1, committed, of_an_heir)));
    CHECK(before(copy(9, committed), copy(1, committed, adopted)));
    // An heir's that takes its end back is an adopter's, and keeps its rank.
    CHECK(before(copy(1, committed, of_an_heir), copy(9, committed, adopted)));
    CHECK(before(copy(1, committed, adopted), copy(9, committed, of_an_heir)));
    CHECK(before(copy(1, committed), copy(9, committed)));
  }

  TEST_CASE("a total order: every node shows the same copy") {
    check_property("stands_before orders any three copies", [] {
      std::vector<std::unique_ptr<Hold>> copies;
      for (std::uint64_t at = 0; at < 3; ++at) {
        const bool adopted = *rc::gen::arbitrary<bool>(), estate = *rc::gen::arbitrary<bool>();
        copies.push_back(copy(at, HoldState(*rc::gen::inRange(0, 4)),
                              {.overruled = *rc::gen::arbitrary<bool>(),
                               .expires_at = *rc::gen::inRange(0, 3),
                               .adopted_from = adopted ? replica(8) : ReplicaId{},
                               .estate_of = estate ? replica(8) : ReplicaId{}}));
      }
      for (const auto& a : copies) {
        RC_ASSERT(!stands_before(*a, *a));
        for (const auto& b : copies) {
          if (a != b) RC_ASSERT(stands_before(*a, *b) != stands_before(*b, *a));
          for (const auto& c : copies)
            if (stands_before(*a, *b) && stands_before(*b, *c)) RC_ASSERT(stands_before(*a, *c));
        }
      }
    });
  }
}

}  // namespace
}  // namespace holdfast::crdt
