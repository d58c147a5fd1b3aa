#include "api/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string_view.hpp>
#include <charconv>
#include <chrono>
#include <cmath>

namespace holdfast::api {
namespace json = boost::json;

// ── writing ─────────────────────────────────────────────────────────────────────────────────────

void append_string(std::string& out, std::string_view text) {
  const bool plain = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
  });
  if (!plain) {
    out.append(json::serialize(json::string_view(text.data(), text.size())));
    return;
  }
  out.push_back('"');
  out.append(text);
  out.push_back('"');
}

void append_integer(std::string& out, std::int64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void append_unsigned(std::string& out, std::uint64_t value) {
  char digits[24];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

void append_boolean(std::string& out, bool value) { out.append(value ? "true" : "false"); }

void append_number(std::string& out, double value) {
  char digits[40];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

namespace {

void put_digits(char* at, unsigned value, int width) {
  for (int i = width - 1; i >= 0; --i, value /= 10) at[i] = static_cast<char>('0' + value % 10);
}

}  // namespace

void append_time(std::string& out, std::int64_t wall_ms) {
  using namespace std::chrono;
  constexpr std::int64_t kFirst = -62'167'219'200'000, kLast = 253'402'300'799'999;
  const sys_time<milliseconds> time{milliseconds{std::clamp(wall_ms, kFirst, kLast)}};
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  char text[] = "\"0000-00-00T00:00:00.000Z\"";
  put_digits(text + 1, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  put_digits(text + 6, static_cast<unsigned>(date.month()), 2);
  put_digits(text + 9, static_cast<unsigned>(date.day()), 2);
  put_digits(text + 12, static_cast<unsigned>(clock.hours().count()), 2);
  put_digits(text + 15, static_cast<unsigned>(clock.minutes().count()), 2);
  put_digits(text + 18, static_cast<unsigned>(clock.seconds().count()), 2);
  put_digits(text + 21, static_cast<unsigned>(clock.subseconds().count()), 3);
  out.append(text, sizeof text - 1);
}

// ── reading ─────────────────────────────────────────────────────────────────────────────────────

namespace {

// Boost.JSON's events, written down as nodes.
struct Recorder {
  static constexpr std::size_t max_object_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_array_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_key_size = static_cast<std::size_t>(-1);
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1);

  std::vector<JsonNode>& nodes;
  std::string& text;
  std::vector<std::uint32_t> open;
  std::uint32_t text_start = 0;
  bool in_text = false;

  void start_text() {
    if (std::exchange(in_text, true)) return;
    text_start = static_cast<std::uint32_t>(text.size());
  }
  JsonNode* add(JsonKind kind, json::error_code& ec) {
    if (nodes.size() >= JsonReader::kNodesMax) {
      ec = json::error::array_too_large;
      return nullptr;
    }
    nodes.push_back({.kind = kind, .end = static_cast<std::uint32_t>(nodes.size() + 1)});
    return &nodes.back();
  }
  bool add_text(JsonKind kind, json::string_view last, json::error_code& ec, double number = 0,
                std::int64_t integer = 0) {
    start_text();
    in_text = false;
    text.append(last.data(), last.size());
    JsonNode* node = add(kind, ec);
    if (node == nullptr) return false;
    node->offset = text_start;
    node->length = static_cast<std::uint32_t>(text.size()) - text_start;
    node->number = number;
    node->integer = integer;
    return true;
  }
  bool add_part(json::string_view part) {
    start_text();
    text.append(part.data(), part.size());
    return true;
  }
  bool begin(JsonKind kind, json::error_code& ec) {
    open.push_back(static_cast<std::uint32_t>(nodes.size()));
    return add(kind, ec) != nullptr;
  }
  bool finish() {
    nodes[open.back()].end = static_cast<std::uint32_t>(nodes.size());
    open.pop_back();
    return true;
  }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code& ec) { return begin(JsonKind::object, ec); }
  bool on_object_end(std::size_t, json::error_code&) { return finish(); }
  bool on_array_begin(json::error_code& ec) { return begin(JsonKind::array, ec); }
  bool on_array_end(std::size_t, json::error_code&) { return finish(); }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    return add_part(part);
  }
  bool on_key(json::string_view last, std::size_t, json::error_code& ec) {
    return add_text(JsonKind::string, last, ec);
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    return add_part(part);
  }
  bool on_string(json::string_view last, std::size_t, json::error_code& ec) {
    return add_text(JsonKind::string, last, ec);
  }
  bool on_number_part(json::string_view part, json::error_code&) { return add_part(part); }
  bool on_int64(std::int64_t value, json::string_view last, json::error_code& ec) {
    return add_text(JsonKind::integer, last, ec, static_cast<double>(value), value);
  }
  bool on_uint64(std::uint64_t value, json::string_view last, json::error_code& ec) {
    return add_text(JsonKind::number, last, ec, static_cast<double>(value));
  }
  bool on_double(double value, json::string_view last, json::error_code& ec) {
    return add_text(JsonKind::number, last, ec, value);
  }
  bool on_bool(bool value, json::error_code& ec) {
    JsonNode* node = add(JsonKind::boolean, ec);
    if (node != nullptr) node->boolean = value;
    return node != nullptr;
  }
  bool on_null(json::error_code& ec) { return add(JsonKind::null, ec) != nullptr; }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }
};

json::parse_options strict() {
  json::parse_options options;
  options.max_depth = JsonReader::kDepthMax;
  return options;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

struct JsonReader::Parser {
  json::basic_parser<Recorder> events;
};

JsonReader::JsonReader()
    : parser_(new Parser{json::basic_parser<Recorder>(strict(), Recorder{nodes_, text_, {}})}) {}
JsonReader::~JsonReader() = default;

std::optional<JsonValue> JsonReader::read(std::string_view text) {
  nodes_.clear();
  text_.clear();
  text = trim(text);
  json::basic_parser<Recorder>& events = parser_->events;
  events.reset();
  events.handler().open.clear();
  events.handler().in_text = false;
  json::error_code ec;
  const std::size_t read = events.write_some(false, text.data(), text.size(), ec);
  if (!ec && read < text.size()) ec = json::error::extra_data;
  if (!ec) return JsonValue(*this, 0);
  if (ec == json::error::array_too_large) {
    error_ = "the JSON document has too many values";
  } else {
    error_ = "not a JSON document, at byte " + std::to_string(read) + ": " + ec.message();
  }
  return std::nullopt;
}

namespace {

bool append_canonical_object(std::string& out, JsonValue object, std::string& offender) {
  std::vector<std::pair<std::string_view, JsonValue>> members;
  object.members([&](std::string_view name, JsonValue value) {
    members.emplace_back(name, value);
    return true;
  });
  std::sort(members.begin(), members.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  out.push_back('{');
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (i > 0 && members[i].first == members[i - 1].first) {
      offender = members[i].first;
      return false;
    }
    if (i > 0) out.push_back(',');
    append_string(out, members[i].first);
    out.push_back(':');
    if (!append_canonical(out, members[i].second, offender)) return false;
  }
  out.push_back('}');
  return true;
}

bool append_canonical_array(std::string& out, JsonValue array, std::string& offender) {
  bool first = true, good = true;
  out.push_back('[');
  array.elements([&](JsonValue value) {
    if (!std::exchange(first, false)) out.push_back(',');
    good = append_canonical(out, value, offender);
    return good;
  });
  out.push_back(']');
  return good;
}

}  // namespace

bool append_canonical(std::string& out, JsonValue value, std::string& offender) {
  switch (value.kind()) {
    case JsonKind::object:
      return append_canonical_object(out, value, offender);
    case JsonKind::array:
      return append_canonical_array(out, value, offender);
    case JsonKind::string:
      append_string(out, value.text());
      return true;
    case JsonKind::boolean:
      append_boolean(out, value.node().boolean);
      return true;
    case JsonKind::null:
      out.append("null");
      return true;
    case JsonKind::integer:
    case JsonKind::number:
      break;
  }
  if (!std::isfinite(value.node().number)) {
    offender = value.text();
    return false;
  }
  out.append(value.text());
  return true;
}

}  // namespace holdfast::api
