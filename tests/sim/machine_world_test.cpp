#include "sim/machine.h"
#include "sim/world.h"

#include <doctest/doctest.h>

#include "sim/recorder.h"

using namespace holdfast::sim;
namespace api = holdfast::api;

namespace {

struct Seen final : Watcher {
  std::vector<std::string> lives;
  int turns = 0, early_replies = 0;
  void on_started(Machine& machine, bool torn) override {
    lives.push_back(machine.name() + (torn ? " starts, torn" : " starts"));
  }
  void on_turn(Machine&) override { ++turns; }
  void on_reply(Machine&, const holdfast::node::Outcome&, bool released, bool) override {
    if (!released) ++early_replies;
  }
  void on_ended(Machine& machine, const std::string& why) override {
    lives.push_back(machine.name() + " ends" + (why.empty() ? "" : ": " + why));
  }
};

using Lives = std::vector<std::string>;

// Two nodes in "eu", one in "us", 40 ms apart.
WorldOptions three_nodes() {
  return {.seed = 9,
          .regions = {"eu", "us"},
          .nodes = {{.region = "eu"}, {.region = "us"}, {.region = "eu"}}};
}

struct Shop {
  Seen seen;
  World world;

  explicit Shop(WorldOptions options = three_nodes()) : world(std::move(options), seen) {
    world.start_all();
    pass(5 * kSecond);
    REQUIRE(ask(0, {"PUT", "/v1/skus/a", "{}", ""}).status == 201);
    REQUIRE(receive(0, 10).status == 201);
    pass(2 * kSecond);
  }
  void pass(Time time) { world.run_until(world.now() + time); }
  // Status 0: no answer within 3 s.
  api::Response ask(std::size_t node, const HttpCall& call) {
    api::Response answer;
    answer.status = 0;
    world.http(world.region_of(node), node, call, [&](const auto& response) { answer = response; });
    world.run_until([&] { return answer.status != 0; }, world.now() + 3 * kSecond);
    return answer;
  }
  api::Response receive(std::size_t node, int units) {
    return ask(
        node, {"POST", "/v1/skus/a/receipts", R"({"quantity":)" + std::to_string(units) + "}", ""});
  }
  api::Response hold(std::size_t node, const std::string& id, int ttl_seconds = 600) {
    return ask(node, {"PUT", "/v1/reservations/" + id,
                      R"({"ttl_seconds":)" + std::to_string(ttl_seconds) +
                          R"(,"lines":[{"sku":"a","quantity":1}]})",
                      ""});
  }
  std::string state_of(std::size_t node, const std::string& id) {
    const api::Response response = ask(node, {"GET", "/v1/reservations/" + id, "", ""});
    if (response.status != 200) return std::to_string(response.status);
    for (const char* state : {"held", "committed", "released", "expired"})
      if (response.body.find(R"("state":")" + std::string(state) + '"') != std::string::npos)
        return state;
    return response.body;
  }
  const holdfast::crdt::Product* product(std::size_t node) {
    return world.node(node).engine().state().product("a");
  }
};

}  // namespace

TEST_CASE("world: nodes are named and placed by region, and find one another") {
  Shop shop;
  World& world = shop.world;
  CHECK(world.node(0).name() == "eu-1");
  CHECK(world.node(1).name() == "us-1");
  CHECK(world.node(2).name() == "eu-2");
  CHECK(world.region_of(1) == 1);
  CHECK(world.nodes_of(0) == std::vector<std::size_t>{0, 2});
  for (std::size_t a = 0; a < 3; ++a)
    for (std::size_t b = 0; b < 3; ++b)
      if (a != b) CHECK(world.node(a).reaches(world.node(b).replica()));
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(shop.product(i)->stock.on_hand() == 10);
    CHECK(world.node(i).engine().state().digest() == world.node(0).engine().state().digest());
  }
  CHECK(shop.seen.early_replies == 0);
}

