#include "api/shard_map_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>

#include "api/http_client.h"

namespace holdfast::api {

namespace {

// Thrown and caught here alone.
struct Wrong {
  Wrong(std::string text, const toml::node* where)
      : what(std::move(text)), line(where->source().begin.line) {}
  std::string what;
  std::uint32_t line = 0;
};

void only(const toml::table& table, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : table)
    if (std::find(known.begin(), known.end(), key.str()) == known.end())
      throw Wrong{"unknown key '" + std::string(key.str()) + "'", &value};
}

std::string text(const toml::table& table, std::string_view key, bool required) {
  const toml::node* node = table.get(key);
  if (node == nullptr && !required) return "";
  if (node == nullptr) throw Wrong{"'" + std::string(key) + "' is missing", &table};
  if (const auto value = node->value_exact<std::string>()) return *value;
  throw Wrong{"'" + std::string(key) + "' must be a text", node};
}

std::uint64_t number(const toml::table& table, std::string_view key, std::int64_t fallback,
                     std::int64_t most) {
  const toml::node* node = table.get(key);
  if (node == nullptr) return static_cast<std::uint64_t>(fallback);
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < 0 || *value > most)
    throw Wrong{
        "'" + std::string(key) + "' must be a whole number from 0 to " + std::to_string(most),
        node};
  return static_cast<std::uint64_t>(*value);
}

std::vector<std::string> texts(const toml::table& table, std::string_view key) {
  std::vector<std::string> texts;
  const toml::node* node = table.get(key);
  if (node == nullptr) return texts;
  if (!node->is_array()) throw Wrong{"'" + std::string(key) + "' must be a list of texts", node};
  for (const toml::node& one : *node->as_array()) {
    const auto value = one.value_exact<std::string>();
    if (!value) throw Wrong{"'" + std::string(key) + "' must be a list of texts", &one};
    texts.push_back(*value);
  }
  return texts;
}

template <typename Visit>
void each(const toml::table& root, std::string_view key, Visit&& visit) {
  const toml::node* node = root.get(key);
  if (node == nullptr) return;
  if (!node->is_array_of_tables())
    throw Wrong{"'" + std::string(key) + "' must be written as [[" + std::string(key) + "]]", node};
  for (const toml::node& one : *node->as_array()) visit(*one.as_table());
}

ShardMap read(const toml::table& root) {
  ShardMap map;
  only(root, {"version", "shard", "range"});
  map.version = number(root, "version", 0, INT64_MAX);
  each(root, "shard", [&](const toml::table& table) {
    only(table, {"name", "weight", "nodes"});
    for (const std::string& url : texts(table, "nodes"))
      if (absl::Status status = parse_http_url(url).status(); !status.ok())
        throw Wrong{std::string(status.message()), table.get("nodes")};
    map.shards.push_back(
        {.name = text(table, "name", true),
         .weight = static_cast<std::uint32_t>(number(table, "weight", 100, 10'000)),
         .nodes = texts(table, "nodes")});
  });
  std::stable_sort(map.shards.begin(), map.shards.end(),
                   [](const Shard& a, const Shard& b) { return a.name < b.name; });
  each(root, "range", [&](const toml::table& table) {
    only(table, {"from", "to", "shard"});
    const std::string name = text(table, "shard", true);
    const auto at = std::find_if(map.shards.begin(), map.shards.end(),
                                 [&](const Shard& shard) { return shard.name == name; });
    if (at == map.shards.end())
      throw Wrong{"a range is given to shard '" + name + "', which this map does not have", &table};
    map.ranges.push_back({.from = text(table, "from", true),
                          .to = text(table, "to", false),
                          .shard = static_cast<std::size_t>(at - map.shards.begin())});
  });
  std::stable_sort(map.ranges.begin(), map.ranges.end(),
                   [](const SkuRange& a, const SkuRange& b) { return a.from < b.from; });
  return map;
}

absl::Status wrong(const std::string& path, const std::string& what, std::uint32_t line) {
  return absl::InvalidArgumentError(path + (line == 0 ? "" : ":" + std::to_string(line)) + ": " +
                                    what);
}

}  // namespace

absl::StatusOr<ShardMap> parse_shard_map(std::string_view text, const std::string& path) {
  try {
    const toml::table root = toml::parse(text);
    ShardMap map = read(root);
    if (absl::Status status = check(map); !status.ok())
      return wrong(path, std::string(status.message()), 0);
    return map;
  } catch (const toml::parse_error& error) {
    return wrong(path, std::string(error.description()), error.source().begin.line);
  } catch (const Wrong& error) {
    return wrong(path, error.what, error.line);
  }
}

absl::StatusOr<ShardMap> load_shard_map(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(path + ": cannot be read; is it there?");
  std::stringstream text;
  text << file.rdbuf();
  return parse_shard_map(text.str(), path);
}

}  // namespace holdfast::api
