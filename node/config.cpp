#include "node/config.h"

#include "node/rebalance.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

// Some of toml++'s assertions are wrong: "[[[" makes a debug build abort. Release builds have none,
// and report such text as the syntax error that it is; so does this file in every build.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

namespace holdfast::node {
namespace {

// The configuration while it is being read.
struct Draft : Config {
  std::string secret_file;
};

// ── checks of text values: empty if it will do, else what is wanted
// ─────────────────────────────────

using Problem = std::string;

Problem anything(std::string_view) { return {}; }

Problem non_empty(std::string_view text) { return text.empty() ? "must not be empty" : Problem{}; }

Problem name(std::string_view text) {
  const bool good =
      !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
      });
  return good ? Problem{} : "must be 1 to 64 of A-Z a-z 0-9 . _ -";
}

struct HostPort {
  std::string host;
  std::uint32_t port = 0;
};

// "host:port", "[v6]:port".
std::optional<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || text.size() > 300) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;
  }
  const bool plain = std::none_of(host.begin(), host.end(), [](unsigned char c) {
    return c <= 0x20 || c >= 0x7f || c == '/' || c == '[' || c == ']';
  });
  HostPort result{.host = std::string(host)};
  const char* end = digits.data() + digits.size();
  const auto [rest, error] = std::from_chars(digits.data(), end, result.port);
  if (!plain || host.empty() || error != std::errc{} || rest != end || result.port > 65'535) {
    return std::nullopt;
  }
  return result;
}

