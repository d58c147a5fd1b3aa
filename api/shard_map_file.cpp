#include "api/shard_map_file.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <toml++/toml.h>

#include "api/http_client.h"
#include "api/json.h"

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

std::vector<Shard> read_shards(const toml::table& from) {
  std::vector<Shard> shards;
  each(from, "shard", [&](const toml::table& table) {
    only(table, {"name", "weight", "nodes"});
    for (const std::string& url : texts(table, "nodes"))
      if (absl::Status status = parse_http_url(url).status(); !status.ok())
        throw Wrong{std::string(status.message()), table.get("nodes")};
    shards.push_back({.name = text(table, "name", true),
                      .weight = static_cast<std::uint32_t>(number(table, "weight", 100, 10'000)),
                      .nodes = texts(table, "nodes")});
  });
  std::stable_sort(shards.begin(), shards.end(),
                   [](const Shard& a, const Shard& b) { return a.name < b.name; });
  return shards;
}

std::vector<SkuRange> read_ranges(const toml::table& from, const std::vector<Shard>& shards) {
  std::vector<SkuRange> ranges;
  each(from, "range", [&](const toml::table& table) {
    only(table, {"from", "to", "shard"});
    const std::string name = text(table, "shard", true);
    const auto at = std::find_if(shards.begin(), shards.end(),
                                 [&](const Shard& shard) { return shard.name == name; });
    if (at == shards.end())
      throw Wrong{"a range is given to shard '" + name + "', which this map does not have", &table};
    ranges.push_back({.from = text(table, "from", true),
                      .to = text(table, "to", false),
                      .shard = static_cast<std::size_t>(at - shards.begin())});
  });
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const SkuRange& a, const SkuRange& b) { return a.from < b.from; });
  return ranges;
}

ShardMap read(const toml::table& root) {
  ShardMap map;
  only(root, {"version", "shard", "range", "was"});
  map.version = number(root, "version", 0, INT64_MAX);
  map.shards = read_shards(root);
  map.ranges = read_ranges(root, map.shards);
  const toml::node* was = root.get("was");
  if (was == nullptr) return map;
  if (!was->is_table()) throw Wrong{"'was' must be written as [was]", was};
  only(*was->as_table(), {"shard", "range"});
  map.was_shards = read_shards(*was->as_table());
  map.was_ranges = read_ranges(*was->as_table(), map.was_shards);
  if (!map.moving()) throw Wrong{"[was] names no shard: add [[was.shard]], or leave it out", was};
  return map;
}

void write(std::string& out, const std::string& under, const std::vector<Shard>& shards,
           const std::vector<SkuRange>& ranges) {
  const auto quoted = [](const std::string& text) {
    std::string out;
    append_string(out, text);  // what JSON escapes TOML does, too
    return out;
  };
  for (const Shard& shard : shards) {
    out += "\n[[" + under + "shard]]\nname = " + quoted(shard.name) +
           "\nweight = " + std::to_string(shard.weight) + "\n";
    std::string nodes;
    for (const std::string& url : shard.nodes) nodes += (nodes.empty() ? "" : ", ") + quoted(url);
    if (!nodes.empty()) out += "nodes = [" + nodes + "]\n";
  }
  for (const SkuRange& range : ranges) {
    out += "\n[[" + under + "range]]\nfrom = " + quoted(range.from) + "\n";
    if (!range.to.empty()) out += "to = " + quoted(range.to) + "\n";
    out += "shard = " + quoted(shards[range.shard].name) + "\n";
  }
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

std::string written(const ShardMap& map) {
  std::string out = "version = " + std::to_string(map.version) + "\n";
  write(out, "", map.shards, map.ranges);
  if (map.moving()) out += "\n[was]\n";
  write(out, "was.", map.was_shards, map.was_ranges);
  return out;
}

absl::StatusOr<ShardMap> load_shard_map(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(path + ": cannot be read; is it there?");
  std::stringstream text;
  text << file.rdbuf();
  return parse_shard_map(text.str(), path);
}

}  // namespace holdfast::api
