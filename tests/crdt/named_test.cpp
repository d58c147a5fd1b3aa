// Tables of items by name.

#include "crdt/named.h"

#include <doctest/doctest.h>

#include <string>

using namespace holdfast::crdt;

TEST_SUITE("named") {
  TEST_CASE("what is put under a name is found there, taken, and gone") {
    std::vector<std::string> names;
    for (int i = 0; i < 20'000; ++i) names.push_back("name-" + std::to_string(i));
    ByName<int> numbers;
    for (int i = 0; i < 20'000; ++i) {
      std::unique_ptr<int>& owner = numbers.owner(names[i]);
      REQUIRE(owner == nullptr);
      owner = std::make_unique<int>(i);
    }
    CHECK(numbers.size() == 20'000);
    for (int i = 0; i < 20'000; i += 2) REQUIRE(*numbers.take(std::string(names[i])) == i);
    CHECK(numbers.size() == 10'000);
    for (int i = 0; i < 20'000; ++i) {
      numbers.prefetch(names[i]);
      const int* found = numbers.find(std::string(names[i]));
      REQUIRE((found == nullptr) == (i % 2 == 0));
      if (found != nullptr) REQUIRE(*found == i);
      REQUIRE(numbers.glance(names[i]) == found);
    }
    CHECK(*numbers.owner(names[1]) == 1);
    CHECK(numbers.size() == 10'000);
  }

  TEST_CASE("names whose hashes collide are two") {
    const std::string left = "left", right = "right";
    Named one(left), other(right);
    other.hash = one.hash;
    ByName<int> numbers;
    numbers.owner(one) = std::make_unique<int>(1);
    CHECK(numbers.owner(other) == nullptr);
    numbers.owner(other) = std::make_unique<int>(2);
    CHECK(*numbers.find(one) == 1);
    CHECK(*numbers.find(other) == 2);
    CHECK(numbers.glance(one) != nullptr);  // one of them
    CHECK(*numbers.take(one) == 1);
    CHECK(numbers.find(one) == nullptr);
    CHECK(*numbers.find(other) == 2);
  }
}
