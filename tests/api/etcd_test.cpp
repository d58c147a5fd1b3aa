// A key of etcd: what its gateway says, and when it is read and watched.

#include <doctest/doctest.h>

#include "api/etcd_place.h"
#include "api/etcd_watch.h"
#include "tests/support/property.h"

using namespace holdfast::api;
using holdfast::crdt::Instant;
using holdfast::crdt::Millis;

namespace {

constexpr Instant kStart{Millis(1'000'000)};

std::string header(int revision) {
  return "\"header\":{\"cluster_id\":\"3671415558596415897\",\"revision\":\"" +
         std::to_string(revision) + "\",\"raft_term\":\"2\"}";
}
std::string created(int revision) {
  return "{\"result\":{" + header(revision) + ",\"created\":true}}\n";
}
std::string put(int revision, const std::string& text) {
  return "{\"result\":{" + header(revision) +
         ",\"events\":[{\"kv\":{\"key\":\"aw==\",\"mod_revision\":\"" + std::to_string(revision) +
         "\",\"value\":\"" + to_base64(text) + "\"}}]}}\n";
}
std::string deleted(int revision) {
  return "{\"result\":{" + header(revision) +
         ",\"events\":[{\"type\":\"DELETE\",\"kv\":{\"key\":\"aw==\",\"mod_revision\":\"" +
         std::to_string(revision) + "\"}}]}}\n";
}

absl::StatusCode fed(const std::string& bytes) {
  EtcdStream stream;
  return stream.feed(bytes).status().code();
}

// A watch that has read "one" at revision 5, and been told that it runs.
struct Watched {
  Watched() {
    CHECK(watch.tick(kStart).read);
    const EtcdEffects effects = read(kStart, 5, "one");
    CHECK(effects.watch_from == 6);
    CHECK(effects.values.empty());
    CHECK(watch.on_bytes(kStart, created(5)).notes.empty());
  }
  EtcdEffects read(Instant now, std::int64_t revision, std::optional<std::string> text) {
    return watch.on_read(now, EtcdValue{revision, std::move(text)});
  }
  // Waits as long as it wants to before it reads again.
  Millis wait(Instant now) {
    const auto wake = watch.wake_at();
    REQUIRE(wake.has_value());
    CHECK(!watch.tick(*wake - Millis(1)).read);
    CHECK(watch.tick(*wake).read);
    CHECK(!watch.wake_at());
    return *wake - now;
  }
  EtcdWatch watch{"etcd://h:1/k", "etcdctl put k", "one"};
};

bool says(const EtcdEffects& effects, const std::string& what) {
  return effects.notes.size() == 1 && effects.notes[0].find(what) != std::string::npos;
}

}  // namespace

