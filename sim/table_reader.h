#pragma once
// Reads one table of a scenario file key by key, and finds every fault in it: what is wrong is
// noted with its line and full key, and reading goes on, so that one run names all mistakes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sim/events.h"
#include "sim/toml_tree.h"

namespace holdfast::sim {

// All faults found in one file.
class Problems {
 public:
  explicit Problems(std::string file) : file_(std::move(file)) {}
  // `line` 0: about the file as a whole.
  void add(std::uint32_t line, const std::string& key, const std::string& problem);
  bool none() const { return items_.empty(); }
  std::size_t count() const { return items_.size(); }
  // kInvalidArgument with one line of text a fault, "file:line: key: problem", by line; the first
  // kShown of them.
  absl::Status status() const;

 private:
  static constexpr std::size_t kShown = 10;
  struct Item {
    std::uint32_t line;
    std::string text;
  };
  std::string file_;
  std::vector<Item> items_;
};

// low … high, both included.
template <typename T>
struct Range {
  T low{}, high{};
  bool operator==(const Range&) const = default;
};

// Every getter leaves `out` as it is (the default) if the key is absent or wrong; a wrong one is
// noted. The keys that were asked for are the known ones: finish() notes all others.
class TableReader {
 public:
  // `path`: the table's full name, e.g. "demand.orders"; empty for the root.
  TableReader(Problems& problems, const TomlTable& table, std::string path, std::uint32_t line)
      : problems_(&problems), table_(&table), path_(std::move(path)), line_(line) {}

  const TomlMember* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }
  void require(std::string_view key);  // notes it if it is absent

  void flag(std::string_view key, bool& out);
  void text(std::string_view key, std::string& out);  // not empty, at most 1,000 bytes
  void one_of(std::string_view key, std::string& out, const std::vector<std::string>& choices);
  void integer(std::string_view key, std::int64_t& out, Range<std::int64_t> allowed);
  void number(std::string_view key, double& out, Range<double> allowed);
  void span(std::string_view key, Time& out, Range<Time> allowed);
  void millis(std::string_view key, Time& out, Range<double> allowed_ms);
  // One value, or [low, high].
  void integers(std::string_view key, Range<std::int64_t>& out, Range<std::int64_t> allowed);
  void spans(std::string_view key, Range<Time>& out, Range<Time> allowed);
  // A list of numbers; empty if it is absent or wrong.
  std::vector<std::int64_t> integer_list(std::string_view key, Range<std::int64_t> allowed);
  // A list of texts, or one text alone.
  std::vector<std::string> texts(std::string_view key);
  std::optional<TableReader> table(std::string_view key);           // [path.key] or { … }
  std::vector<TableReader> tables(std::string_view key);            // [[path.key]]
  std::vector<const TomlMember*> members() const;                   // for tables with free keys
  void note(const TomlMember& member, const std::string& problem);  // about that key
  void note(std::string_view key, const std::string& problem);      // about a key, if there
  void note(const std::string& problem);                            // about the table
  // Notes every key that nobody asked for, with the nearest known one.
  void finish();

  Problems& problems() { return *problems_; }
  std::uint32_t line() const { return line_; }
  std::string full(std::string_view key) const;

 private:
  std::optional<std::int64_t> integer_of(const TomlMember& member, const TomlValue& value,
                                         Range<std::int64_t> allowed);
  std::optional<double> number_of(const TomlMember& member, const TomlValue& value,
                                  Range<double> allowed);
  std::optional<Time> span_of(const TomlMember& member, const TomlValue& value,
                              Range<Time> allowed);

  Problems* problems_;
  const TomlTable* table_;
  std::string path_;
  std::uint32_t line_;
  std::vector<std::string> known_;
};

// The nearest of `choices` to `word`, if it is near enough to be meant.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& choices);

std::string joined(const std::vector<std::string>& words);  // "a, b, c"

}  // namespace holdfast::sim
