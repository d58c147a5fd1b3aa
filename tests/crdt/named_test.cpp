// Tables of items by name.

#include "crdt/named.h"

#include <doctest/doctest.h>

#include <string>

using namespace holdfast::crdt;

namespace {
struct Number {
  std::string name;
  int value = 0;
};
const std::string& name_of(const Number& number) { return number.name; }
}  // namespace

TEST_SUITE("named") {
  TEST_CASE("what is put under a name is found there, taken, and gone") {
    std::vector<std::string> names;
    for (int i = 0; i < 20'000; ++i) names.push_back("name-" + std::to_string(i));
    ByName<Number> numbers;
    for (int i = 0; i < 20'000; ++i) {
      std::unique_ptr<Number>& owner = numbers.owner(names[i]);
      REQUIRE(owner == nullptr);
      owner = std::make_unique<Number>(Number{names[i], i});
    }
    CHECK(numbers.size() == 20'000);
    for (int i = 0; i < 20'000; i += 2) REQUIRE(numbers.take(std::string(names[i]))->value == i);
    CHECK(numbers.size() == 10'000);
    for (int i = 0; i < 20'000; ++i) {
      numbers.prefetch(names[i]);
      const Number* found = numbers.find(std::string(names[i]));
      REQUIRE((found == nullptr) == (i % 2 == 0));
      if (found != nullptr) REQUIRE(found->value == i);
      REQUIRE(numbers.glance(names[i]) == found);
    }
    CHECK(numbers.owner(names[1])->value == 1);
    CHECK(numbers.size() == 10'000);
  }

  TEST_CASE("names whose hashes collide are two") {
    const std::string left = "left", right = "right";
    Named one(left), other(right);
    other.hash = one.hash;
    ByName<Number> numbers;
    numbers.owner(one) = std::make_unique<Number>(Number{left, 1});
    std::unique_ptr<Number>& owner = numbers.owner(other);
    REQUIRE(owner == nullptr);
    owner = std::make_unique<Number>(Number{right, 2});
    CHECK(numbers.size() == 2);
    CHECK(numbers.find(one)->value == 1);
    CHECK(numbers.find(other)->value == 2);
    CHECK(numbers.glance(one) != nullptr);  // one of them
    CHECK(numbers.take(one)->value == 1);
    CHECK(numbers.find(one) == nullptr);
    CHECK(numbers.find(other)->value == 2);
  }
}