TEST_CASE("world: an HTTP call is answered by the product's own handlers") {
  Shop shop;
  CHECK(shop.hold(0, "cart").status == 201);
  CHECK(shop.hold(0, "cart").status == 200);  // again
  CHECK(shop.state_of(0, "cart") == "held");
  const api::Response unknown = shop.ask(0, {"GET", "/v1/reservations/none", "", ""});
  CHECK(unknown.status == 404);
  CHECK(unknown.type == api::ContentType::problem);
  CHECK(shop.ask(0, {"PUT", "/v1/reservations/cart2", "{", ""}).status == 400);
  CHECK(shop.ask(0, {"DELETE", "/v1/skus/a", "", ""}).status == 405);
  shop.pass(kSecond);
  CHECK(shop.ask(1, {"POST", "/v1/reservations/cart/commit", "{}", ""}).status ==
        200);  // forwarded
  CHECK(shop.state_of(0, "cart") == "committed");
}

TEST_CASE("world: an answer takes the way there and back, and the disk's time") {
  WorldOptions options = three_nodes();
  options.client_latency = 3 * kMillisecond;
  Shop shop(options);
  Time begin = shop.world.now();
  REQUIRE(shop.receive(0, 1).status == 201);
  CHECK(shop.world.now() - begin > 2 * 3 * kMillisecond);
  CHECK(shop.world.now() - begin < 2 * 3 * kMillisecond + 20 * kMillisecond);
  shop.world.set_latency(0, 1, 200 * kMillisecond);
  begin = shop.world.now();
  int status = 0;  // from the customers of eu to the node of us
  shop.world.http(0, 1, {"GET", "/v1/skus/a/stock", "", ""},
                  [&](const auto& response) { status = response.status; });
  shop.world.run_until([&] { return status != 0; }, begin + 5 * kSecond);
  CHECK(status == 200);
  CHECK(shop.world.now() - begin >= 400 * kMillisecond);
}

TEST_CASE("world: what crosses a region's border is counted, both ways") {
  Shop shop;
  const std::uint64_t out = shop.world.bytes_between(0, 1), in = shop.world.bytes_between(1, 0);
  CHECK(out > 0);
  CHECK(in > 0);
  int status = 0;
  shop.world.http(0, 1, {"GET", "/v1/skus/a/stock", "", ""},
                  [&](const auto& response) { status = response.status; });
  shop.world.run_until([&] { return status != 0; }, shop.world.now() + kSecond);
  CHECK(shop.world.bytes_between(0, 1) > out + 120);
  CHECK(shop.world.bytes_between(1, 0) > in + 120);
}

TEST_CASE("machine: what was acknowledged outlives every kind of end") {
  for (const PowerLoss loss : {PowerLoss::forgets, PowerLoss::tears, PowerLoss::keeps}) {
    for (const bool silently : {false, true}) {
      Shop shop;
      Machine& machine = shop.world.node(0);
      const auto replica = machine.replica();
      REQUIRE(shop.hold(0, "cart").status == 201);
      // One more is in hand when the power goes.
      shop.world.http(0, 0, {"POST", "/v1/skus/a/receipts", R"({"quantity":1})", ""},
                      [](const auto&) { FAIL("answered by a process that is gone"); });
      shop.world.run_until([&] { return machine.writing(); }, shop.world.now() + kSecond);
      REQUIRE(machine.writing());
      machine.crash(loss, silently);
      CHECK_FALSE(machine.lives());
      CHECK(shop.ask(0, {"GET", "/v1/skus/a/stock", "", ""}).status == 0);
      machine.start();
      CHECK(machine.life() == 2);
      CHECK(machine.replica() == replica);
      CHECK(shop.state_of(0, "cart") == "held");
      CHECK(shop.product(0)->stock.on_hand() == (loss == PowerLoss::keeps ? 11 : 10));
      CHECK(shop.seen.lives.back() ==
            (loss == PowerLoss::tears ? "eu-1 starts, torn" : "eu-1 starts"));
      shop.pass(15 * kSecond);
      CHECK(machine.reaches(shop.world.node(1).replica()));
      CHECK(shop.product(1)->stock.on_hand() == shop.product(0)->stock.on_hand());
    }
  }
}

TEST_CASE("machine: start and crash do nothing where there is nothing to do") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  machine.start();
  CHECK(machine.life() == 1);
  machine.crash(PowerLoss::forgets, false);
  machine.crash(PowerLoss::forgets, false);
  CHECK(shop.seen.lives == Lives{"eu-1 starts", "us-1 starts", "eu-2 starts", "eu-1 ends"});
}

