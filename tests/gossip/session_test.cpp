// The handshake: who is let in. And the small pure parts of a link: liveness, dialling, faults,
// HMAC.

#include "gossip/session.h"

#include <doctest/doctest.h>

#include <set>

#include "gossip/dialer.h"
#include "gossip/faults.h"
#include "gossip/hmac.h"

namespace holdfast::gossip {
namespace {

using crdt::Instant;
using crdt::Millis;

MeshConfig config_of(std::uint64_t id, std::string secret = "secret") {
  MeshConfig config;
  config.self = {id};
  config.boot = 100 + id;
  config.region = "eu";
  config.node = "eu-" + std::to_string(id);
  config.cluster = "test";
  config.secret = std::move(secret);
  return config;
}

Session session(const MeshConfig& config, bool dialled, char nonce) {
  return Session({.link = 1, .address = dialled ? "peer:1" : "", .nonce = std::string(32, nonce)},
                 Instant{}, config);
}

struct Pair {
  MeshConfig a_config, b_config;
  Session a, b;
  explicit Pair(MeshConfig a_is = config_of(1), MeshConfig b_is = config_of(2))
      : a_config(std::move(a_is)),
        b_config(std::move(b_is)),
        a(session(a_config, true, 'a')),
        b(session(b_config, false, 'b')) {}
  void greet() {
    REQUIRE(a.greet(Hello(b.own_hello())).ok());
    REQUIRE(b.greet(Hello(a.own_hello())).ok());
  }
};

TEST_SUITE("session") {
  TEST_CASE("who knows the secret proves it, both ways") {
    Pair pair;
    CHECK(pair.a.phase == Session::Phase::greeting);
    pair.greet();
    CHECK(pair.a.phase == Session::Phase::proving);
    CHECK(pair.a.proves(pair.b.proof(pair.b_config), pair.a_config));
    CHECK(pair.b.proves(pair.a.proof(pair.a_config), pair.b_config));
    CHECK(pair.a.replica() == ReplicaId{2});
    CHECK(pair.a.peer.node == "eu-2");
    CHECK_FALSE(pair.a.established());
  }

  TEST_CASE("another secret does not") {
    Pair pair(config_of(1), config_of(2, "secret2"));
    pair.greet();
    CHECK_FALSE(pair.a.proves(pair.b.proof(pair.b_config), pair.a_config));
    CHECK_FALSE(pair.b.proves(pair.a.proof(pair.a_config), pair.b_config));
    CHECK_FALSE(pair.a.proves({}, pair.a_config));
    CHECK_FALSE(pair.a.proves({std::string(32, '\0')}, pair.a_config));
  }

  TEST_CASE("a proof thrown back does not") {
    Pair pair;
    pair.greet();
    CHECK_FALSE(pair.a.proves(pair.a.proof(pair.a_config), pair.a_config));
    CHECK_FALSE(pair.b.proves(pair.b.proof(pair.b_config), pair.b_config));
  }

  // Someone without the secret stands on two links to one node and hands its answers across.
  TEST_CASE("a proof from another link does not") {
    const MeshConfig a_config = config_of(1);
    Session dialling = session(a_config, true, 'x'), accepting = session(a_config, false, 'y');
    Hello claimed = accepting.own_hello();
    claimed.replica = {9};
    REQUIRE(dialling.greet(Hello(claimed)).ok());
    claimed = dialling.own_hello();
    claimed.replica = {9};
    REQUIRE(accepting.greet(Hello(claimed)).ok());
    CHECK_FALSE(dialling.proves(accepting.proof(a_config), a_config));
    CHECK_FALSE(accepting.proves(dialling.proof(a_config), a_config));
  }

  TEST_CASE("an old proof does not: every link has its nonces") {
    Pair first, second;
    first.greet();
    const Prove old = first.b.proof(first.b_config);
    Session a = session(second.a_config, true, 'z');
    REQUIRE(a.greet(Hello(second.b.own_hello())).ok());
    CHECK_FALSE(a.proves(old, second.a_config));
  }

  TEST_CASE("every field of a greeting is under the proof") {
    const auto changes = [](auto&& change) {
      Pair pair;
      pair.greet();
      Hello changed = pair.b.own_hello();
      change(changed);
      Session a = session(pair.a_config, true, 'a');
      REQUIRE(a.greet(std::move(changed)).ok());
      return !a.proves(pair.b.proof(pair.b_config), pair.a_config);
    };
    CHECK_FALSE(changes([](Hello&) {}));
    CHECK(changes([](Hello& hello) { hello.replica = {3}; }));
    CHECK(changes([](Hello& hello) { hello.boot = 3; }));
    CHECK(changes([](Hello& hello) { hello.wire_version = 2; }));
    CHECK(changes([](Hello& hello) { hello.region = "us"; }));
    CHECK(changes([](Hello& hello) { hello.node = "us-1"; }));
    CHECK(changes([](Hello& hello) { hello.gossip_address = "elsewhere:1"; }));
    CHECK(changes([](Hello& hello) { hello.nonce[0] = 'c'; }));
  }

  TEST_CASE("greetings that end the link") {
    const auto refused = [](auto&& change) {
      Pair pair;
      Hello hello = pair.b.own_hello();
      change(hello);
      const absl::Status status = pair.a.greet(std::move(hello));
      CHECK(pair.a.phase == Session::Phase::greeting);
      return std::string(status.message());
    };
    CHECK(refused([](Hello& hello) { hello.cluster = "other"; }).find("cluster 'other'") !=
          std::string::npos);
    CHECK_FALSE(refused([](Hello& hello) { hello.nonce.pop_back(); }).empty());
    CHECK_FALSE(refused([](Hello& hello) { hello.replica = {}; }).empty());
    CHECK_FALSE(refused([](Hello& hello) { hello.wire_version = 0; }).empty());
    CHECK_FALSE(refused([](Hello& hello) { hello.node = "a\nforged line"; }).empty());
    CHECK_FALSE(refused([](Hello& hello) { hello.region.assign(1000, 'a'); }).empty());
    CHECK_FALSE(refused([](Hello& hello) { hello.cluster.clear(); }).empty());
  }

  TEST_CASE("one greeting a link") {
    Pair pair;
    pair.greet();
    CHECK_FALSE(pair.a.greet(Hello(pair.b.own_hello())).ok());
    CHECK(pair.a.phase == Session::Phase::proving);
  }

  TEST_CASE("HMAC-SHA256, RFC 4231 cases 1, 2 and 6") {
    const auto hex = [](const std::string& bytes) {
      std::string text;
      for (const unsigned char byte : bytes)
        for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
      return text;
    };
    CHECK(hex(hmac(std::string(20, '\x0b'), "Hi There")) ==
          "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    CHECK(hex(hmac("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(hex(hmac(std::string(131, '\xaa'),
                   "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    CHECK(equal_secrets("abc", "abc"));
    CHECK_FALSE(equal_secrets("abc", "abd"));
    CHECK_FALSE(equal_secrets("abc", "abcd"));
    CHECK(equal_secrets("", ""));
  }
}

Instant at(std::int64_t ms) { return Instant(Millis(ms)); }

TEST_SUITE("liveness") {
  constexpr Millis kSuspect{2500};

  TEST_CASE("a peer is reachable while a recent heartbeat has been echoed") {
    struct Step {
      std::int64_t ms;
      char what;  // s: send, h: heartbeat comes with `echo`, -: nothing
      std::uint64_t echo;
      bool reachable;
    };
    const Step steps[] = {
        {0, 's', 0, false},    {10, 'h', 0, false},  // heard, but nothing of ours was
        {20, 'h', 1, true},    {2499, '-', 0, true},
        {2500, '-', 0, true},  {2501, '-', 0, false},  // sent at 0, the limit is 2,500
        {3000, 's', 0, false}, {3100, 'h', 1, false},  // an old echo shows nothing new
        {3200, 'h', 2, true},  {5500, '-', 0, true},
        {5501, '-', 0, false}, {5600, 'h', 9, false},  // a number that never was
        {5700, 's', 0, false}, {5800, 'h', 3, true},
    };
    Liveness liveness;
    for (const Step& step : steps) {
      CAPTURE(step.ms);
      if (step.what == 's') liveness.next_number(at(step.ms));
      if (step.what == 'h') liveness.heard(at(step.ms), step.ms, step.echo, Millis(0));
      CHECK(liveness.reachable(at(step.ms), kSuspect) == step.reachable);
    }
  }

  TEST_CASE("what it tells") {
    Liveness liveness;
    CHECK_FALSE(liveness.ever_heard());
    CHECK(liveness.rtt() == Millis(-1));
    CHECK(liveness.to_echo() == 0);
    CHECK(liveness.next_number(at(0)) == 1);
    CHECK(liveness.next_number(at(100)) == 2);
    CHECK(liveness.held(at(120)) == Millis(0));
    liveness.heard(at(130), 17, 2, Millis(10));
    CHECK(liveness.to_echo() == 17);
    CHECK(liveness.held(at(150)) == Millis(20));
    CHECK(liveness.rtt() == Millis(20));
    CHECK(liveness.last_heard() == at(130));
  }

  TEST_CASE("it remembers no more than it needs") {
    Liveness liveness;
    for (int i = 0; i < 1000; ++i) liveness.next_number(at(i));
    liveness.heard(at(1000), 1, 10, Millis(0));  // long forgotten
    CHECK_FALSE(liveness.reachable(at(1000), kSuspect));
    liveness.heard(at(1001), 2, 1000, Millis(77777));  // longer than there was
    CHECK(liveness.reachable(at(1001), kSuspect));
    CHECK(liveness.rtt() == Millis(0));
  }
}

TEST_SUITE("dialer") {
  using Linked = std::set<ReplicaId>;

  TEST_CASE("an address is dialled once at a time, and again after it failed") {
    Rng rng(1);
    Dialer dialer;
    dialer.add("a:1");
    CHECK(dialer.next({}) == at(0));
    CHECK(dialer.due(at(0), {}) == std::vector<std::string>{"a:1"});
    CHECK(dialer.due(at(1'000'000), {}).empty());
    CHECK(dialer.next({}) == Instant::max());
    dialer.failed("a:1", at(10), rng);
    CHECK(dialer.due(at(10), {}).empty());
    CHECK(dialer.next({}) >= at(60));
    CHECK(dialer.next({}) <= at(110));
    CHECK(dialer.due(at(110), {}).size() == 1);
    dialer.failed("unknown:1", at(10), rng);
  }

  TEST_CASE("delays double from 100 ms to 2 s, with jitter down to half") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      Rng rng(seed);
      Dialer dialer;
      dialer.add("a:1");
      for (const std::int64_t most : {100, 200, 400, 800, 1600, 2000, 2000, 2000}) {
        REQUIRE(dialer.due(at(1'000'000), {}).size() == 1);
        dialer.failed("a:1", at(0), rng);
        CHECK(dialer.next({}) >= at(most / 2));
        CHECK(dialer.next({}) <= at(most));
      }
      dialer.lasted("a:1");
      dialer.due(at(1'000'000), {});
      dialer.failed("a:1", at(0), rng);
      CHECK(dialer.next({}) <= at(100));
    }
  }

  TEST_CASE("two dialers don't come in step") {
    std::set<Instant> times;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Rng rng(seed);
      Dialer dialer;
      dialer.add("a:1");
      for (int i = 0; i < 8; ++i) dialer.due(at(1'000'000), {}), dialer.failed("a:1", at(0), rng);
      times.insert(dialer.next({}));
    }
    CHECK(times.size() > 10);
  }

  TEST_CASE("a replica that is linked is not dialled, at none of its addresses") {
    Rng rng(1);
    Dialer dialer;
    dialer.add("a:1");
    dialer.add("b:1", {7});
    dialer.due(at(0), {});
    dialer.reached("a:1", {7});
    dialer.failed("a:1", at(0), rng);
    dialer.failed("b:1", at(0), rng);
    CHECK(dialer.due(at(1000), Linked{{7}}).empty());
    CHECK(dialer.next(Linked{{7}}) == Instant::max());
    CHECK(dialer.due(at(1000), Linked{{8}}).size() == 2);
  }

  TEST_CASE("a greeting alone does not make the next delay the first again") {
    Rng rng(1);
    Dialer dialer;
    dialer.add("a:1");
    for (int i = 0; i < 8; ++i) {
      dialer.due(at(1'000'000), {});
      dialer.reached("a:1", {7});
      dialer.failed("a:1", at(0), rng);
    }
    CHECK(dialer.next({}) >= at(1000));
  }

  TEST_CASE("our own address is never dialled again") {
    Dialer dialer;
    dialer.add("me:1");
    dialer.never("me:1");
    dialer.add("me:1", {7});
    CHECK(dialer.due(at(0), {}).empty());
    CHECK(dialer.next({}) == Instant::max());
  }

  TEST_CASE("a name is resolved again and again; what it has is dialled, what it had no more") {
    Rng rng(1);
    Dialer dialer;
    const std::vector<std::string> name{"all:1"};
    const auto addresses = [](std::vector<std::string> list) { return list; };
    dialer.add_name("all:1");
    CHECK(dialer.never_reached() == 1);
    CHECK(dialer.next({}) == at(0));
    CHECK(dialer.names_due(at(0)) == name);
    CHECK(dialer.names_due(at(1'000'000)).empty());  // it is being resolved
    dialer.resolved("all:1", {}, at(0));
    CHECK(dialer.due(at(999), {}).empty());
    CHECK(dialer.names_due(at(999)).empty());
    CHECK(dialer.next({}) == at(1000));
    CHECK(dialer.names_due(at(1000)) == name);
    dialer.resolved("all:1", {"a:1", "b:1"}, at(1000));
    CHECK(dialer.due(at(1000), {}) == addresses({"a:1", "b:1"}));
    dialer.reached("a:1", {7});
    dialer.failed("b:1", at(1000), rng);

    // The second has moved. All the while the first is linked: it is looked at all the same.
    CHECK(dialer.names_due(at(5'999)).empty());
    CHECK(dialer.names_due(at(6'000)) == name);
    dialer.resolved("all:1", {"a:1", "c:1"}, at(6'000));
    CHECK(dialer.due(at(20'000), Linked{{7}}) == addresses({"c:1"}));

    // Nobody can say: what was known stays.
    CHECK(dialer.names_due(at(20'000)) == name);
    dialer.resolved("all:1", {}, at(20'000));
    dialer.failed("a:1", at(20'000), rng);
    dialer.failed("c:1", at(20'000), rng);
    CHECK(dialer.due(at(30'000), {}) == addresses({"a:1", "c:1"}));
    dialer.resolved("another:1", {"d:1"}, at(30'000));
    CHECK(dialer.due(at(60'000), {}).empty());
  }

  TEST_CASE("a name has reached somebody when one of its addresses has, or all are our own") {
    Dialer dialer;
    dialer.add_name("all:1");
    dialer.resolved("all:1", {"me:1"}, at(0));
    CHECK(dialer.never_reached() == 1);
    dialer.never("me:1");
    CHECK(dialer.never_reached() == 0);  // the first node of a cluster
    dialer.resolved("all:1", {"a:1", "b:1", "me:1"}, at(0));
    CHECK(dialer.never_reached() == 1);
    dialer.reached("a:1", {7});
    CHECK(dialer.never_reached() == 0);
    CHECK(dialer.due(at(0), {}) == std::vector<std::string>{"a:1", "b:1"});
  }

  TEST_CASE("an address that a member has, or that is configured, outlives the name") {
    Dialer dialer;
    dialer.add("a:1");
    dialer.add_name("all:1");
    dialer.resolved("all:1", {"a:1", "b:1", "c:1"}, at(0));
    dialer.add("b:1", {7});
    dialer.resolved("all:1", {"d:1"}, at(0));
    CHECK(dialer.due(at(0), {}) == std::vector<std::string>{"a:1", "b:1", "d:1"});
  }

  TEST_CASE("when a fault is lifted everything is due") {
    Rng rng(1);
    Dialer dialer;
    dialer.add("a:1");
    for (int i = 0; i < 8; ++i) dialer.due(at(1'000'000), {}), dialer.failed("a:1", at(500), rng);
    CHECK(dialer.due(at(500), {}).empty());
    dialer.retry_now(at(500));
    CHECK(dialer.due(at(500), {}).size() == 1);
  }
}

TEST_SUITE("faults") {
  TEST_CASE("a node's own fault goes before its region's") {
    Faults faults("us", "us-9");
    faults.set("eu", {.drop = true});
    faults.set("eu-1", {.delay = Millis(5)});
    CHECK(faults.on("eu", "eu-2").drop);
    CHECK_FALSE(faults.on("eu", "eu-1").drop);
    CHECK(faults.on("eu", "eu-1").delay == Millis(5));
    CHECK_FALSE(faults.on("us", "us-1").drop);
    CHECK(faults.clear("eu"));
    CHECK_FALSE(faults.clear("eu"));
    CHECK_FALSE(faults.on("eu", "eu-2").drop);
    CHECK(faults.all().size() == 1);
  }

  TEST_CASE("this node's name stands for all its links, its region's for those that leave it") {
    Faults faults("us", "us-9");
    faults.set("us", {.drop = true});
    CHECK(faults.on("eu", "eu-1").drop);
    CHECK_FALSE(faults.on("us", "us-1").drop);
    faults.set("us-9", {.delay = Millis(5)});
    CHECK(faults.on("us", "us-1").delay == Millis(5));
    CHECK_FALSE(faults.on("eu", "eu-1").drop);  // the nearer name goes first
    faults.set("eu-1", {.loss = 0.5});
    CHECK(faults.on("eu", "eu-1").loss == 0.5);
  }
}

}  // namespace
}  // namespace holdfast::gossip
