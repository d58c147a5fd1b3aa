#pragma once
// One key of etcd through its JSON gateway (/v3/…, etcd 3.4 or later): what is sent, and what
// comes back. There, keys and values are base64, and 64-bit numbers are texts.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace holdfast::api {

std::string to_base64(std::string_view bytes);
// Standard alphabet, padded, nothing beside it. Errors: kInvalidArgument.
absl::StatusOr<std::string> from_base64(std::string_view text);

// The key at one revision of the store; nullopt: it is not there.
struct EtcdValue {
  std::int64_t revision = 0;
  std::optional<std::string> text;
};

std::string range_body(std::string_view key);
std::string watch_body(std::string_view key, std::int64_t from_revision);

// Errors: kUnavailable (etcd refused, and what it says), kInvalidArgument (no answer to a range).
absl::StatusOr<EtcdValue> read_range(unsigned status, std::string_view body);

// The answer to a watch: one JSON document a line, without end.
class EtcdStream {
 public:
  // The value after each event, in order. What is not a whole line yet waits for the rest.
  // Errors: kOutOfRange (etcd ended the watch: its revision is compacted), kUnavailable (another
  // error of etcd), kInvalidArgument (not what a watch says), kResourceExhausted (a line without
  // end); after each the stream is of no use.
  absl::StatusOr<std::vector<EtcdValue>> feed(std::string_view bytes);
  // etcd has said that from now on it tells what changes.
  bool created() const { return created_; }

  static constexpr std::size_t kLineBytesMax = 64u << 20;

 private:
  absl::Status read_line(std::string_view line, std::vector<EtcdValue>& values);

  std::string rest_;
  bool created_ = false;
};

}  // namespace holdfast::api
