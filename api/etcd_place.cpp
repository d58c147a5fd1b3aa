#include "api/etcd_place.h"

#include <algorithm>

namespace holdfast::api {

namespace {

constexpr std::string_view kScheme = "etcd://";
constexpr std::size_t kKeyBytesMax = 512;

bool in_key(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         std::string_view("._:-/").find(c) != std::string_view::npos;
}

}  // namespace

std::string EtcdPlace::host_and_port() const { return to_string(server).substr(7); }
std::string EtcdPlace::name() const { return std::string(kScheme) + host_and_port() + "/" + key; }
std::string EtcdPlace::put_command() const {
  return "etcdctl --endpoints " + host_and_port() + " put " + key + " < shards.toml";
}

bool is_etcd_place(std::string_view text) { return text.starts_with(kScheme); }

absl::StatusOr<EtcdPlace> parse_etcd_place(std::string_view text) {
  const absl::Status bad = absl::InvalidArgumentError(
      "'" + std::string(text) +
      "' is not of the form etcd://HOST[:PORT]/KEY, with a key of A-Z a-z 0-9 . _ : - /");
  if (!is_etcd_place(text)) return bad;
  const std::string_view rest = text.substr(kScheme.size());
  const auto slash = rest.find('/');
  if (slash == std::string_view::npos) return bad;
  std::string server(rest.substr(0, slash));
  const auto bracket = server.rfind(']');  // of an IPv6 address, which has colons of its own
  if (server.find(':', bracket == std::string::npos ? 0 : bracket) == std::string::npos)
    server += ":2379";
  auto url = parse_http_url("http://" + server);
  EtcdPlace place;
  place.key = rest.substr(slash + 1);
  if (!url.ok() || place.key.empty() || place.key.size() > kKeyBytesMax || place.key[0] == '-' ||
      !std::all_of(place.key.begin(), place.key.end(), in_key))
    return bad;
  place.server = *std::move(url);
  return place;
}

}  // namespace holdfast::api