Problem address(std::string_view text) {
  const auto parsed = parse_host_port(text);
  return parsed && parsed->port != 0 ? Problem{}
                                     : "must be host:port with a port of 1 to 65535, e.g. "
                                       "\"127.0.0.1:7940\" or \"[::1]:7940\"";
}

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool is_wildcard(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return v4.s_addr == 0;
  in6_addr v6{};
  return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

// Port 0 is allowed here: the system picks one.
Problem loopback_address(std::string_view text) {
  const auto parsed = parse_host_port(text);
  if (!parsed) {
    return "must be host:port with a port of 0 to 65535, e.g. \"127.0.0.1:8080\"";
  }
  if (is_loopback(parsed->host)) return {};
  return "must be a loopback address (127.0.0.0/8, [::1] or localhost): without [auth] the node "
         "refuses to listen beyond loopback; put a proxy that authenticates in front of it";
}

Problem log_level(std::string_view text) {
  for (const std::string_view level : {"trace", "debug", "info", "warn", "error"}) {
    if (text == level) return {};
  }
  return "must be one of trace, debug, info, warn, error";
}

Problem rebalance_policy(std::string_view text) {
  if (find_policy(text) != nullptr) return {};
  std::string known;
  for (const std::string& policy : policy_names()) known += (known.empty() ? "" : ", ") + policy;
  return "must be one of " + known;
}

// ── the table of keys
// ───────────────────────────────────────────────────────────────────────────────

using TextCheck = Problem (*)(std::string_view);

struct Text {
  std::string Draft::*field;
  TextCheck check;
};
struct Number {
  std::uint32_t Draft::*field;
  std::uint32_t min, max;
};
struct Bytes {
  std::uint64_t Draft::*field;
  std::uint64_t min, max;
};
struct Flag {
  bool Draft::*field;
};
struct Texts {
  std::vector<std::string> Draft::*field;
  std::size_t count_max;
  TextCheck check;
};

struct Key {
  std::string_view section, name;
  std::variant<Text, Number, Bytes, Flag, Texts> value;
};

std::span<const Key> keys() {
  static const Key table[] = {
      {"node", "name", Text{&Draft::name, name}},
      {"node", "region", Text{&Draft::region, name}},
      {"node", "data_dir", Text{&Draft::data_dir, non_empty}},
      {"node", "start_requires_peer", Flag{&Draft::start_requires_peer}},
      {"node", "stop_after_ms", Number{&Draft::stop_after_ms, 0, 600'000}},
      {"node", "weight", Number{&Draft::weight, 0, 10'000}},
      {"http", "listen", Text{&Draft::http_listen, loopback_address}},
      {"http", "advertise", Text{&Draft::http_advertise, address}},
      {"http", "threads", Number{&Draft::http_threads, 1, 64}},
      {"http", "connections_max", Number{&Draft::http_connections_max, 1, 1'000'000}},
      {"gossip", "listen", Text{&Draft::gossip_listen, address}},
      {"gossip", "advertise", Text{&Draft::gossip_advertise, address}},
      {"gossip", "peers", Texts{&Draft::peers, 500, address}},
      {"gossip", "cluster", Text{&Draft::cluster, name}},
      {"gossip", "secret", Text{&Draft::secret, anything}},
      {"gossip", "secret_file", Text{&Draft::secret_file, non_empty}},
      {"gossip", "heartbeat_ms", Number{&Draft::heartbeat_ms, 50, 60'000}},
      {"gossip", "suspect_after_ms", Number{&Draft::suspect_after_ms, 150, 600'000}},
      {"gossip", "push_ms", Number{&Draft::push_ms, 0, 1'000}},
      {"gossip", "relay_after_ms", Number{&Draft::relay_after_ms, 0, 60'000}},
      {"store", "min_free_bytes", Bytes{&Draft::min_free_bytes, 0, 1ull << 60}},
      {"store", "checkpoint_bytes", Bytes{&Draft::checkpoint_bytes, 64ull << 10, 1ull << 40}},
      {"engine", "inbox_max", Number{&Draft::inbox_max, 16, 16'777'216}},
      {"engine", "inbox_delay_ms_max", Number{&Draft::inbox_delay_ms_max, 1, 60'000}},
      {"engine", "open_holds_max", Number{&Draft::open_holds_max, 1, 1'000'000'000}},
      {"engine", "durability_wait_ms", Number{&Draft::durability_wait_ms, 0, 60'000}},
      {"engine", "keep_finished_s", Number{&Draft::keep_finished_s, 3'600, 31'536'000}},
      {"rebalance", "policy", Text{&Draft::rebalance_policy, rebalance_policy}},
      {"rebalance", "window_s", Number{&Draft::rebalance_window_s, 10, 86'400}},
      {"rebalance", "cooldown_ms", Number{&Draft::rebalance_cooldown_ms, 100, 600'000}},
      {"rebalance", "gather_below", Number{&Draft::rebalance_gather_below, 0, 1'000'000}},
      {"faults", "enabled", Flag{&Draft::faults_enabled}},
      {"log", "level", Text{&Draft::log_level, log_level}},
  };
  return table;
}

const Key* find_key(std::string_view section, std::string_view name) {
  for (const Key& key : keys()) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

bool is_section(std::string_view section) {
  return std::any_of(keys().begin(), keys().end(),
                     [&](const Key& key) { return key.section == section; });
}

std::string full_name(std::string_view section, std::string_view name) {
  return std::string(section) + "." + std::string(name);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string nearest_key(std::string_view unknown) {
  const std::string_view asked = unknown.substr(0, 100);
  std::string best;
  std::size_t best_distance = ~std::size_t{0};
  for (const Key& key : keys()) {
    const std::string candidate = full_name(key.section, key.name);
    const std::size_t distance = edit_distance(asked, candidate);
    if (distance < best_distance) std::tie(best_distance, best) = std::pair(distance, candidate);
  }
  return best;
}

// ── reading one value
// ───────────────────────────────────────────────────────────────────────────────

// Where a value stands: "node.toml:3" or "--set".
absl::Status error_at(const std::string& place, const std::string& key,
                      const std::string& problem) {
  return absl::InvalidArgumentError(place + ": " + key + " " + problem);
}

Problem unknown_key(std::string_view section, std::string_view name) {
  return "is not a known key; did you mean " + nearest_key(full_name(section, name)) + "?";
}

// Each reads `node` into the draft, or says what is wanted.
struct ReadValue {
  Draft& draft;
  const toml::node& node;

  Problem operator()(const Text& text) const {
    const auto value = node.value_exact<std::string>();
    if (!value) return "must be text in quotes";
    Problem problem = text.check(*value);
    if (problem.empty()) draft.*text.field = *value;
    return problem;
  }
  template <typename Range>
  Problem read_number(const Range& range) const {
    const auto value = node.value_exact<std::int64_t>();
    if (!value || *value < 0 || static_cast<std::uint64_t>(*value) < range.min ||
        static_cast<std::uint64_t>(*value) > range.max) {
      return "must be an integer from " + std::to_string(range.min) + " to " +
             std::to_string(range.max);
    }
    draft.*range.field = static_cast<std::decay_t<decltype(range.min)>>(*value);
    return {};
  }
  Problem operator()(const Number& number) const { return read_number(number); }
  Problem operator()(const Bytes& bytes) const { return read_number(bytes); }
  Problem operator()(const Flag& flag) const {
    const auto value = node.value_exact<bool>();
    if (!value) return "must be true or false";
    draft.*flag.field = *value;
    return {};
  }
  Problem operator()(const Texts& texts) const {
    const Problem wanted = "must be a list of texts, e.g. [\"127.0.0.1:7941\"]";
    const toml::array* array = node.as_array();
    if (!array) return wanted;
    if (array->size() > texts.count_max) {
      return "must have at most " + std::to_string(texts.count_max) + " entries";
    }
    std::vector<std::string> values;
    for (const toml::node& element : *array) {
      const auto value = element.value_exact<std::string>();
      if (!value) return wanted;
      if (Problem problem = texts.check(*value); !problem.empty()) {
        return "has the entry \"" + *value + "\", which " + problem;
      }
      values.push_back(*value);
    }
    draft.*texts.field = std::move(values);
    return {};
  }
};

absl::Status read_value(Draft& draft, const std::string& place, std::string_view section,
                        std::string_view name, const toml::node& node) {
  const std::string full = full_name(section, name);
  const Key* key = find_key(section, name);
  if (!key) return error_at(place, full, unknown_key(section, name));
  const Problem problem = std::visit(ReadValue{draft, node}, key->value);
  return problem.empty() ? absl::OkStatus() : error_at(place, full, problem);
}

Problem unknown_section(std::string_view section) {
  if (section == "auth") {
    return "is not supported by this version: remove the section (without it the node listens on "
           "loopback only)";
  }
  std::string known;
  std::string_view last;
  for (const Key& key : keys())  // those of one section stand together
    if (std::exchange(last, key.section) != key.section)
      known += (known.empty() ? "[" : ", [") + std::string(key.section) + "]";
  return "is not a known section; the sections are " + known;
}

// ── the file
// ────────────────────────────────────────────────────────────────────────────────────────

std::string place_of(const std::string& path, const toml::source_region& source) {
  return path + ":" + std::to_string(source.begin.line);
}

absl::Status read_table(Draft& draft, const std::string& path, const toml::table& root) {
  for (const auto& [section, node] : root) {
    const std::string place = place_of(path, node.source());
    if (!is_section(section.str())) {
      return error_at(place, "[" + std::string(section.str()) + "]",
                      unknown_section(section.str()));
    }
    const toml::table* table = node.as_table();
    if (!table) return error_at(place, std::string(section.str()), "must be a [section]");
    for (const auto& [name, value] : *table) {
      // A key's own place: that of a table or list value is where its first element stands.
      const std::string key_place = place_of(path, name.source());
      if (auto s = read_value(draft, key_place, section.str(), name.str(), value); !s.ok())
        return s;
    }
  }
  return absl::OkStatus();
}

constexpr std::size_t kFileBytesMax = 1u << 20;

// The first `bytes_max` bytes of a regular file.
absl::StatusOr<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  std::error_code error;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    const std::string why = path + ": " + std::strerror(errno);
    return errno == ENOENT ? absl::NotFoundError(why) : absl::InvalidArgumentError(why);
  }
  if (!S_ISREG(info.st_mode)) return absl::InvalidArgumentError(path + ": is not a regular file");
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::InvalidArgumentError(path + ": " + std::strerror(errno));
  std::string text(bytes_max, '\0');
  in.read(text.data(), static_cast<std::streamsize>(bytes_max));
  if (in.bad()) return absl::InvalidArgumentError(path + ": cannot be read");
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

absl::Status read_toml(Draft& draft, const std::string& path) {
  const auto text = read_file(path, kFileBytesMax + 1);
  if (!text.ok()) return text.status();
  if (text->size() > kFileBytesMax) {
    return absl::InvalidArgumentError(path + ": is longer than 1 MiB, so not a configuration");
  }
  try {
    const toml::table root = toml::parse(std::string_view(*text), path);
    return read_table(draft, path, root);
  } catch (const toml::parse_error& error) {
    return absl::InvalidArgumentError(place_of(path, error.source()) + ": " +
                                      std::string(error.description()));
  }
}

// ── overrides
// ───────────────────────────────────────────────────────────────────────────────────────

// `text` as one TOML value, if it is one.
std::optional<toml::table> parse_value(const std::string& text) {
  try {
    toml::table table = toml::parse(std::string_view("value = " + text));
    if (table.size() == 1) return table;
  } catch (const toml::parse_error&) {
    // A bare string, then.
  }
  return std::nullopt;
}

absl::Status read_override(Draft& draft, const std::string& override_text) {
  const std::string place = "--set " + override_text.substr(0, 200);
  const auto equals = override_text.find('=');
  const auto dot = override_text.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals) {
    return absl::InvalidArgumentError(place + ": must be section.key=value");
  }
  const std::string section = override_text.substr(0, dot);
  const std::string key_name = override_text.substr(dot + 1, equals - dot - 1);
  const std::string text = override_text.substr(equals + 1);
  const std::string origin = "--set";
  if (!is_section(section)) return error_at(origin, "[" + section + "]", unknown_section(section));

  const auto parsed = parse_value(text);
  const toml::value<std::string> bare(text);
  const toml::node* node = parsed ? parsed->get("value") : nullptr;
  const Key* key = find_key(section, key_name);
  const bool wants_text = key && std::holds_alternative<Text>(key->value);
  // name=42 means the text "42", whatever TOML makes of it.
  if (!node || (wants_text && !node->is_string())) node = &bare;
  return read_value(draft, origin, section, key_name, *node);
}

// ── the whole
// ───────────────────────────────────────────────────────────────────────────────────────

constexpr std::size_t kSecretBytesMin = 16;

absl::StatusOr<std::string> read_secret(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    return absl::InvalidArgumentError(
        path + " can be read by every user of this machine; run: chmod o-r " + path);
  }
  auto text = read_file(path, 4096);
  if (!text.ok()) return text;
  std::string line = text->substr(0, text->find('\n'));
  constexpr const char* kBlank = " \t\r";
  line.erase(0, std::min(line.find_first_not_of(kBlank), line.size()));
  line.erase(line.find_last_not_of(kBlank) + 1);
  return line;
}

absl::Status take_secret(Draft& draft, const std::string& path) {
  if (!draft.secret.empty() && !draft.secret_file.empty()) {
    return error_at(path, "gossip.secret", "and gossip.secret_file are both set: remove one");
  }
  std::string key = "gossip.secret";
  if (!draft.secret_file.empty()) {
    key = "gossip.secret_file";
    auto secret = read_secret(draft.secret_file);
    if (!secret.ok()) {
      return error_at(path, key, "cannot be used: " + std::string(secret.status().message()));
    }
    draft.secret = *std::move(secret);
  } else if (draft.secret.empty()) {
    return error_at(path, key,
                    "or gossip.secret_file is missing: all nodes of a cluster share one secret, "
                    "e.g. made by: openssl rand -hex 32");
  }
  if (draft.secret.size() < kSecretBytesMin) {
    return error_at(path, key, "must have at least 16 bytes");
  }
  return absl::OkStatus();
}

std::string hostname() {
  char text[256] = {};
  return ::gethostname(text, sizeof text - 1) == 0 ? text : "";
}

absl::Status finish(Draft& draft, const std::string& path) {
  if (draft.name.empty())
    if (std::string own = hostname(); name(own).empty()) draft.name = std::move(own);
  const std::pair<const char*, const std::string*> required[] = {
      {"node.name", &draft.name},
      {"node.region", &draft.region},
      {"node.data_dir", &draft.data_dir}};
  for (const auto& [key, value] : required) {
    if (value->empty()) return error_at(path, key, "is missing: set it");
  }
  if (auto s = take_secret(draft, path); !s.ok()) return s;
  if (draft.suspect_after_ms < 3 * draft.heartbeat_ms) {
    return error_at(path, "gossip.suspect_after_ms",
                    "must be at least 3 × gossip.heartbeat_ms, that is " +
                        std::to_string(3 * draft.heartbeat_ms));
  }
  if (draft.http_advertise.empty()) draft.http_advertise = draft.http_listen;
  if (draft.gossip_advertise.empty()) {
    draft.gossip_advertise = draft.gossip_listen;
    if (is_wildcard(parse_host_port(draft.gossip_listen)->host)) {
      return error_at(path, "gossip.advertise",
                      "is missing: gossip.listen (" + draft.gossip_listen +
                          ") names every interface, so say which address the peers shall dial");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool is_name(const std::string& peer) {
  const auto parsed = parse_host_port(peer);
  in6_addr any{};
  return parsed && inet_pton(AF_INET, parsed->host.c_str(), &any) != 1 &&
         inet_pton(AF_INET6, parsed->host.c_str(), &any) != 1;
}

absl::StatusOr<Config> load_config(const std::string& path,
                                   const std::vector<std::string>& overrides) {
  Draft draft;
  if (auto s = read_toml(draft, path); !s.ok()) return s;
  for (const std::string& text : overrides) {
    if (auto s = read_override(draft, text); !s.ok()) return s;
  }
  if (auto s = finish(draft, path); !s.ok()) return s;
  return static_cast<Config>(std::move(draft));
}

}  // namespace holdfast::node
