// Merging is a join: whatever the order and however often, equal rows give equal answers.

#include <map>

#include "crdt/pn_counter.h"
#include "tests/crdt/support/rows.h"
#include "tests/support/property.h"

namespace holdfast::crdt {
namespace {

using namespace holdfast::tests;

const std::vector<ReplicaId> kOrigins = {replica(0), replica(1), replica(2), replica(3),
                                         replica(7)};

std::unique_ptr<State> observer() { return std::make_unique<State>(replica(7)); }

std::unique_ptr<State> state_of(const std::vector<Version>& versions) {
  auto state = observer();
  for (const Version& version : versions) RC_ASSERT(merge(*state, version));
  return state;
}

std::string print(const State& state) { return fingerprint(state, kOrigins); }

std::unique_ptr<State> join(const State& a, const State& b) {
  auto joined = observer();
  absorb(*joined, a, kOrigins);
  absorb(*joined, b, kOrigins);
  return joined;
}

// A subset of the versions, by chance. (A view that misses rows is what every replica has.)
std::vector<Version> some(const std::vector<Version>& all, gossip::Rng& rng) {
  std::vector<Version> chosen;
  for (const Version& version : all)
    if (rng.chance(0.6)) chosen.push_back(version);
  return chosen;
}

TEST_SUITE("lattice laws") {
  TEST_CASE("any order, any duplication, the same state") {
    check_property("merge is order-free and idempotent",
                   [](const std::vector<Write>& writes, std::uint64_t seed) {
                     gossip::Rng rng(seed);
                     const std::vector<Version> versions = history(writes);
                     std::vector<Version> mixed = versions;
                     for (const Version& version : versions)
                       for (std::uint64_t again = rng.below(3); again > 0; --again)
                         mixed.push_back(version);
                     shuffle(mixed, rng);
                     // Of a stock row, an older version after a newer is not even looked at.
                     RC_ASSERT(print(*state_of(versions)) == print(*state_of(mixed)));
                   });
  }

  TEST_CASE("a merged state is that of the writers") {
    check_property("merging everything gives every writer's own rows",
                   [](const std::vector<Write>& writes) {
                     State writer(replica(0));
                     std::vector<Write> own = writes;
                     std::string bytes;
                     for (Write& write : own) {
                       write.writer = 0;
                       write_to(writer, write);
                       if (write.seal) writer.seal(bytes);
                     }
                     writer.seal(bytes);
                     RC_ASSERT(print(*state_of(history(own))) == print(writer));
                   });
  }

  TEST_CASE("commutative") {
    check_property("a ∨ b = b ∨ a", [](const std::vector<Write>& writes, std::uint64_t seed) {
      gossip::Rng rng(seed);
      const std::vector<Version> versions = history(writes);
      const auto a = state_of(some(versions, rng)), b = state_of(some(versions, rng));
      RC_ASSERT(print(*join(*a, *b)) == print(*join(*b, *a)));
    });
  }

  TEST_CASE("associative") {
    check_property(
        "(a ∨ b) ∨ c = a ∨ (b ∨ c)", [](const std::vector<Write>& writes, std::uint64_t seed) {
          gossip::Rng rng(seed);
          const std::vector<Version> versions = history(writes);
          const auto a = state_of(some(versions, rng)), b = state_of(some(versions, rng)),
                     c = state_of(some(versions, rng));
          RC_ASSERT(print(*join(*join(*a, *b), *c)) == print(*join(*a, *join(*b, *c))));
        });
  }

  TEST_CASE("idempotent") {
    check_property("a ∨ a = a", [](const std::vector<Write>& writes, std::uint64_t seed) {
      gossip::Rng rng(seed);
      const auto a = state_of(some(history(writes), rng));
      RC_ASSERT(print(*join(*a, *a)) == print(*a));
    });
  }

  TEST_CASE("the digest tells different rows apart") {
    check_property(
        "a missing row of stock, hold or sku shows in the digest",
        [](const std::vector<Write>& writes, std::uint64_t seed) {
          gossip::Rng rng(seed);
          const std::vector<Version> versions = history(writes);
          const auto all = state_of(versions);
          const auto fewer = state_of(some(versions, rng));
          std::vector<std::string> counted[2];
          for (const State* state : {all.get(), fewer.get()})
            for (const ReplicaId origin : kOrigins)
              if (const Feed* feed = state->feed(origin))
                for (auto at = feed->begin_after(0); at != feed->end(); ++at)
                  if (at->second->kind != RowKind::key && at->second->kind != RowKind::member)
                    append_item(*at->second, counted[state == all.get()].emplace_back());
          RC_ASSERT((all->digest() == fewer->digest()) == (counted[0] == counted[1]));
        });
  }
}

TEST_SUITE("PN-counter") {
  // The specification: everyone's increments less everyone's decrements, whoever has seen what.
  Units spec(const std::vector<std::pair<std::uint8_t, std::int16_t>>& operations) {
    Units value = 0;
    for (const auto& [origin, change] : operations) value += change;
    return value;
  }

  TEST_CASE("its value is that of the specification, in any order of arrival") {
    check_property("value = Σ changes",
                   [](const std::vector<std::pair<std::uint8_t, std::int16_t>>& operations,
                      std::uint64_t seed) {
                     gossip::Rng rng(seed);
                     // Each origin writes versions of its pair; they arrive in any order, some
                     // twice.
                     std::map<int, PnPair> written;
                     std::map<int, std::vector<PnPair>> versions;
                     std::vector<std::pair<int, std::size_t>> arrivals;
                     for (const auto& [origin, change] : operations) {
                       PnPair& pair = written[origin % 4];
                       (change >= 0 ? pair.up : pair.down) += std::abs(Units(change));
                       versions[origin % 4].push_back(pair);
                       for (std::uint64_t n = 1 + rng.below(2); n > 0; --n)
                         arrivals.emplace_back(origin % 4, versions[origin % 4].size());
                     }
                     shuffle(arrivals, rng);
                     PnCounter counter;
                     std::map<int, std::size_t> have;
                     for (const auto& [origin, version] : arrivals) {
                       std::size_t& now = have[origin];
                       if (version <= now) continue;
                       counter.grow(now == 0 ? PnPair{} : versions[origin][now - 1],
                                    versions[origin][version - 1]);
                       now = version;
                     }
                     RC_ASSERT(counter.value() == spec(operations));
                   });
  }
}

}  // namespace
}  // namespace holdfast::crdt
