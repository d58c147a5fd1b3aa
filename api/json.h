#pragma once
// JSON text, read and written. The grammar and the escaping are Boost.JSON's; what stands here is a
// reader that, unlike a DOM, keeps duplicate keys visible, and writers that append to a string.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::api {

// ── writing ──
void append_string(std::string& out, std::string_view text);  // quoted and escaped; text is UTF-8
void append_integer(std::string& out, std::int64_t value);
void append_unsigned(std::string& out, std::uint64_t value);
void append_boolean(std::string& out, bool value);
void append_number(std::string& out, double value);  // finite; shortest text that reads back equal
// RFC 3339, UTC, milliseconds, quoted: "2024-02-29T12:00:00.000Z". Clamped to years 0 – 9999.
void append_time(std::string& out, std::int64_t wall_ms);

// ── reading ──
enum class JsonKind : std::uint8_t { null, boolean, integer, number, string, object, array };

// One value, or one key of an object, in document order.
struct JsonNode {
  JsonKind kind = JsonKind::null;
  bool boolean = false;
  std::uint32_t end = 0;     // index of the node after this value and all that is in it
  std::uint32_t offset = 0;  // of the text: a string's content, a number as it was written
  std::uint32_t length = 0;
  std::int64_t integer = 0;  // written without fraction or exponent, and within 64 bits
  double number = 0;         // any number; infinite if it was too large
};

class JsonReader;

// A value within a reader's document. Valid until the reader reads again.
class JsonValue {
 public:
  JsonValue(const JsonReader& reader, std::uint32_t index) : reader_(&reader), index_(index) {}
  JsonKind kind() const { return node().kind; }
  const JsonNode& node() const;
  std::string_view text() const;

  // Calls visit(name, value) for each member, and visit(value) for each element, in order, as long
  // as it returns true. Of an object, of an array.
  template <typename Visit>
  void members(Visit&& visit) const {
    for (std::uint32_t at = index_ + 1; at < node().end;) {
      const JsonValue name(*reader_, at);
      const JsonValue value(*reader_, at + 1);
      if (!visit(name.text(), value)) return;
      at = value.node().end;
    }
  }
  template <typename Visit>
  void elements(Visit&& visit) const {
    for (std::uint32_t at = index_ + 1; at < node().end;) {
      const JsonValue value(*reader_, at);
      if (!visit(value)) return;
      at = value.node().end;
    }
  }

 private:
  const JsonReader* reader_;
  std::uint32_t index_;
};

// Reads documents one after another; its memory is used again. One thread at a time.
class JsonReader {
 public:
  // More values than this in one document are refused. A cart of 4,096 lines has about 20,000.
  static constexpr std::size_t kNodesMax = 65'536;
  static constexpr std::size_t kDepthMax = 32;

  JsonReader();
  ~JsonReader();
  JsonReader(const JsonReader&) = delete;
  JsonReader& operator=(const JsonReader&) = delete;

  // nullopt if `text` is not one JSON document; error() says why.
  std::optional<JsonValue> read(std::string_view text);
  const std::string& error() const { return error_; }

 private:
  friend class JsonValue;
  struct Parser;
  std::unique_ptr<Parser> parser_;
  std::string error_;
  std::vector<JsonNode> nodes_;
  std::string text_;
};

// Canonical text of a value: no white space, keys sorted, numbers as they were written. Equal
// documents have equal text. Appends to `out`; false if a key occurs twice or a number is not
// finite, and then `offender` names it.
bool append_canonical(std::string& out, JsonValue value, std::string& offender);

inline const JsonNode& JsonValue::node() const { return reader_->nodes_[index_]; }
inline std::string_view JsonValue::text() const {
  return std::string_view(reader_->text_).substr(node().offset, node().length);
}

}  // namespace holdfast::api
