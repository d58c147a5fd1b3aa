#include "api/csv.h"

#include <algorithm>

namespace holdfast::api {

CsvReader::CsvReader(std::string_view text) : text_(text) {
  if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

void CsvReader::skip_line() {
  const auto end = text_.find('\n', at_);
  at_ = end == std::string_view::npos ? text_.size() : end + 1;
  ++line_;
}

bool CsvReader::next(CsvRecord& record) {
  while (at_ < text_.size() && (text_[at_] == '\n' || text_.substr(at_, 2) == "\r\n")) skip_line();
  if (at_ >= text_.size()) return false;
  record.line = line_;
  record.fields.clear();
  record.broken.clear();
  const std::size_t begin = at_;
  read_record(record);
  if (!record.broken.empty()) {
    at_ = begin;
    line_ = record.line;
    skip_line();
  }
  return true;
}

// Reads behind an opening quote up to and with the closing one; false if there is none before
// `limit`.
bool CsvReader::read_quoted(std::size_t limit, std::string& field) {
  while (at_ < limit) {
    const char c = text_[at_++];
    if (c != '"') {
      if (c == '\n') ++line_;
      field += c;
    } else if (at_ < text_.size() && text_[at_] == '"') {
      field += '"';
      ++at_;
    } else {
      return true;
    }
  }
  return false;
}

void CsvReader::read_record(CsvRecord& record) {
  const std::size_t limit = std::min(text_.size(), at_ + kCsvRecordBytesMax);
  for (;;) {
    std::string field;
    if (at_ < limit && text_[at_] == '"') {
      ++at_;
      if (!read_quoted(limit, field)) {
        record.broken = "a quoted field is not closed (or the record is longer than 64 KiB)";
        return;
      }
    } else {
      const auto end = text_.find_first_of(",\r\n", at_);
      const auto stop = std::min(end == std::string_view::npos ? text_.size() : end, limit);
      field = text_.substr(at_, stop - at_);
      at_ = stop;
    }
    record.fields.push_back(std::move(field));
    if (at_ >= text_.size()) return;
    if (at_ >= limit) {
      record.broken = "the record is longer than 64 KiB";
      return;
    }
    if (text_[at_] == ',') {
      ++at_;
      continue;
    }
    if (text_.substr(at_, 2) == "\r\n" || text_[at_] == '\n') {
      skip_line();
      return;
    }
    record.broken = "text stands between the end of a field and the next comma";
    return;
  }
}

}  // namespace holdfast::api
