#include "node/config.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/node/support/temporary_directory.h"

namespace holdfast::node {
namespace {

constexpr const char* kMinimal =
    "[node]\n"
    "name = \"us-1\"\n"
    "region = \"us\"\n"
    "data_dir = \"/var/lib/holdfast\"\n"
    "[gossip]\n"
    "secret = \"0123456789abcdef\"\n";

class Files {
 public:
  std::string write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    const std::string path = directory_.path + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    return path;
  }
  const std::string& path() const { return directory_.path; }

 private:
  tests::TemporaryDirectory directory_;
};

absl::StatusOr<Config> load(const std::string& text,
                            const std::vector<std::string>& overrides = {}) {
  Files files;
  return load_config(files.write("node.toml", text), overrides);
}

void check_error(const absl::StatusOr<Config>& result, const std::vector<std::string>& parts) {
  REQUIRE(!result.ok());
  CHECK(absl::IsInvalidArgument(result.status()));
  const std::string message(result.status().message());
  INFO(message);
  for (const std::string& part : parts) {
    INFO(part);
    CHECK(message.find(part) != std::string::npos);
  }
}

std::string minimal_with(const std::string& more) { return std::string(kMinimal) + more; }

}  // namespace

TEST_CASE("a minimal file takes the defaults") {
  const auto config = load(kMinimal);
  INFO(std::string(config.status().message()));
  REQUIRE(config.ok());
  CHECK(config->name == "us-1");
  CHECK(config->region == "us");
  CHECK(config->http_listen == "127.0.0.1:8080");
  CHECK(config->http_advertise == "127.0.0.1:8080");
  CHECK(config->stop_after_ms == 0);
  CHECK(config->gossip_advertise == "127.0.0.1:7940");
  CHECK(config->peers.empty());
  CHECK(config->log_level == "info");
  CHECK(!config->faults_enabled);
  CHECK(config->keep_finished_s == 86'400);
}

TEST_CASE("every key is read") {
  const auto config = load(R"(
[node]
name = "n"
region = "r"
data_dir = "d"
[http]
listen = "[::1]:0"
threads = 64
connections_max = 5
[gossip]
listen = "0.0.0.0:7000"
advertise = "node-1.example:7000"
peers = ["a:1", "[::1]:2"]
cluster = "c"
secret = "ssssssssssssssss"
heartbeat_ms = 100
suspect_after_ms = 300
push_ms = 0
relay_after_ms = 7
[store]
min_free_bytes = 0
checkpoint_bytes = 1_048_576
[engine]
inbox_max = 100
inbox_delay_ms_max = 50
open_holds_max = 10
keep_finished_s = 3600
[faults]
enabled = true
[log]
level = "debug"
)");
  INFO(std::string(config.status().message()));
  REQUIRE(config.ok());
  CHECK(config->http_listen == "[::1]:0");
  CHECK(config->http_threads == 64);
  CHECK(config->http_connections_max == 5);
  CHECK(config->gossip_listen == "0.0.0.0:7000");
  CHECK(config->gossip_advertise == "node-1.example:7000");
  CHECK(config->peers == std::vector<std::string>{"a:1", "[::1]:2"});
  CHECK(config->cluster == "c");
  CHECK(config->heartbeat_ms == 100);
  CHECK(config->suspect_after_ms == 300);
  CHECK(config->push_ms == 0);
  CHECK(config->relay_after_ms == 7);
  CHECK(config->min_free_bytes == 0);
  CHECK(config->checkpoint_bytes == 1'048'576);
  CHECK(config->inbox_max == 100);
  CHECK(config->inbox_delay_ms_max == 50);
  CHECK(config->open_holds_max == 10);
  CHECK(config->keep_finished_s == 3'600);
  CHECK(config->faults_enabled);
  CHECK(config->log_level == "debug");
}

TEST_CASE("errors name file, line and key") {
  check_error(load(minimal_with("[http]\nlisen = \"x\"\n")),
              {"node.toml:8: http.lisen", "did you mean http.listen?"});
  check_error(load(minimal_with("[http]\nthreads = 65\n")),
              {"node.toml:8: http.threads must be an integer from 1 to 64"});
  check_error(load(minimal_with("[http]\nthreads = \"two\"\n")), {"node.toml:8: http.threads"});
  check_error(load(minimal_with("[http]\nthreads = 1.5\n")), {"http.threads"});
  check_error(load(minimal_with("[store]\nmin_free_bytes = -1\n")), {"store.min_free_bytes"});
  check_error(load(minimal_with("[faults]\nenabled = 1\n")), {"faults.enabled", "true or false"});
  check_error(load(minimal_with("peers = \"a:1\"\n")), {"node.toml:7: gossip.peers", "list"});
  check_error(load(minimal_with("peers = [\"a:1\", 2]\n")), {"gossip.peers", "list"});
  check_error(load(minimal_with("peers = [\"a\"]\n")), {"gossip.peers", "\"a\"", "host:port"});
  check_error(load(minimal_with("[log]\nlevel = \"loud\"\n")), {"log.level", "trace, debug"});
  check_error(load(minimal_with("[logs]\n")), {"node.toml:7: [logs]", "known section"});
  check_error(load(minimal_with("[logs]\n")),
              {"the sections are [node], [http], [gossip], [store], [engine], [rebalance], "
               "[faults], [log]"});
  check_error(load(minimal_with("[engine]\nkeep_finished_s = 3599\n")),
              {"engine.keep_finished_s must be an integer from 3600 to 31536000"});
  check_error(load("node = 1\n"), {"node.toml:1: node", "section"});
  check_error(load("[node\n"), {"node.toml:1"});
  check_error(load(minimal_with("[http]\nlisten = 1\nlisten = 2\n")), {"node.toml:9"});
}

TEST_CASE("a missing file, or a directory in its place") {
  Files files;
  CHECK(absl::IsNotFound(load_config(files.path() + "/none.toml", {}).status()));
  check_error(load_config(files.path(), {}), {"not a regular file"});
}

TEST_CASE("what must be set is asked for") {
  check_error(load(""), {"node.region is missing"});
  check_error(load("[node]\nname = \"a\"\n"), {"node.region is missing"});
  check_error(load("[node]\nname = \"a\"\nregion = \"b\"\n"), {"node.data_dir is missing"});
  check_error(load("[node]\nname = \"a\"\nregion = \"b\"\ndata_dir = \"d\"\n"),
              {"gossip.secret", "openssl rand -hex 32"});
  check_error(load(kMinimal, {"node.name=a b"}), {"--set: node.name must be 1 to 64"});
  check_error(load(kMinimal, {"node.name="}), {"node.name"});
}

TEST_CASE("a node that has no name takes its machine's") {
  char name[256] = {};
  REQUIRE(::gethostname(name, sizeof name - 1) == 0);
  const auto config = load(std::string("[node]\nregion = \"b\"\ndata_dir = \"d\"\n[gossip]\n") +
                           "secret = \"0123456789abcdef\"\n");
  INFO(std::string(config.status().message()));
  REQUIRE(config.ok());
  CHECK(config->name == name);
}

TEST_CASE("a peer's host is an address, or a name for any number of them") {
  for (const char* address : {"127.0.0.1:1", "[::1]:1", "10.0.0.1:7940"})
    CHECK_FALSE(is_name(address));
  for (const char* name : {"localhost:1", "eu-1.holdfast:7940", "10.0.0.1.example:7940"})
    CHECK(is_name(name));
}

TEST_CASE("without [auth] the node listens on loopback only") {
  check_error(load(minimal_with("[auth]\ntokens = []\n")),
              {"node.toml:7: [auth]", "not supported by this version"});
  check_error(load(kMinimal, {"auth.tokens=[]"}), {"not supported by this version"});
  for (const char* good : {"127.0.0.1:80", "127.255.3.4:80", "[::1]:80", "localhost:80"}) {
    INFO(good);
    CHECK(load(kMinimal, {std::string("http.listen=") + good}).ok());
  }
  for (const char* bad : {"0.0.0.0:80", "[::]:80", "10.0.0.1:80", "127.0.0.1.example.com:80",
                          "localhost.example:80", "[::ffff:10.0.0.1]:80", "128.0.0.1:80"}) {
    check_error(load(kMinimal, {std::string("http.listen=") + bad}),
                {"http.listen", "refuses to listen beyond loopback"});
  }
  for (const char* bad : {"127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:8x",
                          "::1:80", "127.0.0.1:-1"}) {
    check_error(load(kMinimal, {std::string("http.listen=") + bad}), {"http.listen", "host:port"});
  }
}

TEST_CASE("overrides are TOML values, or else bare texts") {
  const auto config = load(
      kMinimal, {"node.name=42", "node.region=eu", "http.threads=2",
                 "gossip.peers=[\"a:1\", \"b:2\"]", "faults.enabled=true", "log.level=\"warn\"",
                 "gossip.cluster=2024-01-01", "node.data_dir=/tmp/a=b.c", "http.threads=3"});
  INFO(std::string(config.status().message()));
  REQUIRE(config.ok());
  CHECK(config->name == "42");
  CHECK(config->region == "eu");
  CHECK(config->http_threads == 3);
  CHECK(config->peers.size() == 2);
  CHECK(config->faults_enabled);
  CHECK(config->log_level == "warn");
  CHECK(config->cluster == "2024-01-01");
  CHECK(config->data_dir == "/tmp/a=b.c");
  check_error(load(kMinimal, {"http.thread=2"}),
              {"--set: http.thread", "did you mean http.threads?"});
  check_error(load(kMinimal, {"threads=2"}), {"section.key=value"});
  check_error(load(kMinimal, {"http.threads"}), {"section.key=value"});
  check_error(load(kMinimal, {"http.threads=2\nevil = 3"}), {"http.threads must be an integer"});
  check_error(load(kMinimal, {"http.threads="}), {"http.threads must be an integer"});
}

TEST_CASE("the secret, or the file that it is in") {
  Files files;
  const std::string without = "[node]\nname = \"a\"\nregion = \"b\"\ndata_dir = \"d\"\n";
  const std::string path = files.write("node.toml", without);
  const auto load_secret = [&](const std::string& file) {
    return load_config(path, {"gossip.secret_file=" + file});
  };
  const auto config = load_secret(files.write("secret", "  0123456789abcdef0 \r\nsecond line\n"));
  INFO(std::string(config.status().message()));
  REQUIRE(config.ok());
  CHECK(config->secret == "0123456789abcdef0");
  check_error(load_secret(files.write("open", "0123456789abcdef\n", 0644)),
              {"every user", "chmod o-r"});
  check_error(load_secret(files.write("short", "0123\n")),
              {"gossip.secret_file", "at least 16 bytes"});
  check_error(load_secret(files.write("blank", " \n0123456789abcdef\n")), {"at least 16 bytes"});
  check_error(load_secret(files.path() + "/none"), {"gossip.secret_file", "No such file"});
  check_error(load_config(path, {"gossip.secret=short"}), {"gossip.secret ", "at least 16 bytes"});
  check_error(load_config(path, {"gossip.secret=0123456789abcdef", "gossip.secret_file=x"}),
              {"both set"});
}

TEST_CASE("values that must fit each other") {
  check_error(load(kMinimal, {"gossip.heartbeat_ms=1000"}),
              {"gossip.suspect_after_ms", "at least 3", "3000"});
  check_error(load(kMinimal, {"gossip.listen=0.0.0.0:7940"}),
              {"gossip.advertise", "every interface"});
  check_error(load(kMinimal, {"gossip.listen=[::]:7940"}), {"gossip.advertise"});
  const auto config = load(kMinimal, {"gossip.listen=10.0.0.1:7941"});
  REQUIRE(config.ok());
  CHECK(config->gossip_advertise == "10.0.0.1:7941");
}

}  // namespace holdfast::node
