#pragma once
// Members of a JSON object that another process has written: read as what they should be, or as a
// fallback if they are not there or something else.

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::api {

// `key` of `object` as the type, or the fallback: a node of another version may leave fields out.
std::int64_t number_at(const boost::json::object& object, std::string_view key,
                       std::int64_t fallback = 0);
double share_at(const boost::json::object& object, std::string_view key);  // 0 if absent
std::string text_at(const boost::json::object& object, std::string_view key);
bool flag_at(const boost::json::object& object, std::string_view key);
const boost::json::array& array_at(const boost::json::object& object, std::string_view key);

}  // namespace holdfast::api
