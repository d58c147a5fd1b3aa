#include "api/json_object.h"

#include <algorithm>

#include <boost/json/serialize.hpp>

namespace holdfast::api {

namespace json = boost::json;

namespace {

const json::value* find(const json::object& object, std::string_view key) {
  return object.if_contains(json::string_view(key.data(), key.size()));
}

}  // namespace

std::int64_t number_at(const json::object& object, std::string_view key, std::int64_t fallback) {
  const auto* value = find(object, key);
  if (value == nullptr) return fallback;
  if (const auto* number = value->if_int64()) return *number;
  if (const auto* number = value->if_uint64()) {
    return static_cast<std::int64_t>(std::min<std::uint64_t>(*number, INT64_MAX));
  }
  if (const auto* number = value->if_double()) {
    return *number > -9e18 && *number < 9e18 ? static_cast<std::int64_t>(*number) : fallback;
  }
  return fallback;
}

double share_at(const json::object& object, std::string_view key) {
  const auto* value = find(object, key);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

std::string text_at(const json::object& object, std::string_view key) {
  const auto* value = find(object, key);
  if (value == nullptr || value->is_null()) return {};
  if (const auto* text = value->if_string()) return {text->data(), text->size()};
  return json::serialize(*value);
}

bool flag_at(const json::object& object, std::string_view key) {
  const auto* value = find(object, key);
  return value != nullptr && value->is_bool() && value->get_bool();
}

const json::array& array_at(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const auto* value = find(object, key);
  return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

}  // namespace holdfast::api