TEST_SUITE("etcd, the wire") {
  TEST_CASE("base64: the samples of RFC 4648, and back") {
    const std::vector<std::pair<std::string, std::string>> samples = {{"", ""},
                                                                      {"f", "Zg=="},
                                                                      {"fo", "Zm8="},
                                                                      {"foo", "Zm9v"},
                                                                      {"foob", "Zm9vYg=="},
                                                                      {"fooba", "Zm9vYmE="},
                                                                      {"foobar", "Zm9vYmFy"},
                                                                      {"\xFB\xFF", "+/8="}};
    for (const auto& [bytes, text] : samples) {
      CHECK(to_base64(bytes) == text);
      CHECK(from_base64(text).value() == bytes);
    }
    holdfast::tests::check_property("any bytes come back", [](const std::string& bytes) {
      RC_ASSERT(from_base64(to_base64(bytes)).value() == bytes);
    });
  }

  TEST_CASE("base64: what is none") {
    for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "====", "=", "Zm9v\n", "Zm 9", "Zm9-",
                             "Z=9v", "Zh==", "Zm9=", "Zg==Zg=="})
      CHECK_MESSAGE(!from_base64(text).ok(), text);
  }

  TEST_CASE("requests") {
    CHECK(range_body("foo") == R"({"key":"Zm9v"})");
    CHECK(watch_body("foo", 7) == R"({"create_request":{"key":"Zm9v","start_revision":"7"}})");
  }

  TEST_CASE("a range: the value, an empty one, none") {
    const auto range = [](const std::string& kvs) {
      return read_range(200, "{" + header(9) + kvs + "}");
    };
    const auto found = range(R"(,"kvs":[{"key":"aw==","mod_revision":"4","value":"aGk="}])");
    REQUIRE(found.ok());
    CHECK(found->revision == 9);
    CHECK(found->text == "hi");
    CHECK(range(R"(,"kvs":[{"key":"aw==","mod_revision":"4"}])")->text == "");
    CHECK(!range("")->text);
  }

  TEST_CASE("a range: what is no answer") {
    for (const char* body :
         {"", "{", "[]", "null", "{}", R"({"header":{}})", R"({"header":{"revision":"x"}})",
          R"({"header":{"revision":"0"}})", R"({"header":{"revision":"99999999999999999999"}})",
          R"({"header":{"revision":"1"},"kvs":[1]})",
          R"({"header":{"revision":"1"},"kvs":[{"value":"?"}]})",
          R"({"header":{"revision":"1"},"kvs":[{"value":{}}]})"})
      CHECK_MESSAGE(read_range(200, body).status().code() == absl::StatusCode::kInvalidArgument,
                    body);
    const auto refused =
        read_range(400, R"({"error":"x","message":"user name is empty","code":3})");
    CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
    CHECK(refused.status().message() == "etcd answered 400: user name is empty");
    CHECK(read_range(404, "Not Found\n").status().message() == "etcd answered 404");
  }

  TEST_CASE("a stream in any pieces says the same; what is cut off says nothing") {
    const std::string all = created(5) + put(6, "two") + "\n" + deleted(7) + put(8, "");
    for (std::size_t piece = 1; piece <= all.size(); ++piece) {
      EtcdStream stream;
      std::vector<EtcdValue> values;
      for (std::size_t at = 0; at < all.size(); at += piece) {
        auto some = stream.feed(std::string_view(all).substr(at, piece));
        REQUIRE(some.ok());
        values.insert(values.end(), some->begin(), some->end());
      }
      CHECK(stream.created());
      REQUIRE(values.size() == 3);
      CHECK(values[0].text == "two");
      CHECK(values[0].revision == 6);
      CHECK(!values[1].text);
      CHECK(values[2].text == "");
    }
    EtcdStream cut;
    const std::string line = put(6, "two");
    CHECK(cut.feed(line.substr(0, line.size() - 1)).value().empty());
    CHECK(!cut.created());
  }

  TEST_CASE("a stream: what ends it") {
    CHECK(fed("nonsense\n") == absl::StatusCode::kInvalidArgument);
    CHECK(fed("{}\n") == absl::StatusCode::kInvalidArgument);
    CHECK(fed("{\"result\":1}\n") == absl::StatusCode::kInvalidArgument);
    for (const char* event : {"1", "{}", R"({"kv":{}})", R"({"kv":{"mod_revision":"-1"}})",
                              R"({"kv":{"mod_revision":"1","value":"?"}})",
                              R"({"type":"MOVE","kv":{"mod_revision":"1"}})"})
      CHECK_MESSAGE(fed(std::string("{\"result\":{\"events\":[") + event + "]}}\n") ==
                        absl::StatusCode::kInvalidArgument,
                    event);
    CHECK(fed(created(5) +
              "{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"4\"}}\n") ==
          absl::StatusCode::kOutOfRange);
    CHECK(fed("{\"error\":{\"grpc_code\":14,\"message\":\"transport is closing\"}}\n") ==
          absl::StatusCode::kUnavailable);
    CHECK(fed(std::string(EtcdStream::kLineBytesMax + 1, 'x')) ==
          absl::StatusCode::kResourceExhausted);
  }

  TEST_CASE("places") {
    const auto place = parse_etcd_place("etcd://10.0.0.1:23790/holdfast/shards");
    REQUIRE(place.ok());
    CHECK(place->server.host == "10.0.0.1");
    CHECK(place->server.port == 23790);
    CHECK(place->key == "holdfast/shards");
    CHECK(place->name() == "etcd://10.0.0.1:23790/holdfast/shards");
    CHECK(place->put_command() ==
          "etcdctl --endpoints 10.0.0.1:23790 put holdfast/shards < shards.toml");
    CHECK(parse_etcd_place("etcd://h/k")->server.port == 2379);
    CHECK(parse_etcd_place("etcd://h//k")->key == "/k");
    CHECK(parse_etcd_place("etcd://[::1]/k")->name() == "etcd://[::1]:2379/k");
    CHECK(parse_etcd_place("etcd://[::1]:1/k")->server.port == 1);
    for (const char* text :
         {"etcd://", "etcd://h", "etcd://h/", "etcd:///k", "etcd://h:0/k", "etcd://h:x/k",
          "http://h/k", "etcd://h/a b", "etcd://h/-k", "etcd://h/k'", "shards.toml"})
      CHECK_MESSAGE(!parse_etcd_place(text).ok(), text);
    CHECK(!parse_etcd_place("etcd://h/" + std::string(513, 'k')).ok());
  }
}