TEST_CASE("machine: a process that stands still answers when it goes on, and is missed") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  int status = 0;
  shop.world.http(0, 0, {"POST", "/v1/skus/a/receipts", R"({"quantity":1})", ""},
                  [&](const auto& response) { status = response.status; });
  shop.world.run_until([&] { return machine.writing(); }, shop.world.now() + kSecond);
  machine.pause();
  CHECK(machine.paused());
  shop.pass(10 * kSecond);
  CHECK(status == 0);
  CHECK_FALSE(shop.world.node(1).reaches(machine.replica()));
  CHECK(shop.ask(0, {"GET", "/v1/skus/a/stock", "", ""}).status == 0);
  machine.resume();
  CHECK_FALSE(machine.paused());
  shop.world.run_until([&] { return status != 0; }, shop.world.now() + kSecond);
  CHECK(status == 201);
  shop.pass(15 * kSecond);
  CHECK(shop.world.node(1).reaches(machine.replica()));
  CHECK(shop.seen.lives.size() == 3);  // it is the same process
}

TEST_CASE("machine: a process's clock has its own rate, and a jump of the wall ends no hold") {
  WorldOptions options = three_nodes();
  options.nodes[1].clock = {.rate = 1.01, .wall_ms = 5'000};
  Shop shop(options);
  const Machine &right = shop.world.node(0), &fast = shop.world.node(1);
  shop.world.run_until(100 * kSecond);
  CHECK(right.lived_ms() == 100'000);
  CHECK(fast.lived_ms() == 101'000);
  CHECK(fast.wall_now_ms() - right.wall_now_ms() == 6'000);
  REQUIRE(shop.hold(0, "cart", 60).status == 201);
  REQUIRE(shop.hold(1, "fast", 60).status == 201);
  const Time held = shop.world.now();
  shop.world.node(0).step_wall_clock(3'600'000);
  CHECK(right.wall_now_ms() - fast.wall_now_ms() > 3'590'000);
  shop.world.run_until(held + 59'000 * kMillisecond);
  CHECK(shop.state_of(0, "cart") == "held");
  shop.world.run_until(held + 59'700 * kMillisecond);
  CHECK(shop.state_of(0, "cart") == "held");
  CHECK(shop.state_of(1, "fast") == "expired");  // its 60 s are over sooner
  shop.world.run_until(held + 60'100 * kMillisecond);
  CHECK(shop.state_of(0, "cart") == "expired");
}

TEST_CASE("machine: with a new disk it is a new replica; the others keep what it said") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  const auto before = machine.replica();
  machine.crash(PowerLoss::forgets, false);
  machine.lose_disk();
  machine.start();
  CHECK(machine.replica() != before);
  CHECK(machine.engine().state().product("a") == nullptr);
  shop.pass(15 * kSecond);
  REQUIRE(shop.product(0) != nullptr);  // from the others
  CHECK(shop.product(0)->stock.find(before)->row.received == 10);
  CHECK(shop.product(0)->stock.rights(machine.replica()) == 0);
  CHECK(machine.reaches(shop.world.node(1).replica()));
}

TEST_CASE("machine: it does not start with less on its disk than it had released") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  shop.pass(kSecond);
  machine.crash(PowerLoss::forgets, false);
  // As an old snapshot would be: nothing that the port allows does this.
  const_cast<Image&>(machine.image())
      .journal.erase(std::prev(machine.image().journal.end())->first);
  machine.start();
  CHECK_FALSE(machine.lives());
  CHECK(machine.stopped_for() == "the store holds less than its high-water mark");
  CHECK(shop.seen.lives.back() == "eu-1 ends: " + machine.stopped_for());
  machine.start();  // not again by itself
  CHECK_FALSE(machine.lives());
  machine.lose_disk();
  machine.start();
  CHECK(machine.lives());
}

TEST_CASE("machine: put back by hand it is found out, and what it did since is written again") {
  WorldOptions options = three_nodes();
  options.keeps_bases = true;
  Shop shop(std::move(options));
  Machine& machine = shop.world.node(0);
  shop.pass(kSecond);
  const Directory yesterday = machine.directory();
  const auto before = machine.replica();
  CHECK(shop.receive(0, 7).status == 201);
  shop.pass(5 * kSecond);
  machine.crash(PowerLoss::forgets, false);
  SUBCASE("whole") {
    machine.put_back(yesterday);
    for (std::size_t other = 1; other < shop.world.nodes(); ++other) {
      shop.world.network().cut(0, other);
      shop.world.network().cut(other, 0);
    }
    machine.start();
    CHECK(shop.receive(0, 5).status == 201);
    CHECK(machine.lives());
    for (std::size_t other = 1; other < shop.world.nodes(); ++other) {
      shop.world.network().mend(0, other);
      shop.world.network().mend(other, 0);
    }
    shop.pass(15 * kSecond);
    REQUIRE_FALSE(machine.lives());
    CHECK(machine.directory().fork.replica == before);
    machine.start();
    CHECK(machine.replica() != before);
    shop.pass(15 * kSecond);
    REQUIRE(shop.product(1) != nullptr);
    const auto& stock = shop.product(1)->stock;
    CHECK(stock.on_hand() == 10 + 7 + 5);
    CHECK(stock.find(machine.replica())->row.received == 5);
    CHECK(machine.engine().state().retired(before));
  }
  SUBCASE("the store alone: its mark refuses it, and a restore is another replica") {
    machine.put_back(yesterday, true);
    machine.start();
    CHECK(machine.stopped_for() == "the store holds less than its high-water mark");
    machine.restore(yesterday.image);
    machine.start();
    REQUIRE(machine.lives());
    CHECK(machine.replica() != before);
    CHECK(shop.product(0)->stock.rights(machine.replica()) == 0);
  }
}

TEST_CASE("machine: a write that fails ends the process; a full disk refuses new work") {
  Shop shop;
  Machine& machine = shop.world.node(0);
  SUBCASE("fails") {
    machine.disk().failing = 1;
    CHECK_FALSE(machine.disk_is_well());
    CHECK(shop.receive(0, 1).status == 0);
    CHECK_FALSE(machine.lives());
    CHECK(shop.seen.lives.back() == "eu-1 ends: a write to the disk failed");
    machine.disk().failing = 0;
    machine.start();
    CHECK(shop.receive(0, 1).status == 201);
  }
  SUBCASE("full") {
    machine.disk().full = true;
    shop.pass(kSecond);
    CHECK(shop.receive(0, 1).status == 507);
    machine.disk().full = false;
    shop.pass(kSecond);
    CHECK(shop.receive(0, 1).status == 201);
  }
}

TEST_CASE("machine: requests cost its time, and a full inbox refuses") {
  WorldOptions options = three_nodes();
  options.inbox_max = 10;
  Shop shop(options);
  Machine& machine = shop.world.node(0);
  machine.costs().request = 50 * kMillisecond;
  int done = 0, refused = 0;
  const auto ask_many = [&](int count) {
    for (int i = 0; i < count; ++i)
      shop.world.http(0, 0, {"GET", "/v1/skus/a/stock", "", ""},
                      [&](const auto& response) { ++(response.status == 200 ? done : refused); });
  };
  ask_many(10);
  shop.pass(2 * kMillisecond);  // a turn has taken them, and is busy for half a second
  ask_many(12);
  shop.pass(300 * kMillisecond);
  CHECK(refused == 2);
  CHECK(done <= 10);
  shop.pass(2 * kSecond);
  CHECK(refused == 2);
  CHECK(done == 20);
}

TEST_CASE("world: equal runs are equal in every event, other seeds are not") {
  const auto run = [](std::uint64_t seed) {
    WorldOptions options = three_nodes();
    options.seed = seed;
    Checks checks;
    const Trace trace;
    Recorder recorder(checks, trace);
    World world(options, recorder);
    checks.attach(world);
    recorder.attach(world);
    world.network().pair(0, 1).jitter = 3 * kMillisecond;
    world.start_all();
    world.run_until(10 * kSecond);
    CHECK_FALSE(checks.violation());
    return std::pair(recorder.hash(), world.events().done());
  };
  CHECK(run(1) == run(1));
  CHECK(run(1).first != run(2).first);
}

TEST_CASE("world: a seed of the swarm has one hash, whoever listens") {
  for (const std::uint64_t seed : {11u, 12u}) {
    std::uint64_t lines = 0;
    const Verdict one = run_seed(seed);
    const Verdict two = run_seed(seed, {}, [&](const std::string&) { ++lines; });
    CHECK(one.passed);
    CHECK(one.hash == two.hash);
    CHECK(one.event == two.event);
    CHECK(lines > 0);
    CHECK(run_seed(seed, {.operations = {0}}).hash != one.hash);
  }
}
