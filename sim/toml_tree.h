#pragma once
// Edge: TOML text as a tree of plain values that know their lines. What reads the tree needs no
// TOML library.

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::sim {

struct TomlMember;
using TomlTable = std::vector<TomlMember>;  // in the order of the file

struct TomlValue {
  struct DateOrTime {};  // nothing here takes TOML's own dates and times
  using Array = std::vector<TomlValue>;

  std::variant<bool, std::int64_t, double, std::string, DateOrTime, Array, TomlTable> data;
  std::uint32_t line = 0;  // 1 …

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data);
  }
};

struct TomlMember {
  std::string key;
  std::uint32_t line = 0;
  TomlValue value;
};

// `name` is what messages call the text.
// Errors: kInvalidArgument, "name:line: what is wrong" (syntax, a key given twice).
absl::StatusOr<TomlTable> parse_toml(std::string_view text, const std::string& name);

// A value as a message quotes it: short, on one line.
std::string to_string(const TomlValue& value);

}  // namespace holdfast::sim
