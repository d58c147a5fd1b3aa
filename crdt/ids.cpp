#include "crdt/ids.h"

#include <algorithm>
#include <charconv>

namespace holdfast::crdt {

std::string to_string(ReplicaId id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, id.value >>= 4) text[i] = kDigits[id.value & 15];
  return text;
}

std::optional<ReplicaId> parse_replica_id(std::string_view text) {
  ReplicaId id;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), id.value, 16);
  if (text.size() != 16 || error != std::errc{} || end != text.end()) return std::nullopt;
  return id;
}

bool valid_name(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == ':' || c == '-';
  };
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), allowed);
}

}  // namespace holdfast::crdt
