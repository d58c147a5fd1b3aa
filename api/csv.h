#pragma once
// Comma-separated values as RFC 4180 has them: quoted fields may hold commas, quotes (doubled) and
// line ends; lines end in LF or CRLF; a byte order mark at the beginning is skipped. Pure.
//
// A record that is broken does not hide those after it: reading goes on at the next line of the
// text.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::api {

inline constexpr std::size_t kCsvRecordBytesMax = 64u << 10;

struct CsvRecord {
  std::size_t line = 0;             // where it begins, from 1
  std::vector<std::string> fields;  // meaningless if broken
  std::string broken;               // why it cannot be read; empty: it can
};

class CsvReader {
 public:
  // `text` must outlive the reader.
  explicit CsvReader(std::string_view text);

  // The next record in `record`; false at the end. Empty lines are skipped. Cost per record: at
  // most kCsvRecordBytesMax, also when a quote is never closed.
  bool next(CsvRecord& record);

 private:
  void read_record(CsvRecord& record);
  bool read_quoted(std::size_t limit, std::string& field);
  void skip_line();

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

}  // namespace holdfast::api
