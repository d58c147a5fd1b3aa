// Who belongs to which history: the table, and the rule against histories that are made up.

#include "crdt/boots.h"

#include <doctest/doctest.h>

#include <random>

using namespace holdfast::crdt;

namespace {

const std::vector<Boot> kMine = {{1, 11}, {40, 22}, {80, 33}};
constexpr Sequence kHead = 100;

struct Case {
  const char* what;
  Sequence sequence;
  std::uint64_t boot;
  bool other, own;  // same_history, is_latest
};

// An origin's history, as whoever writes it knows it.
struct History {
  std::vector<Boot> boots;
  Sequence head = 0;
  std::vector<std::uint64_t> writers;  // by sequence - 1: the boot that wrote it

  void boot(std::uint64_t nonce) {
    boots.push_back({head + 1, nonce});
    write(1);
  }
  void write(std::size_t count) {
    for (; count > 0; --count) {
      ++head;
      writers.push_back(boots.back().nonce);
    }
  }
  // A copy that is somewhere on the way: its member row is that of the last boot up to there.
  History upto(Sequence sequence) const {
    History copy = *this;
    copy.head = sequence;
    copy.writers.resize(sequence);
    while (!copy.boots.empty() && copy.boots.back().sequence > sequence) copy.boots.pop_back();
    return copy;
  }
};

bool prefix(const History& a, const History& b) {
  const Sequence both = std::min(a.head, b.head);
  for (Sequence i = 0; i < both; ++i)
    if (a.writers[i] != b.writers[i]) return false;
  return true;
}

}  // namespace

