// Shard maps: where SKUs belong, and what is no map.

#include "api/shard_map.h"

#include <doctest/doctest.h>

#include <map>

#include "api/shard_map_file.h"

using namespace holdfast::api;

namespace {

ShardMap parsed(const std::string& text) {
  auto map = parse_shard_map(text, "map.toml");
  REQUIRE_MESSAGE(map.ok(), map.status().message());
  return *std::move(map);
}
std::string refused(const std::string& text) {
  const auto map = parse_shard_map(text, "map.toml");
  return map.ok() ? "" : std::string(map.status().message());
}

const std::string kA = "[[shard]]\nname = \"a\"\nnodes = [\"http://127.0.0.1:1\"]\n";
const std::string kB = "[[shard]]\nname = \"b\"\nnodes = [\"http://127.0.0.1:2\"]\n";

}  // namespace

TEST_SUITE("shard map") {
  TEST_CASE("SKUs spread over the shards, and stay when another one comes") {
    const ShardMap two = parsed("version = 1\n" + kB + kA);
    const ShardMap three =
        parsed("version = 2\n" + kA + kB + "[[shard]]\nname = \"c\"\nnodes = [\"http://h:3\"]\n");
    std::map<std::string, int> counts;
    for (int i = 0; i < 9'000; ++i) {
      const std::string sku = "sku-" + std::to_string(i);
      const std::string before = two.shards[two.shard_of(sku)].name;
      const std::string now = three.shards[three.shard_of(sku)].name;
      CHECK((now == before || now == "c"));
      ++counts[now];
    }
    for (const char* name : {"a", "b", "c"})
      CHECK(counts[name] == doctest::Approx(3'000).epsilon(0.1));
  }

  TEST_CASE("a range goes where it is told, from its first SKU to just before its end") {
    const ShardMap map =
        parsed("version = 1\n" + kA + "[[shard]]\nname = \"z\"\nweight = 0\n" +
               "nodes = [\"http://h:3\"]\n" + "[[range]]\nfrom = \"x\"\nshard = \"z\"\n" +
               "[[range]]\nfrom = \"m\"\nto = \"p\"\nshard = \"z\"\n");
    CHECK(map.shards[map.shard_of("lz")].name == "a");
    CHECK(map.shards[map.shard_of("m")].name == "z");
    CHECK(map.shards[map.shard_of("oz")].name == "z");
    CHECK(map.shards[map.shard_of("p")].name == "a");
    CHECK(map.shards[map.shard_of("x")].name == "z");
    CHECK(map.shards[map.shard_of("zzz")].name == "z");
  }

  TEST_CASE("what is no map is refused, and says what to change") {
    const std::string one = "version = 1\n" + kA;
    const std::pair<std::string, const char*> cases[] = {
        {"version = ", "map.toml:1"},
        {"version = 1\n", "names no shard"},
        {kA, "no version"},
        {one + kA, "two shards are named 'a'"},
        {"version = 1\n[[shard]]\nname = \"a\"\n", "has no nodes"},
        {"version = 1\n[[shard]]\nnodes = [\"http://h:1\"]\n", "'name' is missing"},
        {one + "weight = 0\n", "no shard has a weight"},
        {one + "weight = -1\n", "map.toml:5: 'weight' must be a whole number"},
        {one + "wieght = 1\n", "map.toml:5: unknown key 'wieght'"},
        {one + "[[range]]\nfrom = \"a\"\nshard = \"q\"\n", "shard 'q', which this map does not"},
        {one + "[[range]]\nfrom = \"b\"\nto = \"a\"\nshard = \"a\"\n", "has nothing in it"},
        {one + "[[range]]\nfrom = \"a\"\nshard = \"a\"\n[[range]]\nfrom = \"b\"\nshard = \"a\"\n",
         "overlaps"},
        {one + "[range]\nfrom = \"a\"\n", "must be written as [[range]]"},
    };
    for (const auto& [text, why] : cases) {
      INFO(text);
      CHECK_MESSAGE(refused(text).find(why) != std::string::npos, refused(text));
    }
    CHECK(load_shard_map("/nonexistent/map.toml").status().message().find("cannot be read") !=
          std::string::npos);
  }

  TEST_CASE("a map may not go back, nor change without a higher version") {
    const ShardMap first = parsed("version = 2\n" + kA);
    CHECK(check_follows(first, first).ok());
    CHECK(check_follows(first, parsed("version = 3\n" + kA + kB)).ok());
    CHECK_FALSE(check_follows(first, parsed("version = 2\n" + kA + kB)).ok());
    CHECK_FALSE(check_follows(first, parsed("version = 1\n" + kA)).ok());
  }
}
