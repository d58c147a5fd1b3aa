// Names and their hashes as keys.

#include "crdt/named.h"

#include <doctest/doctest.h>

#include <string>

using namespace holdfast::crdt;

TEST_SUITE("named") {
  TEST_CASE("names whose hashes collide are two keys") {
    const std::string left = "left", right = "right";
    Named one(left), other(right);
    other.hash = one.hash;
    ByName<int> numbers;
    CHECK(numbers.emplace(one, std::make_unique<int>(1)).second);
    CHECK(numbers.emplace(other, std::make_unique<int>(2)).second);
    CHECK_FALSE(numbers.emplace(other, std::make_unique<int>(3)).second);
    CHECK(*numbers.at(one) == 1);
    CHECK(*numbers.at(other) == 2);
    CHECK(glance(numbers, left) != nullptr);  // one of them
    numbers.erase(one);
    CHECK(numbers.find(one) == numbers.end());
    CHECK(*numbers.at(other) == 2);
    CHECK(glance(numbers, "nobody") == nullptr);
  }
}