TEST_SUITE("etcd, the watch") {
  TEST_CASE("each new value is handed out once, in order; the same text again is none") {
    Watched w;
    CHECK(w.watch.on_bytes(kStart, put(6, "two") + put(7, "three")).values ==
          std::vector<std::string>{"two", "three"});
    CHECK(w.watch.on_bytes(kStart, put(8, "three")).values.empty());
    CHECK(w.watch.on_bytes(kStart, put(9, "two")).values == std::vector<std::string>{"two"});
  }

  TEST_CASE("a deleted key is said once, and gives nothing") {
    Watched w;
    const EtcdEffects gone = w.watch.on_bytes(kStart, deleted(6));
    CHECK(says(gone, "etcd://h:1/k: the key was deleted; put it again: etcdctl put k"));
    CHECK(gone.values.empty());
    CHECK(w.watch.on_end(kStart, "closed").notes.size() == 1);
    w.wait(kStart);
    const EtcdEffects still = w.read(kStart, 6, std::nullopt);
    CHECK(still.notes.empty());
    CHECK(still.watch_from == 7);
    CHECK(w.watch.on_bytes(kStart, put(7, "two")).values == std::vector<std::string>{"two"});
    CHECK(says(w.watch.on_bytes(kStart, deleted(8)), "deleted"));
  }

  TEST_CASE("a lost watch reads again: nothing that changed meanwhile is missed") {
    Watched w;
    const std::string line = put(6, "lost");
    CHECK(w.watch.on_bytes(kStart, line.substr(0, line.size() / 2)).values.empty());
    CHECK(says(w.watch.on_end(kStart, "closed"), "is not watched (closed)"));
    CHECK(w.wait(kStart) == EtcdWatch::kWaitMin);
    const EtcdEffects effects = w.read(kStart, 30, "two");
    CHECK(effects.values == std::vector<std::string>{"two"});
    CHECK(effects.watch_from == 31);
    CHECK(says(w.watch.on_bytes(kStart, created(30)), "is watched again"));
    CHECK(w.watch.on_bytes(kStart, put(31, "three")).notes.empty());
  }

  TEST_CASE("a store that began anew has lower revisions, and counts") {
    Watched w;
    w.watch.on_end(kStart, "closed");
    w.wait(kStart);
    const EtcdEffects effects = w.read(kStart, 2, "two");
    CHECK(effects.values == std::vector<std::string>{"two"});
    CHECK(effects.watch_from == 3);
  }

  TEST_CASE("etcd is away: it is asked ever more rarely, to a bound, and that is said once") {
    Watched w;
    CHECK(w.watch.on_end(kStart, "closed").notes.size() == 1);
    Millis before = w.wait(kStart);
    CHECK(says(w.watch.on_read(kStart, absl::UnavailableError("refused")), "(refused)"));
    for (int i = 0; i < 12; ++i) {
      const Millis wait = w.wait(kStart);
      CHECK(wait == std::min(2 * before, EtcdWatch::kWaitMax));
      before = wait;
      CHECK(w.watch.on_read(kStart, absl::UnavailableError("refused")).notes.empty());
    }
    CHECK(before == EtcdWatch::kWaitMax);
  }

  TEST_CASE("a watch that ends at once is trouble that goes on; one that lasted is not") {
    Watched w;
    Instant now = kStart;
    for (const Millis expected : {Millis(100), Millis(200), Millis(400)}) {
      w.watch.on_end(now, "closed");
      CHECK(w.wait(now) == expected);
      w.read(now, 5, "one");
      w.watch.on_bytes(now, created(5));
    }
    now += EtcdWatch::kWaitMax;
    w.watch.on_end(now, "closed");
    CHECK(w.wait(now) == EtcdWatch::kWaitMin);
  }

  TEST_CASE("a watch is hung up on and made anew when it is old, or says what cannot be read") {
    Watched w;
    CHECK(w.watch.wake_at() == kStart + EtcdWatch::kRenewEvery);
    CHECK(!w.watch.tick(kStart + EtcdWatch::kRenewEvery - Millis(1)).hang_up);
    const Instant old = kStart + EtcdWatch::kRenewEvery;
    const EtcdEffects renewed = w.watch.tick(old);
    CHECK(renewed.hang_up);
    CHECK(renewed.read);
    CHECK(renewed.notes.empty());
    // What the old one still had to say is what the read says.
    CHECK(w.watch.on_bytes(old, put(6, "two")).values.empty());
    CHECK(w.watch.on_end(old, "closed").notes.empty());
    CHECK(w.read(old, 6, "two").values == std::vector<std::string>{"two"});
    const EtcdEffects noise = w.watch.on_bytes(old, "noise\n");
    CHECK(noise.hang_up);
    CHECK(noise.notes.size() == 1);
    w.wait(old);
    CHECK(w.read(old, 7, "three").watch_from == 8);
    CHECK(!w.watch.on_bytes(old, created(7)).hang_up);
  }

  TEST_CASE("a compacted revision: read again, watched from there") {
    Watched w;
    const EtcdEffects effects = w.watch.on_bytes(
        kStart, "{\"result\":{\"header\":{},\"canceled\":true,\"compact_revision\":\"40\"}}\n");
    CHECK(effects.hang_up);
    CHECK(says(effects, "etcd ended the watch"));
    w.wait(kStart);
    CHECK(w.read(kStart, 41, "two").watch_from == 42);
  }
}
