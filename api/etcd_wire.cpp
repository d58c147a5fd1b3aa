#include "api/etcd_wire.h"

#include <boost/json/parse.hpp>
#include <charconv>
#include <utility>

#include "api/json_object.h"

namespace holdfast::api {
namespace json = boost::json;
namespace {

constexpr std::string_view kDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Six bits; 64: not a digit.
std::uint32_t digit(char c) {
  const auto at = kDigits.find(c);
  return at == std::string_view::npos ? 64 : static_cast<std::uint32_t>(at);
}

absl::Status not_etcd(std::string_view what) {
  return absl::InvalidArgumentError("this is not what etcd says: " + std::string(what));
}

std::optional<json::object> object_of(std::string_view text) {
  boost::system::error_code error;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.get_object());
}

const json::object* object_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr ? nullptr : value->if_object();
}

std::optional<std::int64_t> revision_at(const json::object* object, std::string_view key) {
  if (object == nullptr) return std::nullopt;
  const std::string text = text_at(*object, key);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1) return std::nullopt;
  return number;
}

// An empty value is left out.
absl::StatusOr<std::string> value_of(const json::object& kv) {
  return from_base64(text_at(kv, "value"));
}

absl::Status refused(const json::object& error) {
  return absl::UnavailableError("etcd says: " + text_at(error, "message"));
}

// One event of a watch: what the key is since then.
absl::StatusOr<EtcdValue> event_of(const json::value& event) {
  const json::object* object = event.if_object();
  const json::object* kv = object == nullptr ? nullptr : object_at(*object, "kv");
  const auto revision = revision_at(kv, "mod_revision");
  if (!revision) return not_etcd("an event without mod_revision");
  EtcdValue value;
  value.revision = *revision;
  const std::string type = text_at(*object, "type");  // left out: PUT
  if (type == "DELETE") return value;
  if (!type.empty() && type != "PUT") return not_etcd("an event of type " + type);
  auto text = value_of(*kv);
  if (!text.ok()) return text.status();
  value.text = *std::move(text);
  return value;
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::string_view group = bytes.substr(at, 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i)
      bits = bits << 8 | (i < group.size() ? static_cast<unsigned char>(group[i]) : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      text += i <= group.size() ? kDigits[bits >> (18 - 6 * i) & 63] : '=';
  }
  return text;
}

absl::StatusOr<std::string> from_base64(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError("this is not base64");
  if (text.size() % 4 != 0) return bad;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 2);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t six = digit(text[i]);
    if (six > 63) return bad;
    bits = (bits << 6 | six) & 0xFFFFFF;
    if (i % 4 != 0) bytes += static_cast<char>(bits >> (6 - 2 * (i % 4)) & 0xFF);
  }
  // Bits that no byte takes are 0: one value has one text.
  if (padding == 1 && (bits & 3) != 0) return bad;
  if (padding == 2 && (bits & 15) != 0) return bad;
  return bytes;
}

std::string range_body(std::string_view key) { return "{\"key\":\"" + to_base64(key) + "\"}"; }

std::string watch_body(std::string_view key, std::int64_t from_revision) {
  return "{\"create_request\":{\"key\":\"" + to_base64(key) + "\",\"start_revision\":\"" +
         std::to_string(from_revision) + "\"}}";
}

absl::StatusOr<EtcdValue> read_range(unsigned status, std::string_view body) {
  const auto answer = object_of(body);
  if (status != 200) {
    const std::string message = answer ? text_at(*answer, "message") : "";
    return absl::UnavailableError("etcd answered " + std::to_string(status) +
                                  (message.empty() ? "" : ": " + message));
  }
  if (!answer) return not_etcd("an answer that is no JSON object");
  const auto revision = revision_at(object_at(*answer, "header"), "revision");
  if (!revision) return not_etcd("an answer without revision");
  EtcdValue value;
  value.revision = *revision;
  const json::array& found = array_at(*answer, "kvs");
  if (found.empty()) return value;
  const json::object* kv = found.front().if_object();
  if (kv == nullptr) return not_etcd("a key that is no object");
  auto text = value_of(*kv);
  if (!text.ok()) return text.status();
  value.text = *std::move(text);
  return value;
}

absl::StatusOr<std::vector<EtcdValue>> EtcdStream::feed(std::string_view bytes) {
  std::vector<EtcdValue> values;
  for (auto end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    rest_ += bytes.substr(0, end);
    bytes.remove_prefix(end + 1);
    const std::string line = std::exchange(rest_, {});
    if (line.empty()) continue;
    if (absl::Status status = read_line(line, values); !status.ok()) return status;
  }
  if (rest_.size() + bytes.size() > kLineBytesMax)
    return absl::ResourceExhaustedError("a line of etcd's watch is longer than 64 MiB");
  rest_ += bytes;
  return values;
}

absl::Status EtcdStream::read_line(std::string_view line, std::vector<EtcdValue>& values) {
  const auto document = object_of(line);
  if (!document) return not_etcd("a line that is no JSON object");
  if (const json::object* error = object_at(*document, "error")) return refused(*error);
  const json::object* result = object_at(*document, "result");
  if (result == nullptr) return not_etcd("a line without result");
  if (flag_at(*result, "canceled")) {
    const std::string why = text_at(*result, "cancel_reason");
    return absl::OutOfRangeError("etcd ended the watch" + (why.empty() ? why : ": " + why));
  }
  if (flag_at(*result, "created")) created_ = true;
  for (const json::value& event : array_at(*result, "events")) {
    auto value = event_of(event);
    if (!value.ok()) return value.status();
    values.push_back(*std::move(value));
  }
  return absl::OkStatus();
}

}  // namespace holdfast::api
