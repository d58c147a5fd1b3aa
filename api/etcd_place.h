#pragma once
// Where a value is in etcd, as people write it: etcd://HOST[:PORT]/KEY.

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "api/http_client.h"

namespace holdfast::api {

struct EtcdPlace {
  HttpUrl server;
  std::string key;
  std::string host_and_port() const;
  std::string name() const;         // etcd://HOST:PORT/KEY
  std::string put_command() const;  // how people put a map there
};
bool is_etcd_place(std::string_view text);  // begins with etcd://
// Errors: kInvalidArgument. The port is 2379 if left out; the key is all that is behind the first
// slash: 1 to 512 of A-Z a-z 0-9 . _ : - /
absl::StatusOr<EtcdPlace> parse_etcd_place(std::string_view text);

}  // namespace holdfast::api
