#include "sim/toml_tree.h"

// Some of toml++'s assertions are wrong: "[[[" makes a debug build abort. Release builds have none,
// and report such text as the syntax error that it is; so does this file in every build.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace holdfast::sim {
namespace {

TomlTable tree_of(const toml::table& table);

TomlValue tree_of(const toml::node& node) {
  TomlValue value;
  value.line = node.source().begin.line;
  if (const auto flag = node.value_exact<bool>()) {
    value.data = *flag;
  } else if (const auto integer = node.value_exact<std::int64_t>()) {
    value.data = *integer;
  } else if (const auto number = node.value_exact<double>()) {
    value.data = *number;
  } else if (const auto text = node.value_exact<std::string>()) {
    value.data = *text;
  } else if (const toml::array* array = node.as_array()) {
    TomlValue::Array elements;
    for (const toml::node& element : *array) elements.push_back(tree_of(element));
    value.data = std::move(elements);
  } else if (const toml::table* table = node.as_table()) {
    value.data = tree_of(*table);
  } else {
    value.data = TomlValue::DateOrTime{};
  }
  return value;
}

TomlTable tree_of(const toml::table& table) {
  TomlTable members;
  for (const auto& [key, node] : table) {
    members.push_back({std::string(key.str()), key.source().begin.line, tree_of(node)});
  }
  std::stable_sort(members.begin(), members.end(),
                   [](const TomlMember& a, const TomlMember& b) { return a.line < b.line; });
  return members;
}

std::string shortest(double number) {
  if (std::abs(number) < 1e15 && number == std::floor(number)) {
    return std::to_string(static_cast<std::int64_t>(number));
  }
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  return error == std::errc{} ? std::string(digits, end) : std::string("a number");
}

struct Quote {
  std::string operator()(bool flag) const { return flag ? "true" : "false"; }
  std::string operator()(std::int64_t integer) const { return std::to_string(integer); }
  std::string operator()(double number) const { return shortest(number); }
  std::string operator()(const std::string& text) const {
    std::string shown = text.substr(0, 60);
    std::replace_if(
        shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return '"' + shown + (text.size() > 60 ? "…\"" : "\"");
  }
  std::string operator()(TomlValue::DateOrTime) const { return "a date or time without quotes"; }
  std::string operator()(const TomlValue::Array& array) const {
    return "a list of " + std::to_string(array.size());
  }
  std::string operator()(const TomlTable&) const { return "a table"; }
};

}  // namespace

absl::StatusOr<TomlTable> parse_toml(std::string_view text, const std::string& name) {
  try {
    return tree_of(toml::parse(text, name));
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(name + ":" + std::to_string(error.source().begin.line) +
                                      ": " + std::string(error.description()));
  }
}

std::string to_string(const TomlValue& value) { return std::visit(Quote{}, value.data); }

}  // namespace holdfast::sim
