#pragma once
// Edge: reads a file of orders, plain or gzip.

#include <string>

#include "absl/status/statusor.h"

namespace holdfast::api {

inline constexpr std::size_t kOrdersBytesMax = std::size_t{1} << 30;  // decompressed

// Errors: kNotFound, kInternal (the system's reason), kDataLoss (gzip data cut or damaged),
// kResourceExhausted (longer than kOrdersBytesMax).
absl::StatusOr<std::string> read_orders_file(const std::string& path);

}  // namespace holdfast::api
