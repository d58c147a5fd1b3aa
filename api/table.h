#pragma once
// Tables for people, in plain text. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::api {

enum class Align { left, right };
enum class Style { plain, colour };  // colour: titles in bold

struct Column {
  std::string title;
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell a column; missing cells are empty. Control bytes are shown as '?': a cell may hold
  // what strangers wrote, and must not drive the terminal.
  void add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // Columns two spaces apart, as wide as their widest cell (in code points), no blanks at line
  // ends.
  std::string text(Style style) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string printable(std::string_view text);  // control bytes as '?'
std::string grouped(std::int64_t value);       // 26814 → "26,814"
std::string short_number(double value);        // 0.84, 12.3, 1,204

}  // namespace holdfast::api