TEST_SUITE("boots") {
  TEST_CASE("a peer's entry, judged by the boots that are here") {
    const Case cases[] = {
        {"what is here", 100, 33, true, true},
        {"behind, in the last boot", 80, 33, true, true},
        {"behind, in an earlier boot", 79, 22, true, true},
        {"at the first write", 1, 11, true, true},
        {"nothing", 0, 0, true, true},
        {"higher than mine", 101, 33, true, false},
        {"higher than mine, a boot that is not here", 101, 44, true, false},
        {"higher than mine, of an earlier boot", 101, 22, false, false},
        {"a boot that is not here", 90, 44, false, false},
        {"a boot that is not here, at my head", 100, 44, false, false},
        {"a later boot of mine starts there", 80, 22, false, false},
        {"a later boot of mine starts below", 85, 11, false, false},
        {"its boot starts above", 79, 33, false, false},
        {"boot not known there, behind", 90, 0, true, true},
        {"boot not known there, higher than mine", 101, 0, true, false},
    };
    for (const Case& one : cases) {
      CAPTURE(one.what);
      CHECK(same_history(kMine, kHead, one.sequence, one.boot) == one.other);
      CHECK(is_latest(kMine, kHead, one.sequence, one.boot) == one.own);
    }
  }

  TEST_CASE("boots that were dropped, or are not here at all: by sequence alone") {
    const std::vector<Boot> rest = {{80, 33}};
    CHECK(same_history(rest, kHead, 79, 22));
    CHECK(same_history(rest, kHead, 10, 99));
    CHECK_FALSE(same_history(rest, kHead, 80, 22));
    CHECK(same_history({}, 0, 50, 22));
    CHECK(is_latest({}, 50, 50, 22));
    CHECK_FALSE(is_latest({}, 0, 50, 22));
  }

  TEST_CASE("rows that follow, or repeat, what is here") {
    const std::vector<Boot> rolled_back = {{1, 11}, {40, 22}, {60, 66}};
    CHECK(continues(rolled_back, 70, kMine, 70) == false);
    CHECK(continues(rolled_back, 70, kMine, 75) == false);
    CHECK(continues(rolled_back, 70, kMine, 100) == false);
    CHECK(continues(kMine, 100, rolled_back, 70) == false);
    CHECK(continues(kMine, 100, rolled_back, 59));
    CHECK(continues(kMine, 59, rolled_back, 70) == true);  // 59 is before they part
    CHECK(continues({}, 0, kMine, 100));
    CHECK(continues({{1, 11}}, 39, kMine, 100));
    CHECK(continues({{1, 11}}, 39, {{80, 33}}, 100));  // 11 was dropped there
  }

  TEST_CASE("which boots are not in their history") {
    using Boots = std::vector<Boot>;
    CHECK(parted({{1, 11}, {40, 22}}, {{1, 11}, {50, 33}}) == Boots{{40, 22}});
    CHECK(parted({{1, 11}, {40, 22}, {45, 23}}, {{1, 11}}) == Boots{{40, 22}, {45, 23}});
    CHECK(parted({{1, 11}, {40, 22}}, {{40, 22}, {50, 33}}).empty());
    CHECK(parted({{40, 22}, {45, 23}}, {{40, 22}}) == Boots{{45, 23}});
    CHECK(parted({{1, 11}}, {}) == Boots{{1, 11}});
    CHECK(parted({{40, 22}}, {{41, 22}}) == Boots{{40, 22}});
  }

  TEST_CASE("boots whose successor everybody has are dropped, except the last four") {
    using Boots = std::vector<Boot>;
    const Boots all{{1, 11}, {40, 22}, {80, 33}, {90, 44}, {95, 55}, {99, 66}};
    const auto left = [&](Sequence covered) {
      Boots boots = all;
      drop_covered(boots, covered);
      return boots.front().sequence;
    };
    CHECK(left(0) == 1);
    CHECK(left(39) == 1);
    CHECK(left(40) == 40);
    CHECK(left(79) == 40);
    CHECK(left(80) == 80);
    CHECK(left(1'000) == 80);
    Boots many;
    for (Sequence i = 1; i <= kBootsMax + 10; ++i) many.push_back({i, i});
    drop_covered(many, 0);
    CHECK(many.size() == kBootsMax);
    CHECK(many.back().sequence == kBootsMax + 10);
  }

  TEST_CASE("histories by chance: nobody of the same one is accused, forks are found from above") {
    std::mt19937_64 random(7);
    const auto number = [&](std::uint64_t below) { return random() % below; };
    int forks = 0, same = 0;
    for (int round = 0; round < 20'000; ++round) {
      std::uint64_t nonce = 0;
      History line;
      for (auto boots = 1 + number(4); boots > 0; --boots) {
        line.boot(++nonce);
        line.write(number(6));
      }
      // Copied somewhere, and started again there or not; the other one goes on or not.
      History fork = line.upto(1 + number(line.head));
      for (auto boots = number(3); boots > 0; --boots) {
        fork.boot(++nonce + 1'000);
        fork.write(number(6));
      }
      if (number(2) == 0) line.boot(++nonce);
      line.write(number(6));
      const History a = number(2) == 0 ? line : line.upto(number(line.head + 1));
      const History b = number(4) == 0 ? line.upto(number(line.head + 1)) : fork;
      const History& high = a.head >= b.head ? a : b;
      const History& low = a.head >= b.head ? b : a;
      const bool truth = prefix(a, b);
      CAPTURE(round);
      // Who is above knows; who is below may find nothing against it, but never accuses wrongly.
      REQUIRE(same_history(high.boots, high.head, low.head, boot_at(low.boots, low.head)) == truth);
      if (truth)
        REQUIRE(same_history(low.boots, low.head, high.head, boot_at(high.boots, high.head)));
      REQUIRE(continues(low.boots, low.head, high.boots, high.head) == truth);
      REQUIRE(continues(high.boots, high.head, low.boots, low.head) == truth);
      ++(truth ? same : forks);
    }
    CHECK(forks > 3'000);
    CHECK(same > 3'000);
  }

  TEST_CASE("boots: void are those of a history that began where the two parted") {
    const std::vector<Boot> copied{{1, 11}, {8, 12}};
    // A disk that was put back, as it was at 20; and one that went back before a boot.
    CHECK(void_boots({{1, 11}, {8, 12}, {21, 13}}, copied) == std::vector<Boot>{{21, 13}});
    CHECK(void_boots({{1, 11}, {5, 13}}, copied) == std::vector<Boot>{{5, 13}});
    // Both were started on the same copy.
    CHECK(void_boots({{1, 11}, {8, 12}, {21, 13}}, {{1, 11}, {8, 12}, {21, 14}}) ==
          std::vector<Boot>{{21, 13}});
    // Copied in the middle of boot 12: with nothing, and with another boot, since then.
    CHECK(void_boots(copied, {{1, 11}, {8, 12}, {15, 14}}) == std::vector<Boot>{{15, 14}});
    CHECK(void_boots({{1, 11}, {8, 12}, {30, 13}}, {{8, 12}, {15, 14}, {17, 15}}) ==
          std::vector<Boot>{{15, 14}, {17, 15}});
    // They share none that both remember.
    CHECK(void_boots({{21, 13}}, {{30, 14}}) == std::vector<Boot>{{21, 13}});
  }
}
